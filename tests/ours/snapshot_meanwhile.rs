//! What is done to a server between its freeze and its thaw, by people and by
//! other programs.

use super::snapshot::{back, freeze_under_way, go_on, keeper, no_keeper, record};
use super::snapshot_faults::tool;
use crate::standin::processes::signal;
use crate::support::command::Command;
use crate::support::{Running, Sandbox, holds, run_directory, wait_until};
use std::fs;
use std::time::Duration;

scenarios![
    a_server_that_was_down_and_was_started_spoils_the_snapshot,
    a_server_started_before_a_second_freeze_comes_back,
    a_second_freeze_that_cannot_look_undoes_the_first,
    a_start_and_a_stop_meanwhile_spoil_the_snapshot,
    a_server_that_ran_meanwhile_and_ended_spoils_the_snapshot,
    a_start_that_waits_for_the_freeze_spoils_it,
    a_start_under_way_is_waited_for_and_left_alone,
    a_thaw_does_not_wait_for_what_was_not_touched,
    a_stopped_caller_is_undone,
    an_answer_that_is_read_too_late,
    without_any_descriptor,
    a_state_directory_that_is_removed_costs_no_server,
    a_thaw_while_the_server_returns_after_that,
    a_thaw_that_comes_as_the_freeze_ends,
];

fn a_server_that_was_down_and_was_started_spoils_the_snapshot() {
    let sandbox = Sandbox::new();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.up();
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("started by somebody");
    no_keeper(&sandbox);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

/// The first freeze found it down; what the second finds is what the thaw is
/// to bring back.
fn a_server_started_before_a_second_freeze_comes_back() {
    let sandbox = Sandbox::new();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.down();
}

/// An answer that means "nothing was touched" does not mean it of what an
/// earlier freeze has touched.
fn a_second_freeze_that_cannot_look_undoes_the_first() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let lotus = sandbox.lotus.clone();
    sandbox.set("LOTUS", "/nowhere");
    sandbox.run(&["snapshot", "freeze"]).code(5);
    sandbox.set("LOTUS", &lotus);
    back(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    sandbox.down();
}

/// Whoever stops it last wants it down.
fn a_start_and_a_stop_meanwhile_spoil_the_snapshot() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["start"]).code(0);
    sandbox.wait_up();
    sandbox.run(&["stop"]).code(0);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("started by somebody");
    no_keeper(&sandbox);
    assert!(sandbox.processes().is_empty());
}

/// What it left on disk is not what was frozen, whoever ended it.
fn a_server_that_ran_meanwhile_and_ended_spoils_the_snapshot() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox
        .run(&["start"])
        .code(0)
        .stderr_has("frozen for a snapshot (generic)");
    sandbox.kill();
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("started by somebody");
    back(&sandbox);
    sandbox.down();
}

fn a_state_directory_that_is_removed_costs_no_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    fs::remove_dir_all(record(&sandbox).parent().unwrap()).unwrap();
    assert!(keeper(&sandbox).is_some());
    wait_until("the server is back", || sandbox.servers().len() == 1);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    no_keeper(&sandbox);
    sandbox.down();
}

/// The keeper is found again where the thaw looks for it.
fn a_thaw_while_the_server_returns_after_that() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let go = sandbox.base.join("go");
    let wait = format!(
        "until [ -e '{}' ]; do echo held; sleep 0.05; done",
        go.display()
    );
    sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", &wait);
    fs::remove_dir_all(record(&sandbox).parent().unwrap()).unwrap();
    wait_until("the server returns", || record(&sandbox).exists());
    let mut thaw = sandbox.command(&["snapshot", "thaw"]).spawn();
    // What the keeper does that saw the removal.
    thaw.wait_says("held");
    fs::write(&go, "").unwrap();
    thaw.outcome()
        .code(152)
        .stderr_has("its record was removed");
    back(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(1);
    sandbox.down();
}

/// It was in force when the caller looked, and is over when he asks.
fn a_thaw_that_comes_as_the_freeze_ends() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", "6")]);
    sandbox.up();
    for (verb, code) in [("thaw", 152), ("abort", 0)] {
        sandbox.run(&["snapshot", "freeze"]).code(0);
        let lock = fs::File::open(record(&sandbox).with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let caller = sandbox.command(&["snapshot", verb]).spawn();
        back(&sandbox);
        drop(lock);
        let outcome = caller.outcome().code(code);
        let told = [&outcome.stdout, &outcome.stderr];
        assert!(
            told.iter().any(|text| holds(text, "no thaw came")),
            "{outcome}"
        );
    }
    sandbox.down();
}

fn a_start_that_waits_for_the_freeze_spoils_it() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    let mut start = sandbox.command(&["start"]).spawn();
    start.wait_says("to finish");
    go_on(&sandbox);
    freeze.outcome().code(0);
    start.outcome().code(0);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

/// A sandbox whose starts compact.
fn compacting() -> Sandbox {
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-c")]);
    sandbox.mode("compact_delay=4\n");
    sandbox
}

/// A start that is at its compaction; that goes on when this process does.
fn start_under_way(sandbox: &Sandbox) -> (Running, i32) {
    let before = sandbox.calls("compact").len();
    let start = sandbox.command(&["start"]).spawn();
    wait_until("it compacts", || sandbox.calls("compact").len() > before);
    let compact = sandbox.calls("compact")[before].pid;
    signal(compact, libc::SIGSTOP);
    (start, compact)
}

fn a_start_under_way_is_waited_for_and_left_alone() {
    let sandbox = compacting();
    let (start, compact) = start_under_way(&sandbox);
    sandbox.run(&["snapshot", "freeze", "--budget=4"]).code(152);
    signal(compact, libc::SIGCONT);
    start.outcome().code(0);
    sandbox.wait_up();
    no_keeper(&sandbox);
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.down();
    let (start, compact) = start_under_way(&sandbox);
    let freeze = sandbox.command(&["snapshot", "freeze"]).spawn();
    looking(&sandbox);
    signal(compact, libc::SIGCONT);
    freeze.outcome().code(0);
    start.outcome().code(0);
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.down();
}

/// Waits until the keeper looks at the server for a freeze, which waits for the
/// start's lock.
fn looking(sandbox: &Sandbox) {
    wait_until("the keeper has its freeze", || {
        !tool(sandbox, "__snapshot-facts").is_empty()
    });
}

fn a_thaw_does_not_wait_for_what_was_not_touched() {
    let sandbox = compacting();
    let (mut start, compact) = start_under_way(&sandbox);
    let freeze = sandbox
        .command(&["snapshot", "freeze", "--caller=azure"])
        .spawn();
    looking(&sandbox);
    sandbox
        .run(&["snapshot", "thaw", "--caller=qemu"])
        .code(153);
    let thaw = sandbox
        .run(&["snapshot", "thaw", "--caller=azure"])
        .code(152);
    assert!(start.is_running(), "{thaw}");
    freeze.outcome().code(152);
    signal(compact, libc::SIGCONT);
    start.outcome().code(0);
    no_keeper(&sandbox);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

/// As on a machine that is paused: the answer does not arrive.
fn a_stopped_caller_is_undone() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    freeze.signal(libc::SIGSTOP);
    go_on(&sandbox);
    wait_until("the server is back", || {
        sandbox.launches().len() == 2 && sandbox.servers().len() == 1
    });
    freeze.signal(libc::SIGCONT);
    freeze.outcome().code(152);
    no_keeper(&sandbox);
    sandbox.down();
}

/// What was frozen when the answer was given is not when it is read.
fn an_answer_that_is_read_too_late() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", "2")]);
    let directory = sandbox.directory("root/var/lib/rc_domino");
    let lock = fs::File::create(directory.join("history.lock")).unwrap();
    sandbox.own(&directory.join("history.lock"));
    sandbox.up();
    lock.lock().unwrap();
    let freeze = sandbox.command(&["snapshot", "freeze"]).spawn();
    wait_until("it is frozen", || {
        fs::read_to_string(record(&sandbox)).is_ok_and(|text| text.contains("\"frozen\""))
    });
    // It has said that the answer arrived, and waits for the seal.
    std::thread::sleep(Duration::from_millis(300));
    freeze.signal(libc::SIGSTOP);
    lock.unlock().unwrap();
    wait_until("the server is back", || sandbox.servers().len() == 1);
    freeze.signal(libc::SIGCONT);
    freeze.outcome().code(152);
    no_keeper(&sandbox);
    sandbox.down();
}

fn without_any_descriptor() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let program = run_directory::program("rc_domino_script");
    for (verb, running) in [("freeze", 0), ("thaw", 1)] {
        Command::new(&sandbox, "/bin/sh".into())
            .args(&["-c", "exec \"$0\" snapshot \"$1\" <&- >&- 2>&-"])
            .arg(&program)
            .arg(verb)
            .run()
            .code(0);
        assert_eq!(sandbox.servers().len(), running);
    }
    no_keeper(&sandbox);
    sandbox.down();
}
