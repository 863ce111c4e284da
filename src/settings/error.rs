//! What can be wrong with a configuration, in words for who has to mend it.

use super::bash;
use super::shell_config::Construct;
use super::source::Source;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// How many characters of a wrong value are shown.
const LONGEST_SHOWN: usize = 80;

/// Why no settings could be had.
#[derive(Debug)]
pub enum Error {
    /// DOMINO_CONFIGURED is not set.
    NotConfigured {
        /// The user whose configuration was looked for.
        user: OsString,
        /// The files looked for, whether there or not.
        looked_at: Vec<PathBuf>,
    },
    /// The name of a user who cannot be one: it would lead to other files.
    UserName(OsString),
    /// A file is there and cannot be read, is no regular file or is too large.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file has Windows line ends.
    LineEnds {
        /// The file.
        path: PathBuf,
        /// The first such line.
        line: usize,
    },
    /// No shell accepts the file.
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// A file needs bash, and bash gave no answer.
    NeedsBash {
        /// The file.
        path: PathBuf,
        /// The line that needs bash.
        line: usize,
        /// What stands there.
        what: Construct,
        /// Why there is no answer.
        error: Box<bash::Error>,
    },
    /// A value is not of its setting's kind.
    Value {
        /// The setting, by the name that was used.
        name: &'static str,
        /// The value, readable and bounded.
        value: String,
        /// What was expected.
        expected: &'static str,
        /// Where the value stands.
        source: Source,
    },
}

impl Error {
    pub(super) fn value(
        name: &'static str,
        value: &OsStr,
        expected: &'static str,
        source: Source,
    ) -> Error {
        Error::Value {
            name,
            value: shown(value),
            expected,
            source,
        }
    }
}

/// A value as messages show it: readable, on one line and bounded.
pub(super) fn shown(value: &OsStr) -> String {
    let text = value.to_string_lossy();
    let mut shown: String = text
        .chars()
        .take(LONGEST_SHOWN)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotConfigured { user, looked_at } => {
                let files: Vec<String> = looked_at
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(
                    f,
                    "the server of user '{}' is not configured: set DOMINO_CONFIGURED=\"yes\" in {}",
                    shown(user),
                    files.join(" or ")
                )
            }
            Error::UserName(name) => write!(
                f,
                "'{}' cannot be a user's name: set DOMINO_USER to the user who runs Domino",
                shown(name)
            ),
            Error::Unreadable { path, error } => write!(
                f,
                "{}: {error}; the user who runs Domino must be able to read it",
                path.display()
            ),
            Error::LineEnds { path, line } => write!(
                f,
                "{}:{line}: the line ends in CR LF; remove the carriage returns, e.g. with sed -i 's/\\r$//'",
                path.display()
            ),
            Error::Syntax {
                path,
                line: Some(line),
                message,
            } => write!(f, "{}:{line}: {message}; correct the file", path.display()),
            Error::Syntax { path, message, .. } => {
                write!(f, "{}: {message}; correct the file", path.display())
            }
            Error::NeedsBash {
                path,
                line,
                what,
                error,
            } => write!(
                f,
                "{}:{line}: {what} is for bash to evaluate, but {error}; simplify the line or mend that",
                path.display()
            ),
            Error::Value {
                name,
                value,
                expected,
                source,
            } => write!(f, "{source}: {name}='{value}': expected {expected}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Unreadable { error, .. } => Some(error),
            Error::NeedsBash { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// What is odd about a configuration, though it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A name that looks like a setting and is none.
    UnknownName {
        /// The name.
        name: String,
        /// The file it is first set in.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// The setting whose name is most like it.
        nearest: Option<&'static str>,
    },
    /// A switch with a value that is neither yes nor no.
    OddSwitch {
        /// The setting.
        name: &'static str,
        /// Its value, readable and bounded.
        value: String,
        /// What it counts as.
        on: bool,
        /// Where it stands.
        source: Source,
    },
    /// A file called `exit`: what follows it was not read.
    Exited {
        /// The file.
        path: PathBuf,
    },
    /// The files printed something, or bash complained about a command.
    Said {
        /// The text; bounded.
        text: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownName {
                name,
                path,
                line,
                nearest,
            } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                write!(f, ": {name} is no setting")?;
                match nearest {
                    Some(nearest) => write!(f, "; is {nearest} meant?"),
                    None => Ok(()),
                }
            }
            Warning::OddSwitch {
                name,
                value,
                on,
                source,
            } => write!(
                f,
                "{source}: {name}='{value}' counts as {}; write yes or no",
                if *on { "yes" } else { "no" }
            ),
            Warning::Exited { path } => write!(
                f,
                "{}: ends the shell; what follows in it and later files were not read",
                path.display()
            ),
            Warning::Said { text } => write!(f, "while the configuration was read: {text}"),
        }
    }
}
