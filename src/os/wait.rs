//! Waiting for the first of many things: processes that end, signals,
//! descriptors, a moment.

use super::explain;
use super::pidfd::ProcessHandle;
use super::signals::{Signal, Signals};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How often processes are looked at that the kernel gives nothing to poll for.
const STEP: Duration = Duration::from_millis(50);

/// Why a wait came to its end. More than one thing may be true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// Which of the handles have ended, by their places in the slice.
    pub ended: Vec<usize>,
    /// A signal that asks the program to end.
    pub signal: Option<Signal>,
    /// Which of the extra descriptors are readable or at their end.
    pub readable: Vec<usize>,
    /// The deadline is over and nothing else was there.
    pub timed_out: bool,
}

impl Wake {
    fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.signal.is_none() && self.readable.is_empty()
    }
}

/// Waits until one of `handles` has ended, a signal has come, one of
/// `extra_fds` is readable (or closed by its other end), or `deadline`, on the
/// monotonic clock, is over. Things that are true already are found even with a
/// deadline in the past. With nothing at all to wait for it times out at once.
pub fn wait_any(
    handles: &[ProcessHandle],
    signals: Option<&Signals>,
    extra_fds: &[BorrowedFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<Wake> {
    let handles: Vec<&ProcessHandle> = handles.iter().collect();
    wait_any_of(&handles, signals, extra_fds, deadline)
}

/// As [`wait_any`], for handles that lie apart.
pub fn wait_any_of(
    handles: &[&ProcessHandle],
    signals: Option<&Signals>,
    extra_fds: &[BorrowedFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<Wake> {
    let mut polled = Vec::with_capacity(handles.len() + extra_fds.len() + 1);
    let mut by_descriptor = Vec::with_capacity(handles.len());
    let mut by_step = Vec::new();
    for (place, handle) in handles.iter().enumerate() {
        match handle.descriptor() {
            Some(descriptor) => {
                by_descriptor.push(place);
                polled.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            }
            None => by_step.push(place),
        }
    }
    for descriptor in extra_fds {
        polled.push(PollFd::from_borrowed_fd(*descriptor, PollFlags::IN));
    }
    if let Some(signals) = signals {
        polled.push(PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN));
    }
    let nothing = polled.is_empty() && by_step.is_empty() && deadline.is_none();

    loop {
        let mut wake = Wake::default();
        for place in &by_step {
            if !handles[*place].is_alive()? {
                wake.ended.push(*place);
            }
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let pause = if nothing || !wake.is_empty() {
            Some(Duration::ZERO)
        } else if by_step.is_empty() {
            left
        } else {
            Some(left.map_or(STEP, |left| left.min(STEP)))
        };
        match poll(&mut polled, pause) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(explain(error, "cannot wait")),
        }
        // POLLERR, POLLHUP and POLLNVAL are reported unasked for and count.
        let ready = |place: usize| !polled[place].revents().is_empty();
        for (at, place) in by_descriptor.iter().enumerate() {
            if ready(at) {
                wake.ended.push(*place);
            }
        }
        let extra_from = by_descriptor.len();
        wake.readable
            .extend((0..extra_fds.len()).filter(|place| ready(extra_from + place)));
        if let Some(signals) = signals
            && ready(extra_from + extra_fds.len())
        {
            wake.signal = signals.pending();
        }
        wake.ended.sort_unstable();
        let over = nothing || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        wake.timed_out = over && wake.is_empty();
        if over || !wake.is_empty() {
            return Ok(wake);
        }
    }
}

/// poll(2) with a pause, none meaning for ever.
fn poll(polled: &mut [PollFd<'_>], pause: Option<Duration>) -> Result<usize, Errno> {
    let pause = pause.map(|pause| Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(pause.subsec_nanos()),
    });
    rustix::event::poll(polled, pause.as_ref())
}

/// How many of these are ready at this moment.
pub(crate) fn poll_now(polled: &mut [PollFd<'_>]) -> io::Result<usize> {
    loop {
        match poll(polled, Some(Duration::ZERO)) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::pidfd::Mechanism;
    use crate::os::process;
    use crate::os::testing::Sleeper;
    use std::io::Write;

    fn handle(sleeper: &Sleeper, mechanism: Mechanism) -> ProcessHandle {
        let start = process::start_ticks(sleeper.pid()).unwrap().unwrap();
        ProcessHandle::open_with(sleeper.pid(), start, mechanism)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_end_of_one_of_many_wakes_by_descriptor_and_by_steps() {
        for mechanism in [Mechanism::Pidfd, Mechanism::StartTime] {
            let first = Sleeper::start();
            let second = Sleeper::start();
            let handles = [handle(&first, mechanism), handle(&second, mechanism)];
            let soon = Instant::now() + Duration::from_millis(20);
            let wake = wait_any(&handles, None, &[], Some(soon)).unwrap();
            assert!(wake.timed_out && Instant::now() >= soon, "{wake:?}");
            assert!(handles[1].signal(Signal::SIGKILL).unwrap());
            let late = Instant::now() + Duration::from_secs(20);
            let wake = wait_any(&handles, None, &[], Some(late)).unwrap();
            assert_eq!(wake.ended, [1]);
            assert!(!wake.timed_out);
        }
    }

    #[test]
    fn a_process_that_is_no_child_wakes_the_wait() {
        let mut grandchild = Sleeper::start_as_grandchild();
        let handles = [handle(&grandchild, Mechanism::Pidfd)];
        assert!(handles[0].descriptor().is_some() || cfg!(not(target_os = "linux")));
        grandchild.let_go();
        let late = Instant::now() + Duration::from_secs(20);
        let wake = wait_any(&handles, None, &[], Some(late)).unwrap();
        assert_eq!(wake.ended, [0]);
        assert!(!wake.timed_out);
    }

    #[test]
    fn signals_and_descriptors_wake_and_what_is_true_already_is_found() {
        let signals = Signals::block().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let past = Instant::now();
        let fds = [reader.as_fd()];
        assert!(
            wait_any(&[], Some(&signals), &fds, Some(past))
                .unwrap()
                .timed_out
        );
        writer.write_all(b"x").unwrap();
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        let wake = wait_any(&[], Some(&signals), &fds, Some(past)).unwrap();
        assert_eq!(wake.signal, Some(Signal::SIGTERM));
        assert_eq!(wake.readable, [0]);
        assert!(!wake.timed_out);
        assert!(wait_any(&[], None, &[], None).unwrap().timed_out);
    }
}
