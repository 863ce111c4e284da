//! `check`: everything that looks wrong, whether the server runs or not.

use super::super::identity::{self, Standing};
use super::super::{Call, loading};
use crate::domino;
use crate::domino::figures::many;
use crate::error::Result;
use crate::exit::Exit;
use crate::service::unit_check;
use crate::settings::lint::{self, Finding, Level};
use crate::settings::{self, Warning};
use crate::ui::{Tint, Ui};

/// Runs the verb.
pub fn run(call: &Call, json: bool, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if identity.standing == Standing::Other {
        return super::through_sudo(call, &identity, ui);
    }
    let inherited = super::as_user(call, &identity)?;
    let (mut found, places) = lint::files(&call.root, &identity.user.name, &inherited);
    match settings::load(&call.root, &identity.user.name, &inherited) {
        Ok(loaded) => {
            let more: Vec<Finding> = loaded
                .warnings
                .iter()
                .filter(|warning| is_new(warning, &found))
                .map(|warning| Finding::plain(warning.to_string()))
                .collect();
            found.extend(more);
            let partition = loading::partition(call, &identity, inherited, loaded);
            found.extend(domino::check::of(&partition, &places));
            let is_default = partition.user.name == identity::default_user(call);
            found.extend(unit_check::check(&partition, is_default, &places));
        }
        // The files' own faults say the same with their lines.
        Err(_) if found.iter().any(|finding| finding.level == Level::Error) => {}
        Err(error) => found.push(Finding::plain(error.to_string()).severe()),
    }
    found.sort_by_key(|finding| finding.level);
    if json {
        print_json(&found, ui)?;
    } else {
        print(&found, ui);
    }
    Ok(if found.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Names and switches are told with their lines already, unless bash had to
/// find them.
fn is_new(warning: &Warning, found: &[Finding]) -> bool {
    let told = |name: &str| {
        found.iter().any(|finding| {
            finding.text.starts_with(&format!("{name} "))
                || finding.text.starts_with(&format!("{name}="))
        })
    };
    match warning {
        Warning::UnknownName { name, .. } => !told(name),
        Warning::OddSwitch { name, .. } => !told(name),
        Warning::Exited { .. } | Warning::Said { .. } => true,
    }
}

fn print(found: &[Finding], ui: &mut Ui) {
    for finding in found {
        match finding.level {
            Level::Error => ui.tinted_line(Tint::Red, &format!("error: {finding}")),
            Level::Warning => ui.tinted_line(Tint::Yellow, &finding.to_string()),
        }
    }
    match found.len() {
        0 => ui.tinted_line(Tint::Green, "Nothing found"),
        count => ui.line(&many(count, "finding")),
    }
}

fn print_json(found: &[Finding], ui: &mut Ui) -> Result<()> {
    let list: Vec<_> = found
        .iter()
        .map(|finding| {
            serde_json::json!({
                "level": match finding.level {
                    Level::Error => "error",
                    Level::Warning => "warning",
                },
                "file": finding.file.as_ref().map(|file| file.to_string_lossy()),
                "line": finding.line,
                "text": finding.text,
            })
        })
        .collect();
    ui.json(&serde_json::json!({ "findings": list }))
}
