//! How long earlier freezes and thaws took, from the history.

use crate::os::files::read_bounded;
use crate::os::root::Root;
use serde_json::Value;
use std::ffi::OsStr;
use std::time::Duration;

/// Where freezes and thaws are recorded, a JSON object a line.
pub const HISTORY: &str = "/var/lib/rc_domino/history.jsonl";

/// More than the history grows to.
const LARGEST: u64 = 16 << 20;

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
    /// Reads the history of a user's server, or of all.
    pub fn read(root: &Root, user: Option<&OsStr>) -> Past {
        read_bounded(&root.path(HISTORY), LARGEST)
            .map_or_else(|_| Past::default(), |text| Past::of(&text, user))
    }

    fn of(text: &[u8], user: Option<&OsStr>) -> Past {
        let mut freezes = Vec::new();
        let mut thaws = Vec::new();
        for line in text.rsplit(|byte| *byte == b'\n') {
            // A line cut short by a crash counts as little as a foreign one.
            let Ok(entry) = serde_json::from_slice::<Value>(line) else {
                continue;
            };
            let named = entry.get("user").and_then(Value::as_str);
            if named.is_some() && user.is_some() && named.map(OsStr::new) != user {
                continue;
            }
            let seconds = entry.get("seconds").and_then(Value::as_f64);
            let Some(took) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            else {
                continue;
            };
            match entry.get("verb").and_then(Value::as_str) {
                Some("freeze") => freezes.push(took),
                Some("thaw") => thaws.push(took),
                _ => {}
            }
        }
        Past {
            longest_freeze: freezes.into_iter().take(RECENT).max(),
            longest_thaw: thaws.into_iter().take(RECENT).max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recent_ones_of_the_user_count() {
        let mut text =
            String::from("{\"when\":1,\"user\":\"notes\",\"verb\":\"freeze\",\"seconds\":900.0}\n");
        for _ in 0..RECENT {
            text.push_str("{\"user\":\"notes\",\"verb\":\"freeze\",\"seconds\":20.5}\n");
        }
        text.push_str("{\"user\":\"mail\",\"verb\":\"freeze\",\"seconds\":70}\n");
        text.push_str("{\"user\":\"notes\",\"verb\":\"thaw\",\"seconds\":4}\n{\"user\":\"no");
        let notes = Past::of(text.as_bytes(), Some(OsStr::new("notes")));
        assert_eq!(notes.longest_freeze, Some(Duration::from_millis(20_500)));
        assert_eq!(notes.longest_thaw, Some(Duration::from_secs(4)));
        let all = Past::of(text.as_bytes(), None);
        assert_eq!(all.longest_freeze, Some(Duration::from_secs(70)));
        assert_eq!(Past::of(b"\xff\n[1]\n", None), Past::default());
    }
}
