//! Odd hosts: no /dev/null, a /proc that hides, a limit of processes.

use super::{as_root, host};
use crate::support::{Sandbox, wait_until};
use std::process::{Child, Stdio};

scenarios![
    without_dev_null needs Root,
    a_proc_that_hides_other_users needs Root,
    status_starts_no_process needs Root,
    another_pid_namespace_is_not_ours needs Root,
    a_mount_namespace_of_its_own_does_not_make_it_anothers needs Root,
    another_root_directory_does needs Root,
    without_proc_nothing_is_known needs Root,
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

fn without_proc_nothing_is_known() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut entry = sandbox.entry();
    entry.bind(&sandbox.directory("empty"), "/proc");
    let run = |verb: &str| sandbox.command(&[verb]).entering(entry.clone()).run();
    run("status").code(4).stderr_has("/proc");
    let stop = run("stop");
    assert_ne!(stop.code, 0);
    stop.stderr_has("/proc");
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

/// The server of a unit with PrivateTmp.
fn a_mount_namespace_of_its_own_does_not_make_it_anothers() {
    let sandbox = Sandbox::new();
    let mut unit = server_in(&sandbox, &["--mount"], AS_THE_USER);
    sandbox.run(&["status"]).code(0);
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    unit.wait().unwrap();
}

/// The server of a container that shares the host's processes.
fn another_root_directory_does() {
    let sandbox = Sandbox::new();
    sandbox.directory("another");
    let script = r#"
        set -e
        root=$BASE/another
        mount -t tmpfs none "$root"
        for dir in /proc /dev /usr /bin /lib /lib64 "$BASE"; do
            mkdir -p "$root$dir"
            mount --rbind "$dir" "$root$dir"
        done
        cd "$root"
        pivot_root . .
        umount -l .
        cd "$DATA"
        exec setpriv --clear-groups --reuid="$UID_" --regid="$GID_" "$SERVER""#;
    let container = server_in(&sandbox, &["--mount"], script);
    is_left_alone(&sandbox, container);
}

/// A container's Domino on this host, with the same paths and uid.
fn another_pid_namespace_is_not_ours() {
    let sandbox = Sandbox::new();
    let options = ["--pid", "--mount", "--fork", "--kill-child"];
    let container = server_in(&sandbox, &options, AS_THE_USER);
    is_left_alone(&sandbox, container);
}

const AS_THE_USER: &str =
    r#"exec setpriv --clear-groups --reuid="$UID_" --regid="$GID_" "$SERVER""#;

/// The sandbox's server as a script begins it under `unshare OPTIONS`, up.
fn server_in(sandbox: &Sandbox, options: &[&str], script: &str) -> Child {
    let (uid, gid) = sandbox.ids;
    let child = std::process::Command::new("unshare")
        .args(options)
        .args(["sh", "-c", script])
        .current_dir(&sandbox.data)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("BASE", &sandbox.base)
        .env("DATA", &sandbox.data)
        .env("SERVER", sandbox.lotus.join("bin/server"))
        .env("UID_", uid.to_string())
        .env("GID_", gid.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the server is up", || sandbox.calls("http").len() == 1);
    child
}

fn is_left_alone(sandbox: &Sandbox, mut container: Child) {
    sandbox.run(&["status"]).code(3);
    // Nothing to stop; that its files say otherwise is told (D21).
    sandbox.run(&["stop"]).code(150).stderr_has("pid.nbf");
    assert!(sandbox.processes().len() > 5, "it was left alone");
    sandbox.kill();
    let _ = container.kill();
    container.wait().unwrap();
}
