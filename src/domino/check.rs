//! What is wrong with a server's settings taken together: scripts that may not
//! be run, times that contradict each other, directories that are not there.

use super::hooks;
use super::partition::Partition;
use crate::error::shown;
use crate::os::files::is_executable;
use crate::settings::lint::{Finding, Places};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that is found.
pub fn of(partition: &Partition, places: &Places) -> Vec<Finding> {
    let mut found = Vec::new();
    scripts(partition, places, &mut found);
    times(partition, places, &mut found);
    values(partition, places, &mut found);
    writable(partition, &mut found);
    found.extend(
        super::warnings::of(partition)
            .into_iter()
            .map(Finding::plain),
    );
    found
}

fn scripts(partition: &Partition, places: &Places, found: &mut Vec<Finding>) {
    for hook in hooks::ALL {
        let name = hook.setting();
        let Some(value) = partition.settings.text(name) else {
            continue;
        };
        let (program, _) = hooks::command_of(value);
        let mut say = |problem: &str| {
            let text = format!("{name}: {} {problem}", program.display());
            found.push(places.finding(name, text));
        };
        if let Err(problem) = hooks::may_run(partition, &program) {
            say(&format!("{problem}; it would be skipped"));
        } else if others_can_write(&program) {
            say("can be changed by other users; chmod go-w");
        }
    }
}

fn others_can_write(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o022 != 0)
}

fn times(partition: &Partition, places: &Places, found: &mut Vec<Finding>) {
    let settings = &partition.settings;
    let shutdown = settings.shutdown_timeout.value;
    let seconds = shutdown.as_secs();
    let mut say = |name: &str, text: String| {
        found.push(places.finding(name, format!("{name}: {text}")));
    };
    if shutdown < Duration::from_secs(60) {
        say(
            "DOMINO_SHUTDOWN_TIMEOUT",
            format!("{seconds} seconds are short for a shutdown; after them the server is killed"),
        );
    }
    if shutdown > Duration::from_secs(86_400) {
        say(
            "DOMINO_SHUTDOWN_TIMEOUT",
            format!("{seconds} seconds are more than a day; the unit is seconds"),
        );
    }
    if settings
        .termination_grace
        .value
        .is_some_and(|grace| grace <= shutdown)
    {
        say(
            "DOMINO_TERMINATION_GRACE",
            format!(
                "not above DOMINO_SHUTDOWN_TIMEOUT, {seconds}: the container's runtime would kill a server that is still closing its databases"
            ),
        );
    }
    if settings.text("DOMINO_SHUTDOWN_DELAYED_SCRIPT").is_some()
        && settings.shutdown_delayed_seconds.value >= shutdown
    {
        say(
            "DOMINO_SHUTDOWN_DELAYED_SECONDS",
            format!("not below DOMINO_SHUTDOWN_TIMEOUT, {seconds}: the script would never be run"),
        );
    }
    if settings.tika_shutdown_term_seconds.value >= shutdown {
        say(
            "DOMINO_TIKA_SHUTDOWN_TERM_SECONDS",
            format!(
                "not below DOMINO_SHUTDOWN_TIMEOUT, {seconds}: a Tika left over would get the server killed"
            ),
        );
    }
    if settings.lock_timeout() < shutdown {
        say(
            "DOMINO_LOCK_TIMEOUT",
            format!(
                "below DOMINO_SHUTDOWN_TIMEOUT, {seconds}: a start would give up while a stop goes on as it should"
            ),
        );
    }
    if settings.pre_shutdown_delay.value.is_some() && settings.pre_shutdown_command.value.is_none()
    {
        say(
            "DOMINO_PRE_SHUTDOWN_DELAY",
            "has no effect without DOMINO_PRE_SHUTDOWN_COMMAND".to_owned(),
        );
    }
}

fn values(partition: &Partition, places: &Places, found: &mut Vec<Finding>) {
    let settings = &partition.settings;
    let mut say = |name: &str, text: String| {
        found.push(places.finding(name, format!("{name}: {text}")));
    };
    if let Some(pattern) = &settings.monitor_filter_string.value
        && let Err(error) = regex_lite::Regex::new(&pattern.to_string_lossy())
    {
        say(
            "DOMINO_MONITOR_FILTER_STRING",
            format!("is no pattern: {error}; everything would be shown"),
        );
    }
    let mode = &settings.snapshot_mode.value;
    if !["stop", "online", "auto"].iter().any(|known| mode == known) {
        say(
            "DOMINO_SNAPSHOT_MODE",
            format!("'{}': expected stop, online or auto", shown(mode)),
        );
    }
    for (one, other) in [
        ("DOMINO_LOG_DB_BACKUP", "DOMINO_LOG_DB_BACKUP_DIR"),
        ("DOMINO_DOMLOG_DB_BACKUP", "DOMINO_DOMLOG_DB_BACKUP_DIR"),
    ] {
        if settings.text(one).is_some() && settings.text(other).is_some() {
            say(other, format!("has no effect beside {one}"));
        }
    }
    if let Some(directory) = settings.text("DOMINO_CUSTOM_COMMAND_BASEPATH")
        && !Path::new(directory).is_dir()
    {
        say(
            "DOMINO_CUSTOM_COMMAND_BASEPATH",
            format!("{} is no directory", shown(directory)),
        );
    }
    for directory in settings.bin_dirs_3rd_party.value.iter().flatten() {
        if !Path::new(directory).is_dir() {
            say(
                "DOMINO_3RD_PARTY_BIN_DIRS",
                format!("{} is no directory", shown(directory)),
            );
        }
    }
    if !is_executable(&partition.program("server")) {
        say(
            "LOTUS",
            format!(
                "no Domino server under {}: bin/server is missing or cannot be executed",
                partition.lotus().display()
            ),
        );
    }
    if let Err(error) = partition.require_writable_data() {
        found.push(places.finding("DOMINO_DATA_PATH", error.to_string()));
    }
}

/// Whoever can write to the configuration decides what runs as the user.
fn writable(partition: &Partition, found: &mut Vec<Finding>) {
    let files = crate::settings::configuration_files(&partition.root, &partition.user.name)
        .map(Vec::from)
        .unwrap_or_default();
    let further = partition
        .settings
        .text("DOMINO_ENV_FILE")
        .map(PathBuf::from);
    for file in files.into_iter().chain(further) {
        if others_can_write(&file) {
            found.push(Finding::at(
                &file,
                None,
                "can be changed by other users, who then decide what runs as the Domino user; chmod go-w",
            ));
        }
    }
}
