//! The verbs of those who manage services: every server of a host at once,
//! and what LSB wants beside start, stop, restart and status.

mod all;
mod freezing;
mod outcomes;
mod siblings;
mod table;

use super::identity::{self, Needs};
use super::{Call, loading, ocf, restart, with_work};
use crate::cli::StartArgs;
use crate::cli::managers::ManagersVerb;
use crate::domino::{claim, lock, processes};
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;
use siblings::Siblings;

/// Runs one of them.
pub fn run(call: &Call, verb: ManagersVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        ManagersVerb::All(arguments) => all::run(call, &arguments.words, ui),
        ManagersVerb::Ocf { action } => Ok(ocf::run(call, action.as_deref(), ui)),
        ManagersVerb::TryRestart | ManagersVerb::ForceReload => try_restart(call, ui),
        ManagersVerb::TakeOver => take_over(call, ui),
    }
}

/// Restarts a server that runs. Looking is done by a process of its own: it
/// gives up rights that the restart needs.
fn try_restart(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let user = identity::settle(call)?.user.name;
    let seen =
        Siblings::of(call, &[])?.ask(std::slice::from_ref(&user), &["__state".into()], ui)?;
    match seen.first().map_or(Exit::Failed, |answer| answer.exit) {
        Exit::Done => restart::run(call, StartArgs::default(), ui),
        Exit::NotRunning => {
            ui.line("The server does not run: there is nothing to restart");
            Ok(Exit::Done)
        }
        other => Ok(other),
    }
}

/// The claim for a start that the service manager is going to make.
fn take_over(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    with_work(&partition, ui, |work| {
        let _lock = lock::acquire(work)?;
        if processes::find(work.partition)?.is_empty() {
            claim::take_over(work)?;
        }
        Ok(Exit::Done)
    })
}
