//! `stop` and `quit`: stop the server, itself or through its unit, and answer
//! 0 only when its databases are whole on disk.

use super::identity::{self, Identity, Needs, Standing};
use super::loading;
use super::{Call, ask_for_time, live, snapshot, with_work, with_work_under};
use crate::cli::LiveArgs;
use crate::domino::closure;
use crate::domino::figures::seconds;
use crate::domino::processes;
use crate::domino::stop::{self, Stopped};
use crate::domino::tools::{Work, number};
use crate::domino::{Partition, Reporter, lock};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::os::signals::Signals;
use crate::service::systemd::{Unit, UnitState, Waited, unwaited};
use crate::ui::Ui;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

/// Runs the verb; `keep_controller` for `quit`.
pub fn run(call: &Call, arguments: LiveArgs, keep_controller: bool, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if arguments.after_run && run_ended_by_itself(call, &identity, ui)? {
        ui.line("'rc_domino run' ended by itself: there is nothing to make up for");
        return Ok(Exit::Done);
    }
    let before = if arguments.for_snapshot {
        None
    } else {
        snapshot::plain::before_stop(call, &identity, ui)?
    };
    let exit = stop_it(call, &identity, arguments, keep_controller, ui)?;
    if let Some(before) = before
        && super::restart::is_down(exit)
    {
        snapshot::plain::after_stop(&before, exit, ui);
    }
    Ok(exit)
}

/// Whether the service's main process ended by itself (systemd.exec(5)): `run`
/// has closed then whatever it started, and what else is there, such as a
/// compact that kept it from a start, is not its own. With 1, or 4 where
/// processes could not be looked at, it may have left a server running.
fn run_ended_by_itself(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<bool> {
    let is =
        |variable: &str, text: &str| call.variable(variable).is_some_and(|value| value == text);
    if !is("EXIT_CODE", "exited") {
        return Ok(false);
    }
    if !is("EXIT_STATUS", "1") && !is("EXIT_STATUS", "4") {
        return Ok(true);
    }
    let partition = loading::load_as(call, identity, ui)?;
    Ok(processes::server(&partition)?.is_none())
}

fn stop_it(
    call: &Call,
    identity: &Identity,
    arguments: LiveArgs,
    keep_controller: bool,
    ui: &mut Ui,
) -> Result<Exit> {
    if let Some(unit) = loading::unit_to_stop(call, identity, ui)? {
        match super::restart::in_child(call, identity, &["__stoppable".into()], ui)? {
            Exit::Done => {}
            refused => return Ok(refused),
        }
        return through_unit(call, identity, &unit, How::Somehow(arguments), ui);
    }
    let needs = match arguments.without_login {
        true => Needs::Rights,
        false => Needs::Login,
    };
    let access = loading::access_as(call, identity, needs, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => {
            if super::restart::is_down(exit) {
                loading::note_for_init(call, identity, false, ui);
            }
            return Ok(exit);
        }
    };
    check(&partition)?;
    with_work(&partition, ui, |work| {
        // Begun with the signals held back: its thread must not take them.
        let _console = live_console(&partition, arguments)?;
        let longest = stop::longest(&partition.settings);
        let until = Instant::now() + longest * 2;
        let _beat = ask_for_time(call, move || Instant::now() < until);
        let lock = match loading::is_units_stop(call) {
            true => lock::acquire_or_none(work, Instant::now() + longest),
            false => lock::acquire(work)?,
        };
        stop_locked(work, &lock, keep_controller)
    })
}

/// `__stoppable`: checks what must be right before a stop, for a caller who
/// keeps root's rights: once systemd is at it, a stop command that refuses has
/// it end the server by signals.
pub fn stoppable(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    check(&loading::load_as(call, &identity, ui)?).map(|()| Exit::Done)
}

/// `__restart_stop`: a stop through the unit, or none at all.
pub fn to_restart(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let unit = loading::unit_to_start(call, &identity)?.ok_or_else(super::logs::no_unit)?;
    let held = Signals::block().map_err(Error::system("hold back signals"))?;
    let stopped = through_unit(call, &identity, &unit, How::ByUnit, ui);
    super::restart::tell_held(&held, ui);
    // One that comes now must not hide how the stop went: the start is next.
    held.for_good();
    stopped
}

/// What is done where systemd does not stop the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The server is stopped all the same.
    Somehow(LiveArgs),
    /// The server stays up: systemd would not start it either. Once begun the
    /// stop goes to its end: a start follows.
    ByUnit,
}

fn live_console(partition: &Partition, arguments: LiveArgs) -> Result<Option<live::Background>> {
    arguments
        .live
        .map(|_| live::Background::start(partition))
        .transpose()
}

/// What must be right before anything is touched.
pub fn check(partition: &Partition) -> Result<()> {
    partition.require_installed()?;
    partition.require_data()
}

/// Stops the server under a lock that is held already, and tells what came of
/// it.
pub fn stop_locked(work: &mut Work, lock: &Lock, keep_controller: bool) -> Result<Exit> {
    let name = shown(&work.partition.name());
    work.reporter
        .info(&format!("Stopping Domino server {name}"));
    let outcome = stop::stop(work, lock, keep_controller)?;
    Ok(tell(work, outcome, "was not running"))
}

/// Tells how a stop went; `down` says it of a server that was down already.
fn tell(work: &mut Work, outcome: Stopped, down: &str) -> Exit {
    let name = shown(&work.partition.name());
    let (text, exit) = match outcome {
        Stopped::WasDown => (format!("Domino server {name} {down}"), Exit::Done),
        Stopped::Cleanly(took) => (
            format!("Domino server {name} stopped after {}", seconds(took)),
            Exit::Done,
        ),
        Stopped::Forcibly(took) => {
            work.reporter.warn(&format!(
                "Domino server {name} was stopped by force after {}: its databases were not closed cleanly, do not trust a snapshot taken now",
                seconds(took)
            ));
            return Exit::Unclean;
        }
        Stopped::Crashing(took) => {
            work.reporter.warn(&format!(
                "Domino server {name} crashed while stopping, after {}: its databases were not closed cleanly, do not trust a snapshot taken now",
                seconds(took)
            ));
            show_crash(work);
            return Exit::Crashed;
        }
        Stopped::WasDownUnclean(how) => {
            work.reporter.warn(&unclean_since(&name, &how));
            return Exit::Unclean;
        }
        Stopped::MayRunElsewhere(why) => {
            work.reporter.warn(&format!(
                "Domino server {name} does not run here, but {why}; do not trust a snapshot taken now"
            ));
            return Exit::Unclean;
        }
    };
    work.reporter.info(&text);
    exit
}

fn unclean_since(name: &str, how: &str) -> String {
    format!(
        "Domino server {name} is down, but its databases were not closed cleanly: {how}; start it once to recover them, do not trust a snapshot taken now"
    )
}

/// Where Domino wrote down what happened.
fn show_crash(work: &mut Work) {
    let data = work.partition.data();
    for (title, name) in [
        ("Fault recovery history", "fault_recovery.hst"),
        ("NSD files", "nsdindex.nbf"),
    ] {
        let file = data.join(name);
        if let Ok(text) = crate::os::files::read_bounded(&file, 1 << 20) {
            work.reporter
                .info(&format!("{title} ({}):", file.display()));
            let lines: Vec<&[u8]> = text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .collect();
            for line in &lines[lines.len().saturating_sub(20)..] {
                work.reporter
                    .info(&format!("  {}", String::from_utf8_lossy(line)));
            }
        }
    }
}

/// Waits until the unit is not being started any more: its start may be at
/// work for long after the server has come up, and before, at a compact.
fn after_its_start(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    ui: &mut Ui,
) -> Result<UnitState> {
    let name = shown(unit.name());
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    let known = unit.state()?;
    if !known.is_starting() {
        return Ok(known);
    }
    ui.line(&format!(
        "Waiting for the start of systemd unit {name} to finish: until then systemd would not stop the server, but end it by signals"
    ));
    let limit = loading::lock_timeout(call, identity);
    let until = Instant::now().checked_add(limit);
    match unit.wait_while(UnitState::is_starting, &signals, until)? {
        Waited::For(state) => Ok(*state),
        Waited::TooLong => Err(Error::Service {
            message: format!(
                "{name} is still being started after {} seconds, nothing was stopped; try again when it is up (DOMINO_LOCK_TIMEOUT sets how long to wait)",
                limit.as_secs()
            ),
            exit: Exit::Locked,
        }),
        Waited::Interrupted(signal) => Err(Error::Interrupted {
            signal: number(signal),
            state: format!("was waiting for the start of {name}; nothing was stopped"),
        }),
    }
}

/// Lets systemd stop the unit, then makes sure with /proc that nothing is
/// left, and flushes. A server that runs outside its unit is stopped too.
fn through_unit(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    how: How,
    ui: &mut Ui,
) -> Result<Exit> {
    let name = shown(unit.name());
    let was = after_its_start(call, identity, unit, ui)?;
    ui.line(&format!("Stopping systemd unit {name}"));
    let sudo = loading::through_sudo(call);
    let signals = match how {
        How::Somehow(_) => Signals::block(),
        How::ByUnit => Signals::deaf(),
    }
    .map_err(Error::system("hold back signals"))?;
    let systemctl = unit.begin("stop", sudo, &signals)?;
    // From here on as the Domino user: what follows reads his files.
    let partition = loading::load_as(call, identity, ui)?;
    let console = match how {
        How::Somehow(arguments) => live_console(&partition, arguments)?,
        How::ByUnit => None,
    };
    let mut ended = systemctl.finish()?;
    let mut now = stopped_by_now(unit, &signals, ui)?;
    if !ended.success() && now.is_up() && how == How::ByUnit {
        // Nothing has begun yet that would have to be brought to its end.
        if let Some(signal) = broken_off(ended)? {
            return Err(Error::Interrupted {
                signal,
                state: format!("systemd was not asked to stop {name}; the server runs on"),
            });
        }
        if sudo {
            // As for a start: polkit may allow what sudo does not.
            ended = unit.begin("stop", false, &signals)?.finish()?;
            now = stopped_by_now(unit, &signals, ui)?;
        }
    }
    drop(console);
    // A systemctl that a signal ends, alone or with its terminal's group, does
    // not end what systemd is at.
    let done = ended.success() || was.is_up() && now.is_known() && !now.is_up();
    let verdict = if was.is_up() {
        now.verdict_of_stop()
    } else {
        Exit::Done
    };
    let left = processes::find(&partition)?;
    if !left.is_empty() && !done && how == How::ByUnit {
        return Err(not_restarted(identity, &name));
    }
    if !left.is_empty() && !done && now.is_up() && now.comes_back() {
        return Err(Error::Service {
            message: format!(
                "systemd did not stop {name}, and would start the server again after any other stop (Restart= in the unit): it runs on; stop it as root, or let sudo or polkit allow '{}' to control the unit",
                shown(&identity.user.name)
            ),
            exit: Exit::Privilege,
        });
    }
    if !left.is_empty() {
        ui.line(&format!(
            "{}: {}",
            if done {
                format!("Still running, outside of {name}")
            } else {
                format!("systemctl did not stop {name}; still running")
            },
            processes::list(&left)
        ));
        // This process gave up root's rights: a login is not to be had any
        // more, but the rights to tell the server to quit are.
        check(&partition)?;
    }
    let rest = match with_work_under(&partition, &signals, ui, |work| {
        if matches!(verdict, Exit::Unclean | Exit::Crashed) {
            closure::keep_witness(work);
            if closure::remembered(work.partition).is_none() {
                let how = format!("the stop by systemd answered {}", verdict.code());
                closure::mark_unclean(work, &how);
            }
        }
        let lock = lock::acquire(work)?;
        if left.is_empty() {
            // systemd's stop is done; what is left to do is to make sure.
            let outcome = stop::stop(work, &lock, false)?;
            Ok(tell(work, outcome, "stopped"))
        } else {
            stop_locked(work, &lock, false)
        }
    }) {
        // systemd's stop has begun and is over: a restart goes on to its end.
        Err(error) if how == How::ByUnit && left.is_empty() => {
            ui.error(&error.to_string());
            return Ok(Exit::Unclean);
        }
        other => other?,
    };
    if verdict != Exit::Done && rest == Exit::Done {
        ui.warn(&format!(
            "{name} answered {} to its stop: 'rc_domino systemlog' tells why",
            verdict.code()
        ));
    }
    // What /proc and Domino's own files say may be worse than what systemd
    // says. A restart needs to know that nothing is left, which is so here.
    let exit = Exit::worst([verdict, rest]);
    Ok(match how {
        How::ByUnit if !super::restart::is_down(exit) => rest,
        _ => exit,
    })
}

/// The unit when systemd is done with its stop: its systemctl may have ended
/// before.
fn stopped_by_now(unit: &Unit, signals: &Signals, ui: &mut Ui) -> Result<UnitState> {
    match unit.wait_while(UnitState::is_stopping, signals, None) {
        Ok(Waited::For(state)) => Ok(*state),
        Ok(Waited::Interrupted(signal)) => Err(unwaited(
            signal,
            &format!("the stop of {}", shown(unit.name())),
        )),
        Ok(Waited::TooLong) => unit.state(),
        // What became of the server is looked at all the same.
        Err(error) => {
            ui.warn(&error.to_string());
            Ok(UnitState::default())
        }
    }
}

/// The signal that ended a systemctl, or came while sudo asked for a password.
fn broken_off(systemctl: ExitStatus) -> Result<Option<u8>> {
    if let Some(signal) = systemctl.signal() {
        return Ok(u8::try_from(signal).ok());
    }
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    Ok(signals.pending().map(number))
}

/// Why a server is not restarted that systemd did not stop.
fn not_restarted(identity: &Identity, name: &str) -> Error {
    let runs_on = format!("systemd did not stop {name}: the server is not restarted and runs on");
    match identity.standing {
        Standing::Root => Error::Service {
            message: format!("{runs_on}; 'rc_domino systemlog' may show why"),
            exit: Exit::Failed,
        },
        _ => Error::Service {
            message: format!(
                "{runs_on}; restart it as root, or let sudo or polkit allow '{}' to control the unit",
                shown(&identity.user.name)
            ),
            exit: Exit::Privilege,
        },
    }
}
