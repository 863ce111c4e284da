//! What a server holds on this host, for people who look for a leak or for
//! what a crash left behind.

use super::Partition;
use super::belongings::{self, Belonging, Finder, Verdict};
use crate::error::{Error, Result};
use crate::os::file_limits::{self, OpenFiles};
use crate::os::ipc::IpcObject;
use crate::os::process::Pid;
use crate::os::sockets;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A process and what it has open.
#[derive(Debug)]
pub struct Held {
    /// The process.
    pub found: Belonging,
    /// Its open files; none where they are not ours to count.
    pub files: Option<OpenFiles>,
}

/// Everything a server holds.
#[derive(Debug)]
pub struct Resources {
    /// Its processes, by pid.
    pub processes: Vec<Held>,
    /// The user's IPC objects, and whose they are.
    pub ipc: Vec<(IpcObject, Verdict)>,
    /// Files that say that it runs.
    pub locks: Vec<PathBuf>,
    /// Ports on which its processes accept connections.
    pub ports: Vec<u16>,
    /// How many threads the user has, all programs counted.
    pub threads: u64,
    /// How many he may have, by the limit of the server's first process; none
    /// where there is no limit or no process.
    pub threads_limit: Option<u64>,
}

impl Resources {
    /// Resident memory of all processes in bytes; shared pages count for each.
    pub fn memory(&self) -> u64 {
        let each = self.processes.iter();
        each.map(|held| held.found.process.rss_bytes).sum()
    }
}

/// Looks at everything.
pub fn look(partition: &Partition, finder: &Finder) -> Result<Resources> {
    let found = finder.find()?;
    let pids: Vec<Pid> = found.iter().map(|found| found.process.pid).collect();
    let dominos: BTreeSet<Pid> = pids.iter().copied().collect();
    let ports = sockets::listening_ports_of(&pids).map_err(Error::system("list TCP ports"))?;
    let threads = finder.all_of_user()?;
    let threads_limit = match pids.first() {
        Some(pid) => file_limits::limit_of(*pid, b"Max processes").map_err(Error::Processes)?,
        None => None,
    };
    let processes = found
        .into_iter()
        .map(|found| {
            let files = file_limits::of(found.process.pid).map_err(Error::Processes)?;
            Ok(Held { found, files })
        })
        .collect::<Result<Vec<Held>>>()?;
    Ok(Resources {
        processes,
        ipc: belongings::ipc_objects(finder, &dominos)?,
        locks: belongings::lock_files(partition),
        ports,
        threads: threads
            .iter()
            .map(|process| u64::from(process.threads))
            .sum(),
        threads_limit: threads_limit.and_then(|(soft, _)| soft),
    })
}
