//! A server task (and Tika): a process that waits until it is told to end.

use super::console::Console;
use super::ipc;
use super::mode::Mode;
use super::place::Place;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// The environment variable that limits a task's life, in seconds.
pub const LIFE: &str = "STANDIN_LIFE";

/// What a task is told by.
const SIGNALS: [i32; 2] = [libc::SIGTERM, libc::SIGUSR1];

/// Lets a task begin with its signals blocked: one that is told something at
/// once must not die of it.
pub fn hold_back(command: &mut Command) {
    // SAFETY: between fork and exec only the signal mask is changed.
    unsafe {
        command.pre_exec(|| {
            block(&SIGNALS);
            Ok(())
        });
    }
}

/// What the server says when it starts this task.
pub fn started(name: &str) -> String {
    match name {
        "logasio" => "Transaction Logger started".into(),
        "event" => "Event Monitor started".into(),
        "update" => "Index update process started".into(),
        "replica" => "Database Replicator started".into(),
        "router" => "Router: Mail Router started for domain EXAMPLE".into(),
        "amgr" => "AMgr: Executive '1' started".into(),
        "adminp" => "Administration Process started".into(),
        "sched" => "Schedule Manager started".into(),
        "http" => "HTTP Server: Started".into(),
        "backup" => "Backup: Domino Database Backup".into(),
        other => format!("{other}: started"),
    }
}

/// What the task says when it ends.
pub fn ended(name: &str) -> String {
    match name {
        "event" => "Event Monitor shutdown".into(),
        "update" => "Index update process shutdown".into(),
        "replica" => "Database Replicator shutdown".into(),
        "router" => "Router: Shutdown is complete".into(),
        "amgr" => "Agent Manager: Shutdown complete".into(),
        "adminp" => "Administration Process shutdown".into(),
        "http" => "HTTP Server: Shutdown".into(),
        other => format!("{other}: Shutdown is complete"),
    }
}

/// Runs a task: ends at SIGTERM with its line, at its lifetime without one.
/// SIGUSR1 says that the server leaves it behind; leave_task_seconds counts
/// from then.
pub fn run(place: &Place, name: &str) -> i32 {
    ignore(libc::SIGHUP);
    let signals = block(&SIGNALS);
    ipc::attach(&place.data);
    let life = std::env::var(LIFE)
        .ok()
        .and_then(|text| Duration::try_from_secs_f64(text.parse().ok()?).ok())
        .unwrap_or_else(|| Mode::load(&place.data).lifetime());
    let mut end = Instant::now() + life;
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() || !place.data.is_dir() {
            return 0;
        }
        match next(&signals, rest.min(Duration::from_secs(5))) {
            libc::SIGTERM => {
                Console::open(place).line(&ended(name));
                return 0;
            }
            libc::SIGUSR1 => {
                if let Some(limit) = Mode::load(&place.data).seconds("leave_task_seconds") {
                    end = end.min(Instant::now() + limit);
                }
            }
            _ => {}
        }
    }
}

/// Ignores a signal, for this process and what it executes.
pub fn ignore(number: i32) {
    // SAFETY: no handler of ours is installed, only a disposition changed.
    unsafe {
        libc::signal(number, libc::SIG_IGN);
    }
}

/// Holds these signals back for [`next`].
pub fn block(numbers: &[i32]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set before it is read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for number in numbers {
            libc::sigaddset(&mut set, *number);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    }
}

/// The next of these signals, or -1 after this time.
pub fn next(signals: &libc::sigset_t, limit: Duration) -> i32 {
    let limit = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: both pointers are to live values; the info may be null.
    unsafe { libc::sigtimedwait(signals, std::ptr::null_mut(), &limit) }
}
