//! compact and fixup: options, exit codes, and when they are refused.

use crate::support::{Sandbox, wait_until};

scenarios![
    options_are_split_as_a_shell_splits_the_setting,
    the_exit_code_of_the_tool_is_kept,
    refused_while_the_server_runs,
    nothing_to_do_is_said,
    a_restart_ends_with_a_running_server,
    a_restart_that_is_interrupted_says_that_the_server_is_down,
    a_compact_that_dies_with_its_caller_is_remembered,
    progress_is_told_in_lines,
    the_compact_at_the_next_start_is_switched,
];

/// D102.
fn options_are_split_as_a_shell_splits_the_setting() {
    let sandbox = Sandbox::with(&[(
        "DOMINO_FIXUP_OPTIONS",
        "-f 'my mail.nsf' \"a b\".nsf $HOME *",
    )]);
    let cases: [(&[&str], &[&str]); 3] = [
        (&[], &["-f", "my mail.nsf", "a b.nsf", "$HOME", "*"]),
        (
            &["-j 'one argument.nsf' -v; id"],
            &["-j", "one argument.nsf", "-v;", "id"],
        ),
        (
            &["-j", "several arguments.nsf", "it's"],
            &["-j", "several arguments.nsf", "it's"],
        ),
    ];
    for (given, expected) in cases {
        sandbox.reset();
        sandbox.command(&["fixup"]).args(given).run().code(0);
        let calls = sandbox.calls("fixup");
        assert_eq!(calls.len(), 1, "{given:?}");
        assert_eq!(calls[0].args(), expected, "{given:?}");
    }
    sandbox.reset();
    sandbox
        .run(&["fixup", "-f 'open"])
        .code(2)
        .stderr_has("quote");
    assert!(sandbox.calls("").is_empty());
}

/// D100.
fn the_exit_code_of_the_tool_is_kept() {
    let sandbox = Sandbox::with(&[("DOMINO_COMPACT_OPTIONS", "-C")]);
    sandbox.mode("compact_exit=7\nfixup_exit=9\n");
    sandbox.run(&["compact"]).code(7).stderr_has("code 7");
    sandbox.run(&["fixup", "-f"]).code(9);
    sandbox.run(&["restartcompact"]).code(7);
    assert_eq!(sandbox.run(&["status"]).code, 0);
    sandbox.down();
}

/// D100.
fn refused_while_the_server_runs() {
    let sandbox = Sandbox::with(&[("DOMINO_COMPACT_OPTIONS", "-C")]);
    sandbox.up();
    sandbox.run(&["compact"]).code(1).stderr_has("is running");
    sandbox
        .run(&["fixup", "-f"])
        .code(1)
        .stderr_has("is running");
    assert!(sandbox.calls("compact").is_empty() && sandbox.calls("fixup").is_empty());
    sandbox.down();
}

/// D101.
fn nothing_to_do_is_said() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["compact"])
        .code(6)
        .stderr_has("DOMINO_COMPACT_OPTIONS");
    sandbox
        .run(&["fixup"])
        .code(6)
        .stderr_has("DOMINO_FIXUP_OPTIONS");
    assert!(sandbox.calls("").is_empty());
    sandbox
        .run(&["restartfixup"])
        .code(6)
        .stderr_has("DOMINO_FIXUP_OPTIONS");
    assert_eq!(sandbox.run(&["status"]).code, 0);
    sandbox.down();
}

/// D103.
fn a_restart_ends_with_a_running_server() {
    let mut sandbox = Sandbox::with(&[("DOMINO_COMPACT_TASK", "nosuchtask")]);
    sandbox.up();
    sandbox
        .run(&["restartcompact", "-C"])
        .code(1)
        .stderr_has("nosuchtask");
    assert_eq!(sandbox.launches().len(), 2);
    assert_eq!(sandbox.run(&["status"]).code, 0);
    sandbox.forget("DOMINO_COMPACT_TASK");
    sandbox.run(&["restartcompact", "-C names.nsf"]).code(0);
    let events = sandbox.events();
    let tail: Vec<&str> = events.iter().rev().take(3).map(String::as_str).collect();
    assert_eq!(tail, ["server", "compact -C names.nsf", "server -q"]);
    sandbox.down();
}

/// D103.
fn a_restart_that_is_interrupted_says_that_the_server_is_down() {
    let sandbox = Sandbox::with(&[("DOMINO_COMPACT_OPTIONS", "-C")]);
    sandbox.up();
    sandbox.mode("compact_delay=60\n");
    let restart = sandbox.command(&["restartcompact"]).spawn();
    wait_until("compact runs", || !sandbox.calls("compact").is_empty());
    restart.signal(libc::SIGTERM);
    restart.outcome().code(143).stderr_has("the server is down");
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.run(&["status"]).code(3);
    // What the tool had open is not whole before a server has opened it.
    sandbox
        .run(&["stop"])
        .code(150)
        .stderr_has("compact was ended before it was done");
    sandbox.mode("");
    sandbox.up();
    sandbox.down();
    sandbox.run(&["stop"]).code(0);
}

/// As when power fails: nobody lives to write down how it ended.
fn a_compact_that_dies_with_its_caller_is_remembered() {
    let sandbox = Sandbox::new();
    sandbox.mode("compact_delay=60\n");
    let compact = sandbox.command(&["compact", "-C"]).spawn();
    wait_until("compact runs", || !sandbox.calls("compact").is_empty());
    compact.signal(libc::SIGKILL);
    compact.outcome();
    sandbox.kill();
    sandbox
        .run(&["stop"])
        .code(150)
        .stderr_has("compact was ended before it was done");
    sandbox.mode("");
    // One that ends well tells nothing of the one before.
    sandbox.run(&["compact", "-C"]).code(0);
    sandbox.run(&["stop"]).code(150);
    sandbox.up();
    sandbox.down();
    sandbox.run(&["compact", "-C"]).code(0);
    sandbox.run(&["stop"]).code(0);
}

/// A line every ten seconds where no terminal shows it.
fn progress_is_told_in_lines() {
    let sandbox = Sandbox::with(&[("DOMINO_COMPACT_OPTIONS", "-C names.nsf log.nsf")]);
    sandbox.file("log.nsf", "");
    sandbox.mode("compact_delay=14\n");
    let outcome = sandbox.command(&["compact"]).run().code(0);
    // After ten seconds, and at its end.
    let text = outcome.text();
    let told = text
        .lines()
        .filter(|line| line.starts_with("compact: 2 databases done, 0:1"));
    assert_eq!(told.count(), 2, "{outcome}");
}

/// D110.
fn the_compact_at_the_next_start_is_switched() {
    let sandbox = Sandbox::with(&[("DOMINO_COMPACT_OPTIONS", "-C names.nsf")]);
    let marker = sandbox.data.join("domino_nextstartcompact");
    sandbox.run(&["compactnextstart"]).code(0).stdout_has("OFF");
    sandbox
        .run(&["compactnextstart", "on"])
        .code(0)
        .stdout_has("compact -C names.nsf");
    assert!(marker.exists());
    sandbox
        .run(&["compactnextstart", "on"])
        .code(0)
        .stdout_has("ON");
    sandbox
        .run(&["compactnextstart", "status"])
        .code(0)
        .stdout_has("ON");
    sandbox.run(&["compactnextstart", "perhaps"]).code(2);
    sandbox
        .run(&["compactnextstart", "off"])
        .code(0)
        .stdout_has("OFF");
    assert!(!marker.exists());
    sandbox.run(&["compactnextstart", "off"]).code(0);
    // A link there is neither followed nor written through.
    let elsewhere = sandbox.base.join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &marker).unwrap();
    sandbox.run(&["compactnextstart", "on"]);
    assert!(!elsewhere.exists());
    sandbox.run(&["compactnextstart", "off"]).code(0);
    assert!(marker.symlink_metadata().is_err());
}
