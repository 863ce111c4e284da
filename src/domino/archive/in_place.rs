//! Archives the console log of a server that writes to it, and loses no line.
//!
//! Everything up to a marker goes into the archive; once that is on disk the
//! front of the log is collapsed (fallocate(2), FALLOC_FL_COLLAPSE_RANGE),
//! which the kernel does in one step while others append. That works on whole
//! blocks only, so the marker has blanks before it that hold a block's border:
//! the cut falls there, never within a line of the server.

use super::packing::{Form, Packer};
use super::{Steps, new_file, with_suffix};
use crate::error::{Error, Result};
use crate::os::files;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// The largest block that is cut by, in bytes; network filesystems name larger
/// ones and cannot collapse.
const MOST_BLOCK: u64 = 64 * 1024;

/// The most that is kept in memory where the front cannot be collapsed.
const MOST_REST: u64 = 64 << 20;

/// How long whoever shows the log is given to come up to the marker: longer
/// than from one of his looks to the next.
const FOLLOWED: Duration = Duration::from_millis(500);

/// How the front of the log went.
#[derive(Debug)]
pub enum Cut {
    /// In one step: no line is lost.
    Whole,
    /// By copying what follows and truncating: what was written in between,
    /// some microseconds, can be lost. With what the filesystem said.
    Lossy(io::Error),
}

/// Where the log is cut.
struct Border {
    /// So many bytes go into the archive.
    archived: u64,
    /// So many bytes go from the log: a multiple of the block size.
    cut: u64,
    /// What was written behind the archived bytes.
    marker: Vec<u8>,
}

/// Moves what the log holds into `target`, a name that no file has yet.
pub fn archive(steps: &mut Steps, log: &Path, target: &Path, form: Form) -> Result<Cut> {
    let read_failed = |cause| Error::file("read", log)(cause);
    let write_failed = |cause| Error::file("write to", log)(cause);
    let source = files::open_regular(log).map_err(read_failed)?;
    let found = source.metadata().map_err(read_failed)?;
    let mut writer = files::open_append(log, 0o644).map_err(write_failed)?;
    let block = files::block_size(&writer)
        .map_err(read_failed)?
        .clamp(1, MOST_BLOCK);

    let mode = found.mode() & 0o777;
    let partial = with_suffix(target, ".partial");
    let archive_failed = |cause| Error::file("write", &partial)(cause);
    let output = new_file(&partial, mode).map_err(archive_failed)?;
    let _removed = Removed(&partial);
    let mut packer = Packer::new(&output, form);
    // Once only: what is written meanwhile may come faster than it compresses.
    let size = source.metadata().map_err(read_failed)?.len();
    let packed = last_border(size, block);
    steps.add(&mut packer, &source, 0, packed, &partial)?;
    // What was large is on disk before the log is told of its archive.
    output.sync_data().map_err(archive_failed)?;

    let border = match mark(&mut writer, target, block) {
        Ok(border) => border,
        // No room for a marker: the archive makes some.
        Err(_) if packed > 0 => Border {
            archived: packed,
            cut: packed,
            marker: Vec::new(),
        },
        Err(cause) => return Err(write_failed(cause)),
    };
    let completed = steps
        .add(&mut packer, &source, packed, border.archived, &partial)
        .and_then(|()| {
            complete(packer, &output, mode)
                .and_then(|()| std::fs::rename(&partial, target))
                .and_then(|()| files::sync_directory(files::parent_directory(target)))
                .map_err(archive_failed)
        });
    if let Err(error) = completed {
        // The marker stands in the log already: take it back.
        let _ = writer.write_all(b"--- Archiving failed; the console log is whole ---\n");
        let _ = std::fs::remove_file(target);
        return Err(error);
    }
    if steps.is_followed() {
        std::thread::sleep(FOLLOWED);
    }
    shorten(&mut writer, &source, log, &border)
}

/// The last border of a block below a file's end.
fn last_border(size: u64, block: u64) -> u64 {
    size.saturating_sub(1) / block * block
}

fn complete(packer: Packer, output: &File, mode: u32) -> io::Result<()> {
    packer.finish()?;
    output.set_permissions(std::fs::Permissions::from_mode(mode))?;
    output.sync_all()
}

/// Writes the marker behind blanks that hold at least one border of a block,
/// wherever it comes to stand among what others write, and says where to cut.
fn mark(writer: &mut File, target: &Path, block: u64) -> io::Result<Border> {
    let size = writer.metadata()?.len();
    // To the next border and a block more: where nobody writes meanwhile the
    // cut takes all of the blanks with it.
    let fill = (block - size % block) % block + block;
    let mut text = vec![b' '; usize::try_from(fill).unwrap_or_default()];
    if let Some(last) = text.last_mut() {
        *last = b'\n';
    }
    text.extend_from_slice(
        format!("--- Console log archived as {} ---\n", target.display()).as_bytes(),
    );
    // One write, for others may append at any moment.
    let written = loop {
        match writer.write(&text) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if written < text.len() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let archived = writer.stream_position()? - written as u64;
    Ok(Border {
        archived,
        cut: (archived + fill) / block * block,
        marker: text,
    })
}

/// Takes the front of the log away, up to the border.
fn shorten(writer: &mut File, source: &File, log: &Path, border: &Border) -> Result<Cut> {
    let failed = |cause| Error::file("shorten", log)(cause);
    if !is_still(source, log, border).map_err(failed)? {
        return Err(Error::Path {
            path: log.to_path_buf(),
            problem: "was truncated or replaced while it was archived; the archive holds what it held before".into(),
        });
    }
    match files::collapse_front(&*writer, border.cut) {
        Ok(()) => Ok(Cut::Whole),
        Err(cause) => copy_and_truncate(writer, source, border.cut)
            .map(|()| Cut::Lossy(cause))
            .map_err(failed),
    }
}

/// Whether the log is the file that was archived, with the marker where it was
/// put: what is cut off must be what the archive has.
fn is_still(source: &File, log: &Path, border: &Border) -> io::Result<bool> {
    let (held, named) = (source.metadata()?, std::fs::metadata(log)?);
    let mut found = vec![0; border.marker.len()];
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino())
        && held.len() > border.cut
        && source.read_exact_at(&mut found, border.archived).is_ok()
        && found == border.marker)
}

/// What follows the cut is read, the log truncated, what was read put back.
fn copy_and_truncate(writer: &mut File, source: &File, cut: u64) -> io::Result<()> {
    let mut source = source;
    source.seek(SeekFrom::Start(cut))?;
    let mut rest = Vec::with_capacity(1 << 20);
    source.take(MOST_REST).read_to_end(&mut rest)?;
    if rest.len() as u64 == MOST_REST {
        return Err(io::Error::other(
            "it grows faster than it can be copied: it was left whole, the archive holds its first part",
        ));
    }
    writer.set_len(0)?;
    writer.write_all(&rest)
}

/// A partial archive, removed at the end; once it has its own name there is
/// nothing left to remove.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}
