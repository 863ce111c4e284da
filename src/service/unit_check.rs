//! A server's unit file against its configuration.

use super::subsys;
use super::unit_file::{self, Line, UnitFile};
use super::unit_value::{Command, boolean, commands_of, time_span};
use crate::domino::Partition;
use crate::error::shown;
use crate::exit::Exit;
use crate::os::files::is_executable;
use crate::settings::lint::{Finding, Places};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// What systemd waits for a stop where nothing says otherwise
/// (DefaultTimeoutStopSec of systemd-system.conf(5)).
const DEFAULT_STOP: Duration = Duration::from_secs(90);

/// The open files that HCL's system requirements for Linux ask for.
const OPEN_FILES: u64 = 65_535;

/// The program that units call: by this name it acts itself.
const SCRIPT: &str = "rc_domino_script";

/// The same by its other name: it leaves what it can to systemd.
const ENTRY: &str = "rc_domino";

/// The values of Restart= in systemd.service(5).
const RESTARTS: [&str; 7] = [
    "no",
    "on-success",
    "on-failure",
    "on-abnormal",
    "on-watchdog",
    "on-abort",
    "always",
];

/// What takes the right away to become root by a set-uid program, by itself or
/// along the way where a unit has User= (NoNewPrivileges= in systemd.exec(5)).
const NO_SET_UID: [&str; 12] = [
    "NoNewPrivileges",
    "DynamicUser",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "PrivateDevices",
    "ProtectClock",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictRealtime",
    "RestrictSUIDSGID",
];

/// The same among lists.
const NO_SET_UID_LISTS: [&str; 5] = [
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallLog",
];

/// Everything about the unit that does not go with the configuration.
/// `is_default`: the server is that of the default user.
pub fn check(partition: &Partition, is_default: bool, places: &Places) -> Vec<Finding> {
    let settings = &partition.settings;
    let name = settings.unit_name();
    let unit = match UnitFile::read(&partition.root, &name) {
        Ok(Some(unit)) => unit,
        Ok(None) => {
            let mut found = match settings.systemd_name.value {
                Some(_) if partition.systemd => vec![places.finding(
                    "DOMINO_SYSTEMD_NAME",
                    format!("there is no unit {} on this host", shown(&name)),
                )],
                _ => Vec::new(),
            };
            found.extend(of_init_script(partition, is_default, None));
            return found;
        }
        Err(cause) => return vec![Finding::plain(format!("unit {}: {cause}", shown(&name)))],
    };
    let user = partition.user.name.to_string_lossy();
    let uid = partition.user.uid.to_string();
    let mut found: Vec<Finding> = unit
        .odd
        .iter()
        .map(|(file, line)| {
            Finding::at(
                file,
                Some(*line),
                "neither section, comment nor assignment; systemd ignores it",
            )
        })
        .collect();
    // systemd resolves %i and its like; a value with one cannot be compared.
    let plain = |line: &&Line| !line.value.contains('%');
    match unit.service("User") {
        Some(line) if plain(&line) && line.value != user && line.value != uid => found.push(at(
            line,
            format!("User={} is not '{user}', whose server this is", line.value),
        )),
        None => found.push(Finding::at(
            &unit.path,
            None,
            format!("has no User=: Domino would run as root; add User={user} to [Service]"),
        )),
        _ => {}
    }
    let pid_file = settings.pid_file(true);
    if let Some(line) = unit.service("PIDFile").filter(plain)
        && pid_file_of(&line.value) != pid_file
    {
        found.push(at(
            line,
            format!(
                "PIDFile={} is not DOMINO_PID_FILE, {}",
                line.value,
                pid_file.display()
            ),
        ));
    }
    let kind = unit.service("Type");
    let notify = kind.is_some_and(|line| is_notify(&line.value));
    match kind {
        Some(line) if !notify && line.value != "forking" => found.push(at(
            line,
            format!(
                "Type={} must be forking, since start returns when the server is up, or notify with 'run'",
                line.value
            ),
        )),
        None => found.push(Finding::at(
            &unit.path,
            None,
            "has no Type=: add Type=forking to [Service], since start returns when the server is up",
        )),
        _ => {}
    }
    if let Some((line, true)) = unit.service_read(&["RemainAfterExit"], boolean) {
        found.push(at(
            line,
            "RemainAfterExit: systemd would take a server that died for one that runs",
        ));
    }
    if notify {
        command(&unit, "ExecStart", "run", &mut found);
        notify_unit(&unit, &mut found);
    } else {
        command(&unit, "ExecStart", "start", &mut found);
        command(&unit, "ExecStop", "stop", &mut found);
        if let Some(line) = unit
            .service("KillMode")
            .filter(|line| line.value == "mixed")
        {
            found.push(at(
                line,
                "KillMode=mixed: systemd would kill server tasks as soon as the server has gone, with databases open; leave it out",
            ));
        }
    }
    // Who may ask for time need not fit.
    let heard = unit.service("NotifyAccess");
    if !heard.is_some_and(|line| matches!(line.value.as_str(), "exec" | "all")) {
        let consequence = if notify {
            "should 'rc_domino run' be killed, systemd would not wait for the stop after it; add NotifyAccess=exec, by which it can ask for time"
        } else {
            "systemd would kill the server while it stops"
        };
        found.extend(stop_timeout(
            &unit,
            settings.shutdown_timeout.value,
            consequence,
        ));
    }
    taken_for_success(&unit, &mut found);
    found.extend(restart(&unit, notify));
    found.extend(set_uid(&unit));
    found.extend(open_files(&unit));
    found.extend(of_init_script(partition, is_default, Some(&unit)));
    for other in unit_file::others_of(&partition.root, &user, SCRIPT) {
        let name = other.file_name().unwrap_or_default();
        if Some(name) != unit.path.file_name() && unit_file::is_enabled(&partition.root, name) {
            found.push(Finding::at(
                &other,
                None,
                format!(
                    "is a second unit for the server of '{user}', beside {}, and enabled; disable one, and name the other in DOMINO_SYSTEMD_NAME",
                    unit.path.display()
                ),
            ));
        }
    }
    found
}

fn at(line: &Line, text: impl Into<String>) -> Finding {
    Finding::at(&line.file, Some(line.number), text)
}

/// systemd puts a relative PID file below /run.
fn pid_file_of(value: &str) -> std::path::PathBuf {
    // /var/run is /run on every host with systemd.
    let value = value.strip_prefix("/var/run/").unwrap_or(value);
    Path::new("/run").join(value)
}

/// The kinds of services whose main process says when they are ready.
pub fn is_notify(kind: &str) -> bool {
    matches!(kind, "notify" | "notify-reload")
}

/// What a unit needs whose main process is `rc_domino run`.
fn notify_unit(unit: &UnitFile, found: &mut Vec<Finding>) {
    if unit.list("ExecStopPost").is_empty() {
        found.push(Finding::at(
            &unit.path,
            None,
            format!(
                "has no ExecStopPost=: should 'rc_domino run' be killed, nothing would close the server's databases; add ExecStopPost=…/{SCRIPT} stop --after-run"
            ),
        ));
    } else {
        command(unit, "ExecStopPost", "stop", found);
        for line in unit.list("ExecStopPost") {
            let stops = |command: &Command| {
                is_script(command)
                    && !command
                        .arguments
                        .iter()
                        .any(|argument| argument == "--after-run")
            };
            if commands_of(&line.value).is_some_and(|commands| commands.iter().any(stops)) {
                found.push(at(
                    line,
                    "ExecStopPost=: without --after-run a start that is refused ends what kept it from being, such as a compact; add it",
                ));
            }
        }
    }
    let mode = unit.service("KillMode");
    if mode.is_none_or(|line| line.value != "process") {
        let text = "must be process: systemd would send signals to the server and its tasks and leave databases open";
        found.push(match mode {
            Some(line) => at(line, format!("KillMode={} {text}", line.value)),
            None => Finding::at(&unit.path, None, format!("KillMode= is not set and {text}")),
        });
    }
    if let Some(line) = unit.service("NotifyAccess")
        && line.value == "none"
    {
        found.push(at(
            line,
            "NotifyAccess=none: systemd would never learn that the server is ready, nor that a stop goes on; use exec",
        ));
    }
}

/// A service has no login: what it may open stands in its unit.
fn open_files(unit: &UnitFile) -> Option<Finding> {
    let text = format!(
        "a service gets systemd's default of open files, not that of limits.conf; Domino wants {OPEN_FILES} at least: add LimitNOFILE=80000 to [Service]"
    );
    match unit.service("LimitNOFILE") {
        None => Some(Finding::at(
            &unit.path,
            None,
            format!("has no LimitNOFILE=: {text}"),
        )),
        Some(line) => {
            // SOFT:HARD; the soft one counts.
            let soft = line.value.split(':').next().unwrap_or_default();
            let enough = soft == "infinity"
                || soft.contains('%')
                || soft.parse::<u64>().is_ok_and(|soft| soft >= OPEN_FILES);
            (!enough).then(|| {
                at(
                    line,
                    format!("LimitNOFILE={} is too low: {text}", line.value),
                )
            })
        }
    }
}

fn command(unit: &UnitFile, key: &str, verb: &str, found: &mut Vec<Finding>) {
    let commands = unit.list(key);
    if commands.is_empty() {
        let text = if key == "ExecStop" {
            "has no ExecStop=: systemd would kill the server and leave its databases unclean"
        } else {
            "has no ExecStart=: there is nothing to start"
        };
        found.push(Finding::at(&unit.path, None, text));
    }
    for line in commands {
        if line.value.contains('%') {
            continue;
        }
        match commands_of(&line.value) {
            Some(commands) => {
                for command in &commands {
                    one_command(line, command, verb, found);
                }
            }
            None => found.push(at(
                line,
                format!("{key}: a quote is not closed, systemd would run nothing"),
            )),
        }
    }
}

/// The name decides how the program acts.
fn is_script(command: &Command) -> bool {
    Path::new(&command.name).file_name() == Some(OsStr::new(SCRIPT))
}

fn one_command(line: &Line, command: &Command, verb: &str, found: &mut Vec<Finding>) {
    let key = &line.key;
    let program = &command.program;
    if !program.is_absolute() || !is_executable(program) {
        found.push(at(
            line,
            format!(
                "{key}: {} is missing or cannot be executed",
                program.display()
            ),
        ));
    }
    let is_ours = [SCRIPT, ENTRY]
        .map(OsStr::new)
        .map(Some)
        .contains(&program.file_name());
    if !is_ours {
        return;
    }
    if !is_script(command) {
        found.push(at(
            line,
            format!(
                "{key}: call {SCRIPT} instead: {} would ask systemd to {verb} this unit",
                shown(&command.name)
            ),
        ));
    } else if command.arguments.first().is_none_or(|first| first != verb) {
        found.push(at(line, format!("{key}: the verb is not '{verb}'")));
    }
    if command.may_fail {
        found.push(at(
            line,
            format!(
                "{key}=-: systemd would take a {verb} that failed for a good one; remove the '-'"
            ),
        ));
    }
}

/// What `stop` answers where databases need not be whole, as a success.
fn taken_for_success(unit: &UnitFile, found: &mut Vec<Finding>) {
    for line in unit.list("SuccessExitStatus") {
        for exit in [Exit::Failed, Exit::Unclean, Exit::Crashed] {
            let code = exit.code().to_string();
            if line.value.split_whitespace().any(|word| word == code) {
                found.push(at(
                    line,
                    format!(
                        "SuccessExitStatus={code}: systemd would take it for a good stop ({}); remove {code}",
                        exit.brief()
                    ),
                ));
            }
        }
    }
}

/// A stop that systemd did not make, and would answer with a start.
fn restart(unit: &UnitFile, notify: bool) -> Option<Finding> {
    let (line, restart) = unit.service_read(&["Restart"], |value| {
        RESTARTS.into_iter().find(|known| *known == value)
    })?;
    let is_prevented = |status: &str| {
        unit.list("RestartPreventExitStatus")
            .iter()
            .flat_map(|line| line.value.split_whitespace())
            .any(|word| word == status || status.strip_prefix("SIG") == Some(word))
    };
    // `run` answers in the stop's stead; a server that must be killed is the
    // main process itself.
    let (forced, on_forced) = if notify {
        ("150", matches!(restart, "always" | "on-failure"))
    } else {
        (
            "SIGKILL",
            matches!(
                restart,
                "always" | "on-failure" | "on-abnormal" | "on-abort"
            ),
        )
    };
    let on_clean = matches!(restart, "always" | "on-success") && !is_prevented("0");
    let (kind, cure) = if on_clean {
        ("a stop", "set Restart=no".to_owned())
    } else if on_forced && !is_prevented(forced) {
        (
            "a stop by force",
            format!("add {forced} to RestartPreventExitStatus="),
        )
    } else {
        return None;
    };
    Some(at(
        line,
        format!(
            "Restart={restart}: {kind} that goes past systemd, such as 'stop --direct', would be answered by a new start; {cure}"
        ),
    ))
}

/// What systemd makes of the init script, a second unit for the same server,
/// where that is not another name of its `own` one.
fn of_init_script(partition: &Partition, is_default: bool, own: Option<&UnitFile>) -> Vec<Finding> {
    let Some(script) = subsys::init_script(&partition.root, &partition.user.name, is_default)
    else {
        return Vec::new();
    };
    let mut name = script.clone();
    name.push(".service");
    let Ok(Some(made)) = UnitFile::read(&partition.root, &name) else {
        return Vec::new();
    };
    let script = shown(&script);
    let Some(own) = own else {
        return stop_timeout(
            &made,
            partition.settings.shutdown_timeout.value,
            &format!(
                "systemd would not wait for 'systemctl stop {script}' and, when the host goes down, kill the server while it stops; set it with 'systemctl edit {script}'"
            ),
        );
    };
    if own.path == made.path {
        return Vec::new();
    }
    let unit = partition.settings.unit_name();
    let cure = if unit_file::instance_of(&unit).is_some() {
        // A plain name cannot stand for an instance.
        format!("remove /etc/init.d/{script}; a link /usr/bin/{script} does the same")
    } else {
        format!(
            "with 'Alias={script}.service' in [Install] of {0}, 'systemctl enable {0}' gives it that name",
            shown(&unit)
        )
    };
    vec![Finding::at(
        &made.path,
        None,
        format!(
            "{script}.service is this unit, not {}, the server's: 'systemctl stop {script}', or 'service {script} stop', answers 0 with the server running; {cure}",
            shown(&unit)
        ),
    )]
}

/// A Domino that cannot use its set-uid program.
fn set_uid(unit: &UnitFile) -> Option<Finding> {
    let on = NO_SET_UID.iter().filter_map(|key| {
        let (line, is_on) = unit.service_read(&[key], boolean)?;
        is_on.then_some(line)
    });
    let lists = NO_SET_UID_LISTS.iter().filter_map(|key| {
        let line = unit.list(key).pop()?;
        (boolean(&line.value) != Some(false)).then_some(line)
    });
    on.chain(lists).next().map(|line| {
        at(
            line,
            format!(
                "{}={}: no set-uid program would work in the unit, neither Domino's bindsock, which opens the ports below 1024, nor sudo",
                line.key, line.value
            ),
        )
    })
}

/// systemd must not lose patience before we do.
fn stop_timeout(unit: &UnitFile, shutdown: Duration, consequence: &str) -> Vec<Finding> {
    let keys = ["TimeoutStopSec", "TimeoutSec"];
    let seconds = shutdown.as_secs();
    let mut found: Vec<Finding> = unit
        .service_all(&keys)
        .filter(|line| time_span(&line.value).is_none())
        .map(|line| {
            at(
                line,
                format!(
                    "{}={} is no time systemd understands; it ignores the line",
                    line.key, line.value
                ),
            )
        })
        .collect();
    match unit.service_read(&keys, time_span) {
        Some((line, span)) if span < shutdown => found.push(at(
            line,
            format!(
                "{}={} is below DOMINO_SHUTDOWN_TIMEOUT, {seconds} seconds: {consequence}",
                line.key, line.value
            ),
        )),
        None if found.is_empty() && DEFAULT_STOP < shutdown => found.push(Finding::at(
            &unit.path,
            None,
            format!(
                "has no TimeoutStopSec=: systemd's default of {} seconds is below DOMINO_SHUTDOWN_TIMEOUT, {seconds}: {consequence}",
                DEFAULT_STOP.as_secs()
            ),
        )),
        _ => {}
    }
    found
}
