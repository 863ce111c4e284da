//! How commands reach a running program: a socket in DATA, and the server's
//! standard input. Socket names are relative, because a path to a socket is
//! short and DATA's may be long: the working directory is DATA.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, SeekFrom, Timespec};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// The server's socket.
pub const SERVER: &str = ".standin.sock";
/// The Java controller's.
pub const CONTROLLER: &str = ".standin-jc.sock";

/// The end that takes commands.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    name: &'static str,
}

impl Control {
    /// Opens the socket, replacing one that a crash left behind.
    pub fn open(name: &'static str) -> io::Result<Control> {
        let _ = std::fs::remove_file(name);
        let listener = UnixListener::bind(name)?;
        listener.set_nonblocking(true)?;
        Ok(Control { listener, name })
    }

    /// Waits for commands this long and returns those that came: `q` alone or
    /// `c` and a console command.
    pub fn wait(&self, limit: Duration) -> Vec<Vec<u8>> {
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        let _ = poll(
            &mut [PollFd::new(&self.listener, PollFlags::IN)],
            Some(&limit),
        );
        let mut requests = Vec::new();
        while let Ok((mut client, _)) = self.listener.accept() {
            let _ = client.set_nonblocking(false);
            let _ = client.set_read_timeout(Some(Duration::from_secs(30)));
            let mut request = Vec::new();
            if client.read_to_end(&mut request).is_ok() && !request.is_empty() {
                let _ = client.write_all(b"ok");
                requests.push(request);
            }
        }
        requests
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.name);
    }
}

/// Sends a request and waits until it was taken.
pub fn send(name: &str, request: &[u8]) -> io::Result<()> {
    let mut server = UnixStream::connect(name)?;
    server.set_read_timeout(Some(Duration::from_secs(30)))?;
    server.write_all(request)?;
    server.shutdown(Shutdown::Write)?;
    let mut answer = [0; 2];
    server.read_exact(&mut answer)
}

/// The server's standard input: a file that grows, a pipe or a terminal.
#[derive(Debug)]
pub struct Input {
    open: bool,
    regular: bool,
    pending: Vec<u8>,
}

impl Input {
    /// Looks at what standard input is.
    pub fn new() -> Input {
        let kind =
            rustix::fs::fstat(std::io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        Input {
            open: kind.is_ok(),
            regular: kind == Ok(FileType::RegularFile),
            pending: Vec::new(),
        }
    }

    /// The whole lines that came since the last look. Never waits.
    pub fn lines(&mut self) -> Vec<Vec<u8>> {
        while self.open && self.ready() {
            let mut buffer = [0; 4096];
            match rustix::io::read(std::io::stdin(), &mut buffer) {
                Ok(0) => {
                    self.open = self.regular;
                    break;
                }
                Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
                Err(_) => self.open = false,
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            lines.push(line.trim_ascii().to_vec());
        }
        lines
    }

    fn ready(&self) -> bool {
        let stdin = std::io::stdin();
        if !self.regular {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let mut one = [PollFd::new(&stdin, PollFlags::IN)];
            return matches!(poll(&mut one, Some(&now)), Ok(1));
        }
        // A file that was emptied is read from its beginning again.
        let size = rustix::fs::fstat(&stdin).map_or(0, |stat| stat.st_size);
        if let Ok(at) = rustix::fs::tell(&stdin)
            && i64::try_from(at).is_ok_and(|at| at > size)
        {
            let _ = rustix::fs::seek(&stdin, SeekFrom::Start(0));
        }
        true
    }
}
