//! Never two servers on one data directory, never one left down for the name
//! of a host (D124). docs/shared-data.md has the rules.

use crate::support::{Sandbox, spawned};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

scenarios![
    a_claim_lives_as_long_as_the_server,
    a_claim_of_this_host_at_an_earlier_boot_does_not_count,
    a_claim_of_another_host_on_a_disk_of_our_own_is_told,
    a_claim_that_says_nothing_does_not_count,
    a_claim_that_cannot_be_written_is_told,
    what_a_server_left_behind_does_not_keep_the_next_one_down,
    a_data_directory_that_runs_elsewhere_is_left_alone needs Root,
    a_dead_hosts_claim_waits_for_the_word needs Bindfs,
    a_claim_that_cannot_be_read_is_somebodys needs Bindfs,
];

const CLAIM: &str = ".rc_domino.host";

/// The data directory on a filesystem that several hosts could have mounted.
pub struct Shared(PathBuf);

impl Shared {
    /// Mounts one of this type (`fuse`, `fuse.NAME`) over it.
    pub fn on(sandbox: &Sandbox, kind: &str) -> Shared {
        let mut command = Command::new("bindfs");
        if let Some(name) = kind.strip_prefix("fuse.") {
            command.args(["-o", &format!("subtype={name}")]);
        }
        let data = &sandbox.data;
        command.args(["-o", "nonempty"]).args([data, data]);
        assert!(spawned(&mut command).wait().unwrap().success());
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let wanted = format!(" {} {kind} ", data.display());
        assert!(mounts.contains(&wanted), "{wanted}: {mounts}");
        Shared(data.clone())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = spawned(Command::new("umount").arg("-l").arg(&self.0)).wait();
    }
}

fn claim(sandbox: &Sandbox) -> Option<String> {
    fs::read_to_string(sandbox.data.join(CLAIM)).ok()
}

/// Leaves another host's claim.
pub fn foreign(sandbox: &Sandbox) {
    sandbox.file(CLAIM, "host=other.example\nmachine=00000000000000000000000000000000\nboot=x\nsince=2026-11-22 10:00:00 +0000\n");
}

fn a_claim_lives_as_long_as_the_server() {
    let sandbox = Sandbox::new();
    assert!(claim(&sandbox).is_none());
    sandbox.up();
    let text = claim(&sandbox).unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(
        text.starts_with(&format!("host={}\n", host.trim())),
        "{text}"
    );
    sandbox.run(&["restart"]).code(0);
    assert!(claim(&sandbox).is_some());
    sandbox.down();
    assert!(claim(&sandbox).is_none());
    // By force as well: nothing is left.
    sandbox.up();
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    sandbox.run(&["stop"]).code(150);
    assert!(claim(&sandbox).is_none());
}

/// The host went down with the server, or was restored from a backup that was
/// taken while it ran: it comes up by itself.
fn a_claim_of_this_host_at_an_earlier_boot_does_not_count() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let text = claim(&sandbox).unwrap();
    crate::standin::processes::kill_and_wait(&sandbox.processes());
    let before: Vec<String> = text
        .lines()
        .map(|line| match line.starts_with("boot=") {
            true => "boot=11111111-2222-3333-4444-555555555555".to_owned(),
            false => line.to_owned(),
        })
        .collect();
    sandbox.file(CLAIM, before.join("\n"));
    let started = sandbox.up();
    assert!(!started.said("Host "), "{started}");
    sandbox.down();
}

/// A clone, a restored data directory, a host with a new name: whoever has a
/// disk of its own mounted is the only one.
fn a_claim_of_another_host_on_a_disk_of_our_own_is_told() {
    let sandbox = Sandbox::new();
    foreign(&sandbox);
    sandbox.run(&["stop"]).code(0);
    assert!(claim(&sandbox).is_none());
    foreign(&sandbox);
    sandbox
        .run(&["start"])
        .code(0)
        .stdout_has("Host other.example");
    sandbox.wait_up();
    assert!(!claim(&sandbox).unwrap().contains("other.example"));
    sandbox.down();
}

fn a_claim_that_says_nothing_does_not_count() {
    for text in ["", "host=\n", "\0\0\0", "nonsense"] {
        let sandbox = Sandbox::new();
        sandbox.file(CLAIM, text);
        sandbox.up();
        sandbox.down();
    }
}

/// A full disk, say. On one of this host's own the claim decides nothing.
fn a_claim_that_cannot_be_written_is_told() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.data.join(CLAIM)).unwrap();
    sandbox.run(&["start"]).code(0).stderr_has("cannot write");
    sandbox.down();
}

/// A program that a server started has its input, and may outlive it.
fn what_a_server_left_behind_does_not_keep_the_next_one_down() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let input = fs::File::open(sandbox.data.join("notes.input")).unwrap();
    // As a user of the server's own, beside it: a child that has the same lock.
    let shell = crate::support::command::Command::new(&sandbox, "/bin/sh".into());
    let mut command = shell.args(&["-c", "exec sleep 30"]).prepared();
    assert!(crate::standin::processes::under(&sandbox.lotus, None).len() > 1);
    input.try_lock_shared().unwrap();
    let mut left = crate::support::spawned(command.stdin(input));
    drop(command);
    sandbox.down();
    sandbox.up();
    sandbox.down();
    left.kill().unwrap();
    left.wait().unwrap();
}

/// Somebody has the server's input locked whom this user's list of processes
/// does not show: here root himself, otherwise another container.
fn a_data_directory_that_runs_elsewhere_is_left_alone() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("notes.input", "");
    let held = fs::File::open(&input).unwrap();
    held.try_lock_shared().unwrap();
    for round in 0..2 {
        if round == 1 {
            foreign(&sandbox);
        }
        let place = ["another container", "on host other.example"][round];
        sandbox
            .run(&["start"])
            .code(1)
            .stderr_has(place)
            .stderr_has("stop it there");
        sandbox
            .run(&["start", "--take-over"])
            .code(1)
            .stderr_has(place);
        sandbox.run(&["restart"]).code(1);
        // Its databases are open there: no snapshot is good.
        sandbox.run(&["stop"]).code(1).stderr_has(place);
        sandbox.run(&["ocf", "start"]).code(1);
        sandbox.run(&["ocf", "monitor"]).code(7);
        sandbox.run(&["ocf", "stop"]).code(0);
    }
    // Nor are the locks of a server that lives touched.
    sandbox.file("~notes.lck", "");
    sandbox
        .run(&["cleanup", "--yes"])
        .stderr_has("lock files were left alone");
    assert!(sandbox.data.join("~notes.lck").exists());
    assert!(claim(&sandbox).unwrap().contains("other.example"));
    assert!(sandbox.launches().is_empty());
    drop(held);
    sandbox.up();
    sandbox.down();
}

fn a_dead_hosts_claim_waits_for_the_word() {
    let mut sandbox = Sandbox::new();
    for kind in ["fuse.sshfs", "fuse"] {
        let _mount = Shared::on(&sandbox, kind);
        foreign(&sandbox);
        for verb in ["start", "restart"] {
            let refused = sandbox.run(&[verb]).code(1).stderr_has("other.example");
            refused.stderr_has("rc_domino start --take-over");
        }
        assert!(sandbox.launches().is_empty() || kind == "fuse");
        // It may run there: no snapshot is good.
        let stopped = sandbox.run(&["stop"]).code(150);
        stopped.stderr_has("does not run here, but host other.example");
        assert!(claim(&sandbox).unwrap().contains("other.example"));
        sandbox.run(&["start", "--take-over"]).code(0);
        sandbox.wait_up();
        assert!(!claim(&sandbox).unwrap().contains("other.example"));
        sandbox.down();
        assert!(claim(&sandbox).is_none());
        // The word in the configuration.
        foreign(&sandbox);
        sandbox.set("DOMINO_TAKE_OVER", "yes");
        sandbox.up().stderr_has("started all the same");
        sandbox.down();
        sandbox.forget("DOMINO_TAKE_OVER");
        // A claim that is taken over for the next start of this boot.
        foreign(&sandbox);
        sandbox.run(&["__take-over"]).code(0);
        sandbox.up();
        sandbox.down();
        // None, and none: nobody is asked.
        sandbox.up();
        sandbox.down();
    }
}

fn a_claim_that_cannot_be_read_is_somebodys() {
    let sandbox = Sandbox::new();
    let _mount = Shared::on(&sandbox, "fuse.sshfs");
    let closed = |text: &str| {
        foreign(&sandbox);
        let file = sandbox.data.join(CLAIM);
        if text == "closed" {
            chown(&file, Some(0), Some(0)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        } else {
            sandbox.file(CLAIM, text);
        }
    };
    for text in ["closed", "", "host=\n", "\0\0\0", "nonsense"] {
        closed(text);
        let refused = sandbox.run(&["start"]).code(1).stderr_has(CLAIM);
        refused.stderr_has("rc_domino start --take-over");
        sandbox.run(&["stop"]).code(150).stderr_has(CLAIM);
        sandbox.run(&["start", "--take-over"]).code(0);
        sandbox.wait_up();
        sandbox.down();
        assert!(claim(&sandbox).is_none());
    }
    assert_eq!(sandbox.launches().len(), 5);
}
