//! The keeper's second: where no service manager restarts a keeper that is
//! killed, another process does. Each of the two watches the other.

use crate::error::{Error, Result};
use crate::os::pidfd::ProcessHandle;
use crate::os::process::{self, Pid};
use crate::os::wait::wait_any;
use crate::snapshot::place::Place;
use crate::snapshot::record::{Found, Record};
use crate::snapshot::verbs::Verbs;
use std::time::Duration;

/// How long after one second's end the next is begun.
const PAUSE: Duration = Duration::from_millis(100);

/// Begins seconds for this process, one after the other, as long as it lives.
pub fn begin(verbs: Verbs) {
    let keeper = process::self_pid();
    std::thread::spawn(move || {
        while let Ok(mut second) = verbs.detach_second(keeper) {
            let _ = second.wait();
            std::thread::sleep(PAUSE);
        }
    });
}

/// Waits for the keeper's end; one that left a freeze behind gets a successor.
pub fn watch(keeper: Pid, place: &Place, again: impl FnOnce() -> Result<()>) -> Result<()> {
    const WATCH: &str = "watch the keeper of a freeze";
    if let Some(handle) = ProcessHandle::open_current(keeper).map_err(Error::system(WATCH))? {
        // A pid that has become another's is no keeper of ours.
        if process::parent_of(process::self_pid()).map_err(Error::system(WATCH))? == Some(keeper) {
            wait_any(&[handle], None, &[], None).map_err(Error::system(WATCH))?;
        }
    }
    match Record::load(place) {
        Found::Here(record) if record.phase.is_live() => again(),
        _ => Ok(()),
    }
}
