//! The verbs that show, check and edit the configuration.

use crate::support::Sandbox;
use crate::support::terminal::Terminal;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

scenarios![
    inivar_prints_the_whole_value,
    listini_prints_every_byte,
    listcfg_tells_where_each_value_stands,
    the_environment_survives_a_shell,
    an_edit_replaces_the_file_and_nothing_else,
    an_editor_that_fails_loses_nothing,
    a_notes_ini_that_cannot_be_read_is_not_written,
    a_file_that_changed_meanwhile_is_left_alone,
    on_a_terminal_a_bad_text_is_edited_again,
    the_configuration_is_checked_before_it_counts,
    what_is_roots_is_not_edited_by_others,
    links_and_closed_directories_are_kept,
    the_unit_is_edited_and_a_foreign_one_is_not,
    check_finds_nothing_where_nothing_is_wrong,
    check_names_file_and_line,
];

/// An editor of the site's: a script that is given the copy as `$1`.
fn editor(sandbox: &mut Sandbox, body: &str) {
    let path = sandbox.script("editor", body);
    sandbox.forget("EDIT_COMMAND");
    sandbox.set("EDIT_COMMAND", path);
    sandbox.own(&sandbox.root.join("etc/sysconfig"));
    sandbox.own(&sandbox.root.join("etc/sysconfig/rc_domino_config"));
}

/// D08, D104.
fn inivar_prints_the_whole_value() {
    let sandbox = Sandbox::new();
    let mut text = fs::read(sandbox.data.join("notes.ini")).unwrap();
    text.extend_from_slice(b"Odd=a=b = c\nBytes=\xe4\xff\nEmpty=\n");
    sandbox.file("notes.ini", text);
    assert_eq!(
        sandbox.run(&["inivar", "ODD"]).code(0).quiet().stdout,
        b"a=b = c\n"
    );
    assert_eq!(
        sandbox.run(&["inivar", "bytes"]).code(0).stdout,
        b"\xe4\xff\n"
    );
    assert_eq!(sandbox.run(&["inivar", "Empty"]).code(0).stdout, b"\n");
    assert!(sandbox.run(&["inivar", "nosuch"]).code(1).stdout.is_empty());
    sandbox.run(&["inivar"]).code(2);
    sandbox.run(&["inivar", "a", "b"]).code(2);
    fs::remove_file(sandbox.data.join("notes.ini")).unwrap();
    sandbox
        .run(&["inivar", "Directory"])
        .code(1)
        .stderr_has("notes.ini");
}

/// Bytes, not text.
fn listini_prints_every_byte() {
    let sandbox = Sandbox::new();
    sandbox.file("notes.ini", b"[Notes]\r\nA=\xff\x01\nno end");
    assert_eq!(
        sandbox.run(&["listini"]).code(0).stdout,
        b"[Notes]\r\nA=\xff\x01\nno end"
    );
}

/// Contract §3.
fn listcfg_tells_where_each_value_stands() {
    let mut sandbox = Sandbox::new();
    sandbox.raw("# a comment");
    sandbox.raw("");
    sandbox.sysconfig(
        "rc_domino_config_notes",
        b"DOMINO_LANG=de_DE.UTF-8 # why\n#DOMINO_TZ=x\n",
    );
    let own = sandbox.run(&["listcfg"]).code(0);
    assert_eq!(own.stdout, b"DOMINO_LANG=de_DE.UTF-8 # why\n");
    assert_eq!(sandbox.run(&["listcfg", "server"]).stdout, own.stdout);
    let default = sandbox.run(&["listcfg", "default"]).code(0).text();
    assert!(
        default.contains("DOMINO_CONFIGURED=") && !default.contains('#'),
        "{default}"
    );
    sandbox
        .run(&["listcfg", "/no/such"])
        .code(1)
        .stderr_has("/no/such");
    sandbox
        .run(&["listcfg", "--effective"])
        .code(0)
        .stdout_has("rc_domino_config_notes:1")
        .stdout_has("DOMINO_SNAPSHOT_MODE");
    sandbox.forget("DOMINO_SCRIPT_VERBOSE_INFO");
    let json = sandbox
        .command(&["listcfg", "--effective", "--json"])
        .env("DOMINO_TZ", "UTC")
        .env("DOMINO_SCRIPT_VERBOSE_INFO", "no")
        .run()
        .code(0);
    let list: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let entry = |name: &str| {
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(entry("DOMINO_LANG")["line"], 1);
    for name in ["DOMINO_TZ", "DOMINO_SCRIPT_VERBOSE_INFO"] {
        assert_eq!(entry(name)["source"], "environment", "{name}");
    }
    assert_eq!(entry("DOMINO_SHUTDOWN_TIMEOUT")["value"], "60");
    assert_eq!(entry("DOMINO_UMASK")["value"], serde_json::Value::Null);
    sandbox.run(&["listcfg", "--json"]).code(2);
}

/// D108.
fn the_environment_survives_a_shell() {
    let mut sandbox = Sandbox::new();
    let value = "it's $(touch hit); `touch hit` \"x\"";
    sandbox.set("DOMINO_MONITOR_FILTER_STRING", value);
    let printed = sandbox.run(&["setenv"]).code(0);
    let shell = crate::support::command::Command::new(&sandbox, "/bin/sh".into())
        .args(&[
            "-c",
            "eval \"$1\"; printf %s \"$DOMINO_MONITOR_FILTER_STRING|$LOTUS|$Notes_ExecDirectory\"",
            "sh",
        ])
        .arg(std::ffi::OsStr::new(printed.text().as_str()))
        .run()
        .code(0);
    let lotus = sandbox.lotus.display();
    assert_eq!(
        shell.text(),
        format!("{value}|{lotus}|{lotus}/notes/latest/linux")
    );
    assert!(!sandbox.base.join("hit").exists() && !sandbox.data.join("hit").exists());
}

/// D105.
fn an_edit_replaces_the_file_and_nothing_else() {
    let mut sandbox = Sandbox::new();
    editor(&mut sandbox, "printf 'New=1' >> \"$1\"");
    let ini = sandbox.data.join("notes.ini");
    fs::set_permissions(&ini, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read(&ini).unwrap();
    sandbox.run(&["ini"]).code(0).quiet().stdout_has("+ New=1");
    assert_eq!(fs::read(&ini).unwrap(), [&before[..], b"New=1\n"].concat());
    let found = fs::metadata(&ini).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o640, sandbox.ids.0));
    editor(&mut sandbox, "true");
    sandbox
        .run(&["ini"])
        .code(0)
        .stdout_has("nothing was changed");
    // While the server runs it says what that can mean.
    sandbox.up();
    sandbox.run(&["ini"]).code(0).stderr_has("is running");
    sandbox.down();
}

/// D105.
fn an_editor_that_fails_loses_nothing() {
    let mut sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    let before = fs::read(&ini).unwrap();
    editor(&mut sandbox, "echo Typed=1 >> \"$1\"; exit 3");
    let outcome = sandbox.run(&["ini"]).code(1).stderr_has("code 3");
    let copy = outcome.kept();
    assert!(fs::read_to_string(&copy).unwrap().contains("Typed=1"));
    let directory = copy.parent().unwrap();
    assert_eq!(fs::metadata(directory).unwrap().mode() & 0o777, 0o700);
    fs::remove_dir_all(directory).unwrap();
    editor(&mut sandbox, "kill -9 $$");
    sandbox.run(&["ini"]).code(1);
    editor(&mut sandbox, "rm \"$1\"");
    sandbox.run(&["ini"]).code(1);
    sandbox.forget("EDIT_COMMAND");
    sandbox.set("EDIT_COMMAND", "/no/such/editor");
    sandbox.run(&["ini"]).code(1).stderr_has("/no/such/editor");
    assert_eq!(fs::read(&ini).unwrap(), before);
}

/// D105.
fn a_notes_ini_that_cannot_be_read_is_not_written() {
    let mut sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    let before = fs::read(&ini).unwrap();
    for (body, expected) in [
        ("echo rubbish >> \"$1\"", "NAME=value"),
        ("printf 'A=\\0\\n' >> \"$1\"", "null byte"),
        ("sed -i 1d \"$1\"", "[Notes]"),
        ("sed -i /KeyFilename/d \"$1\"", "KeyFilename"),
        (": > \"$1\"", "[Notes]"),
    ] {
        editor(&mut sandbox, body);
        let outcome = sandbox.run(&["ini"]).code(1).stderr_has(expected);
        fs::remove_dir_all(outcome.kept().parent().unwrap()).unwrap();
        assert_eq!(fs::read(&ini).unwrap(), before, "{body}");
    }
}

/// D105.
fn a_file_that_changed_meanwhile_is_left_alone() {
    let mut sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    let name = ini.display().to_string();
    editor(
        &mut sandbox,
        &format!("echo Mine=1 >> \"$1\"; echo Theirs=1 >> '{name}'"),
    );
    let outcome = sandbox.run(&["ini"]).code(1).stderr_has("meanwhile");
    let text = fs::read_to_string(&ini).unwrap();
    assert!(
        text.contains("Theirs=1") && !text.contains("Mine=1"),
        "{text}"
    );
    let copy = outcome.kept();
    assert!(fs::read_to_string(&copy).unwrap().contains("Mine=1"));
    fs::remove_dir_all(copy.parent().unwrap()).unwrap();
}

/// D105.
fn on_a_terminal_a_bad_text_is_edited_again() {
    let mut sandbox = Sandbox::new();
    let body = "grep -q BAD \"$1\" && { sed -i s/BAD/Good=1/ \"$1\"; exit; }; echo BAD >> \"$1\"";
    editor(&mut sandbox, body);
    let mut terminal = Terminal::start(sandbox.command(&["ini"]), sandbox.entry());
    terminal.wait_for("Edit it again?");
    terminal.type_in("y\n");
    assert_eq!(terminal.code(), Some(0));
    let text = fs::read_to_string(sandbox.data.join("notes.ini")).unwrap();
    assert!(
        text.ends_with("Good=1\n") && !text.contains("BAD"),
        "{text}"
    );
    // Leaving the question by Ctrl-C loses nothing either.
    editor(&mut sandbox, "echo BAD >> \"$1\"");
    let command = sandbox.command(&["ini"]).env("TMPDIR", &sandbox.data);
    let mut terminal = Terminal::start(command, sandbox.entry());
    terminal.wait_for("Edit it again?");
    terminal.type_in("\x03");
    terminal.wait_for("your text is kept in");
    assert_eq!(terminal.code(), Some(130));
    let name = "rc_domino-edit.";
    let left = crate::support::hooks::files(&sandbox.data, name, "");
    let copy = fs::read_to_string(left[0].join("notes.ini")).unwrap();
    assert!(copy.ends_with("BAD\n"), "{copy}");
}

/// D105.
fn the_configuration_is_checked_before_it_counts() {
    let mut sandbox = Sandbox::new();
    let config = sandbox.root.join("etc/sysconfig/rc_domino_config");
    for (line, expected) in [
        ("B=\"open", "quote"),
        ("if true; then", "syntax error"),
        ("DOMINO_LOG_CLEAR_DAYS=7d", "whole number of days"),
        ("A=1\\r", "CR LF"),
    ] {
        editor(&mut sandbox, &format!("printf '{line}\\n' >> \"$1\""));
        let before = fs::read(&config).unwrap();
        let outcome = sandbox.run(&["config"]).code(1).stderr_has(expected);
        assert!(
            outcome.said("rc_domino_config:"),
            "no line named\n{outcome}"
        );
        fs::remove_dir_all(outcome.kept().parent().unwrap()).unwrap();
        assert_eq!(fs::read(&config).unwrap(), before, "{line}");
    }
    // What works, but hardly as meant, is said and written.
    editor(
        &mut sandbox,
        "printf 'DOMINO_LOGDIR=/x\\nA=$(exit 1)\\n' >> \"$1\"",
    );
    sandbox
        .run(&["cfg", "default"])
        .code(0)
        .stderr_has("DOMINO_LOG_DIR");
    assert!(
        fs::read_to_string(&config)
            .unwrap()
            .contains("DOMINO_LOGDIR=/x")
    );
    sandbox.run(&["config", "nosuchfile"]).code(2);
}

/// D105, D106.
fn links_and_closed_directories_are_kept() {
    let mut sandbox = Sandbox::new();
    editor(&mut sandbox, "echo 'DOMINO_TZ=UTC' >> \"$1\"");
    let real = sandbox.directory("real").join("config");
    fs::write(&real, "DOMINO_LANG=C\n").unwrap();
    sandbox.own(&real);
    let link = sandbox.root.join("etc/sysconfig/rc_domino_config_notes");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    sandbox.run(&["config", "server"]).code(0);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(
        fs::read_to_string(&real).unwrap(),
        "DOMINO_LANG=C\nDOMINO_TZ=UTC\n"
    );
    // A file in a directory that takes no new ones is written in place.
    let directory = real.parent().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
    sandbox
        .run(&["config", "server"])
        .code(0)
        .stdout_has("in place");
    assert_eq!(fs::read_to_string(&real).unwrap().lines().count(), 3);
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// D105.
fn what_is_roots_is_not_edited_by_others() {
    let sandbox = Sandbox::new();
    let config = sandbox.root.join("etc/sysconfig/rc_domino_config");
    // As an ordinary user the file cannot be made root's, but closed.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o444)).unwrap();
    let outcome = sandbox
        .command(&["config", "default"])
        .env("EDITOR", "/bin/false")
        .env("DOMINO_NO_SUDO", "1")
        .run();
    outcome.code(4).stderr_has("for root to edit");
}

pub(super) fn unit(sandbox: &Sandbox, text: &str) -> PathBuf {
    let directory = sandbox.root.join("etc/systemd/system");
    fs::create_dir_all(&directory).unwrap();
    sandbox.own(&directory);
    let path = directory.join("domino.service");
    fs::write(&path, text).unwrap();
    sandbox.own(&path);
    path
}

/// D107.
fn the_unit_is_edited_and_a_foreign_one_is_not() {
    let mut sandbox = Sandbox::new();
    let editing = sandbox.script("editor", "echo 'TimeoutStopSec=700' >> \"$1\"");
    let run = |sandbox: &Sandbox| {
        sandbox
            .command(&["systemdcfg"])
            .env("EDITOR", &editing)
            .run()
    };
    run(&sandbox).code(5).stderr_has("domino.service");
    let path = unit(&sandbox, "[Service]\nUser=notes\n");
    run(&sandbox).code(0);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "[Service]\nUser=notes\nTimeoutStopSec=700\n"
    );
    let path = unit(&sandbox, "[Service]\nUser=oracle\n");
    run(&sandbox).code(6).stderr_has("oracle");
    assert!(!fs::read_to_string(&path).unwrap().contains("Timeout"));
    // What a package brought stays, a drop-in is made beside it.
    fs::remove_file(&path).unwrap();
    let packaged = sandbox.root.join("usr/lib/systemd/system");
    fs::create_dir_all(&packaged).unwrap();
    let packaged = packaged.join("domino.service");
    fs::write(&packaged, "[Service]\nUser=notes\n").unwrap();
    // Nothing stays of an edit that came to nothing.
    let made = path.with_file_name("domino.service.d");
    for (body, code) in [("true", 0), ("false", 1)] {
        let editing = sandbox.script("editor", body);
        sandbox
            .command(&["systemdcfg"])
            .env("EDITOR", &editing)
            .run()
            .code(code);
        assert!(!made.exists());
    }
    let editing = sandbox.script("editor", "printf '[Service]\nTimeoutStopSec=9\n' > \"$1\"");
    sandbox
        .command(&["systemdcfg"])
        .env("EDITOR", &editing)
        .run()
        .code(0);
    let drop_in = path
        .with_file_name("domino.service.d")
        .join("override.conf");
    assert!(
        fs::read_to_string(drop_in)
            .unwrap()
            .contains("TimeoutStopSec=9")
    );
    assert!(!fs::read_to_string(&packaged).unwrap().contains("Timeout"));
    let editing = sandbox.script("editor", "echo nonsense >> \"$1\"");
    let outcome = sandbox
        .command(&["systemdcfg"])
        .env("EDITOR", &editing)
        .run()
        .code(1);
    fs::remove_dir_all(outcome.kept().parent().unwrap()).unwrap();
    sandbox.set("DOMINO_SYSTEMD_NAME", "../../passwd");
    run(&sandbox).code(6);
}

/// A sandbox with which nothing is wrong.
pub(super) fn sound() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_SHUTDOWN_TIMEOUT");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "600");
    sandbox
}

/// D109.
fn check_finds_nothing_where_nothing_is_wrong() {
    let sandbox = sound();
    sandbox.run(&["check"]).code(0).quiet();
    let json = sandbox.run(&["check", "--json"]).code(0);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["findings"].as_array().unwrap().len(), 0);
}

/// D109.
fn check_names_file_and_line() {
    let mut sandbox = sound();
    let script = sandbox.script("hook", "true");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let number = |sandbox: &Sandbox| {
        let text = fs::read_to_string(sandbox.root.join("etc/sysconfig/rc_domino_config"));
        text.unwrap().lines().count()
    };
    let cases = [
        ("DOMINO_SHUTDWN_TIMEOUT=1", "is no setting"),
        ("DOMINO_RESET_LOADMON=ja", "yes or no"),
        (
            "DOMINO_TIKA_SHUTDOWN_TERM_SECONDS=10m",
            "DOMINO_SHUTDOWN_TIMEOUT",
        ),
        ("DOMINO_PRE_SHUTDOWN_DELAY=5", "DOMINO_PRE_SHUTDOWN_COMMAND"),
        ("DOMINO_MONITOR_FILTER_STRING='('", "no pattern"),
        ("DOMINO_SNAPSHOT_MODE=sometimes", "stop, online or auto"),
        ("DOMINO_CUSTOM_COMMAND_BASEPATH=/no/such", "no directory"),
    ];
    for (line, expected) in cases {
        sandbox.raw(line);
        let place = format!("rc_domino_config:{}: ", number(&sandbox));
        let outcome = sandbox.run(&["check"]).code(1).stdout_has(expected);
        assert!(outcome.said(&place), "{line}: no {place}\n{outcome}");
        let name = line.split('=').next().unwrap();
        sandbox.forget(name);
    }
    for (name, value, expected) in [
        (
            "DOMINO_PRE_STARTUP_SCRIPT",
            script.to_str().unwrap(),
            "not executable",
        ),
        (
            "DOMINO_POST_STARTUP_SCRIPT",
            "/no/such/script",
            "/no/such/script",
        ),
        ("DOMINO_POST_KILL_SCRIPT", "/etc", "directory"),
    ] {
        sandbox.set(name, value);
        sandbox
            .run(&["check"])
            .code(1)
            .stdout_has(name)
            .stdout_has(expected);
        sandbox.forget(name);
    }
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.set("DOMINO_PRE_KILL_SCRIPT", &script);
    sandbox.run(&["check"]).code(0);
    sandbox.set("EXECUTE_SCRIPT_CHECK_OWNER", "root");
    sandbox
        .run(&["check"])
        .code(1)
        .stdout_has("belongs to 'notes'");
    sandbox.forget("EXECUTE_SCRIPT_CHECK_OWNER");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["check"]).code(1).stdout_has("other users");
    sandbox.forget("DOMINO_PRE_KILL_SCRIPT");
    // What makes every other verb fail is a finding here, every one of them.
    sandbox.raw("DOMINO_LOG_CLEAR_DAYS=7d");
    sandbox.raw("DOMINO_LOG_BACKUP_CLEAR_DAYS=x");
    let json = sandbox.run(&["check", "--json"]).code(1);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let errors = found["findings"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{found}");
    assert!(errors.iter().all(|error| error["level"] == "error"));
    assert_eq!(errors[0]["line"], number(&sandbox) - 1);
    sandbox.raw("X='open");
    sandbox.run(&["check"]).code(1).stdout_has("quote");
}
