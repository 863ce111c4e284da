//! One start or stop at a time (D15).

use crate::support::{Running, Sandbox, wait_until};
use std::fs;
use std::path::PathBuf;

scenarios![
    fifty_starts_start_one_server,
    starts_and_stops_interleaved,
    a_stop_waits_for_a_start_and_names_it,
    the_lock_times_out_with_153,
    the_lock_of_the_dead_is_free,
    status_never_waits,
];

fn fifty_starts_start_one_server() {
    let sandbox = Sandbox::new();
    let starts: Vec<_> = (0..50)
        .map(|_| sandbox.command(&["start"]).spawn())
        .collect();
    let outcomes: Vec<_> = starts
        .into_iter()
        .map(|start| start.outcome().code(0))
        .collect();
    let started = outcomes.iter().filter(|outcome| !outcome.said("already"));
    assert_eq!(started.count(), 1);
    sandbox.wait_up();
    assert_eq!(sandbox.launches().len(), 1);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

fn starts_and_stops_interleaved() {
    let sandbox = Sandbox::with(&[("DOMINO_LOCK_TIMEOUT", "600")]);
    sandbox.mode("tasks=router,http\n");
    let mut running = Vec::new();
    for round in 0..20 {
        let verb = if round % 2 == 0 { "start" } else { "stop" };
        running.push((verb, sandbox.command(&[verb]).spawn()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for (verb, command) in running {
        let outcome = command.outcome();
        assert_eq!(outcome.code, 0, "{verb}\n{outcome}");
    }
    // Whatever came last: never two, and the state is told rightly.
    let servers = sandbox.servers();
    assert!(servers.len() <= 1, "{servers:?}");
    sandbox
        .run(&["status"])
        .code(if servers.is_empty() { 3 } else { 0 });
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    assert_eq!(crate::standin::ipc_left(&sandbox.data), 0);
}

/// A start that holds the lock until the file is made, with nothing of the
/// server there yet.
pub(super) fn being_started(sandbox: &mut Sandbox) -> (Running, PathBuf) {
    let hook = "DOMINO_PRE_STARTUP_SCRIPT";
    let go = sandbox.base.join("go");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", go.display());
    sandbox.hook(hook, &wait);
    let start = sandbox.command(&["start"]).spawn();
    wait_until("its hook runs", || sandbox.hooks_run() == [hook]);
    sandbox.forget(hook);
    (start, go)
}

fn a_stop_waits_for_a_start_and_names_it() {
    let mut sandbox = Sandbox::new();
    let (start, go) = being_started(&mut sandbox);
    let mut stop = sandbox.command(&["stop"]).spawn();
    let pid = start.pid();
    stop.wait_says(&format!("Waiting for 'rc_domino start' (pid {pid})"));
    fs::write(go, "").unwrap();
    stop.outcome().code(0);
    start.outcome().code(0);
    assert_eq!(sandbox.launches().len(), 1);
    assert!(sandbox.processes().is_empty());
}

fn the_lock_times_out_with_153() {
    let mut sandbox = Sandbox::with(&[("DOMINO_LOCK_TIMEOUT", "1")]);
    let (start, go) = being_started(&mut sandbox);
    let waiting = ["stop", "start", "restart"].map(|verb| sandbox.command(&[verb]).spawn());
    for verb in waiting {
        let outcome = verb.outcome().code(153).stderr_has("DOMINO_LOCK_TIMEOUT");
        assert!(outcome.took.as_millis() >= 900, "{outcome}");
    }
    fs::write(go, "").unwrap();
    start.outcome().code(0);
    sandbox.wait_up();
    sandbox.down();
}

fn the_lock_of_the_dead_is_free() {
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C")]);
    sandbox.mode("compact_delay=600\n");
    let start = sandbox.command(&["start"]).spawn();
    wait_until("compact runs", || sandbox.calls("compact").len() == 1);
    start.signal(libc::SIGKILL);
    start.outcome().code(128 + libc::SIGKILL);
    // compact itself goes on: it would not survive a server beside it.
    sandbox.run(&["start"]).code(1).stderr_has("compact");
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    sandbox.mode("");
    sandbox.up();
    sandbox.down();
}

fn status_never_waits() {
    let mut sandbox = Sandbox::new();
    let (start, go) = being_started(&mut sandbox);
    sandbox.run(&["status"]).code(3);
    fs::write(go, "").unwrap();
    start.outcome().code(0);
    sandbox.wait_up();
    sandbox.down();
}
