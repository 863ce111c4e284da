//! The console: lines in Domino's form, on standard output and, when notes.ini
//! has Console_Log_Enabled=1, in IBM_TECHNICAL_SUPPORT/console.log.

use super::place::{Place, local_time};
use std::fs::File;
use std::io::Write;

/// A writer of console lines.
#[derive(Debug)]
pub struct Console {
    log: Option<File>,
}

impl Console {
    /// Opens the console of a program in this place.
    pub fn open(place: &Place) -> Console {
        let wanted = place.ini("Console_Log_Enabled").as_deref() == Some("1");
        let log = wanted.then(|| {
            File::options()
                .append(true)
                .create(true)
                .open(place.support().join("console.log"))
        });
        Console {
            log: log.and_then(Result::ok),
        }
    }

    /// One line with the process, the thread and the time before it.
    pub fn line(&self, text: &str) {
        self.put(text.as_bytes());
    }

    /// The echo of a command. Its bytes stay as they are, control characters
    /// become blanks: one command is one line.
    pub fn echo(&self, command: &[u8]) {
        let mut text = b"> ".to_vec();
        text.extend(command.iter().map(|byte| match byte {
            0..=31 | 127 => b' ',
            other => *other,
        }));
        self.put(&text);
    }

    /// A line without process and time, as the banner has them.
    pub fn bare(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    fn put(&self, text: &[u8]) {
        let mut line = prefix().into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        self.write(&line);
    }

    /// One write a line, so that lines of several programs do not mix. A full
    /// disk or a closed pipe must not end a server.
    fn write(&self, line: &[u8]) {
        let _ = rustix::io::write(std::io::stdout(), line);
        if let Some(mut log) = self.log.as_ref() {
            let _ = log.write_all(line);
        }
    }
}

/// `[012345:000002-00007F1234567890] 11/22/2026 04:47:30 PM  `
fn prefix() -> String {
    // SAFETY: pthread_self has no preconditions.
    let thread = unsafe { libc::pthread_self() };
    let [year, month, day, hour, minute, second] = local_time();
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = match hour % 12 {
        0 => 12,
        other => other,
    };
    format!(
        "[{:06}:000002-{thread:016X}] {month:02}/{day:02}/{year} {hour:02}:{minute:02}:{second:02} {half}  ",
        std::process::id()
    )
}
