//! Exit codes (contract §6). D01: the original answers 0 to nearly everything.

use crate::support::Sandbox;

scenarios![
    of_a_servers_life,
    a_server_that_stays_is_150_and_is_remembered,
    a_crash_while_stopping_is_151,
    a_server_that_died_is_not_called_good,
    a_server_that_dies_at_once_is_1,
    disabled_is_154,
    unknown_verbs_are_2_and_name_the_nearest,
    wrong_arguments_are_2,
    help_lists_every_code,
];

/// D19.
fn of_a_servers_life() {
    let sandbox = Sandbox::new();
    sandbox.run(&["status"]).code(3);
    sandbox.run(&["status", "display"]).code(3);
    sandbox
        .run(&["stop"])
        .code(0)
        .stdout_has("not running")
        .quiet();
    sandbox.up().quiet();
    sandbox.run(&["status"]).code(0).quiet();
    sandbox.run(&["status", "display"]).code(0);
    sandbox
        .run(&["start"])
        .code(0)
        .stdout_has("already")
        .quiet();
    sandbox.run(&["restart"]).code(0).quiet();
    sandbox.wait_up();
    sandbox.down().quiet();
    sandbox.run(&["restart"]).code(0).quiet();
    sandbox.down();
}

/// D21.
fn a_server_that_stays_is_150_and_is_remembered() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox
        .run(&["stop"])
        .code(150)
        .stderr_has("force")
        .stderr_has("snapshot");
    assert!(sandbox.processes().is_empty());
    // Nothing has recovered the databases meanwhile.
    sandbox.run(&["stop"]).code(150);
    sandbox.mode("");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "20");
    sandbox.up();
    sandbox.down();
    sandbox.run(&["stop"]).code(0);
}

fn a_crash_while_stopping_is_151() {
    let sandbox = Sandbox::new();
    sandbox.mode("crash_on_stop=1\n");
    sandbox.up();
    sandbox.run(&["stop"]).code(151).stderr_has("crashed");
    let again = sandbox.run(&["stop"]);
    assert_ne!(again.code, 0, "{again}");
    assert!(sandbox.processes().is_empty());
}

/// D21.
fn a_server_that_died_is_not_called_good() {
    let sandbox = Sandbox::new();
    sandbox.up();
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    sandbox.run(&["status"]).code(3);
    let outcome = sandbox.run(&["stop"]);
    assert_eq!(
        outcome.code, 150,
        "pid.nbf lists active processes\n{outcome}"
    );
}

/// D10: the original's start answers 0.
fn a_server_that_dies_at_once_is_1() {
    for mode in ["die_after_start=0\nexit_code=7\n", "die_after_start=0.3\n"] {
        // A busy machine adds to the time until it dies.
        let sandbox = Sandbox::with(&[("DOMINO_SETTLE_SECONDS", "10")]);
        sandbox.mode(mode);
        let outcome = sandbox.run(&["start"]).code(1);
        let outcome = outcome.stderr_has("unable to continue, see the log");
        if mode.contains("exit_code") {
            outcome.stderr_has("code 7");
        }
        assert!(!sandbox.data.join("domino.pid").exists());
        sandbox.run(&["status"]).code(3);
    }
}

fn disabled_is_154() {
    let sandbox = Sandbox::new();
    let marker = sandbox.file("domino_disabled", "");
    let said = sandbox.run(&["start"]).code(154);
    said.stderr_has(marker.to_str().unwrap());
    std::fs::remove_file(marker).unwrap();
    sandbox.up();
    // A restart would leave the server down: it is refused before the stop.
    let marker = sandbox.file("domino_disabled", "");
    sandbox.run(&["restart"]).code(154);
    sandbox.run(&["status"]).code(0);
    std::fs::remove_file(marker).unwrap();
    sandbox.down();
}

fn unknown_verbs_are_2_and_name_the_nearest() {
    let sandbox = Sandbox::new();
    for (verb, nearest) in [
        ("strat", "start"),
        ("statsu", "status"),
        ("sotp", "stop"),
        ("montior", "monitor"),
    ] {
        sandbox
            .run(&[verb])
            .code(2)
            .stderr_has(format!("'{nearest}'"));
    }
    let outcome = sandbox.run(&["frobnicate"]).code(2);
    assert!(!outcome.said("did you mean"), "{outcome}");
}

/// D27.
fn wrong_arguments_are_2() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["start", "now"][..],
        &["stop", "--hard"],
        &["status", "--format", "xml"],
        &["start", "--wait=soon"],
    ] {
        let outcome = sandbox.run(arguments);
        assert_eq!(outcome.code, 2, "{outcome}");
        assert!(
            !outcome.stderr.is_empty() && outcome.stdout.is_empty(),
            "{outcome}"
        );
    }
}

fn help_lists_every_code() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).code(0).text();
    for code in [
        "0", "1", "2", "3", "4", "5", "6", "7", "150", "151", "152", "153", "154", "128+n",
    ] {
        let line = |line: &str| line.split_whitespace().next() == Some(code);
        assert!(help.lines().any(line), "{code} in {help}");
    }
    sandbox.run(&["help"]).code(0);
    sandbox.run(&["-?"]).code(0);
    sandbox.run(&["help", "stop"]).code(0).stdout_has("150");
}
