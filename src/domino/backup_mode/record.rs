//! What this program knows of its own session: which server, which task, how
//! far. Kept in the data directory, so that a later call can end it.

use super::super::partition::Partition;
use super::Identity;
use crate::error::{Error, Result};
use crate::os::process::Pid;
use crate::os::{clock, files};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

const NAME: &str = ".rc_domino.backup";

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Backup mode was asked for.
    Requested,
    /// It was on.
    On,
    /// It was told to end.
    Ending,
}

/// A session of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How far it is.
    pub phase: Phase,
    /// The boot that its processes are of.
    pub boot: String,
    /// The server.
    pub server: Identity,
    /// Its backup task, once that was seen.
    pub task: Option<Identity>,
}

impl Record {
    /// A session that begins now.
    pub fn new(server: Identity) -> Result<Record> {
        Ok(Record {
            phase: Phase::Requested,
            boot: clock::boot_id().map_err(Error::system("tell this boot from others"))?,
            server,
            task: None,
        })
    }

    /// Whether its processes are of this boot.
    pub fn is_of_this_boot(&self) -> bool {
        clock::boot_id().is_ok_and(|boot| boot == self.boot)
    }

    /// Whether it is of this boot and its server still runs.
    pub fn is_current(&self) -> Result<bool> {
        Ok(self.is_of_this_boot() && self.server.is_alive()?)
    }

    /// The session on record; none where there is none that can be read.
    pub fn read(partition: &Partition) -> Option<Record> {
        let mut text = String::new();
        files::open_regular_itself(&path(partition))
            .ok()?
            .take(1024)
            .read_to_string(&mut text)
            .ok()?;
        Record::parse(&text)
    }

    /// Puts it on record.
    pub fn write(&self, partition: &Partition) -> Result<()> {
        let path = path(partition);
        files::write_atomically(&path, self.to_text().as_bytes(), 0o600)
            .map_err(Error::file("write", path))
    }

    /// Takes what is on record away.
    pub fn remove(partition: &Partition) -> Result<()> {
        let path = path(partition);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(Error::file("remove", path)(cause))
            }
            _ => Ok(()),
        }
    }

    /// `PHASE BOOT SERVER-PID TICKS [TASK-PID TICKS]`.
    fn to_text(&self) -> String {
        let phase = match self.phase {
            Phase::Requested => "requested",
            Phase::On => "on",
            Phase::Ending => "ending",
        };
        let mut text = format!("{phase} {}", self.boot);
        for process in [Some(self.server), self.task].into_iter().flatten() {
            text.push_str(&format!(" {} {}", process.pid, process.start_ticks));
        }
        text.push('\n');
        text
    }

    fn parse(text: &str) -> Option<Record> {
        let mut words = text.split_ascii_whitespace();
        let phase = match words.next()? {
            "requested" => Phase::Requested,
            "on" => Phase::On,
            "ending" => Phase::Ending,
            _ => return None,
        };
        let boot = words.next()?.to_owned();
        let mut process = || {
            Some(Identity {
                pid: Pid::parse(words.next()?.as_bytes())?,
                start_ticks: words.next()?.parse().ok()?,
            })
        };
        Some(Record {
            phase,
            boot,
            server: process()?,
            task: process(),
        })
    }
}

fn path(partition: &Partition) -> PathBuf {
    partition.data().join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let own = Identity {
            pid: crate::os::process::self_pid(),
            start_ticks: 77,
        };
        let mut record = Record::new(own).unwrap();
        assert_eq!(Record::parse(&record.to_text()).as_ref(), Some(&record));
        // Nobody else's process has our pid and another start time.
        assert!(!record.is_current().unwrap());
        record.phase = Phase::On;
        record.task = Some(own);
        assert_eq!(Record::parse(&record.to_text()), Some(record));
    }

    proptest! {
        #[test]
        fn no_text_confuses_the_reader(text: String) {
            let _ = Record::parse(&text);
        }
    }
}
