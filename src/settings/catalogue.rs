//! The one table of every setting: names, kinds, defaults, meaning. The typed
//! `Settings` and what help, manual and checks list both come from it.

use super::error::Error;
use super::kind::{self, Kind, Reading};
use super::source::{Setting, Source};
use std::ffi::{OsStr, OsString};

/// One setting as help and manual describe it.
#[derive(Debug)]
pub struct Entry {
    /// The variable's name.
    pub name: &'static str,
    /// Other names that are accepted; the first that is not empty counts.
    pub aliases: &'static [&'static str],
    /// What its text means.
    pub kind: Kind,
    /// The unit of its number, or empty.
    pub unit: &'static str,
    /// The default as a text; where it depends on others, in their names.
    pub default: &'static str,
    /// One line of meaning.
    pub summary: &'static str,
    /// The heading under which it is listed.
    pub group: &'static str,
}

/// Names that companions of the start script read from the same files, and
/// that are therefore no typing errors.
pub const COMPANIONS: &[&str] = &[
    "DOMINO_AUTO_CFG_DEFAULTS_ENV_FILE",
    "DOMINO_DOCKER_CFG_SCRIPT",
    "DOMINO_OPT_LATEST",
    "DOMINO_SCRIPT_VERSION",
    "DOMINO_SERVER_ID",
    "DOMINO_START_SCRIPT",
    "DOMINO_VOL_BACKUP",
    "DOMINO_VOL_DAOS",
    "DOMINO_VOL_LOCAL",
    "DOMINO_VOL_NSF",
    "DOMINO_VOL_OPT",
    "DOMINO_VOL_TRANSLOG",
    "DOMINO_WAIT_FOR_OTS",
];

/// A text found for a setting, with where it stands.
pub(super) type Found = Option<(&'static str, OsString, Source)>;

fn optional<K: Reading>(found: Found) -> Result<Setting<Option<K::Value>>, Error> {
    let Some((name, text, source)) = found else {
        return Ok(Setting {
            value: None,
            source: Source::Default,
        });
    };
    match K::read(&text) {
        Some(value) => Ok(Setting {
            value: Some(value),
            source,
        }),
        None => Err(Error::value(name, &text, K::KIND.expected(), source)),
    }
}

fn defaulted<K: Reading>(found: Found, default: &str) -> Result<Setting<K::Value>, Error>
where
    K::Value: Default,
{
    let Setting { value, source } = optional::<K>(found)?;
    // That every default can be read is a test's business.
    let value = value
        .or_else(|| K::read(OsStr::new(default)))
        .unwrap_or_default();
    Ok(Setting { value, source })
}

macro_rules! holds {
    ($kind:ident) => { Setting<Option<<kind::$kind as Reading>::Value>> };
    ($kind:ident $default:literal) => { Setting<<kind::$kind as Reading>::Value> };
}

macro_rules! take {
    ($kind:ident, $found:expr) => {
        optional::<kind::$kind>($found)?
    };
    ($kind:ident $default:literal, $found:expr) => {
        defaulted::<kind::$kind>($found, $default)?
    };
}

macro_rules! settings {
    ($($group:literal {
        $($field:ident: $kind:ident $(= $default:literal)? $(or $note:literal)?,
            $name:literal $(| $alias:literal)*, $unit:literal, $summary:literal;)*
    })*) => {
        /// Every setting in the order of the manual.
        pub static CATALOGUE: &[Entry] = &[$($(Entry {
            name: $name,
            aliases: &[$($alias),*],
            kind: Kind::$kind,
            unit: $unit,
            default: concat!("" $(, $default)? $(, $note)?),
            summary: $summary,
            group: $group,
        },)*)*];

        /// What was configured, typed. A field without a fixed default is
        /// `None` where nothing was configured; ask the method of its name.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Configured {
            $($(#[doc = $summary] pub $field: holds!($kind $($default)?),)*)*
        }

        impl Configured {
            /// Reads every setting through `find`, which knows the texts.
            pub(super) fn read(mut find: impl FnMut(&'static Entry) -> Found) -> Result<Configured, Error> {
                let mut entries = CATALOGUE.iter();
                // The table above is in the order of these fields.
                let mut next = || entries.next().and_then(&mut find);
                Ok(Configured { $($($field: take!($kind $($default)?, next()),)*)* })
            }
        }
    };
}

settings! {
    "Server" {
        configured: Text, "DOMINO_CONFIGURED", "", "must be set, to show that the configuration was looked at";
        lotus: Path or "/opt/hcl/domino, else /opt/ibm/domino", "LOTUS", "", "where Domino is installed";
        user: Text or "notes", "DOMINO_USER", "", "the user who runs the server";
        server: Text or "DOMINO_USER", "DOMINO_SERVER", "", "the server's name in messages and file names";
        data_path: Path or "DOMINO_DATA_PATH_BASE/DOMINO_USER/notesdata", "DOMINO_DATA_PATH", "", "the data directory";
        data_path_base: Path = "/local/domino", "DOMINO_DATA_PATH_BASE", "", "where data directories lie that are not configured";
        insdir: Path or "LOTUS", "DOMINO_INSDIR", "", "the installation directory as hooks are told it";
        env_file: Path, "DOMINO_ENV_FILE", "", "a further file, read last";
        lang: Text, "DOMINO_LANG", "", "LANG of the server";
        tz: Text, "DOMINO_TZ", "", "TZ of the server";
        umask: Octal, "DOMINO_UMASK", "octal", "umask of the server, where it differs from the user's";
        shared_dpoolsize: Number, "DOMINO_SHARED_DPOOLSIZE", "bytes", "passed on as Notes_SHARED_DPOOLSIZE";
        use_java_controller: Switch = "no", "DOMINO_USE_JAVA_CONTROLLER" | "USE_JAVA_CONTROLLER", "", "run the server under the Java controller";
        take_over: Switch = "no", "DOMINO_TAKE_OVER", "", "another host's claim on the data directory does not count: something else makes sure that only one host uses it";
        partitions: Text, "DOMINO_PARTITIONS", "", "users whose servers 'rc_domino all' means, in the order of their start";
        remote_setup_port: Port = "1352", "DOMINO_REMOTE_SETUP_PORT", "port", "where a server that is not set up listens for its setup";
        auto_config_env_file: Path or "DOMINO_DATA_PATH/DominoAutoConfig.env", "DOMINO_AUTO_CONFIG_ENV_FILE", "", "One-Touch Setup by environment variables";
        auto_config_json_file: Path or "DOMINO_DATA_PATH/DominoAutoConfig.json", "DOMINO_AUTO_CONFIG_JSON_FILE", "", "One-Touch Setup by a JSON file";
        auto_config_template_json_file: Path or "DOMINO_DATA_PATH/DominoAutoConfigTemplate.json", "DOMINO_AUTO_CONFIG_TEMPLATE_JSON_FILE", "", "template from which the JSON file is made";
        auto_cfg_defaults_env_file: Path or "DOMINO_DATA_PATH/DominoAutoConfigDefault.env", "DOMINO_AUTO_CFG_DEFAULTS_ENV_FILE", "", "presets for what setup asks, '-' for none";
    }
    "Service" {
        systemd_name: Text or "domino.service", "DOMINO_SYSTEMD_NAME", "", "the systemd unit";
        rc_name: Text = "rc_domino", "DOMINO_RC_NAME", "", "the name of the init script";
        pid_file: Path or "/tmp/domino.pid", "DOMINO_PID_FILE", "", "where the server's pid is written; must be the unit's PIDFile";
        no_sudo: Presence, "DOMINO_NO_SUDO", "", "set: never call sudo for systemctl";
        lock_timeout: Seconds or "DOMINO_SHUTDOWN_TIMEOUT + 60", "DOMINO_LOCK_TIMEOUT", "seconds", "how long to wait for another start or stop";
        ready_timeout: Seconds = "600", "DOMINO_READY_TIMEOUT", "seconds", "how long a start may show nothing new before run waits no longer";
        recovery_seconds: Seconds = "30", "DOMINO_RECOVERY_SECONDS", "seconds", "how long run waits for a server that comes back by itself";
        termination_grace: Seconds, "DOMINO_TERMINATION_GRACE", "seconds", "what the container's runtime grants a stop; run says where it is too short";
        settle_seconds: Seconds = "1", "DOMINO_SETTLE_SECONDS", "seconds", "how long start watches the new server";
    }
    "Shutdown" {
        shutdown_timeout: Seconds = "600", "DOMINO_SHUTDOWN_TIMEOUT", "seconds", "how long a shutdown may take before the server is killed";
        nsd_before_kill: Switch = "no", "DOMINO_NSD_BEFORE_KILL", "", "run a full NSD before the server is killed";
        broadcast_shutdown_message: Switch = "no", "DOMINO_BROADCAST_SHUTDOWN_MESSAGE" | "BROADCAST_SHUTDOWN_MESSAGE", "", "tell the connected users before a shutdown";
        pre_shutdown_command: Text, "DOMINO_PRE_SHUTDOWN_COMMAND", "", "console command sent before a shutdown";
        pre_shutdown_delay: Seconds, "DOMINO_PRE_SHUTDOWN_DELAY", "seconds", "how long to wait after that command";
        tika_shutdown_term_seconds: Seconds = "30", "DOMINO_TIKA_SHUTDOWN_TERM_SECONDS", "seconds", "when a Tika process left over is ended";
        shutdown_delayed_script: Path, "DOMINO_SHUTDOWN_DELAYED_SCRIPT", "", "script run once when a shutdown takes long";
        shutdown_delayed_seconds: Seconds = "20", "DOMINO_SHUTDOWN_DELAYED_SECONDS", "seconds", "when that script is run";
        bin_dirs_3rd_party: Words, "DOMINO_3RD_PARTY_BIN_DIRS", "", "further directories whose processes cleanup ends";
    }
    "Logs" {
        log_dir: Path or "DOMINO_DATA_PATH", "DOMINO_LOG_DIR", "", "directory of the console log and the input file";
        output_log: Path or "DOMINO_LOG_DIR/DOMINO_SERVER.log", "DOMINO_OUTPUT_LOG", "", "the console log";
        input_file: Path or "DOMINO_LOG_DIR/DOMINO_SERVER.input", "DOMINO_INPUT_FILE", "", "the server's standard input";
        log_backup_dir: Path or "beside the console log", "DOMINO_LOG_BACKUP_DIR", "", "where archived console logs go";
        archive_logs_shutdown: Switch = "no", "DOMINO_ARCHIVE_LOGS_SHUTDOWN", "", "archive the console log after a shutdown, too";
        compress_command: Words = "gzip --best", "COMPRESS_COMMAND", "", "what compresses archived logs; gzip is built in";
        clear_logs_startup: Switch = "no", "DOMINO_CLEAR_LOGS_STARTUP", "", "clear old logs at each start";
        log_clear_days: Days, "DOMINO_LOG_CLEAR_DAYS", "days", "age at which logs are cleared";
        log_backup_clear_days: Days, "DOMINO_LOG_BACKUP_CLEAR_DAYS", "days", "age at which archived console logs are cleared";
        custom_log_clear_path: Path, "DOMINO_CUSTOM_LOG_CLEAR_PATH", "", "a further directory whose files are cleared";
        custom_log_clear_days: Days, "DOMINO_CUSTOM_LOG_CLEAR_DAYS", "days", "age at which files there are cleared";
        log_path: Path, "DOMINO_LOG_PATH", "", "directory for diagnostic logs, made if it is not there";
        ibm_technical_support_dir: Path or "DOMINO_DATA_PATH/IBM_TECHNICAL_SUPPORT", "DOMINO_IBM_TECHNICAL_SUPPORT_DIR", "", "directory of NSD output and console.log";
        docker_stdout: Switch = "no", "DOMINO_DOCKER_STDOUT", "", "the console goes to standard output, for containers";
        domfwd_disabled: Presence, "DOMFWD_DISABLED", "", "set: no log forwarder";
    }
    "Databases" {
        compact_task: Text = "compact", "DOMINO_COMPACT_TASK", "", "the program that compacts: compact or dbmt";
        compact_options: Words, "DOMINO_COMPACT_OPTIONS", "", "its options for the compact verb";
        start_compact_options: Words, "DOMINO_START_COMPACT_OPTIONS", "", "its options at each start; empty: none";
        log_compact_options: Words, "DOMINO_LOG_COMPACT_OPTIONS", "", "its options for log.nsf";
        log_start_compact_options: Words, "DOMINO_START_LOG_COMPACT_OPTIONS" | "DOMINO_LOG_START_COMPACT_OPTIONS", "", "its options for log.nsf at each start";
        fixup_options: Words, "DOMINO_FIXUP_OPTIONS", "", "options of the fixup verb";
        start_fixup_options: Words, "DOMINO_START_FIXUP_OPTIONS", "", "options of a fixup at each start; empty: none";
        nextstart_compact_statusfile: Path or "DOMINO_DATA_PATH/domino_nextstartcompact", "DOMINO_NEXTSTART_COMPACT_STATUSFILE", "", "marks that the next start compacts once";
        log_db_days: Days, "DOMINO_LOG_DB_DAYS", "days", "rename log.nsf at a start after so many days";
        log_db_backup: Path, "DOMINO_LOG_DB_BACKUP", "", "one fixed name for the renamed log.nsf, or DELETEDB";
        log_db_backup_dir: Path or "DOMINO_DATA_PATH/log_backup", "DOMINO_LOG_DB_BACKUP_DIR", "", "directory for renamed log.nsf files";
        last_log_db_file: Path or "DOMINO_DATA_PATH/domino_last_log_db.txt", "DOMINO_LAST_LOG_DB_FILE", "", "remembers when log.nsf was renamed";
        domlog_db_days: Days, "DOMINO_DOMLOG_DB_DAYS", "days", "rename domlog.nsf at a start after so many days";
        domlog_db_backup: Path, "DOMINO_DOMLOG_DB_BACKUP", "", "one fixed name for the renamed domlog.nsf, or DELETEDB";
        domlog_db_backup_dir: Path or "DOMINO_DATA_PATH/log_backup", "DOMINO_DOMLOG_DB_BACKUP_DIR", "", "directory for renamed domlog.nsf files";
        last_domlog_db_file: Path or "DOMINO_DATA_PATH/domino_last_domlog_db.txt", "DOMINO_LAST_DOMLOG_DB_FILE", "", "remembers when domlog.nsf was renamed";
    }
    "Housekeeping" {
        reset_loadmon: Switch = "no", "DOMINO_RESET_LOADMON", "", "remove loadmon.ncf at each start";
        remove_tempfiles: Switch = "no", "DOMINO_REMOVE_TEMPFILES", "", "remove temporary files at each start";
        view_rebuild_dir: Path, "DOMINO_VIEW_REBUILD_DIR", "", "directory for view rebuilds, made if it is not there";
        temp_dir: Path, "DOMINO_TEMP_DIR", "", "directory for temporary files, made if it is not there";
        remove_command_temp: Words = "rm -f", "REMOVE_COMMAND_TEMP", "", "what removes temporary files; rm is built in";
        remove_command_cleanup: Words = "rm -f", "REMOVE_COMMAND_CLEANUP", "", "what removes old logs; rm is built in";
        nsd_set_posix_lc: Switch = "no", "NSD_SET_POSIX_LC", "", "run NSD in the POSIX locale";
        check_warnungs: Unless = "yes", "DOMINO_CHECK_WARNUNGS", "", "warn of what looks wrong at start and stop";
    }
    "Console" {
        console_serverc: Switch = "yes", "DOMINO_CONSOLE_SERVERC", "", "send console commands by server -c, not by the input file";
        monitor_filter_string: Pattern, "DOMINO_MONITOR_FILTER_STRING", "", "lines that monitor leaves out";
        edit_command: Words or "$EDITOR, else vi", "EDIT_COMMAND", "", "the editor";
        show_log_command: Words or "less, else the editor", "SHOW_LOG_COMMAND", "", "the pager";
        disable_clear_screen: Switch = "no", "DISABLE_CLEAR_SCREEN", "", "the menu does not clear the screen";
        extension_command_text: Text = "Custom Commands", "EXTENSION_COMMAND_TEXT", "", "heading of the custom commands in help";
        custom_command_basepath: Path, "DOMINO_CUSTOM_COMMAND_BASEPATH", "", "directory of custom commands";
        script_verbose_info: Switch = "yes", "DOMINO_SCRIPT_VERBOSE_INFO", "", "say which configuration files were read";
        debug_mode: Switch = "no", "DOMINO_DEBUG_MODE", "", "write down each step";
        debug_file: Path, "DOMINO_DEBUG_FILE", "", "file for that";
    }
    "Support" {
        diag_days: Days = "7", "DOMINO_DIAG_DAYS", "days", "how old files may be that diag collects";
        diag_dir: Path or "DOMINO_IBM_TECHNICAL_SUPPORT_DIR", "DOMINO_DIAG_DIR", "", "where diag puts its archive";
        diag_max_size: Number = "1024", "DOMINO_DIAG_MAX_SIZE", "MiB", "how much diag collects, before it is compressed";
        diag_mail_command: Words, "DOMINO_DIAG_MAIL_COMMAND", "", "what senddiag mails the archive with; {file}, {to}, {from}, {subject} are replaced";
        diag_rcpt: Text or "DominoDiagRcpt in notes.ini", "DOMINO_DIAG_RCPT" | "DIAG_RCPT", "", "who gets the archive";
        diag_from: Text or "DominoDiagFrom in notes.ini", "DOMINO_DIAG_FROM" | "DIAG_FROM", "", "who sends it";
    }
    "Hooks" {
        script_dir: Path, "DOMINO_SCRIPT_DIR", "", "a directory of scripts, for use in the following";
        execute_script_check_owner: Text, "EXECUTE_SCRIPT_CHECK_OWNER", "", "run only scripts that this user owns";
        hook_timeout: Seconds = "300", "DOMINO_HOOK_TIMEOUT", "seconds", "how long a script may take";
        pre_startup_script: Path, "DOMINO_PRE_STARTUP_SCRIPT", "", "script run before a start";
        post_startup_script: Path, "DOMINO_POST_STARTUP_SCRIPT", "", "script run after a start";
        pre_shutdown_script: Path, "DOMINO_PRE_SHUTDOWN_SCRIPT", "", "script run before a shutdown";
        post_shutdown_script: Path, "DOMINO_POST_SHUTDOWN_SCRIPT", "", "script run after a shutdown";
        pre_kill_script: Path, "DOMINO_PRE_KILL_SCRIPT", "", "script run before the server is killed";
        post_kill_script: Path, "DOMINO_POST_KILL_SCRIPT", "", "script run after the server was killed";
        pre_cleanup_script: Path, "DOMINO_PRE_CLEANUP_SCRIPT", "", "script run before a cleanup";
        post_cleanup_script: Path, "DOMINO_POST_CLEANUP_SCRIPT", "", "script run after a cleanup";
        pre_status_script: Path, "DOMINO_PRE_STATUS_SCRIPT", "", "script run before a status";
        custom_remove_tempfiles_script: Path, "DOMINO_CUSTOM_REMOVE_TEMPFILES_SCRIPT", "", "script that removes temporary files instead";
        custom_log_clear_script: Path, "DOMINO_CUSTOM_LOG_CLEAR_SCRIPT", "", "script that clears logs instead";
    }
    "Snapshots" {
        snapshot_mode: Text = "stop", "DOMINO_SNAPSHOT_MODE", "", "how a snapshot is made consistent: stop, online or auto";
        snapshot_remember: Switch = "no", "DOMINO_SNAPSHOT_REMEMBER", "", "a plain start after a plain stop starts only a server that ran before it";
        snapshot_max_downtime: Seconds = "3600", "DOMINO_SNAPSHOT_MAX_DOWNTIME", "seconds", "after how long a freeze ends without a thaw; 0: never";
        verify_tasks: Words, "DOMINO_VERIFY_TASKS", "", "tasks that verify wants to run beside ServerTasks=; -NAME for one that it does not";
    }
}

/// The setting that has this name or alias.
pub fn entry(name: &[u8]) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| {
        entry.name.as_bytes() == name || entry.aliases.iter().any(|alias| alias.as_bytes() == name)
    })
}

/// Whether a name that begins like a setting is one, or a companion's.
pub(super) fn is_known(name: &[u8]) -> bool {
    entry(name).is_some()
        || COMPANIONS
            .iter()
            .any(|companion| companion.as_bytes() == name)
}

/// The setting whose name is most like this one, if any is close.
pub fn nearest(name: &[u8]) -> Option<&'static str> {
    let most = (name.len() / 4).clamp(1, 4);
    CATALOGUE
        .iter()
        .flat_map(|entry| std::iter::once(entry.name).chain(entry.aliases.iter().copied()))
        .map(|candidate| (distance(name, candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many bytes must be put in, taken out or replaced (Levenshtein).
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut next = vec![before];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(a != b))
                .min(before + 1)
                .min(above + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_stands_once_and_every_default_can_be_read() {
        let mut names = BTreeSet::new();
        for entry in CATALOGUE {
            assert!(names.insert(entry.name), "{}", entry.name);
            for alias in entry.aliases {
                assert!(names.insert(alias), "{alias}");
            }
            assert!(!entry.summary.is_empty() && !entry.group.is_empty());
            let text = OsStr::new(entry.default);
            let readable = match entry.kind {
                Kind::Port => kind::Port::read(text).is_some(),
                Kind::Seconds if !entry.default.contains('+') => {
                    entry.default.is_empty() || kind::Seconds::read(text).is_some()
                }
                _ => true,
            };
            assert!(readable, "{}", entry.name);
        }
        let read = Configured::read(|_| None).unwrap();
        assert_eq!(read.shutdown_timeout.value.as_secs(), 600);
        assert_eq!(read.remote_setup_port.value, 1352);
        assert_eq!(read.compress_command.value, ["gzip", "--best"]);
        assert!(read.console_serverc.value && !read.debug_mode.value && read.check_warnungs.value);
    }

    #[test]
    fn each_field_is_read_from_the_entry_of_its_name() {
        // The table's order is the fields' order; a value tells them apart.
        let read = Configured::read(|entry| match entry.kind {
            Kind::Path | Kind::Text => Some((entry.name, entry.name.into(), Source::Environment)),
            _ => None,
        })
        .unwrap();
        assert_eq!(read.lotus.value, Some("LOTUS".into()));
        assert_eq!(read.log_dir.value, Some("DOMINO_LOG_DIR".into()));
        assert_eq!(read.snapshot_mode.value, "DOMINO_SNAPSHOT_MODE");
        assert_eq!(
            read.custom_log_clear_script.value,
            Some("DOMINO_CUSTOM_LOG_CLEAR_SCRIPT".into())
        );
    }

    #[test]
    fn the_nearest_name_is_found_for_a_slip_only() {
        assert_eq!(
            nearest(b"DOMINO_SHUTDOWN_TIMOUT"),
            Some("DOMINO_SHUTDOWN_TIMEOUT")
        );
        assert_eq!(nearest(b"DOMINO_LOGDIR"), Some("DOMINO_LOG_DIR"));
        assert_eq!(nearest(b"DOMINO_FAVOURITE_COLOUR"), None);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert!(is_known(b"USE_JAVA_CONTROLLER") && is_known(b"DOMINO_VOL_DAOS"));
    }
}
