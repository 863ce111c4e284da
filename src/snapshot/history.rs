//! What was frozen and thawed, when, how long it took and how it went.

use super::record;
use crate::exit::Exit;
use crate::os::files;
use crate::os::lock::{Lock, LockOutcome};
use crate::os::root::Root;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FILE: &str = "/var/lib/rc_domino/history.jsonl";

/// Held by who writes it: the freezes of several servers end at the same time.
const LOCK: &str = "/var/lib/rc_domino/history.lock";

/// How long another writer may take.
const WRITER_LIMIT: Duration = Duration::from_secs(5);

/// How many entries are kept; a daily freeze and thaw fill this in a year.
const KEPT: usize = 1_000;

/// The most that is read of the file, in bytes.
const SIZE_MAX: u64 = 4 << 20;

/// One freeze, thaw, or return without a thaw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was finished, in seconds since 1970.
    pub when: u64,
    /// The Domino user.
    pub user: String,
    /// `freeze`, `thaw`, `undo` (of a freeze that failed or was given up) or
    /// `resume` (no thaw came in time).
    pub verb: String,
    /// The product that froze.
    pub caller: String,
    /// `stop` or `online`.
    pub mode: String,
    /// Exit code.
    pub outcome: u8,
    /// How long it took.
    pub seconds: f64,
    /// From the beginning of the freeze to the server's return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_seconds: Option<f64>,
    /// The budget of a freeze, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_seconds: Option<u64>,
    /// Whether the server ran before.
    #[serde(default)]
    pub was_running: bool,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where the history lies.
pub fn path(root: &Root) -> PathBuf {
    root.path(FILE)
}

/// All entries, oldest first; lines that are none are passed over.
pub fn read(root: &Root) -> io::Result<Vec<Entry>> {
    match files::read_bounded(&path(root), SIZE_MAX) {
        Ok(text) => Ok(text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(cause),
    }
}

/// Adds an entry; the oldest ones go when there are too many.
pub fn append(root: &Root, entry: &Entry) -> io::Result<()> {
    let path = path(root);
    let directory = files::parent_directory(&path);
    std::fs::create_dir_all(directory)?;
    let end = Instant::now() + WRITER_LIMIT;
    let lock = Lock::acquire(&root.path(LOCK), Some(end), None, |_| {})?;
    let LockOutcome::Acquired(_lock) = lock else {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{LOCK} is held by another process"),
        ));
    };
    // A line that was cut short, or a file that has grown beyond reading, must
    // not cost the entries to come.
    let mut entries = read(root).unwrap_or_default();
    entries.push(entry.clone());
    let begin = entries.len().saturating_sub(KEPT);
    let mut text = Vec::new();
    for entry in &entries[begin..] {
        serde_json::to_writer(&mut text, entry).map_err(io::Error::other)?;
        text.push(b'\n');
    }
    files::write_atomically(&path, &text, 0o644)
}

/// Whether shutdowns grow towards the budget: the longest of the last five
/// clean freezes took more than seven tenths of it. Returns that
/// freeze's seconds and its budget.
pub fn growing(entries: &[Entry], user: &str, caller: &str) -> Option<(f64, u64)> {
    let recent = entries
        .iter()
        .rev()
        .filter(|entry| entry.user == user && entry.caller == caller)
        .filter(|entry| entry.verb == "freeze" && entry.outcome == Exit::Done.code())
        .take(5);
    let longest = recent
        .filter(|entry| entry.budget_seconds.is_some())
        .max_by(|left, right| left.seconds.total_cmp(&right.seconds))?;
    let budget = longest.budget_seconds?;
    (longest.seconds > budget as f64 * 0.7).then_some((longest.seconds, budget))
}

/// The freeze of this user's server that nothing has ended yet, as far as is
/// written down. A boot takes the record of it away with /run; this stays.
pub fn open_freeze<'a>(entries: &'a [Entry], user: &str) -> Option<&'a Entry> {
    let held = [Exit::Done, Exit::Unclean].map(Exit::code);
    entries
        .iter()
        .rfind(|entry| entry.user == user)
        .filter(|entry| entry.verb == "freeze" && held.contains(&entry.outcome))
}

/// How a freeze ends that is found to be gone: an answer to a thaw, or to an
/// abort, that had nothing to bring back.
pub fn end_of(freeze: &Entry, thaw: bool, outcome: Exit, why: &str) -> Entry {
    Entry {
        when: record::now(),
        verb: if thaw { "thaw" } else { "undo" }.into(),
        outcome: outcome.code(),
        seconds: 0.0,
        downtime_seconds: None,
        budget_seconds: None,
        note: Some(why.to_owned()),
        ..freeze.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: f64) -> Entry {
        Entry {
            when: 1,
            user: "notes".into(),
            verb: "freeze".into(),
            caller: "qemu".into(),
            mode: "stop".into(),
            outcome: 0,
            seconds,
            downtime_seconds: None,
            budget_seconds: Some(100),
            was_running: true,
            note: None,
        }
    }

    #[test]
    fn the_history_is_bounded_and_survives_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path().to_path_buf());
        assert_eq!(read(&root).unwrap(), []);
        append(&root, &entry(0.0)).unwrap();
        let mut text = std::fs::read(path(&root)).unwrap();
        text.extend_from_slice(b"{\"when\":3\n\xff\n");
        text.extend(
            std::iter::repeat_n(serde_json::to_string(&entry(2.0)).unwrap() + "\n", KEPT)
                .flat_map(String::into_bytes),
        );
        std::fs::write(path(&root), text).unwrap();
        append(&root, &entry(3.0)).unwrap();
        let entries = read(&root).unwrap();
        assert_eq!(entries.len(), KEPT);
        assert_eq!(entries.last(), Some(&entry(3.0)));
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path().to_path_buf());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        append(&root, &entry(1.0)).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&root).unwrap().len(), 40);
    }

    #[test]
    fn growth_is_told_before_the_budget_is_spent() {
        let mut entries = vec![entry(90.0)];
        assert_eq!(growing(&entries, "notes", "qemu"), Some((90.0, 100)));
        assert_eq!(growing(&entries, "notes", "azure"), None);
        entries.extend([1.0, 2.0, 3.0, 4.0, 70.0].map(entry));
        assert_eq!(growing(&entries, "notes", "qemu"), None);
        entries.push(entry(71.0));
        assert_eq!(growing(&entries, "notes", "qemu"), Some((71.0, 100)));
    }

    #[test]
    fn a_freeze_is_open_until_something_ends_it() {
        let mut entries = vec![entry(1.0)];
        assert!(open_freeze(&entries, "notes").is_some());
        assert!(open_freeze(&entries, "mail").is_none());
        entries.push(Entry {
            user: "mail".into(),
            ..entry(1.0)
        });
        let freeze = open_freeze(&entries, "notes").unwrap();
        let end = end_of(freeze, true, Exit::BudgetSpent, "gone");
        assert_eq!((end.verb.as_str(), end.outcome), ("thaw", 152));
        entries.push(end);
        assert!(open_freeze(&entries, "notes").is_none());
        assert!(open_freeze(&entries, "mail").is_some());
        // One that did not come about.
        entries.push(Entry {
            outcome: 1,
            ..entry(1.0)
        });
        assert!(open_freeze(&entries, "notes").is_none());
    }
}
