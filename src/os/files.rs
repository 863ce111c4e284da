//! Files and filesystems: durable writes, safe opens, flushing, free space.

use super::explain;
use nix::unistd::AccessFlags;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A filesystem held by a descriptor of one of its files or directories.
///
/// Open it *before* the writes that matter and sync it after them: since Linux
/// 5.8 syncfs(2) reports those write-back errors that happened while the
/// descriptor was open (errseq in fs/sync.c), and no earlier ones.
#[derive(Debug)]
pub struct Filesystem {
    file: File,
    path: PathBuf,
    id: u64,
}

impl Filesystem {
    /// Opens the filesystem that holds `path`, a directory or a regular file.
    pub fn open(path: &Path) -> io::Result<Filesystem> {
        let what = || format!("cannot open {} to flush its filesystem", path.display());
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
            .open(path)
            .map_err(|error| explain(error, what()))?;
        let id = file
            .metadata()
            .map_err(|error| explain(error, what()))?
            .dev();
        Ok(Filesystem {
            file,
            path: path.to_path_buf(),
            id,
        })
    }

    /// The device number (`st_dev`), the same for all files of a filesystem.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything the filesystem still has in memory to its device and
    /// waits for it: syncfs(2). False where that is not to be had here: an old
    /// or foreign kernel, or a container that forbids it.
    pub fn sync(&self) -> io::Result<bool> {
        use rustix::io::Errno;
        match rustix::fs::syncfs(&self.file) {
            Ok(()) => Ok(true),
            Err(Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => Ok(false),
            Err(error) => Err(explain(
                error,
                format_args!("cannot flush the filesystem of {}", self.path.display()),
            )),
        }
    }
}

/// Asks for all filesystems of this host to be flushed (sync(2)), which waits
/// for that on Linux and reports no errors.
pub fn sync_everything() {
    rustix::fs::sync();
}

/// The device number of the filesystem that holds `path`.
pub fn filesystem_id(path: &Path) -> io::Result<u64> {
    std::fs::metadata(path)
        .map(|metadata| metadata.dev())
        .map_err(|error| explain(error, format_args!("cannot examine {}", path.display())))
}

/// Replaces `path` by a file with these bytes and this mode: written aside in
/// the same directory, flushed, renamed, the directory flushed. A reader sees
/// the old file or the new one. The umask does not apply.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    swap(path, |file| {
        file.write_all(bytes)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))?;
        file.sync_all()
    })
    .map_err(|error| explain(error, format_args!("cannot write {}", path.display())))
}

/// As [`write_atomically`], but nothing is flushed: for files that say nothing
/// after a crash of the host, such as those under /run.
pub fn write_in_one_step(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    rename_into_place(path, |file| {
        file.write_all(bytes)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))
    })
    .map_err(|error| explain(error, format_args!("cannot write {}", path.display())))
}

/// Puts a new file, which `fill` fills and brings to disk, in the place of
/// another in one step.
pub(super) fn swap(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    rename_into_place(path, fill)?;
    sync_directory(parent_directory(path))
}

fn rename_into_place(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = parent_directory(path);
    let aside = directory.join(aside_name(name));
    let mut file = create_aside(&aside)?;
    let swapped = fill(&mut file).and_then(|()| std::fs::rename(&aside, path));
    if let Err(error) = swapped {
        let _ = std::fs::remove_file(&aside);
        return Err(error);
    }
    Ok(())
}

fn aside_name(name: &OsStr) -> OsString {
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}.new", std::process::id()));
    aside
}

fn create_aside(aside: &Path) -> io::Result<File> {
    // A leftover of an earlier process with our pid would block for ever.
    match std::fs::remove_file(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)
}

/// The directory an entry lies in; "." for a bare name.
pub(crate) fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Flushes a directory's entries. Filesystems that cannot (EINVAL) are passed.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Opens a regular file for reading. Never blocks on a FIFO, never touches a
/// device; anything but a regular file is an `InvalidInput` error that says
/// what it is. Links are followed.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path)
        .map_err(|error| explain(error, format_args!("cannot open {}", path.display())))?;
    require_regular(&file, path)?;
    Ok(file)
}

/// As [`open_regular`], for a name that was found in a directory: a link in
/// its place is not followed but an error.
pub fn open_regular_itself(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(|error| explain(error, format_args!("cannot open {}", path.display())))?;
    require_regular(&file, path)?;
    Ok(file)
}

/// Fails with `InvalidInput` unless `file`, opened as `path`, is a regular one.
pub(crate) fn require_regular(file: &File, path: &Path) -> io::Result<()> {
    let kind = file
        .metadata()
        .map_err(|error| explain(error, format_args!("cannot examine {}", path.display())))?
        .file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else {
        "a device, pipe or socket"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is {what}, not a regular file", path.display()),
    ))
}

/// Reads a regular file of at most `max` bytes; a larger one is a
/// `FileTooLarge` error. See [`open_regular`].
pub fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| explain(error, format_args!("cannot read {}", path.display())))?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{} is larger than {max} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// Makes a directory that only its owner may enter (mode 0700), or accepts one
/// that is there, is no link, belongs to the effective user and is closed to
/// group and others.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(explain(
                error,
                format_args!("cannot create {}", path.display()),
            ));
        }
        Err(_) => {}
    }
    let found = std::fs::symlink_metadata(path)
        .map_err(|error| explain(error, format_args!("cannot examine {}", path.display())))?;
    let fault = if !found.is_dir() {
        "is not a directory"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "is open to other users"
    } else {
        return Ok(());
    };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} {fault}: remove it or correct it", path.display()),
    ))
}

/// Bytes that an ordinary user may still write to the filesystem of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path).map_err(|error| {
        explain(
            error,
            format_args!("cannot examine the filesystem of {}", path.display()),
        )
    })?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether the effective user may write to `path` as mode bits, access lists
/// and a read-only mount decide; false too when it does not exist.
pub fn is_writable(path: &Path) -> bool {
    nix::unistd::eaccess(path, AccessFlags::W_OK).is_ok()
}

/// Writes a small file into a directory, brings it to disk, reads it back and
/// removes it: what mode bits promise, a filesystem may still refuse.
pub fn prove_writable(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".rc_domino.{}.trial", std::process::id()));
    let written = [0x5a; 4096];
    // A leftover of an earlier process with our pid.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let mut proof = || -> io::Result<()> {
        file.write_all(&written)?;
        file.sync_all()?;
        file.rewind()?;
        let mut read = Vec::new();
        file.read_to_end(&mut read)?;
        if read == written {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what was written reads differently",
        ))
    };
    let proven = proof();
    std::fs::remove_file(&path).and(proven)
}

/// Whether the effective user may execute the file `path`. As for root any
/// execute bit is enough.
pub fn is_executable(path: &Path) -> bool {
    nix::unistd::eaccess(path, AccessFlags::X_OK).is_ok()
}

/// Removes the first `len` bytes of a file in one step while others append to
/// it (fallocate(2), FALLOC_FL_COLLAPSE_RANGE). `len` must be a multiple of
/// [`block_size`] and less than the file's size (`InvalidInput` otherwise).
/// `Unsupported` where the filesystem cannot (tmpfs, NFS).
pub fn collapse_front(file: impl AsFd, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, len) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// The block size of the filesystem an open file lies on, in bytes.
pub fn block_size(file: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstatvfs(file)?.f_bsize)
}

/// Opens a file for appending, made with this mode less the umask if it is not
/// there. Links are followed, as a shell's `>>` does; anything but a regular
/// file is refused, and none of it blocks.
pub fn open_append(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file: File = rustix::fs::open(path, flags, Mode::from_raw_mode(mode))
        .map_err(|error| explain(error, format_args!("cannot open {}", path.display())))?
        .into();
    require_regular(&file, path)?;
    Ok(file)
}

/// Makes `bytes` all that a file of the effective user's holds, or makes such a
/// file (mode 0600). For names that come from outside: a link is not followed
/// but refused, and so is what is no regular file, has further names or
/// belongs to somebody else.
pub fn fill_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let mut file: File = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map_err(|error| explain(error, format_args!("cannot open {}", path.display())))?
        .into();
    require_regular(&file, path)?;
    let found = file.metadata()?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.nlink() != 1 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} belongs to another user or has a second name",
                path.display()
            ),
        ));
    }
    file.set_len(0)
        .and_then(|()| file.write_all(bytes))
        .map_err(|error| explain(error, format_args!("cannot write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_replaces_the_file_whole_and_leaves_nothing_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomically(&path, b"one", 0o640).unwrap();
        write_atomically(&path, b"two", 0o604).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o604
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let missing = dir.path().join("no/such");
        let error = write_atomically(&missing, b"", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("no/such"), "{error}");
    }

    #[test]
    fn only_a_file_of_ones_own_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fill_own(&path, b"a longer line").unwrap();
        fill_own(&path, b"short").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(fill_own(&link, b"x").is_err());
        std::fs::hard_link(&path, dir.path().join("second")).unwrap();
        assert!(fill_own(&path, b"x").is_err());
        assert!(fill_own(dir.path(), b"x").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }

    #[test]
    fn only_regular_files_are_opened_and_a_fifo_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        for path in [fifo.as_path(), dir.path(), Path::new("/dev/null")] {
            let error = open_regular(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
        let file = dir.path().join("f");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_bounded(&file, 5).unwrap(), b"12345");
        let error = read_bounded(&file, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        open_append(&link, 0o600).unwrap().write_all(b"6").unwrap();
        // A FIFO without a reader would block.
        assert!(open_append(&fifo, 0o600).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"123456");
    }

    #[test]
    fn a_private_directory_is_accepted_only_while_it_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
        let error = create_private_dir(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        std::fs::write(dir.path().join("f"), "").unwrap();
        assert!(create_private_dir(&dir.path().join("f")).is_err());
    }

    #[test]
    fn filesystems_are_told_apart_flushed_and_measured() {
        let dir = tempfile::tempdir().unwrap();
        let held = Filesystem::open(dir.path()).unwrap();
        assert!(held.sync().unwrap());
        assert_eq!(held.id(), filesystem_id(dir.path()).unwrap());
        assert_ne!(held.id(), filesystem_id(Path::new("/proc")).unwrap());
        assert!(free_bytes(dir.path()).unwrap() > 0);
        assert!(is_writable(dir.path()));
        assert!(!is_writable(&dir.path().join("missing")));
        assert!(is_executable(Path::new("/bin/sh")));
        assert!(!is_executable(Path::new("/etc/passwd")));
        let error = Filesystem::open(&dir.path().join("missing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// The front goes, what follows and what is appended later stays. Where
    /// the temporary directory cannot do it, the error must be the one that
    /// makes callers copy instead.
    #[test]
    fn the_front_of_a_file_collapses_or_is_said_to_be_unsupported() {
        let (mut held, path) = tempfile::NamedTempFile::new().unwrap().into_parts();
        let block = block_size(&held).unwrap() as usize;
        held.write_all(&vec![b'a'; block]).unwrap();
        held.write_all(b"rest").unwrap();
        match collapse_front(&held, block as u64) {
            Ok(()) => assert_eq!(std::fs::read(&path).unwrap(), b"rest"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
        if filesystem_id(Path::new("/dev/shm")).is_ok() {
            let file = tempfile::tempfile_in("/dev/shm").unwrap();
            file.set_len(3 * 4096).unwrap();
            let error = collapse_front(&file, 4096).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
    }
}
