//! Processes of all kinds, looked at from outside.

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

#[test]
fn looking_for_any_goes_by_pid_and_ends_at_the_first() {
    let mut seen = Vec::new();
    let all = any(own_uid(), |sighting| {
        seen.push(sighting.pid);
        false
    });
    assert!(!all.unwrap());
    assert!(seen.is_sorted() && seen.contains(&self_pid()));
    let mut last = None;
    let found = any(own_uid(), |sighting| {
        last = Some(sighting.pid);
        sighting.pid == self_pid()
    });
    assert!(found.unwrap());
    assert_eq!(last, Some(self_pid()));
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
    let long = "x".repeat(100_000);
    let mut command = Command::new(&shell);
    command.args(["-c", "read x"]).arg(odd).arg("").arg(&long);
    let sleeper = run(&mut command);
    until(|| sight(sleeper.pid()).is_some_and(|p| p.comm.as_bytes().starts_with(b"a)")));
    let seen = sight(sleeper.pid()).unwrap();
    assert_eq!(seen.comm.as_bytes(), b"a) (R\n 1\\\xff");
    assert_eq!(seen.exe.as_deref(), Some(&*shell));
    assert_eq!(seen.cmdline[3], odd);
    assert_eq!(seen.cmdline[4..], ["", long.as_str()]);
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

#[test]
fn the_own_process_group_lives() {
    assert!(group_lives(Pid::new(rustix::process::getpgrp().as_raw_pid()).unwrap()).unwrap());
}

#[test]
fn pids_are_read_as_pid_files_hold_them() {
    assert_eq!(Pid::parse(b" 42\n").map(Pid::as_raw), Some(42));
    for bad in [&b""[..], b"0", b"-3", b"4 2", b"99999999999", b"\xff"] {
        assert_eq!(Pid::parse(bad), None);
    }
}
