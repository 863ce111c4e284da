//! `restart`: stop, then start, under one lock.

use super::identity::{self, Identity, Needs};
use super::{Call, live, loading, start, stop, with_work};
use crate::cli::StartArgs;
use crate::domino::start::refuse_disabled;
use crate::domino::tools::number;
use crate::domino::{Partition, Reporter, lock};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::crew;
use crate::os::signals::Signals;
use crate::ui::Ui;
use std::ffi::OsString;

const NOT_STARTED: &str = "the server is down; it was not started again";

const NOT_AGAIN: &str = "this restart was asked to end: it does not start the server again";

/// Runs the verb. The server is started again also after a stop by force or a
/// crash: a restart is to end with a running server; the code still says so.
pub fn run(call: &Call, arguments: StartArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if loading::own_unit(call, &identity)?.is_some() {
        // Each half checks what systemd says against /proc. They run as
        // processes of their own: the first gives up root's rights.
        let stopped = stop_through_unit(call, &identity, ui)?;
        if let Exit::Signal(_) = stopped {
            ui.warn(NOT_AGAIN);
        }
        if !is_down(stopped) {
            return Ok(stopped);
        }
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        await_turn(arguments, &signals)?;
        drop(signals);
        let started = start::in_any_case(call, &identity, arguments, ui)?;
        return Ok(worse(stopped, started));
    }
    let access = loading::access_as(call, &identity, Needs::Login, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => {
            // What these say is how the stop went: the server is up again.
            if is_down(exit) {
                loading::note_for_init(call, &identity, true, ui);
            }
            return Ok(exit);
        }
    };
    check(&partition)?;
    let exit = with_work(&partition, ui, |work| {
        let lock = lock::acquire(work)?;
        let stopped = stop::stop_locked(work, &lock, false);
        if let Err(Error::Interrupted { .. }) = stopped {
            work.reporter.warn(NOT_AGAIN);
        }
        let stopped = stopped?;
        work.check_signals(NOT_STARTED)?;
        await_turn(arguments, work.signals)?;
        let started = start::start_locked(work, &lock, arguments)?;
        Ok(worse(stopped, started))
    })?;
    if arguments.live.is_some() && exit == Exit::Done {
        return live::on_partition(&partition, false, ui);
    }
    Ok(exit)
}

/// One of several that are restarted together is started when all are down, and
/// after those before it.
fn await_turn(arguments: StartArgs, signals: &Signals) -> Result<()> {
    if !arguments.in_turn {
        return Ok(());
    }
    match crew::wait_for_turn(signals).map_err(Error::system("wait for the other servers"))? {
        None => Ok(()),
        Some(signal) => Err(Error::Interrupted {
            signal: number(signal),
            state: NOT_STARTED.into(),
        }),
    }
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
