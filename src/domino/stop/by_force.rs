//! The end of what does not stop by itself, and of what Domino's fault
//! recovery brings back then.

use super::{FAULT_RECOVERY, soften, still_running};
use crate::domino::closure;
use crate::domino::nsd::{self, AFTER_KILL};
use crate::domino::processes::{self, Programs, Role};
use crate::domino::tools::Work;
use crate::domino::waiting::{Watch, Woken};
use crate::error::Result;
use std::time::{Duration, Instant};

/// How often it is looked whether what could bring a server back is gone.
const ATTENDED_STEP: Duration = Duration::from_millis(100);

/// Lets NSD end what would not stop, and once more what Domino's own fault
/// recovery brings back then.
pub fn kill(work: &mut Work, programs: &Programs, watch: &mut Watch) -> Result<()> {
    for _ in 0..2 {
        if let Err(error) = nsd::kill(work) {
            soften(work, error)?;
        }
        watch.look()?;
        if watch.wait(work.signals, Instant::now() + AFTER_KILL)? != Woken::AllGone
            && watch.look()?
        {
            return Err(still_running(watch.left()));
        }
        if !comes_back(work, programs, watch, FAULT_RECOVERY)? {
            return Ok(());
        }
        tell_back(work, watch);
    }
    Err(still_running(watch.left()))
}

fn tell_back(work: &mut Work, watch: &Watch) {
    work.reporter.warn(&format!(
        "brought back by Domino's fault recovery: {}",
        processes::list(watch.left())
    ));
}

/// After an end that fault recovery answers: whoever asked for a stop does not
/// want the server back.
pub fn keep_down(work: &mut Work, programs: &Programs, at_least: Duration) -> Result<()> {
    let mut watch = Watch::new(programs.clone(), work.partition.user.uid, Role::is_idle)?;
    if comes_back(work, programs, &mut watch, at_least)? {
        tell_back(work, &watch);
        closure::mark_unclean(work, "the server crashed, came back and was ended");
        kill(work, programs, &mut watch)?;
    }
    Ok(())
}

/// After a bad end, fault recovery may start a new server: looks for so long,
/// and as long as something lives that could bring it back (but no longer than
/// DOMINO_RECOVERY_SECONDS).
fn comes_back(
    work: &mut Work,
    programs: &Programs,
    watch: &mut Watch,
    at_least: Duration,
) -> Result<bool> {
    let began = Instant::now();
    let patience = work.partition.settings.recovery_seconds.value;
    loop {
        let waited = began.elapsed();
        if waited >= at_least {
            let attended = processes::is_attended(programs, work.partition.user.uid)?;
            if watch.look()? {
                return Ok(true);
            }
            if !attended {
                return Ok(false);
            }
            if waited >= patience {
                work.reporter.warn(&format!(
                    "a program of {} still runs that may start the server again",
                    work.partition.lotus().display()
                ));
                return Ok(false);
            }
        }
        let until = (began + at_least).max(Instant::now() + ATTENDED_STEP);
        work.pause(
            until,
            "the server was ended; whether it came back was not looked at",
        )?;
    }
}
