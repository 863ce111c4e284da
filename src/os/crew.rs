//! Several programs at the same time, their output told line by line.

use super::explain;
use super::pidfd::ProcessHandle;
use super::pipe::{Lines, Pipe};
use super::signals::{Signal, Signals};
use super::spawn::{Child, Launch, Stream};
use super::wait;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;

/// Which of a program's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How programs that ran together ended.
#[derive(Debug)]
pub struct Together {
    /// The end of each, in the order of the launches; an error where it could
    /// not be started.
    pub ends: Vec<io::Result<ExitStatus>>,
    /// The first signal that asked us to end. All of them got it.
    pub signal: Option<Signal>,
}

/// Starts programs in process groups of their own and waits for all of them.
///
/// Each line that one writes is handed to `said` with the program's place in
/// `launches`. A signal goes to every program that still runs; they are waited
/// for all the same. What a program leaves running is left alone, and its open
/// pipes are not waited for. The launches' own output streams are replaced.
pub fn run_together(
    launches: Vec<Launch>,
    signals: &Signals,
    said: &mut dyn FnMut(usize, Voice, &[u8]),
) -> io::Result<Together> {
    watch(launches, false, signals, said)
}

/// The same for programs that come to a point, [`wait_for_turn`], from where
/// only one of them may go on at a time: when all have come there, or have
/// ended, the first goes on, and when that has ended, the next. Where we end
/// before they do, none waits any more.
pub fn run_in_turn(
    launches: Vec<Launch>,
    signals: &Signals,
    said: &mut dyn FnMut(usize, Voice, &[u8]),
) -> io::Result<Together> {
    watch(launches, true, signals, said)
}

/// In a program that [`run_in_turn`] has started: says that the point is
/// reached, and waits there. A signal that asks for an end ends that. Its
/// standard input is the way to who started it: nothing is ever sent, only
/// ends are closed, so that a death is as good as a word. Where something lies
/// between them that does not pass it on, nothing is waited for.
pub fn wait_for_turn(signals: &Signals) -> io::Result<Option<Signal>> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let gate = UnixStream::from(input);
    if gate.shutdown(Shutdown::Write).is_err() {
        return Ok(None);
    }
    Ok(wait::wait_any(&[], Some(signals), &[gate.as_fd()], None)?.signal)
}

fn watch(
    launches: Vec<Launch>,
    in_turn: bool,
    signals: &Signals,
    said: &mut dyn FnMut(usize, Voice, &[u8]),
) -> io::Result<Together> {
    let start = |launch| Member::start(launch, in_turn);
    let mut members: Vec<Member> = launches.into_iter().map(start).collect();
    let mut signal = None;
    loop {
        for (place, member) in members.iter_mut().enumerate() {
            if member.is_running() && member.handle.is_none() {
                member.finish(&mut |voice, line| said(place, voice, line))?;
            }
        }
        open_first_gate(&mut members);
        let running = || {
            members
                .iter()
                .enumerate()
                .filter(|(_, one)| one.is_running())
        };
        let handles: Vec<(usize, &ProcessHandle)> = running()
            .filter_map(|(place, member)| Some((place, member.handle.as_ref()?)))
            .collect();
        if handles.is_empty() {
            break;
        }
        let pipes: Vec<(usize, usize, BorrowedFd<'_>)> = running()
            .flat_map(|(place, member)| member.open_pipes(place))
            .collect();
        let wake = wait::wait_any_of(
            &handles
                .iter()
                .map(|(_, handle)| *handle)
                .collect::<Vec<_>>(),
            Some(signals),
            &pipes.iter().map(|(_, _, pipe)| *pipe).collect::<Vec<_>>(),
            None,
        )?;
        if let Some(asked) = wake.signal {
            signal.get_or_insert(asked);
            for (_, handle) in &handles {
                handle.signal(asked)?;
            }
        }
        let readable: Vec<(usize, usize)> = wake
            .readable
            .iter()
            .filter_map(|at| pipes.get(*at).map(|(place, which, _)| (*place, *which)))
            .collect();
        let ended: Vec<usize> = wake
            .ended
            .iter()
            .filter_map(|at| handles.get(*at).map(|(place, _)| *place))
            .collect();
        for (place, which) in readable {
            let member = &mut members[place];
            match member.sources.get_mut(which) {
                Some(source) => source.read(&mut |voice, line| said(place, voice, line))?,
                None => member.has_come = true,
            }
        }
        for place in ended {
            members[place].handle = None;
        }
    }
    Ok(Together {
        ends: members.into_iter().map(|member| member.end).collect(),
        signal,
    })
}

/// The first that still runs goes on, if none is on its way to its gate.
fn open_first_gate(members: &mut [Member]) {
    let mut running = members.iter_mut().filter(|member| member.is_running());
    let Some(first) = running.next() else { return };
    if first.is_past_or_at_gate() && running.all(|member| member.is_past_or_at_gate()) {
        first.gate = None;
    }
}

/// A program under way.
struct Member {
    /// Kept open for as long as it has to wait; none where it need not.
    gate: Option<UnixStream>,
    has_come: bool,
    child: Option<Child>,
    handle: Option<ProcessHandle>,
    sources: Vec<Source>,
    end: io::Result<ExitStatus>,
}

impl Member {
    fn start(launch: Launch, in_turn: bool) -> Member {
        Member::try_start(launch, in_turn).unwrap_or_else(|error| Member {
            gate: None,
            has_come: false,
            child: None,
            handle: None,
            sources: Vec::new(),
            end: Err(error),
        })
    }

    fn try_start(mut launch: Launch, in_turn: bool) -> io::Result<Member> {
        launch.new_group = true;
        let name = launch.program.clone();
        let failed =
            |error: io::Error| explain(error, format_args!("cannot run {}", name.display()));
        let (out, writer) = Pipe::open().map_err(failed)?;
        let (err, complaints) = Pipe::open().map_err(failed)?;
        launch.stdout = Stream::File(writer);
        launch.stderr = Stream::File(complaints);
        let mut gate = None;
        if in_turn {
            let (ours, theirs) = UnixStream::pair().map_err(failed)?;
            launch.stdin = Stream::File(OwnedFd::from(theirs).into());
            gate = Some(ours);
        }
        // Descriptors for watching it: without any it would run unseen.
        let reserve = io::pipe().map_err(failed)?;
        let child = launch.spawn()?;
        drop(reserve);
        Ok(Member {
            gate,
            has_come: false,
            handle: child.handle()?,
            child: Some(child),
            sources: vec![Source::new(Voice::Out, out), Source::new(Voice::Err, err)],
            end: Err(io::ErrorKind::WouldBlock.into()),
        })
    }

    fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn is_past_or_at_gate(&self) -> bool {
        self.gate.is_none() || self.has_come
    }

    /// What can be read of it; its gate, while it is on its way there, comes
    /// behind the sources.
    fn open_pipes(&self, place: usize) -> impl Iterator<Item = (usize, usize, BorrowedFd<'_>)> {
        let pipes = self.sources.iter().map(|source| source.pipe.as_fd());
        let gate = self.gate.as_ref().filter(|_| !self.has_come);
        pipes
            .chain([gate.map(UnixStream::as_fd)])
            .enumerate()
            .filter_map(move |(which, pipe)| Some((place, which, pipe?)))
    }

    /// It has ended: what it still said, and how it ended.
    fn finish(&mut self, said: &mut dyn FnMut(Voice, &[u8])) -> io::Result<()> {
        for source in &mut self.sources {
            source.drain(said)?;
        }
        if let Some(mut child) = self.child.take() {
            self.end = child.wait();
        }
        Ok(())
    }
}

/// One of a program's outputs.
struct Source {
    voice: Voice,
    pipe: Pipe,
    lines: Lines,
}

impl Source {
    fn new(voice: Voice, pipe: Pipe) -> Source {
        Source {
            voice,
            pipe,
            lines: Lines::default(),
        }
    }

    /// Reads once what is there.
    fn read(&mut self, said: &mut dyn FnMut(Voice, &[u8])) -> io::Result<()> {
        let (voice, lines) = (self.voice, &mut self.lines);
        self.pipe.read(&mut |bytes| {
            lines.add(bytes, &mut |line| said(voice, line));
            Ok(())
        })?;
        Ok(())
    }

    /// Reads what is there now, without waiting for more, and hands on a last
    /// line without a newline.
    fn drain(&mut self, said: &mut dyn FnMut(Voice, &[u8])) -> io::Result<()> {
        let (voice, lines) = (self.voice, &mut self.lines);
        self.pipe.drain(&mut |bytes| {
            lines.add(bytes, &mut |line| said(voice, line));
            Ok(())
        })?;
        self.pipe.close();
        lines.finish(&mut |line| said(voice, line));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn run(launches: Vec<Launch>) -> (Together, Vec<(usize, Voice, String)>) {
        let signals = Signals::block().unwrap();
        let mut lines = Vec::new();
        let together = run_together(launches, &signals, &mut |place, voice, line| {
            lines.push((place, voice, String::from_utf8_lossy(line).into_owned()));
        });
        (together.unwrap(), lines)
    }

    #[test]
    fn they_run_at_the_same_time_and_lines_stay_whole() {
        let dir = tempfile::tempdir().unwrap();
        // Each waits until all have begun.
        let launches = (0..4).map(|code| {
            Launch::shell(&format!(
                "cd '{}'; : >{code}; printf 'one '; tries=0
                until [ -e 0 -a -e 1 -a -e 2 -a -e 3 ]; do
                    [ $((tries += 1)) -gt 600 ] && exit 99; sleep 0.05
                done
                echo two; echo bad >&2; printf end; exit {code}",
                dir.path().display()
            ))
        });
        let (together, lines) = run(launches.collect());
        for (code, end) in together.ends.iter().enumerate() {
            assert_eq!(end.as_ref().unwrap().code(), Some(code as i32));
            let said = |voice| -> Vec<&str> {
                let his = lines
                    .iter()
                    .filter(|line| line.0 == code && line.1 == voice);
                his.map(|line| line.2.as_str()).collect()
            };
            assert_eq!(said(Voice::Out), ["one two", "end"]);
            assert_eq!(said(Voice::Err), ["bad"]);
        }
    }

    #[test]
    fn one_that_cannot_be_started_does_not_keep_the_others() {
        let (together, lines) = run(vec![
            Launch::new("/no/such program"),
            Launch::shell("echo here"),
        ]);
        assert!(together.ends[0].is_err());
        assert!(together.ends[1].as_ref().unwrap().success());
        assert_eq!(lines, [(1, Voice::Out, "here".to_owned())]);
    }

    #[test]
    fn a_signal_reaches_all_of_them() {
        super::super::testing::default_signals();
        let signals = Signals::block().unwrap();
        let script = "trap 'echo told; exit 9' TERM; echo up; while :; do sleep 0.05; done";
        let mut up = 0;
        let mut told = 0;
        let together = run_together(
            vec![Launch::shell(script), Launch::shell(script)],
            &signals,
            &mut |_, _, line| {
                up += u8::from(line == b"up");
                told += u8::from(line == b"told");
                if up == 2 && told == 0 {
                    // SAFETY: the thread is this one.
                    unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
                }
            },
        )
        .unwrap();
        assert_eq!((told, together.signal), (2, Some(Signal::SIGTERM)));
        for end in together.ends {
            assert_eq!(end.unwrap().code(), Some(9));
        }
    }

    /// What a program started and left behind keeps the pipes.
    #[test]
    fn a_daemon_that_keeps_the_output_open_is_not_waited_for() {
        let begun = Instant::now();
        let (together, lines) = run(vec![Launch::shell("sleep 10 & echo started")]);
        assert!(together.ends[0].as_ref().unwrap().success());
        assert_eq!(lines.len(), 1);
        assert!(begun.elapsed() < Duration::from_secs(8));
    }
}
