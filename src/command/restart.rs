//! `restart`: stop, then start, under one lock.

use super::identity::{self, Identity, Needs};
use super::{Call, live, loading, start, stop, with_work};
use crate::cli::StartArgs;
use crate::domino::start::refuse_disabled;
use crate::domino::tools::{Work, number};
use crate::domino::{Partition, Reporter, lock, processes};
use crate::error::{Error, Result, signal_name};
use crate::exit::Exit;
use crate::os::crew;
use crate::os::signals::{Signals, ignore_hangups};
use crate::os::spawn::Launch;
use crate::ui::Ui;
use std::ffi::OsString;

const NOT_STARTED: &str = "the server is down; it was not started again";

const NOT_AGAIN: &str = "this restart was asked to end: it does not start the server again";

/// Runs the verb. The server is started again also after a stop by force or a
/// crash: a restart is to end with a running server; the code still says so.
pub fn run(call: &Call, arguments: StartArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if loading::unit_to_start(call, &identity)?.is_some() {
        return through_unit(call, &identity, &[], arguments, ui);
    }
    outlive_terminal()?;
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
        let stopped = on_the_way(work, stopped)?;
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

/// What a stop was that a start follows. One that failed when nothing of the
/// server was left is told, and followed all the same.
pub fn on_the_way(work: &mut Work, stopped: Result<Exit>) -> Result<Exit> {
    let error = match stopped {
        Err(error) => error,
        done => return done,
    };
    if let Error::Interrupted { .. } = error {
        work.reporter.warn(NOT_AGAIN);
        return Err(error);
    }
    if !processes::find(work.partition)?.is_empty() {
        return Err(error);
    }
    work.reporter.warn(&format!(
        "the stop failed: {error}; nothing of the server is left, it is started again"
    ));
    Ok(error.exit())
}

/// A lost terminal is nobody's wish that the server stays down. A signal that
/// somebody sends is.
pub fn outlive_terminal() -> Result<()> {
    ignore_hangups().map_err(Error::system("hold back signals"))
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
    let identity = identity::settle(call)?;
    loading::unit_to_start(call, &identity)?;
    check(&loading::load_as(call, &identity, ui)?).map(|()| Exit::Done)
}

/// A restart through the unit, with the verb `between` for the server while it
/// is down, if one is named. Nothing is stopped where the start would be
/// refused, or where systemd does not obey this caller; a stop that has begun
/// is followed by the start, whatever signals come and also where the terminal
/// is lost: systemd's own restart outlives its caller, too.
///
/// Each half checks what systemd says against /proc. They run as processes of
/// their own: the first gives up root's rights.
pub fn through_unit(
    call: &Call,
    identity: &Identity,
    between: &[OsString],
    arguments: StartArgs,
    ui: &mut Ui,
) -> Result<Exit> {
    match in_child(call, identity, &["__restartable".into()], ui)? {
        Exit::Done => {}
        refused => return Ok(refused),
    }
    let held = Signals::block().map_err(Error::system("hold back signals"))?;
    let stopped = in_child(call, identity, &["__restart_stop".into()], ui)?;
    if let Exit::Signal(_) = stopped {
        ui.warn(NOT_AGAIN);
    }
    // Where it is down, though not cleanly: fixup is there for that.
    if !is_down(stopped) {
        return Ok(stopped);
    }
    let mut tool = Exit::Done;
    if !between.is_empty() {
        tool = in_child(call, identity, between, ui).unwrap_or_else(|error| {
            ui.error(&error.to_string());
            error.exit()
        });
    }
    // The stop has begun: a signal, or a wait that fails, comes too late.
    if let Err(error) = await_turn(arguments, &held) {
        ui.warn(&match error {
            Error::Interrupted { signal, .. } => goes_on(signal),
            other => other.to_string(),
        });
    }
    let started = start::in_any_case(call, identity, arguments, Some(held), ui)?;
    Ok(verdict(stopped, tool, started))
}

/// Tells of the signals that came while a restart had to go on.
pub fn tell_held(held: &Signals, ui: &mut Ui) {
    while let Some(signal) = held.pending() {
        ui.warn(&goes_on(number(signal)));
    }
}

fn goes_on(signal: u8) -> String {
    format!(
        "{}: a restart whose stop has begun goes on to its end; the server is not left down",
        signal_name(signal)
    )
}

/// Whether a stop that answered this left nothing running and was not broken
/// off: only then is a start what the caller still wants.
pub fn is_down(stopped: Exit) -> bool {
    matches!(stopped, Exit::Done | Exit::Unclean | Exit::Crashed)
}

/// Runs another verb for the same server in a process of its own, with the
/// rights this one was called with. A verb that failed answers `Passed`.
pub fn in_child(call: &Call, identity: &Identity, verb: &[OsString], ui: &mut Ui) -> Result<Exit> {
    super::switch::run_in_front(again(call, identity, verb)?, ui)
}

/// How that process is launched. A terminal that is lost must not end a part
/// of what this one does to its end.
pub fn again(call: &Call, identity: &Identity, verb: &[OsString]) -> Result<Launch> {
    let program = super::switch::own_program()?;
    let mut launch = super::switch::again(&program, call, &identity.user.name);
    launch.ignore_hangup = true;
    launch.args.extend(verb.iter().cloned());
    Ok(launch)
}

/// What a stop, a tool after it and a start come to together.
pub fn verdict(stopped: Exit, tool: Exit, started: Exit) -> Exit {
    match worse(stopped, started) {
        Exit::Done => tool,
        other => other,
    }
}

/// What a stop and a start come to together.
pub fn worse(stopped: Exit, started: Exit) -> Exit {
    if started == Exit::Done {
        stopped
    } else {
        started
    }
}
