//! The Domino server as a thing: its processes, its start and its end, its
//! console and its logs. Returns outcomes; what is worth telling on the way
//! goes to a [`Reporter`], nothing is printed here.

pub mod about;
pub mod archive;
pub mod backup_mode;
pub mod belongings;
pub mod check;
pub mod claim;
pub mod cleanup;
pub mod client;
pub mod closure;
pub mod databases;
pub mod diagnostics;
pub mod difference;
pub mod draft;
pub mod durable;
pub mod environment;
pub mod figures;
pub mod follow;
pub mod hooks;
pub mod housekeeping;
pub mod lock;
pub mod mail;
pub mod masking;
pub mod nrpc;
pub mod nsd;
pub mod one_touch;
pub mod partition;
pub mod partitions;
pub mod pid_file;
pub mod processes;
pub mod progress;
pub mod quit;
pub mod readiness;
pub mod report;
pub mod resources;
pub mod server_log;
pub mod start;
pub mod state;
pub mod stop;
pub mod supervise;
pub mod sweep;
pub mod tarball;
pub mod task_list;
pub mod tika;
pub mod tools;
pub mod verify;
pub mod vitals;
pub mod waiting;
pub mod warnings;

pub use partition::Partition;

/// Takes what a long operation has to say while it goes on.
pub trait Reporter {
    /// A step that was taken, for the record.
    fn info(&mut self, line: &str);
    /// Something the administrator should look at; the work goes on.
    fn warn(&mut self, line: &str);
    /// Where a wait stands; the next line may replace it on a terminal.
    fn progress(&mut self, line: &str);
}
