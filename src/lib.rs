//! rc_domino: starts, stops and watches an HCL Domino server on Linux.
//!
//! Data flows one way: argv → command → settings → domino → os. The floors,
//! top down, are `cli`, `command`, `snapshot`, `service`, `domino`, `settings`
//! and `os`; a lower one never imports a higher one.

#![deny(unsafe_code)]

pub mod exit;
pub mod os;
pub mod settings;

use exit::Exit;
use std::ffi::OsString;

/// Runs the program with these arguments and this environment.
pub fn run(_arguments: Vec<OsString>, _environment: Vec<(OsString, OsString)>) -> Exit {
    Exit::Usage
}
