//! `run`: starts the server and stays in front, as a service manager's main
//! process or a container's first one, until the server is down.

use super::identity::{self, Standing};
use super::loading;
use super::{Call, live, start, stop};
use crate::domino::start::{Manner, Started};
use crate::domino::state::State;
use crate::domino::stop::Stopped;
use crate::domino::supervise::{Event, Left, Supervision};
use crate::domino::tools::{ToolEnd, Work};
use crate::domino::vitals::Vitals;
use crate::domino::{Partition, Reporter, lock, processes};
use crate::error::{Error, Result, shown, signal_name};
use crate::exit::Exit;
use crate::os::family::Family;
use crate::os::lock::Lock;
use crate::os::process::{FIRST, Pid, self_pid};
use crate::os::signals::Signals;
use crate::os::wait::wait_any;
use crate::service::notify::{Heartbeat, Notifier};
use crate::ui::Ui;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the first process of a container waits at its end for what it has
/// in the background, such as the compression of a log.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(10);

/// Runs the verb.
pub fn run(call: &Call, ui: &mut Ui) -> Result<Exit> {
    // First of all: a PID 1 never gets a signal that it does not hold back.
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    let identity = identity::settle(call)?;
    if identity.standing == Standing::Other {
        return Err(Error::OtherUser {
            try_instead: format!("sudo rc_domino --user {} run", shown(&identity.user.name)),
            user: identity.user.name,
        });
    }
    let notifier = Notifier::of(&call.environment).unwrap_or_else(|cause| {
        ui.warn(&format!("NOTIFY_SOCKET: {cause}; nobody is notified"));
        Notifier::default()
    });
    let partition = if self_pid() == FIRST {
        loading::load_in_container(call, &identity, ui)?
    } else {
        loading::load_as(call, &identity, ui)?
    };
    start::check(&partition)?;
    tell_grace(&partition, ui);
    let family = Family::head().map_err(Error::system("watch over processes"))?;
    let console = partition.settings.docker_stdout.value;
    let console = console
        .then(|| live::Background::of_log(&partition))
        .transpose()?;
    let mut service = Service {
        partition: &partition,
        notifier: &notifier,
        family: &family,
        reporter: Announcer {
            ui,
            notifier: &notifier,
        },
    };
    let exit = service.run(&signals);
    service.wait_for_background();
    drop(console);
    signals.for_good();
    exit
}

/// How long the container's runtime waits cannot be known from within: the
/// site may say it.
fn tell_grace(partition: &Partition, ui: &mut Ui) {
    let settings = &partition.settings;
    let shutdown = settings.shutdown_timeout.value.as_secs();
    match settings.termination_grace.value {
        Some(grace) if grace.as_secs() <= shutdown => ui.warn(&format!(
            "DOMINO_TERMINATION_GRACE, {} seconds, is not above DOMINO_SHUTDOWN_TIMEOUT, {shutdown} seconds: a server that is still closing its databases would be killed; raise terminationGracePeriodSeconds (Kubernetes) or --stop-timeout (Docker, Podman)",
            grace.as_secs()
        )),
        None if self_pid() == FIRST => ui.line(&format!(
            "The container's runtime must grant a stop more than {shutdown} seconds (DOMINO_SHUTDOWN_TIMEOUT); DOMINO_TERMINATION_GRACE has that checked"
        )),
        _ => {}
    }
}

/// Tells whoever reads the output, and the service manager.
struct Announcer<'a> {
    ui: &'a mut Ui,
    notifier: &'a Notifier,
}

impl Reporter for Announcer<'_> {
    fn info(&mut self, line: &str) {
        self.notifier.status(line);
        self.ui.info(line);
    }

    fn warn(&mut self, line: &str) {
        self.ui.warn(line);
    }

    fn progress(&mut self, line: &str) {
        self.notifier.status(line);
        self.ui.progress(line);
    }
}

/// The service while this process is in front of it.
struct Service<'a> {
    partition: &'a Partition,
    notifier: &'a Notifier,
    family: &'a Family,
    reporter: Announcer<'a>,
}

impl Service<'_> {
    fn name(&self) -> String {
        shown(&self.partition.name())
    }

    fn run(&mut self, signals: &Signals) -> Result<Exit> {
        let mut vitals = Vitals::of(self.partition);
        let beat = Heartbeat::start(self.notifier, move || vitals.moves());
        let (server, own) = match self.bring_up(signals) {
            Ok(started) => started,
            Err(Error::Interrupted { signal, .. }) => return self.stop(signal),
            Err(error) => {
                self.clear_after_failure();
                return Err(error);
            }
        };
        let (partition, notifier, family) = (self.partition, self.notifier, self.family);
        let name = self.name();
        let mut supervision = Supervision::of(partition, family, server, own);
        let mut beat = Some(beat);
        loop {
            let mut work = Work {
                partition,
                reporter: &mut self.reporter,
                signals,
            };
            let left = supervision.follow(&mut work, &mut |work, event| {
                if let Event::Ready(..) = event {
                    beat = None;
                }
                tell(work, notifier, &name, event);
            })?;
            beat = None;
            match left {
                Left::Asked(signal) => return self.stop(crate::domino::tools::number(signal)),
                Left::Gone => {
                    if let Some(exit) = self.conclude(&supervision)? {
                        return Ok(exit);
                    }
                }
            }
        }
    }

    /// Starts the server, or finds it; whether it is this process's own.
    fn bring_up(&mut self, signals: &Signals) -> Result<(Pid, bool)> {
        let mut work = Work {
            partition: self.partition,
            reporter: &mut self.reporter,
            signals,
        };
        let lock = lock::acquire(&mut work)?;
        let manner = Manner {
            keep_log: true,
            announce: Some(super::snapshot::plain::spoil),
            ..Manner::default()
        };
        match crate::domino::start::start(&mut work, &lock, manner)? {
            Started::WasRunning(pid) => {
                work.reporter.warn(&format!(
                    "the server runs already (pid {pid}), started by somebody else: it is taken over as it is, limits and control group included"
                ));
                Ok((pid, false))
            }
            Started::Up(pid) | Started::Ready(pid, _) | Started::StillStarting(pid, _) => {
                Ok((pid, true))
            }
        }
    }

    /// What must be done to its end, whoever asks otherwise, with the lock held
    /// and the service manager kept waiting.
    fn unbroken<T>(
        &mut self,
        status: &str,
        act: impl FnOnce(&mut Work, &Lock) -> Result<T>,
    ) -> Result<T> {
        let deaf = Signals::deaf().map_err(Error::system("hold back signals"))?;
        self.notifier.stopping(status);
        let longest = crate::domino::stop::longest(&self.partition.settings);
        let until = Instant::now() + longest;
        let _beat = Heartbeat::start(self.notifier, move || Instant::now() < until);
        let mut work = Work {
            partition: self.partition,
            reporter: &mut self.reporter,
            signals: &deaf,
        };
        let lock = loop {
            match lock::acquire(&mut work) {
                // Ending now would leave the server to be killed.
                Err(error @ Error::Locked { .. }) if Instant::now() < until => {
                    work.reporter.warn(&error.to_string());
                }
                other => break other?,
            }
        };
        act(&mut work, &lock)
    }

    fn stop(&mut self, signal: u8) -> Result<Exit> {
        let status = format!("Stopping: asked to by {}", signal_name(signal));
        self.reporter.ui.line(&status);
        self.unbroken(&status, |work, lock| stop::stop_locked(work, lock, false))
    }

    /// Nothing of a server that did not stay up may be left: the next start
    /// would be refused.
    fn clear_after_failure(&mut self) {
        let left = processes::find(self.partition).unwrap_or_default();
        if left.is_empty() || State::of(left).is_running() {
            return;
        }
        let cleared = self.unbroken(
            "Ending what is left of a failed start",
            crate::domino::stop::clear_after_crash,
        );
        if let Err(error) = cleared {
            self.reporter.warn(&error.to_string());
        }
    }

    /// The server is gone: what that comes to. None where it came back at the
    /// last moment.
    fn conclude(&mut self, supervision: &Supervision) -> Result<Option<Exit>> {
        let name = self.name();
        self.unbroken("The server is down", |work, lock| {
            let state = supervision.state()?;
            if supervision.lives(&state) {
                return Ok(None);
            }
            if state.has_died() {
                work.reporter.warn(&format!(
                    "Domino server {name} died and left {}",
                    processes::list(state.processes())
                ));
                crate::domino::stop::clear_after_crash(work, lock)?;
                return Ok(Some(Exit::Crashed));
            }
            let stopped = crate::domino::stop::stop(work, lock, false)?;
            crate::domino::pid_file::remove(work);
            let (text, exit) = match stopped {
                Stopped::WasDown | Stopped::Cleanly(_) => {
                    let failed = supervision.status.filter(|status| !status.success());
                    match failed {
                        None => {
                            work.reporter
                                .info(&format!("Domino server {name} was shut down"));
                            return Ok(Some(Exit::Done));
                        }
                        Some(status) => (ToolEnd::Ended(status).describe(), Exit::Failed),
                    }
                }
                Stopped::WasDownUnclean(how) | Stopped::MayRunElsewhere(how)
                    if supervision.by_another =>
                {
                    (
                        format!("is down, but its databases were not closed cleanly: {how}"),
                        Exit::Unclean,
                    )
                }
                Stopped::WasDownUnclean(how) | Stopped::MayRunElsewhere(how) => (
                    format!("crashed and did not come back: {how}"),
                    Exit::Crashed,
                ),
                Stopped::Forcibly(_) | Stopped::Crashing(_) => {
                    ("crashed and did not come back".to_owned(), Exit::Crashed)
                }
            };
            work.reporter.warn(&format!("Domino server {name} {text}"));
            Ok(Some(exit))
        })
    }

    /// Whatever runs when PID 1 ends is killed.
    fn wait_for_background(&self) {
        if self_pid() != FIRST {
            return;
        }
        let until = Instant::now() + BACKGROUND_LIMIT;
        while self.family.reap().is_ok_and(|reaped| !reaped.childless) && Instant::now() < until {
            let _ = wait_any(&[], None, &[self.family.as_fd()], Some(until));
        }
    }
}

/// Tells what happens to the server.
fn tell(work: &mut Work, notifier: &Notifier, name: &str, event: Event) {
    let text = match event {
        Event::Ready(pid, ready) => {
            let how = match ready {
                Some(ready) => format!("is ready (pid {pid}): {ready}"),
                None => format!("runs (pid {pid}); it did not show whether it is ready"),
            };
            let text = format!("Domino server {name} {how}");
            work.reporter.info(&text);
            return notifier.ready(&text);
        }
        Event::Lost => {
            format!("Domino server {name} is gone; looking whether it comes back by itself")
        }
        Event::Back(pid) => format!("Domino server {name} is back (pid {pid})"),
    };
    work.reporter.info(&text);
}
