//! Talks to a running server as its own console commands do: `server -c`,
//! `server -q`. Each command is one argument; no shell stands between.

use super::server_log::ServerLog;
use super::tools::{Tool, ToolEnd, Work, launch, output_to, program_failed, run_to_log};
use crate::error::Result;
use crate::os::spawn::Child;
use std::ffi::OsStr;

/// Sends a console command and waits for the sender to end.
pub fn command(work: &mut Work, text: &OsStr) -> Result<ToolEnd> {
    let tool = Tool::new(work.partition.program("server"), [OsStr::new("-c"), text]);
    run_to_log(work, &tool)
}

/// Starts `server` with these arguments, its output going to the console log,
/// and does not wait for it.
pub fn start_client(work: &mut Work, arguments: &[&str]) -> Result<Child> {
    let tool = Tool::new(work.partition.program("server"), arguments);
    let log = ServerLog::of(work.partition).open_for_append()?;
    let mut launch = launch(work.partition, &tool);
    output_to(&mut launch, &log)?;
    // A session of its own: Ctrl-C at the terminal must not end the request
    // to shut down half-way.
    launch.new_session = true;
    launch.spawn().map_err(program_failed(&tool.program))
}
