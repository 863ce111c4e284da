//! Prepares a One-Touch Setup: templates, checks, and the files it is made of.

use super::locate::{Way, locate};
use super::template::Form;
use super::{decoded_id, find_encoded_id, first_fault_of, schema};
use crate::domino::processes;
use crate::domino::state::State;
use crate::domino::tools::Work;
use crate::domino::{Partition, lock};
use crate::error::{Error, Result, shown};
use crate::os::files;
use crate::os::root::Root;
use crate::settings::notes_ini::NotesIni;
use crate::settings::scope::Scope;
use crate::settings::shell_config::evaluate;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// The largest setup file, template or menu that is read, in bytes.
pub const LARGEST: u64 = 4 << 20;

/// Where the original's installation keeps its templates; a site may have
/// adapted them.
const INSTALLED: &str = "/opt/nashcom/startscript/OneTouchSetup";

/// The schema that Domino ships beside its programs.
const SCHEMA: &str = "dominoOneTouchSetup.schema.json";

/// A built-in template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// A domain's first server, as JSON.
    FirstJson,
    /// A further server, as JSON.
    AdditionalJson,
    /// A domain's first server, as environment variables.
    FirstEnvironment,
    /// A further server, as environment variables.
    AdditionalEnvironment,
}

impl Template {
    /// Every template, in the order of the menu.
    pub const ALL: [Template; 4] = [
        Template::FirstJson,
        Template::AdditionalJson,
        Template::FirstEnvironment,
        Template::AdditionalEnvironment,
    ];

    /// As the menu names it.
    pub fn title(self) -> &'static str {
        match self {
            Template::FirstJson => "First server, JSON",
            Template::AdditionalJson => "Additional server, JSON",
            Template::FirstEnvironment => "First server, environment file",
            Template::AdditionalEnvironment => "Additional server, environment file",
        }
    }

    /// What kind of file it makes.
    pub fn form(self) -> Form {
        match self {
            Template::FirstJson | Template::AdditionalJson => Form::Json,
            Template::FirstEnvironment | Template::AdditionalEnvironment => Form::Environment,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Template::FirstJson => "first_server.json",
            Template::AdditionalJson => "additional_server.json",
            Template::FirstEnvironment => "first_server.env",
            Template::AdditionalEnvironment => "additional_server.env",
        }
    }

    /// The built-in text.
    pub fn text(self) -> &'static str {
        match self {
            Template::FirstJson => include_str!("templates/first_server.json"),
            Template::AdditionalJson => include_str!("templates/additional_server.json"),
            Template::FirstEnvironment => include_str!("templates/first_server.env"),
            Template::AdditionalEnvironment => include_str!("templates/additional_server.env"),
        }
    }

    /// The site's own version of it, where the original was installed.
    pub fn installed(self, root: &Root) -> Option<PathBuf> {
        let path = root.path(INSTALLED).join(self.file_name());
        path.is_file().then_some(path)
    }

    /// The template that stands in for a file of the original's installation
    /// which a menu names and which is not there.
    pub fn in_place_of(path: &Path) -> Option<Template> {
        let name = path.strip_prefix(INSTALLED).ok()?.to_str()?;
        let name = name.replace("_d12.", ".");
        Template::ALL
            .into_iter()
            .find(|template| template.file_name() == name)
    }
}

/// The server must neither run nor be set up already.
pub fn require_fresh(partition: &Partition) -> Result<()> {
    let state = State::of(processes::find(partition)?);
    if !state.can_start() {
        return Err(Error::Setup(format!(
            "Domino server {} is running or was not shut down ({}); a setup is prepared while it is down",
            shown(&partition.name()),
            processes::list(state.processes())
        )));
    }
    let ini = partition.settings.ini_path();
    match NotesIni::read(&ini) {
        Ok(read) if read.is_set_up() => Err(Error::Setup(format!(
            "Domino server {} is set up already (ServerSetup in {})",
            shown(&partition.name()),
            ini.display()
        ))),
        Ok(_) => Ok(()),
        // An installation that has not been given one yet.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::file("read", ini)(cause)),
    }
}

/// Reads a setup file, a template or a menu.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_bounded(path, LARGEST).map_err(Error::file("read", path))
}

/// What a check found, when there is nothing wrong.
#[derive(Debug, Default)]
pub struct Checked {
    /// What was checked, for the user to read.
    pub notes: Vec<String>,
    /// What may be wrong.
    pub doubts: Vec<String>,
}

/// Checks a finished setup file, which is or will be `path`.
pub fn check(partition: &Partition, form: Form, path: &Path, text: &[u8]) -> Result<Checked> {
    let mut checked = match form {
        Form::Json => check_json(partition, path, text)?,
        Form::Environment => check_environment(path, text)?,
    };
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.windows(2).any(|pair| pair == b"{{") {
            checked.doubts.push(format!(
                "line {} still holds '{{{{': no variable of that form is known",
                at + 1
            ));
        }
    }
    Ok(checked)
}

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Setup(format!("{}: {}", path.display(), problem.into()))
}

fn check_json(partition: &Partition, path: &Path, text: &[u8]) -> Result<Checked> {
    let document: Value =
        serde_json::from_slice(text).map_err(|cause| wrong(path, first_fault_of(&cause)))?;
    let mut checked = Checked::default();
    let built_in = schema::known().map_err(|cause| Error::System {
        action: "read the built-in schema",
        cause: cause.into(),
    })?;
    let mut faults = schema::check(&built_in, &document);
    match shipped_schema(partition)? {
        Some((file, shipped)) => {
            for fault in schema::check(&shipped, &document) {
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
            checked.notes.push(format!("Checked against {}", file.display()));
        }
        None => checked.notes.push(format!(
            "Domino's own schema was not found ({}); checked against what rc_domino knows of the format",
            partition.settings.exec_directory().join(SCHEMA).display()
        )),
    }
    if !faults.is_empty() {
        let mut lines: Vec<((usize, usize), String)> = faults
            .iter()
            .map(|fault| {
                let at = locate(text, &fault.way);
                let way = Way(&fault.way).to_string();
                let blank = if way.is_empty() { "" } else { " " };
                let line = format!(
                    "line {}, column {}: {way}{blank}{}",
                    at.0, at.1, fault.problem
                );
                (at, line)
            })
            .collect();
        lines.sort();
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        return Err(wrong(path, lines.join("\n  ")));
    }
    if let Some(encoded) = find_encoded_id(&document) {
        decoded_id(encoded).map_err(|cause| {
            wrong(
                path,
                format!("the server ID in it is no valid base64: {cause}"),
            )
        })?;
    }
    let id = &document["serverSetup"]["server"]["IDFilePath"];
    if let Some(id) = id.as_str().filter(|id| id.starts_with('/'))
        && !Path::new(id).exists()
    {
        checked
            .doubts
            .push(format!("there is no server ID {id} yet"));
    }
    Ok(checked)
}

/// The schema of this Domino, or the one a site put beside its templates.
fn shipped_schema(partition: &Partition) -> Result<Option<(PathBuf, Value)>> {
    let installed = partition.root.path(INSTALLED).join(SCHEMA);
    for file in [partition.settings.exec_directory().join(SCHEMA), installed] {
        let text = match files::read_bounded(&file, LARGEST) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(Error::file("read", file)(cause)),
        };
        let schema =
            serde_json::from_slice(&text).map_err(|cause| wrong(&file, first_fault_of(&cause)))?;
        return Ok(Some((file, schema)));
    }
    Ok(None)
}

/// An environment file is read without a shell here: whoever prepares it is
/// told what a shell would have to run before the server's start runs it.
fn check_environment(path: &Path, text: &[u8]) -> Result<Checked> {
    let mut scope = Scope::default();
    let assigned = evaluate(text, &scope).map_err(|refusal| {
        wrong(
            path,
            format!(
                "line {}: {}; only plain NAME=VALUE lines are taken",
                refusal.line, refusal.what
            ),
        )
    })?;
    scope.apply(&assigned);
    let mut checked = Checked::default();
    let kind = scope.non_empty("SERVERSETUP_SERVER_TYPE");
    let needed: &[&str] = match kind.and_then(|kind| kind.to_str()) {
        Some("first") => &[
            "SERVERSETUP_SERVER_NAME",
            "SERVERSETUP_SERVER_DOMAINNAME",
            "SERVERSETUP_ORG_ORGNAME",
            "SERVERSETUP_ADMIN_LASTNAME",
        ],
        Some("additional") => &[
            "SERVERSETUP_SERVER_NAME",
            "SERVERSETUP_SERVER_DOMAINNAME",
            "SERVERSETUP_ORG_ORGNAME",
            "SERVERSETUP_EXISTINGSERVER_CN",
            "SERVERSETUP_EXISTINGSERVER_HOSTNAMEORIP",
        ],
        _ => {
            return Err(wrong(
                path,
                "SERVERSETUP_SERVER_TYPE must be 'first' or 'additional'",
            ));
        }
    };
    for name in needed {
        if scope.non_empty(name).is_none() {
            checked.doubts.push(format!("{name} is not set"));
        }
    }
    Ok(checked)
}

/// What storing a prepared file does besides writing it.
#[derive(Debug)]
pub struct Storing<'a> {
    /// The file.
    pub file: &'a Path,
    /// Its text.
    pub text: &'a [u8],
    /// Files of the other form, which would be used as well or instead.
    pub remove: Vec<PathBuf>,
    /// Whether a file that is there may be replaced.
    pub replace: bool,
}

/// Writes a prepared setup file, for its owner alone to read, with a look at
/// the server once more: it may have been started meanwhile.
pub fn store(work: &mut Work, storing: &Storing) -> Result<()> {
    let _lock = lock::acquire(work)?;
    require_fresh(work.partition)?;
    let file = storing.file;
    if !storing.replace && file.symlink_metadata().is_ok() {
        return Err(wrong(
            file,
            "exists and is not overwritten; remove it first",
        ));
    }
    files::write_atomically(file, storing.text, 0o600).map_err(Error::file("write", file))?;
    for other in &storing.remove {
        match std::fs::remove_file(other) {
            Ok(()) => work.reporter.info(&format!("Removed {}", other.display())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file("remove", other)(cause)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::template::{fill, variables};
    use super::*;

    #[test]
    fn templates_filled_with_odd_values_pass_their_own_checks() {
        for template in Template::ALL {
            let text = template.text().as_bytes();
            let form = template.form();
            assert!(variables(form, text).len() >= 9, "{template:?}");
            let filled = fill(form, text, |_| Some(b"a'b\"c\\d $e".to_vec()));
            match form {
                Form::Json => {
                    let document = serde_json::from_slice(&filled).unwrap();
                    let found = schema::check(&schema::known().unwrap(), &document);
                    assert!(found.is_empty(), "{template:?}: {found:?}");
                }
                Form::Environment => {
                    let checked = check_environment(Path::new("/x"), &filled).unwrap();
                    assert!(checked.doubts.is_empty(), "{template:?}: {checked:?}");
                }
            }
        }
    }

    #[test]
    fn environment_files_that_need_a_shell_are_refused() {
        let refused = |text: &str| {
            let error = check_environment(Path::new("/x.env"), text.as_bytes()).unwrap_err();
            error.to_string()
        };
        let told = refused("A=1\nB=$(id)\n");
        assert!(told.starts_with("/x.env: line 2: "), "{told}");
        assert!(refused("A=1\n").contains("SERVERSETUP_SERVER_TYPE"));
        let text = b"SERVERSETUP_SERVER_TYPE=first\nSERVERSETUP_SERVER_NAME=x\n";
        let checked = check_environment(Path::new("/x"), text).unwrap();
        assert_eq!(checked.doubts.len(), 3);
    }

    #[test]
    fn files_of_the_originals_installation_have_a_stand_in() {
        let in_place_of = |name: &str| Template::in_place_of(&Path::new(INSTALLED).join(name));
        assert_eq!(in_place_of("first_server.json"), Some(Template::FirstJson));
        assert_eq!(
            in_place_of("additional_server_d12.json"),
            Some(Template::AdditionalJson)
        );
        assert_eq!(in_place_of("own.json"), None);
        assert_eq!(
            Template::in_place_of(Path::new("/x/first_server.json")),
            None
        );
    }
}
