//! The console log set aside, and old files removed before a start.

use crate::support::hooks::files;
use crate::support::{Sandbox, age, target, wait_until};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

scenarios![
    a_start_archives_the_log,
    archives_go_to_their_directory,
    no_log_no_archive,
    a_stop_archives_the_log_where_asked,
    the_sites_compressor_is_used,
    loadmon_goes_where_asked,
    temporary_files_go_where_asked,
    scripts_replace_the_clean_up,
    old_logs_go_where_asked,
];

const OLD: &str = "what the server said last time\n";

/// The one archive in a directory, once it is complete.
fn archive(directory: &Path) -> PathBuf {
    wait_until("the log is compressed", || {
        let found = files(directory, "notes_", "");
        found.len() == 1
            && found[0].extension().is_some_and(|end| end == "gz")
            && is_whole(&found[0])
    });
    files(directory, "notes_", ".log.gz").remove(0)
}

fn is_whole(path: &Path) -> bool {
    let mut text = Vec::new();
    File::open(path).is_ok_and(|file| {
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut text)
            .is_ok()
    })
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// `notes_YYMMDD_HHMMSS.log.gz`.
fn assert_name(path: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let shape: String = name
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "notes_999999_999999.log.gz", "{name}");
}

fn a_start_archives_the_log() {
    let sandbox = Sandbox::new();
    let old = OLD.repeat(50_000);
    sandbox.file("notes.log", &old);
    sandbox.up();
    let archive = archive(&sandbox.data);
    assert_name(&archive);
    assert!(
        unpacked(&archive) == old,
        "the archive is not what the log was"
    );
    let console = sandbox.console();
    assert!(!console.contains(OLD), "{console}");
    let plain = archive.with_extension("");
    assert!(
        console
            .lines()
            .next()
            .unwrap()
            .contains(plain.to_str().unwrap()),
        "{console}"
    );
    sandbox.down();
}

fn archives_go_to_their_directory() {
    let mut sandbox = Sandbox::new();
    let directory = sandbox.directory("archives");
    sandbox.set("DOMINO_LOG_BACKUP_DIR", &directory);
    sandbox.file("notes.log", OLD);
    sandbox.up();
    let archive = archive(&directory);
    assert_name(&archive);
    assert_eq!(unpacked(&archive), OLD);
    sandbox.down();
}

fn no_log_no_archive() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.down();
    let found = files(&sandbox.data, "notes_", "");
    assert!(found.is_empty(), "{found:?}");
}

fn a_stop_archives_the_log_where_asked() {
    let sandbox = Sandbox::with(&[("DOMINO_ARCHIVE_LOGS_SHUTDOWN", "yes")]);
    sandbox.up();
    sandbox.down();
    let text = unpacked(&archive(&sandbox.data));
    assert!(text.contains("Server shutdown complete"), "{text}");
    assert!(!sandbox.console().contains("Server shutdown complete"));
}

fn the_sites_compressor_is_used() {
    let mut sandbox = Sandbox::new();
    let program = sandbox.script("pack", "echo \"$@\" >\"$0.called\"; exec gzip -1 \"$3\"");
    sandbox.set(
        "COMPRESS_COMMAND",
        format!("{} --site -x", program.display()),
    );
    sandbox.file("notes.log", OLD);
    sandbox.up();
    let archive = archive(&sandbox.data);
    assert_eq!(unpacked(&archive), OLD);
    let called = fs::read_to_string(crate::support::with_suffix(&program, ".called")).unwrap();
    assert_eq!(
        called.trim(),
        format!("--site -x {}", archive.with_extension("").display())
    );
    sandbox.down();
}

fn loadmon_goes_where_asked() {
    for (value, stays) in [("yes", false), ("no", true)] {
        let sandbox = Sandbox::with(&[("DOMINO_RESET_LOADMON", value)]);
        let file = sandbox.file("loadmon.ncf", "x");
        sandbox.up();
        assert_eq!(file.exists(), stays, "{value}");
        sandbox.down();
    }
}

fn temporary_files_go_where_asked() {
    for (value, stays) in [("yes", false), ("no", true)] {
        let mut sandbox = Sandbox::with(&[("DOMINO_REMOVE_TEMPFILES", value)]);
        let views = sandbox.directory("views");
        sandbox.set("DOMINO_VIEW_REBUILD_DIR", &views);
        sandbox.own(&{
            fs::create_dir(sandbox.data.join("sub")).unwrap();
            sandbox.data.join("sub")
        });
        let mut due: Vec<PathBuf> = ["a.DTF", "sub/b.DTF", "old.TMP"]
            .iter()
            .map(|name| sandbox.file(name, "x"))
            .collect();
        age(&due[2], 2);
        let view = views.join("v.DTF");
        fs::write(&view, "x").unwrap();
        due.push(view);
        let others = ["mail.nsf", "a.DTF.keep", "x.dtf"].map(|name| sandbox.file(name, "x"));
        sandbox.up();
        for file in &due {
            assert_eq!(file.exists(), stays, "{value}: {}", file.display());
        }
        for file in &others {
            assert!(file.exists(), "{}", file.display());
        }
        sandbox.down();
    }
}

fn scripts_replace_the_clean_up() {
    let mut sandbox = Sandbox::with(&[
        ("DOMINO_REMOVE_TEMPFILES", "yes"),
        ("DOMINO_CLEAR_LOGS_STARTUP", "yes"),
        ("DOMINO_LOG_BACKUP_CLEAR_DAYS", "1"),
    ]);
    let hooks = [
        "DOMINO_CUSTOM_REMOVE_TEMPFILES_SCRIPT",
        "DOMINO_CUSTOM_LOG_CLEAR_SCRIPT",
    ];
    for hook in hooks {
        sandbox.hook(hook, "");
    }
    let kept = ["a.DTF", "notes_200101_000000.log.gz"].map(|name| sandbox.file(name, "x"));
    age(&kept[1], 9);
    sandbox.up();
    for file in &kept {
        assert!(file.exists(), "{}", file.display());
    }
    let mut ran = sandbox.hooks_run();
    ran.sort();
    assert_eq!(
        ran,
        [
            "DOMINO_CUSTOM_LOG_CLEAR_SCRIPT",
            "DOMINO_CUSTOM_REMOVE_TEMPFILES_SCRIPT"
        ]
    );
    sandbox.down();
}

/// A file may be as old as its setting says; only beyond that it goes.
fn old_logs_go_where_asked() {
    let mut sandbox = Sandbox::with(&[
        ("DOMINO_CLEAR_LOGS_STARTUP", "yes"),
        ("DOMINO_LOG_CLEAR_DAYS", "5"),
        ("DOMINO_CUSTOM_LOG_CLEAR_DAYS", "7"),
        ("DOMINO_LOG_BACKUP_CLEAR_DAYS", "9"),
    ]);
    let logs = sandbox.directory("logs");
    let custom = sandbox.directory("custom");
    let support = sandbox.directory("data/IBM_TECHNICAL_SUPPORT");
    sandbox.set("DOMINO_LOG_PATH", &logs);
    sandbox.set("DOMINO_CUSTOM_LOG_CLEAR_PATH", &custom);
    let nested = sandbox.directory("logs/sub");
    let places: [(PathBuf, &str, u64); 5] = [
        (logs, "any", 5),
        (nested, "any", 5),
        (support, "nsd_x.log", 5),
        (custom, "any", 7),
        (sandbox.data.clone(), "notes_200101_000000.log.gz", 9),
    ];
    let mut expected = Vec::new();
    for (directory, name, days) in &places {
        for (old, stays) in [(days + 2, false), (days - 2, true)] {
            let file = directory.join(format!("notes_2001{old:02}_000000.log.gz"));
            let file = if *name == "any" {
                directory.join(format!("{old}.txt"))
            } else {
                file
            };
            fs::write(&file, "x").unwrap();
            sandbox.own(&file);
            age(&file, old);
            expected.push((file, stays));
        }
    }
    sandbox.up();
    for (file, stays) in &expected {
        assert_eq!(
            file.exists(),
            *stays,
            "{} with {:?}",
            file.display(),
            target()
        );
    }
    sandbox.down();
}
