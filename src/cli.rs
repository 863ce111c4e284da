//! From the command line to a verb: names, arguments, aliases. No I/O.

pub mod backup_mode;
pub mod completions;
pub mod config;
pub mod databases;
pub mod diagnosis;
pub mod foreground;
pub mod grouped;
pub mod logs;
pub mod managers;
pub mod setup;
pub mod shell;
pub mod snapshot;
pub mod support;

use crate::exit::Exit;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Which program the caller believes to run: behaviour follows the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persona {
    /// `rc_domino`, `domino`, anything else: hands start and stop over to the
    /// service manager where there is one.
    Entry,
    /// `rc_domino_USER`: the same, for this user's server and no other.
    EntryFor(OsString),
    /// `rc_domino_script`: acts itself; the service manager calls this one.
    Script,
    /// `…/ocf/resource.d/PROVIDER/domino`: a cluster's resource agent.
    Agent,
}

/// The persona behind the name the program was called by.
pub fn persona(argument_zero: Option<&OsStr>) -> Persona {
    if argument_zero.is_some_and(is_agent) {
        return Persona::Agent;
    }
    let name = argument_zero.and_then(|path| Path::new(path).file_name());
    let name = of_runlevel(name.unwrap_or_default().as_bytes());
    match name.strip_prefix(b"rc_domino_") {
        Some(b"script") => Persona::Script,
        Some(user) if !user.is_empty() => Persona::EntryFor(OsStr::from_bytes(user).into()),
        _ => Persona::Entry,
    }
}

/// A name without the `S66` or `K19` of a link in a runlevel's directory.
fn of_runlevel(name: &[u8]) -> &[u8] {
    match name {
        [b'S' | b'K', tens, ones, rest @ ..] if tens.is_ascii_digit() && ones.is_ascii_digit() => {
            rest
        }
        _ => name,
    }
}

/// Whether a path is one at which a cluster looks for its agents.
fn is_agent(path: &OsStr) -> bool {
    let parts: Vec<_> = Path::new(path).iter().rev().take(4).collect();
    matches!(parts.as_slice(), [name, _, directory, ocf]
        if *name == "domino" && *directory == "resource.d" && *ocf == "ocf")
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Starts, stops and watches an HCL Domino server.
#[derive(Debug, Parser)]
#[command(
    name = "rc_domino",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = "'rc_domino help VERB' explains a verb; the manual is rc_domino(8)."
)]
pub struct Cli {
    /// What stands in front of the verb
    #[command(flatten)]
    pub options: Options,
    /// What to do
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What stands in front of the verb.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// The Domino user whose server is meant [default: DOMINO_USER, else notes]
    #[arg(long, value_name = "USER")]
    pub user: Option<OsString>,
    /// Act on the server itself, never through the service manager
    #[arg(long)]
    pub direct: bool,
    /// This program began this run, in a login of the Domino user
    #[arg(long, hide = true)]
    pub in_login: bool,
    /// A further configuration file, as DOMINO_ENV_FILE names one
    #[arg(long, value_name = "FILE", hide = true)]
    pub config: Option<OsString>,
    /// How long a shutdown may take, in place of DOMINO_SHUTDOWN_TIMEOUT
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub shutdown_timeout: Option<u32>,
    /// End, at a safe place, when the process that began this one has ended
    #[arg(long, hide = true)]
    pub tied: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    /// Print the version number alone
    #[arg(long, exclusive = true)]
    pub version: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the server
    #[command(after_help = "\
Examples:
  rc_domino start              start, answer when the process has settled
  rc_domino start --wait=300   answer when the server is ready, or after 300 s
  rc_domino start live         start and open the live console")]
    Start(StartArgs),
    /// Stop the server and flush its databases to disk
    #[command(after_help = "\
Exit code 0 means: no process is left and every database is on disk.
150: it had to be killed; 151: it crashed while stopping; 1: something still runs.

Examples:
  rc_domino stop               before a snapshot or maintenance
  rc_domino stop live          watch the console meanwhile")]
    Stop(LiveArgs),
    /// Stop the server but leave the Java controller running
    Quit(LiveArgs),
    /// Stop the server, then start it
    Restart(StartArgs),
    /// Say whether the server runs
    #[command(after_help = "\
Examples:
  rc_domino status             Domino Server is running (NAME)
  rc_domino status display     [ ON  ] - NAME
  rc_domino status --json      state, pids and tasks for programs")]
    Status(StatusArgs),
    /// Show what systemd says of the unit
    Statusd,
    /// Live console: the log above a line for commands, filtered
    Monitor,
    /// The same as monitor
    Live,
    /// Live console without the filter
    Console,
    /// Show the unit's state, or enable, disable and control it
    #[command(after_help = "\
ACTION: status, on|add|enable, off|del|disable, or any verb of systemctl; start,
stop and restart are the verbs of those names.")]
    Service {
        /// What to do with the unit
        #[arg(value_name = "ACTION")]
        action: Option<String>,
    },
    /// Show the unit's last lines in the journal
    Systemlog {
        /// How many
        #[arg(value_name = "LINES", value_parser = logs::lines)]
        lines: Option<logs::Lines>,
    },
    /// Setting a new server up.
    #[command(flatten)]
    Setup(setup::SetupVerb),
    /// Maintenance of databases
    #[command(flatten)]
    Databases(databases::DatabasesVerb),
    /// Configuration
    #[command(flatten)]
    Config(config::ConfigVerb),
    /// Facts and archives for support.
    #[command(flatten)]
    Support(support::SupportVerb),
    /// Help at the shell.
    #[command(flatten)]
    Shell(shell::ShellVerb),
    /// Verbs for service managers and containers.
    #[command(flatten)]
    Foreground(foreground::ForegroundVerb),
    /// Verbs about logs
    #[command(flatten)]
    Logs(logs::LogsVerb),
    /// Diagnosis and the last resorts.
    #[command(flatten)]
    Diagnosis(diagnosis::DiagnosisVerb),
    /// Freeze the databases for a snapshot, and thaw them
    #[command(
        subcommand,
        arg_required_else_help = true,
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs"
    )]
    Snapshot(snapshot::SnapshotVerb),
    /// What managers of services call.
    #[command(flatten)]
    Managers(managers::ManagersVerb),
    /// Say which program and version this is
    Version,
    /// Internal: keep a freeze from its beginning to the server's return
    #[command(name = "__keeper", hide = true)]
    Keeper,
    /// Internal: watch a keeper and replace it when it is killed
    #[command(name = "__keeper-second", hide = true)]
    KeeperSecond {
        /// The keeper
        pid: i32,
    },
    /// Internal: what the keeper must know of the server, as JSON
    #[command(name = "__snapshot-facts", hide = true)]
    SnapshotFacts,
    /// Internal: kill every process of the server, for freeze --force
    #[command(name = "__force-down", hide = true)]
    ForceDown,
    /// Internal: compress an archived log
    #[command(name = "__compress", hide = true)]
    Compress {
        /// The archived log
        file: std::path::PathBuf,
    },
    /// Internal: whether a server that is restarted could be started
    #[command(name = "__restartable", hide = true)]
    Restartable,
    /// Internal: what must be right before a stop, for a caller who keeps root
    #[command(name = "__stoppable", hide = true)]
    Stoppable,
    /// Internal: the stop of a restart, through the unit or not at all
    #[command(name = "__restart_stop", hide = true)]
    RestartStop,
    /// Internal: online backup mode, for the snapshot verbs
    #[command(name = "__backup-mode", hide = true)]
    BackupMode {
        /// What to do
        #[command(subcommand)]
        action: backup_mode::Action,
    },
    /// Internal: the table of all settings, tab-separated, for checks
    #[command(name = "__catalogue", hide = true)]
    Catalogue,
    /// Internal: the names of all verbs, for checks
    #[command(name = "__verbs", hide = true)]
    Verbs,
    /// A custom command of the site
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// The word `live` behind a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Live {
    /// With the console on the screen.
    Live,
}

/// Arguments of verbs that can be watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct LiveArgs {
    /// With the console on the screen
    #[arg(value_name = "live", value_enum, hide_possible_values = true)]
    pub live: Option<Live>,
    /// This stop is part of a freeze, not an administrator's word
    #[arg(long, hide = true)]
    pub for_snapshot: bool,
    /// Needs no login of the Domino user, which may be what is broken
    #[arg(long, hide = true)]
    pub without_login: bool,
    /// This stop is a unit's ExecStopPost=, after `run`
    #[arg(long, hide = true)]
    pub after_run: bool,
}

/// Arguments of verbs that start a server.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct StartArgs {
    /// With the console on the screen
    #[arg(value_name = "live", value_enum, hide_possible_values = true)]
    pub live: Option<Live>,
    /// Answer only when the server is ready, or after SECONDS
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "300"
    )]
    pub wait: Option<u32>,
    /// The host that claims the data directory is dead for certain
    #[arg(long)]
    pub take_over: bool,
    /// This restart is one of several: the start waits for its turn
    #[arg(long, hide = true)]
    pub in_turn: bool,
}

impl StartArgs {
    /// How long to wait for readiness, if at all.
    pub fn ready_within(self) -> Option<Duration> {
        self.wait.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The word `display` behind `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Display {
    /// One short line.
    Display,
}

/// A form of `status` for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object
    Json,
    /// A Nagios plug-in's line and code
    Nagios,
    /// Prometheus text, for node_exporter's textfile collector
    Prometheus,
}

/// Arguments of `status`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct StatusArgs {
    /// One short line, as rc_all shows it
    #[arg(value_name = "display", value_enum, hide_possible_values = true)]
    pub display: Option<Display>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// A form for programs
    #[arg(long, value_name = "FORM", value_enum)]
    pub format: Option<Format>,
}

impl StatusArgs {
    /// The form for programs that was asked for.
    pub fn form(self) -> Option<Format> {
        if self.json {
            Some(Format::Json)
        } else {
            self.format
        }
    }
}

/// What a command line comes to.
pub enum Parsed {
    /// Something to do.
    Do(Box<Cli>),
    /// A text to print: help of a verb, with code 0.
    Print(String),
    /// A usage error: text for stderr, code 2.
    Misuse(String),
}

/// Parses a command line; the first argument is the program's name.
pub fn parse(mut arguments: Vec<OsString>) -> Parsed {
    if let Some(zero) = arguments.first_mut() {
        *zero = "rc_domino".into();
    } else {
        arguments.push("rc_domino".into());
    }
    // The original's entry point, of which hosts keep copies, hands on six
    // arguments whether there are as many or not.
    while arguments.len() > 1 && arguments.last().is_some_and(|last| last.is_empty()) {
        arguments.pop();
    }
    // The original answers to `-?` as it does to `help`.
    if arguments.get(1).is_some_and(|first| first == "-?") {
        arguments[1] = "help".into();
    }
    let front = Front::of(&arguments);
    if front.verb.as_deref() == Some(OsStr::new("status"))
        && let Some(cli) = parse_status(&arguments)
    {
        return Parsed::Do(Box::new(cli));
    }
    let parsed = grouped::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Parsed::Do(Box::new(cli)),
        // `--help` in front of any verb is the verb help: only that knows the
        // site's own commands.
        Err(error) if error.kind() == ErrorKind::DisplayHelp && front.verb.is_none() => {
            Parsed::Do(Box::new(Cli {
                options: Options {
                    user: front.user,
                    ..Options::default()
                },
                verb: Some(Verb::Shell(shell::ShellVerb::Help { verb: None })),
            }))
        }
        Err(error) => {
            let text = error.render().to_string();
            if error.exit_code() == 0 {
                Parsed::Print(text)
            } else {
                Parsed::Misuse(text)
            }
        }
    }
}

/// Parses a `status` without the definitions of all other verbs, which cost
/// more than its answer; programs ask for it often. None where it does not
/// parse, or asks for help: the whole definition tells what to say then.
fn parse_status(arguments: &[OsString]) -> Option<Cli> {
    let status = StatusArgs::augment_args(clap::Command::new("status"));
    let command = Options::augment_args(clap::Command::new("rc_domino")).subcommand(status);
    let matches = command.try_get_matches_from(arguments).ok()?;
    let status = StatusArgs::from_arg_matches(matches.subcommand()?.1).ok()?;
    Some(Cli {
        options: Options::from_arg_matches(&matches).ok()?,
        verb: Some(Verb::Status(status)),
    })
}

/// The verb, and what of the options in front of it is looked at by itself.
#[derive(Debug, Default)]
struct Front {
    user: Option<OsString>,
    verb: Option<OsString>,
}

impl Front {
    fn of(arguments: &[OsString]) -> Front {
        let mut front = Front::default();
        let mut arguments = arguments.iter().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--user" {
                front.user = arguments.next().cloned();
            } else if ["--color", "--config", "--shutdown-timeout"]
                .iter()
                .any(|option| argument == *option)
            {
                arguments.next();
            } else if let Some(user) = argument.as_bytes().strip_prefix(b"--user=") {
                front.user = Some(OsStr::from_bytes(user).to_owned());
            } else if !argument.as_bytes().starts_with(b"-") {
                front.verb = Some(argument.clone());
                break;
            }
        }
        front
    }
}

/// The verb as it was typed, whatever stands in front of it.
pub fn verb_of(arguments: &[OsString]) -> Option<OsString> {
    Front::of(arguments).verb
}

/// Help as shown where no verb is given.
pub fn usage() -> String {
    grouped::command().render_help().to_string()
}

/// Help in full: usage, verbs by group, options, exit codes.
pub fn help() -> String {
    let mut text = grouped::command().render_help().to_string();
    text.push('\n');
    text.push_str(&exit_codes());
    text
}

/// The names of all verbs a user may type.
pub fn verbs() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()))
        .map(str::to_owned)
        .chain(["help".to_owned()])
        .collect()
}

/// The verb that a word resembles most, if it does at all.
pub fn nearest_verb(word: &OsStr) -> Option<String> {
    let word = word.to_str()?;
    verbs()
        .into_iter()
        .map(|verb| (strsim::jaro_winkler(word, &verb), verb))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, verb)| verb)
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text.push_str(&format!("  128+n  {}\n", Exit::Signal(0).meaning()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn behaviour_follows_the_name() {
        let of = |name: &str| persona(Some(OsStr::new(name)));
        assert_eq!(of("/etc/init.d/rc_domino"), Persona::Entry);
        assert_eq!(of("domino"), Persona::Entry);
        assert_eq!(
            of("/opt/nashcom/startscript/rc_domino_script"),
            Persona::Script
        );
        assert_eq!(of("rc_domino_mail"), Persona::EntryFor("mail".into()));
        assert_eq!(of("K19rc_domino_mail"), Persona::EntryFor("mail".into()));
        assert_eq!(of("S66rc_domino"), Persona::Entry);
        let odd = OsStr::from_bytes(b"rc_domino_m\xe4x");
        assert!(
            matches!(persona(Some(odd)), Persona::EntryFor(user) if user.as_bytes() == b"m\xe4x")
        );
        assert_eq!(of("/usr/lib/ocf/resource.d/nashcom/domino"), Persona::Agent);
        assert_eq!(of("/usr/lib/ocf/resource.d/domino"), Persona::Entry);
        assert_eq!(persona(None), Persona::Entry);
    }

    #[test]
    fn misspelt_verbs_find_their_like() {
        assert_eq!(
            nearest_verb(OsStr::new("statsu")).as_deref(),
            Some("status")
        );
        assert_eq!(nearest_verb(OsStr::new("strat")).as_deref(), Some("start"));
        assert_eq!(nearest_verb(OsStr::new("frobnicate")), None);
    }

    #[test]
    fn the_short_way_to_status_leads_where_the_long_one_does() {
        for line in [
            "x status",
            "x status display",
            "x status --json",
            "x --user mail --direct status --format=nagios",
            "x status --format prometheus --color never",
            "x --color always status --format json display",
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let whole = Cli::try_parse_from(&arguments).ok();
            let short = parse_status(&arguments);
            assert_eq!(format!("{short:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "x status --help",
            "x status now",
            "x status --json --format json",
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(parse_status(&arguments).is_none(), "{line}");
        }
    }

    #[test]
    fn waits_and_words() {
        let cli = |line: &str| {
            let arguments = line.split(' ').map(OsString::from).collect();
            match parse(arguments) {
                Parsed::Do(cli) => cli.verb,
                _ => None,
            }
        };
        assert!(matches!(
            cli("x start --wait"),
            Some(Verb::Start(StartArgs {
                wait: Some(300),
                live: None,
                ..
            }))
        ));
        assert!(matches!(
            cli("x start live --wait=5"),
            Some(Verb::Start(StartArgs {
                wait: Some(5),
                live: Some(Live::Live),
                ..
            }))
        ));
        assert!(cli("x start now").is_none());
        assert!(matches!(
            cli("x stop live    "),
            Some(Verb::Stop(LiveArgs {
                live: Some(Live::Live),
                ..
            }))
        ));
        assert!(cli("x stop  live").is_none());
        assert!(matches!(cli("x frob a"), Some(Verb::Other(words)) if words.len() == 2));
    }
}
