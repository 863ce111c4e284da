//! Custom commands that may not be run or end badly, help, completions, the
//! menu (D63 to D65).

use crate::support::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::wait_until;
use std::fs;

scenarios![
    a_custom_commands_code_is_passed_on,
    what_is_no_custom_command_is_told,
    a_custom_command_of_the_wrong_owner,
    a_custom_command_set_by_a_shell,
    words_with_slashes_are_no_commands,
    help_of_the_site_is_shown_safely,
    help_needs_no_user_and_no_configuration,
    help_explains_a_verb,
    update_says_how,
    completions_for_each_shell,
    zsh_accepts_its_completions needs Zsh,
    fish_accepts_its_completions needs Fish,
    the_menu_shows_state_and_leaves,
    the_menu_asks_before_it_stops,
    the_menu_redraws_the_state_alone,
    the_menu_ignores_arrows_and_pastes,
    the_menu_ends_by_ctrl_c_and_hangup,
    the_menu_without_clearing,
    no_terminal_no_menu,
];

fn with_commands() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.script("fails", "exit 42");
    sandbox.script("dies", "kill -9 $$");
    let directory = sandbox.directory("scripts");
    fs::write(directory.join("notexec"), "x").unwrap();
    sandbox.directory("scripts/folder");
    sandbox.set("DOMINO_CUSTOM_COMMAND_BASEPATH", directory);
    sandbox
}

/// D64.
fn a_custom_commands_code_is_passed_on() {
    let sandbox = with_commands();
    sandbox.run(&["fails"]).code(42);
    sandbox.run(&["dies"]).code(128 + 9);
    let all: Vec<String> = (0..20).map(|number| format!("--{number}")).collect();
    sandbox.script("count", "echo \"$# $1 ${20}\"");
    let words: Vec<&str> = std::iter::once("count")
        .chain(all.iter().map(String::as_str))
        .collect();
    sandbox.run(&words).code(0).stdout_has("20 --0 --19");
}

fn what_is_no_custom_command_is_told() {
    let sandbox = with_commands();
    sandbox
        .run(&["notexec"])
        .code(6)
        .stderr_has("not executable");
    sandbox.run(&["folder"]).code(6).stderr_has("directory");
    sandbox
        .run(&["statu"])
        .code(2)
        .stderr_has("did you mean 'status'");
    let missing = sandbox.directory("scripts").join("gone");
    std::os::unix::fs::symlink("/no/such file", missing).unwrap();
    sandbox.run(&["gone"]).code(6).stderr_has("gone");
    sandbox.script("nonsense", "");
    fs::write(
        sandbox.directory("scripts").join("nonsense"),
        "#!/no/such/interpreter\n",
    )
    .unwrap();
    sandbox.run(&["nonsense"]).code(1).stderr_has("nonsense");
}

fn a_custom_command_of_the_wrong_owner() {
    let mut sandbox = with_commands();
    sandbox.set("EXECUTE_SCRIPT_CHECK_OWNER", "nobody-else");
    sandbox.run(&["fails"]).code(6).stderr_has("nobody-else");
}

fn a_custom_command_set_by_a_shell() {
    let mut sandbox = with_commands();
    sandbox.forget("DOMINO_CUSTOM_COMMAND_BASEPATH");
    let directory = sandbox.directory("scripts");
    sandbox.raw(&format!(
        "DOMINO_CUSTOM_COMMAND_BASEPATH=$(echo '{}')",
        directory.display()
    ));
    sandbox.run(&["fails"]).code(42);
    sandbox.run(&["failz"]).code(2);
}

/// D64.
fn words_with_slashes_are_no_commands() {
    let sandbox = with_commands();
    for word in ["../scripts/fails", "/bin/true", "..", ".", "./fails"] {
        sandbox.run(&[word]).code(2).stderr_has("unknown verb");
    }
}

fn help_of_the_site_is_shown_safely() {
    let sandbox = with_commands();
    let help = sandbox.directory("scripts").join("help.txt");
    fs::write(&help, b"fails\x1b[31m   red\n\xff\n").unwrap();
    let outcome = sandbox.run(&["help"]).code(0).stdout_has("Custom Commands");
    assert!(!outcome.stdout.contains(&0x1b), "{outcome}");
    assert!(!outcome.said("notexec"), "it is not executable\n{outcome}");
    fs::remove_file(&help).unwrap();
    nix::unistd::mkfifo(&help, nix::sys::stat::Mode::S_IRWXU).unwrap();
    sandbox.run(&["--help"]).code(0).stdout_has("fails");
    sandbox.run(&["help", "fails"]).code(0).stdout_has("fails");
}

fn help_needs_no_user_and_no_configuration() {
    let sandbox = Sandbox::new();
    fs::remove_dir_all(sandbox.root.join("etc/sysconfig")).unwrap();
    sandbox
        .command(&["--user", "no-such-user", "help"])
        .run()
        .code(0)
        .quiet()
        .stdout_has("Life cycle:");
    sandbox
        .run(&["-h"])
        .code(0)
        .quiet()
        .stdout_has("Exit codes:");
}

fn help_explains_a_verb() {
    let sandbox = Sandbox::new();
    for verb in ["start", "diag", "about+"] {
        sandbox
            .run(&["help", verb])
            .code(0)
            .stdout_has(format!("rc_domino {verb}"));
    }
    sandbox.run(&["help", "frob"]).code(2).stderr_has("frob");
    sandbox.run(&["help", "__compress"]).code(2);
    sandbox.run(&["help", "stop", "start"]).code(2);
}

fn update_says_how() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["update"])
        .code(0)
        .stdout_has(env!("CARGO_PKG_VERSION"))
        .stdout_has("never looks for updates");
}

fn zsh_accepts_its_completions() {
    accepts("zsh");
}

fn fish_accepts_its_completions() {
    accepts("fish");
}

/// The shell itself is the reference.
fn accepts(shell: &str) {
    let sandbox = Sandbox::new();
    let script = sandbox.run(&["completions", shell]).code(0).stdout;
    let script = sandbox.file("completions", script);
    let checked = std::process::Command::new(shell)
        .arg("-n")
        .arg(script)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

fn completions_for_each_shell() {
    let sandbox = with_commands();
    for shell in ["bash", "zsh", "fish"] {
        sandbox
            .run(&["completions", shell])
            .code(0)
            .stdout_has("senddiag");
    }
    sandbox.run(&["completions", "csh"]).code(2);
    assert_eq!(sandbox.run(&["__custom"]).code(0).text(), "dies\nfails\n");
}

fn menu(sandbox: &Sandbox) -> Terminal {
    Terminal::start(sandbox.command(&[]), sandbox.entry())
}

fn the_menu_shows_state_and_leaves() {
    let sandbox = Sandbox::new();
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Server notes: not running");
    terminal.wait_for("Key:");
    terminal.type_in("i");
    terminal.wait_for("Any key goes on");
    assert!(terminal.has_shown("Console log"));
    terminal.type_in("q");
    assert_eq!(terminal.code(), Some(0));
}

fn the_menu_asks_before_it_stops() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    terminal.type_in("t");
    terminal.wait_for("Y = yes");
    terminal.type_in("n");
    wait_until("the menu again", || terminal.count("Key:") == 2);
    assert_eq!(sandbox.servers().len(), 1);
    terminal.type_in("t");
    wait_until("the question again", || terminal.count("Y = yes") == 2);
    terminal.type_in("y");
    terminal.wait_for("Any key goes on");
    assert!(sandbox.processes().is_empty());
    terminal.type_in("x");
    terminal.wait_for("Server notes: not running");
    terminal.type_in("Q");
    assert_eq!(terminal.code(), Some(0));
}

fn the_menu_redraws_the_state_alone() {
    let sandbox = Sandbox::new();
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    sandbox.up();
    terminal.wait_for("Server notes: running");
    assert_eq!(terminal.count("Key:"), 1, "the menu was drawn again");
    terminal.type_in("\x04");
    assert_eq!(terminal.code(), Some(0));
    sandbox.down();
}

fn the_menu_ignores_arrows_and_pastes() {
    let sandbox = Sandbox::new();
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    // An arrow ends in a letter, and a pasted text is many of them.
    terminal.type_in("\x1b[A");
    terminal.type_in("sssss");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(terminal.count("Key:"), 1);
    assert!(sandbox.processes().is_empty());
    // A key right behind a pasted text belongs to that.
    let mut last = std::time::Instant::now();
    terminal.type_in("q");
    crate::support::wait_until("it ends", || {
        if last.elapsed().as_secs() >= 1 {
            last = std::time::Instant::now();
            terminal.type_in("q");
        }
        terminal.child.try_wait().unwrap().is_some()
    });
    assert_eq!(terminal.code(), Some(0));
}

fn the_menu_ends_by_ctrl_c_and_hangup() {
    let sandbox = Sandbox::new();
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    terminal.type_in("\x03");
    assert_eq!(terminal.code(), Some(128 + 2));
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    terminal.hang_up();
    let code = terminal.code();
    assert!(matches!(code, Some(0 | 129)), "{code:?}");
}

fn the_menu_without_clearing() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DISABLE_CLEAR_SCREEN", "yes");
    let mut terminal = menu(&sandbox);
    terminal.wait_for("Key:");
    assert!(!terminal.has_shown("\x1b"));
    terminal.type_in("q");
    assert_eq!(terminal.code(), Some(0));
}

fn no_terminal_no_menu() {
    let sandbox = Sandbox::new();
    for nothing in [&[][..], &["", ""]] {
        sandbox.run(nothing).code(2).stderr_has("Life cycle:");
    }
}
