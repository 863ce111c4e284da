//! Stopping: what the server is told, and what happens when it does not go.

use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    the_server_is_told_to_quit,
    a_stopped_server_is_left_alone,
    quit_stops_the_server,
    commands_before_the_shutdown,
    a_server_that_stays_is_killed,
    nsd_before_the_kill,
    nsd_in_the_posix_locale,
    the_delayed_script_runs_once,
    tika_is_ended_after_its_seconds,
    a_crash_is_told,
];

fn the_server_is_told_to_quit() {
    let sandbox = Sandbox::new();
    sandbox.mode("shutdown_delay=1\nwrite_pages=64\n");
    sandbox.up();
    sandbox.down();
    assert!(sandbox.processes().is_empty());
    assert!(sandbox.calls("nsd").is_empty());
    let quits: Vec<_> = sandbox
        .calls("server")
        .into_iter()
        .filter(|call| call.args() == ["-q"])
        .collect();
    assert_eq!(quits.len(), 1);
    assert_eq!(quits[0].cwd, sandbox.data.as_os_str());
    assert_eq!(quits[0].fds[&1], sandbox.log().as_os_str());
    assert!(sandbox.console().contains("Server shutdown complete"));
    assert!(!sandbox.data.join("domino.pid").exists());
    assert_eq!(
        crate::standin::check_pages(&sandbox.data.join("pages.nsf")),
        Ok(64)
    );
    assert_eq!(crate::standin::ipc_left(&sandbox.data), 0);
}

fn a_stopped_server_is_left_alone() {
    let mut sandbox = Sandbox::new();
    for hook in ["PRE_SHUTDOWN", "POST_SHUTDOWN"] {
        sandbox.hook(&format!("DOMINO_{hook}_SCRIPT"), "");
    }
    sandbox.file("notes.log", "");
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.calls("").is_empty());
    assert!(sandbox.hooks_run().is_empty());
}

fn quit_stops_the_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["quit"]).code(0);
    assert!(sandbox.servers().is_empty());
}

fn commands_before_the_shutdown() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_BROADCAST_SHUTDOWN_MESSAGE", "yes"),
        ("DOMINO_PRE_SHUTDOWN_COMMAND", "tell router 'quit'; $HOME *"),
        ("DOMINO_PRE_SHUTDOWN_DELAY", "1"),
    ]);
    sandbox.up();
    sandbox.down();
    let calls: Vec<_> = sandbox.calls("server").into_iter().skip(1).collect();
    let arguments: Vec<_> = calls.iter().map(|call| call.args()).collect();
    assert_eq!(
        arguments,
        [
            vec!["-c", " BROADCAST \"(!) Domino Server will be stopped now\""],
            vec!["-c", "tell router 'quit'; $HOME *"],
            vec!["-q"],
        ]
    );
    assert!(calls[2].at_ms - calls[1].at_ms >= 900);
}

/// The kinds of events at the end of a stop that needs force.
fn forced(sandbox: &mut Sandbox) -> Vec<String> {
    for hook in ["PRE_KILL", "POST_KILL"] {
        sandbox.hook(&format!("DOMINO_{hook}_SCRIPT"), "");
    }
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "2");
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    let outcome = sandbox.run(&["stop"]);
    assert!(outcome.took.as_millis() >= 2_000, "{outcome}");
    assert!(sandbox.processes().is_empty());
    let events = sandbox.events();
    let quit = events
        .iter()
        .position(|event| event == "server -q")
        .unwrap();
    events[quit..].to_vec()
}

fn a_server_that_stays_is_killed() {
    let mut sandbox = Sandbox::new();
    let events = forced(&mut sandbox);
    assert_eq!(
        events,
        [
            "server -q",
            "DOMINO_PRE_KILL_SCRIPT",
            "nsd -kill",
            "DOMINO_POST_KILL_SCRIPT"
        ]
    );
    assert_eq!(sandbox.calls("nsd")[0].cwd, sandbox.data.as_os_str());
}

fn nsd_before_the_kill() {
    let mut sandbox = Sandbox::with(&[("DOMINO_NSD_BEFORE_KILL", "yes")]);
    let events = forced(&mut sandbox);
    assert_eq!(
        events,
        [
            "server -q",
            "nsd",
            "DOMINO_PRE_KILL_SCRIPT",
            "nsd -kill",
            "DOMINO_POST_KILL_SCRIPT"
        ]
    );
}

fn nsd_in_the_posix_locale() {
    for (value, lang) in [("yes", "POSIX"), ("no", "C.UTF-8")] {
        let mut sandbox = Sandbox::with(&[("NSD_SET_POSIX_LC", value)]);
        forced(&mut sandbox);
        assert_eq!(
            sandbox.calls("nsd")[0].var("LANG").as_deref(),
            Some(lang),
            "{value}"
        );
    }
}

fn the_delayed_script_runs_once() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_DELAYED_SECONDS", "15")]);
    sandbox.hook("DOMINO_SHUTDOWN_DELAYED_SCRIPT", "");
    // A quick shutdown does not need it.
    sandbox.up();
    sandbox.down();
    assert!(sandbox.hooks_run().is_empty());
    sandbox.reset();
    sandbox.set("DOMINO_SHUTDOWN_DELAYED_SECONDS", "3");
    sandbox.mode("shutdown_delay=8\n");
    sandbox.up();
    sandbox.down();
    assert_eq!(sandbox.hooks_run(), ["DOMINO_SHUTDOWN_DELAYED_SCRIPT"]);
}

/// A Tika that outlives the server would keep a stop waiting.
fn tika_is_ended_after_its_seconds() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_TIKA_SHUTDOWN_TERM_SECONDS", "1"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "60"),
    ]);
    sandbox.mode("orphan_tika=1\n");
    sandbox.up();
    wait_until("Tika runs", || sandbox.calls("java").len() == 1);
    let outcome = sandbox.down();
    assert!(sandbox.processes().is_empty());
    assert!(
        (900..30_000).contains(&outcome.took.as_millis()),
        "{outcome}"
    );
    assert!(sandbox.calls("nsd").is_empty());
}

fn a_crash_is_told() {
    let sandbox = Sandbox::new();
    sandbox.mode("crash_on_stop=1\nnsd_delay=0.5\n");
    sandbox.up();
    let outcome = sandbox.run(&["stop"]);
    for file in ["fault_recovery.hst", "nsdindex.nbf"] {
        let text = fs::read_to_string(sandbox.data.join(file)).unwrap();
        assert!(outcome.said(text.trim()), "{file}: {text}\n{outcome}");
    }
    assert!(
        outcome.text().to_lowercase().contains("crash") || outcome.said("crash"),
        "{outcome}"
    );
    assert!(sandbox.processes().is_empty());
}
