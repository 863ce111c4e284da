//! Several servers on one host (D120, D121, D122): each user's own configuration, and
//! `all` for the lot of them.

use crate::standin::{self};
use crate::support::command::Command;
use crate::support::partition::Partition;
use crate::support::{Outcome, Running, Sandbox, executables, is_root, run_directory, wait_until};
use std::fs;

scenarios![
    each_user_has_a_server_of_his_own,
    all_start_in_order_and_their_status_is_a_table,
    eight_stop_in_the_time_of_the_slowest,
    lines_of_servers_that_stop_together_stay_whole,
    one_that_fails_does_not_hide,
    one_that_cannot_be_run_does_not_hide_either,
    a_restart_stops_all_then_starts_those_that_may,
    a_signal_reaches_every_stop,
    other_verbs_go_from_one_to_the_next,
    what_is_for_one_server_is_refused,
    a_list_sets_the_order,
    the_default_user_counts_where_he_is_configured,
    a_users_variable_hides_no_server,
    a_link_never_means_another_server,
    a_configured_user_who_is_gone_is_a_failure,
    a_restart_that_is_ended_says_who_is_down,
    a_restart_outlives_its_terminal_and_its_caller,
    verbs_that_act_answer_programs,
    rc_all_keeps_working,
    the_verbs_of_lsb,
];

/// A sandbox with servers of these users beside its own, which is not
/// configured. They have the sandbox's uid: an ordinary user can be no other.
fn host(users: &[&str]) -> (Sandbox, Vec<Partition>) {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_CONFIGURED");
    sandbox.forget("DOMINO_PID_FILE");
    let mut members = Vec::new();
    for user in users {
        name_user(&sandbox, user);
        let owner = is_root().then_some(sandbox.ids);
        members.push(Partition::install(&mut sandbox, user, owner));
    }
    (sandbox, members)
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let command = sandbox.command(arguments).called("rc_domino");
    command.no_env("DOMINO_USER").run()
}

#[track_caller]
fn up(sandbox: &Sandbox, members: &[Partition]) {
    run(sandbox, &["all", "start"]).code(0);
    wait_until("all are up", || members.iter().all(Partition::is_up));
}

#[track_caller]
fn all_down(sandbox: &Sandbox, members: &[Partition]) {
    run(sandbox, &["all", "stop"]).code(0);
    assert!(!members.iter().any(Partition::runs));
}

fn each_user_has_a_server_of_his_own() {
    let (sandbox, members) = host(&["mail", "app", "hub"]);
    for member in &members {
        run(&sandbox, &["--user", &member.user, "start"]).code(0);
    }
    wait_until("all are up", || members.iter().all(Partition::is_up));
    // One goes, the others stay.
    run(&sandbox, &["--user", "app", "stop"]).code(0);
    let running: Vec<bool> = members.iter().map(Partition::runs).collect();
    assert_eq!(running, [true, false, true]);
    run(&sandbox, &["--user", "app", "status"])
        .code(3)
        .stdout_has("Domino Server is NOT running (app)");
    run(&sandbox, &["--user", "hub", "status"])
        .code(0)
        .stdout_has("Domino Server is running (hub)");
    // By a link's name, and by the environment as the init script has it.
    link("rc_domino_hub");
    let by_name = sandbox.command(&["stop"]).called("rc_domino_hub").run();
    by_name.code(0).stdout_has("hub");
    let by_variable = sandbox.command(&["stop"]).env("DOMINO_USER", "mail");
    by_variable.run().code(0).stdout_has("mail");
    assert!(!members.iter().any(Partition::runs));
}

fn all_start_in_order_and_their_status_is_a_table() {
    let (sandbox, members) = host(&["mail", "app", "hub"]);
    let table = run(&sandbox, &["all", "status"]).code(3);
    assert_eq!(table.text().lines().count(), 4, "{table}");
    let started = run(&sandbox, &["all", "start", "--wait"]).code(0);
    let text = started.text();
    let places: Vec<_> = ["app ", "hub ", "mail"]
        .iter()
        .map(|user| text.find(&format!("{user}  Starting Domino server")))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{started}"
    );
    assert!(members.iter().all(Partition::is_up));
    let table = run(&sandbox, &["all", "status"]).code(0).quiet();
    let lines: Vec<String> = table.text().lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("USER  SERVER  STATE    PID"),
        "{table}"
    );
    for (line, user) in lines[1..].iter().zip(["app", "hub", "mail"]) {
        assert!(
            line.starts_with(user) && line.contains("running"),
            "{table}"
        );
    }
    let display = run(&sandbox, &["all", "status", "display"]).code(0);
    assert_eq!(
        display.text(),
        "[ ON  ] - app\n[ ON  ] - hub\n[ ON  ] - mail\n"
    );
    run(&sandbox, &["--user", "hub", "stop"]).code(0);
    let json = run(&sandbox, &["all", "status", "--json"]).code(3).quiet();
    let array: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let seen: Vec<_> = array
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["user"].as_str().unwrap(),
                one["state"].as_str().unwrap(),
                one["exit_code"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("app", "running", 0),
            ("hub", "stopped", 3),
            ("mail", "running", 0)
        ]
    );
    all_down(&sandbox, &members);
}

fn eight_stop_in_the_time_of_the_slowest() {
    let users = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
    let (sandbox, members) = host(&users);
    for member in &members {
        member.mode("tasks=router,http\n");
    }
    up(&sandbox, &members);
    let servers = held(&members);
    let stop = sandbox.command(&["all", "stop"]).called("rc_domino");
    let stop = stop.no_env("DOMINO_USER").spawn();
    // Not one of them is waited for before the next is told: none can end.
    wait_until("all are told to quit", || {
        members.iter().all(Partition::is_told_to_quit)
    });
    assert!(members.iter().all(Partition::runs), "one is down already");
    servers.iter().for_each(|server| go_on(*server));
    stop.outcome().code(0);
    assert!(!members.iter().any(Partition::runs));
}

/// The server of each, halted: a shutdown takes until it may go on.
fn held(members: &[Partition]) -> Vec<i32> {
    let server = |member: &Partition| {
        let mut calls = standin::read_calls(&member.data).unwrap();
        calls.retain(|call| call.program == "server" && call.args().is_empty());
        calls.last().unwrap().pid
    };
    let servers: Vec<i32> = members.iter().map(server).collect();
    for server in &servers {
        standin::processes::signal(*server, libc::SIGSTOP);
    }
    servers
}

fn go_on(server: i32) {
    standin::processes::signal(server, libc::SIGCONT);
}

fn lines_of_servers_that_stop_together_stay_whole() {
    let (sandbox, members) = host(&["mail", "app", "hub"]);
    up(&sandbox, &members);
    let stopped = run(&sandbox, &["all", "stop"]).code(0);
    let text = stopped.text();
    let (lines, summary) = text.split_once("stop of 3 servers:\n").unwrap();
    for line in lines.lines() {
        let front = line.get(..6).unwrap_or_default();
        assert!(["app   ", "hub   ", "mail  "].contains(&front), "{stopped}");
    }
    for user in ["app ", "hub ", "mail"] {
        for said in [
            "Stopping Domino server",
            "Waiting for the shutdown",
            "Flushed",
        ] {
            assert!(lines.contains(&format!("{user}  {said}")), "{stopped}");
        }
    }
    assert_eq!(summary, "  app   done\n  hub   done\n  mail  done\n");
}

fn one_that_fails_does_not_hide() {
    let (sandbox, members) = host(&["mail", "app", "hub"]);
    up(&sandbox, &members);
    // One must be killed, one crashes, one stops well.
    sandbox.sysconfig(
        "rc_domino_config_app",
        format!(
            "DOMINO_CONFIGURED=yes\nLOTUS={}\nDOMINO_DATA_PATH={}\nDOMINO_SHUTDOWN_TIMEOUT=1\n",
            members[1].lotus.display(),
            members[1].data.display()
        )
        .as_bytes(),
    );
    members[1].mode("ignore_quit=1\n");
    members[2].mode("crash_on_stop=1\n");
    let stopped = run(&sandbox, &["all", "stop"]).code(151);
    for line in [
        "  app   exit code 150: stopped by force",
        "  hub   exit code 151: the server crashed",
        "  mail  done",
    ] {
        assert!(stopped.said(line), "{stopped}");
    }
    // A configuration that cannot be read is no server that is down.
    sandbox.sysconfig("rc_domino_config_hub", b"DOMINO_CONFIGURED=yes\nif\n");
    let status = run(&sandbox, &["all", "status"]).code(6);
    assert!(status.said("unknown (6)"), "{status}");
    let json = run(&sandbox, &["all", "status", "--json"]).code(6);
    let array: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(array[1]["exit_code"], 6);
    assert_eq!(array[0]["state"], "stopped");
    for member in &members {
        standin::kill_all(&member.lotus, &member.data);
    }
}

/// Too few descriptors for all of them: those that could be run are told of.
fn one_that_cannot_be_run_does_not_hide_either() {
    let (sandbox, members) = host(&["app", "mail", "web"]);
    let few = sandbox.script(
        "few",
        "ulimit -n \"$1\"; shift; exec rc_domino \"$@\" </dev/null",
    );
    let path = format!(
        "{}:/usr/bin:/bin",
        run_directory::get().join("bin").display()
    );
    let mut seen = 0;
    for descriptors in 8..40 {
        let outcome = Command::new(&sandbox, few.clone())
            .args(&[&descriptors.to_string(), "all", "stop"])
            .env("PATH", &path)
            .no_env("DOMINO_USER")
            .run();
        let unseen = members.len() - outcome.text().matches("was not running").count();
        if (1..members.len()).contains(&unseen) {
            seen += 1;
            outcome.code(1).stdout_has("stop of 3 servers:");
        }
    }
    assert_ne!(seen, 0);
}

fn a_restart_stops_all_then_starts_those_that_may() {
    let (sandbox, members) = host(&["mail", "app", "hub"]);
    up(&sandbox, &members);
    // Disabled for maintenance: it must not be left down by a restart.
    fs::write(members[1].data.join("domino_disabled"), "").unwrap();
    let restarted = run(&sandbox, &["all", "restart", "--wait"]).code(154);
    assert!(restarted.said("  app   exit code 154"), "{restarted}");
    let text = restarted.text();
    let first_start = text.find("Starting Domino server").unwrap();
    let last_stop = text.rfind("stopped after").unwrap();
    assert!(last_stop < first_start, "{restarted}");
    let starts: Vec<usize> = members.iter().map(Partition::starts).collect();
    assert_eq!(starts, [2, 1, 2]);
    assert!(members.iter().all(Partition::runs));
    all_down(&sandbox, &members);
}

fn a_signal_reaches_every_stop() {
    let (sandbox, members) = host(&["mail", "app"]);
    up(&sandbox, &members);
    let servers = held(&members);
    let stop = sandbox.command(&["all", "stop"]).called("rc_domino");
    let stop = stop.spawn();
    wait_until("both are told to quit", || {
        members.iter().all(Partition::is_told_to_quit)
    });
    stop.signal(libc::SIGTERM);
    let stopped = stop.outcome().code(143);
    for user in ["app", "mail"] {
        let row = format!("{user:4}  exit code 143: ended by SIGTERM");
        assert!(stopped.said(&row), "{stopped}");
    }
    assert!(stopped.said("interrupted by SIGTERM"), "{stopped}");
    servers.iter().for_each(|server| go_on(*server));
    all_down(&sandbox, &members);
}

fn other_verbs_go_from_one_to_the_next() {
    let (sandbox, members) = host(&["mail", "app"]);
    let inivar = run(&sandbox, &["all", "inivar", "MailServer"]).code(0);
    assert_eq!(
        inivar.text(),
        "== app ==\nCN=standin/O=Example\n== mail ==\nCN=standin/O=Example\ninivar of 2 servers:\n  app   done\n  mail  done\n"
    );
    let missing = run(&sandbox, &["all", "inivar", "NoSuch"]).code(1);
    assert!(missing.said("  mail  exit code 1"), "{missing}");
    run(&sandbox, &["all", "frobnicate"]).code(2);
    let thawed = run(&sandbox, &["all", "snapshot", "status"]).code(3);
    let row = "  mail  exit code 3: what was asked for is not there\n";
    assert!(thawed.said(row), "{thawed}");
    let json = run(&sandbox, &["all", "resources", "--json"]).code(0);
    let array: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 2);
    assert_eq!(array[1]["user"], "mail");
    up(&sandbox, &members);
    let sent = run(&sandbox, &["all", "cmd", "show server"]).code(0);
    assert_eq!(sent.text().matches("Server name:").count(), 2, "{sent}");
    all_down(&sandbox, &members);
}

fn what_is_for_one_server_is_refused() {
    let (sandbox, members) = host(&["mail", "app"]);
    for words in [
        &["all"][..],
        &["all", "monitor"],
        &["all", "console"],
        &["all", "run"],
        &["all", "start", "live"],
        &["all", "all", "start"],
        &["all", "-x"],
        &["--user", "mail", "all", "start"],
        &["all", "status", "--format", "nagios"],
    ] {
        run(&sandbox, words).code(2);
    }
    assert_eq!(members.iter().map(Partition::starts).sum::<usize>(), 0);
    let (sandbox, _) = host(&[]);
    run(&sandbox, &["all", "start"])
        .code(6)
        .stderr_has("rc_domino_config_USER");
}

fn a_list_sets_the_order() {
    let (mut sandbox, _members) = host(&["mail", "app", "hub"]);
    sandbox.set("DOMINO_PARTITIONS", "hub mail gone");
    let display = run(&sandbox, &["all", "status", "display"]).code(6);
    assert_eq!(display.text(), "[ OFF ] - hub\n[ OFF ] - mail\n");
    assert!(display.said("gone"), "{display}");
}

fn the_default_user_counts_where_he_is_configured() {
    let (mut sandbox, _members) = host(&["mail"]);
    sandbox.set("DOMINO_CONFIGURED", "yes");
    sandbox.sysconfig("rc_domino_config_nobody9", b"DOMINO_CONFIGURED=yes\n");
    sandbox.sysconfig("rc_domino_config_mail.rpmsave", b"");
    let display = run(&sandbox, &["all", "status", "display"]).code(6);
    assert_eq!(display.text(), "[ OFF ] - notes\n[ OFF ] - mail\n");
    let complaints = String::from_utf8_lossy(&display.stderr).into_owned();
    assert_eq!(complaints.lines().count(), 1, "{display}");
    assert!(complaints.contains("nobody9"), "{display}");
}

fn a_users_variable_hides_no_server() {
    let (mut sandbox, _members) = host(&["mail"]);
    sandbox.set("DOMINO_CONFIGURED", "yes");
    let display = |user: &str| {
        let command = sandbox.command(&["all", "status", "display"]);
        command.called("rc_domino").env("DOMINO_USER", user).run()
    };
    let both = "[ OFF ] - notes\n[ OFF ] - mail\n";
    assert_eq!(display("mail").code(3).text(), both);
    // One without a configuration of his own stands in the default user's place.
    forget_user(&sandbox, "notes");
    name_user(&sandbox, "domino");
    let both = "[ OFF ] - domino\n[ OFF ] - mail\n";
    assert_eq!(display("domino").code(3).text(), both);
}

/// A further line for a user of the sandbox's own number.
fn name_user(sandbox: &Sandbox, user: &str) {
    let (uid, gid) = sandbox.ids;
    let passwd = sandbox.root.join("etc/passwd");
    let line = format!("{user}:x:{uid}:{gid}::{}:/bin/sh\n", sandbox.home.display());
    fs::write(&passwd, fs::read_to_string(&passwd).unwrap() + &line).unwrap();
}

fn forget_user(sandbox: &Sandbox, user: &str) {
    let passwd = sandbox.root.join("etc/passwd");
    let text = fs::read_to_string(&passwd).unwrap();
    let others = text
        .lines()
        .filter(|line| line.split(':').next() != Some(user));
    let others: String = others.map(|line| format!("{line}\n")).collect();
    assert_ne!(others, text);
    fs::write(&passwd, others).unwrap();
}

/// The product under one more name.
fn link(name: &str) {
    let _guard = executables();
    let _ = std::os::unix::fs::symlink("rc_domino", run_directory::program(name));
}

fn a_link_never_means_another_server() {
    let mut sandbox = Sandbox::new();
    let owner = is_root().then_some(sandbox.ids);
    Partition::install(&mut sandbox, "hub", owner);
    sandbox.up();
    // No such user; one who is configured and gone; the same as a runlevel's link.
    for name in ["rc_domino_nosuch", "rc_domino_hub", "S66rc_domino_hub"] {
        link(name);
        for variable in [None, Some("notes")] {
            let stop = sandbox.command(&["stop"]).called(name);
            let stop = match variable {
                Some(user) => stop.env("DOMINO_USER", user),
                None => stop.no_env("DOMINO_USER"),
            };
            let user = name.rsplit('_').next().unwrap();
            stop.run().code(6).stderr_has(user);
        }
    }
    assert!(!sandbox.processes().is_empty());
    sandbox.down();
}

fn a_configured_user_who_is_gone_is_a_failure() {
    let (sandbox, members) = host(&["mail", "app"]);
    up(&sandbox, &members);
    forget_user(&sandbox, "app");
    let stopped = run(&sandbox, &["all", "stop"]).code(6);
    assert!(stopped.said("  app   exit code 6"), "{stopped}");
    assert!(stopped.said("  mail  done"), "{stopped}");
    assert!(members[1].runs() && !members[0].runs());
    let json = run(&sandbox, &["all", "status", "--json"]).code(6);
    let array: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(array[0]["user"], "app");
    assert_eq!(array[0]["state"], "unknown");
    assert!(array[0]["running"].is_null() && array[0].get("running").is_some());
    assert_eq!(array[0]["processes"], serde_json::json!([]));
    assert_eq!(array[1]["running"], false);
    standin::kill_all(&members[1].lotus, &members[1].data);
}

/// A restart of both that have been told to quit, and their servers, which do
/// so as soon as they may go on.
fn quitting(sandbox: &Sandbox, members: &[Partition]) -> (Running, Vec<i32>) {
    up(sandbox, members);
    let servers = held(members);
    let restart = sandbox.command(&["all", "restart"]).called("rc_domino");
    let restart = restart.no_env("DOMINO_USER").spawn();
    wait_until("both are told to quit", || {
        members.iter().all(Partition::is_told_to_quit)
    });
    (restart, servers)
}

fn a_restart_that_is_ended_says_who_is_down() {
    let (sandbox, members) = host(&["mail", "app"]);
    let (mut restart, servers) = quitting(&sandbox, &members);
    // One is down already and waits for the other.
    go_on(servers[0]);
    restart.wait_says("mail  Domino server mail stopped after");
    restart.signal(libc::SIGTERM);
    let restarted = restart.outcome().code(143);
    for user in ["app", "mail"] {
        let row = format!("  {user:4}  exit code 143: ended by SIGTERM");
        assert!(restarted.said(&row), "{restarted}");
    }
    assert!(
        restarted.said(
            "mail  rc_domino: interrupted by SIGTERM: the server is down; it was not started again"
        ),
        "{restarted}"
    );
    go_on(servers[1]);
    wait_until("both are down", || !members.iter().any(Partition::runs));
    let starts: Vec<usize> = members.iter().map(Partition::starts).collect();
    assert_eq!(starts, [1, 1]);
}

fn a_restart_outlives_its_terminal_and_its_caller() {
    for signal in [libc::SIGHUP, libc::SIGKILL] {
        let (sandbox, members) = host(&["mail", "app"]);
        let (restart, servers) = quitting(&sandbox, &members);
        restart.signal(signal);
        servers.iter().for_each(|server| go_on(*server));
        let restarted = restart.outcome();
        if signal == libc::SIGHUP {
            restarted.code(0);
        }
        wait_until("both are started again", || {
            members
                .iter()
                .all(|member| member.starts() == 2 && member.is_up() && member.runs())
        });
        all_down(&sandbox, &members);
    }
}

fn verbs_that_act_answer_programs() {
    let (sandbox, members) = host(&["mail", "app"]);
    let outcomes = |words: &[&str], code| -> serde_json::Value {
        let answer = run(&sandbox, words).code(code);
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{answer}"))
    };
    let done = serde_json::json!([
        {"user": "app", "exit_code": 0, "outcome": "done"},
        {"user": "mail", "exit_code": 0, "outcome": "done"},
    ]);
    assert_eq!(outcomes(&["all", "start", "--wait", "--json"], 0), done);
    assert_eq!(outcomes(&["all", "restart", "--json"], 0), done);
    assert_eq!(outcomes(&["all", "try-restart", "--json"], 0), done);
    members[0].mode("crash_on_stop=1\n");
    let stopped = outcomes(&["all", "stop", "--json"], 151);
    assert_eq!(stopped[0], done[0]);
    assert_eq!(stopped[1]["exit_code"], 151);
    assert_eq!(stopped[1]["outcome"], "the server crashed while stopping");
    let failed = outcomes(&["all", "inivar", "NoSuch", "--json"], 1);
    assert_eq!(failed[0]["exit_code"], 1);
}

/// What the original's `rc_all` does: it looks for `rc_domino*`, calls each
/// with a verb, and shows what `status display` answers.
fn rc_all_keeps_working() {
    let (sandbox, members) = host(&["mail", "app"]);
    let scripts = sandbox.directory("init.d");
    let program = run_directory::program("rc_domino");
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/init.d/rc_domino"))
        .unwrap()
        .replace("/usr/bin/rc_domino", &program.display().to_string());
    {
        let _guard = executables();
        for user in ["mail", "app"] {
            let script = scripts.join(format!("rc_domino_{user}"));
            fs::write(&script, &template).unwrap();
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let each = |verb: &str| {
        let line = format!(
            "for script in $(find {}/ -maxdepth 1 -name 'rc_domino*' | sort); do $script {verb} || exit; done",
            scripts.display()
        );
        let shell = crate::support::command::Command::new(&sandbox, "/bin/sh".into());
        shell.args(&["-c", &line]).run()
    };
    each("start").code(0);
    wait_until("all are up", || members.iter().all(Partition::is_up));
    assert_eq!(
        each("status display").code(0).text(),
        "[ ON  ] - app\n[ ON  ] - mail\n"
    );
    each("stop").code(0);
    assert!(!members.iter().any(Partition::runs));
}

fn the_verbs_of_lsb() {
    let sandbox = Sandbox::new();
    for verb in ["try-restart", "force-reload"] {
        sandbox
            .run(&[verb])
            .code(0)
            .stdout_has("nothing to restart");
    }
    assert!(sandbox.launches().is_empty());
    sandbox.up();
    sandbox.run(&["try-restart"]).code(0);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.run(&["force-reload"]).code(0);
    assert_eq!(sandbox.launches().len(), 3);
    sandbox.down();
    sandbox.run(&["try-restart", "now"]).code(2);
}
