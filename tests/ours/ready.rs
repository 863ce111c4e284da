//! `start --wait`: ready by the console's text, by the port, or not in time.

use crate::standin::processes::kill_and_wait;
use crate::support::server::UP;
use crate::support::{Sandbox, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;

scenarios![
    by_the_consoles_text,
    by_the_port_alone,
    not_in_time,
    a_server_that_dies_meanwhile,
    without_waiting_it_answers_at_once,
];

fn by_the_consoles_text() {
    let sandbox = Sandbox::new();
    sandbox.mode("start_delay=1.5\n");
    // What an earlier server said does not count.
    sandbox.file("notes.log", format!("{UP}\nDatabase Server started\n"));
    let outcome = sandbox
        .run(&["start", "--wait=20"])
        .code(0)
        .stdout_has("ready");
    assert!(outcome.took.as_millis() >= 1_400, "{outcome}");
    assert!(sandbox.console().contains(UP));
    sandbox.down();
}

/// Where resource files are missing the console prints codes; only the port
/// tells. The server's start-up script turns the texts into numbers here.
fn by_the_port_alone() {
    let port = super::verify::kept_port();
    let sandbox = Sandbox::builder()
        .port(port)
        .ini(format!("TCPIP_TcpIpAddress=0,127.0.0.1:{port}"))
        .build();
    sandbox.mode("start_delay=1\n");
    let startup = sandbox.lotus.join("bin/tools/startup");
    let text = fs::read_to_string(&startup).unwrap();
    let changed = text.replace(
        "exec \"$lotus/notes/latest/linux/$name\" \"$@\"",
        "[ $# = 0 ] || exec \"$lotus/notes/latest/linux/$name\" \"$@\"\n\
         exec >/dev/null 2>&1; exec \"$lotus/notes/latest/linux/$name\"",
    );
    assert_ne!(text, changed);
    {
        let _guard = crate::support::executables();
        fs::write(&startup, changed).unwrap();
        fs::set_permissions(&startup, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let outcome = sandbox.run(&["start", "--wait=20"]).code(0);
    outcome.stdout_has("ready").stdout_has(port.to_string());
    assert!(!sandbox.console().contains(UP));
    sandbox.down();
}

fn not_in_time() {
    let sandbox = Sandbox::new();
    sandbox.mode("start_delay=30\n");
    let outcome = sandbox
        .run(&["start", "--wait=1"])
        .code(1)
        .stderr_has("not ready");
    assert!(outcome.took.as_millis() >= 900, "{outcome}");
    assert!(!sandbox.console().contains(UP), "{outcome}");
    // It goes on starting.
    sandbox.run(&["status"]).code(0);
    sandbox.kill();
}

fn a_server_that_dies_meanwhile() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", "");
    sandbox.mode("start_delay=30\ntasks=router\n");
    let start = sandbox.command(&["start", "--wait=60"]).spawn();
    // It has settled, and is waited for.
    wait_until("the hook after the start ran", || {
        sandbox.hooks_run() == ["DOMINO_POST_STARTUP_SCRIPT"]
    });
    assert!(sandbox.data.join("domino.pid").exists());
    kill_and_wait(&[sandbox.launch().pid]);
    let outcome = start.outcome().code(1).stderr_has("did not stay up");
    assert!(outcome.took.as_secs() < 30, "{outcome}");
    assert!(!sandbox.console().contains(UP));
    sandbox.kill();
}

fn without_waiting_it_answers_at_once() {
    let sandbox = Sandbox::new();
    sandbox.mode("start_delay=30\n");
    let outcome = sandbox.run(&["start"]).code(0);
    assert!(!sandbox.console().contains(UP), "{outcome}");
    sandbox.kill();
}
