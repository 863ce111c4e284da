//! The verbs about logs, and `cmd`, which shows what the log has to say.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// What to do with logs.
#[derive(Debug, Subcommand)]
pub enum LogsVerb {
    /// Show the last lines of the console log
    Lastlog {
        /// How many [default: 100]
        #[arg(value_name = "LINES", value_parser = lines)]
        lines: Option<Lines>,
    },
    /// Open the console log in a pager
    #[command(after_help = "\
Without PAGER: SHOW_LOG_COMMAND, else less, else the editor.

Examples:
  rc_domino log
  rc_domino log less +G        at its end
  rc_domino log grep -i error  any program that takes a file")]
    Log {
        /// The program to open it with, and its arguments
        #[arg(
            value_name = "PAGER",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        pager: Vec<OsString>,
    },
    /// Archive the console log, also while the server writes to it
    #[command(after_help = "\
The archive is SERVER_YYMMDD_HHMMSS[_TAG].log.gz in DOMINO_LOG_BACKUP_DIR, else
beside the log. No line is lost where the filesystem can shorten a file from its
front (ext4, XFS); where it cannot, that is said.

Examples:
  rc_domino archivelog
  rc_domino archivelog before-debug")]
    Archivelog {
        /// A word for the archive's name
        #[arg(value_name = "TAG")]
        tag: Option<OsString>,
    },
    /// Remove logs and archives that are past their days
    #[command(after_help = "\
Files go that are more than so many days old and that no process of the Domino
user has open: LOGDAYS [DOMINO_LOG_CLEAR_DAYS] for DOMINO_LOG_PATH and
IBM_TECHNICAL_SUPPORT, the same or DOMINO_CUSTOM_LOG_CLEAR_DAYS for
DOMINO_CUSTOM_LOG_CLEAR_PATH, BACKUPDAYS [DOMINO_LOG_BACKUP_CLEAR_DAYS] for
archives of the console log. Links are never followed. A site's
DOMINO_CUSTOM_LOG_CLEAR_SCRIPT does all of it instead.

Examples:
  rc_domino clearlog --dry-run  what would go, and how much that is
  rc_domino clearlog            as configured
  rc_domino clearlog 30 90      other days, this time")]
    Clearlog(ClearlogArgs),
    /// Show where the logs are, how large, and what becomes of them
    Logstatus,
    /// Open the debug log (DOMINO_DEBUG_FILE) in the editor
    Debuglog {
        /// The program to open it with, and its arguments
        #[arg(
            value_name = "EDITOR",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        editor: Vec<OsString>,
    },
    /// Remove Sametime's traces and empty its log
    Resetstlogs,
    /// Send a console command and show what comes of it
    #[command(after_help = "\
The log is followed until the output is quiet or the time is over. Code 7: no
server runs.

Examples:
  rc_domino cmd \"show tasks\"
  rc_domino cmd \"show server\" 200          then the last 200 lines of the log
  rc_domino cmd \"show stat\" --timeout 20")]
    Cmd(CmdArgs),
}

/// A number on the command line; an empty word stands for what is configured
/// or usual, as scripts that pass empty arguments on expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub Option<u32>);

/// Days, by which files are old.
pub type Days = Count;

/// Lines of a log.
pub type Lines = Count;

/// Reads days.
pub fn days(text: &str) -> Result<Days, String> {
    count(text).ok_or_else(|| "days are a whole number, 0 or more".into())
}

/// Reads lines.
pub fn lines(text: &str) -> Result<Lines, String> {
    count(text).ok_or_else(|| "lines are a whole number, 0 or more".into())
}

fn count(text: &str) -> Option<Count> {
    if text.is_empty() {
        return Some(Count(None));
    }
    // More than fits is more than there is.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| Count(Some(text.parse().unwrap_or(u32::MAX))))
}

/// Arguments of `clearlog`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ClearlogArgs {
    /// Age of logs that go, in days
    #[arg(value_name = "LOGDAYS", value_parser = days, allow_negative_numbers = true)]
    pub logs: Option<Days>,
    /// Age of archived console logs that go, in days
    #[arg(value_name = "BACKUPDAYS", value_parser = days, allow_negative_numbers = true)]
    pub archives: Option<Days>,
    /// List what would go and how much it is; remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `cmd`.
#[derive(Clone, Debug, Args)]
pub struct CmdArgs {
    /// The console command, as one argument
    #[arg(value_name = "COMMAND")]
    pub command: OsString,
    /// Show the last LINES of the log instead of what was added to it
    #[arg(value_name = "LINES", value_parser = console_lines)]
    pub lines: Option<Lines>,
    /// How long to wait for output to end
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u32,
}

fn console_lines(text: &str) -> Result<Lines, String> {
    lines(text).map_err(|problem| {
        format!("{problem}; a console command of several words must be quoted: cmd \"show tasks\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_not_negative() {
        assert_eq!(days("0"), Ok(Count(Some(0))));
        assert_eq!(days(""), Ok(Count(None)));
        assert_eq!(days("99999999999"), Ok(Count(Some(u32::MAX))));
        for text in ["-1", "abc", "1.5", " 1", "+1"] {
            assert!(days(text).is_err(), "{text}");
        }
    }
}
