//! What state a server is in, and what may be done to it in that state.

use super::processes::{DominoProcess, Role};

/// The state of a server, from its processes alone.
#[derive(Clone, Debug)]
pub enum State {
    /// The server runs.
    Running {
        /// All its processes.
        processes: Vec<DominoProcess>,
    },
    /// There is no server, but processes of it are left: tasks of a crashed
    /// one, NSD at work, a shutdown's stragglers.
    Remnants {
        /// What is left.
        processes: Vec<DominoProcess>,
    },
    /// The server is down; what runs holds no database open: the Java
    /// controller, a console command that found no server.
    Idle {
        /// What runs.
        processes: Vec<DominoProcess>,
    },
    /// Nothing runs.
    Stopped,
}

impl State {
    /// Derives the state from the processes found.
    pub fn of(processes: Vec<DominoProcess>) -> State {
        if processes.iter().any(|found| found.role == Role::Server) {
            State::Running { processes }
        } else if processes.is_empty() {
            State::Stopped
        } else if processes.iter().all(|found| found.role.is_idle()) {
            State::Idle { processes }
        } else {
            State::Remnants { processes }
        }
    }

    /// Whether the server runs, as `status` answers.
    pub fn is_running(&self) -> bool {
        matches!(self, State::Running { .. })
    }

    /// Whether a server may be started: nothing of an earlier one may be left
    /// that could still write to its databases.
    pub fn can_start(&self) -> bool {
        matches!(self, State::Stopped | State::Idle { .. })
    }

    /// Whether there is a server to shut down, or the rest of one to see off.
    pub fn can_stop(&self) -> bool {
        matches!(self, State::Running { .. } | State::Remnants { .. })
    }

    /// Whether a server died here and left processes that had its databases
    /// open: then they were not closed cleanly.
    pub fn has_died(&self) -> bool {
        matches!(self, State::Remnants { processes }
            if processes.iter().any(|found| matches!(found.role, Role::Task | Role::Nsd)))
    }

    /// Every process found.
    pub fn processes(&self) -> &[DominoProcess] {
        match self {
            State::Running { processes }
            | State::Remnants { processes }
            | State::Idle { processes } => processes,
            State::Stopped => &[],
        }
    }

    /// The server's own process: the one whose parent is not a server too.
    pub fn server(&self) -> Option<&DominoProcess> {
        let servers = || {
            self.processes()
                .iter()
                .filter(|found| found.role == Role::Server)
        };
        servers()
            .find(|found| !servers().any(|other| Some(other.pid()) == found.process.parent))
            .or_else(|| servers().next())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::os::process::{Pid, Process};
    use std::time::Duration;

    pub(crate) fn process(pid: i32, parent: i32, role: Role) -> DominoProcess {
        DominoProcess {
            role,
            name: "x".into(),
            process: Process {
                pid: Pid::new(pid).unwrap(),
                parent: Pid::new(parent),
                uid: 1000,
                state: 'S',
                threads: 1,
                start_ticks: 1,
                cpu: Duration::ZERO,
                rss_bytes: 0,
                comm: "x".into(),
                exe: None,
                exe_deleted: false,
                cwd: None,
                cmdline: Vec::new(),
            },
        }
    }

    #[test]
    fn states_and_what_they_allow() {
        let cases: [(&[Role], bool, bool, bool); 6] = [
            (&[], false, true, false),
            (&[Role::Server, Role::Task], true, false, true),
            (&[Role::Task], false, false, true),
            (&[Role::Nsd], false, false, true),
            (&[Role::Controller, Role::Client], false, true, false),
            (&[Role::Controller, Role::Task], false, false, true),
        ];
        for (roles, running, can_start, can_stop) in cases {
            let state = State::of(
                roles
                    .iter()
                    .enumerate()
                    .map(|(at, role)| process(at as i32 + 10, 1, *role))
                    .collect(),
            );
            assert_eq!(
                (state.is_running(), state.can_start(), state.can_stop()),
                (running, can_start, can_stop),
                "{roles:?}"
            );
        }
    }

    #[test]
    fn the_server_is_the_one_that_no_server_started() {
        let state = State::of(vec![
            process(12, 11, Role::Server),
            process(11, 1, Role::Server),
        ]);
        assert_eq!(state.server().map(|found| found.pid()), Pid::new(11));
    }
}
