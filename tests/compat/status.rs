//! Lines that other programs read (contract §5).

use crate::support::{Outcome, Sandbox};

scenarios![
    lines_while_stopped_and_running,
    the_servers_name_is_configurable,
];

/// The lines that are not empty: the original surrounds its answer with some.
fn lines(outcome: &Outcome) -> Vec<String> {
    let text = outcome.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn lines_while_stopped_and_running() {
    let sandbox = Sandbox::new();
    let status = || lines(&sandbox.run(&["status"]));
    let display = || lines(&sandbox.run(&["status", "display"]));
    // Without a log the original adds a line on which one it uses.
    sandbox.file("notes.log", "");
    assert_eq!(status(), ["Domino Server is NOT running (notes)"]);
    assert_eq!(display(), ["[ OFF ] - notes"]);
    sandbox.up();
    assert_eq!(status(), ["Domino Server is running (notes)"]);
    assert_eq!(display(), ["[ ON  ] - notes"]);
    sandbox.down();
    assert_eq!(status(), ["Domino Server is NOT running (notes)"]);
}

fn the_servers_name_is_configurable() {
    let sandbox = Sandbox::with(&[("DOMINO_SERVER", "mail01")]);
    sandbox.file("mail01.log", "");
    let outcome = sandbox.run(&["status", "display"]);
    assert_eq!(lines(&outcome), ["[ OFF ] - mail01"]);
}
