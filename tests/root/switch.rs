//! Which user's server is meant, and callers who are somebody else.

use super::{as_root, host};
use crate::support::sandbox::Sandbox;
use crate::support::{executables, run_directory};
use std::fs;
use std::os::unix::fs::PermissionsExt;

scenarios![
    the_programs_name_picks_the_user needs Root,
    somebody_else_goes_through_sudo needs Sudo,
    somebody_else_without_sudo_is_told needs Root,
    an_unknown_user_is_told needs Root,
];

pub fn add_user(sandbox: &Sandbox, name: &str, uid: u32) {
    let passwd = sandbox.root.join("etc/passwd");
    let line = format!("{name}:x:{uid}:{uid}::{}:/bin/sh\n", sandbox.home.display());
    fs::write(&passwd, fs::read_to_string(&passwd).unwrap() + &line).unwrap();
    let group = sandbox.root.join("etc/group");
    let line = format!("{name}:x:{uid}:\n");
    fs::write(&group, fs::read_to_string(&group).unwrap() + &line).unwrap();
    let shadow = sandbox.root.join("etc/shadow");
    let line = format!("{name}:*:20000:0:99999:7:::\n");
    fs::write(&shadow, fs::read_to_string(&shadow).unwrap() + &line).unwrap();
}

fn the_programs_name_picks_the_user() {
    let sandbox = host();
    add_user(&sandbox, "mail9", sandbox.ids.0 + 500);
    sandbox.sysconfig("rc_domino_config_mail9", b"DOMINO_SERVER=of_mail\n");
    let link = run_directory::program("rc_domino_mail9");
    {
        let _guard = executables();
        std::os::unix::fs::symlink("rc_domino", &link).unwrap();
    }
    for (name, expected) in [
        ("rc_domino_mail9", "of_mail"),
        ("rc_domino_notes", "notes"),
        ("rc_domino", "notes"),
        ("domino", "notes"),
    ] {
        let outcome = as_root(&sandbox, &["status", "display"])
            .called(name)
            .run()
            .code(3);
        assert_eq!(outcome.text(), format!("[ OFF ] - {expected}\n"), "{name}");
    }
}

fn somebody_else_goes_through_sudo() {
    let sandbox = host();
    let other = sandbox.ids.0 + 600;
    add_user(&sandbox, "admin9", other);
    let sudoers = sandbox.root.join("etc/sudoers");
    fs::write(
        &sudoers,
        "root ALL=(ALL:ALL) ALL\nadmin9 ALL=(root) NOPASSWD: ALL\n",
    )
    .unwrap();
    fs::set_permissions(&sudoers, fs::Permissions::from_mode(0o440)).unwrap();
    let as_other = |words: &[&str]| {
        let mut entry = sandbox.entry_as_caller();
        entry.ids = Some((other, other, Vec::new()));
        as_root(&sandbox, words)
            .env("LOGNAME", "admin9")
            .env("USER", "admin9")
            .entering(entry)
    };
    as_other(&["status"])
        .run()
        .code(3)
        .stdout_has("Domino Server is NOT running (notes)");
    as_other(&["start"]).run().code(0);
    sandbox.wait_up();
    assert_eq!(sandbox.launch().uids, [sandbox.ids.0; 3]);
    as_other(&["status"]).run().code(0);
    for words in [
        &["--user", "notes", "status"] as &[&str],
        &["--direct", "status"],
        &[
            "--user=notes",
            "--shutdown-timeout=60",
            "--direct",
            "status",
        ],
        &["all", "status"],
        &["try-restart"],
    ] {
        as_other(words).run().code(0);
    }
    as_other(&["--user", "notes", "stop"]).run().code(0);
    // Not allowed: told, with the command that would work.
    fs::write(&sudoers, "root ALL=(ALL:ALL) ALL\n").unwrap();
    as_other(&["stop"]).run().code(4).stderr_has("sudo");
    as_other(&["start"])
        .env("DOMINO_NO_SUDO", "1")
        .run()
        .code(4);
    assert_eq!(sandbox.launches().len(), 2);
}

fn somebody_else_without_sudo_is_told() {
    let sandbox = host();
    let mut entry = sandbox.entry_as_caller();
    entry.ids = Some((sandbox.ids.0 + 700, sandbox.ids.0 + 700, Vec::new()));
    for verb in ["start", "stop", "status"] {
        let command = as_root(&sandbox, &[verb]).entering(entry.clone());
        let outcome = command.env("PATH", "/nowhere").run();
        outcome
            .code(4)
            .stderr_has("sudo rc_domino")
            .stderr_has("notes");
    }
    assert!(sandbox.calls("").is_empty());
}

fn an_unknown_user_is_told() {
    let sandbox = host();
    let passwd = sandbox.root.join("etc/passwd");
    fs::write(&passwd, "root:x:0:0:root:/root:/bin/bash\n").unwrap();
    let outcome = as_root(&sandbox, &["start"]).run();
    outcome.code(6).stderr_has("'notes'");
}
