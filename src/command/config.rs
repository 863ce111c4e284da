//! The verbs that show, check and edit the configuration.

mod check;
mod edit;
mod list;

use super::identity::{self, Identity, Needs, Standing};
use super::{Call, loading, switch};
use crate::cli::config::ConfigVerb;
use crate::domino::{Partition, environment, processes, state::State};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::settings::scope::is_name;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Name and value pairs.
type Environment = Vec<(OsString, OsString)>;

/// Runs a verb of this family.
pub fn run(call: &Call, verb: ConfigVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        ConfigVerb::Inivar { name } => {
            with_partition(call, ui, |partition, ui| inivar(partition, &name, ui))
        }
        ConfigVerb::Listini => with_partition(call, ui, list::notes_ini),
        ConfigVerb::Ini => with_partition(call, ui, |partition, ui| {
            edit::notes_ini(call, partition, ui)
        }),
        ConfigVerb::Config { which } => edit::config(call, which.as_deref(), ui),
        ConfigVerb::Listcfg(arguments) if arguments.effective => {
            with_partition(call, ui, |partition, ui| {
                list::effective(partition, arguments.json, ui)
            })
        }
        ConfigVerb::Listcfg(arguments) => list::file(call, arguments.which.as_deref(), ui),
        ConfigVerb::Systemdcfg => edit::unit(call, ui),
        ConfigVerb::Setenv => setenv(call, ui),
        ConfigVerb::Check { json } => check::run(call, json, ui),
    }
}

fn with_partition(
    call: &Call,
    ui: &mut Ui,
    act: impl FnOnce(&Partition, &mut Ui) -> Result<Exit>,
) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if identity.standing == Standing::Other {
        return through_sudo(call, &identity, ui);
    }
    let access = loading::access_as(call, &identity, Needs::Rights, ui)?;
    match loading::here(access) {
        Ok(partition) => act(&partition, ui),
        Err(exit) => Ok(exit),
    }
}

/// Runs the verb again as root. These verbs may answer 1, which must not be
/// taken for sudo's refusal.
fn through_sudo(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Exit> {
    switch::run_through_sudo(call, identity, Needs::Login, ui)
}

/// Gives up root's rights, where there are any, and tells the environment that
/// is left.
fn as_user(call: &Call, identity: &Identity) -> Result<Environment> {
    match identity.standing {
        Standing::Root => switch::become_user(call, &identity.user),
        Standing::Himself | Standing::Other => Ok(call.environment.clone()),
    }
}

/// The configuration file that is meant by `default`, `server`, a path, or
/// nothing: then the server's own if there is one, else the default.
fn file_meant(call: &Call, identity: &Identity, which: Option<&OsStr>) -> Result<PathBuf> {
    let [default, own] = crate::settings::configuration_files(&call.root, &identity.user.name)?;
    match which.filter(|which| !which.is_empty()) {
        None if own.symlink_metadata().is_ok() => Ok(own),
        None => Ok(default),
        Some(which) if which == "default" => Ok(default),
        Some(which) if which == "server" => Ok(own),
        // Before the working directory changes with the user.
        Some(which) => std::path::absolute(which).map_err(Error::file("find", which)),
    }
}

fn inivar(partition: &Partition, name: &OsStr, ui: &mut Ui) -> Result<Exit> {
    let ini = partition.notes_ini()?;
    let found = name.to_str().and_then(|name| ini.get(name));
    let Some(value) = found else {
        return Err(Error::Refused {
            message: format!(
                "{} has no {}",
                partition.settings.ini_path().display(),
                shown(name)
            ),
            exit: Exit::Failed,
        });
    };
    ui.bytes(&[value.as_bytes(), b"\n"].concat());
    Ok(Exit::Done)
}

/// Prints what Domino's programs are given beyond what the caller has.
fn setenv(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if identity.standing != Standing::Himself {
        let user = shown(&identity.user.name);
        return Err(Error::Refused {
            message: format!(
                "setenv is for user '{user}' alone, since it puts directories he can write to into the search path; try: su - {user}, then rc_domino setenv"
            ),
            exit: Exit::Privilege,
        });
    }
    with_partition(call, ui, |partition, ui| {
        let state = State::of(processes::find(partition)?);
        let server = state.server().map(|server| server.pid());
        let mut text = Vec::new();
        for (name, value) in environment::for_programs(partition, server) {
            let old = call
                .environment
                .iter()
                .find(|(known, _)| *known == name)
                .map_or_else(OsString::new, |(_, old)| old.clone());
            if old != value && is_name(name.as_bytes()) {
                text.extend_from_slice(b"export ");
                text.extend_from_slice(name.as_bytes());
                text.push(b'=');
                text.extend_from_slice(&quoted(value.as_bytes()));
                text.push(b'\n');
            }
        }
        for name in partition
            .removed
            .iter()
            .filter(|name| is_name(name.as_bytes()))
        {
            text.extend_from_slice(&[b"unset ", name.as_bytes(), b"\n"].concat());
        }
        ui.bytes(&text);
        Ok(Exit::Done)
    })
}

/// A value in single quotes, as every shell reads it back.
fn quoted(value: &[u8]) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in value {
        match byte {
            b'\'' => text.extend_from_slice(b"'\\''"),
            other => text.push(*other),
        }
    }
    text.push(b'\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_one_word_to_a_shell() {
        assert_eq!(quoted(b"a b"), b"'a b'");
        assert_eq!(quoted(b"it's; $(id)\n"), b"'it'\\''s; $(id)\n'");
        assert_eq!(quoted(b""), b"''");
    }
}
