//! The actions that change something: `start`, `stop`.

use super::super::identity::Standing;
use super::super::loading;
use super::looking::too_long;
use super::{Agent, Answer, LEFTOVERS, NOTHING, READY, STATE, reason};
use crate::error::Result;
use crate::exit::{Exit, OcfExit};
use crate::settings;
use crate::ui::Ui;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is left of the cluster's own limit for telling what came of a start.
const MARGIN: Duration = Duration::from_secs(5);

/// How long a start waits for readiness where the cluster sets no limit.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// How often a server that starts already is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long what a server left behind that is gone may take to end by itself.
/// Nobody tells it to, and its databases are not closed cleanly in any case.
const REMNANTS_LIMIT: u32 = 10;

/// Starts the server; ends when it is ready, or has failed.
pub fn start(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    let limit = agent.parameters.limit.map_or(READY_LIMIT, |limit| {
        limit.saturating_sub(MARGIN).max(Duration::from_secs(1))
    });
    let began = Instant::now();
    if agent.look(STATE, ui)? != Exit::Done {
        let started = launch(agent, limit, ui)?;
        if started.exit != Exit::Done {
            reason(ui, &started.why());
            return Ok(OcfExit::of(started.exit));
        }
    }
    match agent.parameters.ready {
        true => wait_until_ready(agent, began + limit, limit, ui),
        false => Ok(OcfExit::Success),
    }
}

/// Has the server started, by whomever: a start beside this one may be first.
fn launch(agent: &Agent<'_>, limit: Duration, ui: &mut Ui) -> Result<Answer> {
    make_run_directory(agent, ui);
    // A crash may have left IPC that keeps the next server from its own.
    // Processes are not a start's to kill: where one has come up by the time
    // the lock is free, nothing is removed, and the start tells what it is.
    if agent.look(LEFTOVERS, ui)? == Exit::Done {
        let cleared = agent.run(&["cleanup", "--yes", "--spare=processes"], ui)?;
        if matches!(cleared.exit, Exit::Locked | Exit::Signal(_)) {
            return Ok(cleared);
        }
    }
    let mut verb = vec!["start".to_owned()];
    if agent.parameters.ready {
        verb.push(format!("--wait={}", limit.as_secs()));
    }
    if agent.parameters.take_over {
        verb.push("--take-over".into());
    }
    let words: Vec<&str> = verb.iter().map(String::as_str).collect();
    agent.run(&words, ui)
}

/// For a server that somebody else has started, or a start before this one that
/// took too long.
fn wait_until_ready(
    agent: &Agent<'_>,
    give_up: Instant,
    limit: Duration,
    ui: &mut Ui,
) -> Result<OcfExit> {
    while agent.look(READY, ui)? != Exit::Done {
        let now = Instant::now();
        if agent.look(STATE, ui)? != Exit::Done {
            reason(ui, "the server, which was starting, did not stay up");
            return Ok(OcfExit::Generic);
        }
        if now >= give_up {
            let seconds = limit.as_secs();
            let text = format!(
                "the server was running already, but is not ready after {seconds} seconds; it goes on starting"
            );
            reason(ui, &text);
            return Ok(OcfExit::Generic);
        }
        std::thread::sleep(LOOK_EVERY.min(give_up - now));
    }
    Ok(OcfExit::Success)
}

/// The directory that the unit makes for DOMINO_PID_FILE, RuntimeDirectory=:
/// /run/USER, nothing else, since this process is root.
fn make_run_directory(agent: &Agent<'_>, ui: &mut Ui) {
    let user = &agent.identity.user;
    let directory = Path::new("/run").join(&user.name);
    let file = settings::peek(&agent.call.root, &user.name, "DOMINO_PID_FILE");
    let is_its = file.is_some_and(|(file, _)| Path::new(&file).parent() == Some(&directory));
    if agent.identity.standing != Standing::Root || !is_its || directory.exists() {
        return;
    }
    let made = std::fs::DirBuilder::new()
        .mode(0o755)
        .create(&directory)
        .and_then(|()| chown(&directory, Some(user.uid), Some(user.gid)));
    if let Err(cause) = made {
        let text = format!("cannot make {}: {cause}", directory.display());
        agent.note(ui, &text);
    }
}

/// Stops the server. Success means that nothing of it is left on this host:
/// then another may have its data. What it took is logged.
pub fn stop(agent: &Agent<'_>, ui: &mut Ui) -> Result<OcfExit> {
    warn_of_limit(agent, ui);
    let before = agent.look(STATE, ui)?.code();
    let is_remnants = before == OcfExit::Generic.code();
    let limit = is_remnants.then_some(REMNANTS_LIMIT);
    let stopped = agent.run_within(limit, &["stop", "--without-login"], ui)?;
    let exit = stopped.exit;
    if matches!(exit, Exit::Signal(_)) {
        reason(ui, "the stop was asked to end before it was done");
        return Ok(OcfExit::Generic);
    }
    let was_down = before == OcfExit::NotRunning.code();
    let brief = match exit {
        Exit::Done => None,
        // A host that has nothing of it now has nothing to stop.
        Exit::NotInstalled | Exit::NotConfigured if was_down => None,
        // How the last run ended, here or elsewhere.
        Exit::Unclean if was_down => stopped.warning.clone(),
        Exit::Unclean | Exit::Crashed => Some(exit.brief().into_owned()),
        _ => Some(format!("'rc_domino stop': {}", stopped.why())),
    };
    if let Some(brief) = brief {
        agent.note(ui, &brief);
    }
    // What these say of is down; one that runs now was started since.
    let is_down = matches!(exit, Exit::Done | Exit::Unclean | Exit::Crashed);
    // To end one that was never asked to is nobody's wish.
    if !is_down && !stopped.quitting && agent.look(STATE, ui)? == Exit::Done {
        let why = stopped.why();
        reason(
            ui,
            &format!("the server runs on, its shutdown could not begin: {why}"),
        );
        return Ok(OcfExit::Generic);
    }
    // Nothing runs, but a start may be under way that nobody has waited for.
    let has_looked = is_down
        || stopped.quitting
        || matches!(
            exit,
            Exit::Failed | Exit::NotInstalled | Exit::NotConfigured
        );
    let left = match has_looked {
        true => clear(agent, stopped.quitting && !is_down, ui)?,
        false => Some("the stop could not begin".to_owned()),
    };
    if let Some(mut text) = left {
        if exit != Exit::Done {
            text.push_str(&format!("; 'rc_domino stop': {}", stopped.why()));
        }
        reason(ui, &text);
        return Ok(OcfExit::Generic);
    }
    loading::note_for_init(agent.call, &agent.identity, false, ui);
    Ok(OcfExit::Success)
}

/// Removes what a stop has left, also a server that was `told` to quit. Answers
/// what is there all the same, or who may bring it back.
fn clear(agent: &Agent<'_>, told: bool, ui: &mut Ui) -> Result<Option<String>> {
    let left = agent.look(LEFTOVERS, ui)?.code();
    if left != NOTHING {
        let mut verb = vec!["cleanup", "--yes"];
        if !told {
            verb.push("--spare=server");
        }
        let cleared = agent.run(&verb, ui)?;
        let is_clear = match cleared.exit {
            Exit::Done => true,
            // Lock files may have been all that could not be removed.
            Exit::Failed => agent.look(LEFTOVERS, ui)?.code() == NOTHING,
            _ => false,
        };
        if !is_clear {
            let some = || "something of it is left that could not be removed".to_owned();
            let why = cleared.error.map(|why| format!("not cleaned up: {why}"));
            return Ok(Some(why.unwrap_or_else(some)));
        }
        if left == OcfExit::Generic.code() {
            let text = "what neither the shutdown nor NSD had ended was ended by SIGKILL";
            agent.note(ui, text);
        }
    }
    let text = match agent.look(STATE, ui)? {
        Exit::Done => "the server was started again",
        state if state.code() == OcfExit::NotRunning.code() => return Ok(None),
        _ => "processes of the server are left that could not be ended",
    };
    Ok(Some(text.to_owned()))
}

/// The configuration is read as data only: this process is root.
fn warn_of_limit(agent: &Agent<'_>, ui: &mut Ui) {
    let Some(limit) = agent.parameters.limit else {
        return;
    };
    let given = agent
        .call
        .shutdown_timeout
        .map(|seconds| Duration::from_secs(seconds.into()));
    let user = &agent.identity.user.name;
    let configured = || settings::peek_seconds(&agent.call.root, user, "DOMINO_SHUTDOWN_TIMEOUT");
    let Some(shutdown) = given.or_else(configured) else {
        return;
    };
    if shutdown >= limit {
        agent.note(ui, &too_long(shutdown, limit));
    }
}
