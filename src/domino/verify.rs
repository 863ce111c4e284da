//! Proof that a server is whole and at work: after a restore, a failover or a
//! thaw.

mod leftovers;
mod port;
mod recovery;
mod storage;
mod tasks;

use super::belongings::Finder;
use super::client::{self, Answer};
use super::figures::span;
use super::partition::Partition;
use super::processes::{self, DominoProcess};
use super::state::State;
use super::tools::Work;
use super::{closure, nsd};
use crate::error::{Error, Result};
use crate::os::wait::wait_any;
use crate::os::{clock, terminal};
use std::time::{Duration, Instant};

/// How often it is looked while something does not hold yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a line is written where no terminal can replace it.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How long the console may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Ok,
    /// It does not.
    Failed,
    /// It cannot be told.
    Unknown,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, one word.
    pub name: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty where it holds.
    pub advice: String,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Check {
        Check {
            name,
            verdict: Verdict::Ok,
            detail: detail.into(),
            advice: String::new(),
        }
    }

    fn failed(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            name,
            verdict: Verdict::Failed,
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    fn unknown(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            verdict: Verdict::Unknown,
            ..Check::failed(name, detail, advice)
        }
    }

    /// What cannot be told of a server that does not run.
    fn without_server(name: &'static str) -> Check {
        Check::unknown(name, "there is no server", "start it: 'rc_domino start'")
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Report {
    /// The checks, in the order in which they build on each other.
    pub checks: Vec<Check>,
    /// Whether the server runs.
    pub runs: bool,
    /// How long it was waited until this was found.
    pub waited: Duration,
}

impl Report {
    /// Whether all holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.verdict == Verdict::Ok)
    }
}

/// Looks, and looks again for `limit` as long as something does not hold.
pub fn run(work: &mut Work, finder: &Finder, limit: Duration) -> Result<Report> {
    let began = Instant::now();
    let until = began + limit;
    let on_terminal = terminal::is_terminal(std::io::stdout());
    let every = if on_terminal { LOOK_EVERY } else { LINE_EVERY };
    let mut progress = began + every;
    loop {
        let mut look = Look::new(work, finder)?;
        let last = Instant::now() >= until;
        // What costs more, or leaves lines in the console log, comes when the
        // rest holds.
        if last || look.holds() {
            look.thorough(work)?;
            if last || look.holds() {
                return Ok(look.report(began.elapsed()));
            }
        }
        let now = Instant::now();
        if now >= progress {
            progress = now + every;
            work.reporter.progress(&format!(
                "Waiting since {} seconds for: {}",
                now.duration_since(began).as_secs(),
                look.open().join(", ")
            ));
        }
        let wake = wait_any(
            &[],
            Some(work.signals),
            &[],
            Some(until.min(now + LOOK_EVERY)),
        )
        .map_err(Error::system("wait"))?;
        if let Some(signal) = wake.signal {
            return Err(work.interrupted(
                signal,
                format!("these did not hold so far: {}", look.open().join(", ")),
            ));
        }
    }
}

/// What is found at one moment.
struct Look {
    server: Option<DominoProcess>,
    checks: Vec<Check>,
}

impl Look {
    /// All that can be read without disturbing anybody.
    fn new(work: &Work, finder: &Finder) -> Result<Look> {
        let partition = work.partition;
        let state = State::of(processes::find(partition)?);
        let server = state.server().cloned();
        let port = port::check(partition, &state)?;
        let opened = port.verdict == Verdict::Ok;
        let checks = vec![
            server_check(&state),
            tasks::check(partition, &state),
            port,
            crash(partition, server.as_ref()),
            recovery::check(partition, server.as_ref(), opened),
            leftovers::check(partition, finder, &state)?,
        ];
        Ok(Look { server, checks })
    }

    /// The console is asked, and every filesystem is written to.
    fn thorough(&mut self, work: &mut Work) -> Result<()> {
        let console = match &self.server {
            Some(_) => console(work)?,
            None => Check::without_server("console"),
        };
        self.checks.insert(3, console);
        self.checks.push(storage::check(work.partition));
        Ok(())
    }

    fn holds(&self) -> bool {
        self.open().is_empty()
    }

    /// The names of those that do not hold.
    fn open(&self) -> Vec<&'static str> {
        self.checks
            .iter()
            .filter(|check| check.verdict != Verdict::Ok)
            .map(|check| check.name)
            .collect()
    }

    fn report(self, waited: Duration) -> Report {
        Report {
            runs: self.server.is_some(),
            checks: self.checks,
            waited,
        }
    }
}

fn server_check(state: &State) -> Check {
    let name = "server";
    match state.server() {
        Some(server) => Check::ok(
            name,
            format!(
                "process {} runs for {}",
                server.pid(),
                span(clock::age(server.process.start_ticks))
            ),
        ),
        None if state.can_stop() => Check::failed(
            name,
            format!(
                "it does not run; processes of an earlier one are left: {}",
                processes::list(state.processes())
            ),
            "see them off with 'rc_domino stop' or 'rc_domino cleanup', then 'rc_domino start'",
        ),
        None => Check::failed(
            name,
            "it does not run",
            "start it: 'rc_domino start'; 'rc_domino lastlog' shows how it ended",
        ),
    }
}

fn console(work: &mut Work) -> Result<Check> {
    let name = "console";
    Ok(match client::answers(work, ANSWER_LIMIT)? {
        Answer::Yes => Check::ok(name, "it answers"),
        Answer::No(why) => Check::failed(
            name,
            format!("it does not answer: {why}"),
            "if the server hangs, 'rc_domino hang' collects evidence; then 'rc_domino restart'",
        ),
    })
}

/// A run that ended badly and was not recovered from, or a crash of this one.
fn crash(partition: &Partition, server: Option<&DominoProcess>) -> Check {
    let name = "crash";
    if let Some(how) = closure::remembered(partition) {
        return Check::failed(
            name,
            format!("the last run ended badly: {how}"),
            "restart the server with 'rc_domino restart', which recovers its databases",
        );
    }
    let Some(server) = server else {
        return match closure::still_listed(partition) {
            Some(how) => Check::failed(name, how, "start the server to recover its databases"),
            None => Check::ok(name, "the last run ended well"),
        };
    };
    let since = clock::started_at(server.process.start_ticks);
    let written: Vec<String> = nsd::files(partition, "nsd_")
        .into_iter()
        .filter(|(modified, _)| *modified >= since)
        .map(|(_, path)| path.display().to_string())
        .collect();
    match written.last() {
        None => Check::ok(name, "no crash and no NSD since the server's start"),
        Some(newest) => Check::failed(
            name,
            format!(
                "{} NSDs since the server's start, the newest {newest}",
                written.len()
            ),
            "look for a crash in it; where somebody made it by hand, a restart of the server clears this",
        ),
    }
}
