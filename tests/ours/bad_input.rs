//! Bad input: a clear error with its code, and nothing changed (D25).

use crate::support::tree::Tree;
use crate::support::{Outcome, Sandbox};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

scenarios![
    configurations,
    no_configuration,
    an_unreadable_configuration,
    unknown_user,
    no_domino_where_lotus_says,
    data_directories,
    an_unwritable_data_directory,
    unreadable_notes_ini,
    notes_ini_of_any_bytes,
    a_log_directory_that_cannot_be_made,
    pid_files_that_are_none,
];

/// Runs these verbs; each answers so, names this, and changes nothing.
fn refused(sandbox: &Sandbox, verbs: &[&str], code: i32, said: &[&str]) {
    let before = Tree::of(&sandbox.base);
    for verb in verbs {
        let outcome = sandbox.run(&[verb]);
        assert_eq!(outcome.code, code, "{verb}\n{outcome}");
        for text in said {
            assert!(
                String::from_utf8_lossy(&outcome.stderr).contains(text),
                "{verb}: no '{text}'\n{outcome}"
            );
        }
        one_error(&outcome);
        before.unchanged(&sandbox.base, verb);
    }
}

/// One line, with the program's name in front.
fn one_error(outcome: &Outcome) {
    let text = String::from_utf8_lossy(&outcome.stderr);
    assert!(text.starts_with("rc_domino: "), "{outcome}");
    assert_eq!(text.trim_end().lines().count(), 1, "{outcome}");
}

const ALL_VERBS: [&str; 4] = ["start", "stop", "restart", "status"];

fn configurations() {
    for (line, said) in [
        (
            "DOMINO_SHUTDOWN_TIMEOUT=abc",
            &[
                "rc_domino_config:8:",
                "DOMINO_SHUTDOWN_TIMEOUT",
                "abc",
                "seconds",
            ][..],
        ),
        ("DOMINO_SHUTDOWN_TIMEOUT=-5", &["rc_domino_config:8:", "-5"]),
        (
            "DOMINO_LOG_CLEAR_DAYS=many",
            &["rc_domino_config:8:", "days"],
        ),
        ("DOMINO_UMASK=9", &["rc_domino_config:8:", "octal"]),
        (
            "DOMINO_REMOTE_SETUP_PORT=70000",
            &["rc_domino_config:8:", "port"],
        ),
        ("DOMINO_SERVER=\"open", &["rc_domino_config:8:"]),
        ("if true; then", &["rc_domino_config:"]),
        ("DOMINO_SERVER=a\r", &["rc_domino_config:8:", "CR"]),
    ] {
        let mut sandbox = Sandbox::new();
        sandbox.raw(line);
        refused(&sandbox, &ALL_VERBS, 6, said);
    }
}

fn no_configuration() {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_CONFIGURED");
    refused(&sandbox, &ALL_VERBS, 6, &["DOMINO_CONFIGURED"]);
    fs::remove_file(sandbox.root.join("etc/sysconfig/rc_domino_config")).unwrap();
    refused(
        &sandbox,
        &ALL_VERBS,
        6,
        &["DOMINO_CONFIGURED", "rc_domino_config"],
    );
    // No directory for it either.
    fs::remove_dir(sandbox.root.join("etc/sysconfig")).unwrap();
    refused(&sandbox, &ALL_VERBS, 6, &["DOMINO_CONFIGURED"]);
}

fn an_unreadable_configuration() {
    let sandbox = Sandbox::new();
    let path = sandbox.root.join("etc/sysconfig/rc_domino_config");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    refused(&sandbox, &ALL_VERBS, 6, &["rc_domino_config", "ermission"]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&sandbox, &ALL_VERBS, 6, &["rc_domino_config"]);
    fs::remove_dir(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    refused(&sandbox, &ALL_VERBS, 6, &["rc_domino_config"]);
}

fn unknown_user() {
    let sandbox = Sandbox::new();
    let before = Tree::of(&sandbox.base);
    for verb in ALL_VERBS {
        let by_variable = sandbox.command(&[verb]).env("DOMINO_USER", "nobodysuch");
        by_variable.run().code(6).stderr_has("nobodysuch");
        let by_option = sandbox.command(&["--user", "x;id\n", verb]);
        by_option.run().code(6).stderr_has("x;id\\n");
    }
    before.unchanged(&sandbox.base, "an unknown user");
}

fn no_domino_where_lotus_says() {
    let verbs = ["start", "stop", "restart"];
    let mut sandbox = Sandbox::new();
    let server = sandbox.lotus.join("bin/server");
    fs::remove_file(&server).unwrap();
    refused(
        &sandbox,
        &verbs,
        5,
        &[sandbox.lotus.to_str().unwrap(), "LOTUS"],
    );
    fs::write(&server, "not executable").unwrap();
    refused(&sandbox, &verbs, 5, &[sandbox.lotus.to_str().unwrap()]);
    sandbox.set("LOTUS", "/nowhere/domino");
    refused(&sandbox, &verbs, 5, &["/nowhere/domino"]);
    // Looking is possible without an installation.
    sandbox.run(&["status"]).code(3);
}

fn data_directories() {
    let mut sandbox = Sandbox::new();
    let file = sandbox.file("a file", "");
    for path in ["/nowhere/notesdata", file.to_str().unwrap()] {
        sandbox.set("DOMINO_DATA_PATH", path);
        sandbox.set("DOMINO_PID_FILE", format!("{path}/domino.pid"));
        refused(
            &sandbox,
            &["start", "stop", "restart"],
            6,
            &[path, "DOMINO_DATA_PATH"],
        );
    }
}

fn an_unwritable_data_directory() {
    let sandbox = Sandbox::new();
    fs::set_permissions(&sandbox.data, fs::Permissions::from_mode(0o555)).unwrap();
    refused(
        &sandbox,
        &["start", "restart"],
        6,
        &[sandbox.data.to_str().unwrap(), "cannot write"],
    );
    fs::set_permissions(&sandbox.data, fs::Permissions::from_mode(0o755)).unwrap();
}

fn unreadable_notes_ini() {
    let sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    fs::set_permissions(&ini, fs::Permissions::from_mode(0o000)).unwrap();
    let before = Tree::of(&sandbox.base);
    let outcome = sandbox.run(&["start"]);
    assert!([1, 6].contains(&outcome.code), "{outcome}");
    outcome.stderr_has("notes.ini").stderr_has("ermission");
    before.unchanged(&sandbox.base, "start");
    fs::remove_file(&ini).unwrap();
    let before = Tree::of(&sandbox.base);
    let outcome = sandbox.run(&["start"]);
    assert!([1, 6].contains(&outcome.code), "{outcome}");
    outcome.stderr_has("notes.ini");
    before.unchanged(&sandbox.base, "start");
}

fn notes_ini_of_any_bytes() {
    let sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    let mut text = fs::read(&ini).unwrap();
    text.extend_from_slice(
        b"Title=\xc4rger \xff\xfe\nno equals sign\n=\nDuplicate=1\nDuplicate=2\n\0=\0\r\n",
    );
    text.extend_from_slice(&[b"Long=".as_slice(), &[b'x'; 70_000], b"\n"].concat());
    sandbox.file("notes.ini", &text);
    sandbox.up();
    sandbox.down();
    assert!(fs::read(&ini).unwrap() == text);
}

fn a_log_directory_that_cannot_be_made() {
    let mut sandbox = Sandbox::new();
    let file = sandbox.file("a file", "");
    sandbox.set("DOMINO_LOG_DIR", file.join("below"));
    let before = Tree::of(&sandbox.base);
    let outcome = sandbox.run(&["start"]);
    assert!([1, 6].contains(&outcome.code), "{outcome}");
    outcome.stderr_has(file.to_str().unwrap());
    before.unchanged(&sandbox.base, "start");
    assert!(sandbox.calls("").is_empty());
}

/// D11: the pid file is a hint, and never written through.
fn pid_files_that_are_none() {
    let sandbox = Sandbox::new();
    let pid_file = sandbox.data.join("domino.pid");
    let other = sandbox.file("victim", "precious");
    symlink(&other, &pid_file).unwrap();
    sandbox.up();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    sandbox.down();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    // Somebody else's pid: no server.
    sandbox.file("domino.pid", format!("{}\n", std::process::id()));
    sandbox.run(&["status"]).code(3);
    sandbox.run(&["stop"]).code(0);
    sandbox.up();
    // A wrong one while the server runs.
    sandbox.file("domino.pid", "1\n");
    sandbox.run(&["status"]).code(0);
    sandbox.down();
    let _ = fs::remove_file(&pid_file);
    fs::create_dir(&pid_file).unwrap();
    fs::write(pid_file.join("kept"), "x").unwrap();
    sandbox.own(&pid_file);
    sandbox.up().stderr_has("domino.pid");
    sandbox.down();
    assert!(pid_file.join("kept").exists());
}
