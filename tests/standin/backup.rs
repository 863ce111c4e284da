//! The task `backup`: with `-s` it brings all databases into backup mode for a
//! snapshot that another program takes, as Domino 12 does with the commands
//! that HCL publishes for it. Both speak through one file in DATA, whose first
//! line is the state: REQUESTED by the other program, DOMINO-DONE by the task
//! once all databases are in backup mode, DONE by the other program again. The
//! task then takes them out of it and removes the file.

use super::console::Console;
use super::mode::Mode;
use super::place::Place;
use super::{ipc, processes, task};
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The file of the dialogue.
pub const LOCK: &str = "dominobackup_snapshot.lck";

/// Where the task notes what it does to the databases: `begin PID` and
/// `end PID` lines. A `begin` without its `end` is a task that died.
pub const NOTES: &str = "standin.backup";

struct Backup<'a> {
    place: &'a Place,
    console: Console,
    signals: libc::sigset_t,
    die_at: Option<Instant>,
}

/// `backup`, `backup -s`.
pub fn main(place: &Place, args: &[OsString]) -> i32 {
    task::ignore(libc::SIGHUP);
    let mode = Mode::load(&place.data);
    let backup = Backup {
        place,
        console: Console::open(place),
        signals: task::block(&[libc::SIGTERM]),
        die_at: mode
            .seconds("backup_crash_after")
            .map(|after| Instant::now() + after),
    };
    ipc::attach(&place.data);
    backup.console.line("Backup: started");
    let limit = match mode.on("backup_never") {
        true => mode.lifetime(),
        false => mode.seconds_or("backup_delay", 0.1),
    };
    // A process that waits for its turn has all databases open as before.
    if !backup.wait(limit, || false) {
        return 0;
    }
    if args.iter().any(|arg| arg == "-s") {
        backup.snapshot(&mode)
    } else {
        backup.console.line("Backup: complete");
        0
    }
}

impl Backup<'_> {
    fn snapshot(&self, mode: &Mode) -> i32 {
        self.note("begin");
        let lock = self.place.data.join(LOCK);
        if status(&lock).as_deref() != Some("REQUESTED") {
            self.note("end");
            self.console
                .line("Backup: snapshot start command failed: no backup pending");
            return 1;
        }
        let _ = std::fs::write(&lock, "DOMINO-DONE\n");
        self.console
            .line("Backup: all databases are in backup mode");
        let over = || matches!(status(&lock).as_deref(), None | Some("DONE"));
        let limit = mode.seconds_or("backup_timeout", 120.0);
        let asked_to_end = !self.wait(limit, over);
        if !asked_to_end {
            self.wait(mode.seconds_or("backup_linger", 0.0), || false);
        }
        self.note("end");
        let _ = std::fs::remove_file(&lock);
        self.console.line("Backup: complete");
        0
    }

    /// Waits so long, or until something holds. False where the server asks
    /// the task to end, or DATA is gone.
    fn wait(&self, limit: Duration, holds: impl Fn() -> bool) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end && !holds() {
            if self.die_at.is_some_and(|at| Instant::now() >= at) {
                processes::signal(std::process::id() as i32, libc::SIGKILL);
            }
            let step = Duration::from_millis(20).min(end.saturating_duration_since(Instant::now()));
            if task::next(&self.signals, step) == libc::SIGTERM || !self.place.data.is_dir() {
                return false;
            }
        }
        true
    }

    fn note(&self, what: &str) {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.place.data.join(NOTES));
        let line = format!("{what} {}\n", std::process::id());
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// The first line of the file, if it is there. One that is being written is
/// empty for a moment.
pub fn status(lock: &Path) -> Option<String> {
    let text = std::fs::read_to_string(lock).ok()?;
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}
