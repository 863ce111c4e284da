//! A command run in a sandbox.

use super::outcome::Outcome;
use super::sandbox::{Sandbox, USER};
use super::{Target, holds, namespace::Entry, run_directory, spawned, target};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// After its end a command's output must be closed within this time: whoever
/// reads it to its end (the QEMU guest agent does) would hang on a server
/// that inherited it.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// A command to be run.
#[derive(Debug)]
pub struct Command<'a> {
    sandbox: &'a Sandbox,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    limit: Duration,
    entry: Entry,
    closed_output: bool,
    keep_input: bool,
}

impl<'a> Command<'a> {
    /// A program with the environment of the sandbox's user and nothing else.
    pub fn new(sandbox: &'a Sandbox, program: PathBuf) -> Command<'a> {
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            run_directory::get().join("bin").display()
        );
        let mut command = Command {
            sandbox,
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            limit: Duration::from_secs(120),
            entry: sandbox.entry(),
            closed_output: false,
            keep_input: false,
        }
        .env("PATH", path)
        .env("HOME", &sandbox.home)
        .env("LOGNAME", USER)
        .env("USER", USER)
        .env("SHELL", "/bin/bash")
        .env("LANG", "C.UTF-8");
        if matches!(target(), Target::Ours) {
            command = command.env("RC_DOMINO_ROOT", &sandbox.root);
        }
        command
    }

    /// The product under another of its names.
    pub fn called(mut self, name: &str) -> Command<'a> {
        self.program = run_directory::program(name);
        self
    }

    /// Arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Command<'a> {
        let more = arguments
            .iter()
            .map(|argument| argument.as_ref().to_owned());
        self.arguments.extend(more);
        self
    }

    /// One argument, any bytes.
    pub fn arg(self, argument: impl AsRef<OsStr>) -> Command<'a> {
        self.args(&[argument])
    }

    /// A variable, replacing the one that is there.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Command<'a> {
        self.environment.retain(|(known, _)| known != name);
        self.environment
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// No such variable.
    pub fn no_env(mut self, name: &str) -> Command<'a> {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// What it reads.
    pub fn input(mut self, text: &str) -> Command<'a> {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// Standard input stays open until the outcome is asked for.
    pub fn open_input(mut self) -> Command<'a> {
        self.keep_input = true;
        self
    }

    /// Who it runs as and where.
    pub fn entering(mut self, entry: Entry) -> Command<'a> {
        self.entry = entry;
        self
    }

    /// Nobody reads its output: writing fails with EPIPE.
    pub fn closed_output(mut self) -> Command<'a> {
        self.closed_output = true;
        self
    }

    /// The command as std has it, for other forms of running it.
    pub fn prepared(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.sandbox.base);
        self.entry.clone().apply(&mut command);
        command
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let mut command = self.prepared();
        command.process_group(0).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawned(&mut command);
        let mut input = child.stdin.take().unwrap();
        let _ = input.write_all(&self.input);
        let mut words = vec![self.program.file_name().unwrap_or_default().to_owned()];
        words.extend(self.arguments);
        let mut line = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        if line.len() > 500 {
            line = line.chars().take(500).collect();
        }
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let closed = self.closed_output;
        Running {
            out: (!closed).then(|| Heard::of(out)),
            err: (!closed).then(|| Heard::of(err)),
            input: self.keep_input.then_some(input),
            console: self.sandbox.log(),
            limit: self.limit,
            began: Instant::now(),
            child,
            line,
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.spawn().outcome()
    }
}

#[track_caller]
fn wait_minds(pid: i32, number: i32) {
    let path = format!("/proc/{pid}/status");
    super::wait_until("it minds the signal", || {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        status.lines().any(|line| {
            let mask = ["SigBlk:", "SigCgt:"]
                .iter()
                .find_map(|front| line.strip_prefix(front));
            let mask = mask.map(|mask| u64::from_str_radix(mask.trim(), 16));
            mask.is_some_and(|mask| mask.unwrap_or(0) >> (number - 1) & 1 == 1)
        })
    });
}

/// What a command writes, read in a thread of its own.
struct Heard {
    blocks: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Heard {
    fn of(mut from: impl Read + Send + 'static) -> Heard {
        let (sender, blocks) = channel();
        std::thread::spawn(move || {
            let mut block = [0; 8192];
            while let Ok(count) = from.read(&mut block) {
                if count == 0 || sender.send(block[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Heard {
            blocks,
            bytes: Vec::new(),
        }
    }

    /// Everything written so far.
    fn so_far(&mut self) -> &[u8] {
        self.bytes.extend(self.blocks.try_iter().flatten());
        &self.bytes
    }

    /// Everything, and whether the end was reached in time.
    fn everything(mut self) -> (Vec<u8>, bool) {
        let end = Instant::now() + CLOSED_WITHIN;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.blocks.recv_timeout(left) {
                Ok(block) => self.bytes.extend(block),
                Err(RecvTimeoutError::Disconnected) => return (self.bytes, true),
                Err(RecvTimeoutError::Timeout) => return (self.bytes, false),
            }
        }
    }
}

/// A command that runs.
pub struct Running {
    child: Child,
    out: Option<Heard>,
    err: Option<Heard>,
    /// Its standard input, where it was asked to stay open.
    pub input: Option<std::process::ChildStdin>,
    console: PathBuf,
    limit: Duration,
    began: Instant,
    line: String,
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends it a signal.
    pub fn signal(&self, number: i32) {
        crate::standin::processes::signal(self.pid(), number);
    }

    /// Waits until it minds a signal in a way of its own, as one that was just
    /// started does not.
    #[track_caller]
    pub fn wait_minds(&self, number: i32) {
        wait_minds(self.pid(), number);
    }

    /// The same for the login that it has begun.
    #[track_caller]
    pub fn wait_login_minds(&self, number: i32) {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(path).unwrap();
        let login = children.split_whitespace().next();
        let login = login.unwrap_or_else(|| panic!("no login below {}", self.line));
        wait_minds(login.parse().unwrap(), number);
    }

    /// Waits until it has said this, on stdout or stderr.
    #[track_caller]
    pub fn wait_says(&mut self, text: &str) {
        super::wait_until(&format!("it says '{text}'"), || {
            let both = [&mut self.out, &mut self.err].into_iter().flatten();
            both.into_iter().any(|one| holds(one.so_far(), text))
        });
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end. Past its time it is killed, and the scenario fails.
    #[track_caller]
    pub fn outcome(mut self) -> Outcome {
        drop(self.input.take());
        let end = self.began + self.limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > end {
                let _ = nix::sys::signal::killpg(
                    nix::unistd::Pid::from_raw(self.pid()),
                    nix::sys::signal::Signal::SIGKILL,
                );
                let _ = self.child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = self.began.elapsed();
        let heard = |from: Option<Heard>| from.map_or((Vec::new(), true), |from| from.everything());
        let (stdout, out_closed) = heard(self.out.take());
        let (stderr, err_closed) = heard(self.err.take());
        let outcome = Outcome {
            code: status.map_or(-1, |status| {
                status
                    .code()
                    .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
            }),
            stdout,
            stderr,
            took,
            line: self.line,
            console: std::fs::read(&self.console).unwrap_or_default(),
        };
        assert!(status.is_some(), "killed after {:?}\n{outcome}", self.limit);
        assert!(
            out_closed && err_closed || !super::ours(),
            "somebody holds the output open after the end\n{outcome}"
        );
        outcome
    }
}
