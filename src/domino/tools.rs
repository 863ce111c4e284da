//! Runs Domino's programs and the site's commands on behalf of a verb.

use super::Reporter;
use super::environment::{self, Environment};
use super::partition::Partition;
use super::server_log::ServerLog;
use crate::error::{Error, Result};
use crate::os::bounded::{Ended, Output, Piece, Tick, run_bounded, run_bounded_ticking};
use crate::os::process::Pid;
use crate::os::signals::{Signal, Signals};
use crate::os::spawn::{Launch, Stream};
use crate::os::wait::wait_any;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// What a verb works with: the partition, somebody to tell, and the signals
/// that may ask it to end early.
pub struct Work<'a> {
    /// The server in question.
    pub partition: &'a Partition,
    /// Is told what goes on.
    pub reporter: &'a mut dyn Reporter,
    /// SIGINT, SIGTERM and SIGHUP, held back until somebody looks.
    pub signals: &'a Signals,
}

impl Work<'_> {
    /// Waits until then. A signal ends that with an error; `state` says what now
    /// is.
    pub fn pause(&self, until: Instant, state: &str) -> Result<()> {
        let wake =
            wait_any(&[], Some(self.signals), &[], Some(until)).map_err(Error::system("wait"))?;
        match wake.signal {
            Some(signal) => Err(self.interrupted(signal, state)),
            None => Ok(()),
        }
    }

    /// An error for a verb that was asked to end; `state` says what now is.
    pub fn interrupted(&self, signal: Signal, state: impl Into<String>) -> Error {
        Error::Interrupted {
            signal: number(signal),
            state: state.into(),
        }
    }

    /// Ends the verb if a signal asked for that meanwhile.
    pub fn check_signals(&self, state: &str) -> Result<()> {
        match self.signals.pending() {
            Some(signal) => Err(self.interrupted(signal, state)),
            None => Ok(()),
        }
    }
}

/// A program to run in the data directory with Domino's environment.
pub struct Tool<'a> {
    /// What to run.
    pub program: PathBuf,
    /// With which arguments, each passed on as it is.
    pub arguments: Vec<OsString>,
    /// Pid of the server, for the environment.
    pub server: Option<Pid>,
    /// Variables beside those that all programs get.
    pub extra: &'a [(OsString, OsString)],
    /// How long it may take; no limit where there is none.
    pub limit: Option<Duration>,
}

impl Tool<'_> {
    /// A program with arguments and nothing special.
    pub fn new<A: Into<OsString>>(
        program: PathBuf,
        arguments: impl IntoIterator<Item = A>,
    ) -> Tool<'static> {
        Tool {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
            server: None,
            extra: &[],
            limit: None,
        }
    }
}

/// How a tool ended.
#[derive(Clone, Copy, Debug)]
pub enum ToolEnd {
    /// By itself, with this status.
    Ended(ExitStatus),
    /// It took longer than it may and was ended.
    TimedOut,
}

impl ToolEnd {
    /// Whether it ended by itself with code 0.
    pub fn success(self) -> bool {
        matches!(self, ToolEnd::Ended(status) if status.success())
    }

    /// What to tell about an end that was none of the good ones.
    pub fn describe(self) -> String {
        use std::os::unix::process::ExitStatusExt;
        match self {
            ToolEnd::TimedOut => "did not end in time and was ended".to_owned(),
            ToolEnd::Ended(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with code {code}"),
                (None, Some(signal)) => format!("was ended by signal {signal}"),
                (None, None) => "ended".to_owned(),
            },
        }
    }

    /// The exit code to pass on, 128 + n for a signal.
    pub fn code(self) -> u8 {
        use std::os::unix::process::ExitStatusExt;
        match self {
            ToolEnd::TimedOut => 128 + 15,
            ToolEnd::Ended(status) => status
                .code()
                .map(|code| u8::try_from(code).unwrap_or(1))
                .or_else(|| status.signal().map(|signal| 128 + (signal as u8 & 0x7f)))
                .unwrap_or(1),
        }
    }
}

/// The most that is kept of a tool's output, in bytes.
const MOST_OUTPUT: u64 = 16 << 20;

/// A signal's number, as exit codes and messages have it.
pub fn number(signal: Signal) -> u8 {
    u8::try_from(signal as i32).unwrap_or(0)
}

/// Sends a program's output to the end of a file.
pub fn output_to(launch: &mut Launch, file: &File) -> Result<()> {
    let copy = || file.try_clone().map_err(Error::system("copy a descriptor"));
    launch.stdout = Stream::File(copy()?);
    launch.stderr = Stream::File(copy()?);
    Ok(())
}

/// Sends a program's output to the console log, or nowhere where that cannot
/// be written: what talks to the server must reach it all the same.
pub fn output_to_log(launch: &mut Launch, partition: &Partition) -> Result<()> {
    match ServerLog::of(partition).open_for_append() {
        Ok(log) => output_to(launch, &log),
        Err(_) => {
            launch.stdout = Stream::Null;
            launch.stderr = Stream::Null;
            Ok(())
        }
    }
}

/// The launch of a tool: in the data directory, with Domino's environment,
/// nothing on stdin.
pub fn launch(partition: &Partition, tool: &Tool) -> Launch {
    let mut environment: Environment = environment::for_programs(partition, tool.server);
    environment.extend(tool.extra.iter().cloned());
    let mut launch = Launch::new(&tool.program);
    launch.args = tool.arguments.clone();
    launch.env = environment;
    launch.cwd = Some(partition.data());
    launch
}

/// Runs a tool with its output going where this program's goes.
pub fn run_tool(work: &mut Work, tool: &Tool) -> Result<ToolEnd> {
    let launch = launch(work.partition, tool);
    finish(work, &tool.program, launch, Output::AsLaunched, tool.limit)
}

/// Runs a tool with its output appended to the console log (lost where that
/// cannot be written).
pub fn run_to_log(work: &mut Work, tool: &Tool) -> Result<ToolEnd> {
    let mut launch = launch(work.partition, tool);
    output_to_log(&mut launch, work.partition)?;
    finish(work, &tool.program, launch, Output::AsLaunched, tool.limit)
}

/// As [`run_to_log`], calling `look` now and then while the tool runs.
pub fn run_to_log_watched(
    work: &mut Work,
    tool: &Tool,
    every: Duration,
    mut look: impl FnMut(&mut dyn Reporter),
) -> Result<ToolEnd> {
    let log = ServerLog::of(work.partition).open_for_append()?;
    let mut launch = launch(work.partition, tool);
    output_to(&mut launch, &log)?;
    let reporter = &mut *work.reporter;
    let tick = Tick {
        every,
        act: &mut || look(reporter),
    };
    let ended = run_bounded_ticking(
        launch,
        tool.limit,
        Some(work.signals),
        Output::AsLaunched,
        Some(tick),
    )
    .map_err(program_failed(&tool.program))?;
    end_of(work, &tool.program, ended)
}

/// Runs a tool and hands each line of its output to `line`, up to a bound: for
/// output that is kept.
pub fn run_by_line(
    work: &mut Work,
    tool: &Tool,
    line: impl FnMut(&mut dyn Reporter, &[u8]),
) -> Result<ToolEnd> {
    run_streamed(work, tool, MOST_OUTPUT, line)
}

/// As [`run_by_line`], with a bound of the caller's in bytes.
pub fn run_streamed(
    work: &mut Work,
    tool: &Tool,
    bound: u64,
    mut line: impl FnMut(&mut dyn Reporter, &[u8]),
) -> Result<ToolEnd> {
    let launch = launch(work.partition, tool);
    let reporter = &mut *work.reporter;
    let output = Output::Lines {
        bound,
        each: &mut |piece| match piece {
            Piece::Line(text) => line(reporter, text),
            Piece::Dropped(bytes) => {
                reporter.warn(&format!("{bytes} more bytes of output were not kept"));
            }
        },
    };
    let ended = run_bounded(launch, tool.limit, Some(work.signals), output)
        .map_err(program_failed(&tool.program))?;
    end_of(work, &tool.program, ended)
}

fn finish(
    work: &mut Work,
    program: &Path,
    launch: Launch,
    output: Output,
    limit: Option<Duration>,
) -> Result<ToolEnd> {
    let ended =
        run_bounded(launch, limit, Some(work.signals), output).map_err(program_failed(program))?;
    end_of(work, program, ended)
}

fn end_of(work: &Work, program: &Path, ended: Ended) -> Result<ToolEnd> {
    match ended {
        Ended::Exited(status) => Ok(ToolEnd::Ended(status)),
        Ended::TimedOut => Ok(ToolEnd::TimedOut),
        Ended::Interrupted(signal) => Err(work.interrupted(
            signal,
            format!("{} was ended before it was done", program.display()),
        )),
    }
}

/// For `map_err`: a program that could not be run.
pub fn program_failed(program: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let program = program.to_path_buf();
    move |cause| Error::Program { program, cause }
}
