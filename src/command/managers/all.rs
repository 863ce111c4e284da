//! `all`: a verb for every server of this host.

use super::super::{Call, identity, restart, switch};
use super::freezing;
use super::siblings::{Answer, Siblings, column, width};
use super::table;
use crate::cli::Persona;
use crate::domino::Reporter;
use crate::domino::figures::many;
use crate::domino::partitions;
use crate::domino::tools::number;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::ui::{Tint, Ui};
use std::ffi::{OsStr, OsString};

/// Verbs that take the terminal for themselves until somebody leaves them.
const FOR_ONE: [&str; 4] = ["monitor", "live", "console", "all"];

/// What came of the verb for one server.
pub struct Row {
    user: OsString,
    /// None: it was not tried.
    exit: Option<Exit>,
}

/// Runs the verb.
pub fn run(call: &Call, words: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(Error::Usage("all: no verb is given".into()));
    };
    check(call, verb, rest)?;
    let found = partitions::find(&call.root, &identity::default_user(call))?;
    for file in &found.orphaned {
        ui.warn(&format!(
            "{} is passed over: there is no such user",
            file.display()
        ));
    }
    let users = found.users;
    if users.is_empty() {
        return Err(Error::Refused {
            message: "no server is configured: there is no /etc/sysconfig/rc_domino_config with DOMINO_CONFIGURED for the default user, and no rc_domino_config_USER of an existing user beside it".into(),
            exit: Exit::NotConfigured,
        });
    }
    if let Some(wanted) = freezing::wanted(words) {
        return freezing::run(call, &users, words, &wanted, ui);
    }
    let json = rest.iter().any(|word| word == "--json");
    match verb.to_str() {
        Some("status") => status(call, &users, rest, ui),
        Some("stop" | "quit") => {
            let siblings = Siblings::of(call, &users)?;
            let done = siblings.show(&users, words, ui)?;
            let sum = summary(verb, &rows(&users, done.answers), ui);
            Ok(done
                .signal
                .map_or(sum, |signal| Exit::Signal(number(signal))))
        }
        Some("start") => {
            let siblings = Siblings::of(call, &users)?;
            start(&siblings, verb, &users, words, ui)
        }
        Some("restart") => restart_all(call, verb, &users, rest, ui),
        _ if json => one_array(call, &users, words, ui),
        _ => one_by_one(call, &users, words, ui),
    }
}

/// What makes no sense for several servers is refused before anything is done.
fn check(call: &Call, verb: &OsStr, rest: &[OsString]) -> Result<()> {
    let refused = |text: String| Err(Error::Usage(text));
    if call.user.is_some() || matches!(call.persona, Persona::EntryFor(_)) {
        return refused("'all' means every server; it does not go with one user's".into());
    }
    let word = shown(verb);
    if word.starts_with('-') {
        return refused(format!("all: a verb is expected in the place of '{word}'"));
    }
    let is_live = rest.iter().any(|argument| argument == "live");
    if FOR_ONE.iter().any(|name| verb == *name) || is_live {
        return refused(format!(
            "all: '{word}{}' is for one server at a time; name it with --user",
            if is_live { " live" } else { "" }
        ));
    }
    Ok(())
}

/// One after the other, in order. Stops where it was asked to end.
fn start(
    siblings: &Siblings<'_>,
    verb: &OsStr,
    users: &[OsString],
    words: &[OsString],
    ui: &mut Ui,
) -> Result<Exit> {
    let mut answers = Vec::new();
    let mut signal = siblings.pending();
    for user in users {
        if signal.is_some() {
            break;
        }
        let done = siblings.show(std::slice::from_ref(user), words, ui)?;
        answers.extend(done.answers);
        signal = done.signal.or_else(|| siblings.pending());
    }
    let sum = summary(verb, &rows(users, answers), ui);
    Ok(signal.map_or(sum, |signal| Exit::Signal(number(signal))))
}

/// Stops all, then starts in order those that are down. One whose start would
/// be refused is not stopped.
fn restart_all(
    call: &Call,
    verb: &OsStr,
    users: &[OsString],
    rest: &[OsString],
    ui: &mut Ui,
) -> Result<Exit> {
    let siblings = Siblings::of(call, users)?;
    let checked = siblings.ask(users, &["__restartable".into()], ui)?;
    let (can, cannot): (Vec<Answer>, Vec<Answer>) = checked
        .into_iter()
        .partition(|answer| answer.exit == Exit::Done);
    let stopping: Vec<OsString> = can.into_iter().map(|answer| answer.user).collect();
    let stopped = siblings.show(&stopping, &["stop".into()], ui)?;
    let mut rows = rows(users, cannot);
    let mut signal = stopped.signal;
    let words: Vec<OsString> = std::iter::once("start".into())
        .chain(rest.iter().cloned())
        .collect();
    for answer in stopped.answers {
        let mut exit = answer.exit;
        signal = signal.or_else(|| siblings.pending());
        if restart::is_down(exit) && signal.is_none() {
            let done = siblings.show(std::slice::from_ref(&answer.user), &words, ui)?;
            signal = done.signal;
            for started in &done.answers {
                exit = restart::worse(exit, started.exit);
            }
        }
        if let Some(row) = rows.iter_mut().find(|row| row.user == answer.user) {
            row.exit = Some(exit);
        }
    }
    let sum = summary(verb, &rows, ui);
    Ok(signal.map_or(sum, |signal| Exit::Signal(number(signal))))
}

/// A table, an array, or the short lines that `rc_all` shows.
fn status(call: &Call, users: &[OsString], rest: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let words: Vec<&str> = rest.iter().filter_map(|word| word.to_str()).collect();
    let display = words == ["display"];
    let json = matches!(
        words.as_slice(),
        ["--json"] | ["--format=json"] | ["--format", "json"]
    );
    if !(words.is_empty() && rest.is_empty() || display || json) {
        return Err(Error::Usage(
            "all status: nothing, 'display' or '--json' is expected behind it; other forms are for one server: name it with --user".into(),
        ));
    }
    let siblings = Siblings::of(call, users)?;
    if display {
        let words = ["status".into(), "display".into()];
        let answers = siblings.ask(users, &words, ui)?;
        for answer in &answers {
            ui.bytes(&answer.said);
        }
        return Ok(Exit::worst(answers.iter().map(|answer| answer.exit)));
    }
    let answers = siblings.ask(users, &["status".into(), "--json".into()], ui)?;
    if json {
        ui.json(&table::array(&answers))?;
    } else {
        for (tint, line) in table::lines(&answers) {
            match tint {
                Some(tint) => ui.tinted_line(tint, &line),
                None => ui.line(&line),
            }
        }
    }
    Ok(Exit::worst(answers.iter().map(|answer| answer.exit)))
}

/// Any other verb with `--json`: one array of its answers.
fn one_array(call: &Call, users: &[OsString], words: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let siblings = Siblings::of(call, users)?;
    let mut answers = Vec::new();
    for user in users {
        answers.extend(siblings.ask(std::slice::from_ref(user), words, ui)?);
    }
    ui.json(&table::array(&answers))?;
    Ok(Exit::worst(answers.iter().map(|answer| answer.exit)))
}

/// Any other verb: one server after the other, with the terminal.
fn one_by_one(call: &Call, users: &[OsString], words: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let mut rows = rows(users, Vec::new());
    for row in &mut rows {
        let launch = Siblings::of(call, users)?.launch(&row.user, words);
        ui.line(&format!("== {} ==", shown(&row.user)));
        let exit = switch::run_in_front(launch, ui)?;
        row.exit = Some(exit);
        if matches!(exit.code(), 129 | 130 | 143) {
            break;
        }
    }
    let verb = words.first().map_or(OsStr::new(""), OsString::as_os_str);
    Ok(summary(verb, &rows, ui))
}

/// A row for each user, with what those answered who were asked.
pub fn rows(users: &[OsString], answers: Vec<Answer>) -> Vec<Row> {
    let mut rows: Vec<Row> = users
        .iter()
        .map(|user| Row {
            user: user.clone(),
            exit: None,
        })
        .collect();
    for answer in answers {
        if let Some(row) = rows.iter_mut().find(|row| row.user == answer.user) {
            row.exit = Some(answer.exit);
        }
    }
    rows
}

/// A line for each server, and what they come to together.
pub fn summary(verb: &OsStr, rows: &[Row], ui: &mut Ui) -> Exit {
    let users: Vec<OsString> = rows.iter().map(|row| row.user.clone()).collect();
    let servers = many(rows.len(), "server");
    ui.line(&format!("{} of {servers}:", shown(verb)));
    for (row, name) in rows.iter().zip(column(&users, width(&users))) {
        let (tint, text) = match row.exit {
            Some(Exit::Done) => (Tint::Green, "done".to_owned()),
            Some(exit) => (
                Tint::Red,
                format!("exit code {}: {}", exit.code(), exit.brief()),
            ),
            None => (Tint::Yellow, "not tried: asked to end before".to_owned()),
        };
        ui.tinted_line(tint, &format!("  {name}  {text}"));
    }
    Exit::worst(rows.iter().map(|row| row.exit.unwrap_or(Exit::Failed)))
}
