//! Replacing the text of a file that keeps everything else: owner, group,
//! mode, access list and labels.

use super::explain;
use super::files::{parent_directory, require_regular, swap, sync_directory};
use rustix::fs::{FallocateFlags, OFlags, XattrFlags, fallocate};
use rustix::io::Errno;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// How a file was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// In one step, by renaming a new file over it.
    AtOnce,
    /// By writing into it: its directory is closed to us, or its owner or
    /// group cannot be given to a new file.
    InPlace,
}

/// The largest extended attribute that is copied, in bytes.
const LARGEST_ATTRIBUTE: usize = 64 * 1024;

/// Makes `bytes` the text of the regular file `path`, which is no link. It has
/// been `old` until now; that is written back where writing in place fails.
pub fn replace_text(path: &Path, bytes: &[u8], old: &[u8]) -> io::Result<Replaced> {
    let failed = |error: io::Error| explain(error, format_args!("cannot write {}", path.display()));
    let swapped = open(path, false).and_then(|like| swap(path, |file| fill(file, bytes, &like)));
    match swapped {
        Ok(()) => Ok(Replaced::AtOnce),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            in_place(path, bytes, old).map_err(failed)?;
            Ok(Replaced::InPlace)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Makes a new file with this text and mode; fails if there is one.
pub fn create_text(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        });
    match made {
        Ok(()) => sync_directory(parent_directory(path)),
        Err(error) => {
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = std::fs::remove_file(path);
            }
            Err(explain(
                error,
                format_args!("cannot create {}", path.display()),
            ))
        }
    }
}

/// Whether nobody but root can change what `path` leads to: the file, if it is
/// there, every directory above it, and every link on the way. In a sticky
/// directory the others cannot touch root's entries.
pub fn only_root_changes(path: &Path) -> io::Result<bool> {
    let named = std::path::absolute(path)?;
    let mut existing = named.as_path();
    while existing.symlink_metadata().is_err() {
        match existing.parent() {
            Some(parent) => existing = parent,
            None => return Ok(false),
        }
    }
    let resolved = std::fs::canonicalize(existing)?;
    for way in [existing, &resolved] {
        for entry in way.ancestors() {
            let found = entry.symlink_metadata()?;
            let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
            // Root's own group is root; where there is an access list, its
            // mask stands in the group's place and others may be on it.
            let group = found.mode() & 0o020 != 0 && (found.gid() != 0 || has_access_list(entry));
            let open = (group || found.mode() & 0o002 != 0) && !found.is_symlink() && !sticky;
            if found.uid() != 0 || open {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether others than owner, group and all may have rights to a file.
/// Filesystems that know nothing of that have no such list.
fn has_access_list(path: &Path) -> bool {
    let mut value = [0u8; 0];
    rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut value).is_ok()
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW).bits() as i32;
    let file = OpenOptions::new()
        .read(!write)
        .write(write)
        .custom_flags(flags)
        .open(path)?;
    require_regular(&file, path)?;
    Ok(file)
}

fn fill(file: &mut File, bytes: &[u8], like: &File) -> io::Result<()> {
    let wanted = like.metadata()?;
    let found = file.metadata()?;
    if owners(&found) != owners(&wanted) {
        std::os::unix::fs::fchown(&*file, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(wanted.mode() & 0o7777))?;
    copy_attributes(like, file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn owners(found: &Metadata) -> (u32, u32) {
    (found.uid(), found.gid())
}

/// Copies access list and labels. A label that may not be set is the one new
/// files get here; an access list that may not be set is an error.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0u8; LARGEST_ATTRIBUTE];
    // Filesystems without attributes have none to copy.
    let Ok(length) = rustix::fs::flistxattr(from, &mut names) else {
        return Ok(());
    };
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() {
            continue;
        }
        let mut value = vec![0u8; LARGEST_ATTRIBUTE];
        let copied = rustix::fs::fgetxattr(from, name, &mut value).and_then(|length| {
            rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())
        });
        if let Err(error) = copied
            && name.starts_with(b"system.posix_acl")
        {
            return Err(error.into());
        }
    }
    Ok(())
}

fn in_place(path: &Path, bytes: &[u8], old: &[u8]) -> io::Result<()> {
    let mut file = open(path, true)?;
    // Room for the new text before the old one is touched, where the
    // filesystem can promise it.
    let room = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes.len() as u64);
    if let Err(error @ (Errno::NOSPC | Errno::DQUOT)) = room {
        return Err(error.into());
    }
    let written = overwrite(&mut file, bytes);
    if written.is_err() {
        // A full disk takes back what it held before.
        overwrite(&mut file, old)?;
    }
    written
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_changes_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        create_text(&path, b"old", 0o640).unwrap();
        assert!(create_text(&path, b"x", 0o600).is_err());
        assert_eq!(
            replace_text(&path, b"new", b"old").unwrap(),
            Replaced::AtOnce
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn attributes_stay_where_the_filesystem_has_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"old").unwrap();
        let name = "user.rc_domino";
        if rustix::fs::setxattr(&path, name, b"kept", XattrFlags::empty()).is_err() {
            return;
        }
        replace_text(&path, b"new", b"old").unwrap();
        let mut value = [0u8; 16];
        let length = rustix::fs::getxattr(&path, name, &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
    }

    #[test]
    fn what_others_can_change_is_told_from_what_is_roots() {
        assert!(only_root_changes(Path::new("/etc/passwd")).unwrap());
        assert!(only_root_changes(Path::new("/etc/no/such/file")).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert!(!only_root_changes(&open.join("f")).unwrap());
        let link = open.join("l");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(!only_root_changes(&link).unwrap());
    }

    #[test]
    fn an_access_list_may_let_others_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "x").unwrap();
        // Version 2; owner rw, user 65534 rw, group r, mask rw, all r.
        let mut list = vec![2, 0, 0, 0];
        for (tag, rights, id) in [
            (1u16, 6u16, u32::MAX),
            (2, 6, 65_534),
            (4, 4, u32::MAX),
            (16, 6, u32::MAX),
            (32, 4, u32::MAX),
        ] {
            list.extend_from_slice(&tag.to_le_bytes());
            list.extend_from_slice(&rights.to_le_bytes());
            list.extend_from_slice(&id.to_le_bytes());
        }
        assert!(!has_access_list(&path));
        let before = only_root_changes(&path).unwrap();
        let name = "system.posix_acl_access";
        if rustix::fs::setxattr(&path, name, &list, XattrFlags::empty()).is_err() {
            return;
        }
        assert!(has_access_list(&path));
        assert!(!only_root_changes(&path).unwrap());
        // Only root's files tell the difference.
        assert_eq!(before, rustix::process::geteuid().is_root());
    }

    #[test]
    fn writing_in_place_shortens_and_links_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"a longer text").unwrap();
        in_place(&path, b"short", b"a longer text").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
        let link = directory.path().join("l");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(replace_text(&link, b"x", b"short").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
