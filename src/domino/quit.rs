//! The request to shut down: sent, and sent again while it is not taken.

use super::client;
use super::processes::Role;
use super::tools::{ToolEnd, Work};
use super::waiting::Watch;
use crate::error::Result;
use crate::os::spawn::Child;
use std::time::{Duration, Instant};

/// A server that is still coming up refuses the request: it is looked after
/// this often until it is taken.
const EVERY: Duration = Duration::from_secs(1);

/// A `server -q` under way.
pub struct Quit {
    sender: Option<Child>,
    next: Option<Instant>,
    refused: bool,
}

impl Quit {
    /// Nothing to send yet: there is no server, but fault recovery may bring
    /// one up.
    pub fn should_one_come() -> Quit {
        Quit {
            sender: None,
            next: Some(Instant::now() + EVERY),
            refused: false,
        }
    }

    /// Sends the request and does not wait for it.
    pub fn send(work: &mut Work) -> Quit {
        let mut quit = Quit::should_one_come();
        quit.start(work);
        quit
    }

    fn start(&mut self, work: &mut Work) {
        match client::start_client(work, &["-q"]) {
            Ok(sender) => self.sender = Some(sender),
            Err(error) if !self.refused => {
                self.refused = true;
                work.reporter
                    .warn(&format!("{error}; the server could not be told to quit"));
            }
            Err(_) => {}
        }
        self.next = Some(Instant::now() + EVERY);
    }

    /// When to look again, if at all.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Looks whether the request was taken; sends it again where it was not
    /// and a server runs.
    pub fn look(&mut self, work: &mut Work, watch: &mut Watch) -> Result<()> {
        if self.next.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.next = Some(Instant::now() + EVERY);
        let ended = self.sender.as_mut().map(Child::try_wait);
        match ended {
            Some(Ok(None)) => {}
            Some(Ok(Some(status))) if status.success() => {
                self.sender = None;
                self.next = None;
            }
            Some(Ok(Some(status))) => {
                self.sender = None;
                if !self.refused {
                    self.refused = true;
                    work.reporter.warn(&format!(
                        "the request to quit was not taken (it {}); sending it until it is",
                        ToolEnd::Ended(status).describe()
                    ));
                }
                self.again(work, watch)?;
            }
            Some(Err(_)) | None => self.again(work, watch)?,
        }
        Ok(())
    }

    fn again(&mut self, work: &mut Work, watch: &mut Watch) -> Result<()> {
        // It may have come up since the last look.
        watch.look()?;
        if watch.of_role(Role::Server).next().is_some() {
            self.start(work);
        }
        Ok(())
    }
}
