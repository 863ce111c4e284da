//! Reading the configuration: warnings, bash, users, names of the program.

use crate::support::tree::Tree;
use crate::support::{Sandbox, executables};
use std::fs;
use std::os::unix::fs::PermissionsExt;

scenarios![
    unknown_names_are_warned_of_once,
    old_names_count,
    what_bash_must_read_has_a_time_limit,
    bash_sees_no_secrets_of_ours,
    names_of_the_program,
    another_users_server_needs_sudo_or_root,
    the_environment_alone_configures,
    only_variables_reach_the_next_file,
    no_systemd_no_unit_verbs,
];

/// D26.
fn unknown_names_are_warned_of_once() {
    let mut sandbox = Sandbox::new();
    sandbox.raw("DOMINO_SHUTDOWN_TIMOUT=5");
    sandbox.raw("DOMINO_SHUTDOWN_TIMOUT=6");
    sandbox.raw("MY_OWN=1");
    let outcome = sandbox.run(&["status"]).code(3);
    let text = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!(text.matches("DOMINO_SHUTDOWN_TIMOUT").count(), 1, "{text}");
    assert!(!text.contains("MY_OWN"), "{text}");
    outcome
        .stderr_has("rc_domino_config:8:")
        .stderr_has("DOMINO_SHUTDOWN_TIMEOUT");
}

/// Names that v4.1.5 itself dropped; configurations of older sites have them.
fn old_names_count() {
    let sandbox = Sandbox::with(&[("BROADCAST_SHUTDOWN_MESSAGE", "yes")]);
    sandbox.up();
    sandbox.down();
    assert_eq!(sandbox.calls("server")[1].args()[0], "-c");
}

fn what_bash_must_read_has_a_time_limit() {
    let mut sandbox = Sandbox::new();
    sandbox.raw("X=$(sleep 300)");
    let before = Tree::of(&sandbox.base);
    let outcome = sandbox.run(&["status"]).code(6);
    assert!(outcome.took.as_secs() < 30, "{outcome}");
    outcome.stderr_has("rc_domino_config");
    before.unchanged(&sandbox.base, "status");
}

fn bash_sees_no_secrets_of_ours() {
    let mut sandbox = Sandbox::new();
    sandbox.raw("DOMINO_SERVER=$(echo $0 $# ${BASH_ENV:-none} >&2; echo named)");
    let outcome = sandbox
        .command(&["status", "display"])
        .env("BASH_ENV", "/nowhere/at/all")
        .run();
    assert_eq!(outcome.code(3).text(), "[ OFF ] - named\n");
}

/// The user by --user, by the program's name, by DOMINO_USER, else notes.
fn names_of_the_program() {
    let sandbox = Sandbox::new();
    let (uid, gid) = sandbox.ids;
    let passwd = sandbox.root.join("etc/passwd");
    let mut text = fs::read_to_string(&passwd).unwrap();
    text.push_str(&format!("mail:x:{uid}:{gid}::/:/bin/sh\n"));
    fs::write(&passwd, text).unwrap();
    sandbox.sysconfig("rc_domino_config_mail", b"DOMINO_SERVER=of_mail\n");
    let shows = |name: &str, options: &[&str], user: &str, expected: &str| {
        let arguments = [options, &["status", "display"]].concat();
        let mut command = sandbox.command(&arguments).called(name);
        if !user.is_empty() {
            command = command.env("DOMINO_USER", user);
        }
        let outcome = command.run().code(3);
        assert_eq!(
            outcome.text(),
            format!("[ OFF ] - {expected}\n"),
            "{name} {options:?} {user}"
        );
    };
    let link = crate::support::run_directory::program("rc_domino_mail");
    if !link.exists() {
        let _guard = executables();
        let _ = std::os::unix::fs::symlink("rc_domino", &link);
    }
    for name in ["rc_domino", "domino"] {
        shows(name, &[], "", "notes");
        shows(name, &[], "mail", "of_mail");
        shows(name, &["--user", "mail"], "notes", "of_mail");
    }
    shows("rc_domino_mail", &[], "", "of_mail");
    shows("rc_domino_mail", &["--user", "notes"], "", "notes");
    shows("rc_domino_notes", &[], "", "notes");
    // Acts for whoever calls it.
    shows("rc_domino_script", &[], "mail", "of_mail");
}

fn another_users_server_needs_sudo_or_root() {
    let sandbox = Sandbox::new();
    let passwd = sandbox.root.join("etc/passwd");
    fs::write(
        &passwd,
        "notes:x:4242:4242::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n",
    )
    .unwrap();
    let before = Tree::of(&sandbox.base);
    for verb in ["start", "stop", "status"] {
        let outcome = sandbox
            .command(&[verb])
            .called("rc_domino")
            .env("PATH", "/nowhere")
            .run();
        outcome
            .code(4)
            .stderr_has("notes")
            .stderr_has("sudo rc_domino");
    }
    let outcome = sandbox.command(&["--user", "root", "status"]).run();
    outcome.code(6).stderr_has("root");
    before.unchanged(&sandbox.base, "a caller without rights");
}

/// As containers do it.
fn the_environment_alone_configures() {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.root.join("etc/sysconfig/rc_domino_config")).unwrap();
    let run = |verb: &str| {
        sandbox
            .command(&[verb])
            .env("DOMINO_CONFIGURED", "yes")
            .env("LOTUS", &sandbox.lotus)
            .env("DOMINO_DATA_PATH", &sandbox.data)
            .env("DOMINO_PID_FILE", sandbox.data.join("domino.pid"))
            .run()
    };
    run("start").code(0);
    sandbox.wait_up();
    run("status")
        .code(0)
        .stdout_has("Domino Server is running (notes)");
    run("stop").code(0);
}

fn no_systemd_no_unit_verbs() {
    let sandbox = Sandbox::new();
    let systemctl = sandbox.directory("bin").join("systemctl");
    {
        let _guard = executables();
        fs::write(
            &systemctl,
            "#!/bin/sh\ntouch \"$HOME/systemctl was called\"\n",
        )
        .unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", sandbox.base.join("bin").display());
    for arguments in [&["statusd"][..], &["systemlog"], &["service", "on"]] {
        let outcome = sandbox
            .command(arguments)
            .called("rc_domino")
            .env("PATH", &path)
            .run();
        outcome.code(5).stderr_has("systemd");
    }
    sandbox
        .command(&["start"])
        .called("rc_domino")
        .env("PATH", &path)
        .run()
        .code(0);
    sandbox.wait_up();
    sandbox
        .command(&["stop"])
        .called("rc_domino")
        .env("PATH", &path)
        .run()
        .code(0);
    assert!(!sandbox.home.join("systemctl was called").exists());
}

/// D37.
fn only_variables_reach_the_next_file() {
    let mut sandbox = Sandbox::new();
    let further = sandbox.file(
        "further.env",
        "if type greet >/dev/null 2>&1; then GREETED=yes; fi\nGIVEN=\"$PLAIN and more\"\nNOT_EXPORTED=x\nexport GREETED GIVEN\n",
    );
    sandbox.set("DOMINO_ENV_FILE", further);
    sandbox.raw("set -a; greet() { :; }");
    sandbox.raw("PLAIN=plain");
    sandbox.raw("VERB=\"verb:$1\"; export VERB");
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    assert_eq!(call.var("GIVEN").as_deref(), Some("plain and more"));
    assert_eq!(call.var("VERB").as_deref(), Some("verb:"));
    assert_eq!(call.var("GREETED"), None);
    assert_eq!(call.var("NOT_EXPORTED"), None);
    sandbox.kill();
}
