//! Asks bash for what a configuration file means, where the built-in reader
//! refused it. Runs as the current user, never as root, and for a limited time.

use super::scope::{Scope, Variable, belongs_to_bash, has_default_in_bash, is_name};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long the files of one configuration may run.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How many bytes of variables are taken back.
const MOST_STATE: usize = 8 << 20;
/// How many bytes of what the files print are kept.
const MOST_OUTPUT: usize = 16 << 10;

/// What bash made of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The scope after each file, in their order. Files behind one that calls
    /// `exit` are missing.
    pub states: Vec<(PathBuf, Scope)>,
    /// The file that ended the shell with `exit` (or by `set -e`).
    pub exited_in: Option<PathBuf>,
    /// What the files printed, bash's own complaints included; bounded.
    pub output: Vec<u8>,
}

/// Why bash gave no answer.
#[derive(Debug)]
pub enum Error {
    /// The effective user is root, who never executes configuration.
    Root,
    /// There is no bash to be run.
    NotFound(io::Error),
    /// A pipe or a wait failed.
    Io(io::Error),
    /// Bash refuses the file; its own message names file and line.
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, where bash named one.
        line: Option<usize>,
        /// Bash's message, without file and line.
        message: String,
    },
    /// The file was not done within the limit and was killed.
    TimedOut {
        /// The file that was running.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// The shell ended in a way that left no variables behind.
    NoAnswer {
        /// The file that was running.
        path: PathBuf,
        /// How the shell ended.
        status: ExitStatus,
        /// What it printed last; bounded.
        output: Vec<u8>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Root => f.write_str("root does not execute configuration"),
            Error::NotFound(error) => write!(f, "bash cannot be run: {error}"),
            Error::Io(error) => write!(f, "talking to bash failed: {error}"),
            Error::Syntax {
                path,
                line,
                message,
            } => match line {
                Some(line) => write!(f, "{}:{line}: {message}", path.display()),
                None => write!(f, "{}: {message}", path.display()),
            },
            Error::TimedOut { path, limit } => write!(
                f,
                "{}: was not done within {} s and was stopped",
                path.display(),
                limit.as_secs()
            ),
            Error::NoAnswer {
                path,
                status,
                output,
            } => {
                let output = String::from_utf8_lossy(output);
                write!(
                    f,
                    "{}: bash ended ({status}) without handing back the variables",
                    path.display()
                )?;
                match output.trim() {
                    "" => Ok(()),
                    said => write!(f, "; it said: {said}"),
                }
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NotFound(error) | Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Sources `files` one after the other in one bash that starts with `scope`.
///
/// # Errors
/// See [`Error`]; always [`Error::Root`] for root.
pub fn run(files: &[PathBuf], scope: &Scope) -> Result<Answer, Error> {
    if geteuid().is_root() {
        return Err(Error::Root);
    }
    run_with(&find_bash()?, files, scope, TIME_LIMIT)
}

/// As [`run`], for tests that root runs, too.
#[cfg(test)]
pub(super) fn run_for_tests(files: &[PathBuf], scope: &Scope) -> Result<Answer, Error> {
    run_with(&find_bash()?, files, scope, TIME_LIMIT)
}

/// Finds bash where systems keep it; PATH may come from the configuration.
fn find_bash() -> Result<PathBuf, Error> {
    ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| {
            let text = "neither /bin, /usr/bin nor /usr/local/bin has it";
            Error::NotFound(io::Error::new(io::ErrorKind::NotFound, text))
        })
}

/// Sources the files; the names that follow `--` are exported (`x`) or no
/// longer exported (`-`) before. A file's output goes to stderr, since the
/// variables go to stdout, which is kept aside as descriptor 87. They are
/// handed over by a subshell, so that what it has to undo (options, IFS, traps,
/// functions named like builtins) stays as the file wants it for the next one.
/// Records end in NUL: `/PATH` a file begins, `.PATH` it is done, `!PATH` it
/// called exit, `#` what came before belongs to no file, `+NAME` exported,
/// `=NAME` and then its value.
const SCRIPT: &str = r#"
exec 87>&1 1>&2
__rc_domino_state() (
    \set +aeufnvx
    \trap - DEBUG ERR RETURN EXIT
    \unset -f builtin compgen eval local printf
    IFS=$'\n'
    for __rc_domino_name in $(compgen -A variable); do
        case $__rc_domino_name in __rc_domino_*) continue ;; esac
        if [[ -n ${!__rc_domino_name+x} ]]; then
            printf '=%s\0%s\0' "$__rc_domino_name" "${!__rc_domino_name}"
        fi
    done
    for __rc_domino_name in $(compgen -A export); do
        printf '+%s\0' "$__rc_domino_name"
    done
    printf '%s\0' "$1"
)
while [[ $1 != -- ]]; do
    case $1 in
        -*) export -n "${1:1}" ;;
        x*) export "${1:1}" ;;
    esac
    shift
done
shift
__rc_domino_files=("$@")
set --
__rc_domino_state '#' >&87
trap '__rc_domino_state "!$__rc_domino_file" >&87 2>/dev/null' EXIT
for __rc_domino_file in "${__rc_domino_files[@]}"; do
    printf '/%s\0' "$__rc_domino_file" >&87
    . "$__rc_domino_file"
    __rc_domino_state ".$__rc_domino_file" >&87 2>/dev/null
done
trap - EXIT
exit 0
"#;

fn run_with(
    bash: &Path,
    files: &[PathBuf],
    scope: &Scope,
    limit: Duration,
) -> Result<Answer, Error> {
    let deadline = Instant::now() + limit;
    // `.` looks for a bare name in PATH first.
    let files: Vec<PathBuf> = files
        .iter()
        .map(|path| {
            if path.as_os_str().as_bytes().contains(&b'/') {
                path.clone()
            } else {
                Path::new(".").join(path)
            }
        })
        .collect();
    for path in &files {
        check_syntax(bash, path, deadline, limit)?;
    }

    let mut command = Command::new(bash);
    command
        .args(["--norc", "--noprofile", "-c", SCRIPT, "bash"])
        .env_clear();
    for (name, variable) in scope.iter() {
        if belongs_to_bash(name) && name != b"PWD" {
            continue;
        }
        let name = OsStr::from_bytes(name);
        if let Some(value) = &variable.value {
            command.env(name, OsStr::from_bytes(value));
        }
        let mark = match (&variable.value, variable.exported) {
            (Some(_), true) => continue,
            (None, true) => "x",
            (_, false) => "-",
        };
        let mut argument = OsString::from(mark);
        argument.push(name);
        command.arg(argument);
    }
    command.arg("--").args(&files);
    let ended = finish(&mut command, deadline)?;
    let Records {
        states,
        exited_in,
        running,
    } = read_records(&ended.stdout, scope);
    let path = running
        .or_else(|| files.first().cloned())
        .unwrap_or_default();
    match ended.status {
        None => Err(Error::TimedOut { path, limit }),
        Some(_) if states.len() == files.len() || exited_in.is_some() => Ok(Answer {
            states,
            exited_in,
            output: ended.stderr,
        }),
        Some(status) => Err(Error::NoAnswer {
            path,
            status,
            output: ended.stderr,
        }),
    }
}

/// Lets bash read a file without executing it, so that one with an error in
/// its last line does not take effect by half. Patterns that only some shells
/// know (`shopt -s extglob` within the file) count as valid.
fn check_syntax(bash: &Path, path: &Path, deadline: Instant, limit: Duration) -> Result<(), Error> {
    let mut complaint = Vec::new();
    for options in [&["-n"][..], &["-O", "extglob", "-n"]] {
        let mut command = Command::new(bash);
        command
            .args(options)
            .arg(path)
            .env_clear()
            .env("LC_ALL", "C");
        let ended = finish(&mut command, deadline)?;
        match ended.status {
            Some(status) if status.success() => return Ok(()),
            Some(_) if complaint.is_empty() => complaint = ended.stderr,
            Some(_) => {}
            None => {
                return Err(Error::TimedOut {
                    path: path.to_path_buf(),
                    limit,
                });
            }
        }
    }
    let (line, message) = complaint_about(path, &complaint);
    Err(Error::Syntax {
        path: path.to_path_buf(),
        line,
        message,
    })
}

/// Takes apart `PATH: line N: message`, as bash writes it.
fn complaint_about(path: &Path, complaint: &[u8]) -> (Option<usize>, String) {
    let first = complaint
        .split(|byte| *byte == b'\n')
        .find(|line| !line.is_empty())
        .unwrap_or(b"syntax error");
    let rest = first
        .strip_prefix(path.as_os_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b": line "));
    let text = String::from_utf8_lossy(rest.unwrap_or(first)).into_owned();
    match text.split_once(": ") {
        Some((line, message)) if rest.is_some() => (line.parse().ok(), message.to_owned()),
        _ => (None, text),
    }
}

struct Ended {
    /// `None` when the deadline came first.
    status: Option<ExitStatus>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Runs the command in a process group of its own until it ends or the
/// deadline comes, when the whole group is killed. What a file leaves running
/// in the background is not waited for.
fn finish(command: &mut Command, deadline: Instant) -> Result<Ended, Error> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Error::NotFound(error),
            _ => Error::Io(error),
        })?;
    let watched = watch(&mut child, deadline);
    if !matches!(&watched, Ok(ended) if ended.status.is_some()) {
        if let Ok(id) = i32::try_from(child.id()) {
            // It has not been waited for, so the id is still its own.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = child.wait();
    }
    watched.map_err(Error::Io)
}

fn watch(child: &mut Child, deadline: Instant) -> io::Result<Ended> {
    let mut pipes = [
        (
            child.stdout.take().map(std::os::fd::OwnedFd::from),
            MOST_STATE,
        ),
        (
            child.stderr.take().map(std::os::fd::OwnedFd::from),
            MOST_OUTPUT,
        ),
    ]
    .map(|(pipe, most)| Pipe {
        file: pipe.map(std::fs::File::from),
        kept: Vec::new(),
        most,
    });
    let mut status = None;
    // What a pipe can still hold after the end is read in a few steps; a
    // background process could go on writing for ever.
    let mut steps_left = 16;
    loop {
        // Looked at before the pipes, so that nothing written before the end
        // is missed.
        if status.is_none() {
            status = child.try_wait()?;
        }
        let now = Instant::now();
        if now >= deadline && status.is_none() {
            break;
        }
        // Once both ends are closed only the exit is left to wait for; it
        // follows at once. While they are open, a look every 20 ms is for
        // background processes that keep them.
        let open = pipes.iter().any(|pipe| pipe.file.is_some());
        let step = match (open, status.is_some()) {
            (_, true) => Duration::ZERO,
            (true, false) => Duration::from_millis(20).min(deadline - now),
            (false, false) => Duration::from_millis(1),
        };
        let progress = read_ready(&mut pipes, step)?;
        if status.is_some() {
            steps_left -= 1;
            if !progress || steps_left == 0 {
                break;
            }
        } else if !open {
            std::thread::sleep(step);
        }
    }
    let [stdout, stderr] = pipes.map(|pipe| pipe.kept);
    Ok(Ended {
        status,
        stdout,
        stderr,
    })
}

struct Pipe {
    file: Option<std::fs::File>,
    kept: Vec<u8>,
    most: usize,
}

/// Reads what is there, waiting for it up to `step`; false when nothing came.
fn read_ready(pipes: &mut [Pipe], step: Duration) -> io::Result<bool> {
    let ready: Vec<bool> = {
        let mut asked: Vec<PollFd<'_>> = pipes
            .iter()
            .filter_map(|pipe| pipe.file.as_ref())
            .map(|file| PollFd::new(file, PollFlags::IN))
            .collect();
        if asked.is_empty() {
            return Ok(false);
        }
        let step = Timespec {
            tv_sec: 0,
            tv_nsec: step.subsec_nanos().into(),
        };
        match poll(&mut asked, Some(&step)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        asked
            .iter()
            .map(|polled| !polled.revents().is_empty())
            .collect()
    };
    let mut progress = false;
    let open = pipes.iter_mut().filter(|pipe| pipe.file.is_some());
    for (pipe, _) in open.zip(ready).filter(|(_, ready)| *ready) {
        progress = true;
        let mut buffer = [0; 16 << 10];
        let Some(file) = pipe.file.as_mut() else {
            continue;
        };
        match file.read(&mut buffer) {
            Ok(0) => pipe.file = None,
            Ok(length) => {
                let room = pipe.most.saturating_sub(pipe.kept.len());
                let part = buffer.get(..length.min(room)).unwrap_or_default();
                pipe.kept.extend_from_slice(part);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(progress)
}

#[derive(Default)]
struct Records {
    states: Vec<(PathBuf, Scope)>,
    exited_in: Option<PathBuf>,
    running: Option<PathBuf>,
}

fn read_records(bytes: &[u8], before: &Scope) -> Records {
    let mut records = Records::default();
    let mut scope = Scope::default();
    let mut at_first = Scope::default();
    let mut fields = bytes.split(|byte| *byte == 0);
    while let Some(field) = fields.next() {
        let Some((mark, rest)) = field.split_first() else {
            continue;
        };
        match mark {
            b'/' => records.running = Some(path_from(rest)),
            b'=' => {
                let value = fields.next().unwrap_or_default().to_vec();
                let untouched = has_default_in_bash(rest)
                    && before.variable(rest).is_none()
                    && at_first.value(rest) == Some(&value);
                if is_name(rest) && !belongs_to_bash(rest) && !untouched {
                    let variable = Variable {
                        value: Some(value),
                        exported: false,
                    };
                    scope.put(rest, Some(variable));
                }
            }
            b'+' => {
                if let Some(mut variable) = scope.variable(rest).cloned() {
                    variable.exported = true;
                    scope.put(rest, Some(variable));
                }
            }
            b'#' => at_first = std::mem::take(&mut scope),
            b'.' | b'!' => {
                let path = path_from(rest);
                // What bash keeps for itself stays as it was, and so does
                // what is declared but not set, which it does not list.
                for (name, variable) in before.iter() {
                    let declared = variable.value.is_none() && scope.variable(name).is_none();
                    if belongs_to_bash(name) || declared {
                        scope.put(name, Some(variable.clone()));
                    }
                }
                if *mark == b'!' {
                    records.exited_in = Some(path.clone());
                }
                records.states.push((path, std::mem::take(&mut scope)));
            }
            _ => {}
        }
    }
    records
}

fn path_from(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
#[path = "bash_tests.rs"]
mod tests;
