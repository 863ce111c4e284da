//! `healthcheck`: one line and a code for probes, at little cost.

use super::Call;
use super::identity::Needs;
use super::loading;
use crate::cli::foreground::{Health, HealthArgs};
use crate::domino::Partition;
use crate::domino::lock::LOCK_FILE;
use crate::domino::processes::{self, Role};
use crate::domino::readiness::{self, Readiness};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::ui::Ui;

/// Runs the verb. Any failure is a "no": a probe knows no other codes.
pub fn run(call: &Call, arguments: HealthArgs, ui: &mut Ui) -> Result<Exit> {
    let (healthy, text) = match answer(call, arguments.what, ui) {
        Ok(answer) => answer,
        Err(error) => {
            let text = error.to_string();
            (false, text.lines().next().unwrap_or_default().to_owned())
        }
    };
    ui.line(&text);
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

fn answer(call: &Call, what: Health, ui: &mut Ui) -> Result<(bool, String)> {
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok((exit == Exit::Done, "asked through sudo".to_owned())),
    };
    let name = shown(&partition.name());
    let Some(server) = processes::server(&partition)? else {
        let nsd = |found: &processes::DominoProcess| found.role == Role::Nsd;
        return Ok(match what {
            Health::Ready => (false, format!("not ready: {name} does not run")),
            Health::Live if is_worked_on(&partition)? => {
                (true, format!("live: rc_domino is at work with {name}"))
            }
            Health::Live if processes::find(&partition)?.iter().any(nsd) => {
                (true, format!("live: NSD is at work with {name}"))
            }
            Health::Live => (false, format!("not live: {name} does not run")),
        });
    };
    if what == Health::Live {
        return Ok((true, format!("live: {name} runs (pid {server})")));
    }
    // Only a start or a stop holds the lock while there is a server.
    if is_worked_on(&partition)? {
        return Ok((false, format!("not ready: {name} is started or stopped")));
    }
    if readiness::remembered(&partition, server) {
        return Ok((true, format!("ready: {name} (pid {server})")));
    }
    Ok(
        match Readiness::new(&partition, readiness::expected_from(&partition)).look()? {
            Some(ready) if !ready.serves() => {
                (false, format!("not ready: {name} (pid {server}): {ready}"))
            }
            Some(ready) => {
                readiness::remember(&partition, server);
                (true, format!("ready: {name} (pid {server}): {ready}"))
            }
            None => (false, format!("not ready: {name} (pid {server}) starts up")),
        },
    )
}

/// Whether a start, a stop or the like is under way.
fn is_worked_on(partition: &Partition) -> Result<bool> {
    let path = partition.data().join(LOCK_FILE);
    let lock = Lock::try_acquire(&path).map_err(Error::file("lock", &path))?;
    Ok(lock.is_none())
}
