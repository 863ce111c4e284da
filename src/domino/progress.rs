//! How far a maintenance tool is, read from what it writes to the console log.

use super::follow::Follower;
use super::partition::Partition;
use crate::os::terminal::is_terminal;
use std::time::{Duration, Instant};

/// What compact, dbmt and fixup write when they are done with a database.
const DONE: [&str; 3] = [
    "Compacted ",
    "Performed consistency check on ",
    "Completed consistency check on ",
];

/// What they write when they begin with one.
const BEGUN: [&str; 2] = ["Compacting ", "Performing consistency check on "];

/// How often a line is written where no terminal can replace it.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A tool at work: since when, with how many databases done.
pub struct Progress {
    name: String,
    began: Instant,
    /// None where the log is no file to be read, such as a container's output.
    log: Option<Follower>,
    count: Count,
}

#[derive(Debug, Default)]
struct Count {
    done: u64,
    current: Option<String>,
}

impl Progress {
    /// Begins to count what the tool of this name appends from now on.
    pub fn begin(partition: &Partition, name: &str) -> Progress {
        Progress {
            name: name.to_owned(),
            began: Instant::now(),
            log: Follower::new(partition.log(), 0).ok(),
            count: Count::default(),
        }
    }

    /// How often it is worth a look.
    pub fn every(&self) -> Duration {
        if is_terminal(std::io::stdout()) {
            Duration::from_secs(1)
        } else {
            LINE_EVERY
        }
    }

    /// Looks, and says how far it is.
    pub fn line(&mut self) -> String {
        let count = &mut self.count;
        if let Some(log) = &mut self.log {
            // A log that cannot be read for a moment is tried again.
            let _ = log.read_new(|line| count.take(line));
        }
        let seconds = self.began.elapsed().as_secs();
        let mut text = format!("{}: ", self.name);
        if self.log.is_some() {
            let plural = if count.done == 1 { "" } else { "s" };
            text.push_str(&format!("{} database{plural} done, ", count.done));
        }
        text.push_str(&format!("{}:{:02} min", seconds / 60, seconds % 60));
        if let Some(current) = &count.current {
            text.push_str(&format!(", at {current}"));
        }
        text
    }
}

impl Count {
    fn take(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if DONE.iter().any(|text| line.contains(text)) {
            self.done += 1;
            self.current = None;
        } else if let Some(rest) = BEGUN
            .iter()
            .find_map(|text| Some(line.split_once(text)?.1.trim()))
        {
            let name = rest.split(" (").next().unwrap_or(rest);
            let name = name.trim_end_matches(['.', ' ']);
            self.current = Some(crate::error::shown(name.as_ref()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_counted_as_they_are_done() {
        let mut count = Count::default();
        for line in [
            "[2:3] 11/22/2026 05:00 PM  Compacting mail/a b.nsf (A's mail), -C ...",
            "[2:3] 11/22/2026 05:01 PM  Compacted  mail/a b.nsf, 1024K bytes recovered (5%)",
            "Informational, nothing to count",
            "Performing consistency check on names.nsf...",
        ] {
            count.take(line.as_bytes());
        }
        assert_eq!(count.done, 1);
        assert_eq!(count.current.as_deref(), Some("names.nsf"));
        count.take(b"Completed consistency check on names.nsf");
        count.take(b"Performed consistency check on log.nsf");
        assert_eq!((count.done, count.current), (3, None));
    }
}
