//! What is said, and where: reports, old crashes, secrets, debug lines.

use crate::support::Sandbox;

scenarios![
    an_old_crash_in_the_log_is_old,
    passwords_are_masked_in_the_report,
    a_stop_says_what_it_flushed,
    a_restart_after_force_keeps_the_code,
    warnings_about_paths_of_notes_ini,
    debug_lines_go_elsewhere,
    the_configuration_is_not_announced,
];

/// D23.
fn an_old_crash_in_the_log_is_old() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let console = sandbox.console();
    sandbox.file("notes.log", format!("NSD is in progress ....\n{console}"));
    sandbox.down();
}

/// D30: One-Touch Setup hands passwords over in the environment.
fn passwords_are_masked_in_the_report() {
    let sandbox = Sandbox::builder().not_set_up().build();
    sandbox.file(
        "DominoAutoConfig.env",
        "SERVERSETUP_ADMIN_PASSWORD=geheim1\nSERVERSETUP_ORG_CERTIFIER_PASSWORD='geheim2'\nSERVERSETUP_X=seen\n",
    );
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    assert_eq!(
        call.var("SERVERSETUP_ADMIN_PASSWORD").as_deref(),
        Some("geheim1")
    );
    let console = sandbox.console();
    assert!(console.contains("SERVERSETUP_X=seen"), "{console}");
    assert!(!console.contains("geheim"), "{console}");
    sandbox.kill();
}

/// D18.
fn a_stop_says_what_it_flushed() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.down().stdout_has("Flushed 1 filesystem");
    // Also when somebody else stopped the server a moment ago.
    sandbox.run(&["stop"]).code(0).stdout_has("Flushed");
}

/// D35: it runs again, but how it went down is not forgotten.
fn a_restart_after_force_keeps_the_code() {
    let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    sandbox.up();
    sandbox.run(&["restart"]).code(150);
    assert_eq!(sandbox.servers().len(), 1);
    assert_eq!(sandbox.launches().len(), 2);
    // Something that nothing can end: not started beside it.
    sandbox.mode("ignore_quit=1\nnsd_kill_fails=1\n");
    let outcome = sandbox.run(&["restart"]);
    assert!(sandbox.servers().len() <= 1);
    assert_ne!(outcome.code, 0, "{outcome}");
    sandbox.kill();
}

fn warnings_about_paths_of_notes_ini() {
    let sandbox = Sandbox::builder()
        .ini("Translog_Status=1")
        .ini("Translog_Path=/nowhere/translog")
        .ini("DAOSEnable=0")
        .ini("DAOSBasePath=/nowhere/daos")
        .ini("View_Rebuild_Dir=relative/dir")
        .build();
    let outcome = sandbox.up();
    let outcome = outcome
        .stderr_has("/nowhere/translog")
        .stderr_has("relative/dir");
    assert!(!outcome.said("/nowhere/daos"), "{outcome}");
    sandbox.down();
    let mut sandbox = sandbox;
    sandbox.set("DOMINO_CHECK_WARNUNGS", "no");
    sandbox.up().quiet();
    sandbox.down();
}

/// Programs read standard output.
fn debug_lines_go_elsewhere() {
    let mut sandbox = Sandbox::with(&[("DOMINO_DEBUG_MODE", "yes")]);
    let outcome = sandbox.run(&["status", "display"]).code(3);
    assert_eq!(outcome.text(), "[ OFF ] - notes\n");
    outcome.stderr_has("rc_domino_config");
    let file = sandbox.data.join("debug");
    sandbox.set("DOMINO_DEBUG_FILE", &file);
    sandbox.run(&["status"]).code(3).quiet();
    assert!(
        std::fs::read_to_string(file)
            .unwrap()
            .contains("DOMINO_DEBUG_MODE")
    );
}

/// D32.
fn the_configuration_is_not_announced() {
    let sandbox = Sandbox::with(&[("DOMINO_SCRIPT_VERBOSE_INFO", "yes")]);
    let outcome = sandbox.run(&["status"]).code(3).quiet();
    assert_eq!(outcome.text(), "Domino Server is NOT running (notes)\n");
}
