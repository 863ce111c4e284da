//! Writes a compressed tar archive: the ustar form of POSIX.1-2001 (pax(1),
//! "ustar Interchange Format"), with GNU's `L` record for long names.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// Size of a header and unit of padding.
const BLOCK: usize = 512;

/// The longest name that fits a header.
const NAME: usize = 100;

/// A compressed archive that is being written.
#[derive(Debug)]
pub struct Tarball<W: Write> {
    encoder: GzEncoder<W>,
    seconds: u64,
}

impl<W: Write> Tarball<W> {
    /// Begins an archive. Members are dated `seconds` since 1970 where they
    /// have no time of their own.
    pub fn new(output: W, seconds: u64) -> Tarball<W> {
        Tarball {
            encoder: GzEncoder::new(output, Compression::new(6)),
            seconds,
        }
    }

    /// Adds a file whose content is at hand.
    pub fn add(&mut self, name: &[u8], content: &[u8]) -> io::Result<()> {
        let seconds = self.seconds;
        self.begin(name, content.len() as u64, seconds)?;
        self.encoder.write_all(content)?;
        self.pad(content.len() as u64)
    }

    /// Begins a file of exactly `size` bytes; [`Member::end`] fills up what
    /// was not written.
    pub fn member(&mut self, name: &[u8], size: u64, seconds: u64) -> io::Result<Member<'_, W>> {
        self.begin(name, size, seconds)?;
        Ok(Member {
            tarball: self,
            size,
            written: 0,
        })
    }

    fn begin(&mut self, name: &[u8], size: u64, seconds: u64) -> io::Result<()> {
        if name.len() > NAME {
            let mut long = name.to_vec();
            long.push(0);
            self.encoder
                .write_all(&header(b"././@LongLink", long.len() as u64, 0, b'L'))?;
            self.encoder.write_all(&long)?;
            self.pad(long.len() as u64)?;
        }
        let short = &name[..name.len().min(NAME)];
        self.encoder.write_all(&header(short, size, seconds, b'0'))
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 {
            self.encoder.write_all(&[0; BLOCK][over..])?;
        }
        Ok(())
    }

    /// Ends the archive and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&[0; 2 * BLOCK])?;
        self.encoder.finish()
    }
}

/// A member of known size that is being written.
#[derive(Debug)]
pub struct Member<'a, W: Write> {
    tarball: &'a mut Tarball<W>,
    size: u64,
    written: u64,
}

impl<W: Write> Member<'_, W> {
    /// Writes a part; what is beyond the size is dropped.
    pub fn write(&mut self, part: &[u8]) -> io::Result<()> {
        let room = usize::try_from(self.size - self.written).unwrap_or(usize::MAX);
        let part = &part[..part.len().min(room)];
        self.written += part.len() as u64;
        self.tarball.encoder.write_all(part)
    }

    /// Fills the member up with newlines, should its source have become
    /// shorter meanwhile, and ends it.
    pub fn end(mut self) -> io::Result<()> {
        let filling = [b'\n'; 4096];
        while self.written < self.size {
            self.write(&filling)?;
        }
        self.tarball.pad(self.size)
    }
}

/// Puts a number as octal digits into a field of a header; one too large for
/// that in base 256, as GNU tar does.
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    if digits * 3 < 64 && value >> (digits * 3) != 0 {
        let end = field.len();
        field[end - 8..].copy_from_slice(&value.to_be_bytes());
        field[0] = 0x80;
        return;
    }
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
}

fn header(name: &[u8], size: u64, seconds: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    number(&mut block[100..108], 0o600);
    number(&mut block[108..116], 0);
    number(&mut block[116..124], 0);
    number(&mut block[124..136], size);
    number(&mut block[136..148], seconds);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    // The sum is made with its own field blank.
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    number(&mut block[148..155], sum);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tar of the host is the reference.
    #[test]
    fn tar_reads_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.tar.gz");
        let mut tarball = Tarball::new(std::fs::File::create(&file).unwrap(), 1_000_000_000);
        let long = [b"top/".as_slice(), &[b'n'; 150], b".log"].concat();
        tarball.add(b"top/empty", b"").unwrap();
        tarball.add(b"top/with\nnewline", &[b'x'; 512]).unwrap();
        tarball.add(&long, b"long").unwrap();
        let mut member = tarball.member(b"top/shrunk", 700, 5).unwrap();
        member.write(&[b'y'; 600]).unwrap();
        member.end().unwrap();
        let mut member = tarball.member(b"top/grown", 3, 5).unwrap();
        member.write(b"abcdef").unwrap();
        member.end().unwrap();
        tarball.finish().unwrap();
        let listed = std::process::Command::new("tar")
            .args([
                "--list",
                "--verbose",
                "--numeric-owner",
                "--utc",
                "--gzip",
                "--file",
            ])
            .arg(&file)
            .output()
            .expect("tar is needed to read the archive back");
        assert!(listed.status.success(), "{listed:?}");
        let text = String::from_utf8(listed.stdout).unwrap();
        let sizes: Vec<&str> = text
            .lines()
            .map(|line| line.split_whitespace().nth(2).unwrap())
            .collect();
        assert_eq!(sizes, ["0", "512", "4", "700", "3"], "{text}");
        assert!(text.contains(std::str::from_utf8(&long).unwrap()), "{text}");
        assert!(text.contains("-rw------- 0/0"), "{text}");
    }

    #[test]
    fn sizes_beyond_eight_gigabytes_fit() {
        let mut field = [0; 12];
        number(&mut field, 1 << 40);
        assert_eq!(field, [0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        number(&mut field[..], 0o777);
        assert_eq!(&field, b"00000000777\0");
    }
}
