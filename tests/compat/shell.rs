//! Custom commands, help and the verbs that describe the host.

use crate::support::Sandbox;

scenarios![
    a_custom_command_gets_its_arguments_and_dominos_environment,
    help_lists_verbs_and_custom_commands,
    about_names_the_kernel,
    version_is_one_line,
];

fn a_custom_command_gets_its_arguments_and_dominos_environment() {
    let mut sandbox = Sandbox::new();
    let script = sandbox.script("greet", "echo \"got [$1] [$2] data $DOMINO_DATA_PATH\"");
    sandbox.set("DOMINO_CUSTOM_COMMAND_BASEPATH", script.parent().unwrap());
    let data = format!("data {}", sandbox.data.display());
    sandbox
        .run(&["greet", "a b", "*"])
        .code(0)
        .stdout_has("got [a b] [*]")
        .stdout_has(data);
}

fn help_lists_verbs_and_custom_commands() {
    let mut sandbox = Sandbox::new();
    let script = sandbox.script("greet", "exit 0");
    let directory = script.parent().unwrap();
    std::fs::write(directory.join("help.txt"), "greet            says hello\n").unwrap();
    sandbox.set("DOMINO_CUSTOM_COMMAND_BASEPATH", directory);
    sandbox.set("EXTENSION_COMMAND_TEXT", "Site commands");
    for word in ["help", "-?"] {
        sandbox
            .run(&[word])
            .code(0)
            .stdout_has("start")
            .stdout_has("Site commands")
            .stdout_has("greet            says hello");
    }
}

fn about_names_the_kernel() {
    let sandbox = Sandbox::new();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    sandbox.run(&["about"]).code(0).stdout_has(release.trim());
}

fn version_is_one_line() {
    let sandbox = Sandbox::new();
    // Without a log the original adds a line on which one it uses.
    sandbox.file("notes.log", "");
    let text = sandbox.run(&["version"]).code(0).text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains(|c: char| c.is_ascii_digit()), "{text}");
}
