//! The verbs that show, check and edit the configuration, and their arguments.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// Configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Print the value of a notes.ini setting
    #[command(after_help = "\
The whole value is printed and nothing else; code 1 where there is no such
setting. Upper and lower case are the same in names.

Example:
  rc_domino inivar KeyFilename")]
    Inivar {
        /// The setting's name
        #[arg(value_name = "NAME")]
        name: OsString,
    },
    /// Edit notes.ini
    #[command(after_help = "\
A copy is edited with EDIT_COMMAND, checked, compared, and then replaces
notes.ini in one step. Best while the server is down: a running server keeps its
own copy of the settings and writes them back; use its console there, e.g.
  rc_domino cmd \"set config NAME=value\"")]
    Ini,
    /// Print notes.ini
    Listini,
    /// Edit a configuration file
    #[command(
        visible_alias = "cfg",
        after_help = "\
FILE: default (of all servers), server (of this one), or any file; without it
the server's own if there is one, else the default. A copy is edited, checked,
compared, and then replaces the file in one step with the same owner and mode.

Example:
  rc_domino config server"
    )]
    Config {
        /// default, server or a file
        #[arg(value_name = "FILE")]
        which: Option<OsString>,
    },
    /// Print what a configuration file sets, or all settings in force
    #[command(after_help = "\
Examples:
  rc_domino listcfg                     the file without its comments
  rc_domino listcfg --effective         every setting, its value, where it stands")]
    Listcfg(ListcfgArgs),
    /// Edit the systemd unit of the server
    Systemdcfg,
    /// Print Domino's environment for a shell to evaluate
    #[command(after_help = "\
Only for the Domino user himself: the search path then holds directories that he
can write to.

Example:
  eval \"$(rc_domino setenv)\"")]
    Setenv,
    /// Check configuration, unit, hooks and paths
    #[command(after_help = "\
Exit code 0: nothing found; 1: something was found.

Example:
  rc_domino check --json")]
    Check {
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `listcfg`.
#[derive(Clone, Debug, Default, Args)]
pub struct ListcfgArgs {
    /// default, server or a file
    #[arg(value_name = "FILE", conflicts_with = "effective")]
    pub which: Option<OsString>,
    /// Every setting, its value and where it comes from
    #[arg(long)]
    pub effective: bool,
    /// For programs
    #[arg(long, requires = "effective")]
    pub json: bool,
}
