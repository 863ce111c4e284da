//! NSD and its kin, `kill`, the tasks, Tika: what is run with what, what it
//! says, how it ends.

use crate::standin::processes::signal;
use crate::support::terminal::Terminal;
use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    each_verb_runs_its_nsd_with_further_arguments,
    the_exit_code_is_nsds_and_the_file_is_named,
    hang_goes_on_after_a_failure,
    a_hanging_nsd_ends_with_the_verb,
    a_memory_dump_needs_a_server,
    kill_runs_between_its_hooks_and_is_remembered,
    kill_that_kills_nothing_says_so,
    kill_without_nsd_runs_no_hook_and_marks_nothing,
    kill_waits_for_the_lock,
    tasks_are_listed_by_what_runs,
    tasks_are_watched_until_the_end,
    a_key_ends_the_watch_on_a_terminal,
    tika_is_told_and_ended,
    tika_that_does_not_end_is_killed,
    words_that_are_no_arguments_are_refused,
    resources_are_shown_and_told_as_json,
];

/// D91.
fn each_verb_runs_its_nsd_with_further_arguments() {
    let mut sandbox = Sandbox::new();
    for (verb, options) in [
        ("nsd", &[][..]),
        ("fullnsd", &[]),
        ("nsdnomem", &["-nomemcheck"]),
        ("info", &["-info"]),
        ("stacks", &["-stacks"]),
    ] {
        let passed = ["-x", "a b; id", "--help-me"];
        sandbox.reset();
        sandbox
            .run(&[verb, passed[0], passed[1], passed[2]])
            .code(0);
        let calls = sandbox.calls("nsd");
        assert_eq!(calls.len(), 1, "{verb}");
        assert_eq!(calls[0].args(), [options, &passed].concat(), "{verb}");
        assert_eq!(std::path::Path::new(&calls[0].cwd), sandbox.data, "{verb}");
    }
    sandbox.set("DOMINO_DEBUG_MODE", "yes");
    sandbox.set("NSD_SET_POSIX_LC", "yes");
    sandbox.reset();
    sandbox.run(&["stacks"]).code(0);
    let call = &sandbox.calls("nsd")[0];
    assert_eq!(call.args(), ["-debug", "-stacks"]);
    assert_eq!(call.var("LANG").as_deref(), Some("POSIX"));
}

/// D90.
fn the_exit_code_is_nsds_and_the_file_is_named() {
    let sandbox = Sandbox::new();
    sandbox.mode("nsd_exit=37\n");
    let outcome = sandbox.run(&["nsd"]).code(37).stdout_has("NSD: complete");
    let text = outcome.text();
    let named = text.lines().last().unwrap().rsplit(' ').next().unwrap();
    assert!(named.contains("IBM_TECHNICAL_SUPPORT/nsd_"), "{text}");
    assert!(fs::metadata(named).unwrap().is_file());
}

fn hang_goes_on_after_a_failure() {
    let sandbox = Sandbox::new();
    sandbox.mode("nsd_exit=3\n");
    sandbox.run(&["hang", "-y"]).code(3);
    let calls: Vec<String> = sandbox
        .calls("nsd")
        .iter()
        .map(|call| call.args().join(" "))
        .collect();
    assert_eq!(calls, ["-stacks -y", "-stacks -y", "-stacks -y", "-y"]);
}

fn a_hanging_nsd_ends_with_the_verb() {
    let sandbox = Sandbox::new();
    sandbox.mode("nsd_delay=60\n");
    let running = sandbox.command(&["nsd"]).spawn();
    wait_until("nsd runs", || !sandbox.calls("nsd").is_empty());
    running.signal(libc::SIGTERM);
    running
        .outcome()
        .code(143)
        .says("was ended before it was done");
    assert!(sandbox.processes().is_empty());
}

/// D92.
fn a_memory_dump_needs_a_server() {
    let sandbox = Sandbox::new();
    for verb in ["memdump", "memcheck"] {
        sandbox.run(&[verb]).code(7);
    }
    assert!(sandbox.calls("server").is_empty());
    sandbox.up();
    sandbox.run(&["memdump"]).code(0).stdout_has("memory_");
    assert_eq!(sandbox.calls("server").last().unwrap().args(), ["-m"]);
    sandbox.down();
}

fn kill_runs_between_its_hooks_and_is_remembered() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_KILL_SCRIPT", "");
    sandbox.hook("DOMINO_POST_KILL_SCRIPT", "");
    sandbox.up();
    sandbox
        .run(&["kill", "-z"])
        .code(0)
        .stdout_has("killing process");
    assert_eq!(
        sandbox.events(),
        [
            "server",
            "DOMINO_PRE_KILL_SCRIPT",
            "nsd -kill -z",
            "DOMINO_POST_KILL_SCRIPT"
        ]
    );
    assert!(sandbox.processes().is_empty());
    // Nobody closed the databases: a backup must not take them for good.
    sandbox.run(&["stop"]).code(150);
}

fn kill_that_kills_nothing_says_so() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.mode("nsd_kill_fails=1\n");
    sandbox
        .run(&["kill"])
        .code(1)
        .says("still running")
        .says("cleanup");
    sandbox.mode("");
    sandbox.kill();
}

fn kill_without_nsd_runs_no_hook_and_marks_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_KILL_SCRIPT", "");
    sandbox.up();
    fs::remove_file(sandbox.lotus.join("bin/nsd")).unwrap();
    sandbox.run(&["kill"]).code(1).says("bin/nsd");
    assert!(sandbox.hooks_run().is_empty());
    sandbox.down();
    sandbox.run(&["stop"]).code(0);
}

fn kill_waits_for_the_lock() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOMINO_LOCK_TIMEOUT", "1");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "600");
    sandbox.up();
    let server = sandbox.launch().pid;
    signal(server, libc::SIGSTOP);
    let mut stopping = sandbox.command(&["stop"]).spawn();
    stopping.wait_says("Waiting for the shutdown to complete");
    sandbox.run(&["kill"]).code(153).says("rc_domino stop");
    signal(server, libc::SIGCONT);
    stopping.outcome().code(0);
}

/// D98.
fn tasks_are_listed_by_what_runs() {
    let sandbox = Sandbox::new();
    sandbox.run(&["proc"]).code(0).stdout_has("not running");
    sandbox.up();
    let outcome = sandbox.run(&["proc"]).code(0).stdout_has(" [X]  server");
    assert!(outcome.text().contains(" [X]  router"), "{outcome}");
    let server = sandbox.launch().pid;
    crate::standin::processes::kill_and_wait(&[server]);
    // pid.nbf still says that it is active.
    let outcome = sandbox.run(&["proc"]).code(0);
    assert!(
        outcome.text().contains(&format!(" [ ]  server ({server})")),
        "{outcome}"
    );
    assert!(outcome.text().contains(" [X]  router"), "{outcome}");
    sandbox.kill();
}

/// D98.
fn tasks_are_watched_until_the_end() {
    let sandbox = Sandbox::new();
    sandbox.run(&["mon"]).code(0).stdout_has("not running");
    sandbox.up();
    sandbox
        .run(&["mon", "--timeout", "0"])
        .code(1)
        .says("still runs");
    sandbox.mode("shutdown_delay=2\n");
    let mut watching = sandbox.command(&["mon"]).spawn();
    watching.wait_says(" running router (");
    sandbox.down();
    let outcome = watching.outcome().code(0);
    let text = outcome.text();
    for line in [
        " running server (",
        " ended router (",
        " ended server (",
        "is down after",
    ] {
        assert!(text.contains(line), "no '{line}'\n{outcome}");
    }
}

fn a_key_ends_the_watch_on_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = Terminal::start(sandbox.command(&["mon"]), sandbox.entry());
    terminal.wait_for("[X]  router");
    terminal.type_in("x");
    assert_eq!(terminal.code(), Some(0));
    sandbox.down();
}

/// D99.
fn tika_is_told_and_ended() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["tika"])
        .code(3)
        .stdout_has("Tika Server NOT running");
    sandbox.run(&["tika", "stop"]).code(0);
    sandbox.mode("tika=1\n");
    sandbox.up();
    wait_until("tika runs", || sandbox.run(&["tika"]).code == 0);
    sandbox.run(&["tika", "stop"]).code(0);
    sandbox.run(&["tika"]).code(3);
    sandbox.run(&["status"]).code(0);
    sandbox.down();
}

/// A process that does not react at all, here because it is stopped.
fn tika_that_does_not_end_is_killed() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOMINO_TIKA_SHUTDOWN_TERM_SECONDS", "1");
    sandbox.mode("tika=1\n");
    sandbox.up();
    wait_until("tika runs", || !sandbox.calls("java").is_empty());
    let tika = sandbox.calls("java")[0].pid;
    signal(tika, libc::SIGSTOP);
    sandbox.run(&["tika", "stop"]).code(1).says("tika kill");
    sandbox.run(&["tika", "kill"]).code(0);
    sandbox.run(&["tika"]).code(3);
    sandbox.down();
}

fn words_that_are_no_arguments_are_refused() {
    let sandbox = Sandbox::new();
    for line in [
        &["tika", "restart"][..],
        &["tika", "stop", "now"],
        &["proc", "x"],
        &["mon", "5"],
        &["mon", "--timeout", "soon"],
        &["resources", "all"],
        &["cleanup", "all"],
    ] {
        sandbox.run(line).code(2);
    }
}

fn resources_are_shown_and_told_as_json() {
    let sandbox = Sandbox::builder().port(0).build();
    sandbox.run(&["res"]).code(0).stdout_has("Processes: none");
    sandbox.up();
    let outcome = sandbox.run(&["resources"]).code(0).stdout_has("~notes.lck");
    assert!(outcome.text().contains(" router "), "{outcome}");
    let outcome = sandbox.run(&["res", "--json"]).code(0).quiet();
    let report: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    let processes = report["processes"].as_array().unwrap();
    let server = processes
        .iter()
        .find(|process| process["role"] == "server")
        .unwrap();
    assert_eq!(server["pid"], sandbox.launch().pid);
    assert!(server["open_files"].as_u64().unwrap() > 2, "{outcome}");
    let whose = |whose: &str| {
        let all = report["ipc"].as_array().unwrap();
        all.iter().filter(|object| object["whose"] == whose).count()
    };
    assert!(whose("domino") >= crate::standin::ipc::COUNT, "{outcome}");
    assert!(!report["locks"].as_array().unwrap().is_empty(), "{outcome}");
    sandbox.down();
}
