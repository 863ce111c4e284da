//! `check` of a server's unit, as systemd would read it.

use super::config_verbs::{sound, unit};
use crate::support::Sandbox;
use std::fs;

scenarios![
    check_compares_the_unit,
    check_knows_notify_units,
    check_knows_what_systemd_makes_of_the_init_script,
    check_reads_commands_as_systemd_does,
    check_counts_what_systemd_counts,
    check_tells_of_a_failure_that_systemd_would_not_see,
    check_tells_of_a_stop_that_systemd_would_undo,
];

/// Units of both kinds in which nothing is wrong.
fn good(sandbox: &Sandbox) -> [String; 2] {
    let script = sandbox.script("rc_domino_script", "true");
    let script = script.display();
    [
        format!(
            "[Service]\nUser=notes\nType=forking\nExecStart={script} start\nExecStop={script} stop\nTimeoutStopSec=11min\nLimitNOFILE=80000\n"
        ),
        format!(
            "[Service]\nUser=notes\nType=notify\nNotifyAccess=exec\nExecStart={script} run\nExecStopPost={script} stop --after-run\nKillMode=process\nLimitNOFILE=80000\n"
        ),
    ]
}

/// Each unit with what `check` says of it, or "" where it finds nothing.
#[track_caller]
fn judged<'a>(sandbox: &Sandbox, units: impl IntoIterator<Item = (String, &'a str)>) {
    let mut wrong = String::new();
    for (text, expected) in units {
        unit(sandbox, &text);
        let outcome = sandbox.run(&["check"]);
        let right = match expected {
            "" => outcome.code == 0,
            _ => outcome.code == 1 && outcome.said(expected) && outcome.said("1 finding"),
        };
        if !right {
            wrong.push_str(&format!("{text}wanted: '{expected}'; {outcome}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// D109.
fn check_compares_the_unit() {
    let mut sandbox = sound();
    sandbox.forget("DOMINO_PID_FILE");
    sandbox.set("DOMINO_PID_FILE", "/run/notes/domino.pid");
    let script = sandbox.script("rc_domino_script", "true");
    let script = script.display().to_string();
    let good = format!(
        "[Service]\nUser=notes\nType=forking\nPIDFile=/run/notes/domino.pid\nExecStart={script} start\nExecStop={script} stop\nTimeoutStopSec=11min\nLimitNOFILE=80000\n"
    );
    unit(&sandbox, &good);
    sandbox.run(&["check"]).code(0);
    for (from, to, expected) in [
        ("User=notes", "User=root", "domino.service:2: User=root"),
        ("User=notes\n", "", "no User="),
        ("forking", "simple", "domino.service:3: "),
        ("/run/notes/", "/run/other/", "domino.service:4: "),
        ("script start", "script stop", "domino.service:5: "),
        (
            "/rc_domino_script stop",
            "/nosuch stop",
            "domino.service:6: ",
        ),
        ("ExecStop=", "#ExecStop=", "no ExecStop="),
        ("11min", "9min", "domino.service:7: TimeoutStopSec=9min"),
        ("11min", "soon", "no time"),
        ("TimeoutStopSec=11min", "", "systemd's default"),
        ("80000", "1024:524288", "domino.service:8: LimitNOFILE"),
        ("LimitNOFILE=80000", "", "no LimitNOFILE="),
        (
            "11min",
            "11min\nKillMode=mixed",
            "domino.service:8: KillMode=",
        ),
        (
            "11min",
            "11min\nNoNewPrivileges=yes",
            "domino.service:8: NoNewPrivileges=yes",
        ),
        (
            "11min",
            "11min\nPrivateDevices=true",
            "domino.service:8: PrivateDevices=true",
        ),
    ] {
        unit(&sandbox, &good.replace(from, to));
        sandbox.run(&["check"]).code(1).stdout_has(expected);
    }
    // A drop-in counts after the unit.
    let path = unit(&sandbox, &good.replace("11min", "9min"));
    let drop_ins = path.with_file_name("domino.service.d");
    fs::create_dir_all(&drop_ins).unwrap();
    fs::write(drop_ins.join("x.conf"), "[Service]\nTimeoutStopSec=1h\n").unwrap();
    sandbox.run(&["check"]).code(0);
    // One for all units, with a lower name: it does not.
    let for_all = sandbox.root.join("usr/lib/systemd/system/service.d");
    fs::create_dir_all(&for_all).unwrap();
    fs::write(
        for_all.join("a.conf"),
        "[Service]\nTimeoutStopSec=5\nKillMode=mixed\n",
    )
    .unwrap();
    sandbox
        .run(&["check"])
        .code(1)
        .stdout_has("service.d/a.conf:3: KillMode=mixed")
        .stdout_has("1 finding");
    // One of the same name in the place of it.
    let here = path.with_file_name("service.d");
    fs::create_dir_all(&here).unwrap();
    std::os::unix::fs::symlink("/dev/null", here.join("a.conf")).unwrap();
    sandbox.run(&["check"]).code(0);
    // Asked for time it is asked for long enough.
    fs::remove_dir_all(drop_ins).unwrap();
    unit(&sandbox, &good.replace("11min", "9min\nNotifyAccess=exec"));
    sandbox.run(&["check"]).code(0);
    fs::copy(&path, path.with_file_name("domino2.service")).unwrap();
    sandbox.run(&["check"]).code(0);
    let wants = path.with_file_name("multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink("../domino2.service", wants.join("domino2.service")).unwrap();
    sandbox.run(&["check"]).code(1).stdout_has("second unit");
}

/// D109: the unit whose main process is ours.
fn check_knows_notify_units() {
    let sandbox = sound();
    let script = sandbox.script("rc_domino_script", "true");
    let script = script.display().to_string();
    let good = format!(
        "[Service]\nUser=notes\nType=notify\nNotifyAccess=exec\nExecStart={script} run\nExecStopPost={script} stop --after-run\nKillMode=process\nTimeoutStopSec=10\nLimitNOFILE=80000\n"
    );
    unit(&sandbox, &good);
    sandbox.run(&["check"]).code(0);
    for (from, to, expected) in [
        ("script run", "script start", "domino.service:5: "),
        ("ExecStopPost=", "#", "no ExecStopPost="),
        ("stop --after-run", "stop", "without --after-run"),
        ("=process", "=mixed", "domino.service:7: KillMode=mixed"),
        ("KillMode=process", "", "KillMode= is not set"),
        ("=exec", "=none", "domino.service:4: NotifyAccess=none"),
        ("=exec", "=main", "domino.service:8: TimeoutStopSec=10"),
        ("=notify", "=forking", "domino.service:5: "),
    ] {
        unit(&sandbox, &good.replace(from, to));
        sandbox.run(&["check"]).code(1).stdout_has(expected);
    }
}

/// D109: what systemd makes of the init script, beside a unit of the server and
/// without one.
fn check_knows_what_systemd_makes_of_the_init_script() {
    let sandbox = sound();
    let script = sandbox.script("rc_domino_script", "true");
    let script = script.display().to_string();
    let good = format!(
        "[Service]\nUser=notes\nType=forking\nNotifyAccess=exec\nExecStart={script} start\nExecStop={script} stop\nLimitNOFILE=80000\n"
    );
    let write = |path: &str, text: &str| {
        let path = sandbox.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        sandbox.own(&path);
        path
    };
    write("etc/init.d/rc_domino", "#!/bin/sh\n");
    let generated = write(
        "run/systemd/generator.late/rc_domino.service",
        "[Service]\nType=forking\nTimeoutSec=5min\nExecStart=/etc/init.d/rc_domino start\nExecStop=/etc/init.d/rc_domino stop\n",
    );
    // Alone: it gives a stop five minutes.
    sandbox
        .run(&["check"])
        .code(1)
        .stdout_has("rc_domino.service:3: TimeoutSec=5min is below DOMINO_SHUTDOWN_TIMEOUT");
    let longer = write(
        "etc/systemd/system/rc_domino.service.d/stop.conf",
        "[Service]\nTimeoutSec=20min\n",
    );
    sandbox.run(&["check"]).code(0);
    fs::remove_file(longer).unwrap();
    // Beside the unit.
    let own = unit(&sandbox, &good);
    let told = "systemctl stop rc_domino";
    sandbox.run(&["check"]).code(1).stdout_has(told);
    // Another name of it.
    fs::remove_file(generated).unwrap();
    let vendor = sandbox.root.join("usr/lib/systemd/system");
    fs::create_dir_all(&vendor).unwrap();
    let vendor = vendor.join("rc_domino.service");
    std::os::unix::fs::symlink("/etc/systemd/system/domino.service", &vendor).unwrap();
    sandbox.run(&["check"]).code(0);
    let drop_in = write(
        "etc/systemd/system/rc_domino.service.d/kill.conf",
        "[Service]\nKillMode=mixed\n",
    );
    sandbox.run(&["check"]).code(1).stdout_has("kill.conf:2: ");
    fs::remove_file(drop_in).unwrap();
    // Of another unit.
    fs::copy(&own, own.with_file_name("domino-notify.service")).unwrap();
    let alias = own.with_file_name("rc_domino.service");
    std::os::unix::fs::symlink("/etc/systemd/system/domino-notify.service", &alias).unwrap();
    sandbox.run(&["check"]).code(1).stdout_has(told);
}

/// systemd.service(5), "Command lines".
fn check_reads_commands_as_systemd_does() {
    let sandbox = sound();
    let [good, notify] = good(&sandbox);
    let script = sandbox.script("rc_domino_script", "true");
    let script = script.display().to_string();
    let blank = sandbox.directory("with blank").join("rc_domino_script");
    fs::copy(&script, &blank).unwrap();
    let blank = blank.display().to_string();
    let escaped = blank.replace(' ', "\\x20").replace("/rc", "\\057rc");
    let stop = |command: &str| good.replace(&format!("{script} stop"), command);
    let start = |command: &str| good.replace(&format!("{script} start"), command);
    judged(
        &sandbox,
        [
            (start(&format!("@{script} rc_domino_script start")), ""),
            (start(&format!("@{script} start")), "domino.service:4: "),
            // By that name it would be the one that asks systemd.
            (start(&format!("@{script} rc_domino start")), "instead"),
            (start(&format!("!!:+{script} start")), ""),
            (start(&format!("'{script}' \"start\"")), ""),
            (start(&format!("{script} \"start")), "quote"),
            (start(&format!("{script} 'start x'")), "the verb is not"),
            (stop(&format!("\"{blank}\" stop")), ""),
            (stop(&format!(":'{blank}' 'st'op")), ""),
            (stop(&format!("{escaped} st\\x6fp")), ""),
            (stop(&format!("{blank} stop")), "with is missing"),
            (stop(&format!("/bin/true ; {script} stop")), ""),
            (stop(&format!("/bin/true ';' {script} x")), ""),
            (stop(&format!("/bin/true ; {script} x")), "the verb is not"),
            (notify.replace("--after-run", "\"--after-run\""), ""),
            (notify.replace("stop --after", "stop  -v; --after"), ""),
            (notify.replace("stop --after-run", "stop  "), "without"),
        ],
    );
}

/// systemd.syntax(7): what goes on, what is a boolean, what is ignored.
fn check_counts_what_systemd_counts() {
    let sandbox = sound();
    let [good, notify] = good(&sandbox);
    let mut units = Vec::new();
    for no in ["No", "n", "F", "OFF", "0", "false"] {
        units.push((format!("{good}NoNewPrivileges={no}\n"), ""));
        units.push((format!("{good}RemainAfterExit={no}\n"), ""));
    }
    for yes in ["True", "y", "T", "ON", "1", "yes"] {
        units.push((format!("{good}NoNewPrivileges={yes}\n"), "set-uid"));
        units.push((format!("{good}RemainAfterExit={yes}\n"), "RemainAfterExit:"));
    }
    for (more, expected) in [
        // What is none does not count.
        (
            "NoNewPrivileges=y\nNoNewPrivileges=",
            ":8: NoNewPrivileges=y",
        ),
        ("NoNewPrivileges=maybe", ""),
        (
            "RemainAfterExit=y\nRemainAfterExit=maybe",
            ":8: RemainAfter",
        ),
        ("SystemCallFilter=@system-service", "set-uid"),
        ("SystemCallFilter=@system-service\nSystemCallFilter=", ""),
        ("RestrictNamespaces=NO", ""),
        // Two backslashes at the end are one, and the line ends there.
        ("UMask=a\\\\\nKillMode=mixed", ":9: KillMode=mixed"),
        ("UMask=a\\\nKillMode=mixed", ""),
        ("UMask=a\\\\\\\nKillMode=mixed", ""),
        ("UMask=a\\ \nKillMode=mixed", ":9: KillMode=mixed"),
        ("UMask=a\\\n # b\\\n;c\nKillMode=mixed", ""),
    ] {
        units.push((format!("{good}{more}\n"), expected));
    }
    units.push((
        format!("{good}TimeoutStopSec=\n"),
        ":8: TimeoutStopSec= is no time",
    ));
    units.push((
        good.replace("11min", "soon"),
        ":6: TimeoutStopSec=soon is no time",
    ));
    units.push((notify.clone(), ""));
    let uid = sandbox.ids.0;
    units.push((good.replace("=notes", &format!("={uid}")), ""));
    units.push((good.replace("=notes", "=1"), "User=1 is not"));
    judged(&sandbox, units);
    // The earlier one counts.
    unit(
        &sandbox,
        &format!("{}TimeoutStopSec=\n", good.replace("11min", "9min")),
    );
    sandbox
        .run(&["check"])
        .code(1)
        .stdout_has(":6: TimeoutStopSec=9min is below")
        .stdout_has(":8: TimeoutStopSec= is no time");
}

/// What `stop` answers must reach systemd.
fn check_tells_of_a_failure_that_systemd_would_not_see() {
    let sandbox = sound();
    let [good, notify] = good(&sandbox);
    let mut units = vec![
        (good.replace("ExecStop=", "ExecStop=-"), ":5: ExecStop=-"),
        (
            good.replace("ExecStart=", "ExecStart=+-"),
            ":4: ExecStart=-",
        ),
        (
            notify.replace("ExecStopPost=", "ExecStopPost=-"),
            "ExecStopPost=-",
        ),
        // Somebody else's.
        (format!("{good}ExecStop=-/bin/true\n"), ""),
    ];
    for unit in [&good, &notify] {
        for (status, expected) in [
            ("150", "SuccessExitStatus=150"),
            ("143 151", "SuccessExitStatus=151"),
            ("1 143", "SuccessExitStatus=1:"),
            ("143", ""),
            ("150\nSuccessExitStatus=", ""),
        ] {
            units.push((format!("{unit}SuccessExitStatus={status}\n"), expected));
        }
    }
    judged(&sandbox, units);
}

/// Restart= of systemd.service(5): a stop that systemd did not make.
fn check_tells_of_a_stop_that_systemd_would_undo() {
    let sandbox = sound();
    let [good, notify] = good(&sandbox);
    let mut units = Vec::new();
    for (of, restart, expected) in [
        (&good, "no", ""),
        (&good, "on-watchdog", ""),
        (&good, "always", "Restart=no"),
        (&good, "on-success", "Restart=no"),
        (
            &good,
            "on-failure",
            "add SIGKILL to RestartPreventExitStatus=",
        ),
        (&good, "on-abnormal", "add SIGKILL"),
        (&good, "on-abort", "add SIGKILL"),
        (&good, "on-abort\nRestartPreventExitStatus=1 KILL", ""),
        (&good, "always\nRestartPreventExitStatus=0", "add SIGKILL"),
        (&good, "always\nRestartPreventExitStatus=0 SIGKILL", ""),
        (&good, "always\nRestart=no", ""),
        (&good, "always\nRestart=", ":8: Restart=always"),
        (&good, "always\nRestart=often", ":8: Restart=always"),
        (&notify, "no", ""),
        (&notify, "always", "Restart=no"),
        (&notify, "on-success", "Restart=no"),
        (
            &notify,
            "on-failure",
            "add 150 to RestartPreventExitStatus=",
        ),
        (&notify, "on-failure\nRestartPreventExitStatus=2 150", ""),
        (
            &notify,
            "on-failure\nRestartPreventExitStatus=150\nRestartPreventExitStatus=",
            "add 150",
        ),
        (&notify, "on-abnormal", ""),
        (&notify, "on-abort", ""),
    ] {
        units.push((format!("{of}Restart={restart}\n"), expected));
    }
    judged(&sandbox, units);
}
