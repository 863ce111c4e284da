//! The server's return: after a thaw, an abort, a freeze that did not come
//! about, or when no thaw came.

use super::{Keeper, STARTED_MEANWHILE};
use crate::exit::Exit;
use crate::os::syslog::Severity;
use crate::snapshot::record::{Break, Broken, Mode, Phase, Record};
use std::time::{Duration, Instant};

/// How long a server may take to leave backup mode, in seconds.
const LEAVE_LIMIT: &str = "60";

/// How long after a start that failed the next one is tried.
const RETRIES: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

impl Keeper {
    /// Brings the server back as it was and answers who waits for it.
    pub(super) fn resume(&mut self) {
        let began = Instant::now();
        let code = self.bring_back();
        let Some(record) = &self.record else { return };
        let how = record.broken.as_ref().map(|broken| broken.how);
        let verb = match how {
            None | Some(Break::Spoiled) => "thaw",
            Some(Break::Undone) => "undo",
            Some(Break::Expired) => "resume",
        };
        let outcome = self.outcome(code, true);
        self.remember(verb, outcome, began.elapsed());
        let told = self.waiting.iter().any(|(_, thaw)| *thaw) || verb == "thaw";
        self.answer_waiting(code);
        if told {
            if let Err(cause) = Record::remove(&self.place) {
                self.log(
                    Severity::Error,
                    &format!("cannot forget the freeze: {cause}"),
                );
            }
            self.record = None;
        } else {
            // The next thaw is to hear of it.
            if let Some(record) = &mut self.record {
                record.become_phase(Phase::Over);
            }
            self.store();
        }
        self.finished = true;
    }

    /// What a thaw or an abort is told where bringing back answered `code`: a
    /// freeze that did not hold until the thaw makes the snapshot worthless.
    fn outcome(&self, code: u8, thaw: bool) -> u8 {
        let over = self
            .record
            .as_ref()
            .is_some_and(|record| record.broken.is_some());
        if code == 0 && over && thaw {
            Exit::BudgetSpent.code()
        } else {
            code
        }
    }

    fn answer_waiting(&mut self, code: u8) {
        let why = self
            .record
            .as_ref()
            .and_then(|record| record.broken.as_ref())
            .map(|broken| broken.why.clone());
        for (id, thaw) in std::mem::take(&mut self.waiting) {
            if thaw && let Some(why) = &why {
                let text = format!("{why}; do not trust the snapshot");
                self.callers.warn(id, &text);
            }
            let outcome = self.outcome(code, thaw);
            self.callers.done(id, outcome);
        }
    }

    fn say_waiting(&mut self, text: &str) {
        for (id, _) in self.waiting.clone() {
            self.callers.say(id, text);
        }
    }

    fn bring_back(&mut self) -> u8 {
        let Some(record) = &self.record else {
            return Exit::Failed.code();
        };
        if record.mode == Mode::Online {
            let code = self
                .run(&["__backup-mode", "leave", "--limit", LEAVE_LIMIT])
                .0;
            if code != Exit::BudgetSpent.code() {
                return code;
            }
            self.not_held("backup mode was lost before the thaw");
            return 0;
        }
        let was_running = record.was_running;
        if was_running && record.stop_unfinished {
            // A start now would find the server running, and be satisfied.
            self.run(&["stop", "--for-snapshot"]);
            if let Some(record) = &mut self.record {
                record.stop_unfinished = false;
            }
            self.store();
        }
        let held = self
            .record
            .as_ref()
            .is_some_and(|record| record.broken.is_none());
        if held && self.facts().is_ok_and(|facts| facts.running) {
            self.not_held(STARTED_MEANWHILE);
            return 0;
        }
        if !was_running {
            self.say_waiting("The server was down before the freeze: it stays down");
            return 0;
        }
        self.start()
    }

    pub(super) fn not_held(&mut self, why: &str) {
        if let Some(record) = &mut self.record
            && record.broken.is_none()
        {
            record.broken = Some(Broken {
                how: Break::Spoiled,
                why: why.to_owned(),
            });
        }
    }

    /// Starts the server; again and again where that fails for now. Who waits
    /// hears of the first failure.
    fn start(&mut self) -> u8 {
        let mut retries = RETRIES.into_iter();
        loop {
            if self.host_is_stopping() {
                return Exit::Failed.code();
            }
            if self.record.as_ref().is_some_and(|record| record.stay_down) {
                self.say_waiting(
                    "The server was stopped by hand while it was frozen: it stays down",
                );
                return 0;
            }
            let code = self.run(&["start"]).0;
            if code == 0 || code == Exit::Disabled.code() {
                return code;
            }
            let Some(pause) = retries.next() else {
                let text = format!(
                    "the server does not start again (code {code}): look at its log, then 'rc_domino start'"
                );
                self.log(Severity::Error, &text);
                return code;
            };
            let text = format!(
                "the server did not start (code {code}); trying again in {} seconds",
                pause.as_secs()
            );
            self.log(Severity::Error, &text);
            for (id, _) in self.waiting.clone() {
                self.callers.warn(id, &text);
            }
            self.answer_waiting(code);
            let end = Instant::now() + pause;
            while Instant::now() < end {
                let left = end.saturating_duration_since(Instant::now());
                if let Some(event) = self.next(left) {
                    self.attend(event);
                }
            }
        }
    }
}
