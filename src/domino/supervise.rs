//! Stays with a server: through its start-up, through Domino's own fault
//! recovery, until it is asked to stop or the server is gone for good.

use super::closure;
use super::lock::LOCK_FILE;
use super::nsd;
use super::partition::Partition;
use super::pid_file;
use super::processes::{self, Programs, Role};
use super::readiness::{self, Readiness, Ready};
use super::server_log::ServerLog;
use super::state::State;
use super::tools::Work;
use crate::error::{Error, Result};
use crate::os::family::Family;
use crate::os::lock::{Lock, LockOutcome};
use crate::os::pidfd::ProcessHandle;
use crate::os::process::Pid;
use crate::os::signals::Signal;
use crate::os::wait::{Wake, wait_any};
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How often a server that starts up is asked whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The same once nobody waits for it any more.
const LOOK_LATE: Duration = Duration::from_secs(5);

/// How often it is looked whether a server that went comes back.
const RETURN_STEP: Duration = Duration::from_millis(100);

/// A server that is not this process's own leaves no trace by which its end
/// could be told from its restart: it is given so long.
const OF_OTHERS: Duration = Duration::from_secs(5);

/// What is told on the way.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The server is ready.
    Ready(Pid, Ready),
    /// It is up, and whoever waits for it need not any longer, but it is not
    /// ready: it waits for its setup, or (none) has shown nothing new for
    /// DOMINO_READY_TIMEOUT.
    Unready(Pid, Option<Ready>),
    /// No server is there, but it may come back.
    Lost,
    /// It came back, as another process.
    Back(Pid),
}

/// Why the server is left.
#[derive(Debug)]
pub enum Left {
    /// A signal asks for a stop.
    Asked(Signal),
    /// It is gone and nothing is there that would bring it back.
    Gone,
}

/// A server that is not ready yet.
struct Starting<'a> {
    readiness: Readiness<'a>,
    /// The size of its log, and since when.
    size: u64,
    since: Instant,
    /// Whether that it is not ready was told.
    told: bool,
}

/// A server that is stayed with.
pub struct Supervision<'a> {
    partition: &'a Partition,
    programs: Programs,
    family: &'a Family,
    server: Pid,
    /// Whether it descends from this process: then its family is known.
    own: bool,
    /// None once it is ready.
    starting: Option<Starting<'a>>,
    /// How the server process ended, where it was a child.
    pub status: Option<ExitStatus>,
    /// Somebody else was at work with this server when it went.
    pub by_another: bool,
}

impl<'a> Supervision<'a> {
    /// Stays with the server that runs as `server`; `own` where this process
    /// started it.
    pub fn of(
        partition: &'a Partition,
        family: &'a Family,
        server: Pid,
        own: bool,
    ) -> Supervision<'a> {
        let mut supervision = Supervision {
            partition,
            programs: Programs::of(partition),
            family,
            server,
            own,
            starting: None,
            status: None,
            by_another: false,
        };
        supervision.starts_up(readiness::expected_from(partition));
        supervision
    }

    fn starts_up(&mut self, offset: u64) {
        self.starting = Some(Starting {
            readiness: Readiness::new(self.partition, offset),
            size: offset,
            since: Instant::now(),
            told: false,
        });
    }

    /// What of a server there is.
    pub fn state(&self) -> Result<State> {
        let found = processes::find_among(&self.programs, self.partition.user.uid)?;
        Ok(State::of(found))
    }

    /// Whether the service is there: the server, or the Java controller that
    /// can start it.
    pub fn lives(&self, state: &State) -> bool {
        let controller = self.partition.settings.use_java_controller.value;
        state.is_running()
            || controller
                && state
                    .processes()
                    .iter()
                    .any(|found| found.role == Role::Controller)
    }

    /// Stays with it.
    pub fn follow(
        &mut self,
        work: &mut Work,
        tell: &mut dyn FnMut(&mut Work, Event),
    ) -> Result<Left> {
        loop {
            let state = self.state()?;
            let left = if self.lives(&state) {
                self.accept(work, &state, tell);
                self.stay(work, &state, tell)?
            } else {
                tell(work, Event::Lost);
                let offset = ServerLog::of(self.partition).size();
                readiness::expect_from(self.partition, offset);
                let left = self.await_return(work)?;
                if left.is_none() {
                    self.starts_up(offset);
                }
                left
            };
            if let Some(left) = left {
                return Ok(left);
            }
        }
    }

    /// Takes note of the server that is there now.
    fn accept(&mut self, work: &mut Work, state: &State, tell: &mut dyn FnMut(&mut Work, Event)) {
        if let Some(server) = state.server().map(|found| found.pid())
            && server != self.server
        {
            self.server = server;
            self.status = None;
            pid_file::write(work, server);
            tell(work, Event::Back(server));
        }
    }

    /// Waits beside a living server until something changes; with a reason
    /// where it is to be left.
    fn stay(
        &mut self,
        work: &mut Work,
        state: &State,
        tell: &mut dyn FnMut(&mut Work, Event),
    ) -> Result<Option<Left>> {
        let mut handles = Vec::new();
        for found in state.processes() {
            if matches!(found.role, Role::Server | Role::Controller)
                && let Some(handle) = ProcessHandle::open(found.pid(), found.process.start_ticks)
                    .map_err(Error::Processes)?
            {
                handles.push(handle);
            }
        }
        if handles.is_empty() {
            return Ok(None);
        }
        loop {
            let next = self.look_whether_ready(work, tell)?;
            let wake = self.wait(work, &handles, next)?;
            if let Some(signal) = wake.signal {
                return Ok(Some(Left::Asked(signal)));
            }
            if !wake.ended.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Tells what became of a server that starts up; when to look again.
    fn look_whether_ready(
        &mut self,
        work: &mut Work,
        tell: &mut dyn FnMut(&mut Work, Event),
    ) -> Result<Option<Instant>> {
        let Some(starting) = &mut self.starting else {
            return Ok(None);
        };
        let now = Instant::now();
        let ready = starting.readiness.look()?;
        if let Some(ready) = ready.filter(|ready| ready.serves()) {
            self.starting = None;
            closure::forget(work);
            readiness::remember(self.partition, self.server);
            tell(work, Event::Ready(self.server, ready));
            return Ok(None);
        }
        // A recovery of hours says now and then how far it is.
        let size = ServerLog::of(self.partition).size();
        if size != starting.size {
            starting.size = size;
            starting.since = now;
        }
        let patience = self.partition.settings.ready_timeout.value;
        let over = now.duration_since(starting.since) >= patience;
        if !starting.told && (ready.is_some() || over) {
            starting.told = true;
            tell(work, Event::Unready(self.server, ready));
        }
        let step = if starting.told { LOOK_LATE } else { LOOK_EVERY };
        Ok(Some(now + step))
    }

    /// Waits for one of these, a signal, a child's end, or `until`.
    fn wait(
        &mut self,
        work: &Work,
        handles: &[ProcessHandle],
        until: Option<Instant>,
    ) -> Result<Wake> {
        let wake = wait_any(handles, Some(work.signals), &[self.family.as_fd()], until)
            .map_err(Error::system("watch the server"))?;
        self.reap()?;
        Ok(wake)
    }

    /// Reaps children; true where none is left.
    fn reap(&mut self) -> Result<bool> {
        let reaped = self.family.reap().map_err(Error::system("reap children"))?;
        for (pid, status) in reaped.ended {
            if pid == self.server {
                self.status = Some(status);
            }
        }
        Ok(reaped.childless)
    }

    /// Waits for a server that may come back: by Domino's fault recovery, or
    /// by another rc_domino that restarts it. None: it is back.
    fn await_return(&mut self, work: &mut Work) -> Result<Option<Left>> {
        let mut since = Instant::now();
        loop {
            let childless = self.reap()?;
            if let Some(signal) = self.wait_for_others(work, &mut since)? {
                return Ok(Some(Left::Asked(signal)));
            }
            let state = self.state()?;
            if self.lives(&state) {
                return Ok(None);
            }
            let alone = self.own && childless && state.processes().is_empty();
            if alone || since.elapsed() >= self.patience(&state) {
                return Ok(Some(Left::Gone));
            }
            let wake = self.wait(work, &[], Some(Instant::now() + RETURN_STEP))?;
            if let Some(signal) = wake.signal {
                return Ok(Some(Left::Asked(signal)));
            }
        }
    }

    /// How long what is there may take to bring the server back.
    fn patience(&self, state: &State) -> Duration {
        let recovery = self.partition.settings.recovery_seconds.value;
        let nsd = |found: &processes::DominoProcess| found.role == Role::Nsd;
        if state.processes().iter().any(nsd) {
            nsd::DURING_STOP.max(recovery)
        } else if self.own || !state.processes().is_empty() {
            recovery
        } else {
            recovery.min(OF_OTHERS)
        }
    }

    /// Waits while another rc_domino holds the lock: what it is at, a stop or
    /// a restart, shows when it is done.
    fn wait_for_others(&mut self, work: &Work, since: &mut Instant) -> Result<Option<Signal>> {
        let path = self.partition.data().join(LOCK_FILE);
        let failed = |cause| Error::file("lock", &path)(cause);
        // Twice: a probe holds it for a moment.
        for _ in 0..2 {
            if Lock::try_acquire(&path).map_err(failed)?.is_some() {
                return Ok(None);
            }
            let soon = Instant::now() + RETURN_STEP;
            let wake = wait_any(&[], Some(work.signals), &[], Some(soon))
                .map_err(Error::system("wait for another rc_domino"))?;
            if wake.signal.is_some() {
                return Ok(wake.signal);
            }
        }
        self.by_another = true;
        // What it starts is its own child, not this process's.
        self.own = false;
        match Lock::acquire(&path, None, Some(work.signals), |_| {}).map_err(failed)? {
            LockOutcome::Interrupted(signal) => Ok(Some(signal)),
            LockOutcome::Acquired(_) | LockOutcome::TimedOut(_) => {
                // A stop that is done needs no further patience, a restart
                // that is done has its server up.
                *since = Instant::now()
                    .checked_sub(OF_OTHERS)
                    .unwrap_or_else(Instant::now);
                Ok(None)
            }
        }
    }
}
