//! Processes as /proc shows them: who runs what, in our own namespaces.
//!
//! A scan costs one stat(2) for each foreign process and allocates nothing for
//! it; links are read for the wanted user only, `stat` and `cmdline` only for
//! processes the caller wants.

use super::explain;
use super::procfs::{self, Entry, Namespaces, PROC_BUFFER, Stat};
use rustix::fs::{AtFlags, RawDir};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The id of a process. It is reused after the process has been reaped: only
/// pid and start time together name a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// A pid from its number; none for 0 and below.
    pub fn new(number: i32) -> Option<Pid> {
        (number > 0).then_some(Pid(number))
    }

    /// The number.
    pub fn as_raw(self) -> i32 {
        self.0
    }

    /// Reads a pid as pid files hold it: decimal digits, blanks around them.
    pub fn parse(text: &[u8]) -> Option<Pid> {
        let text = std::str::from_utf8(text.trim_ascii()).ok()?;
        Pid::new(text.parse().ok()?)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent; none where that is outside of our pid namespace.
    pub parent: Option<Pid>,
    /// Its effective user.
    pub uid: u32,
    /// `R`, `S`, `D`, `T`, `t`, `Z`, `X` or `I`, as proc(5) has them.
    pub state: char,
    /// Threads that still run. A process of state `Z` with more than one is
    /// alive: only its first thread has ended.
    pub threads: u32,
    /// Start time in clock ticks since boot (see [`super::clock::started_at`]).
    pub start_ticks: u64,
    /// User and system time used so far.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// The name the kernel keeps, at most 15 bytes.
    pub comm: OsString,
    /// The executable, links resolved; none where the link cannot be read
    /// (zombies, kernel threads, and non-dumpable processes for non-root).
    pub exe: Option<PathBuf>,
    /// The executable's file was removed or replaced; `exe` is where it was.
    pub exe_deleted: bool,
    /// The working directory; none where the link cannot be read.
    pub cwd: Option<PathBuf>,
    /// The arguments, cut at 256 KiB; empty for zombies and kernel threads.
    pub cmdline: Vec<OsString>,
}

impl Process {
    /// Whether it has ended and only waits for its parent to ask for its
    /// status.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z' && self.threads <= 1
    }
}

/// A process of the wanted user as a scan comes past it.
pub struct Sighting<'a> {
    /// Its id.
    pub pid: Pid,
    /// Its effective user.
    pub uid: u32,
    /// The executable as in [`Process::exe`].
    pub exe: Option<&'a Path>,
    /// As in [`Process::exe_deleted`].
    pub exe_deleted: bool,
    entry: &'a Entry,
}

impl Sighting<'_> {
    /// The arguments as in [`Process::cmdline`]; empty where they cannot be
    /// read. Costs a read, so ask only where `exe` is none.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut buffer = Vec::new();
        self.entry.cmdline(&mut buffer).ok().unwrap_or_default()
    }

    /// The working directory as in [`Process::cwd`]. Costs a read.
    pub fn cwd(&self) -> Option<PathBuf> {
        self.entry.cwd()
    }

    /// The name the kernel keeps, which zombies have too; empty where it
    /// cannot be read. Costs a read.
    pub fn comm(&self) -> OsString {
        let mut buffer = Vec::new();
        self.entry
            .stat(&mut buffer)
            .map(|stat| stat.comm)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Sighting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sighting")
            .field("pid", &self.pid)
            .field("uid", &self.uid)
            .field("exe", &self.exe)
            .finish_non_exhaustive()
    }
}

/// The processes of user `uid`, in our own namespaces, that `wanted` accepts.
///
/// Ours are those of the same pid namespace that share our mount namespace or
/// have our root directory (a unit with PrivateTmp has a mount namespace of its
/// own, a container another root). Links that cannot be read speak for the
/// process. Zombies are reported, with state `Z` and no executable. A process
/// that ends midway is left out. A /proc that is missing, or that belongs to
/// another pid namespace, is an error: nothing could be told from it.
pub fn scan(uid: u32, mut wanted: impl FnMut(&Sighting<'_>) -> bool) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    let mut buffer = Vec::new();
    walk(Some(uid), |sighting| {
        if wanted(sighting) {
            let exe = sighting.exe.map(Path::to_path_buf);
            let read = complete(sighting.entry, exe, sighting.exe_deleted, &mut buffer)?;
            found.extend(read);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Whether `wanted` accepts a process of user `uid` (none: of any user) in our
/// own namespaces (see [`scan`]). Goes by pid, lowest first, and no further than
/// to the first that is accepted; reads nothing of it that `wanted` does not ask
/// for.
pub fn any(
    uid: impl Into<Option<u32>>,
    mut wanted: impl FnMut(&Sighting<'_>) -> bool,
) -> io::Result<bool> {
    let mut accepted = false;
    walk(uid.into(), |sighting| {
        accepted = wanted(sighting);
        Ok(match accepted {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    Ok(accepted)
}

/// Comes past every process of user `uid`, or of all, in our own namespaces.
fn walk(
    wanted: Option<u32>,
    mut visit: impl FnMut(&Sighting<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let proc = procfs::open()?;
    let namespaces = Namespaces::of_self(&proc);
    let mut link = Vec::new();
    let mut names = Vec::with_capacity(PROC_BUFFER);
    let mut directory = RawDir::new(&proc, names.spare_capacity_mut());
    while let Some(next) = directory.next() {
        let dirent = next.map_err(|error| explain(error, "cannot read /proc"))?;
        let name = dirent.file_name();
        if !name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        // The owner of /proc/PID is the effective user even for processes
        // that are not dumpable (task_dump_owner in fs/proc/base.c).
        let owner = match rustix::fs::statat(&proc, name, AtFlags::empty()) {
            Ok(found) => found.st_uid,
            Err(error) if procfs::is_gone(error) => continue,
            Err(error) => {
                return Err(explain(
                    error,
                    format_args!("cannot examine /proc/{name:?}"),
                ));
            }
        };
        if wanted.is_some_and(|uid| uid != owner) {
            continue;
        }
        let Some(pid) = Pid::parse(name.to_bytes()) else {
            continue;
        };
        let Some(entry) = Entry::open(&proc, pid)? else {
            continue;
        };
        if entry.uid() != owner || !namespaces.hold(&entry, &mut link)? {
            continue;
        }
        let exe_deleted = entry.exe(&mut link)?;
        let sighting = Sighting {
            pid,
            uid: owner,
            exe: exe_deleted.map(|_| Path::new(OsStr::from_bytes(&link))),
            exe_deleted: exe_deleted == Some(true),
            entry: &entry,
        };
        if visit(&sighting)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The first process of our pid namespace: a host's init, a container's main
/// process.
pub const FIRST: Pid = Pid(1);

/// The effective user of a process, as its directory in /proc shows it; none
/// where there is no such process.
pub fn owner(pid: Pid) -> Option<u32> {
    rustix::fs::stat(format!("/proc/{pid}"))
        .ok()
        .map(|found| found.st_uid)
}

/// One process, whatever its user and namespaces; none if there is none.
pub fn inspect(pid: Pid) -> io::Result<Option<Process>> {
    let proc = procfs::open()?;
    let Some(entry) = Entry::open(&proc, pid)? else {
        return Ok(None);
    };
    let mut link = Vec::new();
    let exe_deleted = entry.exe(&mut link)?;
    let exe = exe_deleted.map(|_| PathBuf::from(OsString::from_vec(link)));
    complete(&entry, exe, exe_deleted == Some(true), &mut Vec::new())
}

fn complete(
    entry: &Entry,
    exe: Option<PathBuf>,
    exe_deleted: bool,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Process>> {
    let read = entry
        .stat(buffer)
        .and_then(|stat| Ok((stat, entry.cmdline(buffer)?)));
    let (stat, cmdline) = match read {
        Ok(read) => read,
        Err(error) if procfs::is_gone_io(&error) => return Ok(None),
        Err(error) => {
            return Err(explain(
                error,
                format_args!("cannot read /proc/{}", entry.pid()),
            ));
        }
    };
    Ok(Some(Process {
        pid: entry.pid(),
        parent: Pid::new(stat.parent),
        uid: entry.uid(),
        state: stat.state,
        threads: stat.threads,
        start_ticks: stat.start_ticks,
        cpu: stat.cpu(),
        rss_bytes: stat.rss_bytes(),
        comm: stat.comm,
        exe,
        exe_deleted,
        cwd: entry.cwd(),
        cmdline,
    }))
}

/// From now on the end of this process's parent is a SIGTERM to it
/// (PR_SET_PDEATHSIG): for work that nobody wants any more then.
pub fn end_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| explain(error, "cannot be tied to the parent process"))
}

/// Our own pid.
pub fn self_pid() -> Pid {
    Pid(rustix::process::getpid().as_raw_pid())
}

/// The parent of a process; none if either is not there (or the parent is
/// outside of our pid namespace).
pub fn parent_of(pid: Pid) -> io::Result<Option<Pid>> {
    Ok(stat_of(pid)?.and_then(|stat| Pid::new(stat.parent)))
}

/// The start time of a process in clock ticks since boot; none if it has
/// ended, zombies included.
pub fn start_ticks(pid: Pid) -> io::Result<Option<u64>> {
    Ok(stat_of(pid)?
        .filter(|stat| !stat.has_ended())
        .map(|stat| stat.start_ticks))
}

/// Whether a process of process group `group` has not ended.
pub(crate) fn group_lives(group: Pid) -> io::Result<bool> {
    let proc = procfs::open()?;
    let mut buffer = Vec::new();
    let mut names = Vec::with_capacity(PROC_BUFFER);
    let mut directory = RawDir::new(&proc, names.spare_capacity_mut());
    while let Some(next) = directory.next() {
        let dirent = next.map_err(|error| explain(error, "cannot read /proc"))?;
        let Some(pid) = Pid::parse(dirent.file_name().to_bytes()) else {
            continue;
        };
        if let Some(entry) = Entry::open(&proc, pid)?
            && let Ok(stat) = entry.stat(&mut buffer)
            && stat.group == group.as_raw()
            && !stat.has_ended()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What /proc/PID/stat says; none if there is no such process.
pub(crate) fn stat_of(pid: Pid) -> io::Result<Option<Stat>> {
    match Stat::read(pid) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if procfs::is_gone_io(&error) => {
            // No process, or no /proc: the second must not pass for the first.
            procfs::open()?;
            Ok(None)
        }
        Err(error) => Err(explain(error, format_args!("cannot read /proc/{pid}/stat"))),
    }
}

#[cfg(test)]
mod tests;
