//! NSD, Domino's own collector of diagnosis data, and its `-kill`.

use super::hooks::{self, Hook};
use super::tools::{Tool, ToolEnd, Work, run_by_line};
use crate::error::{Result, shown};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Runs NSD with these arguments, its output told line by line.
pub fn run(work: &mut Work, arguments: &[&OsStr]) -> Result<ToolEnd> {
    let mut all: Vec<OsString> = Vec::new();
    if work.partition.settings.debug_mode.value {
        all.push("-debug".into());
    }
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let mut tool = Tool::new(work.partition.program("nsd"), all);
    let posix: [(OsString, OsString); 1] = [("LANG".into(), "POSIX".into())];
    if work.partition.settings.nsd_set_posix_lc.value {
        tool.extra = &posix;
    }
    run_by_line(work, &tool, |reporter, line| {
        reporter.info(&shown(OsStr::from_bytes(line.trim_ascii_end())));
    })
}

/// Ends a server that would not stop: NSD first if the site wants its
/// evidence, then `nsd -kill` between its hooks.
pub fn kill(work: &mut Work) -> Result<ToolEnd> {
    if work.partition.settings.nsd_before_kill.value {
        work.reporter
            .info("Running NSD before the server is killed");
        let ended = run(work, &[])?;
        if !ended.success() {
            work.reporter.warn(&format!("nsd {}", ended.describe()));
        }
    }
    hooks::run(work, Hook::PreKill, None)?;
    let ended = run(work, &[OsStr::new("-kill")])?;
    hooks::run(work, Hook::PostKill, None)?;
    Ok(ended)
}
