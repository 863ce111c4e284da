//! A sandbox: a host in a directory, with one Domino user, one installation,
//! one data directory and one configuration.
//!
//! As an ordinary user the caller is the sandbox's Domino user. As root each
//! sandbox has a uid of its own, which its commands run as: the product takes
//! RC_DOMINO_ROOT from an unprivileged caller only, and Domino never runs as
//! root.

use super::builder::Builder;
use super::command::Command;
use super::{Target, executables, is_root, namespace::Entry, run_directory, target};
use crate::standin::{self, Layout, processes};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The Domino user's name in every sandbox.
pub const USER: &str = "notes";

/// See the module; made by a [`Builder`].
#[derive(Debug)]
pub struct Sandbox {
    /// Holds all of it.
    pub top: PathBuf,
    /// Holds the directories below.
    pub base: PathBuf,
    /// Prefix of the product's built-in paths.
    pub root: PathBuf,
    /// The installation.
    pub lotus: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// The user's uid and gid.
    pub ids: (u32, u32),
    /// Whether commands see `root/etc` as /etc.
    pub own_etc: bool,
    pub(super) config: Vec<Vec<u8>>,
}

impl Sandbox {
    /// An ordinary one.
    pub fn new() -> Sandbox {
        Builder::default().build()
    }

    /// One to be described.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One with these settings.
    pub fn with(settings: &[(&str, &str)]) -> Sandbox {
        let mut sandbox = Sandbox::new();
        for (name, value) in settings {
            sandbox.set(name, value);
        }
        sandbox
    }

    /// Appends `NAME='value'` to rc_domino_config.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.line(format!("{name}=").as_bytes(), &quoted(value.as_ref()));
    }

    /// Appends a line to rc_domino_config as it is.
    pub fn raw(&mut self, line: &str) {
        self.line(line.as_bytes(), b"");
    }

    /// Takes a setting back.
    pub fn forget(&mut self, name: &str) {
        let front = format!("{name}=");
        self.config
            .retain(|line| !line.starts_with(front.as_bytes()));
        self.write_config();
    }

    pub(super) fn line(&mut self, front: &[u8], rest: &[u8]) {
        self.config.push([front, rest, b"\n"].concat());
        self.write_config();
    }

    fn write_config(&self) {
        self.sysconfig("rc_domino_config", &self.config.concat());
    }

    /// Writes a file into /etc/sysconfig.
    pub fn sysconfig(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.root.join("etc/sysconfig").join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Sets how the stand-in behaves: `key=value` lines.
    pub fn mode(&self, text: &str) {
        self.file("standin.mode", text);
    }

    /// Installs another Domino; `owner` gets its files, where that is not who
    /// runs the test.
    pub fn install_beside(&self, lotus: &Path, data: &Path, owner: Option<(u32, u32)>) {
        let mut layout = Layout::new(run_directory::standin(), lotus, data);
        layout.owner = owner;
        let _guard = executables();
        standin::install(&layout).unwrap();
    }

    /// Sets a port that nobody listens at for the remote setup; it.
    pub fn free_setup_port(&mut self) -> String {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        self.set("DOMINO_REMOTE_SETUP_PORT", &port);
        port
    }

    /// A second Domino of the user, below the sandbox: where it lies, and its
    /// data.
    pub fn second_installation(&self) -> (PathBuf, PathBuf) {
        let place = (self.base.join("lotus2"), self.directory("data2"));
        self.install_beside(&place.0, &place.1, is_root().then_some(self.ids));
        place
    }

    /// Writes a file of the user's into the data directory.
    pub fn file(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.data.join(name);
        fs::write(&path, text).unwrap();
        self.own(&path);
        path
    }

    /// Gives a file or directory to the user.
    pub fn own(&self, path: &Path) {
        if is_root() {
            chown(path, Some(self.ids.0), Some(self.ids.1)).unwrap();
        }
    }

    /// A directory of the user's in the sandbox.
    pub fn directory(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.base.join(name);
        fs::create_dir_all(&path).unwrap();
        self.own(&path);
        path
    }

    /// The console log.
    pub fn log(&self) -> PathBuf {
        self.data.join("notes.log")
    }

    /// What the console log holds.
    pub fn console(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The program under test with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command<'_> {
        let program = match target() {
            Target::Ours => run_directory::program("rc_domino_script"),
            Target::Original(path) => path.clone(),
        };
        Command::new(self, program).args(arguments)
    }

    /// How a command begins here, as the user.
    pub fn entry(&self) -> Entry {
        let mut entry = self.entry_as_caller();
        entry.ids = is_root().then(|| (self.ids.0, self.ids.1, Vec::new()));
        entry
    }

    /// How a command begins here, as whoever runs the suite.
    pub fn entry_as_caller(&self) -> Entry {
        let mut entry = Entry::default();
        if self.own_etc {
            entry.bind(&self.root.join("etc"), "/etc");
        }
        entry
    }

    /// Kills everything that runs here.
    pub fn kill(&self) {
        standin::kill_all(&self.lotus, &self.data);
    }

    /// Processes of this sandbox: those of its installation and, where the
    /// user is its own, all of his.
    fn running(&self) -> Vec<i32> {
        let mut found = processes::under(&self.lotus, None);
        if is_root() {
            found.extend(super::server::processes_of(self.ids.0));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A compressor in the background may still be at work.
        let end = Instant::now() + Duration::from_secs(30);
        let mut left = self.running();
        while !left.is_empty() && Instant::now() < end && !std::thread::panicking() {
            std::thread::sleep(Duration::from_millis(10));
            left = self.running();
        }
        let described: Vec<String> = left
            .iter()
            .map(|pid| super::server::describe(*pid))
            .collect();
        processes::kill_and_wait(&left);
        self.kill();
        let _ = fs::remove_dir_all(&self.top);
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind by the scenario: {described:?}");
        }
    }
}

/// In single quotes, as the shell reads them.
pub(super) fn quoted(value: &OsStr) -> Vec<u8> {
    let mut text = b"'".to_vec();
    for byte in value.as_bytes() {
        match byte {
            b'\'' => text.extend_from_slice(b"'\\''"),
            other => text.push(*other),
        }
    }
    text.push(b'\'');
    text
}
