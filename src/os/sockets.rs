//! Listening TCP ports and the processes that own them.

use super::process::Pid;
use super::{explain, procfs};
use std::collections::HashSet;
use std::io;

/// A TCP socket that accepts connections, in our network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The effective user of who opened it.
    pub uid: u32,
    /// The inode of the socket.
    pub inode: u64,
}

/// Connection state LISTEN (TCP_LISTEN in linux/tcp_states.h).
const LISTEN: &str = "0A";

/// All listening TCP sockets, IPv4 and IPv6.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(table) {
            Ok(table) => found.extend(table.lines().skip(1).filter_map(parse)),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                procfs::open()?;
            }
            Err(error) => return Err(explain(error, format_args!("cannot read {table}"))),
        }
    }
    Ok(found)
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`
/// (proc_pid_net(5)).
fn parse(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    Some(Listener {
        port: u16::from_str_radix(port, 16).ok()?,
        uid: fields.nth(3)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
    })
}

/// The ports on which one of these processes listens, in order, each once. The
/// descriptors of a process that is not ours to look into are passed over:
/// [`listeners`] has the user of each port.
pub fn listening_ports_of(pids: &[Pid]) -> io::Result<Vec<u16>> {
    let listeners = listeners()?;
    if listeners.is_empty() || pids.is_empty() {
        return Ok(Vec::new());
    }
    let mut inodes = HashSet::new();
    for pid in pids {
        collect_sockets(*pid, &mut inodes)?;
    }
    let mut ports: Vec<u16> = listeners
        .iter()
        .filter(|listener| inodes.contains(&listener.inode))
        .map(|listener| listener.port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Whether the descriptors of a process are ours to look at.
pub fn can_look_into(pid: Pid) -> io::Result<bool> {
    procfs::descriptors(pid, |_, _| ())
}

fn collect_sockets(pid: Pid, inodes: &mut HashSet<u64>) -> io::Result<()> {
    let mut link = Vec::new();
    procfs::descriptors(pid, |directory, name| {
        if procfs::read_link(directory, name, &mut link).is_ok()
            && let Some(inode) = socket_inode(&link)
        {
            inodes.insert(inode);
        }
    })?;
    Ok(())
}

/// `socket:[INODE]`.
fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process::self_pid;
    use std::net::TcpListener;

    #[test]
    fn a_port_is_found_with_its_process_and_only_with_it() {
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = here.local_addr().unwrap().port();
        let six = TcpListener::bind("[::1]:0").ok();
        let mine = listening_ports_of(&[self_pid()]).unwrap();
        assert!(mine.contains(&port), "{mine:?}");
        if let Some(six) = six {
            assert!(mine.contains(&six.local_addr().unwrap().port()));
        }
        let found = listeners().unwrap();
        let listener = found.iter().find(|listener| listener.port == port).unwrap();
        assert_eq!(listener.uid, rustix::process::geteuid().as_raw());
        let other = crate::os::testing::Sleeper::start();
        let gone = Pid::new(i32::MAX).unwrap();
        let theirs = listening_ports_of(&[other.pid(), gone]).unwrap();
        assert!(!theirs.contains(&port));
        drop(here);
        assert!(!listening_ports_of(&[self_pid()]).unwrap().contains(&port));
    }

    #[test]
    fn lines_are_read_by_their_columns() {
        let line = "   0: 0100007F:0548 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                    1001        0 4711 1 0000 100 0 0 10 0";
        let found = parse(line).unwrap();
        assert_eq!((found.port, found.uid, found.inode), (1352, 1001, 4711));
        assert_eq!(parse(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(socket_inode(b"pipe:[5]"), None);
    }
}
