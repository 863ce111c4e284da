//! One start or stop at a time: the lock of a data directory.

use super::tools::Work;
use crate::error::{Error, Result, shown};
use crate::os::lock::{Holder, Lock, LockOutcome};
use std::time::Instant;

/// Name of the lock file in the data directory. It stays there: removing it
/// would let two callers hold two different locks.
pub const LOCK_FILE: &str = ".rc_domino.lock";

/// Waits for the lock of this partition, at most DOMINO_LOCK_TIMEOUT, saying
/// for whom it waits.
pub fn acquire(work: &mut Work) -> Result<Lock> {
    let path = work.partition.data().join(LOCK_FILE);
    let limit = work.partition.settings.lock_timeout();
    let mut last_holder = String::from("another rc_domino");
    let mut told = false;
    let reporter = &mut *work.reporter;
    let outcome = Lock::acquire(
        &path,
        Some(Instant::now() + limit),
        Some(work.signals),
        |holder| {
            if let Some(holder) = holder {
                last_holder = describe(holder);
            }
            if !told {
                reporter.info(&format!("Waiting for {last_holder} to finish"));
                told = true;
            }
        },
    )
    .map_err(Error::file("lock", &path))?;
    match outcome {
        LockOutcome::Acquired(lock) => Ok(lock),
        LockOutcome::TimedOut(_) => Err(Error::Locked {
            holder: last_holder,
            seconds: limit.as_secs(),
        }),
        LockOutcome::Interrupted(signal) => Err(work.interrupted(
            signal,
            format!("was waiting for {last_holder}; nothing was done"),
        )),
    }
}

/// The lock, or none where it is not to be had: ending now would leave the
/// server to be killed.
pub fn acquire_or_none(work: &mut Work, until: Instant) -> Lock {
    loop {
        let error = match acquire(work) {
            Ok(lock) => return lock,
            Err(error) => error,
        };
        if matches!(error, Error::Locked { .. }) && Instant::now() < until {
            work.reporter.warn(&error.to_string());
        } else {
            work.reporter
                .warn(&format!("{error}; going on without the lock"));
            return Lock::none();
        }
    }
}

fn describe(holder: &Holder) -> String {
    let verb = holder
        .cmdline
        .iter()
        .skip(1)
        .map(|word| shown(word))
        .collect::<Vec<_>>()
        .join(" ");
    format!("'rc_domino {}' (pid {})", verb.trim(), holder.pid)
}
