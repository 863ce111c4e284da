//! Messages to the service manager that started this process: datagrams to the
//! socket that NOTIFY_SOCKET names (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that takes no message for so long is not waited for.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// The way to the service manager.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl NotifySocket {
    /// The socket of this name: a path, or `@` and a name in Linux's abstract
    /// namespace. None is sent anything before the first [`NotifySocket::send`].
    ///
    /// # Errors
    /// Where the name is neither (a virtual machine's `vsock:` address), or
    /// longer than a socket's name can be.
    pub fn open(name: &OsStr) -> io::Result<NotifySocket> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] if !rest.is_empty() => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("'{}' is neither a path nor '@NAME'", name.display()),
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_LIMIT))?;
        Ok(NotifySocket { socket, address })
    }

    /// Sends assignments, one a line.
    pub fn send(&self, text: &str) -> io::Result<()> {
        self.socket
            .send_to_addr(text.as_bytes(), &self.address)
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut block = [0; 256];
        let count = socket.recv(&mut block).unwrap();
        String::from_utf8_lossy(&block[..count]).into_owned()
    }

    #[test]
    fn messages_reach_a_path_and_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let here = UnixDatagram::bind(&path).unwrap();
        NotifySocket::open(path.as_os_str())
            .unwrap()
            .send("READY=1\nSTATUS=up")
            .unwrap();
        assert_eq!(receive(&here), "READY=1\nSTATUS=up");
        let name = format!("rc_domino-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let here = UnixDatagram::bind_addr(&address).unwrap();
        NotifySocket::open(OsStr::new(&format!("@{name}")))
            .unwrap()
            .send("STOPPING=1")
            .unwrap();
        assert_eq!(receive(&here), "STOPPING=1");
    }

    #[test]
    fn names_that_are_no_sockets_are_refused_and_a_missing_one_is_told() {
        let long = format!("/{}", "x".repeat(200));
        for name in ["", "@", "vsock:2:1234", "relative", &long] {
            assert!(NotifySocket::open(OsStr::new(name)).is_err(), "{name}");
        }
        let gone = NotifySocket::open(OsStr::new("/no/such/socket")).unwrap();
        assert_eq!(
            gone.send("READY=1").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
