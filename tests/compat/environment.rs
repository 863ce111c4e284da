//! What server and hooks find in their environment (contract §4).

use crate::support::Sandbox;
use std::ffi::OsStr;

scenarios![
    the_server_gets_every_variable,
    hooks_get_the_same,
    search_paths_are_put_in_front,
    the_callers_environment_counts_where_the_file_is_silent,
];

/// Settings that are handed on under their own names, with a value for each.
const HANDED_ON: [(&str, &str); 17] = [
    ("DOMINO_SHUTDOWN_TIMEOUT", "77"),
    ("DOMINO_LOG_PATH", "/tmp"),
    ("DOMINO_LOG_BACKUP_DIR", "/tmp"),
    ("DOMINO_INSDIR", "/opt/some where"),
    ("DOMINO_VIEW_REBUILD_DIR", "/tmp"),
    ("DOMINO_TEMP_DIR", "/tmp"),
    ("DOMINO_SCRIPT_DIR", "/opt/scripts"),
    ("DOMINO_CUSTOM_COMMAND_BASEPATH", "/opt/commands"),
    (
        "DOMINO_MONITOR_FILTER_STRING",
        "Opened session for|Closed # session",
    ),
    ("DOMINO_3RD_PARTY_BIN_DIRS", "/opt/a /opt/b"),
    ("DOMINO_LOG_CLEAR_DAYS", "31"),
    ("DOMINO_LOG_BACKUP_CLEAR_DAYS", "32"),
    ("DOMINO_CUSTOM_LOG_CLEAR_DAYS", "33"),
    ("DOMINO_LOG_DB_BACKUP", "/tmp/never.nsf"),
    ("DOMINO_LOG_DB_BACKUP_DIR", "/tmp"),
    ("DOMINO_DOMLOG_DB_BACKUP", "/tmp/never.nsf"),
    ("DOMINO_DOMLOG_DB_BACKUP_DIR", "/tmp"),
];

/// Variables whose values follow from the rest.
fn derived(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (lotus, data) = (&sandbox.lotus, &sandbox.data);
    vec![
        ("LOTUS", text(lotus.clone())),
        ("LARCH", "linux".into()),
        ("PLATFORM_NAME", "xLinux".into()),
        (
            "Notes_ExecDirectory",
            text(lotus.join("notes/latest/linux")),
        ),
        ("AMQ_NO_SIGWAIT_SIGTRAP", "1".into()),
        ("LC_ALL", String::new()),
        ("DOMINO_USER", "notes".into()),
        ("DOMINO_SERVER", "notes".into()),
        ("DOMINO_DATA_PATH", text(data.clone())),
        ("DOMINO_INI_PATH", text(data.join("notes.ini"))),
        ("DOMINO_OUTPUT_LOG", text(data.join("notes.log"))),
        ("DOMINO_INPUT_FILE", text(data.join("notes.input"))),
        ("DOMINO_LOG_DIR", text(data.clone())),
        ("DOMINO_PID_FILE", text(data.join("domino.pid"))),
        ("DOMINO_SYSTEMD_NAME", String::new()),
        ("DOMINO_DEBUG_MODE", "no".into()),
        ("DOMINO_PID", String::new()),
    ]
}

fn the_server_gets_every_variable() {
    let sandbox = Sandbox::with(&HANDED_ON);
    sandbox.up();
    let call = sandbox.launch();
    let handed_on = HANDED_ON.map(|(name, value)| (name, value.to_owned()));
    for (name, value) in handed_on.into_iter().chain(derived(&sandbox)) {
        assert_eq!(call.var(name), Some(value), "{name}");
    }
    assert!(!call.var("DOMINO_SCRIPT_VERSION").unwrap().is_empty());
    sandbox.down();
}

fn hooks_get_the_same() {
    let mut sandbox = Sandbox::with(&HANDED_ON);
    let hooks = [
        "DOMINO_PRE_STARTUP_SCRIPT",
        "DOMINO_POST_STARTUP_SCRIPT",
        "DOMINO_PRE_SHUTDOWN_SCRIPT",
    ];
    for hook in hooks {
        sandbox.hook(hook, "");
    }
    sandbox.up();
    let pid = sandbox.launch().pid.to_string();
    sandbox.down();
    for hook in hooks {
        let found = sandbox.hook_environment(hook);
        let handed_on = HANDED_ON.map(|(name, value)| (name, value.to_owned()));
        for (name, value) in handed_on.into_iter().chain(derived(&sandbox)) {
            let known = name == "DOMINO_PID" && hook != "DOMINO_PRE_STARTUP_SCRIPT";
            let value = if known { &pid } else { &value };
            assert_eq!(
                found.get(OsStr::new(name)).map(|found| found.as_os_str()),
                Some(OsStr::new(value)),
                "{hook}: {name}"
            );
        }
    }
}

fn search_paths_are_put_in_front() {
    for old in [None, Some("/opt/lib:/opt/lib2")] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&["start"]).env("PATH", "/usr/bin:/bin");
        if let Some(old) = old {
            command = command.env("LD_LIBRARY_PATH", old);
        }
        command.run().code(0);
        sandbox.wait_up();
        let (lotus, data) = (sandbox.lotus.display(), sandbox.data.display());
        let exec = format!("{lotus}/notes/latest/linux");
        let call = sandbox.launch();
        assert_eq!(
            call.var("PATH").unwrap(),
            format!("{data}:{lotus}/bin:{exec}:{exec}/res/C:/usr/bin:/bin")
        );
        assert_eq!(
            call.var("LD_LIBRARY_PATH").unwrap(),
            old.map_or(exec.clone(), |old| format!("{exec}:{old}"))
        );
        sandbox.down();
    }
}

fn the_callers_environment_counts_where_the_file_is_silent() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOMINO_LOG_CLEAR_DAYS", "5");
    sandbox
        .command(&["start"])
        .env("DOMINO_UMASK", "0077")
        .env("DOMINO_LOG_CLEAR_DAYS", "9")
        .env("DOMINO_SERVER", "other")
        .env("ANYTHING", "at all")
        .run()
        .code(0);
    let call = sandbox.launch();
    assert_eq!(call.umask, 0o077);
    for (name, value) in [
        ("DOMINO_LOG_CLEAR_DAYS", "5"),
        ("DOMINO_SERVER", "other"),
        ("ANYTHING", "at all"),
    ] {
        assert_eq!(call.var(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(call.fds[&1], sandbox.data.join("other.log").as_os_str());
    sandbox.kill();
}
