//! The callers the keeper talks to.

use super::events::CallerId;
use crate::snapshot::protocol::{Reply, send};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;

/// The most of a verb's output that one caller is handed, in bytes: a caller's
/// own caller may read nothing before the end, and a pipe holds 64 KiB.
const OUTPUT_MAX: usize = 16 * 1024;

#[derive(Debug)]
struct Line {
    stream: UnixStream,
    handed: usize,
}

/// Everybody who is connected.
#[derive(Debug, Default)]
pub struct Callers(BTreeMap<CallerId, Line>);

impl Callers {
    /// A new one.
    pub fn came(&mut self, id: CallerId, stream: UnixStream) {
        self.0.insert(id, Line { stream, handed: 0 });
    }

    /// One less.
    pub fn left(&mut self, id: CallerId) {
        self.0.remove(&id);
    }

    /// Answers one of them. False where that is known not to arrive.
    pub fn answer(&mut self, id: CallerId, reply: &Reply) -> bool {
        self.0
            .get_mut(&id)
            .is_some_and(|line| send(&mut line.stream, reply).is_ok())
    }

    /// Tells one of them a step.
    pub fn say(&mut self, id: CallerId, text: &str) {
        self.answer(id, &Reply::Said(text.to_owned()));
    }

    /// Tells one of them what to look at.
    pub fn warn(&mut self, id: CallerId, text: &str) {
        self.answer(id, &Reply::Warned(text.to_owned()));
    }

    /// The last word to one of them.
    pub fn done(&mut self, id: CallerId, code: u8) {
        self.answer(id, &Reply::Done { code, held: false });
    }

    /// Hands a line of a verb's output on, up to a bound.
    pub fn hand_on(&mut self, line: &[u8], to: impl Iterator<Item = CallerId>) {
        let text = String::from_utf8_lossy(line);
        let reply = match text.strip_prefix("rc_domino: ") {
            Some(grave) => {
                Reply::Warned(grave.strip_prefix("warning: ").unwrap_or(grave).to_owned())
            }
            None => Reply::Said(text.into_owned()),
        };
        for id in to {
            let Some(caller) = self.0.get_mut(&id) else {
                continue;
            };
            let before = caller.handed;
            caller.handed += line.len() + 1;
            if caller.handed <= OUTPUT_MAX {
                let _ = send(&mut caller.stream, &reply);
            } else if before <= OUTPUT_MAX {
                let more = "there is more output; the rest is not shown here";
                let _ = send(&mut caller.stream, &Reply::Said(more.into()));
            }
        }
    }
}
