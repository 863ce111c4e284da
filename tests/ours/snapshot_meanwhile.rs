//! What is done to a server between its freeze and its thaw, by people and by
//! other programs.

use super::snapshot::{back, keeper, no_keeper, record};
use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    a_server_that_was_down_and_was_started_spoils_the_snapshot,
    a_server_started_before_a_second_freeze_comes_back,
    a_second_freeze_that_cannot_look_undoes_the_first,
    a_start_and_a_stop_meanwhile_spoil_the_snapshot,
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
