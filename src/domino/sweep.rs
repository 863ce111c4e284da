//! Files of a directory that are due for removal, and their removal: in
//! process, or by the site's own command.

use super::figures::{count, size};
use super::tools::{Tool, Work, run_tool};
use crate::error::{Error, Result, shown_whole};
use crate::os::open_files::OpenFiles;
use crate::os::walk::{Candidate, Found, Tree, is_link, remove_all};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often a long sweep says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How long what was found to be open is taken for granted.
const OPEN_FILES_LAST: Duration = Duration::from_secs(2);

/// After how many files signals and the clock are looked at.
const LOOK_EVERY: u64 = 64;

/// Which files of a directory are meant.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// All.
    Any,
    /// Those whose name ends in one of these.
    Suffixes(&'static [&'static str]),
    /// Archives of this console log, and of no other server's; those that are
    /// not compressed too where `plain`.
    Archive {
        /// The log.
        log: PathBuf,
        /// Whether uncompressed ones count.
        plain: bool,
    },
}

impl Pattern {
    /// Whether a name is meant.
    pub fn matches(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        match self {
            Pattern::Any => true,
            Pattern::Suffixes(suffixes) => suffixes
                .iter()
                .any(|suffix| name.ends_with(suffix.as_bytes())),
            Pattern::Archive { log, plain } => is_archive(name, log, *plain),
        }
    }
}

/// `SERVER_YYMMDD_HHMMSS….log.gz`, as the log is called: the date keeps `mail`
/// from matching archives of `mail_hub`.
fn is_archive(name: &[u8], log: &Path, plain: bool) -> bool {
    let packed = name.strip_suffix(b".gz");
    let Some(rest) = packed
        .or(plain.then_some(name))
        .and_then(|rest| rest.strip_prefix(log.file_stem()?.as_bytes()))
        .and_then(|rest| rest.strip_prefix(b"_"))
        .and_then(|rest| rest.strip_suffix(extension(log).as_bytes()))
        .and_then(|rest| rest.strip_suffix(b"."))
    else {
        return false;
    };
    let digits = |part: &[u8]| part.len() == 6 && part.iter().all(u8::is_ascii_digit);
    rest.len() >= 13
        && digits(&rest[..6])
        && rest[6] == b'_'
        && digits(&rest[7..13])
        && (rest.len() == 13 || rest[13] == b'_')
}

/// What the name of a console log and of its archives ends in, behind the dot.
pub fn extension(log: &Path) -> &OsStr {
    log.extension().unwrap_or(OsStr::new("log"))
}

/// Files of one directory that are due for removal.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Where to look; what lies behind links in it is left alone.
    pub directory: PathBuf,
    /// Whether the directory itself may be a link: the configuration names
    /// it, and the site has put it elsewhere.
    pub through_link: bool,
    /// Whether subdirectories count.
    pub deep: bool,
    /// Which names.
    pub pattern: Pattern,
    /// How old at least, by time of last modification.
    pub minimum_age: Duration,
    /// The site's command in place of removing; none: removed in process.
    pub command: Vec<OsString>,
}

/// Whether what is due is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Remove,
    /// It is listed only.
    List,
}

/// What came of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files removed, handed to the site's command, or listed.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that were due but are open by a process of this user.
    pub open: u64,
    /// What could not be read or removed.
    pub failed: u64,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, other: Swept) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.open += other.open;
        self.failed += other.failed;
    }
}

/// Runs sweeps one after the other.
pub struct Sweeper {
    mode: Mode,
    open: Option<(Instant, OpenFiles)>,
    /// What was listed already: directories may lie in each other.
    listed: HashSet<(u64, u64)>,
}

/// A sweep under way.
struct Sweeping<'a> {
    sweep: &'a Sweep,
    mode: Mode,
    open: &'a OpenFiles,
    listed: &'a mut HashSet<(u64, u64)>,
    now: SystemTime,
    swept: Swept,
    first_failure: Option<String>,
    looked_at: u64,
    told: Instant,
}

impl Sweeper {
    /// One that removes, or lists only.
    pub fn new(mode: Mode) -> Sweeper {
        Sweeper {
            mode,
            open: None,
            listed: HashSet::new(),
        }
    }

    /// Removes or lists what is due, and says how much that was. What cannot
    /// be removed is said and counted; only a signal ends it.
    pub fn run(&mut self, work: &mut Work, sweep: &Sweep) -> Result<Swept> {
        let failed = |work: &mut Work, cause: std::io::Error| {
            work.reporter.warn(&cause.to_string());
            Swept {
                failed: 1,
                ..Swept::default()
            }
        };
        let tree = match sweep.open(work) {
            Ok(Some(tree)) => tree,
            Ok(None) => return Ok(Swept::default()),
            Err(cause) => return Ok(failed(work, cause)),
        };
        let open = match self.open.take() {
            Some((at, open)) if at.elapsed() < OPEN_FILES_LAST => (at, open),
            _ => {
                let open = OpenFiles::of_user(work.partition.user.uid);
                (Instant::now(), open.map_err(Error::Processes)?)
            }
        };
        let (_, open) = self.open.insert(open);
        let mut sweeping = Sweeping {
            sweep,
            mode: self.mode,
            open,
            listed: &mut self.listed,
            now: SystemTime::now(),
            swept: Swept::default(),
            first_failure: None,
            looked_at: 0,
            told: Instant::now(),
        };
        let mut interrupted = None;
        let visited = tree.visit(&|name| sweep.pattern.matches(name), &mut |group| {
            if let Err(error) = sweeping.take(work, group) {
                interrupted = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let mut swept = sweeping.swept;
        sweeping.tell(work);
        match visited {
            Ok(unread) => {
                swept.failed += unread.directories;
                if let Some((path, cause)) = unread.first {
                    work.reporter.warn(&format!(
                        "cannot read {}, the first: {}: {cause}",
                        count(unread.directories, "directory"),
                        shown_whole(path.as_os_str())
                    ));
                }
            }
            Err(cause) => swept += failed(work, cause),
        }
        interrupted.map_or(Ok(swept), Err)
    }
}

impl Sweep {
    /// The directory, where there is one to look into.
    fn open(&self, work: &mut Work) -> std::io::Result<Option<Tree>> {
        if !self.through_link && is_link(&self.directory) {
            work.reporter.warn(&format!(
                "{} is a link and is not followed; name the directory it leads to in the configuration to have it cleared",
                self.directory.display()
            ));
            return Ok(None);
        }
        match Tree::open(&self.directory, self.deep, self.through_link) {
            Ok(tree) => Ok(Some(tree)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn is_due(&self, found: &Found, now: SystemTime) -> bool {
        self.minimum_age.is_zero()
            || now
                .duration_since(found.modified)
                .is_ok_and(|age| age >= self.minimum_age)
    }

    /// Runs the site's command for one file, as `find -exec COMMAND FILE ;`.
    /// Returns what went wrong, if anything; an error only where the verb was
    /// asked to end.
    fn hand_over(&self, work: &mut Work, path: &Path) -> Result<Option<String>> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(None);
        };
        let mut tool = Tool::new(program.into(), arguments.iter().cloned());
        tool.arguments.push(path.into());
        match run_tool(work, &tool) {
            Ok(end) if end.success() => Ok(None),
            Ok(end) => Ok(Some(end.describe())),
            Err(error @ Error::Interrupted { .. }) => Err(error),
            Err(error) => Ok(Some(error.to_string())),
        }
    }
}

impl Sweeping<'_> {
    /// Deals with some files of one directory. An error only where the verb
    /// was asked to end.
    fn take(&mut self, work: &mut Work, group: &[Candidate<'_>]) -> Result<()> {
        let mut due = Vec::new();
        for file in group {
            self.looked_at += 1;
            if self.looked_at.is_multiple_of(LOOK_EVERY) || !self.sweep.command.is_empty() {
                self.look_up(work)?;
            }
            let Some(found) = self.due(file) else {
                continue;
            };
            let path = || self.sweep.directory.join(file.below_top());
            match self.mode {
                Mode::Remove if self.sweep.command.is_empty() => due.push((file, found.size)),
                Mode::Remove => match self.sweep.hand_over(work, &path())? {
                    None => self.count(found.size),
                    Some(problem) => self.fail(file, &problem),
                },
                Mode::List => {
                    let line = format!("{:>14}  {}", found.size, shown_whole(path().as_os_str()));
                    work.reporter.info(&line);
                    self.count(found.size);
                }
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        self.look_up(work)?;
        let files: Vec<&Candidate<'_>> = due.iter().map(|(file, _)| *file).collect();
        let mut failures = remove_all(&files).into_iter().peekable();
        for (index, (file, size)) in due.iter().enumerate() {
            match failures.next_if(|(failed, _)| *failed == index) {
                Some((_, cause)) => self.fail(file, &cause.to_string()),
                None => self.count(*size),
            }
        }
        Ok(())
    }

    /// Looks at a file; none where it stays.
    fn due(&mut self, file: &Candidate<'_>) -> Option<Found> {
        let found = match file.examine() {
            Ok(found) => found.filter(|found| self.sweep.is_due(found, self.now))?,
            Err(cause) => {
                self.fail(file, &cause.to_string());
                return None;
            }
        };
        if self.mode == Mode::List && !self.listed.insert(found.id) {
            return None;
        }
        if self.open.contains(found.id) {
            self.swept.open += 1;
            return None;
        }
        Some(found)
    }

    fn count(&mut self, bytes: u64) {
        self.swept.files += 1;
        self.swept.bytes += bytes;
    }

    /// Looks whether the verb was asked to end, and says how far it is.
    fn look_up(&mut self, work: &mut Work) -> Result<()> {
        let place = self.sweep.directory.display();
        if let Some(signal) = work.signals.pending() {
            let state = format!(
                "clearing {place} ended after {}; the rest is left as it was",
                count(self.swept.files, "file")
            );
            return Err(work.interrupted(signal, state));
        }
        if self.mode == Mode::Remove && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            work.reporter.progress(&format!(
                "{place}: {} so far",
                count(self.swept.files, "file")
            ));
        }
        Ok(())
    }

    fn fail(&mut self, file: &Candidate<'_>, problem: &str) {
        self.swept.failed += 1;
        let path = self.sweep.directory.join(file.below_top());
        self.first_failure
            .get_or_insert_with(|| format!("{}: {problem}", shown_whole(path.as_os_str())));
    }

    fn tell(&self, work: &mut Work) {
        let Swept {
            files, bytes, open, ..
        } = self.swept;
        let place = self.sweep.directory.display();
        let what = format!("{} ({})", count(files, "file"), size(bytes));
        if files > 0 {
            let command = shown_whole(&self.sweep.command.join(OsStr::new(" ")));
            let line = match (self.mode, command.is_empty()) {
                (Mode::Remove, true) => format!("Removed {what} from {place}"),
                (Mode::Remove, false) => format!("'{command}' was run for {what} of {place}"),
                (Mode::List, true) => format!("Would remove {what} from {place}"),
                (Mode::List, false) => format!("'{command}' would be run for {what} of {place}"),
            };
            work.reporter.info(&line);
        }
        if open > 0 {
            work.reporter.info(&format!(
                "Kept {} of {place}: due, but open in a process of this user",
                count(open, "file")
            ));
        }
        if let Some(first) = &self.first_failure {
            work.reporter.warn(&format!(
                "{} of {place} could not be removed, the first: {first}",
                count(self.swept.failed, "file")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_servers_archives_match() {
        let pattern = |log: &str, plain| Pattern::Archive {
            log: log.into(),
            plain,
        };
        let other = pattern("/a.b/mail.out", false);
        assert!(other.matches(OsStr::new("mail_261122_170000.out.gz")));
        assert!(!other.matches(OsStr::new("mail_261122_170000.log.gz")));
        let plain = pattern("/logs/mail", true);
        assert!(plain.matches(OsStr::new("mail_261122_170000.log")));
        assert!(plain.matches(OsStr::new("mail_261122_170000.log.gz")));
        let pattern = pattern("/logs/mail.log", false);
        for (name, expected) in [
            ("mail_261122_170000.log.gz", true),
            ("mail_261122_170000_tag.log.gz", true),
            ("mail_hub_261122_170000.log.gz", false),
            ("hub_261122_170000.log.gz", false),
            ("mail_261122_170000.log", false),
            ("mail_.log.gz", false),
            ("mail_26112a_170000.log.gz", false),
        ] {
            assert_eq!(pattern.matches(OsStr::new(name)), expected, "{name}");
        }
        let suffixes = Pattern::Suffixes(&[".diag", ".lck"]);
        assert!(suffixes.matches(OsStr::new("a.lck")));
        assert!(!suffixes.matches(OsStr::new("a.lck.keep")));
    }
}
