//! Writes the planned archive: each member masked, the whole mode 0600, and no
//! half of one left behind.

use super::plan::{Item, Plan, Source};
use super::{LARGEST, Wanted};
use crate::domino::Partition;
use crate::domino::figures::size;
use crate::domino::masking::Masker;
use crate::domino::tarball::Tarball;
use crate::domino::tools::Work;
use crate::error::{Error, Result, shown};
use crate::os::files::is_writable;
use flate2::read::MultiGzDecoder;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// How much in front of a file's end is looked at, in bytes.
const LEAD_IN: u64 = 64 * 1024;

/// An archive that was written.
#[derive(Debug)]
pub struct Written {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// How many passwords and keys were masked.
    pub masked: u64,
}

/// Removes a file unless it is told not to.
struct Partial(Option<PathBuf>);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes the archive.
pub fn write(work: &mut Work, plan: &Plan, wanted: &Wanted) -> Result<Written> {
    let stamp = work.partition.stamp("%Y%m%d_%H%M%S")?;
    let top = top_name(&work.partition.name(), &stamp);
    let (file, path) = create(work.partition, wanted, &top)?;
    let mut partial = Partial(Some(path.clone()));
    let mut run = Run {
        work,
        top: top.into_encoded_bytes(),
        masked: 0,
        done: 0,
        all: plan.bytes(),
        told: Instant::now(),
        archive: &path,
    };
    let failed = Error::file("write", &path);
    let mut tarball = Tarball::new(BufWriter::new(file), now());
    run.text(&mut tarball, b"contents.txt", &plan_text(plan))?;
    for item in &plan.items {
        run.item(&mut tarball, item)?;
    }
    let masked = run.masked;
    let file = tarball
        .finish()
        .and_then(|buffer| buffer.into_inner().map_err(|error| error.into_error()))
        .and_then(|file| file.sync_all().map(|()| file))
        .map_err(failed)?;
    partial.0 = None;
    Ok(Written {
        size: file.metadata().map_or(0, |found| found.len()),
        path,
        masked,
    })
}

/// Creates the archive's file; one that is there is never replaced. A second
/// archive of the same second gets a number.
fn create(partition: &Partition, wanted: &Wanted, top: &OsStr) -> Result<(File, PathBuf)> {
    let new = |path: &Path| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    };
    if let Some(path) = &wanted.output {
        let file = new(path).map_err(Error::file("create", path))?;
        return Ok((file, path.clone()));
    }
    let directory = directory(partition);
    let mut number = 1;
    loop {
        let mut name = top.to_owned();
        if number > 1 {
            name.push(format!("_{number}"));
        }
        name.push(".tar.gz");
        let path = directory.join(name);
        match new(&path) {
            Ok(file) => return Ok((file, path)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && number < 100 => {
                number += 1;
            }
            Err(cause) => return Err(Error::file("create", path)(cause)),
        }
    }
}

/// Where the archive goes: where it is configured to; on an installation that
/// is broken or new, where there is a directory at all.
fn directory(partition: &Partition) -> PathBuf {
    [partition.settings.diag_dir(), partition.data()]
        .into_iter()
        .find(|directory| is_writable(directory))
        .unwrap_or_else(std::env::temp_dir)
}

/// The directory within the archive: the server's name, made fit for a file's name.
fn top_name(server: &OsStr, stamp: &str) -> OsString {
    let server: String = server
        .to_string_lossy()
        .chars()
        .take(60)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("domdiag_{server}_{stamp}").into()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn plan_text(plan: &Plan) -> Vec<u8> {
    let mut text = plan.lines().join("\n").into_bytes();
    text.push(b'\n');
    text
}

struct Run<'a, 'w> {
    work: &'a mut Work<'w>,
    top: Vec<u8>,
    masked: u64,
    done: u64,
    all: u64,
    told: Instant,
    archive: &'a Path,
}

type Archive = Tarball<BufWriter<File>>;

impl Run<'_, '_> {
    fn name(&self, name: &[u8]) -> Vec<u8> {
        [&self.top, b"/".as_slice(), name].concat()
    }

    fn text(&mut self, tarball: &mut Archive, name: &[u8], text: &[u8]) -> Result<()> {
        tarball
            .add(&self.name(name), text)
            .map_err(Error::file("write", self.archive))
    }

    fn item(&mut self, tarball: &mut Archive, item: &Item) -> Result<()> {
        if let Source::Text(text) = &item.source {
            self.done += text.len() as u64;
            return self.text(tarball, &item.name, text);
        }
        // Masking changes lengths, and the header comes first: once through
        // the file for the length, once more for the content.
        let mut length = 0;
        let mut masker = masker(&item.source);
        // The first time counts for little: it compresses nothing.
        let measured = self.read(item, &mut masker, false, &mut |part| {
            length += part.len() as u64;
            Ok(())
        })?;
        let length = match measured {
            Ok(()) => length,
            Err(error) => return self.not_read(tarball, item, &error),
        };
        self.masked += masker.masked();
        let mut member = tarball
            .member(&self.name(&item.name), length, item.modified)
            .map_err(Error::file("write", self.archive))?;
        let mut masker = self::masker(&item.source);
        let written = self.read(item, &mut masker, true, &mut |part| member.write(part))?;
        if let Err(Fault::Archive(cause)) = written {
            return Err(Error::file("write", self.archive)(cause));
        }
        // A source that could be read a moment ago and no more is filled up.
        member.end().map_err(Error::file("write", self.archive))?;
        self.done += item.size.min(LARGEST);
        Ok(())
    }

    /// A file that cannot be read is no reason to give up the others.
    fn not_read(&mut self, tarball: &mut Archive, item: &Item, fault: &Fault) -> Result<()> {
        let (Fault::Source(cause) | Fault::Archive(cause)) = fault;
        let name = shown(OsStr::from_bytes(&item.name));
        self.work
            .reporter
            .warn(&format!("{name}: {cause}; left out"));
        let name = [item.name.as_slice(), b".unreadable"].concat();
        self.text(tarball, &name, format!("{cause}\n").as_bytes())
    }

    /// Says how far it is, once a second, and ends the run if a signal asks
    /// for that.
    fn step(&mut self, item: &Item, read: u64) -> Result<()> {
        self.work.check_signals("the archive was removed again")?;
        if self.told.elapsed() >= Duration::from_secs(1) {
            self.told = Instant::now();
            let done = self.done + read;
            let percent = (done * 100).checked_div(self.all).unwrap_or(100).min(100);
            self.work.reporter.progress(&format!(
                "{percent:>3} %  {}  {}",
                size(done),
                shown(OsStr::from_bytes(&item.name))
            ));
        }
        Ok(())
    }

    /// Reads what is taken of a file through the masker. The outer result is
    /// that of the run, the inner one that of this file.
    fn read(
        &mut self,
        item: &Item,
        masker: &mut Masker,
        counts: bool,
        out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<std::result::Result<(), Fault>> {
        let mut reader = match open(item, masker) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(Fault::Source(error))),
        };
        let mut piece = vec![0; PIECE];
        let mut read = 0;
        loop {
            self.step(item, if counts { read } else { 0 })?;
            let count = match reader.read(&mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(Fault::Source(error))),
            };
            if count == 0 {
                return Ok(masker.finish(out).map_err(Fault::Archive));
            }
            read += count as u64;
            if let Err(cause) = masker.feed(&piece[..count], out) {
                return Ok(Err(Fault::Archive(cause)));
            }
        }
    }
}

/// What went wrong with a file: itself, or the archive it was written to.
enum Fault {
    Source(io::Error),
    Archive(io::Error),
}

fn masker(source: &Source) -> Masker {
    match source {
        Source::Sourced(_) => Masker::for_sourced(),
        _ => Masker::for_logs(),
    }
}

/// The part of a file that is taken: its end where it is too large, unpacked
/// and its front where it is packed. The masker gets a stretch in front of an
/// end to read: a secret may lie across the cut.
fn open(item: &Item, masker: &mut Masker) -> io::Result<Box<dyn Read>> {
    let Some(mut file) = item.source.open()? else {
        return Ok(Box::new(io::empty()));
    };
    if matches!(item.source, Source::Packed(_)) {
        return Ok(Box::new(MultiGzDecoder::new(file).take(LARGEST)));
    }
    // As long as when it was planned: a log goes on growing.
    let from = item.size.saturating_sub(LARGEST);
    if from > 0 {
        file.seek(SeekFrom::Start(from.saturating_sub(LEAD_IN)))?;
        let mut lead_in = Vec::new();
        (&file).take(from.min(LEAD_IN)).read_to_end(&mut lead_in)?;
        masker.skip(&lead_in);
    }
    Ok(Box::new(file.take(item.size - from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archives_name_is_a_plain_one() {
        let name = top_name(OsStr::new("a/../b c\n"), "20261122_170000");
        assert_eq!(name, "domdiag_a____b_c__20261122_170000");
    }
}
