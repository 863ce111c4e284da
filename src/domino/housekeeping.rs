//! What is tidied up before a start: directories, loadmon, temporary files,
//! old logs.

use super::hooks::{self, Hook};
use super::partition::Partition;
use super::tools::{Tool, Work, launch};
use crate::error::Result;
use crate::settings::Setting;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

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
        clear_logs(work, &Ages::configured(work.partition))?;
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

/// Removes logs older than their days, or lets the site's script do it.
pub fn clear_logs(work: &mut Work, ages: &Ages) -> Result<()> {
    if work
        .partition
        .settings
        .text(Hook::ClearLogs.setting())
        .is_some()
    {
        hooks::run(work, Hook::ClearLogs, None)?;
        return Ok(());
    }
    for sweep in log_sweeps(work.partition, ages) {
        sweep.run(work)?;
    }
    Ok(())
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
    add(
        Some(settings.technical_support_dir()),
        ages.logs,
        true,
        Pattern::Any,
    );
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
            server: partition.log().file_stem().unwrap_or_default().to_owned(),
        },
    );
    sweeps
}

/// The site's own command, or none where files are removed in process.
fn site_command(configured: &Setting<Vec<OsString>>) -> Vec<OsString> {
    if configured.value == ["rm", "-f"] {
        Vec::new()
    } else {
        configured.value.clone()
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
    let sweep = |directory: PathBuf, suffix, minimum_age| Sweep {
        directory,
        deep: true,
        pattern: Pattern::Suffix(suffix),
        minimum_age,
        command: command.clone(),
    };
    let data = work.partition.data();
    let mut sweeps = vec![
        sweep(data.clone(), ".DTF", Duration::ZERO),
        // A fresh one can hold mail: only those at least a day old go.
        sweep(data, ".TMP", DAY),
    ];
    if let Some(directory) = work.partition.settings.text("DOMINO_VIEW_REBUILD_DIR") {
        sweeps.push(sweep(directory.into(), ".DTF", Duration::ZERO));
    }
    for sweep in sweeps {
        sweep.run(work)?;
    }
    Ok(())
}

/// Which files of a directory are meant.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// All.
    Any,
    /// Those whose name ends so.
    Suffix(&'static str),
    /// Archives of this server's console log, and no other server's.
    Archive {
        /// Stem of the log's name.
        server: OsString,
    },
}

impl Pattern {
    fn matches(&self, name: &OsStr) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Suffix(suffix) => name.as_bytes().ends_with(suffix.as_bytes()),
            Pattern::Archive { server } => is_archive(name.as_bytes(), server.as_bytes()),
        }
    }
}

/// `SERVER_YYMMDD_HHMMSS…log.gz`: the date keeps `mail` from matching
/// archives of `mail_hub`.
fn is_archive(name: &[u8], server: &[u8]) -> bool {
    let Some(rest) = name
        .strip_prefix(server)
        .and_then(|rest| rest.strip_prefix(b"_"))
        .and_then(|rest| rest.strip_suffix(b".log.gz"))
    else {
        return false;
    };
    let digits = |part: &[u8]| part.len() == 6 && part.iter().all(u8::is_ascii_digit);
    rest.len() >= 13
        && digits(&rest[..6])
        && rest[6] == b'_'
        && digits(&rest[7..13])
        && (rest.len() == 13 || rest[13] == b'_')
}

/// Files of one directory that are due for removal.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Where to look; what is reached through links is left alone.
    pub directory: PathBuf,
    /// Whether subdirectories count.
    pub deep: bool,
    /// Which names.
    pub pattern: Pattern,
    /// How old at least, by time of last modification.
    pub minimum_age: Duration,
    /// The site's command in place of removing; none: removed in process.
    pub command: Vec<OsString>,
}

impl Sweep {
    /// Removes what is due and says how much that was.
    pub fn run(&self, work: &mut Work) -> Result<()> {
        let due = match self.due() {
            Ok(due) => due,
            Err(cause) => {
                work.reporter.warn(&format!(
                    "cannot read {}: {cause}",
                    self.directory.display()
                ));
                return Ok(());
            }
        };
        let (mut removed, mut bytes) = (0u64, 0u64);
        let mut failed: Option<String> = None;
        for (path, size) in due {
            work.check_signals("clean-up ended before it was done; the server was not started")?;
            match self.remove(work, &path) {
                Ok(()) => {
                    removed += 1;
                    bytes += size;
                }
                Err(problem) => {
                    failed.get_or_insert(format!("{}: {problem}", path.display()));
                }
            }
        }
        if removed > 0 {
            work.reporter.info(&format!(
                "Removed {removed} files ({} KiB) from {}",
                bytes.div_ceil(1024),
                self.directory.display()
            ));
        }
        if let Some(first) = failed {
            work.reporter.warn(&format!(
                "some files could not be removed, the first: {first}"
            ));
        }
        Ok(())
    }

    fn remove(&self, work: &mut Work, path: &Path) -> std::result::Result<(), String> {
        let Some((program, arguments)) = self.command.split_first() else {
            return std::fs::remove_file(path).map_err(|cause| cause.to_string());
        };
        let mut tool = Tool::new(program.into(), arguments.iter().cloned());
        tool.arguments.push(path.into());
        let mut child = launch(work.partition, &tool)
            .spawn()
            .map_err(|cause| cause.to_string())?;
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(cause) => Err(cause.to_string()),
        }
    }

    /// The files that are due, with their sizes.
    pub fn due(&self) -> std::io::Result<Vec<(PathBuf, u64)>> {
        let mut due = Vec::new();
        let mut directories = vec![self.directory.clone()];
        let now = SystemTime::now();
        let mut first = true;
        while let Some(directory) = directories.pop() {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(cause) if first && cause.kind() == std::io::ErrorKind::NotFound => break,
                Err(cause) if first => return Err(cause),
                // A subdirectory that went away or is closed to us.
                Err(_) => continue,
            };
            first = false;
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    if self.deep {
                        directories.push(entry.path());
                    }
                } else if kind.is_file()
                    && self.pattern.matches(&entry.file_name())
                    && let Some(size) = self.old_enough(&entry, now)
                {
                    due.push((entry.path(), size));
                }
            }
        }
        Ok(due)
    }

    fn old_enough(&self, entry: &DirEntry, now: SystemTime) -> Option<u64> {
        let found: Metadata = entry.metadata().ok()?;
        if self.minimum_age.is_zero() {
            return Some(found.len());
        }
        let age = now.duration_since(found.modified().ok()?).ok()?;
        (age >= self.minimum_age).then_some(found.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_servers_archives_match() {
        let pattern = Pattern::Archive {
            server: "mail".into(),
        };
        for (name, expected) in [
            ("mail_261122_170000.log.gz", true),
            ("mail_261122_170000_tag.log.gz", true),
            ("mail_hub_261122_170000.log.gz", false),
            ("hub_261122_170000.log.gz", false),
            ("mail_261122_170000.log", false),
            ("mail_.log.gz", false),
            ("mail_26112a_170000.log.gz", false),
        ] {
            assert_eq!(pattern.matches(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_sweep_never_follows_links_and_minds_age() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("x.TMP"), b"keep").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let old = inside.path().join("deep/old.TMP");
        std::fs::create_dir(inside.path().join("deep")).unwrap();
        for file in [&old, &inside.path().join("new.TMP")] {
            std::fs::write(file, b"x").unwrap();
        }
        std::fs::File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(SystemTime::now() - DAY * 2)
            .unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x.TMP"), inside.path().join("l.TMP"))
            .unwrap();
        let mut sweep = Sweep {
            directory: inside.path().into(),
            deep: true,
            pattern: Pattern::Suffix(".TMP"),
            minimum_age: DAY,
            command: Vec::new(),
        };
        assert_eq!(sweep.due().unwrap(), [(old, 1)]);
        sweep.deep = false;
        assert_eq!(sweep.due().unwrap(), []);
        sweep.directory = inside.path().join("missing");
        assert_eq!(sweep.due().unwrap(), []);
    }
}
