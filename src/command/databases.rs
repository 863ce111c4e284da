//! `compact`, `fixup`, `restartcompact`, `restartfixup`, `compactnextstart`.

use super::identity::{self, Needs};
use super::{Call, loading, restart, start, stop, with_work};
use crate::cli::StartArgs;
use crate::cli::databases::{DatabasesVerb, OnceState};
use crate::domino::databases::{Maintenance, maintain};
use crate::domino::state::State;
use crate::domino::tools::Work;
use crate::domino::{Partition, lock, processes};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::settings::{Settings, kind};
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Runs a verb of this family.
pub fn run(call: &Call, verb: DatabasesVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        DatabasesVerb::Compact(given) => alone(call, Maintenance::Compact, &given.options, ui),
        DatabasesVerb::Fixup(given) => alone(call, Maintenance::Fixup, &given.options, ui),
        DatabasesVerb::Restartcompact(given) => {
            between(call, Maintenance::Compact, &given.options, ui)
        }
        DatabasesVerb::Restartfixup(given) => between(call, Maintenance::Fixup, &given.options, ui),
        DatabasesVerb::Compactnextstart { state } => once(call, state, ui),
    }
}

/// The runs of the tool that are asked for, each with its options: one
/// argument is read as the setting is, several are taken as they are.
fn runs(settings: &Settings, which: Maintenance, given: &[OsString]) -> Result<Vec<Vec<OsString>>> {
    let given = match given {
        [] => None,
        // The original's callers pass empty arguments on.
        [one] => Some(
            kind::words(one.as_bytes())
                .ok_or_else(|| Error::Usage(format!("'{}': a quote is not closed", shown(one))))?,
        )
        .filter(|words| !words.is_empty()),
        several => Some(several.to_vec()),
    };
    let (configured, log) = match which {
        Maintenance::Fixup => (&settings.fixup_options.value, None),
        Maintenance::Compact => (
            &settings.compact_options.value,
            settings.log_compact_options.value.clone(),
        ),
    };
    Ok(given
        .or_else(|| configured.clone())
        .into_iter()
        .chain(log)
        .collect())
}

fn setting(which: Maintenance) -> &'static str {
    match which {
        Maintenance::Compact => "DOMINO_COMPACT_OPTIONS",
        Maintenance::Fixup => "DOMINO_FIXUP_OPTIONS",
    }
}

fn verb(which: Maintenance) -> &'static str {
    match which {
        Maintenance::Compact => "compact",
        Maintenance::Fixup => "fixup",
    }
}

/// The tool alone, for a server that is down.
fn alone(call: &Call, which: Maintenance, given: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let access = loading::access(call, Needs::Login, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    start::check(&partition)?;
    let runs = runs(&partition.settings, which, given)?;
    if runs.is_empty() {
        return Err(Error::Refused {
            message: format!(
                "nothing to do: set {} in the configuration, or give the options here",
                setting(which)
            ),
            exit: Exit::NotConfigured,
        });
    }
    // Said at once, not after a wait for the lock.
    require_down(&partition)?;
    with_work(&partition, ui, |work| {
        let _lock = lock::acquire(work)?;
        require_down(&partition)?;
        maintain_all(work, which, &runs)
    })
}

fn require_down(partition: &Partition) -> Result<()> {
    let state = State::of(processes::find(partition)?);
    if state.can_start() {
        return Ok(());
    }
    if state.is_running() {
        return Err(Error::NeedsStopped {
            server: partition.name(),
        });
    }
    Err(Error::StillRunning(format!(
        "this Domino's databases may be open still; running: {}; 'rc_domino stop' sees it off",
        processes::list(state.processes())
    )))
}

/// Runs the tool for each set of options; the first code that is not 0 stays.
fn maintain_all(work: &mut Work, which: Maintenance, runs: &[Vec<OsString>]) -> Result<Exit> {
    let mut exit = Exit::Done;
    for options in runs {
        let ended = maintain(work, which, options)?;
        if exit == Exit::Done && ended.code() != 0 {
            exit = Exit::Passed(ended.code());
        }
    }
    Ok(exit)
}

/// Stop, tool, start: under one lock, or through the unit.
fn between(call: &Call, which: Maintenance, given: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if loading::unit_to_start(call, &identity)?.is_some() {
        // The tool runs as the verb does that is called alone. Its own lock
        // keeps a start by others waiting.
        let mut verb: Vec<OsString> = vec![verb(which).into()];
        verb.extend(given.iter().cloned());
        return restart::through_unit(call, &identity, &verb, StartArgs::default(), ui);
    }
    restart::outlive_terminal()?;
    let access = loading::access_as(call, &identity, Needs::Login, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    restart::check(&partition)?;
    let runs = runs(&partition.settings, which, given)?;
    with_work(&partition, ui, |work| {
        let lock = lock::acquire(work)?;
        let stopped = stop::stop_locked(work, &lock, false);
        let stopped = restart::on_the_way(work, stopped)?;
        work.check_signals("the server is down; it was not started again")?;
        if runs.is_empty() {
            work.reporter.warn(&format!(
                "{} is not set: nothing to do between stop and start",
                setting(which)
            ));
        }
        let tool = if runs.is_empty() {
            Exit::NotConfigured
        } else {
            let ended = maintain_all(work, which, &runs);
            still_start(work, ended)?
        };
        let started = start::start_locked(work, &lock, StartArgs::default())?;
        Ok(restart::verdict(stopped, tool, started))
    })
}

/// A tool that could not be run is no reason to leave the server down; a
/// signal is, since it asks for everything to end.
fn still_start(work: &mut Work, tool: Result<Exit>) -> Result<Exit> {
    match tool {
        Err(Error::Interrupted { signal, state }) => Err(Error::Interrupted {
            signal,
            state: format!("{state}; the server is down, 'rc_domino start' starts it"),
        }),
        Err(error) => {
            work.reporter.warn(&error.to_string());
            Ok(error.exit())
        }
        Ok(exit) => Ok(exit),
    }
}

/// `compactnextstart`.
fn once(call: &Call, state: OnceState, ui: &mut Ui) -> Result<Exit> {
    let access = loading::access(call, Needs::Rights, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let settings = &partition.settings;
    let marker = settings.nextstart_compact_file();
    match state {
        OnceState::Status => {}
        OnceState::On => {
            // A marker that is there already stays as it is.
            match std::fs::File::create_new(&marker) {
                Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::file("create", &marker)(cause));
                }
                _ => {}
            }
        }
        OnceState::Off => match std::fs::remove_file(&marker) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &marker)(cause));
            }
            _ => {}
        },
    }
    if !marker.exists() {
        ui.line("Compact at the next start: OFF");
        return Ok(Exit::Done);
    }
    ui.line("Compact at the next start: ON");
    let task = shown(&settings.compact_task.value);
    let mut any = false;
    for (name, options) in [
        ("databases", &settings.compact_options.value),
        ("log.nsf", &settings.log_compact_options.value),
    ] {
        if let Some(options) = options {
            any = true;
            let options = shown(&options.join(OsStr::new(" ")));
            ui.line(&format!("  {name}: {task} {options}"));
        }
    }
    if !any {
        use crate::domino::Reporter;
        ui.warn("neither DOMINO_COMPACT_OPTIONS nor DOMINO_LOG_COMPACT_OPTIONS is set: nothing would be compacted");
    }
    Ok(Exit::Done)
}
