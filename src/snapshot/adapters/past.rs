//! How long earlier freezes and thaws took, from the history.

use crate::os::root::Root;
use crate::snapshot::history::{self, Entry};
use std::ffi::OsStr;
use std::time::Duration;

/// How many of each kind count: what was slow long ago may be mended.
const RECENT: usize = 10;

/// The longest of the recent ones. What is not known is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Past {
    /// Of the freezes.
    pub longest_freeze: Option<Duration>,
    /// Of the thaws.
    pub longest_thaw: Option<Duration>,
}

impl Past {
    /// Reads the history of a user's server; none of what cannot be read.
    pub fn read(root: &Root, user: &OsStr) -> Past {
        Past::of(&history::read(root).unwrap_or_default(), user)
    }

    fn of(entries: &[Entry], user: &OsStr) -> Past {
        let longest = |verbs: &[&str]| {
            entries
                .iter()
                .rev()
                .filter(|entry| OsStr::new(&entry.user) == user)
                .filter(|entry| verbs.contains(&entry.verb.as_str()))
                .take(RECENT)
                .filter_map(|entry| Duration::try_from_secs_f64(entry.seconds).ok())
                .max()
        };
        Past {
            // One that was undone took as long at least.
            longest_freeze: longest(&["freeze", "undo"]),
            longest_thaw: longest(&["thaw"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str, verb: &str, seconds: f64) -> Entry {
        Entry {
            when: 1,
            user: user.into(),
            verb: verb.into(),
            caller: "qemu".into(),
            mode: "stop".into(),
            outcome: 0,
            seconds,
            downtime_seconds: None,
            budget_seconds: None,
            was_running: true,
            note: None,
        }
    }

    #[test]
    fn the_recent_ones_of_the_user_count() {
        let mut entries = vec![entry("notes", "freeze", 900.0)];
        entries.extend((0..RECENT).map(|_| entry("notes", "freeze", 20.5)));
        entries.push(entry("mail", "freeze", 70.0));
        entries.push(entry("notes", "thaw", 4.0));
        let notes = Past::of(&entries, OsStr::new("notes"));
        assert_eq!(notes.longest_freeze, Some(Duration::from_millis(20_500)));
        assert_eq!(notes.longest_thaw, Some(Duration::from_secs(4)));
        assert_eq!(Past::of(&[], OsStr::new("notes")), Past::default());
    }
}
