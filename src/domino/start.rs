//! Starts a server: everything before the launch, the launch, and a look at
//! what became of it.

use super::Partition;
use super::archive;
use super::backup_mode;
use super::claim;
use super::closure;
use super::databases;
use super::environment::{self, Environment};
use super::figures::seconds;
use super::hooks::{self, Hook};
use super::housekeeping;
use super::one_touch::{self, Handover};
use super::pid_file;
use super::processes::{self, Programs};
use super::readiness::{self, Readiness, Ready};
use super::report;
use super::server_log::ServerLog;
use super::state::State;
use super::stop;
use super::tools::{Work, output_to, program_failed};
use super::warnings;
use crate::error::{Error, Result};
use crate::os::lock::Lock;
use crate::os::process::Pid;
use crate::os::spawn::{Child, Launch, Stream};
use crate::os::wait::wait_any;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// While waiting for readiness the log is looked at this often; there is no
/// event to wait for that would tell.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often a wait for readiness says where it stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// More open files than this slow down lsof, which NSD calls, to a crawl.
const MOST_OPEN_FILES: u64 = 1_048_576;

/// What a start came to.
#[derive(Debug)]
pub enum Started {
    /// There was a server already.
    WasRunning(Pid),
    /// The server process is there and lived through the settle time.
    Up(Pid),
    /// It is ready for its users.
    Ready(Pid, Ready),
    /// It is there, but did not become ready in the time given.
    StillStarting(Pid, Duration),
}

/// Refuses where the data directory is marked as disabled for maintenance.
pub fn refuse_disabled(partition: &Partition) -> Result<()> {
    let marker = partition.data().join("domino_disabled");
    if marker.symlink_metadata().is_ok() {
        return Err(Error::Disabled(marker));
    }
    Ok(())
}

/// Refuses where a start makes no sense or must not be.
fn check_startable(work: &mut Work, programs: &Programs) -> Result<Option<Pid>> {
    let state = State::of(processes::find_among(programs, work.partition.user.uid)?);
    if let Some(server) = state.server() {
        return Ok(Some(server.pid()));
    }
    refuse_disabled(work.partition)?;
    claim::admit(work)?;
    if !state.can_start() {
        return Err(Error::StartFailed(format!(
            "not started: processes of an earlier server are left: {}; wait for them to end, or end them with 'rc_domino cleanup'",
            processes::list(state.processes())
        )));
    }
    if matches!(state, State::Idle { .. }) {
        stop::stop_idle(work, programs, false)?;
    }
    Ok(None)
}

/// How a server is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Wait that long until it is ready.
    pub ready_within: Option<Duration>,
    /// The console goes to its log also where DOMINO_DOCKER_STDOUT is set:
    /// somebody shows the log.
    pub keep_log: bool,
    /// Is called when the start is certain to go on, before it touches a
    /// database.
    pub announce: Option<fn(&mut Work)>,
}

/// What a start came to up to the launch.
pub enum Begun {
    /// There was a server already.
    WasRunning(Pid),
    /// A server was launched.
    Launched(Launched),
}

/// Starts the server.
pub fn start(work: &mut Work, lock: &Lock, manner: Manner) -> Result<Started> {
    match begin(work, lock, manner)? {
        Begun::WasRunning(server) => Ok(Started::WasRunning(server)),
        Begun::Launched(launched) => watch_over(work, launched, manner.ready_within),
    }
}

/// Launches the server. An error says that no process of one was launched.
pub fn begin(work: &mut Work, _lock: &Lock, manner: Manner) -> Result<Begun> {
    let programs = Programs::of(work.partition);
    if let Some(server) = check_startable(work, &programs)? {
        return Ok(Begun::WasRunning(server));
    }
    if let Some(announce) = manner.announce {
        announce(work);
    }
    backup_mode::forget_stale(work);
    let handover = prepare(work)?;
    work.check_signals("the server was not started")?;
    claim::take(work)?;
    // Where the old log could not be archived it speaks of an earlier server.
    readiness::expect_from(work.partition, ServerLog::of(work.partition).size());
    let launched = launch(work, &handover, manner)?;
    pid_file::write(work, launched.pid());
    one_touch::clean_up(work, &handover);
    Ok(Begun::Launched(launched))
}

/// Everything that comes before the launch, in the order of contract §4.
fn prepare(work: &mut Work) -> Result<Handover> {
    const NOT_STARTED: &str = "the server was not started";
    crate::os::limits::cap_open_files(MOST_OPEN_FILES)
        .map_err(Error::system("lower the limit of open files"))?;
    housekeeping::create_directories(work);
    let parent = work.partition.log().parent().map(Path::to_path_buf);
    if let Some(parent) = parent.filter(|parent| !crate::os::files::is_writable(parent)) {
        return Err(Error::Path {
            path: parent,
            problem: "the directory for the console log is missing or cannot be written to; check DOMINO_LOG_DIR and DOMINO_OUTPUT_LOG".into(),
        });
    }
    // Read before anything is changed: a server whose notes.ini cannot be
    // read would fail later and less clearly.
    work.partition.notes_ini()?;
    archive::rotate(work)?;
    housekeeping::before_start(work)?;
    work.check_signals(NOT_STARTED)?;
    let handover = one_touch::check(work)?;
    empty_input(work)?;
    let environment = server_environment(work, &handover);
    report::write(work, &environment)?;
    hooks::run(work, Hook::PreStartup, None)?;
    work.check_signals(NOT_STARTED)?;
    if work.partition.settings.check_warnungs.value {
        for warning in warnings::of(work.partition) {
            work.reporter.warn(&warning);
        }
    }
    databases::before_start(work)?;
    Ok(handover)
}

fn empty_input(work: &Work) -> Result<()> {
    let input = work.partition.settings.input_file();
    File::create(&input)
        .map(drop)
        .map_err(Error::file("empty", input))
}

fn server_environment(work: &Work, handover: &Handover) -> Environment {
    let mut environment = environment::for_programs(work.partition, None);
    for (name, value) in &handover.environment {
        environment.retain(|(known, _)| known != name);
        environment.push((name.clone(), value.clone()));
    }
    environment
}

/// What a launch left: the server's process, and the log's size before it.
pub struct Launched {
    server: Child,
    offset: u64,
}

impl Launched {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.server.pid
    }
}

/// The arguments a server is started with.
fn arguments(work: &Work, handover: &Handover) -> Vec<OsString> {
    let settings = &work.partition.settings;
    let mut arguments: Vec<OsString> = Vec::new();
    if settings.use_java_controller.value {
        arguments.extend(["-jc".into(), "-c".into()]);
    }
    if handover.set_up {
        return arguments;
    }
    if let Some(json) = &handover.json {
        arguments.extend(["-auto".into(), json.clone().into()]);
    } else if !handover.automatic {
        arguments.extend([
            "-listen".into(),
            settings.remote_setup_port.value.to_string().into(),
        ]);
    }
    arguments
}

fn launch(work: &mut Work, handover: &Handover, manner: Manner) -> Result<Launched> {
    let program = work.partition.program("server");
    let log = ServerLog::of(work.partition);
    let to_stdout = work.partition.settings.docker_stdout.value && !manner.keep_log;
    work.reporter.info(&format!(
        "Starting Domino server {}",
        crate::error::shown(&work.partition.name())
    ));
    let mut launch = Launch::new(&program);
    launch.env = server_environment(work, handover);
    launch.cwd = Some(work.partition.data());
    launch.new_session = true;
    launch.ignore_hangup = true;
    let offset = log.size();
    let server = if to_stdout {
        // In a container the console is the container's output; what the
        // start wrote so far goes there too.
        for line in log.since(0).split(|byte| *byte == b'\n') {
            work.reporter.info(&String::from_utf8_lossy(line));
        }
        let _ = std::fs::remove_file(log.path());
        if !handover.set_up && handover.json.is_none() {
            launch.args = controller_arguments(work);
        } else {
            launch.args = arguments(work, handover);
        }
        launch.stdout = Stream::Inherit;
        launch.stderr = Stream::Inherit;
        launch.spawn().map_err(program_failed(&program))?
    } else {
        let input = work.partition.settings.input_file();
        let stdin = File::open(&input).map_err(Error::file("open", &input))?;
        launch.args = arguments(work, handover);
        claim::sign_of_life(&stdin);
        launch.stdin = Stream::File(stdin);
        match log_forwarder(work) {
            Some(forwarder) => launch_forwarded(work, launch, &forwarder)?,
            None => {
                let output = log.open_for_append()?;
                output_to(&mut launch, &output)?;
                launch.spawn().map_err(program_failed(&program))?
            }
        }
    };
    Ok(Launched { server, offset })
}

fn controller_arguments(work: &Work) -> Vec<OsString> {
    if work.partition.settings.use_java_controller.value {
        vec!["-jc".into(), "-c".into()]
    } else {
        Vec::new()
    }
}

/// The Domino Log Forwarder, where it is installed and not switched off.
fn log_forwarder(work: &Work) -> Option<PathBuf> {
    let forwarder = work.partition.root.path("/opt/grafana/domfwd");
    let disabled = work
        .partition
        .settings
        .domfwd_disabled
        .value
        .unwrap_or(false);
    (!disabled && crate::os::files::is_executable(&forwarder)).then_some(forwarder)
}

/// Server and forwarder with a pipe between them; the forwarder writes the
/// console log itself.
fn launch_forwarded(work: &Work, mut server: Launch, forwarder: &Path) -> Result<Child> {
    let (reader, writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    let mut reading = Launch::new(forwarder);
    reading.env = server.env.clone();
    reading.cwd = Some(work.partition.data());
    reading.new_session = true;
    reading.ignore_hangup = true;
    reading.stdin = Stream::File(OwnedFd::from(reader).into());
    // Nothing of the caller's: he may read this program's output to its end.
    reading.stdout = Stream::Null;
    reading.stderr = Stream::File(ServerLog::of(work.partition).open_for_append()?);
    reading.spawn().map_err(program_failed(forwarder))?;
    let errors = writer.try_clone().map_err(Error::system("copy a pipe"))?;
    server.stdout = Stream::File(OwnedFd::from(writer).into());
    server.stderr = Stream::File(OwnedFd::from(errors).into());
    let program = PathBuf::from(&server.program);
    server.spawn().map_err(program_failed(&program))
}

/// Watches the new server for its settle time, runs the hook, and waits for
/// readiness if asked to.
pub fn watch_over(
    work: &mut Work,
    mut launched: Launched,
    ready_within: Option<Duration>,
) -> Result<Started> {
    let pid = launched.pid();
    let settle = work.partition.settings.settle_seconds.value;
    let began = Instant::now();
    live_until(work, &mut launched, began + settle)?;
    // Not sooner: one that dies at once has recovered no database.
    closure::forget(work);
    hooks::run(work, Hook::PostStartup, Some(pid))?;
    let Some(limit) = ready_within else {
        return Ok(Started::Up(pid));
    };
    let mut readiness = Readiness::new(work.partition, launched.offset);
    let give_up = began + limit;
    let mut progress = began + PROGRESS_EVERY;
    loop {
        if let Some(ready) = readiness.look()? {
            if ready.serves() {
                readiness::remember(work.partition, pid);
            }
            return Ok(Started::Ready(pid, ready));
        }
        let now = Instant::now();
        if now >= give_up {
            return Ok(Started::StillStarting(pid, limit));
        }
        if now >= progress {
            progress += PROGRESS_EVERY;
            work.reporter.progress(&format!(
                "Waiting since {} for the server (pid {pid}) to be ready",
                seconds(now.duration_since(began))
            ));
        }
        live_until(work, &mut launched, give_up.min(now + LOOK_EVERY))?;
    }
}

/// Waits; an error if the server ends or a signal comes before `until`.
fn live_until(work: &mut Work, launched: &mut Launched, until: Instant) -> Result<()> {
    let handle = launched
        .server
        .handle()
        .map_err(Error::system("watch the new server"))?;
    let wake = match handle {
        Some(handle) => wait_any(&[handle], Some(work.signals), &[], Some(until))
            .map_err(Error::system("watch the new server"))?,
        None => return Err(died(work, launched)),
    };
    if !wake.ended.is_empty() {
        return Err(died(work, launched));
    }
    match wake.signal {
        Some(signal) => Err(work.interrupted(
            signal,
            format!(
                "the server was started (pid {}) and goes on; nobody waits for it any more",
                launched.pid()
            ),
        )),
        None => Ok(()),
    }
}

/// Why the new server is gone, as far as it says.
fn died(work: &mut Work, launched: &mut Launched) -> Error {
    use super::tools::ToolEnd;
    pid_file::remove(work);
    let how = match launched.server.wait() {
        Ok(status) => ToolEnd::Ended(status).describe(),
        Err(_) => "ended".to_owned(),
    };
    if processes::find(work.partition).is_ok_and(|left| left.is_empty()) {
        claim::release(work);
    }
    let log = ServerLog::of(work.partition);
    let text = log.since(launched.offset);
    let lines: Vec<String> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let mut message = format!("the server did not stay up: it {how}");
    if let Ok(ini) = work.partition.notes_ini()
        && let Some(when) = ini
            .get("LAST_DOMINO_TIME_ABORT")
            .filter(|at| !at.is_empty())
    {
        message.push_str(&format!(
            "; notes.ini has LAST_DOMINO_TIME_ABORT={}: check the host's clock, then remove this line and LAST_DOMINO_TIME",
            crate::error::shown(when)
        ));
    }
    if lines.is_empty() {
        message.push_str(&format!("; it wrote nothing into {}", log.path().display()));
    } else {
        message.push_str(&format!("; the end of {}:", log.path().display()));
        for line in &lines[lines.len().saturating_sub(10)..] {
            message.push_str("\n  ");
            message.push_str(line);
        }
    }
    Error::StartFailed(message)
}
