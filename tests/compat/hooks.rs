//! The site's scripts: when they run, and when they do not.

use crate::support::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;

scenarios![
    in_their_order_at_start_and_stop,
    before_status,
    not_executable_is_said_and_skipped,
    wrong_owner_is_said_and_skipped,
    right_owner_runs,
    a_failing_hook_stops_nothing,
];

fn in_their_order_at_start_and_stop() {
    let mut sandbox = Sandbox::with(&[
        ("DOMINO_START_COMPACT_OPTIONS", "-C"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "20"),
    ]);
    for hook in [
        "PRE_STARTUP",
        "POST_STARTUP",
        "PRE_SHUTDOWN",
        "POST_SHUTDOWN",
    ] {
        sandbox.hook(&format!("DOMINO_{hook}_SCRIPT"), "sleep 0.05");
    }
    sandbox.up();
    sandbox.down();
    let mut events = sandbox.events();
    // Server and hook begin at the same moment: either may be noted first.
    let launch = events.iter().position(|event| event == "server").unwrap();
    events.remove(launch);
    assert_eq!(
        events,
        [
            "DOMINO_PRE_STARTUP_SCRIPT",
            "compact -C",
            "DOMINO_POST_STARTUP_SCRIPT",
            "DOMINO_PRE_SHUTDOWN_SCRIPT",
            "server -q",
            "DOMINO_POST_SHUTDOWN_SCRIPT",
        ]
    );
    assert!((2..=3).contains(&launch), "{events:?}");
}

fn before_status() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_STATUS_SCRIPT", "");
    sandbox
        .run(&["status"])
        .stdout_has("Domino Server is NOT running (notes)");
    assert_eq!(sandbox.hooks_run(), ["DOMINO_PRE_STATUS_SCRIPT"]);
}

/// Starts and stops; the hook must not have run, which must have been said.
fn assert_skipped(sandbox: &Sandbox, hook: &std::path::Path) {
    sandbox.up().says(hook.to_str().unwrap());
    assert!(sandbox.hooks_run().is_empty());
    sandbox.down();
}

fn not_executable_is_said_and_skipped() {
    let mut sandbox = Sandbox::new();
    let hook = sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", "");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    assert_skipped(&sandbox, &hook);
    fs::remove_file(&hook).unwrap();
    sandbox.reset();
    assert_skipped(&sandbox, &hook);
}

fn wrong_owner_is_said_and_skipped() {
    let mut sandbox = Sandbox::with(&[("EXECUTE_SCRIPT_CHECK_OWNER", "root")]);
    let hook = sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", "");
    assert_skipped(&sandbox, &hook);
}

fn right_owner_runs() {
    let mut sandbox = Sandbox::with(&[("EXECUTE_SCRIPT_CHECK_OWNER", "notes")]);
    sandbox.hook("DOMINO_PRE_STARTUP_SCRIPT", "");
    sandbox.up();
    assert_eq!(sandbox.hooks_run(), ["DOMINO_PRE_STARTUP_SCRIPT"]);
    sandbox.down();
}

fn a_failing_hook_stops_nothing() {
    let mut sandbox = Sandbox::new();
    for hook in [
        "PRE_STARTUP",
        "POST_STARTUP",
        "PRE_SHUTDOWN",
        "POST_SHUTDOWN",
    ] {
        sandbox.hook(&format!("DOMINO_{hook}_SCRIPT"), "exit 3");
    }
    sandbox.up();
    sandbox.down();
    assert_eq!(sandbox.hooks_run().len(), 4);
}
