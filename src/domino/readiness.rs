//! When a server that was just started is ready for its users.

use super::nrpc;
use super::partition::Partition;
use super::processes::{self, Programs, Role};
use super::server_log::{ServerLog, contains};
use crate::error::Result;
use crate::os::process::{self, Pid};
use std::path::PathBuf;

/// Console texts by which a server says that it is up. Where its resource
/// files are missing it prints codes instead: then only the port tells.
const READY_TEXTS: [&[u8]; 2] = [
    b"Server started on physical node",
    b"Database Server started",
];

/// Longer than any of them, in bytes.
const OVERLAP: u64 = 64;

/// How a server showed that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Its console said so.
    Console,
    /// Its process listens on the NRPC port.
    Port(u16),
    /// It is not set up, and listens for whoever does that: up, but of no use
    /// to anybody else.
    AwaitsSetup(u16),
}

impl Ready {
    /// Whether users get what they want of it.
    pub fn serves(self) -> bool {
        !matches!(self, Ready::AwaitsSetup(_))
    }
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ready::Console => write!(f, "its console says so"),
            Ready::Port(port) => write!(f, "it listens on NRPC port {port}"),
            Ready::AwaitsSetup(port) => write!(f, "it waits for its setup on port {port}"),
        }
    }
}

/// A wait for a server to become ready.
pub struct Readiness<'a> {
    partition: &'a Partition,
    programs: Programs,
    /// Up to here the console log was looked at.
    position: u64,
}

impl Readiness<'_> {
    /// A wait for a server that was started when its log had `offset` bytes.
    pub fn new(partition: &Partition, offset: u64) -> Readiness<'_> {
        Readiness {
            partition,
            programs: Programs::of(partition),
            position: offset,
        }
    }

    /// Looks whether the server is ready.
    pub fn look(&mut self) -> Result<Option<Ready>> {
        let log = ServerLog::of(self.partition);
        let text = log.since(self.position);
        if READY_TEXTS.iter().any(|ready| contains(&text, ready)) {
            return Ok(Some(Ready::Console));
        }
        // A text that is only half written now is looked at again.
        self.position = log.size().saturating_sub(OVERLAP);
        let servers: Vec<_> = processes::find_among(&self.programs, self.partition.user.uid)?
            .into_iter()
            .filter(|found| found.role == Role::Server)
            .map(|found| found.pid())
            .collect();
        let listening = crate::os::sockets::listening_ports_of(&servers).unwrap_or_default();
        // One whose notes.ini cannot be read now is not taken for new.
        let is_new = self.partition.notes_ini().is_ok_and(|ini| !ini.is_set_up());
        let setup_port = self.partition.settings.remote_setup_port.value;
        let ports = nrpc::ports(self.partition)
            .into_iter()
            .map(|open| open.port);
        let open = is_new
            .then_some(setup_port)
            .into_iter()
            .chain(ports)
            .find(|port| listening.contains(port));
        Ok(open.map(if is_new {
            Ready::AwaitsSetup
        } else {
            Ready::Port
        }))
    }
}

/// Says, in the data directory, which server process was found ready (its log
/// may be archived long before somebody asks; never believed of another one),
/// or from where on in the log the next one speaks.
const MARKER: &str = ".rc_domino.ready";

fn marker(partition: &Partition) -> PathBuf {
    partition.data().join(MARKER)
}

/// Pid and start time: together they name one process.
fn mark_of(server: Pid) -> Option<String> {
    let began = process::start_ticks(server).ok()??;
    Some(format!("{server} {began}\n"))
}

/// Remembers that this server process is ready. Where that cannot be written,
/// whoever asks looks for himself.
pub fn remember(partition: &Partition, server: Pid) {
    if let Some(mark) = mark_of(server) {
        let _ = crate::os::files::write_atomically(&marker(partition), mark.as_bytes(), 0o644);
    }
}

/// Another server process is about to start, or may: what the log says of
/// readiness before `offset` is not the next one's.
pub fn expect_from(partition: &Partition, offset: u64) {
    let mark = format!("from {offset}\n");
    let _ = crate::os::files::write_atomically(&marker(partition), mark.as_bytes(), 0o644);
}

/// From where on in the log the server speaks that was not found ready yet.
pub fn expected_from(partition: &Partition) -> u64 {
    let noted = crate::os::files::read_bounded(&marker(partition), 64).unwrap_or_default();
    let text = String::from_utf8_lossy(&noted);
    let offset = text.strip_prefix("from ").map(str::trim);
    offset
        .and_then(|offset| offset.parse().ok())
        .unwrap_or_default()
}

/// Whether this very process was found ready before.
pub fn remembered(partition: &Partition, server: Pid) -> bool {
    let noted = crate::os::files::read_bounded(&marker(partition), 64);
    noted.is_ok_and(|noted| mark_of(server).is_some_and(|mark| mark.as_bytes() == noted))
}
