//! Follows the console log as it grows, is truncated or replaced.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// How much of a log is read at once.
const BLOCK: usize = 64 * 1024;

/// How much of what was read last is kept, to find the place again.
const TRACE: usize = 4096;

/// A reader that goes on where the log goes on: after a truncation from its
/// beginning, after a replacement in the new file.
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    identity: (u64, u64),
    position: u64,
    unfinished: Vec<u8>,
    /// What was read last.
    trace: Vec<u8>,
}

impl Follower {
    /// Follows `path` from its last `lines` lines on.
    pub fn new(path: PathBuf, lines: usize) -> Result<Follower> {
        let mut follower = Follower {
            path,
            file: None,
            identity: (0, 0),
            position: 0,
            unfinished: Vec::new(),
            trace: Vec::new(),
        };
        follower.open()?;
        if follower.file.is_some() {
            let log = super::server_log::ServerLog::at(follower.path.clone());
            let size = log.size();
            let tail = log.last_lines(lines)?;
            follower.position = size.saturating_sub(tail.len() as u64);
        }
        Ok(follower)
    }

    fn open(&mut self) -> Result<()> {
        match crate::os::files::open_regular(&self.path) {
            Ok(file) => {
                let found = file.metadata().map_err(Error::file("read", &self.path))?;
                self.identity = (found.dev(), found.ino());
                self.position = 0;
                self.file = Some(file);
                Ok(())
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                self.file = None;
                Ok(())
            }
            Err(cause) => Err(Error::file("read", &self.path)(cause)),
        }
    }

    /// Hands each whole line that is new to `line`; false where there was none.
    pub fn read_new(&mut self, mut line: impl FnMut(&[u8])) -> Result<bool> {
        let mut any = false;
        loop {
            let count = self.read_block()?;
            any |= count > 0;
            let mut told = 0;
            while let Some(length) = self.unfinished[told..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                line(&self.unfinished[told..told + length]);
                told += length + 1;
            }
            self.unfinished.drain(..told);
            // A line without end must not fill the memory.
            if self.unfinished.len() > BLOCK {
                line(&self.unfinished);
                self.unfinished.clear();
            }
            if count > 0 {
                continue;
            }
            if !self.moved_on()? {
                return Ok(any);
            }
        }
    }

    fn read_block(&mut self) -> Result<usize> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let mut block = [0; BLOCK];
        let count = file
            .seek(SeekFrom::Start(self.position))
            .and_then(|_| file.read(&mut block))
            .map_err(Error::file("read", &self.path))?;
        self.position += count as u64;
        self.unfinished.extend_from_slice(&block[..count]);
        self.trace.extend_from_slice(&block[..count]);
        let surplus = self.trace.len().saturating_sub(TRACE);
        self.trace.drain(..surplus);
        Ok(count)
    }

    /// Where to go on in a log that became shorter: an archiving takes its
    /// front away, and what stays may have been read already.
    fn place_after_cut(&mut self) -> u64 {
        let mut front = Vec::new();
        if let Some(file) = &mut self.file
            && file.seek(SeekFrom::Start(0)).is_ok()
        {
            let _ = file.take(16 * BLOCK as u64).read_to_end(&mut front);
        }
        let trace = &self.trace;
        if trace.is_empty() {
            return 0;
        }
        let whole = front.windows(trace.len()).position(|part| part == trace);
        let place = whole.map(|at| at + trace.len()).or_else(|| {
            let longest = trace.len().min(front.len());
            // With a line's end in it: any log may begin with the byte that
            // another ended with.
            let end = front
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(longest);
            (end + 1..=longest)
                .rev()
                .find(|length| trace.ends_with(&front[..*length]))
        });
        place.unwrap_or(0) as u64
    }

    /// At the end of what was read: was the log truncated or replaced?
    fn moved_on(&mut self) -> Result<bool> {
        let Ok(found) = std::fs::metadata(&self.path) else {
            return Ok(false);
        };
        if self.file.is_none() || self.identity != (found.dev(), found.ino()) {
            self.open()?;
            return Ok(self.file.is_some());
        }
        if found.len() < self.position {
            self.position = self.place_after_cut();
            if self.position == 0 {
                self.unfinished.clear();
            }
            return Ok(true);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn drain(follower: &mut Follower) -> Vec<String> {
        let mut lines = Vec::new();
        follower
            .read_new(|line| lines.push(String::from_utf8_lossy(line).into_owned()))
            .unwrap();
        lines
    }

    #[test]
    fn growth_truncation_and_replacement_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "a\nb\nc\n").unwrap();
        let mut follower = Follower::new(path.clone(), 1).unwrap();
        assert_eq!(drain(&mut follower), ["c"]);
        let mut log = File::options().append(true).open(&path).unwrap();
        log.write_all(b"d\ne").unwrap();
        assert_eq!(drain(&mut follower), ["d"]);
        log.write_all(b"e\n").unwrap();
        assert_eq!(drain(&mut follower), ["ee"]);
        log.set_len(0).unwrap();
        log.write_all(b"f\n").unwrap();
        assert_eq!(drain(&mut follower), ["f"]);
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        assert_eq!(drain(&mut follower), [""; 0]);
        std::fs::write(&path, "g\n").unwrap();
        assert_eq!(drain(&mut follower), ["g"]);
    }

    #[test]
    fn a_log_whose_front_goes_is_followed_without_gap_or_repetition() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let lines: Vec<String> = (0..600).map(|n| format!("line {n}")).collect();
        let text = |from: usize, to: usize| lines[from..to].join("\n") + "\n";
        for cut in [100, 250, 499] {
            std::fs::write(&path, text(0, 500)).unwrap();
            let mut follower = Follower::new(path.clone(), 500).unwrap();
            assert_eq!(drain(&mut follower).len(), 500);
            let mut log = File::options().append(true).open(&path).unwrap();
            log.set_len(0).unwrap();
            log.write_all(text(cut, 520).as_bytes()).unwrap();
            assert_eq!(drain(&mut follower), lines[500..520], "{cut}");
        }
    }

    #[test]
    fn a_new_log_is_not_taken_for_the_rest_of_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "one\ntwo\nthre").unwrap();
        let mut follower = Follower::new(path.clone(), 9).unwrap();
        assert_eq!(drain(&mut follower), ["one", "two"]);
        std::fs::write(&path, "else\n").unwrap();
        assert_eq!(drain(&mut follower), ["else"]);
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut follower = Follower::new(path.clone(), 5).unwrap();
        assert_eq!(drain(&mut follower), [""; 0]);
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(drain(&mut follower), ["x"]);
    }
}
