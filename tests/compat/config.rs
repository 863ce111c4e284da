//! Where settings come from, and the shell they are written in (contract §3).

use crate::support::Sandbox;

scenarios![
    later_files_win,
    the_shell_of_the_configuration,
    an_unconfigured_server_is_not_started,
    the_version_is_a_bare_number,
];

fn later_files_win() {
    let mut sandbox = Sandbox::new();
    let name = |sandbox: &Sandbox| {
        let text = sandbox.run(&["status", "display"]).text();
        text.trim()
            .rsplit("- ")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let with = |sandbox: &Sandbox| {
        let outcome = sandbox
            .command(&["status", "display"])
            .env("DOMINO_SERVER", "environment");
        outcome
            .run()
            .text()
            .trim()
            .rsplit("- ")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    sandbox.file("notes.log", "");
    assert_eq!(name(&sandbox), "notes");
    assert_eq!(with(&sandbox), "environment");
    sandbox.set("DOMINO_SERVER", "general");
    assert_eq!(with(&sandbox), "general");
    sandbox.sysconfig("rc_domino_config_notes", b"DOMINO_SERVER=personal\n");
    assert_eq!(with(&sandbox), "personal");
    let file = sandbox.base.join("more");
    std::fs::write(&file, "DOMINO_SERVER=last\n").unwrap();
    sandbox.set("DOMINO_ENV_FILE", &file);
    assert_eq!(with(&sandbox), "last");
    // Another user's file is nobody's business here.
    sandbox.sysconfig("rc_domino_config_other", b"DOMINO_SERVER=other\n");
    assert_eq!(name(&sandbox), "last");
}

fn the_shell_of_the_configuration() {
    let mut sandbox = Sandbox::new();
    let cases = [
        ("DOMINO_SERVER=plain", "plain"),
        ("DOMINO_SERVER=\"in double\"", "in double"),
        ("DOMINO_SERVER='in $HOME'", "in $HOME"),
        ("DOMINO_SERVER=a\" b\"'c'\\ d", "a bc d"),
        ("DOMINO_SERVER=value # a comment", "value"),
        ("DOMINO_SERVER=no#comment", "no#comment"),
        ("export DOMINO_SERVER=exported", "exported"),
        ("X=ref\nDOMINO_SERVER=$X-${X}", "ref-ref"),
        ("DOMINO_SERVER=${NOT_SET_AT_ALL:-default}", "default"),
        ("DOMINO_SERVER=\"${LOGNAME}x\"", "notesx"),
        ("A=1; DOMINO_SERVER=two", "two"),
        (
            "if [ -d / ]; then DOMINO_SERVER=then; else DOMINO_SERVER=else; fi",
            "then",
        ),
        (
            "case \"$LOGNAME\" in notes) DOMINO_SERVER=case ;; esac",
            "case",
        ),
        ("DOMINO_SERVER=$(echo substituted)", "substituted"),
        ("DOMINO_SERVER=`echo backticks`", "backticks"),
        ("DOMINO_SERVER=t\\\nwo", "two"),
        (
            "DOMINO_SERVER=ok\n[ -d /nowhere ] && DOMINO_SERVER=bad",
            "ok",
        ),
    ];
    for (text, expected) in cases {
        sandbox.raw(text);
        // Where no log is, the original adds a line.
        sandbox.file(format!("{expected}.log"), "");
        let outcome = sandbox.run(&["status", "display"]);
        let shown = outcome.text();
        assert_eq!(
            shown.trim(),
            format!("[ OFF ] - {expected}"),
            "{text}\n{outcome}"
        );
    }
}

fn an_unconfigured_server_is_not_started() {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_CONFIGURED");
    let outcome = sandbox.run(&["start"]).says("configured");
    assert_ne!(outcome.code, 0);
    assert!(sandbox.calls("").is_empty());
}

fn the_version_is_a_bare_number() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["--version"]).code(0).text();
    let mut parts = text.trim().split('.');
    assert!(
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u32>().is_ok()),
        "{text}"
    );
}
