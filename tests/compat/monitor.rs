//! The live console on a terminal.

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, wait_until};

scenarios![commands_and_how_to_leave, the_filter_hides_lines];

fn open(sandbox: &Sandbox, verb: &str) -> Terminal {
    Terminal::start(sandbox.command(&[verb]), sandbox.entry())
}

fn commands_and_how_to_leave() {
    for (verb, leave) in [("monitor", "close"), ("console", "stop"), ("live", "close")] {
        let sandbox = Sandbox::new();
        sandbox.up();
        let mut terminal = open(&sandbox, verb);
        // Both show the end of the log at once.
        terminal.wait_for("HTTP Server: Started");
        let hostile = "show *; \"x' $(id)";
        terminal.type_in(&format!("{hostile}\r"));
        terminal.wait_for("Command not found in table");
        wait_until("the command was sent", || {
            let sent = |call: &crate::standin::Call| call.args() == ["-c", hostile];
            sandbox.calls("server").iter().any(sent)
        });
        for word in ["quit", "exit", "q", "e"] {
            terminal.type_in(&format!("{word}\r"));
            terminal.wait_for(&format!("'{word}' ignored"));
        }
        terminal.type_in(&format!("{leave}\r"));
        assert_eq!(terminal.code(), Some(0), "{verb}");
        assert_eq!(sandbox.servers().len(), 1, "{verb}: the server goes on");
        sandbox.down();
    }
}

fn the_filter_hides_lines() {
    for (verb, hidden) in [("monitor", true), ("live", true), ("console", false)] {
        let sandbox = Sandbox::with(&[("DOMINO_MONITOR_FILTER_STRING", "Router|never said")]);
        sandbox.up();
        let mut terminal = open(&sandbox, verb);
        terminal.wait_for("HTTP Server: Started");
        assert_eq!(
            !terminal.has_shown("Router: Mail Router started"),
            hidden,
            "{verb}"
        );
        terminal.type_in("close\r");
        assert_eq!(terminal.code(), Some(0), "{verb}");
        sandbox.kill();
    }
}
