//! compact and fixup of a server that is down, and around a restart.

use crate::support::Sandbox;

scenarios![
    the_configured_options_are_used,
    given_options_replace_them,
    not_while_the_server_runs,
    a_restart_with_maintenance,
    one_compact_at_the_next_start,
];

fn configured() -> Sandbox {
    Sandbox::with(&[
        ("DOMINO_COMPACT_OPTIONS", "-C -# 4 names.nsf"),
        ("DOMINO_LOG_COMPACT_OPTIONS", "-C log.nsf"),
        ("DOMINO_FIXUP_OPTIONS", "-f names.nsf"),
    ])
}

fn the_configured_options_are_used() {
    let sandbox = configured();
    sandbox.run(&["compact"]).code(0);
    assert_eq!(
        sandbox.events(),
        ["compact -C -# 4 names.nsf", "compact -C log.nsf"]
    );
    let console = sandbox.console();
    assert!(console.contains("Compacted names.nsf"), "{console}");
    sandbox.reset();
    sandbox.run(&["fixup"]).code(0);
    assert_eq!(sandbox.events(), ["fixup -f names.nsf"]);
    assert_eq!(sandbox.calls("fixup")[0].cwd, sandbox.data.as_os_str());
    assert!(
        sandbox
            .console()
            .contains("Performed consistency check on names.nsf")
    );
}

fn given_options_replace_them() {
    let sandbox = configured();
    sandbox.run(&["compact", "-B names.nsf"]).code(0);
    assert_eq!(
        sandbox.events(),
        ["compact -B names.nsf", "compact -C log.nsf"]
    );
    sandbox.reset();
    sandbox.run(&["fixup", "-j -v log.nsf"]).code(0);
    assert_eq!(sandbox.events(), ["fixup -j -v log.nsf"]);
}

fn not_while_the_server_runs() {
    let sandbox = configured();
    sandbox.up();
    for verb in ["compact", "fixup"] {
        sandbox.run(&[verb]).says("running");
        assert!(sandbox.calls(verb).is_empty());
    }
    sandbox.down();
}

fn a_restart_with_maintenance() {
    for (verb, expected) in [
        (
            "restartcompact",
            &["compact -C -# 4 names.nsf", "compact -C log.nsf"][..],
        ),
        ("restartfixup", &["fixup -f names.nsf"][..]),
    ] {
        let sandbox = configured();
        sandbox.up();
        sandbox.run(&[verb]).code(0);
        let mut wanted = vec!["server", "server -q"];
        wanted.extend(expected);
        wanted.push("server");
        assert_eq!(sandbox.events(), wanted, "{verb}");
        sandbox.kill();
    }
}

fn one_compact_at_the_next_start() {
    let sandbox = configured();
    let marker = sandbox.data.join("domino_nextstartcompact");
    sandbox.run(&["compactnextstart", "on"]).code(0).says("ON");
    assert!(marker.exists());
    sandbox
        .run(&["compactnextstart", "status"])
        .code(0)
        .says("ON");
    sandbox
        .run(&["compactnextstart", "off"])
        .code(0)
        .says("OFF");
    assert!(!marker.exists());
    sandbox.run(&["compactnextstart"]).code(0).says("OFF");
}
