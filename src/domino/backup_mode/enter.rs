//! Bringing the databases of a running server into backup mode.

use super::super::client;
use super::super::closure;
use super::super::durable::Storage;
use super::super::processes::{self, DominoProcess, Programs};
use super::super::state::State;
use super::super::tools::{ToolEnd, Work};
use super::lock_file::{LockFile, Status};
use super::record::{Phase, Record};
use super::support::{self, Support};
use super::{Identity, LOOK_EVERY, find_task, task_among};
use crate::error::{Error, Result, signal_name};
use crate::exit::Exit;
use crate::os::pidfd::ProcessHandle;
use crate::os::signals::Signal;
use crate::os::spawn::Child;
use crate::os::wait::wait_any;
use std::time::{Duration, Instant};

/// How long a server may take to start the task it was told to load.
const TASK_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked for the task until it is there.
const SEARCH_EVERY: Duration = Duration::from_millis(200);

/// How often a wait says where it stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How long a session that is given up may take to end: within the five
/// seconds that VMware Tools leave between SIGTERM and SIGKILL.
const RELEASE_LIMIT: Duration = Duration::from_secs(4);

/// Without it Domino never says that it is done.
const SET_UP: &str =
    "dominobackup.nsf must have a configuration for snapshots, see rc_domino-snapshot(7)";

/// Databases that are in backup mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The server whose they are.
    pub server: Identity,
    /// The task that holds them so.
    pub task: Identity,
    /// How long it took.
    pub took: Duration,
}

/// What came of asking for backup mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// All databases are in backup mode, and flushed to disk.
    On(Session),
    /// The server is down and closed its databases: they are whole as they
    /// are, and flushed.
    ServerDown,
    /// The server is down, but did not close its databases; why it is thought
    /// so.
    ServerDownUnclean(String),
    /// Another session has the databases; which.
    InUse(String),
    /// Given up for want of time or on a signal; the databases are as before.
    Undone(String),
}

/// Why a wait for backup mode ended.
enum Reached {
    On(Identity),
    GivenUp(String),
    Failed(String),
}

/// Brings the databases into backup mode within `limit` and flushes them. On
/// any return but [`Entered::On`] nothing of the attempt is left.
pub fn enter(work: &mut Work, limit: Duration) -> Result<Entered> {
    let began = Instant::now();
    let until = began + limit;
    // Opened first: it then hears of every write that fails from here on.
    let storage = Storage::of(work.partition)?;
    let programs = Programs::of(work.partition);
    let state = State::of(processes::find_among(&programs, work.partition.user.uid)?);
    let Some(server) = state.server() else {
        return without_server(work, &state, &storage);
    };
    refuse_unsupported(work, server)?;
    let lock = LockFile::of(work.partition);
    if let Some(refused) = claim(work, &programs, server, &lock, until)? {
        return Ok(refused);
    }
    let mut attempt = Attempt {
        sender: None,
        record: Record::new(Identity::of(server))?,
        programs,
        lock,
        began,
        until,
    };
    let reached = attempt.ask(work).unwrap_or_else(|error| {
        // Whatever it was: backup mode must not stay on for it.
        Reached::Failed(error.to_string())
    });
    let reached = match reached {
        Reached::On(task) => attempt.make_durable(work, &storage, task),
        other => other,
    };
    match reached {
        Reached::On(task) => Ok(Entered::On(Session {
            server: attempt.record.server,
            task,
            took: began.elapsed(),
        })),
        Reached::GivenUp(why) => Ok(Entered::Undone(format!("{why}; {}", attempt.release(work)))),
        Reached::Failed(why) => Err(failed(format!("{why}; {}", attempt.release(work)))),
    }
}

fn failed(message: String) -> Error {
    Error::Refused {
        message: format!("no backup mode: {message}"),
        exit: Exit::Failed,
    }
}

/// Nothing to bring into backup mode: are the databases whole as they are?
fn without_server(work: &mut Work, state: &State, storage: &Storage) -> Result<Entered> {
    if !state.can_start() {
        return Err(failed(format!(
            "there is no server, but processes of one are left: {}; end them with 'rc_domino stop'",
            processes::list(state.processes())
        )));
    }
    super::forget_stale(work);
    Record::remove(work.partition)?;
    if let Some(how) = closure::unclean(work.partition) {
        return Ok(Entered::ServerDownUnclean(how));
    }
    storage.flush()?;
    Ok(Entered::ServerDown)
}

fn refuse_unsupported(work: &Work, server: &DominoProcess) -> Result<()> {
    match support::lacking(work.partition, server) {
        Some(Support::TooOld(release)) => Err(failed(format!(
            "the server is Domino {release}, it takes 12 or newer; set DOMINO_SNAPSHOT_MODE=stop"
        ))),
        Some(Support::NoProgram(program)) => Err(failed(format!(
            "there is no {}; set DOMINO_SNAPSHOT_MODE=stop",
            program.display()
        ))),
        _ => Ok(()),
    }
}

/// Makes the file of a session of ours, or tells why there can be none. A
/// stale file is said and removed.
fn claim(
    work: &mut Work,
    programs: &Programs,
    server: &DominoProcess,
    lock: &LockFile,
    until: Instant,
) -> Result<Option<Entered>> {
    loop {
        if let Some(task) = find_task(work, programs)? {
            let whose = Record::read(work.partition)
                .filter(|record| record.task == Some(Identity::of(&task)))
                .map_or("another program", |_| "an earlier call of rc_domino");
            return Ok(Some(Entered::InUse(format!(
                "{task} is at work for {whose}"
            ))));
        }
        let Some(found) = lock.read()? else {
            if lock.request()? {
                return Ok(None);
            }
            continue;
        };
        if found.is_stale(Some(server)) {
            work.reporter.warn(&format!(
                "{} says {} since {} seconds, but no backup task runs: stale, removed",
                lock.path().display(),
                found.status,
                found.age().as_secs()
            ));
            lock.remove()?;
            continue;
        }
        // Somebody has just asked for backup mode; his task is yet to come.
        let now = Instant::now();
        if now >= until {
            return Ok(Some(Entered::InUse(format!(
                "{} says {} since {} seconds",
                lock.path().display(),
                found.status,
                found.age().as_secs()
            ))));
        }
        let step = until.min(now + SEARCH_EVERY);
        let wake = wait_any(&[], Some(work.signals), &[], Some(step))
            .map_err(Error::system("wait for another backup"))?;
        if let Some(signal) = wake.signal {
            return Ok(Some(Entered::Undone(format!(
                "{} while waiting for another backup; nothing was done",
                name_of(signal)
            ))));
        }
    }
}

fn name_of(signal: Signal) -> String {
    signal_name(super::super::tools::number(signal))
}

/// A session that has its file, up to its end or to backup mode.
struct Attempt {
    /// The `server -c` that has not ended yet.
    sender: Option<Child>,
    record: Record,
    programs: Programs,
    lock: LockFile,
    began: Instant,
    until: Instant,
}

impl Attempt {
    /// Loads the task and waits until it has all databases.
    fn ask(&mut self, work: &mut Work) -> Result<Reached> {
        self.record.write(work.partition)?;
        work.reporter
            .info("Bringing all databases into backup mode");
        let server = self.record.server;
        let Some(server) =
            ProcessHandle::open(server.pid, server.start_ticks).map_err(Error::Processes)?
        else {
            return Ok(Reached::Failed("the server has ended".to_owned()));
        };
        self.sender = Some(client::start_client(work, &["-c", "load backup -s"])?);
        // The server, then the task.
        let mut handles = vec![server];
        let mut search = Instant::now();
        let mut progress = self.began + PROGRESS_EVERY;
        loop {
            if let Some(why) = self.sender_failed()? {
                return Ok(Reached::Failed(why));
            }
            let now = Instant::now();
            let file = self.lock.read()?;
            let done = matches!(&file, Some(file) if file.status == Status::DominoDone);
            if self.record.task.is_none() && (done || now >= search) {
                search = now + SEARCH_EVERY;
                handles.extend(self.find(work)?);
            }
            match (file, self.record.task) {
                (Some(_), Some(task)) if done => return Ok(Reached::On(task)),
                (Some(_), None) if done => {
                    return Ok(Reached::Failed(gone("before it could be relied on")));
                }
                (None, _) => {
                    return Ok(Reached::Failed(format!(
                        "somebody removed {}, most likely the backup task gave up: look into its log",
                        self.lock.path().display()
                    )));
                }
                (Some(_), None) if now >= self.began + TASK_LIMIT => {
                    return Ok(Reached::Failed(format!(
                        "the server did not start its task 'backup' within {} seconds; try 'load backup -s' at its console",
                        TASK_LIMIT.as_secs()
                    )));
                }
                _ => {}
            }
            if now >= self.until {
                return Ok(Reached::GivenUp(format!(
                    "the databases were not in backup mode after {} seconds; {SET_UP}",
                    self.began.elapsed().as_secs()
                )));
            }
            if now >= progress {
                progress += PROGRESS_EVERY;
                work.reporter.progress(&format!(
                    "Waiting since {} seconds for backup mode",
                    self.began.elapsed().as_secs()
                ));
            }
            let step = self.until.min(now + LOOK_EVERY);
            let wake = wait_any(&handles, Some(work.signals), &[], Some(step))
                .map_err(Error::system("wait for backup mode"))?;
            if let Some(signal) = wake.signal {
                return Ok(Reached::GivenUp(name_of(signal)));
            }
            match wake.ended.first() {
                Some(0) => return Ok(Reached::Failed("the server has ended".to_owned())),
                Some(_) => return Ok(Reached::Failed(gone("before it was done"))),
                None => {}
            }
        }
    }

    /// What to say of a `server -c` that ended badly.
    fn sender_failed(&mut self) -> Result<Option<String>> {
        let Some(child) = &mut self.sender else {
            return Ok(None);
        };
        let ended = child
            .try_wait()
            .map_err(Error::system("wait for server -c"))?
            .map(ToolEnd::Ended);
        let Some(end) = ended else {
            return Ok(None);
        };
        self.sender = None;
        Ok((!end.success()).then(|| {
            format!(
                "the server did not take 'load backup -s': 'server -c' {}",
                end.describe()
            )
        }))
    }

    /// A request that was not taken so far must not be taken later on.
    fn end_sender(&mut self) -> Result<()> {
        if let Some(child) = self.sender.take()
            && let Some(handle) = child.handle().map_err(Error::Processes)?
        {
            handle.signal(Signal::SIGKILL).map_err(Error::Processes)?;
        }
        Ok(())
    }

    /// Looks for the task; its handle once it is there.
    fn find(&mut self, work: &Work) -> Result<Option<ProcessHandle>> {
        let Some(task) = find_task(work, &self.programs)? else {
            return Ok(None);
        };
        let identity = Identity::of(&task);
        let handle =
            ProcessHandle::open(identity.pid, identity.start_ticks).map_err(Error::Processes)?;
        if handle.is_some() {
            self.record.task = Some(identity);
            self.record.write(work.partition)?;
        }
        Ok(handle)
    }

    /// Flushes what is now fit for a snapshot, and looks whether it still is.
    fn make_durable(&mut self, work: &mut Work, storage: &Storage, task: Identity) -> Reached {
        self.record.phase = Phase::On;
        let flushed = self.record.write(work.partition).and_then(|()| {
            storage.flush().map_err(|error| match error {
                Error::NotFlushed { path, cause } => failed(format!(
                    "the data under {} could not be flushed to disk: {cause}",
                    path.display()
                )),
                other => other,
            })
        });
        if let Err(error) = flushed {
            return Reached::Failed(error.to_string());
        }
        match (self.lock.read(), task.is_alive()) {
            (Ok(Some(file)), Ok(true)) if file.status == Status::DominoDone => {}
            (Err(error), _) | (_, Err(error)) => return Reached::Failed(error.to_string()),
            _ => return Reached::Failed(gone("while its databases were flushed to disk")),
        }
        match work.signals.pending() {
            Some(signal) => Reached::GivenUp(name_of(signal)),
            None => Reached::On(task),
        }
    }

    /// Ends the attempt: tells the task that it is over, gives it a little
    /// time, and removes what is left. Says what now is.
    fn release(&mut self, work: &mut Work) -> String {
        let text = match self.end_sender().and_then(|()| self.let_go(work)) {
            Ok(None) => "no database is in backup mode".to_owned(),
            Ok(Some(task)) => format!(
                "{task} was told to give up and takes the databases out of backup mode when it is so far"
            ),
            Err(error) => {
                format!("whether databases are still in backup mode cannot be told: {error}")
            }
        };
        for removed in [self.lock.remove().map(drop), Record::remove(work.partition)] {
            if let Err(error) = removed {
                work.reporter.warn(&error.to_string());
            }
        }
        text
    }

    /// True end of the session: no task any more. Else the one that is left.
    fn let_go(&mut self, work: &mut Work) -> Result<Option<DominoProcess>> {
        let until = Instant::now() + RELEASE_LIMIT;
        loop {
            let found = processes::find_among(&self.programs, work.partition.user.uid)?;
            let Some(task) = task_among(&found) else {
                return Ok(None);
            };
            // Again where the task has written its answer meanwhile.
            match self.lock.read()? {
                None => {}
                Some(file) if file.status == Status::Done => {}
                Some(_) => self.lock.tell_done()?,
            }
            if Instant::now() >= until {
                return Ok(Some(task.clone()));
            }
            let step = until.min(Instant::now() + LOOK_EVERY);
            // Not to be interrupted: this is what a signal brought about.
            std::thread::sleep(step.saturating_duration_since(Instant::now()));
        }
    }
}

fn gone(when: &str) -> String {
    format!("the backup task ended {when}; look into the console log; {SET_UP}")
}
