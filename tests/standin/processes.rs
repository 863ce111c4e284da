//! The processes of one stand-in Domino, found by their executables.

use super::ipc;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Living processes whose executable lies under `dir` and, where `data` is
/// given, whose working directory it is. The caller is left out.
pub fn under(dir: &Path, data: Option<&Path>) -> Vec<i32> {
    let dir = real(dir);
    let data = data.map(real);
    let own = std::process::id() as i32;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = pid_of(&entry) else {
            continue;
        };
        let link = |name| std::fs::read_link(entry.path().join(name)).map(without_mark);
        let ours = link("exe").is_ok_and(|exe| exe.starts_with(&dir));
        let here = match &data {
            Some(data) => link("cwd").is_ok_and(|cwd| cwd == *data),
            None => true,
        };
        if pid != own && ours && here {
            found.push(pid);
        }
    }
    found
}

/// Shells that run a start-up script of `dir`: each becomes a program of it.
pub fn on_their_way(dir: &Path) -> Vec<i32> {
    let (dir, resolved) = (dir.to_path_buf(), real(dir));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = pid_of(&entry) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let script = line.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        let script = Path::new(OsStr::from_bytes(script));
        let exe = std::fs::read_link(entry.path().join("exe"));
        if (script.starts_with(&dir) || script.starts_with(&resolved))
            && exe.is_ok_and(|exe| !exe.starts_with(&resolved))
        {
            found.push(pid);
        }
    }
    found
}

fn pid_of(entry: &std::fs::DirEntry) -> Option<i32> {
    entry.file_name().to_str()?.parse().ok()
}

/// Whether a process has ended; one that only waits to be reaped has.
pub fn is_gone(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    let state = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.as_bytes().first());
    matches!(state, None | Some(None | Some(b'Z' | b'X')))
}

/// Sends a signal; a process that is gone is none of our business.
pub fn signal(pid: i32, number: i32) {
    // SAFETY: kill takes plain numbers. Pids come from /proc or from children,
    // so they are positive and never name a process group.
    unsafe {
        libc::kill(pid, number);
    }
}

/// Kills these processes and waits until they are gone, 5 s at most.
pub fn kill_and_wait(pids: &[i32]) {
    pids.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end && !pids.iter().all(|pid| is_gone(*pid)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// For tests that clear up: kills all that runs from LOTUS, the stand-in's
/// helpers first, and removes the IPC objects of DATA.
pub fn kill_all(lotus: &Path, data: &Path) {
    for dir in [lotus.join("tools"), lotus.to_path_buf()] {
        // Again, because a process may have started another meanwhile.
        for _ in 0..10 {
            let mut found = on_their_way(&dir);
            found.extend(under(&dir, None));
            if found.is_empty() {
                break;
            }
            kill_and_wait(&found);
        }
    }
    ipc::remove(data);
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The kernel marks the name of a file that was removed.
fn without_mark(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => PathBuf::from(OsStr::from_bytes(bytes)),
        None => path,
    }
}
