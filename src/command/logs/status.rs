//! `logstatus`: where the logs are, how large, and what becomes of them.

use crate::domino::Partition;
use crate::domino::figures::{self, size};
use crate::domino::server_log::ServerLog;
use crate::domino::sweep::Pattern;
use crate::error::{Error, Result, shown_whole};
use crate::exit::Exit;
use crate::os::clock::stamp_at;
use crate::os::walk::Tree;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

/// Runs the verb.
pub fn run(partition: &Partition, ui: &mut Ui) -> Result<Exit> {
    let settings = &partition.settings;
    let log = partition.log();
    let shown = ServerLog::shown(partition);
    row(ui, "Console log", &file(partition, &log)?);
    if shown.path() != log {
        row(ui, "Shown by the verbs", &file(partition, shown.path())?);
    }
    row(ui, "Archives", &archives(partition)?);
    row(
        ui,
        "Archived",
        if settings.archive_logs_shutdown.value {
            "at each start and stop"
        } else {
            "at each start"
        },
    );
    row(
        ui,
        "Compressed by",
        &joined(&settings.compress_command.value),
    );
    row(ui, "Support directory", &path(&partition.support()));
    for (name, setting) in [
        ("Log directory", "DOMINO_LOG_PATH"),
        ("Custom directory", "DOMINO_CUSTOM_LOG_CLEAR_PATH"),
    ] {
        if let Some(directory) = settings.text(setting) {
            row(ui, name, &shown_whole(directory));
        }
    }
    let script = settings.text("DOMINO_CUSTOM_LOG_CLEAR_SCRIPT");
    if let Some(script) = script {
        row(ui, "Cleared by", &shown_whole(script));
    }
    row(ui, "Logs cleared", &days(settings.log_clear_days.value));
    row(
        ui,
        "Archives cleared",
        &days(settings.log_backup_clear_days.value),
    );
    row(
        ui,
        "Custom logs cleared",
        &days(settings.custom_log_clear_days.value),
    );
    row(
        ui,
        "Cleared at start",
        if settings.clear_logs_startup.value {
            "yes"
        } else {
            "no"
        },
    );
    for (name, database, after) in [
        ("Log database", "log.nsf", settings.log_db_days.value),
        (
            "Web log database",
            "domlog.nsf",
            settings.domlog_db_days.value,
        ),
    ] {
        let mut text = file(partition, &partition.data().join(database))?;
        if let Some(after) = after {
            text.push_str(&format!(
                "; renamed at a start after {}",
                figures::count(after, "day")
            ));
        }
        row(ui, name, &text);
    }
    row(
        ui,
        "Compact task",
        &shown_whole(&settings.compact_task.value),
    );
    for (name, setting) in [
        ("Compact options", "DOMINO_COMPACT_OPTIONS"),
        ("Log compact options", "DOMINO_LOG_COMPACT_OPTIONS"),
        ("Debug log", "DOMINO_DEBUG_FILE"),
    ] {
        let text = settings.text(setting).map_or("none".into(), shown_whole);
        row(ui, name, &text);
    }
    Ok(Exit::Done)
}

fn row(ui: &mut Ui, name: &str, text: &str) {
    ui.line(&format!("{name:<20}: {text}"));
}

fn path(path: &Path) -> String {
    shown_whole(path.as_os_str())
}

fn joined(words: &[OsString]) -> String {
    shown_whole(&words.join(OsStr::new(" ")))
}

fn days(days: Option<u32>) -> String {
    days.map_or("never".into(), |days| {
        format!("after {}", figures::count(days, "day"))
    })
}

/// A file with its size and age.
fn file(partition: &Partition, file: &Path) -> Result<String> {
    let found = match std::fs::metadata(file) {
        Ok(found) => found,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Ok(format!("{}, not there", path(file)));
        }
        Err(cause) => return Ok(format!("{}, {cause}", path(file))),
    };
    let written = found
        .modified()
        .map_err(Error::file("examine", file))
        .and_then(|moment| local(partition, moment))?;
    Ok(format!(
        "{}, {}, written {written}",
        path(file),
        size(found.len())
    ))
}

fn local(partition: &Partition, moment: SystemTime) -> Result<String> {
    stamp_at(
        moment,
        "%Y-%m-%d %H:%M:%S",
        partition.settings.tz.value.as_deref(),
    )
    .map(|text| text.to_string_lossy().into_owned())
    .map_err(Error::system("tell the local time"))
}

/// How many archives of the console log there are, and the newest.
fn archives(partition: &Partition) -> Result<String> {
    let directory = partition.settings.log_backup_dir();
    let pattern = Pattern::Archive {
        log: partition.log(),
        plain: false,
    };
    let (mut count, mut bytes) = (0u64, 0u64);
    let mut newest: Option<OsString> = None;
    let visited = Tree::open(&directory, false, true).and_then(|tree| {
        tree.visit(&|name| pattern.matches(name), &mut |group| {
            for archive in group {
                let found = archive.examine().ok().flatten();
                count += 1;
                bytes += found.map_or(0, |found| found.size);
                // Their names sort by time.
                newest = newest
                    .take()
                    .max(Some(archive.below_top().into_os_string()));
            }
            ControlFlow::Continue(())
        })
    });
    if let Err(cause) = visited {
        return Ok(cause.to_string());
    }
    Ok(match newest {
        Some(newest) => format!(
            "{}, {} of {}, the newest {}",
            path(&directory),
            figures::count(count, "file"),
            size(bytes),
            shown_whole(&newest)
        ),
        None => format!("{}, none yet", path(&directory)),
    })
}
