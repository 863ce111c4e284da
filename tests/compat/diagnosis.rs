//! NSD and its kin, `kill`, `cleanup`: what is run, in which order, and what is
//! gone afterwards.

use crate::standin::{self, processes};
use crate::support::{Sandbox, wait_until};

scenarios![
    nsd_is_run_with_its_options,
    nsd_kill_stands_between_its_hooks,
    a_memory_dump_is_asked_of_the_server,
    cleanup_removes_what_a_crash_left,
    tasks_are_listed_with_their_marks,
    watching_ends_with_the_server,
    tika_is_told,
    resources_name_what_runs_and_the_lock,
];

/// The calls of NSD, without the empty arguments the original adds.
fn nsd_calls(sandbox: &Sandbox) -> Vec<String> {
    let calls = sandbox.calls("nsd");
    let words = |arguments: Vec<String>| {
        let words: Vec<String> = arguments
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        words.join(" ")
    };
    calls.iter().map(|call| words(call.args())).collect()
}

fn nsd_is_run_with_its_options() {
    let sandbox = Sandbox::new();
    for (verb, expected) in [
        ("nsd", &["-batch"][..]),
        ("fullnsd", &["-batch"]),
        ("nsdnomem", &["-nomemcheck -batch"]),
        ("info", &["-info -batch"]),
        ("stacks", &["-stacks -batch"]),
        (
            "hang",
            &[
                "-stacks -batch",
                "-stacks -batch",
                "-stacks -batch",
                "-batch",
            ],
        ),
    ] {
        sandbox.reset();
        sandbox.run(&[verb, "-batch"]).code(0);
        assert_eq!(nsd_calls(&sandbox), expected, "{verb}");
    }
}

fn nsd_kill_stands_between_its_hooks() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_KILL_SCRIPT", "");
    sandbox.hook("DOMINO_POST_KILL_SCRIPT", "");
    sandbox.up();
    sandbox.run(&["kill"]).code(0);
    let events: Vec<String> = sandbox
        .events()
        .iter()
        .map(|event| event.trim_end().to_owned())
        .collect();
    assert_eq!(
        events,
        [
            "server",
            "DOMINO_PRE_KILL_SCRIPT",
            "nsd -kill",
            "DOMINO_POST_KILL_SCRIPT"
        ]
    );
    assert!(sandbox.processes().is_empty());
}

fn a_memory_dump_is_asked_of_the_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for (count, verb) in ["memdump", "memcheck"].iter().enumerate() {
        sandbox.run(&[verb]).code(0);
        let calls = sandbox.calls("server");
        let dumps = calls.iter().filter(|call| call.args() == ["-m"]);
        assert_eq!(dumps.count(), count + 1, "{verb}");
    }
    sandbox.down();
}

fn cleanup_removes_what_a_crash_left() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_CLEANUP_SCRIPT", "");
    sandbox.hook("DOMINO_POST_CLEANUP_SCRIPT", "");
    sandbox.up();
    processes::kill_and_wait(&[sandbox.launch().pid]);
    sandbox.file(".jsc_lock", "");
    sandbox.run(&["cleanup"]).code(0);
    wait_until("the tasks are gone", || {
        sandbox
            .processes()
            .iter()
            .all(|pid| processes::is_gone(*pid))
    });
    assert_eq!(standin::ipc_left(&sandbox.data), 0);
    for file in ["~notes.lck", ".jsc_lock", "pid.nbf", "domino.pid"] {
        assert!(!sandbox.data.join(file).exists(), "{file}");
    }
    assert_eq!(
        sandbox.hooks_run(),
        ["DOMINO_PRE_CLEANUP_SCRIPT", "DOMINO_POST_CLEANUP_SCRIPT"]
    );
}

fn tasks_are_listed_with_their_marks() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let outcome = sandbox
        .run(&["proc"])
        .stdout_has("Domino Server Process Status");
    assert!(outcome.text().contains(" [X]  server"), "{outcome}");
    assert!(outcome.text().contains(" [X]  router"), "{outcome}");
    sandbox.down();
}

fn watching_ends_with_the_server() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["mon"])
        .code(0)
        .stdout_has("Domino Server not running");
}

fn tika_is_told() {
    let sandbox = Sandbox::new();
    sandbox.run(&["tika"]).stdout_has("Tika Server NOT running");
    sandbox.mode("tika=1\n");
    sandbox.up();
    wait_until("tika runs", || !sandbox.calls("java").is_empty());
    sandbox.run(&["tika"]).stdout_has("Tika Server running");
    sandbox.run(&["tika", "kill"]).code(0);
    sandbox.run(&["tika"]).stdout_has("Tika Server NOT running");
    sandbox.down();
}

fn resources_name_what_runs_and_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for verb in ["resources", "res"] {
        let outcome = sandbox.run(&[verb]).code(0).stdout_has("~notes.lck");
        let text = outcome.text();
        assert!(
            text.contains(&sandbox.launch().pid.to_string()),
            "{outcome}"
        );
        assert!(text.contains("router"), "{outcome}");
    }
    sandbox.down();
}
