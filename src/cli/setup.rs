//! The verb `setup`: One-Touch Setup of a server that was not set up yet.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// Verbs that set a server up.
#[derive(Debug, Subcommand)]
pub enum SetupVerb {
    /// Prepare a new server's One-Touch Setup
    #[command(after_help = "\
WHAT is one of:
  (nothing)               edit what is prepared, else choose from a menu
  env [1|2]               environment file: edit it, or make one anew
  json [1|2]              JSON file: edit it, or make one anew
                          (1: a domain's first server, 2: a further one)
  local [INDEX]           menu in /etc/sysconfig/domino.cfg, else the built-in one
  /FILE.json, /MENU [INDEX]  a JSON template or a menu on this host (file:/ too)
  https://HOST/… [INDEX]  the same from another host, fetched by curl
  auto [HOST [INDEX]]     menu at HOST [default: this host's domain]
  github [INDEX]          the start script's menu at GitHub
  log [edit]              show or edit the log of the last setup

Variables of a template are asked for, passwords without showing them. What
--set gives is not asked for; values in the environment are presets. Other
users can read this program's arguments: give passwords in the environment.

Examples:
  rc_domino setup                choose a template and answer its questions
  rc_domino setup json 2         prepare an additional server
  rc_domino setup env 1 --yes --set SERVERSETUP_ORG_ORGNAME=Acme
  rc_domino setup log            what the server's setup wrote")]
    Setup(SetupArgs),
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// What to do, see below
    #[arg(value_name = "WHAT")]
    pub what: Option<OsString>,
    /// 1 or 2, edit, a host or a menu's index
    #[arg(value_name = "WHICH", num_args = 0..=2)]
    pub which: Vec<OsString>,
    /// The value of a variable; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<OsString>,
    /// Ask nothing that is known: take presets, replace a prepared setup
    #[arg(long)]
    pub yes: bool,
}
