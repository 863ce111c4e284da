//! `__backup-mode`: databases into backup mode and out of it, for the snapshot
//! verbs.

use super::identity::Needs;
use super::{Call, loading, with_work};
use crate::cli::backup_mode::Action;
use crate::domino::backup_mode::{self, Entered, Left, Support};
use crate::domino::tools::Work;
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;
use std::time::Duration;

/// How long the console may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Runs the verb.
pub fn run(call: &Call, action: Action, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Login, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    partition.require_installed()?;
    partition.require_data()?;
    with_work(&partition, ui, |work| match action {
        Action::Enter(limit) => enter(work, limit.duration()),
        Action::Renew => {
            backup_mode::renew(work)?;
            work.reporter
                .info("All databases are in backup mode still and flushed to disk");
            Ok(Exit::Done)
        }
        Action::Leave(limit) => leave(work, limit.duration()),
        Action::Supported => supported(work),
    })
}

fn enter(work: &mut Work, limit: Duration) -> Result<Exit> {
    let entered = backup_mode::enter(work, limit)?;
    let (text, exit) = match entered {
        Entered::On(session) => {
            work.reporter.info(&format!(
                "All databases are in backup mode and flushed to disk after {:.1} seconds (server {}, task {})",
                session.took.as_secs_f64(),
                session.server,
                session.task
            ));
            return Ok(Exit::Done);
        }
        Entered::ServerDown => (
            "the server is down: its databases are whole as they are".to_owned(),
            Exit::NeedsServer,
        ),
        Entered::ServerDownUnclean(how) => (
            format!(
                "the server is down, but its databases were not closed cleanly: {how}; start it once to recover them"
            ),
            Exit::Unclean,
        ),
        Entered::InUse(whose) => (
            format!("backup mode is in use by another backup: {whose}"),
            Exit::Locked,
        ),
        Entered::Undone(why) => (
            format!("backup mode was given up: {why}"),
            Exit::BudgetSpent,
        ),
    };
    work.reporter.warn(&text);
    Ok(exit)
}

fn leave(work: &mut Work, limit: Duration) -> Result<Exit> {
    let (text, exit) = match backup_mode::leave(work, limit)? {
        Left::Ended => {
            work.reporter.info("Backup mode has ended");
            return Ok(Exit::Done);
        }
        Left::WasOff => {
            work.reporter.info("No database is in backup mode");
            return Ok(Exit::Done);
        }
        Left::Ending(task) => (
            format!(
                "backup mode was on up to now; its task ({task}) was told to end it and is still at it after {} seconds",
                limit.as_secs()
            ),
            Exit::Done,
        ),
        Left::Lost(how) => (
            format!("backup mode had been lost, do not trust what was copied meanwhile: {how}"),
            Exit::BudgetSpent,
        ),
        Left::Others(whose) => (
            format!("backup mode is another program's and was left alone: {whose}"),
            Exit::Locked,
        ),
    };
    work.reporter.warn(&text);
    Ok(exit)
}

fn supported(work: &mut Work) -> Result<Exit> {
    let why = match backup_mode::supported(work, ANSWER_LIMIT)? {
        Support::Yes => {
            work.reporter
                .info("The server can bring its databases into backup mode");
            return Ok(Exit::Done);
        }
        Support::ServerDown => "the server is down".to_owned(),
        Support::TooOld(release) => format!("the server is Domino {release}, it takes 12 or newer"),
        Support::NoProgram(program) => format!("there is no {}", program.display()),
        Support::Silent(why) => format!("its console does not answer: {why}"),
    };
    work.reporter.warn(&format!("no backup mode: {why}"));
    Ok(Exit::Failed)
}
