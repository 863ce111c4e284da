//! `nsd` and its kin, `memdump`, `kill`: run Domino's own diagnosis.

use super::super::identity::Needs;
use super::super::loading;
use super::super::{Call, with_work};
use crate::domino::tools::{ToolEnd, Work};
use crate::domino::{Partition, lock, nsd};
use crate::error::{Result, shown, shown_whole};
use crate::exit::Exit;
use crate::os::files::is_executable;
use crate::ui::Ui;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

/// What NSD is to collect.
#[derive(Clone, Copy, Debug)]
pub enum Collection {
    /// Everything.
    Full,
    /// No memory check.
    NoMemory,
    /// The system only.
    Info,
    /// Call stacks only.
    Stacks,
    /// Call stacks three times, then everything.
    Hang,
}

impl Collection {
    /// The option of each run.
    fn runs(self) -> &'static [Option<&'static str>] {
        const STACKS: Option<&str> = Some("-stacks");
        match self {
            Collection::Full => &[None],
            Collection::NoMemory => &[Some("-nomemcheck")],
            Collection::Info => &[Some("-info")],
            Collection::Stacks => &[STACKS],
            Collection::Hang => &[STACKS, STACKS, STACKS, None],
        }
    }
}

/// `nsd`, `nsdnomem`, `info`, `stacks`, `hang`.
pub fn collect(call: &Call, what: Collection, arguments: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let partition = match server(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    with_work(&partition, ui, |work| {
        let before = nsd::files(work.partition, "nsd");
        let runs = what.runs();
        let mut exit = Exit::Done;
        for (at, option) in runs.iter().enumerate() {
            let mut all: Vec<OsString> = option.iter().map(OsString::from).collect();
            all.extend(arguments.iter().cloned());
            announce(work, at + 1, runs.len(), &all);
            // A run that fails is no reason to leave the next one out: the
            // server hangs now.
            let ended = nsd::run(work, &all)?;
            let ended = kept(work, "nsd", ended);
            if exit == Exit::Done {
                exit = ended;
            }
        }
        name_files(work, "nsd", &before);
        Ok(exit)
    })
}

fn announce(work: &mut Work, number: usize, of: usize, arguments: &[OsString]) {
    let mut text = match of {
        1 => "Running nsd".to_owned(),
        _ => format!("Running nsd, {number} of {of}:"),
    };
    for argument in arguments {
        text.push(' ');
        text.push_str(&shown(argument));
    }
    if of > 1 && arguments.is_empty() {
        text.push_str(" full");
    }
    work.reporter
        .info(&format!("{text} for {}", shown(&work.partition.name())));
}

/// `memdump`.
pub fn memory_dump(call: &Call, arguments: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let partition = match server(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    with_work(&partition, ui, |work| {
        let before = nsd::files(work.partition, "mem");
        let ended = nsd::memory_dump(work, arguments)?;
        let exit = kept(work, "server -m", ended);
        name_files(work, "mem", &before);
        Ok(exit)
    })
}

/// `kill`.
pub fn kill(call: &Call, arguments: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let partition = match server(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    with_work(&partition, ui, |work| {
        let _lock = lock::acquire(work)?;
        let before = nsd::files(work.partition, "nsd");
        let name = shown(&work.partition.name());
        work.reporter
            .info(&format!("Killing Domino server {name} with nsd -kill"));
        let ended = nsd::kill_server(work, arguments);
        name_files(work, "nsd", &before);
        let ended = ended?;
        let exit = kept(work, "nsd -kill", ended);
        if exit == Exit::Done {
            work.reporter
                .info(&format!("Nothing of Domino server {name} runs any more"));
        }
        Ok(exit)
    })
}

/// The server, its programs and its data directory there. NSD needs the
/// user's login, as the server itself.
fn server(call: &Call, ui: &mut Ui) -> Result<std::result::Result<Partition, Exit>> {
    let partition = match loading::here(loading::access(call, Needs::Login, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(Err(exit)),
    };
    // NSD is wanted most where something is broken: the server's own program
    // may be what is missing.
    if !is_executable(&partition.program("nsd")) {
        partition.require_installed()?;
    }
    partition.require_data()?;
    Ok(Ok(partition))
}

/// The exit code of a program that was run for the caller.
fn kept(work: &mut Work, name: &str, ended: ToolEnd) -> Exit {
    if ended.success() {
        return Exit::Done;
    }
    work.reporter.warn(&format!("{name} {}", ended.describe()));
    Exit::Passed(ended.code())
}

/// Names what was written since `before` was looked up.
fn name_files(work: &mut Work, front: &str, before: &BTreeSet<(SystemTime, PathBuf)>) {
    let now = nsd::files(work.partition, front);
    let mut new = now.difference(before).peekable();
    if new.peek().is_none() {
        let text = format!("No new file in {}", work.partition.support().display());
        work.reporter.info(&text);
    }
    for (_, file) in new {
        let name = shown_whole(file.as_os_str());
        work.reporter.info(&format!("Written: {name}"));
    }
}
