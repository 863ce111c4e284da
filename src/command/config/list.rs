//! `listini` and `listcfg`.

use super::super::Call;
use super::super::identity::{self, Standing};
use crate::domino::Partition;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::files::read_bounded;
use crate::settings::{Source, notes_ini};
use crate::ui::Ui;
use std::ffi::OsStr;

/// The largest configuration file that is listed, in bytes.
const LARGEST: u64 = 1 << 20;

/// `listini`: the file as it is.
pub fn notes_ini(partition: &Partition, ui: &mut Ui) -> Result<Exit> {
    let path = partition.settings.ini_path();
    let text = read_bounded(&path, notes_ini::LARGEST).map_err(Error::file("read", &path))?;
    ui.bytes(&text);
    Ok(Exit::Done)
}

/// `listcfg`: the lines of a file that are neither empty nor comments.
pub fn file(call: &Call, which: Option<&OsStr>, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let path = super::file_meant(call, &identity, which)?;
    if identity.standing == Standing::Root {
        super::as_user(call, &identity)?;
    }
    let text = read_bounded(&path, LARGEST).map_err(Error::file("read", &path))?;
    let mut lines = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        if !line.is_empty() && !line.starts_with(b"#") {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
    }
    ui.bytes(&lines);
    Ok(Exit::Done)
}

/// `listcfg --effective`: every setting, its value and where that stands.
pub fn effective(partition: &Partition, json: bool, ui: &mut Ui) -> Result<Exit> {
    let mut group = "";
    let mut list = Vec::new();
    for (entry, mut effective) in partition.settings.all_effective() {
        // What is in force depends on who starts the server.
        if entry.name == "DOMINO_PID_FILE"
            && let Some(effective) = &mut effective
        {
            effective.text = partition.pid_file().into();
        }
        if json {
            let (file, line) = match effective.as_ref().map(|found| &found.source) {
                Some(Source::File { path, line }) => (Some(path), Some(*line)),
                Some(Source::Bash { path }) => (Some(path), None),
                _ => (None, None),
            };
            list.push(serde_json::json!({
                "name": entry.name,
                "value": effective.as_ref().map(|found| found.text.to_string_lossy()),
                "source": match effective.as_ref().map(|found| &found.source) {
                    None | Some(Source::Default) => "default",
                    Some(Source::Environment) => "environment",
                    Some(Source::File { .. } | Source::Bash { .. }) => "file",
                },
                "file": file.map(|path| path.to_string_lossy()),
                "line": line,
                "unit": entry.unit,
                "group": entry.group,
                "summary": entry.summary,
            }));
            continue;
        }
        if group != entry.group {
            let front = if group.is_empty() { "" } else { "\n" };
            group = entry.group;
            ui.line(&format!("{front}{group}:"));
        }
        let (value, source) = match &effective {
            Some(found) => (shown(&found.text), found.source.to_string()),
            None => ("-".to_owned(), "default".to_owned()),
        };
        ui.line(&format!("  {:<40} {value:<36} {source}", entry.name));
    }
    if json {
        ui.json(&list)?;
    }
    Ok(Exit::Done)
}
