//! How the server is launched, and when it is not.

use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    launch,
    what_the_originals_entry_point_hands_on,
    umask_and_exports_of_the_configuration_reach_the_server,
    a_running_server_is_not_started_again,
    a_disabled_server_is_not_started,
    missing_directories_are_created,
    the_controller_is_started_with_its_arguments,
    restart_stops_and_starts,
    standard_output_instead_of_a_log,
];

/// Six arguments, however many there are: hosts keep copies of that script.
fn what_the_originals_entry_point_hands_on() {
    let sandbox = Sandbox::new();
    sandbox.run(&["start", "", "", "", "", ""]).code(0);
    sandbox.wait_up();
    let outcome = sandbox.run(&["status", "display", "", "", "", ""]);
    assert!(outcome.said("[ ON  ] - notes"), "{outcome}");
    sandbox.run(&["lastlog", "", "", "", "", ""]).code(0);
    sandbox.run(&["stop", "", "", "", "", ""]).code(0);
    assert!(sandbox.processes().is_empty());
}

fn launch() {
    let sandbox = Sandbox::new();
    sandbox.file("notes.input", "quit\n");
    sandbox.up();
    let call = sandbox.launch();
    assert!(call.args().is_empty(), "{:?}", call.argv);
    assert_eq!(
        call.argv[0],
        sandbox.lotus.join("notes/latest/linux/server").as_os_str()
    );
    assert_eq!(call.cwd, sandbox.data.as_os_str());
    assert_eq!(call.fds[&0], sandbox.data.join("notes.input").as_os_str());
    for descriptor in [1, 2] {
        assert_eq!(call.fds[&descriptor], sandbox.log().as_os_str());
    }
    assert_eq!(call.uids, [sandbox.ids.0; 3]);
    assert_eq!(call.gids, [sandbox.ids.1; 3]);
    let pid = fs::read_to_string(sandbox.data.join("domino.pid")).unwrap();
    assert_eq!(pid.trim(), call.pid.to_string());
    // What stood in the input file would have been the server's first command.
    assert_eq!(fs::read(sandbox.data.join("notes.input")).unwrap(), b"");
    // The environment report.
    let lotus = format!("\nLOTUS={}\n", sandbox.lotus.display());
    assert!(sandbox.console().contains(&lotus), "{}", sandbox.console());
    sandbox.down();
}

fn umask_and_exports_of_the_configuration_reach_the_server() {
    let mut sandbox = Sandbox::with(&[
        ("DOMINO_UMASK", "0027"),
        ("DOMINO_SHARED_DPOOLSIZE", "8388608"),
        ("DOMINO_LANG", "en_US.UTF-8"),
        ("DOMINO_TZ", "Europe/Berlin"),
    ]);
    sandbox.raw("export SITE_VARIABLE=\"of the site\"");
    sandbox.raw("NOT_EXPORTED=1");
    sandbox.up();
    let call = sandbox.launch();
    assert_eq!(call.umask, 0o027);
    for (name, value) in [
        ("Notes_SHARED_DPOOLSIZE", Some("8388608")),
        ("LANG", Some("en_US.UTF-8")),
        ("TZ", Some("Europe/Berlin")),
        ("SITE_VARIABLE", Some("of the site")),
        ("NOT_EXPORTED", None),
        ("LC_ALL", Some("")),
    ] {
        assert_eq!(call.var(name).as_deref(), value, "{name}");
    }
    sandbox.down();
}

fn a_running_server_is_not_started_again() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let before = sandbox.servers();
    sandbox.run(&["start"]).says("running");
    assert_eq!(sandbox.servers(), before);
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.down();
}

fn a_disabled_server_is_not_started() {
    let sandbox = Sandbox::new();
    sandbox.file("domino_disabled", "");
    sandbox.run(&["start"]).says("disabled");
    assert!(sandbox.calls("").is_empty());
}

fn missing_directories_are_created() {
    let mut sandbox = Sandbox::new();
    let wanted = [
        "DOMINO_VIEW_REBUILD_DIR",
        "DOMINO_TEMP_DIR",
        "DOMINO_LOG_PATH",
        "DOMINO_LOG_DIR",
        "DOMINO_LOG_BACKUP_DIR",
    ];
    let at = |name: &str| sandbox_path(&sandbox, name);
    let paths = wanted.map(at);
    for (name, path) in wanted.iter().zip(&paths) {
        sandbox.set(name, path);
    }
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    for path in &paths {
        assert!(path.is_dir(), "{}", path.display());
    }
    // The console log and the input file follow DOMINO_LOG_DIR.
    assert_eq!(call.fds[&1], paths[3].join("notes.log").as_os_str());
    assert_eq!(call.fds[&0], paths[3].join("notes.input").as_os_str());
    sandbox.down();
}

fn sandbox_path(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    sandbox.data.join("made").join(name.to_ascii_lowercase())
}

fn the_controller_is_started_with_its_arguments() {
    let sandbox = Sandbox::with(&[("DOMINO_USE_JAVA_CONTROLLER", "yes")]);
    sandbox.run(&["start"]).code(0);
    wait_until("the controller has started a server", || {
        sandbox.launches().len() == 2
    });
    assert_eq!(sandbox.launches()[0].args(), ["-jc", "-c"]);
    sandbox
        .run(&["status"])
        .stdout_has("Domino Server is running (notes)");
    sandbox.run(&["stop"]).code(0);
    wait_until("controller and server are gone", || {
        sandbox.processes().is_empty()
    });
    let asked: Vec<_> = sandbox
        .calls("server")
        .iter()
        .map(|call| call.args())
        .collect();
    assert!(asked.contains(&vec!["-q".to_owned()]), "{asked:?}");
    assert!(
        asked.iter().any(|args| args.join(" ") == "-jc -q -y"),
        "{asked:?}"
    );
}

fn restart_stops_and_starts() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let first = sandbox.launch().pid;
    sandbox.run(&["restart"]).code(0);
    wait_until("a second server runs", || sandbox.launches().len() == 2);
    assert_ne!(sandbox.servers(), [first]);
    let quits = sandbox
        .calls("server")
        .iter()
        .filter(|call| call.args() == ["-q"])
        .count();
    assert_eq!(quits, 1);
    sandbox.wait_up();
    sandbox.down();
}

fn standard_output_instead_of_a_log() {
    let sandbox = Sandbox::with(&[("DOMINO_DOCKER_STDOUT", "yes")]);
    // The output is the server's as well: it ends with the server.
    let mut running = sandbox.command(&["start"]).spawn();
    wait_until("the server runs", || sandbox.launches().len() == 1);
    wait_until("start has ended", || !running.is_running());
    wait_until("its tasks run", || sandbox.calls("http").len() == 1);
    assert!(!sandbox.log().exists());
    sandbox
        .run(&["status"])
        .stdout_has("Domino Server is running (notes)");
    sandbox.kill();
    running
        .outcome()
        .stdout_has("HCL Domino (r) Server")
        .stdout_has("LOTUS=");
}
