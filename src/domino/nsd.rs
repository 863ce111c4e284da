//! NSD, Domino's own collector of diagnosis data, and its `-kill`.

use super::closure;
use super::hooks::{self, Hook};
use super::partition::Partition;
use super::processes::{self, Programs, Role};
use super::state::State;
use super::tools::{Tool, ToolEnd, Work, run_streamed};
use super::waiting::{Watch, Woken};
use crate::error::{Error, Result, shown_whole};
use crate::os::files::is_executable;
use crate::os::signals::Signal;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How long processes may take to vanish once they were killed.
pub(super) const AFTER_KILL: Duration = Duration::from_secs(10);

/// How long NSD may take while a shutdown, or what follows a crash, waits for
/// it. A full one of a large server takes minutes; one that hangs must not keep
/// `stop` for ever.
pub(super) const DURING_STOP: Duration = Duration::from_secs(900);

/// Runs NSD with these arguments, its output told line by line.
pub fn run<A: AsRef<OsStr>>(work: &mut Work, arguments: &[A]) -> Result<ToolEnd> {
    run_within(work, arguments, None)
}

fn run_within<A: AsRef<OsStr>>(
    work: &mut Work,
    arguments: &[A],
    limit: Option<Duration>,
) -> Result<ToolEnd> {
    let mut all: Vec<OsString> = Vec::new();
    if work.partition.settings.debug_mode.value {
        all.push("-debug".into());
    }
    all.extend(arguments.iter().map(|argument| argument.as_ref().into()));
    let mut tool = Tool::new(work.partition.program("nsd"), all);
    tool.limit = limit;
    let posix: [(OsString, OsString); 1] = [("LANG".into(), "POSIX".into())];
    if work.partition.settings.nsd_set_posix_lc.value {
        tool.extra = &posix;
    }
    tell(work, &tool)
}

/// Has the running server write a dump of its memory (`server -m`).
pub fn memory_dump(work: &mut Work, arguments: &[OsString]) -> Result<ToolEnd> {
    let state = State::of(processes::find(work.partition)?);
    let Some(server) = state.server() else {
        return Err(Error::NeedsServer {
            server: work.partition.name(),
        });
    };
    let mut all = vec![OsString::from("-m")];
    all.extend(arguments.iter().cloned());
    let mut tool = Tool::new(work.partition.program("server"), all);
    tool.server = Some(server.pid());
    tell(work, &tool)
}

/// Runs a program and tells its output, which is not kept, line by line.
fn tell(work: &mut Work, tool: &Tool) -> Result<ToolEnd> {
    run_streamed(work, tool, u64::MAX, |reporter, line| {
        reporter.info(&shown_whole(OsStr::from_bytes(line.trim_ascii_end())));
    })
}

/// Ends a server that would not stop: NSD first if the site wants its
/// evidence, then `nsd -kill` between its hooks.
pub fn kill(work: &mut Work) -> Result<ToolEnd> {
    if work.partition.settings.nsd_before_kill.value {
        work.reporter
            .info("Running NSD before the server is killed");
        let ended = run_within::<&OsStr>(work, &[], Some(DURING_STOP))?;
        if !ended.success() {
            work.reporter.warn(&format!("nsd {}", ended.describe()));
        }
    }
    hooks::run(work, Hook::PreKill, None)?;
    let ended = run_within(work, &["-kill"], Some(DURING_STOP))?;
    if !ended.success() {
        work.reporter
            .warn(&format!("nsd -kill {}", ended.describe()));
    }
    hooks::run(work, Hook::PostKill, None)?;
    Ok(ended)
}

/// The verb `kill`: `nsd -kill` with further arguments, between its hooks.
/// Where NSD says that it is done, nothing that has databases open may be left.
pub fn kill_server(work: &mut Work, arguments: &[OsString]) -> Result<ToolEnd> {
    let program = work.partition.program("nsd");
    if !is_executable(&program) {
        return Err(Error::Program {
            program,
            cause: std::io::ErrorKind::NotFound.into(),
        });
    }
    let programs = Programs::of(work.partition);
    hooks::run(work, Hook::PreKill, None)?;
    let state = State::of(processes::find_among(&programs, work.partition.user.uid)?);
    if state.can_stop() {
        closure::mark_unclean(work, "the server was killed");
    } else {
        closure::keep_witness(work);
    }
    let mut all = vec![OsString::from("-kill")];
    all.extend(arguments.iter().cloned());
    let ended = run(work, &all)?;
    hooks::run(work, Hook::PostKill, None)?;
    if ended.success() {
        ensure_gone(work, programs)?;
    }
    Ok(ended)
}

fn ensure_gone(work: &mut Work, programs: Programs) -> Result<()> {
    let mut watch = Watch::new(programs, work.partition.user.uid, Role::is_idle)?;
    match watch.wait(work.signals, Instant::now() + AFTER_KILL)? {
        Woken::AllGone => Ok(()),
        Woken::Signal(signal) => Err(still_there(work, signal, &watch)),
        Woken::TimedOut => Err(Error::StillRunning(format!(
            "still running after nsd -kill: {}; end them with 'rc_domino cleanup'",
            processes::list(watch.left())
        ))),
    }
}

fn still_there(work: &Work, signal: Signal, watch: &Watch) -> Error {
    work.interrupted(
        signal,
        format!(
            "nsd -kill is done; still running: {}",
            processes::list(watch.left())
        ),
    )
}

/// The files of the technical support directory whose name begins so, each with
/// the time it was last written to, the oldest first. What was not there before
/// a diagnosis is what that wrote, whichever clock the filesystem goes by.
pub fn files(partition: &Partition, front: &str) -> BTreeSet<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(partition.support());
    entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().starts_with(front.as_bytes()))
        .filter_map(|entry| {
            // Of the entry itself: a link was not written by NSD.
            let found = entry.metadata().ok().filter(Metadata::is_file)?;
            Some((found.modified().ok()?, entry.path()))
        })
        .collect()
}
