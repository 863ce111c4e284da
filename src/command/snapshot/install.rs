//! `snapshot install`, `snapshot uninstall`: what makes a product call us.

use super::super::{Call, identity, switch};
use crate::cli::snapshot::{InstallArgs, UninstallArgs};
use crate::domino::Reporter;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::replace::only_root_changes;
use crate::os::users::effective_uid;
use crate::snapshot::adapters::{self, Plan, Planned, Request, State, Warning};
use crate::ui::Ui;
use serde::Serialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Writes a caller's files, or shows what would be written.
pub fn install(call: &Call, arguments: &InstallArgs, ui: &mut Ui) -> Result<Exit> {
    let user = named_user(call)?;
    let request = Request {
        root: call.root.clone(),
        caller: arguments.caller,
        whose: user
            .clone()
            .unwrap_or_else(|| identity::DEFAULT_USER.into()),
        user,
        program: switch::own_program()?,
        budget: arguments.budget,
        to: arguments.to.clone(),
        policy: arguments.policy.clone(),
    };
    let mut plan = adapters::plan(&request)?;
    plan.warnings.extend(open_program(&request)?);
    if !arguments.dry_run {
        require_root(call, plan.changes())?;
        plan.carry_out()?;
    }
    if arguments.json {
        ui.json(&Report::of(&request, &plan, arguments.dry_run))?;
    } else {
        show(&request, &plan, arguments.dry_run, ui);
    }
    Ok(Exit::Done)
}

/// Removes a caller's files that are ours.
pub fn uninstall(call: &Call, arguments: &UninstallArgs, ui: &mut Ui) -> Result<Exit> {
    let user = named_user(call)?;
    let removal = adapters::removal(
        &call.root,
        arguments.caller,
        user.as_deref(),
        arguments.to.as_deref(),
    )?;
    if !arguments.dry_run {
        require_root(call, !removal.ours.is_empty())?;
        removal.carry_out()?;
    }
    let done = if arguments.dry_run {
        "Would remove"
    } else {
        "Removed"
    };
    for path in &removal.ours {
        ui.line(&format!("{done} {}", path.display()));
    }
    if removal.ours.is_empty() {
        ui.line(&format!("Nothing of rc_domino's for {}", arguments.caller));
    }
    for path in &removal.stay {
        ui.line(&format!(
            "{} stays: it is another's, or another server's",
            path.display()
        ));
    }
    for line in &removal.after {
        ui.line(&format!("Then: {line}"));
    }
    Ok(Exit::Done)
}

/// The user to be named in the scripts: none where he is meant without.
fn named_user(call: &Call) -> Result<Option<OsString>> {
    let settled = match identity::settle(call) {
        Ok(identity) => identity.user.name,
        // The scripts may come before the user does.
        Err(Error::UnknownUser(name)) if name == identity::DEFAULT_USER => name,
        Err(error) => return Err(error),
    };
    if settled == identity::DEFAULT_USER {
        return Ok(None);
    }
    // It becomes a part of file names.
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.$@\\".contains(byte) || *byte > 127;
    if !settled.as_bytes().iter().all(good) || settled.as_bytes().starts_with(b".") {
        return Err(Error::Usage(format!(
            "user '{}' cannot be part of a file's name",
            shown(&settled)
        )));
    }
    Ok(Some(settled))
}

fn require_root(call: &Call, changes: bool) -> Result<()> {
    if !changes || !call.root.is_system() || effective_uid() == 0 {
        return Ok(());
    }
    Err(Error::Refused {
        message: format!(
            "these files are root's; try: {}, or add --dry-run to see them",
            switch::as_typed(call)
        ),
        exit: Exit::Privilege,
    })
}

/// Root runs the scripts, and they run this program.
fn open_program(request: &Request) -> Result<Option<Warning>> {
    let program = &request.program;
    if !request.root.is_system()
        || only_root_changes(program).map_err(Error::file("examine", program))?
    {
        return Ok(None);
    }
    Ok(Some(Warning {
        about: program.display().to_string(),
        problem: "others than root can change it, and the scripts run it as root".to_owned(),
        fix: "install it below /usr (make install) and run that one".to_owned(),
    }))
}

fn did(state: State, dry_run: bool) -> &'static str {
    match (state, dry_run) {
        (State::New, false) => "wrote",
        (State::New, true) => "would write",
        (State::Outdated, false) => "renewed",
        (State::Outdated, true) => "would renew",
        (State::Current, _) => "unchanged",
        (State::Kept, _) => "kept",
    }
}

fn show(request: &Request, plan: &Plan, dry_run: bool, ui: &mut Ui) {
    for file in &plan.files {
        let did = did(file.state, dry_run);
        let path = file.path.display();
        ui.line(&match file.state {
            State::Kept => format!("{did}: {path} (it names these scripts; its settings stay)"),
            _ => format!("{did}: {path} (root, mode {:04o})", file.mode),
        });
        if dry_run && file.state != State::Kept {
            for line in String::from_utf8_lossy(&file.text).lines() {
                ui.line(&format!("    {line}"));
            }
        }
    }
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs());
    match (seconds(plan.budget), seconds(plan.limit)) {
        (Some(budget), Some(limit)) => ui.line(&format!(
            "A freeze may take {budget} s; {} gives up after {limit} s",
            request.caller
        )),
        (Some(budget), None) => ui.line(&format!("A freeze may take {budget} s")),
        (None, _) => ui.line("A freeze may take as long as the shutdown does"),
    }
    for warning in &plan.warnings {
        ui.warn(&format!(
            "{}: {}; {}",
            warning.about, warning.problem, warning.fix
        ));
    }
    if !plan.steps.is_empty() {
        ui.line("Left to do:");
    }
    for line in &plan.steps {
        ui.line(&format!("  {line}"));
    }
}

/// What an installation did, for programs.
#[derive(Serialize)]
struct Report<'a> {
    caller: &'static str,
    dry_run: bool,
    budget_seconds: Option<u64>,
    limit_seconds: Option<u64>,
    files: Vec<File<'a>>,
    warnings: Vec<Said<'a>>,
    left_to_do: &'a [String],
}

#[derive(Serialize)]
struct File<'a> {
    path: String,
    owner: &'static str,
    mode: String,
    state: &'static str,
    content: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Said<'a> {
    about: &'a str,
    problem: &'a str,
    fix: &'a str,
}

impl<'a> Report<'a> {
    fn of(request: &Request, plan: &'a Plan, dry_run: bool) -> Report<'a> {
        let file = |file: &'a Planned| File {
            path: file.path.display().to_string(),
            owner: "root",
            mode: format!("{:04o}", file.mode),
            state: did(file.state, dry_run),
            content: String::from_utf8_lossy(&file.text),
        };
        let said = |warning: &'a Warning| Said {
            about: &warning.about,
            problem: &warning.problem,
            fix: &warning.fix,
        };
        Report {
            caller: request.caller.name(),
            dry_run,
            budget_seconds: plan.budget.map(|time| time.as_secs()),
            limit_seconds: plan.limit.map(|time| time.as_secs()),
            files: plan.files.iter().map(file).collect(),
            warnings: plan.warnings.iter().map(said).collect(),
            left_to_do: &plan.steps,
        }
    }
}
