//! What scenarios are written with: sandboxes, commands, hooks, comparisons.

#[macro_use]
pub mod scenario;
pub mod builder;
pub mod command;
pub mod hooks;
pub mod namespace;
pub mod outcome;
pub mod partition;
pub mod run_directory;
pub mod sandbox;
pub mod server;
pub mod terminal;
pub mod tree;

pub use command::Running;
pub use outcome::Outcome;
pub use sandbox::Sandbox;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// What the scenarios run against.
#[derive(Debug)]
pub enum Target {
    /// The program of this crate.
    Ours,
    /// The original's rc_domino_script.
    Original(PathBuf),
}

/// Set by RC_DOMINO_ORIGINAL.
pub fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| match std::env::var_os("RC_DOMINO_ORIGINAL") {
        Some(path) if !path.is_empty() => Target::Original(path.into()),
        _ => Target::Ours,
    })
}

/// Whether this is our program.
pub fn ours() -> bool {
    matches!(target(), Target::Ours)
}

/// Whether root runs the suite.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Held while an executable file is written and while a process is started: a
/// child forked meanwhile would keep the file open for writing, and whoever
/// executes it then gets ETXTBSY.
pub fn executables() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts a process, and nobody writes an executable file meanwhile.
#[track_caller]
pub fn spawned(command: &mut std::process::Command) -> std::process::Child {
    let _guard = executables();
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}

/// Waits until something holds, a minute at most.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "waited a minute in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether bytes hold a text.
pub fn holds(bytes: &[u8], text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

/// A path with something appended to its last component.
pub fn with_suffix(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Sets a file's age in days.
pub fn age(path: &Path, days: u64) {
    let then = std::time::SystemTime::now() - Duration::from_secs(days * 86_400 + 60);
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(then).unwrap();
}
