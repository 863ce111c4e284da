//! `DATA/standin.mode`: how the stand-in is asked to behave, `key=value` lines.
//!
//! Read when a program starts and again when the server stops; absent means an
//! ordinary, quick server. Durations are seconds and may be fractions.
//!
//! | key | meaning |
//! | --- | --- |
//! | `tasks=a,b,c` | server tasks to start |
//! | `start_delay=S` | time until "started", spread over the tasks |
//! | `die_after_start=S` | the server ends by itself S after its start line; 0: before any task |
//! | `exit_code=N` | the server's exit code, however it ends by itself |
//! | `recovery_delay=S` | time of the restart recovery, where TRANSLOG_Status=1 |
//! | `recovery_silent=1` | which leaves no line |
//! | `deaf=1` | console commands are taken and nothing comes of them |
//! | `flood=N` | N console lines a second |
//! | `shutdown_delay=S` | time of a shutdown, spread over the tasks |
//! | `ignore_quit=1` | quit is acknowledged and nothing happens |
//! | `quit_exit=N` | exit code of `server -q` |
//! | `crash_on_stop=1` | crash while stopping: NSD, files and IPC left behind |
//! | `leave_task=NAME` | that task outlives the server, `leave_task_seconds=S` at most |
//! | `spawn_on_stop=1` | a process appears while stopping and lives `spawn_on_stop_seconds` (0.5) more |
//! | `write_pages=N` | pages written to DATA/pages.nsf at the end of the shutdown |
//! | `tika=1` | a Tika process that ends with the server |
//! | `orphan_tika=1` | a Tika process that outlives the server until it is killed |
//! | `tika_blocks=1` | a Tika process whose end the server waits for |
//! | `zombie=1` | the server has a child that it does not reap |
//! | `zombie_server=1` | the server's parent does not reap it, for `zombie_server_seconds` (60) |
//! | `fault_recovery=1` | a killed or crashed server comes back after `fault_recovery_delay` (0.2) |
//! | `nsd_delay=S`, `nsd_exit=N` | duration and exit code of nsd |
//! | `nsd_kill_fails=1` | `nsd -kill` kills nothing |
//! | `nsd_kill_keeps_pids=N` | the first N `nsd -kill` leave pid.nbf, which fault recovery goes by |
//! | `compact_delay=S`, `compact_exit=N` | of compact and dbmt |
//! | `fixup_delay=S`, `fixup_exit=N` | of fixup |
//! | `backup_delay=S` | until `backup -s` has the databases in backup mode (0.1) |
//! | `backup_never=1` | they never are, and the task never ends |
//! | `backup_crash_after=S` | the task dies S after it was loaded |
//! | `backup_missing=1` | there is no such program: a Domino before 12 |
//! | `backup_timeout=S` | how long the task waits for the end of the snapshot (120) |
//! | `backup_linger=S` | how long it works on after that |
//! | `lifetime=S` | every process ends by itself after this (1800), should a test forget it |

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The parsed file.
#[derive(Clone, Debug, Default)]
pub struct Mode(BTreeMap<String, String>);

impl Mode {
    /// Reads `DATA/standin.mode`; no file is an empty mode.
    pub fn load(data: &Path) -> Mode {
        let text = std::fs::read_to_string(data.join("standin.mode")).unwrap_or_default();
        Mode(
            text.lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }

    /// The text of a key that is set.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether a switch is on.
    pub fn on(&self, key: &str) -> bool {
        matches!(self.text(key), Some("1" | "yes" | "on" | "true"))
    }

    /// A whole number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    /// An exit code, 0 when not set.
    pub fn code(&self, key: &str) -> i32 {
        self.text(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// A duration, when set.
    pub fn seconds(&self, key: &str) -> Option<Duration> {
        Duration::try_from_secs_f64(self.text(key)?.parse().ok()?).ok()
    }

    /// A duration, or this many seconds.
    pub fn seconds_or(&self, key: &str, default: f64) -> Duration {
        self.seconds(key)
            .unwrap_or_else(|| Duration::from_secs_f64(default))
    }

    /// How long any process of the stand-in may live.
    pub fn lifetime(&self) -> Duration {
        self.seconds_or("lifetime", 1800.0)
    }
}
