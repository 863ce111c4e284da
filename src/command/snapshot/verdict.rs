//! What Arcserve's activity log is told of a freeze or a thaw.

use super::Call;
use crate::domino::Reporter;
use crate::error::Result;
use crate::exit::Exit;
use crate::snapshot::callers::Caller;
use crate::snapshot::verdict;
use crate::ui::Ui;

/// Hands an outcome on, and tells it where Arcserve looks for it.
pub fn pass_on(
    call: &Call,
    caller: Caller,
    verb: &str,
    done: Result<Exit>,
    ui: &mut Ui,
) -> Result<Exit> {
    if caller == Caller::Arcserve {
        let line = match &done {
            Ok(Exit::Done) if verb == "freeze" => {
                "Domino is frozen: every database is whole on disk".to_owned()
            }
            Ok(Exit::Done) => "Domino is thawed: the server is as it was before".to_owned(),
            Ok(exit) => format!(
                "Domino: {verb} answers {}: {}; do not trust this snapshot",
                exit.code(),
                exit.brief()
            ),
            Err(error) => format!(
                "Domino: {verb} answers {}: {error}; do not trust this snapshot",
                error.exit().code()
            ),
        };
        if let Err(cause) = verdict::tell(&call.environment, &line) {
            ui.warn(&cause.to_string());
        }
    }
    done
}
