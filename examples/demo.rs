//! The main job on a host in a temporary directory, with a stand-in for the
//! Domino server: `cargo run --example demo`, as root or not.
//!
//! This one program plays three parts, by the name it is called by: the demo,
//! `rc_domino`, and every program of Domino.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

#[path = "../tests/standin/mod.rs"]
mod standin;

use standin::Layout;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Whom Domino runs as when root runs the demo: a number no host gives out.
const UNPRIVILEGED: (u32, u32) = (61_000, 61_000);

/// What is typed, what it reads from standard input, the exit code that it
/// must have and a text that it must show.
const STEPS: [(&str, &str, i32, &str); 7] = [
    (
        "rc_domino status",
        "",
        3,
        "Domino Server is NOT running (notes)",
    ),
    ("rc_domino start --wait", "", 0, "is ready"),
    (
        "rc_domino status",
        "",
        0,
        "Domino Server is running (notes)",
    ),
    ("rc_domino status --format nagios", "", 0, "DOMINO OK"),
    ("rc_domino monitor", "show tasks\n", 0, "Idle"),
    ("rc_domino stop", "", 0, "stopped"),
    (
        "rc_domino status",
        "",
        3,
        "Domino Server is NOT running (notes)",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = standin::dispatch(&arguments) {
        return ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1));
    }
    let called = arguments.first().map(PathBuf::from).unwrap_or_default();
    if called.file_name().is_some_and(|name| name == "rc_domino") {
        return rc_domino::run(arguments, std::env::vars_os().collect()).into();
    }
    let host = Path::new("/tmp").join(format!("rc_domino_demo_{}", std::process::id()));
    let done = Demo::lay_out(&host).and_then(|demo| demo.play());
    standin::kill_all(&host.join("domino"), &host.join("notesdata"));
    let cleared = fs::remove_dir_all(&host);
    match done.and_then(|good| cleared.map(|()| good)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A host with one Domino server.
struct Demo {
    host: PathBuf,
    /// Whom the commands run as, where that is somebody else.
    switch: Option<(u32, u32)>,
}

impl Demo {
    fn lay_out(host: &Path) -> io::Result<Demo> {
        let own = fs::metadata("/proc/self").map(|entry| {
            use std::os::unix::fs::MetadataExt;
            (entry.uid(), entry.gid())
        })?;
        let switch = (own.0 == 0).then_some(UNPRIVILEGED);
        let (uid, gid) = switch.unwrap_or(own);
        let (domino, data) = (host.join("domino"), host.join("notesdata"));
        for directory in ["bin", "root/etc/sysconfig"] {
            fs::create_dir_all(host.join(directory))?;
        }
        fs::set_permissions(host, Permissions::from_mode(0o755))?;
        // The checkout may be closed to the user who is to run these.
        let program = host.join("bin/rc_domino");
        fs::copy(std::env::current_exe()?, &program)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        let mut layout = Layout::new(&program, &domino, &data);
        layout.owner = switch;
        standin::install(&layout)?;
        let etc = host.join("root/etc");
        let passwd = format!("notes:x:{uid}:{gid}::{}:/bin/sh\n", data.display());
        fs::write(etc.join("passwd"), passwd)?;
        fs::write(etc.join("group"), format!("notes:x:{gid}:\n"))?;
        fs::write(
            etc.join("sysconfig/rc_domino_config"),
            format!(
                "LOTUS={}\nDOMINO_DATA_PATH={1}\nDOMINO_PID_FILE={1}/domino.pid\nDOMINO_CONFIGURED=yes\n",
                domino.display(),
                data.display()
            ),
        )?;
        if switch.is_some() {
            chown(&data, Some(uid), Some(gid))?;
        }
        // Enough of a shutdown to be seen.
        fs::write(
            data.join("standin.mode"),
            "start_delay=1\nshutdown_delay=1\n",
        )?;
        Ok(Demo {
            host: host.to_path_buf(),
            switch,
        })
    }

    /// Every step; false where one answered otherwise than it must.
    fn play(&self) -> io::Result<bool> {
        println!(
            "# A host in {}, with a stand-in for HCL Domino.",
            self.host.display()
        );
        if let Some((uid, _)) = self.switch {
            println!("# Domino never runs as root: all of this is done by uid {uid}.");
        }
        for (line, input, code, text) in STEPS {
            let typed = match input {
                "" => String::new(),
                typed => format!("   <<< '{}'", typed.trim_end()),
            };
            println!("\n$ {line}{typed}");
            let (got, shown) = self.run(line, input)?;
            print!("{shown}");
            println!("[exit code {got}]");
            if got != code || !shown.contains(text) {
                println!("\ndemo: expected exit code {code} and '{text}'");
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run(&self, line: &str, input: &str) -> io::Result<(i32, String)> {
        let mut command = Command::new(self.host.join("bin/rc_domino"));
        command
            .args(line.split(' ').skip(1))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.host.join("notesdata"))
            .env("LANG", "C.UTF-8")
            .env("RC_DOMINO_ROOT", self.host.join("root"))
            .current_dir(&self.host)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some((uid, gid)) = self.switch {
            command.uid(uid).gid(gid);
        }
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
        shown.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), shown))
    }
}
