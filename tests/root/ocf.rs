//! The resource agent as a cluster calls it: by root, and in a test by nobody.

use super::{as_root, host};
use crate::support::wait_until;
use std::fs;

scenarios![
    the_agent_acts_as_the_domino_user needs Root,
    nobody_may_ask_what_it_is_and_no_more needs Root,
    a_login_that_is_broken_costs_no_server_its_shutdown needs Root,
    a_user_who_cannot_be_looked_up_keeps_his_server needs Root,
    there_is_a_directory_for_the_pid_file needs Root,
    a_stop_that_the_cluster_killed_keeps_nobody_waiting needs Root,
];

fn the_agent_acts_as_the_domino_user() {
    let sandbox = host();
    let act = |action: &str| {
        let command = as_root(&sandbox, &["ocf", action]);
        command.env("OCF_RESOURCE_INSTANCE", "dom").run()
    };
    act("validate-all").code(0);
    act("monitor").code(7);
    act("start").code(0);
    assert_eq!(sandbox.launch().uids, [sandbox.ids.0; 3]);
    act("monitor").code(0).quiet();
    act("stop").code(0);
    act("monitor").code(7);
    assert!(sandbox.processes().is_empty());
}

fn nobody_may_ask_what_it_is_and_no_more() {
    let sandbox = host();
    let nobody = |action: &str| {
        let mut entry = sandbox.entry_as_caller();
        entry.ids = Some((65_534, 65_534, Vec::new()));
        as_root(&sandbox, &["ocf", action]).entering(entry).run()
    };
    nobody("meta-data").code(0).quiet();
    for action in ["start", "stop", "monitor", "validate-all"] {
        nobody(action).code(4).stderr_has("ocf-exit-reason:");
    }
    nobody("promote").code(3);
    assert!(sandbox.calls("").is_empty());
}

fn a_login_that_is_broken_costs_no_server_its_shutdown() {
    let sandbox = host();
    as_root(&sandbox, &["ocf", "start"]).run().code(0);
    fs::write(sandbox.home.join(".profile"), "exit 0\n").unwrap();
    as_root(&sandbox, &["stop"]).run().code(1);
    let stopped = as_root(&sandbox, &["ocf", "stop"]).run().code(0);
    assert!(!stopped.said("SIGKILL"), "{stopped}");
    assert!(sandbox.console().contains("Server shutdown complete"));
    as_root(&sandbox, &["ocf", "start"])
        .run()
        .code(1)
        .stderr_has("ocf-exit-reason:nothing was done: the login of user");
}

/// The directory service is down: his processes keep their number.
fn a_user_who_cannot_be_looked_up_keeps_his_server() {
    let sandbox = host();
    let act = |action: &str| {
        let command = as_root(&sandbox, &["ocf", action]);
        command.env("OCF_RESKEY_CRM_meta_interval", "10000").run()
    };
    act("start").code(0);
    let passwd = sandbox.root.join("etc/passwd");
    let with = fs::read_to_string(&passwd).unwrap();
    let without: Vec<&str> = with
        .lines()
        .filter(|line| !line.starts_with("notes:"))
        .collect();
    fs::write(&passwd, without.join("\n") + "\n").unwrap();
    let server = sandbox.servers();
    act("monitor")
        .code(0)
        .stderr_has("there is no user 'notes'");
    act("stop")
        .code(1)
        .stderr_has("ocf-exit-reason:a Domino program runs here");
    // Another name for the same number.
    let renamed = with.replace("notes:x:", "domino:x:");
    assert_ne!(renamed, with);
    fs::write(&passwd, renamed).unwrap();
    act("monitor").code(0);
    act("stop").code(1);
    assert_eq!(sandbox.servers(), server);
    fs::write(&passwd, with).unwrap();
    act("stop").code(0);
    assert!(sandbox.console().contains("Server shutdown complete"));
}

/// Without a unit nobody else makes it.
fn there_is_a_directory_for_the_pid_file() {
    let mut sandbox = host();
    let mut entry = sandbox.entry_as_caller();
    let run = sandbox.directory("run-of-its-own");
    entry.bind(&run, "/run");
    for name in ["/tmp/elsewhere", "/run/others", "/run/notes"] {
        sandbox.set("DOMINO_PID_FILE", format!("{name}/domino.pid"));
        let command = as_root(&sandbox, &["ocf", "start"]);
        command.entering(entry.clone()).run().code(0);
        let command = as_root(&sandbox, &["ocf", "stop"]);
        command.entering(entry.clone()).run().code(0);
    }
    use std::os::unix::fs::MetadataExt;
    assert!(!run.join("others").exists());
    assert_eq!(
        fs::metadata(run.join("notes")).unwrap().uid(),
        sandbox.ids.0
    );
}

/// What waits for the shutdown is the user by then, and no child of his.
fn a_stop_that_the_cluster_killed_keeps_nobody_waiting() {
    let mut sandbox = host();
    sandbox.set("DOMINO_SHUTDOWN_TIMEOUT", "600");
    as_root(&sandbox, &["ocf", "start"]).run().code(0);
    sandbox.mode("ignore_quit=1\n");
    let hangs = as_root(&sandbox, &["ocf", "stop"]).spawn();
    wait_until("the server is told to quit", || {
        let calls = sandbox.calls("server");
        let mut words = calls.iter().flat_map(|call| call.args());
        words.any(|word| word == "-q")
    });
    hangs.signal(libc::SIGKILL);
    hangs.outcome().code(128 + libc::SIGKILL);
    let again = as_root(&sandbox, &["ocf", "stop"]).env("OCF_RESKEY_shutdown_timeout", "1");
    let stopped = again.run().code(0).stderr_has("stopped by force");
    assert!(stopped.took.as_secs() < 20, "{stopped}");
}
