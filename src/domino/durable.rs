//! Makes what the server wrote durable: flushes every filesystem that holds
//! its data.
//!
//! After a clean stop the databases are whole in memory, not yet on disk: a
//! snapshot taken at once lacks what is still dirty (measured with an 8 MB
//! file that was not in a snapshot of its disk at all).

use super::partition::Partition;
use crate::error::{Error, Result};
use crate::os::files::Filesystem;
use crate::os::walk::Tree;
use crate::settings::notes_ini::directory_links;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// notes.ini entries that put data outside the data directory.
pub(super) const DATA_PATHS: [&str; 5] = [
    "Directory",
    "Translog_Path",
    "DAOSBasePath",
    "NIFBasePath",
    "FTBasePath",
];

/// Where a server's data lies beside its data directory, whether it is there or
/// not: directory links, mount points, and what notes.ini names. False where
/// notes.ini could not be read, so that more may belong to it.
pub fn places(partition: &Partition) -> (Vec<PathBuf>, bool) {
    let data = partition.data();
    let mut places = directory_links(&data);
    let ini = partition.notes_ini();
    if let Ok(ini) = &ini {
        places.extend(DATA_PATHS.iter().filter_map(|name| ini.path(name, &data)));
    }
    (places, ini.is_ok())
}

/// The filesystems that hold a server's data, opened before its shutdown: the
/// kernel reports a failed write to those who had the filesystem open then.
#[derive(Debug)]
pub struct Storage {
    filesystems: Vec<Filesystem>,
    /// Every directory with data of the server, for hosts where a filesystem
    /// cannot be flushed as a whole.
    places: Vec<PathBuf>,
    /// notes.ini could not be read, so nobody knows what else belongs to it.
    incomplete: bool,
}

impl Storage {
    /// Opens one directory on each filesystem that holds data of this server.
    pub fn of(partition: &Partition) -> Result<Storage> {
        let data = partition.data();
        let (places, complete) = places(partition);
        let mut found = BTreeMap::new();
        let own = Filesystem::open(&data).map_err(Error::file("open", &data))?;
        found.insert(own.id(), own);
        let mut with_data = vec![data];
        for place in places {
            // A path that is not there holds no data.
            if let Ok(filesystem) = Filesystem::open(&place) {
                found.entry(filesystem.id()).or_insert(filesystem);
                with_data.push(place);
            }
        }
        Ok(Storage {
            filesystems: found.into_values().collect(),
            places: with_data,
            incomplete: !complete,
        })
    }

    /// Flushes them all and returns how many there are. Where it is not known
    /// what belongs to the server, everything on this host is flushed first.
    pub fn flush(&self) -> Result<usize> {
        if self.incomplete {
            crate::os::files::sync_everything();
        }
        let mut whole = true;
        for filesystem in &self.filesystems {
            whole &= filesystem.sync().map_err(not_flushed(filesystem.path()))?;
        }
        if !whole {
            self.flush_file_by_file()?;
        }
        Ok(self.filesystems.len())
    }

    /// Where the host has no syncfs(2), or forbids it.
    fn flush_file_by_file(&self) -> Result<()> {
        for place in &self.places {
            if place.is_dir() {
                Tree::open(place, true, true)
                    .and_then(|tree| tree.sync())
                    .map_err(not_flushed(place))?;
            } else {
                std::fs::File::open(place)
                    .and_then(|file| file.sync_all())
                    .map_err(not_flushed(place))?;
            }
        }
        Ok(())
    }
}

fn not_flushed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |cause| Error::NotFlushed { path, cause }
}
