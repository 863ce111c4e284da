//! Backup mode: databases of a running server made fit for a snapshot, as
//! Domino 12 and newer can.
//!
//! `load backup -s` starts the server task `backup`, which brings all databases
//! into backup mode, waits for the snapshot and takes them out of it again. Its
//! commands and the program that takes the snapshot speak through the first
//! line of one file in the data directory (the dialogue is that of HCL's own
//! scripts, repository HCL-TECH-SOFTWARE/domino-backup): the program writes
//! REQUESTED and loads the task, the task answers DOMINO-DONE, the program
//! writes DONE, the task removes the file.
//!
//! The file alone proves nothing: it outlives a crash, and a snapshot holds a
//! copy of it. The task's process is the truth. A record of our own beside it
//! tells a session of ours from somebody else's, and an end in order from one
//! that came too early.

mod enter;
mod leave;
mod lock_file;
mod record;
mod renew;
mod support;

pub use enter::{Entered, Session, enter};
pub use leave::{Left, leave};
pub use renew::renew;
pub use support::{Support, supported};

use super::partition::Partition;
use super::processes::{self, DominoProcess, Programs, Role};
use super::state::State;
use super::tools::Work;
use crate::error::{Error, Result};
use crate::os::process::{self, Pid};
use lock_file::{LockFile, Status};
use record::Record;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The server task that holds the databases in backup mode.
const TASK: &str = "backup";

/// How often the file is looked at; nobody can be waited for that writes it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// So long after it was written a file may belong to a session whose task the
/// server has not started yet.
const GRACE: Duration = Duration::from_secs(10);

/// A process, as no other one will ever be: a pid comes again, with another
/// start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its pid.
    pub pid: Pid,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl Identity {
    /// Of a process that was found.
    pub fn of(found: &DominoProcess) -> Identity {
        Identity {
            pid: found.pid(),
            start_ticks: found.process.start_ticks,
        }
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> Result<bool> {
        let found = process::inspect(self.pid).map_err(Error::Processes)?;
        Ok(found.is_some_and(|found| found.start_ticks == self.start_ticks && !found.is_zombie()))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}

/// Where backup mode stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupMode {
    /// No session, no trace of one.
    Off,
    /// A file of a session that is over: its task does not run.
    Stale(PathBuf),
    /// A session began and its databases are not all in backup mode yet, or
    /// one is at its end.
    Changing {
        /// Whether it is ours.
        ours: bool,
    },
    /// All databases are in backup mode.
    On {
        /// Whether it is ours.
        ours: bool,
    },
}

/// Looks where backup mode stands.
pub fn state(partition: &Partition) -> Result<BackupMode> {
    let lock = LockFile::of(partition);
    let programs = Programs::of(partition);
    let found = processes::find_among(&programs, partition.user.uid)?;
    let Some(task) = task_among(&found) else {
        let server = State::of(found);
        return Ok(match lock.read()? {
            None => BackupMode::Off,
            Some(file) if file.is_stale(server.server()) => {
                BackupMode::Stale(lock.path().to_path_buf())
            }
            Some(_) => BackupMode::Changing { ours: false },
        });
    };
    let record = Record::read(partition).filter(|record| record.task == Some(Identity::of(task)));
    let ours = record.is_some();
    Ok(match lock.read()?.map(|file| file.status) {
        Some(Status::DominoDone) => BackupMode::On { ours },
        _ => BackupMode::Changing { ours },
    })
}

/// At a start: the file of a session that is over goes, be it of a server that
/// died or of the one this disk is a snapshot of; no task runs now that it
/// could serve. What is on record stays for [`leave()`], but for that of another
/// boot, which nobody will ask for.
pub fn forget_stale(work: &mut Work) {
    let lock = LockFile::of(work.partition);
    match lock.remove() {
        Ok(false) => {}
        Ok(true) => work.reporter.info(&format!(
            "Removed {}, left by a backup mode that is over",
            lock.path().display()
        )),
        Err(error) => work.reporter.warn(&error.to_string()),
    }
    let removed = match Record::read(work.partition) {
        Some(record) if !record.is_of_this_boot() => Record::remove(work.partition),
        _ => Ok(()),
    };
    if let Err(error) = removed {
        work.reporter.warn(&error.to_string());
    }
}

/// The backup task among the processes of a server.
fn task_among(found: &[DominoProcess]) -> Option<&DominoProcess> {
    found
        .iter()
        .find(|found| found.role == Role::Task && found.name == TASK)
}

/// The backup task of this server, if it runs.
fn find_task(work: &Work, programs: &Programs) -> Result<Option<DominoProcess>> {
    let found = processes::find_among(programs, work.partition.user.uid)?;
    Ok(task_among(&found).cloned())
}
