//! `all snapshot`: every server of this host is frozen, or none is.

use super::super::Call;
use super::outcomes::{rows, summary};
use super::siblings::{Answer, Siblings};
use super::table;
use crate::cli::snapshot::{FreezeArgs, SnapshotVerb};
use crate::cli::{self, Parsed, Verb};
use crate::domino::Reporter;
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;
use std::ffi::OsString;

/// The snapshot verb that these words are, where it is one of those that go to
/// all servers at the same time.
pub fn wanted(words: &[OsString]) -> Option<SnapshotVerb> {
    let line = std::iter::once("rc_domino".into()).chain(words.iter().cloned());
    let Parsed::Do(cli) = cli::parse(line.collect()) else {
        return None;
    };
    match cli.verb? {
        Verb::Snapshot(
            verb @ (SnapshotVerb::Freeze(_) | SnapshotVerb::Thaw(_) | SnapshotVerb::Abort(_)),
        ) => Some(verb),
        _ => None,
    }
}

/// Runs it.
pub fn run(
    call: &Call,
    users: &[OsString],
    words: &[OsString],
    verb: &SnapshotVerb,
    ui: &mut Ui,
) -> Result<Exit> {
    // A freeze whose caller is killed is undone; these are its callers.
    let siblings = Siblings::of(call, users)?.tied();
    let (json, answers) = match verb {
        SnapshotVerb::Freeze(arguments) => (
            arguments.json,
            freeze(&siblings, users, words, arguments, ui)?,
        ),
        SnapshotVerb::Thaw(arguments) | SnapshotVerb::Abort(arguments) => {
            let json = arguments.json;
            (json, together(&siblings, users, words, json, ui)?)
        }
        _ => return Ok(Exit::Usage),
    };
    if json {
        ui.json(&table::array(&answers))?;
        return Ok(Exit::worst(answers.iter().map(|answer| answer.exit)));
    }
    let verb: Vec<OsString> = words.iter().take(2).cloned().collect();
    Ok(summary(&verb.join(" ".as_ref()), &rows(users, answers), ui))
}

fn together(
    siblings: &Siblings<'_>,
    users: &[OsString],
    words: &[OsString],
    json: bool,
    ui: &mut Ui,
) -> Result<Vec<Answer>> {
    if json {
        siblings.ask(users, words, ui)
    } else {
        siblings.show(users, words, ui).map(|done| done.answers)
    }
}

/// A snapshot shows all servers: where one cannot be frozen it is worth
/// nothing, and the others are down for nothing.
fn freeze(
    siblings: &Siblings<'_>,
    users: &[OsString],
    words: &[OsString],
    arguments: &FreezeArgs,
    ui: &mut Ui,
) -> Result<Vec<Answer>> {
    let caller = format!("--caller={}", arguments.caller);
    let back = ["snapshot".into(), "abort".into(), caller.into()];
    let asked = together(siblings, users, words, arguments.json, ui);
    let mut answers = match asked {
        Ok(answers) => answers,
        Err(error) => {
            // Who was frozen before it is not known.
            siblings.ask(users, &back, ui)?;
            return Err(error);
        }
    };
    let holds = |answer: &Answer| {
        answer.exit == Exit::Done || (arguments.force && answer.exit == Exit::Unclean)
    };
    let frozen: Vec<OsString> = answers
        .iter()
        .filter(|answer| holds(answer))
        .map(|answer| answer.user.clone())
        .collect();
    if frozen.len() == answers.len() || frozen.is_empty() {
        return Ok(answers);
    }
    ui.warn("not every server could be frozen: those that were are brought back");
    for undone in together(siblings, &frozen, &back, arguments.json, ui)? {
        let answer = answers
            .iter_mut()
            .find(|answer| answer.user == undone.user && answer.exit == Exit::Done);
        if let Some(answer) = answer {
            answer.exit = match undone.exit {
                Exit::Done => Exit::BudgetSpent,
                failed => failed,
            };
        }
    }
    Ok(answers)
}
