//! The verbs: each settles whose server is meant, loads the settings, acts on
//! the server, and maps what came of it to an exit code.

mod backup_mode;
mod config;
mod databases;
mod diagnosis;
mod editing;
mod health;
mod identity;
mod live;
mod loading;
mod logs;
mod managers;
mod ocf;
mod restart;
mod run;
mod service;
mod setup;
pub mod shell;
mod snapshot;
mod start;
mod status;
mod stop;
mod support;
mod switch;

use crate::cli::foreground::ForegroundVerb;
use crate::cli::{self, Persona, Verb};
use crate::domino::archive;
use crate::domino::tools::Work;
use crate::domino::{Partition, Reporter};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::root::Root;
use crate::os::signals::Signals;
use crate::service::notify::{Heartbeat, Notifier};
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};

/// How the program was called.
#[derive(Clone, Debug)]
pub struct Call {
    /// Prefix of the built-in paths.
    pub root: Root,
    /// Which program the caller believes to run.
    pub persona: Persona,
    /// The user named on the command line.
    pub user: Option<OsString>,
    /// A further configuration file, named on the command line.
    pub config: Option<OsString>,
    /// How long a shutdown may take, in seconds, where the command line says.
    pub shutdown_timeout: Option<u32>,
    /// Whether to act on the server itself, past any service manager.
    pub direct: bool,
    /// The whole command line.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Call {
    /// A variable of the caller's environment that is not empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_os_str())
    }
}

/// The variable that moves the program's built-in paths (`/etc/sysconfig`,
/// `/etc/passwd`, `/opt/hcl` …) below a directory: for trials and tests.
pub const ROOT_VARIABLE: &str = "RC_DOMINO_ROOT";

/// The built-in paths' prefix. Root never takes it from its environment: what
/// decides for root lies under the real /etc.
pub fn root_for(environment: &[(OsString, OsString)]) -> Root {
    if crate::os::users::effective_uid() == 0 {
        return Root::system();
    }
    environment
        .iter()
        .find(|(name, value)| name == ROOT_VARIABLE && !value.is_empty())
        .map_or_else(Root::system, |(_, value)| Root::at(value.into()))
}

/// Runs a verb.
pub fn run(call: &Call, verb: Verb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        Verb::Start(arguments) => start::run(call, arguments, ui),
        Verb::Stop(arguments) => stop::run(call, arguments, false, ui),
        Verb::Quit(arguments) => stop::run(call, arguments, true, ui),
        Verb::Restart(arguments) => restart::run(call, arguments, ui),
        Verb::Status(arguments) => status::run(call, arguments, ui),
        Verb::Monitor | Verb::Live => live::console(call, true, ui),
        Verb::Console => live::console(call, false, ui),
        Verb::Statusd => service::run(call, Some("status"), ui),
        Verb::Service { action } => service::run(call, action.as_deref(), ui),
        Verb::Foreground(ForegroundVerb::Run) => run::run(call, ui),
        Verb::Foreground(ForegroundVerb::Healthcheck(arguments)) => {
            health::run(call, arguments, ui)
        }
        Verb::Logs(verb) => logs::run(call, verb, ui),
        Verb::Systemlog { lines } => logs::systemlog(call, lines, ui),
        Verb::Setup(verb) => setup::run(call, verb, ui),
        Verb::Databases(verb) => databases::run(call, verb, ui),
        Verb::Config(verb) => config::run(call, verb, ui),
        Verb::Support(verb) => support::run(call, verb, ui),
        Verb::Shell(verb) => shell::run(call, verb, ui),
        Verb::Diagnosis(verb) => diagnosis::run(call, verb, ui),
        Verb::Snapshot(verb) => snapshot::run(call, verb, ui),
        Verb::Keeper => snapshot::keep(call),
        Verb::KeeperSecond { pid } => snapshot::second(call, pid),
        Verb::SnapshotFacts => snapshot::facts(call, ui),
        Verb::ForceDown => snapshot::force_down(call, ui),
        Verb::Managers(verb) => managers::run(call, verb, ui),
        Verb::Version => {
            ui.line(&format!("rc_domino {}", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Done)
        }
        Verb::Compress { file } => {
            archive::compress(&file).map_err(Error::file("compress", file))?;
            Ok(Exit::Done)
        }
        Verb::Restartable => restart::restartable(call, ui),
        Verb::Stoppable => stop::stoppable(call, ui),
        Verb::RestartStop => stop::to_restart(call, ui),
        Verb::BackupMode { action } => backup_mode::run(call, action, ui),
        Verb::Catalogue => {
            for entry in crate::settings::catalogue::CATALOGUE {
                ui.line(&format!(
                    "{}\t{}\t{}\t{}\t{}\t{}",
                    entry.name,
                    entry.aliases.join(","),
                    entry.unit,
                    entry.default,
                    entry.summary,
                    entry.group
                ));
            }
            Ok(Exit::Done)
        }
        Verb::Verbs => {
            for verb in cli::verbs() {
                ui.line(&verb);
            }
            Ok(Exit::Done)
        }
        Verb::Other(words) => shell::custom(call, &words, ui),
    }
}

/// Asks a service manager that listens to the commands of its unit for more
/// time, as long as `goes_on` says so and the answer lives.
fn ask_for_time(call: &Call, goes_on: impl FnMut() -> bool + Send + 'static) -> Heartbeat {
    // Nobody is told of a socket that cannot be used: nothing depends on it.
    let notifier = match call.direct {
        true => Notifier::of(&call.environment).unwrap_or_default(),
        false => Notifier::default(),
    };
    Heartbeat::start(&notifier, goes_on)
}

/// Runs `act` with everything a long verb works with; signals are held back
/// meanwhile and looked at where it is safe to end.
fn with_work<T>(
    partition: &Partition,
    ui: &mut Ui,
    act: impl FnOnce(&mut Work) -> Result<T>,
) -> Result<T> {
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    with_work_under(partition, &signals, ui, act)
}

/// The same, with signals that are held back already.
fn with_work_under<T>(
    partition: &Partition,
    signals: &Signals,
    ui: &mut Ui,
    act: impl FnOnce(&mut Work) -> Result<T>,
) -> Result<T> {
    let mut work = Work {
        partition,
        reporter: ui as &mut dyn Reporter,
        signals,
    };
    act(&mut work)
}
