//! The settings as the rest of the program asks for them: what was configured,
//! else what follows from other settings.

use super::catalogue::{CATALOGUE, Configured, Entry, entry};
use super::source::{Setting, Source};
use crate::os::root::Root;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every setting. Fields (through [`Configured`]) are what was configured;
/// methods of the same name give what is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(super) configured: Configured,
    pub(super) user: OsString,
    pub(super) default_lotus: PathBuf,
    pub(super) editor: Option<OsString>,
    /// The text of each configured setting, by its first name.
    pub(super) texts: BTreeMap<&'static str, (OsString, Source)>,
}

/// What becomes of a log database that is renamed at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseBackup {
    /// It is renamed to a name with the date, in this directory.
    DatedIn(PathBuf),
    /// It is renamed to this name and replaces what has it.
    NamedAs(PathBuf),
    /// It is removed.
    Delete,
}

/// The text of a setting in force, for listings and for hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The text.
    pub text: OsString,
    /// Where it stands.
    pub source: Source,
}

impl Deref for Settings {
    type Target = Configured;

    fn deref(&self) -> &Configured {
        &self.configured
    }
}

/// The installation that is used where none is configured.
pub(super) fn find_lotus(root: &Root) -> PathBuf {
    let candidates = ["/opt/hcl/domino", "/opt/ibm/domino"];
    let installed = candidates.iter().map(|path| root.path(path)).find(|path| {
        std::fs::metadata(path.join("bin/server"))
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
    });
    installed.unwrap_or_else(|| root.path("/opt/hcl/domino"))
}

/// Where a user's data lie below DOMINO_DATA_PATH_BASE.
pub(super) fn usual_data_path(base: &Path, user: &OsStr) -> PathBuf {
    base.join(user).join("notesdata")
}

/// How long to wait for another start or stop where nothing else is configured.
pub(super) fn usual_lock_timeout(shutdown: Duration) -> Duration {
    shutdown + Duration::from_secs(60)
}

fn or_below<'a>(
    setting: &'a Setting<Option<PathBuf>>,
    default: impl FnOnce() -> PathBuf,
) -> PathBuf {
    let configured: Option<&'a PathBuf> = setting.value.as_ref();
    configured.cloned().unwrap_or_else(default)
}

impl Settings {
    /// Sets how long a shutdown may take, whatever the files say.
    pub fn allow_shutdown(&mut self, time: Duration) {
        self.configured.shutdown_timeout.value = time;
    }

    /// The user who runs the server.
    pub fn user(&self) -> &OsStr {
        self.configured.user.value.as_deref().unwrap_or(&self.user)
    }

    /// Where Domino is installed.
    pub fn lotus(&self) -> &Path {
        let configured = self.configured.lotus.value.as_deref();
        configured.unwrap_or(&self.default_lotus)
    }

    /// The installation directory as hooks are told it (DOMINO_INSDIR).
    pub fn insdir(&self) -> &Path {
        let configured = self.configured.insdir.value.as_deref();
        configured.unwrap_or_else(|| self.lotus())
    }

    /// Where the programs lie, links not resolved: `LOTUS/notes/latest/linux`.
    pub fn exec_directory(&self) -> PathBuf {
        self.lotus().join("notes/latest/linux")
    }

    /// Below this every program of Domino lies: `LOTUS/notes`.
    pub fn programs_directory(&self) -> PathBuf {
        self.lotus().join("notes")
    }

    /// The start-up link of a Domino program: `LOTUS/bin/NAME`.
    pub fn bin(&self, name: &OsStr) -> PathBuf {
        self.lotus().join("bin").join(name)
    }

    /// The data directory.
    pub fn data_path(&self) -> PathBuf {
        or_below(&self.configured.data_path, || {
            usual_data_path(&self.data_path_base.value, self.user())
        })
    }

    /// The notes.ini of the data directory.
    pub fn ini_path(&self) -> PathBuf {
        self.data_path().join("notes.ini")
    }

    /// The server's name in messages and file names.
    pub fn server_name(&self) -> &OsStr {
        let configured = self.configured.server.value.as_deref();
        configured.unwrap_or_else(|| self.user())
    }

    /// Directory of the console log and the input file.
    pub fn log_dir(&self) -> PathBuf {
        or_below(&self.configured.log_dir, || self.data_path())
    }

    fn named_after_server(&self, suffix: &str) -> PathBuf {
        let mut name = self.server_name().to_owned();
        name.push(suffix);
        self.log_dir().join(name)
    }

    /// The console log.
    pub fn output_log(&self) -> PathBuf {
        or_below(&self.configured.output_log, || {
            self.named_after_server(".log")
        })
    }

    /// The server's standard input.
    pub fn input_file(&self) -> PathBuf {
        or_below(&self.configured.input_file, || {
            self.named_after_server(".input")
        })
    }

    /// Where archived console logs go: configured, else beside the log.
    pub fn log_backup_dir(&self) -> PathBuf {
        or_below(&self.configured.log_backup_dir, || {
            let log = self.output_log();
            log.parent()
                .map_or_else(|| self.log_dir(), Path::to_path_buf)
        })
    }

    /// The pid file. Without systemd nothing makes directories below /run, so
    /// that a path there falls back to /tmp/domino.pid.
    pub fn pid_file(&self, systemd_is_pid1: bool) -> PathBuf {
        let fallback = || PathBuf::from("/tmp/domino.pid");
        let path = or_below(&self.configured.pid_file, fallback);
        if !systemd_is_pid1 && path.starts_with("/run") {
            return fallback();
        }
        path
    }

    /// The systemd unit with its suffix, as systemd lists it.
    pub fn unit_name(&self) -> OsString {
        let Some(configured) = &self.systemd_name.value else {
            return OsString::from("domino.service");
        };
        let mut name = configured.clone();
        if Path::new(configured).extension().is_none() {
            name.push(".service");
        }
        name
    }

    /// The file that marks a compact at the next start.
    pub fn nextstart_compact_file(&self) -> PathBuf {
        or_below(&self.nextstart_compact_statusfile, || {
            self.data_path().join("domino_nextstartcompact")
        })
    }

    /// Directory of NSD output and console.log.
    pub fn technical_support_dir(&self) -> PathBuf {
        or_below(&self.ibm_technical_support_dir, || {
            self.data_path().join("IBM_TECHNICAL_SUPPORT")
        })
    }

    /// Where `diag` puts its archive.
    pub fn diag_dir(&self) -> PathBuf {
        or_below(&self.configured.diag_dir, || self.technical_support_dir())
    }

    /// One-Touch Setup by environment variables.
    pub fn auto_config_env_file(&self) -> PathBuf {
        or_below(&self.configured.auto_config_env_file, || {
            self.data_path().join("DominoAutoConfig.env")
        })
    }

    /// One-Touch Setup by a JSON file.
    pub fn auto_config_json_file(&self) -> PathBuf {
        or_below(&self.configured.auto_config_json_file, || {
            self.data_path().join("DominoAutoConfig.json")
        })
    }

    /// Template of the JSON file.
    pub fn auto_config_template_json_file(&self) -> PathBuf {
        or_below(&self.configured.auto_config_template_json_file, || {
            self.data_path().join("DominoAutoConfigTemplate.json")
        })
    }

    /// Presets for the questions of `setup`; none where it is set to `-`.
    pub fn auto_cfg_defaults_env_file(&self) -> Option<PathBuf> {
        let file = or_below(&self.configured.auto_cfg_defaults_env_file, || {
            self.data_path().join("DominoAutoConfigDefault.env")
        });
        (file.as_os_str() != "-").then_some(file)
    }

    /// What becomes of a renamed log.nsf.
    pub fn log_db_backup(&self) -> DatabaseBackup {
        self.backup(&self.configured.log_db_backup, self.log_db_backup_dir())
    }

    /// Directory for renamed log.nsf files.
    pub fn log_db_backup_dir(&self) -> PathBuf {
        or_below(&self.configured.log_db_backup_dir, || {
            self.data_path().join("log_backup")
        })
    }

    /// What becomes of a renamed domlog.nsf.
    pub fn domlog_db_backup(&self) -> DatabaseBackup {
        self.backup(
            &self.configured.domlog_db_backup,
            self.domlog_db_backup_dir(),
        )
    }

    /// Directory for renamed domlog.nsf files.
    pub fn domlog_db_backup_dir(&self) -> PathBuf {
        or_below(&self.configured.domlog_db_backup_dir, || {
            self.data_path().join("log_backup")
        })
    }

    /// Remembers when log.nsf was renamed.
    pub fn last_log_db_file(&self) -> PathBuf {
        or_below(&self.configured.last_log_db_file, || {
            self.data_path().join("domino_last_log_db.txt")
        })
    }

    /// Remembers when domlog.nsf was renamed.
    pub fn last_domlog_db_file(&self) -> PathBuf {
        or_below(&self.configured.last_domlog_db_file, || {
            self.data_path().join("domino_last_domlog_db.txt")
        })
    }

    fn backup(&self, configured: &Setting<Option<PathBuf>>, directory: PathBuf) -> DatabaseBackup {
        match &configured.value {
            None => DatabaseBackup::DatedIn(directory),
            Some(path) if path.as_os_str() == "DELETEDB" => DatabaseBackup::Delete,
            Some(path) => DatabaseBackup::NamedAs(path.clone()),
        }
    }

    /// How long to wait for another start or stop: configured, else as long
    /// as a shutdown may take and a minute.
    pub fn lock_timeout(&self) -> Duration {
        let default = || usual_lock_timeout(self.shutdown_timeout.value);
        self.configured.lock_timeout.value.unwrap_or_else(default)
    }

    /// The editor that is configured, if one is.
    pub fn configured_editor(&self) -> Option<Vec<OsString>> {
        self.configured.edit_command.value.clone()
    }

    /// The editor: configured, else $EDITOR, else vi.
    pub fn edit_command(&self) -> Vec<OsString> {
        if let Some(words) = &self.configured.edit_command.value {
            return words.clone();
        }
        let editor = self.editor.as_ref().and_then(|text| {
            super::kind::words(std::os::unix::ffi::OsStrExt::as_bytes(text.as_os_str()))
        });
        editor
            .filter(|words| !words.is_empty())
            .unwrap_or_else(|| vec![OsString::from("vi")])
    }

    /// The text of a setting that was configured, for hooks' environment.
    pub fn text(&self, name: &str) -> Option<&OsStr> {
        let entry: &Entry = entry(name.as_bytes())?;
        self.texts.get(entry.name).map(|(text, _)| text.as_os_str())
    }

    /// The text in force of the setting with this name or alias; `None` for
    /// one that is neither configured nor has a default, and for no setting.
    /// `DOMINO_PID_FILE` is that of a system under systemd.
    pub fn effective(&self, name: &str) -> Option<Effective> {
        let entry: &Entry = entry(name.as_bytes())?;
        if let Some((text, source)) = self.texts.get(entry.name) {
            return Some(Effective {
                text: text.clone(),
                source: source.clone(),
            });
        }
        let text: OsString = match entry.name {
            "DOMINO_USER" => self.user().to_owned(),
            "LOTUS" => self.lotus().into(),
            "DOMINO_INSDIR" => self.insdir().into(),
            "DOMINO_SERVER" => self.server_name().to_owned(),
            "DOMINO_DATA_PATH" => self.data_path().into(),
            "DOMINO_LOG_DIR" => self.log_dir().into(),
            "DOMINO_OUTPUT_LOG" => self.output_log().into(),
            "DOMINO_INPUT_FILE" => self.input_file().into(),
            "DOMINO_LOG_BACKUP_DIR" => self.log_backup_dir().into(),
            "DOMINO_NEXTSTART_COMPACT_STATUSFILE" => self.nextstart_compact_file().into(),
            "DOMINO_IBM_TECHNICAL_SUPPORT_DIR" => self.technical_support_dir().into(),
            "DOMINO_DIAG_DIR" => self.diag_dir().into(),
            "DOMINO_DIAG_RCPT" | "DOMINO_DIAG_FROM" => return None,
            "DOMINO_AUTO_CONFIG_ENV_FILE" => self.auto_config_env_file().into(),
            "DOMINO_AUTO_CONFIG_JSON_FILE" => self.auto_config_json_file().into(),
            "DOMINO_AUTO_CONFIG_TEMPLATE_JSON_FILE" => self.auto_config_template_json_file().into(),
            "DOMINO_AUTO_CFG_DEFAULTS_ENV_FILE" => self.auto_cfg_defaults_env_file()?.into(),
            "DOMINO_LOG_DB_BACKUP_DIR" => self.log_db_backup_dir().into(),
            "DOMINO_DOMLOG_DB_BACKUP_DIR" => self.domlog_db_backup_dir().into(),
            "DOMINO_LAST_LOG_DB_FILE" => self.last_log_db_file().into(),
            "DOMINO_LAST_DOMLOG_DB_FILE" => self.last_domlog_db_file().into(),
            "DOMINO_LOCK_TIMEOUT" => self.lock_timeout().as_secs().to_string().into(),
            "EDIT_COMMAND" => self.edit_command().join(OsStr::new(" ")),
            "SHOW_LOG_COMMAND" => "less".into(),
            _ if entry.default.is_empty() => return None,
            _ => entry.default.into(),
        };
        Some(Effective {
            text,
            source: Source::Default,
        })
    }

    /// Every setting with its text in force, in the order of the manual.
    pub fn all_effective(&self) -> impl Iterator<Item = (&'static Entry, Option<Effective>)> {
        CATALOGUE
            .iter()
            .map(|entry| (entry, self.effective(entry.name)))
    }
}
