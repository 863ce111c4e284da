//! The site's hook scripts: checked, run with a time limit, their output kept.

use super::figures::seconds;
use super::server_log::ServerLog;
use super::tools::{Tool, ToolEnd, Work, run_by_line};
use super::{Partition, Reporter};
use crate::error::{Result, shown};
use crate::os::files::is_executable;
use crate::os::process::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A point at which the site may run a script of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before the server is started.
    PreStartup,
    /// After the server was started.
    PostStartup,
    /// Before the server is told to quit.
    PreShutdown,
    /// After the server has gone.
    PostShutdown,
    /// Before NSD kills a server that would not stop.
    PreKill,
    /// After NSD did.
    PostKill,
    /// Before `cleanup` removes anything.
    PreCleanup,
    /// After `cleanup`.
    PostCleanup,
    /// Before `status` looks.
    PreStatus,
    /// Once, when a shutdown takes long.
    ShutdownDelayed,
    /// Instead of the built-in removal of temporary files.
    RemoveTempFiles,
    /// Instead of the built-in removal of old logs.
    ClearLogs,
}

/// Every point.
pub const ALL: [Hook; 12] = [
    Hook::PreStartup,
    Hook::PostStartup,
    Hook::PreShutdown,
    Hook::PostShutdown,
    Hook::PreKill,
    Hook::PostKill,
    Hook::PreCleanup,
    Hook::PostCleanup,
    Hook::PreStatus,
    Hook::ShutdownDelayed,
    Hook::RemoveTempFiles,
    Hook::ClearLogs,
];

impl Hook {
    /// The setting that names the script.
    pub fn setting(self) -> &'static str {
        match self {
            Hook::PreStartup => "DOMINO_PRE_STARTUP_SCRIPT",
            Hook::PostStartup => "DOMINO_POST_STARTUP_SCRIPT",
            Hook::PreShutdown => "DOMINO_PRE_SHUTDOWN_SCRIPT",
            Hook::PostShutdown => "DOMINO_POST_SHUTDOWN_SCRIPT",
            Hook::PreKill => "DOMINO_PRE_KILL_SCRIPT",
            Hook::PostKill => "DOMINO_POST_KILL_SCRIPT",
            Hook::PreCleanup => "DOMINO_PRE_CLEANUP_SCRIPT",
            Hook::PostCleanup => "DOMINO_POST_CLEANUP_SCRIPT",
            Hook::PreStatus => "DOMINO_PRE_STATUS_SCRIPT",
            Hook::ShutdownDelayed => "DOMINO_SHUTDOWN_DELAYED_SCRIPT",
            Hook::RemoveTempFiles => "DOMINO_CUSTOM_REMOVE_TEMPFILES_SCRIPT",
            Hook::ClearLogs => "DOMINO_CUSTOM_LOG_CLEAR_SCRIPT",
        }
    }
}

/// What became of a hook.
#[derive(Clone, Copy, Debug)]
pub enum HookEnd {
    /// None is configured.
    None,
    /// It may not be run; that was said.
    Skipped,
    /// It ran and ended so.
    Ran(ToolEnd),
}

/// Runs a hook if one is configured and may be run. A hook that fails, or
/// hangs until its limit, is said and never stops the verb.
pub fn run(work: &mut Work, hook: Hook, server: Option<Pid>) -> Result<HookEnd> {
    let Some(value) = work.partition.settings.text(hook.setting()) else {
        return Ok(HookEnd::None);
    };
    let (program, arguments) = command_of(value);
    let name = hook.setting();
    if let Err(problem) = may_run(work.partition, &program) {
        work.reporter.warn(&format!(
            "{name}: {}: {problem}; skipped",
            program.display()
        ));
        return Ok(HookEnd::Skipped);
    }
    let limit = work.partition.settings.hook_timeout.value;
    let mut tool = Tool::new(program.clone(), arguments);
    tool.server = server;
    tool.limit = Some(limit);
    let label = shown(program.file_name().unwrap_or_default());
    let mut record = Vec::new();
    let ended = run_by_line(work, &tool, |reporter: &mut dyn Reporter, line| {
        let text = shown_line(line);
        record.extend_from_slice(format!("{label}: {text}\n").as_bytes());
        reporter.info(&format!("{label}: {text}"));
    });
    // Kept in the console log too: under a service manager nobody sees a terminal.
    if !record.is_empty() {
        let _ = ServerLog::of(work.partition).append(&record);
    }
    let ended = match ended {
        Err(error @ crate::error::Error::Program { .. }) => {
            work.reporter.warn(&format!("{name}: {error}; skipped"));
            return Ok(HookEnd::Skipped);
        }
        other => other?,
    };
    if !ended.success() {
        let limit = seconds(limit);
        let text = match ended {
            ToolEnd::TimedOut => {
                format!("did not end within {limit} (DOMINO_HOOK_TIMEOUT) and was ended")
            }
            other => other.describe(),
        };
        work.reporter
            .warn(&format!("{name}: {} {text}; going on", program.display()));
    }
    Ok(HookEnd::Ran(ended))
}

/// A line of a program's output as one printable line.
fn shown_line(line: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt;
    shown(OsStr::from_bytes(line.trim_ascii_end()))
}

/// The value names a file; or, since the original let the shell split it, a
/// file and its arguments.
pub fn command_of(value: &OsStr) -> (PathBuf, Vec<OsString>) {
    let whole = Path::new(value);
    if whole.exists() {
        return (whole.to_path_buf(), Vec::new());
    }
    let mut words = crate::settings::kind::words(value.as_bytes())
        .unwrap_or_default()
        .into_iter();
    match words.next() {
        Some(first) => (first.into(), words.collect()),
        None => (whole.to_path_buf(), Vec::new()),
    }
}

/// Why a script may not be run, if so.
pub fn may_run(partition: &Partition, program: &Path) -> std::result::Result<(), String> {
    let found = match std::fs::metadata(program) {
        Ok(found) => found,
        Err(cause) => return Err(cause.to_string()),
    };
    if found.is_dir() {
        return Err("is a directory, no script".to_owned());
    }
    if !is_executable(program) {
        return Err("is not executable".to_owned());
    }
    let Some(wanted) = partition
        .settings
        .execute_script_check_owner
        .value
        .as_deref()
    else {
        return Ok(());
    };
    let owner = crate::os::users::owner_name(&partition.root, found.uid());
    if owner.as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(format!(
        "belongs to '{}', not to '{}' as EXECUTE_SCRIPT_CHECK_OWNER demands",
        owner.map_or_else(|| found.uid().to_string(), |name| shown(&name)),
        shown(wanted)
    ))
}
