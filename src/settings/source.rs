//! Where a setting's value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value stands. Shown as `FILE:LINE`, `environment` or `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it is the default.
    Default,
    /// In the environment of the program.
    Environment,
    /// In a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// In a configuration file that bash evaluated.
    Bash {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Environment => f.write_str("environment"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Bash { path } => write!(f, "{}", path.display()),
        }
    }
}

/// A value with its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value; an `Option` where there is no fixed default.
    pub value: T,
    /// Where it stands.
    pub source: Source,
}
