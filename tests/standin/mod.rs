//! The stand-in Domino: one ELF that, installed under many names, behaves as
//! an HCL Domino server towards whoever starts, stops and watches it.
//!
//! It is used three ways: as the example `standin`, as a module of the demo,
//! and through [`install`] by the tests. `DATA/standin.mode` (see [`mode`])
//! tells it how to misbehave; `DATA/standin.calls` (see [`record`]) tells what
//! each program was called with. The product knows nothing of either.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    unsafe_code,
    clippy::print_stdout,
    clippy::print_stderr
)]

pub mod backup;
pub mod commands;
pub mod console;
pub mod control;
pub mod controller;
pub mod helpers;
pub mod ipc;
pub mod layout;
pub mod mode;
pub mod pages;
pub mod place;
pub mod processes;
pub mod record;
pub mod server;
pub mod shutdown;
pub mod startup;
pub mod task;
pub mod tools;

pub use ipc::left as ipc_left;
pub use layout::{Layout, built_example, install};
pub use pages::check as check_pages;
pub use processes::kill_all;
pub use record::{Call, Limit, read_calls};

use place::Place;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The server tasks the stand-in starts when nothing else is asked for.
pub const TASKS: [&str; 9] = [
    "logasio", "event", "update", "replica", "router", "amgr", "adminp", "sched", "http",
];

/// The programs that only exist to be called, beside the tasks.
pub const PROGRAMS: [&str; 5] = ["server", "nsd", "compact", "dbmt", "fixup"];

/// Programs that only the server's `load` starts: not in LOTUS/bin.
pub const LOADED: [&str; 1] = ["backup"];

/// Runs the Domino program that `args[0]` names and returns its exit code;
/// `None` when the name is none of Domino's.
pub fn dispatch(args: &[OsString]) -> Option<i32> {
    let own = args.first()?;
    let name = own.as_bytes().rsplit(|byte| *byte == b'/').next()?;
    let name = std::str::from_utf8(name).ok()?;
    let helper = matches!(name, "faultrecovery" | "keeper" | "java");
    let known = [&TASKS[..], &PROGRAMS, &LOADED].concat();
    if !helper && !known.contains(&name) {
        return None;
    }
    let place = Place::find(own);
    record::append(&place, name, args);
    // As the real programs do: everything Domino keeps lies relative to DATA.
    let _ = std::env::set_current_dir(&place.data);
    let rest = &args[1..];
    Some(match name {
        "server" => server::main(place, rest),
        "nsd" => tools::nsd(&place, rest),
        "compact" | "dbmt" | "fixup" => tools::database_tool(&place, name, rest),
        "backup" => backup::main(&place, rest),
        "java" => controller::java(place, rest),
        "faultrecovery" => helpers::fault_recovery(&place, rest),
        "keeper" => helpers::keeper(&place),
        task => task::run(&place, task),
    })
}
