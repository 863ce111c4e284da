//! The console commands the stand-in knows.

use super::mode::Mode;
use super::place::host;
use super::server::{Asked, Server};

impl Server {
    /// Executes a console command: its echo, then its answer, on the console.
    pub(super) fn execute(&mut self, command: &[u8]) {
        let command = command.trim_ascii();
        if command.is_empty() || self.mode.on("deaf") && !command.eq_ignore_ascii_case(b"quit") {
            return;
        }
        self.console.echo(command);
        let text = String::from_utf8_lossy(command).into_owned();
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        match words.as_slice() {
            ["quit" | "exit" | "q" | "e"] => self.ask(Asked::Quit),
            ["restart", "server"] => self.ask(Asked::Restart),
            ["show" | "sh", "server" | "se" | "serv"] => self.show_server(),
            ["show" | "sh", "tasks" | "task" | "ta"] => self.show_tasks(),
            ["tell", task, "quit" | "q"] => self.tell_quit(task),
            ["tell", task, ..] => match self.running(task) {
                Some(_) => self.console.line(&format!("{task}: command accepted")),
                None => self.not_running(task),
            },
            ["load", "backup", ..] if Mode::load(&self.place.data).on("backup_missing") => {
                self.console.line("Error: cannot load the program backup");
            }
            ["load", program, args @ ..] => {
                self.load(program, args);
            }
            ["broadcast" | "b", ..] => {
                let message = text
                    .split_once(char::is_whitespace)
                    .map_or("", |(_, rest)| rest);
                self.console
                    .line(&format!("Broadcast to all users: {}", message.trim()));
            }
            _ => self.console.line("Command not found in table"),
        }
    }

    fn ask(&mut self, what: Asked) {
        if !self.stopping && self.asked.is_none() {
            self.asked = Some(what);
        }
    }

    fn running(&self, name: &str) -> Option<usize> {
        self.tasks
            .iter()
            .position(|task| task.name == name && !task.ended)
    }

    fn not_running(&self, name: &str) {
        self.console
            .line(&format!("Task {name} is not running, command ignored"));
    }

    fn tell_quit(&mut self, name: &str) {
        match self.running(name) {
            Some(index) => self.stop_task(index),
            None => self.not_running(name),
        }
    }

    fn show_server(&self) {
        self.console
            .line("HCL Domino (r) Server (Release 14.0 for Linux/64)");
        self.console.line(&format!(
            "Server name:            standin/Example on {}",
            host()
        ));
        self.console.line(&format!(
            "Server directory:       {}",
            self.place.data.display()
        ));
        self.console
            .line(&format!("Server process:         {}", std::process::id()));
    }

    fn show_tasks(&self) {
        self.console.line("Task                 Description");
        self.console
            .line("Database Server      Perform console commands");
        for task in self.tasks.iter().filter(|task| !task.ended) {
            self.console.line(&format!(
                "{:<20} Idle, process {}",
                task.name,
                task.child.id()
            ));
        }
    }
}
