//! Finding the keeper, or starting one, and talking to it.

use super::{Answer, is_frozen, is_kept, keeping};
use crate::command::Call;
use crate::command::identity::Identity;
use crate::domino::Reporter;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::lock::{Lock, LockOutcome};
use crate::os::signals::Signals;
use crate::snapshot::place::Place;
use crate::snapshot::protocol::{Heard, Reply, Request, Session};
use crate::ui::Ui;
use std::time::{Duration, Instant};

/// How long the keeper may take to listen.
const KEEPER_LIMIT: Duration = Duration::from_secs(20);

/// How long another caller may take to find or start the keeper.
const CALLERS_LIMIT: Duration = Duration::from_secs(40);

/// How long a killed server may take to be down and flushed.
const FORCE_LIMIT: Duration = Duration::from_secs(60);

/// How often a keeper is looked for that has just ended, or was killed.
const ATTEMPTS: usize = 3;

/// Where the words go: to the terminal, or collected for `--json`.
pub struct Asked<'a> {
    ui: &'a mut Ui,
    json: bool,
    messages: Vec<String>,
}

impl<'a> Asked<'a> {
    /// Nothing said so far.
    pub fn new(ui: &'a mut Ui, json: bool) -> Asked<'a> {
        Asked {
            ui,
            json,
            messages: Vec::new(),
        }
    }

    /// A step.
    pub fn say(&mut self, text: &str) {
        if !self.json {
            self.ui.line(text);
        }
        self.messages.push(text.to_owned());
    }

    /// Something to look at.
    pub fn warn(&mut self, text: &str) {
        self.ui.warn(text);
        self.messages.push(text.to_owned());
    }

    /// The answer for programs, where they asked for one.
    pub fn finish(self, verb: &str, exit: Exit, began: Instant) -> Result<Exit> {
        if self.json {
            self.ui.json(&Answer {
                verb,
                code: exit.code(),
                meaning: exit.meaning(),
                seconds: began.elapsed().as_secs_f64(),
                messages: &self.messages,
            })?;
        }
        Ok(exit)
    }
}

/// A request and how long its caller waits.
pub struct Conversation {
    /// What is asked.
    pub request: Request,
    /// When the caller's time is over.
    pub deadline: Option<Instant>,
    /// Kill the server then, rather than undo.
    pub force: bool,
}

/// How a conversation ended.
enum End {
    /// With this answer.
    Answer(Exit),
    /// The keeper went away before it gave one, be it before it had begun or
    /// later.
    Gone {
        /// Whether it had said anything.
        begun: bool,
    },
}

impl Conversation {
    fn is_freeze(&self) -> bool {
        matches!(self.request, Request::Freeze { .. })
    }

    /// Asks the keeper of this user's server, starting one where none lives.
    /// `settled` looks before each attempt whether there is anything to ask
    /// for: what was in force a moment ago may be over by itself.
    pub fn with_keeper(
        &self,
        call: &Call,
        identity: &Identity,
        place: &Place,
        asked: &mut Asked,
        settled: impl Fn(&mut Asked) -> Option<Exit>,
    ) -> Result<Exit> {
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        for _ in 0..ATTEMPTS {
            if let Some(exit) = settled(asked) {
                return Ok(exit);
            }
            let session = match self.session(call, identity, place, &signals)? {
                Ok(session) => session,
                Err(exit) => {
                    asked.warn("this caller gave up before anything was touched");
                    return Ok(exit);
                }
            };
            match self.converse(session, &signals, asked)? {
                // The answer may have been read long after it was given.
                End::Answer(Exit::Done) if self.is_freeze() && !is_frozen(place) => {
                    asked.warn("the freeze was over before this caller took the answer");
                    return Ok(Exit::BudgetSpent);
                }
                End::Answer(exit) => return Ok(exit),
                // A freeze that was under way is undone by the next keeper.
                End::Gone { .. } if self.is_freeze() && is_kept(place) => {
                    if let Ok(mut session) = self.session(call, identity, place, &signals)? {
                        self.take_back(&mut session);
                    }
                    asked.warn("the process that kept the freeze was killed: it is being undone");
                    return Ok(Exit::BudgetSpent);
                }
                // This caller slept, or its answer was lost: too late now.
                End::Gone { begun: true } if self.is_freeze() => {
                    asked.warn("the freeze was undone before this caller took the answer");
                    return Ok(Exit::BudgetSpent);
                }
                // It may have been about to end when it was found, or had
                // nothing to bring back.
                End::Gone { .. } => {}
            }
        }
        asked.warn("the process that keeps the freeze went away without an answer; 'rc_domino snapshot status' tells how things stand");
        Ok(Exit::Failed)
    }

    /// A keeper that listens; the code to answer where the caller's time was
    /// over first.
    fn session(
        &self,
        call: &Call,
        identity: &Identity,
        place: &Place,
        signals: &Signals,
    ) -> Result<std::result::Result<Session, Exit>> {
        let path = place.caller_lock();
        let limit = Instant::now() + CALLERS_LIMIT;
        let end = self.deadline.map_or(limit, |deadline| deadline.min(limit));
        let lock = Lock::acquire(&path, Some(end), Some(signals), |_| {});
        let _lock = match lock.map_err(Error::file("lock", &path))? {
            LockOutcome::Acquired(lock) => lock,
            LockOutcome::TimedOut(_) if self.deadline == Some(end) => {
                return Ok(Err(Exit::BudgetSpent));
            }
            LockOutcome::TimedOut(_) => return Ok(Err(Exit::Locked)),
            LockOutcome::Interrupted(_) => return Ok(Err(Exit::BudgetSpent)),
        };
        let open = || Session::open(place).map_err(Error::file("connect to", place.socket()));
        if let Some(session) = open()? {
            return Ok(Ok(session));
        }
        let unit = keeping::start_keeper(call, identity)?;
        let end = Instant::now() + KEEPER_LIMIT;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(session) = open()? {
                return Ok(Ok(session));
            }
            if Instant::now() >= end {
                return Err(Error::Refused {
                    message: format!(
                        "nothing was done: the process that keeps a freeze does not come up; see 'journalctl -u {unit}' and {}",
                        place.socket().display()
                    ),
                    exit: Exit::Failed,
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn converse(&self, mut session: Session, signals: &Signals, asked: &mut Asked) -> Result<End> {
        const TALK: &str = "talk to the process that keeps the freeze";
        let mut deadline = self.deadline;
        let mut force = self.force;
        let mut answer = None;
        let mut begun = false;
        if session.ask(&self.request).is_err() {
            return Ok(End::Gone { begun });
        }
        loop {
            let heard = session
                .hear(signals, deadline)
                .map_err(Error::system(TALK))?;
            begun |= matches!(heard, Heard::Reply(_));
            match heard {
                Heard::Reply(Reply::Said(text)) => asked.say(&text),
                Heard::Reply(Reply::Warned(text)) => asked.warn(&text),
                Heard::Reply(Reply::Done { code, held: false }) => {
                    return Ok(End::Answer(Exit::of_code(code)));
                }
                Heard::Reply(Reply::Done { code, held: true }) => {
                    answer = Some(Exit::of_code(code));
                    if session.ask(&Request::Received).is_err() {
                        return Ok(End::Gone { begun });
                    }
                }
                Heard::Reply(Reply::Sealed) => {
                    return Ok(answer.map_or(End::Gone { begun }, End::Answer));
                }
                Heard::Gone => return Ok(End::Gone { begun }),
                Heard::TimedOut if force => {
                    force = false;
                    asked.warn("the budget is spent: killing the server, as --force asks");
                    deadline = Instant::now().checked_add(FORCE_LIMIT);
                    if session.ask(&Request::Force).is_err() {
                        return Ok(End::Gone { begun });
                    }
                }
                Heard::TimedOut => {
                    self.take_back(&mut session);
                    return Ok(self.given_up("its time is over", asked));
                }
                Heard::Signal(signal) => {
                    self.take_back(&mut session);
                    return Ok(self.given_up(&format!("{signal} asked it to end"), asked));
                }
            }
        }
    }

    /// The caller of a freeze goes without a 0, and the keeper may believe that
    /// it has had its answer: only this tells it otherwise.
    fn take_back(&self, session: &mut Session) {
        if let Request::Freeze { caller, .. } = &self.request {
            let caller = Some(caller.clone());
            // A keeper that is gone leaves the record to the next one.
            let _ = session.ask(&Request::Abort { caller });
        }
    }

    /// The caller goes; the keeper notices, and undoes a freeze.
    fn given_up(&self, why: &str, asked: &mut Asked) -> End {
        asked.warn(&if self.is_freeze() {
            format!(
                "the freeze is given up, {why}: it is being undone, a server that ran is started again once it is down"
            )
        } else {
            format!("this caller gives up, {why}; the server comes back all the same")
        });
        End::Answer(Exit::BudgetSpent)
    }
}
