//! The verbs for those who run a service in front: systemd's notify units and
//! containers.

use clap::{Args, Subcommand, ValueEnum};

/// Verbs for service managers and container runtimes.
#[derive(Debug, Subcommand)]
pub enum ForegroundVerb {
    /// Start the server and stay in front until it is down
    #[command(after_help = "\
For a unit of Type=notify, and as the first process of a container. Acts
itself, never through a service manager; follows Domino's own fault recovery.
SIGTERM, SIGINT and SIGHUP stop the server gracefully; no second one breaks
that off. A server that runs already is taken over.

Exit code 0 means: the server was stopped, or told to quit at its console, and
every database is on disk. 150: it had to be killed; 151: it crashed and did
not come back; 1: it ended with an error, or did not come up.

Examples:
  ExecStart=/opt/nashcom/startscript/rc_domino_script run
  docker run … --stop-timeout 660 IMAGE rc_domino run")]
    Run,
    /// For probes: say whether the server lives or is ready
    #[command(after_help = "\
Exit code 0 means yes, 1 no; one line says why. live is true also while a start
or a stop is at work, ready only when the server has shown that it is.

Examples:
  rc_domino healthcheck        for a liveness probe
  rc_domino healthcheck ready  for startup and readiness probes")]
    Healthcheck(HealthArgs),
}

/// What a probe asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Health {
    /// Whether there is a server, or somebody at work with it
    #[default]
    Live,
    /// Whether users can work with it
    Ready,
}

/// Arguments of `healthcheck`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct HealthArgs {
    /// What is asked
    #[arg(
        value_name = "live|ready",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub what: Health,
}
