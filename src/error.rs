//! Every failure a user can see, one variant each, with its exit code.

use crate::exit::Exit;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A failure as the user sees it: what happened, to what, what to do next.
#[derive(Debug)]
pub enum Error {
    /// The command line does not say what to do.
    Usage(String),
    /// No such verb, and no custom command of that name.
    UnknownVerb {
        /// What was asked for.
        verb: OsString,
        /// The verb it resembles most, if any does.
        nearest: Option<String>,
    },
    /// The configuration is missing, unreadable or invalid.
    Settings(Box<crate::settings::Error>),
    /// The Domino user does not exist on this host.
    UnknownUser(OsString),
    /// Domino must not run as root.
    RootUser,
    /// The caller is neither root nor the Domino user, and sudo is no help.
    OtherUser {
        /// The Domino user.
        user: OsString,
        /// The command line that would work.
        try_instead: String,
    },
    /// The Domino user's login ended, with 0, before it ran this program.
    LoginEnded(OsString),
    /// Giving up root's privileges failed; nothing further was done.
    Switch {
        /// The user to become.
        user: OsString,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// LOTUS names a directory without a Domino server.
    NotInstalled(PathBuf),
    /// A path that must be there, or must be writable, is not.
    Path {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// An operation on a file failed.
    File {
        /// What was being done: "read", "write", "create" …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// The list of processes could not be read.
    Processes(io::Error),
    /// A program could not be started.
    Program {
        /// The program.
        program: PathBuf,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// Another start or stop holds the lock.
    Locked {
        /// Who holds it, as far as it can be told.
        holder: String,
        /// Seconds waited.
        seconds: u64,
    },
    /// The data directory is marked as disabled for maintenance.
    Disabled(PathBuf),
    /// The server came up and went away again, or never came up.
    StartFailed(String),
    /// Something of this server still runs.
    StillRunning(String),
    /// What the server wrote could not be flushed to disk.
    NotFlushed {
        /// The directory on the filesystem in question.
        path: PathBuf,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// The verb needs a running server.
    NeedsServer {
        /// Name of the server.
        server: OsString,
    },
    /// The verb needs the server to be down.
    NeedsStopped {
        /// Name of the server.
        server: OsString,
    },
    /// The program was asked to end by a signal; the text says what state
    /// things are in now.
    Interrupted {
        /// Number of the signal.
        signal: u8,
        /// What was left how.
        state: String,
    },
    /// A One-Touch Setup that cannot be prepared; the text says why.
    Setup(String),
    /// The service manager refused or failed.
    Service {
        /// What it said.
        message: String,
        /// The code it comes down to.
        exit: Exit,
    },
    /// What was asked for is not done, for a reason of its own.
    Refused {
        /// Why, and what to do instead.
        message: String,
        /// The code it comes down to.
        exit: Exit,
    },
    /// A call into the operating system failed where none should.
    System {
        /// What was being done.
        action: &'static str,
        /// What the kernel answered.
        cause: io::Error,
    },
}

/// What most functions above the `os` floor return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code this failure comes down to.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::UnknownVerb { .. } => Exit::Usage,
            Error::Settings(_) | Error::UnknownUser(_) | Error::RootUser => Exit::NotConfigured,
            Error::OtherUser { .. } | Error::Switch { .. } | Error::Processes(_) => Exit::Privilege,
            Error::NotInstalled(_) => Exit::NotInstalled,
            Error::Path { .. } => Exit::NotConfigured,
            Error::Locked { .. } => Exit::Locked,
            Error::Disabled(_) => Exit::Disabled,
            Error::NeedsServer { .. } => Exit::NeedsServer,
            Error::Interrupted { signal, .. } => Exit::Signal(*signal),
            Error::Service { exit, .. } | Error::Refused { exit, .. } => *exit,
            Error::File { .. }
            | Error::Program { .. }
            | Error::StartFailed(_)
            | Error::StillRunning(_)
            | Error::LoginEnded(_)
            | Error::NotFlushed { .. }
            | Error::NeedsStopped { .. }
            | Error::Setup(_)
            | Error::System { .. } => Exit::Failed,
        }
    }

    /// For `map_err`: an operation on `path` that failed.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |cause| Error::File {
            action,
            path,
            cause,
        }
    }

    /// For `map_err`: a call into the operating system that failed.
    pub fn system(action: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |cause| Error::System { action, cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) => write!(f, "{text}"),
            Error::UnknownVerb { verb, nearest } => {
                write!(f, "unknown verb '{}'", shown(verb))?;
                if let Some(nearest) = nearest {
                    write!(f, "; did you mean '{nearest}'?")?;
                }
                write!(f, "; 'rc_domino help' lists the verbs")
            }
            Error::Settings(error) => write!(f, "{error}"),
            Error::UnknownUser(user) => write!(
                f,
                "there is no user '{0}' on this host; create it, or name the right one with DOMINO_USER or --user",
                shown(user)
            ),
            Error::RootUser => write!(
                f,
                "Domino must not run as root; name its user with DOMINO_USER or --user"
            ),
            Error::OtherUser { user, try_instead } => write!(
                f,
                "this needs user '{}' or root; try: {try_instead}",
                shown(user)
            ),
            Error::LoginEnded(user) => write!(
                f,
                "nothing was done: the login of user '{0}' ended by itself before it ran rc_domino; look for 'exit' or 'exec' in his profile ('su - {0}' reads it)",
                shown(user)
            ),
            Error::Switch { user, cause } => write!(
                f,
                "cannot become user '{}': {cause}; nothing was done",
                shown(user)
            ),
            Error::NotInstalled(lotus) => write!(
                f,
                "no Domino server under {0} ({0}/bin/server is missing or cannot be executed); set LOTUS in the configuration",
                lotus.display()
            ),
            Error::Path { path, problem } => write!(f, "{}: {problem}", path.display()),
            Error::File {
                action,
                path,
                cause,
            } => not_done(f, action, path, cause),
            Error::Processes(cause) => write!(
                f,
                "cannot read the list of processes under /proc: {cause}; whether the server runs cannot be told"
            ),
            Error::Program { program, cause } => not_done(f, "run", program, cause),
            Error::Locked { holder, seconds } => write!(
                f,
                "{holder} still holds this server's lock after {seconds} seconds; try again when it is done (DOMINO_LOCK_TIMEOUT sets how long to wait)"
            ),
            Error::Disabled(marker) => write!(
                f,
                "the server is disabled for maintenance; remove {} to start it",
                marker.display()
            ),
            Error::StartFailed(text) | Error::StillRunning(text) | Error::Setup(text) => {
                write!(f, "{text}")
            }
            Error::NotFlushed { path, cause } => write!(
                f,
                "the server is down, but its data under {} could not be flushed to disk: {cause}; do not trust a snapshot taken now",
                path.display()
            ),
            Error::NeedsServer { server } => write!(
                f,
                "Domino server {} is not running; start it with 'rc_domino start'",
                shown(server)
            ),
            Error::NeedsStopped { server } => write!(
                f,
                "Domino server {} is running; stop it with 'rc_domino stop' first",
                shown(server)
            ),
            Error::Interrupted { signal, state } => {
                write!(f, "interrupted by {}: {state}", signal_name(*signal))
            }
            Error::Service { message, .. } | Error::Refused { message, .. } => {
                write!(f, "{message}")
            }
            Error::System { action, cause } => write!(f, "cannot {action}: {cause}"),
        }
    }
}

/// What could not be done to a file. The os floor's own errors name it already.
fn not_done(
    f: &mut fmt::Formatter<'_>,
    action: &str,
    path: &Path,
    cause: &io::Error,
) -> fmt::Result {
    let (path, cause) = (path.display().to_string(), cause.to_string());
    if cause.contains(&path) {
        write!(f, "{cause}")
    } else {
        write!(f, "cannot {action} {path}: {cause}")
    }
}

impl std::error::Error for Error {}

impl From<crate::settings::Error> for Error {
    fn from(error: crate::settings::Error) -> Error {
        Error::Settings(Box::new(error))
    }
}

/// Text from outside as it can be shown on one line of a terminal: control
/// characters but the tab escaped, at most 200 characters.
pub fn shown(text: &std::ffi::OsStr) -> String {
    let lossy = text.to_string_lossy();
    let mut chars = lossy.chars();
    let mut safe = printable(chars.by_ref().take(200));
    if chars.next().is_some() {
        safe.push('…');
    }
    safe
}

/// As [`shown`], but whole, whatever its length: for paths and what a program
/// prints.
pub fn shown_whole(text: &std::ffi::OsStr) -> String {
    printable(text.to_string_lossy().chars())
}

fn printable(chars: impl Iterator<Item = char>) -> String {
    let mut safe = String::new();
    for c in chars {
        match c {
            '\t' => safe.push(c),
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// A message of several lines that repeats what the caller typed: without
/// control characters, each line at most 200 characters.
pub fn bounded(message: &str) -> String {
    let lines: Vec<String> = message
        .lines()
        .take(40)
        .map(|line| shown(std::ffi::OsStr::new(line)))
        .collect();
    lines.join("\n")
}

/// The name of a signal the program handles, or its number.
pub fn signal_name(signal: u8) -> String {
    match signal {
        1 => "SIGHUP".into(),
        2 => "SIGINT".into(),
        9 => "SIGKILL".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn hostile_text_stays_on_one_line_and_short() {
        let hostile = OsStr::from_bytes(b"a\tb\nc\x1b[31m\xff");
        assert_eq!(shown(hostile), "a\tb\\nc\\u{1b}[31m\u{fffd}");
        let long = "x".repeat(100_000);
        assert_eq!(shown(OsStr::new(&long)).chars().count(), 201);
        assert_eq!(shown_whole(OsStr::new(&long)), long);
    }
}
