//! Processes as /proc shows them: who runs what, in our own namespaces.
//!
//! A scan costs one stat(2) for each foreign process and allocates nothing for
//! it; links are read for the wanted user only, `stat` and `cmdline` only for
//! processes the caller wants.

use super::explain;
use super::procfs::{self, Entry, Namespaces, PROC_BUFFER, Stat};
use rustix::fs::{AtFlags, OFlags, RawDir};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The id of a process. It is reused after the process has been reaped: only
/// pid and start time together name a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// A pid from its number; none for 0 and below.
    pub fn new(number: i32) -> Option<Pid> {
        (number > 0).then_some(Pid(number))
    }

    /// The number.
    pub fn as_raw(self) -> i32 {
        self.0
    }

    /// Reads a pid as pid files hold it: decimal digits, blanks around them.
    pub fn parse(text: &[u8]) -> Option<Pid> {
        let text = std::str::from_utf8(text.trim_ascii()).ok()?;
        Pid::new(text.parse().ok()?)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent; none where that is outside of our pid namespace.
    pub parent: Option<Pid>,
    /// Its effective user.
    pub uid: u32,
    /// `R`, `S`, `D`, `T`, `t`, `Z`, `X` or `I`, as proc(5) has them.
    pub state: char,
    /// Threads that still run. A process of state `Z` with more than one is
    /// alive: only its first thread has ended.
    pub threads: u32,
    /// Start time in clock ticks since boot (see [`super::clock::started_at`]).
    pub start_ticks: u64,
    /// User and system time used so far.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// The name the kernel keeps, at most 15 bytes.
    pub comm: OsString,
    /// The executable, links resolved; none where the link cannot be read
    /// (zombies, kernel threads, and non-dumpable processes for non-root).
    pub exe: Option<PathBuf>,
    /// The executable's file was removed or replaced; `exe` is where it was.
    pub exe_deleted: bool,
    /// The arguments, cut at 256 KiB; empty for zombies and kernel threads.
    pub cmdline: Vec<OsString>,
}

impl Process {
    /// Whether it has ended and only waits for its parent to ask for its
    /// status.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z' && self.threads <= 1
    }
}

/// A process of the wanted user as a scan comes past it.
pub struct Sighting<'a> {
    /// Its id.
    pub pid: Pid,
    /// Its effective user.
    pub uid: u32,
    /// The executable as in [`Process::exe`].
    pub exe: Option<&'a Path>,
    /// As in [`Process::exe_deleted`].
    pub exe_deleted: bool,
    entry: &'a Entry,
}

impl Sighting<'_> {
    /// The arguments as in [`Process::cmdline`]; empty where they cannot be
    /// read. Costs a read, so ask only where `exe` is none.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut buffer = Vec::new();
        self.entry.cmdline(&mut buffer).ok().unwrap_or_default()
    }

    /// The name the kernel keeps, which zombies have too; empty where it
    /// cannot be read. Costs a read.
    pub fn comm(&self) -> OsString {
        let mut buffer = Vec::new();
        self.entry
            .stat(&mut buffer)
            .map(|stat| stat.comm)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Sighting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sighting")
            .field("pid", &self.pid)
            .field("uid", &self.uid)
            .field("exe", &self.exe)
            .finish_non_exhaustive()
    }
}

/// The processes of user `uid`, in our own namespaces, that `wanted` accepts.
///
/// Ours are those of the same pid namespace that share our mount namespace or
/// have our root directory (a unit with PrivateTmp has a mount namespace of its
/// own, a container another root). Links that cannot be read speak for the
/// process. Zombies are reported, with state `Z` and no executable. A process
/// that ends midway is left out. A /proc that is missing, or that belongs to
/// another pid namespace, is an error: nothing could be told from it.
pub fn scan(uid: u32, mut wanted: impl FnMut(&Sighting<'_>) -> bool) -> io::Result<Vec<Process>> {
    let proc = procfs::open()?;
    let namespaces = Namespaces::of_self(&proc);
    let mut found = Vec::new();
    let mut link = Vec::new();
    let mut buffer = Vec::new();
    let mut names = Vec::with_capacity(PROC_BUFFER);
    let mut directory = RawDir::new(&proc, names.spare_capacity_mut());
    while let Some(next) = directory.next() {
        let dirent = next.map_err(|error| explain(error, "cannot read /proc"))?;
        let name = dirent.file_name();
        if !name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        // The owner of /proc/PID is the effective user even for processes
        // that are not dumpable (task_dump_owner in fs/proc/base.c).
        let owner = match rustix::fs::statat(&proc, name, AtFlags::empty()) {
            Ok(found) => found.st_uid,
            Err(error) if procfs::is_gone(error) => continue,
            Err(error) => {
                return Err(explain(
                    error,
                    format_args!("cannot examine /proc/{name:?}"),
                ));
            }
        };
        if owner != uid {
            continue;
        }
        let Some(pid) = Pid::parse(name.to_bytes()) else {
            continue;
        };
        let Some(entry) = Entry::open(&proc, pid)? else {
            continue;
        };
        if entry.uid() != uid || !namespaces.hold(&entry, &mut link)? {
            continue;
        }
        let exe_deleted = entry.exe(&mut link)?;
        let exe = exe_deleted.map(|_| Path::new(OsStr::from_bytes(&link)));
        let sighting = Sighting {
            pid,
            uid,
            exe,
            exe_deleted: exe_deleted == Some(true),
            entry: &entry,
        };
        if !wanted(&sighting) {
            continue;
        }
        let exe = exe.map(Path::to_path_buf);
        if let Some(process) = complete(&entry, exe, exe_deleted == Some(true), &mut buffer)? {
            found.push(process);
        }
    }
    Ok(found)
}

/// One process, whatever its user and namespaces; none if there is none.
pub fn inspect(pid: Pid) -> io::Result<Option<Process>> {
    let proc = procfs::open()?;
    let Some(entry) = Entry::open(&proc, pid)? else {
        return Ok(None);
    };
    let mut link = Vec::new();
    let exe_deleted = entry.exe(&mut link)?;
    let exe = exe_deleted.map(|_| PathBuf::from(OsString::from_vec(link)));
    complete(&entry, exe, exe_deleted == Some(true), &mut Vec::new())
}

fn complete(
    entry: &Entry,
    exe: Option<PathBuf>,
    exe_deleted: bool,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Process>> {
    let read = entry
        .stat(buffer)
        .and_then(|stat| Ok((stat, entry.cmdline(buffer)?)));
    let (stat, cmdline) = match read {
        Ok(read) => read,
        Err(error) if procfs::is_gone_io(&error) => return Ok(None),
        Err(error) => {
            return Err(explain(
                error,
                format_args!("cannot read /proc/{}", entry.pid()),
            ));
        }
    };
    Ok(Some(Process {
        pid: entry.pid(),
        parent: Pid::new(stat.parent),
        uid: entry.uid(),
        state: stat.state,
        threads: stat.threads,
        start_ticks: stat.start_ticks,
        cpu: stat.cpu(),
        rss_bytes: stat.rss_bytes(),
        comm: stat.comm,
        exe,
        exe_deleted,
        cmdline,
    }))
}

/// Our own pid.
pub fn self_pid() -> Pid {
    Pid(rustix::process::getpid().as_raw_pid())
}

/// The parent of a process; none if either is not there (or the parent is
/// outside of our pid namespace).
pub fn parent_of(pid: Pid) -> io::Result<Option<Pid>> {
    Ok(stat_of(pid)?.and_then(|stat| Pid::new(stat.parent)))
}

/// The start time of a process in clock ticks since boot; none if it has
/// ended, zombies included.
pub fn start_ticks(pid: Pid) -> io::Result<Option<u64>> {
    Ok(stat_of(pid)?
        .filter(|stat| !stat.has_ended())
        .map(|stat| stat.start_ticks))
}

/// Whether a process of process group `group` has not ended.
pub(crate) fn group_lives(group: Pid) -> io::Result<bool> {
    let proc = procfs::open()?;
    let mut buffer = Vec::new();
    let mut names = Vec::with_capacity(PROC_BUFFER);
    let mut directory = RawDir::new(&proc, names.spare_capacity_mut());
    while let Some(next) = directory.next() {
        let dirent = next.map_err(|error| explain(error, "cannot read /proc"))?;
        let Some(pid) = Pid::parse(dirent.file_name().to_bytes()) else {
            continue;
        };
        if let Some(entry) = Entry::open(&proc, pid)?
            && let Ok(stat) = entry.stat(&mut buffer)
            && stat.group == group.as_raw()
            && !stat.has_ended()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What /proc/PID/stat says; none if there is no such process.
pub(crate) fn stat_of(pid: Pid) -> io::Result<Option<Stat>> {
    match Stat::read(pid) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if procfs::is_gone_io(&error) => {
            // No process, or no /proc: the second must not pass for the first.
            procfs::open()?;
            Ok(None)
        }
        Err(error) => Err(explain(error, format_args!("cannot read /proc/{pid}/stat"))),
    }
}

/// Whether we can see what the processes of user `uid` run: they are ours, we
/// are root, or /proc is not mounted with `hidepid`.
pub fn can_see(uid: u32) -> io::Result<bool> {
    let own = rustix::process::geteuid().as_raw();
    if own == 0 || own == uid {
        return Ok(true);
    }
    // Process 1 is there in every pid namespace: hidepid=2 hides its
    // directory, hidepid=1 closes what lies in it.
    let proc = procfs::open()?;
    let opened = rustix::fs::openat(
        &proc,
        c"1/cmdline",
        OFlags::RDONLY | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    match opened {
        Ok(_) => Ok(true),
        Err(error) if procfs::is_gone(error) || procfs::is_denied(error) => Ok(false),
        Err(error) => Err(explain(error, "cannot open /proc/1/cmdline")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing::{Sleeper, until};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Scans for one pid of our own user.
    fn sight(pid: Pid) -> Option<Process> {
        let mut found = scan(own_uid(), |sighting| sighting.pid == pid).unwrap();
        assert!(found.len() <= 1);
        found.pop()
    }

    #[test]
    fn a_scan_finds_this_process_as_it_is() {
        let own = sight(self_pid()).unwrap();
        assert_eq!(own.exe.as_deref(), Some(&*std::env::current_exe().unwrap()));
        assert_eq!(own.cmdline, std::env::args_os().collect::<Vec<_>>());
        assert_eq!(own.uid, own_uid());
        assert_eq!(own.parent, parent_of(self_pid()).unwrap());
        assert!(own.rss_bytes > 100_000 && own.threads > 1 && !own.exe_deleted);
        assert_eq!(
            inspect(self_pid()).unwrap().unwrap().start_ticks,
            own.start_ticks
        );
        // Nobody has this user id here.
        assert!(scan(u32::MAX - 7, |_| true).unwrap().is_empty());
    }

    /// The shell is copied so that the file's name becomes the process's name.
    fn copied_shell(dir: &Path, name: &[u8]) -> PathBuf {
        let shell = dir.join(OsStr::from_bytes(name));
        std::fs::copy("/bin/sh", &shell).unwrap();
        shell
    }

    /// Another test's fork may hold the copy open for writing for a moment.
    fn run(command: &mut Command) -> Sleeper {
        until(|| {
            let busy = command.stdin(std::process::Stdio::null()).spawn();
            match busy {
                Ok(mut child) => child.wait().is_ok(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::ExecutableFileBusy);
                    false
                }
            }
        });
        Sleeper::run(command)
    }

    #[test]
    fn names_and_arguments_are_bytes_and_a_deleted_executable_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let dir_path = dir.path().canonicalize().unwrap();
        let shell = copied_shell(&dir_path, b"a) (R\n 1\\\xff");
        let odd = OsStr::from_bytes(b"\xfe\xff n\new 'q\"");
        let mut command = Command::new(&shell);
        command.args(["-c", "read x"]).arg(odd).arg("");
        let sleeper = run(&mut command);
        until(|| sight(sleeper.pid()).is_some_and(|p| p.comm.as_bytes().starts_with(b"a)")));
        let seen = sight(sleeper.pid()).unwrap();
        assert_eq!(seen.comm.as_bytes(), b"a) (R\n 1\\\xff");
        assert_eq!(seen.exe.as_deref(), Some(&*shell));
        assert_eq!(seen.cmdline[3], odd);
        assert_eq!(seen.cmdline.len(), 5);
        assert_eq!(seen.parent, Some(self_pid()));
        assert!(!seen.exe_deleted);
        std::fs::remove_file(&shell).unwrap();
        let seen = sight(sleeper.pid()).unwrap();
        assert_eq!(seen.exe.as_deref(), Some(&*shell));
        assert!(seen.exe_deleted);
        assert_eq!(inspect(sleeper.pid()).unwrap(), Some(seen));
    }

    #[test]
    fn a_name_that_ends_like_a_deleted_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let dir_path = dir.path().canonicalize().unwrap();
        let shell = copied_shell(&dir_path, b"x (deleted)");
        let sleeper = run(Command::new(&shell).args(["-c", "read x"]));
        let seen = inspect(sleeper.pid()).unwrap().unwrap();
        assert_eq!(
            (seen.exe.as_deref(), seen.exe_deleted),
            (Some(&*shell), false)
        );
    }

    #[test]
    fn a_zombie_is_reported_as_one_and_then_it_is_gone() {
        let mut sleeper = Sleeper::start();
        sleeper.let_go();
        sleeper.wait_until_zombie();
        let seen = sight(sleeper.pid()).unwrap();
        assert_eq!((seen.state, seen.exe), ('Z', None));
        assert!(seen.cmdline.is_empty());
        assert_eq!(start_ticks(sleeper.pid()).unwrap(), None);
        let comm = std::cell::RefCell::new(OsString::new());
        scan(own_uid(), |sighting| {
            if sighting.pid == sleeper.pid() {
                *comm.borrow_mut() = sighting.comm();
            }
            false
        })
        .unwrap();
        assert_eq!(comm.into_inner(), "sh");
        sleeper.reap();
        assert_eq!(inspect(sleeper.pid()).unwrap(), None);
        assert_eq!(parent_of(sleeper.pid()).unwrap(), None);
    }

    #[test]
    #[ignore = "runs in a child process of its own, started by the next test"]
    fn helper_not_dumpable() {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap();
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    /// Root may read the link all the same; its owner may not, and then the
    /// arguments tell what it is.
    #[test]
    fn a_process_that_is_not_dumpable_is_known_by_its_arguments() {
        let exe = std::env::current_exe().unwrap();
        let sleeper = Sleeper::run(Command::new(&exe).arg0("/as/called").args([
            "--ignored",
            "--exact",
            "os::process::tests::helper_not_dumpable",
        ]));
        // The kernel gives the files below /proc/PID to root then.
        let closed = || {
            use std::os::unix::fs::MetadataExt;
            let owner = std::fs::metadata(format!("/proc/{}/environ", sleeper.pid()));
            let mut threads = inspect(sleeper.pid()).unwrap().map_or(0, |p| p.threads);
            if own_uid() != 0 {
                threads = 2;
            }
            threads == 2 && owner.is_ok_and(|owner| owner.uid() == 0)
        };
        until(closed);
        let expected = (own_uid() == 0).then(|| exe.clone());
        until(|| sight(sleeper.pid()).is_some_and(|seen| seen.exe == expected));
        let mut arguments = Vec::new();
        scan(own_uid(), |sighting| {
            if sighting.pid == sleeper.pid() {
                arguments = sighting.arguments();
            }
            false
        })
        .unwrap();
        assert_eq!(arguments[0], "/as/called");
    }

    /// A container's process: same user, other pid namespace. Needs the right
    /// to make one, which ordinary users have where user namespaces are open.
    #[test]
    fn a_process_of_another_pid_namespace_is_not_ours() {
        let mut command = Command::new("unshare");
        if own_uid() != 0 {
            command.arg("--user");
        }
        let mut sleeper = Sleeper::run(command.args(["--pid", "--fork", "sh", "-c", "read x"]));
        std::thread::sleep(Duration::from_millis(300));
        let inner = scan(own_uid(), |sighting| sighting.pid != sleeper.pid())
            .unwrap()
            .iter()
            .any(|process| process.parent == Some(sleeper.pid()));
        assert!(!inner);
        let outer = sight(sleeper.pid()).unwrap();
        if outer.is_zombie() {
            eprintln!("NOT TESTED: this user may not make a pid namespace");
        }
        sleeper.let_go();
    }

    #[test]
    fn everybody_sees_what_is_his_own() {
        assert!(can_see(own_uid()).unwrap());
        assert!(group_lives(Pid::new(rustix::process::getpgrp().as_raw_pid()).unwrap()).unwrap());
    }

    #[test]
    fn pids_are_read_as_pid_files_hold_them() {
        assert_eq!(Pid::parse(b" 42\n").map(Pid::as_raw), Some(42));
        for bad in [&b""[..], b"0", b"-3", b"4 2", b"99999999999", b"\xff"] {
            assert_eq!(Pid::parse(bad), None);
        }
    }
}
