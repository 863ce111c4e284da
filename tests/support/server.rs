//! The server of a sandbox: brought up, watched, and what was called.

use super::{Outcome, Sandbox, wait_until};
use crate::standin::{self, Call, processes};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// What the stand-in says when it is up.
pub const UP: &str = "Server started on physical node";

/// How long a program may take to be on record. One that is stopped on its way
/// never is.
const ON_RECORD: Duration = Duration::from_secs(10);

impl Sandbox {
    /// Runs a verb.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.command(arguments).run()
    }

    /// Starts the server and waits until it is up.
    #[track_caller]
    pub fn up(&self) -> Outcome {
        let outcome = self.run(&["start"]).code(0);
        self.wait_up();
        outcome
    }

    /// Waits until the server has said that it is up.
    #[track_caller]
    pub fn wait_up(&self) {
        wait_until("the server says that it is up", || {
            self.console().contains(UP)
        });
    }

    /// Stops it; it must be gone then.
    #[track_caller]
    pub fn down(&self) -> Outcome {
        let outcome = self.run(&["stop"]).code(0);
        assert!(self.servers().is_empty(), "a server is left\n{outcome}");
        outcome
    }

    /// Kills what runs and forgets what was called, for a next round.
    pub fn reset(&self) {
        self.kill();
        let _ = std::fs::remove_file(self.data.join("standin.calls"));
        let _ = std::fs::remove_file(self.log());
    }

    /// All calls of Domino's programs, or of one; oldest first.
    pub fn calls(&self, program: &str) -> Vec<Call> {
        self.wait_recorded();
        let calls = standin::read_calls(&self.data).unwrap();
        let wanted = |call: &Call| program.is_empty() || call.program == program;
        calls.into_iter().filter(wanted).collect()
    }

    /// A start returns while its server may still be a shell, or not on record.
    fn wait_recorded(&self) {
        let end = Instant::now() + ON_RECORD;
        let is_server = |pid: &i32| {
            let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
            exe.is_ok_and(|exe| exe.file_name() == Some("server".as_ref()))
        };
        let on_the_way = || {
            if !processes::on_their_way(&self.lotus).is_empty() {
                return true;
            }
            let mut servers = processes::under(&self.lotus, None);
            servers.retain(is_server);
            let calls = standin::read_calls(&self.data).unwrap();
            servers
                .iter()
                .any(|pid| calls.iter().all(|call| call.pid != *pid))
        };
        while on_the_way() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The one launch of the server.
    #[track_caller]
    pub fn launch(&self) -> Call {
        wait_until("a server is launched", || !self.launches().is_empty());
        let mut launches = self.launches();
        assert_eq!(launches.len(), 1, "launches of the server");
        launches.remove(0)
    }

    /// Every launch of the server, without `-c`, `-q` and the like.
    pub fn launches(&self) -> Vec<Call> {
        let mut calls = self.calls("server");
        let client = |word: &String| matches!(word.as_str(), "-q" | "-c" | "-m");
        calls.retain(|call| {
            let args = call.args();
            !args.first().is_some_and(client) && !args.iter().any(|word| word == "-q")
        });
        calls
    }

    /// Pids of the server processes that run now.
    pub fn servers(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.launches().iter().map(|call| call.pid).collect();
        let here = processes::under(&self.lotus, None);
        pids.retain(|pid| here.contains(pid));
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Pids of all processes of the installation.
    pub fn processes(&self) -> Vec<i32> {
        self.wait_recorded();
        processes::under(&self.lotus, None)
    }
}

/// Live processes of a user.
pub fn processes_of(uid: u32) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let his = entry.metadata().is_ok_and(|entry| entry.uid() == uid);
        if his && !processes::is_gone(pid) {
            found.push(pid);
        }
    }
    found
}

/// A process as a message shows it.
pub fn describe(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!(
        "{pid}: {}",
        String::from_utf8_lossy(&line).replace('\0', " ")
    )
}
