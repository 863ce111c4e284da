//! The live console without a terminal (D36), and what it refuses.

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, wait_until};

scenarios![
    commands_from_standard_input,
    quit_in_lower_case_is_refused,
    quit_in_capitals_stops,
    without_a_server_it_is_7,
    the_input_file_where_server_c_is_off,
    a_replaced_log_is_followed,
    close_ends_it,
    pasted_lines_are_all_taken,
    a_closed_terminal_ends_it,
    end_of_input_ends_it,
    start_live_and_stop_live,
    a_bad_filter_is_told,
];

fn commands_from_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut console = sandbox
        .command(&["monitor"])
        .input("show tasks\nshow server\nshow port")
        .open_input()
        .spawn();
    // After the end of its input it waits for a second of silence only.
    console.wait_says("Idle, process");
    console.wait_says("Server directory:");
    console.outcome().code(0).stdout_has("> show tasks");
    // A last line without an end is a command, too.
    let calls = sandbox.calls("server");
    assert_eq!(calls.last().unwrap().args(), ["-c", "show port"]);
    sandbox.down();
}

fn quit_in_lower_case_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let outcome = sandbox
        .command(&["console"])
        .input("quit\nexit\nq\ne\n quit \n")
        .run()
        .code(0);
    assert!(outcome.said("QUIT"), "{outcome}");
    assert_eq!(sandbox.servers().len(), 1);
    assert_eq!(sandbox.calls("server").len(), 1, "nothing was sent");
    sandbox.down();
}

fn quit_in_capitals_stops() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut console = sandbox
        .command(&["console"])
        .input("QUIT\n")
        .open_input()
        .spawn();
    console.wait_says("Server shutdown requested");
    console.outcome().code(0);
    wait_until("the server is gone", || sandbox.processes().is_empty());
}

fn without_a_server_it_is_7() {
    let sandbox = Sandbox::new();
    sandbox.file("notes.log", "the last words\n");
    let outcome = sandbox
        .command(&["monitor"])
        .input("show tasks\n")
        .run()
        .code(7);
    outcome
        .stdout_has("the last words")
        .stderr_has("not running");
    assert!(sandbox.calls("").is_empty());
}

fn the_input_file_where_server_c_is_off() {
    let sandbox = Sandbox::with(&[("DOMINO_CONSOLE_SERVERC", "no")]);
    sandbox.up();
    let mut console = sandbox
        .command(&["monitor"])
        .input("show tasks\n")
        .open_input()
        .spawn();
    console.wait_says("Idle, process");
    console.outcome().code(0);
    assert_eq!(sandbox.calls("server").len(), 1);
    let input = std::fs::read_to_string(sandbox.data.join("notes.input")).unwrap();
    assert_eq!(input, "show tasks\n");
    sandbox.down();
}

fn a_replaced_log_is_followed() {
    let sandbox = Sandbox::new();
    sandbox.file("notes.log", "first\n");
    let mut console = sandbox.command(&["console"]).open_input().spawn();
    console.wait_says("first\n");
    // Emptied, as an archive of a running server's log does. What follows is
    // shorter: nobody may have looked while it was empty.
    sandbox.file("notes.log", "2nd\n");
    console.wait_says("2nd\n");
    // Replaced, as a start does.
    std::fs::rename(sandbox.log(), sandbox.data.join("old")).unwrap();
    sandbox.file("notes.log", "replaced\n");
    console.wait_says("replaced\n");
    console.outcome().code(0);
}

fn close_ends_it() {
    for word in ["close", "stop"] {
        let sandbox = Sandbox::new();
        sandbox.up();
        let input = format!("{word}\nshow tasks\n");
        let outcome = sandbox
            .command(&["monitor"])
            .input(&input)
            .open_input()
            .run()
            .code(0);
        assert!(!outcome.said("Idle, process"), "{outcome}");
        assert_eq!(sandbox.servers().len(), 1);
        sandbox.down();
    }
}

fn pasted_lines_are_all_taken() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = Terminal::start(sandbox.command(&["console"]), sandbox.entry());
    terminal.wait_for("HTTP Server: Started");
    terminal.type_in("show server\rshow tasks\rclose\r");
    assert_eq!(terminal.code(), Some(0));
    assert_eq!(sandbox.calls("server").len(), 3);
    sandbox.down();
}

fn a_closed_terminal_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = Terminal::start(sandbox.command(&["monitor"]), sandbox.entry());
    terminal.wait_for("HTTP Server: Started");
    terminal.hang_up();
    terminal.code();
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

fn end_of_input_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = Terminal::start(sandbox.command(&["monitor"]), sandbox.entry());
    // The log is shown before the keys are read one by one.
    terminal.wait_for("> ");
    terminal.type_in("\x04");
    assert_eq!(terminal.code(), Some(0));
    sandbox.down();
}

fn start_live_and_stop_live() {
    let sandbox = Sandbox::new();
    let mut live = sandbox
        .command(&["start", "live"])
        .input("show tasks\n")
        .open_input()
        .spawn();
    live.wait_says("HCL Domino (r) Server");
    live.outcome().code(0).stdout_has("started");
    sandbox.wait_up();
    let outcome = sandbox.run(&["stop", "live"]).code(0);
    outcome
        .stdout_has("Server shutdown complete")
        .stdout_has("stopped");
    assert!(sandbox.processes().is_empty());
}

fn a_bad_filter_is_told() {
    let sandbox = Sandbox::with(&[("DOMINO_MONITOR_FILTER_STRING", "Opened (session")]);
    sandbox.up();
    let outcome = sandbox.command(&["monitor"]).run();
    assert!([2, 6].contains(&outcome.code), "{outcome}");
    outcome.stderr_has("DOMINO_MONITOR_FILTER_STRING");
    // It is no reason not to stop a server.
    sandbox.down();
}
