//! Several servers, each of a user of its own, frozen and thawed together.

use super::{as_root, host, switch};
use crate::support::command::Command;
use crate::support::partition::Partition;
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

scenarios![
    every_server_or_none needs Root,
    a_killed_caller_leaves_no_server_down needs Root,
];

/// A host with two servers and a /run and /var/lib of its own.
fn two() -> (Sandbox, Vec<Partition>) {
    let mut sandbox = host();
    sandbox.forget("DOMINO_CONFIGURED");
    sandbox.forget("DOMINO_PID_FILE");
    for name in ["run", "var/lib"] {
        let path = sandbox.root.join(name);
        chown(&path, Some(0), Some(0)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut members = Vec::new();
    for (user, above) in [("app9", 700), ("mail9", 701)] {
        let uid = sandbox.ids.0 + above;
        switch::add_user(&sandbox, user, uid);
        let owner = Some((uid, uid));
        members.push(Partition::install(&mut sandbox, user, owner));
    }
    (sandbox, members)
}

fn all<'a>(sandbox: &'a Sandbox, arguments: &[&str]) -> Command<'a> {
    let mut entry = sandbox.entry_as_caller();
    entry.bind(&sandbox.root.join("run"), "/run");
    entry.bind(&sandbox.root.join("var/lib"), "/var/lib");
    as_root(sandbox, &[&["all"], arguments].concat())
        .no_env("DOMINO_USER")
        .entering(entry)
}

fn up(members: &[Partition]) {
    wait_until("all are up", || members.iter().all(Partition::is_up));
}

fn every_server_or_none() {
    let (sandbox, members) = two();
    all(&sandbox, &["start", "--wait"]).run().code(0);
    up(&members);
    all(&sandbox, &["snapshot", "freeze", "--caller=vmware"])
        .run()
        .code(0)
        .stdout_has("snapshot freeze of 2 servers");
    assert!(!members.iter().any(Partition::runs));
    all(&sandbox, &["snapshot", "thaw", "--caller=vmware"])
        .run()
        .code(0);
    up(&members);
    // One that does not end in time spoils it for all.
    members[1].mode("shutdown_delay=16\n");
    all(&sandbox, &["snapshot", "freeze", "--budget=8"])
        .run()
        .code(152)
        .stderr_has("those that were are brought back");
    assert!(members[0].runs(), "the one that was frozen is back");
    wait_until("the other one is started again", || {
        members[1].starts() == 3
    });
    up(&members);
    members[1].mode("");
    all(&sandbox, &["stop"]).run().code(0);
    assert!(!members.iter().any(Partition::runs));
}

fn a_killed_caller_leaves_no_server_down() {
    let (sandbox, members) = two();
    all(&sandbox, &["start", "--wait"]).run().code(0);
    for member in &members {
        member.mode("shutdown_delay=6\n");
    }
    let freeze = all(&sandbox, &["snapshot", "freeze"]).spawn();
    wait_until("all are told to quit", || {
        members.iter().all(Partition::is_told_to_quit)
    });
    kill(Pid::from_raw(freeze.pid()), Signal::SIGKILL).unwrap();
    freeze.outcome().code(137);
    wait_until("both are started again", || {
        members.iter().all(|member| member.starts() == 2)
    });
    up(&members);
    all(&sandbox, &["stop"]).run().code(0);
}
