//! Reads the configuration files in their order, each by the built-in reader
//! where it can and by bash where it must, and makes the settings of them.

use super::bash;
use super::catalogue::{Configured, Entry, entry, is_known, nearest};
use super::derived::{Settings, find_lotus, usual_data_path, usual_lock_timeout};
use super::error::{Error, Warning, shown};
use super::kind::{Kind, Reading, Seconds};
use super::notes_ini::read_regular;
use super::scope::{Assignment, Scope, name_length};
use super::shell_config::{Construct, Refusal, evaluate, evaluate_up_to_refusal};
use super::source::Source;
use crate::os::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest configuration file that is read, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// A configuration as it was read.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Variables that the files exported, and those of the environment that
    /// they changed: the server and hooks are to see them.
    pub exports: Vec<(OsString, OsString)>,
    /// Variables of the environment that the files removed from it.
    pub removed: Vec<OsString>,
    /// What is odd.
    pub warnings: Vec<Warning>,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
}

/// What sources files that the built-in reader refused: [`bash::run`].
pub type Runner<'a> = &'a mut dyn FnMut(&[PathBuf], &Scope) -> Result<bash::Answer, bash::Error>;

/// The files that hold a user's configuration, whether they are there or not.
///
/// # Errors
/// [`Error::UserName`] for a name that would lead elsewhere.
pub fn configuration_files(root: &Root, user: &OsStr) -> Result<[PathBuf; 2], Error> {
    let bytes = user.as_bytes();
    if bytes.is_empty() || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err(Error::UserName(user.to_owned()));
    }
    let mut own = OsString::from("/etc/sysconfig/rc_domino_config_");
    own.push(user);
    Ok([
        root.path(Path::new("/etc/sysconfig/rc_domino_config")),
        root.path(Path::new(&own)),
    ])
}

/// Reads the configuration of a user's server. Refused files are sourced by
/// bash as the current user, who must not be root.
///
/// # Errors
/// See [`Error`].
pub fn load(
    root: &Root,
    user: &OsStr,
    environment: &[(OsString, OsString)],
) -> Result<Loaded, Error> {
    load_with(root, user, environment, &mut bash::run)
}

/// Sources one further file, such as a setup's environment file, and returns
/// every variable that it sets or changes, exported or not.
///
/// # Errors
/// See [`Error`].
pub fn source_all(
    file: &Path,
    environment: &[(OsString, OsString)],
) -> Result<Vec<(OsString, OsString)>, Error> {
    let before = Scope::from_environment(environment);
    let mut runner = bash::run;
    let mut reading = Files::new(before.clone(), &mut runner);
    reading.read(&[file.to_path_buf()])?;
    let changed = reading.scope.iter().filter(|(name, variable)| {
        before
            .variable(name)
            .is_none_or(|old| old.value != variable.value)
    });
    Ok(changed
        .filter_map(|(name, variable)| {
            let value = variable.value.clone()?;
            Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value)))
        })
        .collect())
}

/// As [`load`], with another way to source the refused files.
///
/// # Errors
/// See [`Error`].
pub fn load_with(
    root: &Root,
    user: &OsStr,
    environment: &[(OsString, OsString)],
    runner: Runner<'_>,
) -> Result<Loaded, Error> {
    let candidates = configuration_files(root, user)?;
    let before = first_scope(user, environment, &candidates);
    let mut reading = Files::new(before.clone(), runner);
    let mut looked_at = candidates.to_vec();
    reading.read_all(&mut looked_at)?;
    if reading.scope.non_empty("DOMINO_CONFIGURED").is_none() {
        let user = user.to_owned();
        return Err(Error::NotConfigured { user, looked_at });
    }
    let settings = reading.settings(root, user)?;
    Ok(reading.loaded(settings, &before, environment))
}

/// As [`load`], of a configuration that is broken: what can be read of it
/// counts, and for the rest the defaults. For a stop that is better done by
/// these than not at all.
///
/// # Errors
/// [`Error::UserName`].
pub fn load_what_can_be_read(
    root: &Root,
    user: &OsStr,
    environment: &[(OsString, OsString)],
) -> Result<Loaded, Error> {
    let candidates = configuration_files(root, user)?;
    let before = first_scope(user, environment, &candidates);
    let mut runner = bash::run;
    let mut reading = Files::new(before.clone(), &mut runner);
    if reading.read_all(&mut candidates.to_vec()).is_err() {
        reading.scope = before.clone();
        for path in candidates {
            if let Ok(Some(text)) = read_if_there(&path) {
                read_as_data(&text, &mut reading.scope);
                reading.files.push(path);
            }
        }
    }
    let settings = loop {
        match reading.settings(root, user) {
            Err(Error::Value { name, .. }) => reading.scope.put(name.as_bytes(), None),
            done => break done?,
        }
    };
    Ok(reading.loaded(settings, &before, environment))
}

impl Files<'_> {
    /// Reads these files, then the one that they name.
    fn read_all(&mut self, files: &mut Vec<PathBuf>) -> Result<(), Error> {
        let exited = self.read(files)?;
        if !exited && let Some(further) = self.scope.non_empty("DOMINO_ENV_FILE") {
            let further = PathBuf::from(further);
            files.push(further.clone());
            self.read(&[further])?;
        }
        Ok(())
    }

    fn settings(&mut self, root: &Root, user: &OsStr) -> Result<Settings, Error> {
        type_settings(root, user, &self.scope, &self.sources, &mut self.warnings)
    }

    fn loaded(
        self,
        settings: Settings,
        before: &Scope,
        environment: &[(OsString, OsString)],
    ) -> Loaded {
        let (exports, removed) = changes(before, &self.scope, environment);
        Loaded {
            settings,
            exports,
            removed,
            warnings: self.warnings,
            files: self.files,
        }
    }
}

/// What files find set: the environment, and what the start script sets
/// before it reads them.
pub(super) fn first_scope(
    user: &OsStr,
    environment: &[(OsString, OsString)],
    files: &[PathBuf; 2],
) -> Scope {
    let mut scope = Scope::from_environment(environment);
    scope.set("DOMINO_USER", user.as_bytes());
    if scope.non_empty("LOGNAME").is_none() {
        scope.export("LOGNAME", user.as_bytes());
    }
    if scope.non_empty("DOMINO_SCRIPT_VERBOSE_INFO").is_none() {
        scope.set("DOMINO_SCRIPT_VERBOSE_INFO", b"yes");
    }
    let [all, own] = files;
    scope.set("DOMINO_DEFAULT_CONFIG_FILE", all.as_os_str().as_bytes());
    scope.set("DOMINO_CONFIG_FILE", own.as_os_str().as_bytes());
    scope
}

/// Names the first scope has that are no settings.
pub(super) const GIVEN: [&[u8]; 2] = [b"DOMINO_CONFIG_FILE", b"DOMINO_DEFAULT_CONFIG_FILE"];

struct Files<'a> {
    scope: Scope,
    sources: BTreeMap<Vec<u8>, Source>,
    warnings: Vec<Warning>,
    files: Vec<PathBuf>,
    unknown: BTreeSet<Vec<u8>>,
    runner: Runner<'a>,
}

impl<'a> Files<'a> {
    fn new(scope: Scope, runner: Runner<'a>) -> Files<'a> {
        Files {
            scope,
            sources: BTreeMap::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            unknown: BTreeSet::new(),
            runner,
        }
    }

    /// Reads the files that are there; true when one of them called `exit`.
    fn read(&mut self, candidates: &[PathBuf]) -> Result<bool, Error> {
        let mut texts = Vec::new();
        for path in candidates {
            if let Some(text) = read_if_there(path)? {
                texts.push((path.clone(), text));
            }
        }
        for (index, (path, text)) in texts.iter().enumerate() {
            match evaluate(text, &self.scope) {
                Ok(assignments) => {
                    self.files.push(path.clone());
                    for assignment in &assignments {
                        let (line, path) = (assignment.line, path.clone());
                        self.note(&assignment.name, Source::File { path, line });
                    }
                    self.scope.apply(&assignments);
                }
                Err(refusal) => {
                    let rest = texts.get(index..).unwrap_or_default();
                    return self.ask_bash(rest, refusal);
                }
            }
        }
        Ok(false)
    }

    /// Lets bash source this file and those behind it, since what the file
    /// defines besides variables may matter for them.
    fn ask_bash(&mut self, texts: &[(PathBuf, Vec<u8>)], refusal: Refusal) -> Result<bool, Error> {
        let Some((path, _)) = texts.first() else {
            return Ok(false);
        };
        let (path, line) = (path.clone(), refusal.line);
        if refusal.what == Construct::CarriageReturn {
            return Err(Error::LineEnds { path, line });
        }
        if refusal.is_syntax_error() {
            return Err(Error::Syntax {
                path,
                line: Some(line),
                message: refusal.what.to_string(),
            });
        }
        let paths: Vec<PathBuf> = texts.iter().map(|(path, _)| path.clone()).collect();
        let answer = (self.runner)(&paths, &self.scope).map_err(|error| match error {
            bash::Error::Syntax {
                path,
                line,
                message,
            } => Error::Syntax {
                path,
                line,
                message,
            },
            error => Error::NeedsBash {
                path,
                line,
                what: refusal.what,
                error: Box::new(error),
            },
        })?;
        for ((path, text), (_, after)) in texts.iter().zip(answer.states) {
            self.files.push(path.clone());
            for (name, variable) in after.iter() {
                if self.scope.variable(name) != Some(variable) || line_of(text, name).is_some() {
                    self.note(name, Source::Bash { path: path.clone() });
                    self.place_unknown(name, line_of(text, name));
                }
            }
            self.scope = after;
        }
        let said = String::from_utf8_lossy(&answer.output).trim().to_owned();
        if !said.is_empty() {
            self.warnings.push(Warning::Said { text: said });
        }
        let exited = answer.exited_in.is_some();
        if let Some(path) = answer.exited_in {
            self.warnings.push(Warning::Exited { path });
        }
        Ok(exited)
    }

    /// Remembers where a variable is set, and warns once of unknown settings.
    fn note(&mut self, name: &[u8], source: Source) {
        let unknown = name.starts_with(b"DOMINO_") && !is_known(name) && !GIVEN.contains(&name);
        if unknown && self.unknown.insert(name.to_vec()) {
            let (path, line) = match &source {
                Source::File { path, line } => (path.clone(), Some(*line)),
                Source::Bash { path } => (path.clone(), None),
                Source::Default | Source::Environment => return,
            };
            self.warnings.push(Warning::UnknownName {
                name: String::from_utf8_lossy(name).into_owned(),
                path,
                line,
                nearest: nearest(name),
            });
        }
        self.sources.insert(name.to_vec(), source);
    }

    /// Adds the line to the warning that was given last, if it is this one's.
    fn place_unknown(&mut self, name: &[u8], place: Option<usize>) {
        if let Some(Warning::UnknownName {
            name: warned, line, ..
        }) = self.warnings.last_mut()
            && warned.as_bytes() == name
            && line.is_none()
        {
            *line = place;
        }
    }
}

/// The first line in which a name is set, as far as the eye can tell.
fn line_of(text: &[u8], name: &[u8]) -> Option<usize> {
    let sets = |line: &[u8]| {
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(b"=") || rest.starts_with(b"+="))
    };
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.position(sets).map(|index| index + 1)
}

pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match read_regular(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let path = path.to_path_buf();
            Err(Error::Unreadable { path, error })
        }
    }
}

fn type_settings(
    root: &Root,
    user: &OsStr,
    scope: &Scope,
    sources: &BTreeMap<Vec<u8>, Source>,
    warnings: &mut Vec<Warning>,
) -> Result<Settings, Error> {
    let mut texts = BTreeMap::new();
    let find = |entry: &'static Entry| {
        let mut names = std::iter::once(entry.name).chain(entry.aliases.iter().copied());
        let (name, text) = names.find_map(|name| Some((name, scope.non_empty(name)?)))?;
        let source = match sources.get(name.as_bytes()) {
            Some(source) => source.clone(),
            // Set for every file to see.
            None if name == "DOMINO_USER"
                || (name == "DOMINO_SCRIPT_VERBOSE_INFO" && text == "yes") =>
            {
                Source::Default
            }
            None => Source::Environment,
        };
        texts.insert(entry.name, (text.to_owned(), source.clone()));
        let switch = matches!(entry.kind, Kind::Switch | Kind::Unless);
        if switch && text != "yes" && text != "no" {
            warnings.push(Warning::OddSwitch {
                name,
                value: shown(text),
                on: entry.kind == Kind::Unless,
                source: source.clone(),
            });
        }
        Some((name, text.to_owned(), source))
    };
    let configured = Configured::read(find)?;
    Ok(Settings {
        configured,
        user: user.to_owned(),
        default_lotus: find_lotus(root),
        editor: scope.non_empty("EDITOR").map(OsStr::to_owned),
        texts,
    })
}

/// What the files changed in the environment that programs get.
fn changes(
    before: &Scope,
    after: &Scope,
    environment: &[(OsString, OsString)],
) -> (Vec<(OsString, OsString)>, Vec<OsString>) {
    let exports = after
        .environment()
        .into_iter()
        .filter(|(name, value)| {
            let name = name.as_bytes();
            let was = before.variable(name);
            !was.is_some_and(|was| was.exported && was.value.as_deref() == Some(value.as_bytes()))
        })
        .collect();
    let mut removed: Vec<OsString> = environment
        .iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let name = name.as_bytes();
            before.variable(name).is_some()
                && !after.variable(name).is_some_and(|after| after.exported)
        })
        .cloned()
        .collect();
    removed.dedup();
    (exports, removed)
}

/// Reads one variable as data, for root: nothing is executed, and of a file
/// that needs a shell only plain lines outside its conditions count. `None`
/// when it is not set or empty, or when a file cannot be read.
pub fn peek(root: &Root, user: &OsStr, name: &str) -> Option<(OsString, Source)> {
    let files = configuration_files(root, user).ok()?;
    let mut scope = first_scope(user, &[], &files);
    let mut found = None;
    for path in files {
        let Ok(Some(text)) = read_if_there(&path) else {
            continue;
        };
        for (line, assigned) in read_as_data(&text, &mut scope) {
            if assigned == name.as_bytes() {
                let path = path.clone();
                found = Some(Source::File { path, line });
            }
        }
    }
    Some((scope.non_empty(name)?.to_owned(), found?))
}

/// The same for a number of seconds; its default where that is a number and
/// what is set, if anything, is none.
pub fn peek_seconds(root: &Root, user: &OsStr, name: &str) -> Option<Duration> {
    let set = peek(root, user, name).and_then(|(text, _)| Seconds::read(&text));
    set.or_else(|| Seconds::read(OsStr::new(entry(name.as_bytes())?.default)))
}

/// The same for the data directory, configured or not.
pub fn peek_data_path(root: &Root, user: &OsStr) -> PathBuf {
    const BASE: &str = "DOMINO_DATA_PATH_BASE";
    let peeked = |name| peek(root, user, name).map(|(path, _)| PathBuf::from(path));
    peeked("DOMINO_DATA_PATH").unwrap_or_else(|| {
        let usual = || entry(BASE.as_bytes()).map(|entry| entry.default.into());
        usual_data_path(&peeked(BASE).or_else(usual).unwrap_or_default(), user)
    })
}

/// The same for how long to wait for another start or stop; `shutdown` is how
/// long a shutdown may take, where the caller says.
pub fn peek_lock_timeout(root: &Root, user: &OsStr, shutdown: Option<Duration>) -> Duration {
    let peek = |name| peek_seconds(root, user, name);
    peek("DOMINO_LOCK_TIMEOUT").unwrap_or_else(|| {
        let shutdown = shutdown.or_else(|| peek("DOMINO_SHUTDOWN_TIMEOUT"));
        usual_lock_timeout(shutdown.unwrap_or_default())
    })
}

/// Evaluates what can be and passes over the rest; hands back what was
/// assigned where.
pub(super) fn read_as_data(text: &[u8], scope: &mut Scope) -> Vec<(usize, Vec<u8>)> {
    let (mut assignments, refusal) = evaluate_up_to_refusal(text, scope);
    scope.apply(&assignments);
    let read_to = match refusal {
        None => return places(assignments),
        Some(Refusal {
            what: Construct::CarriageReturn | Construct::ControlByte(_),
            ..
        }) => 1,
        Some(refusal) => refusal.line,
    };
    let mut depth = 0usize;
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    for (index, line) in lines.skip(read_to.saturating_sub(1)) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let trimmed = line.trim_ascii();
        let word = trimmed.get(..name_length(trimmed)).unwrap_or_default();
        match word {
            b"if" | b"case" | b"for" | b"while" | b"until" | b"select" => depth += 1,
            b"fi" | b"esac" | b"done" => depth = depth.saturating_sub(1),
            b"" if trimmed == b"}" => depth = depth.saturating_sub(1),
            _ if trimmed.ends_with(b"{") => depth += 1,
            _ if depth == 0 => {
                if let Ok(mut alone) = evaluate(line, scope) {
                    scope.apply(&alone);
                    for assignment in &mut alone {
                        assignment.line = index + 1;
                    }
                    assignments.extend(alone);
                }
            }
            _ => {}
        }
    }
    places(assignments)
}

fn places(assignments: Vec<Assignment>) -> Vec<(usize, Vec<u8>)> {
    assignments
        .into_iter()
        .map(|assignment| (assignment.line, assignment.name))
        .collect()
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
