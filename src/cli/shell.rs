//! Verbs for whoever sits at the shell: help, completions, updates.

use clap::{Subcommand, ValueEnum};
use std::ffi::OsString;

/// What helps at the shell.
#[derive(Debug, Subcommand)]
pub enum ShellVerb {
    /// List all verbs, or explain one
    #[command(after_help = "\
Examples:
  rc_domino help            all verbs by group, and the site's own commands
  rc_domino help stop       what stop does, takes and answers")]
    Help {
        /// The verb to explain
        #[arg(value_name = "VERB")]
        verb: Option<OsString>,
    },
    /// Say which version is installed, and how to install a newer one
    Update,
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  rc_domino completions bash > /etc/bash_completion.d/rc_domino
  rc_domino completions zsh  > /usr/share/zsh/site-functions/_rc_domino
  rc_domino completions fish > /etc/fish/completions/rc_domino.fish")]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
    /// Internal: the names of the site's commands, for completions
    #[command(name = "__custom", hide = true)]
    Custom,
    /// Internal: the server's name and state, for the menu
    #[command(name = "__state", hide = true)]
    State,
}

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
