//! Whole trees compared: what was there before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Everything below a directory: what each entry is, its mode, its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Clone, PartialEq, Eq)]
enum Entry {
    Directory(u32),
    File(u32, Vec<u8>),
    /// Too large to be kept: mode, inode, size and time of the last change.
    Large(u32, u64, u64, i64),
    Link(PathBuf),
    Other,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::Directory(mode) => write!(f, "directory {mode:o}"),
            Entry::File(mode, text) => {
                let shown = String::from_utf8_lossy(&text[..text.len().min(200)]);
                write!(f, "file {mode:o}, {} bytes: {shown:?}", text.len())
            }
            Entry::Large(mode, inode, size, at) => {
                write!(f, "file {mode:o}, inode {inode}, {size} bytes of {at}")
            }
            Entry::Link(to) => write!(f, "link to {}", to.display()),
            Entry::Other => write!(f, "neither file, directory nor link"),
        }
    }
}

/// Programs are larger, what a verb may change is not.
const LARGE: u64 = 1 << 20;

/// The lock file of a data directory is made once and stays.
const LOCK: &str = ".rc_domino.lock";

impl Tree {
    /// What is there now.
    pub fn of(top: &Path) -> Tree {
        let mut found = BTreeMap::new();
        let mut left = vec![top.to_path_buf()];
        while let Some(path) = left.pop() {
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            let mode = meta.permissions().mode() & 0o7777;
            let kind = meta.file_type();
            let entry = if kind.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                left.extend(entries.map(|entry| entry.path()));
                Entry::Directory(mode)
            } else if kind.is_symlink() {
                Entry::Link(fs::read_link(&path).unwrap_or_default())
            } else if kind.is_file() && meta.len() > LARGE {
                Entry::Large(mode, meta.ino(), meta.len(), meta.mtime())
            } else if kind.is_file() {
                Entry::File(mode, fs::read(&path).unwrap_or_default())
            } else {
                assert!(kind.is_socket() || kind.is_fifo() || kind.is_char_device());
                Entry::Other
            };
            if path.file_name().is_none_or(|name| name != LOCK) {
                found.insert(path.strip_prefix(top).unwrap().to_path_buf(), entry);
            }
        }
        Tree(found)
    }

    /// Nothing changed since.
    #[track_caller]
    pub fn unchanged(&self, top: &Path, what: &str) {
        let now = Tree::of(top);
        let mut differences = Vec::new();
        for path in self
            .0
            .keys()
            .chain(now.0.keys().filter(|path| !self.0.contains_key(*path)))
        {
            let (before, after) = (self.0.get(path), now.0.get(path));
            if before != after {
                differences.push(format!("{}: {before:?} -> {after:?}", path.display()));
            }
        }
        assert!(differences.is_empty(), "{what} changed {differences:#?}");
    }
}
