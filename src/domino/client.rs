//! Talks to a running server as its own console commands do: `server -c`,
//! `server -q`. Each command is one argument; no shell stands between.

use super::follow::Follower;
use super::processes;
use super::server_log::ServerLog;
use super::state::State;
use super::tools::{Tool, ToolEnd, Work, launch, output_to_log, program_failed, run_to_log};
use crate::error::{Error, Result};
use crate::os::spawn::Child;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// Sends a console command and waits for the sender to end, at most until
/// `limit`.
pub fn command(work: &mut Work, text: &OsStr, limit: Option<Duration>) -> Result<ToolEnd> {
    let mut tool = Tool::new(work.partition.program("server"), [OsStr::new("-c"), text]);
    tool.limit = limit;
    run_to_log(work, &tool)
}

/// Starts `server` with these arguments, its output going to the console log,
/// and does not wait for it.
pub fn start_client(work: &mut Work, arguments: &[impl AsRef<OsStr>]) -> Result<Child> {
    let tool = Tool::new(
        work.partition.program("server"),
        arguments.iter().map(AsRef::as_ref),
    );
    let mut launch = launch(work.partition, &tool);
    output_to_log(&mut launch, work.partition)?;
    // A session of its own: Ctrl-C at the terminal must not end the request
    // to shut down half-way.
    launch.new_session = true;
    launch.spawn().map_err(program_failed(&tool.program))
}

/// How often the log is looked at while an answer is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Silence that counts as the end of an answer.
const QUIET: Duration = Duration::from_millis(500);

/// What came of a console command.
#[derive(Debug)]
pub struct Sent {
    /// How its sender ended; None: it has not within the time.
    pub sender: Option<ToolEnd>,
    /// How many lines the log has got meanwhile.
    pub lines: u64,
}

/// Sends a console command to a running server and hands each line that the
/// log gets to `line`, until the sender has ended and the log is quiet, or
/// until `limit` is over. Sending is never broken off.
pub fn ask(
    work: &mut Work,
    text: &OsStr,
    limit: Duration,
    line: &mut dyn FnMut(&[u8]),
) -> Result<Sent> {
    if !State::of(processes::find(work.partition)?).is_running() {
        return Err(Error::NeedsServer {
            server: work.partition.name(),
        });
    }
    let log = ServerLog::shown(work.partition);
    let mut follower = Follower::new(log.path().to_path_buf(), 0)?;
    let mut child = start_client(work, &[OsStr::new("-c"), text])?;
    let until = Instant::now() + limit;
    let mut lines = 0;
    let mut sender = None;
    let mut heard: Option<Instant> = None;
    loop {
        if sender.is_none() {
            let ended = child
                .try_wait()
                .map_err(Error::system("wait for server -c"))?;
            sender = ended.map(ToolEnd::Ended);
        }
        follower.read_new(|text| {
            lines += 1;
            heard = Some(Instant::now());
            line(text);
        })?;
        let now = Instant::now();
        let quiet = sender.is_some() && heard.is_some_and(|heard| now - heard >= QUIET);
        if quiet || now >= until {
            return Ok(Sent { sender, lines });
        }
        let step = until.min(now + LOOK_EVERY);
        let log = log.path().display();
        work.pause(
            step,
            &format!("the command was sent; its output goes on in {log}"),
        )?;
    }
}

/// Whether a server's console answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took a command, and something came of it.
    Yes,
    /// It did not; what was seen.
    No(String),
}

/// Sends a command that changes nothing and waits for what comes of it, at
/// most `limit`. A sender that hangs is ended.
pub fn answers(work: &mut Work, limit: Duration) -> Result<Answer> {
    let until = Instant::now() + limit;
    let log = ServerLog::shown(work.partition);
    let mut follower = Follower::new(log.path().to_path_buf(), 0)?;
    let end = match command(work, OsStr::new("show server"), Some(limit)) {
        Err(error @ Error::Program { .. }) => return Ok(Answer::No(error.to_string())),
        other => other?,
    };
    if !end.success() {
        return Ok(Answer::No(format!("'server -c' {}", end.describe())));
    }
    // A console that goes to a container's output cannot be looked at.
    while log.path().is_file() && !follower.read_new(|_| ())? {
        if Instant::now() >= until {
            return Ok(Answer::No(format!(
                "'show server' was taken, but nothing came of it within {} seconds",
                limit.as_secs()
            )));
        }
        let step = until.min(Instant::now() + LOOK_EVERY);
        work.pause(step, "the console was being asked")?;
    }
    Ok(Answer::Yes)
}
