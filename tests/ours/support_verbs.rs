//! What is collected for support, and what never leaves the host (D60 to D62).

use crate::support::{Outcome, Sandbox, age, hooks};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

scenarios![
    about_describes_host_and_server,
    about_calls_nobody,
    diag_collects_and_masks,
    diag_lists_and_writes_nothing,
    diag_bounds_age_and_size,
    hostile_files_do_not_hang_diag,
    diag_never_replaces_a_file,
    an_interrupted_diag_leaves_nothing,
    diag_of_a_broken_installation,
    senddiag_without_a_mail_program,
    senddiag_hands_the_archive_over,
    senddiag_by_nshmailx,
    senddiag_whose_mailer_fails,
];

fn about_describes_host_and_server() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["about"])
        .code(0)
        .stdout_has("not running")
        .stdout_has(sandbox.lotus.display().to_string());
    sandbox.up();
    let full = sandbox.run(&["about+"]).code(0);
    full.stdout_has("Server          notes")
        .stdout_has("running for")
        .stdout_has("Memory")
        .stdout_has("Limits of the running server")
        .stdout_has("Max open files")
        .stdout_has("kernel.shmmax");
    sandbox.run(&["About"]).code(0).stdout_has("Filesystems:");
    sandbox.down();
}

fn about_calls_nobody() {
    let sandbox = Sandbox::new();
    let curl = sandbox.script(
        "curl",
        "touch called; printf '{\\n  \"ip\": \"192.0.2.1\",\\n}\\n'",
    );
    let path = format!("{}:/usr/bin:/bin", curl.parent().unwrap().display());
    let called = || sandbox.base.join("called").exists();
    sandbox
        .command(&["about+"])
        .env("PATH", &path)
        .run()
        .code(0);
    assert!(!called());
    sandbox
        .command(&["about+", "--network"])
        .env("PATH", &path)
        .run()
        .code(0)
        .stdout_has("https://ipinfo.io")
        .stdout_has("192.0.2.1");
    assert!(called());
}

/// Where NSDs lie.
fn support(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.data.join("IBM_TECHNICAL_SUPPORT");
    fs::create_dir_all(&path).unwrap();
    sandbox.own(&path);
    path
}

/// The only archive in a directory, unpacked.
fn unpacked(sandbox: &Sandbox, outcome: &Outcome) -> PathBuf {
    let archives = hooks::files(&support(sandbox), "domdiag_notes_", ".tar.gz");
    assert_eq!(archives.len(), 1, "{outcome}");
    let mode = fs::metadata(&archives[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let target = sandbox.directory("unpacked");
    let status = Command::new("tar")
        .args(["--extract", "--gzip", "--strip-components=1", "--file"])
        .arg(&archives[0])
        .arg("--directory")
        .arg(&target)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{outcome}");
    target
}

/// D61.
fn diag_collects_and_masks() {
    let mut sandbox = Sandbox::builder().ini("SMTP_PASSWORD=sesame1").build();
    sandbox.set("SITE_API_TOKEN", "sesame2");
    sandbox.up();
    let support = support(&sandbox);
    fs::write(
        support.join("nsd_all_1.log"),
        "ok\nADMIN_PASSWORD=sesame3\nproxy=http://joe:sesame4@proxy\n",
    )
    .unwrap();
    fs::write(support.join("server.id"), "sesame5").unwrap();
    let packed = sandbox.file(
        "notes_261122_101010.log",
        "> set config x_secret=sesame6\nend\n",
    );
    let status = Command::new("gzip").arg(&packed).status();
    assert!(status.is_ok_and(|status| status.success()));
    // Both a log and its packed form go in.
    sandbox.file("notes_261122_101010.log", "again\n");
    // Another server's, which has the name of this one in front of its own.
    let foreign = sandbox.file("notes_hub_261122_101010.log", "theirs\n");
    let outcome = sandbox
        .run(&["diag"])
        .code(0)
        .stdout_has("config/notes.ini")
        .stdout_has("server.id: databases, ids and keys stay here");
    let unpacked = unpacked(&sandbox, &outcome);
    let theirs = unpacked.join("logs").join(foreign.file_name().unwrap());
    assert!(!theirs.exists(), "{outcome}");
    for name in [
        "contents.txt",
        "config/notes.ini",
        "config/rc_domino_config",
        "data/pid.nbf",
        "logs/notes.log",
        "logs/notes_261122_101010.log",
        "logs/notes_261122_101010.log_",
        "diagnostics/nsd_all_1.log",
        "system/about.txt",
        "system/processes.txt",
        "system/ipc.txt",
        "system/settings.txt",
    ] {
        assert!(unpacked.join(name).is_file(), "{name}\n{outcome}");
    }
    let all = Command::new("grep")
        .args(["-r", "sesame"])
        .arg(&unpacked)
        .output()
        .unwrap();
    assert!(all.stdout.is_empty(), "{all:?}");
    let nsd = fs::read_to_string(unpacked.join("diagnostics/nsd_all_1.log")).unwrap();
    assert_eq!(
        nsd,
        "ok\nADMIN_PASSWORD=********\nproxy=http://joe:********@proxy\n"
    );
    let processes = fs::read_to_string(unpacked.join("system/processes.txt")).unwrap();
    assert!(processes.contains("linux/server"), "{processes}");
    sandbox.down();
}

fn diag_lists_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let support = support(&sandbox);
    sandbox
        .run(&["diag", "--list"])
        .code(0)
        .stdout_has("config/notes.ini");
    assert!(fs::read_dir(support).unwrap().next().is_none());
}

fn diag_bounds_age_and_size() {
    let mut sandbox = Sandbox::new();
    let support = support(&sandbox);
    for (name, days) in [
        ("nsd_old.log", 40),
        ("nsd_older.log", 50),
        ("x_old.log", 40),
        ("new.log", 2),
    ] {
        let path = support.join(name);
        fs::write(&path, "x").unwrap();
        age(&path, days);
    }
    let listed = |arguments: &[&str]| sandbox.run(arguments).code(0).text();
    let seven = listed(&["diag", "--list"]);
    // The newest NSD is taken however old it is.
    for (name, taken) in [
        ("new.log", true),
        ("x_old.log", false),
        ("nsd_old.log", true),
        ("nsd_older.log", false),
    ] {
        assert_eq!(
            seven.contains(&format!("diagnostics/{name}")),
            taken,
            "{name}: {seven}"
        );
    }
    let one = listed(&["diag", "--list", "--days", "1"]);
    assert!(!one.contains("diagnostics/new.log"), "{one}");
    fs::write(support.join("large.log"), vec![b'x'; 3 << 20]).unwrap();
    sandbox.set("DOMINO_DIAG_MAX_SIZE", "2");
    sandbox
        .run(&["diag", "--list"])
        .code(0)
        .stdout_has("large.log: beyond DOMINO_DIAG_MAX_SIZE");
    sandbox.run(&["diag", "--days", "-1"]).code(2);
    sandbox.run(&["diag", "--days", "abc"]).code(2);
}

fn hostile_files_do_not_hang_diag() {
    let sandbox = Sandbox::new();
    let support = support(&sandbox);
    let mode = nix::sys::stat::Mode::S_IRWXU;
    for name in ["fifo.log", "nsd_fifo.log"] {
        nix::unistd::mkfifo(&support.join(name), mode).unwrap();
    }
    symlink("/etc/passwd", support.join("passwd.log")).unwrap();
    symlink("/", support.join("root")).unwrap();
    symlink(".", support.join("loop")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"a\nb\xff\x1b[31m.log");
    fs::write(support.join(odd), "odd").unwrap();
    fs::write(support.join("x".repeat(255)), "long").unwrap();
    let closed = support.join("closed.log");
    fs::write(&closed, "x").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    for path in ["notes.ini", "fault_recovery.hst"] {
        let path = sandbox.data.join(path);
        let _ = fs::remove_file(&path);
        nix::unistd::mkfifo(&path, mode).unwrap();
    }
    let outcome = sandbox
        .run(&["diag"])
        .code(0)
        .stdout_has("passwd.log: a link, not followed")
        .stdout_has("nsd_fifo.log: a device, pipe or socket")
        .stdout_has("closed.log: ");
    assert!(!outcome.stdout.contains(&0x1b), "{outcome}");
    let unpacked = unpacked(&sandbox, &outcome);
    let names: Vec<_> = fs::read_dir(unpacked.join("diagnostics"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name == odd));
}

fn diag_never_replaces_a_file() {
    let sandbox = Sandbox::new();
    let ini = sandbox.data.join("notes.ini");
    let before = fs::read(&ini).unwrap();
    sandbox
        .run(&["diag", "--output", ini.to_str().unwrap()])
        .code(1)
        .stderr_has("exists");
    assert_eq!(fs::read(&ini).unwrap(), before);
}

fn an_interrupted_diag_leaves_nothing() {
    let sandbox = Sandbox::new();
    let support = support(&sandbox);
    // Seconds of work, and nothing that would have to be written out.
    let big = support.join("big.log");
    fs::File::create(&big).unwrap().set_len(100 << 20).unwrap();
    for number in 1..10 {
        fs::hard_link(&big, support.join(format!("big{number}.log"))).unwrap();
    }
    let target = sandbox.base.join("archive.tar.gz");
    let running = sandbox
        .command(&["diag", "--output", target.to_str().unwrap()])
        .spawn();
    crate::support::wait_until("the archive is begun", || target.exists());
    running.signal(nix::libc::SIGTERM);
    running.outcome().code(128 + 15).stderr_has("removed");
    assert!(!target.exists());
}

fn diag_of_a_broken_installation() {
    let sandbox = Sandbox::new();
    fs::remove_dir_all(&sandbox.lotus).unwrap();
    fs::remove_file(sandbox.data.join("notes.ini")).unwrap();
    sandbox.run(&["about+"]).code(0);
    let outcome = sandbox.run(&["diag"]).code(0);
    // Without a technical support directory it lies in the data directory.
    let found = hooks::files(&sandbox.data, "domdiag_notes_", ".tar.gz");
    assert_eq!(found.len(), 1, "{outcome}");
}

fn senddiag_without_a_mail_program() {
    let sandbox = Sandbox::new();
    let support = support(&sandbox);
    sandbox
        .run(&["senddiag"])
        .code(6)
        .stderr_has("DOMINO_DIAG_MAIL_COMMAND")
        .stderr_has(support.display().to_string());
}

const RECORDS: &str = "for word; do echo \"[$word]\"; done; cat";

fn senddiag_hands_the_archive_over() {
    let mut sandbox = Sandbox::builder()
        .ini("DominoDiagRcpt=ini@example.com")
        .build();
    let support = support(&sandbox);
    let mailer = sandbox.script("a mailer", RECORDS);
    sandbox.set(
        "DOMINO_DIAG_MAIL_COMMAND",
        format!("'{}' -s {{subject}} -a{{file}} {{to}}", mailer.display()),
    );
    sandbox
        .run(&["senddiag"])
        .code(0)
        .stdout_has("[Domino diagnostics of notes]")
        .stdout_has(format!("[-a{}/domdiag_notes_", support.display()))
        .stdout_has("[ini@example.com]")
        .stdout_has("collected by rc_domino");
    assert_eq!(hooks::files(&support, "domdiag_", ".tar.gz").len(), 1);
    sandbox
        .run(&["diag", "send", "--to", "other@example.com"])
        .code(0)
        .stdout_has("[other@example.com]");
    sandbox
        .run(&["senddiag", "--to=-oX"])
        .code(6)
        .stderr_has("no mail address");
    sandbox.run(&["diag", "--to", "x"]).code(2);
}

fn senddiag_by_nshmailx() {
    let mut sandbox = Sandbox::new();
    let script = sandbox.script("nshmailx", RECORDS);
    let place = sandbox.root.join("usr/bin");
    fs::create_dir_all(&place).unwrap();
    fs::copy(script, place.join("nshmailx")).unwrap();
    sandbox
        .run(&["senddiag"])
        .code(6)
        .stderr_has("DOMINO_DIAG_RCPT");
    sandbox.set("DIAG_RCPT", "a@example.com");
    sandbox.set("DOMINO_DIAG_FROM", "server@example.com");
    sandbox
        .run(&["senddiag"])
        .code(0)
        .stdout_has("[a@example.com]\n[-from]\n[server@example.com]");
}

fn senddiag_whose_mailer_fails() {
    let mut sandbox = Sandbox::new();
    let mailer = sandbox.script("mailer", "echo no route; exit 75");
    sandbox.set("DOMINO_DIAG_MAIL_COMMAND", mailer);
    sandbox
        .run(&["senddiag"])
        .code(75)
        .stdout_has("no route")
        .stderr_has("not sent");
}
