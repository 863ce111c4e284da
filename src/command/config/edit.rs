//! `ini`, `config` and `systemdcfg`: a copy is edited, checked, compared, and
//! then replaces the file.
//!
//! Who edits: a file that only root can change is edited by root, with root's
//! editor; every other one by the Domino user, with his rights. Root opens
//! nothing that the Domino user could have prepared.

use super::super::editing::{self, Editor, Subject};
use super::super::identity::{self, Identity, Standing};
use super::super::{Call, switch};
use crate::domino::difference::{self, Change};
use crate::domino::draft::Draft;
use crate::domino::state::State;
use crate::domino::{Partition, Reporter, processes};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::bounded::{Output, Piece, run_bounded};
use crate::os::files::is_writable;
use crate::os::replace::{Replaced, only_root_changes};
use crate::os::spawn::Launch;
use crate::service::unit_file::{self, UnitFile};
use crate::settings::kind::words;
use crate::settings::lint::{self, Finding, Level};
use crate::settings::scope::Scope;
use crate::settings::shell_config::evaluate;
use crate::settings::{Settings, lint_ini};
use crate::ui::{Tint, Ui};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the text of a file is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    NotesIni,
    Configuration,
    Unit,
    Unknown,
}

/// `ini`.
pub fn notes_ini(call: &Call, partition: &Partition, ui: &mut Ui) -> Result<Exit> {
    if State::of(processes::find(partition)?).is_running() {
        ui.warn(&format!(
            "Domino server {} is running: it keeps its own copy of these settings and may write it over what you change here; on its console 'set config NAME=value' changes them for good",
            shown(&partition.name())
        ));
    }
    let editor = Editor {
        words: editor_of(call, Some(&partition.settings)),
        environment: partition.inherited.clone(),
    };
    edit(
        &partition.settings.ini_path(),
        Syntax::NotesIni,
        &editor,
        ui,
    )
    .map(|_| Exit::Done)
}

/// `config`.
pub fn config(call: &Call, which: Option<&OsStr>, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let path = super::file_meant(call, &identity, which)?;
    let known = crate::settings::configuration_files(&call.root, &identity.user.name)?;
    let named =
        which.is_some_and(|which| !which.is_empty() && which != "default" && which != "server");
    if named && path.symlink_metadata().is_err() {
        return Err(Error::Usage(format!(
            "{}: no such file; give default, server or the path of a file",
            path.display()
        )));
    }
    let Some(environment) = settle_editor(call, &identity, &path)? else {
        return as_root(call, &identity, &path, ui);
    };
    let root = crate::os::users::effective_uid() == 0;
    // Root loads no settings: the editor they name is the Domino user's.
    let settings = (!root)
        .then(|| crate::settings::load(&call.root, &identity.user.name, &environment).ok())
        .flatten()
        .map(|loaded| loaded.settings);
    let further = settings
        .as_ref()
        .and_then(|settings| settings.text("DOMINO_ENV_FILE"))
        .is_some_and(|further| path == Path::new(further));
    let syntax = if known.contains(&path) || further {
        Syntax::Configuration
    } else {
        Syntax::Unknown
    };
    let editor = Editor {
        words: roots_editor(call, &identity)
            .filter(|_| root)
            .unwrap_or_else(|| editor_of(call, settings.as_ref())),
        environment,
    };
    edit(&path, syntax, &editor, ui).map(|_| Exit::Done)
}

/// `systemdcfg`: the unit below /etc, or a drop-in for one that a package
/// brought.
pub fn unit(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    // Data only: nothing of the configuration is executed to learn a name.
    let mut name = crate::settings::peek(&call.root, &identity.user.name, "DOMINO_SYSTEMD_NAME")
        .map_or_else(|| OsString::from("domino.service"), |(name, _)| name);
    if Path::new(&name).extension().is_none() {
        name.push(".service");
    }
    let unit = crate::service::systemd::Unit::new(&name)?;
    let path = unit_path(call, &identity, unit.name())?;
    let Some(environment) = settle_editor(call, &identity, &path)? else {
        return as_root(call, &identity, &path, ui);
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    let made = !directory.exists();
    std::fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    let editor = Editor {
        words: roots_editor(call, &identity).unwrap_or_else(|| editor_of(call, None)),
        environment: environment.clone(),
    };
    let edited = edit(&path, Syntax::Unit, &editor, ui);
    if made && !matches!(edited, Ok(true)) {
        // Nothing is in it; one that somebody else filled meanwhile stays.
        let _ = std::fs::remove_dir(directory);
    }
    let changed = edited?;
    if changed && call.root.is_system() && crate::service::systemd_is_in_charge(&call.root) {
        let mut launch = Launch::new("systemctl");
        launch.args.push("daemon-reload".into());
        launch.env = environment;
        match switch::run_in_front(launch, ui)? {
            Exit::Done => ui.line("systemd has read its units again"),
            _ => ui.warn("systemd did not read its units again; run systemctl daemon-reload"),
        }
    }
    Ok(Exit::Done)
}

fn unit_path(call: &Call, identity: &Identity, name: &OsStr) -> Result<PathBuf> {
    let refuse = |message: String, exit| Err(Error::Refused { message, exit });
    let read = UnitFile::read(&call.root, name).map_err(Error::file("read", name))?;
    let Some(read) = read else {
        let text = format!(
            "there is no unit {} on this host; DOMINO_SYSTEMD_NAME names it",
            shown(name)
        );
        return refuse(text, Exit::NotInstalled);
    };
    // The configuration belongs to the Domino user: it must not make root
    // edit other people's services.
    let user = read.service("User").map_or("root", |line| &line.value);
    if user != identity.user.name.to_string_lossy() && !user.contains('%') {
        let text = format!(
            "unit {} runs as '{user}', not as '{}'; correct DOMINO_SYSTEMD_NAME, or edit it with systemctl edit",
            shown(name),
            shown(&identity.user.name)
        );
        return refuse(text, Exit::NotConfigured);
    }
    let own = call.root.path(unit_file::DIRECTORIES[0]);
    if read.path.parent() == Some(&own) {
        return Ok(read.path);
    }
    let mut directory = name.to_owned();
    directory.push(".d");
    Ok(own.join(directory).join("override.conf"))
}

/// Becomes who is to edit this file, and tells his environment; `None` where
/// that is root and this process is not.
fn settle_editor(
    call: &Call,
    identity: &Identity,
    path: &Path,
) -> Result<Option<super::Environment>> {
    if identity.standing == Standing::Root {
        let roots = only_root_changes(path).map_err(Error::file("examine", path))?;
        if roots {
            return Ok(Some(call.environment.clone()));
        }
    }
    let environment = if identity.standing == Standing::Root {
        super::as_user(call, identity)?
    } else {
        call.environment.clone()
    };
    if can_write(path) {
        return Ok(Some(environment));
    }
    if identity.standing == Standing::Root {
        return Err(Error::Refused {
            message: format!(
                "{}: user '{}' cannot write to it, and root does not edit what others can change; correct owner and mode",
                path.display(),
                shown(&identity.user.name)
            ),
            exit: Exit::Privilege,
        });
    }
    Ok(None)
}

/// Has root edit a file, through sudo.
fn as_root(call: &Call, identity: &Identity, path: &Path, ui: &mut Ui) -> Result<Exit> {
    match super::through_sudo(call, identity, ui) {
        Err(Error::OtherUser { try_instead, .. }) => Err(Error::Refused {
            message: format!("{} is for root to edit; try: {try_instead}", path.display()),
            exit: Exit::Privilege,
        }),
        other => other,
    }
}

/// Whether this user can write to the file, or make it where it is missing.
fn can_write(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => is_writable(path),
        Err(_) => path
            .ancestors()
            .skip(1)
            .find(|directory| directory.exists())
            .is_some_and(is_writable),
    }
}

/// EDIT_COMMAND for root: only where nobody else can change what it comes
/// from, and as data.
fn roots_editor(call: &Call, identity: &Identity) -> Option<Vec<OsString>> {
    let files = crate::settings::configuration_files(&call.root, &identity.user.name).ok()?;
    if !files
        .iter()
        .all(|file| only_root_changes(file).unwrap_or(false))
    {
        return None;
    }
    let (command, _) = crate::settings::peek(&call.root, &identity.user.name, "EDIT_COMMAND")?;
    words(command.as_bytes()).filter(|words| !words.is_empty())
}

/// EDIT_COMMAND, else the caller's EDITOR, else vi.
fn editor_of(call: &Call, settings: Option<&Settings>) -> Vec<OsString> {
    let configured = settings.and_then(|settings| settings.configured_editor());
    configured
        .or_else(|| words(call.variable("EDITOR")?.as_bytes()))
        .filter(|words| !words.is_empty())
        .unwrap_or_else(|| vec!["vi".into()])
}

/// Edits a file by way of a copy; true when it was replaced.
fn edit(path: &Path, syntax: Syntax, editor: &Editor, ui: &mut Ui) -> Result<bool> {
    editing::edit(path, editor, &mut File(syntax), ui)
}

/// A file of this kind.
struct File(Syntax);

impl Subject for File {
    fn accept(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<bool> {
        show_difference(draft, text, ui);
        let found = check(self.0, draft, text)?;
        for finding in &found {
            match finding.level {
                Level::Error => ui.error(&finding.to_string()),
                Level::Warning => ui.warn(&finding.to_string()),
            }
        }
        Ok(found.iter().all(|finding| finding.level != Level::Error))
    }

    fn store(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<()> {
        let how = draft.replace(text)?;
        let target = draft.target().display().to_string();
        ui.line(&match how {
            Replaced::AtOnce => format!("Replaced {target}"),
            Replaced::InPlace => format!(
                "Wrote {target} (in place: its directory, owner or group allow no new file)"
            ),
        });
        Ok(())
    }
}

fn show_difference(draft: &Draft, text: &[u8], ui: &mut Ui) {
    ui.line(&format!("Changes to {}:", draft.target().display()));
    for change in difference::between(draft.before(), text) {
        let shown = |line| shown(OsStr::from_bytes(line));
        match change {
            Change::Gone(number, line) => {
                ui.tinted_line(Tint::Red, &format!("{number:>5} - {}", shown(line)));
            }
            Change::New(number, line) => {
                ui.tinted_line(Tint::Green, &format!("{number:>5} + {}", shown(line)));
            }
        }
    }
}

fn check(syntax: Syntax, draft: &Draft, text: &[u8]) -> Result<Vec<Finding>> {
    let path = draft.target();
    Ok(match syntax {
        Syntax::Unknown => Vec::new(),
        Syntax::NotesIni => lint_ini::changes(path, draft.before(), text),
        Syntax::Unit => {
            let mut unit = UnitFile::default();
            unit.add(path, &String::from_utf8_lossy(text));
            unit.odd
                .iter()
                .map(|(file, line)| {
                    Finding::at(file, Some(*line), "neither section, comment nor assignment")
                        .severe()
                })
                .collect()
        }
        Syntax::Configuration => {
            let (mut found, _) = lint::text_of(path, text, &mut Scope::default());
            let left_to_bash = evaluate(text, &Scope::default()).is_err();
            let severe = found.iter().any(|finding| finding.level == Level::Error);
            if left_to_bash && !severe {
                found.extend(bash_syntax(path, draft.copy())?);
            }
            found
        }
    })
}

/// Lets bash read a file without executing anything of it.
fn bash_syntax(path: &Path, copy: &Path) -> Result<Vec<Finding>> {
    let program = Path::new("/bin/bash");
    let mut launch = Launch::new(program);
    launch.args.extend(["-n".into(), "--".into(), copy.into()]);
    let mut found = Vec::new();
    let output = Output::Lines {
        bound: 64 * 1024,
        each: &mut |piece| {
            if let Piece::Line(line) = piece {
                found.push(bash_finding(path, &String::from_utf8_lossy(line)));
            }
        },
    };
    run_bounded(launch, Some(Duration::from_secs(10)), None, output).map_err(|cause| {
        Error::Program {
            program: program.to_path_buf(),
            cause,
        }
    })?;
    Ok(found)
}

/// `COPY: line 3: syntax error …`
fn bash_finding(path: &Path, message: &str) -> Finding {
    let placed = message.split_once(": line ").and_then(|(_, rest)| {
        let (number, text) = rest.split_once(": ")?;
        Some((number.parse::<usize>().ok()?, text))
    });
    match placed {
        Some((line, text)) => Finding::at(path, Some(line), text).severe(),
        None => Finding::at(path, None, message).severe(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_tells_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("c");
        std::fs::write(&copy, "A=1\nif true; then\nB=2\n").unwrap();
        let found = bash_syntax(Path::new("/etc/c"), &copy).unwrap();
        assert!(!found.is_empty());
        let first = found[0].to_string();
        assert!(
            first.starts_with("/etc/c:") && first.contains("syntax error"),
            "{first}"
        );
        std::fs::write(&copy, "if true; then\nB=$(exit 3)\nfi\n").unwrap();
        assert!(bash_syntax(Path::new("/etc/c"), &copy).unwrap().is_empty());
    }
}
