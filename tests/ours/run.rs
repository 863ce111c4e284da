//! D130, D131. `run`: in front of the server, for systemd's notify units and containers.
//! What a service manager is told is read here from its own end of the socket.

use super::stopping::end_tika;
use crate::standin::processes::{is_gone, signal, under};
use crate::support::{Outcome, Running, Sandbox, spawned, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

scenarios![
    ready_is_told_and_a_signal_stops_gracefully,
    a_second_signal_does_not_break_the_stop_off,
    a_slow_shutdown_asks_for_time_and_names_what_is_left,
    a_forced_stop_is_150_and_a_crashing_one_151,
    quit_at_the_console_ends_it_with_0,
    a_stop_from_elsewhere_ends_it_with_0,
    a_restart_from_elsewhere_is_followed,
    fault_recovery_is_followed,
    a_crash_without_recovery_is_151_and_leaves_nothing,
    a_server_that_ends_with_an_error_is_1,
    a_start_that_fails_keeps_its_code,
    a_signal_during_the_start_leaves_nothing,
    a_server_that_runs_is_taken_over,
    killed_it_leaves_a_server_that_stop_closes,
    a_long_compact_asks_for_time,
    the_console_comes_out_in_whole_lines,
    archiving_loses_no_line_of_the_console,
    a_start_that_shows_progress_is_waited_for,
    a_server_that_shows_nothing_is_not_waited_for,
    a_server_without_setup_is_up_but_not_ready,
    a_refused_start_leaves_what_is_there,
    a_start_that_gets_no_lock_leaves_no_mark,
    a_stop_does_not_wait_for_a_reader,
    a_lock_that_cannot_be_had_keeps_no_stop,
    a_signal_during_fault_recovery_keeps_the_server_down,
    after_run_only_a_killed_one_is_made_up_for,
    a_stop_that_cannot_begin_is_tried_until_it_can,
    errors_pass_an_output_that_nobody_reads,
    the_socket_is_not_handed_on,
    a_grace_that_is_too_short_is_said,
    what_comes_before_the_shutdown_needs_grace_too,
    healthcheck_of_each_state,
    an_old_log_that_stays_is_no_word_of_the_next_server,
];

/// A service manager's end of NOTIFY_SOCKET.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    told: Vec<String>,
}

impl Manager {
    fn new(sandbox: &Sandbox) -> Manager {
        let path = sandbox.top.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        Manager {
            socket,
            path,
            told: Vec::new(),
        }
    }

    fn listen(&mut self) -> &[String] {
        let mut block = [0; 4096];
        while let Ok(count) = self.socket.recv(&mut block) {
            let text = String::from_utf8_lossy(&block[..count]);
            self.told.extend(text.lines().map(str::to_owned));
        }
        &self.told
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.listen().iter().any(|line| line.contains(text)) {
            assert!(
                Instant::now() < end,
                "never told '{text}' but {:#?}",
                self.told
            );
        }
    }

    fn count(&mut self, line: &str) -> usize {
        self.listen().iter().filter(|told| *told == line).count()
    }
}

fn run(sandbox: &Sandbox, manager: &Manager) -> Running {
    sandbox
        .command(&["run"])
        .env("NOTIFY_SOCKET", &manager.path)
        .spawn()
}

/// A server that `run` has brought up.
fn up(sandbox: &Sandbox) -> (Running, Manager) {
    let mut manager = Manager::new(sandbox);
    let running = run(sandbox, &manager);
    manager.wait_for("READY=1");
    (running, manager)
}

fn sandbox(settings: &[(&str, &str)]) -> Sandbox {
    let mut sandbox = Sandbox::with(&[("DOMINO_RECOVERY_SECONDS", "2")]);
    for (name, value) in settings {
        sandbox.set(name, value);
    }
    sandbox
}

#[track_caller]
fn nothing_left(sandbox: &Sandbox, outcome: &Outcome) {
    assert!(sandbox.processes().is_empty(), "left\n{outcome}");
}

fn ready_is_told_and_a_signal_stops_gracefully() {
    for number in [libc::SIGTERM, libc::SIGINT] {
        let sandbox = sandbox(&[]);
        let (running, mut manager) = up(&sandbox);
        let server = sandbox.launch().pid;
        manager.wait_for(&format!(
            "STATUS=Domino server notes is ready (pid {server})"
        ));
        assert_eq!(manager.count("READY=1"), 1);
        assert!(
            !manager
                .listen()
                .iter()
                .any(|line| line.starts_with("MAINPID"))
        );
        running.signal(number);
        let outcome = running.outcome().code(0).quiet();
        manager.wait_for("STOPPING=1");
        nothing_left(&sandbox, &outcome);
        assert!(sandbox.console().contains("Server shutdown complete"));
        sandbox.run(&["stop"]).code(0);
    }
}

fn a_second_signal_does_not_break_the_stop_off() {
    let sandbox = sandbox(&[]);
    sandbox.mode("shutdown_delay=2\n");
    let (running, mut manager) = up(&sandbox);
    running.signal(libc::SIGTERM);
    manager.wait_for("STOPPING=1");
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGTERM] {
        running.signal(number);
        std::thread::sleep(Duration::from_millis(100));
    }
    let outcome = running.outcome().code(0);
    nothing_left(&sandbox, &outcome);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_slow_shutdown_asks_for_time_and_names_what_is_left() {
    let sandbox = sandbox(&[]);
    sandbox.mode("shutdown_delay=13\n");
    let (running, mut manager) = up(&sandbox);
    let before = manager.count("EXTEND_TIMEOUT_USEC=30000000");
    let began = Instant::now();
    running.signal(libc::SIGTERM);
    manager.wait_for("STOPPING=1");
    manager.wait_for("STATUS=Waiting since 1");
    let waiting =
        |line: &String| line.contains("Waiting since 1") && line.contains(" for server (");
    assert!(manager.listen().iter().any(waiting));
    let outcome = running.outcome().code(0);
    nothing_left(&sandbox, &outcome);
    // At once and every five seconds.
    let most = began.elapsed().as_secs() as usize / 5 + 2;
    let asked = manager.count("EXTEND_TIMEOUT_USEC=30000000") - before;
    assert!((3..=most).contains(&asked), "asked {asked} times");
}

fn a_forced_stop_is_150_and_a_crashing_one_151() {
    let mut sandbox = sandbox(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    let (running, _manager) = up(&sandbox);
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(150);
    nothing_left(&sandbox, &outcome);
    sandbox.reset();
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "60");
    sandbox.mode("crash_on_stop=1\n");
    fs::remove_file(sandbox.top.join("notify")).unwrap();
    let (running, _manager) = up(&sandbox);
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(151);
    nothing_left(&sandbox, &outcome);
}

fn quit_at_the_console_ends_it_with_0() {
    let sandbox = sandbox(&[]);
    let (running, mut manager) = up(&sandbox);
    sandbox.run(&["cmd", "quit"]).code(0);
    let outcome = running.outcome().code(0).stdout_has("was shut down");
    nothing_left(&sandbox, &outcome);
    manager.wait_for("STOPPING=1");
    assert!(!sandbox.data.join("domino.pid").exists());
}

fn a_stop_from_elsewhere_ends_it_with_0() {
    let sandbox = sandbox(&[]);
    sandbox.mode("shutdown_delay=1\n");
    let (running, _manager) = up(&sandbox);
    sandbox.run(&["stop"]).code(0);
    running.outcome().code(0);
    // By force: the code tells, and it is no crash.
    let sandbox = self::sandbox(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    let (running, _manager) = up(&sandbox);
    sandbox.run(&["stop"]).code(150);
    running.outcome().code(150);
}

fn a_restart_from_elsewhere_is_followed() {
    let sandbox = sandbox(&[]);
    let (running, mut manager) = up(&sandbox);
    let first = sandbox.servers();
    sandbox.run(&["restart"]).code(0);
    manager.wait_for("STATUS=Domino server notes is back (pid");
    assert_ne!(sandbox.servers(), first);
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(0);
    nothing_left(&sandbox, &outcome);
}

/// The server restarts itself under another pid: still the same service.
fn fault_recovery_is_followed() {
    let sandbox = sandbox(&[("DOMINO_RECOVERY_SECONDS", "20")]);
    sandbox.mode("fault_recovery=1\nfault_recovery_delay=0.5\n");
    let (mut running, mut manager) = up(&sandbox);
    let first = sandbox.launch().pid;
    signal(first, libc::SIGKILL);
    manager.wait_for("is gone");
    manager.wait_for("is back (pid");
    wait_until("the new server is found ready", || {
        manager.count("READY=1") == 2
    });
    assert!(running.is_running());
    let second = sandbox.servers();
    assert_ne!(second, [first]);
    let noted = fs::read_to_string(sandbox.data.join("domino.pid")).unwrap();
    assert_eq!(noted.trim(), second[0].to_string());
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
    // The stand-in's recovery program sees a little later that all is well.
    wait_until("nothing is left", || sandbox.processes().is_empty());
    sandbox.run(&["stop"]).code(0);
}

fn a_crash_without_recovery_is_151_and_leaves_nothing() {
    let sandbox = sandbox(&[]);
    let (running, mut manager) = up(&sandbox);
    signal(sandbox.launch().pid, libc::SIGKILL);
    let outcome = running.outcome().code(151);
    nothing_left(&sandbox, &outcome);
    manager.wait_for("STOPPING=1");
    sandbox.run(&["stop"]).code(150);
}

fn a_server_that_ends_with_an_error_is_1() {
    let sandbox = sandbox(&[]);
    sandbox.mode("die_after_start=4\nexit_code=7\n");
    let (running, _manager) = up(&sandbox);
    let outcome = running.outcome().code(1).stderr_has("ended with code 7");
    nothing_left(&sandbox, &outcome);
}

fn a_start_that_fails_keeps_its_code() {
    let sandbox = sandbox(&[("DOMINO_SETTLE_SECONDS", "10")]);
    let mut manager = Manager::new(&sandbox);
    let marker = sandbox.file("domino_disabled", "");
    run(&sandbox, &manager).outcome().code(154);
    fs::remove_file(marker).unwrap();
    sandbox.mode("die_after_start=0\n");
    let outcome = run(&sandbox, &manager)
        .outcome()
        .code(1)
        .stderr_has("did not stay up");
    nothing_left(&sandbox, &outcome);
    assert_eq!(manager.count("READY=1"), 0);
}

fn a_signal_during_the_start_leaves_nothing() {
    let sandbox = sandbox(&[("DOMINO_START_COMPACT_OPTIONS", "-B")]);
    sandbox.mode("compact_delay=20\n");
    let mut manager = Manager::new(&sandbox);
    let running = run(&sandbox, &manager);
    manager.wait_for("STATUS=Running compact -B");
    running.signal(libc::SIGTERM);
    // The compact did not close its databases.
    let outcome = running.outcome().code(150);
    nothing_left(&sandbox, &outcome);
    assert!(sandbox.launches().is_empty());
    // The server is there, but not ready yet.
    let sandbox = self::sandbox(&[]);
    sandbox.mode("start_delay=5\n");
    let manager = Manager::new(&sandbox);
    let running = run(&sandbox, &manager);
    sandbox.launch();
    running.signal(libc::SIGTERM);
    let outcome = running.outcome();
    nothing_left(&sandbox, &outcome);
    outcome.code(0);
}

/// Never two servers, and the service's state is true.
fn a_server_that_runs_is_taken_over() {
    let sandbox = sandbox(&[]);
    sandbox.up();
    let server = sandbox.launch().pid;
    let (running, _manager) = up(&sandbox);
    assert_eq!(sandbox.servers(), [server]);
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(0).stderr_has("taken over");
    nothing_left(&sandbox, &outcome);
}

/// A unit's ExecStopPost= calls it then.
fn killed_it_leaves_a_server_that_stop_closes() {
    let sandbox = sandbox(&[]);
    let (running, _manager) = up(&sandbox);
    let server = sandbox.launch().pid;
    running.signal(libc::SIGKILL);
    running.outcome().code(137);
    assert!(!is_gone(server));
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_long_compact_asks_for_time() {
    let sandbox = sandbox(&[("DOMINO_START_COMPACT_OPTIONS", "-B")]);
    sandbox.mode("compact_delay=7\n");
    let (running, mut manager) = up(&sandbox);
    assert!(manager.count("EXTEND_TIMEOUT_USEC=30000000") >= 2);
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
}

/// Ours, the server's and its tasks' lines never meet in one.
fn the_console_comes_out_in_whole_lines() {
    let sandbox = sandbox(&[("DOMINO_DOCKER_STDOUT", "yes")]);
    sandbox.mode("flood=3000\nshutdown_delay=1\n");
    let (running, _manager) = up(&sandbox);
    std::thread::sleep(Duration::from_secs(1));
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(0);
    let text = outcome.text();
    let log = fs::read_to_string(sandbox.log()).unwrap();
    let shown: std::collections::HashSet<&str> = text.lines().collect();
    let missing: Vec<&str> = log.lines().filter(|line| !shown.contains(line)).collect();
    assert!(missing.is_empty(), "not shown whole: {missing:#?}");
    assert!(log.lines().count() > 2_000);
    assert!(shown.contains("Waiting for the shutdown to complete"));
}

/// One that follows the log and gets no processor for longer than the archiving
/// waits for it loses lines, but not each time.
fn archiving_loses_no_line_of_the_console() {
    let gaps: Vec<[u64; 2]> = (0..3).map_while(|_| gap_while_archiving()).collect();
    assert!(gaps.len() < 3, "{gaps:?}");
}

fn gap_while_archiving() -> Option<[u64; 2]> {
    let sandbox = sandbox(&[("DOMINO_DOCKER_STDOUT", "yes")]);
    sandbox.mode("flood=400\n");
    let (running, _manager) = up(&sandbox);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1_300));
        sandbox.run(&["archivelog"]).code(0);
    }
    running.signal(libc::SIGTERM);
    let outcome = running.outcome().code(0);
    let text = outcome.text();
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(" line ")?.1.parse().ok())
        .collect();
    assert!(numbers.len() > 1_000, "{}", numbers.len());
    let pairs = || numbers.windows(2).map(|pair| [pair[0], pair[1]]);
    let again = pairs().find(|pair| pair[0] >= pair[1]);
    assert_eq!(again, None, "{} lines", numbers.len());
    pairs().find(|pair| pair[0] + 1 != pair[1])
}

/// Its log grows: that is no time to say READY=1, however long it takes.
fn a_start_that_shows_progress_is_waited_for() {
    let sandbox = sandbox(&[("DOMINO_READY_TIMEOUT", "5")]);
    sandbox.mode("tasks=a,b,c,d,e,f,g,h\nstart_delay=8\n");
    let (running, mut manager) = up(&sandbox);
    sandbox.run(&["healthcheck", "ready"]).code(0);
    manager.wait_for("is ready (pid");
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
}

fn a_server_that_shows_nothing_is_not_waited_for() {
    let sandbox = sandbox(&[("DOMINO_READY_TIMEOUT", "2")]);
    sandbox.mode("tasks=router\nstart_delay=12\n");
    let (running, mut manager) = up(&sandbox);
    manager.wait_for("is not ready yet");
    sandbox.run(&["healthcheck", "ready"]).code(1);
    manager.wait_for("is ready (pid");
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
}

fn a_server_without_setup_is_up_but_not_ready() {
    let mut sandbox = Sandbox::builder().not_set_up().build();
    let port = sandbox.free_setup_port();
    let (running, mut manager) = up(&sandbox);
    manager.wait_for(&format!("it waits for its setup on port {port}"));
    sandbox
        .run(&["healthcheck", "ready"])
        .code(1)
        .stdout_has("waits for its setup");
    sandbox.run(&["healthcheck", "live"]).code(0);
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
}

fn unclean(sandbox: &Sandbox) -> bool {
    sandbox.data.join(".rc_domino.unclean").exists()
}

/// An administrator's own compact, and whatever else keeps a start from being.
fn a_refused_start_leaves_what_is_there() {
    let sandbox = sandbox(&[]);
    sandbox.mode("compact_delay=100\n");
    let compact =
        crate::support::command::Command::new(&sandbox, sandbox.lotus.join("bin/compact"))
            .arg("mail/x.nsf")
            .spawn();
    wait_until("it runs", || !sandbox.processes().is_empty());
    let manager = Manager::new(&sandbox);
    run(&sandbox, &manager)
        .outcome()
        .code(1)
        .stderr_has("processes of an earlier server are left: compact");
    sandbox
        .command(&["stop", "--after-run"])
        .env("EXIT_CODE", "exited")
        .run()
        .code(0);
    assert!(!unclean(&sandbox));
    compact.signal(libc::SIGKILL);
    compact.outcome().code(137);
    sandbox.run(&["stop"]).code(0);
}

fn a_start_that_gets_no_lock_leaves_no_mark() {
    let sandbox = sandbox(&[("DOMINO_LOCK_TIMEOUT", "1")]);
    sandbox.mode("compact_delay=8\n");
    let compact = sandbox.command(&["compact", "-B"]).spawn();
    wait_until("it runs", || !sandbox.processes().is_empty());
    let manager = Manager::new(&sandbox);
    run(&sandbox, &manager).outcome().code(153);
    compact.outcome().code(0);
    assert!(!unclean(&sandbox));
    sandbox.run(&["stop"]).code(0);
}

/// A container's runtime that reads no more: the grace goes by all the same.
fn a_stop_does_not_wait_for_a_reader() {
    let sandbox = sandbox(&[("DOMINO_DOCKER_STDOUT", "yes")]);
    sandbox.mode("flood=3000\n");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = sandbox.command(&["run"]).prepared();
    command.stdin(std::process::Stdio::null());
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = spawned(&mut command);
    drop(command);
    sandbox.wait_up();
    // A pipe holds 64 KiB, which this flood fills in a fraction of a second.
    std::thread::sleep(Duration::from_secs(2));
    signal(child.id() as i32, libc::SIGTERM);
    let began = Instant::now();
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    let took = began.elapsed();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(sandbox.processes().is_empty());
    assert!(sandbox.console().contains("Server shutdown complete"));
    drop(reader);
}

fn a_lock_that_cannot_be_had_keeps_no_stop() {
    let sandbox = sandbox(&[]);
    let (running, _manager) = up(&sandbox);
    let lock = sandbox.data.join(".rc_domino.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("elsewhere", &lock).unwrap();
    running.signal(libc::SIGTERM);
    let outcome = running
        .outcome()
        .code(0)
        .stderr_has("going on without the lock");
    nothing_left(&sandbox, &outcome);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

/// What would bring the server back is waited for; what it brings is ended.
fn a_signal_during_fault_recovery_keeps_the_server_down() {
    std::thread::scope(|scope| {
        for delay in ["2", "4"] {
            scope.spawn(move || a_signal_while_it_recovers(delay));
        }
    });
}

fn a_signal_while_it_recovers(delay: &str) {
    let sandbox = sandbox(&[("DOMINO_RECOVERY_SECONDS", "20")]);
    sandbox.mode(&format!("fault_recovery=1\nfault_recovery_delay={delay}\n"));
    let (mut running, mut manager) = up(&sandbox);
    // It brings nothing back before the stop is at work.
    let recovery = under(&sandbox.lotus.join("tools"), None);
    assert_eq!(recovery.len(), 1);
    signal(recovery[0], libc::SIGSTOP);
    signal(sandbox.launch().pid, libc::SIGKILL);
    manager.wait_for("is gone");
    running.signal(libc::SIGTERM);
    running.wait_says("there is no server, but processes of one are left");
    signal(recovery[0], libc::SIGCONT);
    while running.is_running() {
        manager.listen();
    }
    let outcome = running.outcome();
    nothing_left(&sandbox, &outcome);
    let outcome = outcome.code(150).stderr_has("not closed cleanly");
    std::thread::sleep(Duration::from_secs(5));
    nothing_left(&sandbox, &outcome);
}

fn after_run_only_a_killed_one_is_made_up_for() {
    let sandbox = sandbox(&[]);
    sandbox.up();
    let stop = |code: &str, status: &str| {
        let command = sandbox.command(&["stop", "--after-run"]);
        let command = command.env("EXIT_CODE", code).env("EXIT_STATUS", status);
        command.run().code(0);
    };
    // It refused to start, for a reason that a server outside of it can have.
    stop("exited", "153");
    assert_eq!(sandbox.servers().len(), 1);
    stop("killed", "KILL");
    assert!(sandbox.processes().is_empty());
    // It could not stop the server.
    sandbox.up();
    stop("exited", "1");
    assert!(sandbox.processes().is_empty());
}

/// Nobody else would tell the server to quit.
fn a_stop_that_cannot_begin_is_tried_until_it_can() {
    let sandbox = sandbox(&[]);
    let (mut running, _manager) = up(&sandbox);
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(&sandbox.data, mode(0)).unwrap();
    running.signal(libc::SIGTERM);
    running.wait_says("once more");
    // Longer than it says so each time.
    std::thread::sleep(Duration::from_secs(4));
    fs::set_permissions(&sandbox.data, mode(0o755)).unwrap();
    let outcome = running.outcome().code(0);
    nothing_left(&sandbox, &outcome);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

/// Somebody may read the one who does not read the other.
fn errors_pass_an_output_that_nobody_reads() {
    let sandbox = sandbox(&[
        ("DOMINO_DOCKER_STDOUT", "yes"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "3"),
    ]);
    sandbox.mode("flood=3000\nignore_quit=1\n");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = sandbox.command(&["run"]).prepared();
    let errors = sandbox.base.join("errors");
    command.stdin(std::process::Stdio::null());
    command
        .stdout(writer)
        .stderr(fs::File::create(&errors).unwrap());
    let mut child = spawned(&mut command);
    drop(command);
    sandbox.wait_up();
    std::thread::sleep(Duration::from_secs(2));
    signal(child.id() as i32, libc::SIGTERM);
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(150));
    let said = fs::read_to_string(&errors).unwrap();
    assert!(said.contains("do not trust a snapshot"), "{said}");
    drop(reader);
}

fn the_socket_is_not_handed_on() {
    let sandbox = sandbox(&[]);
    let (running, _manager) = up(&sandbox);
    let environment = fs::read(format!("/proc/{}/environ", sandbox.launch().pid)).unwrap();
    assert!(!crate::support::holds(&environment, "NOTIFY_SOCKET"));
    running.signal(libc::SIGTERM);
    running.outcome().code(0);
}

fn a_grace_that_is_too_short_is_said() {
    let sandbox = sandbox(&[("DOMINO_TERMINATION_GRACE", "20")]);
    let (running, _manager) = up(&sandbox);
    running.signal(libc::SIGTERM);
    running
        .outcome()
        .code(0)
        .stderr_has("terminationGracePeriodSeconds");
}

fn what_comes_before_the_shutdown_needs_grace_too() {
    let sandbox = sandbox(&[
        ("DOMINO_TERMINATION_GRACE", "60"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "20"),
        ("DOMINO_PRE_SHUTDOWN_COMMAND", "show users"),
        ("DOMINO_PRE_SHUTDOWN_DELAY", "40"),
    ]);
    sandbox.file("domino_disabled", "");
    sandbox
        .run(&["run"])
        .code(154)
        .stderr_has("60 seconds, is not above the 90 seconds");
}

fn healthcheck_of_each_state() {
    let sandbox = sandbox(&[("DOMINO_SETTLE_SECONDS", "1")]);
    let probe = |what: &[&str], code: i32, text: &str| {
        let words = [&["healthcheck"], what].concat();
        let outcome = sandbox.run(&words).code(code).quiet().stdout_has(text);
        assert_eq!(outcome.text().lines().count(), 1);
    };
    probe(&[], 1, "not live");
    probe(&["ready"], 1, "not ready");
    sandbox.mode("start_delay=6\ntika_blocks=1\n");
    let mut manager = Manager::new(&sandbox);
    let running = run(&sandbox, &manager);
    wait_until("a start is at work", || {
        sandbox.run(&["healthcheck", "live"]).code == 0
    });
    let server = sandbox.launch().pid;
    signal(server, libc::SIGSTOP);
    probe(&["ready"], 1, "not ready");
    signal(server, libc::SIGCONT);
    manager.wait_for("READY=1");
    probe(&["live"], 0, "live: notes runs");
    probe(&["ready"], 0, "ready: notes");
    // Its log is archived: what it said is not there any more.
    sandbox.run(&["archivelog"]).code(0);
    probe(&["ready"], 0, "ready: notes");
    running.signal(libc::SIGTERM);
    manager.wait_for("STOPPING=1");
    wait_until("the stop has the lock", || {
        sandbox.run(&["healthcheck", "ready"]).code == 1
    });
    probe(&[], 0, "live");
    end_tika(&sandbox);
    running.outcome().code(0);
    probe(&[], 1, "not live");
    fs::remove_file(sandbox.data.join("notes.ini")).unwrap();
    probe(&["ready"], 1, "not ready");
    sandbox.command(&["healthcheck", "other"]).run().code(2);
}

/// There was no room to archive it in.
fn an_old_log_that_stays_is_no_word_of_the_next_server() {
    let mut sandbox = sandbox(&[]);
    let archives = sandbox.directory("closed");
    fs::set_permissions(&archives, fs::Permissions::from_mode(0o555)).unwrap();
    sandbox.set("DOMINO_LOG_BACKUP_DIR", &archives);
    sandbox.up();
    sandbox.down();
    sandbox.mode("start_delay=30\n");
    let manager = Manager::new(&sandbox);
    let running = run(&sandbox, &manager);
    wait_until("it starts", || !sandbox.servers().is_empty());
    // It is looked at four times a second.
    std::thread::sleep(Duration::from_secs(1));
    let log = sandbox.console();
    assert!(log.contains("Database Server started"), "{log}");
    sandbox
        .run(&["healthcheck", "ready"])
        .code(1)
        .stdout_has("not ready");
    sandbox.kill();
    let outcome = running.outcome();
    assert!(!outcome.said("is ready"), "{outcome}");
    sandbox.run(&["start"]).code(0);
    sandbox.run(&["healthcheck", "ready"]).code(1);
    sandbox.kill();
}
