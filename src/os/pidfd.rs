//! Holding on to one process, so that a reused pid is never taken for it.

use super::explain;
use super::process::{self, Pid};
use super::signals::Signal;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::PidfdFlags;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A process that is known by pid and start time.
///
/// Where the kernel has pidfds (Linux 5.3) the descriptor becomes readable when
/// the process ends, child or not. Elsewhere (RHEL 8 has 4.18) its start time
/// is looked up whenever something is asked, and there is nothing to poll.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: Pid,
    start_ticks: u64,
    descriptor: Option<OwnedFd>,
}

impl ProcessHandle {
    /// Takes hold of the process `pid` that started at `start_ticks` (see
    /// [`super::process::Process::start_ticks`]); none if it has ended or
    /// another one has its pid by now. A zombie has ended.
    pub fn open(pid: Pid, start_ticks: u64) -> io::Result<Option<ProcessHandle>> {
        ProcessHandle::open_with(pid, start_ticks, Mechanism::Pidfd)
    }

    pub(crate) fn open_with(
        pid: Pid,
        start_ticks: u64,
        mechanism: Mechanism,
    ) -> io::Result<Option<ProcessHandle>> {
        let descriptor = match mechanism {
            Mechanism::Pidfd => match open_descriptor(pid)? {
                Opened::Descriptor(descriptor) => Some(descriptor),
                Opened::Gone => return Ok(None),
                Opened::Unsupported => None,
            },
            #[cfg(test)]
            Mechanism::StartTime => None,
        };
        // Looked up after the descriptor was opened: if the pid still belongs
        // to that process now, the descriptor is its.
        if process::start_ticks(pid)? != Some(start_ticks) {
            return Ok(None);
        }
        Ok(Some(ProcessHandle {
            pid,
            start_ticks,
            descriptor,
        }))
    }

    /// Takes hold of whatever process has this pid now; none if it has ended.
    pub fn open_current(pid: Pid) -> io::Result<Option<ProcessHandle>> {
        match process::start_ticks(pid)? {
            Some(start_ticks) => ProcessHandle::open(pid, start_ticks),
            None => Ok(None),
        }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its start time in clock ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Whether it has not ended. A zombie has.
    pub fn is_alive(&self) -> io::Result<bool> {
        match &self.descriptor {
            Some(descriptor) => {
                let mut polled = [rustix::event::PollFd::new(
                    descriptor,
                    rustix::event::PollFlags::IN,
                )];
                let ready = super::wait::poll_now(&mut polled)?;
                Ok(ready == 0)
            }
            None => Ok(process::start_ticks(self.pid)? == Some(self.start_ticks)),
        }
    }

    /// Sends a signal; `false` if the process has ended before.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let failed = |error: io::Error| {
            explain(
                error,
                format_args!("cannot send {signal} to process {}", self.pid),
            )
        };
        let sent = match &self.descriptor {
            Some(descriptor) => {
                // SAFETY: the number is that of a signal the system defines,
                // none that libc reserves for itself.
                let signal = unsafe { rustix::process::Signal::from_raw_unchecked(signal as i32) };
                rustix::process::pidfd_send_signal(descriptor, signal).map_err(io::Error::from)
            }
            None => {
                if !self.is_alive()? {
                    return Ok(false);
                }
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid.as_raw()), signal)
                    .map_err(io::Error::from)
            }
        };
        match sent {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// What to poll for its end, where the kernel has such a thing.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }
}

/// By what a handle knows its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// A descriptor if the kernel has them.
    Pidfd,
    /// The start time, as on kernels before 5.3.
    #[cfg(test)]
    StartTime,
}

enum Opened {
    Descriptor(OwnedFd),
    Gone,
    Unsupported,
}

fn open_descriptor(pid: Pid) -> io::Result<Opened> {
    let Some(raw) = rustix::process::Pid::from_raw(pid.as_raw()) else {
        return Ok(Opened::Gone);
    };
    match rustix::process::pidfd_open(raw, PidfdFlags::empty()) {
        Ok(descriptor) => Ok(Opened::Descriptor(descriptor)),
        Err(Errno::SRCH) => Ok(Opened::Gone),
        // EPERM comes from containers' seccomp filters that are older than the
        // call; EINVAL for a thread that is no process.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(Opened::Unsupported),
        Err(error) => Err(explain(error, format_args!("cannot watch process {pid}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing::Sleeper;

    #[test]
    fn a_handle_sees_the_end_and_signals_only_its_own_process() {
        for mechanism in [Mechanism::Pidfd, Mechanism::StartTime] {
            let mut sleeper = Sleeper::start();
            let pid = sleeper.pid();
            let start = process::start_ticks(pid).unwrap().unwrap();
            let handle = ProcessHandle::open_with(pid, start, mechanism)
                .unwrap()
                .unwrap();
            assert!(handle.is_alive().unwrap());
            // The same pid with another start time is another process.
            assert!(
                ProcessHandle::open_with(pid, start - 1, mechanism)
                    .unwrap()
                    .is_none()
            );
            assert!(handle.signal(Signal::SIGKILL).unwrap());
            sleeper.wait_until_zombie();
            assert!(!handle.is_alive().unwrap(), "a zombie has ended");
            sleeper.reap();
            assert!(!handle.is_alive().unwrap());
            assert!(!handle.signal(Signal::SIGTERM).unwrap());
            assert!(
                ProcessHandle::open_with(pid, start, mechanism)
                    .unwrap()
                    .is_none()
            );
        }
    }
}
