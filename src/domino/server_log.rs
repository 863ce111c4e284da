//! The server's console log: the file its output is appended to.

use super::partition::Partition;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// At most this much of a log is looked at when searching it: 5,000 lines, as
/// the original looks at, are rarely longer.
const SEARCHED_BYTES: u64 = 4 * 1024 * 1024;

/// The console log of a partition.
#[derive(Clone, Debug)]
pub struct ServerLog {
    path: PathBuf,
}

impl ServerLog {
    /// The log that the configuration names.
    pub fn of(partition: &Partition) -> ServerLog {
        ServerLog {
            path: partition.log(),
        }
    }

    /// The log that shows what the server says now: the Java controller's
    /// where it runs the server, else the configured one, else Domino's own
    /// console.log.
    pub fn shown(partition: &Partition) -> ServerLog {
        let log = partition.log();
        if !log.exists() {
            let own = partition.support().join("console.log");
            return ServerLog::at(if own.exists() { own } else { log });
        }
        if partition.settings.use_java_controller.value
            && let Ok(ini) = partition.notes_ini()
            // Older versions name it below the data directory.
            && let Some(path) = ini.path("DominoControllerCurrentLog", &partition.data())
            && path.is_file()
        {
            return ServerLog::at(path);
        }
        ServerLog::at(log)
    }

    /// A log by its path.
    pub fn at(path: PathBuf) -> ServerLog {
        ServerLog { path }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it (through a link, where the site has made one) so that whatever is
    /// written goes to its end, also when others write to it or it is truncated
    /// meanwhile.
    pub fn open_for_append(&self) -> Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
            .map_err(Error::file("write to", &self.path))
    }

    /// Appends lines in one write.
    pub fn append(&self, text: &[u8]) -> Result<()> {
        self.open_for_append()?
            .write_all(text)
            .map_err(Error::file("write to", &self.path))
    }

    /// Its size in bytes; 0 where there is none yet.
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// What was written since it had `offset` bytes; all of it where it was
    /// truncated or replaced since. Only the last part of a long stretch.
    pub fn since(&self, offset: u64) -> Vec<u8> {
        let size = self.size();
        let from = if size < offset { 0 } else { offset };
        self.read(from.max(size.saturating_sub(SEARCHED_BYTES)))
    }

    /// How it begins; only the first part of a long one.
    pub fn beginning(&self) -> Vec<u8> {
        self.read(0)
    }

    fn read(&self, from: u64) -> Vec<u8> {
        let mut text = Vec::new();
        // A log that cannot be read tells nothing; that is no failure of the
        // verb that looks into it.
        if let Ok(mut file) = crate::os::files::open_regular(&self.path)
            && file.seek(SeekFrom::Start(from)).is_ok()
        {
            let _ = file.take(SEARCHED_BYTES).read_to_end(&mut text);
        }
        text
    }

    /// The last `count` lines, read from the end.
    pub fn last_lines(&self, count: usize) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        self.tail(count)?
            .read_to_end(&mut text)
            .map_err(Error::file("read", &self.path))?;
        Ok(text)
    }

    /// The log from its last `count` lines on, up to its present end. Looked
    /// for from the end: the size of the log does not matter.
    pub fn tail(&self, count: usize) -> Result<std::io::Take<File>> {
        let open = || -> std::io::Result<std::io::Take<File>> {
            let mut file = crate::os::files::open_regular(&self.path)?;
            let end = file.metadata()?.len();
            let start = start_of_last(&file, end, count)?;
            file.seek(SeekFrom::Start(start))?;
            Ok(file.take(end - start))
        };
        open().map_err(Error::file("read", &self.path))
    }
}

/// Where the last `count` lines of a file of `end` bytes begin.
fn start_of_last(file: &File, end: u64, count: usize) -> std::io::Result<u64> {
    let mut block = vec![0; 64 * 1024];
    let mut position = end;
    let mut found = 0;
    while position > 0 && count > 0 {
        let length = position.min(block.len() as u64);
        position -= length;
        let part = &mut block[..length as usize];
        file.read_exact_at(part, position)?;
        for (at, byte) in part.iter().enumerate().rev() {
            // The newline at the very end ends the last line, it begins none.
            let next = position + at as u64 + 1;
            if *byte != b'\n' || next == end {
                continue;
            }
            found += 1;
            if found == count {
                return Ok(next);
            }
        }
    }
    Ok(if count == 0 { end } else { 0 })
}

/// Whether `needle` stands in `text`.
pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &[u8]) -> (tempfile::TempDir, ServerLog) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.log");
        std::fs::write(&path, text).unwrap();
        (directory, ServerLog::at(path))
    }

    #[test]
    fn last_lines_are_counted_from_the_end() {
        let (_keep, log) = log(b"one\ntwo\nthree\n");
        assert_eq!(log.last_lines(2).unwrap(), b"two\nthree\n");
        assert_eq!(log.last_lines(9).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(log.last_lines(0).unwrap(), b"");
    }

    #[test]
    fn an_unfinished_last_line_counts() {
        let (_keep, log) = log(b"one\ntwo\nthr");
        assert_eq!(log.last_lines(1).unwrap(), b"thr");
        assert_eq!(log.last_lines(2).unwrap(), b"two\nthr");
    }

    #[test]
    fn last_lines_cross_block_borders() {
        let text: Vec<u8> = (0..40_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let (_keep, log) = log(&text);
        let last = log.last_lines(30_000).unwrap();
        assert!(last.starts_with(b"10000\n10001\n"));
        assert!(last.ends_with(b"39999\n"));
    }

    #[test]
    fn since_survives_truncation() {
        let (_keep, log) = log(b"0123456789");
        assert_eq!(log.since(4), b"456789");
        std::fs::write(log.path(), b"new").unwrap();
        assert_eq!(log.since(10), b"new");
    }
}
