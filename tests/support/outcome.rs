//! How a command ended, and what a scenario may say of it.

use super::holds;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code, 128 + n for a signal.
    pub code: i32,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its complaints.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub took: Duration,
    /// The command line.
    pub line: String,
    /// The console log at its end.
    pub console: Vec<u8>,
}

impl Outcome {
    /// The exit code is this one.
    #[track_caller]
    pub fn code(self, expected: i32) -> Outcome {
        assert_eq!(self.code, expected, "exit code\n{self}");
        self
    }

    /// The output holds this text.
    #[track_caller]
    pub fn stdout_has(self, text: impl AsRef<[u8]>) -> Outcome {
        let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
        assert!(
            holds(&self.stdout, text),
            "no '{shown}' in the output\n{self}"
        );
        self
    }

    /// The complaints hold this text.
    #[track_caller]
    pub fn stderr_has(self, text: impl AsRef<[u8]>) -> Outcome {
        let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
        assert!(holds(&self.stderr, text), "no '{shown}' on stderr\n{self}");
        self
    }

    /// One of both holds this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Outcome {
        assert!(self.said(text), "no '{text}' in what it said\n{self}");
        self
    }

    /// Whether one of both holds this text.
    pub fn said(&self, text: &str) -> bool {
        holds(&self.stdout, text) || holds(&self.stderr, text)
    }

    /// There are no complaints.
    #[track_caller]
    pub fn quiet(self) -> Outcome {
        assert!(self.stderr.is_empty(), "complaints\n{self}");
        self
    }

    /// The copy that an edit left, as the complaints name it.
    #[track_caller]
    pub fn kept(&self) -> PathBuf {
        let text = String::from_utf8_lossy(&self.stderr);
        let (_, path) = text
            .rsplit_once("kept in ")
            .unwrap_or_else(|| panic!("nothing was kept\n{self}"));
        PathBuf::from(path.trim())
    }

    /// Its output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let from = self.console.len().saturating_sub(1_500);
        writeln!(
            f,
            "{} ended with {} after {:?}",
            self.line, self.code, self.took
        )?;
        writeln!(
            f,
            "--- stdout\n{}--- stderr\n{}",
            text(&self.stdout),
            text(&self.stderr)
        )?;
        write!(
            f,
            "--- end of the console log\n{}---",
            text(&self.console[from..])
        )
    }
}
