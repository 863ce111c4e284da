//! `status` for programs: JSON, Nagios, Prometheus; and how it shows itself.

use crate::standin::TASKS;
use crate::support::{Sandbox, wait_until};
use serde_json::Value;

scenarios![
    json,
    nagios,
    prometheus,
    colour_only_where_asked,
    says_nothing_else
];

fn json() {
    let sandbox = Sandbox::new();
    let parse = |code: i32| -> Value {
        let outcome = sandbox.run(&["status", "--json"]).code(code).quiet();
        serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
    };
    let down = parse(3);
    assert_eq!(down["running"], false);
    assert_eq!(down["state"], "stopped");
    assert_eq!(down["pid"], Value::Null);
    sandbox.up();
    let up = parse(0);
    assert_eq!(up["running"], true);
    assert_eq!(up["state"], "running");
    assert_eq!(up["server"], "notes");
    assert_eq!(up["user"], "notes");
    assert_eq!(up["data"], sandbox.data.to_str().unwrap());
    assert_eq!(up["pid"], sandbox.launch().pid);
    let of = |role: &str| -> Vec<Value> {
        let processes = up["processes"].as_array().unwrap();
        processes
            .iter()
            .filter(|process| process["role"] == role)
            .cloned()
            .collect()
    };
    assert_eq!(of("server").len(), 1);
    let mut tasks: Vec<_> = of("task")
        .iter()
        .map(|task| task["name"].as_str().unwrap().to_owned())
        .collect();
    tasks.sort();
    let mut expected = TASKS.map(str::to_owned);
    expected.sort();
    assert_eq!(tasks, expected);
    for task in of("task") {
        assert_eq!(task["parent"], up["pid"]);
        assert!(task["memory_bytes"].as_u64().unwrap() > 0);
    }
    // The same under its other name.
    let other = sandbox.run(&["status", "--format", "json"]).code(0);
    assert!(serde_json::from_slice::<Value>(&other.stdout).is_ok());
    sandbox.down();
}

fn nagios() {
    let sandbox = Sandbox::new();
    let line = |code: i32| {
        let text = sandbox
            .run(&["status", "--format", "nagios"])
            .code(code)
            .quiet()
            .text();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let down = line(2);
    assert!(
        down.starts_with("DOMINO CRITICAL - ") && down.contains("'processes'=0"),
        "{down}"
    );
    sandbox.up();
    let up = line(0);
    assert!(up.starts_with("DOMINO OK - "), "{up}");
    let expected = format!("'processes'={}", TASKS.len() + 1);
    assert!(
        up.contains(&expected) && up.contains(&format!("'tasks'={}", TASKS.len())),
        "{up}"
    );
    sandbox.down();
    // Cannot tell: Nagios calls that unknown, with code 3.
    let mut sandbox = Sandbox::new();
    sandbox.raw("DOMINO_SHUTDOWN_TIMEOUT=abc");
    sandbox.run(&["status", "--format", "nagios"]).code(3);
}

fn prometheus() {
    let sandbox = Sandbox::with(&[("DOMINO_SERVER", "a\"b\\c")]);
    sandbox.run(&["start"]).code(0);
    wait_until("all tasks run", || sandbox.calls("http").len() == 1);
    let text = sandbox
        .run(&["status", "--format", "prometheus"])
        .code(0)
        .quiet()
        .text();
    let sample = |name: &str| {
        let front = format!("{name}{{server=\"a\\\"b\\\\c\"}} ");
        let mut values = text.lines().filter_map(|line| line.strip_prefix(&front));
        let value: f64 = values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap();
        assert!(text.contains(&format!("# TYPE {name} gauge")) && values.next().is_none());
        value
    };
    assert_eq!(sample("domino_server_up"), 1.0);
    assert_eq!(sample("domino_server_tasks"), TASKS.len() as f64);
    assert_eq!(sample("domino_processes"), TASKS.len() as f64 + 1.0);
    assert!(sample("domino_resident_memory_bytes") > 100_000.0);
    sandbox.down();
    let text = sandbox
        .run(&["status", "--format", "prometheus"])
        .code(3)
        .text();
    assert!(text.contains("} 0\n"), "{text}");
}

fn colour_only_where_asked() {
    let sandbox = Sandbox::new();
    let colour = |arguments: &[&str]| sandbox.run(arguments).stdout.contains(&0x1b);
    assert!(!colour(&["status"]));
    assert!(colour(&["--color", "always", "status"]));
    assert!(!colour(&["--color", "never", "status"]));
}

/// rc_all and its like parse one line.
fn says_nothing_else() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_STATUS_SCRIPT", "echo noise");
    let outcome = sandbox.run(&["status", "display"]).code(3);
    assert_eq!(outcome.text(), "[ OFF ] - notes\n");
    let outcome = sandbox.run(&["status", "--json"]).code(3);
    assert!(
        serde_json::from_slice::<Value>(&outcome.stdout).is_ok(),
        "{outcome}"
    );
}
