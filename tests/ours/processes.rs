//! The truth is /proc: what is a server, and what only looks like one.

use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    a_long_user_name_is_no_hindrance,
    a_zombie_is_no_server,
    a_zombie_task_does_not_keep_a_stop,
    a_replaced_binary_is_still_found,
    a_second_installation_is_not_ours,
    a_server_on_these_data_is_ours_wherever_it_is_installed,
    stale_files_are_no_server,
    left_tasks_are_told_and_block_a_start,
];

fn a_zombie_is_no_server() {
    let sandbox = Sandbox::new();
    sandbox.mode("zombie_server=1\nzombie_server_seconds=600\n");
    // The process started here becomes the keeper: see the stand-in's mode.
    sandbox.command(&["start"]).run();
    sandbox.wait_up();
    let server = sandbox.launches().last().unwrap().pid;
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["stop"]).code(0);
    let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    assert!(stat.contains(") Z "), "{stat}");
    sandbox.run(&["status"]).code(3).stdout_has("NOT running");
    sandbox.kill();
}

fn a_zombie_task_does_not_keep_a_stop() {
    let sandbox = Sandbox::new();
    sandbox.mode("zombie=1\n");
    sandbox.up();
    let outcome = sandbox.down();
    assert!(outcome.took.as_secs() < 10, "{outcome}");
}

/// An upgrade while the server runs: /proc says ` (deleted)`.
fn a_replaced_binary_is_still_found() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let linux = sandbox.lotus.join("notes/latest/linux");
    // One copy and links: each stop writes out what was copied.
    let new = linux.join("tools/new");
    {
        let _guard = crate::support::executables();
        fs::copy(linux.join("server"), &new).unwrap();
    }
    for entry in fs::read_dir(&linux).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let link = crate::support::with_suffix(&path, ".new");
            fs::hard_link(&new, &link).unwrap();
            fs::rename(&link, &path).unwrap();
        }
    }
    let pid = sandbox.launch().pid;
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(exe.to_str().unwrap().ends_with(" (deleted)"), "{exe:?}");
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["start"]).code(0).stdout_has("already");
    sandbox.down();
    assert!(sandbox.processes().is_empty());
}

/// Two servers of one user, told apart by their installations.
fn a_second_installation_is_not_ours() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let (other, data) = sandbox.second_installation();
    let first = sandbox.lotus.clone();
    sandbox.set("LOTUS", &other);
    sandbox.set("DOMINO_DATA_PATH", &data);
    sandbox.run(&["status"]).code(3);
    sandbox.run(&["stop"]).code(0);
    sandbox.set("LOTUS", &first);
    sandbox.set("DOMINO_DATA_PATH", sandbox.data.clone());
    sandbox.run(&["status"]).code(0);
    sandbox.down();
}

/// LOTUS is mistyped or names the next release already, while the old server
/// runs on (D02).
fn a_server_on_these_data_is_ours_wherever_it_is_installed() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let (other, _) = sandbox.second_installation();
    // No other proof of it than the process.
    fs::remove_file(sandbox.data.join("pid.nbf")).unwrap();
    let old = sandbox.lotus.clone();
    sandbox.set("LOTUS", "/opt/hcl/domnio");
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["stop"]).code(5);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.set("LOTUS", &other);
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["start"]).code(0).stdout_has("already");
    sandbox.run(&["stop"]).code(0);
    sandbox.set("LOTUS", &old);
    assert!(sandbox.processes().is_empty());
}

fn stale_files_are_no_server() {
    let sandbox = Sandbox::new();
    let own = std::process::id();
    sandbox.file("pid.nbf", format!("1 {own} 1 server\n"));
    sandbox.file("domino.pid", format!("{own}\n"));
    sandbox.file("~notes.lck", "");
    sandbox.run(&["status"]).code(3);
    sandbox.up();
    sandbox.down();
}

/// D22.
fn left_tasks_are_told_and_block_a_start() {
    let sandbox = Sandbox::new();
    sandbox.up();
    // The server alone dies.
    crate::standin::processes::kill_and_wait(&[sandbox.launch().pid]);
    wait_until("the server is gone", || sandbox.servers().is_empty());
    assert!(!sandbox.processes().is_empty());
    sandbox.run(&["status"]).code(3).stdout_has("router");
    sandbox.run(&["start"]).code(1).stderr_has("router");
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.kill();
}

/// D17: names of more than eight characters are cut in the output of ps.
fn a_long_user_name_is_no_hindrance() {
    const NAME: &str = "domino-server-production";
    let sandbox = Sandbox::new();
    let passwd = sandbox.root.join("etc/passwd");
    let text = fs::read_to_string(&passwd).unwrap();
    fs::write(&passwd, text.replace("notes:", &format!("{NAME}:"))).unwrap();
    let run = |verb| {
        sandbox
            .command(&["--user", NAME, verb])
            .env("LOGNAME", NAME)
            .env("USER", NAME)
            .run()
    };
    run("start").code(0);
    run("status").code(0);
    run("stop").code(0);
    assert!(sandbox.processes().is_empty());
    run("status").code(3);
}
