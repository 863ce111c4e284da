//! From a request to databases that are whole on disk, and the wait for the
//! thaw.

use super::events::{CallerId, Event};
use super::{CONFIRMATION, Keeper};
use crate::exit::Exit;
use crate::os::clock;
use crate::os::syslog::Severity;
use crate::snapshot::facts::Facts;
use crate::snapshot::protocol::{Reply, Request, Wish};
use crate::snapshot::record::{self, Break, Broken, Found, Mode, Phase, Record};
use std::time::{Duration, Instant};

/// How long a server may take to enter backup mode where the caller names no
/// budget, in seconds; HCL's own scripts wait as long.
const ENTER_LIMIT: u64 = 120;

/// How often a freeze that waits for its thaw is looked after: its deadline
/// counts through the sleep of a paused machine, which a wait's own clock does
/// not, and its record must be there.
const GUARD: Duration = Duration::from_secs(5);

impl Keeper {
    /// Looks at the server and writes the record; nothing is touched before
    /// that is done.
    pub(super) fn begin(&mut self, wish: Option<Wish>) {
        let facts = match self.facts() {
            Ok(facts) => facts,
            Err(code) => return self.give_up(code),
        };
        let mode = self.mode(wish.unwrap_or(facts.mode), facts.running);
        if self.cancelled.is_some() {
            return self.give_up(Exit::BudgetSpent.code());
        }
        let boot_id = match clock::boot_id() {
            Ok(boot_id) => boot_id,
            Err(cause) => {
                self.warn_freezer(&format!(
                    "nothing was frozen, which boot this is cannot be told: {cause}"
                ));
                return self.give_up(Exit::Failed.code());
            }
        };
        let Some(freezer) = &self.freezer else {
            return self.give_up(Exit::BudgetSpent.code());
        };
        let now = clock::since_boot().as_secs_f64();
        self.record = Some(Record {
            boot_id,
            user: self.setup.user.name.to_string_lossy().into_owned(),
            server: facts.server,
            caller: freezer.caller.clone(),
            mode,
            phase: Phase::Freezing,
            was_running: facts.running,
            unit: facts.unit,
            since: record::now(),
            since_boot: now,
            max_downtime: facts.max_downtime,
            deadline_boot: None,
            stay_down: false,
            stop_unfinished: false,
            broken: None,
        });
        if let Some(record) = &self.record
            && let Err(cause) = record.store(&self.place)
        {
            let text = format!("nothing was frozen, the record cannot be written: {cause}");
            self.warn_freezer(&text);
            self.record = None;
            self.give_up(Exit::Failed.code());
        }
    }

    /// What there is to know; else the code of the verb that should tell.
    pub(super) fn facts(&mut self) -> Result<Facts, u8> {
        let (code, lines) = self.run(&["__snapshot-facts"]);
        let told = lines
            .iter()
            .find_map(|line| serde_json::from_slice::<Facts>(line).ok());
        match told {
            Some(facts) if code == 0 => Ok(facts),
            _ => Err(if code == 0 { 1 } else { code }),
        }
    }

    /// A server that is down is consistent: stopping it makes sure of that.
    fn mode(&mut self, wish: Wish, running: bool) -> Mode {
        match wish {
            Wish::Online if running => Mode::Online,
            Wish::Auto if running && self.run(&["__backup-mode", "supported"]).0 == 0 => {
                Mode::Online
            }
            _ => Mode::Stop,
        }
    }

    /// Ends a freeze that has touched nothing.
    fn give_up(&mut self, code: u8) {
        if let Some(freezer) = self.freezer.take() {
            self.callers.done(freezer.id, code);
        }
        self.finished = true;
    }

    fn warn_freezer(&mut self, text: &str) {
        if let Some(freezer) = &self.freezer {
            self.callers.warn(freezer.id, text);
        }
        self.log(Severity::Error, text);
    }

    /// The freeze under way is not wanted any more: its caller hears it at
    /// once, what has begun is undone when it is finished.
    pub(super) fn cancel(&mut self, why: &str) {
        let Some(freezer) = self.freezer.take() else {
            return;
        };
        self.callers
            .warn(freezer.id, &format!("the freeze is being undone: {why}"));
        self.callers.done(freezer.id, Exit::BudgetSpent.code());
        self.cancelled = Some(why.to_owned());
    }

    /// Kills the server for a caller whose budget is spent and who wants that.
    pub(super) fn force(&mut self, id: CallerId) {
        let waits = |freezer: &super::Freezer| freezer.id == id;
        if self.forced || !self.freezer.as_ref().is_some_and(waits) {
            return;
        }
        self.forced = true;
        self.log(
            Severity::Warning,
            "the budget of the freeze is spent: killing the server, as --force asks",
        );
        let verbs = self.setup.verbs.clone();
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            let _ = verbs.run(&["__force-down"], &mut |line| {
                let _ = sender.send(Event::Said(line.to_vec()));
            });
        });
    }

    /// Stops the server, or has it enter backup mode, and answers the caller.
    pub(super) fn freeze(&mut self) {
        let Some(record) = &self.record else { return };
        let mode = record.mode;
        let budget = self.freezer.as_ref().and_then(|freezer| freezer.budget);
        let limit = budget.unwrap_or(ENTER_LIMIT).min(u32::MAX.into());
        let (mut code, _) = match mode {
            Mode::Stop => self.run(&["stop", "--for-snapshot"]),
            // On already, of an earlier freeze, it need not be entered.
            Mode::Online if self.renews() && self.run(&["__backup-mode", "renew"]).0 == 0 => {
                (Exit::Done.code(), Vec::new())
            }
            Mode::Online => self.run(&["__backup-mode", "enter", "--limit", &limit.to_string()]),
        };
        let down = [Exit::Done, Exit::Unclean, Exit::Crashed]
            .map(Exit::code)
            .contains(&code);
        if let Some(record) = &mut self.record {
            // One that waited in vain for the lock has told nobody to quit.
            let told = code != Exit::Locked.code();
            record.stop_unfinished = mode == Mode::Stop && !down && told;
        }
        if self.forced && down {
            code = Exit::Unclean.code();
        }
        if let Some(why) = self.cancelled.take() {
            return self.turn_back(&why);
        }
        if code != 0 && !(self.forced && down) {
            return self.fail(code);
        }
        self.settle(code);
    }

    /// What was asked for is done, or as good as `code` says: from here on it
    /// holds until the thaw, if the caller hears of it.
    fn settle(&mut self, code: u8) {
        if let Some(record) = &mut self.record {
            // Not from the beginning: a long shutdown is no missing thaw.
            let end = clock::since_boot().as_secs_f64() + record.max_downtime as f64;
            record.deadline_boot = (record.max_downtime > 0).then_some(end);
            record.become_phase(Phase::Frozen);
        }
        if !self.store() {
            self.warn_freezer("the record of the freeze cannot be written");
            return self.fail(Exit::Failed.code());
        }
        let Some(id) = self.freezer.as_ref().map(|freezer| freezer.id) else {
            return self.turn_back("its caller went away");
        };
        self.callers.answer(id, &Reply::Done { code, held: true });
        if !self.confirmed(id) {
            let why = self.cancelled.take();
            return self.turn_back(
                why.as_deref()
                    .unwrap_or("its caller did not take the answer"),
            );
        }
        let took = self.freezer.as_ref().map(|freezer| freezer.began.elapsed());
        self.remember("freeze", code, took.unwrap_or_default());
        self.freezer = None;
        self.callers.answer(id, &Reply::Sealed);
    }

    fn confirmed(&mut self, id: CallerId) -> bool {
        let end = Instant::now() + CONFIRMATION;
        while self.cancelled.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            match self.next(left) {
                Some(Event::Asked(from, Request::Received)) if from == id => return true,
                Some(event) => self.attend(event),
                None => return false,
            }
        }
        false
    }

    /// Whether the freeze under way is a second one of the same caller.
    fn renews(&self) -> bool {
        self.freezer.as_ref().is_some_and(|freezer| freezer.renews)
    }

    /// The freeze did not come about: the caller hears it, and what was
    /// touched is brought back. That is never told from the code: a stop that
    /// answers 153 may have seen systemd's stop through before it had to wait.
    fn fail(&mut self, code: u8) {
        let took = self.freezer.as_ref().map(|freezer| freezer.began.elapsed());
        self.remember("freeze", code, took.unwrap_or_default());
        if let Some(freezer) = self.freezer.take() {
            self.callers.warn(
                freezer.id,
                "nothing is frozen: what was begun is being undone, a server that ran is started again",
            );
            self.callers.done(freezer.id, code);
        }
        self.turn_back(&format!("it failed with code {code}"));
    }

    /// From a freeze back to a server as it was, without a thaw.
    pub(super) fn turn_back(&mut self, why: &str) {
        if let Some(record) = &mut self.record {
            record.broken = Some(Broken {
                how: Break::Undone,
                why: format!("the freeze was undone: {why}"),
            });
            record.become_phase(Phase::Resuming);
        }
        self.freezer = None;
        self.store();
    }

    /// Frozen: waits for the thaw, or until the dead man's switch acts.
    pub(super) fn hold(&mut self) {
        let Some(record) = &self.record else { return };
        let (remaining, holder) = (record.remaining(), record.caller.clone());
        let event = self.next(remaining.unwrap_or(GUARD).min(GUARD));
        match event {
            None if matches!(Record::load(&self.place), Found::Nothing) => {
                // No thaw found this process as long as all of it was gone.
                if let Err(error) = self.be_found_again() {
                    self.log(Severity::Error, &error.to_string());
                }
                self.turn_back("its record was removed");
            }
            None if remaining.is_some_and(|left| left.is_zero()) => self.no_thaw_came(),
            None => {}
            Some(Event::Asked(id, request @ (Request::Thaw { .. } | Request::Abort { .. }))) => {
                let (caller, thaw) = match request {
                    Request::Thaw { caller } => (caller, true),
                    Request::Abort { caller } => (caller, false),
                    _ => return,
                };
                if !self.wait_for_return(id, caller, thaw) {
                    return;
                }
                if let Some(record) = &mut self.record {
                    record.become_phase(Phase::Resuming);
                }
                self.store();
            }
            Some(Event::Asked(
                id,
                Request::Freeze {
                    caller,
                    mode,
                    budget,
                },
            )) if caller == holder => {
                self.callers.say(
                    id,
                    "this caller has frozen the server already: making sure of it and waiting for its thaw anew",
                );
                let freezer = super::Freezer {
                    id,
                    caller,
                    budget,
                    began: Instant::now(),
                    renews: true,
                };
                self.freeze_again(freezer, mode);
            }
            Some(Event::Signal) => self.told_to_end(),
            Some(event) => self.attend(event),
        }
    }

    /// A caller that lost its thaw, or runs twice, freezes what is frozen: all
    /// is checked and flushed again, the time counts from now. Where somebody
    /// has started the server since, that is what the thaw brings back.
    fn freeze_again(&mut self, freezer: super::Freezer, wish: Option<Wish>) {
        self.freezer = Some(freezer);
        if let Some(record) = &mut self.record {
            record.become_phase(Phase::Freezing);
            // Whoever started the server spoiled what came before this freeze.
            record.broken = None;
        }
        self.store();
        let facts = self.facts();
        if let Some(why) = self.cancelled.take() {
            return self.turn_back(&why);
        }
        let facts = match facts {
            Ok(facts) => facts,
            Err(code) => return self.fail(code),
        };
        let was_stopped = |record: &Record| record.mode == Mode::Stop;
        if facts.running && self.record.as_ref().is_some_and(was_stopped) {
            let mode = self.mode(wish.unwrap_or(facts.mode), true);
            if let Some(record) = &mut self.record {
                record.mode = mode;
                record.was_running = true;
                record.stay_down = false;
                record.unit = facts.unit;
            }
            self.store();
        }
    }

    fn no_thaw_came(&mut self) {
        let Some(record) = &mut self.record else {
            return;
        };
        let seconds = record.age().as_secs();
        record.broken = Some(Broken {
            how: Break::Expired,
            why: format!(
                "no thaw came within {seconds} seconds, the server was brought back without one"
            ),
        });
        record.become_phase(Phase::Resuming);
        self.log(
            Severity::Error,
            &format!("no thaw came within {seconds} seconds: bringing the server back"),
        );
        self.store();
    }

    /// Somebody ends the keeper. Where the host goes down the server stays
    /// down; where only the keeper's unit is stopped, the server comes back;
    /// without systemd nobody has a reason to, but for the end of the host.
    fn told_to_end(&mut self) {
        if self.host_is_stopping() {
            self.finished = true;
        } else if crate::service::systemd_is_in_charge(&self.setup.root) {
            self.turn_back("the keeper was told to end");
        }
    }
}
