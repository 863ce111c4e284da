//! The resource agent of a cluster (D123): OCF's codes, by the path that
//! clusters call it by.

use super::concurrency::being_started;
use super::verify::kept_port;
use super::{shared_data, snapshot};
use crate::standin::processes::signal;
use crate::support::command::Command;
use crate::support::{Outcome, Sandbox, executables, run_directory, wait_until};
use std::fs;
use std::path::PathBuf;

scenarios![
    meta_data_needs_nothing,
    the_life_of_a_resource,
    stop_leaves_no_process_no_ipc_no_lock,
    a_forced_stop_is_a_success_that_is_told,
    what_a_crash_left_is_a_failure_until_it_is_stopped,
    a_start_that_fails_says_why,
    a_start_waits_for_readiness,
    // Without a configuration any server of the user counts: it takes one of his own.
    probes_find_nothing_where_nothing_can_be needs Root,
    deeper_monitors_ask_the_console_and_the_port,
    // Without a configuration any server of the user counts: it takes one of his own.
    a_further_configuration_file needs Root,
    a_shutdown_longer_than_the_cluster_waits_is_said,
    a_stop_that_the_cluster_killed_keeps_nobody_waiting,
    wrong_calls_have_their_codes,
    a_wrong_lotus_moves_no_server,
    a_server_that_cannot_be_asked_to_quit_is_not_killed,
    a_start_beside_one_waits_for_readiness_too,
    a_stop_that_could_not_wait_for_a_start_fails,
    a_start_kills_nothing_that_another_has_started,
    a_stop_kills_nothing_that_was_started_since,
    a_server_that_waits_for_its_setup_is_started,
    what_a_passive_node_says_is_true needs Bindfs,
    a_freeze_is_no_failure,
];

/// The agent's path.
fn path(sandbox: &Sandbox) -> PathBuf {
    let directory = sandbox.directory("ocf/resource.d/nashcom");
    let link = directory.join("domino");
    if link.symlink_metadata().is_err() {
        let _guard = executables();
        std::os::unix::fs::symlink(run_directory::program("rc_domino"), &link).unwrap();
    }
    link
}

fn agent<'a>(sandbox: &'a Sandbox, action: &str) -> Command<'a> {
    let command = Command::new(sandbox, path(sandbox)).args(&[action]);
    command.env("OCF_RESOURCE_INSTANCE", "dom")
}

fn act(sandbox: &Sandbox, action: &str) -> Outcome {
    agent(sandbox, action).run()
}

fn meta_data_needs_nothing() {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.root.join("etc/sysconfig/rc_domino_config")).unwrap();
    let told = act(&sandbox, "meta-data").code(0).quiet();
    let text = told.text();
    assert!(text.starts_with("<?xml") && text.contains("</resource-agent>"));
    for name in ["user", "config", "shutdown_timeout", "ready", "take_over"] {
        assert!(
            text.contains(&format!("<parameter name=\"{name}\"")),
            "{name}"
        );
    }
    assert_eq!(sandbox.run(&["ocf", "meta-data"]).code(0).text(), text);
}

/// Also when the cluster asks again, while somebody sets it up.
fn a_server_that_waits_for_its_setup_is_started() {
    let mut sandbox = Sandbox::builder().not_set_up().build();
    sandbox.free_setup_port();
    for _ in 0..2 {
        agent(&sandbox, "start")
            .env("OCF_RESKEY_CRM_meta_timeout", "60000")
            .run()
            .code(0);
    }
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.kill();
}

fn the_life_of_a_resource() {
    let sandbox = Sandbox::new();
    act(&sandbox, "validate-all").code(0).quiet();
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "stop").code(0);
    act(&sandbox, "start").code(0);
    // It answered when the server was ready.
    assert!(sandbox.console().contains(crate::support::server::UP));
    act(&sandbox, "monitor").code(0).quiet();
    act(&sandbox, "status").code(0);
    act(&sandbox, "start").code(0);
    assert_eq!(sandbox.launches().len(), 1);
    act(&sandbox, "stop").code(0);
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "stop").code(0);
    assert_eq!(sandbox.launches().len(), 1);
}

fn stop_leaves_no_process_no_ipc_no_lock() {
    let sandbox = Sandbox::new();
    sandbox.mode("tasks=router,http\n");
    act(&sandbox, "start").code(0);
    assert!(sandbox.data.join(".rc_domino.host").exists());
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    // What one that was killed leaves: IPC, locks, the list of processes.
    assert!(crate::standin::ipc_left(&sandbox.data) > 0);
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "stop")
        .code(0)
        .stderr_has("databases were not closed cleanly");
    assert_eq!(crate::standin::ipc_left(&sandbox.data), 0);
    for name in [".rc_domino.host", "~notes.lck"] {
        assert!(!sandbox.data.join(name).exists(), "{name}");
    }
    // A start alone clears IPC, too.
    act(&sandbox, "start").code(0);
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    act(&sandbox, "start").code(0);
    act(&sandbox, "stop").code(0);
    assert_eq!(crate::standin::ipc_left(&sandbox.data), 0);
}

fn a_forced_stop_is_a_success_that_is_told() {
    let mut sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    act(&sandbox, "start").code(0);
    sandbox.mode("ignore_quit=1\n");
    act(&sandbox, "stop").code(0).stderr_has("stopped by force");
    act(&sandbox, "monitor").code(7);
    // NSD that does not kill either: the last resort does.
    sandbox.mode("ignore_quit=1\nnsd_kill_fails=1\n");
    act(&sandbox, "start").code(0);
    act(&sandbox, "stop")
        .code(0)
        .says("Killed server")
        .stderr_has("SIGKILL");
    act(&sandbox, "monitor").code(7);
    // It needs its time: force is not what is told here.
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "60");
    sandbox.mode("crash_on_stop=1\n");
    act(&sandbox, "start").code(0);
    act(&sandbox, "stop")
        .code(0)
        .stderr_has("crashed while stopping");
    assert!(sandbox.processes().is_empty());
    assert_eq!(crate::standin::ipc_left(&sandbox.data), 0);
}

fn what_a_crash_left_is_a_failure_until_it_is_stopped() {
    let mut sandbox = Sandbox::new();
    sandbox.mode("tasks=router,http\n");
    act(&sandbox, "start").code(0);
    crate::standin::processes::kill_and_wait(&sandbox.servers());
    assert!(!sandbox.processes().is_empty());
    act(&sandbox, "monitor")
        .code(1)
        .stderr_has("ocf-exit-reason:the server is gone");
    act(&sandbox, "start")
        .code(1)
        .stderr_has("ocf-exit-reason:");
    // Nobody tells them to quit: they are not waited for as for a server.
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "600");
    let stopped = act(&sandbox, "stop").code(0);
    assert!(stopped.took.as_secs() < 30, "{stopped}");
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "start").code(0);
    act(&sandbox, "stop").code(0);
}

fn a_start_that_fails_says_why() {
    let sandbox = Sandbox::new();
    sandbox.mode("die_after_start=0\nexit_code=3\n");
    act(&sandbox, "start")
        .code(1)
        .stderr_has("ocf-exit-reason:the server did not stay up");
    act(&sandbox, "monitor").code(7);
    // It may be another host's turn: nothing claims the data any more.
    assert!(!sandbox.data.join(".rc_domino.host").exists());
    sandbox.mode("");
    sandbox.file("domino_disabled", "");
    let disabled = "ocf-exit-reason:the server is disabled";
    act(&sandbox, "start").code(1).stderr_has(disabled);
}

fn a_start_waits_for_readiness() {
    let sandbox = Sandbox::new();
    sandbox.mode("start_delay=20\n");
    let limit = ("OCF_RESKEY_CRM_meta_timeout", "7000");
    let late = agent(&sandbox, "start").env(limit.0, limit.1).run();
    late.code(1).stderr_has("not ready after 2 seconds");
    act(&sandbox, "stop").code(0);
    let started = agent(&sandbox, "start").env("OCF_RESKEY_ready", "false");
    let started = started.run().code(0);
    assert!(started.took.as_secs() < 18, "{started}");
    act(&sandbox, "stop").code(0);
}

fn probes_find_nothing_where_nothing_can_be() {
    let mut sandbox = Sandbox::new();
    let unknown = |action: &str, interval: &str| {
        agent(&sandbox, action)
            .env("OCF_RESKEY_user", "gone9")
            .env("OCF_RESKEY_CRM_meta_interval", interval)
            .run()
    };
    unknown("monitor", "0").code(7);
    unknown("monitor", "10000").code(5).stderr_has("gone9");
    unknown("start", "0").code(5);
    unknown("stop", "0").code(0);
    let root = agent(&sandbox, "stop").env("OCF_RESKEY_user", "root");
    root.run().code(0);
    // The data are on storage that another host has.
    let aside = sandbox.base.join("aside");
    fs::rename(&sandbox.data, &aside).unwrap();
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "stop").code(0);
    act(&sandbox, "start").code(5);
    act(&sandbox, "validate-all").code(5);
    // Where it is mounted there is a directory that is root's.
    fs::create_dir(&sandbox.data).unwrap();
    act(&sandbox, "stop").code(0);
    fs::remove_dir(&sandbox.data).unwrap();
    fs::rename(&aside, &sandbox.data).unwrap();
    // No configuration, no Domino.
    sandbox.forget("DOMINO_CONFIGURED");
    act(&sandbox, "monitor").code(7);
    act(&sandbox, "start")
        .code(5)
        .stderr_has("ocf-exit-reason:");
    agent(&sandbox, "monitor")
        .env("OCF_RESKEY_CRM_meta_interval", "10000")
        .run()
        .code(5);
    // A server is not moved for a typing error.
    sandbox.set("DOMINO_CONFIGURED", "yes");
    act(&sandbox, "start").code(0);
    sandbox.raw("if");
    agent(&sandbox, "monitor")
        .env("OCF_RESKEY_CRM_meta_interval", "10000")
        .run()
        .code(0)
        .stderr_has("configuration cannot be read");
    let refused = act(&sandbox, "stop").code(1);
    let reason = "ocf-exit-reason:the server runs on, its shutdown could not begin:";
    assert!(refused.said(reason), "{refused}");
    assert!(refused.said("rc_domino_config:"), "{refused}");
    sandbox.kill();
}

fn deeper_monitors_ask_the_console_and_the_port() {
    let port = kept_port();
    let sandbox = Sandbox::builder()
        .port(port)
        .ini(format!("TCPIP_TCPIPADDRESS=0,127.0.0.1:{port}"))
        .build();
    let deep = |level: &str| {
        let command = agent(&sandbox, "monitor").env("OCF_CHECK_LEVEL", level);
        command.env("OCF_RESKEY_CRM_meta_timeout", "13000").run()
    };
    deep("20").code(7);
    act(&sandbox, "start").code(0);
    deep("0").code(0);
    deep("10").code(0);
    deep("20").code(0);
    // Its process is there, but it does nothing any more.
    let server = sandbox.servers()[0];
    let everything = sandbox.processes();
    for pid in &everything {
        signal(*pid, libc::SIGSTOP);
    }
    deep("0").code(0);
    let hangs = deep("10").code(1);
    assert!(
        hangs.said("ocf-exit-reason:the console did not answer"),
        "{hangs}"
    );
    // Who asked waits no longer.
    assert_eq!(sandbox.processes(), everything);
    for pid in &everything {
        signal(*pid, libc::SIGCONT);
    }
    wait_until("it goes on", || deep("10").code == 0);
    assert_eq!(sandbox.servers(), [server]);
    act(&sandbox, "stop").code(0);
    // Up, but without its port.
    let ini = sandbox.data.join("notes.ini");
    let text = fs::read_to_string(&ini).unwrap();
    fs::write(&ini, text.replace(&format!("StandinPort={port}\n"), "")).unwrap();
    act(&sandbox, "start").code(0);
    deep("10").code(0);
    deep("20").code(1).stderr_has(format!("port {port}"));
    act(&sandbox, "stop").code(0);
}

fn a_further_configuration_file() {
    let sandbox = Sandbox::new();
    let file = sandbox.base.join("cluster.conf");
    fs::write(&file, "DOMINO_SERVER=clustered\n").unwrap();
    sandbox.own(&file);
    let with = |action: &str| {
        let command = agent(&sandbox, action).env("OCF_RESKEY_config", &file);
        command.run()
    };
    with("start").code(0).says("clustered");
    with("monitor").code(0);
    with("stop").code(0).says("clustered");
    // A file that others can write to makes nobody the Domino user.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    with("start").code(5).says("nobody else may write");
    fs::remove_file(&file).unwrap();
    with("start").code(5).says("No such file");
    with("validate-all").code(5);
    let dash = agent(&sandbox, "start").env("OCF_RESKEY_config", "--take-over");
    dash.run()
        .code(5)
        .stderr_has("ocf-exit-reason:--take-over: No such file");
    assert_eq!(sandbox.launches().len(), 1);
}

fn a_shutdown_longer_than_the_cluster_waits_is_said() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "900")]);
    act(&sandbox, "validate-all")
        .code(0)
        .stderr_has("900 seconds");
    for action in ["validate-all", "stop"] {
        let command = agent(&sandbox, action).env("OCF_RESKEY_CRM_meta_timeout", "60000");
        command.run().code(0).stderr_has("after 60");
        let command = agent(&sandbox, action)
            .env("OCF_RESKEY_CRM_meta_timeout", "60000")
            .env("OCF_RESKEY_shutdown_timeout", "30");
        let outcome = command.run().code(0);
        assert!(!outcome.said("DOMINO_SHUTDOWN_TIMEOUT"), "{outcome}");
    }
    // The parameter rules.
    sandbox.mode("ignore_quit=1\n");
    act(&sandbox, "start").code(0);
    let command = agent(&sandbox, "stop").env("OCF_RESKEY_shutdown_timeout", "1");
    command.run().code(0).stderr_has("stopped by force");
}

fn a_stop_that_the_cluster_killed_keeps_nobody_waiting() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "600")]);
    act(&sandbox, "start").code(0);
    sandbox.mode("ignore_quit=1\n");
    let hangs = agent(&sandbox, "stop").spawn();
    let quit = || {
        let calls = sandbox.calls("server");
        calls
            .iter()
            .any(|call| call.args().iter().any(|word| word == "-q"))
    };
    wait_until("the server is told to quit", quit);
    hangs.signal(libc::SIGKILL);
    hangs.outcome().code(128 + libc::SIGKILL);
    act(&sandbox, "monitor").code(0);
    let command = agent(&sandbox, "stop").env("OCF_RESKEY_shutdown_timeout", "1");
    let stopped = command.run().code(0).stderr_has("stopped by force");
    assert!(stopped.took.as_secs() < 20, "{stopped}");
}

fn wrong_calls_have_their_codes() {
    let sandbox = Sandbox::new();
    for action in [
        "promote",
        "demote",
        "notify",
        "reload",
        "migrate_to",
        "frob",
    ] {
        act(&sandbox, action)
            .code(3)
            .stderr_has("usage: domino start");
    }
    let none = Command::new(&sandbox, path(&sandbox));
    none.run().code(2).stderr_has("usage: domino start");
    for (name, value) in [("take_over", "perhaps"), ("shutdown_timeout", "soon")] {
        let command = agent(&sandbox, "start").env(&format!("OCF_RESKEY_{name}"), value);
        command.run().code(6).stderr_has(name);
    }
    assert!(sandbox.launches().is_empty());
}

/// Or one that names the next release already.
fn a_wrong_lotus_moves_no_server() {
    let mut sandbox = Sandbox::new();
    act(&sandbox, "start").code(0);
    let server = sandbox.servers();
    let lotus = sandbox.lotus.clone();
    sandbox.set("LOTUS", "/opt/hcl/domnio");
    for level in ["0", "10", "20"] {
        let command = agent(&sandbox, "monitor").env("OCF_CHECK_LEVEL", level);
        command.run().code(0).stderr_has("/opt/hcl/domnio");
    }
    act(&sandbox, "stop")
        .code(1)
        .stderr_has("ocf-exit-reason:the server runs on")
        .stderr_has("/opt/hcl/domnio");
    act(&sandbox, "start").code(0);
    assert_eq!(sandbox.servers(), server);
    sandbox.set("LOTUS", &lotus);
    // Nor does a data directory that is not there.
    let data = sandbox.data.clone();
    sandbox.set("DOMINO_DATA_PATH", "/local/notesdaat");
    act(&sandbox, "monitor").code(0);
    act(&sandbox, "stop")
        .code(1)
        .stderr_has("ocf-exit-reason:the server runs on")
        .stderr_has("/local/notesdaat");
    assert_eq!(sandbox.servers(), server);
    sandbox.set("DOMINO_DATA_PATH", &data);
    act(&sandbox, "stop").code(0);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_server_that_cannot_be_asked_to_quit_is_not_killed() {
    let sandbox = Sandbox::new();
    act(&sandbox, "start").code(0);
    let server = sandbox.servers();
    let lock = sandbox.data.join(".rc_domino.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("elsewhere", &lock).unwrap();
    act(&sandbox, "stop")
        .code(1)
        .stderr_has("ocf-exit-reason:the server runs on")
        .stderr_has("symbolic link");
    assert_eq!(sandbox.servers(), server);
    fs::remove_file(&lock).unwrap();
    act(&sandbox, "stop").code(0);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_start_beside_one_waits_for_readiness_too() {
    let sandbox = Sandbox::new();
    sandbox.mode("start_delay=8\ntasks=router\n");
    sandbox.run(&["start"]).code(0);
    let server = sandbox.launch().pid;
    signal(server, libc::SIGSTOP);
    assert!(!sandbox.console().contains(crate::support::server::UP));
    let limit = |seconds: &str| {
        agent(&sandbox, "start").env("OCF_RESKEY_CRM_meta_timeout", format!("{seconds}000"))
    };
    limit("6").run().code(1).stderr_has("ocf-exit-reason:");
    let unasked = limit("6").env("OCF_RESKEY_ready", "false");
    unasked.run().code(0);
    signal(server, libc::SIGCONT);
    limit("60").run().code(0);
    assert!(sandbox.console().contains(crate::support::server::UP));
    assert_eq!(sandbox.launches().len(), 1);
    act(&sandbox, "stop").code(0);
}

fn a_stop_that_could_not_wait_for_a_start_fails() {
    let mut sandbox = Sandbox::with(&[("DOMINO_LOCK_TIMEOUT", "1")]);
    let (start, go) = being_started(&mut sandbox);
    assert!(sandbox.processes().is_empty());
    act(&sandbox, "stop")
        .code(1)
        .stderr_has("ocf-exit-reason:")
        .stderr_has("still holds this server's lock");
    fs::write(go, "").unwrap();
    start.outcome().code(0);
    assert_eq!(sandbox.servers().len(), 1);
    act(&sandbox, "stop").code(0);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_start_kills_nothing_that_another_has_started() {
    let mut sandbox = Sandbox::new();
    act(&sandbox, "start").code(0);
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    assert!(crate::standin::ipc_left(&sandbox.data) > 0);
    sandbox.mode("start_delay=3\n");
    let (start, go) = being_started(&mut sandbox);
    // Both have looked by then, and no server was there.
    let mut person = sandbox.command(&["cleanup", "--yes"]).spawn();
    person.wait_says("Waiting for");
    let mut beside = agent(&sandbox, "start").spawn();
    beside.wait_says("Waiting for");
    fs::write(go, "").unwrap();
    let beside = beside.outcome().code(0);
    assert!(!beside.said("Killed"), "{beside}");
    // Nor is it what a person had before his eyes.
    person.outcome().code(1).stderr_has("started meanwhile");
    // It is ready, too, whoever has started it.
    assert!(sandbox.console().contains(crate::support::server::UP));
    start.outcome().code(0);
    assert_eq!(sandbox.launches().len(), 2);
    act(&sandbox, "stop").code(0);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

/// By one that waited for the lock of the stop, and had it next; whether the
/// stop has left something to remove or not.
fn a_stop_kills_nothing_that_was_started_since() {
    let (last, first) = ("DOMINO_POST_SHUTDOWN_SCRIPT", "DOMINO_PRE_STARTUP_SCRIPT");
    for left in ["ipcmk -M 4096", ""] {
        let mut sandbox = Sandbox::new();
        act(&sandbox, "start").code(0);
        let go = sandbox.base.join("go");
        let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", go.display());
        sandbox.hook(last, &format!("{left}\n{wait}"));
        let stop = agent(&sandbox, "stop").spawn();
        wait_until("the stop is nearly done", || sandbox.hooks_run() == [last]);
        // The agent does not look before the start has the lock.
        stop.signal(libc::SIGSTOP);
        sandbox.hook(first, "sleep 1");
        let start = sandbox.command(&["start"]).spawn();
        fs::write(&go, "").unwrap();
        wait_until("the start has the lock", || {
            sandbox.hooks_run() == [last, first]
        });
        stop.signal(libc::SIGCONT);
        stop.outcome()
            .code(1)
            .stderr_has("ocf-exit-reason:not cleaned up: nothing was removed")
            .stderr_has("started meanwhile: server (");
        start.outcome().code(0);
        assert_eq!(sandbox.servers().len(), 1);
        sandbox.forget(last);
        act(&sandbox, "stop").code(0);
        assert!(sandbox.console().contains("Server shutdown complete"));
    }
}

fn what_a_passive_node_says_is_true() {
    let sandbox = Sandbox::new();
    let _mount = shared_data::Shared::on(&sandbox, "fuse.sshfs");
    shared_data::foreign(&sandbox);
    let stopped = act(&sandbox, "stop").code(0).stderr_has("other.example");
    assert!(!stopped.said("by force"), "{stopped}");
    act(&sandbox, "start")
        .code(1)
        .stderr_has("ocf-exit-reason:not started: host other.example");
    let command = agent(&sandbox, "start").env("OCF_RESKEY_take_over", "true");
    command.run().code(0);
    act(&sandbox, "stop").code(0);
    assert!(!sandbox.data.join(".rc_domino.host").exists());
}

/// A cluster that recovered a server frozen for a snapshot would spoil it.
fn a_freeze_is_no_failure() {
    let sandbox = Sandbox::new();
    act(&sandbox, "start").code(0);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    assert!(sandbox.servers().is_empty());
    act(&sandbox, "monitor").code(0).stderr_has("frozen");
    sandbox.run(&["snapshot", "thaw"]).code(0);
    snapshot::back(&sandbox);
    act(&sandbox, "monitor").code(0);
    // A stop is the last word all the same.
    sandbox.run(&["snapshot", "freeze"]).code(0);
    act(&sandbox, "stop").code(0);
    act(&sandbox, "monitor").code(7);
    sandbox.run(&["snapshot", "thaw"]).code(0);
    snapshot::no_keeper(&sandbox);
    assert!(sandbox.servers().is_empty());
    // A record that nobody keeps any more says nothing.
    act(&sandbox, "start").code(0);
    sandbox.run(&["snapshot", "freeze"]).code(0);
    let record = fs::read(snapshot::record(&sandbox)).unwrap();
    sandbox.run(&["snapshot", "thaw"]).code(0);
    snapshot::back(&sandbox);
    act(&sandbox, "stop").code(0);
    fs::write(snapshot::record(&sandbox), record).unwrap();
    act(&sandbox, "monitor").code(7);
}
