//! The Domino servers that this host is configured for, in the order in which
//! they are started. Data only: nothing of a configuration is executed.

use crate::error::{Error, Result};
use crate::os::files::read_bounded;
use crate::os::root::Root;
use crate::os::users;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where configurations lie.
const DIRECTORY: &str = "/etc/sysconfig";

/// The configuration that all servers share, and the default user's own.
const SHARED: &str = "rc_domino_config";

/// What stands there when somebody has looked at it.
const CONFIGURED: &str = "DOMINO_CONFIGURED";

/// Names the servers and their order.
const LIST: &str = "DOMINO_PARTITIONS";

/// The largest configuration that is looked at, in bytes.
const LARGEST: u64 = 1 << 20;

/// The servers of this host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    /// Their users, in order.
    pub users: Vec<OsString>,
    /// Configurations of users who do not exist.
    pub orphaned: Vec<PathBuf>,
}

/// Finds them. Where the shared configuration (or the default user's own) sets
/// DOMINO_PARTITIONS it is those users, in that order, whether they exist or
/// not: a server that is named is not passed over. Else it is the default user,
/// where the shared configuration holds DOMINO_CONFIGURED, and then every
/// existing user of a `rc_domino_config_USER`, by name.
pub fn find(root: &Root, default_user: &OsStr) -> Result<Partitions> {
    if let Some((named, _)) = crate::settings::peek(root, default_user, LIST) {
        return Ok(Partitions {
            users: words(&named),
            orphaned: Vec::new(),
        });
    }
    let mut found = Partitions::default();
    if is_configured(&root.path(Path::new(DIRECTORY).join(SHARED))) && exists(root, default_user)? {
        found.users.push(default_user.to_owned());
    }
    for (user, path) in own_files(&root.path(DIRECTORY))? {
        if found.users.contains(&user) {
            continue;
        }
        if exists(root, &user)? {
            found.users.push(user);
        } else if !is_copy(&user) {
            found.orphaned.push(path);
        }
    }
    Ok(found)
}

fn exists(root: &Root, user: &OsStr) -> Result<bool> {
    users::find_by_name(root, user)
        .map(|user| user.is_some())
        .map_err(Error::system("look a Domino user up"))
}

/// The words of a list, each once.
fn words(text: &OsStr) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for word in text.as_bytes().split(u8::is_ascii_whitespace) {
        let word = OsStr::from_bytes(word);
        if !word.is_empty() && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// `rc_domino_config_USER`: user and file, by user.
fn own_files(directory: &Path) -> Result<Vec<(OsString, PathBuf)>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::file("read", directory)(cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file("read", directory))?;
        let name = entry.file_name();
        let user = name
            .as_bytes()
            .strip_prefix(SHARED.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"_"));
        if let Some(user) = user.filter(|user| !user.is_empty())
            && entry.path().is_file()
        {
            found.push((OsStr::from_bytes(user).to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a configuration says that somebody has looked at it. One that
/// cannot be read counts: whoever it is for is to learn of that.
fn is_configured(shared: &Path) -> bool {
    match read_bounded(shared, LARGEST) {
        Ok(text) => text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_start)
            .filter(|line| !line.starts_with(b"#"))
            .any(|line| {
                line.windows(CONFIGURED.len())
                    .any(|window| window == CONFIGURED.as_bytes())
            }),
        Err(cause) => cause.kind() != std::io::ErrorKind::NotFound,
    }
}

/// What editors and package managers leave beside a file.
fn is_copy(user: &OsStr) -> bool {
    let name = user.as_bytes();
    name.contains(&b'.') || name.ends_with(b"~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let top = tempfile::tempdir().unwrap();
        let etc = top.path().join("etc");
        std::fs::create_dir_all(etc.join("sysconfig")).unwrap();
        let line = |user: &str| format!("{user}:x:1000:1000::/home/{user}:/bin/sh\n");
        let passwd: String = ["notes", "mail", "app", "hub"].map(line).concat();
        std::fs::write(etc.join("passwd"), passwd).unwrap();
        for (name, text) in files {
            std::fs::write(etc.join("sysconfig").join(name), text).unwrap();
        }
        let root = Root::at(top.path().into());
        (top, root)
    }

    fn found(files: &[(&str, &str)]) -> (Vec<String>, usize) {
        let (_top, root) = host(files);
        let found = find(&root, OsStr::new("notes")).unwrap();
        let name = |user: &OsString| user.to_string_lossy().into_owned();
        (found.users.iter().map(name).collect(), found.orphaned.len())
    }

    #[test]
    fn the_default_user_comes_first_and_the_others_by_name() {
        let own = [
            ("rc_domino_config_mail", ""),
            ("rc_domino_config_app", ""),
            ("rc_domino_config_notes", ""),
            ("rc_domino_config_gone", ""),
            ("rc_domino_config_mail.rpmnew", ""),
            ("rc_domino_config_", ""),
            ("other", ""),
        ];
        let (users, orphaned) = found(&own);
        assert_eq!(users, ["app", "mail", "notes"]);
        assert_eq!(orphaned, 1);
        let shared = ("rc_domino_config", "LOTUS=/x\nDOMINO_CONFIGURED=yes\n");
        let (users, _) = found(&[&own[..], &[shared]].concat());
        assert_eq!(users, ["notes", "app", "mail"]);
        let shared = ("rc_domino_config", "#DOMINO_CONFIGURED=yes\nLOTUS=/x\n");
        assert_eq!(found(&[shared, own[0]]).0, ["mail"]);
        assert!(found(&[shared]).0.is_empty());
    }

    #[test]
    fn a_list_is_taken_as_it_stands() {
        let shared = (
            "rc_domino_config",
            "DOMINO_CONFIGURED=yes\nDOMINO_PARTITIONS='mail  hub app mail gone'\n",
        );
        assert_eq!(found(&[shared]).0, ["mail", "hub", "app", "gone"]);
    }
}
