//! A backup mode of ours that is on, asked for once more.

use super::super::durable::Storage;
use super::super::tools::Work;
use super::{BackupMode, state};
use crate::error::{Error, Result};
use crate::exit::Exit;

/// Flushes the databases again, and makes sure that they were in backup mode of
/// ours all the while; an error where they are not.
pub fn renew(work: &mut Work) -> Result<()> {
    let storage = Storage::of(work.partition)?;
    must_be_on(work)?;
    storage.flush()?;
    must_be_on(work)
}

fn must_be_on(work: &Work) -> Result<()> {
    match state(work.partition)? {
        BackupMode::On { ours: true } => Ok(()),
        _ => Err(Error::Refused {
            message: "backup mode has ended since the first freeze".into(),
            exit: Exit::Failed,
        }),
    }
}
