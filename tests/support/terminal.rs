//! Commands on a terminal of their own.

use super::command::Command;
use super::{holds, spawned};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::openpty;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A program on a terminal: what is typed, and what it shows.
pub struct Terminal {
    /// The program.
    pub child: Child,
    master: Option<File>,
    shown: Arc<Mutex<Vec<u8>>>,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command on a new terminal.
    pub fn start(command: Command<'_>, entry: super::namespace::Entry) -> Terminal {
        // Or every process started from here on would keep it open.
        let guard = super::executables();
        let pair = openpty(None, None).unwrap();
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        drop(guard);
        let entry = super::namespace::Entry {
            controlling_terminal: true,
            ..entry
        };
        let mut command = command.entering(entry).env("TERM", "xterm").prepared();
        let slave = File::from(pair.slave);
        command.stdin(Stdio::from(slave.try_clone().unwrap()));
        command.stdout(Stdio::from(slave.try_clone().unwrap()));
        command.stderr(Stdio::from(slave));
        let child = spawned(&mut command);
        drop(command);
        let master = File::from(pair.master);
        let mut from = master.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&shown);
        let closing = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&closing);
        let reader = std::thread::spawn(move || {
            let mut block = [0; 4096];
            while !asked.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, 20u8) == Ok(0) {
                    continue;
                }
                // EIO once the last process has closed the terminal.
                match from.read(&mut block) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => sink.lock().unwrap().extend_from_slice(&block[..count]),
                }
            }
        });
        Terminal {
            child,
            master: Some(master),
            shown,
            closing,
            reader: Some(reader),
        }
    }

    /// Types.
    pub fn type_in(&self, text: &str) {
        self.master
            .as_ref()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// Waits until this was shown.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let seen = || String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !self.has_shown(text) {
            assert!(
                std::time::Instant::now() < end,
                "no '{text}' in\n{}",
                seen()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Closes the terminal, as a lost connection does.
    pub fn hang_up(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
    }

    /// Whether this was shown by now.
    pub fn has_shown(&self, text: &str) -> bool {
        holds(&self.shown.lock().unwrap(), text)
    }

    /// How often this was shown by now.
    pub fn count(&self, text: &str) -> usize {
        let shown = self.shown.lock().unwrap();
        let windows = shown.windows(text.len());
        windows.filter(|window| *window == text.as_bytes()).count()
    }

    /// Waits for the program's end; its exit code.
    #[track_caller]
    pub fn code(&mut self) -> Option<i32> {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
            assert!(
                std::time::Instant::now() < end,
                "it does not end; shown:\n{shown}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
