//! The actions that change something: `start`, `stop`.

use super::looking::too_long;
use super::{Agent, LEFTOVERS, NOTHING, reason};
use crate::error::Result;
use crate::exit::{Exit, OcfExit};
use crate::settings;
use crate::ui::Ui;
use std::time::Duration;

/// What is left of the cluster's own limit for telling what came of a start.
const MARGIN: Duration = Duration::from_secs(5);

/// How long a start waits for readiness where the cluster sets no limit.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// How long what a server left behind that is gone may take to end by itself.
/// Nobody tells it to, and its databases are not closed cleanly in any case.
const REMNANTS_LIMIT: u32 = 10;

/// Starts the server; ends when it is ready, or has failed.
pub fn start(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    if agent.look("monitor", ui)? == Exit::Done {
        return Ok(OcfExit::Success);
    }
    // A crash may have left IPC that keeps the next server from its own.
    // Processes are not a start's to kill.
    if agent.look(LEFTOVERS, ui)? == Exit::Done {
        agent.run(&["cleanup", "--yes"], ui)?;
    }
    let mut verb = vec!["start".to_owned()];
    if agent.parameters.ready {
        let limit = agent.parameters.limit.map_or(READY_LIMIT, |limit| {
            limit.saturating_sub(MARGIN).max(Duration::from_secs(1))
        });
        verb.push(format!("--wait={}", limit.as_secs()));
    }
    if agent.parameters.take_over {
        verb.push("--take-over".into());
    }
    let words: Vec<&str> = verb.iter().map(String::as_str).collect();
    let exit = agent.run(&words, ui)?;
    if exit != Exit::Done {
        reason(ui, &format!("the server was not started: {}", told(exit)));
    }
    Ok(OcfExit::of(exit))
}

/// Stops the server. Success means that nothing of it is left on this host,
/// whatever that took: then another may have its data. How clean it was is
/// logged.
pub fn stop(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    warn_of_limit(agent, ui);
    let is_remnants = agent.look("monitor", ui)?.code() == OcfExit::Generic.code();
    let limit = is_remnants.then_some(REMNANTS_LIMIT);
    let exit = agent.run_within(limit, &["stop"], ui)?;
    match exit {
        Exit::Done => {}
        Exit::Unclean | Exit::Crashed => agent.note(
            ui,
            &format!(
                "{}; nothing of it is left, so this stop is a success for the cluster",
                exit.brief()
            ),
        ),
        other => agent.note(ui, &format!("'rc_domino stop': {}", told(other))),
    }
    if matches!(exit, Exit::Signal(_)) || matches!(exit.code(), 129 | 130 | 143) {
        reason(ui, "the stop was asked to end before it was done");
        return Ok(OcfExit::Generic);
    }
    if agent.look(LEFTOVERS, ui)?.code() != NOTHING {
        agent.run(&["cleanup", "--yes"], ui)?;
    }
    if agent.look("monitor", ui)?.code() == OcfExit::NotRunning.code() {
        return Ok(OcfExit::Success);
    }
    reason(
        ui,
        "processes of the server are left that could not be ended",
    );
    Ok(OcfExit::Generic)
}

fn told(exit: Exit) -> String {
    format!("{} (exit code {})", exit.brief(), exit.code())
}

/// The configuration is read as data only: this process is root.
fn warn_of_limit(agent: &Agent<'_>, ui: &mut Ui) {
    let Some(limit) = agent.parameters.limit else {
        return;
    };
    let configured = || {
        let user = &agent.identity.user.name;
        let (text, _) = settings::peek(&agent.call.root, user, "DOMINO_SHUTDOWN_TIMEOUT")?;
        text.to_str()?.trim().parse().ok()
    };
    let seconds: u32 = agent
        .call
        .shutdown_timeout
        .or_else(configured)
        .unwrap_or(600);
    let shutdown = Duration::from_secs(seconds.into());
    if shutdown >= limit {
        agent.note(ui, &too_long(shutdown, limit));
    }
}
