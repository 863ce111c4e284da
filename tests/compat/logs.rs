//! Logs shown, archived and cleared on demand, and console commands.

use crate::support::hooks::files;
use crate::support::{Sandbox, age, wait_until};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

scenarios![
    lastlog_shows_the_end,
    lastlog_takes_dominos_own_log_where_there_is_no_other,
    log_opens_a_program,
    logstatus_names_what_compacts,
    a_command_reaches_the_server,
    archivelog_of_a_running_server,
    archivelog_of_a_stopped_server,
    clearlog_goes_by_its_arguments,
    a_script_clears_instead,
    debuglog_opens_its_file,
    resetstlogs_removes_traces,
];

fn lastlog_shows_the_end() {
    let sandbox = Sandbox::new();
    let lines: String = (1..=250)
        .map(|number| format!("line {number}.\n"))
        .collect();
    sandbox.file("notes.log", lines);
    let outcome = sandbox.run(&["lastlog"]).code(0).stdout_has("line 151.");
    assert!(!outcome.said("line 150."), "{outcome}");
    let outcome = sandbox
        .run(&["lastlog", "3"])
        .code(0)
        .stdout_has("line 248.");
    assert!(!outcome.said("line 247."), "{outcome}");
}

fn lastlog_takes_dominos_own_log_where_there_is_no_other() {
    let sandbox = Sandbox::new();
    sandbox.directory("data/IBM_TECHNICAL_SUPPORT");
    sandbox.file("IBM_TECHNICAL_SUPPORT/console.log", "from console.log\n");
    sandbox.run(&["lastlog"]).stdout_has("from console.log");
}

fn log_opens_a_program() {
    let mut sandbox = Sandbox::new();
    sandbox.file("notes.log", "first\nsecond\nthird\n");
    let outcome = sandbox
        .run(&["log", "tail", "-n", "2"])
        .stdout_has("second\nthird");
    assert!(!outcome.said("first"), "{outcome}");
    sandbox.set("SHOW_LOG_COMMAND", "head -n 1");
    let outcome = sandbox.run(&["log"]).stdout_has("first");
    assert!(!outcome.said("second"), "{outcome}");
}

fn logstatus_names_what_compacts() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_COMPACT_TASK", "dbmt"),
        ("DOMINO_COMPACT_OPTIONS", "-C names.nsf"),
        ("DOMINO_LOG_COMPACT_OPTIONS", "-C log.nsf"),
    ]);
    let outcome = sandbox.run(&["logstatus"]).code(0);
    for text in ["dbmt", "-C names.nsf", "-C log.nsf"] {
        assert!(outcome.said(text), "{text}\n{outcome}");
    }
}

fn a_command_reaches_the_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox
        .run(&["cmd", "show  server 'x' $HOME *", "50"])
        .code(0)
        .stdout_has("> show  server 'x' $HOME *");
    let sent = sandbox.calls("server").into_iter().any(|call| {
        call.args() == ["-c", "show  server 'x' $HOME *"] && call.cwd == sandbox.data.as_os_str()
    });
    assert!(sent);
    sandbox.down();
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The one archive there is; its name has the tag.
fn archive(sandbox: &Sandbox, tag: &str) -> PathBuf {
    let found = files(&sandbox.data, "notes_", ".log.gz");
    assert_eq!(found.len(), 1, "{found:?}");
    let name = found[0].file_name().unwrap().to_str().unwrap();
    let shape = name.replace(|c: char| c.is_ascii_digit(), "9");
    assert_eq!(shape, format!("notes_999999_999999{tag}.log.gz"));
    found[0].clone()
}

fn archivelog_of_a_running_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let before = sandbox.console();
    sandbox.run(&["archivelog", "tag"]).code(0);
    assert_eq!(unpacked(&archive(&sandbox, "_tag")), before);
    assert!(!sandbox.console().contains(&before));
    // The server goes on in the same file.
    sandbox.down();
    wait_until("the shutdown is in the log", || {
        sandbox.console().contains("Server shutdown complete")
    });
}

fn archivelog_of_a_stopped_server() {
    let sandbox = Sandbox::new();
    let old = "what was said\n".repeat(20_000);
    sandbox.file("notes.log", &old);
    sandbox.run(&["archivelog"]).code(0);
    assert!(unpacked(&archive(&sandbox, "")) == old);
    assert!(!sandbox.console().contains("what was said"));
    assert_eq!(files(&sandbox.data, "notes_", "").len(), 1);
}

fn clearlog_goes_by_its_arguments() {
    let mut sandbox = Sandbox::with(&[("DOMINO_LOG_BACKUP_CLEAR_DAYS", "1")]);
    let (logs, custom) = (sandbox.directory("logs"), sandbox.directory("custom"));
    sandbox.set("DOMINO_LOG_PATH", &logs);
    sandbox.set("DOMINO_CUSTOM_LOG_CLEAR_PATH", &custom);
    sandbox.directory("data/IBM_TECHNICAL_SUPPORT");
    sandbox.directory("data/IBM_TECHNICAL_SUPPORT/sub");
    let places = [
        (logs, 30),
        (custom, 30),
        (sandbox.data.join("IBM_TECHNICAL_SUPPORT/sub"), 30),
        (sandbox.data.clone(), 90),
    ];
    let mut expected = Vec::new();
    for (directory, days) in &places {
        for (old, stays) in [(days + 1, false), (*days, true)] {
            let file = directory.join(format!("notes_2001{old:02}_000000.log.gz"));
            fs::write(&file, "x").unwrap();
            sandbox.own(&file);
            age(&file, old);
            expected.push((file, stays));
        }
    }
    sandbox.run(&["clearlog", "30", "90"]).code(0);
    for (file, stays) in &expected {
        assert_eq!(file.exists(), *stays, "{}", file.display());
    }
}

fn a_script_clears_instead() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_CUSTOM_LOG_CLEAR_SCRIPT", "");
    let file = sandbox.file("notes_200101_000000.log.gz", "x");
    age(&file, 99);
    sandbox.run(&["clearlog", "1", "1"]).code(0);
    assert!(file.exists());
    assert_eq!(sandbox.hooks_run(), ["DOMINO_CUSTOM_LOG_CLEAR_SCRIPT"]);
}

fn debuglog_opens_its_file() {
    let mut sandbox = Sandbox::new();
    sandbox.run(&["debuglog", "cat"]).code(0);
    let file = sandbox.file("debug.txt", "what was done\n");
    sandbox.set("DOMINO_DEBUG_FILE", &file);
    sandbox
        .run(&["debuglog", "cat"])
        .code(0)
        .stdout_has("what was done");
    sandbox.set("EDIT_COMMAND", "tail");
    sandbox
        .run(&["debuglog"])
        .code(0)
        .stdout_has("what was done");
}

fn resetstlogs_removes_traces() {
    let sandbox = Sandbox::new();
    sandbox.run(&["resetstlogs"]).code(0);
    for directory in ["data/trace", "data/trace/deep"] {
        sandbox.directory(directory);
    }
    let gone = ["a.diag", "b.lck", "c.txt", "deep/d.log"]
        .map(|name| sandbox.file(format!("trace/{name}"), "x"));
    let stays = sandbox.file("trace/e.cfg", "x");
    let log = sandbox.file("sametime.log", "what Sametime said");
    sandbox.run(&["resetstlogs"]).code(0);
    assert!(gone.iter().all(|file| !file.exists()) && stays.exists());
    assert_eq!(fs::read_to_string(log).unwrap().trim(), "");
}
