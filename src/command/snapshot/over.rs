//! The answer to a thaw or an abort that finds no freeze in force.

use super::asking::Asked;
use crate::command::Call;
use crate::exit::Exit;
use crate::os::users::User;
use crate::snapshot::history;
use crate::snapshot::place::Place;
use crate::snapshot::record::{Found, Record};

/// Says what became of the freeze, if there was one, and forgets it; none where
/// one is in force.
pub fn nothing_to_bring_back(
    call: &Call,
    user: &User,
    thaw: bool,
    caller: Option<&str>,
    asked: &mut Asked,
) -> Option<Exit> {
    let place = Place::of(&call.root, user.uid);
    let found = Record::load(&place);
    match &found {
        Found::Here(record) if record.phase.is_live() => return None,
        // A freeze that looks at the server has written nothing yet.
        Found::Nothing if place.socket().exists() => return None,
        _ => {}
    }
    // A boot leaves nothing in /run; what is written down stays.
    let entries = history::read(&call.root).unwrap_or_default();
    let open = history::open_freeze(&entries, &user.name.to_string_lossy());
    // What is over is told to the one it concerns.
    let whose = match &found {
        Found::Here(record) => Some(&record.caller),
        Found::Stale(_) => None,
        Found::Nothing => open.map(|freeze| &freeze.caller),
    };
    if let (Some(caller), Some(whose)) = (caller, whose)
        && caller != whose
    {
        asked.say("Nothing is frozen for this caller");
        return Some(if thaw { Exit::Failed } else { Exit::Done });
    }
    let (why, exit) = match (found, open) {
        (Found::Here(record), _) => (
            record.broken.map(|broken| broken.why).unwrap_or_default(),
            Exit::BudgetSpent,
        ),
        (Found::Stale(why), _) => (why, Exit::BudgetSpent),
        (Found::Nothing, Some(freeze)) => (
            format!(
                "{} froze it, but its record in /run is gone: the host was started anew since",
                freeze.caller
            ),
            Exit::BudgetSpent,
        ),
        (Found::Nothing, None) => ("no freeze is on record".into(), Exit::Failed),
    };
    let exit = if thaw { exit } else { Exit::Done };
    if let Err(cause) = Record::remove(&place) {
        let file = place.record();
        asked.warn(&format!("cannot remove {}: {cause}", file.display()));
    }
    if let Some(freeze) = open {
        let end = history::end_of(freeze, thaw, exit, &why);
        if let Err(cause) = history::append(&call.root, &end) {
            let file = history::path(&call.root);
            asked.warn(&format!("cannot add to {}: {cause}", file.display()));
        }
    }
    if thaw {
        asked.warn(&format!(
            "nothing is frozen: {why}; do not trust a snapshot taken now; the server was left as it is"
        ));
    } else {
        asked.say(&format!("Nothing is frozen: {why}"));
    }
    Some(exit)
}
