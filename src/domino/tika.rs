//! Tika, the server's full-text filter: it is known to outlive or to block a
//! shutdown, and holds no database open.

use super::figures::seconds;
use super::nsd;
use super::processes::{self, DominoProcess, Programs, Role};
use super::tools::Work;
use super::waiting::{Woken, until_ended};
use crate::error::{Error, Result};
use crate::os::pidfd::ProcessHandle;
use crate::os::signals::Signal;
use std::time::Instant;

/// The Tika processes that run.
pub fn find(programs: &Programs, uid: u32) -> Result<Vec<DominoProcess>> {
    let mut found = processes::find_among(programs, uid)?;
    found.retain(|found| found.role == Role::Tika);
    Ok(found)
}

/// Ends them, by request or (`kill`) by force, and waits for that:
/// DOMINO_TIKA_SHUTDOWN_TERM_SECONDS for a request. Returns how many there
/// were. No lock is taken: this is for the moment in which a stop hangs on it.
pub fn end(work: &mut Work, programs: &Programs, kill: bool) -> Result<usize> {
    let (signal, doing, limit) = match kill {
        true => (Signal::SIGKILL, "Killing", nsd::AFTER_KILL),
        false => {
            let limit = work.partition.settings.tika_shutdown_term_seconds.value;
            (Signal::SIGTERM, "Stopping", limit)
        }
    };
    let mut handles = Vec::new();
    for found in find(programs, work.partition.user.uid)? {
        let handle = ProcessHandle::open(found.pid(), found.process.start_ticks)
            .map_err(Error::Processes)?;
        if let Some(handle) = handle {
            work.reporter.info(&format!("{doing} {found}"));
            handle.signal(signal).map_err(Error::Processes)?;
            handles.push(handle);
        }
    }
    let count = handles.len();
    let woken = until_ended(&mut handles, work.signals, Instant::now() + limit)?;
    let left: Vec<String> = handles
        .iter()
        .map(|handle| handle.pid().to_string())
        .collect();
    let left = left.join(", ");
    match woken {
        Woken::AllGone => Ok(count),
        Woken::Signal(signal) => Err(work.interrupted(
            signal,
            format!("Tika was asked to end; still running: {left}"),
        )),
        Woken::TimedOut => Err(Error::StillRunning(format!(
            "Tika ({left}) did not end within {}{}",
            seconds(limit),
            if kill {
                ""
            } else {
                "; try 'rc_domino tika kill'"
            }
        ))),
    }
}
