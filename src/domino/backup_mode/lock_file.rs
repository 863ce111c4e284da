//! The file through which `backup` and who takes the snapshot speak.

use super::super::partition::Partition;
use super::super::processes::DominoProcess;
use super::GRACE;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::{clock, files};
use std::ffi::OsStr;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Its name in the data directory, as HCL's scripts have it.
pub const NAME: &str = "dominobackup_snapshot.lck";

/// More than any state is long, in bytes.
const MOST: u64 = 4096;

/// What its first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// A snapshot is wanted.
    Requested,
    /// All databases are in backup mode.
    DominoDone,
    /// The snapshot was taken, or will not be.
    Done,
    /// Something else; empty while it is being written by a shell.
    Other(String),
}

impl Status {
    fn parse(text: &[u8]) -> Status {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match line.trim_ascii() {
            b"REQUESTED" => Status::Requested,
            b"DOMINO-DONE" => Status::DominoDone,
            b"DONE" => Status::Done,
            other => Status::Other(shown(OsStr::from_bytes(other))),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Requested => "REQUESTED",
            Status::DominoDone => "DOMINO-DONE",
            Status::Done => "DONE",
            Status::Other(text) => text,
        })
    }
}

/// The file as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it says.
    pub status: Status,
    modified: SystemTime,
}

impl Found {
    /// How long ago it was written; nothing where that lies ahead.
    pub fn age(&self) -> Duration {
        self.modified.elapsed().unwrap_or_default()
    }

    /// Whether it belongs to no session, given that no backup task runs: it is
    /// older than the server, or so old that the task should be there.
    pub fn is_stale(&self, server: Option<&DominoProcess>) -> bool {
        let Some(server) = server else {
            return true;
        };
        self.modified < clock::started_at(server.process.start_ticks) || self.age() >= GRACE
    }
}

/// The file of one data directory.
#[derive(Clone, Debug)]
pub struct LockFile {
    path: PathBuf,
}

impl LockFile {
    /// The file of this server, whether it is there or not.
    pub fn of(partition: &Partition) -> LockFile {
        LockFile {
            path: partition.data().join(NAME),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says, if it is there. A link or a directory of its name is an
    /// error: nothing is read or written through it.
    pub fn read(&self) -> Result<Option<Found>> {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::Refused {
                message: format!(
                    "{} is no regular file, nothing speaks through it; remove it",
                    self.path.display()
                ),
                exit: Exit::Failed,
            });
        }
        let read = || -> std::io::Result<Found> {
            let file = files::open_regular_itself(&self.path)?;
            let modified = file.metadata()?.modified()?;
            let mut text = Vec::new();
            file.take(MOST).read_to_end(&mut text)?;
            Ok(Found {
                status: Status::parse(&text),
                modified,
            })
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::file("read", &self.path)(cause)),
        }
    }

    /// Asks for backup mode: makes the file. False where there is one already.
    pub fn request(&self) -> Result<bool> {
        let made = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&self.path);
        let mut file = match made {
            Ok(file) => file,
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(cause) => return Err(Error::file("create", &self.path)(cause)),
        };
        let written = writeln!(file, "{}", Status::Requested).and_then(|()| file.sync_all());
        if let Err(cause) = written {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::file("write", &self.path)(cause));
        }
        Ok(true)
    }

    /// Says that the session is to end.
    pub fn tell_done(&self) -> Result<()> {
        let text = format!("{}\n", Status::Done);
        files::write_atomically(&self.path, text.as_bytes(), 0o644)
            .map_err(Error::file("write", &self.path))
    }

    /// Removes it, or a link of its name; false where there was none.
    pub fn remove(&self) -> Result<bool> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(Error::file("remove", &self.path)(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domino::processes::Role;
    use crate::domino::state::tests::process;

    fn file() -> (tempfile::TempDir, LockFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        (directory, LockFile { path })
    }

    #[test]
    fn the_first_line_is_the_state() {
        for (text, status) in [
            (&b"REQUESTED\n"[..], Status::Requested),
            (b"DOMINO-DONE\r\nmore\n", Status::DominoDone),
            (b"  DONE", Status::Done),
            (b"", Status::Other(String::new())),
            (b"\x1b[31mx", Status::Other("\\u{1b}[31mx".into())),
        ] {
            assert_eq!(Status::parse(text), status);
        }
    }

    #[test]
    fn only_one_session_can_be_asked_for() {
        let (_keep, lock) = file();
        assert!(lock.read().unwrap().is_none());
        assert!(lock.request().unwrap());
        assert_eq!(lock.read().unwrap().unwrap().status, Status::Requested);
        assert!(!lock.request().unwrap());
        lock.tell_done().unwrap();
        assert_eq!(lock.read().unwrap().unwrap().status, Status::Done);
        assert!(lock.remove().unwrap());
        assert!(!lock.remove().unwrap());
    }

    #[test]
    fn a_link_is_not_followed() {
        let (keep, lock) = file();
        let other = keep.path().join("other");
        std::fs::write(&other, "DOMINO-DONE\n").unwrap();
        std::os::unix::fs::symlink(&other, lock.path()).unwrap();
        assert!(lock.read().is_err());
        assert!(!lock.request().unwrap());
        lock.tell_done().unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"DOMINO-DONE\n");
    }

    #[test]
    fn a_file_is_stale_by_its_age() {
        let (_keep, lock) = file();
        lock.request().unwrap();
        let found = lock.read().unwrap().unwrap();
        assert!(found.is_stale(None));
        // Its start tick is 1: up since the host is.
        let server = process(10, 1, Role::Server);
        assert!(!found.is_stale(Some(&server)));
        let old = Found {
            modified: SystemTime::now() - GRACE,
            ..found
        };
        assert!(old.is_stale(Some(&server)));
    }
}
