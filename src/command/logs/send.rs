//! `cmd`: a console command and what comes of it.

use super::super::with_work;
use crate::cli::logs::CmdArgs;
use crate::domino::Partition;
use crate::domino::client::{self, Sent};
use crate::domino::figures::count;
use crate::domino::server_log::ServerLog;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::ui::{Ui, raw_line};
use std::time::Duration;

/// Runs the verb.
pub fn run(partition: &Partition, arguments: &CmdArgs, ui: &mut Ui) -> Result<Exit> {
    if arguments.command.is_empty() {
        return Err(Error::Usage(
            "no console command is given: cmd \"show tasks\"".into(),
        ));
    }
    partition.require_installed()?;
    let limit = Duration::from_secs(arguments.timeout.into());
    let last = arguments.lines.and_then(|lines| lines.0);
    let whole = last.is_none();
    let sent = with_work(partition, ui, |work| {
        client::ask(work, &arguments.command, limit, &mut |line| {
            if whole {
                raw_line(line);
            }
        })
    })?;
    if let Some(lines) = last {
        let log = ServerLog::shown(partition);
        ui.stream(&mut log.tail(lines as usize)?)
            .map_err(Error::file("read", log.path()))?;
    }
    tell(partition, &sent, arguments.timeout, ui);
    Ok(match sent.sender {
        Some(end) if !end.success() => Exit::Failed,
        _ => Exit::Done,
    })
}

/// What the output alone does not say, on stderr.
fn tell(partition: &Partition, sent: &Sent, seconds: u32, ui: &mut Ui) {
    let limit = count(seconds, "second");
    match sent.sender {
        Some(end) if !end.success() => ui.error(&format!(
            "{} -c {}; the command may not have been taken",
            partition.program("server").display(),
            end.describe()
        )),
        Some(_) if sent.lines == 0 && seconds > 0 => ui.error(&format!(
            "no output within {limit}; it may still come: {}",
            shown(ServerLog::shown(partition).path().as_os_str())
        )),
        None if seconds > 0 => ui.error(&format!(
            "the server has not taken the command within {limit}; it is still being sent"
        )),
        _ => {}
    }
}
