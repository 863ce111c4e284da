//! What is done to a server between its freeze and its thaw, by people and by
//! other programs.

use super::snapshot::{back, freeze_under_way, keeper, no_keeper, record};
use super::snapshot_faults::tool;
use crate::support::command::Command;
use crate::support::{Running, Sandbox, run_directory, wait_until};
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

fn a_start_that_waits_for_the_freeze_spoils_it() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox, "1.5");
    let start = sandbox.command(&["start"]).spawn();
    freeze.outcome().code(0);
    start.outcome().code(0);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.mode("");
    sandbox.down();
}

/// A sandbox whose start compacts for so many seconds, begun.
fn compacting(seconds: u32) -> (Sandbox, Running) {
    let sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-c")]);
    sandbox.mode(&format!("compact_delay={seconds}\n"));
    let start = sandbox.command(&["start"]).spawn();
    wait_until("it compacts", || !sandbox.calls("compact").is_empty());
    (sandbox, start)
}

fn a_start_under_way_is_waited_for_and_left_alone() {
    let (sandbox, start) = compacting(4);
    sandbox.run(&["snapshot", "freeze", "--budget=1"]).code(152);
    start.outcome().code(0);
    sandbox.wait_up();
    no_keeper(&sandbox);
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.down();
    let start = sandbox.command(&["start"]).spawn();
    wait_until("it compacts", || sandbox.calls("compact").len() > 1);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    start.outcome().code(0);
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.down();
}

fn a_thaw_does_not_wait_for_what_was_not_touched() {
    let (sandbox, mut start) = compacting(6);
    let freeze = sandbox
        .command(&["snapshot", "freeze", "--caller=azure"])
        .spawn();
    // It looks at the server for the freeze, and waits for the start's lock.
    wait_until("the keeper has its freeze", || {
        !tool(&sandbox, "__snapshot-facts").is_empty()
    });
    sandbox
        .run(&["snapshot", "thaw", "--caller=qemu"])
        .code(153);
    let thaw = sandbox
        .run(&["snapshot", "thaw", "--caller=azure"])
        .code(152);
    assert!(start.is_running(), "{thaw}");
    freeze.outcome().code(152);
    start.outcome().code(0);
    no_keeper(&sandbox);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

/// As on a machine that is paused: the answer does not arrive.
fn a_stopped_caller_is_undone() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox, "1");
    freeze.signal(nix::libc::SIGSTOP);
    wait_until("the server is back", || {
        sandbox.launches().len() == 2 && sandbox.servers().len() == 1
    });
    freeze.signal(nix::libc::SIGCONT);
    freeze.outcome().code(152);
    no_keeper(&sandbox);
    sandbox.mode("");
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
    freeze.signal(nix::libc::SIGSTOP);
    lock.unlock().unwrap();
    wait_until("the server is back", || sandbox.servers().len() == 1);
    freeze.signal(nix::libc::SIGCONT);
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
