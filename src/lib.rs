//! rc_domino: starts, stops and watches an HCL Domino server on Linux.
//!
//! Data flows one way: argv → command → settings → domino → os. The floors,
//! top down, are `cli`, `command`, `snapshot`, `service`, `domino`, `settings`
//! and `os`; a lower one never imports a higher one.

#![deny(unsafe_code)]

pub mod cli;
pub mod command;
pub mod domino;
pub mod error;
pub mod exit;
pub mod os;
pub mod service;
pub mod settings;
pub mod snapshot;
pub mod ui;

use cli::{Parsed, Persona};
use command::Call;
use error::Error;
use exit::Exit;
use std::ffi::OsString;
use ui::Ui;

/// Runs the program with these arguments and this environment. The only place
/// where errors are printed.
pub fn run(mut arguments: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> Exit {
    let persona = cli::persona(arguments.first().map(OsString::as_os_str));
    if persona == Persona::Agent {
        arguments.insert(1, "ocf".into());
    }
    let no_color = environment
        .iter()
        .any(|(name, value)| name == "NO_COLOR" && !value.is_empty());
    let cli = match cli::parse(arguments.clone()) {
        Parsed::Do(cli) => cli,
        Parsed::Print(text) => {
            Ui::new(cli::Color::Auto, no_color).text(&text);
            return Exit::Done;
        }
        Parsed::Misuse(text) => {
            Ui::new(cli::Color::Auto, no_color).error(&error::bounded(text.trim_end()));
            return Exit::Usage;
        }
    };
    let mut ui = Ui::new(cli.options.color, no_color);
    if cli.options.version {
        ui.line(env!("CARGO_PKG_VERSION"));
        return Exit::Done;
    }
    if cli.options.tied
        && let Err(cause) = os::process::end_with_parent()
    {
        ui.error(&cause.to_string());
        return Exit::Failed;
    }
    let verb = cli.verb;
    let call = Call {
        root: command::root_for(&environment),
        direct: cli.options.direct || cli.options.in_login || persona == Persona::Script,
        persona,
        user: cli.options.user,
        config: cli.options.config,
        shutdown_timeout: cli.options.shutdown_timeout,
        arguments,
        environment,
    };
    let done = match verb {
        Some(verb) => command::run(&call, verb, &mut ui),
        None if ui::has_terminal() => command::shell::menu(&call, &mut ui),
        None => {
            ui.error(cli::usage().trim_end());
            return Exit::Usage;
        }
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(error) => {
            report(&mut ui, &error);
            error.exit()
        }
    };
    ui::finish();
    if cli.options.in_login {
        exit.from_login()
    } else {
        exit
    }
}

fn report(ui: &mut Ui, error: &Error) {
    ui.error(&error.to_string());
}
