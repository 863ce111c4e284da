//! Is the recovery from the transaction log over?

use super::super::partition::Partition;
use super::super::processes::DominoProcess;
use super::super::server_log::{ServerLog, contains};
use super::Check;
use crate::error::shown;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

const NAME: &str = "recovery";

/// How Domino says that it reads the log, applies it, and is done.
const BEGUN: [&[u8]; 2] = [b"Restart Analysis", b"Restart Recovery"];
const DONE: &[u8] = b"Restart Recovery complete";

/// What a console log tells of it.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Done(String),
    Going(String),
    Nothing,
}

/// By the console log since the server's start. The log may have been set aside
/// since: a server that has `opened` its port is past the recovery.
pub fn check(partition: &Partition, server: Option<&DominoProcess>, opened: bool) -> Check {
    let ini = match partition.notes_ini() {
        Ok(ini) => ini,
        Err(error) => {
            return Check::unknown(
                NAME,
                format!("whether there is a transaction log is not known: {error}"),
                "make notes.ini readable",
            );
        }
    };
    if !ini.flag("TRANSLOG_Status") {
        return Check::ok(NAME, "transaction logging is off (TRANSLOG_Status)");
    }
    if server.is_none() {
        return Check::without_server(NAME);
    }
    let log = ServerLog::shown(partition);
    // A start stands at the log's beginning; one past it, at its end.
    let text = [log.beginning(), log.since(0)].concat();
    match told(&text) {
        Told::Done(line) => Check::ok(NAME, line),
        Told::Going(line) => Check::failed(
            NAME,
            format!("it goes on: {line}"),
            "wait for its end, with --wait=SECONDS; the console log shows how far it is",
        ),
        Told::Nothing if opened => Check::ok(
            NAME,
            "the console log does not show it, but the server has opened its port, which comes after it",
        ),
        Told::Nothing => Check::unknown(
            NAME,
            format!("{} does not tell of it", log.path().display()),
            "wait until the server has opened its port, with --wait=SECONDS",
        ),
    }
}

/// The last word on it; every start adds some.
fn told(log: &[u8]) -> Told {
    let mut told = Told::Nothing;
    for line in log.split(|byte| *byte == b'\n') {
        if contains(line, DONE) {
            told = Told::Done(without_stamp(line));
        } else if BEGUN.iter().any(|text| contains(line, text)) {
            told = Told::Going(without_stamp(line));
        }
    }
    told
}

/// A console line without process and time: those end with two blanks.
fn without_stamp(line: &[u8]) -> String {
    let start = line
        .windows(2)
        .position(|pair| pair == b"  ")
        .map_or(0, |at| at + 2);
    shown(OsStr::from_bytes(
        line.get(start..).unwrap_or(line).trim_ascii(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let analysis = "[01:02-7F] 11/22/2026 05:00:00 PM  Restart Analysis (0 MB): 100%\n";
        let applied =
            "[01:02-7F] 11/22/2026 05:00:01 PM  Recovery Manager: Restart Recovery (2 MB): 40%\r\n";
        let done = "[01:02-7F] 11/22/2026 05:00:02 PM  Recovery Manager: Restart Recovery complete. (0/0 databases needed full/partial recovery)\n";
        let of = |parts: &[&str]| told(parts.concat().as_bytes());
        assert_eq!(of(&["x\n"]), Told::Nothing);
        assert_eq!(
            of(&[analysis]),
            Told::Going("Restart Analysis (0 MB): 100%".into())
        );
        assert!(matches!(of(&[analysis, applied]), Told::Going(line) if line.ends_with("40%")));
        assert!(matches!(
            of(&[analysis, applied, done, "x\n"]),
            Told::Done(_)
        ));
        assert!(matches!(
            of(&[analysis, done, "y\n", analysis]),
            Told::Going(_)
        ));
    }
}
