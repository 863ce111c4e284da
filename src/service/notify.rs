//! What the service manager that started this process is told: sd_notify(3).

use crate::error::shown_whole;
use crate::os::notify::NotifySocket;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The variable that names the socket.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// How often a service manager is asked for more time.
const BEAT: Duration = Duration::from_secs(5);

/// For how long each time: a busy host may miss several beats.
const EXTENSION: Duration = Duration::from_secs(30);

/// The longest status, in characters; systemctl shows one line.
const STATUS_LENGTH: usize = 200;

/// The way to the service manager; silent where there is none.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<Arc<NotifySocket>>,
}

impl Notifier {
    /// By the environment this program was called with.
    ///
    /// # Errors
    /// Where the variable names no socket that could be used.
    pub fn of(environment: &[(OsString, OsString)]) -> std::io::Result<Notifier> {
        let named = environment
            .iter()
            .find(|(name, value)| name == OsStr::new(VARIABLE) && !value.is_empty());
        let socket = named
            .map(|(_, name)| NotifySocket::open(name).map(Arc::new))
            .transpose()?;
        Ok(Notifier { socket })
    }

    /// Whether anybody is told.
    pub fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that does not listen is no reason to end.
            let _ = socket.send(text);
        }
    }

    /// The service is ready.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// What it is at.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    /// It is about to end.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    fn extend(&self) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
    }
}

fn one_line(text: &str) -> String {
    let line = shown_whole(OsStr::new(text.trim_end()));
    line.chars().take(STATUS_LENGTH).collect()
}

/// Asks the service manager for more time while something goes on, from a
/// thread: what goes on may be one long call.
#[derive(Debug)]
pub struct Heartbeat {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Asks now and then on, each time that `goes_on` says so, until dropped.
    pub fn start(notifier: &Notifier, goes_on: impl FnMut() -> bool + Send + 'static) -> Heartbeat {
        if !notifier.is_heard() {
            return Heartbeat {
                end: None,
                thread: None,
            };
        }
        let (end, ended) = channel();
        let (notifier, mut goes_on) = (notifier.clone(), goes_on);
        let thread = std::thread::spawn(move || {
            loop {
                if goes_on() {
                    notifier.extend();
                }
                match ended.recv_timeout(BEAT) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return,
                }
            }
        });
        Heartbeat {
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn what_is_said_stays_on_one_line_and_time_is_asked_for_while_it_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let here = UnixDatagram::bind(&path).unwrap();
        here.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let receive = || {
            let mut block = [0; 2048];
            let count = here.recv(&mut block).unwrap();
            String::from_utf8_lossy(&block[..count]).into_owned()
        };
        let environment = [(OsString::from(VARIABLE), path.clone().into())];
        let notifier = Notifier::of(&environment).unwrap();
        notifier.ready("up\nMAINPID=1");
        assert_eq!(receive(), "READY=1\nSTATUS=up\\nMAINPID=1");
        notifier.status(&"x".repeat(10_000));
        assert_eq!(receive().len(), "STATUS=".len() + STATUS_LENGTH);
        drop(Heartbeat::start(&notifier, || false));
        drop(Heartbeat::start(&notifier, || true));
        assert_eq!(receive(), "EXTEND_TIMEOUT_USEC=30000000");
        notifier.stopping("bye");
        assert_eq!(receive(), "STOPPING=1\nSTATUS=bye");
    }

    #[test]
    fn nobody_is_told_where_nobody_asked() {
        let silent = Notifier::of(&[(VARIABLE.into(), "".into())]).unwrap();
        assert!(!silent.is_heard());
        silent.ready("up");
        assert!(Notifier::of(&[(VARIABLE.into(), "nonsense".into())]).is_err());
    }
}
