//! The operating system as the product needs it: users, processes, IPC,
//! locks, files, clocks. The only floor with unsafe code; knows no Domino.
//!
//! Errors are `io::Error`s whose text names the file, the program or the pid;
//! their `kind()` is that of the failed call, so callers decide by kind.

#![allow(unsafe_code)]

pub mod bounded;
pub mod clock;
pub mod crew;
pub mod family;
pub mod file_limits;
pub mod files;
pub mod host;
pub mod ipc;
pub mod keys;
pub mod limits;
pub mod lock;
pub mod notify;
pub mod open_files;
pub mod peer;
pub mod pidfd;
pub mod pipe;
pub mod process;
mod procfs;
pub mod replace;
pub mod root;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod syslog;
pub mod terminal;
pub mod users;
pub mod wait;
pub mod walk;

use std::fmt::Display;
use std::io;

/// Puts `what` (a sentence such as "cannot open /x") before an error's own
/// text and keeps its kind.
pub(crate) fn explain(error: impl Into<io::Error>, what: impl Display) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
pub(crate) mod testing;
