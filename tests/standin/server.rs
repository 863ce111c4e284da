//! The server process: starting up and running.

use super::console::Console;
use super::control::{Control, Input};
use super::mode::Mode;
use super::place::Place;
use super::{controller, task, tools};
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Set in the environment of a server that has a keeper for a parent.
const KEPT: &str = "STANDIN_KEPT";

/// A child of the server.
#[derive(Debug)]
pub struct Task {
    /// The program's name.
    pub name: String,
    /// The process.
    pub child: Child,
    /// Whether it has ended (and was reaped).
    pub ended: bool,
}

/// Why the server leaves its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// quit.
    Quit,
    /// restart server.
    Restart,
    /// The time of die_after_start has come.
    Die,
    /// DATA is gone or the lifetime over: the test has forgotten us.
    Forgotten,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    pub(super) place: Place,
    pub(super) console: Console,
    pub(super) mode: Mode,
    pub(super) tasks: Vec<Task>,
    pub(super) tika: Option<Task>,
    pub(super) asked: Option<Asked>,
    pub(super) stopping: bool,
    pub(super) control: Option<Control>,
    pub(super) port: Option<TcpListener>,
    input: Input,
    began: Instant,
    flooded: u64,
    pub(super) die_at: Option<Instant>,
}

/// `server` in all its forms.
pub fn main(place: Place, args: &[OsString]) -> i32 {
    let word = |n: usize| args.get(n).and_then(|arg| arg.to_str());
    if args.iter().any(|arg| arg == "-jc") {
        return if args.iter().any(|arg| arg == "-q") {
            controller::stop()
        } else {
            controller::become_java(&place, args)
        };
    }
    match word(0) {
        Some("-q") => tools::quit(&place),
        Some("-c") => tools::send_command(&place, args.get(1)),
        Some("-m") => tools::memory_dump(&place),
        _ => run(place, args),
    }
}

fn run(place: Place, args: &[OsString]) -> i32 {
    let mode = Mode::load(&place.data);
    if mode.on("zombie_server") && std::env::var_os(KEPT).is_none() {
        let program = place.program("server");
        let child = Command::new(&program).args(args).env(KEPT, "1").spawn();
        return match child {
            Ok(_) => exec(&mut Command::new(place.helper("keeper"))),
            Err(_) => 1,
        };
    }
    // Held until the process ends, whatever way it ends.
    let lock = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.data.join("~notes.lck"));
    let locked = lock.as_ref().is_ok_and(|file| {
        rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    });
    if !locked {
        Console::open(&place)
            .bare("Server Error: a Domino server is already running in this data directory");
        return 1;
    }
    task::ignore(libc::SIGHUP);
    task::ignore(libc::SIGTTIN);
    let mut server = Server {
        console: Console::open(&place),
        tasks: Vec::new(),
        tika: None,
        asked: None,
        stopping: false,
        control: None,
        port: None,
        input: Input::new(),
        began: Instant::now(),
        flooded: 0,
        die_at: None,
        mode,
        place,
    };
    server.start(args);
    let code = loop {
        match server.asked {
            None => server.turn(Duration::from_millis(50)),
            Some(Asked::Die) => {
                server
                    .console
                    .line("Server exiting: unable to continue, see the log");
                break server.abort();
            }
            Some(Asked::Forgotten) => break server.abort(),
            Some(asked) => {
                if let Some(code) = server.shutdown() {
                    if asked == Asked::Restart {
                        let program = server.place.program("server");
                        return exec(Command::new(program).args(args));
                    }
                    break code;
                }
                server.asked = None;
            }
        }
    };
    drop(lock);
    code
}

/// Becomes another program; the code when that failed.
pub fn exec(command: &mut Command) -> i32 {
    let error = command.exec();
    eprintln!("standin: {}: {error}", command.get_program().display());
    126
}

impl Server {
    /// Goes on serving for this long.
    pub(super) fn pause(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            self.turn(rest.min(Duration::from_millis(50)));
        }
    }

    /// One turn of the loop: waits for commands at most this long, then looks
    /// at everything that has no descriptor to wait on.
    pub(super) fn turn(&mut self, limit: Duration) {
        let mut commands = self.input.lines();
        match &self.control {
            Some(control) => {
                for request in control.wait(limit) {
                    match request.split_first() {
                        Some((b'c', command)) => commands.push(command.to_vec()),
                        _ => commands.push(b"quit".to_vec()),
                    }
                }
            }
            None => std::thread::sleep(limit),
        }
        for command in commands {
            self.execute(&command);
        }
        self.flood();
        self.reap();
        if self.die_at.is_some_and(|at| Instant::now() >= at) && self.asked.is_none() {
            self.asked = Some(Asked::Die);
        }
        if !self.place.data.is_dir() || self.began.elapsed() > self.mode.lifetime() {
            self.asked = Some(Asked::Forgotten);
        }
    }

    fn flood(&mut self) {
        let Some(rate) = self.mode.number("flood") else {
            return;
        };
        let due = (self.began.elapsed().as_secs_f64() * rate as f64) as u64;
        while self.flooded < due {
            self.flooded += 1;
            self.console.line(&format!(
                "Opened session for user{0}/Example (Release 14.0) line {0}",
                self.flooded
            ));
        }
    }

    fn reap(&mut self) {
        let mut changed = false;
        for task in self.tasks.iter_mut().chain(&mut self.tika) {
            if !task.ended && !matches!(task.child.try_wait(), Ok(None)) {
                task.ended = true;
                changed = true;
            }
        }
        if changed {
            self.write_pids();
        }
    }

    /// Writes pid.nbf: `<active> <pid> <parent> <task>`.
    pub(super) fn write_pids(&self) {
        let own = std::process::id();
        let mut text = format!("1 {own} {} server\n", std::os::unix::process::parent_id());
        for task in self.tasks.iter().chain(&self.tika) {
            let active = i32::from(!task.ended);
            text.push_str(&format!(
                "{active} {} {own} {}\n",
                task.child.id(),
                task.name
            ));
        }
        let _ = std::fs::write(self.place.data.join("pid.nbf"), text);
    }
}
