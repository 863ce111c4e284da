//! `cleanup`: removes all of a server and nothing of anybody else's.

use crate::standin::{self, processes};
use crate::support::command::{Command, Running};
use crate::support::terminal::Terminal;
use crate::support::{Sandbox, executables, is_root, run_directory, wait_until};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

scenarios![
    what_a_crash_left_is_removed,
    a_running_server_is_killed_and_that_is_remembered,
    nothing_left_is_success,
    it_works_on_a_broken_installation,
    a_server_that_comes_back_is_removed_too,
    processes_that_appear_meanwhile_are_killed,
    whatever_runs_below_lotus_goes,
    third_parties_go_and_those_who_only_look_stay,
    who_called_it_from_a_third_partys_directory_lives,
    a_directory_that_holds_everything_is_refused,
    a_second_server_of_the_user_stays,
    setup_helpers_go,
    links_and_directories_in_place_of_locks,
    it_asks_on_a_terminal,
    root_cleans_up_for_the_user needs Root,
    all_ipc_is_that_of_the_user_only needs Root,
];

/// Ends the server alone: its tasks, locks and IPC stay.
fn crash(sandbox: &Sandbox) {
    sandbox.up();
    processes::kill_and_wait(&[sandbox.launch().pid]);
}

fn what_a_crash_left_is_removed() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_CLEANUP_SCRIPT", "");
    sandbox.hook("DOMINO_POST_CLEANUP_SCRIPT", "");
    crash(&sandbox);
    sandbox.file(".jsc_lock", "");
    assert_eq!(standin::ipc_left(&sandbox.data), standin::ipc::COUNT);
    let outcome = sandbox
        .run(&["cleanup"])
        .code(0)
        .stdout_has("Killed router (");
    assert!(sandbox.processes().is_empty(), "{outcome}");
    assert_eq!(standin::ipc_left(&sandbox.data), 0, "{outcome}");
    for file in ["~notes.lck", ".jsc_lock", "pid.nbf", "domino.pid"] {
        assert!(!sandbox.data.join(file).exists(), "{file}\n{outcome}");
        assert!(
            outcome
                .text()
                .contains(&format!("Removed {}", sandbox.data.join(file).display()))
        );
    }
    assert_eq!(
        sandbox.hooks_run(),
        ["DOMINO_PRE_CLEANUP_SCRIPT", "DOMINO_POST_CLEANUP_SCRIPT"]
    );
    sandbox.run(&["stop"]).code(150);
    sandbox.up();
    sandbox.down();
}

fn a_running_server_is_killed_and_that_is_remembered() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox
        .run(&["cleanup", "--yes"])
        .code(0)
        .says("not be closed cleanly");
    assert!(sandbox.processes().is_empty());
    sandbox.run(&["stop"]).code(150);
}

/// D90.
fn nothing_left_is_success() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_POST_CLEANUP_SCRIPT", "");
    let (mut fastest, mut look) = (Duration::MAX, Duration::MAX);
    for runs in 1..=3 {
        let mut outcome = sandbox.run(&["cleanup"]).code(0);
        // An ordinary user's sandboxes share his IPC, which is told then.
        if rustix::process::geteuid().is_root() {
            outcome = outcome.stdout_has("nothing behind");
        }
        assert_eq!(sandbox.hooks_run().len(), runs);
        fastest = fastest.min(outcome.took);
        look = look.min(sandbox.run(&["status"]).code(3).took);
    }
    // It does not wait for what may come back.
    assert!(fastest < look + Duration::from_millis(800), "{fastest:?}");
}

/// The installation was removed while its tasks ran, and the data directory
/// is not mounted any more.
fn it_works_on_a_broken_installation() {
    let sandbox = Sandbox::new();
    crash(&sandbox);
    let tasks = sandbox.processes();
    let alive = || {
        tasks
            .iter()
            .filter(|pid| !processes::is_gone(**pid))
            .count()
    };
    assert!(alive() > 5);
    fs::remove_dir_all(&sandbox.lotus).unwrap();
    let aside = crate::support::with_suffix(&sandbox.data, ".aside");
    fs::rename(&sandbox.data, &aside).unwrap();
    sandbox.run(&["cleanup"]).code(0).says("going on without");
    assert_eq!(alive(), 0);
    fs::rename(&aside, &sandbox.data).unwrap();
    assert_eq!(standin::ipc_left(&sandbox.data), 0);
}

/// D93.
fn a_server_that_comes_back_is_removed_too() {
    let sandbox = Sandbox::new();
    sandbox.mode("fault_recovery=1\nfault_recovery_delay=0.3\n");
    sandbox.up();
    sandbox.run(&["cleanup"]).code(0);
    std::thread::sleep(Duration::from_millis(800));
    assert!(sandbox.processes().is_empty());
    assert_eq!(standin::ipc_left(&sandbox.data), 0);
}

/// A copy of a program that sleeps, at a place of the scenario's choice.
fn sleeper(sandbox: &Sandbox, directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let _guard = executables();
    fs::copy("/bin/sleep", &path).unwrap();
    sandbox.own(&path);
    path
}

fn started(sandbox: &Sandbox, program: impl Into<PathBuf>, arguments: &[&str]) -> Running {
    Command::new(sandbox, program.into())
        .args(arguments)
        .open_input()
        .spawn()
}

/// Ends one that the scenario started.
fn end(running: Running) {
    running.signal(libc::SIGKILL);
    running.outcome();
}

/// D93.
fn processes_that_appear_meanwhile_are_killed() {
    let mut sandbox = Sandbox::new();
    let vendor = sandbox.directory("vendor");
    let agent = sleeper(&sandbox, &vendor, "agent");
    sandbox.set("DOMINO_3RD_PARTY_BIN_DIRS", &vendor);
    crash(&sandbox);
    // Nothing of Domino's itself: it starts another one whenever one is gone.
    // One that it starts too late for the cleanup ends by itself.
    let body = format!("for n in 1 2 3 4 5; do '{}' 5; done; :", agent.display());
    let spawner = sandbox.script("spawner", &body);
    let spawning = started(&sandbox, spawner, &[]);
    wait_until("the first one runs", || {
        !processes::under(&vendor, None).is_empty()
    });
    let outcome = sandbox.run(&["cleanup"]).code(0);
    spawning.outcome();
    let killed = outcome.text().matches("Killed agent").count();
    assert!((2..=5).contains(&killed), "{outcome}");
    assert_eq!(processes::under(&vendor, None), Vec::<i32>::new());
}

/// D97: the Java controller's Java lies beside LOTUS/notes.
fn whatever_runs_below_lotus_goes() {
    let sandbox = Sandbox::new();
    let mut java = started(&sandbox, sleeper(&sandbox, &sandbox.lotus, "java"), &["60"]);
    let mut other = started(&sandbox, sleeper(&sandbox, &sandbox.home, "java"), &["60"]);
    sandbox.run(&["cleanup"]).code(0).stdout_has("1 process,");
    wait_until("what ran below LOTUS is gone", || !java.is_running());
    assert!(other.is_running());
    java.outcome();
    end(other);
}

/// D95.
fn third_parties_go_and_those_who_only_look_stay() {
    let mut sandbox = Sandbox::new();
    let vendor = sandbox.directory("vendor");
    let agent = sleeper(&sandbox, &vendor, "agent");
    let script = vendor.join("run");
    fs::rename(sandbox.script("run", "read line; :"), &script).unwrap();
    fs::write(vendor.join("log"), "x\n").unwrap();
    let log = vendor.join("log");
    sandbox.set(
        "DOMINO_3RD_PARTY_BIN_DIRS",
        format!("/nowhere/at/all {}", vendor.display()),
    );
    let theirs = [
        started(&sandbox, &agent, &["60"]),
        started(&sandbox, "/bin/sh", &[script.to_str().unwrap()]),
    ];
    let mut others = [
        started(&sandbox, "/usr/bin/tail", &["-f", log.to_str().unwrap()]),
        started(
            &sandbox,
            "/bin/sh",
            &["-c", &format!("read line; : {}", agent.display())],
        ),
        started(&sandbox, "/bin/sleep", &["60"]),
    ];
    std::thread::sleep(Duration::from_millis(100));
    sandbox.run(&["cleanup"]).code(0);
    for running in theirs {
        running.outcome().code(137);
    }
    for running in &mut others {
        assert!(running.is_running());
    }
    others.into_iter().for_each(end);
}

fn who_called_it_from_a_third_partys_directory_lives() {
    let mut sandbox = Sandbox::new();
    let scripts = sandbox.directory("scripts");
    sandbox.set("DOMINO_3RD_PARTY_BIN_DIRS", &scripts);
    let program = run_directory::program("rc_domino_script");
    let caller = sandbox.script(
        "caller",
        &format!("'{}' cleanup && echo done", program.display()),
    );
    sandbox.up();
    Command::new(&sandbox, caller)
        .run()
        .code(0)
        .stdout_has("done\n");
    assert!(sandbox.processes().is_empty());
}

/// D95.
fn a_directory_that_holds_everything_is_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOMINO_3RD_PARTY_BIN_DIRS", "/ /usr bin ../.. //");
    let mut other = started(&sandbox, "/bin/sleep", &["60"]);
    sandbox
        .run(&["cleanup"])
        .code(0)
        .stderr_has("'/usr' is not counted");
    assert!(other.is_running());
    end(other);
}

/// Two servers of one user: the other one, its IPC and its locks stay.
/// D94.
fn a_second_server_of_the_user_stays() {
    let mut sandbox = Sandbox::new();
    let (lotus, data) = sandbox.second_installation();
    let first = (sandbox.lotus.clone(), sandbox.data.clone());
    crash(&sandbox);
    sandbox.set("LOTUS", &lotus);
    sandbox.set("DOMINO_DATA_PATH", &data);
    sandbox.run(&["start"]).code(0);
    wait_until("the second one is up", || {
        processes::under(&lotus, None).len() > standin::TASKS.len()
    });
    let running = processes::under(&lotus, None);
    sandbox.set("LOTUS", &first.0);
    sandbox.set("DOMINO_DATA_PATH", &first.1);
    let outcome = sandbox
        .run(&["cleanup"])
        .code(0)
        .stdout_has("Kept shared memory segment");
    assert!(processes::under(&first.0, None).is_empty(), "{outcome}");
    assert_eq!(standin::ipc_left(&first.1), 0, "{outcome}");
    assert_eq!(processes::under(&lotus, None), running, "{outcome}");
    assert_eq!(standin::ipc_left(&data), standin::ipc::COUNT, "{outcome}");
    assert!(data.join("~notes.lck").exists(), "{outcome}");
    standin::kill_all(&lotus, &data);
}

fn setup_helpers_go() {
    let sandbox = Sandbox::new();
    let bin = sandbox.directory("elsewhere");
    let java = sleeper(&sandbox, &bin, "java");
    // sleep(1) would refuse other arguments: a shell under that name does not.
    {
        let _guard = executables();
        fs::remove_file(&java).unwrap();
        fs::copy("/bin/sh", &java).unwrap();
        sandbox.own(&java);
    }
    let body = "read line";
    let setup = Command::new(&sandbox, java.clone())
        .args(&["-c", body, "/x/cfgdomserver.jar"])
        .open_input()
        .spawn();
    let mut other = Command::new(&sandbox, java)
        .args(&["-c", body, "/x/other.jar"])
        .open_input()
        .spawn();
    std::thread::sleep(Duration::from_millis(100));
    sandbox.run(&["cleanup"]).code(0);
    setup.outcome().code(137);
    assert!(other.is_running());
    end(other);
}

fn links_and_directories_in_place_of_locks() {
    let sandbox = Sandbox::new();
    let victim = sandbox.file("victim", "precious");
    let lock = sandbox.data.join("~notes.lck");
    symlink(&victim, &lock).unwrap();
    let nbf = sandbox.data.join("pid.nbf");
    fs::create_dir(&nbf).unwrap();
    if is_root() {
        std::os::unix::fs::lchown(&lock, Some(sandbox.ids.0), None).unwrap();
    }
    sandbox.run(&["cleanup"]).code(0);
    assert!(fs::symlink_metadata(&lock).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(nbf.is_dir());
}

/// D96.
fn it_asks_on_a_terminal() {
    let sandbox = Sandbox::new();
    crash(&sandbox);
    let before = sandbox.processes();
    for (answer, code, gone) in [("no\n", 1, false), ("y\n", 1, false), ("yes\n", 0, true)] {
        let mut terminal = Terminal::start(sandbox.command(&["cleanup"]), sandbox.entry());
        terminal.wait_for("Type yes");
        assert!(terminal.has_shown("process router ("));
        assert_eq!(sandbox.processes(), before);
        terminal.type_in(answer);
        assert_eq!(terminal.code(), Some(code), "{answer}");
        assert_eq!(sandbox.processes().is_empty(), gone, "{answer}");
    }
}

fn root_cleans_up_for_the_user() {
    let sandbox = Sandbox::builder().own_etc().build();
    crash(&sandbox);
    sandbox
        .command(&["cleanup"])
        .entering(sandbox.entry_as_caller())
        .run()
        .code(0);
    assert!(sandbox.processes().is_empty());
    assert_eq!(standin::ipc_left(&sandbox.data), 0);
}

/// As an ordinary user all sandboxes are his: only root has several users.
fn all_ipc_is_that_of_the_user_only() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    crash(&sandbox);
    crash(&other);
    let tasks = other.processes();
    sandbox.run(&["cleanup", "--all-ipc", "--yes"]).code(0);
    assert_eq!(standin::ipc_left(&sandbox.data), 0);
    assert_eq!(standin::ipc_left(&other.data), standin::ipc::COUNT);
    assert_eq!(other.processes(), tasks);
    other.kill();
}
