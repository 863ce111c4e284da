//! `about`, `about+`, `diag`, `senddiag`: what is known of host and server,
//! shown or collected.

use super::identity::{self, Needs, Standing};
use super::loading;
use super::{Call, with_work};
use crate::cli::support::{Collect, DiagAction, SupportVerb};
use crate::domino::Partition;
use crate::domino::about::{self, Section};
use crate::domino::diagnostics::{self, Wanted, Written};
use crate::domino::figures::{count, many, size};
use crate::domino::mail::Mailer;
use crate::domino::tools::Work;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::bounded::{Ended, Output, run_bounded};
use crate::os::spawn::Launch;
use crate::service::systemd::Unit;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// Who is asked for this host's public address, if at all.
const ADDRESS_SERVICE: &str = "https://ipinfo.io/json";

/// Runs one of the verbs.
pub fn run(call: &Call, verb: SupportVerb, ui: &mut Ui) -> Result<Exit> {
    // Before root's rights are gone.
    let journal = match verb {
        SupportVerb::Diag { .. } | SupportVerb::Senddiag { .. } => journal_of_root(call),
        _ => None,
    };
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    match verb {
        SupportVerb::About => {
            show(&sections(&partition)?, ui);
            Ok(Exit::Done)
        }
        SupportVerb::AboutPlus { network } => {
            let mut sections = sections(&partition)?;
            sections.extend(about::further(&partition));
            show(&sections, ui);
            if network {
                return public_address(&partition, ui);
            }
            Ok(Exit::Done)
        }
        SupportVerb::Diag {
            action: DiagAction::Collect,
            collect,
            to: None,
        } => diag(&partition, &collect, journal, ui),
        SupportVerb::Diag {
            action: DiagAction::Collect,
            to: Some(_),
            ..
        } => Err(Error::Usage(
            "--to goes with 'diag send' or 'senddiag'".to_owned(),
        )),
        SupportVerb::Diag { collect, to, .. } | SupportVerb::Senddiag { collect, to } => {
            senddiag(&partition, &collect, to.as_deref(), journal, ui)
        }
    }
}

/// The unit's journal as only root reads it: with what systemd itself says,
/// which had to kill, or was out of time. Other users see their own messages.
fn journal_of_root(call: &Call) -> Option<Vec<u8>> {
    let identity = identity::settle(call).ok()?;
    if identity.standing != Standing::Root {
        return None;
    }
    // Of this user's unit only: the archive is his.
    loading::unit(call, &identity).ok()??.journal_text().ok()
}

fn unit_of(partition: &Partition) -> Result<Option<Unit>> {
    if !partition.systemd {
        return Ok(None);
    }
    Unit::new(&partition.settings.unit_name()).map(Some)
}

fn sections(partition: &Partition) -> Result<Vec<Section>> {
    let unit = match unit_of(partition)? {
        None => "none: systemd does not run this host".to_owned(),
        Some(unit) => {
            let said = match unit.state() {
                Ok(state) if state.is_loaded() => state.active().to_owned(),
                Ok(_) => "no such unit".into(),
                Err(error) => error.to_string(),
            };
            format!("{}: {said}", shown(unit.name()))
        }
    };
    about::brief(partition, Some(&unit))
}

fn show(sections: &[Section], ui: &mut Ui) {
    for (position, section) in sections.iter().enumerate() {
        if position > 0 {
            ui.line("");
        }
        for line in section.lines() {
            ui.line(&line);
        }
    }
}

/// What the service says of the address this host is seen under.
fn public_address(partition: &Partition, ui: &mut Ui) -> Result<Exit> {
    ui.line("");
    ui.line(&format!("Public address, asked of {ADDRESS_SERVICE}:"));
    let mut launch = Launch::new("curl");
    // -q: what ~/.curlrc says must not undo what is asked for here.
    launch.args = [
        "-q",
        "--silent",
        "--show-error",
        "--fail",
        "--proto",
        "=https",
        "--max-time",
        "10",
        ADDRESS_SERVICE,
    ]
    .map(OsString::from)
    .to_vec();
    launch.env = partition.inherited.clone();
    let mut answer = Vec::new();
    let ended = with_work(partition, ui, |work| {
        let output = Output::Bytes {
            bound: 64 << 10,
            into: &mut answer,
        };
        run_bounded(
            launch,
            Some(Duration::from_secs(15)),
            Some(work.signals),
            output,
        )
        .map_err(|cause| Error::Program {
            program: "curl".into(),
            cause,
        })
    })?;
    let good = matches!(ended, Ended::Exited(status) if status.success());
    if !good {
        ui.error("curl got no answer; the host may have no way to the internet");
        return Ok(Exit::Failed);
    }
    // One field a line; nothing here needs more of JSON than that.
    for line in answer.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim().trim_end_matches(',');
        if let Some((name, value)) = line.split_once(": ")
            && name != "\"readme\""
        {
            ui.line(&format!(
                "  {:<14}  {}",
                shown(OsStr::new(name.trim_matches('"'))),
                shown(OsStr::new(value.trim_matches('"')))
            ));
        }
    }
    Ok(Exit::Done)
}

/// `diag`: collects into an archive.
fn diag(
    partition: &Partition,
    collect: &Collect,
    journal: Option<Vec<u8>>,
    ui: &mut Ui,
) -> Result<Exit> {
    let unit = unit_of(partition)?;
    with_work(partition, ui, |work| {
        collected(work, collect, unit.as_ref(), journal)?;
        Ok(Exit::Done)
    })
}

/// Shows what is to be collected, then collects it; nothing but the list where
/// only that was asked for.
fn collected(
    work: &mut Work,
    collect: &Collect,
    unit: Option<&Unit>,
    journal: Option<Vec<u8>>,
) -> Result<Option<Written>> {
    let settings = &work.partition.settings;
    let wanted = Wanted {
        days: collect
            .days
            .and_then(|days| days.0)
            .unwrap_or(settings.diag_days.value),
        bytes: settings.diag_max_size.value.saturating_mul(1 << 20),
        output: collect.output.clone(),
        journal,
    };
    let plan = diagnostics::plan(work, &wanted, unit.map(Unit::name))?;
    for line in plan.lines() {
        work.reporter.info(&line);
    }
    work.reporter.info(&format!(
        "{}, {} before compression; passwords and keys are masked by their names",
        many(plan.items.len(), "file"),
        size(plan.bytes())
    ));
    if collect.list {
        return Ok(None);
    }
    let written = diagnostics::write(work, &plan, &wanted)?;
    work.reporter.info(&format!(
        "Wrote {} ({}, {} masked); look through it before you give it away",
        written.path.display(),
        size(written.size),
        count(written.masked, "value")
    ));
    Ok(Some(written))
}

/// `senddiag`: collects and hands the archive to the mail program.
fn senddiag(
    partition: &Partition,
    collect: &Collect,
    to: Option<&OsStr>,
    journal: Option<Vec<u8>>,
    ui: &mut Ui,
) -> Result<Exit> {
    let mailer = Mailer::of(partition, to);
    let unit = unit_of(partition)?;
    with_work(partition, ui, |work| {
        let Some(written) = collected(work, collect, unit.as_ref(), journal)? else {
            return Ok(Exit::Done);
        };
        let mailer = match mailer {
            Ok(mailer) => mailer,
            Err(why) => {
                work.reporter.warn(&format!(
                    "not sent: {why}; the archive is {}",
                    written.path.display()
                ));
                return Ok(Exit::NotConfigured);
            }
        };
        let server = shown(&partition.name());
        let subject = format!("Domino diagnostics of {server}");
        let body = format!(
            "{subject}\n\n{}\n{} bytes, collected by rc_domino {}\n",
            written.path.display(),
            written.size,
            env!("CARGO_PKG_VERSION")
        );
        let whom = mailer
            .recipient()
            .map_or_else(String::new, |to| format!(" to {}", shown(to)));
        work.reporter.info(&format!(
            "Sending it{whom} by {}",
            mailer.program().display()
        ));
        let ended = mailer.send(work, &written.path, &subject, &body)?;
        if ended.success() {
            work.reporter.info(&format!(
                "Sent; the archive stays in {}",
                written.path.display()
            ));
            return Ok(Exit::Done);
        }
        work.reporter.warn(&format!(
            "not sent: {} {}; the archive is {}",
            mailer.program().display(),
            ended.describe(),
            written.path.display()
        ));
        Ok(Exit::Passed(ended.code()))
    })
}
