//! What came of a verb for several servers, and what that comes to together.

use super::siblings::{Answer, column, width};
use crate::domino::figures::many;
use crate::error::shown;
use crate::exit::Exit;
use crate::ui::{Tint, Ui};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};

/// What came of the verb for one server.
pub struct Row {
    /// Whose server.
    pub user: OsString,
    /// None: it was not tried.
    pub exit: Option<Exit>,
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
        let outcome = row.outcome();
        let (tint, text) = match row.exit {
            Some(Exit::Done) => (Tint::Green, outcome),
            Some(exit) => (Tint::Red, format!("exit code {}: {outcome}", exit.code())),
            None => (Tint::Yellow, outcome),
        };
        ui.tinted_line(tint, &format!("  {name}  {text}"));
    }
    sum(rows)
}

/// The same for a program.
pub fn outcomes(rows: &[Row]) -> Value {
    let object = |row: &Row| {
        json!({
            "user": row.user.to_string_lossy(),
            "exit_code": row.exit.map(Exit::code),
            "outcome": row.outcome(),
        })
    };
    rows.iter().map(object).collect()
}

impl Row {
    fn outcome(&self) -> String {
        self.exit.map_or_else(
            || "not tried: asked to end before".to_owned(),
            |exit| exit.brief().into_owned(),
        )
    }
}

/// The worst of them; one that was not tried has failed.
pub fn sum(rows: &[Row]) -> Exit {
    Exit::worst(rows.iter().map(|row| row.exit.unwrap_or(Exit::Failed)))
}
