//! `snapshot status`.

use super::may_act;
use crate::command::Call;
use crate::command::identity;
use crate::domino::Reporter;
use crate::error::Result;
use crate::exit::Exit;
use crate::os::clock::stamp_at;
use crate::os::lock::Lock;
use crate::snapshot::history;
use crate::snapshot::place::Place;
use crate::snapshot::record::{Found, Record};
use crate::ui::{Tint, Ui};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

/// What `--json` answers.
#[derive(Serialize)]
struct Report<'a> {
    frozen: bool,
    /// Whether a process looks after it; none where only root can tell.
    kept: Option<bool>,
    age_seconds: Option<f64>,
    seconds_left: Option<f64>,
    record: Option<&'a Record>,
    /// Why there is no freeze, where there was one.
    note: Option<&'a str>,
    warning: Option<&'a str>,
}

/// Runs the verb: 0 where something is frozen, 3 where nothing is.
pub fn run(call: &Call, json: bool, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let place = Place::of(&call.root, identity.user.uid);
    let (record, note) = match Record::load(&place) {
        Found::Nothing => (None, None),
        Found::Stale(why) => (None, Some(why)),
        Found::Here(record) => (Some(*record), None),
    };
    let live = record.as_ref().filter(|record| record.phase.is_live());
    let kept = may_act(call).then(|| is_kept(&place));
    let warning = warning(call, &identity.user.name.to_string_lossy(), live, kept);
    if json {
        ui.json(&Report {
            frozen: live.is_some(),
            kept,
            age_seconds: live.map(|record| record.age().as_secs_f64()),
            seconds_left: live
                .and_then(Record::remaining)
                .map(|left| left.as_secs_f64()),
            record: record.as_ref(),
            note: note.as_deref(),
            warning: warning.as_deref(),
        })?;
    } else {
        match (live, &record) {
            (Some(live), _) => show(live, ui),
            (None, Some(over)) => ui.line(&format!(
                "Nothing is frozen; the last freeze, by {}, is over: {}",
                over.caller,
                over.broken.as_ref().map_or("thawed", |broken| &broken.why)
            )),
            (None, None) => ui.line("Nothing is frozen"),
        }
        if let Some(note) = &note {
            ui.line(note);
        }
        if let Some(warning) = &warning {
            ui.warn(warning);
        }
    }
    Ok(match live {
        Some(_) => Exit::Done,
        None => Exit::NotRunning,
    })
}

/// Whether somebody keeps the freeze that is recorded.
pub fn is_kept(place: &Place) -> bool {
    place.keeper_lock().exists() && matches!(Lock::try_acquire(&place.keeper_lock()), Ok(None))
}

fn show(record: &Record, ui: &mut Ui) {
    let since = UNIX_EPOCH + Duration::from_secs(record.since);
    let since = stamp_at(since, "%Y-%m-%d %H:%M:%S", None).unwrap_or_default();
    ui.tinted_line(
        Tint::Yellow,
        &format!(
            "{}: {} for {}, since {} ({} s), mode {}",
            record.server,
            record.phase.word(),
            record.caller,
            since.to_string_lossy(),
            record.age().as_secs(),
            record.mode.word(),
        ),
    );
    ui.line(&match (record.was_running, record.stay_down) {
        (_, true) => "It was stopped by hand meanwhile: it stays down after the thaw".to_owned(),
        (true, _) => "It ran before: the thaw brings it back".to_owned(),
        (false, _) => "It was down before: the thaw leaves it so".to_owned(),
    });
    ui.line(&match record.remaining() {
        None if record.max_downtime > 0 => {
            "It is being brought to disk, or back, at this moment".to_owned()
        }
        Some(left) => format!(
            "Without a thaw it comes back in {} s (DOMINO_SNAPSHOT_MAX_DOWNTIME)",
            left.as_secs()
        ),
        None => "Without a thaw it stays so (DOMINO_SNAPSHOT_MAX_DOWNTIME=0)".to_owned(),
    });
    if let Some(unit) = &record.unit {
        ui.line(&format!("Its unit is {unit}"));
    }
}

/// What an administrator should look at.
fn warning(call: &Call, user: &str, live: Option<&Record>, kept: Option<bool>) -> Option<String> {
    if live.is_some() && kept == Some(false) {
        return Some(
            "the process that keeps this freeze is gone: nobody brings the server back without a thaw; 'rc_domino snapshot abort' does it now"
                .into(),
        );
    }
    let entries = history::read(&call.root).unwrap_or_default();
    let caller = match live {
        Some(record) => record.caller.clone(),
        None => entries
            .iter()
            .rev()
            .find(|entry| entry.user == user)?
            .caller
            .clone(),
    };
    let (seconds, budget) = history::growing(&entries, user, &caller)?;
    Some(format!(
        "freezes for {caller} take up to {seconds:.0} of {budget} seconds: when they need more, they are undone and the backup fails; raise the budget, or let the server end sooner"
    ))
}
