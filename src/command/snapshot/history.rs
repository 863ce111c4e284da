//! `snapshot history`: past freezes and thaws, a bar for each duration.

use crate::cli::snapshot::HistoryArgs;
use crate::command::Call;
use crate::command::identity;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::clock::stamp_at;
use crate::snapshot::history::{self, Entry};
use crate::ui::{Tint, Ui};
use std::time::{Duration, UNIX_EPOCH};

/// The longest bar, in characters.
const BAR: f64 = 30.0;

/// Runs the verb.
pub fn run(call: &Call, arguments: &HistoryArgs, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let path = history::path(&call.root);
    let mut entries = history::read(&call.root).map_err(Error::file("read", path))?;
    let user = identity.user.name.to_string_lossy();
    entries.retain(|entry| entry.user == user);
    let first = entries.len().saturating_sub(arguments.entries);
    let entries = &entries[first..];
    if arguments.json {
        ui.json(&entries)?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        ui.line("No freeze is on record");
    }
    let longest = entries
        .iter()
        .map(|entry| entry.seconds)
        .fold(0.0, f64::max);
    for entry in entries {
        let tint = if entry.outcome == 0 {
            Tint::Green
        } else {
            Tint::Red
        };
        ui.tinted_line(tint, &line(entry, longest));
    }
    Ok(Exit::Done)
}

fn line(entry: &Entry, longest: f64) -> String {
    let when = UNIX_EPOCH + Duration::from_secs(entry.when);
    let when = stamp_at(when, "%Y-%m-%d %H:%M:%S", None).unwrap_or_default();
    let share = if longest > 0.0 {
        entry.seconds / longest
    } else {
        0.0
    };
    // A duration is never negative and the share never above 1.
    let bar = "#".repeat((share * BAR).round() as usize);
    let mut text = format!(
        "{}  {:<6} {:<9} {:<6} {:>3} {:>8.1} s  {bar:<30}",
        when.to_string_lossy(),
        entry.verb,
        entry.caller,
        entry.mode,
        entry.outcome,
        entry.seconds,
    );
    if let Some(downtime) = entry.downtime_seconds {
        text.push_str(&format!("  away {downtime:.1} s"));
    }
    if let Some(note) = &entry.note {
        text.push_str(&format!("  {note}"));
    }
    text.trim_end().to_owned()
}
