//! One archive with what support asks for: logs, NSDs, configuration, what the
//! system says. Planned first, so that it can be shown; then written, with
//! passwords and keys masked.

mod plan;
mod system;
mod write;

pub use plan::{Item, Plan, plan};
pub use write::{Written, write};

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The most that is taken of one file: of a larger one its end. In bytes.
const LARGEST: u64 = 128 << 20;

/// The most files that are taken.
const MOST_FILES: usize = 2_000;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How far back files are collected, in days.
    pub days: u32,
    /// The most that is collected in all, in bytes.
    pub bytes: u64,
    /// Where the archive goes, if not to DOMINO_DIAG_DIR.
    pub output: Option<PathBuf>,
    /// The unit's journal, where root has read it.
    pub journal: Option<Vec<u8>>,
}

impl Wanted {
    fn oldest(&self) -> SystemTime {
        SystemTime::now()
            .checked_sub(Duration::from_secs(u64::from(self.days) * 86_400))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
