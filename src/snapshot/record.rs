//! The record of a freeze: who froze what, how, since when, until when.

use super::place::Place;
use crate::os::{clock, files};
use serde::{Deserialize, Serialize};
use std::io;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A record always takes this much, so that a later one of the same freeze
/// finds its place also where /run has run full meanwhile. In bytes.
const SIZE: usize = 4096;

/// How the databases are made consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The server is stopped.
    Stop,
    /// The server is told to bring its databases into backup mode.
    Online,
}

impl Mode {
    /// Its word, as DOMINO_SNAPSHOT_MODE has it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Stop => "stop",
            Mode::Online => "online",
        }
    }
}

/// How far a freeze has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The server is being stopped, or told to.
    Freezing,
    /// The databases are on disk and stay as they are.
    Frozen,
    /// The server is being brought back.
    Resuming,
    /// The freeze ended before a thaw came; the next thaw is told so.
    Over,
}

impl Phase {
    /// Whether a freeze in this phase may come to `next`.
    pub fn may_become(self, next: Phase) -> bool {
        matches!(
            (self, next),
            (Phase::Freezing, Phase::Frozen | Phase::Resuming)
                // The same caller freezes again: all is checked and flushed anew.
                | (Phase::Frozen, Phase::Freezing | Phase::Resuming)
                | (Phase::Resuming, Phase::Over)
        )
    }

    /// Whether somebody must still look after it.
    pub fn is_live(self) -> bool {
        self != Phase::Over
    }

    /// Its word, for people.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Freezing => "freezing",
            Phase::Frozen => "frozen",
            Phase::Resuming => "resuming",
            Phase::Over => "over",
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The boot it belongs to; under any other it says nothing.
    pub boot_id: String,
    /// The Domino user.
    pub user: String,
    /// The server's name.
    pub server: String,
    /// Which product asked.
    pub caller: String,
    /// How.
    pub mode: Mode,
    /// How far it has come.
    pub phase: Phase,
    /// Whether the server ran before.
    pub was_running: bool,
    /// The unit that owns the server, if one does.
    pub unit: Option<String>,
    /// When the freeze began, in seconds since 1970.
    pub since: u64,
    /// The same, in seconds since boot: no clock change moves it.
    pub since_boot: f64,
    /// How long it may be frozen, in seconds; 0: until a thaw comes.
    pub max_downtime: u64,
    /// When the server is started again without a thaw, in seconds since
    /// boot; none: never, or not frozen yet.
    pub deadline_boot: Option<f64>,
    /// The administrator stopped the server meanwhile: it stays down.
    pub stay_down: bool,
    /// A stop was begun and nobody saw its end: the server may run now and be
    /// gone a moment later.
    pub stop_unfinished: bool,
    /// What ended the freeze, if no thaw did.
    pub broken: Option<Broken>,
}

/// How a freeze can end but by its thaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Break {
    /// It did not come about, or was given up: what was begun was undone.
    Undone,
    /// No thaw came in time.
    Expired,
    /// It did not hold until the thaw.
    Spoiled,
}

/// A freeze that ended without its thaw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// How.
    pub how: Break,
    /// Why, for people.
    pub why: String,
}

/// What there is of a record.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// One that says nothing any more, and why.
    Stale(String),
    /// This one.
    Here(Box<Record>),
}

impl Record {
    /// Brings it to the next phase.
    pub fn become_phase(&mut self, next: Phase) {
        debug_assert!(self.phase == next || self.phase.may_become(next));
        self.phase = next;
    }

    /// How long ago the freeze began.
    pub fn age(&self) -> Duration {
        let age = clock::since_boot().as_secs_f64() - self.since_boot;
        Duration::try_from_secs_f64(age).unwrap_or_default()
    }

    /// How long until the dead man's switch acts; none: never.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.deadline_boot? - clock::since_boot().as_secs_f64();
        Some(Duration::try_from_secs_f64(left).unwrap_or_default())
    }

    /// Writes it: a reader sees the old record or this one.
    pub fn store(&self, place: &Place) -> io::Result<()> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.resize(text.len().max(SIZE - 1), b' ');
        text.push(b'\n');
        let path = place.record();
        match files::write_in_one_step(&path, &text, 0o644) {
            Err(cause) if cause.kind() == io::ErrorKind::StorageFull && text.len() == SIZE => {
                // In one write over the old one, which is as long.
                let mut file = std::fs::File::options().write(true).open(&path)?;
                file.write_all(&text)
            }
            other => other,
        }
    }

    /// Forgets it.
    pub fn remove(place: &Place) -> io::Result<()> {
        match std::fs::remove_file(place.record()) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    /// Reads what there is.
    pub fn load(place: &Place) -> Found {
        let path = place.record();
        let text = match files::read_bounded(&path, 1 << 20) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(cause) => return Found::Stale(format!("cannot read {}: {cause}", path.display())),
        };
        match serde_json::from_slice::<Record>(&text) {
            Err(cause) => Found::Stale(format!("{} is no record: {cause}", path.display())),
            Ok(record) => match clock::boot_id() {
                Ok(boot) if boot == record.boot_id => Found::Here(Box::new(record)),
                Ok(_) => Found::Stale(format!(
                    "the host was started anew since {} froze it",
                    record.caller
                )),
                Err(cause) => Found::Stale(cause.to_string()),
            },
        }
    }
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::root::Root;

    fn record() -> Record {
        Record {
            boot_id: clock::boot_id().unwrap(),
            user: "notes".into(),
            server: "mail".into(),
            caller: "vmware".into(),
            mode: Mode::Stop,
            phase: Phase::Freezing,
            was_running: true,
            unit: Some("domino.service".into()),
            since: now(),
            since_boot: clock::since_boot().as_secs_f64(),
            max_downtime: 3600,
            deadline_boot: None,
            stay_down: false,
            stop_unfinished: false,
            broken: None,
        }
    }

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let place = Place::of(&Root::at(dir.path().to_path_buf()), 7);
        place.prepare().unwrap();
        (dir, place)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_dir, place) = place();
        assert!(matches!(Record::load(&place), Found::Nothing));
        let mut record = record();
        record.store(&place).unwrap();
        record.become_phase(Phase::Frozen);
        record.store(&place).unwrap();
        let length = std::fs::metadata(place.record()).unwrap().len();
        assert_eq!(length, SIZE as u64);
        assert!(matches!(Record::load(&place), Found::Here(found) if *found == record));
        Record::remove(&place).unwrap();
        Record::remove(&place).unwrap();
    }

    #[test]
    fn another_boot_and_rubbish_say_nothing() {
        let (_dir, place) = place();
        let mut record = record();
        record.boot_id = "another".into();
        record.store(&place).unwrap();
        assert!(matches!(Record::load(&place), Found::Stale(why) if why.contains("anew")));
        std::fs::write(place.record(), "{\"phase\":").unwrap();
        assert!(matches!(Record::load(&place), Found::Stale(why) if why.contains("no record")));
    }

    #[test]
    fn phases_follow_each_other_as_the_manual_says() {
        use Phase::{Freezing, Frozen, Over, Resuming};
        let all = [Freezing, Frozen, Resuming, Over];
        let legal: Vec<(Phase, Phase)> = all
            .into_iter()
            .flat_map(|from| all.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            legal,
            [
                (Freezing, Frozen),
                (Freezing, Resuming),
                (Frozen, Freezing),
                (Frozen, Resuming),
                (Resuming, Over)
            ]
        );
        assert!(all.iter().filter(|phase| phase.is_live()).count() == 3);
    }

    #[test]
    fn the_time_left_is_counted_from_boot() {
        let mut record = record();
        assert_eq!(record.remaining(), None);
        let end = record.since_boot + 1000.0;
        record.deadline_boot = Some(end);
        let most = end - clock::since_boot().as_secs_f64();
        let left = record.remaining().unwrap().as_secs_f64();
        let least = end - clock::since_boot().as_secs_f64();
        assert!((least - 0.001..most + 0.001).contains(&left), "{left}");
        record.deadline_boot = Some(0.0);
        assert_eq!(record.remaining(), Some(Duration::ZERO));
    }
}
