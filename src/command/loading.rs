//! From a call to a server to act on: user settled, rights dropped, settings
//! loaded, in that order.

use super::Call;
use super::identity::{self, Identity, Needs, Standing};
use super::switch;
use crate::cli;
use crate::domino::{Partition, Reporter};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::process::{FIRST, Pid, self_pid};
use crate::service;
use crate::service::systemd::Unit;
use crate::settings::{Loaded, Source};
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Names a further configuration file.
const ENV_FILE: &str = "DOMINO_ENV_FILE";

/// A server to act on, or the answer of another process that acted on it.
pub enum Access {
    /// Here it is; this process is the Domino user.
    Here(Box<Partition>),
    /// The verb was run by a process that is; this is its answer.
    Elsewhere(Exit),
}

/// Settles the user and gets at his server.
pub fn access(call: &Call, needs: Needs, ui: &mut Ui) -> Result<Access> {
    let identity = identity::settle(call)?;
    access_as(call, &identity, needs, ui)
}

/// As [`access`], with the user settled already.
pub fn access_as(call: &Call, identity: &Identity, needs: Needs, ui: &mut Ui) -> Result<Access> {
    match (identity.standing, needs) {
        (Standing::Other, _) => {
            switch::run_through_sudo(call, identity, needs, ui).map(Access::Elsewhere)
        }
        (Standing::Root, Needs::Login) if !in_container() => {
            let arguments = verb_arguments(call);
            switch::run_as_login(&identity.user, &arguments, ui).map(Access::Elsewhere)
        }
        (Standing::Root | Standing::Himself, _) => {
            load_as(call, identity, ui).map(|partition| Access::Here(Box::new(partition)))
        }
    }
}

/// Notes for the host's init scripts what became of a start or stop that root
/// has called and another process has done. Only root can.
pub fn note_for_init(call: &Call, identity: &Identity, started: bool, ui: &mut Ui) {
    if identity.standing != Standing::Root {
        return;
    }
    let user = &identity.user.name;
    let is_default = *user == identity::default_user(call);
    if let Err(problem) = service::subsys::note(&call.root, user, is_default, started) {
        ui.warn(&problem);
    }
}

/// Whether this is a container that `run` is the first process of: there are no
/// logins in it, and its environment is its configuration.
fn in_container() -> bool {
    let program = |pid: Pid| {
        let file = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    let own = self_pid();
    own == FIRST || program(FIRST).is_some_and(|first| program(own) == Some(first))
}

/// Becomes the Domino user in this process, where it is not him yet, and
/// loads his server's settings.
pub fn load_as(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Partition> {
    if in_container() {
        return load_in_container(call, identity, ui);
    }
    let inherited = if identity.standing == Standing::Root {
        switch::become_user(call, &identity.user)?
    } else {
        call.environment.clone()
    };
    load(call, identity, inherited, ui)
}

/// The same in a container: what its environment says is its configuration, also
/// where root has to become the user.
fn load_in_container(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Partition> {
    let mut inherited = if identity.standing == Standing::Root {
        switch::become_user(call, &identity.user)?
    } else {
        Vec::new()
    };
    for (name, value) in &call.environment {
        if !inherited.iter().any(|(known, _)| known == name) {
            inherited.push((name.clone(), value.clone()));
        }
    }
    load(call, identity, inherited, ui)
}

/// Loads the settings of the server once more, in a process that is its user's
/// by now.
pub fn load_again(
    call: &Call,
    identity: &Identity,
    before: &Partition,
    ui: &mut Ui,
) -> Result<Partition> {
    load(call, identity, before.inherited.clone(), ui)
}

fn load(
    call: &Call,
    identity: &Identity,
    mut inherited: Vec<(OsString, OsString)>,
    ui: &mut Ui,
) -> Result<Partition> {
    if let Some(file) = &call.config {
        check_owner(Path::new(file), identity)?;
        inherited.retain(|(name, _)| name != ENV_FILE);
        inherited.push((ENV_FILE.into(), file.clone()));
    }
    let user = &identity.user.name;
    let mut loaded = match crate::settings::load(&call.root, user, &inherited) {
        Err(error) if is_units_stop(call) => {
            ui.warn(&format!(
                "{error}; the server is stopped by what can be read of its configuration"
            ));
            crate::settings::load_what_can_be_read(&call.root, user, &inherited)?
        }
        read => read?,
    };
    if let Some(file) = &call.config
        && !loaded.files.iter().any(|read| read == Path::new(file))
    {
        return Err(not_taken(
            file,
            "was not read: the configuration sets DOMINO_ENV_FILE itself, or calls exit",
        ));
    }
    if let Some(seconds) = call.shutdown_timeout {
        let time = Duration::from_secs(seconds.into());
        loaded.settings.allow_shutdown(time);
    }
    for warning in &loaded.warnings {
        ui.warn(&warning.to_string());
    }
    if let Some(mask) = loaded.settings.umask.value {
        crate::os::limits::set_umask(mask);
    }
    if loaded.settings.debug_mode.value {
        write_debug(call, &loaded, ui);
    }
    Ok(partition(call, identity, inherited, loaded))
}

/// Whether systemd calls this as a stop command of its unit (ExecStop=,
/// ExecStopPost=: only these get the variable, systemd.exec(5)). One that
/// refuses has systemd end the server by signals.
pub fn is_units_stop(call: &Call) -> bool {
    let is_stop = |verb: OsString| verb == "stop" || verb == "quit";
    call.direct
        && call.variable("SERVICE_RESULT").is_some()
        && cli::verb_of(&call.arguments).is_some_and(is_stop)
}

/// What is named on a command line may come from somebody whom sudo lets call
/// this program and nothing else: it must not make him the Domino user.
fn check_owner(file: &Path, identity: &Identity) -> Result<()> {
    let found =
        std::fs::metadata(file).map_err(|cause| not_taken(file.as_os_str(), &cause.to_string()))?;
    let his = found.uid() == 0 || found.uid() == identity.user.uid;
    if his && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(not_taken(
        file.as_os_str(),
        "must belong to root or the Domino user, and nobody else may write to it",
    ))
}

fn not_taken(file: &OsStr, problem: &str) -> Error {
    Error::Path {
        path: file.into(),
        problem: problem.to_owned(),
    }
}

/// The server that loaded settings describe.
pub fn partition(
    call: &Call,
    identity: &Identity,
    inherited: Vec<(OsString, OsString)>,
    loaded: Loaded,
) -> Partition {
    Partition {
        user: identity.user.clone(),
        root: call.root.clone(),
        settings: loaded.settings,
        exports: loaded.exports,
        removed: loaded.removed,
        inherited,
        systemd: service::systemd_is_in_charge(&call.root),
    }
}

/// DOMINO_DEBUG_MODE: what was called and what the configuration came to, in
/// DOMINO_DEBUG_FILE or on the screen.
fn write_debug(call: &Call, loaded: &Loaded, ui: &mut Ui) {
    let words: Vec<String> = call.arguments.iter().map(|word| shown(word)).collect();
    let mut text = format!("debug: called as {}\n", words.join(" "));
    for file in &loaded.files {
        text.push_str(&format!("debug: read {}\n", file.display()));
    }
    for (entry, effective) in loaded.settings.all_effective() {
        if let Some(effective) = effective.filter(|found| found.source != Source::Default) {
            text.push_str(&format!(
                "debug: {}={} ({})\n",
                entry.name,
                shown(&effective.text),
                effective.source
            ));
        }
    }
    let Some(file) = &loaded.settings.debug_file.value else {
        ui.aside(&text);
        return;
    };
    let written = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(cause) = written {
        ui.warn(&format!(
            "cannot write to {} (DOMINO_DEBUG_FILE): {cause}",
            file.display()
        ));
    }
}

/// The command line without `--user` and `--direct` in front of the verb: whoever
/// calls this program again says those himself.
pub fn verb_arguments(call: &Call) -> Vec<OsString> {
    let mut arguments = call.arguments.iter().skip(1);
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--user" {
            arguments.next();
        } else if matches!(&*text, "--color" | "--config" | "--shutdown-timeout") {
            rest.push(argument.clone());
            rest.extend(arguments.next().cloned());
        } else if !text.starts_with('-') {
            // The verb: from here on everything is its own.
            rest.push(argument.clone());
            rest.extend(arguments.by_ref().cloned());
        } else if text != "--direct" && !text.starts_with("--user=") {
            rest.push(argument.clone());
        }
    }
    rest
}

/// The server of a call whose verb never needs more than the user's rights.
pub fn here(access: Access) -> std::result::Result<Partition, Exit> {
    match access {
        Access::Here(partition) => Ok(*partition),
        Access::Elsewhere(exit) => Err(exit),
    }
}

/// The unit of this user's server, where systemd runs this host, has such a
/// unit, and this call does not go past it.
pub fn unit(call: &Call, identity: &Identity) -> Result<Option<Unit>> {
    Ok(match managed(call, identity)? {
        Managed::By(unit) => Some(unit),
        Managed::Masked(_) | Managed::Not => None,
    })
}

/// As [`unit()`], for verbs that show it or hand on to systemctl: also where it
/// is masked.
pub fn unit_to_show(call: &Call, identity: &Identity) -> Result<Option<Unit>> {
    Ok(match managed(call, identity)? {
        Managed::By(unit) | Managed::Masked(unit) => Some(unit),
        Managed::Not => None,
    })
}

/// Whether systemd runs a server.
enum Managed {
    By(Unit),
    /// It has such a unit, which must never be started.
    Masked(Unit),
    Not,
}

fn managed(call: &Call, identity: &Identity) -> Result<Managed> {
    if call.direct || !service::systemd_is_in_charge(&call.root) {
        return Ok(Managed::Not);
    }
    // Data only: nothing of the configuration is executed to learn a name.
    let name = crate::settings::peek(&call.root, &identity.user.name, "DOMINO_SYSTEMD_NAME")
        .map_or_else(|| OsString::from("domino.service"), |(name, _)| name);
    let unit = Unit::new(&name)?;
    let state = unit.state()?;
    if state.is_masked() {
        return Ok(Managed::Masked(unit));
    }
    if !state.is_loaded() {
        return Ok(Managed::Not);
    }
    // The configuration belongs to the Domino user: it must not make root
    // start and stop other people's services.
    let user = state.user();
    if user != identity.user.name.to_string_lossy() && user != identity.user.uid.to_string() {
        return Err(Error::Service {
            message: format!(
                "unit {} runs as '{}', not as '{}'; correct User= in the unit or DOMINO_SYSTEMD_NAME in the configuration",
                crate::error::shown(&name),
                user,
                crate::error::shown(&identity.user.name)
            ),
            exit: Exit::NotConfigured,
        });
    }
    Ok(Managed::By(unit))
}

/// As [`unit()`], for a stop: a caller who is neither root nor the Domino user
/// acts as root, through sudo, or not at all. A server can be stopped also where
/// systemd does not answer.
pub fn unit_to_stop(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Option<Unit>> {
    if identity.standing == Standing::Other {
        return Ok(None);
    }
    unit(call, identity).or_else(|error| match error {
        Error::Program { .. }
        | Error::Service {
            exit: Exit::Failed, ..
        } => {
            ui.warn(&format!("{error}; the server is stopped without systemd"));
            Ok(None)
        }
        other => Err(other),
    })
}

/// As [`unit()`], for verbs that start the server: a mask is the
/// administrator's word that it must not.
pub fn unit_to_start(call: &Call, identity: &Identity) -> Result<Option<Unit>> {
    if identity.standing == Standing::Other {
        return Ok(None);
    }
    match managed(call, identity)? {
        Managed::By(unit) => Ok(Some(unit)),
        Managed::Not => Ok(None),
        Managed::Masked(unit) => {
            let name = shown(unit.name());
            Err(Error::Service {
                message: format!(
                    "unit {name} is masked: this server is not to be started; 'systemctl unmask {name}' lifts that"
                ),
                exit: Exit::Disabled,
            })
        }
    }
}

/// How long a start or stop waits for another, as far as it can be told
/// without becoming the Domino user.
pub fn lock_timeout(call: &Call, identity: &Identity) -> Duration {
    let given = call.shutdown_timeout;
    let shutdown = given.map(|seconds| Duration::from_secs(seconds.into()));
    crate::settings::peek_lock_timeout(&call.root, &identity.user.name, shutdown)
}

/// Whether systemctl is to be called through sudo.
pub fn through_sudo(call: &Call) -> bool {
    crate::os::users::effective_uid() != 0 && call.variable("DOMINO_NO_SUDO").is_none()
}
