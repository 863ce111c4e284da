//! Arguments and names never pass a shell (D03), and any size is borne.

use crate::support::Sandbox;
use crate::support::tree::Tree;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

scenarios![
    verbs_of_any_bytes,
    console_commands_of_any_bytes,
    names_of_servers,
    a_closed_output_changes_nothing,
];

const HOSTILE: [&[u8]; 9] = [
    b"x'; touch owned; '",
    b"$(touch owned)",
    b"`touch owned`",
    b"\"; touch owned; \"",
    b"a\nb",
    b"*",
    b"../../../bin/sh",
    b"\x1b[31mred\x07",
    b"\xff\xfe",
];

fn verbs_of_any_bytes() {
    let sandbox = Sandbox::new();
    let before = Tree::of(&sandbox.base);
    let long = vec![b'x'; 100_000];
    for word in HOSTILE.iter().copied().chain([&long[..]]) {
        let outcome = sandbox.command(&[]).arg(OsStr::from_bytes(word)).run();
        assert_eq!(outcome.code, 2, "{outcome}");
        assert!(
            outcome.stderr.len() < 4_000,
            "{} bytes of complaint",
            outcome.stderr.len()
        );
        assert!(
            !outcome.stderr.contains(&0x1b),
            "control characters pass\n{outcome}"
        );
        let outcome = sandbox
            .command(&["status"])
            .arg(OsStr::from_bytes(word))
            .run();
        assert_eq!(outcome.code, 2, "{outcome}");
        assert!(
            outcome.stderr.len() < 4_000,
            "{} bytes of complaint",
            outcome.stderr.len()
        );
        assert!(
            !outcome.stderr.contains(&0x1b),
            "control characters pass\n{outcome}"
        );
    }
    before.unchanged(&sandbox.base, "an unknown verb");
}

fn console_commands_of_any_bytes() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let long = format!("show {}", "y".repeat(100_000));
    let commands = [
        "x'; touch owned; '",
        "$(touch owned) `id`",
        "\"*\" \\ $HOME",
        &long,
    ];
    let input: String = commands
        .iter()
        .map(|command| format!("{command}\n"))
        .collect();
    sandbox.command(&["monitor"]).input(&input).run().code(0);
    let sent: Vec<String> = sandbox
        .calls("server")
        .iter()
        .filter(|call| call.args().first().is_some_and(|word| word == "-c"))
        .map(|call| call.args()[1].clone())
        .collect();
    assert!(
        sent == commands,
        "{:?}",
        sent.iter().map(String::len).collect::<Vec<_>>()
    );
    assert!(!sandbox.data.join("owned").exists() && !sandbox.base.join("owned").exists());
    sandbox.down();
}

fn names_of_servers() {
    for name in ["with blank", "a'b\"c", "$(id)", "ünï", "a|b"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("DOMINO_SERVER", name);
        let shown = sandbox.run(&["status", "display"]).code(3).text();
        assert_eq!(shown, format!("[ OFF ] - {name}\n"));
        sandbox.run(&["start"]).code(0);
        let call = sandbox.launch();
        assert_eq!(
            call.fds[&1],
            sandbox.data.join(format!("{name}.log")).as_os_str()
        );
        let json = sandbox.run(&["status", "--json"]).code(0).text();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["server"], name);
        sandbox.down();
    }
}

/// Whoever called may be gone: a stop is finished all the same.
fn a_closed_output_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.mode("shutdown_delay=0.5\n");
    sandbox.command(&["start"]).closed_output().run().code(0);
    sandbox.wait_up();
    sandbox.command(&["status"]).closed_output().run().code(0);
    sandbox.command(&["stop"]).closed_output().run().code(0);
    assert!(sandbox.processes().is_empty());
    sandbox
        .command(&["frobnicate"])
        .closed_output()
        .run()
        .code(2);
}
