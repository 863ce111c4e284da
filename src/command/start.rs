//! `start`: starts the server, itself or through its unit.

use super::identity::{Identity, Needs};
use super::loading;
use super::restart::in_child;
use super::{Call, ask_for_time, identity, live, snapshot, with_work};
use crate::cli::StartArgs;
use crate::domino::figures::seconds;
use crate::domino::processes;
use crate::domino::start::{self, Manner, Started};
use crate::domino::state::State;
use crate::domino::tools::Work;
use crate::domino::vitals::Vitals;
use crate::domino::{Partition, claim, lock};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::service::systemd::Unit;
use crate::ui::Ui;

/// Runs the verb.
pub fn run(call: &Call, arguments: StartArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if let Some(exit) = snapshot::plain::before_start(call, &identity, ui) {
        return Ok(exit);
    }
    in_any_case(call, &identity, arguments, ui)
}

/// Starts the server whatever a stop remembered for the next `start`: that of
/// a restart is none of those.
pub fn in_any_case(
    call: &Call,
    identity: &Identity,
    arguments: StartArgs,
    ui: &mut Ui,
) -> Result<Exit> {
    if let Some(unit) = loading::own_unit(call, identity)? {
        if arguments.take_over {
            // The unit's own start is told by the claim.
            let exit = in_child(call, identity, &["__take-over".into()], ui)?;
            if exit != Exit::Done {
                return Ok(exit);
            }
        }
        return through_unit(call, identity, &unit, arguments, ui);
    }
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

fn through_unit(
    call: &Call,
    identity: &Identity,
    unit: &Unit,
    arguments: StartArgs,
    ui: &mut Ui,
) -> Result<Exit> {
    let name = shown(unit.name());
    ui.line(&format!("Starting systemd unit {name}"));
    let before = unit.state()?;
    let mut code = unit.call("start", loading::through_sudo(call))?;
    let mut verdict = unit.state()?.verdict_of_start(&before);
    if code != 0 && verdict == Exit::Privilege && loading::through_sudo(call) {
        // sudo may be refused where systemd itself (polkit) allows it.
        code = unit.call("start", false)?;
        verdict = unit.state()?.verdict_of_start(&before);
    }
    if code != 0 {
        let message = match verdict {
            Exit::Privilege => format!(
                "systemd did not start {name}; start it as root, or let sudo or polkit allow '{}' to control the unit",
                shown(&identity.user.name)
            ),
            other => format!(
                "systemd did not start {name}: {}; 'rc_domino systemlog' may show more",
                other.brief()
            ),
        };
        let outside = loading::load_as(call, identity, ui)
            .and_then(|partition| processes::find(&partition))
            .map(State::of);
        return Err(Error::Service {
            message: match outside {
                Ok(state) if state.is_running() => format!(
                    "{message}; a server runs outside of it: {}; 'rc_domino stop' stops that",
                    processes::list(state.processes())
                ),
                _ => message,
            },
            exit: verdict,
        });
    }
    if arguments.live.is_some() {
        return live::console(call, false, ui);
    }
    if let Some(limit) = arguments.ready_within() {
        return super::status::wait_ready(call, limit, ui);
    }
    ui.line(&format!("Started {name}"));
    Ok(Exit::Done)
}
