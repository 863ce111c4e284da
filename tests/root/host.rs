//! Odd hosts: no /dev/null, a /proc that hides, a limit of processes.

use super::{as_root, host};
use crate::support::Sandbox;

scenarios![
    without_dev_null needs Root,
    a_proc_that_hides_other_users needs Root,
    status_starts_no_process needs Root,
    another_pid_namespace_is_not_ours needs Root,
];

/// A start would run programs with a closed or wrong standard input.
fn without_dev_null() {
    let sandbox = Sandbox::new();
    sandbox.file("notes.log", "");
    let empty = sandbox.directory("empty");
    let mut entry = sandbox.entry();
    entry.bind(&empty, "/dev");
    let status = sandbox.command(&["status"]).entering(entry.clone()).run();
    status.code(3);
    let start = sandbox.command(&["start"]).entering(entry).run();
    if start.code == 0 {
        // It can do without: then the server must be right.
        assert_eq!(
            sandbox.launch().fds[&0],
            sandbox.data.join("notes.input").as_os_str()
        );
        sandbox.wait_up();
    } else {
        start.stderr_has("/dev/null");
        assert!(sandbox.launches().is_empty());
    }
    sandbox.kill();
}

fn a_proc_that_hides_other_users() {
    let sandbox = host();
    let mut entry = sandbox.entry();
    entry.hide_proc = true;
    sandbox
        .command(&["start"])
        .entering(entry.clone())
        .run()
        .code(0);
    sandbox.wait_up();
    sandbox
        .command(&["status"])
        .entering(entry.clone())
        .run()
        .code(0);
    let mut root = sandbox.entry_as_caller();
    root.hide_proc = true;
    as_root(&sandbox, &["status"]).entering(root).run().code(0);
    sandbox.command(&["stop"]).entering(entry).run().code(0);
    assert!(sandbox.processes().is_empty());
}

/// D12: it could not if it wanted to.
fn status_starts_no_process() {
    let sandbox = Sandbox::new();
    let mut entry = sandbox.entry();
    entry.one_process = true;
    sandbox
        .command(&["status"])
        .entering(entry.clone())
        .run()
        .code(3)
        .quiet();
    sandbox.up();
    for form in [
        &["status"][..],
        &["status", "display"],
        &["status", "--json"],
    ] {
        sandbox
            .command(form)
            .entering(entry.clone())
            .run()
            .code(0)
            .quiet();
    }
    sandbox.down();
}

/// A container's Domino on this host, with the same paths and uid.
fn another_pid_namespace_is_not_ours() {
    let sandbox = Sandbox::new();
    let (uid, gid) = sandbox.ids;
    let mut container = std::process::Command::new("unshare")
        .args([
            "--pid",
            "--mount",
            "--fork",
            "--kill-child",
            "setpriv",
            "--clear-groups",
        ])
        .args([format!("--reuid={uid}"), format!("--regid={gid}")])
        .arg(sandbox.lotus.join("bin/server"))
        .current_dir(&sandbox.data)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::support::wait_until("the container's server is up", || {
        sandbox.calls("http").len() == 1
    });
    sandbox.run(&["status"]).code(3);
    // Nothing to stop; that its files say otherwise is told (D21).
    sandbox.run(&["stop"]).code(150).stderr_has("pid.nbf");
    assert!(sandbox.processes().len() > 5, "it was left alone");
    sandbox.kill();
    let _ = container.kill();
    container.wait().unwrap();
}
