//! The verbs that look into a server, and those that end it by force.

mod cleanup;
mod nsd;
mod resources;
mod tasks;
mod verify;

pub use cleanup::finder;

use super::identity::Needs;
use super::loading;
use super::{Call, with_work};
use crate::cli::diagnosis::{DiagnosisVerb, TikaAction};
use crate::domino::processes::{self, Programs};
use crate::domino::{Partition, tika};
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;
use nsd::Collection;

/// Runs one of them.
pub fn run(call: &Call, verb: DiagnosisVerb, ui: &mut Ui) -> Result<Exit> {
    use DiagnosisVerb as Verb;
    match verb {
        Verb::Nsd(passed) => nsd::collect(call, Collection::Full, &passed.arguments, ui),
        Verb::Nsdnomem(passed) => nsd::collect(call, Collection::NoMemory, &passed.arguments, ui),
        Verb::Info(passed) => nsd::collect(call, Collection::Info, &passed.arguments, ui),
        Verb::Stacks(passed) => nsd::collect(call, Collection::Stacks, &passed.arguments, ui),
        Verb::Hang(passed) => nsd::collect(call, Collection::Hang, &passed.arguments, ui),
        Verb::Memdump(passed) => nsd::memory_dump(call, &passed.arguments, ui),
        Verb::Kill(passed) => nsd::kill(call, &passed.arguments, ui),
        Verb::Cleanup(arguments) => cleanup::run(call, arguments, ui),
        Verb::Resources(arguments) => resources::run(call, arguments, ui),
        Verb::Verify(arguments) => verify::run(call, arguments, ui),
        Verb::Proc => tasks::list(call, ui),
        Verb::Mon(arguments) => tasks::watch(call, arguments, ui),
        Verb::Tika { action } => end_tika(call, action, ui),
    }
}

/// The server, where the verb only needs its user's rights.
fn partition(call: &Call, ui: &mut Ui) -> Result<std::result::Result<Partition, Exit>> {
    Ok(loading::here(loading::access(call, Needs::Rights, ui)?))
}

fn end_tika(call: &Call, action: Option<TikaAction>, ui: &mut Ui) -> Result<Exit> {
    let partition = match partition(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let programs = Programs::of(&partition);
    let Some(action) = action else {
        let found = tika::find(&programs, partition.user.uid)?;
        if found.is_empty() {
            ui.line("Tika Server NOT running");
            return Ok(Exit::NotRunning);
        }
        ui.line(&format!("Tika Server running: {}", processes::list(&found)));
        return Ok(Exit::Done);
    };
    with_work(&partition, ui, |work| {
        let ended = tika::end(work, &programs, action == TikaAction::Kill)?;
        work.reporter.info(match ended {
            0 => "Tika Server was not running",
            _ => "Tika Server ended",
        });
        Ok(Exit::Done)
    })
}
