//! Whose server is meant, and how the caller stands to that user.

use super::Call;
use crate::cli::Persona;
use crate::error::{Error, Result};
use crate::os::process;
use crate::os::users::{self, User};
use std::ffi::{OsStr, OsString};

/// The user whose server is meant when nothing says otherwise.
pub const DEFAULT_USER: &str = "notes";

/// How the caller stands to the Domino user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is him.
    Himself,
    /// Root, who can become him.
    Root,
    /// Somebody else, who needs sudo.
    Other,
}

/// The Domino user and the caller's standing.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The Domino user.
    pub user: User,
    /// How the caller stands to him.
    pub standing: Standing,
}

/// What a verb needs of the user it runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// His rights only: the verb looks and starts nothing.
    Rights,
    /// His login environment and limits too: the verb runs Domino's programs.
    Login,
}

/// Settles the user: `--user`, the name the program was called by, then
/// DOMINO_USER, then `notes`; a caller without a name is it himself. Only files
/// that root owns are read for that.
pub fn settle(call: &Call) -> Result<Identity> {
    let name = user_name(call)?;
    let found =
        users::find_by_name(&call.root, &name).map_err(Error::system("look the Domino user up"));
    let caller = users::effective_uid();
    let user = match found {
        Ok(Some(user)) if user.uid == caller => user,
        other => match nameless(call, &name) {
            Some(own) => own,
            None => other?.ok_or(Error::UnknownUser(name))?,
        },
    };
    if user.uid == 0 {
        return Err(Error::RootUser);
    }
    let standing = if caller == user.uid {
        Standing::Himself
    } else if caller == 0 {
        Standing::Root
    } else {
        Standing::Other
    };
    Ok(Identity { user, standing })
}

/// The user whose server is meant where only the host decides: DOMINO_USER,
/// else `notes`.
pub fn default_user(call: &Call) -> OsString {
    call.variable("DOMINO_USER")
        .unwrap_or(OsStr::new(DEFAULT_USER))
        .to_owned()
}

/// The user who is meant and no other, whether he exists or not: a link to a
/// server whose user is gone must not act on somebody else's.
fn meant(call: &Call) -> Option<&OsString> {
    match (&call.user, &call.persona) {
        (Some(user), _) | (None, Persona::EntryFor(user)) => Some(user),
        _ => None,
    }
}

fn user_name(call: &Call) -> Result<OsString> {
    if let Some(user) = meant(call) {
        return Ok(user.clone());
    }
    if let Some(user) = call.variable("DOMINO_USER") {
        return Ok(user.to_owned());
    }
    // rc_domino_script is called as the user it is to act for.
    if call.persona == Persona::Script
        && let Some(own) = own_name(call)?
    {
        return Ok(own);
    }
    Ok(OsStr::new(DEFAULT_USER).to_owned())
}

/// The caller himself as the Domino user, where he has no name and the first
/// process is his: a container may run under any number (OpenShift gives each
/// project its own). Such a caller can become nobody else, so that DOMINO_USER,
/// or the default, only says what he is called; `--user` and a link's name must
/// be meant.
///
/// On a host the first process is root's. Somebody whose directory service is
/// down would see no server there and be told that all is well.
fn nameless(call: &Call, name: &OsStr) -> Option<User> {
    let uid = users::effective_uid();
    if uid == 0 || meant(call).is_some() || process::owner(process::FIRST) != Some(uid) {
        return None;
    }
    if !matches!(own_entry(call, uid), Ok(None)) {
        return None;
    }
    let home = call.variable("HOME").unwrap_or(OsStr::new("/"));
    Some(User {
        name: name.to_owned(),
        uid,
        gid: users::effective_gid(),
        home: home.into(),
        shell: "/bin/sh".into(),
    })
}

/// The caller's line of the passwd table. A host that has no getent has no
/// directory service to ask either.
fn own_entry(call: &Call, uid: u32) -> std::io::Result<Option<User>> {
    match users::find_by_uid(&call.root, uid) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other,
    }
}

fn own_name(call: &Call) -> Result<Option<OsString>> {
    let uid = users::effective_uid();
    if uid == 0 {
        return Ok(None);
    }
    let own = own_entry(call, uid).map_err(Error::system("look the calling user up"))?;
    Ok(own.map(|user| user.name))
}
