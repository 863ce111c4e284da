//! `clearlog`: removes what is past its days.

use super::super::with_work;
use crate::cli::logs::ClearlogArgs;
use crate::domino::Partition;
use crate::domino::figures::{count, size};
use crate::domino::hooks::HookEnd;
use crate::domino::housekeeping::{self, Ages, Cleared};
use crate::domino::sweep::Mode;
use crate::error::Result;
use crate::exit::Exit;
use crate::ui::Ui;

const NOTHING: &str = "Nothing is cleared: neither DOMINO_LOG_CLEAR_DAYS nor DOMINO_LOG_BACKUP_CLEAR_DAYS is set, nor DOMINO_CUSTOM_LOG_CLEAR_DAYS with DOMINO_CUSTOM_LOG_CLEAR_PATH; set them, or give days: rc_domino clearlog 30 90";

/// Runs the verb.
pub fn run(partition: &Partition, arguments: ClearlogArgs, ui: &mut Ui) -> Result<Exit> {
    let configured = Ages::configured(partition);
    let logs = arguments.logs.and_then(|days| days.0);
    let archives = arguments.archives.and_then(|days| days.0);
    let ages = Ages {
        logs: logs.or(configured.logs),
        custom: logs.or(configured.custom),
        archives: archives.or(configured.archives),
    };
    let mode = if arguments.dry_run {
        Mode::List
    } else {
        Mode::Remove
    };
    match with_work(partition, ui, |work| {
        housekeeping::clear_logs(work, &ages, mode)
    })? {
        Cleared::Nothing => {
            ui.line(NOTHING);
            Ok(Exit::Done)
        }
        Cleared::ByScript(HookEnd::Skipped) => Ok(Exit::Failed),
        Cleared::ByScript(HookEnd::Ran(end)) if !end.success() => Ok(Exit::Failed),
        Cleared::ByScript(_) => Ok(Exit::Done),
        Cleared::Swept(swept) => {
            if mode == Mode::List {
                ui.line(&format!(
                    "In all {} would go and free {}; nothing was removed",
                    count(swept.files, "file"),
                    size(swept.bytes)
                ));
            } else if swept.files + swept.open + swept.failed == 0 {
                ui.line("No file is past its days");
            }
            Ok(if swept.failed > 0 {
                Exit::Failed
            } else {
                Exit::Done
            })
        }
    }
}
