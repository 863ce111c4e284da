//! compact, fixup, and the renames of log databases at a start.

use crate::support::{Sandbox, age};
use std::fs;

scenarios![
    what_runs_before_the_server,
    output_goes_to_the_console_log,
    log_databases_are_set_aside,
    not_again_before_its_time,
];

/// Settings, whether the one-time compact was asked for, and what is called
/// in which order, the server's launch last.
type Case = (
    &'static [(&'static str, &'static str)],
    bool,
    &'static [&'static str],
);

const CASES: [Case; 7] = [
    (&[], false, &["server"]),
    (
        &[
            ("DOMINO_COMPACT_OPTIONS", "-C"),
            ("DOMINO_LOG_COMPACT_OPTIONS", "-C log.nsf"),
            ("DOMINO_FIXUP_OPTIONS", "-f"),
        ],
        false,
        &["server"],
    ),
    (
        &[("DOMINO_START_COMPACT_OPTIONS", "-#4 -W7 -C system.ind")],
        false,
        &["compact -#4 -W7 -C system.ind", "server"],
    ),
    (
        &[
            ("DOMINO_START_FIXUP_OPTIONS", "-f -j system.ind"),
            ("DOMINO_START_COMPACT_OPTIONS", "-C"),
            ("DOMINO_START_LOG_COMPACT_OPTIONS", "-C log.nsf"),
        ],
        false,
        &[
            "fixup -f -j system.ind",
            "compact -C",
            "compact -C log.nsf",
            "server",
        ],
    ),
    (
        &[
            ("DOMINO_COMPACT_TASK", "dbmt"),
            (
                "DOMINO_START_COMPACT_OPTIONS",
                "-compactThreads 4 system.ind",
            ),
        ],
        false,
        &["dbmt -compactThreads 4 system.ind", "server"],
    ),
    (
        &[
            ("DOMINO_COMPACT_OPTIONS", "-B names.nsf"),
            ("DOMINO_LOG_COMPACT_OPTIONS", "-C log.nsf"),
            ("DOMINO_START_COMPACT_OPTIONS", "-never"),
        ],
        true,
        &["compact -B names.nsf", "compact -C log.nsf", "server"],
    ),
    (
        &[("DOMINO_START_COMPACT_OPTIONS", "-never")],
        true,
        &["server"],
    ),
];

fn what_runs_before_the_server() {
    for (settings, once, expected) in CASES {
        let sandbox = Sandbox::with(settings);
        let marker = sandbox.data.join("domino_nextstartcompact");
        if once {
            sandbox.file("domino_nextstartcompact", "");
        }
        sandbox.up();
        assert_eq!(sandbox.events(), expected, "{settings:?}");
        assert!(!marker.exists());
        for call in sandbox.calls("compact") {
            assert_eq!(call.cwd, sandbox.data.as_os_str());
        }
        sandbox.kill();
    }
}

fn output_goes_to_the_console_log() {
    let sandbox = Sandbox::with(&[
        ("DOMINO_START_FIXUP_OPTIONS", "-f names.nsf"),
        ("DOMINO_START_COMPACT_OPTIONS", "-C names.nsf"),
    ]);
    sandbox.up();
    let console = sandbox.console();
    let at = |text: &str| {
        console
            .find(text)
            .unwrap_or_else(|| panic!("no '{text}' in {console}"))
    };
    assert!(at("Performed consistency check on names.nsf") < at("Compacted names.nsf"));
    assert!(at("Compacted names.nsf") < at("HCL Domino (r) Server"));
    sandbox.down();
}

/// `log_YYYYMMDD.nsf` of today, which lasts for at least a minute.
fn dated() -> String {
    loop {
        let [year, month, day, hour, minute, _] = crate::standin::place::local_time();
        if (hour, minute) != (23, 59) {
            return format!("log_{year}{month:02}{day:02}.nsf");
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

fn log_databases_are_set_aside() {
    for kind in ["LOG", "DOMLOG"] {
        let name = format!("{}.nsf", kind.to_ascii_lowercase());
        let days = format!("DOMINO_{kind}_DB_DAYS");
        let backup = format!("DOMINO_{kind}_DB_BACKUP");
        for (value, directory, expected) in [
            (None, None, Some(format!("data/log_backup/{}", dated()))),
            (None, Some("kept"), Some(format!("kept/{}", dated()))),
            (
                Some("fixed/name.nsf"),
                None,
                Some("fixed/name.nsf".to_owned()),
            ),
            (Some("DELETEDB"), None, None),
        ] {
            // domlog.nsf gets log.nsf's name from the original (contract §7.6).
            if kind == "DOMLOG" && value.is_none() {
                continue;
            }
            let mut sandbox = Sandbox::new();
            sandbox.set(&days, "7");
            match value {
                Some("DELETEDB") => sandbox.set(&backup, "DELETEDB"),
                Some(path) => {
                    let path = sandbox.base.join(path);
                    let target = sandbox.directory("fixed").join("name.nsf");
                    assert_eq!(path, target);
                    fs::write(&target, "an earlier one, replaced").unwrap();
                    sandbox.set(&backup, path);
                }
                None => {}
            }
            if let Some(directory) = directory {
                let path = sandbox.base.join(directory);
                sandbox.set(&format!("DOMINO_{kind}_DB_BACKUP_DIR"), path);
            }
            sandbox.file(&name, "the database");
            sandbox.up();
            assert!(!sandbox.data.join(&name).exists(), "{name} {value:?}");
            if let Some(expected) = &expected {
                let moved = fs::read(sandbox.base.join(expected));
                assert_eq!(moved.unwrap(), b"the database", "{expected}");
            }
            sandbox.kill();
        }
    }
}

fn not_again_before_its_time() {
    let sandbox = Sandbox::with(&[("DOMINO_LOG_DB_DAYS", "7")]);
    let moved = sandbox.data.join("log_backup").join(dated());
    let log = sandbox.data.join("log.nsf");
    sandbox.up();
    assert!(moved.exists() && !log.exists());
    sandbox.reset();
    // A second start on the same day leaves the new database alone.
    sandbox.file("log.nsf", "new");
    sandbox.up();
    assert_eq!(fs::read(&log).unwrap(), b"new");
    sandbox.reset();
    // After its days it goes again, and replaces what has its name.
    let status = sandbox.file("domino_last_log_db.txt", "Mon Jan  1 00:00:00 UTC 2024\n");
    age(&status, 8);
    sandbox.up();
    assert!(!log.exists());
    assert_eq!(fs::read(&moved).unwrap(), b"new");
    sandbox.kill();
}
