//! `restart`: stop, then start, under one lock.

use super::identity::{self, Identity, Needs};
use super::{Call, live, loading, start, stop, with_work};
use crate::cli::StartArgs;
use crate::domino::start::refuse_disabled;
use crate::domino::{Partition, lock};
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;
use std::ffi::OsString;

/// Runs the verb. The server is started again also after a stop by force or a
/// crash: a restart is to end with a running server; the code still says so.
pub fn run(call: &Call, arguments: StartArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if loading::own_unit(call, &identity)?.is_some() {
        // Each half checks what systemd says against /proc. They run as
        // processes of their own: the first gives up root's rights.
        let stopped = stop_through_unit(call, &identity, ui)?;
        if !is_down(stopped) {
            return Ok(stopped);
        }
        let started = start::run(call, arguments, ui)?;
        return Ok(worse(stopped, started));
    }
    let access = loading::access_as(call, &identity, Needs::Login, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    check(&partition)?;
    let exit = with_work(&partition, ui, |work| {
        let lock = lock::acquire(work)?;
        let stopped = stop::stop_locked(work, &lock, false)?;
        work.check_signals("the server is down; it was not started again")?;
        let started = start::start_locked(work, &lock, arguments)?;
        Ok(worse(stopped, started))
    })?;
    if arguments.live.is_some() && exit == Exit::Done {
        return live::on_partition(&partition, false, ui);
    }
    Ok(exit)
}

/// What must be right before the stop: a server must not be left down by a
/// restart.
pub fn check(partition: &Partition) -> Result<()> {
    start::check(partition)?;
    refuse_disabled(partition)
}

/// `__restartable`: checks that, for a caller who keeps root's rights.
pub fn restartable(call: &Call, ui: &mut Ui) -> Result<Exit> {
    match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => check(&partition).map(|()| Exit::Done),
        Err(exit) => Ok(exit),
    }
}

/// Stops the server through its unit, to be started again: not where a start
/// would be refused, nor where systemd does not obey this caller.
pub fn stop_through_unit(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Exit> {
    match in_child(call, identity, &["__restartable".into()], ui)? {
        Exit::Done => in_child(call, identity, &["__restart_stop".into()], ui),
        refused => Ok(refused),
    }
}

/// Whether a stop that answered this left nothing running and was not broken
/// off: only then is a start what the caller still wants.
pub fn is_down(stopped: Exit) -> bool {
    matches!(stopped, Exit::Done | Exit::Unclean | Exit::Crashed)
}

/// Runs another verb for the same server in a process of its own, with the
/// rights this one was called with. A verb that failed answers `Passed`.
pub fn in_child(call: &Call, identity: &Identity, verb: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let mut launch = crate::os::spawn::Launch::new(super::switch::own_program()?);
    // The name this program was called by may have told the user; the
    // program's own file does not.
    launch
        .args
        .extend(["--user".into(), identity.user.name.clone()]);
    launch.args.extend(verb.iter().cloned());
    launch.env = call.environment.clone();
    super::switch::run_in_front(launch, ui)
}

/// What a stop and a start come to together.
pub fn worse(stopped: Exit, started: Exit) -> Exit {
    if started == Exit::Done {
        stopped
    } else {
        started
    }
}
