//! Reading one process's directory in /proc without allocating for each read.

use super::explain;
use super::process::Pid;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::{CStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// Room for the names of one getdents64(2) call, in bytes.
pub const PROC_BUFFER: usize = 32 * 1024;

/// The most of a command line that is read.
const CMDLINE_MAX: usize = 256 * 1024;

/// `f_type` of a proc filesystem (PROC_SUPER_MAGIC in linux/magic.h).
const PROC_MAGIC: u64 = 0x9fa0;

/// What the kernel puts behind the name of an executable that was removed.
const DELETED: &[u8] = b" (deleted)";

/// Opens /proc and makes sure that it is one, and that its pids are ours.
pub fn open() -> io::Result<OwnedFd> {
    let useless = |why: String| io::Error::new(io::ErrorKind::Unsupported, why);
    let proc = rustix::fs::open(
        c"/proc",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| explain(error, "cannot open /proc"))?;
    let kind = rustix::fs::fstatfs(&proc)
        .map_err(|error| explain(error, "cannot examine /proc"))?
        .f_type as u64;
    if kind != PROC_MAGIC {
        return Err(useless(
            "/proc is not mounted: mount -t proc proc /proc".into(),
        ));
    }
    let mut link = Vec::new();
    let own = match read_link(&proc, c"self", &mut link) {
        Ok(()) => Pid::parse(&link),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(explain(error, "cannot read /proc/self")),
    };
    if own != Some(super::process::self_pid()) {
        return Err(useless(
            "/proc belongs to another pid namespace: mount one for this namespace".into(),
        ));
    }
    Ok(proc)
}

/// The process has ended, or the directory never was.
pub fn is_gone(error: Errno) -> bool {
    error == Errno::NOENT || error == Errno::SRCH
}

/// As [`is_gone`], for errors of std.
pub fn is_gone_io(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(is_gone)
}

/// Not for us to read.
pub fn is_denied(error: Errno) -> bool {
    error == Errno::ACCESS || error == Errno::PERM
}

/// Visits the descriptors of a process: the directory that holds them and each
/// one's name. False where it has ended or is not ours to look into.
pub fn descriptors(pid: Pid, mut each: impl FnMut(&OwnedFd, &CStr)) -> io::Result<bool> {
    let passed = |error| is_gone(error) || is_denied(error);
    let mut visit = || -> Result<(), Errno> {
        let directory = rustix::fs::open(
            format!("/proc/{pid}/fd"),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut names = Vec::with_capacity(PROC_BUFFER);
        let mut entries = RawDir::new(&directory, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                each(&directory, name);
            }
        }
        Ok(())
    };
    match visit() {
        Ok(()) => Ok(true),
        Err(error) if passed(error) => Ok(false),
        Err(error) => Err(explain(error, format_args!("cannot read /proc/{pid}/fd"))),
    }
}

/// Reads a link into `into`, whole, reusing its memory.
pub fn read_link(directory: impl AsFd, name: &CStr, into: &mut Vec<u8>) -> Result<(), Errno> {
    into.clear();
    into.reserve(256);
    loop {
        rustix::fs::readlinkat_raw(&directory, name, rustix::buffer::spare_capacity(into))?;
        if into.len() < into.capacity() {
            return Ok(());
        }
        // It may have been cut.
        let larger = into.capacity() * 2;
        into.clear();
        into.reserve(larger);
    }
}

/// Reads a file of at most `max` bytes into `into`, reusing its memory.
fn read_file(
    directory: impl AsFd,
    name: &CStr,
    max: usize,
    into: &mut Vec<u8>,
) -> Result<(), Errno> {
    let file = rustix::fs::openat(
        directory,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    into.clear();
    while into.len() < max {
        into.reserve(4096);
        let room = into.capacity() - into.len();
        let read = match rustix::io::read(&file, rustix::buffer::spare_capacity(into)) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        // The files read here give all they have: a short read is the last.
        if read < room {
            break;
        }
    }
    into.truncate(max);
    Ok(())
}

/// The directory of one process. The descriptor stays with the process it was
/// opened for: once that is gone, all reads fail, though its pid be reused.
pub struct Entry {
    pid: Pid,
    uid: u32,
    directory: OwnedFd,
}

impl Entry {
    /// Opens /proc/PID; none if there is no such process.
    pub fn open(proc: impl AsFd, pid: Pid) -> io::Result<Option<Entry>> {
        let failed = |error| explain(error, format_args!("cannot open /proc/{pid}"));
        let mut number = [0; 16];
        let name = decimal(pid, &mut number);
        let directory = match rustix::fs::openat(
            proc,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(directory) => directory,
            Err(error) if is_gone(error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match rustix::fs::fstat(&directory) {
            Ok(found) => Ok(Some(Entry {
                pid,
                uid: found.st_uid,
                directory,
            })),
            Err(error) if is_gone(error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The open directory.
    pub fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Its effective user when the directory was opened.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The working directory; none where it cannot be read.
    pub fn cwd(&self) -> Option<PathBuf> {
        let mut link = Vec::new();
        read_link(&self.directory, c"cwd", &mut link).ok()?;
        Some(PathBuf::from(OsString::from_vec(link)))
    }

    /// Reads the executable's path into `into`. `Some(deleted)`: it was
    /// readable, and whether the file is gone; the suffix that says so is cut.
    pub fn exe(&self, into: &mut Vec<u8>) -> io::Result<Option<bool>> {
        match read_link(&self.directory, c"exe", into) {
            Ok(()) => {}
            Err(error) if is_gone(error) || is_denied(error) => return Ok(None),
            // A path longer than a page.
            Err(Errno::NAMETOOLONG) => return Ok(None),
            Err(error) => {
                return Err(explain(
                    error,
                    format_args!("cannot read /proc/{}/exe", self.pid),
                ));
            }
        }
        let Some(kept) = into.strip_suffix(DELETED).map(<[u8]>::len) else {
            return Ok(Some(false));
        };
        // A file may really be called so: then the link's target has a name.
        let linked = rustix::fs::statat(&self.directory, c"exe", AtFlags::empty());
        if linked.is_ok_and(|found| found.st_nlink > 0)
            && rustix::fs::lstat(into.as_slice()).is_ok()
        {
            return Ok(Some(false));
        }
        into.truncate(kept);
        Ok(Some(true))
    }

    /// Reads `stat`.
    pub fn stat(&self, buffer: &mut Vec<u8>) -> io::Result<Stat> {
        read_file(&self.directory, c"stat", 4096, buffer)?;
        let mut stat = Stat::parse(buffer).ok_or_else(malformed)?;
        // There newlines are escaped, backslashes not by every kernel: where
        // one stands, the file that has the name alone decides.
        if stat.comm.as_bytes().contains(&b'\\') {
            read_file(&self.directory, c"comm", 4096, buffer)?;
            let name = buffer.strip_suffix(b"\n").unwrap_or(buffer);
            stat.comm = OsString::from_vec(name.to_vec());
        }
        Ok(stat)
    }

    /// Reads the arguments. None in a zombie; denied ones are none too.
    pub fn cmdline(&self, buffer: &mut Vec<u8>) -> io::Result<Vec<OsString>> {
        match read_file(&self.directory, c"cmdline", CMDLINE_MAX, buffer) {
            Err(error) if is_denied(error) => return Ok(Vec::new()),
            other => other?,
        }
        Ok(split_arguments(buffer))
    }
}

/// Splits a command line at its NULs, of which the last one ends it.
pub fn split_arguments(bytes: &[u8]) -> Vec<OsString> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .strip_suffix(b"\0")
        .unwrap_or(bytes)
        .split(|byte| *byte == 0)
        .map(|argument| OsString::from_vec(argument.to_vec()))
        .collect()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its form is unknown")
}

/// Writes a pid in decimal digits into `room`; it has ten at most.
fn decimal(pid: Pid, room: &mut [u8; 16]) -> &CStr {
    let mut number = pid.as_raw().unsigned_abs();
    let mut at = room.len() - 1;
    room[at] = 0;
    while at > 0 {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    // There is no /proc/0.
    CStr::from_bytes_with_nul(&room[at..]).unwrap_or(c"0")
}

/// What `stat` says of a process (proc_pid_stat(5)).
#[derive(Debug)]
pub struct Stat {
    /// Field 2.
    pub comm: OsString,
    /// Field 3.
    pub state: char,
    /// Field 4; 0 for a parent outside of our pid namespace.
    pub parent: i32,
    /// Field 5.
    pub group: i32,
    /// Fields 14 and 15 together, in clock ticks.
    pub cpu_ticks: u64,
    /// Field 20.
    pub threads: u32,
    /// Field 22.
    pub start_ticks: u64,
    /// Field 24, in pages.
    pub rss_pages: u64,
    /// Field 52, a wait status; 0 also where it is hidden from us.
    pub exit_code: i32,
}

impl Stat {
    /// Reads the stat of a process by its pid.
    pub fn read(pid: Pid) -> io::Result<Stat> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
        Stat::parse(&bytes).ok_or_else(malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Stat> {
        // The name may hold blanks, newlines and parentheses: it ends at the
        // last one.
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let comm = bytes.get(open + 1..close)?.to_vec();
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let user: u64 = fields.nth(8)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let threads = fields.nth(4)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        let rss: i64 = fields.nth(1)?.parse().ok()?;
        Some(Stat {
            comm: OsString::from_vec(comm),
            state,
            parent,
            group,
            cpu_ticks: user.saturating_add(system),
            threads,
            start_ticks,
            rss_pages: u64::try_from(rss).unwrap_or(0),
            exit_code: fields
                .nth(27)
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
        })
    }

    /// Dead or a zombie: nothing of it runs any more. A first thread that has
    /// ended before the others is a zombie with threads.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'X' | 'x') || (self.state == 'Z' && self.threads <= 1)
    }

    /// User and system time.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ticks.saturating_mul(1_000_000_000 / clock_ticks()))
    }

    /// Resident memory in bytes.
    pub fn rss_bytes(&self) -> u64 {
        self.rss_pages.saturating_mul(page_size())
    }
}

fn positive_sysconf(name: libc::c_int, otherwise: u64) -> u64 {
    // SAFETY: sysconf(3) reads no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .unwrap_or(otherwise)
}

/// Clock ticks a second, as /proc counts them.
pub fn clock_ticks() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| positive_sysconf(libc::_SC_CLK_TCK, 100))
}

fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| positive_sysconf(libc::_SC_PAGESIZE, 4096))
}

/// Our own namespaces, by which others' processes are told apart.
pub struct Namespaces {
    pid: Option<Vec<u8>>,
    mount: Option<Vec<u8>>,
    root: Option<(u64, u64)>,
}

impl Namespaces {
    /// Those of this process. What cannot be read excludes nothing later.
    pub fn of_self(proc: impl AsFd) -> Namespaces {
        let read = |name| {
            let mut link = Vec::new();
            read_link(&proc, name, &mut link).ok().map(|()| link)
        };
        Namespaces {
            pid: read(c"self/ns/pid"),
            mount: read(c"self/ns/mnt"),
            root: rustix::fs::stat(c"/")
                .ok()
                .map(|found| (found.st_dev, found.st_ino)),
        }
    }

    /// Whether a process is in them; see [`super::process::scan`].
    pub fn hold(&self, entry: &Entry, link: &mut Vec<u8>) -> io::Result<bool> {
        if differs(&self.pid, entry, c"ns/pid", link)? {
            return Ok(false);
        }
        if !differs(&self.mount, entry, c"ns/mnt", link)? {
            return Ok(true);
        }
        let Some(root) = self.root else {
            return Ok(true);
        };
        match rustix::fs::statat(&entry.directory, c"root", AtFlags::empty()) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == root),
            Err(error) if is_gone(error) || is_denied(error) => Ok(true),
            Err(error) => Err(explain(
                error,
                format_args!("cannot examine /proc/{}/root", entry.pid),
            )),
        }
    }
}

/// Whether a link of `entry` can be read and names something else than `own`.
fn differs(
    own: &Option<Vec<u8>>,
    entry: &Entry,
    name: &CStr,
    link: &mut Vec<u8>,
) -> io::Result<bool> {
    match read_link(&entry.directory, name, link) {
        Ok(()) => Ok(own.as_ref().is_some_and(|own| own != link)),
        Err(error) if is_gone(error) || is_denied(error) => Ok(false),
        Err(error) => Err(explain(
            error,
            format_args!("cannot read /proc/{}/{}", entry.pid, name.to_string_lossy()),
        )),
    }
}
