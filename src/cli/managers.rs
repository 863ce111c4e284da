//! Verbs for those who manage services: hosts with several servers, init
//! systems.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// What a manager of services calls.
#[derive(Debug, Subcommand)]
pub enum ManagersVerb {
    /// Do something with every server of this host
    #[command(after_help = "\
Which servers: those of every user who has /etc/sysconfig/rc_domino_config_USER,
and that of the default user where /etc/sysconfig/rc_domino_config configures
it; or those that DOMINO_PARTITIONS names there, in its order. A user who cannot
be looked up is an error.
start goes in order; stop, quit, status and snapshot freeze, thaw and abort at
the same time; restart stops all, then starts in order; any other verb goes to
one server after the other. What takes the terminal is for one server at a time.
Exit code: 0 if it is 0 for every server, else the worst of theirs.

Examples:
  rc_domino all status             a table
  rc_domino all status --json      an array, an object for each server
  rc_domino all stop               in the time of the slowest
  rc_domino all stop --json        user, exit_code and outcome of each
  rc_domino all start --wait=300
  rc_domino all clearlog --dry-run")]
    All(AllArgs),
    /// What a cluster's resource manager calls (OCF resource agent)
    #[command(after_help = "\
ACTION: start, stop, monitor (status), meta-data, validate-all.
Parameters come as OCF_RESKEY_NAME: user, config, shutdown_timeout, ready,
take_over; 'rc_domino ocf meta-data' explains them. OCF_CHECK_LEVEL: 0 the
server's process runs, 10 its console answers, 20 it has its NRPC port.
Exit codes are OCF's: 0 done or running, 7 not running, 1 failed, 2 to 6.

Examples:
  /usr/lib/ocf/resource.d/nashcom/domino monitor
  OCF_CHECK_LEVEL=20 rc_domino ocf monitor")]
    Ocf {
        /// What to do
        #[arg(value_name = "ACTION")]
        action: Option<String>,
    },
    /// The same as try-restart, which LSB wants where nothing can be reloaded
    ForceReload,
    /// Restart the server if it runs; nothing to do is a success
    TryRestart,
    /// Internal: the next start need not ask whether another host has the data
    #[command(name = "__take-over", hide = true)]
    TakeOver,
}

/// Arguments of `all`.
#[derive(Debug, Args)]
pub struct AllArgs {
    /// The verb and its arguments
    #[arg(
        value_name = "VERB",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<OsString>,
}
