//! `all`: a verb for every server of this host.

use super::super::restart::outlive_terminal;
use super::super::{Call, identity, switch};
use super::freezing;
use super::outcomes::{Row, outcomes, rows, sum, summary};
use super::siblings::Siblings;
use super::table;
use crate::cli::{self, Parsed, Persona};
use crate::domino::partitions;
use crate::domino::tools::number;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::signals::Signal;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};

/// Verbs that take the terminal for themselves until somebody leaves them.
const FOR_ONE: [&str; 5] = ["monitor", "live", "console", "run", "all"];

/// Runs the verb.
pub fn run(call: &Call, words: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(Error::Usage("all: no verb is given".into()));
    };
    check(call, verb, rest)?;
    let named = call.variable("DOMINO_USER");
    let users = partitions::find(&call.root, named, OsStr::new(identity::DEFAULT_USER))?;
    if users.is_empty() {
        return Err(Error::Refused {
            message: "no server is configured: there is no /etc/sysconfig/rc_domino_config with DOMINO_CONFIGURED for the default user, and no rc_domino_config_USER beside it".into(),
            exit: Exit::NotConfigured,
        });
    }
    if let Some(wanted) = freezing::wanted(words) {
        return freezing::run(call, &users, words, &wanted, ui);
    }
    let json = rest.iter().any(|word| word == "--json");
    let has_json = json && has_json(words);
    let words: Vec<OsString> = words
        .iter()
        .filter(|word| has_json || *word != "--json")
        .cloned()
        .collect();
    let all = All {
        call,
        users: &users,
        words: &words,
        json,
    };
    match verb.to_str() {
        Some("status") => status(call, &users, rest, ui),
        _ if has_json => all.one_array(ui),
        Some("stop" | "quit") => all.together(ui),
        Some("start") => all.in_order(ui),
        Some("restart") => all.restart(ui),
        _ if json => all.in_order(ui),
        _ => all.one_by_one(ui),
    }
}

/// Whether a verb has an answer for programs of its own: of one that has none,
/// it is what came of it.
fn has_json(words: &[OsString]) -> bool {
    let line = std::iter::once("rc_domino".into()).chain(words.iter().cloned());
    matches!(cli::parse(line.collect()), Parsed::Do(_))
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

/// A verb for all servers.
struct All<'a> {
    call: &'a Call,
    users: &'a [OsString],
    words: &'a [OsString],
    /// Whether what came of it is told to a program.
    json: bool,
}

impl All<'_> {
    fn siblings(&self) -> Result<Siblings<'_>> {
        Ok(Siblings::of(self.call, self.users)?.speaking_aside(self.json))
    }

    /// At the same time.
    fn together(&self, ui: &mut Ui) -> Result<Exit> {
        let done = self.siblings()?.show(self.users, self.words, ui)?;
        self.end(rows(self.users, done.answers), done.signal, ui)
    }

    /// One after the other. Stops where it was asked to end.
    fn in_order(&self, ui: &mut Ui) -> Result<Exit> {
        let siblings = self.siblings()?;
        let mut answers = Vec::new();
        let mut signal = siblings.pending();
        for user in self.users {
            if signal.is_some() {
                break;
            }
            let done = siblings.show(std::slice::from_ref(user), self.words, ui)?;
            answers.extend(done.answers);
            signal = done.signal.or_else(|| siblings.pending());
        }
        self.end(rows(self.users, answers), signal, ui)
    }

    /// All are stopped, then started in order. Each is restarted by a process
    /// of its own, which starts the server it has stopped also where this one
    /// is killed meanwhile; that a terminal has gone stops none of them.
    fn restart(&self, ui: &mut Ui) -> Result<Exit> {
        outlive_terminal()?;
        let rest = self.words.iter().skip(1).cloned();
        let words: Vec<OsString> = ["restart".into(), "--in-turn".into()]
            .into_iter()
            .chain(rest)
            .collect();
        let done = self.siblings()?.show_in_turn(self.users, &words, ui)?;
        self.end(rows(self.users, done.answers), done.signal, ui)
    }

    /// One array of the verb's own answers.
    fn one_array(&self, ui: &mut Ui) -> Result<Exit> {
        let siblings = self.siblings()?;
        let mut answers = Vec::new();
        for user in self.users {
            answers.extend(siblings.ask(std::slice::from_ref(user), self.words, ui)?);
        }
        ui.json(&table::array(&answers))?;
        Ok(Exit::worst(answers.iter().map(|answer| answer.exit)))
    }

    /// One server after the other, with the terminal.
    fn one_by_one(&self, ui: &mut Ui) -> Result<Exit> {
        let mut rows = rows(self.users, Vec::new());
        for row in &mut rows {
            let launch = self.siblings()?.launch(&row.user, self.words);
            ui.line(&format!("== {} ==", shown(&row.user)));
            let exit = switch::run_in_front(launch, ui)?;
            row.exit = Some(exit);
            // Whoever ends one of them by these wants an end of all.
            if matches!(exit, Exit::Signal(1 | 2 | 15)) {
                break;
            }
        }
        self.end(rows, None, ui)
    }

    /// Tells what came of it. That it was asked to end hides no server whose
    /// databases are not whole.
    fn end(&self, rows: Vec<Row>, signal: Option<Signal>, ui: &mut Ui) -> Result<Exit> {
        let verb = self.words.first().map_or(OsStr::new(""), |verb| verb);
        let sum = if self.json {
            ui.json(&outcomes(&rows))?;
            sum(&rows)
        } else {
            summary(verb, &rows, ui)
        };
        Ok(match (sum, signal) {
            (Exit::Unclean | Exit::Crashed, _) | (_, None) => sum,
            (_, Some(signal)) => Exit::Signal(number(signal)),
        })
    }
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
        ui.json(&table::states(&answers))?;
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
