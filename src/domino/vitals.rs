//! Whether anything of a server moves: what it has computed and written.

use super::partition::Partition;
use super::processes::{self, Programs};
use super::server_log::ServerLog;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How long nothing may move before that is no longer called progress. A disk
/// under load can keep a tool waiting for minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Watches a server's processes (its tools among them) and its console log.
#[derive(Debug)]
pub struct Vitals {
    programs: Programs,
    uid: u32,
    log: ServerLog,
    last: Option<u64>,
    moved: Instant,
}

impl Vitals {
    /// From now on.
    pub fn of(partition: &Partition) -> Vitals {
        Vitals {
            programs: Programs::of(partition),
            uid: partition.user.uid,
            log: ServerLog::of(partition),
            last: None,
            moved: Instant::now(),
        }
    }

    /// Looks, and tells whether anything moved within the last five minutes.
    pub fn moves(&mut self) -> bool {
        let now = self.figure();
        if now.is_none() || now != self.last {
            self.last = now;
            self.moved = Instant::now();
        }
        self.moved.elapsed() < PATIENCE
    }

    /// A figure that is another one after any process came, went or computed,
    /// or the log grew; none where /proc cannot be read.
    fn figure(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        for found in processes::find_among(&self.programs, self.uid).ok()? {
            let process = &found.process;
            (process.pid, process.start_ticks, process.cpu).hash(&mut hasher);
        }
        self.log.size().hash(&mut hasher);
        Some(hasher.finish())
    }
}
