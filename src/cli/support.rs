//! Verbs for those who look for a fault, or ask somebody else to.

use super::logs::{Days, days};
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is said of the host and the server, and what is sent to support.
#[derive(Debug, Subcommand)]
pub enum SupportVerb {
    /// Describe host and server: system, kernel, Domino version, places, unit
    About,
    /// The same with memory, filesystems and their options, limits, kernel
    #[command(
        name = "about+",
        alias = "About",
        after_help = "\
Nothing is asked of the network unless --network is given.

Examples:
  rc_domino about+             everything this host knows of itself
  rc_domino about+ --network   and what https://ipinfo.io says of its address"
    )]
    AboutPlus {
        /// Ask ipinfo.io for the public address, by the host's curl
        #[arg(long)]
        network: bool,
    },
    /// Collect logs, NSDs, configuration and system state in one archive
    #[command(after_help = "\
The archive is listed before it is written, readable by its owner only, and
holds no databases, ids or keys. Values whose names speak of passwords, tokens
or keys are masked in every file. DOMINO_DIAG_DAYS, DOMINO_DIAG_MAX_SIZE and
DOMINO_DIAG_DIR set its bounds and place.

Examples:
  rc_domino diag               collect
  rc_domino diag --list        show what would be collected
  rc_domino diag --days 1      only what is not older than a day
  rc_domino diag send          collect and send, as senddiag does")]
    Diag {
        /// What to do
        #[arg(value_name = "ACTION", value_enum, default_value_t)]
        action: DiagAction,
        /// How to collect
        #[command(flatten)]
        collect: Collect,
        /// Whom to send it to [default: DOMINO_DIAG_RCPT]
        #[arg(long, value_name = "ADDRESS")]
        to: Option<OsString>,
    },
    /// Collect as diag does, and send it by the site's mail program
    #[command(after_help = "\
DOMINO_DIAG_MAIL_COMMAND names the mail program: {file}, {to}, {from} and
{subject} in it are replaced; without {file} the archive comes last. Where it
is not set, nshmailx is used if it is installed. Without either the archive is
written all the same, and the exit code is 6.

Examples:
  rc_domino senddiag
  rc_domino senddiag --to support@example.com")]
    Senddiag {
        /// How to collect
        #[command(flatten)]
        collect: Collect,
        /// Whom to send it to [default: DOMINO_DIAG_RCPT]
        #[arg(long, value_name = "ADDRESS")]
        to: Option<OsString>,
    },
}

/// What `diag` is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiagAction {
    /// Collect into an archive
    #[default]
    Collect,
    /// Collect and send
    #[value(alias = "mail", alias = "senddiag")]
    Send,
}

/// How to collect.
#[derive(Clone, Debug, Default, Args)]
pub struct Collect {
    /// Only show what would be collected
    #[arg(long)]
    pub list: bool,
    /// How old files may be [default: DOMINO_DIAG_DAYS]
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub days: Option<Days>,
    /// The archive, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
