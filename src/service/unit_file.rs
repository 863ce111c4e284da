//! Unit files as systemd would read them (systemd.unit(5), systemd.syntax(7)),
//! read from disk: no systemctl is asked.

use super::unit_value::commands_of;
use crate::os::files::read_bounded;
use crate::os::root::Root;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where unit files lie, the first that has one counts. The last is what
/// systemd makes of init scripts.
pub const DIRECTORIES: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The drop-ins of every service (systemd 244).
const FOR_ALL: &str = "service.d";

/// The largest unit file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// One assignment of a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub number: usize,
    /// Of which section.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; empty ones reset what came before.
    pub value: String,
}

/// A unit with its drop-ins, in the order in which they count.
#[derive(Clone, Debug, Default)]
pub struct UnitFile {
    /// The unit's own file.
    pub path: PathBuf,
    /// All assignments.
    pub lines: Vec<Line>,
    /// Lines that are neither a section, a comment nor an assignment.
    pub odd: Vec<(PathBuf, usize)>,
}

/// The unit's own name, where it is asked for by another, and its file.
fn find(root: &Root, unit: &OsStr) -> Option<(OsString, PathBuf)> {
    let mut name = unit.to_owned();
    loop {
        let path = names(&name).into_iter().find_map(|name| {
            DIRECTORIES
                .iter()
                .map(|directory| root.path(directory).join(&name))
                .find(|path| path.symlink_metadata().is_ok())
        })?;
        match alias(&path) {
            // A link to another's link is none of systemd's.
            Some(other) if name == unit && other != name => name = other,
            _ => return Some((name, path)),
        }
    }
}

/// The unit that a link stands for; none for one that is masked or merely
/// lies elsewhere under the same name.
fn alias(path: &Path) -> Option<OsString> {
    let target = std::fs::read_link(path).ok()?;
    let name = target.file_name()?;
    (target.extension() == path.extension() && Some(name) != path.file_name())
        .then(|| name.to_owned())
}

/// The other names of a unit.
fn aliases(root: &Root, unit: &OsStr) -> Vec<OsString> {
    let mut found: Vec<OsString> = DIRECTORIES
        .iter()
        .filter_map(|directory| std::fs::read_dir(root.path(directory)).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| alias(&entry.path()).is_some_and(|name| name == unit))
        .map(|entry| entry.file_name())
        // A link that another one of that name hides is none.
        .filter(|name| find(root, name).is_some_and(|(name, _)| name == unit))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The unit's name, and that of the template it is an instance of.
fn names(unit: &OsStr) -> Vec<OsString> {
    let mut names = vec![unit.to_owned()];
    if let Some((front, rest)) = unit.to_str().and_then(|name| name.split_once('@'))
        && let Some((instance, suffix)) = rest.rsplit_once('.')
        && !instance.is_empty()
    {
        names.push(format!("{front}@.{suffix}").into());
    }
    names
}

/// `mail` of `domino@mail.service`.
pub fn instance_of(unit: &OsStr) -> Option<&str> {
    let (_, rest) = unit.to_str()?.split_once('@')?;
    let (instance, _) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then_some(instance)
}

/// Whether a unit is to be started with the system: by a link in any
/// `.wants` or `.requires` directory.
pub fn is_enabled(root: &Root, unit: &OsStr) -> bool {
    DIRECTORIES.iter().any(|directory| {
        let entries = std::fs::read_dir(root.path(directory));
        entries.into_iter().flatten().flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            (name.ends_with(".wants") || name.ends_with(".requires"))
                && entry.path().join(unit).symlink_metadata().is_ok()
        })
    })
}

/// Whose drop-ins a unit of this name has, the nearest first: its own, those
/// of its template, and of each prefix of its name that ends with a dash.
fn names_of_drop_ins(name: &str) -> Vec<String> {
    let mut found = vec![name.to_owned()];
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return found;
    };
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    if !instance.is_empty() {
        found.extend(names_of_drop_ins(&format!("{prefix}@.{suffix}")));
    }
    let shorter = prefix.trim_end_matches('-').rfind('-');
    if let Some(shorter) = shorter.and_then(|dash| prefix.get(..=dash)) {
        found.extend(names_of_drop_ins(&if instance.is_empty() {
            format!("{shorter}.{suffix}")
        } else {
            format!("{shorter}@{instance}.{suffix}")
        }));
    }
    found
}

/// The drop-ins of a unit: by name, those of the first directory that has it.
fn drop_ins(root: &Root, unit: &OsStr) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for name in std::iter::once(unit.to_owned()).chain(aliases(root, unit)) {
        let names = names_of_drop_ins(&name.to_string_lossy());
        for directory in DIRECTORIES.map(|directory| root.path(directory)) {
            directories.extend(names.iter().map(|name| directory.join(format!("{name}.d"))));
        }
    }
    directories.extend(DIRECTORIES.map(|directory| root.path(directory).join(FOR_ALL)));
    let mut found: std::collections::BTreeMap<OsString, PathBuf> = Default::default();
    for directory in directories {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension() == Some(OsStr::new("conf")) {
                found.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    // Masked: there, and nothing in it.
    found.retain(|_, path| {
        !std::fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
    });
    found.into_values().collect()
}

impl UnitFile {
    /// Reads a unit and its drop-ins; `None` where there is no such unit.
    ///
    /// # Errors
    /// When one of the files cannot be read.
    pub fn read(root: &Root, unit: &OsStr) -> std::io::Result<Option<UnitFile>> {
        let Some((unit, path)) = find(root, unit) else {
            return Ok(None);
        };
        let unit = unit.as_os_str();
        let mut read = UnitFile {
            path: path.clone(),
            ..UnitFile::default()
        };
        for file in std::iter::once(path).chain(drop_ins(root, unit)) {
            let text = read_bounded(&file, LARGEST)?;
            read.add(&file, &String::from_utf8_lossy(&text));
        }
        if let Some(instance) = instance_of(unit) {
            read.expand(instance);
        }
        Ok(Some(read))
    }

    /// Puts the instance's name where its template has `%i`, or `%I` where
    /// that is the same: an escaped name has a `\` or a `-`. `%%` is a percent
    /// sign, and left as it stands.
    fn expand(&mut self, instance: &str) {
        let plain = !instance.contains(['\\', '-']);
        for line in &mut self.lines {
            let value = std::mem::take(&mut line.value);
            let mut rest = value.chars();
            while let Some(next) = rest.next() {
                let specifier = if next == '%' { rest.next() } else { None };
                match specifier {
                    Some('i') => line.value.push_str(instance),
                    Some('I') if plain => line.value.push_str(instance),
                    other => line.value.extend(std::iter::once(next).chain(other)),
                }
            }
        }
    }

    /// Adds the assignments of a text.
    pub fn add(&mut self, file: &Path, text: &str) {
        let mut section = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let mut whole = line.trim_start().to_owned();
            if whole.is_empty() || whole.starts_with(['#', ';']) {
                continue;
            }
            // A continued line goes on past comments.
            while goes_on(&whole) {
                whole.pop();
                match lines.next() {
                    Some((_, next)) if next.trim_start().starts_with(['#', ';']) => {
                        whole.push('\\');
                    }
                    Some((_, next)) => {
                        whole.push(' ');
                        whole.push_str(next.trim_start());
                    }
                    None => break,
                }
            }
            let whole = whole.trim_end();
            if let Some(name) = whole
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.to_owned();
            } else if let Some((key, value)) = whole.split_once('=')
                && !section.is_empty()
                && !key.trim().is_empty()
            {
                self.lines.push(Line {
                    file: file.to_path_buf(),
                    number: index + 1,
                    section: section.clone(),
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                });
            } else {
                self.odd.push((file.to_path_buf(), index + 1));
            }
        }
    }

    /// The last assignment of a key in `[Service]`.
    pub fn service(&self, key: &str) -> Option<&Line> {
        self.service_all(&[key]).next_back()
    }

    /// All assignments of these keys in `[Service]`.
    pub fn service_all<'a>(&'a self, keys: &[&str]) -> impl DoubleEndedIterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.section == "Service" && keys.contains(&line.key.as_str()))
    }

    /// The assignment of these keys that counts, where systemd ignores what it
    /// cannot `read`, empty values too: the last that is not ignored.
    pub fn service_read<T>(
        &self,
        keys: &[&str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<(&Line, T)> {
        self.service_all(keys)
            .rev()
            .find_map(|line| Some((line, read(&line.value)?)))
    }

    /// What a list such as ExecStart is made of, what was reset left out.
    pub fn list(&self, key: &str) -> Vec<&Line> {
        let mut found: Vec<&Line> = Vec::new();
        for line in self.service_all(&[key]) {
            if line.value.is_empty() {
                found.clear();
            } else {
                found.push(line);
            }
        }
        found
    }
}

/// Whether a line is continued: two backslashes at its end are one.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The units of `/etc/systemd/system` whose `[Service]` runs as this user a
/// program of this name.
pub fn others_of(root: &Root, user: &str, program: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.path(DIRECTORIES[0])) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("service")))
        .filter(|path| {
            let Ok(text) = read_bounded(path, LARGEST) else {
                return false;
            };
            let mut unit = UnitFile::default();
            unit.add(path, &String::from_utf8_lossy(&text));
            unit.service("User").is_some_and(|line| line.value == user)
                && unit
                    .list("ExecStart")
                    .iter()
                    .filter_map(|line| commands_of(&line.value))
                    .flatten()
                    .any(|command| command.program.ends_with(program))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_are_looked_for_as_systemd_does() {
        assert_eq!(
            names_of_drop_ins("domino-notify@mail.service"),
            [
                "domino-notify@mail.service",
                "domino-notify@.service",
                "domino-.service",
                "domino-@mail.service",
                "domino-@.service"
            ]
        );
        assert_eq!(names_of_drop_ins("domino.service"), ["domino.service"]);
    }

    #[test]
    fn the_last_assignment_counts_and_an_empty_one_resets_a_list() {
        let mut unit = UnitFile::default();
        unit.add(
            Path::new("/u"),
            "[Unit]\n# c\nAfter=a \\\n  b\n[Service]\nUser=notes\nnonsense\nExecStart=/a start\n",
        );
        unit.add(
            Path::new("/u.d/1.conf"),
            "[Service]\nExecStart=\nExecStart=-/b start\nUser=mail\n",
        );
        assert_eq!(unit.lines[0].value, "a    b".replace("    ", "  "));
        assert_eq!(unit.service("User").unwrap().value, "mail");
        let commands = unit.list("ExecStart");
        assert_eq!(commands.len(), 1);
        assert_eq!(commands[0].value, "-/b start");
        assert_eq!(unit.odd, [(PathBuf::from("/u"), 7)]);
    }

    #[test]
    fn instances_come_from_their_template() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().to_path_buf());
        let etc = directory.path().join("etc/systemd/system");
        std::fs::create_dir_all(etc.join("domino@mail.service.d")).unwrap();
        std::fs::write(
            etc.join("domino@.service"),
            "[Service]\nUser=%i\nPIDFile=/%%i/%n/%%%I/%i%\n",
        )
        .unwrap();
        std::fs::write(
            etc.join("domino@mail.service.d/x.conf"),
            "[Service]\nUser=mail\n",
        )
        .unwrap();
        let unit = UnitFile::read(&root, OsStr::new("domino@mail.service"))
            .unwrap()
            .unwrap();
        assert_eq!(unit.service("User").unwrap().value, "mail");
        let other = UnitFile::read(&root, OsStr::new("domino@post.service"))
            .unwrap()
            .unwrap();
        assert_eq!(other.service("User").unwrap().value, "post");
        assert_eq!(
            other.service("PIDFile").unwrap().value,
            "/%%i/%n/%%post/post%"
        );
        assert!(!is_enabled(&root, OsStr::new("domino@post.service")));
        std::fs::create_dir_all(etc.join("multi-user.target.wants")).unwrap();
        std::os::unix::fs::symlink(
            "../domino@.service",
            etc.join("multi-user.target.wants/domino@post.service"),
        )
        .unwrap();
        assert!(is_enabled(&root, OsStr::new("domino@post.service")));
        assert!(
            UnitFile::read(&root, OsStr::new("other.service"))
                .unwrap()
                .is_none()
        );
    }
}
