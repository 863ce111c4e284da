//! A server's unit under systemd, through systemctl and journalctl.

use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::bounded::{Ended, Output, Piece, run_bounded};
use crate::os::signals::{Signal, Signals};
use crate::os::spawn::{Child, Launch, Stream};
use crate::os::wait::wait_any;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// What is asked of systemd about a unit.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,StateChangeTimestampMonotonic,Result,Type,User,Restart,ExecStart,ExecStop,ExecStopPost,ExecMainCode,ExecMainStatus";

/// ExecMainCode where the main process ended by itself (CLD_EXITED,
/// waitid(2)); 0 where it runs or never did.
const EXITED: &str = "1";

/// How long systemd may take to answer that.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How often a unit is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often a start is asked for whose systemctl a signal ends: one may come
/// for a terminal's whole process group, and again from its shell.
const START_TRIES: usize = 3;

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

    /// Whether systemd said anything.
    pub fn is_known(&self) -> bool {
        !self.property("LoadState").is_empty()
    }

    /// Whether there is such a unit.
    pub fn is_loaded(&self) -> bool {
        self.property("LoadState") == "loaded"
    }

    /// Whether the administrator has forbidden every start of it.
    pub fn is_masked(&self) -> bool {
        self.property("LoadState") == "masked"
    }

    /// Whether its start command is at work: systemd runs no stop command
    /// before that is done, a stop signals all that the unit runs. The main
    /// process of a notify unit is made for just that.
    pub fn is_starting(&self) -> bool {
        self.active() == "activating"
            && self.property("SubState").starts_with("start")
            && !super::unit_check::is_notify(self.property("Type"))
    }

    /// Whether systemd is stopping it.
    pub fn is_stopping(&self) -> bool {
        self.active() == "deactivating"
    }

    /// Whether it was not started, as compared with the state `before`, for
    /// having been started more often than StartLimitBurst= allows. The result
    /// of the start that failed before stays.
    pub fn hit_start_limit(&self, before: &UnitState) -> bool {
        self.active() == "failed" && !self.ran_since(before) && self.changed_since(before)
    }

    fn ran_since(&self, before: &UnitState) -> bool {
        self.property("ExecStart") != before.property("ExecStart")
    }

    /// systemd has had a hand in it, though perhaps left it as it was.
    fn changed_since(&self, before: &UnitState) -> bool {
        let when = "StateChangeTimestampMonotonic";
        self.property(when) != before.property(when)
    }

    /// Whether a server may run outside of it without its start failing for
    /// that: `run` takes one over, while systemd refuses a PID file that names
    /// a process of another's.
    pub fn takes_over(&self) -> bool {
        super::unit_check::is_notify(self.property("Type"))
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

    /// Whether systemd would start it again after a clean stop that went past
    /// systemd: such a stop does not last.
    pub fn comes_back(&self) -> bool {
        matches!(self.property("Restart"), "always" | "on-success")
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
    /// the start. A start that was not made left no answer: systemctl, or sudo
    /// in front of it, has `code` for one that this caller may not make, and
    /// for others too.
    pub fn verdict_of_start(&self, before: &UnitState, code: u8, as_root: bool) -> Exit {
        if !self.ran_since(before) {
            let refused = matches!(code, 1 | 4) && !as_root && !self.changed_since(before);
            return if refused {
                Exit::Privilege
            } else {
                Exit::Failed
            };
        }
        match exit_status(self.property("ExecStart")) {
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

    /// What systemd knows of it. An error where it does not say: that is no
    /// word for there being no such unit.
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
        let ended = run_bounded(launch, Some(ANSWER_LIMIT), None, output).map_err(|cause| {
            Error::Program {
                program: "systemctl".into(),
                cause,
            }
        })?;
        let text = String::from_utf8_lossy(&answer);
        let state = UnitState {
            properties: text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        if !state.is_known() {
            let within = match ended {
                Ended::TimedOut => format!(" in {} s", ANSWER_LIMIT.as_secs()),
                _ => String::new(),
            };
            return Err(Error::Service {
                message: format!(
                    "systemd did not tell{within} what it knows of {0}; see what 'systemctl show {0}' says, or go past systemd with --direct",
                    shown(&self.name)
                ),
                exit: Exit::Failed,
            });
        }
        Ok(state)
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

    /// Starts a systemctl call without waiting for it. `signals` are held back
    /// until it is finished; those that they hand out end the wait for it.
    pub fn begin<'a>(&self, verb: &str, sudo: bool, signals: &'a Signals) -> Result<Job<'a>> {
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
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        self.begin(verb, sudo, &signals)?.finish().map(code_of)
    }

    /// Has systemd start it; systemctl's exit code. One that a signal ends is
    /// called again, and joins what systemd goes on with.
    pub fn start(&self, sudo: bool, signals: &Signals) -> Result<u8> {
        let mut status = self.begin("start", sudo, signals)?.finish()?;
        for _ in 1..START_TRIES {
            if status.signal().is_none() {
                break;
            }
            status = self.begin("start", sudo, signals)?.finish()?;
        }
        Ok(code_of(status))
    }

    /// Waits as long as the unit is `busy`, at most until `until`.
    pub fn wait_while(
        &self,
        busy: fn(&UnitState) -> bool,
        signals: &Signals,
        until: Option<Instant>,
    ) -> Result<Waited> {
        loop {
            let state = self.state()?;
            if !busy(&state) {
                return Ok(Waited::For(Box::new(state)));
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(Waited::TooLong);
            }
            let look = until.map_or(now + LOOK_EVERY, |until| until.min(now + LOOK_EVERY));
            let wake = wait_any(&[], Some(signals), &[], Some(look))
                .map_err(Error::system("wait for systemd"))?;
            if let Some(signal) = wake.signal {
                return Ok(Waited::Interrupted(signal));
            }
        }
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

/// How a wait for a unit ended.
#[derive(Debug)]
pub enum Waited {
    /// This is what it came to.
    For(Box<UnitState>),
    /// The time was over.
    TooLong,
    /// This signal asked for an end.
    Interrupted(Signal),
}

/// A systemctl call under way.
pub struct Job<'a> {
    child: Child,
    signals: &'a Signals,
    what: String,
}

impl Job<'_> {
    /// Waits for its end. What systemd was asked for goes on also where a
    /// signal ends the wait.
    pub fn finish(mut self) -> Result<ExitStatus> {
        const WATCH: &str = "wait for systemctl";
        while let Some(handle) = self.child.handle().map_err(Error::system(WATCH))? {
            let wake = wait_any(std::slice::from_ref(&handle), Some(self.signals), &[], None)
                .map_err(Error::system(WATCH))?;
            if let Some(signal) = wake.signal {
                // Refused where it is root's and this process no longer is.
                let _ = handle.signal(signal);
                return Err(unwaited(signal, &self.what));
            }
            if !wake.ended.is_empty() {
                break;
            }
        }
        self.child.wait().map_err(Error::system(WATCH))
    }
}

/// The error of whom a signal ends while systemd is at work for him.
pub fn unwaited(signal: Signal, what: &str) -> Error {
    Error::Interrupted {
        signal: u8::try_from(signal as i32).unwrap_or(0),
        state: format!("systemd goes on with {what}, nobody waits for it any more"),
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
    fn a_start_that_was_not_made_is_a_refusal_only_where_it_can_be() {
        let before = state(&[("ExecStart", "{ path=/x ; code=exited ; status=0 }")]);
        let not_made = |code, as_root| before.verdict_of_start(&before, code, as_root);
        assert_eq!(not_made(1, false), Exit::Privilege);
        assert_eq!(not_made(4, false), Exit::Privilege);
        assert_eq!(not_made(5, false), Exit::Failed);
        assert_eq!(not_made(1, true), Exit::Failed);
        let limit = state(&[
            ("ExecStart", "{ path=/x ; code=exited ; status=0 }"),
            ("ActiveState", "failed"),
            ("StateChangeTimestampMonotonic", "7"),
        ]);
        assert_eq!(limit.verdict_of_start(&before, 1, false), Exit::Failed);
        assert!(limit.hit_start_limit(&before) && !limit.hit_start_limit(&limit));
        let made = state(&[("ExecStart", "{ path=/x ; code=exited ; status=154 }")]);
        assert_eq!(made.verdict_of_start(&before, 1, false), Exit::Disabled);
    }

    #[test]
    fn a_unit_that_waits_for_its_next_start_is_not_being_started() {
        let starting = |sub, kind| {
            state(&[
                ("ActiveState", "activating"),
                ("SubState", sub),
                ("Type", kind),
            ])
            .is_starting()
        };
        for sub in ["start-pre", "start", "start-post"] {
            assert!(starting(sub, "forking"));
            assert!(!starting(sub, "notify"));
        }
        assert!(!starting("auto-restart", "forking"));
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
