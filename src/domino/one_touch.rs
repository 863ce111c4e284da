//! One-Touch Setup: hands a prepared configuration to a server that was not
//! set up yet. How one is prepared is the business of the modules below.

pub mod locate;
pub mod menu;
pub mod prepare;
pub mod remote;
pub mod schema;
pub mod template;

use super::environment;
use super::server_log::ServerLog;
use super::tools::Work;
use crate::error::{Error, Result};
use base64::Engine;
use locate::{Step, Way, enclosing_string};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use template::{Form, fill, variables};

/// The variable by which Domino sets itself up, by its environment.
const AUTOMATIC: &str = "SetupAutoConfigure";

/// The variable that names a JSON file to Domino.
const PARAMETERS: &str = "SetupAutoConfigureParams";

/// How a server is to be set up at this start.
#[derive(Debug, Default)]
pub struct Handover {
    /// Variables for the server's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The JSON file for `server -auto`.
    pub json: Option<PathBuf>,
    /// Whether the server was set up before.
    pub set_up: bool,
    /// Whether the server finds all that it needs in its environment.
    pub automatic: bool,
    /// The environment file; removed after the start, it holds passwords.
    pub environment_file: Option<PathBuf>,
}

/// Looks for a prepared setup: a template first (its variables are filled
/// in), then the JSON file, then the environment file, then what the caller's
/// environment says (a container's).
pub fn check(work: &mut Work) -> Result<Handover> {
    let log = ServerLog::of(work.partition);
    let settings = &work.partition.settings;
    let environment_file = settings.auto_config_env_file();
    let json = settings.auto_config_json_file();
    let template = settings.auto_config_template_json_file();
    if work.partition.notes_ini()?.is_set_up() {
        log.append(b"One-Touch Setup: the server is set up already\n")?;
        if environment_file.exists() {
            work.reporter.warn(&format!(
                "{} is not used, the server is set up already; remove it, it may hold passwords",
                environment_file.display()
            ));
        }
        return Ok(Handover {
            set_up: true,
            environment: vec![(AUTOMATIC.into(), OsString::new())],
            ..Handover::default()
        });
    }
    if !json.exists() && template.exists() {
        fill_template(work, &template, &json)?;
    }
    let known = environment::for_programs(work.partition, None);
    let mut handover = Handover {
        environment_file: environment_file.exists().then(|| environment_file.clone()),
        ..Handover::default()
    };
    if json.exists() {
        store_server_id(work, &json)?;
        log.append(format!("One-Touch Setup by {}\n", json.display()).as_bytes())?;
        handover.environment = vec![
            (AUTOMATIC.into(), "1".into()),
            (PARAMETERS.into(), json.clone().into()),
        ];
        handover.json = Some(json);
        return Ok(handover);
    }
    if environment_file.exists() {
        log.append(format!("One-Touch Setup by {}\n", environment_file.display()).as_bytes())?;
        handover.environment = crate::settings::source_all(&environment_file, &known)?;
        handover.environment.push((AUTOMATIC.into(), "1".into()));
    }
    let given = |wanted: &str| {
        let mut given = handover.environment.iter().chain(&known);
        given.find(|(name, value)| name == wanted && !value.is_empty())
    };
    handover.automatic = given(AUTOMATIC).is_some();
    handover.json = given(PARAMETERS).map(|(_, value)| PathBuf::from(value));
    let by = match (&handover.json, &handover.environment_file) {
        (Some(json), _) => format!("One-Touch Setup by {}\n", json.display()),
        (None, Some(_)) => return Ok(handover),
        (None, None) if handover.automatic => {
            format!("One-Touch Setup by the environment ({AUTOMATIC})\n")
        }
        (None, None) => "One-Touch Setup: nothing prepared\n".to_owned(),
    };
    log.append(by.as_bytes())?;
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
    let text = prepare::read(template)?;
    let known = environment::for_programs(work.partition, None);
    let value = |name: &[u8]| {
        let (_, value) = known.iter().find(|(key, _)| key.as_bytes() == name)?;
        Some(value.as_bytes().to_vec())
    };
    let unset: Vec<String> = variables(Form::Json, &text)
        .into_iter()
        .filter(|name| value(name.as_bytes()).is_none())
        .collect();
    if !unset.is_empty() {
        work.reporter.warn(&format!(
            "{}: filled in nothing for what is not set in the environment: {}",
            template.display(),
            unset.join(", ")
        ));
    }
    let filled = fill(Form::Json, &text, value);
    // Before it is written: a later start would take a broken file for good.
    parse(template, &filled)?;
    crate::os::files::write_atomically(json, &filled, 0o600).map_err(Error::file("write", json))?;
    work.reporter.info(&format!(
        "Filled in {} from {}",
        json.display(),
        template.display()
    ));
    Ok(())
}

fn parse(path: &Path, text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).map_err(|cause| Error::Path {
        path: path.to_path_buf(),
        problem: format!("is no valid JSON: {}", first_fault_of(&cause)),
    })
}

/// Place and nature of a fault in a JSON text.
pub(crate) fn first_fault_of(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    // serde_json puts the place behind; editors and people want it in front.
    let problem = text.split(" at line ").next().unwrap_or_default();
    format!(
        "line {}, column {}: {problem}",
        cause.line(),
        cause.column()
    )
}

/// A server ID may come inside the JSON file (`IDFilePath": "@Base64:…"`): it
/// is stored as server.id, and the file names that path instead.
fn store_server_id(work: &mut Work, json: &Path) -> Result<()> {
    let text = prepare::read(json)?;
    let parsed = parse(json, &text)?;
    let Some(way) = encoded_id(&parsed) else {
        return Ok(());
    };
    let invalid = |problem: String| Error::Path {
        path: json.to_path_buf(),
        problem,
    };
    let encoded = find_encoded_id(&parsed).unwrap_or_default();
    let id = decoded_id(encoded)
        .map_err(|cause| invalid(format!("the server ID in it is no valid base64: {cause}")))?;
    let target = work.partition.data().join("server.id");
    let path = target
        .to_str()
        .ok_or_else(|| invalid(format!("cannot hold the path {}", target.display())))?;
    let (start, end) = enclosing_string(&text, &way)
        .ok_or_else(|| invalid(format!("{} is not where it was", Way(&way))))?;
    set_aside_another_id(work, &target, &id)?;
    crate::os::files::write_atomically(&target, &id, 0o600)
        .map_err(Error::file("write", &target))?;
    let quoted = Value::String(path.to_owned()).to_string();
    let changed = [&text[..start], quoted.as_bytes(), &text[end..]].concat();
    crate::os::files::write_atomically(json, &changed, 0o600)
        .map_err(Error::file("write", json))?;
    work.reporter
        .info(&format!("Stored the server ID as {}", target.display()));
    Ok(())
}

/// An ID file holds keys that nothing can bring back: another one is kept.
fn set_aside_another_id(work: &mut Work, target: &Path, id: &[u8]) -> Result<()> {
    match crate::os::files::read_bounded(target, prepare::LARGEST) {
        Ok(there) if there != id => {}
        Ok(_) => return Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::file("read", target)(cause)),
    }
    let stamp = work.partition.stamp("%y%m%d_%H%M%S")?;
    let aside = target.with_file_name(format!("server_{stamp}.id"));
    std::fs::rename(target, &aside).map_err(Error::file("rename", target))?;
    work.reporter.warn(&format!(
        "another server ID was there; it is kept as {}",
        aside.display()
    ));
    Ok(())
}

const ID_PREFIX: &str = "@Base64:";
const ID_MEMBER: &str = "IDFilePath";

/// The bytes of an ID given as `@Base64:…`.
pub(crate) fn decoded_id(encoded: &str) -> std::result::Result<Vec<u8>, base64::DecodeError> {
    let plain: String = encoded
        .strip_prefix(ID_PREFIX)
        .unwrap_or(encoded)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    base64::engine::general_purpose::STANDARD.decode(plain)
}

/// The server ID that a document holds, as it stands there.
pub(crate) fn find_encoded_id(document: &Value) -> Option<&str> {
    let way = encoded_id(document)?;
    way.iter()
        .try_fold(document, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Item(place) => value.get(place),
        })?
        .as_str()
}

/// The way to the server ID: where it belongs, else wherever one is, but for
/// the administrator's.
fn encoded_id(document: &Value) -> Option<Vec<Step>> {
    let member = |name: &str| Step::Member(name.to_owned());
    let usual = document.pointer("/serverSetup/server/IDFilePath");
    if usual.and_then(Value::as_str).is_some_and(is_encoded) {
        return Some(vec![
            member("serverSetup"),
            member("server"),
            member(ID_MEMBER),
        ]);
    }
    fn search(value: &Value, way: &mut Vec<Step>) -> bool {
        let members = value.as_object().into_iter().flatten();
        let items = value.as_array().into_iter().flatten();
        let inner = members
            .map(|(name, inner)| (Step::Member(name.clone()), inner))
            .chain(items.enumerate().map(|(at, inner)| (Step::Item(at), inner)));
        for (step, inner) in inner {
            let found = match &step {
                Step::Member(name) if name == "admin" => continue,
                Step::Member(name) if name == ID_MEMBER => inner.as_str().is_some_and(is_encoded),
                _ => false,
            };
            way.push(step);
            if found || search(inner, way) {
                return true;
            }
            way.pop();
        }
        false
    }
    let mut way = Vec::new();
    search(document, &mut way).then_some(way)
}

fn is_encoded(text: &str) -> bool {
    text.starts_with(ID_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_id_is_found_at_any_depth_but_the_administrators() {
        let parsed = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        let json = parsed(
            r#"{"serverSetup":{"admin":{"IDFilePath":"@Base64:QURN"},
            "server":{"IDFilePath":"@Base64:YWJj","x":1}}}"#,
        );
        assert_eq!(find_encoded_id(&json), Some("@Base64:YWJj"));
        let json = parsed(r#"{"a":[1,{"server":{"IDFilePath":"@Base64:YWJj"}}]}"#);
        assert_eq!(find_encoded_id(&json), Some("@Base64:YWJj"));
        for none in [
            r#"{"IDFilePath":"/a/server.id"}"#,
            r#"{"admin":{"IDFilePath":"@Base64:QURN"}}"#,
            r#"{"x":"@Base64:QURN"}"#,
        ] {
            assert_eq!(find_encoded_id(&parsed(none)), None, "{none}");
        }
    }

    #[test]
    fn faults_name_line_and_column_first() {
        let cause = serde_json::from_str::<Value>("{\n  \"a\": 1,\n}").unwrap_err();
        assert_eq!(first_fault_of(&cause), "line 3, column 1: trailing comma");
    }
}
