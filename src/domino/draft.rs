//! A copy of a file to be edited: it lies where nobody else can read it, and
//! replaces the file only if that is still what was copied.

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::files::read_bounded;
use crate::os::replace::{Replaced, create_text, replace_text};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The largest file that is edited, in bytes.
const LARGEST: u64 = 16 << 20;

/// The mode of a configuration file that is made anew.
const NEW_MODE: u32 = 0o644;

/// A file and its copy. The copy stays until [`Draft::discard`]: what was
/// typed is never lost to an error.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    before: Option<Vec<u8>>,
    directory: PathBuf,
    copy: PathBuf,
}

impl Draft {
    /// Copies a file, which may not exist yet. Links are followed once, here.
    pub fn begin(target: &Path) -> Result<Draft> {
        let (target, before) = match std::fs::canonicalize(target) {
            Ok(target) => {
                let text = read_bounded(&target, LARGEST).map_err(Error::file("read", &target))?;
                (target, Some(text))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                (target.to_path_buf(), None)
            }
            Err(cause) => return Err(Error::file("read", target)(cause)),
        };
        let directory = private_directory()?;
        let copy = directory.join(target.file_name().unwrap_or_default());
        create_text(&copy, before.as_deref().unwrap_or_default(), 0o600)
            .map_err(Error::file("write", &copy))?;
        Ok(Draft {
            target,
            before,
            directory,
            copy,
        })
    }

    /// The file that is to be replaced.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The copy, for the editor.
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// The file's text when it was copied.
    pub fn before(&self) -> &[u8] {
        self.before.as_deref().unwrap_or_default()
    }

    /// The copy's text now. Once it was changed, a last line without its end
    /// gets one, since what is appended later would go on in it.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text =
            read_bounded(&self.copy, LARGEST).map_err(Error::file("read", &self.copy))?;
        let changed = self.before.as_ref() != Some(&text);
        if changed && text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Fails if somebody else changed the file since it was copied.
    pub fn require_unchanged(&self) -> Result<()> {
        let target = &self.target;
        let now = match read_bounded(target, LARGEST) {
            Ok(now) => Some(now),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::file("read", target)(cause)),
        };
        if now == self.before {
            return Ok(());
        }
        Err(Error::Refused {
            message: format!(
                "{} was changed by somebody else meanwhile; it was not replaced",
                target.display()
            ),
            exit: Exit::Failed,
        })
    }

    /// Replaces the file by this text, unless somebody else changed it since.
    pub fn replace(&self, text: &[u8]) -> Result<Replaced> {
        self.require_unchanged()?;
        match &self.before {
            None => create_text(&self.target, text, NEW_MODE)
                .map(|()| Replaced::AtOnce)
                .map_err(Error::file("replace", &self.target)),
            Some(before) => self.replace_by(|| replace_text(&self.target, text, before)),
        }
    }

    /// Writing in place can end halfway, and so can putting back what was
    /// there: the text before is kept meanwhile, and longer where it is needed.
    fn replace_by(&self, replace: impl FnOnce() -> std::io::Result<Replaced>) -> Result<Replaced> {
        let old = self.old();
        create_text(&old, self.before(), 0o600).map_err(Error::file("write", &old))?;
        let done = replace();
        if done.is_ok() || self.require_unchanged().is_ok() {
            let _ = std::fs::remove_file(&old);
        }
        done.map_err(Error::file("replace", &self.target))
    }

    /// This error, after which the copy stays.
    pub fn kept(&self, error: &Error) -> Error {
        let old = self.old();
        let old = if old.exists() {
            format!("; its text before is kept in {}", old.display())
        } else {
            String::new()
        };
        Error::Refused {
            message: format!("{error}; {}{old}", self.place()),
            exit: error.exit(),
        }
    }

    /// Where the text before is kept while the file is written to.
    fn old(&self) -> PathBuf {
        let mut name = self.copy.as_os_str().to_owned();
        name.push(".before");
        name.into()
    }

    /// Where the copy stays, for a message.
    pub fn place(&self) -> String {
        format!("your text is kept in {}", self.copy.display())
    }

    /// Removes the copy and what the editor left beside it.
    pub fn discard(self) {
        // In a private directory nobody but a clean-up would miss it.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A new directory that only this user can enter.
fn private_directory() -> Result<PathBuf> {
    let places = [std::env::temp_dir(), PathBuf::from("/tmp")];
    let mut failed = None;
    for place in places {
        for attempt in 0..100 {
            let path = place.join(format!("rc_domino-edit.{}.{attempt}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(path),
                Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(cause) => {
                    failed = Some(Error::file("create", path)(cause));
                    break;
                }
            }
        }
    }
    Err(failed.unwrap_or_else(|| Error::Refused {
        message: "no directory for the copy can be made in /tmp; remove old /tmp/rc_domino-edit.*"
            .to_owned(),
        exit: Exit::Failed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone_and_the_text_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "one\n").unwrap();
        let draft = Draft::begin(&file).unwrap();
        std::fs::write(draft.copy(), "two").unwrap();
        assert_eq!(draft.text().unwrap(), b"two\n");
        std::fs::write(&file, "three\n").unwrap();
        let error = draft.replace(b"two\n").unwrap_err().to_string();
        assert!(error.contains("meanwhile"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"three\n");
        assert_eq!(std::fs::read(draft.copy()).unwrap(), b"two");
        let left = draft.directory.clone();
        draft.discard();
        assert!(!left.exists());
    }

    #[test]
    fn the_text_before_is_named_where_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "one\n").unwrap();
        let draft = Draft::begin(&file).unwrap();
        draft.replace(b"two\n").unwrap();
        let failed = Error::file("replace", &file)(std::io::ErrorKind::StorageFull.into());
        assert!(!draft.old().exists());
        assert!(!draft.kept(&failed).to_string().contains(".before"));
        std::fs::write(&file, "one\n").unwrap();
        // What a disk that fails leaves: half of the new text.
        draft
            .replace_by(|| {
                std::fs::write(&file, "t").unwrap();
                Err(std::io::ErrorKind::StorageFull.into())
            })
            .unwrap_err();
        assert_eq!(std::fs::read(draft.old()).unwrap(), b"one\n");
        let error = draft.kept(&failed).to_string();
        assert!(error.contains(".before"), "{error}");
        draft.discard();
    }

    #[test]
    fn a_link_stays_one_and_a_new_file_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "one\n").unwrap();
        let link = directory.path().join("l");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let draft = Draft::begin(&link).unwrap();
        draft.replace(b"two\n").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"two\n");
        draft.discard();
        let fresh = directory.path().join("new");
        let draft = Draft::begin(&fresh).unwrap();
        assert_eq!(draft.before(), b"");
        draft.replace(b"x\n").unwrap();
        assert_eq!(std::fs::read(&fresh).unwrap(), b"x\n");
        draft.discard();
    }
}
