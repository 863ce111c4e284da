//! One start or stop at a time (D15).

use crate::support::{Sandbox, wait_until};

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
    let sandbox = Sandbox::new();
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

fn a_stop_waits_for_a_start_and_names_it() {
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C")]);
    sandbox.mode("compact_delay=5\n");
    let start = sandbox.command(&["start"]).spawn();
    wait_until("compact runs", || sandbox.calls("compact").len() == 1);
    let stop = sandbox.run(&["stop"]).code(0);
    assert!(stop.took.as_millis() >= 500, "{stop}");
    let pid = start.pid().to_string();
    let stop = stop
        .stdout_has("Waiting for")
        .stdout_has("start")
        .stdout_has(&pid);
    drop(stop);
    start.outcome().code(0);
    assert_eq!(sandbox.launches().len(), 1);
    assert!(sandbox.processes().is_empty());
}

fn the_lock_times_out_with_153() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_START_COMPACT_OPTIONS", "-C"),
        ("DOMINO_LOCK_TIMEOUT", "1"),
    ]);
    sandbox.mode("compact_delay=5\n");
    let mut start = sandbox.command(&["start"]).spawn();
    wait_until("compact runs", || sandbox.calls("compact").len() == 1);
    let waiting = ["stop", "start", "restart"].map(|verb| sandbox.command(&[verb]).spawn());
    for verb in waiting {
        let outcome = verb.outcome().code(153).stderr_has("DOMINO_LOCK_TIMEOUT");
        assert!(outcome.took.as_millis() >= 900, "{outcome}");
    }
    assert!(start.is_running(), "they waited for its end");
    start.outcome().code(0);
    sandbox.wait_up();
    sandbox.down();
}

fn the_lock_of_the_dead_is_free() {
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C")]);
    sandbox.mode("compact_delay=30\n");
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
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C")]);
    sandbox.mode("compact_delay=4\n");
    let mut start = sandbox.command(&["start"]).spawn();
    wait_until("compact runs", || sandbox.calls("compact").len() == 1);
    let outcome = sandbox.run(&["status"]).code(3);
    assert!(start.is_running(), "{outcome}");
    start.outcome().code(0);
    sandbox.wait_up();
    sandbox.down();
}
