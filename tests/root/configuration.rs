//! Root never executes the configuration: it belongs to the user (D24).

use super::{as_root, host};
use std::fs;
use std::os::unix::fs::MetadataExt;

scenarios![
    commands_in_it_run_as_the_user_only needs Root,
    root_itself_refuses_to_read_them needs Root,
    what_decides_the_user_is_no_users_file needs Root,
    the_user_root_is_refused needs Root,
    a_configuration_only_its_user_may_read needs Root,
];

/// Every name that root could want to know before it has switched.
fn commands_in_it_run_as_the_user_only() {
    let mut sandbox = host();
    let marks = sandbox.directory("marks");
    for name in [
        "DOMINO_SYSTEMD_NAME",
        "DOMINO_USER",
        "DOMINO_NO_SUDO",
        "DOMINO_RC_NAME",
    ] {
        let mark = marks.join(name);
        sandbox.raw(&format!("X_{name}=$(id -u >>'{}'; echo)", mark.display()));
    }
    for (number, line) in ["`id -u >>'MARK'`", "; id -u >>'MARK'", "\nid -u >>'MARK'"]
        .iter()
        .enumerate()
    {
        let mark = marks.join(format!("line{number}"));
        sandbox.raw(&format!(
            "Y{number}={}",
            line.replace("MARK", mark.to_str().unwrap())
        ));
    }
    for verb in [
        "status",
        "start",
        "status",
        "stop",
        "systemlog",
        "statusd",
        "version",
    ] {
        as_root(&sandbox, &[verb]).run();
    }
    assert!(sandbox.processes().is_empty());
    let mut seen = 0;
    for entry in fs::read_dir(&marks).unwrap() {
        let path = entry.unwrap().path();
        seen += 1;
        assert_eq!(
            fs::metadata(&path).unwrap().uid(),
            sandbox.ids.0,
            "{}",
            path.display()
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.lines().all(|line| line == sandbox.ids.0.to_string()),
            "{text}"
        );
    }
    assert_eq!(seen, 7, "bash did read it as the user");
}

/// Should a caller forget to switch: the reader itself asks no shell then.
fn root_itself_refuses_to_read_them() {
    let mut sandbox = host();
    sandbox.raw("DOMINO_TZ=$(echo UTC)");
    let root = rc_domino::os::root::Root::at(sandbox.root.clone());
    let refused = rc_domino::settings::load(&root, std::ffi::OsStr::new("notes"), &[]);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("a command substitution"), "{error}");
    assert!(
        error.contains("root does not execute configuration"),
        "{error}"
    );
}

fn what_decides_the_user_is_no_users_file() {
    let mut sandbox = host();
    // The file of notes cannot make root act as somebody else.
    sandbox.set("DOMINO_USER", "root");
    as_root(&sandbox, &["start"]).run();
    if !sandbox.launches().is_empty() {
        assert_eq!(sandbox.launch().uids, [sandbox.ids.0; 3]);
    }
    for call in sandbox.calls("") {
        assert_ne!(call.uid, 0);
    }
    sandbox.kill();
}

fn the_user_root_is_refused() {
    let sandbox = host();
    let passwd = sandbox.root.join("etc/passwd");
    let text = fs::read_to_string(&passwd).unwrap() + "toor:x:0:0::/root:/bin/sh\n";
    fs::write(&passwd, text).unwrap();
    for user in ["root", "toor"] {
        for verb in ["start", "stop", "status"] {
            let outcome = as_root(&sandbox, &[verb]).env("DOMINO_USER", user).run();
            outcome.code(6).stderr_has("root");
            as_root(&sandbox, &["--user", user, verb]).run().code(6);
        }
    }
    assert!(sandbox.calls("").is_empty());
    // RC_DOMINO_ROOT is nothing for root to believe.
    let outcome = as_root(&sandbox, &["status"])
        .env("RC_DOMINO_ROOT", "/nowhere")
        .run();
    outcome.code(3);
}

fn a_configuration_only_its_user_may_read() {
    let sandbox = host();
    let config = sandbox.root.join("etc/sysconfig/rc_domino_config");
    sandbox.own(&config);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&config, mode).unwrap();
    as_root(&sandbox, &["status"]).run().code(3);
    as_root(&sandbox, &["start"]).run().code(0);
    sandbox.wait_up();
    as_root(&sandbox, &["stop"]).run().code(0);
}
