//! The main job on a machine without Domino: start, status, console, stop,
//! status, in a sandbox, with a stand-in server.
//!
//! This one file plays three parts by the name it is called by: the stand-in
//! server and its tasks, rc_domino, and the demonstration itself.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../tests/standin/mod.rs"]
mod standin;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Whom the server runs as when the caller is root: Domino never runs as root.
const NOBODY_IN_PARTICULAR: u32 = 61_234;

/// The name that server and user have here.
const USER: &str = "notes";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = standin::dispatch(&arguments) {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name())
        .map(|name| name.to_string_lossy().into_owned());
    if name.as_deref() == Some("rc_domino") {
        return rc_domino::run(arguments, std::env::vars_os().collect()).into();
    }
    match demonstrate() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One step: what is typed, what is fed to it, and the code it must answer.
struct Step {
    words: &'static [&'static str],
    input: Option<&'static str>,
    code: i32,
}

const STEPS: [Step; 8] = [
    Step {
        words: &["status"],
        input: None,
        code: 3,
    },
    Step {
        words: &["start", "--wait"],
        input: None,
        code: 0,
    },
    Step {
        words: &["status"],
        input: None,
        code: 0,
    },
    Step {
        words: &["status", "display"],
        input: None,
        code: 0,
    },
    Step {
        words: &["console"],
        input: Some("show tasks"),
        code: 0,
    },
    Step {
        words: &["stop"],
        input: None,
        code: 0,
    },
    Step {
        words: &["status"],
        input: None,
        code: 3,
    },
    Step {
        words: &["statsu"],
        input: None,
        code: 2,
    },
];

fn demonstrate() -> std::io::Result<bool> {
    let sandbox = Sandbox::new()?;
    println!(
        "A sandbox in {}: a stand-in for Domino, no root, no network.\n",
        sandbox.top.display()
    );
    let mut good = true;
    for step in &STEPS {
        let code = sandbox.run(step)?;
        let verdict = if code == Some(step.code) {
            ""
        } else {
            "   <- unexpected"
        };
        println!(
            "[exit code {}]{verdict}\n",
            code.map_or("none".to_owned(), |code| code.to_string())
        );
        good &= verdict.is_empty();
    }
    println!(
        "{}",
        if good {
            "Done: the server was started, asked, and stopped with its data on disk."
        } else {
            "Something answered otherwise than it should."
        }
    );
    Ok(good)
}

/// A directory with all that a Domino host has, removed at the end.
struct Sandbox {
    top: PathBuf,
    uid: u32,
    gid: u32,
    drop_rights: bool,
}

impl Sandbox {
    fn new() -> std::io::Result<Sandbox> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let drop_rights = uid.is_root();
        let (uid, gid) = if drop_rights {
            (NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
        } else {
            (uid.as_raw(), gid.as_raw())
        };
        let top = std::env::temp_dir().join(format!("rc_domino-demo-{}", std::process::id()));
        std::fs::create_dir(&top)?;
        let sandbox = Sandbox {
            top,
            uid,
            gid,
            drop_rights,
        };
        sandbox.furnish()?;
        Ok(sandbox)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.join(name)
    }

    fn furnish(&self) -> std::io::Result<()> {
        for directory in ["root/etc/sysconfig", "bin", "home"] {
            std::fs::create_dir_all(self.path(directory))?;
        }
        let own = std::env::current_exe()?;
        std::fs::copy(&own, self.path("bin/rc_domino"))?;
        let mut layout = standin::Layout::new(own, self.path("lotus"), self.path("data"));
        if self.drop_rights {
            layout.owner = Some((self.uid, self.gid));
        }
        standin::install(&layout)?;
        let (top, uid, gid) = (self.top.display(), self.uid, self.gid);
        std::fs::write(
            self.path("root/etc/passwd"),
            format!("{USER}:x:{uid}:{gid}::{top}/home:/bin/sh\n"),
        )?;
        std::fs::write(self.path("root/etc/group"), format!("{USER}:x:{gid}:\n"))?;
        std::fs::write(
            self.path("root/etc/sysconfig/rc_domino_config"),
            format!(
                "DOMINO_CONFIGURED=\"yes\"\n\
                 LOTUS={top}/lotus\n\
                 DOMINO_DATA_PATH={top}/data\n\
                 DOMINO_PID_FILE={top}/data/domino.pid\n\
                 DOMINO_SHUTDOWN_TIMEOUT=60\n"
            ),
        )?;
        if self.drop_rights {
            for directory in ["", "home"] {
                std::os::unix::fs::chown(self.path(directory), Some(uid), Some(gid))?;
            }
        }
        Ok(())
    }

    /// Runs a step as it would be typed and shows its output.
    fn run(&self, step: &Step) -> std::io::Result<Option<i32>> {
        let line = step.words.join(" ");
        match step.input {
            Some(input) => println!("$ echo '{input}' | rc_domino {line}"),
            None => println!("$ rc_domino {line}"),
        }
        std::io::stdout().flush()?;
        let mut command = Command::new(self.path("bin/rc_domino"));
        command
            .args(step.words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("LANG", "C.UTF-8")
            .env("RC_DOMINO_ROOT", self.path("root"))
            .current_dir("/")
            .stdin(if step.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            });
        if self.drop_rights {
            command.uid(self.uid).gid(self.gid);
        }
        let mut child = command.spawn()?;
        if let (Some(input), Some(mut stdin)) = (step.input, child.stdin.take()) {
            writeln!(stdin, "{input}")?;
        }
        Ok(child.wait()?.code())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        standin::kill_all(&self.path("lotus"), &self.path("data"));
        let _ = std::fs::remove_dir_all(&self.top);
    }
}
