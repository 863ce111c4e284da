//! The host's log, for processes that nobody watches: syslog(3)'s datagrams,
//! which journald takes too.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// How grave a line is (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something must be looked at.
    Error,
    /// Something should be looked at.
    Warning,
    /// Worth keeping, nothing is wrong.
    Notice,
}

/// The facility of services without one of their own.
const DAEMON: u8 = 3;

impl Severity {
    fn number(self) -> u8 {
        match self {
            Severity::Error => 3,
            Severity::Warning => 4,
            Severity::Notice => 5,
        }
    }
}

/// Writes one line to the log that listens at `socket` (/dev/log). A host
/// without a log, or one whose log does not keep up, loses the line: nothing
/// may wait for it.
pub fn write(socket: &Path, severity: Severity, name: &str, text: &str) {
    let priority = DAEMON * 8 + severity.number();
    let line = format!("<{priority}>{name}[{}]: {text}", std::process::id());
    if let Ok(log) = UnixDatagram::unbound() {
        let _ = log.set_nonblocking(true);
        let _ = log.send_to(line.as_bytes(), socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_priority_name_and_pid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write(&path, Severity::Error, "x", "nobody listens");
        let log = UnixDatagram::bind(&path).unwrap();
        write(&path, Severity::Warning, "rc_domino", "left down");
        let mut line = [0; 200];
        let count = log.recv(&mut line).unwrap();
        let expected = format!("<28>rc_domino[{}]: left down", std::process::id());
        assert_eq!(String::from_utf8_lossy(&line[..count]), expected);
    }
}
