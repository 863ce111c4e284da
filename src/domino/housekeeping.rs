//! What is tidied up before a start: directories, loadmon, temporary files,
//! old logs.

use super::hooks::{self, Hook, HookEnd};
use super::partition::Partition;
use super::sweep::{Mode, Pattern, Sweep, Sweeper, Swept};
use super::tools::Work;
use crate::error::{Result, shown};
use crate::settings::Setting;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Creates the configured directories that are missing. One that cannot be
/// made is said; the server decides whether it can do without.
pub fn create_directories(work: &mut Work) {
    let settings = &work.partition.settings;
    let mut wanted: Vec<(&str, PathBuf)> = [
        "DOMINO_VIEW_REBUILD_DIR",
        "DOMINO_TEMP_DIR",
        "DOMINO_LOG_PATH",
        "DOMINO_LOG_DIR",
        "DOMINO_LOG_BACKUP_DIR",
    ]
    .into_iter()
    .filter_map(|name| Some((name, settings.text(name)?.into())))
    .collect();
    wanted.push(("home directory", work.partition.user.home.clone()));
    for (name, directory) in wanted {
        if directory.as_os_str().is_empty() || directory.exists() {
            continue;
        }
        match std::fs::create_dir_all(&directory) {
            Ok(()) => work
                .reporter
                .info(&format!("Created {} ({name})", directory.display())),
            Err(cause) => work.reporter.warn(&format!(
                "cannot create {} ({name}): {cause}",
                directory.display()
            )),
        }
    }
}

/// All that is tidied up before a start, as far as the configuration asks.
pub fn before_start(work: &mut Work) -> Result<()> {
    let settings = &work.partition.settings;
    if settings.reset_loadmon.value {
        reset_loadmon(work);
    }
    if settings.clear_logs_startup.value {
        clear_logs(work, &Ages::configured(work.partition), Mode::Remove)?;
    }
    if work.partition.settings.remove_tempfiles.value {
        remove_temporary_files(work)?;
    }
    Ok(())
}

fn reset_loadmon(work: &mut Work) {
    let file = work.partition.data().join("loadmon.ncf");
    match std::fs::remove_file(&file) {
        Ok(()) => work.reporter.info(&format!("Removed {}", file.display())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => work
            .reporter
            .warn(&format!("cannot remove {}: {cause}", file.display())),
    }
}

/// After how many days what is removed; None: not at all.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    /// Logs and support files.
    pub logs: Option<u32>,
    /// The site's own log directory.
    pub custom: Option<u32>,
    /// Archives of the console log.
    pub archives: Option<u32>,
}

impl Ages {
    /// As the configuration has them.
    pub fn configured(partition: &Partition) -> Ages {
        let settings = &partition.settings;
        Ages {
            logs: settings.log_clear_days.value,
            custom: settings.custom_log_clear_days.value,
            archives: settings.log_backup_clear_days.value,
        }
    }
}

/// What came of clearing logs.
#[derive(Clone, Copy, Debug)]
pub enum Cleared {
    /// No days, or no directories for them, are given: nothing was looked at.
    Nothing,
    /// The site's script did it.
    ByScript(HookEnd),
    /// These files went, or would go.
    Swept(Swept),
}

/// Removes logs older than their days, or lets the site's script do it.
pub fn clear_logs(work: &mut Work, ages: &Ages, mode: Mode) -> Result<Cleared> {
    if let Some(script) = work.partition.settings.text(Hook::ClearLogs.setting()) {
        if mode == Mode::List {
            let line = format!("Would run {} instead", shown(script));
            work.reporter.info(&line);
            return Ok(Cleared::ByScript(HookEnd::None));
        }
        return hooks::run(work, Hook::ClearLogs, None).map(Cleared::ByScript);
    }
    let sweeps = log_sweeps(work.partition, ages);
    if sweeps.is_empty() {
        return Ok(Cleared::Nothing);
    }
    let mut total = Swept::default();
    let mut sweeper = Sweeper::new(mode);
    for sweep in sweeps {
        if let Some(held) = held_by(work.partition, &sweep) {
            work.reporter.warn(&format!(
                "{} is not cleared: it holds {}; correct the setting that names it",
                sweep.directory.display(),
                held.display()
            ));
            total.failed += 1;
            continue;
        }
        total += sweeper.run(work, &sweep)?;
    }
    Ok(Cleared::Swept(total))
}

/// The server's data or installation where a sweep of all old files would go
/// over it: a slip in the configuration must not cost databases.
fn held_by(partition: &Partition, sweep: &Sweep) -> Option<PathBuf> {
    if !matches!(sweep.pattern, Pattern::Any) {
        return None;
    }
    let swept = std::fs::canonicalize(&sweep.directory).ok()?;
    [partition.data(), partition.lotus()]
        .into_iter()
        .find(|place| std::fs::canonicalize(place).is_ok_and(|place| place.starts_with(&swept)))
}

/// What clearing logs comes down to, directory by directory.
pub fn log_sweeps(partition: &Partition, ages: &Ages) -> Vec<Sweep> {
    let settings = &partition.settings;
    let command = site_command(&settings.remove_command_cleanup);
    let mut sweeps = Vec::new();
    let mut add = |directory: Option<PathBuf>, days: Option<u32>, deep, pattern| {
        if let (Some(directory), Some(days)) = (directory, days) {
            sweeps.push(Sweep {
                directory,
                through_link: true,
                deep,
                pattern,
                // As `find -mtime +N`: more than N whole days old.
                minimum_age: DAY * (days.saturating_add(1)),
                command: command.clone(),
            });
        }
    };
    let configured = |name: &str| settings.text(name).map(PathBuf::from);
    add(configured("DOMINO_LOG_PATH"), ages.logs, true, Pattern::Any);
    add(Some(partition.support()), ages.logs, true, Pattern::Any);
    add(
        configured("DOMINO_CUSTOM_LOG_CLEAR_PATH"),
        ages.custom,
        true,
        Pattern::Any,
    );
    add(
        Some(settings.log_backup_dir()),
        ages.archives,
        false,
        Pattern::Archive {
            log: partition.log(),
            plain: false,
        },
    );
    // Where nothing names it, a link to elsewhere may lead to what others
    // share.
    if configured("DOMINO_IBM_TECHNICAL_SUPPORT_DIR").is_none() {
        let support = partition.support();
        for sweep in &mut sweeps {
            sweep.through_link &= sweep.directory != support;
        }
    }
    sweeps
}

/// The site's own command, or none where files are removed in process.
pub fn site_command(configured: &Setting<Vec<OsString>>) -> Vec<OsString> {
    match configured.value.as_slice() {
        [program, option]
            if ["rm", "/bin/rm", "/usr/bin/rm"]
                .iter()
                .any(|rm| program == rm)
                && option == "-f" =>
        {
            Vec::new()
        }
        command => command.to_vec(),
    }
}

fn remove_temporary_files(work: &mut Work) -> Result<()> {
    if work
        .partition
        .settings
        .text(Hook::RemoveTempFiles.setting())
        .is_some()
    {
        hooks::run(work, Hook::RemoveTempFiles, None)?;
        return Ok(());
    }
    let command = site_command(&work.partition.settings.remove_command_temp);
    let sweep = |directory: PathBuf, suffixes, minimum_age| Sweep {
        directory,
        through_link: true,
        deep: true,
        pattern: Pattern::Suffixes(suffixes),
        minimum_age,
        command: command.clone(),
    };
    let data = work.partition.data();
    let mut sweeps = vec![
        sweep(data.clone(), &[".DTF"], Duration::ZERO),
        // A fresh one can hold mail: only those at least a day old go.
        sweep(data, &[".TMP"], DAY),
    ];
    if let Some(directory) = work.partition.settings.text("DOMINO_VIEW_REBUILD_DIR") {
        sweeps.push(sweep(directory.into(), &[".DTF"], Duration::ZERO));
    }
    let mut sweeper = Sweeper::new(Mode::Remove);
    for sweep in sweeps {
        sweeper.run(work, &sweep)?;
    }
    Ok(())
}

/// What Sametime leaves in its trace directory.
const SAMETIME_TRACES: &[&str] = &[".diag", ".lck", ".txt", ".log"];

/// Removes Sametime's traces and empties its log, as Sametime's own start
/// script does. Returns what went; None where there is no trace directory.
pub fn reset_sametime_logs(work: &mut Work) -> Result<Option<Swept>> {
    let data = work.partition.data();
    let directory = data.join("trace");
    // A link to a directory counts: Sametime writes through it.
    if !directory.is_dir() {
        return Ok(None);
    }
    let sweep = Sweep {
        directory,
        through_link: true,
        deep: true,
        pattern: Pattern::Suffixes(SAMETIME_TRACES),
        minimum_age: Duration::ZERO,
        command: site_command(&work.partition.settings.remove_command_temp),
    };
    let mut swept = Sweeper::new(Mode::Remove).run(work, &sweep)?;
    let log = data.join("sametime.log");
    let emptied = crate::os::files::open_append(&log, 0o644).and_then(|log| log.set_len(0));
    match emptied {
        Ok(()) => work.reporter.info(&format!("Emptied {}", log.display())),
        Err(cause) => {
            work.reporter.warn(&cause.to_string());
            swept.failed += 1;
        }
    }
    Ok(Some(swept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rm_in_its_usual_forms_is_built_in() {
        let command = |words: &[&str]| {
            site_command(&Setting {
                value: words.iter().map(OsString::from).collect(),
                source: crate::settings::Source::Default,
            })
        };
        assert!(command(&["rm", "-f"]).is_empty());
        assert!(command(&["/bin/rm", "-f"]).is_empty());
        assert_eq!(command(&["ls", "-l"]), ["ls", "-l"]);
        assert_eq!(command(&["rm", "-i"]), ["rm", "-i"]);
    }
}
