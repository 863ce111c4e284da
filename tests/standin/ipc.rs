//! SysV IPC as a Domino server holds it: shared memory, semaphores and message
//! queues of the server's user, with keys made from the data directory's path.

use super::pages::hash;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const SHARED_MEMORY: [(i32, usize); 3] = [(1, 64 << 10), (2, 256 << 10), (3, 1 << 20)];
const SEMAPHORES: [i32; 4] = [1, 2, 3, 4];
const QUEUES: [i32; 2] = [1, 2];

/// The key of the `index`th object of each kind; 0x5D marks the stand-in's.
pub fn key(data: &Path, index: i32) -> i32 {
    let real = std::fs::canonicalize(data).unwrap_or_else(|_| data.to_path_buf());
    let part = (hash(real.as_os_str().as_bytes()) >> 24) as i32 & 0x1F_FFFF;
    0x5D00_0000 | (part << 3) | index
}

/// Creates what is not there yet and notes the ids in shm.nbf, sem.nbf and
/// mq.nbf. Returns one text for each object that could not be made.
pub fn create(data: &Path) -> Vec<String> {
    let flags = libc::IPC_CREAT | 0o600;
    let mut failed = Vec::new();
    let mut note = |file: &str, ids: Vec<i32>| {
        let mut text = String::new();
        for id in ids {
            if id < 0 {
                failed.push(format!("{file}: {}", std::io::Error::last_os_error()));
            } else {
                text.push_str(&format!("{id}\n"));
            }
        }
        let _ = std::fs::write(data.join(file), text);
    };
    // SAFETY: the get calls take plain numbers and touch no memory of ours.
    unsafe {
        let ids = SHARED_MEMORY.map(|(n, size)| libc::shmget(key(data, n), size, flags));
        note("shm.nbf", ids.to_vec());
        let ids = SEMAPHORES.map(|n| libc::semget(key(data, n), 1, flags));
        for id in ids {
            // A semaphore that is used has its user on record.
            libc::semctl(id, 0, libc::SETVAL, 1);
        }
        note("sem.nbf", ids.to_vec());
        let ids = QUEUES.map(|n| libc::msgget(key(data, n), flags));
        for id in ids {
            use_queue(id);
        }
        note("mq.nbf", ids.to_vec());
    }
    failed
}

/// Sends a message and takes it back: a queue that is used has its user on
/// record.
fn use_queue(id: i32) {
    let mut message = Message { kind: 1, text: [0] };
    let place: *mut Message = &mut message;
    // SAFETY: msgsnd and msgrcv take a long and, behind it, as many bytes as
    // they are told: one, and there is one.
    unsafe {
        libc::msgsnd(id, place.cast(), 1, libc::IPC_NOWAIT);
        libc::msgrcv(id, place.cast(), 1, 1, libc::IPC_NOWAIT);
    }
}

#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; 1],
}

/// Attaches the first segment, as every Domino process does; it stays attached
/// for the life of the process.
pub fn attach(data: &Path) {
    // SAFETY: shmget touches no memory; shmat maps the segment at an address
    // of the kernel's choice and nobody here uses the mapping.
    unsafe {
        let id = libc::shmget(key(data, SHARED_MEMORY[0].0), 0, 0);
        if id >= 0 {
            libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY);
        }
    }
}

/// Removes every object of this data directory and the notes of their ids.
pub fn remove(data: &Path) {
    // SAFETY: IPC_RMID takes no buffer; the null and absent ones are not read.
    unsafe {
        for id in shared_memory(data) {
            libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
        }
        for id in semaphores(data) {
            libc::semctl(id, 0, libc::IPC_RMID);
        }
        for id in queues(data) {
            libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut());
        }
    }
    for file in ["shm.nbf", "sem.nbf", "mq.nbf"] {
        let _ = std::fs::remove_file(data.join(file));
    }
}

/// How many objects of this data directory there are.
pub fn left(data: &Path) -> usize {
    shared_memory(data).len() + semaphores(data).len() + queues(data).len()
}

/// How many objects a running server has.
pub const COUNT: usize = SHARED_MEMORY.len() + SEMAPHORES.len() + QUEUES.len();

fn shared_memory(data: &Path) -> Vec<i32> {
    // SAFETY: without IPC_CREAT this only looks the key up.
    let ids = SHARED_MEMORY.map(|(n, _)| unsafe { libc::shmget(key(data, n), 0, 0) });
    existing(&ids)
}

fn semaphores(data: &Path) -> Vec<i32> {
    // SAFETY: without IPC_CREAT this only looks the key up.
    existing(&SEMAPHORES.map(|n| unsafe { libc::semget(key(data, n), 0, 0) }))
}

fn queues(data: &Path) -> Vec<i32> {
    // SAFETY: without IPC_CREAT this only looks the key up.
    existing(&QUEUES.map(|n| unsafe { libc::msgget(key(data, n), 0) }))
}

fn existing(ids: &[i32]) -> Vec<i32> {
    ids.iter().copied().filter(|id| *id >= 0).collect()
}
