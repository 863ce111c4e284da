//! The verbs about snapshots, and their arguments.

use crate::snapshot::adapters::INSTALLABLE;
use crate::snapshot::callers::Caller;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Snapshots that can be trusted.
#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
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
    /// The policy, or POLICY.SCHEDULE, the scripts are for [netbackup]
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
