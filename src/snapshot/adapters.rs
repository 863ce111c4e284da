//! Adapters: the small files by which each product calls this program before
//! and after its snapshots, and what would make them useless.
//!
//! A plan is made first and shown or carried out as a whole; a file that is
//! not ours is never replaced and never removed.

mod agent;
mod azure;
mod netbackup;
mod pairs;
mod past;
mod place;
mod qemu;
pub mod script;
mod vmware;

use super::callers::{Caller, budget_within};
use crate::error::{Error, Result};
use crate::os::root::Root;
use past::Past;
use place::Found;
pub use place::Removal;
use script::Script;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The callers there is an adapter for.
pub const INSTALLABLE: [Caller; 7] = [
    Caller::Vmware,
    Caller::Qemu,
    Caller::Azure,
    Caller::Veeam,
    Caller::Arcserve,
    Caller::Netbackup,
    Caller::Generic,
];

/// What is to be installed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Prefix of the built-in paths.
    pub root: Root,
    /// For whom.
    pub caller: Caller,
    /// Whose server, where it is not the one that is meant without a name.
    pub user: Option<OsString>,
    /// The user, named or not.
    pub whose: OsString,
    /// This program, by an absolute path.
    pub program: PathBuf,
    /// The budget of a freeze in seconds; none: what fits the caller.
    pub budget: Option<u64>,
    /// Where to put scripts whose place the site chooses.
    pub to: Option<PathBuf>,
    /// NetBackup: the policy, or POLICY.SCHEDULE, the scripts are for.
    pub policy: Option<String>,
}

/// What stands in the way of snapshots that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file, setting or program.
    pub about: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not there yet.
    New,
    /// It is ours and differs.
    Outdated,
    /// It is as it should be.
    Current,
    /// It is the site's and does what is needed; it stays.
    Kept,
}

/// A file that an adapter needs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where.
    pub path: PathBuf,
    /// Permissions; the owner is root.
    pub mode: u32,
    /// What it holds.
    pub text: Vec<u8>,
    /// What becomes of it.
    pub state: State,
}

/// All that an installation does and says.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The files.
    pub files: Vec<Planned>,
    /// The budget of a freeze.
    pub budget: Option<Duration>,
    /// When the caller gives up.
    pub limit: Option<Duration>,
    /// What is wrong with the host or the product's settings.
    pub warnings: Vec<Warning>,
    /// What is left to do in the product, a line each.
    pub steps: Vec<String>,
}

impl Plan {
    fn warn(
        &mut self,
        about: impl std::fmt::Display,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.warnings.push(Warning {
            about: about.to_string(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    fn step(&mut self, line: impl Into<String>) {
        self.steps.push(line.into());
    }

    /// Adds a file that must be as it is described here. Refuses where there
    /// is one that is not ours, or ours for another server; `instead` says
    /// what to do then.
    fn file(
        &mut self,
        request: &Request,
        path: PathBuf,
        mode: u32,
        text: Vec<u8>,
        instead: &str,
    ) -> Result<()> {
        let state = match place::look(&path)? {
            Found::Nothing => State::New,
            Found::Foreign => return Err(place::foreign(&path, instead)),
            Found::Ours(found) if script::same_server(&found.text, &text) => {
                let root_owns = !request.root.is_system() || found.uid == 0;
                if found.text == text && found.mode == mode && root_owns {
                    State::Current
                } else {
                    State::Outdated
                }
            }
            Found::Ours(_) => return Err(place::others(&path, request.caller)),
        };
        self.files.push(Planned {
            path,
            mode,
            text,
            state,
        });
        Ok(())
    }

    /// Whether anything is to be written.
    pub fn changes(&self) -> bool {
        let stays = |file: &Planned| matches!(file.state, State::Current | State::Kept);
        !self.files.iter().all(stays)
    }

    /// Writes what is not there yet or differs, each file in one step.
    pub fn carry_out(&self) -> Result<()> {
        for file in &self.files {
            if matches!(file.state, State::New | State::Outdated) {
                place::write(file)?;
            }
        }
        Ok(())
    }

    /// Settles limit and budget of a freeze: what was asked for, else what
    /// fits the limit.
    fn settle(&mut self, request: &Request, limit: Option<Duration>, fitting: Option<Duration>) {
        self.limit = limit;
        self.budget = request.budget.map(Duration::from_secs).or(fitting);
        if let (Some(limit), Some(budget)) = (self.limit, self.budget)
            && budget >= limit
        {
            self.warn(
                format!("--budget={}", budget.as_secs()),
                format!(
                    "{} gives a freeze up after {} s, before the budget has run out",
                    request.caller,
                    limit.as_secs()
                ),
                format!("use at most {}", budget_within(limit).as_secs()),
            );
        }
    }

    /// Compares the budget with how long earlier freezes took, and the limit
    /// with freeze and thaw where it covers both.
    fn compare(&mut self, request: &Request, covers_thaw: bool) {
        let past = Past::read(&request.root, &request.whose);
        let shorter =
            "make the shutdown shorter, or set DOMINO_SNAPSHOT_MODE=online (Domino 12 or newer)";
        if let (Some(budget), Some(freeze)) = (self.budget, past.longest_freeze)
            && freeze > budget
        {
            self.warn(
                "budget",
                format!(
                    "a recent freeze took {} s, the budget is {} s: such a freeze is undone and fails the snapshot",
                    freeze.as_secs(),
                    budget.as_secs()
                ),
                shorter,
            );
        } else if covers_thaw
            && let (Some(limit), Some(freeze)) = (self.limit, past.longest_freeze)
            && let both = freeze + past.longest_thaw.unwrap_or_default()
            && both > limit
        {
            self.warn(
                "limit",
                format!(
                    "freeze and thaw took {} s, {} gives both together {} s",
                    both.as_secs(),
                    request.caller,
                    limit.as_secs()
                ),
                shorter,
            );
        }
    }
}

/// Works out what an installation would do. Reads only.
///
/// # Errors
/// Where a file that is not ours is in the way, or the options do not go with
/// the caller.
pub fn plan(request: &Request) -> Result<Plan> {
    let pairs = matches!(
        request.caller,
        Caller::Veeam | Caller::Arcserve | Caller::Generic
    );
    if request.to.is_some() && !pairs {
        return Err(Error::Usage(format!(
            "{} looks for its scripts in one place; --to goes with veeam, arcserve and generic",
            request.caller
        )));
    }
    if request.policy.is_some() && request.caller != Caller::Netbackup {
        return Err(Error::Usage(
            "--policy goes with netbackup alone".to_owned(),
        ));
    }
    let mut plan = Plan::default();
    match request.caller {
        Caller::Vmware => vmware::plan(request, &mut plan)?,
        Caller::Qemu => qemu::plan(request, &mut plan)?,
        Caller::Azure => azure::plan(request, &mut plan)?,
        Caller::Netbackup => netbackup::plan(request, &mut plan)?,
        Caller::Veeam | Caller::Arcserve | Caller::Generic => pairs::plan(request, &mut plan)?,
        Caller::AwsSsm => {
            return Err(Error::Usage(
                "there is nothing to install for aws-ssm; rc_domino-snapshot(7) has the document to create".to_owned(),
            ));
        }
    }
    Ok(plan)
}

/// The files that installations for a caller may have left, ours or not.
fn places(root: &Root, caller: Caller, to: Option<&Path>) -> Vec<PathBuf> {
    match caller {
        Caller::Vmware => vmware::places(root),
        Caller::Qemu => qemu::places(root),
        Caller::Azure => azure::places(root),
        Caller::Netbackup => netbackup::places(root),
        Caller::Veeam | Caller::Arcserve | Caller::Generic => pairs::places(root, caller, to),
        Caller::AwsSsm => Vec::new(),
    }
}

/// Works out what to take back: what is ours, and what is not and stays.
/// `user` narrows it to the files for one server. Reads only.
pub fn removal(
    root: &Root,
    caller: Caller,
    user: Option<&std::ffi::OsStr>,
    to: Option<&Path>,
) -> Result<Removal> {
    let mut removal = Removal::default();
    for path in places(root, caller, to) {
        let found = match caller {
            Caller::Azure if path == azure::config(root) => azure::look(root)?,
            _ => place::look(&path)?,
        };
        match found {
            Found::Nothing => {}
            Found::Ours(found)
                if user.is_none_or(|user| script::is_for(&found.text, user))
                    && script::caller_of(&found.text)
                        .is_none_or(|named| named == caller.name()) =>
            {
                removal.ours.push(path);
            }
            Found::Ours(_) | Found::Foreign => removal.stay.push(path),
        }
    }
    removal.after = match caller {
        Caller::Qemu if !removal.ours.is_empty() => vec![
            "systemctl restart qemu-guest-agent   (until then it calls a hook that is gone, and every freeze fails)".to_owned(),
        ],
        Caller::Veeam | Caller::Arcserve | Caller::Generic if !removal.ours.is_empty() => vec![
            format!("take the scripts out of the jobs of {caller} too: a job whose script is gone fails"),
        ],
        _ => Vec::new(),
    };
    Ok(removal)
}

/// The scripts of a request.
fn scripts(request: &Request, budget: Option<Duration>) -> Script<'_> {
    Script {
        caller: request.caller,
        user: request.user.as_deref(),
        program: &request.program,
        budget,
    }
}
