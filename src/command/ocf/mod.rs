//! `ocf`: the resource agent of a cluster, by the OCF Resource Agent API 1.1.
//!
//! It never goes through the host's service manager. What changes the server is
//! done by runs of this program's own verbs, since root gives up his rights in
//! each; looking is done in this process.

mod changing;
mod looking;
mod nobody;
mod parameters;

use super::identity::{self, Identity, Standing};
use super::{Call, switch};
use crate::domino::Reporter;
use crate::domino::stop::QUITTING;
use crate::error::{Error, Result, shown};
use crate::exit::{Exit, OcfExit};
use crate::os::crew::{Voice, run_together};
use crate::os::signals::Signals;
use crate::os::spawn::{Launch, Stream};
use crate::os::syslog::{self, Severity};
use crate::ui::Ui;
use parameters::Parameters;
use std::ffi::OsString;
use std::path::Path;

/// Where the system's log listens.
const LOG: &str = "/dev/log";

/// The agent's description of itself.
const META_DATA: &str = include_str!("metadata.xml");

/// What the cluster shows beside a failed action.
const REASON: &str = "ocf-exit-reason:";

/// Runs an action; every outcome is one of OCF's.
pub fn run(call: &Call, action: Option<&str>, ui: &mut Ui) -> Exit {
    let done = match action {
        Some("meta-data") => {
            ui.text(&META_DATA.replace("VERSION", env!("CARGO_PKG_VERSION")));
            Ok(OcfExit::Success)
        }
        Some("usage" | "help") => {
            ui.line(USAGE);
            Ok(OcfExit::Success)
        }
        Some(
            action @ ("start" | "stop" | "monitor" | "status" | "validate-all" | STATE | READY
            | LEFTOVERS),
        ) => act(call, action, ui),
        Some(_) | None => {
            reason(ui, USAGE);
            Ok(match action {
                Some(_) => OcfExit::Unimplemented,
                None => OcfExit::Arguments,
            })
        }
    };
    let exit = done.unwrap_or_else(|error| {
        reason(ui, &error.to_string());
        OcfExit::of(error.exit())
    });
    exit.into()
}

const USAGE: &str = "usage: domino start|stop|monitor|status|meta-data|validate-all";

/// Internal action: whether a cleanup would find IPC (0), processes too (1),
/// [`NOTHING`] but somebody who has the lock (4), or [`NOTHING`].
const LEFTOVERS: &str = "leftovers";

/// Internal action: what a `monitor` answers of the processes alone.
const STATE: &str = "state";

/// Internal action: whether a server that runs is ready, as a start's own wait
/// has it: one that waits for its setup comes no further.
const READY: &str = "ready";

/// Nothing is left.
const NOTHING: u8 = OcfExit::NotRunning.code();

fn act(call: &Call, action: &str, ui: &mut Ui) -> Result<OcfExit> {
    let parameters = match Parameters::of(call) {
        Ok(parameters) => parameters,
        Err(error) => {
            reason(ui, &error.to_string());
            return Ok(OcfExit::Configured);
        }
    };
    let named = Call {
        user: parameters.user.clone().or_else(|| call.user.clone()),
        config: parameters.config.clone().or_else(|| call.config.clone()),
        shutdown_timeout: parameters.shutdown_timeout.or(call.shutdown_timeout),
        direct: true,
        ..call.clone()
    };
    let identity = match identity::settle(&named) {
        Ok(identity) => identity,
        Err(error) => return nobody::act(&named, action, parameters.probe, error, ui),
    };
    if identity.standing == Standing::Other {
        reason(ui, "only root and the Domino user himself can do this");
        return Ok(OcfExit::Permission);
    }
    let agent = Agent {
        call: &named,
        identity,
        parameters,
    };
    match action {
        "start" => changing::start(&agent, ui),
        "stop" => changing::stop(&agent, ui),
        "validate-all" => looking::validate(&agent, ui),
        STATE => looking::state(&agent, ui),
        READY => looking::ready(&agent, ui),
        LEFTOVERS => looking::leftovers(&agent, ui),
        _ => looking::monitor(&agent, ui),
    }
}

/// Tells the cluster why.
fn reason(ui: &mut Ui, text: &str) {
    let first = text.lines().next().unwrap_or_default();
    ui.aside(&format!("{REASON}{first}\n"));
    for line in text.lines().skip(1) {
        ui.aside(&format!("{line}\n"));
    }
}

/// Something for the log that is no failure: of an action that succeeds the
/// cluster keeps no output, so it goes to the system's log, too.
fn note(call: &Call, text: &str, ui: &mut Ui) {
    ui.warn(text);
    if let Some(instance) = call.variable("OCF_RESOURCE_INSTANCE") {
        let who = format!("domino({})", shown(instance));
        syslog::write(Path::new(LOG), Severity::Warning, &who, text);
    }
}

/// What another verb of this program answered and said.
struct Answer {
    exit: Exit,
    /// Its error.
    error: Option<String>,
    /// Its last warning.
    warning: Option<String>,
    /// Whether it told the server to quit.
    quitting: bool,
}

impl Answer {
    /// Takes down what matters of a line.
    fn hear(&mut self, voice: Voice, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match (voice, line.strip_prefix("rc_domino: ")) {
            (Voice::Out, _) => self.quitting |= line == QUITTING,
            (Voice::Err, Some(text)) => match text.strip_prefix("warning: ") {
                Some(warning) => self.warning = Some(warning.to_owned()),
                None => self.error = self.error.take().or_else(|| Some(text.to_owned())),
            },
            (Voice::Err, None) => {}
        }
    }

    /// Why it did not do what it was to do.
    fn why(&self) -> String {
        let code = || format!("{} (exit code {})", self.exit.brief(), self.exit.code());
        self.error.clone().unwrap_or_else(code)
    }
}

/// One call of the agent.
struct Agent<'a> {
    call: &'a Call,
    identity: Identity,
    parameters: Parameters,
}

impl Agent<'_> {
    /// Runs another verb of this program for the same server.
    fn run(&self, verb: &[&str], ui: &mut Ui) -> Result<Answer> {
        self.run_within(None, verb, ui)
    }

    /// The same, with another limit for a shutdown, in seconds, where there is
    /// none of the cluster's own that is shorter.
    fn run_within(&self, limit: Option<u32>, verb: &[&str], ui: &mut Ui) -> Result<Answer> {
        let own = self.call.shutdown_timeout;
        let limit = own.into_iter().chain(limit).min();
        let launch = self.launch(limit, verb)?;
        let program = launch.program.clone();
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        let mut answer = Answer {
            exit: Exit::Failed,
            error: None,
            warning: None,
            quitting: false,
        };
        let mut together = run_together(vec![launch], &signals, &mut |_, voice, line| {
            answer.hear(voice, line);
            let text = [line, b"\n"].concat();
            match voice {
                Voice::Out => ui.bytes(&text),
                Voice::Err => ui.aside_bytes(&text),
            }
        })
        .map_err(Error::system("watch what was started"))?;
        if let Some(end) = together.ends.pop() {
            answer.exit = switch::exit_of(end.map_err(|cause| Error::Program {
                program: program.into(),
                cause,
            })?);
        }
        Ok(answer)
    }

    /// Looks, silently, by an action of the agent's own.
    fn look(&self, action: &str, ui: &mut Ui) -> Result<Exit> {
        self.ask(&["ocf", action], ui)
    }

    /// Runs a verb that only looks, silently and with a level-0 monitor's
    /// environment.
    fn ask(&self, verb: &[&str], ui: &mut Ui) -> Result<Exit> {
        let mut launch = self.launch(self.call.shutdown_timeout, verb)?;
        launch.env.retain(|(name, _)| name != "OCF_CHECK_LEVEL");
        launch.stderr = Stream::Null;
        launch.stdout = Stream::Null;
        switch::run_to_end(launch, ui)
    }

    fn launch(&self, limit: Option<u32>, verb: &[&str]) -> Result<Launch> {
        let call = Call {
            shutdown_timeout: limit,
            ..self.call.clone()
        };
        let program = switch::own_program()?;
        let mut launch = switch::again(&program, &call, &self.identity.user.name);
        // The cluster kills an agent that takes too long: a stop must not go on
        // behind its back and keep the lock from the next one.
        launch.args.push("--tied".into());
        launch.args.extend(verb.iter().map(OsString::from));
        Ok(launch)
    }

    fn note(&self, ui: &mut Ui, text: &str) {
        note(self.call, text, ui);
    }
}
