//! The keeper: owns a freeze from its first step to the server's return.
//!
//! It serves one user's server and one freeze, then ends. What it does it does
//! in this order: look, write the record, stop (or enter backup mode), say
//! that it is frozen, wait for the thaw, bring back. Whatever goes wrong after
//! the first step leads to the last: a freeze that did not come about leaves
//! no server down. Killed, it takes up from the record where it was.

mod answers;
mod events;
mod freezing;
mod resuming;
pub mod second;

use super::history::{self, Entry};
use super::place::Place;
use super::protocol::Request;
use super::record::{self, Break, Broken, Found, Mode, Phase, Record};
use super::verbs::Verbs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::lock::Lock;
use crate::os::root::Root;
use crate::os::syslog::{self, Severity};
use crate::os::users::User;
use crate::service;
use answers::Callers;
use events::{CallerId, Event};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a keeper without anything to keep waits for its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long a caller may take to confirm that an answer has arrived.
const CONFIRMATION: Duration = Duration::from_secs(5);

/// What spoils a snapshot.
const STARTED_MEANWHILE: &str = "the server was started by somebody before the thaw came";

/// How long to wait for an earlier keeper that is about to end.
const PREDECESSOR: Duration = Duration::from_secs(5);

/// How long to wait for the next line of a verb before looking again.
const SLICE: Duration = Duration::from_secs(30);

/// What a keeper keeps.
#[derive(Debug)]
pub struct Setup {
    /// Prefix of the built-in paths.
    pub root: Root,
    /// The Domino user.
    pub user: User,
    /// How to stop and start his server.
    pub verbs: Verbs,
    /// Whether a service manager restarts this process when it is killed.
    pub restarted: bool,
}

/// The freeze that a caller waits for.
#[derive(Debug)]
struct Freezer {
    id: CallerId,
    caller: String,
    budget: Option<u64>,
    began: Instant,
    /// Whether the same caller's freeze is in force already.
    renews: bool,
}

struct Keeper {
    setup: Setup,
    place: Place,
    /// Says that no other keeper may begin.
    _lock: Lock,
    events: Receiver<Event>,
    sender: Sender<Event>,
    callers: Callers,
    record: Option<Record>,
    freezer: Option<Freezer>,
    /// Those who wait for the server's return, and whether it is for a thaw.
    waiting: Vec<(CallerId, bool)>,
    /// Why the freeze under way is to be undone.
    cancelled: Option<String>,
    forced: bool,
    finished: bool,
}

/// Keeps until there is nothing to keep. Where another keeper is at work
/// already, ends at once.
pub fn keep(setup: Setup) -> Result<()> {
    let place = Place::of(&setup.root, setup.user.uid);
    place.prepare()?;
    let Some(lock) = take_lock(&place)? else {
        return Ok(());
    };
    let (sender, events) = channel();
    // First: the threads begun below must not take the signals.
    events::take_signals(sender.clone())?;
    let found = Record::load(&place);
    events::take_callers(listen(&place)?, setup.user.uid, sender.clone());
    if !setup.restarted {
        second::begin(setup.verbs.clone());
    }
    let mut keeper = Keeper {
        setup,
        place,
        _lock: lock,
        events,
        sender,
        callers: Callers::default(),
        record: None,
        freezer: None,
        waiting: Vec::new(),
        cancelled: None,
        forced: false,
        finished: false,
    };
    if let Found::Here(record) = found
        && record.phase.is_live()
    {
        keeper.take_over(*record);
    }
    while !keeper.finished {
        match keeper.record.as_ref().map(|record| record.phase) {
            None => keeper.wait_for_a_freeze(),
            Some(Phase::Freezing) => keeper.freeze(),
            Some(Phase::Frozen) => keeper.hold(),
            Some(Phase::Resuming) => keeper.resume(),
            Some(Phase::Over) => break,
        }
    }
    // Before the lock goes: the next keeper's socket has the same name.
    let _ = std::fs::remove_file(keeper.place.socket());
    Ok(())
}

fn take_lock(place: &Place) -> Result<Option<Lock>> {
    let path = place.keeper_lock();
    let end = Instant::now() + PREDECESSOR;
    loop {
        let lock = Lock::try_acquire(&path).map_err(Error::file("lock", &path))?;
        if lock.is_some() || Instant::now() >= end {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listen(place: &Place) -> Result<UnixListener> {
    let path = place.socket();
    // Of a keeper that was killed: the lock says that none lives.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(Error::file("listen at", &path))?;
    // Who may ask for what is decided by who connects.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
        .map_err(Error::file("open to callers", &path))?;
    Ok(listener)
}

impl Keeper {
    /// Somebody removed what lay in /run: callers are to find this keeper
    /// again, and to begin no other beside it.
    fn be_found_again(&mut self) -> Result<()> {
        self.place.prepare()?;
        if self.place.socket().exists() {
            return Ok(());
        }
        let path = self.place.keeper_lock();
        // None: it is this keeper's own, which was left.
        if let Some(lock) = Lock::try_acquire(&path).map_err(Error::file("lock", &path))? {
            self._lock = lock;
        }
        let domino = self.setup.user.uid;
        events::take_callers(listen(&self.place)?, domino, self.sender.clone());
        Ok(())
    }

    /// The next event within `limit`; none when that is over.
    fn next(&mut self, limit: Duration) -> Option<Event> {
        match self.events.recv_timeout(limit) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // This keeper holds a sender itself.
            Err(RecvTimeoutError::Disconnected) => {
                self.finished = true;
                None
            }
        }
    }

    /// What a keeper that was killed left undone.
    fn take_over(&mut self, mut record: Record) {
        self.log(
            Severity::Warning,
            &format!(
                "the keeper of {}'s freeze ended before its time ({}); another one goes on",
                record.caller,
                record.phase.word()
            ),
        );
        if record.phase == Phase::Freezing {
            record.broken = Some(Broken {
                how: Break::Undone,
                why: "the process that kept the freeze was killed".into(),
            });
            record.stop_unfinished = record.mode == Mode::Stop;
            record.become_phase(Phase::Resuming);
        }
        self.record = Some(record);
        self.store();
    }

    fn wait_for_a_freeze(&mut self) {
        let Some(event) = self.next(FIRST_REQUEST) else {
            self.finished = true;
            return;
        };
        match event {
            Event::Asked(
                id,
                Request::Freeze {
                    caller,
                    mode,
                    budget,
                },
            ) => {
                self.freezer = Some(Freezer {
                    id,
                    caller,
                    budget,
                    began: Instant::now(),
                    renews: false,
                });
                self.begin(mode);
            }
            // There is nothing to bring back: who asked sees from the record
            // what became of it.
            Event::Asked(_, Request::Thaw { .. } | Request::Abort { .. }) | Event::Signal => {
                self.finished = true;
            }
            other => self.attend(other),
        }
    }

    /// What can happen at any time and changes nothing of what goes on, or
    /// cancels a freeze under way.
    fn attend(&mut self, event: Event) {
        match event {
            Event::Came(id, stream) => self.callers.came(id, stream),
            Event::Left(id) => {
                self.callers.left(id);
                self.waiting.retain(|(waiting, _)| *waiting != id);
                if self
                    .freezer
                    .as_ref()
                    .is_some_and(|freezer| freezer.id == id)
                {
                    self.cancel("its caller went away");
                }
            }
            Event::Asked(id, Request::Freeze { .. }) => {
                let (who, phase) = match (&self.record, &self.freezer) {
                    (Some(record), _) => (record.caller.as_str(), record.phase.word()),
                    (None, Some(freezer)) => (freezer.caller.as_str(), Phase::Freezing.word()),
                    (None, None) => ("another caller", Phase::Resuming.word()),
                };
                let text = format!("{who} has a freeze of this server already ({phase})");
                self.callers.warn(id, &text);
                self.callers.done(id, Exit::Locked.code());
            }
            Event::Asked(id, Request::Thaw { caller }) => {
                if self.wait_for_return(id, caller, true) {
                    self.cancel("a thaw came while it was still under way");
                }
            }
            Event::Asked(id, Request::Abort { caller }) => {
                if self.wait_for_return(id, caller, false) {
                    self.cancel("it was aborted");
                }
            }
            Event::Asked(id, Request::Stay { ran }) => self.stay_down(id, ran),
            Event::Asked(id, Request::Started) => self.started(id),
            Event::Asked(id, Request::Force) => self.force(id),
            Event::Asked(_, Request::Received) => {}
            Event::Said(line) => {
                let freezer = self.freezer.iter().map(|freezer| freezer.id);
                let listening = freezer.chain(self.waiting.iter().map(|(id, _)| *id));
                self.callers.hand_on(&line, listening);
            }
            Event::Ended(_) => {}
            Event::Signal => self.cancel("the keeper was told to end"),
        }
    }

    /// Has a thaw or an abort wait for the server's return; false where the
    /// freeze is another product's, which it must not end.
    fn wait_for_return(&mut self, id: CallerId, caller: Option<String>, thaw: bool) -> bool {
        let begins = self.freezer.as_ref().map(|freezer| &freezer.caller);
        let holder = self.record.as_ref().map(|record| &record.caller);
        if let (Some(holder), Some(caller)) = (holder.or(begins), &caller)
            && holder != caller
        {
            let text = format!(
                "the server is frozen for {holder}, not for {caller}: nothing was done; do not trust a snapshot of {caller}'s"
            );
            self.callers.warn(id, &text);
            let locked = Exit::Locked.code();
            self.callers.done(id, if thaw { locked } else { 0 });
            return false;
        }
        if self.record.is_some() {
            self.waiting.push((id, thaw));
        } else {
            // The look at the server may wait long for another start or stop.
            let text = "the freeze is given up before anything was touched";
            self.callers.say(id, text);
            let spent = Exit::BudgetSpent.code();
            self.callers.done(id, if thaw { spent } else { 0 });
        }
        true
    }

    /// Somebody starts the server. It may have ended again when the thaw looks.
    fn started(&mut self, id: CallerId) {
        let frozen = |record: &Record| record.phase == Phase::Frozen && record.mode == Mode::Stop;
        // The start that brings the server back says so too.
        if self.record.as_ref().is_some_and(frozen) {
            self.not_held(STARTED_MEANWHILE);
            self.store();
            self.log(Severity::Warning, STARTED_MEANWHILE);
        }
        self.callers.done(id, 0);
    }

    /// The administrator's word: a stop while the server is down for a freeze,
    /// or was, until somebody started it.
    fn stay_down(&mut self, id: CallerId, ran: bool) {
        if ran {
            self.not_held(STARTED_MEANWHILE);
        }
        if let Some(record) = &mut self.record {
            record.stay_down = true;
            self.store();
            self.log(
                Severity::Notice,
                "the server was stopped by hand while it is frozen: it stays down after the thaw",
            );
        }
        self.callers.done(id, 0);
    }

    /// Runs a verb and attends to whatever comes meanwhile; its exit code and
    /// the lines that are meant for programs.
    fn run(&mut self, words: &[&str]) -> (u8, Vec<Vec<u8>>) {
        let verbs = self.setup.verbs.clone();
        let sender = self.sender.clone();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        std::thread::spawn(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let code = verbs.run(&words, &mut |line| {
                let _ = sender.send(Event::Said(line.to_vec()));
            });
            let code = code.unwrap_or_else(|error| {
                let line = format!("rc_domino: {error}");
                let _ = sender.send(Event::Said(line.into_bytes()));
                1
            });
            let _ = sender.send(Event::Ended(code));
        });
        let mut data = Vec::new();
        loop {
            match self.next(SLICE) {
                Some(Event::Ended(code)) => return (code, data),
                Some(Event::Said(line)) if line.starts_with(b"{") => data.push(line),
                Some(event) => self.attend(event),
                None => {}
            }
        }
    }

    /// Writes the record; false, and said, where that fails.
    fn store(&mut self) -> bool {
        let Some(record) = &self.record else {
            return true;
        };
        match record.store(&self.place) {
            Ok(()) => true,
            Err(cause) => {
                let text = format!("cannot keep the record of the freeze: {cause}");
                self.log(Severity::Error, &text);
                false
            }
        }
    }

    fn log(&self, severity: Severity, text: &str) {
        let line = format!("{}: {text}", self.setup.user.name.to_string_lossy());
        syslog::write(
            &self.setup.root.path("/dev/log"),
            severity,
            "rc_domino",
            &line,
        );
    }

    /// Writes down what was done, in the history and in the host's log.
    fn remember(&mut self, verb: &str, outcome: u8, seconds: Duration) {
        let Some(record) = &self.record else { return };
        let returned = verb != "freeze" && record.was_running && !record.stay_down;
        let entry = Entry {
            when: record::now(),
            user: record.user.clone(),
            verb: verb.to_owned(),
            caller: record.caller.clone(),
            mode: record.mode.word().to_owned(),
            outcome,
            seconds: seconds.as_secs_f64(),
            downtime_seconds: returned.then(|| record.age().as_secs_f64()),
            budget_seconds: self.freezer.as_ref().and_then(|freezer| freezer.budget),
            was_running: record.was_running,
            note: record.broken.as_ref().map(|broken| broken.why.clone()),
        };
        let mut text = format!(
            "snapshot {verb} for {} ({}): code {outcome} after {:.1} s",
            entry.caller, entry.mode, entry.seconds
        );
        if let Some(downtime) = entry.downtime_seconds {
            text.push_str(&format!(", the server was away for {downtime:.1} s"));
        }
        if let Some(note) = &entry.note {
            text.push_str(&format!("; {note}"));
        }
        let severity = match outcome {
            0 if entry.note.is_none() => Severity::Notice,
            _ => Severity::Warning,
        };
        self.log(severity, &text);
        if let Err(cause) = history::append(&self.setup.root, &entry) {
            let file = history::path(&self.setup.root);
            self.log(
                Severity::Warning,
                &format!("cannot add to {}: {cause}", file.display()),
            );
        }
    }

    /// Whether the host goes down: then nothing is started any more.
    fn host_is_stopping(&self) -> bool {
        service::systemd_is_in_charge(&self.setup.root) && service::systemd::host_is_stopping()
    }
}
