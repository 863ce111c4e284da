//! Stops a server and makes sure that what it wrote is on disk.

mod by_force;

use super::archive;
use super::claim::{self, Elsewhere};
use super::client;
use super::closure;
use super::durable::Storage;
use super::figures::{many, seconds};
use super::hooks::{self, Hook};
use super::nsd::{self, AFTER_KILL};
use super::pid_file;
use super::processes::{self, Programs, Role};
use super::quit::Quit;
use super::server_log::{ServerLog, contains};
use super::state::State;
use super::tools::{Work, launch, output_to_log};
use super::waiting::{Watch, Woken};
use crate::error::{Error, Result, shown};
use crate::os::lock::Lock;
use crate::os::pidfd::ProcessHandle;
use crate::os::signals::Signal;
use crate::os::spawn::Stream;
use by_force::{keep_down, kill};
use std::ffi::OsStr;
use std::io::Write;
use std::time::{Duration, Instant};

/// What is said when a server is told to quit.
pub const QUITTING: &str = "Waiting for the shutdown to complete";

/// How often a wait says what it waits for.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How long a console command before the quit may take to be sent.
const SEND_LIMIT: Duration = Duration::from_secs(30);

/// How long the Java controller may take, as in the original: 10 × 10 s.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(100);

/// How long after the end of a server Domino's fault recovery may start a new
/// one without anything to be seen; an assumption, HCL names no figure.
const FAULT_RECOVERY: Duration = Duration::from_secs(1);

/// The line by which Domino says that it is dying (looked for by the original
/// too, in the last 5,000 lines; here only in what this shutdown wrote).
const CRASH_TEXT: &[u8] = b"NSD is in progress";

/// How a server was stopped. Only after the first two are its databases whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing ran, and the last run ended well.
    WasDown,
    /// It shut down by itself; after so long.
    Cleanly(Duration),
    /// It had to be killed.
    Forcibly(Duration),
    /// It crashed while it was shutting down.
    Crashing(Duration),
    /// Nothing ran, but the last run did not end well; how it ended.
    WasDownUnclean(String),
    /// Nothing ran here, but another host may run it; why.
    MayRunElsewhere(String),
}

/// Stops the server. On return nothing of it runs (but the Java controller,
/// where `keep_controller` asks for that) and its filesystems are flushed;
/// otherwise there is an error.
pub fn stop(work: &mut Work, _lock: &Lock, keep_controller: bool) -> Result<Stopped> {
    let programs = Programs::of(work.partition);
    let uid = work.partition.user.uid;
    let storage = Storage::of(work.partition)?;
    let state = State::of(processes::find_among(&programs, uid)?);
    let outcome = if state.can_stop() {
        let outcome = stop_server(work, &programs, &state)?;
        stop_idle(work, &programs, true)?;
        pid_file::remove(work);
        if work.partition.settings.archive_logs_shutdown.value {
            archive::rotate(work)?;
        }
        hooks::run(work, Hook::PostShutdown, None)?;
        outcome
    } else {
        let outcome = was_down(work)?;
        if matches!(outcome, Stopped::WasDownUnclean(_)) {
            keep_down(work, &programs, Duration::ZERO)?;
        }
        outcome
    };
    // One look tells both what has to be ended still and whether all is gone.
    let mut left = processes::find_among(&programs, uid)?;
    if !left.is_empty() {
        stop_idle(work, &programs, keep_controller)?;
        left = processes::find_among(&programs, uid)?;
    }
    left.retain(|found| !(keep_controller && found.role == Role::Controller));
    if !left.is_empty() {
        return Err(still_running(&left));
    }
    claim::release(work);
    // The kernel tells of a failed write once: the next stop would not see it.
    let count = storage.flush().inspect_err(|_| {
        closure::mark_unclean(work, "what the server wrote could not be flushed to disk");
    })?;
    work.reporter.info(&format!(
        "Flushed {} that hold{} its data",
        many(count, "filesystem"),
        if count == 1 { "s" } else { "" },
    ));
    Ok(outcome)
}

/// How long a stop takes at most, by the limits of its steps one after the
/// other: beyond that it hangs. A flush has no limit of its own; it is given
/// as long as a controller.
pub fn longest(settings: &crate::settings::Settings) -> Duration {
    // Delayed, PRE_KILL, POST_KILL (each twice, should fault recovery bring
    // the server back), POST_SHUTDOWN.
    let hooks = settings.hook_timeout.value * 6;
    settings.lock_timeout()
        + until_closed(settings)
        + hooks
        + (nsd::DURING_STOP * 2 + AFTER_KILL + settings.recovery_seconds.value) * 2
        + CONTROLLER_LIMIT * 2
}

/// How long it takes at most until the server has closed its databases, or is
/// about to be ended with them open: what is there is asked for, the rest of
/// [`longest`] comes after that, or only where something hangs.
pub fn until_closed(settings: &crate::settings::Settings) -> Duration {
    let mut time = settings.shutdown_timeout.value;
    if settings.broadcast_shutdown_message.value {
        time += SEND_LIMIT;
    }
    if settings.pre_shutdown_command.value.is_some() {
        time += SEND_LIMIT + settings.pre_shutdown_delay.value.unwrap_or_default();
    }
    if settings.text(Hook::PreShutdown.setting()).is_some() {
        time += settings.hook_timeout.value;
    }
    time
}

/// Ends what a server left that died, by NSD and its hooks, and flushes. For
/// one whose death was seen: waiting for its tasks would be in vain.
pub fn clear_after_crash(work: &mut Work, _lock: &Lock) -> Result<()> {
    let programs = Programs::of(work.partition);
    let storage = Storage::of(work.partition)?;
    let mut watch = Watch::new(programs.clone(), work.partition.user.uid, Role::is_idle)?;
    if !watch.left().is_empty() {
        closure::mark_unclean(work, "the server died");
        kill(work, &programs, &mut watch)?;
    }
    stop_idle(work, &programs, false)?;
    pid_file::remove(work);
    storage.flush().map(drop)
}

/// Nothing ran here: how did the last run end? On another host it may go on.
fn was_down(work: &Work) -> Result<Stopped> {
    if let Some(found) = claim::elsewhere(work.partition)? {
        let story = found.story(work.partition);
        return match found {
            Elsewhere::Lives { .. } => Err(Error::StillRunning(format!(
                "nothing of it runs here, but {story}; stop it there"
            ))),
            Elsewhere::MayLive { .. } | Elsewhere::Unclear { .. } => {
                Ok(Stopped::MayRunElsewhere(story))
            }
        };
    }
    Ok(closure::unclean(work.partition).map_or(Stopped::WasDown, Stopped::WasDownUnclean))
}

fn still_running(left: &[processes::DominoProcess]) -> Error {
    Error::StillRunning(format!(
        "still running: {}; look at them with 'ps', end them with 'rc_domino cleanup'",
        processes::list(left)
    ))
}

fn stop_server(work: &mut Work, programs: &Programs, state: &State) -> Result<Stopped> {
    let server = state.server().map(|found| found.pid());
    let handle = match state.server() {
        Some(found) => ProcessHandle::open(found.pid(), found.process.start_ticks)
            .map_err(Error::system("watch the server"))?,
        None => None,
    };
    let log = ServerLog::of(work.partition);
    if let Err(error) = log.open_for_append() {
        work.reporter.warn(&format!(
            "{error}; a crash that is only told there would not be seen"
        ));
    }
    if server.is_some() {
        announce(work)?;
        hooks::run(work, Hook::PreShutdown, server)?;
        work.check_signals("the server was not told to quit and goes on running")?;
    } else {
        work.reporter.warn(&format!(
            "there is no server, but processes of one are left: {}",
            processes::list(state.processes())
        ));
    }
    let written_before = log.size();
    let began = Instant::now();
    let mut quit = match server {
        Some(_) => {
            work.reporter.info(QUITTING);
            Quit::send(work)
        }
        None => Quit::should_one_come(),
    };
    let mut watch = Watch::new(programs.clone(), work.partition.user.uid, Role::is_idle)?;
    let killed = !wait_for_shutdown(work, &mut watch, &mut quit, began)?;
    if killed {
        let seconds = began.elapsed().as_secs();
        work.reporter.warn(&format!(
            "still running after {seconds} seconds, the time for a shutdown: {}; now by force",
            processes::list(watch.left())
        ));
        closure::mark_unclean(work, "the server was stopped by force");
        kill(work, programs, &mut watch)?;
        return Ok(Stopped::Forcibly(began.elapsed()));
    }
    let took = began.elapsed();
    let crash = if contains(&log.since(written_before), CRASH_TEXT) {
        Some("the server crashed while stopping".to_owned())
    } else if let Some(signal) = handle.and_then(|handle| handle.ended_by()) {
        // By itself it ends without one, whatever it is compiled with.
        Some(format!(
            "the server was ended by signal {signal} while it was stopping"
        ))
    } else {
        // One that was killed, or was dying before it was asked, wrote nothing.
        server.and_then(|_| closure::still_listed(work.partition))
    };
    if let Some(how) = crash {
        closure::mark_unclean(work, &how);
        keep_down(work, programs, FAULT_RECOVERY)?;
        return Ok(Stopped::Crashing(took));
    }
    Ok(match server {
        Some(_) => {
            closure::forget(work);
            Stopped::Cleanly(took)
        }
        None if state.has_died() => {
            // Who ran them, and whether they closed what they had open, cannot
            // be known.
            let how = format!(
                "there was no server, but {} had its databases open",
                processes::list(state.processes())
            );
            closure::mark_unclean(work, &how);
            keep_down(work, programs, FAULT_RECOVERY)?;
            Stopped::WasDownUnclean(how)
        }
        None => was_down(work)?,
    })
}

/// Broadcast to the users, then the site's own console command.
fn announce(work: &mut Work) -> Result<()> {
    let settings = &work.partition.settings;
    if settings.broadcast_shutdown_message.value {
        let text = OsStr::new(" BROADCAST \"(!) Domino Server will be stopped now\"");
        tell_server(work, text)?;
    }
    let settings = &work.partition.settings;
    let delay = settings.pre_shutdown_delay.value;
    if let Some(command) = settings.pre_shutdown_command.value.clone() {
        work.reporter
            .info(&format!("Sending '{}'", shown(&command)));
        tell_server(work, &command)?;
        if let Some(delay) = delay.filter(|delay| !delay.is_zero()) {
            work.reporter
                .info(&format!("Waiting {} after it", seconds(delay)));
            let until = Instant::now() + delay;
            work.pause(until, "the server was not told to quit and goes on running")?;
        }
    }
    Ok(())
}

/// Sends a console command before the quit. A server that hangs takes none:
/// that is said, and the quit and the shutdown's time limit come all the same.
fn tell_server(work: &mut Work, command: &OsStr) -> Result<()> {
    let limit = SEND_LIMIT.min(work.partition.settings.shutdown_timeout.value);
    match client::command(work, command, Some(limit)) {
        Ok(end) if !end.success() => work.reporter.warn(&format!(
            "the server did not take '{}': 'server -c' {}; going on",
            shown(command),
            end.describe()
        )),
        Ok(_) => {}
        Err(error) => soften(work, error)?,
    }
    Ok(())
}

/// A command that could not be sent is said; the shutdown goes on.
fn soften(work: &mut Work, error: Error) -> Result<()> {
    match error {
        Error::Program { .. } | Error::File { .. } => {
            work.reporter.warn(&error.to_string());
            Ok(())
        }
        other => Err(other),
    }
}

/// Waits until all has gone (true), or the shutdown's time is up (false).
fn wait_for_shutdown(
    work: &mut Work,
    watch: &mut Watch,
    quit: &mut Quit,
    began: Instant,
) -> Result<bool> {
    let settings = &work.partition.settings;
    let give_up = began + settings.shutdown_timeout.value;
    let mut tika = Some(began + settings.tika_shutdown_term_seconds.value);
    let mut delayed = settings
        .text(Hook::ShutdownDelayed.setting())
        .is_some()
        .then(|| began + settings.shutdown_delayed_seconds.value);
    let mut progress = began + PROGRESS_EVERY;
    loop {
        let next = [Some(give_up), Some(progress), tika, delayed, quit.next()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(give_up);
        match watch.wait(work.signals, next)? {
            Woken::AllGone => return Ok(true),
            Woken::Signal(signal) => {
                return Err(work.interrupted(
                    signal,
                    format!(
                        "the server goes on shutting down, nobody waits for it any more; still running: {}",
                        processes::list(watch.left())
                    ),
                ));
            }
            Woken::TimedOut => {}
        }
        quit.look(work, watch)?;
        let now = Instant::now();
        if now >= give_up {
            return Ok(!watch.look()?);
        }
        if now >= progress {
            progress += PROGRESS_EVERY;
            if !watch.look()? {
                return Ok(true);
            }
            work.reporter.progress(&format!(
                "Waiting since {} for {}",
                seconds(now.duration_since(began)),
                processes::list(watch.left())
            ));
        }
        if tika.is_some_and(|at| now >= at) {
            tika = None;
            end_tika(work, watch);
        }
        if delayed.is_some_and(|at| now >= at) {
            delayed = None;
            hooks::run(work, Hook::ShutdownDelayed, None)?;
        }
    }
}

/// Tika serves full-text indexing and holds no database open; it is known to
/// hang in a shutdown.
fn end_tika(work: &mut Work, watch: &Watch) {
    for (found, handle) in watch.of_role(Role::Tika) {
        match handle.signal(Signal::SIGKILL) {
            Ok(_) => work
                .reporter
                .info(&format!("Ended {found}, which does not stop by itself")),
            Err(cause) => work.reporter.warn(&format!("cannot end {found}: {cause}")),
        }
    }
}

/// Stops what may be left beside a server that is down: console commands that
/// wait for an answer and, unless it is to stay, the Java controller.
pub fn stop_idle(work: &mut Work, programs: &Programs, keep_controller: bool) -> Result<()> {
    let except: fn(Role) -> bool = if keep_controller {
        |role| role != Role::Client
    } else {
        |role| !role.is_idle()
    };
    let mut watch = Watch::new(programs.clone(), work.partition.user.uid, except)?;
    if watch.left().is_empty() {
        return Ok(());
    }
    let limit = if watch.of_role(Role::Controller).next().is_some() {
        work.reporter.info("Stopping the Java controller");
        ask_controller_to_quit(work)?;
        CONTROLLER_LIMIT
    } else {
        AFTER_KILL
    };
    let until = Instant::now() + limit;
    match watch.wait(work.signals, until)? {
        Woken::AllGone => {}
        Woken::Signal(signal) => {
            return Err(work.interrupted(
                signal,
                "the server is down; its Java controller or a console command may not be yet",
            ));
        }
        Woken::TimedOut => {
            watch.look()?;
            for (found, handle) in watch.all() {
                work.reporter.warn(&format!(
                    "{found} did not stop within {} and is killed",
                    seconds(limit)
                ));
                handle.signal(Signal::SIGKILL).map_err(Error::Processes)?;
            }
            watch.wait(work.signals, Instant::now() + AFTER_KILL)?;
        }
    }
    if keep_controller {
        return Ok(());
    }
    let lock = work.partition.data().join(".jsc_lock");
    match std::fs::remove_file(&lock) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", lock)(cause))
        }
        _ => Ok(()),
    }
}

/// `server -jc -q -y`; it asks for confirmation, so it gets a `y` to read.
fn ask_controller_to_quit(work: &mut Work) -> Result<()> {
    let tool = super::tools::Tool::new(work.partition.program("server"), ["-jc", "-q", "-y"]);
    let mut launch = launch(work.partition, &tool);
    output_to_log(&mut launch, work.partition)?;
    let (reader, mut writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    writer
        .write_all(b"y\n")
        .map_err(Error::system("write into a pipe"))?;
    launch.stdin = Stream::File(std::os::fd::OwnedFd::from(reader).into());
    launch.new_session = true;
    launch
        .spawn()
        .map(drop)
        .map_err(super::tools::program_failed(&tool.program))
}
