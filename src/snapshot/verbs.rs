//! The product's own verbs, as the keeper runs them: each in a process and a
//! session of its own, for the keeper stays what it is while they become the
//! Domino user.

use crate::error::{Error, Result};
use crate::os::bounded::{Ended, Output, Piece, run_bounded};
use crate::os::process::Pid;
use crate::os::root::Root;
use crate::os::spawn::{Child, Launch, Stream};
use crate::service;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

/// The most of a verb's output that is handed on, in bytes.
const OUTPUT_MAX: u64 = 1 << 20;

/// How long systemd may take to start the keeper.
const SYSTEMD_LIMIT: Duration = Duration::from_secs(20);

/// The PATH of what is run on a host's behalf, not on a caller's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How to run this program again for one user's server.
#[derive(Clone, Debug)]
pub struct Verbs {
    program: PathBuf,
    front: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Verbs {
    /// `direct`: past the service manager, as this program was called itself.
    /// Of the caller's environment only his language is kept, except in a
    /// trial below another root, which lives by it.
    pub fn new(
        program: PathBuf,
        user: &OsStr,
        direct: bool,
        root: &Root,
        environment: &[(OsString, OsString)],
    ) -> Verbs {
        let mut front = vec!["--user".into(), user.to_owned()];
        if direct {
            front.push("--direct".into());
        }
        let environment = if root.is_system() {
            let language = environment.iter().filter(|(name, _)| name == "LANG");
            std::iter::once(("PATH".into(), PATH.into()))
                .chain(language.cloned())
                .collect()
        } else {
            environment.to_vec()
        };
        Verbs {
            program,
            front,
            environment,
        }
    }

    fn launch(&self, words: &[&str]) -> Launch {
        let mut launch = Launch::new(self.program.clone());
        launch.args = self.front.clone();
        launch.args.extend(words.iter().map(OsString::from));
        launch.env = self.environment.clone();
        launch.cwd = Some("/".into());
        launch.new_session = true;
        launch
    }

    /// Runs a verb to its end, however long that takes, and hands its lines
    /// on; its exit code.
    pub fn run(&self, words: &[&str], each: &mut dyn FnMut(&[u8])) -> Result<u8> {
        let mut lines = |piece: Piece<'_>| {
            if let Piece::Line(line) = piece {
                each(line);
            }
        };
        let output = Output::Lines {
            bound: OUTPUT_MAX,
            each: &mut lines,
        };
        let ended = run_bounded(self.launch(words), None, None, output);
        match ended {
            Ok(Ended::Exited(status)) => {
                let signal = || status.signal().map(|signal| 128 + signal);
                let code = status.code().or_else(signal).unwrap_or(1);
                Ok(u8::try_from(code).unwrap_or(1))
            }
            Ok(Ended::TimedOut | Ended::Interrupted(_)) => Ok(1),
            Err(cause) => Err(Error::Program {
                program: self.program.clone(),
                cause,
            }),
        }
    }

    /// Starts the keeper where nothing of its caller reaches it: neither his
    /// descriptors, process group and session nor, where systemd runs the
    /// host, his control group and private /tmp.
    pub fn detach_keeper(&self, root: &Root, unit: &str) -> Result<()> {
        if root.is_system() && service::systemd_is_in_charge(root) {
            // systemd before 236 knows no --collect.
            for collect in [true, false] {
                if self.through_systemd(unit, collect) {
                    return Ok(());
                }
            }
        }
        self.detach(&[KEEPER_VERB]).map(drop)
    }

    /// Starts the process that watches the keeper `pid`.
    pub fn detach_second(&self, pid: Pid) -> Result<Child> {
        self.detach(&[SECOND_VERB, &pid.to_string()])
    }

    fn detach(&self, words: &[&str]) -> Result<Child> {
        let mut launch = self.launch(words);
        launch.stdout = Stream::Null;
        launch.stderr = Stream::Null;
        launch.spawn().map_err(|cause| Error::Program {
            program: self.program.clone(),
            cause,
        })
    }

    fn through_systemd(&self, unit: &str, collect: bool) -> bool {
        let mut launch = Launch::new("systemd-run");
        launch.env = vec![("PATH".into(), PATH.into())];
        launch.stdout = Stream::Null;
        launch.stderr = Stream::Null;
        launch.args = vec![
            "--quiet".into(),
            format!("--unit={unit}").into(),
            "--description=Keeps a Domino server frozen for a snapshot and brings it back".into(),
            // A server that it starts without a unit outlives it.
            "--property=KillMode=process".into(),
            // Killed, it takes up where it was.
            "--property=Restart=on-abnormal".into(),
            "--property=RestartSec=100ms".into(),
            "--property=TimeoutStopSec=300".into(),
            "--property=OOMScoreAdjust=-900".into(),
        ];
        if collect {
            launch.args.push("--collect".into());
        }
        for (name, value) in &self.environment {
            let mut setting = OsString::from("--setenv=");
            setting.push(name);
            setting.push("=");
            setting.push(value);
            launch.args.push(setting);
        }
        launch.args.push("--".into());
        launch.args.push(self.program.clone().into());
        launch.args.extend(self.front.iter().cloned());
        launch.args.push(KEEPER_VERB.into());
        run_bounded(launch, Some(SYSTEMD_LIMIT), None, Output::AsLaunched)
            .is_ok_and(|ended| matches!(ended, Ended::Exited(status) if status.success()))
    }
}

/// The hidden verb that is the keeper.
pub const KEEPER_VERB: &str = "__keeper";

/// The hidden verb that watches a keeper.
const SECOND_VERB: &str = "__keeper-second";
