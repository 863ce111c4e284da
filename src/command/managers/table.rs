//! What `status --json` says of several servers, as a table and as an array.

use super::siblings::Answer;
use crate::domino::figures::size;
use crate::error::{shown, shown_whole};
use crate::exit::Exit;
use crate::ui::Tint;
use serde_json::{Map, Value, json};
use std::ffi::OsStr;

/// The columns' titles. The last one is not filled up with blanks.
const TITLES: [&str; 7] = [
    "USER",
    "SERVER",
    "STATE",
    "PID",
    "PROCESSES",
    "MEMORY",
    "DATA",
];

/// One object for each answer: what it said, its user and its exit code.
pub fn array(answers: &[Answer]) -> Value {
    let objects = answers.iter().map(|answer| {
        let mut object = match serde_json::from_slice(&answer.said) {
            Ok(Value::Object(object)) => object,
            Ok(other) => Map::from_iter([("answer".to_owned(), other)]),
            Err(_) => Map::new(),
        };
        let user = answer.user.to_string_lossy().into_owned();
        object.entry("user").or_insert(user.into());
        object.insert("exit_code".into(), answer.exit.code().into());
        if !matches!(answer.exit, Exit::Done | Exit::NotRunning) {
            object.entry("error").or_insert(answer.exit.brief().into());
        }
        Value::Object(object)
    });
    objects.collect()
}

/// The same for `status`, with the same members where a server could not be
/// asked: what reads them finds each one.
pub fn states(answers: &[Answer]) -> Value {
    let mut states = array(answers);
    let unknown = json!({
        "server": null, "running": null, "state": "unknown", "pid": null,
        "processes": [], "data": null,
    });
    for state in states.as_array_mut().into_iter().flatten() {
        if let (Value::Object(state), Value::Object(unknown)) = (state, &unknown) {
            for (name, value) in unknown {
                state.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
    states
}

/// A line for each answer below a heading.
pub fn lines(answers: &[Answer]) -> Vec<(Option<Tint>, String)> {
    let rows: Vec<(Option<Tint>, [String; 7])> = std::iter::once((None, TITLES.map(str::to_owned)))
        .chain(answers.iter().map(row))
        .collect();
    let mut widths = [0; 7];
    for (_, cells) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.into_iter()
        .map(|(tint, cells)| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            (tint, line.trim_end().to_owned())
        })
        .collect()
}

fn row(answer: &Answer) -> (Option<Tint>, [String; 7]) {
    let said: Value = serde_json::from_slice(&answer.said).unwrap_or_default();
    let text = |name: &str| -> String {
        let text = said.get(name).and_then(Value::as_str).unwrap_or("-");
        shown_whole(OsStr::new(text))
    };
    let processes = said.get("processes").and_then(Value::as_array);
    let memory: Option<u64> = processes.map(|processes| {
        let bytes = |process: &Value| process.get("memory_bytes").and_then(Value::as_u64);
        processes.iter().filter_map(bytes).sum()
    });
    let known = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let (tint, state) = match answer.exit {
        Exit::Done => (Tint::Green, text("state")),
        Exit::NotRunning => (Tint::Red, text("state")),
        other => (Tint::Yellow, format!("unknown ({})", other.code())),
    };
    let pid = said.get("pid").and_then(Value::as_i64);
    let cells = [
        shown(&answer.user),
        text("server"),
        state,
        known(pid.map(|pid| pid.to_string())),
        known(processes.map(|processes| processes.len().to_string())),
        known(memory.map(size)),
        text("data"),
    ];
    (Some(tint), cells)
}
