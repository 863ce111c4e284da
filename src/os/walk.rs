//! The regular files below a directory, reached by descriptors: no link is
//! followed and nothing outside is touched, whatever is moved meanwhile.

use super::explain;
use super::procfs::is_gone;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Room for the names of one getdents64(2) call, in bytes.
const NAMES_BUFFER: usize = 64 * 1024;

/// How many files are handed out at a time.
const GROUP: usize = 4096;

/// So many files are removed one by one, to see how long that takes.
const TRIAL: usize = 64;

/// A removal that takes longer waits for its device, not for us: with the
/// `discard` mount option, without a write cache, over the network.
const SLOW: Duration = Duration::from_micros(150);

/// How many removals wait for a slow device at once: 6,000 files on ext4 with
/// `discard` took 16 s one by one and 0.8 s with these (measured).
const AT_ONCE_SLOW: usize = 16;

/// How many threads remove where it is quick. The kernel takes a name away
/// under the directory's lock, but gives the inode back without it: with two,
/// 100,000 files take 0.7 to 0.8 times as long (measured).
const AT_ONCE: usize = 2;

/// So many files are worth a thread.
const WORTH_A_THREAD: usize = 512;

/// How many processors there are for us; asking takes some files of /proc.
static CORES: OnceLock<usize> = OnceLock::new();

/// How many names of one directory are sorted and handled at a time: bounds
/// the memory, and is more than most directories hold.
const BATCH: usize = 100_000;

/// A directory below which files are visited.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    top: OwnedFd,
    deep: bool,
}

/// A file as a visit comes past it; nothing but its name was looked at yet.
pub struct Candidate<'a> {
    directory: &'a OwnedFd,
    below: &'a [u8],
    name: &'a CStr,
}

/// What is known of a file that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: SystemTime,
    /// Device and inode.
    pub id: (u64, u64),
}

/// What could not be read on the way.
#[derive(Debug, Default)]
pub struct Unread {
    /// How many subdirectories.
    pub directories: u64,
    /// The first of them, and why.
    pub first: Option<(PathBuf, io::Error)>,
}

impl Tree {
    /// Opens a directory; its subdirectories count if `deep`. Where its own
    /// name is a link, that is followed only if `through_link`; else the error
    /// is `NotADirectory`.
    pub fn open(path: &Path, deep: bool, through_link: bool) -> io::Result<Tree> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if !through_link {
            flags |= OFlags::NOFOLLOW;
        }
        let top = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| explain(error, format_args!("cannot open {}", path.display())))?;
        Ok(Tree {
            path: path.to_path_buf(),
            top,
            deep,
        })
    }

    /// Visits every regular file whose name is wanted, in groups of one
    /// directory and in the order of inodes, which is that of the disk, until
    /// `each` breaks off.
    pub fn visit(
        &self,
        wanted: &dyn Fn(&OsStr) -> bool,
        each: &mut dyn FnMut(&[Candidate<'_>]) -> ControlFlow<()>,
    ) -> io::Result<Unread> {
        let mut unread = Unread::default();
        // Paths below the top: a directory is opened when its turn comes, so
        // that depth costs no descriptors.
        let mut waiting: Vec<Vec<u8>> = vec![Vec::new()];
        let mut buffer = Vec::with_capacity(NAMES_BUFFER);
        while let Some(below) = waiting.pop() {
            let visited = self
                .open_below(&below)
                .map_err(io::Error::from)
                .and_then(|directory| {
                    self.visit_one(&directory, &below, wanted, each, &mut waiting, &mut buffer)
                });
            match visited {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) if below.is_empty() => {
                    return Err(explain(
                        error,
                        format_args!("cannot read {}", self.path.display()),
                    ));
                }
                // It went away, or is a link now: nothing of ours any more.
                Err(error) if is_other_now(&error) => {}
                Err(error) => {
                    unread.directories += 1;
                    let path = self.path.join(OsStr::from_bytes(&below));
                    unread.first.get_or_insert((path, error));
                }
            }
        }
        Ok(unread)
    }

    /// Writes every file to its device, one by one, and the directories' own
    /// entries with them; fails with the first that cannot be.
    pub fn sync(&self) -> io::Result<()> {
        let mut fault = None;
        let unread = self.visit(&|_| true, &mut |files| {
            let synced = files.iter().try_for_each(|file| {
                file.sync()
                    .map_err(|error| explain(error, file.below_top().display()))
            });
            let directory = files.first().map(|file| rustix::fs::fsync(file.directory));
            fault = synced
                .err()
                .or(directory.and_then(Result::err).map(io::Error::from));
            match fault {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        })?;
        let closed = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let unread = unread.first.filter(|(_, error)| !closed(error));
        let fault = fault.or(unread.map(|(path, error)| explain(error, path.display())));
        match fault {
            None => Ok(()),
            Some(error) => Err(explain(
                error,
                format_args!("cannot flush {}", self.path.display()),
            )),
        }
    }

    /// Opens a directory below the top, component by component: a component
    /// that became a link meanwhile is refused.
    fn open_below(&self, below: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY
            | OFlags::DIRECTORY
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK;
        let mut directory = rustix::fs::openat(&self.top, c".", flags, Mode::empty())?;
        for component in below.split(|byte| *byte == b'/').filter(|c| !c.is_empty()) {
            directory = rustix::fs::openat(&directory, component, flags, Mode::empty())?;
        }
        Ok(directory)
    }

    fn visit_one(
        &self,
        directory: &OwnedFd,
        below: &[u8],
        wanted: &dyn Fn(&OsStr) -> bool,
        each: &mut dyn FnMut(&[Candidate<'_>]) -> ControlFlow<()>,
        waiting: &mut Vec<Vec<u8>>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<ControlFlow<()>> {
        let mut batch = Batch::default();
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        loop {
            let more = match entries.next() {
                None => false,
                Some(entry) => {
                    let entry = entry?;
                    let name = entry.file_name();
                    let kind = match entry.file_type() {
                        FileType::Unknown => kind_of(directory, name),
                        known => known,
                    };
                    match kind {
                        FileType::Directory if self.deep && !is_dots(name) => {
                            waiting.push(join(below, name.to_bytes()));
                        }
                        FileType::RegularFile if wanted(OsStr::from_bytes(name.to_bytes())) => {
                            batch.push(entry.ino(), name);
                        }
                        _ => {}
                    }
                    true
                }
            };
            if more && batch.order.len() < BATCH {
                continue;
            }
            if batch.hand_out(directory, below, each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if !more {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }
}

/// Names of a directory, with their inodes.
#[derive(Default)]
struct Batch {
    names: Vec<u8>,
    order: Vec<(u64, usize, usize)>,
}

impl Batch {
    fn push(&mut self, inode: u64, name: &CStr) {
        let start = self.names.len();
        self.names.extend_from_slice(name.to_bytes_with_nul());
        self.order.push((inode, start, self.names.len()));
    }

    fn hand_out(
        &mut self,
        directory: &OwnedFd,
        below: &[u8],
        each: &mut dyn FnMut(&[Candidate<'_>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.order.sort_unstable();
        for part in self.order.chunks(GROUP) {
            let group: Vec<Candidate<'_>> = part
                .iter()
                .filter_map(|(_, start, end)| {
                    let name = CStr::from_bytes_with_nul(&self.names[*start..*end]).ok()?;
                    Some(Candidate {
                        directory,
                        below,
                        name,
                    })
                })
                .collect();
            each(&group)?;
        }
        self.order.clear();
        self.names.clear();
        ControlFlow::Continue(())
    }
}

impl Candidate<'_> {
    /// Its path below the tree's top.
    pub fn below_top(&self) -> PathBuf {
        Path::new(OsStr::from_bytes(self.below)).join(OsStr::from_bytes(self.name.to_bytes()))
    }

    /// Looks at it; none where it is gone or no regular file any more.
    pub fn examine(&self) -> io::Result<Option<Found>> {
        let found = match rustix::fs::statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(error) if is_gone(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some(Found {
            size: u64::try_from(found.st_size).unwrap_or(0),
            modified: moment(found.st_mtime as i64, found.st_mtime_nsec as u64),
            id: (found.st_dev, found.st_ino),
        }))
    }

    /// Writes what memory still holds of it to its device (fsync(2)). One that
    /// is gone has nothing to lose; one that is closed to this user was not
    /// written by him.
    fn sync(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(self.directory, self.name, flags, Mode::empty()) {
            Ok(file) => Ok(rustix::fs::fsync(file)?),
            Err(Errno::ACCESS | Errno::LOOP) => Ok(()),
            Err(error) if is_gone(error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the name. One that is gone already is no error.
    fn remove(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(self.directory, self.name, AtFlags::empty()) {
            Err(error) if !is_gone(error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Removes files: several at once where there are many. Returns which could
/// not be removed, and why.
pub fn remove_all(files: &[&Candidate<'_>]) -> Vec<(usize, io::Error)> {
    let begun = Instant::now();
    let trial = TRIAL.min(files.len());
    let mut failures = remove_some(0, &files[..trial]);
    let rest = &files[trial..];
    let threads = if !rest.is_empty() && begun.elapsed() > SLOW * TRIAL as u32 {
        AT_ONCE_SLOW
    } else if rest.len() >= WORTH_A_THREAD {
        AT_ONCE.min(*CORES.get_or_init(cores))
    } else {
        1
    };
    // Neighbours stay with one thread: they share blocks of the inode table.
    let stretch = rest.len().div_ceil(threads).max(1);
    let mut parts = (trial..)
        .step_by(stretch)
        .zip(rest.chunks(stretch))
        .map(|(start, part)| move || remove_some(start, part));
    std::thread::scope(|scope| {
        let own = parts.next();
        let others: Vec<_> = parts
            .map(|part| {
                let thread = std::thread::Builder::new().spawn_scoped(scope, part);
                (thread, part)
            })
            .collect();
        failures.extend(own.iter().flat_map(|part| part()));
        for (thread, part) in others {
            // Without a thread it is done here; and removing what one that
            // died had removed is no error.
            let failed = thread.ok().and_then(|thread| thread.join().ok());
            failures.extend(failed.unwrap_or_else(part));
        }
    });
    failures
}

/// Removes files one by one; the first one's number is `start`.
fn remove_some(start: usize, files: &[&Candidate<'_>]) -> Vec<(usize, io::Error)> {
    (start..)
        .zip(files)
        .filter_map(|(index, file)| Some((index, file.remove().err()?)))
        .collect()
}

/// How many processors this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A time of stat(2).
fn moment(seconds: i64, nanoseconds: u64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    base.and_then(|base| base.checked_add(Duration::from_nanos(nanoseconds)))
        .unwrap_or(UNIX_EPOCH)
}

fn kind_of(directory: &OwnedFd, name: &CStr) -> FileType {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |found| {
            FileType::from_raw_mode(found.st_mode)
        })
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn join(below: &[u8], name: &[u8]) -> Vec<u8> {
    if below.is_empty() {
        name.to_vec()
    } else {
        [below, b"/", name].concat()
    }
}

/// A subdirectory that was removed or replaced since its name was read.
fn is_other_now(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    )
}

/// Whether a path itself is a symbolic link.
pub fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn names(tree: &Tree) -> Vec<OsString> {
        let mut names = Vec::new();
        tree.visit(&|_| true, &mut |group| {
            names.extend(group.iter().map(|file| file.below_top().into_os_string()));
            ControlFlow::Continue(())
        })
        .unwrap();
        names.sort();
        names
    }

    /// Whether it reaches the device cannot be seen from here; that every file
    /// is passed, and what may not be touched is not, can.
    #[test]
    fn a_tree_is_flushed_file_by_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/one.nsf"), "x").unwrap();
        std::fs::write(dir.path().join("two.nsf"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("link")).unwrap();
        let tree = Tree::open(dir.path(), true, true).unwrap();
        tree.sync().unwrap();
    }

    #[test]
    fn links_and_what_they_lead_to_are_passed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(top.path().join("a/b")).unwrap();
        let strange = OsString::from_vec(b"line\nbreak \xff".to_vec());
        std::fs::write(top.path().join("a/b").join(&strange), "x").unwrap();
        std::fs::write(top.path().join("plain"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), top.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("kept"), top.path().join("file")).unwrap();
        let deep = Tree::open(top.path(), true, false).unwrap();
        let expected = Path::new("a/b").join(&strange).into_os_string();
        assert_eq!(names(&deep), [expected, "plain".into()]);
        let flat = Tree::open(top.path(), false, false).unwrap();
        assert_eq!(names(&flat), ["plain"]);
        let link = top.path().join("out");
        assert!(is_link(&link) && !is_link(top.path()));
        assert!(Tree::open(&link, true, false).is_err());
        assert_eq!(names(&Tree::open(&link, true, true).unwrap()), ["kept"]);
    }

    #[test]
    fn a_directory_replaced_by_a_link_is_not_entered() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(top.path().join("first"), "x").unwrap();
        let tree = Tree::open(top.path(), true, false).unwrap();
        let mut seen = Vec::new();
        let unread = tree
            .visit(&|_| true, &mut |group| {
                seen.extend(group.iter().map(Candidate::below_top));
                let _ = std::fs::remove_dir(&inner);
                let _ = std::os::unix::fs::symlink(outside.path(), &inner);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, [PathBuf::from("first")]);
        assert_eq!(unread.directories, 0);
    }

    #[test]
    fn files_are_looked_at_removed_and_may_be_gone() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(top.path().join(name), name.repeat(3)).unwrap();
        }
        let before_epoch = UNIX_EPOCH - Duration::from_millis(1_500);
        let file = std::fs::File::open(top.path().join("a")).unwrap();
        file.set_modified(before_epoch).unwrap();
        let tree = Tree::open(top.path(), true, false).unwrap();
        let mut visited = 0;
        tree.visit(&|name| name != "c", &mut |group| {
            for file in group {
                let found = file.examine().unwrap().unwrap();
                assert_eq!(found.size, 3);
                if file.below_top() == Path::new("a") {
                    assert_eq!(found.modified, before_epoch);
                }
                assert!(remove_all(&[file, file]).is_empty());
                assert_eq!(file.examine().unwrap(), None);
                visited += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(visited, 2);
        assert_eq!(names(&tree), ["c"]);
    }

    /// More than a group, removed however it is done here, and failures named.
    #[test]
    fn many_are_removed_and_failures_are_told_apart() {
        let top = tempfile::tempdir().unwrap();
        for number in 0..GROUP + 100 {
            std::fs::write(top.path().join(format!("{number}")), "x").unwrap();
        }
        let tree = Tree::open(top.path(), true, false).unwrap();
        let mut failed = Vec::new();
        tree.visit(&|_| true, &mut |group| {
            assert!(group.len() <= GROUP);
            let seventh = top.path().join(group[7].below_top());
            std::fs::remove_file(&seventh).unwrap();
            std::fs::create_dir(&seventh).unwrap();
            let files: Vec<_> = group.iter().collect();
            failed.extend(remove_all(&files).into_iter().map(|(index, _)| index));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(failed, [7, 7]);
        assert_eq!(std::fs::read_dir(top.path()).unwrap().count(), 2);
    }
}
