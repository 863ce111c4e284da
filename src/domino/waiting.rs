//! Waits for processes of a server to end: on the processes, not on a clock.

use super::processes::{self, DominoProcess, Programs, Role};
use crate::error::{Error, Result};
use crate::os::pidfd::ProcessHandle;
use crate::os::signals::{Signal, Signals};
use crate::os::wait::wait_any;
use std::time::Instant;

/// Processes of one server that are waited for.
pub struct Watch {
    programs: Programs,
    uid: u32,
    except: fn(Role) -> bool,
    left: Vec<DominoProcess>,
    handles: Vec<ProcessHandle>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// No process is left.
    AllGone,
    /// The time has come.
    TimedOut,
    /// A signal asks the program to end.
    Signal(Signal),
}

/// Waits until each of these has ended, a signal comes, or `until`; unlike a
/// [`Watch`] not for what comes up in their stead. Those left stay.
pub fn until_ended(
    handles: &mut Vec<ProcessHandle>,
    signals: &Signals,
    until: Instant,
) -> Result<Woken> {
    while !handles.is_empty() {
        let wake = wait_any(handles, Some(signals), &[], Some(until))
            .map_err(Error::system("wait for processes"))?;
        // Highest first, so that the indices below stay right.
        for index in wake.ended.iter().rev() {
            handles.remove(*index);
        }
        if let Some(signal) = wake.signal {
            return Ok(Woken::Signal(signal));
        }
        if wake.timed_out {
            return Ok(Woken::TimedOut);
        }
    }
    Ok(Woken::AllGone)
}

impl Watch {
    /// Watches all processes of this server but those in `except`.
    pub fn new(programs: Programs, uid: u32, except: fn(Role) -> bool) -> Result<Watch> {
        let mut watch = Watch {
            programs,
            uid,
            except,
            left: Vec::new(),
            handles: Vec::new(),
        };
        watch.look()?;
        Ok(watch)
    }

    /// Looks again at what runs: a shutdown can bring up new processes. True
    /// where something is left.
    pub fn look(&mut self) -> Result<bool> {
        self.left.clear();
        self.handles.clear();
        for found in processes::find_among(&self.programs, self.uid)? {
            if (self.except)(found.role) {
                continue;
            }
            // None: it ended since it was found.
            if let Some(handle) = ProcessHandle::open(found.pid(), found.process.start_ticks)
                .map_err(Error::Processes)?
            {
                self.left.push(found);
                self.handles.push(handle);
            }
        }
        Ok(!self.left.is_empty())
    }

    /// What was still there at the last look or wake-up.
    pub fn left(&self) -> &[DominoProcess] {
        &self.left
    }

    /// What is left, with handles to signal it by.
    pub fn all(&self) -> impl Iterator<Item = (&DominoProcess, &ProcessHandle)> {
        self.left.iter().zip(&self.handles)
    }

    /// The same for one role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = (&DominoProcess, &ProcessHandle)> {
        self.all().filter(move |(found, _)| found.role == role)
    }

    /// Waits until everything has gone, a signal comes, or `until`.
    pub fn wait(&mut self, signals: &Signals, until: Instant) -> Result<Woken> {
        loop {
            if self.left.is_empty() && !self.look()? {
                return Ok(Woken::AllGone);
            }
            let wake = wait_any(&self.handles, Some(signals), &[], Some(until))
                .map_err(Error::system("wait for processes"))?;
            // Highest first, so that the indices below stay right.
            for index in wake.ended.iter().rev() {
                self.left.remove(*index);
                self.handles.remove(*index);
            }
            if let Some(signal) = wake.signal {
                return Ok(Woken::Signal(signal));
            }
            if wake.ended.is_empty() && wake.timed_out {
                return Ok(Woken::TimedOut);
            }
        }
    }
}
