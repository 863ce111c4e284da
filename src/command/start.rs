//! `start`: starts the server, itself or through its unit.

use super::identity::{Identity, Needs};
use super::loading;
use super::restart::{again, in_child, tell_held};
use super::switch::run_to_end;
use super::{Call, ask_for_time, identity, live, snapshot, with_work};
use crate::cli::StartArgs;
use crate::domino::figures::seconds;
use crate::domino::processes;
use crate::domino::start::{self, Manner, Started};
use crate::domino::state::State;
use crate::domino::tools::Work;
use crate::domino::vitals::Vitals;
use crate::domino::{Partition, Reporter, claim, lock};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::os::signals::Signals;
use crate::os::spawn::Stream;
use crate::service::systemd::{Unit, UnitState};
use crate::ui::Ui;

/// Runs the verb.
pub fn run(call: &Call, arguments: StartArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if let Some(exit) = snapshot::plain::before_start(call, &identity, ui) {
        return Ok(exit);
    }
    in_any_case(call, &identity, arguments, None, ui)
}

/// Starts the server whatever a stop remembered for the next `start`: that of
/// a restart is none of those. `held` are the signals that a restart holds back
/// until systemd has started the unit.
pub fn in_any_case(
    call: &Call,
    identity: &Identity,
    arguments: StartArgs,
    held: Option<Signals>,
    ui: &mut Ui,
) -> Result<Exit> {
    let unit = match loading::unit_to_start(call, identity) {
        Err(refusal) if refusal.exit() == Exit::Disabled && server_runs(call, identity, ui)? => {
            ui.warn(&refusal.to_string());
            ui.line("The server runs already");
            return Ok(Exit::Done);
        }
        other => other?,
    };
    if let Some(unit) = unit {
        if arguments.take_over {
            // The unit's own start is told by the claim.
            let exit = in_child(call, identity, &["__take-over".into()], ui)?;
            if exit != Exit::Done {
                return Ok(exit);
            }
        }
        return through_unit(call, identity, &unit, arguments, held, ui);
    }
    drop(held);
    let access = loading::access_as(call, identity, Needs::Login, ui)?;
    let partition = match loading::here(access) {
        Ok(partition) => partition,
        Err(exit) => {
            if exit == Exit::Done {
                loading::note_for_init(call, identity, true, ui);
            }
            return Ok(exit);
        }
    };
    check(&partition)?;
    let exit = with_work(&partition, ui, |work| {
        let mut vitals = Vitals::of(&partition);
        let _beat = ask_for_time(call, move || vitals.moves());
        let lock = lock::acquire(work)?;
        start_locked(work, &lock, arguments)
    })?;
    if arguments.live.is_some() && exit == Exit::Done {
        return live::on_partition(&partition, false, ui);
    }
    Ok(exit)
}

/// What must be right before anything is touched.
pub fn check(partition: &Partition) -> Result<()> {
    partition.require_installed()?;
    partition.require_writable_data()
}

/// Starts the server under a lock that is held already, and tells what came
/// of it.
pub fn start_locked(work: &mut Work, lock: &Lock, arguments: StartArgs) -> Result<Exit> {
    let name = shown(&work.partition.name());
    if arguments.take_over && processes::find(work.partition)?.is_empty() {
        claim::take_over(work)?;
    }
    let manner = Manner {
        ready_within: arguments.ready_within(),
        announce: Some(snapshot::plain::spoil),
        ..Manner::default()
    };
    let started = start::start(work, lock, manner)?;
    let (text, exit) = match started {
        Started::WasRunning(pid) => (
            format!("Domino server {name} is running already (pid {pid})"),
            Exit::Done,
        ),
        Started::Up(pid) => (
            format!("Domino server {name} started (pid {pid})"),
            Exit::Done,
        ),
        Started::Ready(pid, ready) if ready.serves() => (
            format!("Domino server {name} is ready (pid {pid}): {ready}"),
            Exit::Done,
        ),
        Started::Ready(pid, ready) => (
            format!("Domino server {name} is up (pid {pid}): {ready}"),
            Exit::Done,
        ),
        Started::StillStarting(pid, limit) => {
            return Err(Error::StartFailed(format!(
                "Domino server {name} (pid {pid}) is up but not ready after {}; it goes on starting, see {}",
                seconds(limit),
                work.partition.log().display()
            )));
        }
    };
    work.reporter.info(&text);
    Ok(exit)
}

/// Whether the server runs, from a process of its own: looking gives up root's
/// rights.
fn server_runs(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<bool> {
    let mut look = again(call, identity, &["__state".into()])?;
    look.stdout = Stream::Null;
    look.stderr = Stream::Null;
    Ok(run_to_end(look, ui)? == Exit::Done)
}

/// Whether there is nothing to start: a server runs in its unit, or outside of
/// one whose start would fail for that.
fn runs_already(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    known: &UnitState,
    ui: &mut Ui,
) -> Result<bool> {
    let inside = known.active() == "active";
    // One on its way up or down: systemd has the start wait for its turn.
    let outside = !known.is_up() && !known.takes_over();
    if !(inside || outside) || !server_runs(call, identity, ui)? {
        return Ok(false);
    }
    let name = shown(unit.name());
    if inside {
        ui.line(&format!("{name} is active, its server runs already"));
    } else {
        ui.warn(&format!(
            "the server runs already, outside of {name}, which is {}; after an 'rc_domino stop' the next start is the unit's",
            known.active()
        ));
    }
    Ok(true)
}

fn through_unit(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    arguments: StartArgs,
    held: Option<Signals>,
    ui: &mut Ui,
) -> Result<Exit> {
    let before = unit.state()?;
    let runs = runs_already(call, identity, unit, &before, ui)?;
    let started = match runs {
        true => Ok(()),
        false => start_unit(call, identity, unit, &before, held.is_some(), ui),
    };
    if let Some(held) = held {
        tell_held(&held, ui);
    }
    started?;
    if arguments.live.is_some() {
        return live::console(call, false, ui);
    }
    if let Some(limit) = arguments.ready_within() {
        return super::status::wait_ready(call, limit, ui);
    }
    if !runs {
        ui.line(&format!("Started {}", shown(unit.name())));
    }
    Ok(Exit::Done)
}

/// Has systemd start the unit; `to_its_end` whatever signals come.
fn start_unit(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    before: &UnitState,
    to_its_end: bool,
    ui: &mut Ui,
) -> Result<()> {
    let name = shown(unit.name());
    ui.line(&format!("Starting systemd unit {name}"));
    let signals = match to_its_end {
        true => Signals::deaf(),
        false => Signals::block(),
    }
    .map_err(Error::system("hold back signals"))?;
    let as_root = crate::os::users::effective_uid() == 0;
    let sudo = loading::through_sudo(call);
    let mut code = unit.start(sudo, &signals)?;
    let mut after = unit.state()?;
    if sudo && code != 0 && after.verdict_of_start(before, code, as_root) == Exit::Privilege {
        // sudo may be refused where systemd itself (polkit) allows it.
        code = unit.start(false, &signals)?;
        after = unit.state()?;
    }
    drop(signals);
    // A unit whose conditions are not met is no error of systemctl's.
    if code == 0 && after.is_up() {
        // systemd does nothing for one that is active.
        if before.active() == "active" && !server_runs(call, identity, ui)? {
            return Err(Error::Service {
                message: format!(
                    "{name} is active already, but its server does not run: it may be coming back by itself; otherwise 'rc_domino restart' starts it"
                ),
                exit: Exit::Failed,
            });
        }
        return Ok(());
    }
    let exit = after.verdict_of_start(before, code, as_root);
    let mut message = match exit {
        Exit::Privilege => format!(
            "systemd did not start {name}; start it as root, or let sudo or polkit allow '{}' to control the unit",
            shown(&identity.user.name)
        ),
        _ if after.hit_start_limit(before) => format!(
            "systemd did not start {name}: it was started too often in a short time; see in 'rc_domino systemlog' why, then 'systemctl reset-failed {name}' lets it start again"
        ),
        other => format!(
            "systemd did not start {name}: {}; 'systemctl status {name}' and 'rc_domino systemlog' may show more",
            other.brief()
        ),
    };
    let state = loading::load_as(call, identity, ui)
        .and_then(|partition| processes::find(&partition))
        .map(State::of);
    if let Ok(state) = state
        && state.is_running()
        && !after.is_up()
    {
        message.push_str(&format!(
            "; a server runs outside of it: {}; 'rc_domino stop' stops that",
            processes::list(state.processes())
        ));
    }
    Err(Error::Service { message, exit })
}
