//! The server's start: IPC, control channel, tasks, port, and their lines.

use super::control::{Control, SERVER};
use super::place::host;
use super::server::{Asked, Server, Task};
use super::{TASKS, ipc, task};
use std::ffi::OsString;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

impl Server {
    /// Starts everything up to the line that says so; what goes wrong on the
    /// way ends up in `asked`.
    pub(super) fn start(&mut self, args: &[OsString]) {
        self.console.bare("");
        self.console
            .bare("HCL Domino (r) Server, Release 14.0 for Linux/64 (stand-in)");
        let die_after = self.mode.seconds("die_after_start");
        if die_after == Some(Duration::ZERO) {
            self.asked = Some(Asked::Die);
            return;
        }
        let _ = std::fs::write(
            self.place.data.join("~notes.lck"),
            format!("{}\n", std::process::id()),
        );
        for failed in ipc::create(&self.place.data) {
            self.console.line(&format!("Error creating IPC: {failed}"));
        }
        ipc::attach(&self.place.data);
        match Control::open(SERVER) {
            Ok(control) => self.control = Some(control),
            Err(error) => self
                .console
                .line(&format!("Error opening {SERVER}: {error}")),
        }
        if self.mode.on("fault_recovery") {
            let helper = self.place.helper("faultrecovery");
            let _ = Command::new(helper)
                .arg(std::process::id().to_string())
                .spawn();
        }
        if self.mode.on("zombie") {
            // Ends at once; as no task of ours it is never waited for.
            let _ = self.command("sched").env(task::LIFE, "0").spawn();
        }
        self.recover();
        let setup_port = self.set_up(args);
        let names: Vec<String> = match self.mode.text("tasks") {
            _ if setup_port.is_some() => Vec::new(),
            Some(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
            None => TASKS.map(str::to_owned).to_vec(),
        };
        let delay = self.mode.seconds_or("start_delay", 0.0);
        let step = delay / u32::try_from(names.len().max(1)).unwrap_or(1);
        if names.is_empty() {
            self.pause(step);
        }
        for name in names {
            self.pause(step);
            self.load(&name, &[]);
        }
        if ["tika", "orphan_tika", "tika_blocks"]
            .iter()
            .any(|key| self.mode.on(key))
        {
            self.start_tika();
        }
        let port = self
            .place
            .ini("StandinPort")
            .and_then(|port| port.parse().ok());
        if let Some(port) = setup_port.or(port) {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => self.port = Some(listener),
                Err(error) => self
                    .console
                    .line(&format!("TCPIP: cannot listen on port {port}: {error}")),
            }
        }
        if let Some(port) = setup_port {
            self.console
                .line(&format!("Remote setup: listening on port {port}"));
            return;
        }
        self.console.line("Database Server started");
        self.console
            .line(&format!("Server started on physical node {}", host()));
        self.die_at = die_after.map(|after| Instant::now() + after);
    }

    /// The restart recovery from the transaction log, before any task.
    fn recover(&mut self) {
        if self.place.ini("TRANSLOG_Status").as_deref() != Some("1") {
            return;
        }
        let silent = self.mode.on("recovery_silent");
        let say = |server: &Server, text: &str| {
            if !silent {
                server.console.line(text);
            }
        };
        say(self, "Restart Analysis (0 MB): 100%");
        self.pause(self.mode.seconds_or("recovery_delay", 0.0));
        say(
            self,
            "Recovery Manager: Restart Recovery complete. (0/0 databases needed full/partial recovery)",
        );
    }

    /// The set-up forms of the command line: `-auto FILE` sets the server up
    /// and goes on, `-listen PORT` waits for someone to do it.
    fn set_up(&mut self, args: &[OsString]) -> Option<u16> {
        let after = |flag: &str| {
            let at = args.iter().position(|arg| arg == flag)?;
            args.get(at + 1)
        };
        let given = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if after("-listen").is_none()
            && self.place.ini("ServerSetup").is_none()
            && given("SetupAutoConfigure")
            && given("SERVERSETUP_SERVER_TYPE")
        {
            self.place.set_ini("ServerSetup", "851400");
            self.console
                .line("Server configuration by environment variables completed successfully");
        }
        if let Some(file) = after("-auto") {
            self.place.set_ini("ServerSetup", "851400");
            let _ = std::fs::write(self.place.data.join("names.nsf"), [0x1a; 4096]);
            let _ = std::fs::remove_file(file);
            self.console
                .line("Application configuration completed successfully");
        }
        after("-listen")?.to_str()?.parse().ok()
    }

    /// A program of this Domino with DATA as its directory.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.place.program(name));
        command.current_dir(&self.place.data).stdin(Stdio::null());
        command
    }

    /// Starts a task or tool and lists it; whether that worked.
    pub(super) fn load(&mut self, name: &str, args: &[&str]) -> bool {
        let mut command = self.command(name);
        if name == "logasio" {
            command.args(["NOTESLOGGER", "reserved"]);
        }
        if TASKS.contains(&name) {
            task::hold_back(&mut command);
        }
        let Ok(child) = command.args(args).spawn() else {
            self.console
                .line(&format!("Error: cannot load the program {name}"));
            return false;
        };
        self.tasks.push(Task {
            name: name.to_owned(),
            child,
            ended: false,
        });
        self.write_pids();
        self.console.line(&task::started(name));
        true
    }

    fn start_tika(&mut self) {
        let mut command = self.command("jvm/bin/java");
        command.args(["-Xmx512m", "-jar", "tika-server.jar", "--host", "localhost"]);
        if let Ok(child) = command.spawn() {
            self.tika = Some(Task {
                name: "java".to_owned(),
                child,
                ended: false,
            });
            self.write_pids();
        }
    }
}
