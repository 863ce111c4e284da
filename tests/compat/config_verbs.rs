//! What shows and edits the configuration.

use crate::support::Sandbox;
use std::fs;

scenarios![
    settings_of_notes_ini,
    the_configuration_without_its_comments,
    the_editor_is_the_configured_one,
    the_file_that_is_edited,
    nothing_to_check,
];

fn settings_of_notes_ini() {
    let sandbox = Sandbox::builder().ini("MyName=some value").build();
    // Where no log is, the original adds a line.
    sandbox.file("notes.log", "");
    for name in ["MyName", "myname"] {
        let outcome = sandbox.run(&["inivar", name]).code(0);
        assert_eq!(outcome.text().trim(), "some value", "{outcome}");
    }
    let ini = fs::read(sandbox.data.join("notes.ini")).unwrap();
    sandbox.run(&["listini"]).code(0).stdout_has(ini);
}

fn the_configuration_without_its_comments() {
    let mut sandbox = Sandbox::new();
    sandbox.file("notes.log", "");
    sandbox.raw("# hidden");
    sandbox.raw("DOMINO_LANG=C # shown");
    let listed = |arguments: &[&str]| sandbox.run(arguments).code(0).text();
    for arguments in [&["listcfg"][..], &["listcfg", "default"]] {
        let text = listed(arguments);
        assert!(
            text.contains("DOMINO_LANG=C # shown") && !text.contains("hidden"),
            "{text}"
        );
    }
    sandbox.sysconfig("rc_domino_config_notes", b"DOMINO_TZ=UTC\n#x\n");
    for arguments in [&["listcfg"][..], &["listcfg", "server"]] {
        assert_eq!(listed(arguments).trim(), "DOMINO_TZ=UTC");
    }
}

fn the_editor_is_the_configured_one() {
    let mut sandbox = Sandbox::new();
    let editor = sandbox.script("editor", "echo Edited=1 >> \"$1\"");
    sandbox.set("EDIT_COMMAND", &editor);
    sandbox.run(&["ini"]).code(0);
    let text = fs::read_to_string(sandbox.data.join("notes.ini")).unwrap();
    assert!(text.ends_with("Edited=1\n"), "{text}");
}

fn the_file_that_is_edited() {
    let mut sandbox = Sandbox::new();
    let editor = sandbox.script("editor", "echo '# edited' >> \"$1\"");
    sandbox.set("EDIT_COMMAND", &editor);
    let default = sandbox.root.join("etc/sysconfig/rc_domino_config");
    let edited = |path: &std::path::Path| {
        let text = fs::read_to_string(path).unwrap();
        text.matches("# edited\n").count()
    };
    // The shipped default belongs to the Domino user.
    sandbox.own(&default);
    sandbox.run(&["config"]).code(0);
    sandbox.run(&["cfg", "default"]).code(0);
    assert_eq!(edited(&default), 2);
    let own = sandbox.sysconfig("rc_domino_config_notes", b"DOMINO_TZ=UTC\n");
    sandbox.own(&own);
    sandbox.run(&["config"]).code(0);
    let other = sandbox.file("other.cfg", "x\n");
    sandbox.run(&["config", other.to_str().unwrap()]).code(0);
    assert_eq!([edited(&default), edited(&own), edited(&other)], [2, 1, 1]);
}

fn nothing_to_check() {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_SHUTDOWN_TIMEOUT");
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "600");
    let outcome = sandbox.run(&["check"]).code(0);
    assert!(
        !outcome.text().to_lowercase().contains("warning"),
        "{outcome}"
    );
}
