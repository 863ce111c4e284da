//! Where the state of a freeze lies: a directory under /run that only its
//! owner changes, one set of names for each Domino user.

use crate::error::{Error, Result};
use crate::os::root::Root;
use crate::os::users;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

/// Gone with the next boot, as a freeze is.
const DIRECTORY: &str = "/run/rc_domino";

/// The files of one Domino user's freeze. They carry his uid: it is what his
/// processes are known by, and every name is safe in a path.
#[derive(Clone, Debug)]
pub struct Place {
    directory: PathBuf,
    uid: u32,
}

impl Place {
    /// Where the state for this user's server lies on this host.
    pub fn of(root: &Root, uid: u32) -> Place {
        Place {
            directory: root.path(DIRECTORY),
            uid,
        }
    }

    fn file(&self, what: &str) -> PathBuf {
        self.directory.join(format!("snapshot-{}.{what}", self.uid))
    }

    /// What is frozen, how, since when.
    pub fn record(&self) -> PathBuf {
        self.file("json")
    }

    /// Where the keeper listens.
    pub fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// Held by the keeper as long as it lives.
    pub fn keeper_lock(&self) -> PathBuf {
        self.file("keeper")
    }

    /// Held by a caller while it looks for the keeper or starts one.
    pub fn caller_lock(&self) -> PathBuf {
        self.file("lock")
    }

    /// Says that the last plain stop found the server down already.
    pub fn was_down(&self) -> PathBuf {
        self.file("was-down")
    }

    /// Makes the directory, or checks the one that is there: whoever could
    /// write there could have servers started and stopped.
    pub fn prepare(&self) -> Result<()> {
        let directory = &self.directory;
        match std::fs::DirBuilder::new().mode(0o755).create(directory) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::file("create", directory)(cause));
            }
            _ => {}
        }
        let found =
            std::fs::symlink_metadata(directory).map_err(Error::file("examine", directory))?;
        let problem = if !found.is_dir() {
            "is not a directory: remove it"
        } else if found.uid() != users::effective_uid() {
            "belongs to another user: remove it, or act as root"
        } else if found.mode() & 0o022 != 0 {
            "can be written by others: correct its mode to 0755"
        } else {
            return Ok(());
        };
        Err(Error::Path {
            path: directory.clone(),
            problem: problem.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let place = Place::of(&Root::at(dir.path().to_path_buf()), 7);
        place.prepare().unwrap();
        place.prepare().unwrap();
        let made = place.record().parent().unwrap().to_path_buf();
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(place.prepare().is_err());
        std::fs::remove_dir(&made).unwrap();
        std::os::unix::fs::symlink("/tmp", &made).unwrap();
        assert!(place.prepare().is_err());
    }
}
