//! Holding on to one process, so that a reused pid is never taken for it.

use super::explain;
use super::process::{self, Pid};
use super::procfs::Stat;
use super::signals::Signal;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::PidfdFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;

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

/// include/uapi/linux/pidfd.h: the first version of struct pidfd_info.
#[derive(Debug, Default)]
#[repr(C)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info).
const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;

/// Asks for the exit status, and says that it is there.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

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

    /// The signal that ended it, child or not; none where it ended by itself
    /// or has not ended. Told by what is left of it until its parent has taken
    /// note, after that by the kernel, from Linux 6.15 on.
    pub fn ended_by(&self) -> Option<i32> {
        if self.is_alive().unwrap_or(true) {
            return None;
        }
        let status = Stat::read(self.pid)
            .ok()
            .filter(|stat| stat.start_ticks == self.start_ticks && stat.has_ended())
            .map(|stat| stat.exit_code)
            .or_else(|| self.exit_info())?;
        std::process::ExitStatus::from_raw(status).signal()
    }

    fn exit_info(&self) -> Option<i32> {
        let mut info = PidfdInfo {
            mask: PIDFD_INFO_EXIT,
            ..PidfdInfo::default()
        };
        let descriptor = self.descriptor.as_ref()?;
        // SAFETY: the request's number carries the size of the structure, which
        // the kernel fills as far as the mask says.
        let answer = unsafe {
            libc::ioctl(
                descriptor.as_raw_fd(),
                PIDFD_GET_INFO,
                std::ptr::from_mut(&mut info),
            )
        };
        (answer == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
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

    /// On kernels that do not tell nothing may be made up.
    #[test]
    fn the_signal_that_ended_a_process_is_told_or_nothing() {
        for (script, signal) in [("kill -9 $$", Some(9)), ("exit 3", None)] {
            let mut child = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("read x; {script}")])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pid = Pid::new(child.id() as i32).unwrap();
            let handle = ProcessHandle::open_current(pid).unwrap().unwrap();
            assert_eq!(handle.ended_by(), None);
            drop(child.stdin.take());
            while handle.is_alive().unwrap() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(handle.ended_by(), signal, "not waited for yet");
            child.wait().unwrap();
            let told = handle.ended_by();
            assert!(told.is_none() || told == signal, "{told:?}");
            if crate::os::testing::kernel_is_at_least(6, 15) {
                assert_eq!(told, signal);
            }
        }
    }

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
