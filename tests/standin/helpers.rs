//! Processes beside the server that are no Domino processes: their executables
//! lie in LOTUS/tools, not under LOTUS/notes.

use super::console::Console;
use super::mode::Mode;
use super::place::Place;
use super::{ipc, processes, task};
use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

/// `faultrecovery PID`: waits for the end of that server. When it left its
/// pid.nbf behind, that was no clean end: clears up and starts it again.
pub fn fault_recovery(place: &Place, args: &[OsString]) -> i32 {
    let server = args.first().and_then(|arg| arg.to_str()?.parse().ok());
    let Some(server) = server else { return 2 };
    task::ignore(libc::SIGHUP);
    // SAFETY: setsid takes nothing; a signal to the server's group misses us.
    unsafe {
        libc::setsid();
    }
    let end = Instant::now() + Mode::load(&place.data).lifetime();
    while !processes::is_gone(server) {
        if Instant::now() > end || !place.data.is_dir() {
            return 0;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let pids = place.data.join("pid.nbf");
    if !pids.exists() {
        return 0;
    }
    let mode = Mode::load(&place.data);
    std::thread::sleep(mode.seconds_or("fault_recovery_delay", 0.2));
    // Whoever cleared up meanwhile does not want the server back.
    if !pids.exists() || !mode.on("fault_recovery") {
        return 0;
    }
    processes::kill_and_wait(&processes::under(
        &place.lotus.join("notes"),
        Some(&place.data),
    ));
    ipc::remove(&place.data);
    let _ = std::fs::remove_file(pids);
    Console::open(place).line("Fault recovery: restarting the server");
    match Command::new(place.program("server")).spawn() {
        Ok(_) => 0,
        Err(_) => 1,
    }
}

/// `keeper`: the parent that does not reap its server; see `zombie_server`.
pub fn keeper(place: &Place) -> i32 {
    let life = Mode::load(&place.data).seconds_or("zombie_server_seconds", 60.0);
    let end = Instant::now() + life;
    while Instant::now() < end && place.data.is_dir() {
        std::thread::sleep(Duration::from_millis(200));
    }
    0
}
