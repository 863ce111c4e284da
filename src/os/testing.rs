//! Processes that the unit tests of this floor look at.

use super::process::{self, Pid};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Puts the signals that ask for an end back to their defaults: a shell's
/// background job is started with SIGINT ignored.
pub fn default_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no handler is installed, only the default put back.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// A process that sleeps until it is killed, or until its input ends.
pub struct Sleeper {
    child: Child,
    pid: Pid,
}

impl Sleeper {
    pub fn start() -> Sleeper {
        Sleeper::run(Command::new("/bin/sh").args(["-c", "read x"]))
    }

    /// Runs a command that blocks on its standard input.
    pub fn run(command: &mut Command) -> Sleeper {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::new(child.id() as i32).unwrap();
        Sleeper { child, pid }
    }

    /// One whose parent is a shell, in another process group.
    pub fn start_as_grandchild() -> Sleeper {
        let mut child = Command::new("/bin/sh")
            .args([
                "-c",
                "exec 3<&0; (read x <&3; :) & echo $!; exec 3<&-; wait",
            ])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = Pid::parse(line.as_bytes()).unwrap();
        Sleeper { child, pid }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends its input, and so the process itself.
    pub fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    pub fn wait_until_zombie(&self) {
        until(|| {
            process::inspect(self.pid)
                .unwrap()
                .is_some_and(|process| process.is_zombie())
        });
    }

    pub fn reap(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition for at most a minute.
pub fn until(mut condition: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < late, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this kernel is at least as new.
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}
