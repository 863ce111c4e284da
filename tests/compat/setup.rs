//! One-Touch Setup: what a server that was not set up is started with.

use crate::support::{Sandbox, wait_until};
use std::fs;

scenarios![
    nothing_prepared_listens,
    a_json_file_is_handed_over,
    a_template_is_filled_in,
    an_encoded_server_id_is_stored,
    an_environment_file_is_handed_over_and_removed,
    other_names_for_the_files,
    a_server_that_is_set_up_is_not_set_up_again,
];

fn fresh() -> Sandbox {
    Sandbox::builder().not_set_up().build()
}

fn nothing_prepared_listens() {
    for (setting, port) in [(None, "1352"), (Some("14352"), "14352")] {
        let mut sandbox = fresh();
        if let Some(port) = setting {
            sandbox.set("DOMINO_REMOTE_SETUP_PORT", port);
        }
        sandbox.run(&["start"]).code(0);
        assert_eq!(sandbox.launch().args(), ["-listen", port]);
        sandbox.kill();
    }
}

fn a_json_file_is_handed_over() {
    let sandbox = fresh();
    let json = sandbox.file("DominoAutoConfig.json", r#"{"serverSetup": {}}"#);
    sandbox.up();
    let call = sandbox.launch();
    let path = json.to_str().unwrap();
    assert_eq!(call.args(), ["-auto", path]);
    assert_eq!(call.var("SetupAutoConfigure").as_deref(), Some("1"));
    assert_eq!(call.var("SetupAutoConfigureParams").as_deref(), Some(path));
    sandbox.down();
}

fn a_template_is_filled_in() {
    let mut sandbox = fresh();
    sandbox.raw("export ORG=\"Acme & Sons\"");
    // The server removes the file once it has read it: look at it before.
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "cp \"$DOMINO_DATA_PATH/DominoAutoConfig.json\" \"$DOMINO_DATA_PATH/seen\"",
    );
    sandbox.file(
        "DominoAutoConfigTemplate.json",
        r#"{"a": "{{ HOST_NAME }}", "b": "{{ORG}}", "c": "${HOST_NAME}", "d": "$UNSET_ANYWHERE."}"#,
    );
    sandbox
        .command(&["start"])
        .env("HOST_NAME", "mail.example")
        .run()
        .code(0);
    sandbox.wait_up();
    assert_eq!(
        fs::read_to_string(sandbox.data.join("seen"))
            .unwrap()
            .trim_end(),
        r#"{"a": "mail.example", "b": "Acme & Sons", "c": "mail.example", "d": "."}"#
    );
    assert_eq!(sandbox.launch().args()[0], "-auto");
    sandbox.down();
}

fn an_encoded_server_id_is_stored() {
    let mut sandbox = fresh();
    fs::remove_file(sandbox.data.join("server.id")).unwrap();
    sandbox.hook(
        "DOMINO_PRE_STARTUP_SCRIPT",
        "cp \"$DOMINO_DATA_PATH/DominoAutoConfig.json\" \"$DOMINO_DATA_PATH/seen\"",
    );
    sandbox.file(
        "DominoAutoConfig.json",
        "{\n  \"server\": {\n    \"IDFilePath\": \"@Base64:AAECaWQgZmlsZf8=\",\n    \"x\": 1\n  }\n}\n",
    );
    sandbox.up();
    let id = sandbox.data.join("server.id");
    assert_eq!(fs::read(&id).unwrap(), b"\0\x01\x02id file\xff");
    let seen = fs::read_to_string(sandbox.data.join("seen")).unwrap();
    let expected = format!("\"IDFilePath\": \"{}\"", id.display());
    assert!(
        seen.contains(&expected) && !seen.contains("Base64"),
        "{seen}"
    );
    sandbox.down();
}

fn an_environment_file_is_handed_over_and_removed() {
    let sandbox = fresh();
    let file = sandbox.file(
        "DominoAutoConfig.env",
        "SERVERSETUP_SERVER_TYPE=first\nSERVERSETUP_ORG_NAME=\"Acme Org\"\n",
    );
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    for (name, value) in [
        ("SetupAutoConfigure", "1"),
        ("SERVERSETUP_SERVER_TYPE", "first"),
        ("SERVERSETUP_ORG_NAME", "Acme Org"),
    ] {
        assert_eq!(call.var(name).as_deref(), Some(value), "{name}");
    }
    wait_until("the file with its passwords is removed", || !file.exists());
    sandbox.kill();
}

fn other_names_for_the_files() {
    let mut sandbox = fresh();
    let directory = sandbox.directory("setup");
    let json = directory.join("made.json");
    sandbox.set("DOMINO_AUTO_CONFIG_JSON_FILE", &json);
    let template = directory.join("template.json");
    sandbox.set("DOMINO_AUTO_CONFIG_TEMPLATE_JSON_FILE", &template);
    fs::write(&template, "{\"a\": \"{{ LOGNAME }}\"}\n").unwrap();
    sandbox.up();
    assert_eq!(sandbox.launch().args(), ["-auto", json.to_str().unwrap()]);
    sandbox.down();
}

fn a_server_that_is_set_up_is_not_set_up_again() {
    let sandbox = Sandbox::new();
    let json = sandbox.file("DominoAutoConfig.json", "{}");
    sandbox.up();
    let call = sandbox.launch();
    assert!(call.args().is_empty(), "{:?}", call.argv);
    assert_eq!(call.var("SetupAutoConfigure").as_deref(), Some(""));
    assert!(json.exists());
    sandbox.down();
}
