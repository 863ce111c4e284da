//! The root under which the product's built-in absolute paths lie.

use std::path::{Path, PathBuf};

/// A prefix for built-in absolute paths such as `/etc/passwd` or `/opt/hcl`.
///
/// Tests hang a whole system below a directory of their own. Paths that the
/// configuration names are used as they stand, and so is `/proc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    prefix: Option<PathBuf>,
}

impl Root {
    /// The system itself: paths stay as they are.
    pub fn system() -> Root {
        Root { prefix: None }
    }

    /// A system that lies below `directory`.
    pub fn at(directory: PathBuf) -> Root {
        Root {
            prefix: Some(directory),
        }
    }

    /// Whether this is the running system. Only then may its programs be
    /// asked for what its files do not say (`getent`, `id`).
    pub fn is_system(&self) -> bool {
        self.prefix.is_none()
    }

    /// Where the built-in absolute path `built_in` lies under this root.
    pub fn path(&self, built_in: impl AsRef<Path>) -> PathBuf {
        let built_in = built_in.as_ref();
        match &self.prefix {
            None => built_in.to_path_buf(),
            Some(prefix) => prefix.join(built_in.strip_prefix("/").unwrap_or(built_in)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_put_before_absolute_paths_only_when_there_is_one() {
        assert_eq!(Root::system().path("/etc/passwd"), Path::new("/etc/passwd"));
        let root = Root::at(PathBuf::from("/tmp/a"));
        assert_eq!(root.path("/etc/passwd"), Path::new("/tmp/a/etc/passwd"));
        assert!(!root.is_system() && Root::system().is_system());
    }
}
