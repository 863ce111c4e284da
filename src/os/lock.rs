//! Locks between processes: flock(2) on a file, held until dropped or until
//! the process ends, however it ends.

use super::pidfd::ProcessHandle;
use super::process::Pid;
use super::signals::{Signal, Signals};
use super::{explain, files, procfs, wait};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait at most before trying again: the holder may let go without
/// ending.
const STEP: Duration = Duration::from_millis(100);

/// A lock that is held. Dropping it lets go; the file stays, for removing it
/// would let two processes hold "the" lock.
#[derive(Debug)]
pub struct Lock {
    // Both are held for their locks only.
    _file: Option<File>,
    _directory: Option<File>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: Pid,
    /// Its arguments, where they can be read.
    pub cmdline: Vec<OsString>,
}

/// How the wait for a lock came to its end.
#[derive(Debug)]
pub enum LockOutcome {
    /// It is held now.
    Acquired(Lock),
    /// The deadline is over and somebody still holds it, who is named where
    /// /proc/locks tells.
    TimedOut(Option<Holder>),
    /// A signal asked us to end.
    Interrupted(Signal),
}

enum Attempt {
    Acquired(Lock),
    /// Held by another; by the lock of this file.
    Busy(File),
    /// The file was replaced meanwhile.
    Again,
}

impl Lock {
    /// No lock, for work that must be done though none is to be had.
    pub fn none() -> Lock {
        Lock {
            _file: None,
            _directory: None,
        }
    }

    /// Takes the lock at `path` if nobody has it; none if somebody has. See
    /// [`Lock::acquire`].
    pub fn try_acquire(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            match attempt(path)? {
                Attempt::Acquired(lock) => return Ok(Some(lock)),
                Attempt::Busy(_) => return Ok(None),
                Attempt::Again => {}
            }
        }
    }

    /// Takes the lock at `path`, a regular file that is made (mode 0600) if it
    /// is not there. While another process has it, waits for that process's
    /// end or its letting go, until `deadline` (none: for ever) or a signal.
    /// `on_wait` is called once before the wait and whenever the holder is
    /// another one.
    ///
    /// Where the file cannot be made for want of space or on a read-only
    /// filesystem, its directory is locked instead; the two exclude each other.
    pub fn acquire(
        path: &Path,
        deadline: Option<Instant>,
        signals: Option<&Signals>,
        mut on_wait: impl FnMut(Option<&Holder>),
    ) -> io::Result<LockOutcome> {
        let mut named: Option<Option<Pid>> = None;
        loop {
            let file = match attempt(path)? {
                Attempt::Acquired(lock) => return Ok(LockOutcome::Acquired(lock)),
                Attempt::Busy(file) => file,
                Attempt::Again => continue,
            };
            let holder = holder_of(&file);
            drop(file);
            let pid = holder.as_ref().map(|holder| holder.pid);
            if named != Some(pid) {
                on_wait(holder.as_ref());
                named = Some(pid);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(LockOutcome::TimedOut(holder));
            }
            let handle = match pid {
                Some(pid) => ProcessHandle::open_current(pid)?,
                None => None,
            };
            let step = deadline.map_or(now + STEP, |deadline| deadline.min(now + STEP));
            let wake = wait::wait_any(handle.as_slice(), signals, &[], Some(step))?;
            if let Some(signal) = wake.signal {
                return Ok(LockOutcome::Interrupted(signal));
            }
        }
    }
}

fn attempt(path: &Path) -> io::Result<Attempt> {
    let failed = |error: io::Error| explain(error, format_args!("cannot lock {}", path.display()));
    match open_lock_file(path) {
        Ok(file) => with_file(path, file).map_err(failed),
        Err(error) if lacks_room(error) => with_directory(path).map_err(failed),
        Err(Errno::LOOP) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "cannot lock {}: it is a symbolic link: remove it",
                path.display()
            ),
        )),
        Err(error) => Err(failed(error.into())),
    }
}

fn lacks_room(error: Errno) -> bool {
    matches!(error, Errno::NOSPC | Errno::DQUOT | Errno::ROFS)
}

/// Opens the file if it is there and makes it if not: asking for both at once
/// is refused in sticky directories for files of others
/// (fs.protected_regular).
fn open_lock_file(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    loop {
        match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other.map(File::from),
        }
        let create = flags | OFlags::CREATE | OFlags::EXCL;
        match rustix::fs::open(path, create, Mode::from_raw_mode(0o600)) {
            Err(Errno::EXIST) => {}
            other => return other.map(File::from),
        }
    }
}

/// Locks an open file until it is closed, if nobody else has it locked; false
/// if somebody has. True, without a lock, where the filesystem has none.
pub fn try_exclusive(file: &File) -> io::Result<bool> {
    match try_flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(true),
        other => Ok(other?),
    }
}

/// Marks an open file as in use, together with others who do: [`try_exclusive`]
/// says no as long as a process lives that has this opening of it, such as one
/// that got it as its standard input. False where somebody has it to himself,
/// or the filesystem has no locks.
pub fn share(file: &File) -> io::Result<bool> {
    match try_flock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        other => Ok(other?),
    }
}

/// Whether the lock could be taken without waiting.
fn try_flock(file: &File, operation: FlockOperation) -> Result<bool, Errno> {
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn with_file(path: &Path, file: File) -> io::Result<Attempt> {
    files::require_regular(&file, path)?;
    if !try_flock(&file, FlockOperation::NonBlockingLockExclusive)? {
        return Ok(Attempt::Busy(file));
    }
    // Somebody may have removed the file between our open and our lock.
    let (held, named) = (file.metadata()?, std::fs::symlink_metadata(path));
    if !named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
        return Ok(Attempt::Again);
    }
    // A holder that found no room for the file has the directory. Filesystems
    // that cannot lock directories cannot have such a holder either.
    let directory = open_directory(path).ok();
    if let Some(directory) = &directory
        && let Ok(false) = try_flock(directory, FlockOperation::NonBlockingLockShared)
    {
        return Ok(Attempt::Busy(directory.try_clone()?));
    }
    Ok(Attempt::Acquired(Lock {
        _file: Some(file),
        _directory: directory,
    }))
}

fn with_directory(path: &Path) -> io::Result<Attempt> {
    let directory = open_directory(path)?;
    if !try_flock(&directory, FlockOperation::NonBlockingLockExclusive)? {
        return Ok(Attempt::Busy(directory));
    }
    Ok(Attempt::Acquired(Lock {
        _file: None,
        _directory: Some(directory),
    }))
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(files::parent_directory(path), flags, Mode::empty())?.into())
}

/// Who has the lock of this file, as /proc/locks tells; none where it does not
/// (holders outside of our pid namespace, network filesystems).
fn holder_of(file: &File) -> Option<Holder> {
    let metadata = file.metadata().ok()?;
    let locks = std::fs::read("/proc/locks").ok()?;
    let pid = find_holder(&locks, metadata.dev(), metadata.ino())?;
    Some(Holder {
        pid,
        cmdline: cmdline_of(pid),
    })
}

fn cmdline_of(pid: Pid) -> Vec<OsString> {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .map(|bytes| procfs::split_arguments(&bytes))
        .unwrap_or_default()
}

/// Looks through lines such as
/// `1: FLOCK  ADVISORY  WRITE 12345 fe:00:131075 0 EOF`; those that wait have
/// `->` behind their number. Device numbers are hexadecimal. btrfs and overlay
/// filesystems show another device there than stat(2) does, so a line with the
/// right inode alone is taken if no line has both.
fn find_holder(locks: &[u8], device: u64, inode: u64) -> Option<Pid> {
    let text = String::from_utf8_lossy(locks);
    let mut by_inode = None;
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next() != Some("FLOCK") {
            continue;
        }
        let Some(pid) = fields.nth(2).and_then(|pid| Pid::parse(pid.as_bytes())) else {
            continue;
        };
        let mut place = fields.next().unwrap_or("").split(':');
        let mut hexadecimal =
            || u32::from_str_radix(place.next().unwrap_or(""), 16).unwrap_or(u32::MAX);
        let found = rustix::fs::makedev(hexadecimal(), hexadecimal());
        if place.next().and_then(|number| number.parse().ok()) != Some(inode) {
            continue;
        }
        if found == device {
            return Some(pid);
        }
        by_inode = by_inode.or(Some(pid));
    }
    by_inode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process;
    use crate::os::testing::until;
    use std::process::{Command, Stdio};

    /// A child that another test forks has our descriptors, and so our locks,
    /// until its exec.
    fn take(path: &Path) -> Lock {
        let mut lock = None;
        until(|| {
            lock = Lock::try_acquire(path).unwrap();
            lock.is_some()
        });
        lock.unwrap()
    }

    #[test]
    fn a_lock_excludes_is_released_by_drop_and_its_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = take(&path);
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let begun = Instant::now();
        let mut waits = 0;
        let soon = begun + Duration::from_millis(150);
        let outcome = Lock::acquire(&path, Some(soon), None, |_| waits += 1).unwrap();
        let LockOutcome::TimedOut(holder) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(holder.unwrap().pid, process::self_pid());
        assert!(waits == 1 && Instant::now() >= soon);
        drop(lock);
        assert!(path.exists());
        // A file that is removed under its holder is not the lock any more.
        let _old = take(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    #[ignore = "holds a lock for the next test, in a process of its own"]
    fn helper_holds_a_lock() {
        let path = std::env::var_os("LOCK_PATH").unwrap();
        let _lock = Lock::try_acquire(Path::new(&path)).unwrap().unwrap();
        std::fs::write(std::env::var_os("HELD_PATH").unwrap(), "").unwrap();
        let _ = io::stdin().read_line(&mut String::new());
    }

    #[test]
    fn the_holder_is_named_and_his_end_lets_the_waiter_in_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (path, held) = (dir.path().join("lock"), dir.path().join("held"));
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("os::lock::tests::helper_holds_a_lock")
            .env("LOCK_PATH", &path)
            .env("HELD_PATH", &held)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until(|| held.exists());
        let late = Instant::now() + Duration::from_secs(20);
        let mut named = None;
        let outcome = Lock::acquire(&path, Some(late), None, |seen| {
            named = seen.cloned();
            holder.kill().unwrap();
        });
        assert!(
            matches!(outcome, Ok(LockOutcome::Acquired(_))),
            "{outcome:?}"
        );
        let named = named.unwrap();
        assert_eq!(named.pid.as_raw() as u32, holder.id());
        assert_eq!(named.cmdline[1], "--ignored");
        holder.wait().unwrap();
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _lock = take(&path);
        let signals = Signals::block().unwrap();
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGHUP) };
        let outcome = Lock::acquire(&path, None, Some(&signals), |_| {}).unwrap();
        assert!(matches!(outcome, LockOutcome::Interrupted(Signal::SIGHUP)));
    }

    #[test]
    fn the_lock_of_a_directory_without_room_excludes_that_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let Attempt::Acquired(no_room) = with_directory(&path).unwrap() else {
            panic!("the directory is free");
        };
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(no_room);
        let _lock = take(&path);
        assert!(matches!(with_directory(&path).unwrap(), Attempt::Busy(_)));
        assert!(lacks_room(Errno::NOSPC) && !lacks_room(Errno::ACCESS));
    }

    #[test]
    fn links_and_directories_are_no_locks() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let error = Lock::try_acquire(&link).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(Lock::try_acquire(dir.path()).is_err());
        let missing = dir.path().join("no/lock");
        let error = Lock::try_acquire(&missing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn lines_of_the_lock_table_are_told_apart() {
        let table = b"1: POSIX  ADVISORY  WRITE 11 fe:00:131075 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 22 fe:00:131075 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 33 fe:00:131075 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE -1 fe:00:7 0 EOF\n\
            4: FLOCK  ADVISORY  READ  44 00:1f:7 0 EOF\n";
        let found = |major, minor, inode| {
            find_holder(table, rustix::fs::makedev(major, minor), inode).map(Pid::as_raw)
        };
        assert_eq!(found(0xfe, 0, 131_075), Some(22));
        assert_eq!(found(9, 9, 131_075), Some(22));
        assert_eq!(found(0xfe, 0, 7), Some(44));
        assert_eq!(found(0xfe, 0, 8), None);
    }
}
