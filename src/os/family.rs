//! Descendants of this process: the orphans among them are its own to reap.

use super::explain;
use super::process::Pid;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{WaitOptions, WaitStatus};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Takes the place of PID 1 for all descendants: one whose parent ends becomes
/// a child of this process (PR_SET_CHILD_SUBREAPER, prctl(2)). The descriptor
/// becomes readable when a child has ended.
///
/// SIGCHLD is held back while this lives, in the calling thread and those it
/// starts; a thread that was there before would take the signal away.
#[derive(Debug)]
pub struct Family {
    descriptor: SignalFd,
    mask_before: SigSet,
}

/// What [`Family::reap`] found.
#[derive(Debug, Default)]
pub struct Reaped {
    /// Those who ended, in no order, and how.
    pub ended: Vec<(Pid, ExitStatus)>,
    /// Nobody is left: what this process started, and what that started, is
    /// gone, so that nothing can come back by itself.
    pub childless: bool,
}

impl Family {
    /// Becomes the head of it.
    pub fn head() -> io::Result<Family> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| explain(error, "cannot become the parent of orphans"))?;
        let failed = |error: nix::Error| explain(error, "cannot watch for the end of children");
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&mask, flags).map_err(failed)?;
        let mask_before = mask
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(failed)?;
        Ok(Family {
            descriptor,
            mask_before,
        })
    }

    /// Reaps every child that has ended. Not while anybody else waits for one:
    /// he would never hear of it.
    pub fn reap(&self) -> io::Result<Reaped> {
        while let Ok(Some(_)) = self.descriptor.read_signal() {}
        let mut reaped = Reaped::default();
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = Pid::new(pid.as_raw_nonzero().get());
                    reaped.ended.extend(pid.map(|pid| (pid, of(status))));
                }
                Ok(None) => return Ok(reaped),
                Err(rustix::io::Errno::CHILD) => {
                    reaped.childless = true;
                    return Ok(reaped);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(explain(error, "cannot reap children")),
            }
        }
    }
}

fn of(status: WaitStatus) -> ExitStatus {
    ExitStatus::from_raw(status.as_raw())
}

impl AsFd for Family {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = self.mask_before.thread_set_mask();
        let _ = rustix::process::set_child_subreaper(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::spawn::Launch;
    use crate::os::wait::wait_any;
    use std::time::{Duration, Instant};

    #[test]
    #[ignore = "reaps every child of its process, started by the next test"]
    fn helper_reaps_an_orphan() {
        let family = Family::head().unwrap();
        // The shell ends with 3 at once; its orphan 0.2 s later, with 4.
        let launch = Launch::shell("(sleep 0.2; exit 4) & exit 3");
        let child = launch.spawn().unwrap().pid;
        let mut ended = Vec::new();
        let late = Instant::now() + Duration::from_secs(20);
        loop {
            let found = family.reap().unwrap();
            ended.extend(found.ended);
            if found.childless {
                break;
            }
            // The test harness has a thread that takes the signal away.
            let soon = Instant::now() + Duration::from_millis(20);
            wait_any(&[], None, &[family.as_fd()], Some(soon)).unwrap();
            assert!(Instant::now() < late);
        }
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGCHLD) };
        let wake = wait_any(&[], None, &[family.as_fd()], Some(late)).unwrap();
        assert_eq!(wake.readable, [0]);
        assert!(family.reap().unwrap().childless);
        let now = Some(Instant::now());
        assert!(
            wait_any(&[], None, &[family.as_fd()], now)
                .unwrap()
                .timed_out
        );
        assert_eq!(ended.len(), 2, "{ended:?}");
        assert!(ended.contains(&(child, ExitStatus::from_raw(3 << 8))));
        assert_eq!(ended[1].1.code(), Some(4));
    }

    #[test]
    fn an_orphan_is_adopted_and_reaped() {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--test-threads=1"])
            .arg("os::family::tests::helper_reaps_an_orphan")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}
