//! One Domino server on this host: its user, its settings, its places.

use crate::error::{Error, Result};
use crate::os::files::is_executable;
use crate::os::root::Root;
use crate::os::users::User;
use crate::settings::Settings;
use crate::settings::notes_ini::NotesIni;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A Domino server ("partition" where a host runs several): who runs it and
/// where it lives. Everything in this floor works on one of these.
#[derive(Debug)]
pub struct Partition {
    /// The user who owns and runs the server.
    pub user: User,
    /// Prefix of the product's built-in paths.
    pub root: Root,
    /// What the configuration says.
    pub settings: Settings,
    /// Variables the configuration exports to whatever is started.
    pub exports: Vec<(OsString, OsString)>,
    /// Variables of the environment that the configuration removes.
    pub removed: Vec<OsString>,
    /// The environment this program was called with.
    pub inherited: Vec<(OsString, OsString)>,
    /// Whether systemd is PID 1 here; decides where the pid file lies.
    pub systemd: bool,
}

impl Partition {
    /// The server's name, as status lines show it.
    pub fn name(&self) -> OsString {
        self.settings.server_name().to_owned()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.settings.data_path()
    }

    /// The installation (LOTUS).
    pub fn lotus(&self) -> PathBuf {
        self.settings.lotus().to_path_buf()
    }

    /// The file that `server`'s output goes to.
    pub fn log(&self) -> PathBuf {
        self.settings.output_log()
    }

    /// A program of the installation, by the name it has under `bin`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.lotus().join("bin").join(name)
    }

    /// The pid file: a hint for init systems, never believed.
    pub fn pid_file(&self) -> PathBuf {
        self.settings.pid_file(self.systemd)
    }

    /// The directory for NSDs, console.log and the like.
    pub fn support(&self) -> PathBuf {
        self.settings.technical_support_dir()
    }

    /// The time now, formatted as strftime(3) does, in the server's time zone.
    pub fn stamp(&self, format: &str) -> Result<String> {
        crate::os::clock::stamp(format, self.settings.tz.value.as_deref())
            .map(|text| text.to_string_lossy().into_owned())
            .map_err(Error::system("tell the local time"))
    }

    /// notes.ini as it stands now.
    pub fn notes_ini(&self) -> Result<NotesIni> {
        let path = self.settings.ini_path();
        NotesIni::read(&path).map_err(Error::file("read", path))
    }

    /// The installation must hold a server that can be executed.
    pub fn require_installed(&self) -> Result<()> {
        if is_executable(&self.program("server")) {
            Ok(())
        } else {
            Err(Error::NotInstalled(self.lotus()))
        }
    }

    /// The data directory must be a directory.
    pub fn require_data(&self) -> Result<()> {
        let data = self.data();
        let problem = match std::fs::metadata(&data) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => "is not a directory".to_owned(),
            Err(cause) => cause.to_string(),
        };
        Err(Error::Path {
            path: data,
            problem: format!("{problem}; this is the data directory: set DOMINO_DATA_PATH"),
        })
    }

    /// The data directory must also take new files.
    pub fn require_writable_data(&self) -> Result<()> {
        self.require_data()?;
        let data = self.data();
        if crate::os::files::is_writable(&data) {
            return Ok(());
        }
        Err(Error::Path {
            path: data,
            problem: format!(
                "user '{}' cannot write to this data directory; check owner, mode and mount options",
                crate::error::shown(&self.user.name)
            ),
        })
    }
}

/// The last component of a path, or nothing.
pub(crate) fn base_name(path: &OsStr) -> &OsStr {
    Path::new(path).file_name().unwrap_or_default()
}
