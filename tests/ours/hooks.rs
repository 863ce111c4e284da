//! Hooks: their output is kept, their failure is said, their time is limited
//! (D16).

use crate::support::Sandbox;
use std::fs;

scenarios![
    output_is_shown_and_kept,
    failure_is_said,
    a_hanging_hook_is_ended,
    a_hook_that_leaves_a_process_behind,
    a_hook_with_arguments,
    a_hook_may_call_us,
];

fn output_is_shown_and_kept() {
    let mut sandbox = Sandbox::new();
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "echo to stdout; echo to stderr >&2; printf 'no end'",
    );
    let outcome = sandbox.up();
    for text in ["to stdout", "to stderr", "no end"] {
        assert!(outcome.said(text), "{text}\n{outcome}");
        assert!(sandbox.console().contains(text), "{text} in the log");
    }
    sandbox.down();
}

fn failure_is_said() {
    let mut sandbox = Sandbox::new();
    let hook = sandbox.hook("DOMINO_PRE_SHUTDOWN_SCRIPT", "exit 42");
    sandbox.up();
    let outcome = sandbox.down();
    outcome.stderr_has(hook.to_str().unwrap()).stderr_has("42");
}

fn a_hanging_hook_is_ended() {
    let mut sandbox = Sandbox::with(&[("DOMINO_HOOK_TIMEOUT", "1")]);
    let hook = sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "echo waiting; sleep 300 & sleep 300",
    );
    let outcome = sandbox.up();
    assert!(
        (1_000..30_000).contains(&outcome.took.as_millis()),
        "{outcome}"
    );
    outcome
        .stderr_has(hook.to_str().unwrap())
        .stderr_has("DOMINO_HOOK_TIMEOUT");
    sandbox.down();
}

/// It holds the output open: nobody waits for it.
fn a_hook_that_leaves_a_process_behind() {
    let mut sandbox = Sandbox::with(&[("DOMINO_HOOK_TIMEOUT", "60")]);
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", "sleep 90 & echo done");
    let outcome = sandbox.up();
    assert!(outcome.took.as_secs() < 30, "{outcome}");
    outcome.says("done");
    let outcome = sandbox.down();
    assert!(outcome.took.as_secs() < 30, "{outcome}");
    for pid in crate::support::server::processes_of(sandbox.ids.0) {
        if fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x0090\0") {
            crate::standin::processes::kill_and_wait(&[pid]);
        }
    }
}

fn a_hook_with_arguments() {
    let mut sandbox = Sandbox::new();
    let hook = sandbox.script("with_args", "for word; do echo \"[$word]\"; done");
    sandbox.set(
        "DOMINO_PRE_STARTUP_SCRIPT",
        format!("{} one 'two words'", hook.display()),
    );
    sandbox.up().says("[one]").says("[two words]");
    sandbox.down();
}

/// As sites do: a hook asks for the status while a start or stop goes on.
fn a_hook_may_call_us() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", "rc_domino_script status");
    sandbox.hook("DOMINO_POST_SHUTDOWN_SCRIPT", "rc_domino_script status");
    sandbox.up().stdout_has("Domino Server is running (notes)");
    sandbox
        .down()
        .stdout_has("Domino Server is NOT running (notes)");
}
