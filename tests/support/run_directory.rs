//! One directory per run of the suite: programs that any user may execute,
//! wherever the checkout lies, and the sandboxes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The product's names.
const NAMES: [&str; 3] = ["rc_domino_script", "domino", "rc_domino_notes"];

static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// The run's directory, made at the first call. Its path holds no dot, no
/// blank and not the word "server": the original stumbles over each.
pub fn get() -> &'static Path {
    DIRECTORY.get_or_init(|| {
        let base = Path::new("/tmp").join(format!("rcd{}", std::process::id()));
        let bin = base.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for path in [&base, &bin] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let _guard = super::executables();
        for (from, to) in [
            (PathBuf::from(env!("CARGO_BIN_EXE_rc_domino")), product()),
            (std::env::current_exe().unwrap(), base.join("standin")),
        ] {
            let to = base.join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in NAMES {
            symlink("rc_domino", bin.join(name)).unwrap();
        }
        base
    })
}

fn product() -> PathBuf {
    Path::new("bin").join("rc_domino")
}

/// The product under one of its names.
pub fn program(name: &str) -> PathBuf {
    get().join("bin").join(name)
}

/// The stand-in Domino.
pub fn standin() -> PathBuf {
    get().join("standin")
}

/// A number that no other sandbox of this run has.
pub fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Removes it at the end of the run.
pub fn remove() {
    if let Some(base) = DIRECTORY.get() {
        let _ = fs::remove_dir_all(base);
    }
}
