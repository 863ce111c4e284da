//! notes.ini, read byte by byte, and the places outside the data directory
//! to which the data directory leads.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest notes.ini that is read, in bytes.
pub const LARGEST: u64 = 16 << 20;

/// The settings of a notes.ini.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotesIni {
    entries: Vec<(Vec<u8>, OsString)>,
}

impl NotesIni {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file or exceeds [`LARGEST`].
    pub fn read(path: &Path) -> io::Result<NotesIni> {
        let text = read_regular(path, LARGEST)?;
        Ok(NotesIni::parse(&text))
    }

    /// Reads a text. A line is split at its first `=`; blanks around both
    /// parts and a carriage return at the end do not belong to them. Lines
    /// without `=` (the `[Notes]` in front) hold no setting.
    pub fn parse(text: &[u8]) -> NotesIni {
        let entries = text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| {
                let split = line.iter().position(|byte| *byte == b'=')?;
                let (name, value) = line.split_at_checked(split)?;
                let value = value.get(1..)?.trim_ascii();
                let name = name.trim_ascii();
                (!name.is_empty()).then(|| (name.to_vec(), OsString::from_vec(value.to_vec())))
            })
            .collect();
        NotesIni { entries }
    }

    /// The whole value of a setting. Case does not matter in names, and the
    /// first line that has the name counts, as in Domino.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.entries
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_os_str())
    }

    /// Every setting in the file's order, repeated names included.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.entries
            .iter()
            .map(|(name, value)| (OsStr::from_bytes(name), value.as_os_str()))
    }

    /// Whether the server has been set up: its setup writes `ServerSetup=`.
    pub fn is_set_up(&self) -> bool {
        self.get("ServerSetup").is_some()
    }

    /// Whether a setting is switched on: there, not empty and not 0.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !value.is_empty() && value != "0")
    }

    /// A setting that names a file or directory; a relative one lies below
    /// the data directory. `None` when it is not there or empty.
    pub fn path(&self, name: &str, data: &Path) -> Option<PathBuf> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .map(|value| data.join(value))
    }
}

/// How deep below the data directory links are looked for.
const DEEPEST: usize = 32;
/// How many directory entries are looked at in all.
const MOST_ENTRIES: usize = 2_000_000;
/// How many bytes of a directory link are read.
const LARGEST_LINK: u64 = 4096;

/// Where the data directory leads: the targets of its directory links (`*.dir`
/// files, whose first line names a directory), of symbolic links that leave
/// its file system, and the mount points below it. Databases can lie in all
/// of them. What cannot be read is passed over; targets may not exist.
pub fn directory_links(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(home) = fs::metadata(data).map(|metadata| metadata.dev()) else {
        return found;
    };
    let mut waiting = vec![(data.to_path_buf(), home, 0)];
    let mut entries_left = MOST_ENTRIES;
    while let Some((directory, device, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            entries_left -= 1;
            if entries_left == 0 {
                return found;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                let path = entry.path();
                let Ok(inner) = fs::metadata(&path).map(|metadata| metadata.dev()) else {
                    continue;
                };
                if inner != device {
                    found.push(path.clone());
                }
                if depth < DEEPEST {
                    waiting.push((path, inner, depth + 1));
                }
            } else if kind.is_symlink() {
                let leaves = |metadata: fs::Metadata| metadata.dev() != device;
                if let Ok(target) = fs::canonicalize(entry.path())
                    && fs::metadata(&target).is_ok_and(leaves)
                {
                    found.push(target);
                }
            } else if kind.is_file() && is_directory_link(&entry.file_name()) {
                found.extend(link_target(&entry.path(), data));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn is_directory_link(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.len() > 4
        && name
            .last_chunk::<4>()
            .is_some_and(|end| end.eq_ignore_ascii_case(b".dir"))
}

fn link_target(link: &Path, data: &Path) -> Option<PathBuf> {
    let mut text = Vec::new();
    let file = open_regular(link).ok()?;
    file.take(LARGEST_LINK).read_to_end(&mut text).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let names_a_path = !line.is_empty() && !line.contains(&0);
    names_a_path.then(|| data.join(OsStr::from_bytes(line)))
}

/// Opens a file without waiting for a writer, should it be a pipe.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        let text = "is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is something else or is larger.
pub(super) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open_regular(path)?.take(most + 1).read_to_end(&mut text)?;
    if text.len() as u64 > most {
        let text = format!("is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ini(text: &[u8]) -> NotesIni {
        NotesIni::parse(text)
    }

    #[test]
    fn lines_are_split_at_the_first_equals_sign() {
        let ini = ini(
            b"[Notes]\r\nDirectory=/local/notesdata\r\n KeyFilename = a=b=c \nno sign here\n=nameless\nEmpty=\n\xff\xfe=\xe4\nLast=x",
        );
        assert_eq!(ini.get("directory"), Some(OsStr::new("/local/notesdata")));
        assert_eq!(ini.get("KEYFILENAME"), Some(OsStr::new("a=b=c")));
        assert_eq!(ini.get("Empty"), Some(OsStr::new("")));
        assert_eq!(ini.get("Last"), Some(OsStr::new("x")));
        assert_eq!(ini.get("no sign here"), None);
        assert_eq!(ini.get(""), None);
        let odd = (OsStr::from_bytes(b"\xff\xfe"), OsStr::from_bytes(b"\xe4"));
        assert!(ini.iter().any(|entry| entry == odd));
    }

    #[test]
    fn the_first_of_repeated_names_counts() {
        assert_eq!(ini(b"A=1\na=2\n").get("A"), Some(OsStr::new("1")));
    }

    #[test]
    fn flags_and_set_up() {
        let read = ini(b"Zero=0\nOne=1\nNothing=\nserversetup=850103\n");
        assert!(read.flag("one") && !read.flag("zero") && !read.flag("nothing"));
        assert!(!read.flag("absent") && read.is_set_up());
        assert!(!ini(b"KeyFilename=server.id\nNoServerSetup=1\n").is_set_up());
    }

    #[test]
    fn relative_paths_lie_below_the_data_directory() {
        let ini = ini(b"TRANSLOG_Path=logdir\nDAOSBasePath=/daos dir\nView_Rebuild_Dir=\n");
        let path = |name| ini.path(name, Path::new("/data"));
        assert_eq!(path("translog_path"), Some("/data/logdir".into()));
        assert_eq!(path("DAOSBasePath"), Some("/daos dir".into()));
        assert_eq!(path("View_Rebuild_Dir"), None);
    }

    #[test]
    fn what_is_no_regular_file_or_too_large_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(NotesIni::read(directory.path()).is_err());
        assert!(NotesIni::read(Path::new("/dev/null")).is_err());
        let file = directory.path().join("notes.ini");
        fs::write(&file, b"A=1").unwrap();
        assert_eq!(
            NotesIni::read(&file).unwrap().get("A"),
            Some(OsStr::new("1"))
        );
        let error = read_regular(&file, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_regular(&file, 3).unwrap(), b"A=1");
    }

    #[test]
    fn links_lead_to_what_their_first_line_names() {
        let tree = tempfile::tempdir().unwrap();
        let data = tree.path();
        fs::create_dir_all(data.join("mail/deep")).unwrap();
        fs::write(
            data.join("mail/deep/Archive.DIR"),
            b"/archive disk/\xe4\r\nAdmins\r\n",
        )
        .unwrap();
        fs::write(data.join("near.dir"), b"below\n").unwrap();
        fs::write(data.join("empty.dir"), b"").unwrap();
        fs::write(data.join(".dir"), b"/no/name\n").unwrap();
        fs::create_dir(data.join("folder.dir")).unwrap();
        std::os::unix::fs::symlink("/proc/self/status", data.join("elsewhere.nsf")).unwrap();
        std::os::unix::fs::symlink(".", data.join("loop")).unwrap();
        let found = directory_links(data);
        let own = |path: &PathBuf| !path.starts_with("/proc");
        let (links, elsewhere): (Vec<PathBuf>, Vec<PathBuf>) = found.into_iter().partition(own);
        let archive = PathBuf::from(OsStr::from_bytes(b"/archive disk/\xe4"));
        let mut expected = [archive, data.join("below")];
        expected.sort();
        assert_eq!(links, expected);
        assert_eq!(elsewhere.len(), 1);
        assert!(directory_links(Path::new("/nowhere")).is_empty());
    }
}
