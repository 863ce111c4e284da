//! `ocf`: the resource agent of a cluster, by the OCF Resource Agent API 1.1.
//!
//! It never goes through the host's service manager. What changes the server is
//! done by runs of this program's own verbs, since root gives up his rights in
//! each; looking is done in this process.

mod changing;
mod looking;
mod parameters;

use super::identity::{self, Identity, Standing};
use super::{Call, switch};
use crate::domino::Reporter;
use crate::error::{Error, Result};
use crate::exit::{Exit, OcfExit};
use crate::os::spawn::{Launch, Stream};
use crate::ui::Ui;
use parameters::Parameters;
use std::ffi::OsString;

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
            ui.line("usage: domino start|stop|monitor|status|meta-data|validate-all");
            Ok(OcfExit::Success)
        }
        Some(action @ ("start" | "stop" | "monitor" | "status" | "validate-all" | LEFTOVERS)) => {
            act(call, action, ui)
        }
        Some(_) => Ok(OcfExit::Unimplemented),
        None => Ok(OcfExit::Arguments),
    };
    let exit = done.unwrap_or_else(|error| {
        reason(ui, &error.to_string());
        OcfExit::of(error.exit())
    });
    exit.into()
}

/// Internal action: whether a cleanup would find IPC (0), processes too (1), or
/// [`NOTHING`].
const LEFTOVERS: &str = "leftovers";

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
        root: call.root.clone(),
        persona: call.persona.clone(),
        user: parameters.user.clone().or_else(|| call.user.clone()),
        config: parameters.config.clone().or_else(|| call.config.clone()),
        shutdown_timeout: parameters.shutdown_timeout.or(call.shutdown_timeout),
        direct: true,
        arguments: call.arguments.clone(),
        environment: call.environment.clone(),
    };
    let identity = match identity::settle(&named) {
        Ok(identity) => identity,
        // Nothing can run for a user who is not there.
        Err(error @ Error::UnknownUser(_)) => {
            return Ok(match action {
                "stop" => OcfExit::Success,
                "monitor" | "status" if parameters.probe => OcfExit::NotRunning,
                _ => {
                    reason(ui, &error.to_string());
                    OcfExit::Installed
                }
            });
        }
        Err(error) => return Err(error),
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

/// One call of the agent.
struct Agent<'a> {
    call: &'a Call,
    identity: Identity,
    parameters: Parameters,
}

impl Agent<'_> {
    /// Runs another verb of this program for the same server.
    fn run(&self, verb: &[&str], ui: &mut Ui) -> Result<Exit> {
        switch::run_in_front(self.launch(verb)?, ui)
    }

    /// The same, silently and with a level-0 monitor's environment.
    fn look(&self, action: &str, ui: &mut Ui) -> Result<Exit> {
        let mut launch = self.launch(&["ocf", action])?;
        launch.env.retain(|(name, _)| name != "OCF_CHECK_LEVEL");
        launch.stderr = Stream::Null;
        launch.stdout = Stream::Null;
        switch::run_to_end(launch, ui)
    }

    fn launch(&self, verb: &[&str]) -> Result<Launch> {
        let mut launch = Launch::new(switch::own_program()?);
        let mut option = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                launch.args.extend([name.into(), value]);
            }
        };
        option("--user", Some(self.identity.user.name.clone()));
        option("--config", self.call.config.clone());
        let seconds = self.call.shutdown_timeout;
        option(
            "--shutdown-timeout",
            seconds.map(|seconds| seconds.to_string().into()),
        );
        launch.args.push("--direct".into());
        launch.args.extend(verb.iter().map(OsString::from));
        launch.env = self.call.environment.clone();
        Ok(launch)
    }

    /// Something for the cluster's log that is no failure.
    fn note(&self, ui: &mut Ui, text: &str) {
        ui.warn(text);
    }
}
