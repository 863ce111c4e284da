//! What a program writes into a pipe: read as it comes, taken apart in lines.

use super::explain;
use super::wait;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest line that is handed on in one piece, in bytes.
const LINE_MAX: usize = 64 * 1024;

/// The most that is read after the program has ended, in bytes: what it
/// started may go on writing.
const DRAIN_MAX: usize = 1024 * 1024;

/// Our end of a pipe; closed once everybody has closed the other one.
pub struct Pipe {
    reader: Option<PipeReader>,
}

impl Pipe {
    /// A pipe, and its other end for a program.
    pub fn open() -> io::Result<(Pipe, File)> {
        let (reader, writer) = io::pipe()?;
        let reader = Some(reader);
        Ok((Pipe { reader }, OwnedFd::from(writer).into()))
    }

    /// To wait with until there is something to read.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// Reads no more: whoever writes on is told so by the kernel.
    pub fn close(&mut self) {
        self.reader = None;
    }

    /// Reads once what is there and hands it to `take`; the number of bytes.
    pub fn read(&mut self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<usize> {
        let Some(reader) = &self.reader else {
            return Ok(0);
        };
        let mut buffer = [0u8; 16 * 1024];
        let size = match rustix::io::read(reader, &mut buffer) {
            Ok(size) => size,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(explain(error, "cannot read a program's output")),
        };
        if size == 0 {
            self.close();
        }
        take(&buffer[..size])?;
        Ok(size)
    }

    /// Reads what is there now, without waiting for more.
    pub fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut drained = 0;
        while drained < DRAIN_MAX {
            let Some(reader) = &self.reader else { break };
            let mut polled = [PollFd::new(reader, PollFlags::IN)];
            if wait::poll_now(&mut polled)? == 0 {
                break;
            }
            drained += self.read(take)?;
        }
        Ok(())
    }
}

/// Bytes taken apart in lines.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Hands on each line that these bytes complete, without its newline, and
    /// 64 KiB of a longer one.
    pub fn add(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if let Some(line) = self.line.strip_suffix(b"\n") {
                each(line);
                self.line.clear();
            } else if self.line.len() >= LINE_MAX {
                each(&self.line);
                self.line.clear();
            }
        }
    }

    /// Hands on a last line that has no newline.
    pub fn finish(&mut self, each: &mut dyn FnMut(&[u8])) {
        if !self.line.is_empty() {
            each(&self.line);
            self.line.clear();
        }
    }
}
