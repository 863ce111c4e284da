//! Freezes without a shutdown: backup mode, owned by the keeper.

use super::snapshot::no_keeper;
use crate::standin::backup::{LOCK, NOTES};
use crate::support::Sandbox;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

scenarios![
    the_server_runs_through_the_snapshot,
    a_second_freeze_of_the_same_caller_renews,
    a_budget_beyond_all_bounds,
    auto_takes_what_the_server_can,
    a_server_that_is_down_needs_no_backup_mode,
    a_budget_that_is_spent_releases_backup_mode,
    a_killed_caller_releases_backup_mode,
    backup_mode_lost_before_the_thaw,
    no_thaw_releases_backup_mode,
];

/// What the server did to its databases: `begin` and `end` in turn.
fn noted(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.data.join(NOTES)).unwrap_or_default();
    let words = text.lines().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

fn online() -> Sandbox {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MODE", "online")]);
    sandbox.up();
    sandbox
}

fn released(sandbox: &Sandbox) {
    no_keeper(sandbox);
    assert!(!sandbox.data.join(LOCK).exists());
    assert_eq!(noted(sandbox).last().map(String::as_str), Some("end"));
    assert_eq!(sandbox.launches().len(), 1);
}

fn the_server_runs_through_the_snapshot() {
    let sandbox = online();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert_eq!(noted(&sandbox), ["begin"]);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox
        .run(&["snapshot", "status"])
        .code(0)
        .stdout_has("mode online");
    sandbox.run(&["snapshot", "thaw"]).code(0);
    released(&sandbox);
    sandbox.down();
}

fn a_second_freeze_of_the_same_caller_renews() {
    let sandbox = online();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert_eq!(noted(&sandbox), ["begin"]);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    released(&sandbox);
    // Down at the first, up at the second.
    sandbox.run(&["stop"]).code(0);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert_eq!(noted(&sandbox), ["begin", "end", "begin"]);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    no_keeper(&sandbox);
    assert_eq!(noted(&sandbox).last().map(String::as_str), Some("end"));
    sandbox.down();
}

fn a_budget_beyond_all_bounds() {
    let sandbox = online();
    let budget = format!("--budget={}", u64::MAX);
    sandbox.run(&["snapshot", "freeze", &budget]).code(0);
    sandbox.run(&["snapshot", "thaw", &budget]).code(0);
    released(&sandbox);
    sandbox.down();
}

fn auto_takes_what_the_server_can() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MODE", "auto")]);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    released(&sandbox);
    sandbox.run(&["snapshot", "freeze", "--mode=stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    super::snapshot::back(&sandbox);
    sandbox.down();
}

fn a_server_that_is_down_needs_no_backup_mode() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MODE", "online")]);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    no_keeper(&sandbox);
    assert!(noted(&sandbox).is_empty());
    assert!(sandbox.launches().is_empty());
}

fn a_budget_that_is_spent_releases_backup_mode() {
    let sandbox = online();
    sandbox.mode("backup_delay=30\n");
    sandbox.run(&["snapshot", "freeze", "--budget=5"]).code(152);
    no_keeper(&sandbox);
    assert!(!sandbox.data.join(LOCK).exists());
    sandbox.mode("");
    sandbox.run(&["snapshot", "thaw"]).code(152);
    sandbox.down();
}

fn a_killed_caller_releases_backup_mode() {
    let sandbox = online();
    sandbox.mode("backup_delay=6\n");
    let freeze = sandbox.command(&["snapshot", "freeze"]).spawn();
    crate::support::wait_until("it is asked for", || sandbox.data.join(LOCK).exists());
    kill(Pid::from_raw(freeze.pid()), Signal::SIGKILL).unwrap();
    freeze.outcome().code(137);
    no_keeper(&sandbox);
    assert!(!sandbox.data.join(LOCK).exists());
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.mode("");
    sandbox.down();
}

fn backup_mode_lost_before_the_thaw() {
    let sandbox = online();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let task = sandbox.calls("backup").last().unwrap().pid;
    crate::standin::processes::kill_and_wait(&[task]);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("lost");
    no_keeper(&sandbox);
    sandbox.down();
}

fn no_thaw_releases_backup_mode() {
    let mut sandbox = online();
    sandbox.set("DOMINO_SNAPSHOT_MAX_DOWNTIME", "6");
    sandbox.run(&["snapshot", "freeze"]).code(0);
    released(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    sandbox.down();
}
