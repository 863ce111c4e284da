//! `stop` answers 0 only when nothing is left: the promise (D18, D20).

use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    left_behind_tasks_are_waited_for,
    processes_that_appear_late_are_waited_for,
    a_process_that_survives_the_kill_is_1,
    the_servers_quit_that_fails_is_told,
    a_quit_that_came_too_early_is_sent_again,
    progress_names_what_is_waited_for,
    an_archive_at_the_end_is_whole,
    fault_recovery_does_not_outwit_a_stop,
    a_crash_that_fault_recovery_answers_stays_down,
    the_controller_stays_after_quit,
    an_orphaned_server_is_stopped_too,
    a_full_disk_does_not_keep_a_server_up needs Root,
    a_request_to_quit_that_hangs_is_no_server,
    a_server_that_comes_up_meanwhile_is_not_down,
    data_on_other_filesystems_is_flushed_too,
    data_that_cannot_be_flushed_is_1,
];

/// Lets a shutdown that `tika_blocks` holds come to its end.
pub fn end_tika(sandbox: &Sandbox) {
    wait_until("tika runs", || !sandbox.calls("java").is_empty());
    crate::standin::processes::signal(sandbox.calls("java")[0].pid, libc::SIGKILL);
}

/// D20: the server is gone, a task of it still writes.
fn left_behind_tasks_are_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.mode("leave_task=router\nleave_task_seconds=2\n");
    sandbox.up();
    let outcome = sandbox.down();
    assert!(outcome.took.as_millis() >= 1_500, "{outcome}");
    assert!(sandbox.processes().is_empty());
}

fn processes_that_appear_late_are_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.mode("spawn_on_stop=1\nspawn_on_stop_seconds=2\n");
    sandbox.up();
    let outcome = sandbox.down();
    assert!(outcome.took.as_millis() >= 1_500, "{outcome}");
    let updates = sandbox.calls("update");
    let late = updates.iter().filter(|call| call.args() == ["late"]);
    assert_eq!(late.count(), 1, "{outcome}");
    assert!(sandbox.processes().is_empty());
}

fn a_process_that_survives_the_kill_is_1() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\nnsd_kill_fails=1\n");
    sandbox.up();
    let servers = sandbox.servers();
    sandbox.run(&["stop"]).code(1).stderr_has("still running");
    assert_eq!(sandbox.servers(), servers);
    sandbox.kill();
}

fn the_servers_quit_that_fails_is_told() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "2")]);
    sandbox.mode("tasks=router\n");
    sandbox.up();
    // Nobody listens for the quit any more.
    fs::remove_file(sandbox.data.join(".standin.sock")).unwrap();
    sandbox.run(&["stop"]).code(150);
    assert!(sandbox.processes().is_empty());
}

/// A stop right after a start: the server does not listen yet.
fn a_quit_that_came_too_early_is_sent_again() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_SETTLE_SECONDS", "0"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "60"),
    ]);
    let startup = sandbox.lotus.join("bin/tools/startup");
    let text = fs::read_to_string(&startup).unwrap();
    let slow = text.replacen("\nname=", "\n[ $# = 0 ] && sleep 2\nname=", 1);
    assert_ne!(text, slow);
    {
        let _guard = crate::support::executables();
        fs::write(&startup, slow).unwrap();
    }
    sandbox.run(&["start"]).code(0);
    let outcome = sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty(), "{outcome}");
    assert!(outcome.took.as_secs() < 30, "{outcome}");
}

fn progress_names_what_is_waited_for() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "60")]);
    sandbox.mode("tasks=router\nshutdown_delay=14\n");
    sandbox.up();
    let outcome = sandbox.down();
    let text = outcome.text();
    let line = text.lines().find(|line| line.contains("Waiting since 1"));
    assert!(
        line.is_some_and(|line| line.contains("router") && line.contains("server")),
        "{outcome}"
    );
}

fn an_archive_at_the_end_is_whole() {
    let sandbox = Sandbox::with(&[("DOMINO_ARCHIVE_LOGS_SHUTDOWN", "yes")]);
    sandbox.mode("flood=5000\n");
    sandbox.up();
    std::thread::sleep(std::time::Duration::from_millis(500));
    sandbox.down();
    let find = || crate::support::hooks::files(&sandbox.data, "notes_", ".log.gz");
    wait_until("the archive is there", || find().len() == 1);
    let text = std::process::Command::new("gzip")
        .arg("-dc")
        .arg(&find()[0])
        .output()
        .unwrap()
        .stdout;
    let text = String::from_utf8(text).unwrap();
    // Every line of the flood up to the last, none missing, none twice.
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(" line ")?.1.parse().ok())
        .collect();
    assert!(numbers.len() > 1_000, "{}", numbers.len());
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    assert!(text.contains("Server shutdown complete"));
}

/// A killed server that Domino's own fault recovery brings back is not down.
fn fault_recovery_does_not_outwit_a_stop() {
    // So often NSD leaves the file that fault recovery goes by.
    std::thread::scope(|scope| {
        for (kept, code) in [(0, 150), (1, 150), (9, 1)] {
            scope.spawn(move || killed_and_brought_back(kept, code));
        }
    });
}

fn killed_and_brought_back(times: usize, code: i32) {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    // One that is ended as soon as it is back has left nothing to go by.
    let pids = sandbox.data.join("pid.nbf");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", pids.display());
    sandbox.hook("DOMINO_PRE_KILL_SCRIPT", &wait);
    sandbox.mode(&format!(
        "tasks=router\nignore_quit=1\nfault_recovery=1\nfault_recovery_delay=1\nnsd_kill_keeps_pids={times}\n"
    ));
    sandbox.up();
    let outcome = sandbox.run(&["stop"]).code(code);
    let back = "brought back by Domino's fault recovery";
    assert_eq!(outcome.said(back), times > 0, "{outcome}");
    if code == 1 {
        // It comes back each time: that is left, and said.
        outcome.stderr_has("still running");
        assert_eq!(sandbox.servers().len(), 1);
    } else {
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        assert!(sandbox.processes().is_empty(), "{outcome}");
        assert_eq!(sandbox.launches().len(), 1 + times, "{outcome}");
    }
    sandbox.kill();
}

/// It takes its time; a look right after the last process is too early.
fn a_crash_that_fault_recovery_answers_stays_down() {
    for delay in ["0.4", "3"] {
        let sandbox = Sandbox::new();
        sandbox.mode(&format!(
            "crash_on_stop=1\nfault_recovery=1\nfault_recovery_delay={delay}\n"
        ));
        sandbox.up();
        sandbox
            .run(&["stop"])
            .code(151)
            .stderr_has("brought back by Domino's fault recovery");
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(sandbox.processes().is_empty());
    }
}

/// D33.
fn the_controller_stays_after_quit() {
    let sandbox = Sandbox::with(&[("DOMINO_USE_JAVA_CONTROLLER", "yes")]);
    sandbox.run(&["start"]).code(0);
    wait_until("the server's tasks run", || {
        sandbox.calls("http").len() == 1
    });
    sandbox.run(&["quit"]).code(0);
    let left = sandbox.processes();
    assert_eq!(left.len(), 1, "{left:?}");
    sandbox.run(&["status"]).code(3);
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
}

/// A server that somebody started by hand, without us.
fn an_orphaned_server_is_stopped_too() {
    let sandbox = Sandbox::new();
    let by_hand = crate::support::command::Command::new(&sandbox, sandbox.lotus.join("bin/server"))
        .env("PATH", format!("{}:/usr/bin:/bin", sandbox.data.display()))
        .spawn();
    wait_until("its tasks run", || sandbox.calls("http").len() == 1);
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["start"]).code(0).stdout_has("already");
    sandbox.down();
    assert!(sandbox.processes().is_empty());
    by_hand.outcome();
}

/// No space for log, pid file, lock: a running server can still be stopped.
fn a_full_disk_does_not_keep_a_server_up() {
    let sandbox = Sandbox::new();
    let kept = sandbox.base.join("kept");
    fs::rename(&sandbox.data, &kept).unwrap();
    fs::create_dir(&sandbox.data).unwrap();
    let options = format!(
        "size=4m,mode=0755,uid={},gid={}",
        sandbox.ids.0, sandbox.ids.1
    );
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let status = std::process::Command::new(program)
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    run(
        "mount",
        &[
            "-t".as_ref(),
            "tmpfs".as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            "tmpfs".as_ref(),
            sandbox.data.as_os_str(),
        ],
    );
    run(
        "cp",
        &[
            "-a".as_ref(),
            kept.join(".").as_os_str(),
            sandbox.data.as_os_str(),
        ],
    );
    let scenario = || {
        sandbox.up();
        fill(&sandbox.data);
        sandbox.run(&["status"]).code(0);
        sandbox.run(&["stop"]).code(0);
        assert!(sandbox.processes().is_empty());
        // A start cannot work; it must say so and leave nothing running.
        fill(&sandbox.data);
        let outcome = sandbox.run(&["start"]);
        assert_ne!(outcome.code, 0, "{outcome}");
        assert!(!outcome.stderr.is_empty(), "{outcome}");
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
    sandbox.kill();
    run("umount", &["-l".as_ref(), sandbox.data.as_os_str()]);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Uses up the last block of a file system.
fn fill(directory: &std::path::Path) {
    let path = directory.join("ballast");
    let options = fs::File::options().append(true).create(true).open(path);
    let mut ballast = options.unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 512]).is_ok() {}
}

/// D18: what a directory link and notes.ini name lies elsewhere.
fn data_on_other_filesystems_is_flushed_too() {
    let sandbox = Sandbox::builder().ini("Translog_Path=/dev").build();
    sandbox.file("archive.dir", "/dev/shm\n");
    sandbox.up();
    sandbox.down().stdout_has("Flushed 3 filesystems");
}

/// D18: a disk that is broken takes nothing: no snapshot of it is good.
fn data_that_cannot_be_flushed_is_1() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut entry = sandbox.entry();
    entry.broken_disk = true;
    let outcome = sandbox.command(&["stop"]).entering(entry).run().code(1);
    outcome.stderr_has(sandbox.data.to_str().unwrap());
    assert!(sandbox.processes().is_empty());
    // The kernel tells of a lost write once, so this stays known.
    sandbox.run(&["stop"]).code(150).stderr_has("flushed");
    sandbox.up();
    sandbox.down();
}

/// It holds no database open: the server is down, and cleanly.
fn a_request_to_quit_that_hangs_is_no_server() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "60")]);
    let startup = sandbox.lotus.join("bin/tools/startup");
    let text = fs::read_to_string(&startup).unwrap();
    let hanging = text.replacen(
        "\nexec ",
        "\n[ \"$1\" = -q ] && { \"$lotus/notes/latest/linux/$name\" -q; exec 9<>\"$lotus/../data/fifo\"; read -r x <&9; }\nexec ",
        1,
    );
    assert_ne!(text, hanging);
    {
        let _guard = crate::support::executables();
        fs::write(&startup, hanging).unwrap();
    }
    let fifo = sandbox.data.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    sandbox.own(&fifo);
    sandbox.up();
    let outcome = sandbox.down();
    assert!(sandbox.calls("nsd").is_empty(), "{outcome}");
    assert!(outcome.took.as_secs() < 30, "{outcome}");
}

/// Somebody, or fault recovery, starts it while the stop is at its end.
fn a_server_that_comes_up_meanwhile_is_not_down() {
    let mut sandbox = Sandbox::new();
    let server = sandbox.lotus.join("bin/server");
    let body = format!(
        "cd \"$DOMINO_DATA_PATH\" && setsid {} </dev/null >/dev/null 2>&1 &\nuntil [ -e \"$DOMINO_DATA_PATH/pid.nbf\" ]; do sleep 0.05; done",
        server.display()
    );
    sandbox.hook("DOMINO_POST_SHUTDOWN_SCRIPT", &body);
    sandbox.up();
    sandbox
        .run(&["stop"])
        .code(1)
        .stderr_has("still running: server");
    sandbox.kill();
}
