//! The verb `setup` and what it shares with the original.

use crate::support::Sandbox;
use std::fs;

scenarios![
    the_log_is_shown,
    what_is_prepared_is_edited,
    a_template_of_this_host_becomes_the_json_file,
    a_start_takes_a_containers_parameters,
    an_environment_file_sees_the_configuration,
];

/// With a blank between braces: the original takes `}}` for the end of a
/// variable wherever it stands.
const JSON: &str = r#"{"serverSetup": {"server": {"type": "first", "name": "one"}, "org": {"orgName": "Acme"} } }"#;

fn fresh() -> Sandbox {
    Sandbox::builder().not_set_up().build()
}

fn the_log_is_shown() {
    let sandbox = Sandbox::new();
    let directory = sandbox.data.join("IBM_TECHNICAL_SUPPORT");
    fs::create_dir_all(&directory).unwrap();
    sandbox.own(&directory);
    sandbox.file("IBM_TECHNICAL_SUPPORT/autoconfigure.log", "first\nlast\n");
    sandbox
        .run(&["setup", "log"])
        .code(0)
        .stdout_has("first\nlast\n");
}

fn what_is_prepared_is_edited() {
    for arguments in [&["setup"][..], &["setup", "json"]] {
        let mut sandbox = fresh();
        let editor = sandbox.script("editor", "sed -i s/one/two/ \"$1\"");
        sandbox.set("EDIT_COMMAND", &editor);
        let file = sandbox.file("DominoAutoConfig.json", JSON);
        sandbox.run(arguments).code(0);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.trim_end(), JSON.replace("one", "two"));
    }
}

fn a_template_of_this_host_becomes_the_json_file() {
    let sandbox = fresh();
    let template = sandbox.file("site.json", JSON);
    let place = format!("file:{}", template.display());
    sandbox.run(&["setup", &place]).code(0);
    let made = fs::read_to_string(sandbox.data.join("DominoAutoConfig.json")).unwrap();
    assert_eq!(made.trim_end(), JSON);
}

/// Containers name the file themselves.
fn a_start_takes_a_containers_parameters() {
    let sandbox = fresh();
    let elsewhere = sandbox.file("elsewhere.json", "{}");
    sandbox
        .command(&["start"])
        .env("SetupAutoConfigure", "1")
        .env("SetupAutoConfigureParams", &elsewhere)
        .run()
        .code(0);
    assert_eq!(
        sandbox.launch().args(),
        ["-auto", elsewhere.to_str().unwrap()]
    );
    sandbox.wait_up();
    sandbox.down();
}

fn an_environment_file_sees_the_configuration() {
    let mut sandbox = fresh();
    sandbox.raw("export ORG=Acme");
    sandbox.file(
        "DominoAutoConfig.env",
        "SERVERSETUP_ORG_ORGNAME=\"$ORG Inc\"\nSERVERSETUP_ADMIN_IDFILEPATH=$DOMINO_DATA_PATH/admin.id\n",
    );
    sandbox.run(&["start"]).code(0);
    let call = sandbox.launch();
    let value = |name: &str| call.var(name);
    assert_eq!(
        value("SERVERSETUP_ORG_ORGNAME").as_deref(),
        Some("Acme Inc")
    );
    let id = sandbox.data.join("admin.id");
    assert_eq!(
        value("SERVERSETUP_ADMIN_IDFILEPATH").as_deref(),
        id.to_str()
    );
    sandbox.kill();
}
