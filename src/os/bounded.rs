//! Running a program to its end, within a limit, with its output handed on.

use super::explain;
use super::pipe::{Lines, Pipe};
use super::process;
use super::signals::{Signal, Signals};
use super::spawn::{Child, Launch, Stream};
use super::wait;
use std::io;
use std::os::fd::BorrowedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long a process group may take to end after SIGTERM before SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked at whether a process group is empty.
const GROUP_STEP: Duration = Duration::from_millis(20);

/// How a bounded run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The program ended by itself, or by a signal that is not ours.
    Exited(ExitStatus),
    /// The limit was reached; its process group was ended.
    TimedOut,
    /// This signal asked us to end; its process group was ended.
    Interrupted(Signal),
}

/// A piece of a program's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line without its newline, or 64 KiB of a longer one.
    Line(&'a [u8]),
    /// At the end: so many bytes came after the bound and were thrown away.
    Dropped(u64),
}

/// What becomes of a program's output.
pub enum Output<'a> {
    /// It goes where the launch says.
    AsLaunched,
    /// Standard output and error, through one pipe, line by line as they come,
    /// up to `bound` bytes; the launch's own streams are replaced.
    Lines {
        /// The most that is handed on, in bytes; the rest is read and dropped.
        bound: u64,
        /// Called for each line.
        each: &'a mut dyn FnMut(Piece<'_>),
    },
    /// Standard output alone, whole; the launch's own is replaced. More than
    /// `bound` bytes end the program and are a `FileTooLarge` error.
    Bytes {
        /// The most that is accepted, in bytes.
        bound: usize,
        /// Where it is put.
        into: &'a mut Vec<u8>,
    },
}

/// Something to do now and then while a program runs.
pub struct Tick<'a> {
    /// How long from one time to the next.
    pub every: Duration,
    /// What is done; the program is not waited for meanwhile.
    pub act: &'a mut dyn FnMut(),
}

/// Runs a program in a process group of its own until it ends, until `limit` is
/// over (none: for ever) or until one of `signals` comes.
///
/// In the last two cases the group gets SIGTERM (and SIGCONT, should it be
/// stopped), and [`GRACE`] later SIGKILL. What a program that ended by itself
/// has left running is left alone, and its open pipes are not waited for.
pub fn run_bounded(
    launch: Launch,
    limit: Option<Duration>,
    signals: Option<&Signals>,
    output: Output<'_>,
) -> io::Result<Ended> {
    run_bounded_ticking(launch, limit, signals, output, None)
}

/// As [`run_bounded`], with something to do now and then.
pub fn run_bounded_ticking(
    mut launch: Launch,
    limit: Option<Duration>,
    signals: Option<&Signals>,
    output: Output<'_>,
    tick: Option<Tick<'_>>,
) -> io::Result<Ended> {
    launch.new_group = true;
    let name = launch.program.clone();
    let mut capture = Capture::prepare(&mut launch, output)
        .map_err(|error| explain(error, format_args!("cannot run {}", name.display())))?;
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut child = launch.spawn()?;
    let outcome = watch(&mut child, &mut capture, deadline, signals, tick);
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            end_group(&mut child, &mut capture)?;
            return Err(explain(error, name.display()));
        }
    };
    match outcome {
        Outcome::Ended => {
            capture.drain()?;
            capture.finish();
            Ok(Ended::Exited(child.wait()?))
        }
        Outcome::Over => {
            end_group(&mut child, &mut capture)?;
            capture.finish();
            Ok(Ended::TimedOut)
        }
        Outcome::Signal(signal) => {
            end_group(&mut child, &mut capture)?;
            capture.finish();
            Ok(Ended::Interrupted(signal))
        }
    }
}

enum Outcome {
    Ended,
    Over,
    Signal(Signal),
}

/// Waits for the program, reading what it writes. It is not reaped: as long as
/// it is not, its process group's id cannot be another's.
fn watch(
    child: &mut Child,
    capture: &mut Capture<'_>,
    deadline: Option<Instant>,
    signals: Option<&Signals>,
    mut tick: Option<Tick<'_>>,
) -> io::Result<Outcome> {
    let Some(handle) = child.handle()? else {
        return Ok(Outcome::Ended);
    };
    let mut ticked = Instant::now();
    loop {
        let next_tick = tick
            .as_ref()
            .and_then(|tick| ticked.checked_add(tick.every));
        let until = [deadline, next_tick].into_iter().flatten().min();
        let wake = {
            let pipe = capture.as_fd();
            wait::wait_any_of(&[&handle], signals, pipe.as_slice(), until)?
        };
        if !wake.readable.is_empty() {
            capture.read()?;
        }
        if !wake.ended.is_empty() {
            if let (Some(signals), Some(signal)) = (signals, wake.signal) {
                signals.give_back(signal);
            }
            return Ok(Outcome::Ended);
        }
        if let Some(signal) = wake.signal {
            return Ok(Outcome::Signal(signal));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Outcome::Over);
        }
        if let Some(tick) = &mut tick
            && ticked.elapsed() >= tick.every
        {
            (tick.act)();
            ticked = Instant::now();
        }
    }
}

/// Ends the whole process group and reaps its leader. What is written in the
/// meantime is still read, so that nobody hangs on a full pipe.
fn end_group(child: &mut Child, capture: &mut Capture<'_>) -> io::Result<()> {
    let group = nix::unistd::Pid::from_raw(child.pid.as_raw());
    let send = |signal| {
        let _ = nix::sys::signal::killpg(group, signal);
    };
    send(Signal::SIGTERM);
    send(Signal::SIGCONT);
    if !group_ended(child, capture, Instant::now() + GRACE)? {
        send(Signal::SIGKILL);
        // A process in an uninterruptible call outlives even that for a while.
        group_ended(child, capture, Instant::now() + GRACE)?;
    }
    let _ = capture.drain();
    child.try_wait()?;
    Ok(())
}

fn group_ended(child: &Child, capture: &mut Capture<'_>, deadline: Instant) -> io::Result<bool> {
    loop {
        if !process::group_lives(child.pid)? {
            return Ok(true);
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(false);
        }
        let step = deadline.min(now + GROUP_STEP);
        let readable = {
            let pipe = capture.as_fd();
            wait::wait_any(&[], None, pipe.as_slice(), Some(step))?.readable
        };
        if !readable.is_empty() && capture.read().is_err() {
            // Too much output: it is being ended for that already.
            capture.pipe = None;
        }
    }
}

/// Our end of a program's output and what to do with it.
struct Capture<'a> {
    pipe: Option<Pipe>,
    kept: Kept<'a>,
}

/// What was read of it, and where it goes.
struct Kept<'a> {
    output: Output<'a>,
    lines: Lines,
    handed: u64,
    dropped: u64,
}

impl<'a> Capture<'a> {
    fn prepare(launch: &mut Launch, output: Output<'a>) -> io::Result<Capture<'a>> {
        let pipe = match output {
            Output::AsLaunched => None,
            Output::Lines { .. } | Output::Bytes { .. } => {
                let (pipe, writer) = Pipe::open()?;
                if matches!(output, Output::Lines { .. }) {
                    launch.stderr = Stream::File(writer.try_clone()?);
                }
                launch.stdout = Stream::File(writer);
                Some(pipe)
            }
        };
        let kept = Kept {
            output,
            lines: Lines::default(),
            handed: 0,
            dropped: 0,
        };
        Ok(Capture { pipe, kept })
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref()?.as_fd()
    }

    /// Reads once what is there.
    fn read(&mut self) -> io::Result<()> {
        let kept = &mut self.kept;
        if let Some(pipe) = &mut self.pipe {
            pipe.read(&mut |bytes| kept.take(bytes))?;
        }
        Ok(())
    }

    /// Reads what is there now, without waiting for more.
    fn drain(&mut self) -> io::Result<()> {
        let kept = &mut self.kept;
        match &mut self.pipe {
            Some(pipe) => pipe.drain(&mut |bytes| kept.take(bytes)),
            None => Ok(()),
        }
    }

    /// Hands on a last line without a newline, and says what was dropped.
    fn finish(&mut self) {
        let Output::Lines { each, .. } = &mut self.kept.output else {
            return;
        };
        self.kept.lines.finish(&mut |line| each(Piece::Line(line)));
        if self.kept.dropped > 0 {
            each(Piece::Dropped(self.kept.dropped));
        }
    }
}

impl Kept<'_> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Output::AsLaunched => {}
            Output::Bytes { bound, into } => {
                if into.len() + bytes.len() > *bound {
                    return Err(io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        format!("it wrote more than {bound} bytes and was ended"),
                    ));
                }
                into.extend_from_slice(bytes);
            }
            Output::Lines { bound, each } => {
                let room = usize::try_from(bound.saturating_sub(self.handed)).unwrap_or(usize::MAX);
                let kept = &bytes[..bytes.len().min(room)];
                self.handed += kept.len() as u64;
                self.dropped += (bytes.len() - kept.len()) as u64;
                self.lines.add(kept, &mut |line| each(Piece::Line(line)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(script: &str, bound: u64, limit: Option<Duration>) -> (Ended, Vec<String>) {
        let mut seen = Vec::new();
        let mut each = |piece: Piece<'_>| {
            seen.push(match piece {
                Piece::Line(line) => String::from_utf8_lossy(line).into_owned(),
                Piece::Dropped(bytes) => format!("dropped {bytes}"),
            });
        };
        let output = Output::Lines {
            bound,
            each: &mut each,
        };
        let ended = run_bounded(Launch::shell(script), limit, None, output).unwrap();
        (ended, seen)
    }

    #[test]
    fn both_outputs_come_line_by_line_and_in_order() {
        let (ended, seen) = lines("echo a; echo b >&2; printf c; exit 3", 1000, None);
        assert_eq!(seen, ["a", "b", "c"]);
        assert!(matches!(ended, Ended::Exited(status) if status.code() == Some(3)));
        let (_, seen) = lines("echo 12345; echo 6789", 7, None);
        assert_eq!(seen, ["12345", "6", "dropped 4"]);
    }

    #[test]
    fn a_signal_that_comes_at_the_programs_end_is_not_lost() {
        super::super::testing::default_signals();
        let signals = Signals::block().unwrap();
        let mut launch = Launch::shell("exit 3");
        let mut capture = Capture::prepare(&mut launch, Output::AsLaunched).unwrap();
        let mut child = launch.spawn().unwrap();
        let handle = child.handle().unwrap().unwrap();
        wait::wait_any(&[handle], None, &[], None).unwrap();
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        let outcome = watch(&mut child, &mut capture, None, Some(&signals), None).unwrap();
        assert!(matches!(outcome, Outcome::Ended));
        assert_eq!(signals.pending(), Some(Signal::SIGTERM));
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }

    /// Runs a script into a limit that it comes as far as `: >$READY` within:
    /// how long its end took then, and what it said.
    fn ended(script: &str) -> (Duration, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        let script = format!("READY='{}'\n{script}", ready.display());
        for limit in [0.1, 1.0, 5.0, 20.0].map(Duration::from_secs_f64) {
            let begun = Instant::now();
            let (ended, seen) = lines(&script, 1000, Some(limit));
            let took = begun.elapsed() - limit;
            assert_eq!(ended, Ended::TimedOut);
            if ready.exists() {
                return (took, seen);
            }
        }
        panic!("it was never ready");
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_it_started() {
        let (took, seen) = ended(
            "export READY\n\
             sh -c 'trap \"echo child; exit\" TERM; : >$READY; while :; do sleep 0.05; done' & \
             trap 'exit 0' TERM; wait",
        );
        assert!(seen.contains(&"child".to_string()), "{seen:?}");
        assert!(took < GRACE, "{took:?}");
    }

    #[test]
    fn a_program_that_ignores_the_request_is_killed_after_the_grace() {
        let (took, _) = ended("trap '' TERM; : >$READY; while :; do sleep 0.1; done");
        assert!(took >= GRACE && took < GRACE * 4, "{took:?}");
    }

    /// The daemon keeps the pipe: its starter's end must not wait for it.
    #[test]
    fn a_daemon_that_keeps_the_output_open_is_not_waited_for() {
        let begun = Instant::now();
        let (ended, seen) = lines("sleep 10 & echo started", 100, None);
        assert!(matches!(ended, Ended::Exited(status) if status.success()));
        assert_eq!(seen, ["started"]);
        assert!(begun.elapsed() < Duration::from_secs(8));
    }

    #[test]
    fn a_signal_ends_the_run_and_is_handed_on() {
        super::super::testing::default_signals();
        let signals = Signals::block().unwrap();
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGINT) };
        let ended = run_bounded(
            Launch::shell("sleep 20"),
            None,
            Some(&signals),
            Output::AsLaunched,
        );
        assert_eq!(ended.unwrap(), Ended::Interrupted(Signal::SIGINT));
    }

    #[test]
    fn bytes_are_captured_whole_or_refused() {
        let mut into = Vec::new();
        let output = Output::Bytes {
            bound: 8,
            into: &mut into,
        };
        run_bounded(Launch::shell("printf 'a\\000b\\377'"), None, None, output).unwrap();
        assert_eq!(into, b"a\0b\xff");
        let mut into = Vec::new();
        let output = Output::Bytes {
            bound: 8,
            into: &mut into,
        };
        let error = run_bounded(Launch::shell("yes"), None, None, output).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        assert!(error.to_string().contains("/bin/sh"), "{error}");
    }
}
