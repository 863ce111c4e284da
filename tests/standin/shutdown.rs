//! The ends of a server: the clean one, the crash, and the sudden one.

use super::mode::Mode;
use super::processes::signal;
use super::server::{Server, Task};
use super::{ipc, pages, place, task};
use std::io::Write;
use std::time::{Duration, Instant};

impl Server {
    /// Stops everything and gives the exit code; `None` when the mode says
    /// that a quit does nothing.
    pub(super) fn shutdown(&mut self) -> Option<i32> {
        self.mode = Mode::load(&self.place.data);
        if self.mode.on("ignore_quit") {
            return None;
        }
        self.stopping = true;
        self.console.line("Server shutdown requested");
        let count = self.tasks.len();
        let delay = self.mode.seconds_or("shutdown_delay", 0.0);
        let step = delay / u32::try_from(count.max(1)).unwrap_or(1);
        if count == 0 {
            self.pause(step);
        }
        for (done, index) in (0..count).rev().enumerate() {
            self.pause(step);
            if self.mode.on("crash_on_stop") && done * 2 >= count {
                return Some(self.crash());
            }
            if self.mode.on("spawn_on_stop") && done == count / 2 {
                self.spawn_late();
            }
            self.stop_task(index);
        }
        if self.mode.on("crash_on_stop") {
            return Some(self.crash());
        }
        self.stop_tika();
        if let Some(total) = self.mode.number("write_pages")
            && let Err(error) = pages::write(&self.place.data.join("pages.nsf"), total)
        {
            self.console
                .line(&format!("Error writing pages.nsf: {error}"));
        }
        self.clear();
        self.console.line("Server shutdown complete");
        Some(self.mode.code("exit_code"))
    }

    /// Ends at once with an error: no task is asked, but nothing is left.
    pub(super) fn abort(&mut self) -> i32 {
        for task in self.tasks.iter_mut().chain(&mut self.tika) {
            let _ = task.child.kill();
            let _ = task.child.wait();
        }
        self.clear();
        match self.mode.text("exit_code") {
            Some(_) => self.mode.code("exit_code"),
            None => 1,
        }
    }

    /// Asks one task to end and waits for it; see `leave_task`.
    pub(super) fn stop_task(&mut self, index: usize) {
        let Some(task) = self.tasks.get_mut(index) else {
            return;
        };
        if task.ended {
            return;
        }
        if self.mode.text("leave_task") == Some(&task.name) {
            signal(task.child.id() as i32, libc::SIGUSR1);
            return;
        }
        end(task);
        self.write_pids();
    }

    fn stop_tika(&mut self) {
        if self.mode.on("orphan_tika") {
            return;
        }
        if self.mode.on("tika_blocks") {
            while self.tika.as_ref().is_some_and(|tika| !tika.ended) {
                self.pause(Duration::from_millis(50));
            }
        }
        if let Some(tika) = &mut self.tika {
            end(tika);
        }
    }

    /// A process that no list taken before the stop knows.
    fn spawn_late(&self) {
        let life = self.mode.seconds_or("spawn_on_stop_seconds", 0.5);
        let life = life.as_secs_f64().to_string();
        let _ = self
            .command("update")
            .arg("late")
            .env(task::LIFE, life)
            .spawn();
    }

    /// Removes what only a running server has.
    fn clear(&mut self) {
        self.port = None;
        self.control = None;
        ipc::remove(&self.place.data);
        for file in ["pid.nbf", "~notes.lck"] {
            let _ = std::fs::remove_file(self.place.data.join(file));
        }
    }

    /// What Domino does at a fault: the console lines, NSD as a child, the
    /// fault recovery files; then all processes die and leave behind IPC,
    /// pid.nbf, the lock and the socket.
    fn crash(&mut self) -> i32 {
        let own = std::process::id();
        self.console.line(&format!(
            "Fatal Error signal = 0x0000000b PID/TID = {own}/{own}"
        ));
        self.console.line("Freezing all server threads ...");
        let nsd = self
            .command("nsd")
            .args(["-batch", "-crashpid"])
            .arg(own.to_string())
            .status();
        if let Err(error) = nsd {
            self.console.line(&format!("Error running NSD: {error}"));
        }
        let stamp = place::file_stamp();
        let append = |name: &str, text: String| {
            let mut options = std::fs::File::options();
            let file = options
                .append(true)
                .create(true)
                .open(self.place.data.join(name));
            let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
        };
        append(
            "fault_recovery.hst",
            format!("{stamp} server pid {own} signal 11: fault recovery\n"),
        );
        for task in self.tasks.iter_mut().chain(&mut self.tika) {
            let _ = task.child.kill();
            let _ = task.child.wait();
        }
        signal(own as i32, libc::SIGKILL);
        unreachable!("SIGKILL returned")
    }
}

/// SIGTERM, and SIGKILL for a task that takes more than 5 s.
fn end(task: &mut Task) {
    signal(task.child.id() as i32, libc::SIGTERM);
    let limit = Instant::now() + Duration::from_secs(30);
    while matches!(task.child.try_wait(), Ok(None)) {
        if Instant::now() > limit {
            let _ = task.child.kill();
            let _ = task.child.wait();
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    task.ended = true;
}
