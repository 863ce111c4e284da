//! Whether a server can bring its databases into backup mode.

use super::super::client::{self, Answer};
use super::super::partition::Partition;
use super::super::processes::{self, DominoProcess};
use super::super::state::State;
use super::super::tools::Work;
use super::TASK;
use crate::error::Result;
use crate::os::files::is_executable;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first release that has backup mode for snapshots.
const FIRST_RELEASE: u32 = 12;

/// Whether backup mode is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Yes,
    /// No server runs.
    ServerDown,
    /// The server is older than Domino 12.
    TooOld(u32),
    /// The installation lacks the program of the task.
    NoProgram(PathBuf),
    /// The server's console does not answer; why it is thought so.
    Silent(String),
}

/// Asks the installation and, within `limit`, the server's console.
pub fn supported(work: &mut Work, limit: Duration) -> Result<Support> {
    let state = State::of(processes::find(work.partition)?);
    let Some(server) = state.server() else {
        return Ok(Support::ServerDown);
    };
    if let Some(lacking) = lacking(work.partition, server) {
        return Ok(lacking);
    }
    Ok(match client::answers(work, limit)? {
        Answer::Yes => Support::Yes,
        Answer::No(why) => Support::Silent(why),
    })
}

/// What of the installation stands against it.
pub(super) fn lacking(partition: &Partition, server: &DominoProcess) -> Option<Support> {
    let programs = server
        .process
        .exe
        .as_deref()
        .and_then(Path::parent)
        .map_or_else(
            || partition.lotus().join("notes/latest/linux"),
            Path::to_path_buf,
        );
    if let Some(release) = release_of(&programs)
        && release < FIRST_RELEASE
    {
        return Some(Support::TooOld(release));
    }
    let program = programs.join(TASK);
    (!is_executable(&program)).then_some(Support::NoProgram(program))
}

/// The release whose programs lie here: LOTUS/notes/12000200/linux is Domino
/// 12, LOTUS/notes/90010/linux is 9. The directory that `latest` leads to.
fn release_of(programs: &Path) -> Option<u32> {
    let named = programs.parent()?;
    let directory = std::fs::canonicalize(named).unwrap_or_else(|_| named.to_path_buf());
    release(directory.file_name()?)
}

fn release(directory: &OsStr) -> Option<u32> {
    let digits = std::str::from_utf8(directory.as_bytes()).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits.len() {
        // Two digits for each part of the number since 10, one before.
        8 => digits[..2].parse().ok(),
        5 => digits[..1].parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_by_their_directories() {
        for (directory, expected) in [
            ("12000200", Some(12)),
            ("14000000", Some(14)),
            ("11000100", Some(11)),
            ("90010", Some(9)),
            ("85030", Some(8)),
            ("latest", None),
            ("1200", None),
        ] {
            assert_eq!(release(OsStr::new(directory)), expected, "{directory}");
        }
    }
}
