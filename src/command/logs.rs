//! Verbs about logs: shown, archived, cleared.

mod clear;
mod open;
mod send;
mod status;

use super::identity::Needs;
use super::loading;
use super::{Call, identity, with_work};
use crate::cli::logs::{Lines, LogsVerb};
use crate::domino::Partition;
use crate::domino::archive::{self, Archived};
use crate::domino::figures::count;
use crate::domino::housekeeping;
use crate::domino::server_log::ServerLog;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ui::Ui;
use std::ffi::OsStr;

/// Runs a verb of this family.
pub fn run(call: &Call, verb: LogsVerb, ui: &mut Ui) -> Result<Exit> {
    // `server -c` wants the user's login environment; the others only look at
    // files and edit them.
    let needs = match verb {
        LogsVerb::Cmd(_) => Needs::Login,
        _ => Needs::Rights,
    };
    let partition = match loading::here(loading::access(call, needs, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    match verb {
        LogsVerb::Lastlog { lines } => last_lines(&partition, counted(lines), ui),
        LogsVerb::Log { pager } => open::log(&partition, &pager, ui),
        LogsVerb::Archivelog { tag } => archive_now(&partition, tag.as_deref(), ui),
        LogsVerb::Clearlog(arguments) => clear::run(&partition, arguments, ui),
        LogsVerb::Logstatus => status::run(&partition, ui),
        LogsVerb::Debuglog { editor } => open::debug_log(&partition, &editor, ui),
        LogsVerb::Resetstlogs => reset_sametime_logs(&partition, ui),
        LogsVerb::Cmd(arguments) => send::run(&partition, &arguments, ui),
    }
}

/// How many lines are shown.
fn counted(lines: Option<Lines>) -> u32 {
    lines.and_then(|lines| lines.0).unwrap_or(100)
}

/// The last lines of the log, with a heading.
fn last_lines(partition: &Partition, lines: u32, ui: &mut Ui) -> Result<Exit> {
    let log = ServerLog::shown(partition);
    let mut tail = log.tail(lines as usize)?;
    ui.line(&format!(
        "Last {} of {}:",
        count(lines, "line"),
        log.path().display()
    ));
    ui.stream(&mut tail)
        .map_err(Error::file("read", log.path()))?;
    Ok(Exit::Done)
}

fn archive_now(partition: &Partition, tag: Option<&OsStr>, ui: &mut Ui) -> Result<Exit> {
    match with_work(partition, ui, |work| archive::now(work, tag))? {
        Archived::Nothing => {
            ui.line(&format!(
                "There is no console log to archive: {} is empty or not there",
                partition.log().display()
            ));
            Ok(Exit::Done)
        }
        Archived::As(file) => {
            ui.line(&format!("Console log archived as {}", file.display()));
            Ok(Exit::Done)
        }
        Archived::Uncompressed(file, problem) => {
            ui.error(&format!(
                "cannot compress the archived console log: {problem}; {} stays as it is",
                file.display()
            ));
            Ok(Exit::Failed)
        }
    }
}

fn reset_sametime_logs(partition: &Partition, ui: &mut Ui) -> Result<Exit> {
    match with_work(partition, ui, housekeeping::reset_sametime_logs)? {
        None => {
            ui.line(&format!(
                "There is no Sametime trace directory: {}",
                partition.data().join("trace").display()
            ));
            Ok(Exit::Done)
        }
        Some(swept) if swept.failed > 0 => Ok(Exit::Failed),
        Some(swept) => {
            if swept.files == 0 {
                ui.line("There were no Sametime traces to remove");
            }
            Ok(Exit::Done)
        }
    }
}

/// `systemlog`: the unit's last lines in the journal.
pub fn systemlog(call: &Call, lines: Option<Lines>, ui: &mut Ui) -> Result<Exit> {
    let lines = counted(lines);
    let identity = identity::settle(call)?;
    let unit = loading::unit_to_show(call, &identity)?.ok_or_else(no_unit)?;
    ui.line(&format!(
        "Last {} of {} in the journal:",
        count(lines, "line"),
        crate::error::shown(unit.name())
    ));
    Ok(match unit.journal(lines)? {
        0 => Exit::Done,
        code => Exit::Passed(code),
    })
}

/// For verbs that are about a unit, on a host or for a server without one.
pub fn no_unit() -> Error {
    Error::Service {
        message: "systemd does not run this server: there is no such unit on this host (DOMINO_SYSTEMD_NAME names it)".into(),
        exit: Exit::NotInstalled,
    }
}
