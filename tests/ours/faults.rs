//! Faults of the original that must not come back (contract §7).

use crate::support::hooks::files;
use crate::support::{Sandbox, age, spawned, wait_until};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

scenarios![
    a_word_in_a_command_line_is_no_server,
    archives_of_other_servers_stay,
    domlog_keeps_its_own_name,
    fresh_temporary_files_stay,
    no_descriptor_leaks_into_the_server,
    the_server_is_proof_against_a_hangup,
    a_restart_outlives_its_terminal,
    both_names_of_the_log_compact_setting_count,
    two_archives_in_one_second,
];

/// D02.
fn a_word_in_a_command_line_is_no_server() {
    let sandbox = Sandbox::new();
    let note = sandbox
        .directory("lotus/notes/server_notes")
        .join("server.txt");
    fs::write(&note, "text").unwrap();
    let tail = crate::support::command::Command::new(&sandbox, "/usr/bin/tail".into())
        .args(&["-f"])
        .arg(&note)
        .open_input()
        .spawn();
    sandbox.run(&["status"]).code(3);
    sandbox.run(&["stop"]).code(0);
    sandbox.up();
    sandbox.down();
    tail.signal(libc::SIGKILL);
    tail.outcome();
}

/// D05.
fn archives_of_other_servers_stay() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_CLEAR_LOGS_STARTUP", "yes"),
        ("DOMINO_LOG_BACKUP_CLEAR_DAYS", "3"),
    ]);
    let names = [
        ("notes_200101_000000.log.gz", false),
        ("notes_200101_000000_tag.log.gz", false),
        ("notes_hub_200101_000000.log.gz", true),
        ("mail_200101_000000.log.gz", true),
        ("backup.log.gz", true),
    ];
    for (name, _) in names {
        age(&sandbox.file(name, "x"), 9);
    }
    sandbox.up();
    for (name, stays) in names {
        assert_eq!(sandbox.data.join(name).exists(), stays, "{name}");
    }
    sandbox.down();
}

/// D06.
fn domlog_keeps_its_own_name() {
    let sandbox = Sandbox::with(&[("DOMINO_LOG_DB_DAYS", "1"), ("DOMINO_DOMLOG_DB_DAYS", "1")]);
    sandbox.file("log.nsf", "log");
    sandbox.file("domlog.nsf", "domlog");
    sandbox.up();
    let directory = sandbox.data.join("log_backup");
    for (front, text) in [("log_", "log"), ("domlog_", "domlog")] {
        let found = files(&directory, front, ".nsf");
        assert_eq!(found.len(), 1, "{front}: {found:?}");
        assert_eq!(fs::read_to_string(&found[0]).unwrap(), text);
    }
    sandbox.down();
}

/// D07.
fn fresh_temporary_files_stay() {
    let sandbox = Sandbox::with(&[("DOMINO_REMOVE_TEMPFILES", "yes")]);
    let fresh = sandbox.file("mail.TMP", "a mail");
    let old = sandbox.file("old.TMP", "x");
    age(&old, 1);
    let view = sandbox.file("view.DTF", "x");
    sandbox.up();
    assert!(fresh.exists() && !old.exists() && !view.exists());
    sandbox.down();
}

/// D14.
fn no_descriptor_leaks_into_the_server() {
    let mut sandbox = Sandbox::with(&[("DOMINO_START_COMPACT_OPTIONS", "-C names.nsf")]);
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "exec ls /proc/self/fd >\"$DOMINO_DATA_PATH/fds\"",
    );
    sandbox.file("notes.log", "old\n");
    // The caller leaks one of its own.
    let call = |verb: &str| {
        let mut command = sandbox.command(&[verb]).prepared();
        // SAFETY: dup2 may be called between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::dup2(2, 200) {
                200 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let ended = spawned(command.stderr(Stdio::null())).wait();
        assert!(ended.unwrap().success(), "{verb}");
    };
    call("start");
    sandbox.wait_up();
    call("stop");
    for call in sandbox.calls("") {
        let beyond: Vec<_> = call.fds.iter().filter(|(number, _)| **number > 2).collect();
        assert!(
            beyond.is_empty(),
            "{} {:?}: {beyond:?}",
            call.program,
            call.args()
        );
    }
    // 3 is the directory that ls reads.
    let hook = fs::read_to_string(sandbox.data.join("fds")).unwrap();
    let beyond: Vec<_> = hook
        .lines()
        .filter(|fd| !["0", "1", "2", "3"].contains(fd))
        .collect();
    assert!(beyond.is_empty(), "{beyond:?}");
}

fn the_server_is_proof_against_a_hangup() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let call = sandbox.launch();
    assert!(call.sighup_ignored);
    assert_eq!(
        call.session, call.pid,
        "the server leads a session of its own"
    );
    assert_eq!(call.signals_blocked, 0);
    assert_eq!(call.signals_ignored & !1, 0, "{:x}", call.signals_ignored);
    sandbox.down();
}

fn a_restart_outlives_its_terminal() {
    let sandbox = Sandbox::new();
    for verb in [&["restart"][..], &["restartcompact", "-C"]] {
        sandbox.mode("");
        sandbox.up();
        let before = sandbox.calls("server").len();
        sandbox.mode("shutdown_delay=2\n");
        let restart = sandbox.command(verb).spawn();
        wait_until("it stops", || sandbox.calls("server").len() > before);
        restart.signal(libc::SIGHUP);
        restart.outcome().code(0);
        assert_eq!(sandbox.servers().len(), 1);
        sandbox.down();
    }
}

/// The original's documentation and its code disagree on the name (contract
/// §3): both are read.
fn both_names_of_the_log_compact_setting_count() {
    for name in [
        "DOMINO_LOG_START_COMPACT_OPTIONS",
        "DOMINO_START_LOG_COMPACT_OPTIONS",
    ] {
        let sandbox = Sandbox::with(&[(name, "-C log.nsf")]);
        sandbox.up();
        assert_eq!(sandbox.events(), ["compact -C log.nsf", "server"], "{name}");
        sandbox.down();
    }
}

fn two_archives_in_one_second() {
    let sandbox = Sandbox::with(&[("DOMINO_ARCHIVE_LOGS_SHUTDOWN", "yes")]);
    for round in 0..3 {
        sandbox.run(&["start"]).code(0);
        sandbox.wait_up();
        sandbox.file("marker", format!("{round}"));
        sandbox.down();
    }
    wait_until("all logs are compressed", || {
        files(&sandbox.data, "notes_", ".log").is_empty()
    });
    // Three shutdowns; the log that a start finds holds one line each time.
    let archives = files(&sandbox.data, "notes_", ".log.gz");
    let whole = archives.iter().filter(|path| {
        let text = std::process::Command::new("gzip")
            .arg("-dc")
            .arg(path)
            .output()
            .unwrap()
            .stdout;
        crate::support::holds(&text, "Server shutdown complete")
    });
    assert_eq!(whole.count(), 3, "{archives:?}");
}
