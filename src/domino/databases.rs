//! Compact, fixup, and the dated renames of log.nsf and domlog.nsf.

use super::archive::move_file;
use super::closure;
use super::progress::Progress;
use super::server_log::ServerLog;
use super::tools::{Tool, ToolEnd, Work, run_to_log_watched};
use crate::error::{Error, Result, shown};
use crate::os::files::is_executable;
use crate::settings::{DatabaseBackup, Settings};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A maintenance tool for databases of a server that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// DOMINO_COMPACT_TASK: compact or dbmt.
    Compact,
    /// fixup.
    Fixup,
}

/// Runs a maintenance tool with these options, its output going to the
/// console log, and tells how far it is. The options are split as the shell
/// would split the setting.
pub fn maintain(work: &mut Work, which: Maintenance, options: &[OsString]) -> Result<ToolEnd> {
    let program = program_of(work, which);
    let log = ServerLog::of(work.partition);
    let name = shown(program.file_name().unwrap_or_default());
    let shown_options = shown(&options.join(OsStr::new(" ")));
    work.reporter
        .info(&format!("Running {name} {shown_options}"));
    log.append(format!("--- {name} {shown_options} ---\n").as_bytes())?;
    let mut progress = Progress::begin(work.partition, &name);
    let tool = Tool::new(program, options.iter().cloned());
    // Before the deed: whatever ends the tool may end this program with it.
    let marked = closure::remembered(work.partition).is_some();
    if !marked {
        closure::mark_unclean(work, &format!("{name} was ended before it was done"));
    }
    let ended = run_to_log_watched(work, &tool, progress.every(), |reporter| {
        reporter.progress(&progress.line());
    });
    if !marked && !was_broken_off(&ended) {
        closure::forget(work);
    }
    let ended = ended?;
    let done = progress.line();
    log.append(format!("--- {name} finished ---\n").as_bytes())?;
    if ended.success() {
        work.reporter.info(&done);
    } else {
        work.reporter.warn(&format!(
            "{name} {}; see {}",
            ended.describe(),
            log.path().display()
        ));
    }
    Ok(ended)
}

/// Whether the tool had databases open at its end that it did not close.
fn was_broken_off(ended: &Result<ToolEnd>) -> bool {
    match ended {
        Ok(ToolEnd::Ended(status)) => status.code().is_none(),
        Ok(ToolEnd::TimedOut) => true,
        // It was not begun: its log cannot be opened, it is not there.
        Err(Error::File { .. }) => false,
        Err(Error::Program { cause, .. }) => !matches!(
            cause.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied
        ),
        // Whatever keeps this program from watching it ends it.
        Err(_) => true,
    }
}

fn program_of(work: &Work, which: Maintenance) -> PathBuf {
    let name: OsString = match which {
        Maintenance::Fixup => "fixup".into(),
        Maintenance::Compact => work.partition.settings.compact_task.value.clone(),
    };
    let linked = work.partition.lotus().join("bin").join(&name);
    if is_executable(&linked) {
        linked
    } else {
        // dbmt has no start-up link on installations that never got one.
        work.partition.settings.exec_directory().join(&name)
    }
}

/// What is done to the databases before a server comes up, in the order of
/// contract §4. Returns an error only where going on would start a server in
/// spite of a request to end.
pub fn before_start(work: &mut Work) -> Result<()> {
    let settings = &work.partition.settings;
    let start_fixup = settings.start_fixup_options.value.clone();
    let compact = settings.compact_options.value.clone();
    let start_compact = settings.start_compact_options.value.clone();
    let log_compact = settings.log_compact_options.value.clone();
    let start_log_compact = settings.log_start_compact_options.value.clone();
    let once = settings.nextstart_compact_file();

    set_aside(work, LogDatabase::Domlog)?;
    run_if(work, Maintenance::Fixup, start_fixup)?;
    // The marker asks for one compact, with the ordinary options.
    let (compact, log_compact) = match std::fs::remove_file(&once) {
        Ok(()) => (compact, log_compact),
        Err(cause) => {
            if cause.kind() != std::io::ErrorKind::NotFound {
                work.reporter
                    .warn(&format!("cannot remove {}: {cause}", once.display()));
            }
            (start_compact, start_log_compact)
        }
    };
    run_if(work, Maintenance::Compact, compact)?;
    set_aside(work, LogDatabase::Log)?;
    run_if(work, Maintenance::Compact, log_compact)
}

fn run_if(work: &mut Work, which: Maintenance, options: Option<Vec<OsString>>) -> Result<()> {
    let Some(options) = options else {
        return Ok(());
    };
    match maintain(work, which, &options) {
        // A tool that is missing is said; the server starts all the same.
        Err(error @ (Error::Program { .. } | Error::File { .. })) => {
            work.reporter.warn(&error.to_string());
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// A database that the server makes anew when it is missing.
#[derive(Clone, Copy, Debug)]
enum LogDatabase {
    Log,
    Domlog,
}

impl LogDatabase {
    fn stem(self) -> &'static str {
        match self {
            LogDatabase::Log => "log",
            LogDatabase::Domlog => "domlog",
        }
    }

    /// After how many days it is set aside, if at all.
    fn days(self, settings: &Settings) -> Option<u32> {
        match self {
            LogDatabase::Log => settings.log_db_days.value,
            LogDatabase::Domlog => settings.domlog_db_days.value,
        }
    }

    /// The file whose age says when the database was last set aside.
    fn status_file(self, settings: &Settings) -> PathBuf {
        match self {
            LogDatabase::Log => settings.last_log_db_file(),
            LogDatabase::Domlog => settings.last_domlog_db_file(),
        }
    }

    fn backup(self, settings: &Settings) -> DatabaseBackup {
        match self {
            LogDatabase::Log => settings.log_db_backup(),
            LogDatabase::Domlog => settings.domlog_db_backup(),
        }
    }
}

/// Renames (or removes: DELETEDB) the database when it is due.
fn set_aside(work: &mut Work, which: LogDatabase) -> Result<()> {
    let settings = &work.partition.settings;
    let Some(days) = which.days(settings) else {
        return Ok(());
    };
    let status = which.status_file(settings);
    if !is_due(&status, days) {
        return Ok(());
    }
    let now = work.partition.stamp("%a %b %e %H:%M:%S %Z %Y\n")?;
    if let Err(cause) = std::fs::write(&status, now) {
        work.reporter
            .warn(&format!("cannot write {}: {cause}", status.display()));
    }
    let database = work.partition.data().join(format!("{}.nsf", which.stem()));
    if !database.exists() {
        return Ok(());
    }
    let target = match which.backup(&work.partition.settings) {
        DatabaseBackup::Delete => None,
        DatabaseBackup::NamedAs(path) => Some(path),
        DatabaseBackup::DatedIn(directory) => {
            let date = work.partition.stamp("%Y%m%d")?;
            Some(directory.join(format!("{}_{date}.nsf", which.stem())))
        }
    };
    let (text, done) = match &target {
        None => (
            format!("Removed {}", database.display()),
            std::fs::remove_file(&database),
        ),
        Some(target) => (
            format!("Moved {} to {}", database.display(), target.display()),
            replace(&database, target),
        ),
    };
    let log = ServerLog::of(work.partition);
    match done {
        Ok(()) => {
            log.append(format!("--- {text} ---\n").as_bytes())?;
            work.reporter.info(&text);
        }
        Err(cause) => {
            let text = format!(
                "{} was to be set aside but stays: {cause}",
                database.display()
            );
            let _ = log.append(format!("--- {text} ---\n").as_bytes());
            work.reporter.warn(&text);
        }
    }
    Ok(())
}

/// The status file is written at each rename: its age is the rename's. An
/// empty one, or none, means that there was no rename yet.
fn is_due(status: &Path, days: u32) -> bool {
    let Ok(found) = std::fs::metadata(status) else {
        return true;
    };
    let Ok(age) = found.modified().and_then(|at| {
        SystemTime::now()
            .duration_since(at)
            .map_err(std::io::Error::other)
    }) else {
        return found.len() == 0;
    };
    found.len() == 0 || age.as_secs() / 86_400 >= u64::from(days)
}

fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    move_file(from, to)
}
