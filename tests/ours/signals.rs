//! SIGINT, SIGTERM and SIGHUP: said, consistent, the lock freed (128 + n).

use super::stopping::end_tika;
use crate::support::{Running, Sandbox, wait_until};

scenarios![
    before_the_launch,
    in_a_hook,
    while_the_new_server_settles,
    while_waiting_for_readiness,
    while_stopping,
    while_waiting_for_the_lock,
    before_a_forced_kill,
];

const SIGNALS: [(i32, &str); 3] = [
    (libc::SIGINT, "SIGINT"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGHUP, "SIGHUP"),
];

/// Sends the signal: the verb ends at once, by its own will, and says so.
#[track_caller]
fn interrupted(running: Running, signal: (i32, &str)) {
    let sent = std::time::Instant::now();
    running.signal(signal.0);
    let outcome = running.outcome().code(128 + signal.0);
    assert!(sent.elapsed().as_secs() < 30, "{outcome}");
    outcome.stderr_has(signal.1);
}

fn before_the_launch() {
    for signal in SIGNALS {
        let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C")]);
        sandbox.mode("compact_delay=110\n");
        let start = sandbox.command(&["start"]).spawn();
        wait_until("compact runs", || sandbox.calls("compact").len() == 1);
        interrupted(start, signal);
        assert!(sandbox.launches().is_empty());
        wait_until("compact is ended", || sandbox.processes().is_empty());
        assert!(!sandbox.data.join("domino.pid").exists());
        // The lock is free, and nothing stands in the way.
        sandbox.mode("");
        sandbox.up();
        sandbox.down();
    }
}

fn in_a_hook() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", "sleep 110");
    let start = sandbox.command(&["start"]).spawn();
    wait_until("the hook runs", || !sandbox.hooks_run().is_empty());
    interrupted(start, SIGNALS[1]);
    assert!(sandbox.launches().is_empty());
}

fn while_the_new_server_settles() {
    for signal in SIGNALS {
        let sandbox = Sandbox::with(&[("DOMINO_SETTLE_SECONDS", "110")]);
        let start = sandbox.command(&["start"]).spawn();
        sandbox.wait_up();
        interrupted(start, signal);
        // It was launched: it goes on, and has its pid file.
        assert_eq!(sandbox.servers().len(), 1);
        let pid = std::fs::read_to_string(sandbox.data.join("domino.pid")).unwrap();
        assert_eq!(pid.trim(), sandbox.launch().pid.to_string());
        sandbox.run(&["status"]).code(0);
        sandbox.down();
    }
}

fn while_waiting_for_readiness() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", "");
    sandbox.mode("start_delay=110\n");
    let start = sandbox.command(&["start", "--wait=110"]).spawn();
    wait_until("it has settled", || !sandbox.hooks_run().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(500));
    interrupted(start, SIGNALS[0]);
    sandbox.run(&["status"]).code(0);
    sandbox.kill();
}

fn while_stopping() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        sandbox.mode("tika_blocks=1\nwrite_pages=16\n");
        sandbox.up();
        let stop = sandbox.command(&["stop"]).spawn();
        wait_until("the server stops", || {
            sandbox.console().contains("Server shutdown requested")
        });
        interrupted(stop, signal);
        // Asked again, it waits for the shutdown that goes on.
        let mut stop = sandbox.command(&["stop"]).spawn();
        stop.wait_says("Waiting for the shutdown");
        end_tika(&sandbox);
        let outcome = stop.outcome().code(0);
        assert!(sandbox.processes().is_empty(), "{outcome}");
        assert!(sandbox.calls("nsd").is_empty());
        assert_eq!(
            crate::standin::check_pages(&sandbox.data.join("pages.nsf")),
            Ok(16)
        );
    }
}

fn while_waiting_for_the_lock() {
    let mut sandbox = Sandbox::new();
    let go = sandbox.base.join("go");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", go.display());
    sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", &wait);
    let start = sandbox.command(&["start"]).spawn();
    wait_until("the start has the lock", || !sandbox.hooks_run().is_empty());
    let mut stop = sandbox.command(&["stop"]).spawn();
    stop.wait_says("to finish");
    interrupted(stop, SIGNALS[1]);
    std::fs::write(&go, "").unwrap();
    start.outcome().code(0);
    sandbox.wait_up();
    sandbox.down();
}

/// Nobody waits any more, so nobody kills.
fn before_a_forced_kill() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "8")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    let stop = sandbox.command(&["stop"]).spawn();
    wait_until("the server was asked", || sandbox.calls("server").len() > 1);
    interrupted(stop, SIGNALS[1]);
    std::thread::sleep(std::time::Duration::from_secs(9));
    assert_eq!(sandbox.servers().len(), 1);
    assert!(sandbox.calls("nsd").is_empty());
    sandbox.kill();
}
