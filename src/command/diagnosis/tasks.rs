//! `proc` and `mon`: the server's tasks, once and until it is down.

use super::super::Call;
use crate::cli::diagnosis::MonArgs;
use crate::domino::Partition;
use crate::domino::figures::seconds;
use crate::domino::processes::Programs;
use crate::domino::task_list::{self, ServerTask};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::keys::Keys;
use crate::os::pidfd::ProcessHandle;
use crate::os::signals::{Signal, Signals};
use crate::os::wait::wait_any;
use crate::ui::{Ui, has_terminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How often it is looked for new tasks; the end of one is noticed at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The title of the list, as the original has it.
const TITLE: &str = "Domino Server Process Status";

/// `proc`.
pub fn list(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let partition = match super::partition(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let tasks = task_list::look(&partition, &Programs::of(&partition))?;
    ui.text(&sheet(&tasks));
    if !tasks.iter().any(|task| task.runs) {
        ui.line("Domino Server not running");
    }
    Ok(Exit::Done)
}

fn sheet(tasks: &[ServerTask]) -> String {
    let mut text = format!("\n{TITLE}\n{}\n\n", "-".repeat(TITLE.len()));
    for task in tasks {
        let mark = if task.runs { 'X' } else { ' ' };
        text.push_str(&format!(
            " [{mark}]  {} ({})\n",
            shown(&task.name),
            task.pid
        ));
    }
    text.push('\n');
    text
}

/// `mon`.
pub fn watch(call: &Call, arguments: MonArgs, ui: &mut Ui) -> Result<Exit> {
    let partition = match super::partition(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let began = Instant::now();
    let limit = arguments
        .timeout
        .map(|seconds| began + Duration::from_secs(seconds.into()));
    let on_terminal = has_terminal();
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    let stdin = std::io::stdin();
    let keys = on_terminal.then(|| Keys::of(stdin.as_fd()).ok()).flatten();
    let mut view = View {
        partition: &partition,
        shown: Vec::new(),
        redraws: on_terminal,
        ui,
    };
    let end = view.until_down(&signals, keys.as_ref(), limit)?;
    drop(keys);
    let name = shown(&partition.name());
    match end {
        End::WasDown => ui.line("Domino Server not running"),
        End::Down => ui.line(&format!(
            "Domino server {name} is down after {}",
            seconds(began.elapsed())
        )),
        End::Left => ui.line(""),
        End::TimedOut => {
            return Err(Error::StillRunning(format!(
                "Domino server {name} still runs after {}",
                seconds(began.elapsed())
            )));
        }
        End::Signal(signal) => {
            return Ok(Exit::Signal(crate::domino::tools::number(signal)));
        }
    }
    Ok(Exit::Done)
}

/// How watching came to its end.
enum End {
    WasDown,
    Down,
    Left,
    TimedOut,
    Signal(Signal),
}

struct View<'a> {
    partition: &'a Partition,
    shown: Vec<ServerTask>,
    redraws: bool,
    ui: &'a mut Ui,
}

impl View<'_> {
    fn until_down(
        &mut self,
        signals: &Signals,
        keys: Option<&Keys>,
        limit: Option<Instant>,
    ) -> Result<End> {
        let programs = Programs::of(self.partition);
        let mut first = true;
        loop {
            let tasks = task_list::look(self.partition, &programs)?;
            let running = tasks.iter().any(|task| task.runs);
            if first && !running {
                return Ok(End::WasDown);
            }
            self.show(tasks, first)?;
            if !running {
                return Ok(End::Down);
            }
            first = false;
            if limit.is_some_and(|limit| Instant::now() >= limit) {
                return Ok(End::TimedOut);
            }
            if let Some(end) = self.wait(signals, keys, limit)? {
                return Ok(end);
            }
        }
    }

    /// Shows the tasks: the whole list anew, or what changed.
    fn show(&mut self, tasks: Vec<ServerTask>, first: bool) -> Result<()> {
        if self.redraws {
            if first || tasks != self.shown {
                // Clears the screen and goes to its corner (ECMA-48).
                self.ui.text("\x1b[H\x1b[2J");
                self.ui.text(&sheet(&tasks));
            }
        } else {
            let time = self.partition.stamp("%H:%M:%S")?;
            for change in task_list::changes(&self.shown, &tasks) {
                let what = match (first, change.runs) {
                    (true, _) => "running",
                    (false, true) => "started",
                    (false, false) => "ended",
                };
                let name = shown(&change.name);
                self.ui
                    .line(&format!("{time} {what} {name} ({})", change.pid));
            }
        }
        self.shown = tasks;
        Ok(())
    }

    /// Waits for the end of one of them, a key, a signal, or the next look.
    fn wait(
        &self,
        signals: &Signals,
        keys: Option<&Keys>,
        limit: Option<Instant>,
    ) -> Result<Option<End>> {
        let next = Instant::now() + LOOK_EVERY;
        let until = limit.map_or(next, |limit| limit.min(next));
        let mut handles = Vec::new();
        for task in self.shown.iter().filter(|task| task.runs) {
            handles.extend(ProcessHandle::open_current(task.pid).map_err(Error::Processes)?);
        }
        let stdin = std::io::stdin();
        let keyboard = keys.map(|_| stdin.as_fd());
        let wake = wait_any(&handles, Some(signals), keyboard.as_slice(), Some(until))
            .map_err(Error::system("wait for processes"))?;
        if let Some(signal) = wake.signal {
            return Ok(Some(End::Signal(signal)));
        }
        if !wake.readable.is_empty() {
            // The key is for us, not for the shell that comes next.
            keys.map(|keys| keys.read(&mut [0; 64]));
            return Ok(Some(End::Left));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process::Pid;

    #[test]
    fn the_list_looks_as_the_originals_does() {
        let task = |pid, name: &str, runs| ServerTask {
            pid: Pid::new(pid).unwrap(),
            name: name.into(),
            runs,
        };
        assert_eq!(
            sheet(&[task(1, "server", true), task(2, "router", false)]),
            "\nDomino Server Process Status\n----------------------------\n\n [X]  server (1)\n [ ]  router (2)\n\n"
        );
    }
}
