//! A server's unit under systemd, through systemctl and journalctl.

use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::bounded::{Output, Piece, run_bounded};
use crate::os::signals::Signals;
use crate::os::spawn::{Child, Launch, Stream};
use crate::os::wait::wait_any;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;
use std::time::Duration;

/// What is asked of systemd about a unit.
const PROPERTIES: &str = "LoadState,ActiveState,Result,Type,User,ExecStart,ExecStop,ExecStopPost,ExecMainCode,ExecMainStatus";

/// ExecMainCode where the main process ended by itself (CLD_EXITED,
/// waitid(2)); 0 where it runs or never did.
const EXITED: &str = "1";

/// How long systemd may take to answer that.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A unit by its name.
#[derive(Clone, Debug)]
pub struct Unit {
    name: OsString,
}

/// What systemd knows of a unit, from `systemctl show`.
#[derive(Clone, Debug, Default)]
pub struct UnitState {
    properties: HashMap<String, String>,
}

impl UnitState {
    fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// Whether there is such a unit.
    pub fn is_loaded(&self) -> bool {
        self.property("LoadState") == "loaded"
    }

    /// `active`, `inactive`, `failed`, `activating` …
    pub fn active(&self) -> &str {
        self.property("ActiveState")
    }

    /// Whether it ran, or was on its way up or down.
    pub fn is_up(&self) -> bool {
        !matches!(self.active(), "inactive" | "failed" | "")
    }

    /// The user the unit runs its programs as.
    pub fn user(&self) -> &str {
        self.property("User")
    }

    /// How the unit's last run ended, as an exit code of this program: what
    /// the stop command answered, or what systemd had to do itself.
    pub fn verdict_of_stop(&self) -> Exit {
        if super::unit_check::is_notify(self.property("Type")) {
            return self.verdict_of_main();
        }
        let answer = exit_status(self.property("ExecStop")).unwrap_or(0);
        if [Exit::Unclean, Exit::Crashed]
            .map(Exit::code)
            .contains(&answer)
        {
            return Exit::of_code(answer);
        }
        match self.property("Result") {
            // systemd killed what was still running when its own time was up.
            "timeout" | "watchdog" | "oom-kill" | "signal" | "core-dump" => Exit::Unclean,
            _ if answer != 0 => Exit::of_code(answer),
            _ => Exit::Done,
        }
    }

    /// The same where the main process is `rc_domino run`: its own answer, or,
    /// where it was killed, that of the stop after it.
    fn verdict_of_main(&self) -> Exit {
        // systemd keeps what it knows of a unit only where that has failed.
        if self.property("Result") == "success" {
            return Exit::Done;
        }
        if self.property("ExecMainCode") == EXITED {
            let code = self.property("ExecMainStatus").parse().unwrap_or(1);
            return Exit::of_code(code);
        }
        match exit_status(self.property("ExecStopPost")) {
            Some(0) => Exit::Done,
            Some(code) => Exit::of_code(code),
            None => Exit::Unclean,
        }
    }

    /// What the start command answered, as compared with the state `before`
    /// the start: a start that systemd refused to make left no answer.
    pub fn verdict_of_start(&self, before: &UnitState) -> Exit {
        let answer = self.property("ExecStart");
        if answer == before.property("ExecStart") {
            return Exit::Privilege;
        }
        match exit_status(answer) {
            Some(code) if code != 0 => Exit::of_code(code),
            _ => Exit::Failed,
        }
    }
}

/// The exit status within a property such as
/// `{ path=… ; … ; code=exited ; status=150 }`; 128 + n for a signal.
fn exit_status(command: &str) -> Option<u8> {
    let field = |name: &str| {
        command
            .split(" ; ")
            .find_map(|part| part.trim().strip_prefix(name))
            .map(|value| value.trim_end_matches([' ', '}']))
    };
    let status = field("status=")?.split('/').next()?.parse::<u8>().ok()?;
    match field("code=")? {
        "exited" => Some(status),
        "killed" | "dumped" => Some(128u8.saturating_add(status)),
        _ => None,
    }
}

impl Unit {
    /// A unit; refuses a name that systemctl could take for something else.
    pub fn new(name: &OsStr) -> Result<Unit> {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.@\\".contains(byte);
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes[0] == b'-' || bytes.len() > 255 || !bytes.iter().all(good) {
            return Err(Error::Service {
                message: format!(
                    "'{}' is no name of a unit; correct DOMINO_SYSTEMD_NAME",
                    shown(name)
                ),
                exit: Exit::NotConfigured,
            });
        }
        Ok(Unit {
            name: name.to_owned(),
        })
    }

    /// The unit's name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// What systemd knows of it. A systemctl that fails knows nothing.
    pub fn state(&self) -> Result<UnitState> {
        let mut launch = Launch::new("systemctl");
        launch.env = std::env::vars_os().collect();
        launch.args = vec![
            "show".into(),
            "--no-pager".into(),
            format!("--property={PROPERTIES}").into(),
            "--".into(),
            self.name.clone(),
        ];
        let mut answer = Vec::new();
        let output = Output::Bytes {
            bound: 1 << 20,
            into: &mut answer,
        };
        run_bounded(launch, Some(ANSWER_LIMIT), None, output).map_err(|cause| Error::Program {
            program: "systemctl".into(),
            cause,
        })?;
        let text = String::from_utf8_lossy(&answer);
        Ok(UnitState {
            properties: text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// A systemctl call for this unit; through sudo where the caller is not
    /// root and sudo is not ruled out, as the original does.
    fn control(&self, verb: &str, sudo: bool) -> Launch {
        let mut launch = if sudo {
            let mut launch = in_front("sudo");
            if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
                // Nobody can type a password.
                launch.args.push("-n".into());
            }
            launch.args.push("systemctl".into());
            launch
        } else {
            in_front("systemctl")
        };
        launch
            .args
            .extend([verb.into(), "--".into(), self.name.clone()]);
        launch
    }

    /// Starts a systemctl call without waiting for it. Signals are held back
    /// until it is finished.
    pub fn begin(&self, verb: &str, sudo: bool) -> Result<Job> {
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        let launch = self.control(verb, sudo);
        let program = std::path::PathBuf::from(&launch.program);
        let child = launch
            .spawn()
            .map_err(|cause| Error::Program { program, cause })?;
        Ok(Job {
            child,
            signals,
            what: format!("'systemctl {verb} {}'", shown(&self.name)),
        })
    }

    /// Runs a systemctl call to its end; its exit code.
    pub fn call(&self, verb: &str, sudo: bool) -> Result<u8> {
        self.begin(verb, sudo)?.finish().map(code_of)
    }

    /// Shows the unit's last lines in the journal.
    pub fn journal(&self, lines: u32) -> Result<u8> {
        let mut launch = in_front("journalctl");
        launch.args = vec![
            "--no-pager".into(),
            format!("--lines={lines}").into(),
            "--unit".into(),
            self.name.clone(),
        ];
        let failed = |cause| Error::Program {
            program: "journalctl".into(),
            cause,
        };
        let status = launch
            .spawn()
            .and_then(|mut child| child.wait())
            .map_err(failed)?;
        Ok(code_of(status))
    }

    /// The unit's last 5,000 lines in the journal, as this caller sees them.
    pub fn journal_text(&self) -> Result<Vec<u8>> {
        let mut launch = Launch::new("journalctl");
        launch.env = std::env::vars_os().collect();
        launch.args = ["--no-pager", "--lines=5000", "--unit"]
            .map(OsString::from)
            .to_vec();
        launch.args.push(self.name.clone());
        let mut text = Vec::new();
        let output = Output::Lines {
            bound: 8 << 20,
            each: &mut |piece| {
                if let Piece::Line(line) = piece {
                    text.extend_from_slice(line);
                    text.push(b'\n');
                }
            },
        };
        run_bounded(launch, Some(ANSWER_LIMIT), None, output).map_err(|cause| Error::Program {
            program: "journalctl".into(),
            cause,
        })?;
        Ok(text)
    }
}

/// Whether the host goes down: systemd starts nothing any more then.
pub fn host_is_stopping() -> bool {
    let mut launch = Launch::new("systemctl");
    launch.env = std::env::vars_os().collect();
    launch.args = vec!["is-system-running".into()];
    launch.stderr = Stream::Null;
    let mut answer = Vec::new();
    let output = Output::Bytes {
        bound: 1 << 10,
        into: &mut answer,
    };
    run_bounded(launch, Some(ANSWER_LIMIT), None, output).is_ok()
        && answer.trim_ascii() == b"stopping"
}

/// A systemctl call under way.
pub struct Job {
    child: Child,
    signals: Signals,
    what: String,
}

impl Job {
    /// Waits for its end. What systemd was asked for goes on also where a
    /// signal ends the wait.
    pub fn finish(mut self) -> Result<ExitStatus> {
        const WATCH: &str = "wait for systemctl";
        while let Some(handle) = self.child.handle().map_err(Error::system(WATCH))? {
            let wake = wait_any(
                std::slice::from_ref(&handle),
                Some(&self.signals),
                &[],
                None,
            )
            .map_err(Error::system(WATCH))?;
            if let Some(signal) = wake.signal {
                // Refused where it is root's and this process no longer is.
                let _ = handle.signal(signal);
                return Err(Error::Interrupted {
                    signal: u8::try_from(signal as i32).unwrap_or(0),
                    state: format!(
                        "systemd goes on with {}, nobody waits for it any more",
                        self.what
                    ),
                });
            }
            if !wake.ended.is_empty() {
                break;
            }
        }
        self.child.wait().map_err(Error::system(WATCH))
    }
}

fn code_of(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

/// A program with this one's environment and terminal.
fn in_front(program: &str) -> Launch {
    let mut launch = Launch::new(program);
    launch.env = std::env::vars_os().collect();
    launch.stdin = Stream::Inherit;
    launch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(properties: &[(&str, &str)]) -> UnitState {
        UnitState {
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn names_that_systemctl_could_misread_are_refused() {
        for bad in ["", "--force", "a b", "x;y", "a\nb", "a/b"] {
            assert!(Unit::new(OsStr::new(bad)).is_err(), "{bad}");
        }
        for good in ["domino.service", "domino@mail.service"] {
            assert!(Unit::new(OsStr::new(good)).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_stop_commands_answer_is_the_verdict() {
        let stop =
            "{ path=/x ; argv[]=/x stop ; ignore_errors=no ; pid=9 ; code=exited ; status=150 }";
        assert_eq!(
            state(&[("ExecStop", stop)]).verdict_of_stop(),
            Exit::Unclean
        );
        assert_eq!(
            state(&[("Result", "timeout")]).verdict_of_stop(),
            Exit::Unclean
        );
        assert_eq!(
            state(&[("Result", "success")]).verdict_of_stop(),
            Exit::Done
        );
        let killed = "{ path=/x ; code=killed ; status=15/TERM }";
        assert_eq!(
            state(&[("ExecStop", killed)]).verdict_of_stop(),
            Exit::Signal(15)
        );
        fn main(code: &str, status: &str, post: &str) -> Exit {
            state(&[
                ("Type", "notify"),
                ("Result", "exit-code"),
                ("ExecMainCode", code),
                ("ExecMainStatus", status),
                ("ExecStopPost", post),
            ])
            .verdict_of_stop()
        }
        let done = "{ path=/x ; code=exited ; status=0 }";
        let crashed = "{ path=/x ; code=exited ; status=151 }";
        assert_eq!(main("1", "150", done), Exit::Unclean);
        assert_eq!(main("1", "0", done), Exit::Done);
        assert_eq!(main("2", "9", done), Exit::Done);
        assert_eq!(main("2", "9", crashed), Exit::Crashed);
        assert_eq!(main("2", "9", ""), Exit::Unclean);
        let forgotten = [
            ("Type", "notify"),
            ("Result", "success"),
            ("ExecMainCode", "0"),
        ];
        assert_eq!(state(&forgotten).verdict_of_stop(), Exit::Done);
        assert_eq!(
            state(&[("ExecStop", killed), ("Result", "timeout")]).verdict_of_stop(),
            Exit::Unclean
        );
    }
}
