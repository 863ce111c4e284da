//! The integration suite: scenarios against any command, in one binary.
//!
//! `compat` is true of the original start script too and runs against it where
//! RC_DOMINO_ORIGINAL names it (as root); `ours` is where we differ, each with
//! its line of docs/differences.md; `root` needs root. What cannot run here is
//! listed with its reason and counted as ignored, never as passed.

#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
mod support;

mod compat;
mod ours;
mod root;
mod standin;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use support::scenario::Scenario;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Under the name of a Domino program this file is that program.
    if let Some(code) = standin::dispatch(&arguments) {
        return ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1));
    }
    // A shell's background job is started with SIGINT ignored; what is run here
    // is to be as at a terminal.
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no handler is installed, only the default put back.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let scenarios: Vec<Scenario> = [compat::all(), ours::all(), root::all()].concat();
    let mut settings = Arguments::from_args();
    if settings.test_threads.is_none() {
        // Scenarios wait more than they compute.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        settings.test_threads = Some(2 * cores);
    }
    if !settings.list {
        for scenario in &scenarios {
            if let Some(reason) = scenario.not_run() {
                println!("NOT RUN: {}: {reason}", scenario.name());
            }
        }
    }
    let trials = scenarios
        .into_iter()
        .map(|scenario| {
            let ignored = scenario.not_run().is_some();
            Trial::test(scenario.name(), move || {
                (scenario.run)();
                Ok(())
            })
            .with_ignored_flag(ignored)
        })
        .collect();
    let conclusion = libtest_mimic::run(&settings, trials);
    support::run_directory::remove();
    conclusion.exit_code()
}
