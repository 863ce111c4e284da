//! Freeze, thaw, abort: what a caller sees, in order and out of order.

use crate::standin::processes::kill_and_wait;
use crate::support::{Running, Sandbox, wait_until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

scenarios![
    a_freeze_stops_and_a_thaw_starts,
    the_words_that_callers_use,
    a_server_that_was_down_stays_down,
    freezing_twice_is_one_freeze_for_the_same_caller,
    another_caller_is_told_to_wait,
    fifty_freezes_at_once_are_one,
    a_thaw_without_a_freeze,
    a_thaw_while_the_freeze_runs,
    an_abort_while_the_freeze_runs,
    a_maintenance_marker_is_respected,
    a_server_started_meanwhile_spoils_the_snapshot,
    a_stop_typed_meanwhile_is_the_last_word,
    the_plain_pair_behaves_as_before,
    the_plain_pair_remembers_where_asked_to,
    what_was_done_is_on_record,
    a_shutdown_that_grows_is_told,
    nothing_of_the_caller_reaches_the_server,
];

/// The record of a freeze.
pub fn record(sandbox: &Sandbox) -> PathBuf {
    let name = format!("run/rc_domino/snapshot-{}.json", sandbox.ids.0);
    sandbox.root.join(name)
}

/// The pid of the keeper, while there is one.
pub fn keeper(sandbox: &Sandbox) -> Option<i32> {
    let root = format!("RC_DOMINO_ROOT={}", sandbox.root.display());
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let wanted = line
            .split(|byte| *byte == 0)
            .any(|word| word == b"__keeper");
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let here = environment
            .split(|byte| *byte == 0)
            .any(|word| word == root.as_bytes());
        (wanted && here).then_some(pid)
    })
}

/// Waits until no keeper is left.
pub fn no_keeper(sandbox: &Sandbox) {
    wait_until("the keeper ends", || keeper(sandbox).is_none());
}

/// Waits until the server has come back.
pub fn back(sandbox: &Sandbox) {
    wait_until("the server is back", || sandbox.servers().len() == 1);
    no_keeper(sandbox);
}

/// The mode of a server whose shutdown ends when it may [`go_on`].
pub const HELD: &str = "tika_blocks=1\n";

/// Lets a shutdown go on that is [`HELD`]; later ones are not.
pub fn go_on(sandbox: &Sandbox) {
    sandbox.mode("");
    kill_and_wait(&[sandbox.calls("java").last().unwrap().pid]);
}

/// A freeze whose shutdown is [`HELD`].
pub fn freeze_under_way(sandbox: &Sandbox) -> Running {
    sandbox.mode(HELD);
    sandbox.up();
    let freeze = sandbox.command(&["snapshot", "freeze"]).spawn();
    stopping(sandbox);
    freeze
}

/// Waits until a shutdown has begun.
pub fn stopping(sandbox: &Sandbox) {
    wait_until("the server stops", || {
        sandbox.console().contains("Server shutdown requested")
    });
}

fn history(sandbox: &Sandbox) -> Vec<Value> {
    let path = sandbox.root.join("var/lib/rc_domino/history.jsonl");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn a_freeze_stops_and_a_thaw_starts() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "status"]).code(3);
    sandbox
        .run(&["snapshot", "freeze", "--caller=vmware"])
        .code(0)
        .stdout_has("Frozen");
    assert!(sandbox.processes().is_empty());
    sandbox
        .run(&["snapshot", "status"])
        .code(0)
        .stdout_has("frozen for vmware")
        .stdout_has("comes back in");
    let json = sandbox.run(&["snapshot", "status", "--json"]).code(0);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["record"]["phase"], "frozen");
    assert_eq!(json["record"]["was_running"], true);
    assert_eq!(json["kept"], true);
    sandbox
        .run(&["snapshot", "thaw", "--caller=vmware"])
        .code(0)
        .stdout_has("Thawed");
    back(&sandbox);
    assert!(!record(&sandbox).exists());
    sandbox.run(&["snapshot", "status"]).code(3);
    sandbox.down();
}

fn the_words_that_callers_use() {
    let sandbox = Sandbox::new();
    for (before, after) in [
        ("pre", "post"),
        ("pre-freeze", "post-thaw"),
        ("freeze", "freezeFail"),
        ("prefreeze", "postthaw"),
    ] {
        sandbox.run(&["snapshot", before]).code(0);
        sandbox.run(&["snapshot", after]).code(0);
    }
    sandbox.run(&["snapshot", "frob"]).code(2);
    sandbox.run(&["snapshot", "freeze", "--caller=xen"]).code(2);
    sandbox.run(&["snapshot", "freeze", "--budget=-1"]).code(2);
    no_keeper(&sandbox);
}

fn a_server_that_was_down_stays_down() {
    let sandbox = Sandbox::new();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(0)
        .stdout_has("stays down");
    no_keeper(&sandbox);
    assert!(sandbox.launches().is_empty());
}

fn freezing_twice_is_one_freeze_for_the_same_caller() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for _ in 0..3 {
        sandbox
            .run(&["snapshot", "freeze", "--caller=qemu"])
            .code(0);
    }
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    sandbox.run(&["snapshot", "thaw"]).code(1);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

fn another_caller_is_told_to_wait() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox
        .run(&["snapshot", "freeze", "--caller=qemu"])
        .code(0);
    sandbox
        .run(&["snapshot", "freeze", "--caller=veeam"])
        .code(153)
        .stderr_has("qemu has a freeze");
    // Its script for the thaw is run all the same.
    sandbox
        .run(&["snapshot", "thaw", "--caller=veeam"])
        .code(153)
        .stderr_has("frozen for qemu");
    sandbox
        .run(&["snapshot", "abort", "--caller=veeam"])
        .code(0);
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw", "--caller=qemu"]).code(0);
    back(&sandbox);
    sandbox.down();
}

fn fifty_freezes_at_once_are_one() {
    let sandbox = Sandbox::new();
    sandbox.mode("shutdown_delay=3\n");
    sandbox.up();
    let freezes: Vec<_> = (0..50)
        .map(|_| sandbox.command(&["snapshot", "freeze"]).spawn())
        .collect();
    let codes: Vec<i32> = freezes
        .into_iter()
        .map(|freeze| freeze.outcome().code)
        .collect();
    // A latecomer finds it frozen, and it is his own caller's: 0 too.
    assert!(codes.contains(&0), "{codes:?}");
    assert!(
        codes.iter().all(|code| [0, 153].contains(code)),
        "{codes:?}"
    );
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

fn a_thaw_without_a_freeze() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox
        .run(&["snapshot", "thaw"])
        .code(1)
        .stderr_has("do not trust");
    sandbox.run(&["snapshot", "abort"]).code(0);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
    sandbox.run(&["snapshot", "thaw"]).code(1);
    assert!(sandbox.servers().is_empty());
}

/// Azure Backup runs its post script though its pre script still runs.
fn a_thaw_while_the_freeze_runs() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    let thaw = sandbox.command(&["snapshot", "thaw"]).spawn();
    freeze.outcome().code(152).stderr_has("undone");
    go_on(&sandbox);
    thaw.outcome().code(152).stderr_has("do not trust");
    back(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.run(&["snapshot", "thaw"]).code(1);
    sandbox.down();
}

fn an_abort_while_the_freeze_runs() {
    let sandbox = Sandbox::new();
    let freeze = freeze_under_way(&sandbox);
    let abort = sandbox.command(&["snapshot", "freezeFail"]).spawn();
    freeze.outcome().code(152);
    go_on(&sandbox);
    abort.outcome().code(0);
    back(&sandbox);
    sandbox.down();
}

fn a_maintenance_marker_is_respected() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.file("domino_disabled", "");
    sandbox
        .run(&["snapshot", "thaw"])
        .code(154)
        .stderr_has("domino_disabled");
    no_keeper(&sandbox);
    assert!(sandbox.processes().is_empty());
    assert!(!record(&sandbox).exists());
}

fn a_server_started_meanwhile_spoils_the_snapshot() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox.run(&["start"]).code(0);
    sandbox
        .run(&["snapshot", "thaw"])
        .code(152)
        .stderr_has("started by somebody");
    back(&sandbox);
    sandbox.down();
}

fn a_stop_typed_meanwhile_is_the_last_word() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.run(&["snapshot", "freeze"]).code(0);
    sandbox
        .run(&["stop"])
        .code(0)
        .stdout_has("stays down after the thaw");
    sandbox
        .run(&["snapshot", "thaw"])
        .code(0)
        .stdout_has("stays down");
    no_keeper(&sandbox);
    assert!(sandbox.processes().is_empty());
    assert_eq!(sandbox.launches().len(), 1);
}

fn the_plain_pair_behaves_as_before() {
    let sandbox = Sandbox::new();
    let plain = |verb| sandbox.command(&[verb]).called("rc_domino").run().code(0);
    plain("stop");
    plain("start");
    sandbox.wait_up();
    plain("stop");
    assert!(sandbox.processes().is_empty());
}

fn the_plain_pair_remembers_where_asked_to() {
    let sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_REMEMBER", "yes")]);
    let plain = |verb| sandbox.command(&[verb]).called("rc_domino").run().code(0);
    plain("stop");
    plain("start").stdout_has("stays down");
    assert!(sandbox.launches().is_empty());
    // Once only: whoever starts again means it.
    plain("start");
    sandbox.wait_up();
    plain("stop");
    plain("start");
    wait_until("the server is back", || sandbox.servers().len() == 1);
    plain("stop");
    plain("stop");
    plain("start").stdout_has("stays down");
    assert!(sandbox.processes().is_empty());
}

fn what_was_done_is_on_record() {
    let sandbox = Sandbox::new();
    sandbox.mode("shutdown_delay=0.5\n");
    sandbox.up();
    sandbox
        .run(&["snapshot", "freeze", "--caller=azure", "--budget=30"])
        .code(0);
    sandbox.run(&["snapshot", "thaw", "--json"]).code(0);
    back(&sandbox);
    let entries = history(&sandbox);
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0]["verb"], "freeze");
    assert_eq!(entries[0]["caller"], "azure");
    assert_eq!(entries[0]["budget_seconds"], 30);
    assert!(entries[0]["seconds"].as_f64().unwrap() >= 0.5);
    assert_eq!(entries[1]["verb"], "thaw");
    assert_eq!(entries[1]["outcome"], 0);
    assert!(entries[1]["downtime_seconds"].as_f64().unwrap() > 0.0);
    sandbox
        .run(&["snapshot", "history"])
        .code(0)
        .stdout_has("#####")
        .stdout_has("azure");
    let one = sandbox.run(&["snapshot", "history", "1", "--json"]).code(0);
    let one: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(one.as_array().unwrap().len(), 1);
    sandbox.down();
}

fn a_shutdown_that_grows_is_told() {
    let sandbox = Sandbox::new();
    let directory = sandbox.directory("root/var/lib/rc_domino");
    let past = directory.join("history.jsonl");
    // Of the budget of a hundred seconds seven tenths are well, more is told.
    for (seconds, told) in [(69, false), (71, true)] {
        let freeze = format!(
            "{{\"when\":1,\"user\":\"notes\",\"verb\":\"freeze\",\"caller\":\"qemu\",\"mode\":\"stop\",\"outcome\":0,\"seconds\":{seconds}.0,\"budget_seconds\":100}}\n"
        );
        fs::write(&past, freeze).unwrap();
        sandbox.own(&past);
        sandbox.up();
        sandbox
            .run(&["snapshot", "freeze", "--caller=qemu", "--budget=60"])
            .code(0);
        let status = sandbox.run(&["snapshot", "status"]).code(0);
        assert_eq!(status.said("of 100 seconds"), told, "{status}");
        sandbox.run(&["snapshot", "thaw"]).code(0);
        back(&sandbox);
        sandbox.down();
    }
}

/// Descriptors, process group and session; that the output is closed at the
/// end is seen by every scenario.
fn nothing_of_the_caller_reaches_the_server() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let field = |pid: i32, which: usize| -> i32 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.split(' ').nth(which).unwrap().parse().unwrap()
    };
    let freeze = sandbox.command(&["snapshot", "freeze"]).spawn();
    let group = freeze.pid();
    freeze.outcome().code(0);
    let keeper = keeper(&sandbox).unwrap();
    assert_ne!(field(keeper, 2), group, "process group");
    assert_ne!(
        field(keeper, 3),
        nix::unistd::getsid(None).unwrap().as_raw()
    );
    for entry in fs::read_dir(format!("/proc/{keeper}/fd"))
        .unwrap()
        .flatten()
    {
        // It may have been closed meanwhile.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let text = target.to_string_lossy().into_owned();
        let own = ["/dev/null", "socket:", "anon_inode:", "/run/rc_domino"];
        assert!(own.iter().any(|own| text.contains(own)), "{text}");
    }
    sandbox.run(&["snapshot", "thaw"]).code(0);
    back(&sandbox);
    let server = sandbox.servers()[0];
    assert_ne!(field(server, 3), keeper);
    kill_and_wait(&sandbox.processes());
}
