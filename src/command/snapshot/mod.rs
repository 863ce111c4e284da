//! `snapshot`: freeze, thaw and what belongs to them. What is done is the
//! keeper's work; here it is found or started, asked, and waited for.

mod asking;
mod history;
mod install;
mod keeping;
mod over;
pub mod plain;
mod status;
mod verdict;

pub use keeping::{facts, force_down, keep, second};

use super::Call;
use super::identity::{self, Identity, Needs};
use super::switch;
use crate::cli::snapshot::{FreezeArgs, SnapshotVerb, ThawArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::os::users;
use crate::snapshot::callers::Caller;
use crate::snapshot::place::Place;
use crate::snapshot::protocol::Request;
use crate::snapshot::record::{Found, Phase, Record};
use crate::ui::Ui;
use asking::{Asked, Conversation};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Runs the verb.
pub fn run(call: &Call, verb: SnapshotVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        SnapshotVerb::Freeze(arguments) => {
            let caller = arguments.caller;
            let done = freeze(call, arguments, ui);
            verdict::pass_on(call, caller, "freeze", done, ui)
        }
        SnapshotVerb::Thaw(arguments) => {
            let caller = arguments.caller.unwrap_or(Caller::Generic);
            let done = thaw(call, arguments, true, ui);
            verdict::pass_on(call, caller, "thaw", done, ui)
        }
        SnapshotVerb::Abort(arguments) => thaw(call, arguments, false, ui),
        SnapshotVerb::Install(arguments) => install::install(call, &arguments, ui),
        SnapshotVerb::Uninstall(arguments) => install::uninstall(call, &arguments, ui),
        SnapshotVerb::Status(arguments) => status::run(call, arguments.json, ui),
        SnapshotVerb::History(arguments) => history::run(call, &arguments, ui),
    }
}

/// What `--json` answers.
#[derive(Serialize)]
struct Answer<'a> {
    verb: &'a str,
    code: u8,
    meaning: &'a str,
    seconds: f64,
    messages: &'a [String],
}

/// Whether this process may act: the state is root's. Below another root it is
/// the caller's own.
fn may_act(call: &Call) -> bool {
    !call.root.is_system() || users::effective_uid() == 0
}

/// Settles the user; a caller who is not root goes on through sudo.
fn settle(call: &Call, ui: &mut Ui) -> Result<std::result::Result<Identity, Exit>> {
    let identity = identity::settle(call)?;
    if may_act(call) {
        Ok(Ok(identity))
    } else {
        switch::run_through_sudo(call, &identity, Needs::Login, ui).map(Err)
    }
}

fn freeze(call: &Call, arguments: FreezeArgs, ui: &mut Ui) -> Result<Exit> {
    let began = Instant::now();
    let identity = match settle(call, ui)? {
        Ok(identity) => identity,
        Err(exit) => return Ok(exit),
    };
    let budget = match arguments.budget {
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => arguments.caller.default_budget(),
    };
    let conversation = Conversation {
        request: Request::Freeze {
            caller: arguments.caller.name().to_owned(),
            mode: arguments.mode.map(|mode| mode.wish()),
            budget: budget.map(|budget| budget.as_secs()),
        },
        deadline: budget.and_then(|budget| began.checked_add(budget)),
        force: arguments.force,
    };
    let place = Place::of(&call.root, identity.user.uid);
    place.prepare()?;
    let mut asked = Asked::new(ui, arguments.json);
    let exit = conversation.with_keeper(call, &identity, &place, &mut asked, |_| None)?;
    match exit {
        Exit::Done => asked.say("Frozen: every database is whole on disk until the thaw"),
        Exit::Unclean if arguments.force => {
            asked.warn("frozen, but by force: the databases were not closed cleanly");
        }
        _ => {}
    }
    asked.finish("freeze", exit, began)
}

fn thaw(call: &Call, arguments: ThawArgs, thaw: bool, ui: &mut Ui) -> Result<Exit> {
    let began = Instant::now();
    let identity = match settle(call, ui)? {
        Ok(identity) => identity,
        Err(exit) => return Ok(exit),
    };
    let place = Place::of(&call.root, identity.user.uid);
    place.prepare()?;
    let mut asked = Asked::new(ui, arguments.json);
    let caller = arguments.caller.map(|caller| caller.name().to_owned());
    let budget = arguments.budget.filter(|seconds| *seconds > 0);
    let conversation = Conversation {
        request: if thaw {
            Request::Thaw {
                caller: caller.clone(),
            }
        } else {
            Request::Abort {
                caller: caller.clone(),
            }
        },
        deadline: budget.and_then(|seconds| began.checked_add(Duration::from_secs(seconds))),
        force: false,
    };
    let user = &identity.user;
    let over =
        |asked: &mut Asked| over::nothing_to_bring_back(call, user, thaw, caller.as_deref(), asked);
    let exit = conversation.with_keeper(call, &identity, &place, &mut asked, over)?;
    if exit == Exit::Done && thaw {
        asked.say("Thawed");
    }
    asked.finish(if thaw { "thaw" } else { "abort" }, exit, began)
}

/// What a keeper must be started for, if none lives.
fn is_kept(place: &Place) -> bool {
    matches!(Record::load(place), Found::Here(record) if record.phase != Phase::Over)
}

/// Whether a freeze is in force.
fn is_frozen(place: &Place) -> bool {
    matches!(Record::load(place), Found::Here(record) if record.phase == Phase::Frozen)
}
