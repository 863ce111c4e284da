//! What lies where an adapter goes: nothing, a file of ours, another's; and
//! writing and removing there.

use super::{Planned, script};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::files::{open_regular_itself, sync_directory, write_atomically};
use crate::os::users::effective_uid;
use crate::snapshot::callers::Caller;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// More than any file of ours has.
const LARGEST: u64 = 64 * 1024;

/// A file of ours.
#[derive(Debug)]
pub struct Ours {
    /// What it holds.
    pub text: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
}

/// What is in a place.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file of ours.
    Ours(Ours),
    /// Something else: another's file, a link, a directory.
    Foreign,
}

/// The text of a regular file, links not followed; none where there is nothing
/// or something else.
pub fn text_of(path: &Path) -> std::io::Result<Option<Ours>> {
    let file = match open_regular_itself(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // A link (ELOOP) or anything that is no file.
        Err(_) if path.symlink_metadata().is_ok_and(|found| !found.is_file()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    Ok(Some(Ours {
        text,
        mode: found.mode() & 0o7777,
        uid: found.uid(),
    }))
}

/// Looks what is in a place.
pub fn look(path: &Path) -> Result<Found> {
    let read = text_of(path).map_err(Error::file("read", path))?;
    Ok(match read {
        Some(found) if script::is_ours(&found.text) => Found::Ours(found),
        Some(_) => Found::Foreign,
        None if path.symlink_metadata().is_ok() => Found::Foreign,
        None => Found::Nothing,
    })
}

/// The refusal to replace another's file.
pub fn foreign(path: &Path, instead: &str) -> Error {
    Error::Refused {
        message: format!(
            "{} is there and not from rc_domino: it stays, and nothing was written; {instead}",
            path.display()
        ),
        exit: Exit::Failed,
    }
}

/// The refusal to replace our file for another server.
pub fn others(path: &Path, caller: Caller) -> Error {
    Error::Refused {
        message: format!(
            "{} serves another user's server, and {caller} has one such place only; uninstall that first, or let a script of your own call both",
            path.display()
        ),
        exit: Exit::Failed,
    }
}

/// Writes a file in one step, for root. Where every file of the directory is
/// run by somebody, the half-written one lies in the directory above.
pub fn write(file: &Planned) -> Result<()> {
    let path = &file.path;
    let directory = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    let name = path.file_name().unwrap_or_default();
    let all_are_run = directory.file_name() == Some("backupScripts.d".as_ref());
    let stage = match directory.parent() {
        Some(above) if all_are_run => above,
        _ => directory,
    };
    let mut aside = OsString::from(".");
    aside.push(name);
    let aside = stage.join(aside);
    write_atomically(&aside, &file.text, file.mode)
        .and_then(|()| match effective_uid() {
            0 => chown(&aside, Some(0), Some(0)),
            _ => Ok(()),
        })
        .and_then(|()| std::fs::rename(&aside, path))
        .and_then(|()| sync_directory(directory))
        .map_err(|cause| {
            let _ = std::fs::remove_file(&aside);
            Error::file("write", path)(cause)
        })
}

/// What is taken back, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// Files of ours.
    pub ours: Vec<PathBuf>,
    /// Files that stay: another's, or ours for another server or caller.
    pub stay: Vec<PathBuf>,
    /// What is left to do, a line each.
    pub after: Vec<String>,
}

impl Removal {
    /// Removes the files of ours.
    pub fn carry_out(&self) -> Result<()> {
        for path in &self.ours {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
