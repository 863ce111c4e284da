//! The verb `setup`: menus, templates and files that a site or another host
//! provides (D70 to D77).

use super::setup::{fresh, json, mode, read, with_values};
use std::fs;
use std::path::PathBuf;

scenarios![
    the_sites_own_menu,
    broken_files_name_line_and_column,
    the_schema_that_domino_ships,
    files_of_other_hosts,
    the_environment_alone,
];

fn the_sites_own_menu() {
    let sandbox = fresh();
    let presets = sandbox.file("site.env", "SITE_ORG=\"Preset Org\"\nSITE_TITLE='x'\n");
    let template = sandbox.file(
        "site.json",
        r#"{"serverSetup": {"server": {"type": "first", "name": "{{ SITE_NAME }}", "title": "$SITE_TITLE"},
          "org": {"orgName": "${SITE_ORG}"}, "notesINI": {"A": "{{SITE_NAME}}/{{ SITE_ORG }}"}},
          "appConfiguration": {"databases": [{"action": "update", "filePath": "names.nsf", "documents": [
            {"action": "create", "items": {"$PublicAccess": "1", "Form": "$$LoginUserForm"}}]}]}}"#,
    );
    sandbox.sysconfig(
        "domino.cfg",
        format!(
            r#"{{"index": {{"cfg": [{{"name": ".", "index": "/site", "URL": ""}}]}},
              "site": {{"cfg": [{{"name": "Only", "info": "a remark", "oneTouchJSON": "{}",
                "oneTouchENV": "file:{}"}}]}},
              "shipped": {{"cfg": [{{"name": "First",
                "oneTouchJSON": "/opt/nashcom/startscript/OneTouchSetup/first_server.json"}}]}},
              "dxl": {{"cfg": [{{"name": "Document", "DXL": "/a.dxl"}}]}}}}"#,
            template.display(),
            presets.display()
        )
        .as_bytes(),
    );
    // One variable a line is all that the original would ask for.
    let set = ["--set", "SITE_NAME=m1", "--yes"];
    let outcome = sandbox.run(&[&["setup"][..], &set[..]].concat());
    outcome.code(0).stdout_has("a remark");
    let made = read(&json(&sandbox));
    assert_eq!(made["serverSetup"]["notesINI"]["A"], "m1/Preset Org");
    assert_eq!(made["serverSetup"]["server"]["title"], "x");
    let items = &made["appConfiguration"]["databases"][0]["documents"][0]["items"];
    assert_eq!(items["$PublicAccess"], "1");
    assert_eq!(items["Form"], "$$LoginUserForm");
    with_values(&sandbox, &["setup", "local", "/shipped", "--yes"])
        .code(0)
        .stdout_has("built-in template");
    sandbox
        .run(&["setup", "local", "/dxl"])
        .code(1)
        .stderr_has("neither oneTouchJSON nor oneTouchENV");
    sandbox
        .run(&["setup", "local", "/none"])
        .code(1)
        .stderr_has("no menu 'none'");
}

/// D75.
fn broken_files_name_line_and_column() {
    let sandbox = fresh();
    let path = |file: &PathBuf| file.to_str().unwrap().to_owned();
    let broken = sandbox.file("broken.json", "{\n  \"serverSetup\": {,}\n}\n");
    sandbox
        .run(&["setup", &path(&broken)])
        .code(1)
        .stderr_has("line 2, column 19");
    let wrong = sandbox.file(
        "wrong.json",
        "{\"serverSetup\": {\"server\": {\n  \"type\": \"third\",\n    \"name\": 5}, \"org\": {}}}\n",
    );
    sandbox
        .run(&["setup", &path(&wrong)])
        .code(1)
        .stderr_has("line 2, column 11: serverSetup.server.type is \"third\"")
        .stderr_has("line 3, column 13: serverSetup.server.name is number")
        .stderr_has("serverSetup.org member 'orgName' is missing");
    assert!(!json(&sandbox).exists());
    let menu = sandbox.file("menu.cfg", "{\"cfg\": [\n{]}");
    sandbox
        .run(&["setup", &path(&menu)])
        .code(1)
        .stderr_has("menu.cfg: line 2, column 2");
    sandbox
        .run(&["setup", "/nowhere/at/all.json"])
        .code(1)
        .stderr_has("/nowhere/at/all.json");
    sandbox
        .run(&["setup", &path(&sandbox.data)])
        .code(1)
        .stderr_has("directory");
    // A start names the place as well, and starts nothing.
    sandbox.file("DominoAutoConfig.json", "{\n  \"a\" 1\n}\n");
    sandbox
        .run(&["start"])
        .code(6)
        .stderr_has("line 2, column 7");
    assert!(sandbox.launches().is_empty());
}

/// D75.
fn the_schema_that_domino_ships() {
    let sandbox = fresh();
    let schema = sandbox
        .lotus
        .join("notes/latest/linux/dominoOneTouchSetup.schema.json");
    fs::write(
        &schema,
        r#"{"properties": {"serverSetup": {"properties": {"server": {"properties":
           {"title": {"maxLength": 5}}}}}}}"#,
    )
    .unwrap();
    with_values(&sandbox, &["setup", "json", "1"])
        .code(1)
        .stderr_has("serverSetup.server.title is too long");
    assert!(!json(&sandbox).exists());
    fs::write(&schema, "{}").unwrap();
    with_values(&sandbox, &["setup", "json", "1"])
        .code(0)
        .stdout_has("Checked against")
        .stdout_has("dominoOneTouchSetup.schema.json");
    fs::write(&schema, "{").unwrap();
    with_values(&sandbox, &["setup", "json", "1", "--yes"])
        .code(1)
        .stderr_has("schema.json: line 1");
}

/// D73.
fn files_of_other_hosts() {
    let sandbox = fresh();
    let curl = sandbox.script(
        "curl",
        "for url; do :; done\necho \"$*\" >>\"$HOME/asked\"\n\
         case $url in\n\
         https://cfg.example/.well-known/domino.cfg)\n\
         printf '{\"cfg\":[{\"name\":\"a\",\"oneTouchJSON\":\"https://cfg.example/a.json\"}]}\\n200 ';;\n\
         https://cfg.example/a.json) cat \"$HOME/a.json\"; printf '\\n200 ';;\n\
         https://moved.example/*) printf '\\n302 https://evil.example/a.json';;\n\
         https://gone.example/*) printf 'no\\n404 ';;\n\
         *) echo 'curl: (6) no such host' >&2; exit 6;;\nesac",
    );
    let template = r#"{"serverSetup": {"server": {"type": "first", "name": "{{ N }}"}, "org": {"orgName": "o"}}}"#;
    fs::write(sandbox.home.join("a.json"), template).unwrap();
    let path = format!("{}:/usr/bin:/bin", curl.parent().unwrap().display());
    let run = |arguments: &[&str]| {
        let all = [&["setup"][..], arguments, &["--set", "N=m1"][..]].concat();
        sandbox.command(&all).env("PATH", &path).run()
    };
    let asked = || fs::read_to_string(sandbox.home.join("asked")).unwrap_or_default();
    run(&["https://cfg.example"])
        .code(1)
        .stderr_has("from host cfg.example?")
        .stderr_has("--yes");
    run(&["http://cfg.example/a.json", "--yes"])
        .code(2)
        .stderr_has("only https://");
    assert_eq!(asked(), "");
    run(&["https://moved.example/a.json", "--yes"])
        .code(1)
        .stderr_has("from host evil.example?");
    assert!(!asked().contains("evil.example"));
    run(&["https://gone.example/a.json", "--yes"])
        .code(1)
        .stderr_has("HTTP code 404");
    run(&["https://none.example/a.json", "--yes"])
        .code(1)
        .stderr_has("no such host")
        .stderr_has("https://none.example/a.json");
    run(&["https://cfg.example", "--yes"])
        .code(0)
        .stdout_has("Fetching https://cfg.example/.well-known/domino.cfg");
    assert!(asked().contains("--proto =https"));
    let made = json(&sandbox);
    assert_eq!(read(&made)["serverSetup"]["server"]["name"], "m1");
    assert_eq!(mode(&made), 0o600);
    run(&["https://cfg.example/a.json", "--yes"])
        .code(1)
        .stderr_has("not overwritten");
    // No curl: said, with a way out.
    fs::remove_file(&made).unwrap();
    let all = ["setup", "https://cfg.example/a.json", "--yes"];
    let outcome = sandbox.command(&all).env("PATH", "/nowhere").run().code(1);
    outcome.stderr_has("curl").stderr_has("by other means");
}

/// D133. As HCL has it: SetupAutoConfigure=1, the rest in the environment, and a
/// server that is called without further arguments.
fn the_environment_alone() {
    let sandbox = fresh();
    let set = [
        ("SetupAutoConfigure", "1"),
        ("SERVERSETUP_SERVER_TYPE", "first"),
        ("SERVERSETUP_SERVER_TITLE", "A title"),
    ];
    let command = set
        .iter()
        .fold(sandbox.command(&["start"]), |command, (name, value)| {
            command.env(name, value)
        });
    command.run().code(0);
    let call = sandbox.launch();
    assert_eq!(call.args(), [""; 0]);
    for (name, value) in set {
        assert_eq!(call.var(name).as_deref(), Some(value), "{name}");
    }
    sandbox.wait_up();
    let ini = fs::read_to_string(sandbox.data.join("notes.ini")).unwrap();
    assert!(ini.contains("ServerSetup="), "{ini}");
    sandbox.down();
    // A file with the same is as good.
    let sandbox = fresh();
    sandbox.file("DominoAutoConfig.env", "SERVERSETUP_SERVER_TYPE=first\n");
    sandbox.up();
    assert_eq!(sandbox.launch().args(), [""; 0]);
    sandbox.down();
}
