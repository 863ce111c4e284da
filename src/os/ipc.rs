//! System V IPC: shared memory, semaphores and message queues.

use super::explain;
use super::process::Pid;
use std::fmt;
use std::io;

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Shared memory.
    Shm,
    /// A set of semaphores.
    Sem,
    /// A message queue.
    Msg,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Shm, Kind::Sem, Kind::Msg];

    fn table(self) -> &'static str {
        match self {
            Kind::Shm => "/proc/sysvipc/shm",
            Kind::Sem => "/proc/sysvipc/sem",
            Kind::Msg => "/proc/sysvipc/msg",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Shm => "shared memory segment",
            Kind::Sem => "semaphore set",
            Kind::Msg => "message queue",
        })
    }
}

/// One object of our IPC namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpcObject {
    /// What it is.
    pub kind: Kind,
    /// Its id, by which it is removed.
    pub id: i32,
    /// The key it was made with; 0 for a private one.
    pub key: i32,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its owner's group.
    pub gid: u32,
    /// Who made it.
    pub cuid: u32,
    /// The group of who made it.
    pub cgid: u32,
    /// Size of a segment, or of what waits in a queue, in bytes; 0 for
    /// semaphores.
    pub bytes: u64,
    /// How many processes have a segment attached, semaphores a set has, or
    /// messages wait in a queue.
    pub count: u64,
    /// Who made a segment, or last sent to a queue.
    pub cpid: Option<Pid>,
    /// Who last attached or detached a segment, or last received from a queue.
    pub lpid: Option<Pid>,
    /// When it was made, or last set anew, in seconds since 1970.
    pub changed: Option<u64>,
    /// A segment that is removed already and goes with the last process that
    /// has it attached.
    pub doomed: bool,
}

/// Mode bit of a segment that goes with its last user (SHM_DEST in
/// linux/shm.h).
const SHM_DEST: u32 = 0o1000;

/// All objects of our IPC namespace. A kernel without System V IPC has none.
pub fn list() -> io::Result<Vec<IpcObject>> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let table = match std::fs::read_to_string(kind.table()) {
            Ok(table) => table,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without /proc nothing could be told.
                super::procfs::open()?;
                continue;
            }
            Err(error) => return Err(explain(error, format_args!("cannot read {}", kind.table()))),
        };
        found.extend(parse(kind, &table).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} has an unknown form", kind.table()),
            )
        })?);
    }
    Ok(found)
}

/// Reads a table by the names in its first line: the columns of the three
/// differ.
fn parse(kind: Kind, table: &str) -> Option<Vec<IpcObject>> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let (id, bytes, count, cpid, lpid) = match kind {
        Kind::Shm => ("shmid", "size", "nattch", "cpid", "lpid"),
        Kind::Sem => ("semid", "", "nsems", "", ""),
        Kind::Msg => ("msqid", "cbytes", "qnum", "lspid", "lrpid"),
    };
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let values: Vec<&str> = line.split_whitespace().collect();
            let text = |name: &str| {
                let place = names.iter().position(|found| *found == name)?;
                values.get(place).copied()
            };
            let number = |name: &str| text(name)?.parse::<u32>().ok();
            let large = |name: &str| match name {
                "" => Some(0),
                name => text(name)?.parse::<u64>().ok(),
            };
            let pid = |name: &str| text(name).and_then(|pid| Pid::parse(pid.as_bytes()));
            let mode = u32::from_str_radix(text("perms")?, 8).ok()?;
            Some(IpcObject {
                kind,
                id: text(id)?.parse().ok()?,
                key: text("key")?.parse().ok()?,
                mode: mode & 0o777,
                uid: number("uid")?,
                gid: number("gid")?,
                cuid: number("cuid")?,
                cgid: number("cgid")?,
                bytes: large(bytes)?,
                count: large(count)?,
                cpid: pid(cpid),
                lpid: pid(lpid),
                changed: text("ctime").and_then(|seconds| seconds.parse().ok()),
                doomed: kind == Kind::Shm && mode & SHM_DEST != 0,
            })
        })
        .collect()
}

/// The processes on record as an object's users: who made it and who used it
/// last; for semaphores, who last changed each of the first few thousand. The
/// record outlives the processes; nobody is on record where nobody used it.
pub fn users(object: &IpcObject) -> io::Result<Vec<Pid>> {
    let mut found: Vec<Pid> = [object.cpid, object.lpid].into_iter().flatten().collect();
    if object.kind == Kind::Sem {
        let count = i32::try_from(object.count).unwrap_or(0).min(SEM_LOOKED_AT);
        for number in 0..count {
            // SAFETY: GETPID takes no fourth argument and writes nothing.
            let pid = unsafe { libc::semctl(object.id, number, libc::GETPID) };
            if pid < 0 {
                let error = io::Error::last_os_error();
                return match error.raw_os_error() {
                    Some(libc::EINVAL | libc::EIDRM) => Ok(Vec::new()),
                    _ => Err(explain(
                        error,
                        format_args!("cannot ask who uses {} {}", object.kind, object.id),
                    )),
                };
            }
            found.extend(Pid::new(pid));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The ids of the segments that a process has attached; none if it has ended
/// or is not ours to look into. The kernel shows such a mapping as a file
/// `/SYSV<key>` whose inode is the id (ipc/shm.c).
pub fn attached(pid: Pid) -> io::Result<Vec<i32>> {
    use rustix::io::Errno;
    let table = match std::fs::read(format!("/proc/{pid}/maps")) {
        Ok(table) => table,
        Err(error)
            if Errno::from_io_error(&error).is_some_and(|error| {
                super::procfs::is_gone(error) || super::procfs::is_denied(error)
            }) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(explain(error, format_args!("cannot read /proc/{pid}/maps"))),
    };
    Ok(table
        .split(|byte| *byte == b'\n')
        .filter_map(attached_by_line)
        .collect())
}

/// `start-end perms offset device inode  /SYSV5d9b7f01 (deleted)`
fn attached_by_line(line: &[u8]) -> Option<i32> {
    let mut fields = line
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    let inode = fields.nth(4)?;
    fields.next()?.strip_prefix(b"/SYSV")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

/// How many semaphores of a set are asked: each costs a call.
const SEM_LOOKED_AT: i32 = 4096;

/// Removes an object; `false` if it was gone already. A segment that is still
/// attached goes with the last process that has it.
pub fn remove(object: &IpcObject) -> io::Result<bool> {
    let IpcObject { kind, id, .. } = object;
    // SAFETY: IPC_RMID takes no buffer; a null pointer is what shmctl and
    // msgctl document for it, and semctl needs no fourth argument.
    let answer = unsafe {
        match kind {
            Kind::Shm => libc::shmctl(*id, libc::IPC_RMID, std::ptr::null_mut()),
            Kind::Sem => libc::semctl(*id, 0, libc::IPC_RMID),
            Kind::Msg => libc::msgctl(*id, libc::IPC_RMID, std::ptr::null_mut()),
        }
    };
    if answer == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::EIDRM) => Ok(false),
        _ => Err(explain(error, format_args!("cannot remove {kind} {id}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes one object of each kind.
    fn make(kind: Kind) -> i32 {
        // SAFETY: the calls take numbers only.
        let id = unsafe {
            match kind {
                Kind::Shm => libc::shmget(libc::IPC_PRIVATE, 12_345, 0o640),
                Kind::Sem => libc::semget(libc::IPC_PRIVATE, 3, 0o600),
                Kind::Msg => libc::msgget(libc::IPC_PRIVATE, 0o600),
            }
        };
        assert!(id >= 0, "{}", io::Error::last_os_error());
        id
    }

    fn find(kind: Kind, id: i32) -> Option<IpcObject> {
        list()
            .unwrap()
            .into_iter()
            .find(|object| (object.kind, object.id) == (kind, id))
    }

    #[test]
    fn what_is_made_is_listed_and_what_is_removed_is_gone() {
        for kind in Kind::ALL {
            let id = make(kind);
            let object = find(kind, id).unwrap();
            assert_eq!(object.uid, rustix::process::geteuid().as_raw());
            assert_eq!((object.uid, object.gid), (object.cuid, object.cgid));
            assert_eq!(object.key, 0);
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            assert!(
                object
                    .changed
                    .is_some_and(|changed| changed.abs_diff(now) < 60)
            );
            match kind {
                Kind::Shm => {
                    assert_eq!(
                        (object.bytes, object.count, object.mode),
                        (12_345, 0, 0o640)
                    );
                    assert_eq!(object.cpid, Some(crate::os::process::self_pid()));
                }
                Kind::Sem => assert_eq!(object.count, 3),
                Kind::Msg => assert_eq!(object.bytes, 0),
            }
            assert!(remove(&object).unwrap());
            assert_eq!(find(kind, id), None);
            assert!(!remove(&object).unwrap());
        }
    }

    #[test]
    fn an_attached_segment_is_doomed_until_it_is_let_go() {
        let id = make(Kind::Shm);
        // SAFETY: the kernel chooses the address; nothing uses the memory.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert!(remove(&find(Kind::Shm, id).unwrap()).unwrap());
        let object = find(Kind::Shm, id).unwrap();
        assert!(object.doomed && object.count >= 1);
        let own = crate::os::process::self_pid();
        assert!(attached(own).unwrap().contains(&id));
        // SAFETY: it was attached there just now.
        unsafe { libc::shmdt(address) };
        // A child that another test forks has it too, until its exec.
        crate::os::testing::until(|| find(Kind::Shm, id).is_none());
    }

    #[test]
    fn who_used_an_object_is_on_record() {
        let own = vec![crate::os::process::self_pid()];
        let shm = make(Kind::Shm);
        let object = find(Kind::Shm, shm).unwrap();
        assert_eq!(users(&object).unwrap(), own);
        remove(&object).unwrap();
        let sem = make(Kind::Sem);
        let object = find(Kind::Sem, sem).unwrap();
        assert_eq!(users(&object).unwrap(), []);
        // SAFETY: SETVAL takes a number as its fourth argument.
        assert_eq!(unsafe { libc::semctl(sem, 1, libc::SETVAL, 1) }, 0);
        assert_eq!(users(&object).unwrap(), own);
        remove(&object).unwrap();
        assert_eq!(users(&object).unwrap(), []);
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let table = " uid key semid perms nsems gid cuid cgid\n 7 -5 3 600 2 8 9 10\n\n";
        let found = parse(Kind::Sem, table).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].uid, found[0].key, found[0].cgid), (7, -5, 10));
        assert_eq!(parse(Kind::Sem, "a b\n1 2\n"), None);
    }
}
