//! A unit whose systemd does not obey, does not answer, or knows less than /proc.

use super::units::{run, systemctl_calls, unit_says, with_unit};
use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    a_stop_that_systemd_cut_off_is_150_and_a_restart_goes_on,
    a_restart_goes_on_where_its_stop_cannot_be_looked_after,
    a_silent_systemd_starts_nothing_and_keeps_no_stop,
    a_stop_that_would_not_last_is_refused,
    an_active_unit_without_a_server_is_no_start,
    a_unit_may_name_its_user_by_number,
    try_restart_by_the_units_name,
    after_run_looks_for_a_server_that_could_not_be_watched,
    a_direct_restart_goes_on_after_a_stop_that_failed_at_its_end,
    a_stop_that_would_be_refused_is_before_systemd_is_at_it,
    a_units_stop_is_not_refused,
    a_masked_server_is_not_frozen,
    actions_that_systemd_refuses_are_said,
];

/// What systemd does first (`start.first`), or instead of the unit's stop
/// command (`stop.instead`).
fn does(sandbox: &Sandbox, when: &str, script: &str) {
    let path = sandbox.home.join(when);
    fs::write(&path, script).unwrap();
    sandbox.own(&path);
}

/// The stop command was ended by a signal, or gave up at the lock: then systemd
/// signals all that the unit runs.
fn a_stop_that_systemd_cut_off_is_150_and_a_restart_goes_on() {
    for status in [15, 153] {
        let sandbox = with_unit(&[]);
        let lotus = sandbox.lotus.display();
        does(
            &sandbox,
            "stop.instead",
            &format!(
                "for exe in /proc/[0-9]*/exe; do
                    case $(readlink \"$exe\" 2>/dev/null) in {lotus}/*) pid=${{exe%/exe}}; kill -9 \"${{pid#/proc/}}\" ;; esac
                done
                state failed ExecStop {status}
                [ {status} = 153 ] || sed -i 's/code=exited ; status={status}/code=killed ; status={status}/' \"$unit\"
                exit 0"
            ),
        );
        run(&sandbox, &["start"]).code(0);
        sandbox.wait_up();
        run(&sandbox, &["restart"]).code(150);
        assert_eq!(sandbox.servers().len(), 1, "{status}");
        sandbox.wait_up();
        run(&sandbox, &["stop"]).code(150);
        assert!(sandbox.processes().is_empty());
    }
}

fn a_restart_goes_on_where_its_stop_cannot_be_looked_after() {
    let sandbox = with_unit(&[]);
    let lock = sandbox.data.join(".rc_domino.lock");
    let lock = lock.display();
    does(
        &sandbox,
        "stop.instead",
        &format!(
            "rc_domino_script stop </dev/null >/dev/null 2>&1
            state inactive ExecStop $?
            rm -f {lock}; mkdir {lock}
            exit 0"
        ),
    );
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    does(&sandbox, "start.first", &format!("rmdir {lock}"));
    run(&sandbox, &["restart"])
        .code(150)
        .stderr_has(".rc_domino.lock");
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.kill();
}

/// It may be masked, which only systemd knows.
fn a_silent_systemd_starts_nothing_and_keeps_no_stop() {
    let sandbox = with_unit(&[]);
    does(&sandbox, "mute", "");
    for verb in ["start", "restart", "restartcompact"] {
        run(&sandbox, &[verb]).code(1).stderr_has("--direct");
    }
    assert!(sandbox.launches().is_empty());
    run(&sandbox, &["--direct", "start"]).code(0);
    sandbox.wait_up();
    run(&sandbox, &["restart"]).code(1);
    assert_eq!(sandbox.launches().len(), 1);
    run(&sandbox, &["stop"])
        .code(0)
        .stderr_has("stopped without systemd");
    assert!(sandbox.processes().is_empty());
    assert!(systemctl_calls(&sandbox).is_empty());
}

/// Past systemd, which would start the server again behind the back of whoever
/// believes it to be down.
fn a_stop_that_would_not_last_is_refused() {
    let sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    does(&sandbox, "denied", "");
    let says = |restart: &str| {
        let text = format!(
            "LoadState=loaded\nActiveState=active\nResult=success\nUser=notes\nRestart={restart}\n"
        );
        unit_says(&sandbox, &text);
    };
    for restart in ["always", "on-success"] {
        says(restart);
        run(&sandbox, &["stop"])
            .code(4)
            .stderr_has("start the server again");
        assert_eq!(sandbox.servers().len(), 1);
    }
    says("on-failure");
    run(&sandbox, &["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
}

/// Its main process may still wait for Domino's own recovery.
fn an_active_unit_without_a_server_is_no_start() {
    let sandbox = with_unit(&[]);
    unit_says(
        &sandbox,
        "LoadState=loaded\nActiveState=active\nResult=success\nUser=notes\n",
    );
    run(&sandbox, &["start"])
        .code(1)
        .stderr_has("rc_domino restart");
    assert!(sandbox.launches().is_empty());
}

fn a_unit_may_name_its_user_by_number() {
    let sandbox = with_unit(&[]);
    let uid = sandbox.ids.0;
    unit_says(
        &sandbox,
        &format!("LoadState=loaded\nActiveState=inactive\nResult=success\nUser={uid}\n"),
    );
    run(&sandbox, &["start"]).code(0);
    run(&sandbox, &["stop"]).code(0);
    assert_eq!(systemctl_calls(&sandbox).len(), 2);
}

/// systemd's own would answer 0 to a stop by force.
fn try_restart_by_the_units_name() {
    let sandbox = with_unit(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    for verb in ["try-restart", "condrestart", "force-reload"] {
        run(&sandbox, &["service", verb])
            .code(0)
            .stdout_has("nothing to restart");
    }
    sandbox.mode("ignore_quit=1\n");
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    run(&sandbox, &["service", "try-restart"]).code(150);
    assert_eq!(sandbox.servers().len(), 1);
    run(&sandbox, &["stop"]).code(150);
}

fn after_run_looks_for_a_server_that_could_not_be_watched() {
    let sandbox = with_unit(&[]);
    sandbox.up();
    sandbox
        .command(&["stop", "--after-run"])
        .env("EXIT_CODE", "exited")
        .env("EXIT_STATUS", "4")
        .run()
        .code(0);
    assert!(sandbox.processes().is_empty());
}

fn a_direct_restart_goes_on_after_a_stop_that_failed_at_its_end() {
    let mut sandbox = Sandbox::with(&[("DOMINO_USE_JAVA_CONTROLLER", "yes")]);
    let lock = sandbox.data.join(".jsc_lock");
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        &format!("rm -rf {}", lock.display()),
    );
    sandbox.run(&["start"]).code(0);
    let tasks = || sandbox.calls("http").len();
    wait_until("the server's tasks run", || tasks() == 1);
    let _ = fs::remove_file(&lock);
    fs::create_dir_all(lock.join("held")).unwrap();
    sandbox.own(&lock);
    sandbox
        .run(&["--direct", "restart"])
        .code(1)
        .stderr_has(".jsc_lock");
    wait_until("the next server's tasks run", || tasks() == 2);
    sandbox.kill();
}

/// Once its stop command refuses, systemd ends the server by signals.
fn a_stop_that_would_be_refused_is_before_systemd_is_at_it() {
    let mut sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    let before = systemctl_calls(&sandbox);
    sandbox.set("DOMINO_HOOK_TIMEOUT", "x");
    for verb in ["stop", "restart"] {
        run(&sandbox, &[verb])
            .code(6)
            .stderr_has("DOMINO_HOOK_TIMEOUT");
    }
    sandbox.forget("DOMINO_HOOK_TIMEOUT");
    let lotus = sandbox.lotus.clone();
    sandbox.set("LOTUS", sandbox.base.join("elsewhere"));
    run(&sandbox, &["stop"]).code(5);
    sandbox.set("LOTUS", &lotus);
    assert_eq!(systemctl_calls(&sandbox), before);
    assert_eq!(sandbox.servers().len(), 1);
    run(&sandbox, &["stop"]).code(0);
}

fn a_units_stop_is_not_refused() {
    let mut sandbox = Sandbox::with(&[("DOMINO_LOCK_TIMEOUT", "1")]);
    sandbox.up();
    let lock = fs::File::open(sandbox.data.join(".rc_domino.lock")).unwrap();
    lock.lock().unwrap();
    let stopping = sandbox.command(&["stop"]).env("SERVICE_RESULT", "success");
    let mut stopping = stopping.spawn();
    stopping.wait_says("still holds");
    drop(lock);
    stopping.outcome().code(0);
    assert!(sandbox.processes().is_empty());
    let words: [(&str, &[&str]); 2] = [
        ("DOMINO_HOOK_TIMEOUT=x", &["stop"]),
        ("BROKEN=$(", &["--color", "never", "stop"]),
    ];
    for (line, words) in words {
        sandbox.up();
        sandbox.raw(line);
        sandbox.run(&["stop"]).code(6);
        let stop = sandbox.command(words).env("SERVICE_RESULT", "success");
        stop.run().code(0).stderr_has("what can be read");
        assert!(sandbox.processes().is_empty());
        sandbox.forget(line.split_once('=').unwrap().0);
    }
}

/// Its thaw would leave it down.
fn a_masked_server_is_not_frozen() {
    let sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    unit_says(&sandbox, "LoadState=masked\nActiveState=active\n");
    run(&sandbox, &["snapshot", "freeze"])
        .code(154)
        .stderr_has("unmask");
    assert_eq!(sandbox.servers().len(), 1);
    run(&sandbox, &["--direct", "stop"]).code(0);
}

fn actions_that_systemd_refuses_are_said() {
    let sandbox = with_unit(&[]);
    does(&sandbox, "denied", "");
    run(&sandbox, &["service", "off"])
        .code(4)
        .stderr_has("as root, or let sudo or polkit allow");
}
