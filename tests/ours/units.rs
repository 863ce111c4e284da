//! Through systemd, with a systemctl that behaves as the real one: it answers
//! 0 to a stop whose command failed. The real one is CONTRIBUTING's business.

use super::stopping::end_tika;
use crate::support::command::Command;
use crate::support::{Outcome, Sandbox};
use std::fs;

scenarios![
    start_status_and_stop_through_the_unit,
    a_forced_stop_is_150_through_systemd_too,
    a_server_outside_of_its_unit_is_stopped,
    a_start_that_fails_keeps_its_code,
    the_script_never_calls_systemctl,
    a_unit_of_another_user_is_refused,
    names_that_are_no_units_are_refused,
    service_actions,
    a_restart_whose_stop_has_begun_is_brought_to_its_end,
    a_compact_that_is_broken_off_keeps_no_server_down,
    a_stop_waits_for_the_unit_to_be_started,
    a_masked_unit_is_not_started,
    a_server_that_runs_already_is_said,
    a_restart_of_a_disabled_server_leaves_it_up,
    a_restart_that_systemd_refuses_leaves_the_server_up,
];

const SYSTEMCTL: &str = r#"
echo "$*" >>"$HOME/systemctl.calls"
unit=$HOME/unit
state() { # active, exec name, code
    grep -v -e ^ActiveState= -e "^$2=" "$unit" >"$unit.new"
    echo "ActiveState=$1" >>"$unit.new"
    echo "$2={ path=/x ; argv[]=/x ; pid=$$ ; code=exited ; status=$3 }" >>"$unit.new"
    mv "$unit.new" "$unit"
}
case $1 in
    show) [ -e "$HOME/mute" ] && echo 'Failed to connect to bus' >&2 && exit 1; cat "$unit" ;;
    st*|disable) [ -e "$HOME/denied" ] && echo 'Access denied' >&2 && exit 4 ;;
esac
case $1 in
    show) ;;
    start)
        [ -e "$HOME/start.first" ] && . "$HOME/start.first"
        grep -q ActiveState=active "$unit" && exit 0
        rc_domino_script start </dev/null >/dev/null 2>&1
        code=$?
        [ $code = 0 ] && state active ExecStart 0 && exit 0
        state failed ExecStart $code
        exit 1 ;;
    stop)
        grep -q ActiveState=active "$unit" || exit 0
        [ -e "$HOME/stop.instead" ] && . "$HOME/stop.instead"
        rc_domino_script stop </dev/null >/dev/null 2>&1
        state inactive ExecStop $? ;;
    *) echo "asked for $*" ;;
esac
"#;

/// A host with systemd and a unit of this user.
pub fn with_unit(settings: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::with(settings);
    fs::create_dir_all(sandbox.root.join("run/systemd/system")).unwrap();
    let script = sandbox.script("systemctl", SYSTEMCTL);
    assert!(script.exists());
    unit_says(
        &sandbox,
        "LoadState=loaded\nActiveState=inactive\nResult=success\nUser=notes\n",
    );
    sandbox
}

pub fn unit_says(sandbox: &Sandbox, text: &str) {
    let path = sandbox.home.join("unit");
    fs::write(&path, text).unwrap();
    sandbox.own(&path);
}

pub fn run(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    command(sandbox, arguments).run()
}

fn command<'a>(sandbox: &'a Sandbox, arguments: &[&str]) -> Command<'a> {
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        sandbox.base.join("scripts").display(),
        crate::support::run_directory::get().join("bin").display()
    );
    sandbox
        .command(arguments)
        .called("rc_domino")
        .env("PATH", path)
        .env("DOMINO_NO_SUDO", "1")
}

pub fn systemctl_calls(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.home.join("systemctl.calls")).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with("show "))
        .map(str::to_owned)
        .collect()
}

fn start_status_and_stop_through_the_unit() {
    let sandbox = with_unit(&[("DOMINO_SYSTEMD_NAME", "domino@mail.service")]);
    run(&sandbox, &["status"]).code(3);
    run(&sandbox, &["start", "--wait=20"])
        .code(0)
        .stdout_has("ready");
    run(&sandbox, &["status"]).code(0);
    run(&sandbox, &["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    run(&sandbox, &["stop"]).code(0);
    run(&sandbox, &["restart"]).code(0);
    run(&sandbox, &["stop"]).code(0);
    let calls = systemctl_calls(&sandbox);
    assert_eq!(calls[0], "start -- domino@mail.service");
    assert_eq!(calls[1], "stop -- domino@mail.service");
}

/// D28: systemctl itself answers 0.
fn a_forced_stop_is_150_through_systemd_too() {
    let mut sandbox = with_unit(&[("DOMINO_SHUTDOWN_TIMEOUT", "1")]);
    sandbox.mode("ignore_quit=1\n");
    run(&sandbox, &["service", "start"]).code(0);
    sandbox.wait_up();
    run(&sandbox, &["service", "stop"]).code(150);
    assert!(sandbox.processes().is_empty());
    run(&sandbox, &["stop"]).code(150);
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "60");
    sandbox.mode("crash_on_stop=1\n");
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    run(&sandbox, &["stop"]).code(151);
}

/// D28: started by hand, the unit knows nothing of it.
fn a_server_outside_of_its_unit_is_stopped() {
    let sandbox = with_unit(&[]);
    sandbox.up();
    run(&sandbox, &["status"]).code(0);
    run(&sandbox, &["statusd"])
        .code(0)
        .stderr_has("unit domino.service is inactive, but the server runs, outside of it");
    run(&sandbox, &["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    assert!(sandbox.console().contains("Server shutdown complete"));
}

fn a_start_that_fails_keeps_its_code() {
    let sandbox = with_unit(&[("DOMINO_SETTLE_SECONDS", "10")]);
    let marker = sandbox.file("domino_disabled", "");
    run(&sandbox, &["start"]).code(154);
    fs::remove_file(marker).unwrap();
    sandbox.mode("die_after_start=0\n");
    run(&sandbox, &["start"]).code(1);
}

/// The unit's own commands: they would wait for themselves.
fn the_script_never_calls_systemctl() {
    let sandbox = with_unit(&[]);
    sandbox.up();
    sandbox.down();
    run(&sandbox, &["--direct", "start"]).code(0);
    run(&sandbox, &["--direct", "stop"]).code(0);
    assert!(systemctl_calls(&sandbox).is_empty());
    // No such unit: acts itself.
    unit_says(&sandbox, "LoadState=not-found\nActiveState=inactive\n");
    run(&sandbox, &["start"]).code(0);
    run(&sandbox, &["stop"]).code(0);
    assert!(systemctl_calls(&sandbox).is_empty());
}

/// D29.
fn a_unit_of_another_user_is_refused() {
    let sandbox = with_unit(&[]);
    for user in ["root", "", "other"] {
        unit_says(
            &sandbox,
            &format!("LoadState=loaded\nActiveState=active\nResult=success\nUser={user}\n"),
        );
        for verb in ["start", "stop", "restart"] {
            run(&sandbox, &[verb])
                .code(6)
                .stderr_has("DOMINO_SYSTEMD_NAME");
        }
    }
    assert!(systemctl_calls(&sandbox).is_empty());
}

fn names_that_are_no_units_are_refused() {
    for name in ["--force", "a b", "x;y"] {
        let sandbox = with_unit(&[("DOMINO_SYSTEMD_NAME", name)]);
        run(&sandbox, &["stop"])
            .code(6)
            .stderr_has("DOMINO_SYSTEMD_NAME");
        assert!(systemctl_calls(&sandbox).is_empty());
    }
}

fn service_actions() {
    let sandbox = with_unit(&[]);
    for (word, verb) in [
        ("on", "enable"),
        ("off", "disable"),
        ("add", "enable"),
        ("del", "disable"),
        ("mask", "mask"),
    ] {
        run(&sandbox, &["service", word])
            .code(0)
            .stdout_has(format!("asked for {verb} -- domino.service"));
    }
    run(&sandbox, &["service"])
        .code(0)
        .stdout_has("asked for status");
    run(&sandbox, &["statusd"])
        .code(0)
        .stdout_has("asked for status");
    assert_ne!(run(&sandbox, &["service", "--now"]).code, 0);
}

/// D134: a restart of systemd's own outlives its caller, too.
fn a_restart_whose_stop_has_begun_is_brought_to_its_end() {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let sandbox = with_unit(&[]);
        sandbox.mode("tika_blocks=1\n");
        run(&sandbox, &["start"]).code(0);
        sandbox.wait_up();
        let restart = command(&sandbox, &["restart"]).spawn();
        crate::support::wait_until("the server stops", || {
            sandbox.console().contains("Server shutdown requested")
        });
        restart.signal(signal);
        // The next server goes without.
        sandbox.mode("");
        end_tika(&sandbox);
        restart.outcome().code(0);
        assert_eq!(
            systemctl_calls(&sandbox),
            [
                "start -- domino.service",
                "stop -- domino.service",
                "start -- domino.service"
            ]
        );
        assert_eq!(sandbox.servers().len(), 1);
        run(&sandbox, &["stop"]).code(0);
    }
}

fn a_compact_that_is_broken_off_keeps_no_server_down() {
    let sandbox = with_unit(&[]);
    sandbox.mode("compact_delay=30\n");
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    let restart = command(&sandbox, &["restartcompact", "-B"]).spawn();
    crate::support::wait_until("compact runs", || !sandbox.calls("compact").is_empty());
    restart.signal(libc::SIGTERM);
    restart.outcome().code(143).stderr_has("SIGTERM");
    assert_eq!(sandbox.servers().len(), 1);
    run(&sandbox, &["stop"]).code(0);
}

/// D135: systemd would end the server by signals: it knows no stop command before
/// the start command is done.
fn a_stop_waits_for_the_unit_to_be_started() {
    let mut sandbox = with_unit(&[("DOMINO_LOCK_TIMEOUT", "2")]);
    let state = "LoadState=loaded\nActiveState=activating\nSubState=start\nType=forking\nResult=success\nUser=notes\n";
    sandbox.up();
    unit_says(&sandbox, state);
    run(&sandbox, &["stop"])
        .code(153)
        .stdout_has("Waiting for the start")
        .stderr_has("DOMINO_LOCK_TIMEOUT");
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.set("DOMINO_LOCK_TIMEOUT", "60");
    let mut stop = command(&sandbox, &["stop"]).spawn();
    stop.wait_says("Waiting for the start");
    assert!(systemctl_calls(&sandbox).is_empty());
    unit_says(
        &sandbox,
        &state
            .replace("activating", "active")
            .replace("=start\n", "=running\n"),
    );
    stop.outcome().code(0);
    assert_eq!(systemctl_calls(&sandbox), ["stop -- domino.service"]);
    assert!(sandbox.processes().is_empty());
    // `run` takes SIGTERM well at any time.
    sandbox.up();
    unit_says(&sandbox, &state.replace("forking", "notify"));
    run(&sandbox, &["stop"]).code(0);
}

/// A mask is the administrator's "never".
fn a_masked_unit_is_not_started() {
    let sandbox = with_unit(&[("DOMINO_COMPACT_OPTIONS", "-B")]);
    unit_says(&sandbox, "LoadState=masked\nActiveState=inactive\n");
    let unmask = "systemctl unmask domino.service";
    for verb in [&["start"] as &[&str], &["service", "start"]] {
        run(&sandbox, verb).code(154).stderr_has(unmask);
    }
    assert!(sandbox.launches().is_empty());
    // The unit's own commands, and who goes past systemd.
    sandbox.up();
    for verb in RESTARTS.into_iter().chain(["force-reload", "try-restart"]) {
        run(&sandbox, &[verb]).code(154).stderr_has(unmask);
    }
    run(&sandbox, &["status"]).code(0);
    run(&sandbox, &["start"]).code(0).stdout_has("runs already");
    assert_eq!(sandbox.launches().len(), 1);
    run(&sandbox, &["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    assert!(systemctl_calls(&sandbox).is_empty());
    // To look at it is no start.
    run(&sandbox, &["statusd"])
        .code(0)
        .stdout_has("asked for status");
}

/// D136.
fn a_server_that_runs_already_is_said() {
    let sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    let denied = sandbox.home.join("denied");
    fs::write(&denied, "").unwrap();
    run(&sandbox, &["start", "--wait=20"])
        .code(0)
        .stdout_has("runs already");
    run(&sandbox, &["stop"]).code(0);
    // systemd would refuse its PID file, and the unit fail.
    sandbox.up();
    unit_says(
        &sandbox,
        "LoadState=loaded\nActiveState=inactive\nType=forking\nResult=success\nUser=notes\n",
    );
    run(&sandbox, &["start"])
        .code(0)
        .stderr_has("outside of domino.service");
    assert_eq!(systemctl_calls(&sandbox).len(), 2);
    sandbox.down();
}

const RESTARTS: [&str; 3] = ["restart", "restartcompact", "restartfixup"];

/// D35: it is refused before the stop, through the unit and without it.
fn a_restart_of_a_disabled_server_leaves_it_up() {
    let sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    let marker = sandbox.file("domino_disabled", "");
    for verb in RESTARTS {
        run(&sandbox, &[verb]).code(154);
        run(&sandbox, &["--direct", verb]).code(154);
    }
    assert_eq!(systemctl_calls(&sandbox), ["start -- domino.service"]);
    run(&sandbox, &["status"]).code(0);
    fs::remove_file(marker).unwrap();
    run(&sandbox, &["stop"]).code(0);
}

/// A Domino user whom neither sudo nor polkit lets control the unit can stop
/// his server, but could not have it started again.
fn a_restart_that_systemd_refuses_leaves_the_server_up() {
    let sandbox = with_unit(&[]);
    run(&sandbox, &["start"]).code(0);
    sandbox.wait_up();
    let denied = sandbox.home.join("denied");
    fs::write(&denied, "").unwrap();
    for verb in RESTARTS {
        run(&sandbox, &[verb]).code(4).stderr_has("runs on");
    }
    run(&sandbox, &["status"]).code(0);
    run(&sandbox, &["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    run(&sandbox, &["start"])
        .code(4)
        .stderr_has("as root, or let sudo or polkit allow");
}
