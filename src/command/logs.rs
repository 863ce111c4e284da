//! Verbs that show logs.

use super::{Call, identity, loading};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ui::Ui;

/// `systemlog`: the unit's last lines in the journal.
pub fn systemlog(call: &Call, lines: u32, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let unit = loading::unit(call, &identity)?.ok_or_else(no_unit)?;
    ui.line(&format!(
        "Last {lines} lines of {} in the journal:",
        crate::error::shown(unit.name())
    ));
    Ok(match unit.journal(lines)? {
        0 => Exit::Done,
        code => Exit::Passed(code),
    })
}

/// For verbs that are about a unit, on a host or for a server without one.
pub fn no_unit() -> Error {
    Error::Service {
        message: "systemd does not run this server: there is no such unit on this host (DOMINO_SYSTEMD_NAME names it)".into(),
        exit: Exit::NotInstalled,
    }
}
