//! A server that did not close its databases is never called down and well,
//! however it ended: the promise's other half.

use super::snapshot::{HELD, go_on, stopping};
use crate::standin::processes::kill_and_wait;
use crate::support::{Sandbox, wait_until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

scenarios![
    a_server_killed_while_it_shuts_down,
    a_server_killed_at_the_very_end needs ExitInfo,
    a_crash_that_only_the_log_tells,
    a_start_that_fails_recovers_nothing,
    a_clean_stop_ends_an_old_story,
    a_witness_that_cannot_be_read_speaks_for_no_good_end,
    a_server_that_takes_no_command_is_stopped,
    a_log_that_cannot_be_written_ends_no_server_by_force,
];

/// The kernel's out-of-memory killer writes nothing into the console log.
fn a_server_killed_while_it_shuts_down() {
    let sandbox = Sandbox::new();
    sandbox.mode(HELD);
    sandbox.up();
    let stop = sandbox.command(&["stop"]).spawn();
    stopping(&sandbox);
    kill_and_wait(&sandbox.processes());
    stop.outcome().code(151).stderr_has("not closed cleanly");
    sandbox.run(&["stop"]).code(150);
    sandbox.mode("");
    sandbox.up();
    sandbox.down();
}

/// All its tasks have ended, its list of processes is being written: nothing
/// but the kernel knows that it did not end by itself.
fn a_server_killed_at_the_very_end() {
    let sandbox = Sandbox::new();
    sandbox.mode(HELD);
    sandbox.up();
    let server = sandbox.servers();
    let stop = sandbox.command(&["stop"]).spawn();
    wait_until("all but Tika has ended", || sandbox.processes().len() == 2);
    kill_and_wait(&server);
    // As long as Tika runs the stop does not look at it.
    sandbox.file("pid.nbf", "");
    go_on(&sandbox);
    stop.outcome().code(151).stderr_has("not closed cleanly");
    sandbox.run(&["stop"]).code(150).stderr_has("signal 9");
}

/// Fault recovery may have tidied up Domino's list of processes: what the
/// server wrote before it died tells all the same.
fn a_crash_that_only_the_log_tells() {
    let sandbox = Sandbox::new();
    sandbox.mode(HELD);
    sandbox.up();
    let stop = sandbox.command(&["stop"]).spawn();
    stopping(&sandbox);
    let mut log = fs::File::options()
        .append(true)
        .open(sandbox.log())
        .unwrap();
    log.write_all(b"NSD is in progress ....\n").unwrap();
    go_on(&sandbox);
    stop.outcome().code(151).stderr_has("do not trust");
    assert!(!sandbox.data.join("pid.nbf").exists());
    sandbox.run(&["stop"]).code(150);
}

/// It is the start that comes up which recovers the databases.
fn a_start_that_fails_recovers_nothing() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox.run(&["stop"]).code(150);
    sandbox.mode("die_after_start=0\n");
    sandbox.set("DOMINO_SETTLE_SECONDS", "10");
    sandbox.run(&["start"]).code(1);
    sandbox.run(&["stop"]).code(150).stderr_has("by force");
    sandbox.mode("");
    sandbox.set("DOMINO_SETTLE_SECONDS", "0.1");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "20");
    sandbox.up();
    sandbox.down();
    sandbox.run(&["stop"]).code(0);
}

/// After a bad end the server was started by hand, past this program.
fn a_clean_stop_ends_an_old_story() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox.run(&["stop"]).code(150);
    sandbox.mode("");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "20");
    let by_hand = crate::support::command::Command::new(&sandbox, sandbox.lotus.join("bin/server"))
        .env("PATH", format!("{}:/usr/bin:/bin", sandbox.data.display()))
        .spawn();
    wait_until("its tasks run", || {
        sandbox.calls("http").len() == 2 && sandbox.data.join("pid.nbf").exists()
    });
    sandbox.run(&["stop"]).code(0);
    by_hand.outcome();
    sandbox.run(&["stop"]).code(0);
}

/// D44. It hangs: neither the broadcast nor the site's command may keep the stop
/// from its time limit.
fn a_witness_that_cannot_be_read_speaks_for_no_good_end() {
    let sandbox = Sandbox::new();
    for name in ["pid.nbf", ".rc_domino.unclean"] {
        let file = sandbox.file(name, "");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        sandbox
            .run(&["stop"])
            .code(150)
            .stderr_has(file.display().to_string());
        fs::remove_file(&file).unwrap();
        sandbox.run(&["stop"]).code(0);
    }
}

fn a_server_that_takes_no_command_is_stopped() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_SHUTDOWN_TIMEOUT", "1"),
        ("DOMINO_BROADCAST_SHUTDOWN_MESSAGE", "yes"),
        ("DOMINO_PRE_SHUTDOWN_COMMAND", "tell http quit"),
    ]);
    let startup = sandbox.lotus.join("bin/tools/startup");
    let text = fs::read_to_string(&startup).unwrap();
    let hanging = text.replacen("\nname=", "\n[ \"$1\" = -c ] && exec sleep 600\nname=", 1);
    assert_ne!(text, hanging);
    {
        let _guard = crate::support::executables();
        fs::write(&startup, hanging).unwrap();
    }
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    let outcome = sandbox.run(&["stop"]).code(150);
    assert!(outcome.took.as_secs() < 25, "{outcome}");
    outcome.stderr_has("tell http quit");
    assert!(sandbox.processes().is_empty());
}

/// D44. Its directory went away while the server ran: the quit is sent all the same.
fn a_log_that_cannot_be_written_ends_no_server_by_force() {
    let mut sandbox = Sandbox::new();
    let logs = sandbox.directory("logs");
    sandbox.set("DOMINO_LOG_DIR", &logs);
    sandbox.set("DOMINO_BROADCAST_SHUTDOWN_MESSAGE", "yes");
    sandbox.run(&["start"]).code(0);
    wait_until("its tasks run", || sandbox.calls("http").len() == 1);
    fs::rename(&logs, sandbox.base.join("gone")).unwrap();
    let outcome = sandbox.run(&["stop"]).code(0);
    outcome.stderr_has("logs/notes.log");
    assert!(sandbox.processes().is_empty());
}
