//! `snapshot`: freeze and thaw, and what makes products ask for it.

mod install;

use super::Call;
use crate::cli::snapshot::SnapshotVerb;
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;

/// Runs one of the verbs.
pub fn run(call: &Call, verb: SnapshotVerb, ui: &mut Ui) -> Result<Exit> {
    match verb {
        SnapshotVerb::Install(arguments) => install::install(call, &arguments, ui),
        SnapshotVerb::Uninstall(arguments) => install::uninstall(call, &arguments, ui),
    }
}
