//! `verify`: proves that the server is whole and at work, for people and
//! programs.

use super::super::identity::Needs;
use super::super::{Call, loading, with_work};
use super::cleanup::finder;
use crate::cli::diagnosis::VerifyArgs;
use crate::domino::verify::{self, Check, Report, Verdict};
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::{Tint, Ui};
use serde::Serialize;
use std::time::Duration;

/// Runs the verb.
pub fn run(call: &Call, arguments: VerifyArgs, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Login, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    partition.require_installed()?;
    partition.require_data()?;
    if arguments.json {
        ui.only_results();
    }
    let finder = finder(&partition, ui)?;
    let limit = Duration::from_secs(arguments.wait.unwrap_or(0).into());
    let report = with_work(&partition, ui, |work| verify::run(work, &finder, limit))?;
    if arguments.json {
        ui.json(&ReportForm::of(&report))?;
    } else {
        for check in &report.checks {
            show(check, ui);
        }
    }
    Ok(if report.holds() {
        Exit::Done
    } else if report.runs {
        Exit::Failed
    } else {
        Exit::NeedsServer
    })
}

fn show(check: &Check, ui: &mut Ui) {
    let (word, tint) = match check.verdict {
        Verdict::Ok => ("ok", Tint::Green),
        Verdict::Failed => ("FAILED", Tint::Red),
        Verdict::Unknown => ("unknown", Tint::Yellow),
    };
    let mut line = format!("{word:<8} {:<10} {}", check.name, check.detail);
    if !check.advice.is_empty() {
        line.push_str(" -> ");
        line.push_str(&check.advice);
    }
    ui.tinted_line(tint, &line);
}

#[derive(Debug, Serialize)]
struct ReportForm<'a> {
    ok: bool,
    checks: Vec<CheckForm<'a>>,
    waited_seconds: f64,
}

#[derive(Debug, Serialize)]
struct CheckForm<'a> {
    name: &'a str,
    /// None where it cannot be told.
    ok: Option<bool>,
    detail: &'a str,
    advice: &'a str,
}

impl ReportForm<'_> {
    fn of(report: &Report) -> ReportForm<'_> {
        let check = |check: &'_ Check| -> Option<bool> {
            match check.verdict {
                Verdict::Ok => Some(true),
                Verdict::Failed => Some(false),
                Verdict::Unknown => None,
            }
        };
        ReportForm {
            ok: report.holds(),
            checks: report
                .checks
                .iter()
                .map(|found| CheckForm {
                    name: found.name,
                    ok: check(found),
                    detail: &found.detail,
                    advice: &found.advice,
                })
                .collect(),
            waited_seconds: (report.waited.as_secs_f64() * 10.0).round() / 10.0,
        }
    }
}
