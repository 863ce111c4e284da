//! `verify`: every check, when it holds and when it does not.

use crate::standin::processes::{kill_and_wait, signal};
use crate::support::command::{Command, Running};
use crate::support::{Outcome, Sandbox, age, is_root, wait_until};
use rustix::net;
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::Duration;

scenarios![
    all_holds,
    no_server,
    waits_until_all_holds,
    waits_no_longer_than_it_may,
    a_signal_ends_the_wait,
    tasks_that_are_missing,
    a_port_that_is_closed_or_anothers,
    a_console_that_does_not_answer,
    a_run_that_ended_badly,
    an_nsd_since_the_start,
    a_recovery_that_goes_on,
    a_recovery_that_the_log_does_not_show,
    processes_of_before,
    ipc_of_before,
    files_of_before,
    a_file_of_a_backup_that_is_over,
    places_that_are_not_there_or_take_nothing,
    a_filesystem_that_is_read_only needs Root,
    wrong_arguments,
];

/// A port that nobody listens on, and that nobody but who asks for it gets:
/// a socket stays bound to it.
pub(super) fn kept_port() -> u16 {
    let (inet, stream) = (net::AddressFamily::INET, net::SocketType::STREAM);
    let socket = net::socket_with(inet, stream, net::SocketFlags::CLOEXEC, None).unwrap();
    net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bound = SocketAddrV4::try_from(net::getsockname(&socket).unwrap()).unwrap();
    std::mem::forget(socket);
    bound.port()
}

/// A server that can be called, with more in its notes.ini.
fn sandbox(ini: &[&str]) -> Sandbox {
    let port = kept_port();
    let mut builder = Sandbox::builder()
        .port(port)
        .ini(format!("TCPIP_TcpIpAddress=0,127.0.0.1:{port}"));
    for line in ini {
        builder = builder.ini(*line);
    }
    builder.build()
}

/// Up, with a clock that tells what comes from what was there before.
fn up(sandbox: &Sandbox) {
    sandbox.up();
    wait_until("its tasks run", || !sandbox.calls("http").is_empty());
}

const CHECKS: [&str; 8] = [
    "server",
    "tasks",
    "port",
    "console",
    "crash",
    "recovery",
    "leftovers",
    "storage",
];

/// The one check that does not hold, as it is told.
#[track_caller]
fn only(outcome: Outcome, verdict: &str, name: &str) -> String {
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), CHECKS.len(), "{outcome}");
    for (line, expected) in lines.iter().zip(CHECKS) {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap(), words.next().unwrap());
        assert_eq!(second, expected, "{outcome}");
        assert_eq!(
            first,
            if second == name { verdict } else { "ok" },
            "{outcome}"
        );
        assert_eq!(line.contains(" -> "), second == name, "{outcome}");
    }
    let line = lines.iter().find(|line| line.contains(" -> ")).unwrap();
    (*line).to_owned()
}

/// Looks once. An ordinary user's sandboxes share his uid: what another one's
/// dead server has left of IPC goes soon.
#[track_caller]
fn look(sandbox: &Sandbox) -> Outcome {
    for _ in 0..20 {
        let outcome = sandbox.run(&["verify"]);
        let of_others = outcome.said("shared memory segment") || outcome.said("IPC objects");
        if is_root() || !of_others {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    sandbox.run(&["verify"])
}

#[track_caller]
fn fails(sandbox: &Sandbox, name: &str) -> String {
    only(look(sandbox).code(1), "FAILED", name)
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}

fn all_holds() {
    let sandbox = sandbox(&["TRANSLOG_Status=1"]);
    up(&sandbox);
    let outcome = look(&sandbox).code(0).quiet();
    let text = outcome.text();
    assert_eq!(text.lines().count(), CHECKS.len(), "{outcome}");
    assert!(
        text.lines().all(|line| line.starts_with("ok ")),
        "{outcome}"
    );
    assert!(text.contains("Restart Recovery complete"), "{outcome}");
    let outcome = sandbox.run(&["verify", "--json"]).code(0).quiet();
    let report = json(&outcome);
    assert_eq!(report["ok"], true);
    assert!(report["waited_seconds"].as_f64().unwrap() < 30.0);
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, CHECKS);
    for check in checks {
        assert_eq!(check["ok"], true);
        assert!(!check["detail"].as_str().unwrap().is_empty());
        assert_eq!(check["advice"], "");
    }
    // A backup at work is no fault.
    sandbox.run(&["__backup-mode", "enter"]).code(0);
    look(&sandbox).code(0);
    sandbox.run(&["__backup-mode", "leave"]).code(0);
    sandbox.run(&["restart"]).code(0);
    sandbox.run(&["verify", "--wait=20"]).code(0);
    sandbox.down();
}

fn no_server() {
    let sandbox = sandbox(&[]);
    let outcome = sandbox.run(&["verify"]).code(7).quiet();
    assert!(outcome.text().starts_with("FAILED   server "), "{outcome}");
    assert!(outcome.text().contains("unknown  console "), "{outcome}");
    assert!(outcome.text().contains("ok       storage "), "{outcome}");
    let outcome = sandbox
        .run(&["verify", "--wait=1", "--json"])
        .code(7)
        .quiet();
    let report = json(&outcome);
    assert_eq!(report["ok"], false);
    assert!(report["waited_seconds"].as_f64().unwrap() >= 1.0);
    assert_eq!(report["checks"][0]["ok"], false);
    assert_eq!(report["checks"][3]["ok"], Value::Null);
    assert!(outcome.took < Duration::from_secs(30), "{outcome}");
    // Only the rest of one.
    up(&sandbox);
    let server = sandbox.servers();
    kill_and_wait(&server);
    let outcome = sandbox.run(&["verify"]).code(7);
    assert!(outcome.text().contains("FAILED   crash "), "{outcome}");
    assert!(outcome.text().contains("FAILED   leftovers "), "{outcome}");
    sandbox.kill();
}

fn waits_until_all_holds() {
    let sandbox = sandbox(&["TRANSLOG_Status=1"]);
    sandbox.mode("start_delay=1.5\nrecovery_delay=1\n");
    let verify = sandbox.command(&["verify", "--wait=100"]).spawn();
    verify.wait_minds(libc::SIGTERM);
    sandbox.run(&["start"]).code(0);
    let outcome = verify.outcome().code(0);
    assert!(outcome.took < Duration::from_secs(60), "{outcome}");
    // The console was asked once all the rest held.
    let asked = sandbox.console().matches("> show server").count();
    assert_eq!(asked, 1, "{}", sandbox.console());
    sandbox.down();
}

fn waits_no_longer_than_it_may() {
    let sandbox = sandbox(&[]);
    sandbox.mode("tasks=update\n");
    sandbox.up();
    let outcome = sandbox.run(&["verify", "--wait=2"]).code(1);
    assert!(
        (1_900..30_000).contains(&outcome.took.as_millis()),
        "{outcome}"
    );
    only(outcome, "FAILED", "tasks");
    sandbox.down();
}

fn a_signal_ends_the_wait() {
    let sandbox = sandbox(&[]);
    let verify = sandbox.command(&["verify", "--wait=60"]).spawn();
    verify.wait_minds(libc::SIGTERM);
    verify.signal(libc::SIGTERM);
    verify.outcome().code(128 + 15).stderr_has("server");
}

fn tasks_that_are_missing() {
    let mut sandbox = sandbox(&[]);
    sandbox.mode("tasks=update,replica,amgr,adminp,sched\n");
    sandbox.up();
    let line = fails(&sandbox, "tasks");
    assert!(line.contains("not running: http router "), "{line}");
    sandbox.run(&["cmd", "load router"]);
    sandbox.set("DOMINO_VERIFY_TASKS", "-http");
    sandbox.run(&["verify", "--wait=20"]).code(0);
    sandbox.set("DOMINO_VERIFY_TASKS", "-http,Traveler");
    let line = fails(&sandbox, "tasks");
    assert!(line.contains("not running: traveler "), "{line}");
    sandbox.down();
}

fn a_port_that_is_closed_or_anothers() {
    let port = kept_port();
    let sandbox = Sandbox::builder()
        .ini(format!("TCPIP_TcpIpAddress=0,127.0.0.1:{port}"))
        .build();
    up(&sandbox);
    let line = fails(&sandbox, "port");
    assert!(
        line.contains(&format!("nobody listens on NRPC port {port}")),
        "{line}"
    );
    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let line = fails(&sandbox, "port");
    assert!(line.contains("belongs to another process"), "{line}");
    sandbox.down();
}

fn a_console_that_does_not_answer() {
    let sandbox = sandbox(&[]);
    sandbox.mode("deaf=1\n");
    up(&sandbox);
    let line = fails(&sandbox, "console");
    assert!(line.contains("nothing came of it"), "{line}");
    // It does not even take the command.
    let server = sandbox.launch().pid;
    signal(server, libc::SIGSTOP);
    let line = fails(&sandbox, "console");
    assert!(line.contains("'server -c'"), "{line}");
    signal(server, libc::SIGCONT);
    sandbox.down();
}

fn a_run_that_ended_badly() {
    let sandbox = sandbox(&[]);
    up(&sandbox);
    sandbox.file(".rc_domino.unclean", "the server was stopped by force\n");
    let line = fails(&sandbox, "crash");
    assert!(line.contains("by force"), "{line}");
    sandbox.run(&["restart"]).code(0);
    sandbox.run(&["verify", "--wait=20"]).code(0);
    sandbox.down();
}

fn an_nsd_since_the_start() {
    let sandbox = sandbox(&[]);
    let support = sandbox.directory(sandbox.data.join("IBM_TECHNICAL_SUPPORT"));
    let old = support.join("nsd_Linux_old.log");
    fs::write(&old, "NSD").unwrap();
    age(&old, 1);
    up(&sandbox);
    look(&sandbox).code(0);
    fs::write(support.join("nsd_Linux_new.log"), "NSD").unwrap();
    let line = fails(&sandbox, "crash");
    assert!(line.contains("nsd_Linux_new.log"), "{line}");
    sandbox.down();
}

fn a_recovery_that_goes_on() {
    let sandbox = sandbox(&["TRANSLOG_Status=1"]);
    sandbox.mode("recovery_delay=8\n");
    // What an earlier start said does not count.
    sandbox.file(
        "notes.log",
        "Recovery Manager: Restart Recovery complete. (0/0)\n",
    );
    sandbox.run(&["start"]).code(0);
    wait_until("it recovers", || {
        sandbox.console().contains("Restart Analysis")
    });
    let outcome = sandbox.run(&["verify"]).code(1);
    assert!(
        outcome
            .text()
            .contains("FAILED   recovery   it goes on: Restart Analysis (0 MB): 100%"),
        "{outcome}"
    );
    sandbox.run(&["verify", "--wait=60"]).code(0);
    sandbox.down();
}

/// Resource files are missing, or the log was set aside while the server ran.
fn a_recovery_that_the_log_does_not_show() {
    let sandbox = sandbox(&["TRANSLOG_Status=1"]);
    sandbox.mode("recovery_silent=1\n");
    up(&sandbox);
    let outcome = look(&sandbox).code(0);
    assert!(outcome.text().contains("has opened its port"), "{outcome}");
    sandbox.down();
    // Nor is there a port to tell it.
    let sandbox = Sandbox::builder()
        .ini("TRANSLOG_Status=1")
        .ini(format!("TCPIP_TcpIpAddress=0,:{}", kept_port()))
        .build();
    sandbox.mode("recovery_silent=1\n");
    up(&sandbox);
    let outcome = sandbox.run(&["verify"]).code(1);
    assert!(outcome.text().contains("unknown  recovery "), "{outcome}");
    sandbox.down();
}

/// Starts a program of the installation past this program.
fn by_hand(sandbox: &Sandbox, program: &str) -> Running {
    let path = format!("{}:/usr/bin:/bin", sandbox.data.display());
    Command::new(sandbox, sandbox.lotus.join(program))
        .env("PATH", path)
        .spawn()
}

fn processes_of_before() {
    let sandbox = sandbox(&[]);
    up(&sandbox);
    // Its tasks outlive it.
    let servers = sandbox.servers();
    kill_and_wait(&servers);
    for file in ["~notes.lck", "pid.nbf", ".standin.sock", "notes.log"] {
        let _ = fs::remove_file(sandbox.data.join(file));
    }
    let server = by_hand(&sandbox, "bin/server");
    wait_until("its tasks run", || sandbox.calls("http").len() == 2);
    wait_until("its list is written", || {
        fs::read_to_string(sandbox.data.join("pid.nbf")).is_ok_and(|list| list.contains("http"))
    });
    let outcome = sandbox.run(&["verify"]).code(1);
    let text = outcome.text();
    let line = text
        .lines()
        .find(|line| line.contains(" leftovers "))
        .unwrap();
    assert!(
        line.starts_with("FAILED") && line.contains("router ("),
        "{outcome}"
    );
    assert!(line.contains("domino.pid"), "{outcome}");
    sandbox.kill();
    server.outcome();
}

fn ipc_of_before() {
    let sandbox = sandbox(&[]);
    up(&sandbox);
    kill_and_wait(&sandbox.processes());
    // Its times are whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    let before = sandbox.calls("http").len();
    sandbox.run(&["start"]).code(0);
    wait_until("its tasks run", || sandbox.calls("http").len() > before);
    let outcome = sandbox.run(&["verify", "--wait=5"]).code(1);
    let line = only(outcome, "FAILED", "leftovers");
    assert!(line.contains("shared memory segment"), "{line}");
    sandbox.down();
    sandbox.run(&["cleanup", "--yes"]).code(0);
    up(&sandbox);
    sandbox.run(&["verify", "--wait=5"]).code(0);
    sandbox.down();
}

fn files_of_before() {
    let sandbox = sandbox(&[]);
    up(&sandbox);
    let pid_file = fs::read(sandbox.data.join("domino.pid")).unwrap();
    for text in ["2147483647\n", "rubbish"] {
        sandbox.file("domino.pid", text);
        let line = fails(&sandbox, "leftovers");
        assert!(line.contains("pid file"), "{line}");
    }
    sandbox.file("domino.pid", pid_file);
    sandbox.file(".jsc_lock", "");
    let line = fails(&sandbox, "leftovers");
    assert!(line.contains(".jsc_lock"), "{line}");
    fs::remove_file(sandbox.data.join(".jsc_lock")).unwrap();
    let list = fs::read(sandbox.data.join("pid.nbf")).unwrap();
    sandbox.file("pid.nbf", "1 2147483647 1 server\n");
    let line = fails(&sandbox, "leftovers");
    assert!(line.contains("lists server 2147483647"), "{line}");
    sandbox.file("pid.nbf", list);
    look(&sandbox).code(0);
    sandbox.down();
}

fn a_file_of_a_backup_that_is_over() {
    let sandbox = sandbox(&[]);
    up(&sandbox);
    age(
        &sandbox.file("dominobackup_snapshot.lck", "DOMINO-DONE\n"),
        1,
    );
    let line = fails(&sandbox, "leftovers");
    assert!(line.contains("dominobackup_snapshot.lck"), "{line}");
    sandbox.run(&["restart"]).code(0);
    sandbox.run(&["verify", "--wait=20"]).code(0);
    sandbox.down();
}

fn places_that_are_not_there_or_take_nothing() {
    let sandbox = sandbox(&[
        "TRANSLOG_Status=1",
        "Translog_Path=logdir",
        "NIFBasePath=nif",
    ]);
    up(&sandbox);
    let line = fails(&sandbox, "storage");
    assert!(
        line.contains("data/logdir: ") && !line.contains("nif"),
        "{line}"
    );
    let logdir = sandbox.directory(sandbox.data.join("logdir"));
    sandbox
        .run(&["verify"])
        .code(0)
        .stdout_has("1 further place");
    sandbox.file("mail.dir", "/not/there\n");
    let line = fails(&sandbox, "storage");
    assert!(line.contains("/not/there: "), "{line}");
    let other = sandbox.directory(sandbox.base.join("other"));
    sandbox.file("mail.dir", other.to_str().unwrap());
    look(&sandbox).code(0);
    for directory in [&other, &logdir, &sandbox.data] {
        let left = fs::read_dir(directory).unwrap().flatten();
        let trial = |name: &str| name.ends_with(".trial");
        assert!(
            !left
                .into_iter()
                .any(|entry| trial(entry.file_name().to_str().unwrap()))
        );
    }
    if is_root() {
        std::os::unix::fs::chown(&other, Some(0), Some(0)).unwrap();
        let line = fails(&sandbox, "storage");
        assert!(
            line.contains("/other: ") && line.contains("denied"),
            "{line}"
        );
    }
    sandbox.down();
}

fn a_filesystem_that_is_read_only() {
    let sandbox = sandbox(&[]);
    let mount = sandbox.directory(sandbox.data.join("mail"));
    let run = |program: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        let status = command.args(arguments).arg(&mount).status().unwrap();
        assert!(status.success(), "{program}");
    };
    run("mount", &["-t", "tmpfs", "-o", "ro", "tmpfs"]);
    let scenario = || {
        up(&sandbox);
        let line = fails(&sandbox, "storage");
        assert!(
            line.contains("mounted read-only on") && line.contains("data/mail"),
            "{line}"
        );
        sandbox.down();
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
    sandbox.kill();
    run("umount", &["-l"]);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn wrong_arguments() {
    let sandbox = Sandbox::new();
    for line in [
        &["verify", "now"][..],
        &["verify", "--wait=soon"],
        &["verify", "--wait", "5"],
        &["verify", "--wait=-1"],
    ] {
        sandbox.run(line).code(2);
    }
}
