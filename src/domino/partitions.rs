//! The Domino servers that this host is configured for, in the order in which
//! they are started. Data only: nothing of a configuration is executed.

use crate::error::{Error, Result};
use crate::os::files::read_bounded;
use crate::os::root::Root;
use crate::os::users::{self, User};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

/// The users of this host's servers, in order.
///
/// Where the shared configuration (or the default user's own) sets
/// DOMINO_PARTITIONS it is those, in that order. Else it is the default user,
/// where the shared configuration holds DOMINO_CONFIGURED, and then every user
/// of a `rc_domino_config_USER`, by name. Whether they exist is not asked: a
/// server that is configured is not passed over because its user cannot be
/// looked up.
///
/// `named` is who stands in the default user's place: not somebody with a file
/// of his own, for whom the shared configuration does not stand alone.
pub fn find(root: &Root, named: Option<&OsStr>, usual: &OsStr) -> Result<Vec<OsString>> {
    let mut own = own_files(&root.path(DIRECTORY))?;
    own.retain(|user| !is_copy(user) || is_there(users::find_by_name(root, user)));
    let default_user = match named {
        Some(named) if !own.iter().any(|user| user == named) => named,
        _ => usual,
    };
    if let Some((list, _)) = crate::settings::peek(root, default_user, LIST) {
        return Ok(words(&list));
    }
    let mut found = Vec::new();
    if is_configured(&root.path(Path::new(DIRECTORY).join(SHARED)))
        && (own.is_empty()
            || own.iter().any(|user| user == default_user)
            || has_server(root, default_user))
    {
        found.push(default_user.to_owned());
    }
    own.retain(|user| !found.contains(user));
    found.append(&mut own);
    Ok(found)
}

/// Whether a default user without a file of his own has a server beside those
/// of others, who have. A host may have no such user at all: but where he cannot
/// be looked up and his data belong to nobody who can, they are a server's.
fn has_server(root: &Root, user: &OsStr) -> bool {
    if is_there(users::find_by_name(root, user)) {
        return true;
    }
    let data = crate::settings::peek_data_path(root, user);
    std::fs::metadata(data).is_ok_and(|found| !is_there(users::find_by_uid(root, found.uid())))
}

/// Whether a user was found. Where that could not be asked he counts: whoever
/// it is for is to learn of that. A host without getent has nobody to ask.
fn is_there(asked: std::io::Result<Option<User>>) -> bool {
    match asked {
        Ok(found) => found.is_some(),
        Err(cause) => cause.kind() != std::io::ErrorKind::NotFound,
    }
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

/// The users of `rc_domino_config_USER`, by name.
fn own_files(directory: &Path) -> Result<Vec<OsString>> {
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
        if let Some(user) = user.map(OsStr::from_bytes)
            && !user.is_empty()
            && entry.path().is_file()
        {
            found.push(user.to_owned());
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

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        found_for(files, None)
    }

    fn found_for(files: &[(&str, &str)], named: Option<&str>) -> Vec<String> {
        let (_top, root) = host(files);
        let found = find(&root, named.map(OsStr::new), OsStr::new("notes")).unwrap();
        let name = |user: &OsString| user.to_string_lossy().into_owned();
        found.iter().map(name).collect()
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
        assert_eq!(found(&own), ["app", "gone", "mail", "notes"]);
        let shared = ("rc_domino_config", "LOTUS=/x\nDOMINO_CONFIGURED=yes\n");
        let users = found(&[&own[..], &[shared]].concat());
        assert_eq!(users, ["notes", "app", "gone", "mail"]);
        let shared = ("rc_domino_config", "#DOMINO_CONFIGURED=yes\nLOTUS=/x\n");
        assert_eq!(found(&[shared, own[0]]), ["mail"]);
        assert!(found(&[shared]).is_empty());
    }

    #[test]
    fn a_variable_names_the_default_user_where_he_has_no_file_of_his_own() {
        let files = [
            ("rc_domino_config", "DOMINO_CONFIGURED=yes\n"),
            ("rc_domino_config_mail", ""),
        ];
        assert_eq!(found_for(&files, Some("mail")), ["notes", "mail"]);
        assert_eq!(found_for(&files, Some("hub")), ["hub", "mail"]);
        assert_eq!(found_for(&files[..1], Some("gone")), ["gone"]);
    }

    #[test]
    fn a_default_user_who_is_gone_counts_by_his_data() {
        let data = tempfile::tempdir().unwrap();
        let shared = format!(
            "DOMINO_CONFIGURED=yes\nDOMINO_DATA_PATH={}\n",
            data.path().display()
        );
        let (top, root) = host(&[("rc_domino_config", &shared), ("rc_domino_config_mail", "")]);
        let users = |uid: u32| {
            let passwd = format!("mail:x:{uid}:1000::/home/mail:/bin/sh\n");
            std::fs::write(top.path().join("etc/passwd"), passwd).unwrap();
            find(&root, None, OsStr::new("notes")).unwrap()
        };
        let owner = std::fs::metadata(data.path()).unwrap().uid();
        assert_eq!(users(owner + 1), ["notes", "mail"]);
        // They are another's, or are not there.
        assert_eq!(users(owner), ["mail"]);
        let data = data.keep();
        std::fs::remove_dir(data).unwrap();
        assert_eq!(users(owner + 1), ["mail"]);
    }

    #[test]
    fn a_list_is_taken_as_it_stands() {
        let shared = (
            "rc_domino_config",
            "DOMINO_CONFIGURED=yes\nDOMINO_PARTITIONS='mail  hub app mail gone'\n",
        );
        assert_eq!(found(&[shared]), ["mail", "hub", "app", "gone"]);
    }
}
