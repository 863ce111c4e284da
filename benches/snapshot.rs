//! What a freeze and a thaw add to the server's own downtime, beside a server
//! that is told to quit by hand. Ends with 1 where the limit is missed.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

#[allow(dead_code)]
mod common;
#[path = "../tests/standin/mod.rs"]
mod standin;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../tests/support/mod.rs"]
mod support;

use common::Table;
use common::measure::median;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use support::{Sandbox, command, run_directory};

const ROUNDS: usize = 15;

/// What both together may add, in milliseconds, flushing not counted.
const LIMIT: f64 = 50.0;

fn main() -> ExitCode {
    common::table_of(measure)
}

fn prepared(sandbox: &Sandbox, program: std::path::PathBuf, words: &[&str]) -> Command {
    let data = sandbox.data.display();
    let mut entry = sandbox.entry();
    entry.binds.clear();
    let mut command = command::Command::new(sandbox, program)
        .env("PATH", format!("{data}:/usr/bin:/bin"))
        .env("RC_DOMINO_ROOT", &sandbox.root)
        .args(words)
        .entering(entry)
        .prepared();
    command.current_dir(&sandbox.data).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn measure(table: &mut Table) -> io::Result<()> {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "60")]);
    sandbox.mode("shutdown_delay=0.2\n");
    let product = run_directory::program("rc_domino_script");
    let mut by_hand = prepared(&sandbox, sandbox.lotus.join("bin/server"), &["-q"]);
    let mut freeze = prepared(&sandbox, product.clone(), &["snapshot", "freeze"]);
    let mut thaw = prepared(&sandbox, product.clone(), &["snapshot", "thaw"]);
    let mut start = prepared(&sandbox, product, &["start"]);
    let (mut hand, mut ours, mut back) = (Vec::new(), Vec::new(), Vec::new());
    // The first round fills the caches and does not count.
    for round in 0..=ROUNDS {
        begin(&sandbox, &mut start)?;
        let quit = until_gone(&sandbox, &mut by_hand)?;
        begin(&sandbox, &mut start)?;
        let frozen = until_gone(&sandbox, &mut freeze)?;
        let there = until_there(&sandbox, &mut thaw)?;
        if round > 0 {
            hand.push(quit);
            ours.push(frozen);
            back.push(there);
        }
        sandbox.kill();
    }
    let [hand, ours, back] = [hand, ours, back].map(|all| median(all.into_iter()));
    let added = (ours - hand).max(0.0);
    table.row(
        [
            "freeze, to the last process's end",
            &format!("{ours:.1} ms"),
            &format!("{hand:.1} ms by hand"),
            "",
        ],
        None,
    );
    table.row(
        [
            "thaw, to the server's process",
            &format!("{back:.1} ms"),
            "",
            "",
        ],
        None,
    );
    let sum = added + back;
    table.row(
        [
            "downtime added by freeze and thaw",
            &format!("{sum:.1} ms"),
            "",
            &format!("{LIMIT} ms"),
        ],
        Some(sum < LIMIT),
    );
    Ok(())
}

/// A server that is up; what was to be written is written.
fn begin(sandbox: &Sandbox, start: &mut Command) -> io::Result<()> {
    let _ = std::fs::remove_file(sandbox.log());
    start.status()?;
    sandbox.wait_up();
    rustix::fs::syncfs(std::fs::File::open(&sandbox.data)?)?;
    Ok(())
}

/// Milliseconds until every process of the server has ended.
fn until_gone(sandbox: &Sandbox, command: &mut Command) -> io::Result<f64> {
    let processes = sandbox.processes();
    let pids = processes.iter().filter_map(|pid| Pid::from_raw(*pid));
    let handles = pids.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let handles: Vec<_> = handles.collect::<Result<_, _>>()?;
    let began = Instant::now();
    let mut child = command.spawn()?;
    for handle in &handles {
        poll(&mut [PollFd::new(handle, PollFlags::IN)], None)?;
    }
    let gone = began.elapsed();
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("{command:?}: {status}")));
    }
    Ok(gone.as_secs_f64() * 1e3)
}

/// Milliseconds until the server's process is there.
fn until_there(sandbox: &Sandbox, command: &mut Command) -> io::Result<f64> {
    let began = Instant::now();
    let mut child = command.spawn()?;
    while sandbox.processes().is_empty() {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(io::Error::other("no server after 20 s"));
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    let there = began.elapsed();
    child.wait()?;
    Ok(there.as_secs_f64() * 1e3)
}
