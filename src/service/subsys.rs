//! `/var/lock/subsys`: by a file of a service's name there, the init scripts of
//! Red Hat's line know that it was started and has to be stopped when the host
//! goes down. Without one they never call `stop`.

use crate::error::shown;
use crate::os::root::Root;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

/// The directory. Hosts that have none do without.
const DIRECTORY: &str = "/var/lock/subsys";

/// Where init scripts lie.
const SCRIPTS: &str = "/etc/init.d";

/// The init script's name without a user in it.
const SCRIPT: &str = "rc_domino";

/// The name of the init script that starts a user's server: his own where he
/// has one. None where nobody starts this server by an init script.
pub fn init_script(root: &Root, user: &OsStr, is_default: bool) -> Option<OsString> {
    if user.to_string_lossy().contains('/') {
        return None;
    }
    let mut own = OsString::from(SCRIPT);
    own.push("_");
    own.push(user);
    let scripts = root.path(SCRIPTS);
    if scripts.join(&own).exists() {
        Some(own)
    } else if is_default && scripts.join(SCRIPT).exists() {
        Some(SCRIPT.into())
    } else {
        None
    }
}

/// The file for a user's server, named as that. None also where the host has
/// no such directory.
fn file(root: &Root, user: &OsStr, is_default: bool) -> Option<PathBuf> {
    let directory = root.path(DIRECTORY);
    let name = init_script(root, user, is_default).filter(|_| directory.is_dir())?;
    Some(directory.join(name))
}

/// Makes or removes the file. What went wrong, for the administrator: a server
/// without it is killed when the host goes down.
pub fn note(
    root: &Root,
    user: &OsStr,
    is_default: bool,
    started: bool,
) -> std::result::Result<(), String> {
    let Some(path) = file(root, user, is_default) else {
        return Ok(());
    };
    let done = if started {
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map(drop)
    } else {
        std::fs::remove_file(&path)
    };
    match done {
        Err(cause) if started || cause.kind() != io::ErrorKind::NotFound => Err(format!(
            "cannot {} {}: {cause}; by it the init scripts know whether this server has to be stopped",
            if started { "make" } else { "remove" },
            shown(path.as_os_str())
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_name_of_the_script_that_starts_the_server() {
        let top = tempfile::tempdir().unwrap();
        let root = Root::at(top.path().into());
        let there = |name: &str| top.path().join("var/lock/subsys").join(name).exists();
        let mail = OsStr::new("mail");
        note(&root, mail, true, true).unwrap();
        std::fs::create_dir_all(top.path().join("var/lock/subsys")).unwrap();
        std::fs::create_dir_all(top.path().join("etc/init.d")).unwrap();
        note(&root, mail, true, true).unwrap();
        assert!(!there("rc_domino") && !there("rc_domino_mail"));
        std::fs::write(top.path().join("etc/init.d/rc_domino"), "").unwrap();
        // Another user's server is none of this script's business.
        note(&root, mail, false, true).unwrap();
        assert!(!there("rc_domino"));
        note(&root, OsStr::new("notes"), true, true).unwrap();
        assert!(there("rc_domino"));
        note(&root, mail, false, false).unwrap();
        assert!(there("rc_domino"));
        std::fs::write(top.path().join("etc/init.d/rc_domino_mail"), "").unwrap();
        note(&root, mail, true, true).unwrap();
        assert!(there("rc_domino_mail"));
        for _ in 0..2 {
            note(&root, mail, true, false).unwrap();
            note(&root, OsStr::new("notes"), true, false).unwrap();
        }
        assert!(!there("rc_domino") && !there("rc_domino_mail"));
    }
}
