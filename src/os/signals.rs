//! Signals that ask the program to end, read from a descriptor instead of
//! interrupting it.

use super::explain;
pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The signals that ask for an end.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Holds SIGINT, SIGTERM and SIGHUP back and hands them out one by one.
///
/// A signal that the caller had set to be ignored (nohup, a shell's background
/// job) stays ignored. SIGPIPE is ignored too while this lives. The mask is the
/// calling thread's; the product has one thread. Processes started through
/// [`super::spawn`] get an empty mask and default dispositions.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    mask_before: SigSet,
    pipe_before: Option<libc::sigaction>,
}

impl Signals {
    /// Blocks the signals and opens the descriptor.
    pub fn block() -> io::Result<Signals> {
        let failed = |error: nix::Error| explain(error, "cannot hold signals back");
        let mut mask = SigSet::empty();
        for signal in ENDING {
            if !is_ignored(signal) {
                mask.add(signal);
            }
        }
        let descriptor =
            SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
                .map_err(failed)?;
        let mask_before = mask
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(failed)?;
        Ok(Signals {
            descriptor,
            mask_before,
            pipe_before: ignore_pipe(),
        })
    }

    /// Holds the signals back and hands out none: for work that must be done to
    /// its end whoever asks otherwise. What came in the meantime takes its
    /// effect when whoever else holds it back hands it out.
    pub fn deaf() -> io::Result<Signals> {
        let signals = Signals::block()?;
        signals
            .descriptor
            .set_mask(&SigSet::empty())
            .map_err(|error| explain(error, "cannot hold signals back"))?;
        Ok(signals)
    }

    /// Holds them back until the process ends: for one whose work is done, and
    /// whose exit code no late signal is to change.
    pub fn for_good(self) {
        std::mem::forget(self);
    }

    /// The next signal that has come, if one has.
    pub fn pending(&self) -> Option<Signal> {
        let found = self.descriptor.read_signal().ok()??;
        Signal::try_from(found.ssi_signo as i32).ok()
    }

    /// Gives one back that was handed out together with what had to be looked
    /// at first: the next to ask gets it.
    pub fn give_back(&self, signal: Signal) {
        // Held back in this thread, it takes no effect; it is a valid signal.
        let _ = nix::sys::signal::raise(signal);
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    /// Restores mask and disposition. A signal that came and was never asked
    /// for takes its effect now.
    fn drop(&mut self) {
        if let Some(before) = self.pipe_before {
            // SAFETY: `before` is what sigaction(2) gave us for this signal.
            unsafe { libc::sigaction(libc::SIGPIPE, &before, std::ptr::null_mut()) };
        }
        let _ = self.mask_before.thread_set_mask();
    }
}

/// Ignores SIGHUP from here on, as nohup does: for work that outlives the
/// terminal it was begun at.
pub fn ignore_hangups() -> io::Result<()> {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGHUP, nix::sys::signal::SigHandler::SigIgn) }
        .map_err(|error| explain(error, "cannot ignore hangups"))?;
    Ok(())
}

/// Whether this process is to outlive its terminal.
pub fn ignores_hangups() -> bool {
    is_ignored(Signal::SIGHUP)
}

fn is_ignored(signal: Signal) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the old one to `found`,
    // which is large enough and valid when all zero.
    let found = unsafe {
        libc::sigaction(signal as i32, std::ptr::null(), found.as_mut_ptr());
        found.assume_init()
    };
    found.sa_sigaction == libc::SIG_IGN
}

fn ignore_pipe() -> Option<libc::sigaction> {
    let mut before = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: an all-zero sigaction is valid; SIG_IGN installs no handler, and
    // the old action is written to `before`.
    unsafe {
        let mut ignore = std::mem::zeroed::<libc::sigaction>();
        ignore.sa_sigaction = libc::SIG_IGN;
        (libc::sigaction(libc::SIGPIPE, &ignore, before.as_mut_ptr()) == 0)
            .then(|| before.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signals are sent to this thread only: other tests run beside it.
    #[test]
    fn a_blocked_signal_is_read_and_does_not_end_the_program() {
        super::super::testing::default_signals();
        let signals = Signals::block().unwrap();
        assert_eq!(signals.pending(), None);
        for signal in ENDING {
            // SAFETY: the thread is this one.
            unsafe { libc::pthread_kill(libc::pthread_self(), signal as i32) };
        }
        let mut seen: Vec<i32> = std::iter::from_fn(|| signals.pending())
            .map(|signal| signal as i32)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [libc::SIGHUP, libc::SIGINT, libc::SIGTERM]);
        drop(signals);
        let mask = SigSet::thread_get_mask().unwrap();
        assert!(ENDING.iter().all(|signal| !mask.contains(*signal)));
    }

    #[test]
    fn deaf_ones_hand_out_nothing() {
        super::super::testing::default_signals();
        let heard = Signals::block().unwrap();
        let deaf = Signals::deaf().unwrap();
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        assert_eq!(deaf.pending(), None);
        drop(deaf);
        assert_eq!(heard.pending(), Some(Signal::SIGTERM));
    }

    #[test]
    #[ignore = "runs where SIGHUP is ignored, started by the next test"]
    fn helper_ignores_hangups() {
        let signals = Signals::block().unwrap();
        for signal in [libc::SIGHUP, libc::SIGTERM] {
            // SAFETY: the thread is this one.
            unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
        }
        assert_eq!(signals.pending(), Some(Signal::SIGTERM));
        assert_eq!(signals.pending(), None);
    }

    #[test]
    fn what_the_caller_ignores_stays_ignored() {
        let run = std::process::Command::new("/bin/sh")
            .args(["-c", "trap '' HUP; exec \"$0\" --ignored --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg("os::signals::tests::helper_ignores_hangups")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}
