//! `status`: says whether the server runs, for people and for programs.

use super::identity::Needs;
use super::loading;
use super::{Call, with_work};
use crate::cli::{Format, StatusArgs};
use crate::domino::Partition;
use crate::domino::figures::seconds;
use crate::domino::hooks::{self, Hook};
use crate::domino::processes::{self, DominoProcess, Role};
use crate::domino::readiness::Readiness;
use crate::domino::state::State;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ui::{Tint, Ui};
use serde::Serialize;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// What the Linux Standard Base calls status, as one object.
#[derive(Debug, Serialize)]
struct Report {
    server: String,
    user: String,
    state: &'static str,
    running: bool,
    data: String,
    pid: Option<i32>,
    processes: Vec<ProcessReport>,
}

#[derive(Debug, Serialize)]
struct ProcessReport {
    pid: i32,
    parent: Option<i32>,
    role: &'static str,
    name: String,
    memory_bytes: u64,
    cpu_seconds: f64,
}

impl Report {
    fn of(partition: &Partition, state: &State) -> Report {
        Report {
            server: partition.name().to_string_lossy().into_owned(),
            user: partition.user.name.to_string_lossy().into_owned(),
            state: word(state),
            running: state.is_running(),
            data: partition.data().to_string_lossy().into_owned(),
            pid: state.server().map(|server| server.pid().as_raw()),
            processes: state.processes().iter().map(ProcessReport::of).collect(),
        }
    }
}

impl ProcessReport {
    fn of(found: &DominoProcess) -> ProcessReport {
        ProcessReport {
            pid: found.pid().as_raw(),
            parent: found.process.parent.map(|parent| parent.as_raw()),
            role: match found.role {
                Role::Server => "server",
                Role::Task => "task",
                Role::Controller => "controller",
                Role::Nsd => "nsd",
                Role::Tika => "tika",
                Role::Client => "client",
            },
            name: found.name.to_string_lossy().into_owned(),
            memory_bytes: found.process.rss_bytes,
            cpu_seconds: found.process.cpu.as_secs_f64(),
        }
    }
}

fn word(state: &State) -> &'static str {
    match state {
        State::Running { .. } => "running",
        State::Remnants { .. } => "remnants",
        State::Idle { .. } | State::Stopped => "stopped",
    }
}

/// Runs the verb.
pub fn run(call: &Call, arguments: StatusArgs, ui: &mut Ui) -> Result<Exit> {
    match answer(call, arguments, ui) {
        // Nagios wants one line on stdout whatever happens, and knows no code
        // above 3, "unknown".
        Err(error) if arguments.form() == Some(Format::Nagios) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().replace('|', "/");
            ui.line(&format!("DOMINO UNKNOWN - {first}"));
            Ok(Exit::Passed(3))
        }
        other => other,
    }
}

fn answer(call: &Call, arguments: StatusArgs, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    if arguments.form().is_some() || arguments.display.is_some() {
        // The answer is for a program: one line, or one object.
        ui.only_results();
    }
    if partition.settings.text(Hook::PreStatus.setting()).is_some() {
        with_work(&partition, ui, |work| {
            hooks::run(work, Hook::PreStatus, None)
        })?;
    }
    let display = arguments.display.is_some();
    if arguments.form().is_none() && processes::server(&partition)?.is_some() {
        plain(&partition, true, display, ui);
        return Ok(Exit::Done);
    }
    let state = State::of(processes::find(&partition)?);
    match arguments.form() {
        Some(Format::Json) => ui.json(&Report::of(&partition, &state))?,
        Some(Format::Nagios) => return Ok(nagios(&partition, &state, ui)),
        Some(Format::Prometheus) => prometheus(&partition, &state, ui),
        None => {
            plain(&partition, state.is_running(), display, ui);
            if !display && let State::Remnants { processes } = &state {
                ui.line(&format!(
                    "Processes of an earlier server are left: {}",
                    processes::list(processes)
                ));
            }
        }
    }
    Ok(if state.is_running() {
        Exit::Done
    } else {
        Exit::NotRunning
    })
}

/// The lines that other programs read, byte for byte (contract §5).
fn plain(partition: &Partition, running: bool, display: bool, ui: &mut Ui) {
    let name = partition.name();
    let (text, tint): (&[u8], Tint) = match (display, running) {
        (true, true) => (b"[ ON  ] - ", Tint::Green),
        (true, false) => (b"[ OFF ] - ", Tint::Red),
        (false, true) => (b"Domino Server is running (", Tint::Green),
        (false, false) => (b"Domino Server is NOT running (", Tint::Red),
    };
    let mut line = [text, name.as_bytes()].concat();
    if !display {
        line.push(b')');
    }
    match String::from_utf8(line) {
        Ok(line) => ui.tinted_line(tint, &line),
        Err(raw) => ui.bytes(&[raw.as_bytes(), b"\n"].concat()),
    }
}

fn task_count(state: &State) -> usize {
    state
        .processes()
        .iter()
        .filter(|found| found.role == Role::Task)
        .count()
}

fn memory(state: &State) -> u64 {
    state
        .processes()
        .iter()
        .map(|found| found.process.rss_bytes)
        .sum()
}

/// Nagios plug-in guidelines: one line, `| 'label'=value`, 0 ok, 2 critical.
fn nagios(partition: &Partition, state: &State, ui: &mut Ui) -> Exit {
    let (verdict, text, exit) = match state {
        State::Running { .. } => ("OK", "is running", Exit::Done),
        State::Remnants { .. } => (
            "CRITICAL",
            "is NOT running, processes of it are left",
            Exit::Passed(2),
        ),
        _ => ("CRITICAL", "is NOT running", Exit::Passed(2)),
    };
    ui.line(&format!(
        "DOMINO {verdict} - {} {text} | 'processes'={} 'tasks'={} 'memory'={}B",
        partition.name().to_string_lossy(),
        state.processes().len(),
        task_count(state),
        memory(state)
    ));
    exit
}

/// Text exposition format, for node_exporter's textfile collector.
fn prometheus(partition: &Partition, state: &State, ui: &mut Ui) {
    let label = partition
        .name()
        .to_string_lossy()
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    for (name, help, value) in [
        (
            "domino_server_up",
            "Whether the Domino server process runs.",
            u64::from(state.is_running()),
        ),
        (
            "domino_processes",
            "Processes of this Domino server.",
            state.processes().len() as u64,
        ),
        (
            "domino_server_tasks",
            "Server tasks among them.",
            task_count(state) as u64,
        ),
        (
            "domino_resident_memory_bytes",
            "Resident memory of all its processes; shared pages count for each.",
            memory(state),
        ),
    ] {
        ui.line(&format!("# HELP {name} {help}"));
        ui.line(&format!("# TYPE {name} gauge"));
        ui.line(&format!("{name}{{server=\"{label}\"}} {value}"));
    }
}

/// Waits until a server that the service manager started is ready.
pub fn wait_ready(call: &Call, limit: Duration, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    // The log was set aside at the start: all of it is this server's.
    let mut readiness = Readiness::new(&partition, 0);
    let name = crate::error::shown(&partition.name());
    let give_up = Instant::now() + limit;
    loop {
        if !State::of(processes::find(&partition)?).is_running() {
            return Err(Error::StartFailed(format!(
                "Domino server {name} did not stay up; 'rc_domino systemlog' and {} show why",
                partition.log().display()
            )));
        }
        if let Some(ready) = readiness.look()? {
            ui.line(&format!("Domino server {name} is ready: {ready}"));
            return Ok(Exit::Done);
        }
        if Instant::now() >= give_up {
            return Err(Error::StartFailed(format!(
                "Domino server {name} is up but not ready after {}; it goes on starting",
                seconds(limit)
            )));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}
