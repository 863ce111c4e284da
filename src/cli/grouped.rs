//! The verbs by group, as help lists them: clap knows headings for options
//! only.

use super::Cli;
use clap::{Command, CommandFactory};
use std::ffi::OsStr;

/// The groups with their verbs, in the order of the manual.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Life cycle",
        &[
            "start",
            "stop",
            "quit",
            "restart",
            "try-restart",
            "force-reload",
            "run",
            "status",
            "statusd",
            "healthcheck",
            "all",
            "ocf",
        ],
    ),
    ("Snapshots", &["snapshot"]),
    ("Console", &["monitor", "live", "console", "cmd"]),
    (
        "Logs",
        &[
            "lastlog",
            "log",
            "systemlog",
            "archivelog",
            "clearlog",
            "logstatus",
            "debuglog",
        ],
    ),
    (
        "Databases",
        &[
            "compact",
            "fixup",
            "restartcompact",
            "restartfixup",
            "compactnextstart",
        ],
    ),
    (
        "Diagnosis",
        &[
            "nsd",
            "nsdnomem",
            "info",
            "stacks",
            "hang",
            "memdump",
            "kill",
            "cleanup",
            "resources",
            "verify",
            "proc",
            "mon",
            "check",
            "tika",
            "diag",
            "senddiag",
            "about",
            "about+",
            "resetstlogs",
        ],
    ),
    (
        "Configuration",
        &[
            "inivar",
            "ini",
            "listini",
            "config",
            "listcfg",
            "systemdcfg",
            "service",
            "setup",
            "setenv",
            "update",
        ],
    ),
    ("Other", &["version", "help", "completions"]),
];

/// The verbs by group. One that is in none comes last, under "Further".
fn groups(command: &Command) -> Vec<(&'static str, Vec<&Command>)> {
    let visible = || command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut groups: Vec<(&'static str, Vec<&Command>)> = GROUPS
        .iter()
        .map(|(title, names)| {
            let verbs = names
                .iter()
                .filter_map(|name| visible().find(|verb| verb.get_name() == *name))
                .collect();
            (*title, verbs)
        })
        .collect();
    let further = visible()
        .filter(|verb| {
            !GROUPS
                .iter()
                .any(|(_, names)| names.contains(&verb.get_name()))
        })
        .collect();
    groups.push(("Further", further));
    groups.retain(|(_, verbs)| !verbs.is_empty());
    groups
}

/// The list as text.
pub fn list(command: &Command) -> String {
    let groups = groups(command);
    let name = |verb: &Command| -> String {
        let aliases = verb.get_visible_aliases().map(|alias| format!(", {alias}"));
        std::iter::once(verb.get_name().to_owned())
            .chain(aliases)
            .collect()
    };
    let width = groups
        .iter()
        .flat_map(|(_, verbs)| verbs)
        .map(|verb| name(verb).len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (title, verbs) in groups {
        text.push_str(&format!("{title}:\n"));
        for verb in verbs {
            let about = verb
                .get_about()
                .map_or_else(String::new, ToString::to_string);
            text.push_str(&format!("  {:<width$}  {about}\n", name(verb)));
        }
        text.push('\n');
    }
    text
}

/// The definition of the command line with the grouped list in its help.
pub fn command() -> Command {
    let command = Cli::command();
    let list = list(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}{{after-help}}"
    ))
}

/// The help of one verb, in full.
pub fn of_verb(verb: &OsStr) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let verb = command.find_subcommand_mut(verb)?;
    (!verb.is_hide_set()).then(|| verb.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_a_group() {
        let command = Cli::command();
        let text = list(&command);
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let line = text
                .lines()
                .any(|line| line.split([' ', ',']).any(|word| word == verb.get_name()));
            assert!(line, "{} is missing:\n{text}", verb.get_name());
        }
        assert!(!text.contains("Further:"), "{text}");
    }

    #[test]
    fn a_verb_explains_itself() {
        let text = of_verb(OsStr::new("stop")).unwrap();
        assert!(text.contains("rc_domino stop"), "{text}");
        assert!(text.contains("Examples:"), "{text}");
        assert!(of_verb(OsStr::new("__compress")).is_none());
        assert!(of_verb(OsStr::new("frob")).is_none());
    }
}
