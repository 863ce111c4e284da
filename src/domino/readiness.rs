//! When a server that was just started is ready for its users.

use super::partition::Partition;
use super::processes::{self, Programs, Role};
use super::server_log::{ServerLog, contains};
use crate::error::Result;

/// Console texts by which a server says that it is up. Where its resource
/// files are missing it prints codes instead: then only the port tells.
const READY_TEXTS: [&[u8]; 2] = [
    b"Server started on physical node",
    b"Database Server started",
];

/// The NRPC port that IANA assigns to Notes.
pub const NRPC_PORT: u16 = 1352;

/// How a server showed that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Its console said so.
    Console,
    /// Its process listens on the NRPC port.
    Port(u16),
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ready::Console => write!(f, "its console says so"),
            Ready::Port(port) => write!(f, "it listens on NRPC port {port}"),
        }
    }
}

/// Looks whether the server is ready; `offset` is the size that the log had
/// when the server was started.
pub fn look(partition: &Partition, programs: &Programs, offset: u64) -> Result<Option<Ready>> {
    let text = ServerLog::of(partition).since(offset);
    if READY_TEXTS.iter().any(|ready| contains(&text, ready)) {
        return Ok(Some(Ready::Console));
    }
    let servers: Vec<_> = processes::find_among(programs, partition.user.uid)?
        .into_iter()
        .filter(|found| found.role == Role::Server)
        .map(|found| found.pid())
        .collect();
    let port = nrpc_port(partition);
    let listening = crate::os::sockets::listening_ports_of(&servers).unwrap_or_default();
    Ok(listening.contains(&port).then_some(Ready::Port(port)))
}

/// The port from `TCPIP_TCPIPADDRESS=0,[address]:port` in notes.ini, else the
/// assigned one.
pub fn nrpc_port(partition: &Partition) -> u16 {
    partition
        .notes_ini()
        .ok()
        .and_then(|ini| {
            let value = ini.get("TCPIP_TCPIPADDRESS")?.to_str()?.to_owned();
            value.rsplit(':').next()?.trim().parse().ok()
        })
        .unwrap_or(NRPC_PORT)
}
