//! Taking databases out of backup mode again.

use super::super::processes::Programs;
use super::super::state::State;
use super::super::tools::Work;
use super::super::waiting::{Woken, until_ended};
use super::lock_file::{LockFile, Status};
use super::record::{Phase, Record};
use super::{Identity, find_task};
use crate::error::{Error, Result};
use crate::os::pidfd::ProcessHandle;
use std::time::{Duration, Instant};

/// What came of ending backup mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was on up to now and is over.
    Ended,
    /// It was on up to now; its task was told to end it and is still at it.
    Ending(Identity),
    /// There was none of ours.
    WasOff,
    /// It had ended before, so what was copied meanwhile is not consistent;
    /// how it ended.
    Lost(String),
    /// There is a session, but it is another program's.
    Others(String),
}

/// Ends a session of ours and waits for its end, at most `limit`. May be
/// called again and when nothing is on.
pub fn leave(work: &mut Work, limit: Duration) -> Result<Left> {
    let until = Instant::now() + limit;
    let programs = Programs::of(work.partition);
    let lock = LockFile::of(work.partition);
    let Some(mut record) = Record::read(work.partition) else {
        return none_of_ours(work, &programs, &lock);
    };
    let task = match record.task {
        Some(task) if record.is_current()? && task.is_alive()? => Some(task),
        _ => None,
    };
    let status = lock.read()?.map(|file| file.status);
    let lost = match (record.phase, task, &status) {
        (Phase::On, Some(_), Some(Status::DominoDone)) => None,
        // Told before, by a call that did not live to see the end.
        (Phase::Ending, ..) => None,
        (Phase::On, Some(task), status) => Some(format!(
            "{} {}, not {}: somebody else ended it, or the backup task ({task}) has given up waiting",
            lock.path().display(),
            status
                .as_ref()
                .map_or("is gone".to_owned(), |status| format!("says {status}")),
            Status::DominoDone
        )),
        _ if !record.is_current()? => Some(format!(
            "the server (pid {}) was restarted or has ended since",
            record.server
        )),
        (Phase::On, None, _) => Some("the backup task ended before".to_owned()),
        (Phase::Requested, ..) => Some("it never came to be on".to_owned()),
    };
    if lost.is_none() {
        record.phase = Phase::Ending;
        record.write(work.partition)?;
    }
    let left = end(work, &programs, &lock, task, until)?;
    Record::remove(work.partition)?;
    Ok(match (lost, left) {
        (Some(how), _) => Left::Lost(how),
        (None, Some(task)) => Left::Ending(task),
        (None, None) => Left::Ended,
    })
}

/// Tells the task of our session to end and waits for that; the task where it
/// has not within the time. Where it runs no more, its file goes.
fn end(
    work: &mut Work,
    programs: &Programs,
    lock: &LockFile,
    task: Option<Identity>,
    until: Instant,
) -> Result<Option<Identity>> {
    if let Some(task) = task {
        match lock.read()?.map(|file| file.status) {
            None | Some(Status::Done) => {}
            Some(_) => lock.tell_done()?,
        }
        let mut handles: Vec<ProcessHandle> = ProcessHandle::open(task.pid, task.start_ticks)
            .map_err(Error::Processes)?
            .into_iter()
            .collect();
        match until_ended(&mut handles, work.signals, until)? {
            Woken::AllGone => {}
            // The file stays: the task may not have read it yet.
            Woken::TimedOut => return Ok(Some(task)),
            Woken::Signal(signal) => {
                return Err(work.interrupted(
                    signal,
                    format!("the backup task ({task}) was told to end backup mode and will, nobody waits for it any more"),
                ));
            }
        }
    }
    // Another session may have begun since ours was lost: its file stays.
    if find_task(work, programs)?.is_none() {
        lock.remove()?;
    }
    Ok(None)
}

/// No session of ours is on record: what is there is another program's, or
/// stale.
fn none_of_ours(work: &mut Work, programs: &Programs, lock: &LockFile) -> Result<Left> {
    let Some(found) = lock.read()? else {
        return Ok(Left::WasOff);
    };
    let all = super::super::processes::find_among(programs, work.partition.user.uid)?;
    if let Some(task) = super::task_among(&all) {
        return Ok(Left::Others(format!("{task} is at work for it")));
    }
    if !found.is_stale(State::of(all).server()) {
        return Ok(Left::Others(format!(
            "it has just written {} into {}",
            found.status,
            lock.path().display()
        )));
    }
    work.reporter.warn(&format!(
        "{} says {} since {} seconds, but no backup task runs: stale, removed",
        lock.path().display(),
        found.status,
        found.age().as_secs()
    ));
    lock.remove()?;
    Ok(Left::WasOff)
}
