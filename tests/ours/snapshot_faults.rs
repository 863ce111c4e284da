//! Freezes that go wrong: time, signals, killed processes, a full /run, a
//! reboot. Never a server left down, never a 0 for what is not whole.

use super::snapshot::{HELD, back, freeze_under_way, go_on, keeper, no_keeper, record};
use crate::support::{Running, Sandbox, holds, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

scenarios![
    a_spent_budget_is_undone,
    a_signal_is_answered_at_once_and_undone,
    a_killed_caller_is_undone,
    a_caller_that_goes_before_the_seal_is_undone,
    a_killed_keeper_is_taken_over,
    a_killed_keeper_still_brings_the_server_back,
    a_keeper_killed_while_it_freezes,
    a_killed_stop_is_finished_before_the_start,
    a_thaw_that_gives_up_changes_nothing,
    no_thaw_came,
    a_shutdown_longer_than_the_deadline,
    never_is_never,
    a_stop_by_force_is_no_freeze,
    force_kills_and_says_so,
    a_crash_is_no_freeze,
    a_reboot_ends_a_freeze,
    a_reboot_that_empties_run_ends_a_freeze,
    a_record_that_is_none,
    a_record_that_cannot_be_written,
    a_start_that_fails_is_tried_again,
    a_wrong_mode_touches_nothing,
];

fn signal(running: &Running, signal: Signal) {
    kill(Pid::from_raw(running.pid()), signal).unwrap();
}

/// The freeze is undone once its shutdown has ended, and that is told to the
/// thaw that comes later.
fn undone(sandbox: &Sandbox) {
    go_on(sandbox);
    back(sandbox);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("do not trust");
    sandbox.run(&["snapshot", "thaw"]).code(1);
    assert_eq!(sandbox.launches().len(), 2, "one start each");
    sandbox.down();
}

fn a_spent_budget_is_undone() {
    let sandbox = Sandbox::new();
    sandbox.mode(HELD);
    sandbox.up();
    let outcome = sandbox
        .run(&["snapshot", "freeze", "--budget=5"])
        .code(152)
        .stderr_has("undone");
    // It has not waited for the shutdown.
    assert!(!holds(&outcome.console, "Server shutdown complete"));
    undone(&sandbox);
}

fn a_signal_is_answered_at_once_and_undone() {
    for which in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let sandbox = Sandbox::new();
        let freeze = freeze_under_way(&sandbox);
        signal(&freeze, which);
        freeze.outcome().code(152);
        undone(&sandbox);
    }
}

fn a_killed_caller_is_undone() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    signal(&freeze, Signal::SIGKILL);
    freeze.outcome().code(137);
    undone(&sandbox);
}

/// The keeper has its word that the answer arrived, and writes the history;
/// the caller's time is over before it hears of that.
fn a_caller_that_goes_before_the_seal_is_undone() {
    let sandbox = Sandbox::new();
    let directory = sandbox.directory("root/var/lib/rc_domino");
    let lock = fs::File::create(directory.join("history.lock")).unwrap();
    sandbox.own(&directory.join("history.lock"));
    sandbox.up();
    lock.lock().unwrap();
    // The keeper waits 5 s for the history.
    sandbox
        .run(&["snapshot", "freeze", "--budget=4"])
        .code(152)
        .stderr_has("undone");
    lock.unlock().unwrap();
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

fn a_killed_keeper_is_taken_over() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let old = keeper(&sandbox).unwrap();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

/// Without a service manager too: its second begins another, and it its own.
fn a_killed_keeper_still_brings_the_server_back() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", "20")]);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let mut old = 0;
    for _ in 0..3 {
        let mut new = old;
        wait_until("another one keeps, and has its second", || {
            new = keeper(&sandbox).unwrap_or(old);
            new != old && !tool(&sandbox, &new.to_string()).is_empty()
        });
        old = new;
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    }
    back(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

fn no_longer(pid: i32) {
    wait_until("it is gone", || {
        !fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    });
}

fn a_keeper_killed_while_it_freezes() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    let old = keeper(&sandbox).unwrap();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    freeze.outcome().code(152);
    undone(&sandbox);
}

/// The server has been told to quit: it runs now and is gone a moment later.
fn a_killed_stop_is_finished_before_the_start() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    for pid in tool(&sandbox, "stop") {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    freeze.outcome().code(137);
    undone(&sandbox);
}

/// Processes of the program under test with this verb.
pub fn tool(sandbox: &Sandbox, verb: &str) -> Vec<i32> {
    let base = sandbox.top.to_string_lossy().into_owned();
    let of_entry = |entry: fs::DirEntry| -> Option<i32> {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let mut words = line.split(|byte| *byte == 0);
        let ours = words.any(|word| word == verb.as_bytes())
            && holds(&line, "rc_domino")
            && holds(&environment, &base);
        ours.then_some(pid)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(of_entry).collect()
}

fn a_thaw_that_gives_up_changes_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let go = sandbox.base.join("go");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", go.display());
    sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", &wait);
    let thaw = sandbox
        .run(&["snapshot", "thaw", "--budget=4"])
        .code(152)
        .stderr_has("comes back all the same");
    // The start goes on without it.
    assert!(keeper(&sandbox).is_some(), "{thaw}");
    fs::write(&go, "").unwrap();
    back(&sandbox);
    sandbox.down();
}

fn no_thaw_came() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", "10")]);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert!(sandbox.processes().is_empty());
    back(&sandbox);
    sandbox
        .run(&["snapshot", "status"])
        .code(3)
        .stdout_has("no thaw came");
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("no thaw came");
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

/// The time counts from the answer: a long shutdown is no missing thaw.
fn a_shutdown_longer_than_the_deadline() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_SNAPSHOT_MAX_DOWNTIME", "10"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "60"),
    ]);
    sandbox.mode("shutdown_delay=11\n");
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    std::thread::sleep(Duration::from_millis(800));
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.mode("");
    sandbox.down();
}

fn never_is_never() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", "0")]);
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox
        .run(&["snapshot", "status"])
        .code(0)
        .stdout_has("stays so");
    sandbox.run(&["snapshot", "abort"]).code(0);
    back(&sandbox);
    sandbox.down();
}

fn a_stop_by_force_is_no_freeze() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(150);
    back(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(152);
    sandbox.mode("");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "20");
    sandbox.wait_up();
    sandbox.down();
}

fn force_kills_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox
        .run(&["snapshot", "freeze", "--budget=4", "--force"])
        .code(150)
        .stderr_has("by force");
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "status"]).code(0);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.mode("");
    sandbox.down();
}

fn a_crash_is_no_freeze() {
    let sandbox = Sandbox::new();
    sandbox.mode("crash_on_stop=1\n");
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(151);
    sandbox.mode("");
    back(&sandbox);
    sandbox.down();
}

fn a_reboot_ends_a_freeze() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    reboot(&sandbox);
    sandbox.run(&["snapshot", "status"]).code(3);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("started anew");
    assert!(sandbox.processes().is_empty());
    assert!(!record(&sandbox).exists());
    // What the boot starts can be frozen.
    sandbox.run(&["start"]).code(0);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    reboot(&sandbox);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    no_keeper(&sandbox);
}

/// As /run is a tmpfs, a boot leaves nothing of a record; the thaw that was
/// under way on the host still has to learn that the freeze did not hold.
fn a_reboot_that_empties_run_ends_a_freeze() {
    let sandbox = Sandbox::new();
    for (verb, first) in [("thaw", 152), ("abort", 0)] {
        sandbox.run(&["start"]).code(0);
        sandbox.run(&["snapshot", "freeze"]).code(0);
        // First: its second would begin another one.
        fs::remove_dir_all(record(&sandbox).parent().unwrap()).unwrap();
        kill_keeper(&sandbox);
        sandbox.run(&["start"]).code(0);
        sandbox.run(&["snapshot", verb]).code(first);
        // Told once.
        sandbox.run(&["snapshot", "thaw"]).code(1);
        assert!(!sandbox.processes().is_empty());
        sandbox.run(&["stop"]).code(0);
    }
}

fn kill_keeper(sandbox: &Sandbox) {
    let pid = keeper(sandbox).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    no_longer(pid);
}

/// The keeper is gone and the record is of another boot.
fn reboot(sandbox: &Sandbox) {
    let text = fs::read_to_string(record(sandbox)).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    fs::write(record(sandbox), text).unwrap();
    sandbox.own(&record(sandbox));
    kill_keeper(sandbox);
}

fn a_record_that_is_none() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    for rubbish in [&b"{\"phase\":"[..], b"", b"\xff\xfe\x00", b"[1,2]"] {
        fs::write(record(&sandbox), rubbish).unwrap();
        sandbox.own(&record(&sandbox));
        sandbox.run(&["snapshot", "status"]).code(3);
        sandbox.run(&["snapshot", "thaw"]).code(152);
        fs::write(record(&sandbox), rubbish).unwrap();
        sandbox.own(&record(&sandbox));
        sandbox.run(&["snapshot", "freeze"]).code(0);
        sandbox.run(&["snapshot", "thaw"]).code(0);
        back(&sandbox);
    }
    sandbox.down();
}

/// Nothing is touched before the record is there.
fn a_record_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.up();
    fs::create_dir_all(record(&sandbox)).unwrap();
    sandbox.own(record(&sandbox).parent().unwrap());
    sandbox.own(&record(&sandbox));
    fs::write(record(&sandbox).join("in the way"), "").unwrap();
    sandbox.run(&["snapshot", "freeze"]).code(1);
    assert_eq!(sandbox.servers().len(), 1);
    no_keeper(&sandbox);
    fs::remove_dir_all(record(&sandbox)).unwrap();
    let directory = record(&sandbox).parent().unwrap().to_path_buf();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    sandbox
        .run(&["snapshot", "freeze"])
        .code(6)
        .stderr_has("written by others");
    assert!(!sandbox.console().contains("shutdown"));
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.down();
}

fn a_start_that_fails_is_tried_again() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    // Long enough for the server's end to fall into it.
    sandbox.set("DOMINO_SETTLE_SECONDS", "10");
    sandbox.mode("die_after_start=0\n");
    sandbox
        .run(&["snapshot", "thaw"])
        .code(1)
        .stderr_has("trying again");
    sandbox.set("DOMINO_SETTLE_SECONDS", "0.1");
    sandbox.mode("");
    back(&sandbox);
    sandbox.down();
}

fn a_wrong_mode_touches_nothing() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MODE", "sometimes")]);
    sandbox.up();
    sandbox
        .run(&["snapshot", "freeze"])
        .code(6)
        .stderr_has("stop, online or auto");
    no_keeper(&sandbox);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.run(&["snapshot", "freeze", "--mode=stop"]).code(6);
    sandbox.down();
}
