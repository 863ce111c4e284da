//! Whether the databases of a server that is down were closed cleanly.
//!
//! A server that is down is consistent only if its last run ended well. When
//! it was killed or crashed, its databases stay as they are until the next
//! start has recovered them: a `stop` that finds nothing running must not
//! answer that all is well then.

use super::partition::Partition;
use super::tools::Work;
use std::path::{Path, PathBuf};

/// Says, in the data directory, that the last run ended badly, and how.
const MARKER: &str = ".rc_domino.unclean";

/// Domino's own list of processes; see contract §4: lines that start with 1
/// are active ones. A clean shutdown leaves none.
const PID_TABLE: &str = "pid.nbf";

fn marker(partition: &Partition) -> PathBuf {
    partition.data().join(MARKER)
}

/// Remembers that this run ends badly. Written before the deed, so that it
/// stands also when this program does not live to see the end.
pub fn mark_unclean(work: &mut Work, how: &str) {
    let now = work.partition.stamp("%Y-%m-%d %H:%M:%S %z");
    let text = format!("{how}, {}\n", now.unwrap_or_default());
    let path = marker(work.partition);
    if let Err(cause) = crate::os::files::write_atomically(&path, text.as_bytes(), 0o644) {
        work.reporter.warn(&format!(
            "cannot write {}: {cause}; a later 'stop' will not know that the databases were not closed cleanly",
            path.display()
        ));
    }
}

/// Writes it down where only Domino's own list of processes says it: the list
/// is about to go.
pub fn keep_witness(work: &mut Work) {
    if !marker(work.partition).exists()
        && let Some(how) = unclean(work.partition)
    {
        mark_unclean(work, &how);
    }
}

/// Forgets it: a server that came up recovers its databases, and one that shut
/// down cleanly has closed them.
pub fn forget(work: &mut Work) {
    let path = marker(work.partition);
    if let Err(cause) = std::fs::remove_file(&path)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        work.reporter
            .warn(&format!("cannot remove {}: {cause}", path.display()));
    }
}

/// What is remembered of a run that ended badly.
pub fn remembered(partition: &Partition) -> Option<String> {
    witness(&marker(partition), |text| {
        Some(String::from_utf8_lossy(text).trim().to_owned())
    })
}

/// Why the databases of a server that is down cannot be trusted, if so.
pub fn unclean(partition: &Partition) -> Option<String> {
    remembered(partition).or_else(|| still_listed(partition))
}

/// What a file has to say of how the last run ended. One that is there but
/// cannot be read is no word for a good end.
fn witness(path: &Path, says: impl FnOnce(&[u8]) -> Option<String>) -> Option<String> {
    match crate::os::files::read_bounded(path, 1 << 20) {
        Ok(text) => says(&text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
        Err(cause) => Some(format!(
            "{cause}, so how the last run ended is not known; let the Domino user read it, or remove it"
        )),
    }
}

/// What Domino's own list of processes says against a server of which nothing
/// runs any more: a clean shutdown takes every process off it.
pub fn still_listed(partition: &Partition) -> Option<String> {
    let table = partition.data().join(PID_TABLE);
    witness(&table, |text| {
        text.split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii_start().starts_with(b"1 "))
            .then(|| {
                format!(
                    "{} still lists processes, so the server died or the host went down with it",
                    table.display()
                )
            })
    })
}
