//! Removes what a server left behind that no shutdown, no NSD got rid of:
//! processes, lock files, System V IPC.

use super::Partition;
use super::belongings::{self, Belonging, Finder, Reason, Verdict};
use super::claim;
use super::closure;
use super::hooks::{self, Hook};
use super::processes::Role;
use super::tools::Work;
use super::waiting::{Woken, until_ended};
use crate::error::Result;
use crate::os::ipc::{self, IpcObject};
use crate::os::pidfd::ProcessHandle;
use crate::os::process::{self, Pid};
use crate::os::signals::Signal;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long processes are killed that come back or do not go.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// How long nothing may show up before they count as gone: Domino's fault
/// recovery starts a killed server again.
const SETTLED: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the kernel may take to end a killed process before it is looked at
/// again.
const ROUND: Duration = Duration::from_secs(5);

/// What is said when a signal ends it.
const UNFINISHED: &str = "the cleanup was not finished; run it again";

/// What a cleanup would remove.
#[derive(Debug)]
pub struct Plan {
    /// Processes that would be killed.
    pub processes: Vec<Belonging>,
    /// Files that would be removed.
    pub files: Vec<PathBuf>,
    /// IPC objects that would be removed.
    pub ipc: Vec<IpcObject>,
    /// IPC objects of the user's that would stay, and why.
    pub kept: Vec<(IpcObject, String)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.files.is_empty() && self.ipc.is_empty()
    }

    /// Whether databases are open that will not be closed cleanly.
    pub fn kills_a_server(&self) -> bool {
        self.processes.iter().any(has_databases_open)
    }
}

fn has_databases_open(found: &Belonging) -> bool {
    matches!(
        found.reason,
        Reason::Domino(Role::Server | Role::Task | Role::Nsd)
    )
}

/// What a cleanup did.
#[derive(Debug, Default)]
pub struct Removed {
    /// How many processes were killed.
    pub processes: usize,
    /// How many files were removed.
    pub files: usize,
    /// How many IPC objects were removed.
    pub ipc: usize,
    /// What is left of the server, one sentence each.
    pub left: Vec<String>,
}

/// Finds what a cleanup would remove; `all_ipc`: every IPC object of the user.
pub fn plan(partition: &Partition, finder: &Finder, all_ipc: bool) -> Result<Plan> {
    let processes = finder.find()?;
    let pids: BTreeSet<Pid> = processes.iter().map(|found| found.process.pid).collect();
    let (ipc, kept) = sort_ipc(finder, &pids, all_ipc)?;
    Ok(Plan {
        processes,
        files: belongings::lock_files(partition),
        ipc,
        kept,
    })
}

type Sorted = (Vec<IpcObject>, Vec<(IpcObject, String)>);

fn sort_ipc(finder: &Finder, dominos: &BTreeSet<Pid>, all: bool) -> Result<Sorted> {
    let (mut go, mut stay) = (Vec::new(), Vec::new());
    for (object, verdict) in belongings::ipc_objects(finder, dominos)? {
        match verdict {
            Verdict::Dominos | Verdict::Orphan => go.push(object),
            Verdict::Others(_) if all => go.push(object),
            Verdict::Others(why) => stay.push((object, why)),
            Verdict::Doomed => {}
        }
    }
    Ok((go, stay))
}

/// Does it, between the hooks. Files and IPC go only when no process is left
/// that could still work with them.
pub fn run(work: &mut Work, finder: &Finder, all_ipc: bool) -> Result<Removed> {
    let mut removed = Removed::default();
    hooks::run(work, Hook::PreCleanup, None)?;
    let mut killed = BTreeSet::new();
    remember_unclean(work, finder)?;
    let left = kill_all(work, finder, &mut killed)?;
    removed.processes = killed.len();
    if left.is_empty() {
        match claim::elsewhere(work.partition)? {
            // They are its own there.
            Some(found) => work.reporter.warn(&format!(
                "lock files were left alone: {}",
                found.story(work.partition)
            )),
            None => {
                remove_files(work, &mut removed);
                claim::release(work);
            }
        }
        remove_ipc(work, finder, &killed, all_ipc, &mut removed)?;
        // Something may have come up since.
        removed.left.extend(still_running(&finder.find()?));
    } else {
        removed.left.extend(still_running(&left));
        work.reporter.warn(
            "lock files and IPC were left alone, since the processes that are left may use them",
        );
    }
    hooks::run(work, Hook::PostCleanup, None)?;
    Ok(removed)
}

fn still_running(left: &[Belonging]) -> Option<String> {
    (!left.is_empty()).then(|| format!("still running: {}", belongings::list(left)))
}

/// Kills every process of the server, for a caller that cannot wait for its
/// shutdown; `how` is what a later `stop` says of its databases.
pub fn kill_server(work: &mut Work, finder: &Finder, how: &str) -> Result<()> {
    closure::mark_unclean(work, how);
    kill_all(work, finder, &mut BTreeSet::new()).map(drop)
}

/// A later `stop` must not call databases good that nobody closed.
fn remember_unclean(work: &mut Work, finder: &Finder) -> Result<()> {
    if !work.partition.data().is_dir() {
        return Ok(());
    }
    if finder.find()?.iter().any(has_databases_open) {
        closure::mark_unclean(work, "the server was killed by a cleanup");
    } else {
        closure::keep_witness(work);
    }
    Ok(())
}

/// Kills what belongs to the server until nothing of it shows up any more;
/// returns what is left when the time is over.
fn kill_all(
    work: &mut Work,
    finder: &Finder,
    killed: &mut BTreeSet<Pid>,
) -> Result<Vec<Belonging>> {
    let give_up = Instant::now() + KILL_LIMIT;
    let mut quiet_since = None;
    loop {
        work.check_signals(UNFINISHED)?;
        let found = finder.find()?;
        let now = Instant::now();
        if found.is_empty() {
            let since = *quiet_since.get_or_insert(now);
            if killed.is_empty() || now.duration_since(since) >= SETTLED {
                return Ok(found);
            }
        } else if now >= give_up {
            return Ok(found);
        } else {
            quiet_since = None;
        }
        let mut handles = Vec::new();
        for target in &found {
            handles.extend(kill(work, finder, target, killed));
        }
        if handles.is_empty() {
            std::thread::sleep(LOOK_EVERY);
        }
        let woken = until_ended(&mut handles, work.signals, Instant::now() + ROUND)?;
        if let Woken::Signal(signal) = woken {
            return Err(work.interrupted(signal, UNFINISHED));
        }
    }
}

/// Kills one process, if it still is what it was found to be: the handle holds
/// on to it while its owner and its program are looked at once more.
fn kill(
    work: &mut Work,
    finder: &Finder,
    target: &Belonging,
    killed: &mut BTreeSet<Pid>,
) -> Option<ProcessHandle> {
    let pid = target.process.pid;
    let attempt = || -> std::io::Result<Option<ProcessHandle>> {
        let Some(handle) = ProcessHandle::open(pid, target.process.start_ticks)? else {
            return Ok(None);
        };
        let still = process::inspect(pid)?
            .filter(|now| now.start_ticks == handle.start_ticks())
            .and_then(|now| finder.recognise(now));
        if still.is_none() || !handle.signal(Signal::SIGKILL)? {
            return Ok(None);
        }
        Ok(Some(handle))
    };
    match attempt() {
        Ok(Some(handle)) => {
            if killed.insert(pid) {
                work.reporter.info(&format!("Killed {target}"));
            }
            Some(handle)
        }
        Ok(None) => None,
        Err(cause) => {
            work.reporter.warn(&format!("{target}: {cause}"));
            None
        }
    }
}

fn remove_files(work: &mut Work, removed: &mut Removed) {
    for file in belongings::lock_files(work.partition) {
        match std::fs::remove_file(&file) {
            Ok(()) => {
                removed.files += 1;
                work.reporter.info(&format!("Removed {}", file.display()));
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => removed
                .left
                .push(format!("cannot remove {}: {cause}", file.display())),
        }
    }
}

fn remove_ipc(
    work: &mut Work,
    finder: &Finder,
    killed: &BTreeSet<Pid>,
    all: bool,
    removed: &mut Removed,
) -> Result<()> {
    let (go, stay) = sort_ipc(finder, killed, all)?;
    for object in go {
        match ipc::remove(&object) {
            Ok(true) => {
                removed.ipc += 1;
                work.reporter
                    .info(&format!("Removed {} {}", object.kind, object.id));
            }
            Ok(false) => {}
            Err(cause) => removed.left.push(cause.to_string()),
        }
    }
    for (object, why) in stay {
        work.reporter.info(&format!(
            "Kept {} {}: {why}; --all-ipc removes it",
            object.kind, object.id
        ));
    }
    Ok(())
}
