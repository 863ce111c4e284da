//! Which files go into the archive, under which names, and how much of each.

use super::{LARGEST, MOST_FILES, Wanted, system};
use crate::domino::Partition;
use crate::domino::figures::size;
use crate::domino::sweep::Pattern;
use crate::domino::tools::Work;
use crate::error::{Result, shown};
use crate::os::files::{open_regular, open_regular_itself};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How deep below a directory files are looked for.
const DEEPEST: usize = 8;

/// How many entries of directories are looked at, for each directory that is
/// collected.
const MOST_ENTRIES: usize = 200_000;

/// How many things that were left out are named.
const MOST_LEFT_OUT: usize = 100;

/// What never leaves the host: databases, ids, keys, memory images.
const NEVER: [&str; 18] = [
    "nsf", "ntf", "box", "nlo", "ft", "id", "ids", "kyr", "sth", "pem", "key", "p12", "pfx", "jks",
    "dtf", "core", "so", "dmp",
];

/// Packed files whose content cannot be masked.
const PACKED: [&str; 12] = [
    "zip", "7z", "bz2", "xz", "zst", "lz4", "tar", "tgz", "taz", "rar", "partial", "jar",
];

/// Where the content of a member comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Text that was put together here, masked already.
    Text(Vec<u8>),
    /// A file that the configuration names: links are followed.
    Named(PathBuf),
    /// The same, read by a shell: quoted values may span lines.
    Sourced(PathBuf),
    /// A file that was found in a directory: links are not followed.
    Found(PathBuf),
    /// As `Found`, packed by gzip.
    Packed(PathBuf),
}

impl Source {
    /// Opens the file. Never blocks, whatever has taken the name meanwhile.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        match self {
            Source::Text(_) => Ok(None),
            Source::Named(path) | Source::Sourced(path) => open_regular(path).map(Some),
            Source::Found(path) | Source::Packed(path) => open_regular_itself(path).map(Some),
        }
    }
}

/// One member of the archive.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name below the archive's directory.
    pub name: Vec<u8>,
    /// How large its source is, in bytes.
    pub size: u64,
    /// Since 1970, in seconds.
    pub(super) modified: u64,
    pub(super) source: Source,
}

impl Item {
    /// The member as a line of a listing.
    pub fn line(&self) -> String {
        let note = match &self.source {
            Source::Packed(_) => "  (packed; unpacked in the archive)",
            _ if self.size > LARGEST => "  (its end)",
            _ => "",
        };
        format!(
            "{:>12}  {}{note}",
            size(self.size.min(LARGEST)),
            shown(OsStr::from_bytes(&self.name))
        )
    }
}

/// What goes into the archive, and what does not.
#[derive(Debug, Default)]
pub struct Plan {
    /// The members in their order.
    pub items: Vec<Item>,
    /// What was left out, and why, a line each.
    pub left_out: Vec<String>,
    not_named: usize,
    bytes: u64,
    limit: u64,
}

impl Plan {
    /// How much is read, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The plan as text: what goes in, what stays out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.items.iter().map(Item::line).collect();
        if !self.left_out.is_empty() {
            lines.push("Left out:".to_owned());
            lines.extend(self.left_out.iter().map(|line| format!("  {line}")));
        }
        if self.not_named > 0 {
            lines.push(format!("  and {} more", self.not_named));
        }
        lines
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        if self.left_out.len() < MOST_LEFT_OUT {
            self.left_out
                .push(format!("{}: {why}", shown(path.as_os_str())));
        } else {
            self.not_named += 1;
        }
    }

    fn text(&mut self, name: &str, text: Vec<u8>) {
        self.bytes += text.len() as u64;
        self.items.push(Item {
            name: name.as_bytes().to_vec(),
            size: text.len() as u64,
            modified: seconds(SystemTime::now()),
            source: Source::Text(text),
        });
    }

    fn file(&mut self, mut name: Vec<u8>, source: Source) {
        let (Source::Named(path)
        | Source::Sourced(path)
        | Source::Found(path)
        | Source::Packed(path)) = &source
        else {
            return;
        };
        let found = source.open().and_then(|file| match file {
            Some(file) => file.metadata(),
            None => Err(io::ErrorKind::InvalidInput.into()),
        });
        let found = match found {
            Ok(found) => found,
            // What is not there is not missed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let path = path.clone();
                self.leave_out(&path, &error.to_string());
                return;
            }
        };
        let taken = found.len().min(LARGEST);
        let problem = if self.items.len() >= MOST_FILES {
            Some("there are too many files")
        } else if self.bytes.saturating_add(taken) > self.limit {
            Some("beyond DOMINO_DIAG_MAX_SIZE")
        } else {
            None
        };
        if let Some(problem) = problem {
            let path = path.clone();
            self.leave_out(&path, problem);
            return;
        }
        // A log beside its packed form, files of one name from two places: the
        // last would replace the others where the archive is unpacked.
        while self.items.iter().any(|item| item.name == name) {
            name.push(b'_');
        }
        self.bytes += taken;
        self.items.push(Item {
            name,
            size: found.len(),
            modified: found.modified().map_or(0, seconds),
            source,
        });
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Plans an archive. `unit` is the server's unit under systemd.
pub fn plan(work: &mut Work, wanted: &Wanted, unit: Option<&OsStr>) -> Result<Plan> {
    let partition = work.partition;
    let mut plan = Plan {
        limit: wanted.bytes,
        ..Plan::default()
    };
    for (name, text) in system::texts(work, unit, wanted.journal.as_deref())? {
        plan.text(name, text);
    }
    configuration(partition, &mut plan);
    for name in [
        "fault_recovery.hst",
        "nsdindex.nbf",
        "diagindex.nbf",
        "pid.nbf",
        "loadmon.ncf",
    ] {
        let path = partition.data().join(name);
        plan.file(member("data", path.as_os_str()), Source::Named(path));
    }
    let log = partition.log();
    plan.file(member("logs", log.as_os_str()), Source::Named(log.clone()));
    if let Some(path) = &partition.settings.debug_file.value {
        plan.file(
            member("logs", path.as_os_str()),
            Source::Named(path.clone()),
        );
    }
    work.reporter.progress("Looking for logs and NSD files");
    // The newest first: what is beyond the bound is the oldest.
    for found in newest_nsd_first(walk(&partition.support(), &mut plan), wanted) {
        take(&mut plan, "diagnostics", found);
    }
    for found in archived_logs(partition, &mut plan, wanted) {
        take(&mut plan, "logs", found);
    }
    if let Some(directory) = &partition.settings.log_path.value
        && *directory != partition.support()
    {
        let found = walk(directory, &mut plan);
        for found in found
            .into_iter()
            .filter(|found| found.modified >= wanted.oldest())
        {
            take(&mut plan, "log_path", found);
        }
    }
    work.check_signals("nothing was written")?;
    Ok(plan)
}

fn configuration(partition: &Partition, plan: &mut Plan) {
    let mut files: Vec<PathBuf> =
        crate::settings::configuration_files(&partition.root, &partition.user.name)
            .map_or_else(|_| Vec::new(), Vec::from);
    files.extend(partition.settings.env_file.value.clone());
    for path in files {
        plan.file(member("config", path.as_os_str()), Source::Sourced(path));
    }
    let ini = partition.settings.ini_path();
    plan.file(member("config", ini.as_os_str()), Source::Named(ini));
}

/// The name of a member: its group and the file's own name.
fn member(group: &str, path: &OsStr) -> Vec<u8> {
    let name = Path::new(path).file_name().unwrap_or(path);
    [group.as_bytes(), b"/", name.as_bytes()].concat()
}

/// A file that was found in a directory.
struct Found {
    path: PathBuf,
    below: PathBuf,
    modified: SystemTime,
}

fn take(plan: &mut Plan, group: &str, found: Found) {
    let name = found.path.file_name().unwrap_or_default().as_bytes();
    let lower = name.to_ascii_lowercase();
    let ending = |known: &&str| {
        lower
            .strip_suffix(known.as_bytes())
            .is_some_and(|front| front.ends_with(b"."))
    };
    if lower.starts_with(b"domdiag_") || lower == b"core" || lower.starts_with(b"core.") {
        return;
    }
    if NEVER.iter().any(&ending) {
        plan.leave_out(&found.path, "databases, ids and keys stay here");
        return;
    }
    if PACKED.iter().any(ending) || lower.ends_with(b".tar.gz") {
        plan.leave_out(&found.path, "packed: cannot be masked");
        return;
    }
    let mut name = [group.as_bytes(), b"/", found.below.as_os_str().as_bytes()].concat();
    if lower.ends_with(b".gz") {
        name.truncate(name.len() - 3);
        plan.file(name, Source::Packed(found.path));
    } else {
        plan.file(name, Source::Found(found.path));
    }
}

fn newest_first(found: &mut [Found]) {
    found.sort_unstable_by(|one, other| {
        let by_age = other.modified.cmp(&one.modified);
        by_age.then_with(|| one.below.cmp(&other.below))
    });
}

/// Files by age, the newest first; those that are too old only if they are the
/// newest NSD.
fn newest_nsd_first(mut found: Vec<Found>, wanted: &Wanted) -> Vec<Found> {
    newest_first(&mut found);
    let is_nsd = |found: &Found| {
        let name = found.path.file_name().unwrap_or_default().as_bytes();
        name.to_ascii_lowercase().starts_with(b"nsd_")
    };
    let newest = found
        .iter()
        .find(|found| is_nsd(found))
        .map(|found| found.path.clone());
    found.retain(|found| found.modified >= wanted.oldest() || Some(&found.path) == newest.as_ref());
    found
}

/// The console logs that were set aside: `SERVER_….log`, packed or not.
fn archived_logs(partition: &Partition, plan: &mut Plan, wanted: &Wanted) -> Vec<Found> {
    let ours = Pattern::Archive {
        log: partition.log(),
        plain: true,
    };
    let directory = partition.settings.log_backup_dir();
    let mut found: Vec<Found> = list(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let ours = ours.matches(&entry.file_name());
            let metadata = ours.then(|| entry.metadata().ok()).flatten()?;
            let modified = metadata.modified().ok()?;
            (metadata.is_file() && modified >= wanted.oldest()).then(|| Found {
                below: entry.file_name().into(),
                path: entry.path(),
                modified,
            })
        })
        .collect();
    newest_first(&mut found);
    if found.len() > MOST_FILES {
        plan.leave_out(&directory, "there are too many archived logs");
        found.truncate(MOST_FILES);
    }
    found
}

fn list(directory: &Path) -> Option<impl Iterator<Item = std::fs::DirEntry>> {
    let entries = std::fs::read_dir(directory).ok()?;
    Some(entries.flatten().take(MOST_ENTRIES))
}

/// Every regular file below a directory. No link is followed, nothing is
/// opened.
fn walk(directory: &Path, plan: &mut Plan) -> Vec<Found> {
    let mut found = Vec::new();
    let mut waiting = vec![(directory.to_path_buf(), PathBuf::new(), 0)];
    let mut left = MOST_ENTRIES;
    while let Some((directory, below, depth)) = waiting.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    plan.leave_out(&directory, &error.to_string());
                }
                continue;
            }
        };
        for entry in entries.flatten() {
            if left == 0 {
                plan.leave_out(&directory, "there are too many files");
                return found;
            }
            left -= 1;
            let path = entry.path();
            let below = below.join(entry.file_name());
            // Of the entry itself, not of what a link leads to.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                if depth < DEEPEST {
                    waiting.push((path, below, depth + 1));
                } else {
                    plan.leave_out(&path, "too deep");
                }
            } else if metadata.is_file() {
                found.push(Found {
                    path,
                    below,
                    modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            } else if metadata.is_symlink() {
                plan.leave_out(&path, "a link, not followed");
            } else {
                plan.leave_out(&path, "a device, pipe or socket");
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_pipes_and_keys_stay_out_and_hostile_names_do_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("nsd_1.log"), "x").unwrap();
        std::fs::write(at("a\nb\u{1b}.txt"), "x").unwrap();
        std::fs::write(at("server.id"), "x").unwrap();
        std::fs::write(at("x.zip"), "x").unwrap();
        symlink("/etc/passwd", at("passwd.log")).unwrap();
        symlink("/etc", at("etc")).unwrap();
        let fifo = rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo.log"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        );
        assert!(fifo.is_ok());
        let mut plan = Plan {
            limit: 1 << 20,
            ..Plan::default()
        };
        for found in walk(directory.path(), &mut plan) {
            take(&mut plan, "x", found);
        }
        let mut names: Vec<&[u8]> = plan.items.iter().map(|item| item.name.as_slice()).collect();
        names.sort();
        assert_eq!(names, [&b"x/a\nb\x1b.txt"[..], b"x/nsd_1.log"]);
        let text = plan.lines().join("\n");
        for why in ["not followed", "pipe", "stay here", "packed"] {
            assert!(text.contains(why), "{why}: {text}");
        }
        assert!(!text.contains('\u{1b}') && text.contains("a\\nb"), "{text}");
    }

    #[test]
    fn a_file_that_becomes_a_pipe_or_a_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("l");
        symlink("/etc/passwd", &link).unwrap();
        assert!(Source::Found(link.clone()).open().is_err());
        assert!(Source::Named(link).open().is_ok());
    }

    #[test]
    fn the_newest_nsd_is_kept_however_old() {
        let of = |name: &str, days: u64| Found {
            path: name.into(),
            below: name.into(),
            modified: SystemTime::now() - std::time::Duration::from_secs(days * 86_400),
        };
        let wanted = Wanted {
            days: 7,
            bytes: 0,
            output: None,
            journal: None,
        };
        let kept = newest_nsd_first(
            vec![
                of("nsd_a.log", 30),
                of("nsd_b.log", 20),
                of("c", 20),
                of("d", 1),
            ],
            &wanted,
        );
        let names: Vec<_> = kept.iter().map(|found| found.path.clone()).collect();
        assert_eq!(names, [Path::new("d"), Path::new("nsd_b.log")]);
    }
}
