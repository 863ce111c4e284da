//! Sets the console log aside under a dated name and compresses it.
//!
//! Names: `SERVER_YYMMDD_HHMMSS[_TAG].log.gz`, in DOMINO_LOG_BACKUP_DIR or
//! beside the log.

mod in_place;
mod packing;

use super::figures::size;
use super::lock::LOCK_FILE;
use super::partition::Partition;
use super::processes;
use super::server_log::ServerLog;
use super::state::State;
use super::sweep::extension;
use super::tools::{Tool, Work, launch, output_to, program_failed, run_by_line};
use crate::error::{Error, Result, shown};
use crate::os::lock::{Lock, try_exclusive};
use crate::os::signals::Signal;
use crate::os::spawn::Launch;
use in_place::Cut;
use packing::{Form, Packer};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The hidden verb under which the program runs itself to compress a log in
/// the background: a process of its own, so that the verb need not wait and
/// the server inherits nothing.
pub const COMPRESS_VERB: &str = "__compress";

/// The command that the built-in compressor stands in for.
const BUILT_IN: [&str; 2] = ["gzip", "--best"];

/// How often a long archiving says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether another archiving has ended.
const STEP: Duration = Duration::from_millis(100);

/// What became of the console log.
#[derive(Debug)]
pub enum Archived {
    /// There is none, or it is empty.
    Nothing,
    /// It is archived.
    As(PathBuf),
    /// It is set aside in this file, but could not be compressed; why not.
    Uncompressed(PathBuf, String),
}

/// Archives the log now, whether the server runs or not, and compresses it
/// before it returns. Of a server that runs no line is lost where the
/// filesystem can do that; where it cannot, that is said.
pub fn now(work: &mut Work, tag: Option<&OsStr>) -> Result<Archived> {
    let log = ServerLog::of(work.partition);
    if log.size() == 0 {
        return Ok(Archived::Nothing);
    }
    let name = free_name(work.partition, tag)?;
    let Some(_held) = hold(work, log.path())? else {
        return Ok(Archived::Nothing);
    };
    let own_compressor = site_compressor(work.partition).is_none();
    if let Some(_lock) = quiet_server(work)? {
        let Some(file) = set_aside_as(&log, name)? else {
            return Ok(Archived::Nothing);
        };
        return if own_compressor {
            compress_here(work, &file)
        } else {
            compress_by_site(work, file)
        };
    }
    let (target, form) = if own_compressor {
        (with_suffix(&name, ".gz"), Form::Gzip)
    } else {
        (name, Form::Plain)
    };
    let total = log.size();
    match in_place::archive(&mut Steps::new(work, total), log.path(), &target, form)? {
        Cut::Whole => {}
        Cut::Lossy(cause) => work.reporter.warn(&format!(
            "{} could not be shortened in one step ({cause}): it was copied and truncated, and lines written at that moment can be lost",
            log.path().display()
        )),
    }
    match form {
        Form::Gzip => Ok(Archived::As(target)),
        Form::Plain => compress_by_site(work, target),
    }
}

/// The lock of the partition where nothing of the server runs and nobody is
/// about to start it: only then may the log be renamed, for whoever has it
/// open would go on writing to the archive.
fn quiet_server(work: &Work) -> Result<Option<Lock>> {
    let path = work.partition.data().join(LOCK_FILE);
    let lock = Lock::try_acquire(&path).map_err(Error::file("lock", &path))?;
    let state = State::of(processes::find(work.partition)?);
    Ok(lock.filter(|_| matches!(state, State::Stopped)))
}

/// Waits until nobody else archives this log. The lock is the log's own: one
/// that was renamed meanwhile is another log's. None where there is no log any
/// more.
fn hold(work: &mut Work, log: &Path) -> Result<Option<File>> {
    let failed = |cause| Error::file("lock", log)(cause);
    let until = Instant::now() + work.partition.settings.lock_timeout();
    let mut told = false;
    loop {
        let file = match OpenOptions::new().append(true).open(log) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("write to", log))?,
        };
        let free = try_exclusive(&file).map_err(failed)?;
        let held = file.metadata().map_err(failed)?;
        let named = std::fs::metadata(log);
        let is_log =
            named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino()));
        if free && is_log {
            return Ok(Some(file));
        }
        if !told && !free {
            told = true;
            work.reporter
                .info("Waiting for another rc_domino to finish archiving the console log");
        }
        if Instant::now() >= until {
            return Err(Error::Locked {
                holder: "another archiving of the console log".into(),
                seconds: work.partition.settings.lock_timeout().as_secs(),
            });
        }
        work.pause(Instant::now() + STEP, "the console log was not archived")?;
    }
}

/// Sets the log of a server that is down aside. Returns where it went; None
/// where there is no log, or an empty one.
pub fn set_aside(work: &mut Work, tag: Option<&OsStr>) -> Result<Option<PathBuf>> {
    let log = ServerLog::of(work.partition);
    if log.size() == 0 {
        return Ok(None);
    }
    let Some(_held) = hold(work, log.path())? else {
        return Ok(None);
    };
    set_aside_as(&log, free_name(work.partition, tag)?)
}

fn set_aside_as(log: &ServerLog, target: PathBuf) -> Result<Option<PathBuf>> {
    if log.size() == 0 {
        return Ok(None);
    }
    move_file(log.path(), &target).map_err(Error::file("archive the console log as", &target))?;
    log.append(format!("--- Console log archived as {} ---\n", target.display()).as_bytes())?;
    Ok(Some(target))
}

/// Compresses an archived log in the background, by the built-in compressor
/// or by the site's COMPRESS_COMMAND.
pub fn compress_in_background(work: &mut Work, file: &Path) -> Result<()> {
    let mut launch = compressor(work.partition, file)?;
    launch.new_session = true;
    launch.ignore_hangup = true;
    // Nothing of the caller's: whoever reads this program's output to its end
    // must not wait for the compressor.
    let log = ServerLog::of(work.partition).open_for_append()?;
    output_to(&mut launch, &log)?;
    let program = PathBuf::from(&launch.program);
    launch.spawn().map_err(program_failed(&program))?;
    Ok(())
}

/// Sets the log aside and compresses it in the background, saying so. Failing
/// to archive a log never keeps a server from starting.
pub fn rotate(work: &mut Work) -> Result<()> {
    match set_aside(work, None) {
        Ok(None) => {}
        Ok(Some(file)) => {
            work.reporter
                .info(&format!("Console log archived as {}", file.display()));
            if let Err(error) = compress_in_background(work, &file) {
                work.reporter
                    .warn(&format!("{error}; the archive stays uncompressed"));
            }
        }
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(error) => work
            .reporter
            .warn(&format!("{error}; the console log goes on where it is")),
    }
    Ok(())
}

fn compressor(partition: &Partition, file: &Path) -> Result<Launch> {
    let (program, mut arguments) = match site_compressor(partition) {
        Some((program, arguments)) => (program, arguments.to_vec()),
        None => (
            std::env::current_exe().map_err(Error::system("find this program's own file"))?,
            vec![COMPRESS_VERB.into()],
        ),
    };
    arguments.push(file.into());
    Ok(launch(partition, &Tool::new(program, arguments)))
}

/// The site's COMPRESS_COMMAND, where it is not what is built in.
fn site_compressor(partition: &Partition) -> Option<(PathBuf, &[OsString])> {
    let configured = &partition.settings.compress_command.value;
    let (program, arguments) = configured.split_first()?;
    (configured != &BUILT_IN).then(|| (program.into(), arguments))
}

/// Compresses a log that was set aside, saying how far it is.
fn compress_here(work: &mut Work, file: &Path) -> Result<Archived> {
    let total = std::fs::metadata(file).map_or(0, |found| found.len());
    let mut steps = Steps::new(work, total);
    match compress_with(file, &mut |bytes| steps.step(bytes)) {
        Ok(archive) => Ok(Archived::As(archive)),
        Err(cause) => {
            let state = format!("{} stays uncompressed", file.display());
            steps.interruption(state)?;
            Ok(Archived::Uncompressed(
                file.to_path_buf(),
                cause.to_string(),
            ))
        }
    }
}

/// Lets the site's command compress a log that was set aside.
fn compress_by_site(work: &mut Work, file: PathBuf) -> Result<Archived> {
    let Some((program, arguments)) = site_compressor(work.partition) else {
        return Ok(Archived::As(file));
    };
    let mut tool = Tool::new(program, arguments.iter().cloned());
    tool.arguments.push(file.clone().into());
    let ended = run_by_line(work, &tool, |reporter, line| {
        reporter.info(&shown(OsStr::from_bytes(line)));
    });
    let problem = match ended {
        Ok(end) if end.success() => {
            // What the command makes of the name is its own affair.
            let compressed = with_suffix(&file, ".gz");
            return Ok(Archived::As(if compressed.exists() {
                compressed
            } else {
                file
            }));
        }
        Ok(end) => format!("{} {}", tool.program.display(), end.describe()),
        Err(error @ Error::Program { .. }) => error.to_string(),
        Err(error) => return Err(error),
    };
    Ok(Archived::Uncompressed(file, problem))
}

/// Tells how far an archiving is, and whether it was asked to end.
struct Steps<'w, 'a> {
    work: &'w mut Work<'a>,
    total: u64,
    done: u64,
    told: Instant,
    signal: Option<Signal>,
}

impl<'w, 'a> Steps<'w, 'a> {
    fn new(work: &'w mut Work<'a>, total: u64) -> Steps<'w, 'a> {
        Steps {
            work,
            total,
            done: 0,
            told: Instant::now(),
            signal: None,
        }
    }

    /// Whether somebody shows the log as it grows: what he has not read before
    /// its front goes he never will.
    fn is_followed(&self) -> bool {
        self.work.partition.settings.docker_stdout.value
    }

    /// So many bytes more are done. An error where a signal asks for an end.
    fn step(&mut self, bytes: u64) -> io::Result<()> {
        self.done += bytes;
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let percent = self.done.saturating_mul(100) / self.total.max(1);
            self.work.reporter.progress(&format!(
                "Compressing the console log: {} % of {}",
                percent.min(100),
                size(self.total)
            ));
        }
        self.signal = self.work.signals.pending();
        match self.signal {
            Some(_) => Err(io::Error::other("interrupted")),
            None => Ok(()),
        }
    }

    /// The error of a verb that a signal ended, if one did.
    fn interruption(&self, state: String) -> Result<()> {
        match self.signal {
            Some(signal) => Err(self.work.interrupted(signal, state)),
            None => Ok(()),
        }
    }

    /// Adds a part of the log to an archive.
    fn add(
        &mut self,
        packer: &mut Packer,
        source: &File,
        from: u64,
        to: u64,
        archive: &Path,
    ) -> Result<()> {
        self.total = self.total.max(to);
        let added = packer.add(source, from, to, &mut |bytes| self.step(bytes));
        self.interruption("the console log is whole, nothing was archived".into())?;
        added.map_err(Error::file("write", archive))
    }
}

/// A name for the archive that no file has yet.
fn free_name(partition: &Partition, tag: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(tag) = tag
        && (tag
            .as_bytes()
            .iter()
            .any(|byte| *byte == b'/' || byte.is_ascii_control())
            || tag.len() > 100)
    {
        return Err(Error::Usage(format!(
            "'{}' cannot be part of an archive's name: a tag holds no slash, no control character and at most 100 bytes",
            shown(tag)
        )));
    }
    let log = partition.log();
    let directory = partition.settings.log_backup_dir();
    // What the file operations say of it would not name the setting.
    if !directory.is_dir() {
        return Err(Error::Path {
            path: directory,
            problem: "no such directory; create it, or correct DOMINO_LOG_BACKUP_DIR: the console log was not archived".to_owned(),
        });
    }
    let stamp = partition.stamp("%y%m%d_%H%M%S")?;
    let tag = tag.unwrap_or_default();
    for attempt in 1..1000 {
        let name = archive_name(&log, &stamp, tag, attempt);
        let path = directory.join(&name);
        let mut compressed = name;
        compressed.push(".gz");
        if path.symlink_metadata().is_err()
            && directory.join(compressed).symlink_metadata().is_err()
        {
            return Ok(path);
        }
    }
    Err(Error::Path {
        path: directory,
        problem: "holds too many archives of this second".to_owned(),
    })
}

fn archive_name(log: &Path, stamp: &str, tag: &OsStr, attempt: u32) -> OsString {
    let mut name = log.file_stem().unwrap_or_default().to_owned();
    name.push("_");
    name.push(stamp);
    if !tag.is_empty() {
        name.push("_");
        name.push(tag);
    }
    // Two archives within one second: the second one is counted.
    if attempt > 1 {
        name.push(format!("_{attempt}"));
    }
    name.push(".");
    name.push(extension(log));
    name
}

/// Renames; across filesystems, copies, flushes and removes the original.
pub(crate) fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let copied = copy_whole(from, to);
            if copied.is_err() {
                let _ = std::fs::remove_file(to);
            }
            copied?;
            std::fs::remove_file(from)
        }
        other => other,
    }
}

fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = crate::os::files::open_regular(from)?;
    let mut target = new_file(to, source.metadata()?.mode())?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o777)
        .open(path)
}

/// A path with something behind its last component.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Compresses `file` into `file.gz` and removes it. The source stays whole
/// until the archive is complete and on disk; a partial archive is removed.
pub fn compress(file: &Path) -> io::Result<PathBuf> {
    compress_with(file, &mut |_| Ok(()))
}

fn compress_with(file: &Path, step: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<PathBuf> {
    let source = crate::os::files::open_regular(file)?;
    let found = source.metadata()?;
    let target = with_suffix(file, ".gz");
    let partial = with_suffix(&target, ".partial");
    let output = new_file(&partial, found.mode() & 0o777)?;
    let mut packer = Packer::new(&output, Form::Gzip);
    let written = packer
        .add(&source, 0, found.len(), step)
        .and_then(|()| packer.finish())
        .and_then(|()| {
            // The archive keeps the log's age: clear-up goes by it.
            output.set_modified(found.modified()?)?;
            output.set_permissions(std::fs::Permissions::from_mode(found.mode() & 0o777))?;
            output.sync_all()
        });
    if let Err(error) = written.and_then(|()| std::fs::rename(&partial, &target)) {
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    std::fs::remove_file(file)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn names_keep_dots_and_blanks_where_they_are() {
        let name = |log: &str, tag: &str, attempt| {
            archive_name(Path::new(log), "261122_170000", OsStr::new(tag), attempt)
        };
        assert_eq!(name("/a.b/notes.log", "", 1), "notes_261122_170000.log");
        assert_eq!(
            name("/a b/my.server.log", "x", 1),
            "my.server_261122_170000_x.log"
        );
        assert_eq!(name("/a/notes", "", 2), "notes_261122_170000_2.log");
    }

    #[test]
    fn compressing_replaces_the_file_and_keeps_its_age() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        let text = b"line\n".repeat(100_000);
        std::fs::write(&log, &text).unwrap();
        let age = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options()
            .write(true)
            .open(&log)
            .unwrap()
            .set_modified(age)
            .unwrap();
        let archive = compress(&log).unwrap();
        assert_eq!(archive, directory.path().join("a.log.gz"));
        assert!(!log.exists());
        assert_eq!(
            std::fs::metadata(&archive).unwrap().modified().unwrap(),
            age
        );
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(File::open(&archive).unwrap())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn a_failed_compression_leaves_the_source() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        std::fs::write(&log, b"x").unwrap();
        std::fs::create_dir(directory.path().join("a.log.gz")).unwrap();
        assert!(compress(&log).is_err());
        assert_eq!(std::fs::read(&log).unwrap(), b"x");
        assert!(!directory.path().join("a.log.gz.partial").exists());
    }
}
