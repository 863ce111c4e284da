//! Configurations as whole trees: precedence, sources, errors, warnings.

use super::super::{DatabaseBackup, Effective};
use super::*;
use std::fs;
use std::time::Duration;

struct Host {
    directory: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Host {
    fn new() -> Host {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("etc/sysconfig")).unwrap();
        let environment = vec![("HOME".into(), "/home/notes".into())];
        Host {
            directory,
            environment,
        }
    }

    fn with(text: &str) -> Host {
        let host = Host::new();
        host.file("etc/sysconfig/rc_domino_config", text.as_bytes());
        host
    }

    fn file(&self, path: &str, text: &[u8]) -> PathBuf {
        let path = self.directory.path().join(path);
        fs::write(&path, text).unwrap();
        path
    }

    fn root(&self) -> Root {
        Root::at(self.directory.path().to_path_buf())
    }

    /// Bash as the product runs it, but by whoever runs the tests.
    fn load(&self) -> Result<Loaded, Error> {
        let mut runner = |files: &[PathBuf], scope: &Scope| bash::run_for_tests(files, scope);
        load_with(
            &self.root(),
            OsStr::new("notes"),
            &self.environment,
            &mut runner,
        )
    }

    fn settings(&self) -> Settings {
        self.load()
            .unwrap_or_else(|error| panic!("{error}"))
            .settings
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

const READY: &str = "DOMINO_CONFIGURED=yes\n";

fn with(text: &str) -> Settings {
    Host::with(&format!("{READY}{text}")).settings()
}

#[test]
fn defaults_follow_the_user_and_each_other() {
    let host = Host::with(READY);
    let settings = host.settings();
    let lotus = host.root().path("/opt/hcl/domino");
    assert_eq!(settings.lotus(), lotus);
    assert_eq!(settings.exec_directory(), lotus.join("notes/latest/linux"));
    assert_eq!(
        settings.data_path(),
        Path::new("/local/domino/notes/notesdata")
    );
    assert_eq!(settings.server_name(), "notes");
    assert_eq!(
        settings.output_log(),
        Path::new("/local/domino/notes/notesdata/notes.log")
    );
    assert_eq!(
        settings.log_backup_dir(),
        Path::new("/local/domino/notes/notesdata")
    );
    assert_eq!(settings.unit_name(), "domino.service");
    assert_eq!(settings.pid_file(true), Path::new("/tmp/domino.pid"));
    assert_eq!(settings.lock_timeout(), Duration::from_secs(660));
    assert_eq!(
        settings.log_db_backup(),
        DatabaseBackup::DatedIn("/local/domino/notes/notesdata/log_backup".into())
    );
    assert_eq!(settings.edit_command(), ["vi"]);
}

#[test]
fn lotus_is_the_ibm_directory_where_only_that_has_a_server() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::with(READY);
    let bin = host.directory.path().join("opt/ibm/domino/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("server"), "").unwrap();
    assert!(host.settings().lotus().ends_with("opt/hcl/domino"));
    fs::set_permissions(bin.join("server"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(host.settings().lotus().ends_with("opt/ibm/domino"));
}

#[test]
fn what_is_configured_is_in_force() {
    let settings = with(
        "LOTUS=/opt/d\nDOMINO_DATA_PATH='/data dir'\nDOMINO_SERVER=$DOMINO_USER-1\nDOMINO_LOG_DIR=$DOMINO_DATA_PATH/log.d\n\
         DOMINO_PID_FILE=/run/notes/domino.pid\nDOMINO_SYSTEMD_NAME=domino-a\nDOMINO_LOG_DB_BACKUP=DELETEDB\n\
         USE_JAVA_CONTROLLER=yes\nDOMINO_LOG_START_COMPACT_OPTIONS='-C -W 07 log.nsf'\nDOMINO_UMASK=0077\n",
    );
    assert_eq!(
        settings.output_log(),
        Path::new("/data dir/log.d/notes-1.log")
    );
    assert_eq!(
        settings.input_file(),
        Path::new("/data dir/log.d/notes-1.input")
    );
    assert_eq!(settings.pid_file(true), Path::new("/run/notes/domino.pid"));
    assert_eq!(settings.pid_file(false), Path::new("/tmp/domino.pid"));
    assert_eq!(settings.unit_name(), "domino-a.service");
    assert_eq!(settings.log_db_backup(), DatabaseBackup::Delete);
    assert!(settings.use_java_controller.value);
    assert_eq!(
        settings
            .log_start_compact_options
            .value
            .as_ref()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(settings.umask.value, Some(0o077));
}

#[test]
fn later_files_win_and_the_environment_counts_where_none_sets_it() {
    let mut host = Host::with(&format!(
        "{READY}DOMINO_LANG=one\nDOMINO_TZ=one\nDOMINO_SERVER=one\nDOMINO_LOG_DIR=\n"
    ));
    let further = host.file("further", b"DOMINO_SERVER=three\n");
    let text = format!("\nDOMINO_TZ=two\nDOMINO_ENV_FILE={}\n", further.display());
    let own = host.file("etc/sysconfig/rc_domino_config_notes", text.as_bytes());
    for (name, value) in [
        ("DOMINO_LANG", "env"),
        ("DOMINO_SHUTDOWN_TIMEOUT", "7"),
        ("DOMINO_LOG_DIR", "/env"),
    ] {
        host.environment.push((name.into(), value.into()));
    }
    let loaded = host.load().unwrap();
    let settings = &loaded.settings;
    assert_eq!(loaded.files.len(), 3);
    assert_eq!(settings.lang.value, Some("one".into()));
    assert_eq!(settings.tz.value, Some("two".into()));
    assert_eq!(settings.tz.source, Source::File { path: own, line: 2 });
    assert_eq!(settings.server_name(), "three");
    assert_eq!(settings.shutdown_timeout.value, Duration::from_secs(7));
    assert_eq!(settings.shutdown_timeout.source, Source::Environment);
    assert_eq!(settings.log_dir(), settings.data_path());
    assert_eq!(settings.hook_timeout.source, Source::Default);
    assert_eq!(
        loaded.exports,
        [
            ("DOMINO_LANG".into(), "one".into()),
            ("DOMINO_LOG_DIR".into(), "".into())
        ]
    );
}

#[test]
fn exports_and_removals_are_handed_on() {
    let mut host = Host::with(&format!("{READY}export A=1\nB=2\nHOME=/h\nunset GONE\n"));
    host.environment.push(("GONE".into(), "x".into()));
    let loaded = host.load().unwrap();
    assert_eq!(
        loaded.exports,
        [("A".into(), "1".into()), ("HOME".into(), "/h".into())]
    );
    assert_eq!(loaded.removed, ["GONE"]);
}

#[test]
fn bash_reads_what_the_built_in_reader_refuses() {
    let host = Host::with(&format!(
        "{READY}DOMINO_LANG=before\nif true; then\n  DOMINO_TZ=$(echo UTC)\nfi\nf() {{ DOMINO_SERVER=$DOMINO_USER-$1; }}\nexport X=1\necho hello\n"
    ));
    host.file(
        "etc/sysconfig/rc_domino_config_notes",
        b"f own\nDOMINO_TYPO=1\n",
    );
    let loaded = host.load().unwrap();
    assert_eq!(loaded.settings.tz.value, Some("UTC".into()));
    let source = loaded.settings.tz.source.to_string();
    assert!(source.ends_with("rc_domino_config"), "{source}");
    assert_eq!(loaded.settings.server_name(), "notes-own");
    assert_eq!(loaded.exports, [("X".into(), "1".into())]);
    assert_eq!(loaded.files.len(), 2);
    let warnings: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("rc_domino_config_notes:2: DOMINO_TYPO"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("hello"), "{warnings:?}");
}

#[test]
fn an_exit_ends_the_reading_with_a_warning() {
    let host = Host::with(&format!("{READY}DOMINO_TZ=1\nexit 0\nDOMINO_TZ=2\n"));
    host.file("etc/sysconfig/rc_domino_config_notes", b"DOMINO_TZ=3\n");
    let loaded = host.load().unwrap();
    assert_eq!(loaded.settings.tz.value, Some("1".into()));
    assert!(matches!(loaded.warnings[..], [Warning::Exited { .. }]));
}

#[test]
fn each_thing_that_is_wrong_names_its_place() {
    let cases = [
        (
            "DOMINO_SHUTDOWN_TIMEOUT=abc\n",
            "rc_domino_config:2: DOMINO_SHUTDOWN_TIMEOUT='abc': expected a number of seconds",
        ),
        (
            "\nDOMINO_UMASK=999\n",
            "rc_domino_config:3: DOMINO_UMASK='999': expected an octal",
        ),
        (
            "A='x\n\n",
            "rc_domino_config:2: a single quote that is never closed",
        ),
        (
            "A=1\nif true; then\nfi\n",
            "rc_domino_config:4: syntax error near",
        ),
        ("A=1\r\n", "rc_domino_config:2: the line ends in CR LF"),
        (
            "exec true\n",
            "rc_domino_config:2: the command 'exec' is for bash",
        ),
    ];
    for (text, expected) in cases {
        let error = Host::with(&format!("{READY}{text}")).error();
        assert!(error.contains(expected), "{error}");
    }
    let long = format!(
        "{READY}DOMINO_LOG_DB_DAYS='{}\x1b'\n",
        "\u{1b}é".repeat(5000)
    );
    let error = Host::with(&long).error();
    assert!(error.len() < 700 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn not_configured_names_the_files_looked_at() {
    for host in [
        Host::new(),
        Host::with("DOMINO_CONFIGURED=\nDOMINO_ENV_FILE=/nowhere/env\n"),
    ] {
        let error = host.error();
        assert!(
            error.contains("etc/sysconfig/rc_domino_config or "),
            "{error}"
        );
        assert!(
            error.contains("etc/sysconfig/rc_domino_config_notes"),
            "{error}"
        );
    }
    let mut host = Host::new();
    host.environment
        .push(("DOMINO_CONFIGURED".into(), "yes".into()));
    assert!(host.load().is_ok());
}

#[test]
fn what_is_no_plain_file_is_an_error() {
    let host = Host::new();
    let path = host.directory.path().join("etc/sysconfig/rc_domino_config");
    fs::create_dir(&path).unwrap();
    assert!(
        host.error()
            .contains("rc_domino_config: is not a regular file")
    );
    fs::remove_dir(&path).unwrap();
    fs::write(&path, vec![b'\n'; LARGEST as usize + 1]).unwrap();
    assert!(host.error().contains("is larger than"));
    if !nix::unistd::geteuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        assert!(matches!(host.load(), Err(Error::Unreadable { .. })));
    }
}

#[test]
fn user_names_that_lead_elsewhere_are_refused() {
    for name in ["", "../x", "a/b"] {
        let error = load(&Root::system(), OsStr::new(name), &[]).unwrap_err();
        assert!(matches!(error, Error::UserName(_)));
        assert!(peek(&Root::system(), OsStr::new(name), "DOMINO_SYSTEMD_NAME").is_none());
    }
}

#[test]
fn unknown_names_and_odd_switches_are_said_once() {
    let host = Host::with(&format!(
        "{READY}DOMINO_SHUTDOWN_TIMOUT=1\nDOMINO_SHUTDOWN_TIMOUT=2\nMY_OWN=1\nDOMINO_RESET_LOADMON=true\nDOMINO_CHECK_WARNUNGS=0\nDOMINO_VOL_DAOS=/x\n"
    ));
    let loaded = host.load().unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].ends_with("rc_domino_config:2: DOMINO_SHUTDOWN_TIMOUT is no setting; is DOMINO_SHUTDOWN_TIMEOUT meant?"));
    assert!(
        warnings[1].contains(":5: DOMINO_RESET_LOADMON='true' counts as no"),
        "{warnings:?}"
    );
    assert!(
        warnings[2].contains(":6: DOMINO_CHECK_WARNUNGS='0' counts as yes"),
        "{warnings:?}"
    );
    assert!(!loaded.settings.reset_loadmon.value && loaded.settings.check_warnungs.value);
}

#[test]
fn every_setting_can_be_listed() {
    let settings = with("DOMINO_TZ=UTC\n");
    let text = |name: &str| settings.effective(name).map(|effective| effective.text);
    assert_eq!(text("DOMINO_INSDIR"), Some(settings.lotus().into()));
    assert_eq!(text("USE_JAVA_CONTROLLER"), Some("no".into()));
    assert_eq!(text("DOMINO_LOG_DB_DAYS"), None);
    assert_eq!(text("NO_SETTING"), None);
    let Some(Effective { text, source }) = settings.effective("DOMINO_TZ") else {
        panic!("DOMINO_TZ is set");
    };
    assert!(text == "UTC" && source.to_string().ends_with("rc_domino_config:2"));
    // No text in force is a description of how it comes about.
    for (entry, effective) in settings.all_effective() {
        if let Some(effective) = effective {
            let text = effective.text.to_string_lossy().into_owned();
            assert!(
                !text.contains("DOMINO_") && !text.contains("else"),
                "{}: {text}",
                entry.name
            );
        }
    }
}

#[test]
fn values_and_paths_are_bytes() {
    let host = Host::new();
    host.file(
        "etc/sysconfig/rc_domino_config",
        b"DOMINO_CONFIGURED=\xff\nDOMINO_DATA_PATH='/d\xe4ta'\nDOMINO_T\xc3P=1 || :\n",
    );
    let settings = host.settings();
    assert_eq!(
        settings.data_path(),
        Path::new(OsStr::from_bytes(b"/d\xe4ta"))
    );
}

#[test]
fn root_peeks_at_plain_lines_and_executes_nothing() {
    let host = Host::new();
    let trace = host.directory.path().join("trace");
    let text = format!(
        "DOMINO_SYSTEMD_NAME=a\ntouch {}\nif x; then\nDOMINO_SYSTEMD_NAME=b\nfi\nDOMINO_TZ=$(touch {})\nU=$DOMINO_USER\nDOMINO_SYSTEMD_NAME=$U.service # c\n",
        trace.display(),
        trace.display()
    );
    let path = host.file("etc/sysconfig/rc_domino_config", text.as_bytes());
    let peek = |name| peek(&host.root(), OsStr::new("notes"), name);
    let source = Source::File { path, line: 8 };
    assert_eq!(
        peek("DOMINO_SYSTEMD_NAME"),
        Some(("notes.service".into(), source))
    );
    assert_eq!(peek("DOMINO_TZ"), None);
    assert_eq!(peek("DOMINO_USER"), None);
    assert!(!trace.exists());
    host.file(
        "etc/sysconfig/rc_domino_config_notes",
        b"A='\r\nDOMINO_SYSTEMD_NAME=crlf\r\n",
    );
    assert_eq!(peek("DOMINO_SYSTEMD_NAME").unwrap().0, "crlf");
}
