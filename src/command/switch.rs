//! Becoming the Domino user: in this process, by a login, or through sudo.

use super::Call;
use super::identity::{Identity, Needs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::bounded::{Ended, Output, run_bounded};
use crate::os::files::is_executable;
use crate::os::signals::{Signal, Signals, ignores_hangups};
use crate::os::spawn::{Launch, Stream};
use crate::os::users::{self, User};
use crate::os::wait::wait_any;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// How long sudo may take to say what it allows.
const SUDO_LIMIT: Duration = Duration::from_secs(30);

/// What a login's environment starts from.
const LOGIN_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Gives up root's rights for good and becomes the Domino user: groups, gid,
/// uid, verified. Returns the environment he has then; nothing of root's.
pub fn become_user(call: &Call, user: &User) -> Result<Vec<(OsString, OsString)>> {
    let failed = |cause| Error::Switch {
        user: user.name.clone(),
        cause,
    };
    let groups = users::supplementary_groups(&call.root, user).map_err(failed)?;
    users::become_user(user, &groups).map_err(failed)?;
    // Root's working directory may be closed to him.
    if std::env::current_dir().is_err() || !readable(Path::new(".")) {
        std::env::set_current_dir("/").map_err(Error::system("change to /"))?;
    }
    let mut environment: Vec<(OsString, OsString)> = call
        .environment
        .iter()
        .filter(|(name, _)| kept(name))
        .cloned()
        .collect();
    environment.extend([
        ("HOME".into(), user.home.clone().into()),
        ("USER".into(), user.name.clone()),
        ("LOGNAME".into(), user.name.clone()),
        ("SHELL".into(), user.shell.clone().into()),
        ("PATH".into(), LOGIN_PATH.into()),
    ]);
    Ok(environment)
}

fn readable(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok()
}

/// What a user keeps of root's environment: how his terminal works and what
/// language he reads, as `su -` keeps TERM.
fn kept(name: &OsStr) -> bool {
    name == "TERM" || name == "LANG" || name == "COLORTERM" || name.as_bytes().starts_with(b"LC_")
}

/// Runs this program again as the Domino user with the login environment and
/// the limits that `su - USER` gives, and returns its exit code.
pub fn run_as_login(user: &User, arguments: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let program = own_program()?;
    let shell = login_shell(user);
    let mut launch = Launch::new(login_tool()?);
    // Everything is passed on as positional parameters: nothing that a caller
    // typed ever becomes part of a command string.
    launch.args.push("-l".into());
    if let Some(shell) = shell {
        launch.args.extend(["-s".into(), shell.into()]);
    }
    launch
        .args
        .extend(["-c".into(), "exec \"$0\" \"$@\"".into()]);
    launch
        .args
        .extend([user.name.clone(), "--".into(), program.into()]);
    launch
        .args
        .extend(["--in-login".into(), "--user".into(), user.name.clone()]);
    launch.args.extend(arguments.iter().cloned());
    launch.env = std::env::vars_os().collect();
    run_in_front(launch, ui)?
        .of_login()
        .ok_or_else(|| Error::LoginEnded(user.name.clone()))
}

/// runuser asks no password and is meant for root; su is the fallback.
fn login_tool() -> Result<PathBuf> {
    [
        "/usr/sbin/runuser",
        "/sbin/runuser",
        "/usr/bin/runuser",
        "/usr/bin/su",
        "/bin/su",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|tool| is_executable(tool))
    .ok_or_else(|| Error::Program {
        program: "runuser".into(),
        cause: std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "neither runuser nor su is installed; they give the Domino user his login environment and limits",
        ),
    })
}

/// A shell to name explicitly where the user's own does not understand the
/// command string: nologin, csh and the like.
fn login_shell(user: &User) -> Option<&'static str> {
    let name = user.shell.file_name().unwrap_or_default();
    let posix = ["sh", "bash", "dash", "ksh", "ksh93", "mksh", "zsh", "ash"]
        .iter()
        .any(|shell| name == *shell);
    if posix && is_executable(&user.shell) {
        return None;
    }
    let bash = "/bin/bash";
    Some(if is_executable(Path::new(bash)) {
        bash
    } else {
        "/bin/sh"
    })
}

/// Runs this program again through sudo, as root, for a caller who is neither
/// root nor the Domino user.
pub fn run_through_sudo(
    call: &Call,
    identity: &Identity,
    needs: Needs,
    ui: &mut Ui,
) -> Result<Exit> {
    let refused = || Error::OtherUser {
        user: identity.user.name.clone(),
        try_instead: as_typed(call),
    };
    if call.variable("DOMINO_NO_SUDO").is_some() {
        return Err(refused());
    }
    let mut launch = Launch::new("sudo");
    let program = own_program()?;
    if !std::io::stdin().is_terminal() {
        // Nobody can type a password: ask first whether none is needed, for
        // afterwards sudo's refusal looks like the verb's failure.
        if !sudo_allows(call, &program) {
            return Err(refused());
        }
        launch.args.push("-n".into());
    }
    launch.args.push("--".into());
    launch.args.push(program.into());
    launch
        .args
        .extend(["--user".into(), identity.user.name.clone()]);
    if call.direct {
        launch.args.push("--direct".into());
    }
    launch.args.extend(super::loading::verb_arguments(call));
    launch.env = call.environment.clone();
    match run_in_front(launch, ui) {
        Err(Error::Program { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(refused())
        }
        // sudo refuses with 1, which a verb that only looks never answers.
        Ok(Exit::Failed) if needs == Needs::Rights => Err(refused()),
        other => other,
    }
}

/// Whether sudo lets the caller run this program without a password.
fn sudo_allows(call: &Call, program: &Path) -> bool {
    let mut probe = Launch::new("sudo");
    probe.args = vec!["-n".into(), "-l".into(), "--".into(), program.into()];
    probe.env = call.environment.clone();
    probe.stdout = Stream::Null;
    probe.stderr = Stream::Null;
    run_bounded(probe, Some(SUDO_LIMIT), None, Output::AsLaunched)
        .is_ok_and(|ended| matches!(ended, Ended::Exited(status) if status.success()))
}

/// The command line as it would have to be typed for root.
pub fn as_typed(call: &Call) -> String {
    let mut line = String::from("sudo rc_domino");
    for argument in call.arguments.iter().skip(1) {
        line.push(' ');
        line.push_str(&crate::error::shown(argument));
    }
    line
}

/// This program's own file, as it can be run again.
pub fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(Error::system("find this program's own file"))
}

/// This program again, for that user's server: with the options in front of
/// the verb that this call was given, and with its environment. What this one
/// was called by may have told the user; the program's own file does not.
pub fn again(program: &Path, call: &Call, user: &OsStr) -> Launch {
    let mut launch = Launch::new(program);
    // A value may begin with a dash.
    let mut option = |name: &str, value: &OsStr| {
        let mut option = OsString::from(name);
        option.push(value);
        launch.args.push(option);
    };
    option("--user=", user);
    if let Some(file) = &call.config {
        option("--config=", file);
    }
    if let Some(seconds) = call.shutdown_timeout {
        option("--shutdown-timeout=", seconds.to_string().as_ref());
    }
    if call.direct {
        launch.args.push("--direct".into());
    }
    launch.env = call.environment.clone();
    launch
}

/// Runs a program in the foreground with this one's terminal, passing SIGTERM
/// and SIGHUP on; its code becomes this program's.
pub fn run_in_front(mut launch: Launch, ui: &mut Ui) -> Result<Exit> {
    launch.stdin = Stream::Inherit;
    launch.stdout = Stream::Inherit;
    launch.stderr = Stream::Inherit;
    run_to_end(launch, ui)
}

/// As [`run_in_front`], with input and output as the launch has them.
pub fn run_to_end(mut launch: Launch, _ui: &mut Ui) -> Result<Exit> {
    let program = PathBuf::from(&launch.program);
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    // Of what outlives its terminal (nohup, a restart) no part may end by that.
    launch.ignore_hangup |= ignores_hangups();
    let mut child = launch
        .spawn()
        .map_err(|cause| Error::Program { program, cause })?;
    while let Some(handle) = child.handle().map_err(Error::system("watch a program"))? {
        let wake = wait_any(&[handle], Some(&signals), &[], None)
            .map_err(Error::system("watch a program"))?;
        if !wake.ended.is_empty() {
            break;
        }
        // Ctrl-C reaches the program from the terminal already.
        if let Some(signal) = wake.signal.filter(|signal| *signal != Signal::SIGINT)
            && let Some(handle) = child.handle().map_err(Error::system("watch a program"))?
        {
            handle
                .signal(signal)
                .map_err(Error::system("pass a signal on"))?;
        }
    }
    let status = child.wait().map_err(Error::system("wait for a program"))?;
    Ok(exit_of(status))
}

/// What a run of this program answered.
pub fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::of_code(u8::try_from(code).unwrap_or(1)),
        (None, signal) => Exit::Signal(signal.and_then(|n| u8::try_from(n).ok()).unwrap_or(0)),
    }
}
