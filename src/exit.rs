//! Exit codes: the only place where their numbers stand.
//!
//! 0–7 are those of the Linux Standard Base, "Init Script Actions" (LSB 5.0,
//! chapter 22.2); 150–199 is the range which that page leaves to applications.

use crate::error::signal_name;
use std::borrow::Cow;
use std::process::ExitCode;

/// Stands for 0 between a run within a login and the one that began it; no
/// caller sees it.
const DONE_IN_LOGIN: u8 = 199;

/// What the program tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The verb did what it promises; for `status`: the server runs. (LSB 0)
    Done,
    /// `start`: the server did not come up. `stop`: something still runs, or
    /// what it wrote could not be flushed to disk. (LSB 1)
    Failed,
    /// Unknown verb or wrong arguments. (LSB 2)
    Usage,
    /// What was asked for is not there; `status`: the server does not run. (LSB
    /// status code 3)
    NotRunning,
    /// Not enough privilege; for `status`: cannot tell. (LSB 4)
    Privilege,
    /// No Domino where LOTUS says. (LSB 5)
    NotInstalled,
    /// Not configured, or a configuration that cannot be read or is invalid. (LSB 6)
    NotConfigured,
    /// The verb needs a running server and there is none. (LSB 7)
    NeedsServer,
    /// Stopped, but by force: databases were not closed cleanly.
    Unclean,
    /// The server crashed while it was stopping.
    Crashed,
    /// Snapshot: the time budget ran out and the freeze was undone.
    BudgetSpent,
    /// Another start or stop holds the lock and did not finish in time.
    Locked,
    /// Start refused: the data directory is marked as disabled for maintenance,
    /// or the unit is masked.
    Disabled,
    /// The program was ended by this signal (128 + number, as shells report it).
    Signal(u8),
    /// The exit code of a program that was run in this one's stead.
    Passed(u8),
}

impl Exit {
    /// Every code with a fixed number, for help, man page and tests.
    pub const ALL: [Exit; 13] = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::NotRunning,
        Exit::Privilege,
        Exit::NotInstalled,
        Exit::NotConfigured,
        Exit::NeedsServer,
        Exit::Unclean,
        Exit::Crashed,
        Exit::BudgetSpent,
        Exit::Locked,
        Exit::Disabled,
    ];

    /// The number the caller sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotRunning => 3,
            Exit::Privilege => 4,
            Exit::NotInstalled => 5,
            Exit::NotConfigured => 6,
            Exit::NeedsServer => 7,
            Exit::Unclean => 150,
            Exit::Crashed => 151,
            Exit::BudgetSpent => 152,
            Exit::Locked => 153,
            Exit::Disabled => 154,
            Exit::Signal(number) => 128u8.saturating_add(number),
            Exit::Passed(code) => code,
        }
    }

    /// What a run within a login tells the run that began the login: never 0,
    /// for that is also what a login answers which ends in its profile, before
    /// it runs anything.
    pub fn from_login(self) -> Exit {
        match self.code() {
            0 => Exit::Passed(DONE_IN_LOGIN),
            DONE_IN_LOGIN => Exit::Failed,
            _ => self,
        }
    }

    /// The reverse of [`Exit::from_login`]; none where nothing was run.
    pub fn of_login(self) -> Option<Exit> {
        match self.code() {
            0 => None,
            DONE_IN_LOGIN => Some(Exit::Done),
            _ => Some(self),
        }
    }

    /// What a number means that another run of this program answered.
    pub fn of_code(code: u8) -> Exit {
        Exit::ALL
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(match code {
                // Signals that end programs. Others' programs have codes of
                // their own up there.
                129 | 130 | 131 | 134 | 135 | 137 | 139 | 143 => Exit::Signal(code - 128),
                _ => Exit::Passed(code),
            })
    }

    /// What the answers for several servers come down to: 0 only where all are
    /// 0, else the worst of them, in the order of `badness`.
    pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
        exits
            .into_iter()
            .max_by_key(|exit| (exit.badness(), exit.code()))
            .unwrap_or(Exit::Done)
    }

    /// How bad an answer is for whoever asked about several servers: databases
    /// that are not whole come first, then what did not happen, then what was
    /// refused, then a server that is only down.
    fn badness(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Passed(_) => 1,
            Exit::NotRunning => 2,
            Exit::NeedsServer => 3,
            Exit::Disabled => 4,
            Exit::Usage => 5,
            Exit::NotInstalled => 6,
            Exit::NotConfigured => 7,
            Exit::Privilege => 8,
            Exit::BudgetSpent => 9,
            Exit::Locked => 10,
            Exit::Signal(_) => 11,
            Exit::Failed => 12,
            Exit::Unclean => 13,
            Exit::Crashed => 14,
        }
    }

    /// One line that says what the code means, as help and man page print it.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done; status: the server runs",
            Exit::Failed => "failed; start: the server did not come up; stop: something still runs",
            Exit::Usage => "unknown verb or wrong arguments",
            Exit::NotRunning => "what was asked for is not there; status: the server does not run",
            Exit::Privilege => "not enough privilege; status: cannot tell",
            Exit::NotInstalled => "Domino is not installed where LOTUS says",
            Exit::NotConfigured => "not configured, or the configuration is invalid",
            Exit::NeedsServer => "the verb needs a running server and there is none",
            Exit::Unclean => "stopped by force: databases were not closed cleanly",
            Exit::Crashed => "the server crashed while stopping; run: and did not come back",
            Exit::BudgetSpent => "snapshot: the time budget ran out, the freeze was undone",
            Exit::Locked => "another start or stop did not finish in time",
            Exit::Disabled => "start refused: disabled for maintenance, or unit masked",
            Exit::Signal(_) => "ended by a signal (128 + its number)",
            Exit::Passed(_) => "the code of the program that was run",
        }
    }

    /// The same for a sentence that names the verb: without what the code says
    /// of single verbs.
    pub fn brief(self) -> Cow<'static, str> {
        if let Exit::Signal(number) = self {
            return format!("ended by {}", signal_name(number)).into();
        }
        let meaning = self.meaning();
        let brief = meaning.split_once("; ").map_or(meaning, |(brief, _)| brief);
        brief.into()
    }
}

/// What an OCF resource agent answers: Open Cluster Framework, Resource Agent
/// API 1.1, "Return Codes" (github.com/ClusterLabs/OCF-spec). The numbers mean
/// something else than those of [`Exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcfExit {
    /// Done; `monitor`: running.
    Success,
    /// Failed; `monitor`: failed.
    Generic,
    /// Wrong arguments.
    Arguments,
    /// No such action.
    Unimplemented,
    /// Not enough privilege.
    Permission,
    /// Something that is needed is not on this host; another may have it.
    Installed,
    /// The resource's own parameters are wrong, on every host.
    Configured,
    /// `monitor`: cleanly stopped.
    NotRunning,
}

impl OcfExit {
    /// The number that the cluster sees.
    pub const fn code(self) -> u8 {
        match self {
            OcfExit::Success => 0,
            OcfExit::Generic => 1,
            OcfExit::Arguments => 2,
            OcfExit::Unimplemented => 3,
            OcfExit::Permission => 4,
            OcfExit::Installed => 5,
            OcfExit::Configured => 6,
            OcfExit::NotRunning => 7,
        }
    }

    /// What one of our own answers to a start comes down to. A configuration
    /// that is missing or wrong is this host's: another may have a good one,
    /// while "not configured" would stop the resource everywhere.
    pub fn of(exit: Exit) -> OcfExit {
        match exit {
            Exit::Done => OcfExit::Success,
            Exit::Privilege => OcfExit::Permission,
            Exit::NotInstalled | Exit::NotConfigured => OcfExit::Installed,
            _ => OcfExit::Generic,
        }
    }
}

impl From<OcfExit> for Exit {
    fn from(exit: OcfExit) -> Exit {
        match exit {
            OcfExit::Success => Exit::Done,
            other => Exit::Passed(other.code()),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contract_and_differ() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 150, 151, 152, 153, 154]);
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::of_code(143), Exit::Signal(15));
        assert_eq!(Exit::of_code(128), Exit::Passed(128));
        assert_eq!(Exit::of_code(155), Exit::Passed(155));
    }

    #[test]
    fn one_that_fails_does_not_hide_in_the_sum() {
        let sum = |codes: &[u8]| Exit::worst(codes.iter().map(|code| Exit::of_code(*code))).code();
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[0, 0]), 0);
        assert_eq!(sum(&[0, 42, 17]), 42);
        assert_eq!(sum(&[0, 3, 99]), 3);
        assert_eq!(sum(&[3, 6, 0]), 6);
        assert_eq!(sum(&[153, 1, 6]), 1);
        assert_eq!(sum(&[1, 150, 0, 153]), 150);
        assert_eq!(sum(&[150, 151, 1]), 151);
    }

    #[test]
    fn only_a_run_that_took_place_comes_back_as_done() {
        for exit in Exit::ALL.into_iter().chain([Exit::Signal(15)]) {
            let number = Exit::of_code(exit.from_login().code());
            assert_ne!(number, Exit::Done);
            assert_eq!(number.of_login().map(Exit::code), Some(exit.code()));
        }
        assert_eq!(Exit::Done.of_login(), None);
        assert_eq!(Exit::Passed(DONE_IN_LOGIN).from_login(), Exit::Failed);
    }
}
