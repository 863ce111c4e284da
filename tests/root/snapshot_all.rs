//! Several servers, each of a user of its own, frozen and thawed together.

use super::{as_root, host, switch};
use crate::standin::{self, Layout, processes};
use crate::support::command::Command;
use crate::support::sandbox::Sandbox;
use crate::support::{executables, run_directory, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

scenarios![
    every_server_or_none needs Root,
    a_killed_caller_leaves_no_server_down needs Root,
];

struct Member {
    lotus: PathBuf,
    data: PathBuf,
}

impl Member {
    fn runs(&self) -> bool {
        !processes::under(&self.lotus, None).is_empty()
    }

    fn mode(&self, text: &str) {
        fs::write(self.data.join("standin.mode"), text).unwrap();
    }
}

/// A host with two servers and a /run and /var/lib of its own.
fn two() -> (Sandbox, Vec<Member>) {
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
        let member = Member {
            lotus: sandbox.lotus.join(user),
            data: sandbox.directory(format!("data_{user}")),
        };
        let mut layout = Layout::new(run_directory::standin(), &member.lotus, &member.data);
        layout.owner = Some((uid, uid));
        {
            let _guard = executables();
            standin::install(&layout).unwrap();
        }
        chown(&member.data, Some(uid), Some(uid)).unwrap();
        let config = format!(
            "DOMINO_CONFIGURED=yes\nLOTUS={}\nDOMINO_DATA_PATH={data}\nDOMINO_PID_FILE={data}/domino.pid\n",
            member.lotus.display(),
            data = member.data.display()
        );
        sandbox.sysconfig(&format!("rc_domino_config_{user}"), config.as_bytes());
        members.push(member);
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

fn up(members: &[Member]) {
    wait_until("all run", || members.iter().all(Member::runs));
}

fn every_server_or_none() {
    let (sandbox, members) = two();
    all(&sandbox, &["start", "--wait"]).run().code(0);
    up(&members);
    all(&sandbox, &["snapshot", "freeze", "--caller=vmware"])
        .run()
        .code(0)
        .stdout_has("snapshot freeze of 2 servers");
    assert!(!members.iter().any(Member::runs));
    all(&sandbox, &["snapshot", "thaw", "--caller=vmware"])
        .run()
        .code(0);
    up(&members);
    // One that does not end in time spoils it for all.
    members[1].mode("shutdown_delay=4\n");
    all(&sandbox, &["snapshot", "freeze", "--budget=2"])
        .run()
        .code(152)
        .stderr_has("those that were are brought back");
    assert!(members[0].runs(), "the one that was frozen is back");
    std::thread::sleep(Duration::from_secs(3));
    up(&members);
    members[1].mode("");
    all(&sandbox, &["stop"]).run().code(0);
    assert!(!members.iter().any(Member::runs));
}

fn a_killed_caller_leaves_no_server_down() {
    let (sandbox, members) = two();
    all(&sandbox, &["start", "--wait"]).run().code(0);
    for member in &members {
        member.mode("shutdown_delay=2\n");
    }
    let freeze = all(&sandbox, &["snapshot", "freeze"]).spawn();
    std::thread::sleep(Duration::from_secs(1));
    kill(Pid::from_raw(freeze.pid()), Signal::SIGKILL).unwrap();
    freeze.outcome().code(137);
    wait_until("they are down", || !members.iter().all(Member::runs));
    up(&members);
    std::thread::sleep(Duration::from_secs(3));
    up(&members);
    all(&sandbox, &["stop"]).run().code(0);
}
