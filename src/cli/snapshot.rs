//! Freeze and thaw on the command line.

use crate::snapshot::callers::Caller;
use crate::snapshot::protocol::Wish;
use clap::{Args, Subcommand, ValueEnum};

/// What to do about a snapshot.
#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Bring the databases to disk and keep them so until the thaw
    #[command(
        visible_aliases = ["pre", "pre-freeze"],
        alias = "prefreeze",
        after_help = "\
Exit code 0 means: every database is whole on disk and stays so until the thaw.
After any other code nothing is frozen: what was begun is undone, a server that
ran comes back by itself.

Examples:
  rc_domino snapshot freeze                       before a snapshot
  rc_domino snapshot freeze --caller=vmware       with that product's time limit
  rc_domino snapshot freeze --budget=300          give up, and undo, after 300 s
  rc_domino snapshot freeze --mode=online         Domino 12 and newer: no shutdown"
    )]
    Freeze(FreezeArgs),
    /// Bring back what was frozen
    #[command(
        visible_aliases = ["post", "post-thaw"],
        alias = "postthaw",
        after_help = "\
A server that was down before the freeze stays down. Code 152: the freeze did not
hold until now, the snapshot is not to be trusted; 1: nothing was frozen.

Examples:
  rc_domino snapshot thaw                         after the snapshot"
    )]
    Thaw(ThawArgs),
    /// Bring back what was frozen for a snapshot that failed
    #[command(
        visible_aliases = ["freeze-fail"],
        aliases = ["freezeFail", "freezefail"],
        after_help = "\
As thaw, but where nothing is frozen that is no failure.

Examples:
  rc_domino snapshot abort"
    )]
    Abort(ThawArgs),
    /// Say what is frozen, by whom, since when, until when
    #[command(after_help = "\
Code 0: something is frozen; 3: nothing is.

Examples:
  rc_domino snapshot status
  rc_domino snapshot status --json")]
    Status(SnapshotStatusArgs),
    /// Show past freezes and thaws with their durations
    #[command(after_help = "\
Examples:
  rc_domino snapshot history
  rc_domino snapshot history 5 --json")]
    History(HistoryArgs),
}

/// How a freeze is made consistent, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeWord {
    /// Stop the server
    Stop,
    /// Backup mode, without a shutdown
    Online,
    /// Backup mode where the server is 12 or newer and answers, else stop
    Auto,
}

impl ModeWord {
    /// The same, as the keeper is asked.
    pub fn wish(self) -> Wish {
        match self {
            ModeWord::Stop => Wish::Stop,
            ModeWord::Online => Wish::Online,
            ModeWord::Auto => Wish::Auto,
        }
    }
}

/// Arguments of `snapshot freeze`.
#[derive(Clone, Debug, Args)]
pub struct FreezeArgs {
    /// The product that asks: vmware, qemu, azure, veeam, arcserve, netbackup, aws-ssm or generic
    #[arg(long, value_name = "NAME", default_value = "generic")]
    pub caller: Caller,
    /// Give up and undo after SECONDS; 0: never [default: by caller]
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<u64>,
    /// How [default: DOMINO_SNAPSHOT_MODE]
    #[arg(long, value_name = "MODE", value_enum)]
    pub mode: Option<ModeWord>,
    /// Kill a server that does not end within the budget; answers 150 then
    #[arg(long)]
    pub force: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `snapshot thaw` and `snapshot abort`.
#[derive(Clone, Debug, Args)]
pub struct ThawArgs {
    /// The product that asks
    #[arg(long, value_name = "NAME", default_value = "generic")]
    pub caller: Caller,
    /// Answer after SECONDS at the latest; the server comes back all the same
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<u64>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `snapshot status`.
#[derive(Clone, Debug, Args)]
pub struct SnapshotStatusArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `snapshot history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// How many of the last entries
    #[arg(value_name = "ENTRIES", default_value_t = 20)]
    pub entries: usize,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}
