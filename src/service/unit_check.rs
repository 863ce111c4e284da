//! A server's unit file against its configuration.

use super::unit_file::{self, Line, UnitFile};
use crate::domino::Partition;
use crate::error::shown;
use crate::os::files::is_executable;
use crate::settings::lint::{Finding, Places};
use std::path::Path;
use std::time::Duration;

/// What systemd waits for a stop where nothing says otherwise
/// (DefaultTimeoutStopSec of systemd-system.conf(5)).
const DEFAULT_STOP: Duration = Duration::from_secs(90);

/// The program that units call: it acts itself.
const SCRIPT: &str = "rc_domino_script";

/// Everything about the unit that does not go with the configuration.
pub fn check(partition: &Partition, places: &Places) -> Vec<Finding> {
    let settings = &partition.settings;
    let name = settings.unit_name();
    let unit = match UnitFile::read(&partition.root, &name) {
        Ok(Some(unit)) => unit,
        Ok(None) => {
            return match settings.systemd_name.value {
                Some(_) if partition.systemd => vec![places.finding(
                    "DOMINO_SYSTEMD_NAME",
                    format!("there is no unit {} on this host", shown(&name)),
                )],
                _ => Vec::new(),
            };
        }
        Err(cause) => return vec![Finding::plain(format!("unit {}: {cause}", shown(&name)))],
    };
    let user = partition.user.name.to_string_lossy();
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
        Some(line) if plain(&line) && line.value != user => found.push(at(
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
    match unit.service("Type") {
        Some(line) if line.value != "forking" => found.push(at(
            line,
            format!(
                "Type={} must be forking: start returns when the server is up",
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
    if let Some(line) = unit.service("RemainAfterExit")
        && matches!(line.value.as_str(), "yes" | "true" | "on" | "1")
    {
        found.push(at(
            line,
            "RemainAfterExit: systemd would take a server that died for one that runs",
        ));
    }
    command(&unit, "ExecStart", "start", &mut found);
    command(&unit, "ExecStop", "stop", &mut found);
    found.extend(stop_timeout(&unit, settings.shutdown_timeout.value));
    for other in unit_file::others_of(&partition.root, &user, SCRIPT) {
        if other.file_name() != unit.path.file_name() {
            found.push(Finding::at(
                &other,
                None,
                format!(
                    "is a second unit for the server of '{user}', beside {}; remove or disable one, and name the other in DOMINO_SYSTEMD_NAME",
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

fn command(unit: &UnitFile, key: &str, verb: &str, found: &mut Vec<Finding>) {
    let commands = unit.commands(key);
    if commands.is_empty() {
        let text = if verb == "stop" {
            "has no ExecStop=: systemd would kill the server and leave its databases unclean"
        } else {
            "has no ExecStart=: there is nothing to start"
        };
        found.push(Finding::at(&unit.path, None, text));
    }
    for line in commands {
        let Some(program) = unit_file::program_of(&line.value) else {
            continue;
        };
        if line.value.contains('%') {
            continue;
        }
        if !program.is_absolute() || !is_executable(program) {
            found.push(at(
                line,
                format!(
                    "{key}: {} is missing or cannot be executed",
                    program.display()
                ),
            ));
        } else if program.file_name().is_some_and(|name| name == "rc_domino") {
            found.push(at(
                line,
                format!(
                    "{key}: call {SCRIPT} instead: {} would ask systemd to {verb} this unit",
                    program.display()
                ),
            ));
        }
        if line.value.split_whitespace().nth(1) != Some(verb)
            && program.file_name().is_some_and(|name| name == SCRIPT)
        {
            found.push(at(line, format!("{key}: the verb is not '{verb}'")));
        }
    }
}

/// systemd must not lose patience before we do.
fn stop_timeout(unit: &UnitFile, shutdown: Duration) -> Option<Finding> {
    let line = unit.service_any(&["TimeoutStopSec", "TimeoutSec"]);
    let seconds = shutdown.as_secs();
    match line {
        None if DEFAULT_STOP < shutdown => Some(Finding::at(
            &unit.path,
            None,
            format!(
                "has no TimeoutStopSec=: systemd's default of {} seconds is below DOMINO_SHUTDOWN_TIMEOUT, {seconds}; the server would be killed while it stops",
                DEFAULT_STOP.as_secs()
            ),
        )),
        None => None,
        Some(line) => match unit_file::time_span(&line.value) {
            Some(span) if span < shutdown => Some(at(
                line,
                format!(
                    "{}={} is below DOMINO_SHUTDOWN_TIMEOUT, {seconds} seconds: systemd would kill the server while it stops",
                    line.key, line.value
                ),
            )),
            Some(_) => None,
            None => Some(at(
                line,
                format!("{}={} is no time systemd understands", line.key, line.value),
            )),
        },
    }
}
