//! The verbs that maintain databases, and their arguments.

use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;

/// Maintenance of databases.
#[derive(Debug, Subcommand)]
pub enum DatabasesVerb {
    /// Compact databases; the server must be down
    #[command(after_help = "\
One argument is split at its blanks as a shell does, as DOMINO_COMPACT_OPTIONS
is; several are passed on as they are. Then log.nsf is compacted where
DOMINO_LOG_COMPACT_OPTIONS says how. The exit code is the tool's.

Examples:
  rc_domino compact                     with DOMINO_COMPACT_OPTIONS
  rc_domino compact \"-C -W 7 mail\"      with these instead
  rc_domino compact -c 'my mail.nsf'")]
    Compact(OptionsArgs),
    /// Check and repair databases; the server must be down
    #[command(after_help = "\
One argument is split at its blanks as a shell does, as DOMINO_FIXUP_OPTIONS
is; several are passed on as they are. The exit code is the tool's.

Examples:
  rc_domino fixup                       with DOMINO_FIXUP_OPTIONS
  rc_domino fixup -f -j system.ind")]
    Fixup(OptionsArgs),
    /// Stop the server, compact, start the server
    #[command(after_help = "\
Exit code: that of a start that failed, else of a stop that was not clean, else
the tool's.

Examples:
  rc_domino restartcompact
  rc_domino restartcompact \"-C system.ind\"")]
    Restartcompact(OptionsArgs),
    /// Stop the server, run fixup, start the server
    #[command(after_help = "\
Exit code: that of a start that failed, else of a stop that was not clean, else
the tool's.

Example:
  rc_domino restartfixup -f system.ind")]
    Restartfixup(OptionsArgs),
    /// Have the next start compact once, as the compact verb would
    #[command(after_help = "\
Examples:
  rc_domino compactnextstart on         before a planned restart of the host
  rc_domino compactnextstart            is it on, and what would run?")]
    Compactnextstart {
        /// Switch it on or off, or show it
        #[arg(
            value_name = "on|off|status",
            value_enum,
            hide_possible_values = true,
            default_value_t
        )]
        state: OnceState,
    },
}

/// Options of a maintenance tool.
#[derive(Clone, Debug, Default, Args)]
pub struct OptionsArgs {
    /// Options in place of the configured ones
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub options: Vec<OsString>,
}

/// What becomes of the compact at the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnceState {
    /// It is asked for.
    On,
    /// It is not.
    Off,
    /// It is only shown.
    #[default]
    Status,
}
