//! Freeze, thaw and the adapters on the command line.

use crate::snapshot::adapters::INSTALLABLE;
use crate::snapshot::callers::Caller;
use crate::snapshot::protocol::Wish;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// Make a product call this program before and after its snapshots
    #[command(after_help = "\
Writes the small scripts the product wants, where it wants them, and says what
in its settings would make them useless. A file that is not ours is never
replaced. rc_domino-snapshot(7) has a section for each product.

Examples:
  rc_domino snapshot install vmware --dry-run    show what would be written
  rc_domino snapshot install qemu
  rc_domino snapshot install netbackup --policy=domino
  rc_domino --user mail snapshot install generic --to /usr/local/libexec")]
    Install(InstallArgs),
    /// Take back what install wrote, and nothing else
    #[command(after_help = "\
Examples:
  rc_domino snapshot uninstall vmware --dry-run
  rc_domino snapshot uninstall vmware")]
    Uninstall(UninstallArgs),
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
    /// The product that asks: another one's freeze is left alone [default: whoever froze]
    #[arg(long, value_name = "NAME")]
    pub caller: Option<Caller>,
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

/// Arguments of `snapshot install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Who takes the snapshots
    #[arg(value_name = "CALLER", value_parser = installable())]
    pub caller: Caller,
    /// Only show what would be written, and what is wrong
    #[arg(long)]
    pub dry_run: bool,
    /// Answer as JSON
    #[arg(long)]
    pub json: bool,
    /// How long a freeze may take [default: what fits the product's limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub budget: Option<u64>,
    /// Where to put the scripts [veeam, arcserve, generic; default: /etc/rc_domino]
    #[arg(long, value_name = "DIRECTORY")]
    pub to: Option<PathBuf>,
    /// The policy, or POLICY.SCHEDULE, the scripts are for (netbackup)
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
}

/// Arguments of `snapshot uninstall`.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// Who took the snapshots
    #[arg(value_name = "CALLER", value_parser = installable())]
    pub caller: Caller,
    /// Only show what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Where the scripts were put [veeam, arcserve, generic; default: /etc/rc_domino]
    #[arg(long, value_name = "DIRECTORY")]
    pub to: Option<PathBuf>,
}

fn installable() -> impl TypedValueParser<Value = Caller> {
    PossibleValuesParser::new(INSTALLABLE.map(Caller::name))
        .try_map(|name: String| name.parse::<Caller>())
}
