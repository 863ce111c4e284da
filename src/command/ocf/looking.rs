//! The actions that change nothing: `monitor`, `validate-all`.

use super::super::{loading, snapshot, with_work};
use super::{Agent, reason};
use crate::domino::belongings::Finder;
use crate::domino::client::{self, Answer};
use crate::domino::lock::LOCK_FILE;
use crate::domino::processes::{self, Role};
use crate::domino::readiness::{self, Readiness};
use crate::domino::state::State;
use crate::domino::{Partition, cleanup, nrpc};
use crate::error::{Error, Result};
use crate::exit::{Exit, OcfExit};
use crate::os::lock::Lock;
use crate::os::process::{self, Pid, Sighting};
use crate::ui::Ui;
use std::time::Duration;

/// How long its console may take to answer, at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// What is left of the cluster's own limit for telling what came of it, and
/// for ending a question that hangs.
const MARGIN: Duration = Duration::from_secs(10);

/// What the meta-data advise for a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(720);

/// Whether the server runs, and at greater depths whether it works. One that
/// is frozen for a snapshot is as it is to be: a start would spoil the
/// snapshot, and whoever keeps the freeze starts the server again.
pub fn monitor(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    match snapshot::plain::stopped_by(agent.call, &agent.identity) {
        Some(caller) => {
            ui.aside(&format!("frozen for a snapshot ({caller})\n"));
            Ok(OcfExit::Success)
        }
        None => state(agent, ui),
    }
}

/// The same by its processes alone.
pub fn state(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let partition = match loading::load_as(agent.call, &agent.identity, ui) {
        Ok(partition) => partition,
        Err(error) => return without_configuration(agent, error, ui),
    };
    let state = State::of(processes::find(&partition)?);
    match &state {
        State::Running { .. } => deeper(agent, &partition, &state, ui),
        State::Remnants { processes } => {
            reason(
                ui,
                &format!(
                    "the server is gone, processes of it are left: {}",
                    processes::list(processes)
                ),
            );
            Ok(OcfExit::Generic)
        }
        State::Idle { processes } if processes.iter().any(|one| one.role == Role::Controller) => {
            reason(ui, "the server is gone, its Java controller is left");
            Ok(OcfExit::Generic)
        }
        State::Idle { .. } | State::Stopped => Ok(OcfExit::NotRunning),
    }
}

/// Whether the server that runs has come as far as a start waits for.
pub fn ready(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let partition = loading::load_as(agent.call, &agent.identity, ui)?;
    let Some(server) = processes::server(&partition)? else {
        return Ok(OcfExit::NotRunning);
    };
    let from = readiness::expected_from(&partition);
    let ready = readiness::remembered(&partition, server)
        || Readiness::new(&partition, from).look()?.is_some();
    Ok(match ready {
        true => OcfExit::Success,
        false => OcfExit::Generic,
    })
}

/// A configuration that cannot be read tells nothing of a server. Where none
/// runs, none runs; one that does is not to be moved for a typing error.
fn without_configuration(agent: &Agent<'_>, error: Error, ui: &mut Ui) -> Result<OcfExit> {
    match traces(agent.identity.user.uid, |_| true)? {
        Some(Trace::Server(pid)) => {
            agent.note(
                ui,
                &format!(
                    "a server runs (pid {pid}), but its configuration cannot be read: {error}"
                ),
            );
            Ok(OcfExit::Success)
        }
        Some(Trace::Rest(pid)) => {
            reason(
                ui,
                &format!("a Domino program is left (pid {pid}), and {error}"),
            );
            Ok(OcfExit::Generic)
        }
        None if agent.parameters.probe => Ok(OcfExit::NotRunning),
        None => Err(error),
    }
}

/// What is seen of a Domino whose configuration is not known.
pub enum Trace {
    /// A server runs.
    Server(Pid),
    /// None does, but something of one is left.
    Rest(Pid),
}

/// Looks for programs of any Domino, of one user or of all, that `count`.
pub fn traces(
    uid: impl Into<Option<u32>>,
    mut count: impl FnMut(&Sighting<'_>) -> bool,
) -> Result<Option<Trace>> {
    let mut seen = None;
    process::any(uid, |sighting| {
        let Some(exe) = sighting.exe.filter(|exe| processes::is_some_dominos(exe)) else {
            return false;
        };
        let name = exe.file_name().unwrap_or_default();
        let role = processes::role_of(name, &sighting.arguments());
        if role == Role::Client || !count(sighting) {
            return false;
        }
        seen = Some(match role {
            Role::Server => Trace::Server(sighting.pid),
            _ => Trace::Rest(sighting.pid),
        });
        role == Role::Server
    })
    .map_err(Error::Processes)?;
    Ok(seen)
}

fn deeper(agent: &Agent<'_>, partition: &Partition, state: &State, ui: &mut Ui) -> Result<OcfExit> {
    // By a LOTUS that is wrong nobody can ask it, and nothing is wrong with it.
    if let Err(error) = partition.require_installed() {
        let processes = processes::list(state.processes());
        agent.note(ui, &format!("the server runs ({processes}), but {error}"));
        return Ok(OcfExit::Success);
    }
    if agent.parameters.depth >= 10 && !console_answers(agent, partition, ui)? {
        return Ok(OcfExit::Generic);
    }
    if agent.parameters.depth >= 20 {
        let servers: Vec<_> = state
            .processes()
            .iter()
            .filter(|found| found.role == Role::Server)
            .map(|found| found.pid())
            .collect();
        let listening = crate::os::sockets::listening_ports_of(&servers)
            .map_err(Error::system("list the ports of the server"))?;
        let closed = nrpc::ports(partition)
            .into_iter()
            .find(|open| !listening.contains(&open.port));
        if let Some(closed) = closed {
            reason(
                ui,
                &format!("the server has not opened NRPC port {}", closed.port),
            );
            return Ok(OcfExit::Generic);
        }
    }
    Ok(OcfExit::Success)
}

fn console_answers(agent: &Agent<'_>, partition: &Partition, ui: &mut Ui) -> Result<bool> {
    let limit = match agent.parameters.limit {
        Some(limit) => limit.saturating_sub(MARGIN).max(Duration::from_secs(1)),
        None => ANSWER_LIMIT,
    };
    let limit = limit.min(ANSWER_LIMIT);
    match with_work(partition, ui, |work| client::answers(work, limit))? {
        Answer::Yes => Ok(true),
        Answer::No(why) => {
            reason(ui, &format!("the console did not answer: {why}"));
            Ok(false)
        }
    }
}

/// Whether the resource can work on this host.
pub fn validate(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let partition = loading::load_as(agent.call, &agent.identity, ui)?;
    partition.require_installed()?;
    partition.require_data()?;
    let shutdown = partition.settings.shutdown_timeout.value;
    let limit = agent.parameters.limit.unwrap_or(STOP_TIMEOUT);
    if shutdown >= limit {
        agent.note(ui, &too_long(shutdown, limit));
    }
    Ok(OcfExit::Success)
}

/// What is wrong with a shutdown that may take longer than the cluster waits.
pub fn too_long(shutdown: Duration, limit: Duration) -> String {
    format!(
        "DOMINO_SHUTDOWN_TIMEOUT is {} seconds, the cluster gives up a stop after {}: a server that hangs is not killed, the stop fails; set the parameter shutdown_timeout, or a longer timeout of the stop operation",
        shutdown.as_secs(),
        limit.as_secs()
    )
}

/// Whether processes or IPC of a server are left that is not there, or somebody
/// is at work on it.
pub fn leftovers(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let partition = match loading::load_as(agent.call, &agent.identity, ui) {
        Ok(partition) => partition,
        Err(error) if error.exit() == Exit::NotConfigured => return Ok(OcfExit::NotRunning),
        Err(error) => return Err(error),
    };
    let finder = Finder::of(&partition, |_| {})?;
    // A start has it before there is a process. Where it cannot be had at all
    // nobody has it.
    let lock = Lock::try_acquire(&partition.data().join(LOCK_FILE));
    let is_busy = matches!(lock, Ok(None));
    let plan = cleanup::plan(&partition, &finder, false)?;
    Ok(match (plan.processes.is_empty(), plan.ipc.is_empty()) {
        (true, true) if is_busy => OcfExit::Permission,
        (true, true) => OcfExit::NotRunning,
        (true, false) => OcfExit::Success,
        (false, _) => OcfExit::Generic,
    })
}
