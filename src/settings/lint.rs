//! Looks at configuration files as texts and tells everything that is wrong
//! with them, not just the first thing; nothing in them is executed.

use super::catalogue::{entry, is_known, nearest};
use super::error::shown;
use super::kind::Kind;
use super::load::{GIVEN, configuration_files, first_scope, read_as_data, read_if_there};
use super::scope::Scope;
use super::shell_config::{Construct, evaluate};
use crate::os::root::Root;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing can be started with it.
    Error,
    /// It works, but hardly as meant.
    Warning,
}

/// Something an administrator should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file it is in, where it is in one.
    pub file: Option<PathBuf>,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Finding {
    /// A finding that is in no file.
    pub fn plain(text: impl Into<String>) -> Finding {
        Finding {
            file: None,
            line: None,
            level: Level::Warning,
            text: text.into(),
        }
    }

    /// A finding about a file, or a line of it.
    pub fn at(file: &Path, line: Option<usize>, text: impl Into<String>) -> Finding {
        Finding {
            file: Some(file.to_path_buf()),
            line,
            level: Level::Warning,
            text: text.into(),
        }
    }

    /// The same, as an error.
    pub fn severe(self) -> Finding {
        Finding {
            level: Level::Error,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

/// Where the settings stand, read as data.
#[derive(Clone, Debug, Default)]
pub struct Places {
    places: BTreeMap<Vec<u8>, (PathBuf, usize)>,
}

impl Places {
    /// The file and line that set this name last.
    pub fn of(&self, name: &str) -> Option<(&Path, usize)> {
        let (path, line) = self.places.get(name.as_bytes())?;
        Some((path, *line))
    }

    /// A finding about a setting, at its place where it has one.
    pub fn finding(&self, name: &str, text: impl Into<String>) -> Finding {
        match self.of(name) {
            Some((path, line)) => Finding::at(path, Some(line), text),
            None => Finding::plain(text),
        }
    }
}

/// All files of a user's configuration: what is wrong with them, and where
/// their settings stand.
pub fn files(
    root: &Root,
    user: &OsStr,
    environment: &[(OsString, OsString)],
) -> (Vec<Finding>, Places) {
    let mut found = Vec::new();
    let mut places = Places::default();
    let Ok(candidates) = configuration_files(root, user) else {
        return (found, places);
    };
    let mut scope = first_scope(user, environment, &candidates);
    for path in &candidates {
        one(path, &mut scope, &mut found, &mut places);
    }
    if let Some(further) = scope.non_empty("DOMINO_ENV_FILE").map(PathBuf::from) {
        if !further.exists() {
            let text = format!(
                "DOMINO_ENV_FILE: {} does not exist or cannot be reached",
                further.display()
            );
            found.push(places.finding("DOMINO_ENV_FILE", text));
        }
        one(&further, &mut scope, &mut found, &mut places);
    }
    (found, places)
}

fn one(path: &Path, scope: &mut Scope, found: &mut Vec<Finding>, places: &mut Places) {
    match read_if_there(path) {
        Ok(Some(text)) => {
            let (findings, here) = text_of(path, &text, scope);
            found.extend(findings);
            places.places.extend(here.places);
        }
        Ok(None) => {}
        Err(error) => found.push(Finding::plain(error.to_string()).severe()),
    }
}

/// One file's text, read in `scope`, which then holds what it sets.
pub fn text_of(path: &Path, text: &[u8], scope: &mut Scope) -> (Vec<Finding>, Places) {
    let mut found = Vec::new();
    if let Err(refusal) = evaluate(text, scope) {
        let what = match &refusal.what {
            Construct::CarriageReturn => Some(
                "the line ends in CR LF; remove the carriage returns, e.g. with sed -i 's/\\r$//'"
                    .to_owned(),
            ),
            what if refusal.is_syntax_error() => Some(format!("{what}; correct the file")),
            what @ Construct::ControlByte(_) => Some(format!("{what}; remove it")),
            // Bash evaluates the rest.
            _ => None,
        };
        if let Some(what) = what {
            found.push(Finding::at(path, Some(refusal.line), what).severe());
        }
    }
    let mut places = Places::default();
    let mut set: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (line, name) in read_as_data(text, scope) {
        set.insert(name, line);
    }
    for (name, line) in &set {
        let at = |text: String| Finding::at(path, Some(*line), text);
        places
            .places
            .insert(name.clone(), (path.to_path_buf(), *line));
        let display = String::from_utf8_lossy(name);
        let Some(entry) = entry(name) else {
            if name.starts_with(b"DOMINO_") && !is_known(name) && !GIVEN.contains(&name.as_slice())
            {
                let meant = nearest(name)
                    .map(|nearest| format!("; is {nearest} meant?"))
                    .unwrap_or_default();
                found.push(at(format!("{display} is no setting{meant}")));
            }
            continue;
        };
        let Some(value) = scope.value(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = OsStr::from_bytes(value);
        if !entry.kind.accepts(value) {
            let finding = at(format!(
                "{display}='{}': expected {}",
                shown(value),
                entry.kind.expected()
            ));
            // A switch counts as one or the other all the same.
            let switch = matches!(entry.kind, Kind::Switch | Kind::Unless);
            found.push(if switch { finding } else { finding.severe() });
        }
        let old_name = name != entry.name.as_bytes();
        if old_name
            && let Some(other) = scope.non_empty(entry.name)
            && other != value
        {
            found.push(at(format!(
                "{display}='{}' contradicts {}='{}', which counts; remove one of them",
                shown(value),
                entry.name,
                shown(other)
            )));
        }
    }
    found.sort();
    (found, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lint(text: &str) -> Vec<String> {
        let mut scope = Scope::default();
        text_of(Path::new("/c"), text.as_bytes(), &mut scope)
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let found = lint(
            "DOMINO_SHUTDOWN_TIMOUT=600\nDOMINO_LOG_CLEAR_DAYS=7d\n\nDOMINO_RESET_LOADMON=ja\nDOMINO_UMASK=\nMINE=x\n",
        );
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with(
                "/c:1: DOMINO_SHUTDOWN_TIMOUT is no setting; is DOMINO_SHUTDOWN_TIMEOUT"
            )
        );
        assert!(found[1].starts_with("/c:2: DOMINO_LOG_CLEAR_DAYS='7d': expected"));
        assert!(found[2].starts_with("/c:4: DOMINO_RESET_LOADMON='ja': expected yes or no"));
    }

    #[test]
    fn what_is_for_bash_is_no_fault_and_the_rest_is_read() {
        let found = lint("if [ -e /x ]; then\n  A=1\nfi\nDOMINO_UMASK=9\nB=$(date)\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("/c:4: "), "{found:?}");
    }

    #[test]
    fn syntax_and_line_ends_are_faults() {
        assert!(lint("A=1\nB='x\n")[0].starts_with("/c:2: "));
        assert!(lint("A=1\r\n")[0].contains("CR LF"));
    }

    #[test]
    fn two_names_of_one_setting_must_agree() {
        let text = "USE_JAVA_CONTROLLER=no\nDOMINO_USE_JAVA_CONTROLLER=yes\n";
        assert!(lint(text)[0].contains("contradicts"));
        assert!(lint("USE_JAVA_CONTROLLER=yes\nDOMINO_USE_JAVA_CONTROLLER=yes\n").is_empty());
    }
}
