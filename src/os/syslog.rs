//! The system's log, by the socket that syslog(3) writes to.

use super::explain;
use std::io;
use std::os::unix::net::UnixDatagram;

/// Where whoever keeps the log listens.
const SOCKET: &str = "/dev/log";

/// Facility "daemon" (3 << 3) and severity "warning" (4), of RFC 5424, 6.2.1.
const DAEMON_WARNING: u8 = 3 << 3 | 4;

/// Writes a warning in the name of `who`. Nobody is waited for: a log that
/// takes nothing is an error.
pub fn warning(who: &str, text: &str) -> io::Result<()> {
    let failed = |error| explain(error, format_args!("cannot write to {SOCKET}"));
    let pid = std::process::id();
    let message = format!("<{DAEMON_WARNING}>{who}[{pid}]: {text}");
    let socket = UnixDatagram::unbound().map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    socket
        .send_to(message.as_bytes(), SOCKET)
        .map(drop)
        .map_err(failed)
}
