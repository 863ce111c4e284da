//! `help`, `update`, `completions`, the site's own commands and the menu.

mod custom;
mod menu;

pub use custom::run as custom;
pub use menu::run as menu;

use super::identity::Needs;
use super::loading;
use super::{Call, identity, switch};
use crate::cli::shell::ShellVerb;
use crate::cli::{self, completions, grouped};
use crate::domino::processes;
use crate::domino::state::State;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ui::Ui;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Runs one of the verbs.
pub fn run(call: &Call, verb: ShellVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        ShellVerb::Help { verb: None } => help(call, ui),
        ShellVerb::Help { verb: Some(verb) } => help_on(call, &verb, ui),
        ShellVerb::Update => update(ui),
        ShellVerb::Completions { shell } => {
            ui.text(&completions::script(shell));
            Ok(Exit::Done)
        }
        ShellVerb::Custom => {
            let site = custom::Site::of(call);
            for name in site.iter().flat_map(custom::Site::names) {
                ui.bytes(&[name.as_bytes(), b"\n"].concat());
            }
            Ok(Exit::Done)
        }
        ShellVerb::State => state(call, ui),
    }
}

/// All verbs, and the commands that the site added.
fn help(call: &Call, ui: &mut Ui) -> Result<Exit> {
    ui.text(&cli::help());
    for line in custom::Site::of(call)
        .iter()
        .flat_map(|site| site.help(call))
    {
        ui.line(&line);
    }
    Ok(Exit::Done)
}

fn help_on(call: &Call, verb: &OsStr, ui: &mut Ui) -> Result<Exit> {
    if let Some(text) = grouped::of_verb(verb) {
        ui.text(&text);
        return Ok(Exit::Done);
    }
    let site = custom::Site::of(call).filter(|site| site.names().iter().any(|name| name == verb));
    let Some(site) = site else {
        return Err(Error::UnknownVerb {
            nearest: cli::nearest_verb(verb),
            verb: verb.to_owned(),
        });
    };
    for line in site.help(call) {
        ui.line(&line);
    }
    Ok(Exit::Done)
}

/// No network: what is installed, where it lies, how a newer one gets there.
fn update(ui: &mut Ui) -> Result<Exit> {
    let program = switch::own_program()?;
    ui.line(&format!(
        "rc_domino {} is installed as {}",
        env!("CARGO_PKG_VERSION"),
        program.display()
    ));
    ui.line("");
    ui.line("rc_domino never looks for updates itself. A newer version comes from where this");
    ui.line("one came from: your distribution's package, or the project's own releases.");
    ui.line("");
    ui.line("To install it by hand, as root, while the server may go on running:");
    ui.line("  install -m 755 rc_domino /path/of/the/new/file.tmp   beside the old one");
    ui.line(&format!(
        "  mv /path/of/the/new/file.tmp {}   replaces it in one step",
        program.display()
    ));
    ui.line("  rc_domino version                                    shows the new number");
    Ok(Exit::Done)
}

/// For the menu: the server's name and what it does. No hook is run.
fn state(call: &Call, ui: &mut Ui) -> Result<Exit> {
    ui.only_results();
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let state = State::of(processes::find(&partition)?);
    ui.line(&crate::error::shown(&partition.name()));
    ui.line(&crate::domino::about::state_text(&state));
    Ok(if state.is_running() {
        Exit::Done
    } else {
        Exit::NotRunning
    })
}

/// A setting that is read as data only, for help and the menu: nothing is
/// executed and no rights are needed beyond those to read the files.
fn peek(call: &Call, name: &str) -> Option<std::ffi::OsString> {
    let identity = identity::settle(call).ok()?;
    crate::settings::peek(&call.root, &identity.user.name, name)
        .map(|(value, _)| value)
        .or_else(|| call.variable(name).map(OsStr::to_owned))
}
