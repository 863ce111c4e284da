//! Online backup mode: on and off in order, given up without a trace, lost and
//! said to be, and left alone where it is another program's.

use crate::standin::backup::{LOCK, NOTES, status};
use crate::standin::processes::{is_gone, kill_and_wait};
use crate::support::{Outcome, Sandbox, age, wait_until};
use std::fs;
use std::time::{Duration, Instant};

scenarios![
    on_and_off_in_order,
    a_server_that_is_down_is_whole_or_not,
    out_of_time_it_is_released,
    a_signal_releases_it,
    a_task_that_never_gets_there,
    a_task_that_dies_on_the_way,
    a_server_that_dies_on_the_way,
    a_server_that_takes_no_command,
    lost_with_its_task,
    lost_by_the_tasks_own_time_limit,
    lost_with_a_restart_of_the_server,
    a_caller_that_was_killed_is_cleared_up_after,
    a_stale_file_is_said_and_removed,
    another_programs_session_is_left_alone,
    a_backup_without_snapshot_is_in_the_way_too,
    a_server_that_is_too_old,
    a_link_is_not_followed,
    a_task_that_works_on_after_its_end,
    what_a_snapshot_holds_of_it_goes_with_the_start,
    data_that_cannot_be_flushed_releases_it,
];

fn enter(sandbox: &Sandbox, seconds: u32) -> Outcome {
    let limit = seconds.to_string();
    sandbox.run(&["__backup-mode", "enter", "--limit", &limit])
}

fn leave(sandbox: &Sandbox) -> Outcome {
    sandbox.run(&["__backup-mode", "leave", "--limit", "30"])
}

/// What the task did to the databases: `begin` and `end` in turn.
fn noted(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.data.join(NOTES)).unwrap_or_default();
    let words = text.lines().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

fn says(sandbox: &Sandbox) -> Option<String> {
    status(&sandbox.data.join(LOCK))
}

fn task(sandbox: &Sandbox) -> i32 {
    sandbox.calls("backup").last().unwrap().pid
}

/// Waits until a session is on record with its task.
fn on_record(sandbox: &Sandbox) {
    let record = sandbox.data.join(".rc_domino.backup");
    wait_until("its task is on record", || {
        fs::read_to_string(&record).is_ok_and(|text| text.split(' ').count() == 6)
    });
}

/// Neither file is there.
#[track_caller]
fn no_trace(sandbox: &Sandbox) {
    for name in [LOCK, ".rc_domino.backup"] {
        assert!(!sandbox.data.join(name).exists(), "{name}");
    }
    let left = fs::read_dir(&sandbox.data).unwrap().flatten();
    let aside: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(".new"))
        .collect();
    assert!(aside.is_empty(), "{aside:?}");
}

fn on_and_off_in_order() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["__backup-mode", "supported"]).code(0);
    enter(&sandbox, 20).code(0).quiet();
    // It is on and stays on, whoever called is gone.
    assert_eq!(noted(&sandbox), ["begin"]);
    assert_eq!(says(&sandbox).as_deref(), Some("DOMINO-DONE"));
    assert!(!is_gone(task(&sandbox)));
    assert_eq!(sandbox.calls("backup")[0].args(), ["-s"]);
    // Once more: it is taken.
    enter(&sandbox, 5).code(153).stderr_has("earlier call");
    assert_eq!(noted(&sandbox), ["begin"]);
    leave(&sandbox).code(0).quiet();
    assert_eq!(noted(&sandbox), ["begin", "end"]);
    no_trace(&sandbox);
    leave(&sandbox).code(0).quiet();
    enter(&sandbox, 20).code(0);
    leave(&sandbox).code(0);
    assert_eq!(noted(&sandbox).len(), 4);
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.down();
}

fn a_server_that_is_down_is_whole_or_not() {
    let sandbox = Sandbox::new();
    sandbox.run(&["__backup-mode", "supported"]).code(1);
    sandbox.file(LOCK, "DOMINO-DONE\n");
    enter(&sandbox, 5).code(7);
    no_trace(&sandbox);
    leave(&sandbox).code(0);
    sandbox.up();
    kill_and_wait(&sandbox.processes());
    enter(&sandbox, 5)
        .code(150)
        .stderr_has("not closed cleanly");
    sandbox.kill();
}

fn out_of_time_it_is_released() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_delay=12\n");
    sandbox.up();
    let outcome = enter(&sandbox, 5)
        .code(152)
        .stderr_has("not in backup mode after");
    assert!(outcome.took < Duration::from_secs(25), "{outcome}");
    no_trace(&sandbox);
    // The task finds that nobody wants it any more.
    wait_until("the task has ended", || is_gone(task(&sandbox)));
    assert_eq!(noted(&sandbox), ["begin", "end"]);
    sandbox.mode("");
    enter(&sandbox, 20).code(0);
    leave(&sandbox).code(0);
    sandbox.down();
}

fn a_signal_releases_it() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let sandbox = Sandbox::new();
        sandbox.mode("backup_delay=4\n");
        sandbox.up();
        let running = sandbox.command(&["__backup-mode", "enter"]).spawn();
        wait_until("the task runs", || !sandbox.calls("backup").is_empty());
        running.signal(signal);
        running.outcome().code(152).stderr_has("SIG");
        no_trace(&sandbox);
        wait_until("the task has ended", || is_gone(task(&sandbox)));
        assert_eq!(noted(&sandbox), ["begin", "end"]);
        sandbox.down();
    }
}

fn a_task_that_never_gets_there() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_never=1\n");
    sandbox.up();
    let outcome = enter(&sandbox, 5)
        .code(152)
        .stderr_has("was told to give up");
    assert!(outcome.took < Duration::from_secs(25), "{outcome}");
    no_trace(&sandbox);
    assert!(noted(&sandbox).is_empty());
    enter(&sandbox, 1).code(153);
    sandbox.down();
}

fn a_task_that_dies_on_the_way() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_delay=60\n");
    sandbox.up();
    let enter = sandbox.command(&["__backup-mode", "enter", "--limit", "60"]);
    let running = enter.spawn();
    on_record(&sandbox);
    kill_and_wait(&[task(&sandbox)]);
    let outcome = running.outcome().code(1).stderr_has("task ended");
    assert!(outcome.took < Duration::from_secs(30), "{outcome}");
    no_trace(&sandbox);
    sandbox.down();
}

fn a_server_that_dies_on_the_way() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_delay=30\n");
    sandbox.up();
    let running = sandbox.command(&["__backup-mode", "enter"]).spawn();
    wait_until("the task runs", || !sandbox.calls("backup").is_empty());
    kill_and_wait(&sandbox.processes());
    running.outcome().code(1).stderr_has("ended");
    no_trace(&sandbox);
    sandbox.kill();
}

/// What was sent is not taken later, when nobody waits for it any more.
fn a_server_that_takes_no_command() {
    let sandbox = Sandbox::new();
    let startup = sandbox.lotus.join("bin/tools/startup");
    let text = fs::read_to_string(&startup).unwrap();
    let hanging = text.replacen("\nname=", "\n[ \"$1\" = -c ] && exec sleep 600\nname=", 1);
    assert_ne!(text, hanging);
    {
        let _guard = crate::support::executables();
        fs::write(&startup, hanging).unwrap();
    }
    sandbox.up();
    enter(&sandbox, 1).code(152);
    no_trace(&sandbox);
    assert!(sandbox.calls("backup").is_empty());
    sandbox.down();
}

fn lost_with_its_task() {
    let sandbox = Sandbox::new();
    sandbox.up();
    enter(&sandbox, 20).code(0);
    kill_and_wait(&[task(&sandbox)]);
    leave(&sandbox).code(152).stderr_has("had been lost");
    no_trace(&sandbox);
    leave(&sandbox).code(0);
    sandbox.down();
}

/// As HCL's commands have one: 120 seconds.
fn lost_by_the_tasks_own_time_limit() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_timeout=12\n");
    sandbox.up();
    enter(&sandbox, 20).code(0);
    wait_until("the task has given up", || is_gone(task(&sandbox)));
    leave(&sandbox).code(152).stderr_has("had been lost");
    no_trace(&sandbox);
    sandbox.down();
}

fn lost_with_a_restart_of_the_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    enter(&sandbox, 20).code(0);
    sandbox.down();
    sandbox.up();
    leave(&sandbox).code(152).stderr_has("restarted");
    no_trace(&sandbox);
    sandbox.down();
}

fn a_caller_that_was_killed_is_cleared_up_after() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_delay=6\n");
    sandbox.up();
    let running = sandbox.command(&["__backup-mode", "enter"]).spawn();
    on_record(&sandbox);
    running.signal(libc::SIGKILL);
    running.outcome().code(128 + 9);
    leave(&sandbox).code(152).stderr_has("never came");
    no_trace(&sandbox);
    wait_until("the task has ended", || is_gone(task(&sandbox)));
    assert_eq!(noted(&sandbox), ["begin", "end"]);
    sandbox.down();
}

fn a_stale_file_is_said_and_removed() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for text in ["DOMINO-DONE\n", "REQUESTED\n", "DONE\n", "rubbish"] {
        age(&sandbox.file(LOCK, text), 1);
        enter(&sandbox, 20).code(0).stderr_has("stale");
        leave(&sandbox).code(0).quiet();
    }
    age(&sandbox.file(LOCK, "DOMINO-DONE\n"), 1);
    leave(&sandbox).code(0).stderr_has("stale");
    no_trace(&sandbox);
    // One that was just written may be of a session that begins.
    let written = Instant::now();
    sandbox.file(LOCK, "REQUESTED\n");
    enter(&sandbox, 1).code(153).stderr_has("REQUESTED");
    leave(&sandbox).code(153);
    assert_eq!(says(&sandbox).as_deref(), Some("REQUESTED"));
    // Not for ever.
    let outcome = enter(&sandbox, 30).code(0).stderr_has("stale");
    assert!(written.elapsed() >= Duration::from_secs(9), "{outcome}");
    leave(&sandbox).code(0);
    sandbox.down();
}

fn another_programs_session_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.file(LOCK, "REQUESTED\n");
    sandbox.run(&["cmd", "load backup -s"]);
    wait_until("backup mode is on", || {
        says(&sandbox).as_deref() == Some("DOMINO-DONE")
    });
    enter(&sandbox, 5).code(153).stderr_has("another program");
    leave(&sandbox).code(153).stderr_has("left alone");
    assert_eq!(noted(&sandbox), ["begin"]);
    sandbox.file(LOCK, "DONE\n");
    wait_until("it has ended", || noted(&sandbox).len() == 2);
    wait_until("the task has ended", || is_gone(task(&sandbox)));
    enter(&sandbox, 20).code(0);
    leave(&sandbox).code(0);
    sandbox.down();
}

fn a_backup_without_snapshot_is_in_the_way_too() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_delay=60\n");
    sandbox.up();
    sandbox.run(&["cmd", "load backup"]);
    wait_until("the task runs", || sandbox.calls("backup").len() == 1);
    enter(&sandbox, 5).code(153);
    no_trace(&sandbox);
    sandbox.down();
}

fn a_server_that_is_too_old() {
    let sandbox = Sandbox::new();
    let notes = sandbox.lotus.join("notes");
    fs::rename(notes.join("14000000"), notes.join("11000100")).unwrap();
    fs::remove_file(notes.join("latest")).unwrap();
    std::os::unix::fs::symlink("11000100", notes.join("latest")).unwrap();
    sandbox.up();
    sandbox
        .run(&["__backup-mode", "supported"])
        .code(1)
        .stderr_has("Domino 11");
    enter(&sandbox, 5).code(1).stderr_has("Domino 11");
    no_trace(&sandbox);
    sandbox.down();
    // The number says nothing against it, but the server cannot load it.
    let sandbox = Sandbox::new();
    sandbox.mode("backup_missing=1\n");
    sandbox.up();
    enter(&sandbox, 1).code(152);
    no_trace(&sandbox);
    fs::remove_file(sandbox.lotus.join("notes/14000000/linux/backup")).unwrap();
    enter(&sandbox, 5).code(1).stderr_has("linux/backup");
    sandbox.down();
}

fn a_link_is_not_followed() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let target = sandbox.file("names.nsf", "precious");
    std::os::unix::fs::symlink(&target, sandbox.data.join(LOCK)).unwrap();
    enter(&sandbox, 2).code(1).stderr_has(LOCK);
    leave(&sandbox).code(1).stderr_has(LOCK);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(sandbox.calls("backup").is_empty());
    sandbox.down();
}

/// It writes what changed meanwhile into its own files: that takes its time.
fn a_task_that_works_on_after_its_end() {
    let sandbox = Sandbox::new();
    sandbox.mode("backup_linger=8\n");
    sandbox.up();
    enter(&sandbox, 20).code(0);
    sandbox
        .run(&["__backup-mode", "leave", "--limit", "1"])
        .code(0)
        .stderr_has("still at it");
    assert_eq!(says(&sandbox).as_deref(), Some("DONE"));
    enter(&sandbox, 1).code(153);
    wait_until("the task has ended", || is_gone(task(&sandbox)));
    assert_eq!(noted(&sandbox), ["begin", "end"]);
    no_trace(&sandbox);
    sandbox.down();
}

/// The snapshot is of a disk in backup mode: both files are on it.
fn what_a_snapshot_holds_of_it_goes_with_the_start() {
    let sandbox = Sandbox::new();
    sandbox.file(LOCK, "DOMINO-DONE\n");
    sandbox.file(".rc_domino.backup", "on another-boot 1 1 1 1\n");
    sandbox.up().stdout_has(LOCK);
    no_trace(&sandbox);
    sandbox.down();
}

fn data_that_cannot_be_flushed_releases_it() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut entry = sandbox.entry();
    entry.broken_disk = true;
    sandbox
        .command(&["__backup-mode", "enter", "--limit", "10"])
        .entering(entry)
        .run()
        .code(1)
        .stderr_has("flushed");
    no_trace(&sandbox);
    wait_until("the task has ended", || is_gone(task(&sandbox)));
    assert_eq!(noted(&sandbox), ["begin", "end"]);
    sandbox.down();
}
