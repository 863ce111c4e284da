//! `cleanup`: shows what a server left behind, asks, removes it.

use super::super::{Call, with_work};
use crate::cli::diagnosis::{CleanupArgs, Spare};
use crate::domino::belongings::{self, Belonging, Finder, Reason};
use crate::domino::cleanup::{self, Plan, Removed};
use crate::domino::figures::many;
use crate::domino::processes::Role;
use crate::domino::tools::Work;
use crate::domino::{Partition, Reporter, lock};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::os::terminal::Echo;
use crate::ui::{Ui, has_terminal};

/// Runs the verb.
pub fn run(call: &Call, arguments: CleanupArgs, ui: &mut Ui) -> Result<Exit> {
    // The user's rights are enough, also for the hooks: a login may be what is
    // broken (no room for a further process, a full filesystem).
    let partition = match super::partition(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let finder = finder(&partition, ui)?;
    let plan = cleanup::plan(&partition, &finder, arguments.all_ipc)?;
    show(&plan, &partition, ui);
    let asks = !arguments.yes && has_terminal();
    if asks && !plan.is_empty() && !confirmed(ui)? {
        ui.line("Nothing was removed");
        return Ok(Exit::Failed);
    }
    with_work(&partition, ui, |work| {
        let _lock = lock_if_possible(work)?;
        refuse_new(arguments.spare, &plan, finder.find()?)?;
        let removed = cleanup::run(work, &finder, arguments.all_ipc)?;
        Ok(report(work, &removed))
    })
}

/// Who belongs to the server; says which directories do not count.
pub fn finder(partition: &Partition, ui: &mut Ui) -> Result<Finder> {
    Finder::of(partition, |directory| {
        ui.warn(&format!(
            "DOMINO_3RD_PARTY_BIN_DIRS: '{}' is not counted: name a directory by its whole path, below a first-level one",
            shown(directory)
        ));
    })
}

fn show(plan: &Plan, partition: &Partition, ui: &mut Ui) {
    let name = shown(&partition.name());
    if plan.is_empty() {
        ui.line(&format!("Domino server {name} left nothing behind"));
        return;
    }
    ui.line(&format!("To be removed for Domino server {name}:"));
    for found in &plan.processes {
        let exe = found.process.exe.as_deref();
        ui.line(&format!(
            "  process {found} {}",
            exe.map(|exe| shown(exe.as_os_str())).unwrap_or_default()
        ));
    }
    for file in &plan.files {
        ui.line(&format!("  file {}", shown(file.as_os_str())));
    }
    for object in &plan.ipc {
        let (kind, id, bytes) = (object.kind, object.id, object.bytes);
        ui.line(&match bytes {
            0 => format!("  {kind} {id}"),
            _ => format!("  {kind} {id}, {bytes} bytes"),
        });
    }
    for (object, why) in &plan.kept {
        ui.line(&format!("To stay: {} {}: {why}", object.kind, object.id));
    }
    if plan.kills_a_server() {
        ui.warn("databases are open and will not be closed cleanly; 'rc_domino stop' closes them");
    }
}

fn confirmed(ui: &mut Ui) -> Result<bool> {
    let question = "Remove all this? Type yes: ";
    let answer = ui.ask(Echo::On, question, "nothing was removed")?;
    Ok(answer.is_some_and(|answer| answer.trim_ascii().eq_ignore_ascii_case(b"yes")))
}

/// The server's lock; where there is no place for it, nobody else has it.
fn lock_if_possible(work: &mut Work) -> Result<Option<Lock>> {
    match lock::acquire(work) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ Error::File { .. }) => {
            work.reporter.warn(&format!("{error}; going on without"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A start may have had the lock meanwhile. The server that it brought up is
/// none that was left behind, and nobody has seen it on the list.
fn refuse_new(spare: Option<Spare>, plan: &Plan, mut now: Vec<Belonging>) -> Result<()> {
    let was_shown = |found: &Belonging| {
        let id = |one: &Belonging| (one.process.pid, one.process.start_ticks);
        plan.processes.iter().any(|known| id(known) == id(found))
    };
    now.retain(|found| {
        let is_server = found.reason == Reason::Domino(Role::Server);
        match spare {
            Some(Spare::Processes) => true,
            Some(Spare::Server) => is_server,
            None => is_server && !was_shown(found),
        }
    });
    if now.is_empty() {
        return Ok(());
    }
    let came = belongings::list(&now);
    Err(Error::StillRunning(format!(
        "nothing was removed: started meanwhile: {came}"
    )))
}

fn report(work: &mut Work, removed: &Removed) -> Exit {
    work.reporter.info(&format!(
        "Removed {}, {}, {}",
        many(removed.processes, "process"),
        many(removed.files, "file"),
        many(removed.ipc, "IPC object"),
    ));
    for left in &removed.left {
        work.reporter.warn(left);
    }
    match removed.left.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    }
}
