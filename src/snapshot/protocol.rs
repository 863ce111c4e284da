//! What callers and the keeper say to each other: one JSON object a line, over
//! a local socket.

use super::place::Place;
use crate::os::signals::{Signal, Signals};
use crate::os::wait::wait_any;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest line either side accepts, in bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// How long a line may take to be handed to the other side's kernel.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// What a caller asks of the keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Freeze.
    Freeze {
        /// The product.
        caller: String,
        /// How; none: as the configuration says.
        mode: Option<Wish>,
        /// Its budget in seconds, for the record; the caller keeps it.
        budget: Option<u64>,
    },
    /// The answer to a freeze has arrived; what comes now counts on it.
    Received,
    /// Kill the server that does not end: the caller's budget is spent.
    Force,
    /// Bring back what was frozen.
    Thaw {
        /// The product; none: whichever froze.
        caller: Option<String>,
    },
    /// The same, for a snapshot that was not taken.
    Abort {
        /// The product; none: whichever froze.
        caller: Option<String>,
    },
    /// The server is being started: the freeze does not hold.
    Started,
    /// The administrator wants the server to stay down.
    Stay {
        /// Whether it ran when he stopped it: the freeze did not hold.
        ran: bool,
    },
}

/// How a freeze is to be made; DOMINO_SNAPSHOT_MODE and `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// The server is stopped.
    Stop,
    /// Backup mode.
    Online,
    /// Backup mode where the server knows it and answers, else stop.
    Auto,
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// A step that was taken.
    Said(String),
    /// Something to look at.
    Warned(String),
    /// The exit code; `held`: something is frozen now, if the caller says
    /// that this has arrived.
    Done {
        /// The caller's exit code.
        code: u8,
        /// Whether the keeper waits for [`Request::Received`].
        held: bool,
    },
    /// The keeper has seen [`Request::Received`].
    Sealed,
}

/// Writes one line.
pub fn send(stream: &mut UnixStream, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.set_write_timeout(Some(WRITE_LIMIT))?;
    stream.write_all(&line)
}

/// What a caller's wait for an answer ends with.
#[derive(Debug)]
pub enum Heard {
    /// This.
    Reply(Reply),
    /// The keeper is gone.
    Gone,
    /// A signal asked the caller to end.
    Signal(Signal),
    /// The caller's time is over.
    TimedOut,
}

/// A caller's side of a conversation.
pub struct Session {
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Session {
    /// Begins one; none where no keeper listens.
    pub fn open(place: &Place) -> io::Result<Option<Session>> {
        match UnixStream::connect(place.socket()) {
            Ok(stream) => Ok(Some(Session {
                stream,
                unread: Vec::new(),
            })),
            Err(cause)
                if matches!(
                    cause.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Asks.
    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        send(&mut self.stream, request)
    }

    /// Waits for the next answer.
    pub fn hear(&mut self, signals: &Signals, deadline: Option<Instant>) -> io::Result<Heard> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Heard::Reply)
                    .map_err(io::Error::other);
            }
            if self.unread.len() > LINE_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let wake = wait_any(&[], Some(signals), &[self.stream.as_fd()], deadline)?;
            // First: it is handed out once, what is readable stays so.
            if let Some(signal) = wake.signal {
                return Ok(Heard::Signal(signal));
            }
            if !wake.readable.is_empty() {
                let mut block = [0; 4096];
                match self.stream.read(&mut block) {
                    Ok(0) => return Ok(Heard::Gone),
                    Ok(count) => self.unread.extend_from_slice(&block[..count]),
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                    Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => {
                        return Ok(Heard::Gone);
                    }
                    Err(cause) => return Err(cause),
                }
            } else if wake.timed_out {
                return Ok(Heard::TimedOut);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_with_an_answer_is_not_lost() {
        crate::os::testing::default_signals();
        let signals = Signals::block().unwrap();
        let (stream, mut keeper) = UnixStream::pair().unwrap();
        let unread = Vec::new();
        let mut session = Session { stream, unread };
        send(&mut keeper, &Reply::Sealed).unwrap();
        signals.give_back(Signal::SIGTERM);
        let mut hear = || session.hear(&signals, None).unwrap();
        assert!(matches!(hear(), Heard::Signal(Signal::SIGTERM)));
        assert!(matches!(hear(), Heard::Reply(Reply::Sealed)));
        drop(keeper);
        assert!(matches!(hear(), Heard::Gone));
    }
}
