//! The environment that Domino's programs and the site's hooks are given.

use super::partition::Partition;
use crate::os::process::Pid;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Name and value pairs, as a program is given them.
pub type Environment = Vec<(OsString, OsString)>;

/// Settings that hooks find in their environment under their own names,
/// besides those derived below (contract §4).
const HANDED_ON: [&str; 13] = [
    "DOMINO_LOG_PATH",
    "DOMINO_VIEW_REBUILD_DIR",
    "DOMINO_TEMP_DIR",
    "DOMINO_SCRIPT_DIR",
    "DOMINO_CUSTOM_COMMAND_BASEPATH",
    "DOMINO_MONITOR_FILTER_STRING",
    "DOMINO_3RD_PARTY_BIN_DIRS",
    "DOMINO_LOG_CLEAR_DAYS",
    "DOMINO_LOG_BACKUP_CLEAR_DAYS",
    "DOMINO_CUSTOM_LOG_CLEAR_DAYS",
    "DOMINO_LOG_DB_DAYS",
    "DOMINO_LOG_DB_BACKUP",
    "DOMINO_LOG_DB_BACKUP_DIR",
];

/// The same for domlog.nsf.
const HANDED_ON_DOMLOG: [&str; 3] = [
    "DOMINO_DOMLOG_DB_DAYS",
    "DOMINO_DOMLOG_DB_BACKUP",
    "DOMINO_DOMLOG_DB_BACKUP_DIR",
];

/// The whole environment for a program of this partition. `server` is the pid
/// of the running server, where there is one.
pub fn for_programs(partition: &Partition, server: Option<Pid>) -> Environment {
    let settings = &partition.settings;
    let mut all: BTreeMap<OsString, OsString> = partition.inherited.iter().cloned().collect();
    all.extend(partition.exports.iter().cloned());
    all.retain(|name, _| !partition.removed.contains(name));
    // Between the service manager and this program; a child has no part in it.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        all.remove(OsStr::new(name));
    }
    let mut set = |name: &str, value: &OsStr| {
        all.insert(name.into(), value.to_owned());
    };

    for name in HANDED_ON.iter().chain(&HANDED_ON_DOMLOG) {
        set(name, settings.text(name).unwrap_or_default());
    }
    let lotus = partition.lotus();
    let data = partition.data();
    set("LOTUS", lotus.as_os_str());
    let debug = if settings.debug_mode.value {
        "yes"
    } else {
        "no"
    };
    set("DOMINO_DEBUG_MODE", OsStr::new(debug));
    set("LARCH", OsStr::new("linux"));
    set("PLATFORM_NAME", OsStr::new("xLinux"));
    // Domino's own documentation: keeps its signal handling and the Java
    // virtual machine's apart.
    set("AMQ_NO_SIGWAIT_SIGTRAP", OsStr::new("1"));
    // Some distributions' start-up code sets LC_ALL to POSIX, which would
    // override the LANG that Domino reads.
    set("LC_ALL", OsStr::new(""));
    set("DOMINO_USER", &partition.user.name);
    set("DOMINO_SERVER", &partition.name());
    set("DOMINO_DATA_PATH", data.as_os_str());
    set("DOMINO_INI_PATH", settings.ini_path().as_os_str());
    set("DOMINO_OUTPUT_LOG", partition.log().as_os_str());
    set("DOMINO_INPUT_FILE", settings.input_file().as_os_str());
    set("DOMINO_LOG_DIR", settings.log_dir().as_os_str());
    set(
        "DOMINO_LOG_BACKUP_DIR",
        settings.text("DOMINO_LOG_BACKUP_DIR").unwrap_or_default(),
    );
    set(
        "DOMINO_SHUTDOWN_TIMEOUT",
        OsStr::new(&settings.shutdown_timeout.value.as_secs().to_string()),
    );
    set("DOMINO_INSDIR", settings.insdir().as_os_str());
    set("DOMINO_PID_FILE", partition.pid_file().as_os_str());
    set(
        "DOMINO_PID",
        OsStr::new(&server.map(|pid| pid.to_string()).unwrap_or_default()),
    );
    let unit = if partition.systemd {
        settings.unit_name()
    } else {
        OsString::new()
    };
    set("DOMINO_SYSTEMD_NAME", &unit);
    set(
        "DOMINO_SCRIPT_VERSION",
        OsStr::new(env!("CARGO_PKG_VERSION")),
    );
    if let Some(language) = &settings.lang.value {
        set("LANG", language);
    }
    if let Some(zone) = &settings.tz.value {
        set("TZ", zone);
    }
    if let Some(size) = settings.text("DOMINO_SHARED_DPOOLSIZE") {
        set("Notes_SHARED_DPOOLSIZE", size);
    }

    let programs = settings.exec_directory();
    set("Notes_ExecDirectory", programs.as_os_str());
    let path = joined(
        &[
            &data,
            &lotus.join("bin"),
            &programs,
            &programs.join("res/C"),
        ],
        all.get(OsStr::new("PATH")),
    );
    all.insert("PATH".into(), path);
    let libraries = joined(&[&programs], all.get(OsStr::new("LD_LIBRARY_PATH")));
    all.insert("LD_LIBRARY_PATH".into(), libraries);
    all.into_iter().collect()
}

/// Directories in front of an older search path, separated by colons. What is
/// in front already (a call from within a hook) is not put there twice.
fn joined(front: &[&Path], rest: Option<&OsString>) -> OsString {
    let mut path = OsString::new();
    for directory in front {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(directory);
    }
    match rest {
        Some(rest) if !rest.is_empty() && !starts_with_path(rest, &path) => {
            path.push(":");
            path.push(rest);
            path
        }
        Some(rest) if !rest.is_empty() => rest.clone(),
        _ => path,
    }
}

fn starts_with_path(whole: &OsStr, front: &OsStr) -> bool {
    use std::os::unix::ffi::OsStrExt;
    whole
        .as_bytes()
        .strip_prefix(front.as_bytes())
        .is_some_and(|rest| rest.first().is_none_or(|next| *next == b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_are_prefixed_once() {
        let front: [&Path; 2] = [Path::new("/a"), Path::new("/b")];
        assert_eq!(joined(&front, None), "/a:/b");
        assert_eq!(joined(&front, Some(&"/bin".into())), "/a:/b:/bin");
        assert_eq!(joined(&front, Some(&"/a:/b:/bin".into())), "/a:/b:/bin");
        assert_eq!(joined(&front, Some(&"/a:/bb".into())), "/a:/b:/a:/bb");
    }
}
