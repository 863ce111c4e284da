//! The actions for a user who cannot be looked up, here or just now. His server
//! may run all the same: processes keep their number, not their name.

use super::super::{Call, identity};
use super::looking::{Trace, traces};
use super::{note, reason};
use crate::domino::processes::resolve;
use crate::error::{Error, Result};
use crate::exit::OcfExit;
use crate::os::users;
use crate::settings;
use crate::ui::Ui;
use std::ffi::OsStr;

/// What can be answered; `error` is why the user is not known.
pub fn act(call: &Call, action: &str, probe: bool, error: Error, ui: &mut Ui) -> Result<OcfExit> {
    let default = identity::default_user(call);
    let user = call.user.as_deref().unwrap_or(&default);
    let data = resolve(&settings::peek_data_path(&call.root, user));
    let here = traces(None, |found| found.cwd().is_some_and(|cwd| cwd == data))?;
    if let ("monitor" | "status", Some(Trace::Server(pid))) = (action, &here) {
        let data = data.display();
        let text = format!("a server runs in {data} (pid {pid}), but {error}");
        note(call, &text, ui);
        return Ok(OcfExit::Success);
    }
    let seen = match here {
        None => traces(None, |found| is_nobodys(call, user, found.uid))?,
        found => found,
    };
    match (action, seen) {
        ("stop" | "monitor" | "status", Some(Trace::Server(pid) | Trace::Rest(pid))) => {
            let text = format!("a Domino program runs here (pid {pid}), and {error}");
            reason(ui, &text);
            Ok(OcfExit::Generic)
        }
        ("stop", None) => Ok(OcfExit::Success),
        ("monitor" | "status", None) if probe => Ok(OcfExit::NotRunning),
        _ => Err(error),
    }
}

/// Whether a process may be this user's: its own has no name either, or his.
fn is_nobodys(call: &Call, user: &OsStr, uid: u32) -> bool {
    match users::find_by_uid(&call.root, uid) {
        Ok(Some(owner)) => owner.name == user,
        _ => true,
    }
}
