//! One-Touch Setup: hands a prepared configuration to a server that was not
//! set up yet.

use super::server_log::ServerLog;
use super::tools::Work;
use crate::error::{Error, Result};
use base64::Engine;
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a server is to be set up at this start.
#[derive(Debug, Default)]
pub struct Handover {
    /// Variables for the server's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The JSON file for `server -auto`.
    pub json: Option<PathBuf>,
    /// Whether the server was set up before.
    pub set_up: bool,
    /// The environment file; removed after the start, it holds passwords.
    pub environment_file: Option<PathBuf>,
}

/// Looks for a prepared setup: a template first (its variables are filled
/// in), then the JSON file, then the environment file.
pub fn check(work: &mut Work) -> Result<Handover> {
    let log = ServerLog::of(work.partition);
    if work.partition.notes_ini()?.is_set_up() {
        log.append(b"One-Touch Setup: the server is set up already\n")?;
        return Ok(Handover {
            set_up: true,
            environment: vec![("SetupAutoConfigure".into(), OsString::new())],
            ..Handover::default()
        });
    }
    let settings = &work.partition.settings;
    let environment_file = settings.auto_config_env_file();
    let json = settings.auto_config_json_file();
    let template = settings.auto_config_template_json_file();
    if !json.exists() && template.exists() {
        fill_template(work, &template, &json)?;
    }
    let mut handover = Handover {
        environment_file: environment_file.exists().then(|| environment_file.clone()),
        ..Handover::default()
    };
    if json.exists() {
        store_server_id(work, &json)?;
        log.append(format!("One-Touch Setup by {}\n", json.display()).as_bytes())?;
        handover.environment = vec![
            ("SetupAutoConfigure".into(), "1".into()),
            ("SetupAutoConfigureParams".into(), json.clone().into()),
        ];
        handover.json = Some(json);
    } else if environment_file.exists() {
        log.append(format!("One-Touch Setup by {}\n", environment_file.display()).as_bytes())?;
        handover.environment =
            crate::settings::source_all(&environment_file, &work.partition.inherited)?;
        handover
            .environment
            .push(("SetupAutoConfigure".into(), "1".into()));
    } else {
        log.append(b"One-Touch Setup: nothing prepared\n")?;
    }
    Ok(handover)
}

/// The environment file may hold passwords: it goes once the server has it.
/// The JSON file is removed by the server's own setup.
pub fn clean_up(work: &mut Work, handover: &Handover) {
    if let Some(file) = &handover.environment_file
        && let Err(cause) = std::fs::remove_file(file)
    {
        work.reporter.warn(&format!(
            "cannot remove {}: {cause}; it may hold passwords",
            file.display()
        ));
    }
}

fn fill_template(work: &mut Work, template: &Path, json: &Path) -> Result<()> {
    let text =
        crate::os::files::read_bounded(template, 4 << 20).map_err(Error::file("read", template))?;
    let environment: Vec<(OsString, OsString)> = work
        .partition
        .inherited
        .iter()
        .chain(&work.partition.exports)
        .cloned()
        .collect();
    let filled = fill(&text, |name| {
        environment
            .iter()
            .rev()
            .find(|(key, _)| key.as_bytes() == name)
            .map(|(_, value)| value.as_bytes().to_vec())
            .unwrap_or_default()
    });
    crate::os::files::write_atomically(json, &filled, 0o600).map_err(Error::file("write", json))?;
    work.reporter.info(&format!(
        "Filled in {} from {}",
        json.display(),
        template.display()
    ));
    Ok(())
}

/// Replaces `{{ NAME }}`, `${NAME}` and `$NAME`; a variable that is not set
/// becomes nothing, as envsubst has it.
pub fn fill(text: &[u8], value: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        if let Some((name, after)) = variable(rest) {
            filled.extend_from_slice(&value(name));
            rest = after;
        } else {
            filled.push(*first);
            rest = &rest[1..];
        }
    }
    filled
}

fn variable(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, close): (&[u8], &[u8]) = if let Some(inner) = text.strip_prefix(b"{{") {
        (inner.strip_prefix(b" ").unwrap_or(inner), b"}}")
    } else if let Some(inner) = text.strip_prefix(b"${") {
        (inner, b"}")
    } else {
        (text.strip_prefix(b"$")?, b"")
    };
    let length = inner
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    if length == 0 || inner[0].is_ascii_digit() {
        return None;
    }
    let (name, after) = inner.split_at(length);
    let after = if close == b"}}" {
        after.strip_prefix(b" ").unwrap_or(after)
    } else {
        after
    };
    Some((name, after.strip_prefix(close)?))
}

/// A server ID may come inside the JSON file (`IDFilePath": "@Base64:…"`): it
/// is stored as server.id, and the file names that path instead.
fn store_server_id(work: &mut Work, json: &Path) -> Result<()> {
    let text = crate::os::files::read_bounded(json, 4 << 20).map_err(Error::file("read", json))?;
    let parsed: Value = serde_json::from_slice(&text).map_err(|cause| Error::Path {
        path: json.to_path_buf(),
        problem: format!("is no valid JSON: {cause}"),
    })?;
    let Some(element) = find_encoded_id(&parsed) else {
        return Ok(());
    };
    let encoded: String = element[ID_PREFIX.len()..]
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let id = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|cause| Error::Path {
            path: json.to_path_buf(),
            problem: format!("the server ID in it is no valid base64: {cause}"),
        })?;
    let target = work.partition.data().join("server.id");
    crate::os::files::write_atomically(&target, &id, 0o600)
        .map_err(Error::file("write", &target))?;
    let quoted = |value: &str| Value::String(value.to_owned()).to_string().into_bytes();
    let path = quoted(&target.to_string_lossy());
    let changed = replaced(&text, &quoted(element), &path);
    crate::os::files::write_atomically(json, &changed, 0o600)
        .map_err(Error::file("write", json))?;
    work.reporter
        .info(&format!("Stored the server ID as {}", target.display()));
    Ok(())
}

const ID_PREFIX: &str = "@Base64:";

fn find_encoded_id(value: &Value) -> Option<&str> {
    match value {
        Value::Object(members) => members
            .iter()
            .find_map(|(name, member)| match member.as_str() {
                Some(text) if name == "IDFilePath" && text.starts_with(ID_PREFIX) => Some(text),
                _ => find_encoded_id(member),
            }),
        Value::Array(items) => items.iter().find_map(find_encoded_id),
        _ => None,
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match text.windows(from.len()).position(|window| window == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
        None => text.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_of_template_variables_are_filled() {
        let value = |name: &[u8]| match name {
            b"HOST" => b"mail.example".to_vec(),
            _ => Vec::new(),
        };
        for (text, expected) in [
            ("\"{{ HOST }}\"", "\"mail.example\""),
            (
                "{{HOST}}/${HOST}/$HOST-",
                "mail.example/mail.example/mail.example-",
            ),
            ("[$UNSET]", "[]"),
            ("{{ HOST", "{{ mail"),
            ("$1 $ ${ {{ }}", "$1 $ ${ {{ }}"),
        ] {
            let filled = fill(text.as_bytes(), value);
            if text == "{{ HOST" {
                assert_eq!(filled, text.as_bytes());
            } else {
                assert_eq!(String::from_utf8_lossy(&filled), expected, "{text}");
            }
        }
    }

    #[test]
    fn an_encoded_id_is_found_at_any_depth() {
        let json: Value = serde_json::from_str(
            r#"{"serverSetup":{"server":{"IDFilePath":"@Base64:YWJj","x":1}}}"#,
        )
        .unwrap();
        assert_eq!(find_encoded_id(&json), Some("@Base64:YWJj"));
        let plain: Value = serde_json::from_str(r#"{"IDFilePath":"/a/server.id"}"#).unwrap();
        assert_eq!(find_encoded_id(&plain), None);
    }
}
