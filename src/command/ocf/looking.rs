//! The actions that change nothing: `monitor`, `validate-all`.

use super::super::{loading, with_work};
use super::{Agent, reason};
use crate::domino::belongings::Finder;
use crate::domino::processes::{self, Role};
use crate::domino::state::State;
use crate::domino::{Partition, cleanup, client, nrpc};
use crate::error::{Error, Result};
use crate::exit::{Exit, OcfExit};
use crate::os::process;
use crate::ui::Ui;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// A console command that every server knows and that costs it nothing.
const QUESTION: &str = "show server";

/// How long its console may take to answer it, at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// What is left of the cluster's own limit for telling what came of it.
const MARGIN: Duration = Duration::from_secs(5);

/// What the meta-data advise for a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(720);

/// Whether the server runs, and at greater depths whether it works.
pub fn monitor(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let uid = agent.identity.user.uid;
    let partition = match loading::load_as(agent.call, &agent.identity, ui) {
        Ok(partition) => partition,
        Err(error) => return without_configuration(agent, error, uid, ui),
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

/// A configuration that cannot be read tells nothing of a server. Where none
/// runs, none runs; one that does is not to be moved for a typing error.
fn without_configuration(
    agent: &Agent<'_>,
    error: Error,
    uid: u32,
    ui: &mut Ui,
) -> Result<OcfExit> {
    let looks_like_one = |exe: Option<&Path>| {
        exe.is_some_and(|exe| {
            exe.file_name() == Some(OsStr::new("server"))
                && exe.components().any(|part| part.as_os_str() == "notes")
        })
    };
    let runs = process::any(uid, |sighting| looks_like_one(sighting.exe));
    match runs.map_err(Error::Processes)? {
        true => {
            agent.note(
                ui,
                &format!("a server runs, but its configuration cannot be read: {error}"),
            );
            Ok(OcfExit::Success)
        }
        false if agent.parameters.probe => Ok(OcfExit::NotRunning),
        false => Err(error),
    }
}

fn deeper(agent: &Agent<'_>, partition: &Partition, state: &State, ui: &mut Ui) -> Result<OcfExit> {
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
    let sent = with_work(partition, ui, |work| {
        client::ask(work, OsStr::new(QUESTION), limit, &mut |_| {})
    })?;
    let taken = sent.sender.is_some_and(|end| end.success());
    if taken && sent.lines > 0 {
        return Ok(true);
    }
    reason(
        ui,
        &format!(
            "the console did not answer '{QUESTION}' within {} seconds{}",
            limit.as_secs(),
            match sent.sender {
                None => ": 'server -c' still waits".to_owned(),
                Some(end) if !end.success() => format!(": 'server -c' {}", end.describe()),
                Some(_) => String::new(),
            }
        ),
    );
    Ok(false)
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

/// Whether processes or IPC of a server are left that is not there.
pub fn leftovers(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    ui.only_results();
    let partition = match loading::load_as(agent.call, &agent.identity, ui) {
        Ok(partition) => partition,
        Err(error) if error.exit() == Exit::NotConfigured => return Ok(OcfExit::NotRunning),
        Err(error) => return Err(error),
    };
    let finder = Finder::of(&partition, |_| {})?;
    let plan = cleanup::plan(&partition, &finder, false)?;
    Ok(match (plan.processes.is_empty(), plan.ipc.is_empty()) {
        (true, true) => OcfExit::NotRunning,
        (true, false) => OcfExit::Success,
        (false, _) => OcfExit::Generic,
    })
}
