//! Who is at the other end of a local socket.

use super::explain;
use std::io;
use std::os::fd::AsFd;

/// The user who connected, as the kernel saw him then (SO_PEERCRED).
pub fn uid(socket: impl AsFd) -> io::Result<u32> {
    rustix::net::sockopt::socket_peercred(socket)
        .map(|found| found.uid.as_raw())
        .map_err(|error| explain(error, "cannot tell who connected"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_is_its_own_peer() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(super::uid(&one).unwrap(), crate::os::users::effective_uid());
    }
}
