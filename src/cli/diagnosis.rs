//! The verbs that look into a server, and those that end it by force.

use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;

/// Diagnosis and the last resorts.
#[derive(Debug, Subcommand)]
pub enum DiagnosisVerb {
    /// Run a full NSD (Domino's diagnosis collector)
    #[command(
        visible_alias = "fullnsd",
        after_help = "\
The exit code is NSD's. The file it wrote is named at the end.

Examples:
  rc_domino nsd
  rc_domino nsd -batch         further arguments are NSD's"
    )]
    Nsd(Passed),
    /// Run NSD without its memory check (-nomemcheck)
    Nsdnomem(Passed),
    /// Run NSD for information on the system only (-info)
    Info(Passed),
    /// Run NSD for call stacks only (-stacks)
    Stacks(Passed),
    /// For a server that hangs: call stacks three times, then a full NSD
    #[command(after_help = "\
Run it while the server hangs, before it is killed. The exit code is that of
the first NSD that did not end with 0.")]
    Hang(Passed),
    /// Have the running server write a dump of its memory
    #[command(visible_alias = "memcheck")]
    Memdump(Passed),
    /// Kill the server with 'nsd -kill', between its hooks
    #[command(after_help = "\
Databases are not closed cleanly. Try 'rc_domino stop' first.")]
    Kill(Passed),
    /// Remove what a crashed server left: processes, lock files, IPC
    #[command(after_help = "\
Kills every process of the Domino user that runs from LOTUS or from one of
DOMINO_3RD_PARTY_BIN_DIRS. Works where the installation is broken. On a
terminal it shows what it will remove and asks; without one it does not ask.
Exit code 0 means: nothing is left.

Examples:
  rc_domino cleanup            show, ask, remove
  rc_domino cleanup --yes      do not ask
  rc_domino cleanup --all-ipc  also IPC that other programs of the user have")]
    Cleanup(CleanupArgs),
    /// Show processes, memory, IPC, locks, ports and open files
    #[command(
        visible_alias = "res",
        after_help = "\
Examples:
  rc_domino resources
  rc_domino res --json         for programs"
    )]
    Resources(ResourcesArgs),
    /// Prove that the server is whole and at work
    #[command(after_help = "\
For use in the guest after a restore, a failover or a thaw. A line for each
check: server process, tasks, NRPC port, console, crashes since the start,
recovery from the transaction log, leftovers of an earlier server, filesystems.
DOMINO_VERIFY_TASKS names further tasks that are to run.
Exit codes: 0 all holds; 1 something does not, or cannot be told; 7 no server.

Examples:
  rc_domino verify             look once
  rc_domino verify --wait=600  look until all holds, at most 600 s
  rc_domino verify --json      for programs")]
    Verify(VerifyArgs),
    /// List the server's tasks and whether they run
    Proc,
    /// Watch the server's tasks until it is down
    #[command(after_help = "\
On a terminal any key leaves. Without one: a line for each change.

Examples:
  rc_domino mon
  rc_domino mon --timeout 300  exit code 1 if it still runs then")]
    Mon(MonArgs),
    /// Say whether Tika runs, the full-text filter; or end it
    #[command(after_help = "\
Exit codes: 0 it runs, or was ended; 3 it does not run; 1 it did not end.")]
    Tika {
        /// End it: by request, or by force
        #[arg(value_name = "stop|kill", value_enum, hide_possible_values = true)]
        action: Option<TikaAction>,
    },
}

/// Arguments for the program that a verb runs.
#[derive(Clone, Debug, Default, Args)]
pub struct Passed {
    /// Passed on as they are
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<OsString>,
}

/// Arguments of `cleanup`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct CleanupArgs {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Remove every IPC object of the Domino user, others' too
    #[arg(long)]
    pub all_ipc: bool,
    /// For the resource agent: remove nothing where one of these lives
    #[arg(long, value_enum, hide = true)]
    pub spare: Option<Spare>,
}

/// What a caller of `cleanup` does not want killed: once it has the lock, such
/// a process keeps it from doing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spare {
    /// A server
    Server,
    /// Any process of one
    Processes,
}

/// Arguments of `resources`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ResourcesArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct VerifyArgs {
    /// Look until all holds, or for SECONDS
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "300"
    )]
    pub wait: Option<u32>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `mon`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct MonArgs {
    /// Give up after so long, with exit code 1
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
}

/// How to end Tika.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TikaAction {
    /// By request
    Stop,
    /// By force
    Kill,
}
