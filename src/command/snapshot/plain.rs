//! What plain `stop` and `start` have to do with snapshots: a stop typed while
//! the server is frozen is the administrator's word, and with
//! DOMINO_SNAPSHOT_REMEMBER=yes the pair remembers a server that was down.

use super::{keeping, may_act};
use crate::cli::Persona;
use crate::command::Call;
use crate::command::identity::Identity;
use crate::domino::Reporter;
use crate::domino::tools::Work;
use crate::error::Result;
use crate::exit::Exit;
use crate::os::signals::Signals;
use crate::snapshot::facts::Facts;
use crate::snapshot::place::Place;
use crate::snapshot::protocol::{Heard, Request, Session};
use crate::snapshot::record::{Found, Mode, Phase, Record};
use crate::ui::{Ui, has_terminal};
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// How long the keeper may take to hear of a stop.
const LIMIT: Duration = Duration::from_secs(5);

/// What a stop found before it began.
pub struct Before {
    place: Place,
    /// Whether the server ran.
    ran: bool,
    /// Whether a freeze is to hear of the stop.
    frozen: bool,
    /// Whether the next start is to know of it.
    remember: bool,
}

/// Looks before a stop; none where nobody wants to know what it finds.
pub fn before_stop(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Option<Before>> {
    let place = Place::of(&call.root, identity.user.uid);
    let freeze = match Record::load(&place) {
        Found::Here(record) if record.phase.is_live() => Some(record),
        _ => None,
    };
    let remember = remembers(call, identity);
    if freeze.is_none() && !remember {
        return Ok(None);
    }
    if remember && let Err(cause) = forget(&place) {
        ui.warn(&format!(
            "cannot remove {}: {cause}",
            place.was_down().display()
        ));
    }
    let mut facts = None;
    keeping::verbs(call, identity)?.run(&["__snapshot-facts"], &mut |line| {
        facts = facts
            .take()
            .or_else(|| serde_json::from_slice::<Facts>(line).ok());
    })?;
    let Some(Facts { running: ran, .. }) = facts else {
        return Ok(None);
    };
    // The freeze's own stop passes here too, through a service manager; it is
    // over before the server counts as frozen.
    let started_since =
        |record: &Record| record.phase == Phase::Frozen && record.mode == Mode::Stop;
    Ok(Some(Before {
        place,
        ran,
        frozen: freeze.is_some_and(|record| !ran || started_since(&record)),
        remember: remember && !ran,
    }))
}

/// After a stop that left nothing running and answers `exit`.
pub fn after_stop(before: &Before, exit: Exit, ui: &mut Ui) {
    let stay = Request::Stay { ran: before.ran };
    if before.frozen && Signals::block().is_ok_and(|signals| tell(&before.place, &stay, &signals)) {
        ui.line(
            "The server is frozen for a snapshot: it stays down after the thaw, as you stopped it",
        );
    }
    if before.remember && exit == Exit::Done {
        let written = before.place.prepare().and_then(|()| {
            let path = before.place.was_down();
            crate::os::files::write_atomically(&path, boot().as_bytes(), 0o644)
                .map_err(crate::error::Error::file("write", path))
        });
        if let Err(error) = written {
            ui.warn(&format!(
                "DOMINO_SNAPSHOT_REMEMBER: {error}; the next start will start the server"
            ));
        }
    }
}

/// Before a start: the answer where it is left down because it was down before
/// the last stop. At a terminal somebody wants it to run.
pub fn before_start(call: &Call, identity: &Identity, ui: &mut Ui) -> Option<Exit> {
    if !remembers(call, identity) {
        return None;
    }
    let place = Place::of(&call.root, identity.user.uid);
    let noted = std::fs::read(place.was_down()).is_ok_and(|text| text == boot().as_bytes());
    if let Err(cause) = forget(&place) {
        ui.warn(&format!(
            "cannot remove {}: {cause}",
            place.was_down().display()
        ));
    }
    if !noted || has_terminal() {
        return None;
    }
    ui.line("The server was down before the last stop: it stays down (DOMINO_SNAPSHOT_REMEMBER=yes); start it once more to start it");
    Some(Exit::Done)
}

/// Whether a plain stop and start are to remember. A service manager's own
/// calls are no backup's.
fn remembers(call: &Call, identity: &Identity) -> bool {
    let user: &OsStr = &identity.user.name;
    call.persona != Persona::Script
        && may_act(call)
        && crate::settings::peek(&call.root, user, "DOMINO_SNAPSHOT_REMEMBER")
            .is_some_and(|(value, _)| value.eq_ignore_ascii_case("yes"))
}

fn boot() -> String {
    crate::os::clock::boot_id().unwrap_or_default()
}

fn forget(place: &Place) -> std::io::Result<()> {
    match std::fs::remove_file(place.was_down()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Before a start touches a database: a freeze in force hears that it does not
/// hold any more.
pub fn spoil(work: &mut Work) {
    let place = Place::of(&work.partition.root, work.partition.user.uid);
    let Found::Here(record) = Record::load(&place) else {
        return;
    };
    if record.phase != Phase::Frozen || record.mode != Mode::Stop {
        return;
    }
    work.reporter.warn(&format!(
        "the server is frozen for a snapshot ({}), which is worthless if it is not finished yet",
        record.caller
    ));
    tell(&place, &Request::Started, work.signals);
}

/// Who has stopped this server for a snapshot that is not over, and will start
/// it again. Then a cluster has nothing to recover.
pub fn stopped_by(call: &Call, identity: &Identity) -> Option<String> {
    let place = Place::of(&call.root, identity.user.uid);
    match Record::load(&place) {
        Found::Here(record)
            if record.phase.is_live()
                && record.mode == Mode::Stop
                && record.was_running
                && !record.stay_down
                && record.broken.is_none()
                && super::status::is_kept(&place) =>
        {
            Some(record.caller)
        }
        _ => None,
    }
}

/// Tells the keeper; whether it heard.
fn tell(place: &Place, what: &Request, signals: &Signals) -> bool {
    let Ok(Some(mut session)) = Session::open(place) else {
        return false;
    };
    session.ask(what).is_ok()
        && session
            .hear(signals, Instant::now().checked_add(LIMIT))
            .is_ok_and(|heard| matches!(heard, Heard::Reply(_)))
}
