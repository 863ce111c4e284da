//! `run`: starts the server and stays in front, as a service manager's main
//! process or a container's first one, until the server is down.

use super::identity::{self, Identity, Standing};
use super::loading;
use super::{Call, live, start, stop};
use crate::domino::closure;
use crate::domino::figures::seconds;
use crate::domino::start::{Begun, Manner, watch_over};
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
use crate::os::signals::{Signal, Signals};
use crate::os::wait::wait_any;
use crate::service::notify::{Heartbeat, Notifier};
use crate::ui::Ui;
use std::cell::OnceCell;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the first process of a container waits at its end for what it has
/// in the background, such as the compression of a log.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(10);

/// How often the clearing is tried that failed after a server.
const TRIES: u32 = 3;

/// How often it is said that something is tried again, in tries.
const SAY_EVERY: u32 = 60;

/// The pause before something is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// For how long the server is not stopped though it cannot be watched.
const MOST_TROUBLE: Duration = Duration::from_secs(60);

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
    let partition = loading::load_as(call, &identity, ui)?;
    start::check(&partition)?;
    let family = Family::head().map_err(Error::system("watch over processes"))?;
    // Had now: at a stop there may be no descriptor left for them.
    let deaf = Signals::deaf().map_err(Error::system("hold back signals"))?;
    crate::ui::never_wait();
    tell_grace(&partition, ui);
    let console = partition.settings.docker_stdout.value;
    let console = console
        .then(|| live::Background::of_log(&partition))
        .transpose()?;
    let at_the_end = OnceCell::new();
    let mut service = Service {
        call,
        identity: &identity,
        at_the_end: &at_the_end,
        partition: &partition,
        notifier: &notifier,
        family: &family,
        deaf: &deaf,
        reporter: Announcer {
            ui,
            notifier: &notifier,
        },
    };
    let exit = service.run(&signals);
    service.wait_for_background();
    crate::ui::about_to_end();
    drop(console);
    signals.for_good();
    exit
}

/// How long the container's runtime waits cannot be known from within: the
/// site may say it.
fn tell_grace(partition: &Partition, ui: &mut Ui) {
    let needed = crate::domino::stop::until_closed(&partition.settings).as_secs();
    let parts = "DOMINO_SHUTDOWN_TIMEOUT, and what is sent and run before it";
    match partition.settings.termination_grace.value {
        Some(grace) if grace.as_secs() <= needed => ui.warn(&format!(
            "DOMINO_TERMINATION_GRACE, {} seconds, is not above the {needed} seconds that a stop may take ({parts}): a server that is still closing its databases would be killed; raise terminationGracePeriodSeconds (Kubernetes) or --stop-timeout (Docker, Podman)",
            grace.as_secs()
        )),
        None if self_pid() == FIRST => ui.line(&format!(
            "The container's runtime must grant a stop more than {needed} seconds ({parts}); DOMINO_TERMINATION_GRACE has that checked"
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
    call: &'a Call,
    identity: &'a Identity,
    partition: &'a Partition,
    /// The same, as it is configured when the server is stopped.
    at_the_end: &'a OnceCell<Partition>,
    notifier: &'a Notifier,
    family: &'a Family,
    /// For what must be done to its end, whoever asks otherwise.
    deaf: &'a Signals,
    reporter: Announcer<'a>,
}

impl Service<'_> {
    fn name(&self) -> String {
        shown(&self.partition.name())
    }

    fn run(&mut self, signals: &Signals) -> Result<Exit> {
        let mut vitals = Vitals::of(self.partition);
        let beat = Heartbeat::start(self.notifier, move || vitals.moves());
        let mut launched = false;
        let (server, own) = match self.bring_up(signals, &mut launched) {
            Ok(started) => started,
            Err(Error::Interrupted { signal, .. }) => return self.stop(signal),
            Err(error) if launched => return self.fail(error),
            // What kept the start from a launch is not this process's to end.
            Err(error) => return Err(error),
        };
        let (partition, notifier, family) = (self.partition, self.notifier, self.family);
        let name = self.name();
        let mut supervision = Supervision::of(partition, family, server, own);
        let mut beat = Some(beat);
        let mut trouble = Trouble::default();
        loop {
            let mut work = Work {
                partition,
                reporter: &mut self.reporter,
                signals,
            };
            let left = supervision.follow(&mut work, &mut |work, event| {
                if let Event::Ready(..) | Event::Unready(..) = event {
                    beat = None;
                }
                tell(work, notifier, &name, event);
            });
            let left = match left {
                Ok(left) => left,
                Err(error) => match trouble.bear(&mut work, error) {
                    Bearing::Again => continue,
                    Bearing::Asked(signal) => Left::Asked(signal),
                    Bearing::Enough(error) => return self.fail(error),
                },
            };
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
    fn bring_up(&mut self, signals: &Signals, launched: &mut bool) -> Result<(Pid, bool)> {
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
        match crate::domino::start::begin(&mut work, &lock, manner)? {
            Begun::WasRunning(pid) => {
                work.reporter.warn(&format!(
                    "the server runs already (pid {pid}), started by somebody else: it is taken over as it is, limits and control group included"
                ));
                Ok((pid, false))
            }
            Begun::Launched(server) => {
                *launched = true;
                let pid = server.pid();
                watch_over(&mut work, server, None).map(|_| (pid, true))
            }
        }
    }

    /// What must be done to its end, whoever asks otherwise, with the lock held
    /// and the service manager kept waiting.
    fn unbroken<T>(&mut self, act: impl Fn(&mut Work, &Lock) -> Result<T>) -> Result<T> {
        let longest = crate::domino::stop::longest(&self.partition.settings);
        let until = Instant::now() + longest;
        let _beat = Heartbeat::start(self.notifier, move || Instant::now() < until);
        let mut work = Work {
            partition: self.partition,
            reporter: &mut self.reporter,
            signals: self.deaf,
        };
        let mut tries = 0;
        loop {
            let lock = lock::acquire_or_none(&mut work, until);
            let error = match act(&mut work, &lock) {
                Err(error) => error,
                done => return done,
            };
            drop(lock);
            tries += 1;
            // All was done then that can be done.
            if matches!(error, Error::StillRunning(_)) || Instant::now() >= until {
                return Err(error);
            }
            // A server that lives may not have been told to quit: without this
            // process nobody would.
            let left = processes::find(self.partition).map(State::of);
            if left.is_ok_and(|left| {
                left.processes().is_empty() || tries >= TRIES && !left.is_running()
            }) {
                return Err(error);
            }
            if tries <= TRIES || tries % SAY_EVERY == 0 {
                work.reporter.warn(&format!("{error}; once more"));
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn stop(&mut self, signal: u8) -> Result<Exit> {
        self.stop_since(&format!("asked to by {}", signal_name(signal)))
    }

    fn stop_since(&mut self, why: &str) -> Result<Exit> {
        let status = format!("Stopping: {why}");
        self.notifier.stopping(&status);
        self.reporter.ui.line(&status);
        self.read_again();
        self.unbroken(|work, lock| stop::stop_locked(work, lock, false))
    }

    /// The configuration may have changed in the weeks since the start, such as
    /// how long a shutdown may take. One that cannot be read, or is another
    /// server's by now, does not count.
    fn read_again(&mut self) {
        let place = |one: &Partition| (one.lotus(), one.data());
        match loading::load_again(self.call, self.identity, self.partition, self.reporter.ui) {
            Ok(now) if place(&now) == place(self.partition) => {
                self.partition = self.at_the_end.get_or_init(|| now);
            }
            Ok(_) => {}
            Err(error) => self.reporter.warn(&format!(
                "{error}; the server is stopped as it was configured at its start"
            )),
        }
    }

    /// An end with this error, but not while the server lives, nor with
    /// anything left of it: the next start would be refused.
    fn fail(&mut self, error: Error) -> Result<Exit> {
        let left = processes::find(self.partition).map(State::of);
        if let Ok(left) = left
            && !left.is_running()
        {
            if left.processes().is_empty() {
                return Err(error);
            }
            self.notifier
                .stopping("Ending what is left of a failed start");
            self.unbroken(crate::domino::stop::clear_after_crash)
                .unwrap_or_else(|left| self.reporter.warn(&left.to_string()));
            return Err(error);
        }
        self.reporter.warn(&error.to_string());
        match self.stop_since("the server could not be stayed with")? {
            Exit::Done => Ok(error.exit()),
            exit => Ok(exit),
        }
    }

    /// The server is gone: what that comes to. None where it came back at the
    /// last moment.
    fn conclude(&mut self, supervision: &Supervision) -> Result<Option<Exit>> {
        let name = self.name();
        let notifier = self.notifier;
        self.unbroken(|work, lock| {
            let state = supervision.state()?;
            if supervision.lives(&state) {
                return Ok(None);
            }
            notifier.stopping("The server is down");
            if state.has_died() {
                work.reporter.warn(&format!(
                    "Domino server {name} died and left {}",
                    processes::list(state.processes())
                ));
                closure::mark_unclean(work, "the server died");
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

/// Errors, one after the other, while the server is stayed with.
#[derive(Default)]
struct Trouble {
    /// When the first of them came, and the last.
    since: Option<(Instant, Instant)>,
}

/// What such an error comes to.
enum Bearing {
    Again,
    Asked(Signal),
    Enough(Error),
}

impl Trouble {
    /// A host may be short of descriptors or memory for a while: that is no
    /// reason to stop a server.
    fn bear(&mut self, work: &mut Work, error: Error) -> Bearing {
        let now = Instant::now();
        match &mut self.since {
            // It was stayed with again in the meantime, if the last is older.
            Some((first, last)) if *last + AGAIN * 5 > now => {
                *last = now;
                if *first + MOST_TROUBLE < now {
                    return Bearing::Enough(error);
                }
            }
            fresh => {
                *fresh = Some((now, now));
                work.reporter
                    .warn(&format!("{error}; trying again for {MOST_TROUBLE:?}"));
            }
        }
        std::thread::sleep(AGAIN);
        match work.signals.pending() {
            Some(signal) => Bearing::Asked(signal),
            None => Bearing::Again,
        }
    }
}

/// Tells what happens to the server.
fn tell(work: &mut Work, notifier: &Notifier, name: &str, event: Event) {
    let text = match event {
        Event::Ready(pid, ready) => {
            let text = format!("Domino server {name} is ready (pid {pid}): {ready}");
            work.reporter.info(&text);
            return notifier.ready(&text);
        }
        Event::Unready(pid, why) => {
            let text = match why {
                Some(why) => format!("Domino server {name} is up (pid {pid}): {why}"),
                None => format!(
                    "Domino server {name} runs (pid {pid}) and is not ready yet; its console has shown nothing new for {} (DOMINO_READY_TIMEOUT)",
                    seconds(work.partition.settings.ready_timeout.value)
                ),
            };
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
