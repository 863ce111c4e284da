//! The verb `setup`: what it makes, asks, refuses and leaves alone (D70 to
//! D77), and what a start makes of it.

use crate::support::terminal::Terminal;
use crate::support::{Outcome, Sandbox, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

scenarios![
    a_json_file_is_made_without_a_terminal,
    an_environment_file_is_made_and_used,
    a_broken_environment_file_is_not_executed,
    values_that_are_missing_are_named,
    passwords_are_asked_for_and_not_shown,
    an_interrupted_question_writes_nothing,
    the_menu_of_templates,
    a_server_that_runs_or_is_set_up_is_left_alone,
    one_form_replaces_the_other_only_when_told_to,
    an_edit_is_taken_only_when_it_is_right,
    the_log_of_a_setup,
    arguments_that_are_none,
    an_encoded_server_id_passes_through,
    a_start_fills_a_template_in_safely,
    a_start_keeps_an_id_that_was_there,
];

const VALUES: [(&str, &str); 10] = [
    ("SERVERSETUP_SERVER_NAME", "mail01"),
    ("SERVERSETUP_SERVER_DOMAINNAME", "Acme"),
    ("SERVERSETUP_SERVER_TITLE", "Joe's \"mail\""),
    ("SERVERSETUP_SERVER_IDFILEPATH", "/nowhere/at/all/server.id"),
    ("SERVERSETUP_NETWORK_HOSTNAME", "mail01.example"),
    ("SERVERSETUP_ORG_ORGNAME", "Acme & Sons"),
    ("SERVERSETUP_ORG_CERTIFIERPASSWORD", "a\"b\\c'$HOME"),
    ("SERVERSETUP_ADMIN_FIRSTNAME", "Joe"),
    ("SERVERSETUP_ADMIN_LASTNAME", "Doe"),
    ("SERVERSETUP_ADMIN_PASSWORD", "geheim"),
];

pub(super) fn fresh() -> Sandbox {
    Sandbox::builder().not_set_up().build()
}

/// Runs it with all values in the environment.
pub(super) fn with_values(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let mut command = sandbox.command(arguments);
    for (name, value) in VALUES {
        command = command.env(name, value);
    }
    command.run()
}

pub(super) fn json(sandbox: &Sandbox) -> PathBuf {
    sandbox.data.join("DominoAutoConfig.json")
}

fn environment(sandbox: &Sandbox) -> PathBuf {
    sandbox.data.join("DominoAutoConfig.env")
}

pub(super) fn read(path: &PathBuf) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(super) fn mode(path: &PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn a_json_file_is_made_without_a_terminal() {
    let sandbox = fresh();
    let outcome = with_values(
        &sandbox,
        &[
            "setup",
            "json",
            "1",
            "--set",
            "SERVERSETUP_ADMIN_LASTNAME=Roe=e",
        ],
    );
    outcome
        .code(0)
        .stdout_has("Domino's own schema was not found")
        .quiet();
    let file = json(&sandbox);
    assert_eq!(mode(&file), 0o600);
    let made = read(&file);
    let setup = &made["serverSetup"];
    assert_eq!(setup["server"]["type"], "first");
    assert_eq!(setup["server"]["title"], "Joe's \"mail\"");
    assert_eq!(setup["org"]["certifierPassword"], "a\"b\\c'$HOME");
    assert_eq!(setup["admin"]["lastName"], "Roe=e");
    sandbox.up();
    assert_eq!(sandbox.launch().args(), ["-auto", file.to_str().unwrap()]);
    sandbox.down();
}

/// D72.
fn an_environment_file_is_made_and_used() {
    let sandbox = fresh();
    with_values(&sandbox, &["setup", "env", "1"]).code(0);
    let file = environment(&sandbox);
    assert_eq!(mode(&file), 0o600);
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    for (name, value) in VALUES {
        if name != "SERVERSETUP_SERVER_IDFILEPATH" {
            assert_eq!(call.var(name).as_deref(), Some(value), "{name}");
        }
    }
    assert_eq!(
        call.var("SERVERSETUP_SERVER_TYPE").as_deref(),
        Some("first")
    );
    sandbox.kill();
}

fn values_that_are_missing_are_named() {
    let sandbox = fresh();
    sandbox
        .run(&["setup", "json", "2", "--yes"])
        .code(1)
        .stderr_has("SERVERSETUP_ORG_ORGNAME")
        .stderr_has("SERVERSETUP_EXISTINGSERVER_CN")
        .stderr_has("--set NAME=VALUE");
    assert!(!json(&sandbox).exists());
    sandbox
        .run(&["setup", "json", "1", "--set", "SERVERSETUP_ORG_NAME=x"])
        .code(2)
        .stderr_has("no such variable");
}

fn passwords_are_asked_for_and_not_shown() {
    let sandbox = fresh();
    let mut command = sandbox.command(&["setup", "json", "1", "--yes"]);
    for (name, value) in VALUES {
        if !name.ends_with("PASSWORD") && name != "SERVERSETUP_ADMIN_LASTNAME" {
            command = command.env(name, value);
        }
    }
    let mut terminal = Terminal::start(command, sandbox.entry());
    terminal.wait_for("ORG_CERTIFIERPASSWORD (not shown): ");
    terminal.type_in("secretOne\n");
    terminal.wait_for("ORG_CERTIFIERPASSWORD (once more): ");
    terminal.type_in("secretOther\n");
    terminal.wait_for("The two differ");
    // Until it asks again what is typed can be seen.
    let asked = || terminal.count("ORG_CERTIFIERPASSWORD (not shown): ") == 2;
    wait_until("it asks again", asked);
    // Typed ahead and pasted lines belong to the questions that follow.
    terminal.type_in("secretTwo\nsecretTwo\n");
    terminal.wait_for("ADMIN_LASTNAME: ");
    terminal.type_in("\n");
    terminal.wait_for("A value is needed here");
    terminal.type_in("Roex\x7f\n");
    terminal.wait_for("ADMIN_PASSWORD (not shown): ");
    terminal.type_in("secretThree\n");
    terminal.wait_for("ADMIN_PASSWORD (once more): ");
    terminal.type_in("secretThree\n");
    assert_eq!(terminal.code(), Some(0));
    assert!(!terminal.has_shown("secret"));
    let made = read(&json(&sandbox));
    assert_eq!(made["serverSetup"]["org"]["certifierPassword"], "secretTwo");
    assert_eq!(made["serverSetup"]["admin"]["lastName"], "Roe");
    assert_eq!(made["serverSetup"]["admin"]["password"], "secretThree");
}

fn an_interrupted_question_writes_nothing() {
    for (typed, code) in [("half\x03", 130), ("\x04", 1)] {
        let sandbox = fresh();
        let mut command = sandbox.command(&["setup", "json", "1", "--yes"]);
        for (name, value) in VALUES {
            if name != "SERVERSETUP_ADMIN_PASSWORD" {
                command = command.env(name, value);
            }
        }
        let mut terminal = Terminal::start(command, sandbox.entry());
        terminal.wait_for("ADMIN_PASSWORD (not shown): ");
        terminal.type_in(typed);
        assert_eq!(terminal.code(), Some(code));
        terminal.wait_for("nothing was written");
        assert!(!json(&sandbox).exists());
    }
}

fn the_menu_of_templates() {
    let sandbox = fresh();
    let mut command = sandbox.command(&["setup"]);
    for (name, value) in VALUES {
        command = command.env(name, value);
    }
    let mut terminal = Terminal::start(command, sandbox.entry());
    terminal.wait_for("[2] Additional server, JSON");
    terminal.wait_for("Choose 1 to 4, 0 to cancel: ");
    terminal.type_in("9\n");
    terminal.wait_for("There is no such entry");
    terminal.type_in("2\n");
    for (label, value) in [
        ("SERVER_NAME [mail01]", "\n"),
        ("SERVER_DOMAINNAME [Acme]", "\n"),
        ("SERVER_TITLE [", "Titel\n"),
        ("SERVER_IDFILEPATH [", "\n"),
        ("NETWORK_HOSTNAME [", "\n"),
        ("ORG_ORGNAME [", "\n"),
        ("ADMIN_CN: ", "Joe Doe/Acme\n"),
        ("EXISTINGSERVER_CN: ", "hub/Acme\n"),
        ("EXISTINGSERVER_HOSTNAMEORIP: ", "hub.example\n"),
    ] {
        terminal.wait_for(label);
        terminal.type_in(value);
    }
    assert_eq!(terminal.code(), Some(0));
    terminal.wait_for("there is no server ID /nowhere/at/all/server.id yet");
    let made = read(&json(&sandbox));
    assert_eq!(made["serverSetup"]["server"]["title"], "Titel");
    assert_eq!(
        made["serverSetup"]["existingServer"]["hostNameOrIP"],
        "hub.example"
    );
    // Nobody to ask: the menu is no use.
    let other = fresh();
    other.run(&["setup"]).code(1).stderr_has("no terminal");
}

/// D71.
fn a_server_that_runs_or_is_set_up_is_left_alone() {
    let sandbox = Sandbox::new();
    with_values(&sandbox, &["setup", "json", "1"])
        .code(1)
        .stderr_has("set up already");
    sandbox.up();
    with_values(&sandbox, &["setup", "env", "1"])
        .code(1)
        .stderr_has("is running");
    assert!(!json(&sandbox).exists() && !environment(&sandbox).exists());
    sandbox.down();
}

/// D71.
fn one_form_replaces_the_other_only_when_told_to() {
    let sandbox = fresh();
    with_values(&sandbox, &["setup", "json", "1"]).code(0);
    let before = fs::read(json(&sandbox)).unwrap();
    for arguments in [["setup", "json", "1"], ["setup", "env", "1"]] {
        with_values(&sandbox, &arguments)
            .code(1)
            .stderr_has("DominoAutoConfig.json")
            .stderr_has("--yes");
        assert_eq!(fs::read(json(&sandbox)).unwrap(), before);
        assert!(!environment(&sandbox).exists());
    }
    with_values(&sandbox, &["setup", "env", "1", "--yes"]).code(0);
    assert!(!json(&sandbox).exists() && environment(&sandbox).exists());
}

/// D105.
fn an_edit_is_taken_only_when_it_is_right() {
    let mut sandbox = fresh();
    with_values(&sandbox, &["setup", "json", "1"]).code(0);
    let file = json(&sandbox);
    let before = fs::read(&file).unwrap();
    let changed = format!("echo ' ' >>\"$1\"; echo ' ' >>'{}'", file.display());
    for (editor, code, said) in [
        ("true", 0, "nothing was changed"),
        ("echo broken >>\"$1\"", 1, "line "),
        ("echo broken >>\"$1\"; exit 3", 1, "code 3"),
        ("exit 3", 1, "code 3"),
        ("sed -i s/mail01.example/other.example/ \"$1\"", 0, "Wrote"),
        (&changed, 1, "meanwhile"),
    ] {
        let script = sandbox.script("editor", editor);
        sandbox.forget("EDIT_COMMAND");
        sandbox.set("EDIT_COMMAND", &script);
        let outcome = sandbox.run(&["setup"]).code(code).says(said);
        assert_eq!(mode(&file), 0o600);
        if code != 0 && editor != "exit 3" {
            let copy = outcome.kept();
            assert_ne!(fs::read(&copy).unwrap(), before);
            assert_eq!(mode(&copy), 0o600);
            fs::remove_dir_all(copy.parent().unwrap()).unwrap();
        }
        let same = fs::read(&file).unwrap() == before;
        assert_eq!(same, !matches!(said, "Wrote" | "meanwhile"));
    }
    assert_eq!(
        read(&file)["serverSetup"]["network"]["hostName"],
        "other.example"
    );
    sandbox
        .run(&["setup", "--set", "A=1"])
        .code(2)
        .stderr_has("is there already");
}

fn the_log_of_a_setup() {
    let mut sandbox = Sandbox::new();
    sandbox
        .run(&["setup", "log"])
        .code(1)
        .stderr_has("IBM_TECHNICAL_SUPPORT/autoconfigure.log");
    let directory = sandbox.data.join("IBM_TECHNICAL_SUPPORT");
    fs::create_dir_all(&directory).unwrap();
    sandbox.own(&directory);
    sandbox.file(
        "IBM_TECHNICAL_SUPPORT/autoconfigure.log",
        b"done \xe4\nlast",
    );
    let outcome = sandbox.run(&["setup", "log"]).code(0);
    assert_eq!(outcome.stdout, b"done \xe4\nlast");
    let editor = sandbox.script("editor", "echo \"edits ${1##*/}\"");
    sandbox.set("EDIT_COMMAND", &editor);
    sandbox
        .run(&["setup", "log", "edit"])
        .code(0)
        .stdout_has("edits autoconfigure.log");
}

fn arguments_that_are_none() {
    let sandbox = fresh();
    for arguments in [
        &["frob"][..],
        &["json", "3"],
        &["env", "1", "2"],
        &["log", "show"],
        &["local", "a", "b"],
        &["json", "1", "--set", "x"],
        &["json", "1", "more", "still"],
        &["--frob"],
    ] {
        let all = [&["setup"][..], arguments].concat();
        sandbox.run(&all).code(2);
    }
    assert!(!json(&sandbox).exists() && !environment(&sandbox).exists());
}

fn an_encoded_server_id_passes_through() {
    let sandbox = fresh();
    fs::remove_file(sandbox.data.join("server.id")).unwrap();
    let run = |id: &str| {
        let mut command = sandbox.command(&["setup", "json", "2"]);
        for (name, value) in VALUES {
            command = command.env(name, value);
        }
        for name in [
            "ADMIN_CN",
            "EXISTINGSERVER_CN",
            "EXISTINGSERVER_HOSTNAMEORIP",
        ] {
            command = command.env(&format!("SERVERSETUP_{name}"), "x");
        }
        command.env("SERVERSETUP_SERVER_ID_BASE64", id).run()
    };
    run("AAEC*").code(1).stderr_has("base64");
    // As base64(1) prints it, in lines.
    run("AAECaWQg\nZmlsZf8=\n").code(0).quiet();
    sandbox.up();
    assert_eq!(
        fs::read(sandbox.data.join("server.id")).unwrap(),
        b"\0\x01\x02id file\xff"
    );
    sandbox.down();
}

/// The JSON file as the server was given it.
fn handed_over(sandbox: &mut Sandbox) {
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "cp \"$DOMINO_DATA_PATH/DominoAutoConfig.json\" \"$DOMINO_DATA_PATH/seen\"",
    );
}

/// D74.
fn a_start_fills_a_template_in_safely() {
    let mut sandbox = fresh();
    handed_over(&mut sandbox);
    sandbox.file(
        "DominoAutoConfigTemplate.json",
        r#"{"password": "{{ PW }}", "data": "{{ DOMINO_DATA_PATH }}", "$Language": "en", "x": "{{ NOT_SET }}"}"#,
    );
    sandbox
        .command(&["start"])
        .env("PW", "a\"b\\c")
        .run()
        .code(0)
        .stderr_has("NOT_SET");
    sandbox.wait_up();
    let seen = read(&sandbox.data.join("seen"));
    assert_eq!(seen["password"], "a\"b\\c");
    assert_eq!(seen["data"], sandbox.data.to_str().unwrap());
    assert_eq!(seen["$Language"], "en");
    assert_eq!(seen["x"], "");
    sandbox.down();
    // A template that makes no JSON leaves none behind for the next start.
    let broken = fresh();
    broken.file("DominoAutoConfigTemplate.json", "{\"port\": {{ PORT }}}");
    broken
        .run(&["start"])
        .code(6)
        .stderr_has("Template.json")
        .stderr_has("line 1, column 10");
    assert!(!json(&broken).exists());
    broken.command(&["start"]).env("PORT", "1352").run().code(0);
    broken.kill();
}

/// D76.
fn a_start_keeps_an_id_that_was_there() {
    let mut sandbox = fresh();
    handed_over(&mut sandbox);
    sandbox.file("server.id", "another");
    // The slash escaped, as some writers of JSON do; the administrator's ID
    // is none of the server's.
    sandbox.file(
        "DominoAutoConfig.json",
        r#"{"serverSetup": {"admin": {"IDFilePath": "@Base64:QURN"}, "server": {"IDFilePath": "@Base64:\/\/8="}}}"#,
    );
    sandbox.run(&["start"]).code(0).stderr_has("kept as");
    sandbox.wait_up();
    assert_eq!(
        fs::read(sandbox.data.join("server.id")).unwrap(),
        b"\xff\xff"
    );
    let seen = read(&sandbox.data.join("seen"));
    let id = sandbox.data.join("server.id");
    assert_eq!(
        seen["serverSetup"]["server"]["IDFilePath"],
        id.to_str().unwrap()
    );
    assert_eq!(seen["serverSetup"]["admin"]["IDFilePath"], "@Base64:QURN");
    let kept = fs::read_dir(&sandbox.data)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("server_"));
    assert_eq!(fs::read(kept.unwrap().path()).unwrap(), b"another");
    sandbox.down();
}

/// D31: the original runs it up to the fault and starts the server all the
/// same.
fn a_broken_environment_file_is_not_executed() {
    let sandbox = fresh();
    let ran = sandbox.data.join("ran");
    let file = sandbox.file(
        "DominoAutoConfig.env",
        format!(
            "touch '{}'\nSERVERSETUP_ORG_NAME='not closed\n",
            ran.display()
        ),
    );
    sandbox
        .run(&["start"])
        .code(6)
        .stderr_has("DominoAutoConfig.env");
    assert!(sandbox.processes().is_empty());
    assert!(file.exists() && !ran.exists());
}
