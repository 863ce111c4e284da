//! Root starts the server as its user, as a login of that user would.

use super::{as_root, host};
use crate::standin::Limit;
use crate::standin::processes::signal;
use crate::support::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;

scenarios![
    start_status_and_stop needs Root,
    the_logins_environment_and_nothing_of_roots needs Root,
    the_limits_of_pam needs Root,
    a_private_home_and_data_directory needs Root,
    a_user_without_a_login_shell needs Root,
    a_user_of_csh needs Csh,
    a_profile_that_ends_the_login needs Root,
    exit_codes_pass_through needs Root,
    a_signal_to_roots_process needs Root,
    hooks_run_as_the_user needs Root,
];

fn start_status_and_stop() {
    let sandbox = host();
    let (uid, gid) = sandbox.ids;
    let group = sandbox.root.join("etc/group");
    let mut groups = fs::read_to_string(&group).unwrap();
    groups.push_str(&format!(
        "mail2:x:{}:other,notes\nnot_his:x:{}:other\n",
        gid + 1,
        gid + 2
    ));
    fs::write(&group, groups).unwrap();
    as_root(&sandbox, &["status"])
        .run()
        .code(3)
        .stdout_has("Domino Server is NOT running (notes)");
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    let call = sandbox.launch();
    assert_eq!(call.uids, [uid; 3]);
    assert_eq!(call.gids, [gid; 3]);
    let mut found = call.groups.clone();
    found.retain(|found| *found != gid);
    assert_eq!(found, [gid + 1]);
    assert_eq!(call.cwd, sandbox.data.as_os_str());
    let beyond: Vec<_> = call.fds.keys().filter(|number| **number > 2).collect();
    assert!(beyond.is_empty(), "{beyond:?}");
    as_root(&sandbox, &["status"])
        .run()
        .code(0)
        .stdout_has("Domino Server is running (notes)");
    as_root(&sandbox, &["status", "--json"])
        .run()
        .code(0)
        .stdout_has("\"server\"");
    // The user himself sees the same server.
    sandbox.command(&["status"]).run().code(0);
    as_root(&sandbox, &["start"])
        .run()
        .code(0)
        .stdout_has("already");
    as_root(&sandbox, &["stop"]).run().code(0);
    assert!(sandbox.processes().is_empty());
    for call in sandbox.calls("") {
        assert_eq!(call.uids, [uid; 3], "{} {:?}", call.program, call.args());
    }
}

fn the_logins_environment_and_nothing_of_roots() {
    let sandbox = host();
    let profile = sandbox.home.join(".profile");
    fs::write(
        &profile,
        "export FROM_PROFILE='of his'\nPATH=/opt/his/bin:$PATH\numask 0026\necho noise\n",
    )
    .unwrap();
    as_root(&sandbox, &["start"])
        .env("ROOTS_SECRET", "x")
        .env("LD_PRELOAD", "")
        .env("DOMINO_SERVER", "of_root")
        .env("BASH_ENV", "/root/env")
        .env("PATH", "/root/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .run()
        .code(0);
    sandbox.wait_up();
    let call = sandbox.launch();
    for (name, value) in [
        ("FROM_PROFILE", Some("of his")),
        ("HOME", sandbox.home.to_str()),
        ("USER", Some("notes")),
        ("LOGNAME", Some("notes")),
        ("SHELL", Some("/bin/bash")),
        ("DOMINO_SERVER", Some("notes")),
        ("ROOTS_SECRET", None),
        ("BASH_ENV", None),
    ] {
        assert_eq!(call.var(name).as_deref(), value, "{name}");
    }
    let path = call.var("PATH").unwrap();
    assert!(
        path.contains(":/opt/his/bin:") && !path.contains("/root/bin"),
        "{path}"
    );
    assert_eq!(call.umask, 0o026);
    as_root(&sandbox, &["stop"]).run().code(0);
}

fn the_limits_of_pam() {
    let sandbox = host();
    let limits = sandbox.root.join("etc/security/limits.d");
    fs::create_dir_all(&limits).unwrap();
    fs::write(
        limits.join("notes.conf"),
        "notes soft nofile 4321\nnotes hard nofile 5432\nnotes soft core 0\n",
    )
    .unwrap();
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    let expected = Limit {
        soft: Some(4321),
        hard: Some(5432),
    };
    let call = sandbox.launch();
    assert_eq!(call.limits["nofile"], expected);
    assert_eq!(call.limits["core"].soft, Some(0));
    as_root(&sandbox, &["stop"]).run().code(0);
}

/// Root's directory may be closed to the user, and his to others.
fn a_private_home_and_data_directory() {
    let sandbox = host();
    for directory in [&sandbox.home, &sandbox.data] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(&sandbox.base, fs::Permissions::from_mode(0o711)).unwrap();
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    as_root(&sandbox, &["status"]).run().code(0);
    as_root(&sandbox, &["stop"]).run().code(0);
    fs::set_permissions(&sandbox.data, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(sandbox.processes().is_empty());
}

fn with_shell(shell: &str, profile: &str) {
    let sandbox = host();
    sandbox.add_user(shell.as_bytes());
    fs::write(sandbox.home.join(profile), "").unwrap();
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    assert_eq!(sandbox.launch().uids, [sandbox.ids.0; 3]);
    as_root(&sandbox, &["status"]).run().code(0);
    as_root(&sandbox, &["stop"]).run().code(0);
    assert!(sandbox.processes().is_empty());
}

fn a_user_without_a_login_shell() {
    for shell in ["/usr/sbin/nologin", "/bin/false", "/nowhere/shell", ""] {
        with_shell(shell, ".profile");
    }
}

fn a_user_of_csh() {
    with_shell("/bin/csh", ".login");
}

fn exit_codes_pass_through() {
    let mut sandbox = host();
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "1");
    sandbox.mode("ignore_quit=1\n");
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    as_root(&sandbox, &["stop"])
        .run()
        .code(150)
        .stderr_has("force");
    sandbox.file("domino_disabled", "");
    as_root(&sandbox, &["start"]).run().code(154);
    as_root(&sandbox, &["x'; touch owned; '"]).run().code(2);
    as_root(&sandbox, &["start", "$(touch owned)"])
        .run()
        .code(2);
    assert!(!sandbox.base.join("owned").exists());
}

fn a_signal_to_roots_process() {
    let sandbox = host();
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    let server = sandbox.launch().pid;
    signal(server, libc::SIGSTOP);
    let mut stop = as_root(&sandbox, &["stop"]).spawn();
    stop.wait_says("Waiting for the shutdown to complete");
    // runuser minds it a moment after its child has begun.
    stop.wait_login_minds(libc::SIGTERM);
    stop.signal(libc::SIGTERM);
    stop.outcome()
        .code(128 + libc::SIGTERM)
        .stderr_has("SIGTERM");
    signal(server, libc::SIGCONT);
    as_root(&sandbox, &["stop"]).run().code(0);
    assert!(sandbox.processes().is_empty());
}

fn hooks_run_as_the_user() {
    let mut sandbox: Sandbox = host();
    for hook in ["PRE_STARTUP", "POST_STARTUP", "PRE_STATUS", "PRE_SHUTDOWN"] {
        let name = format!("DOMINO_{hook}_SCRIPT");
        sandbox.hook(
            &name,
            "id -u >>\"$DOMINO_DATA_PATH/ids\"; id -G >>\"$DOMINO_DATA_PATH/ids\"",
        );
    }
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    as_root(&sandbox, &["status"]).run().code(0);
    as_root(&sandbox, &["stop"]).run().code(0);
    let ids = fs::read_to_string(sandbox.data.join("ids")).unwrap();
    let (uid, gid) = sandbox.ids;
    assert_eq!(ids, format!("{uid}\n{gid}\n").repeat(4));
}

/// D43: `exit` in a profile answers 0 before anything was done: nobody may take
/// that for a server that is down.
fn a_profile_that_ends_the_login() {
    let sandbox = host();
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    fs::write(sandbox.home.join(".profile"), "[ -t 0 ] || exit 0\n").unwrap();
    as_root(&sandbox, &["stop"])
        .run()
        .code(1)
        .stderr_has("profile");
    assert_eq!(sandbox.servers().len(), 1);
    fs::remove_file(sandbox.home.join(".profile")).unwrap();
    as_root(&sandbox, &["stop"]).run().code(0);
}
