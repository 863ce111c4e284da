//! Sets the console log aside under a dated name and compresses it.
//!
//! Names: `SERVER_YYMMDD_HHMMSS[_TAG].log.gz`, in DOMINO_LOG_BACKUP_DIR or
//! beside the log.

use super::partition::Partition;
use super::server_log::ServerLog;
use super::tools::{Tool, Work, launch, output_to, program_failed};
use crate::error::{Error, Result, shown};
use crate::os::spawn::Launch;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The hidden verb under which the program runs itself to compress a log in
/// the background: a process of its own, so that the verb need not wait and
/// the server inherits nothing.
pub const COMPRESS_VERB: &str = "__compress";

/// The command that the built-in compressor stands in for.
const BUILT_IN: [&str; 2] = ["gzip", "--best"];

/// Level of compression. Level 6 takes a quarter of `gzip --best`'s time for
/// a few per cent more bytes; 9 takes a third for 3.5 % (measured on a 200 MB
/// console log).
const LEVEL: u32 = 9;

/// Sets the log of a server that is down aside. Returns where it went; None
/// where there is no log, or an empty one.
pub fn set_aside(work: &mut Work, tag: Option<&OsStr>) -> Result<Option<PathBuf>> {
    let log = ServerLog::of(work.partition);
    if log.size() == 0 {
        return Ok(None);
    }
    let target = free_name(work.partition, tag)?;
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
        Err(error) => work
            .reporter
            .warn(&format!("{error}; the console log goes on where it is")),
    }
    Ok(())
}

fn compressor(partition: &Partition, file: &Path) -> Result<Launch> {
    let configured = &partition.settings.compress_command.value;
    let (program, mut arguments): (PathBuf, Vec<OsString>) = match configured.split_first() {
        Some((program, arguments)) if configured != &BUILT_IN => {
            (program.into(), arguments.to_vec())
        }
        _ => (
            std::env::current_exe().map_err(Error::system("find this program's own file"))?,
            vec![COMPRESS_VERB.into()],
        ),
    };
    arguments.push(file.into());
    Ok(launch(partition, &Tool::new(program, arguments)))
}

/// A name for the archive that no file has yet.
fn free_name(partition: &Partition, tag: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(tag) = tag
        && (tag.is_empty() || tag.as_bytes().contains(&b'/') || tag.len() > 100)
    {
        return Err(Error::Usage(format!(
            "'{}' cannot be part of an archive's name: a tag holds no slash and at most 100 bytes",
            shown(tag)
        )));
    }
    let log = partition.log();
    let directory = partition.settings.log_backup_dir();
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
    name.push(log.extension().unwrap_or(OsStr::new("log")));
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

/// Compresses `file` into `file.gz` and removes it. The source stays whole
/// until the archive is complete and on disk; a partial archive is removed.
pub fn compress(file: &Path) -> io::Result<PathBuf> {
    let mut source = crate::os::files::open_regular(file)?;
    let found = source.metadata()?;
    let mut target = file.as_os_str().to_owned();
    target.push(".gz");
    let target = PathBuf::from(target);
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = new_file(&partial, found.mode() & 0o777).and_then(|output| {
        write_compressed(&mut source, &output, found.len())?;
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

/// Writes the first `length` bytes of `source` to `output` in gzip form.
pub fn write_compressed(source: &mut File, output: &File, length: u64) -> io::Result<()> {
    let mut encoder = flate2::write::GzEncoder::new(output, flate2::Compression::new(LEVEL));
    let mut left = length;
    let mut block = vec![0; 256 * 1024];
    while left > 0 {
        let part = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = source.read(&mut block[..part])?;
        if count == 0 {
            break;
        }
        encoder.write_all(&block[..count])?;
        left -= count as u64;
    }
    encoder.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
