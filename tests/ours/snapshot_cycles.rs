//! Freeze and thaw with a random fault in each cycle. RC_DOMINO_CYCLES says how
//! many (the quick suite makes few, `make cycles` a thousand),
//! RC_DOMINO_SEED repeats a run.
//!
//! Whatever happens: never two servers, never a server left down past its
//! deadline, never a 0 for an unclean stop, never a server started that was
//! down before.

use super::snapshot::{keeper, record};
use super::snapshot_faults::tool;
use crate::standin::{pages, processes};
use crate::support::{Outcome, Running, Sandbox, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

scenarios![cycles_with_a_random_fault_each];

/// Cycles of the quick suite.
const FEW: u64 = 24;

/// Sandboxes side by side: cycles wait more than they compute.
const LANES: u64 = 4;

/// Pages that each shutdown writes at its end.
const PAGES: u64 = 8;

/// DOMINO_SNAPSHOT_MAX_DOWNTIME, in seconds.
const DOWNTIME: u64 = 10;

const TIMEOUT: &str = "DOMINO_SHUTDOWN_TIMEOUT";

/// How long after its deadline a server may take to be up: a stop that ends by
/// force, a start that waits for it, and a busy machine.
const SLACK: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Signal,
    KilledCaller,
    KilledKeeper,
    KilledFrozenKeeper,
    KilledStop,
    KilledServer,
    KilledTask,
    SlowBeyondBudget,
    Hung,
    Crash,
    FullRun,
    Reboot,
    EarlyThaw,
    NoThaw,
    KilledThaw,
    SecondCaller,
}

const FAULTS: [Fault; 17] = [
    Fault::None,
    Fault::Signal,
    Fault::KilledCaller,
    Fault::KilledKeeper,
    Fault::KilledFrozenKeeper,
    Fault::KilledStop,
    Fault::KilledServer,
    Fault::KilledTask,
    Fault::SlowBeyondBudget,
    Fault::Hung,
    Fault::Crash,
    Fault::FullRun,
    Fault::Reboot,
    Fault::EarlyThaw,
    Fault::NoThaw,
    Fault::KilledThaw,
    Fault::SecondCaller,
];

/// Marsaglia's xorshift: repeatable, which is all it must be.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pause(&mut self, millis: u64) {
        std::thread::sleep(Duration::from_millis(self.below(millis)));
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn cycles_with_a_random_fault_each() {
    let cycles = variable("RC_DOMINO_CYCLES").unwrap_or(FEW);
    let seed = variable("RC_DOMINO_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_nanos() as u64 | 1
    });
    let held = &AtomicU64::new(0);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                let mut dice = Dice(seed.wrapping_add(lane.wrapping_mul(0x9E37_79B9)) | 1);
                let downtime = DOWNTIME.to_string();
                let mut sandbox = Sandbox::with(&[("DOMINO_SNAPSHOT_MAX_DOWNTIME", &downtime)]);
                for number in (lane..cycles).step_by(LANES as usize) {
                    let mut fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
                    let mut up = dice.below(4) > 0;
                    // Each lane begins with a freeze that nothing is wrong with.
                    let sound = number == lane;
                    if sound {
                        (fault, up) = (Fault::None, true);
                    }
                    sandbox.forget(TIMEOUT);
                    // No other shutdown is to end by force.
                    let hung = fault == Fault::Hung;
                    sandbox.set(TIMEOUT, if hung { "8" } else { "30" });
                    let label = format!("seed {seed}, cycle {number}: {fault:?}, up {up}");
                    Cycle {
                        sandbox: &sandbox,
                        dice: &mut dice,
                        label: &label,
                        budget: if sound { 20 } else { 2 },
                        held,
                    }
                    .run(fault, up);
                }
            });
        }
    });
    // What a freeze that held is to be was looked at.
    assert_ne!(held.load(Ordering::Relaxed), 0, "seed {seed}: none held");
}

struct Cycle<'a> {
    sandbox: &'a Sandbox,
    dice: &'a mut Dice,
    label: &'a str,
    /// Of the freeze, in seconds.
    budget: u64,
    /// How many freezes held, of all lanes.
    held: &'a AtomicU64,
}

impl Cycle<'_> {
    fn run(&mut self, fault: Fault, up: bool) {
        let sandbox = self.sandbox;
        sandbox.reset();
        let _ = fs::remove_file(sandbox.data.join("pages.nsf"));
        sandbox.mode(&format!("write_pages={PAGES}\n"));
        // A clean beginning, whatever the last cycle left.
        sandbox.up();
        if !up {
            sandbox.down();
            let _ = fs::remove_file(sandbox.data.join("standin.calls"));
        }
        self.mode(fault);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self::never_two(sandbox, self.label, &over));
            self.fault(fault, up);
            over.store(true, Ordering::Relaxed);
        });
        self.settled(fault, up);
    }

    fn mode(&mut self, fault: Fault) {
        let delay = match fault {
            Fault::SlowBeyondBudget => 2.5,
            _ => self.dice.below(800) as f64 / 1000.0,
        };
        let more = match fault {
            Fault::Hung => "ignore_quit=1\n",
            Fault::Crash => "crash_on_stop=1\n",
            _ => "",
        };
        self.sandbox.mode(&format!(
            "write_pages={PAGES}\nshutdown_delay={delay}\n{more}"
        ));
    }

    fn freeze(&self) -> Running {
        self.sandbox
            .command(&["snapshot", "freeze", "--caller=qemu"])
            .arg(format!("--budget={}", self.budget))
            .spawn()
    }

    fn send(&self, running: &Running, signal: Signal) {
        // It may have ended meanwhile; then it is a zombie, and still ours.
        let _ = kill(Pid::from_raw(running.pid()), signal);
    }

    fn kill_keeper(&self) {
        if let Some(pid) = keeper(self.sandbox) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// One freeze and one thaw, with the fault at some moment of them.
    fn fault(&mut self, fault: Fault, up: bool) {
        let sandbox = self.sandbox;
        let directory = record(sandbox).parent().unwrap().to_path_buf();
        if fault == Fault::FullRun {
            fs::create_dir_all(&directory).unwrap();
            sandbox.own(&directory);
            let after = self.dice.below(2) * self.dice.below(600);
            std::thread::scope(|scope| {
                let full = directory.clone();
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(after));
                    let _ = fs::set_permissions(&full, fs::Permissions::from_mode(0o555));
                });
                self.frozen(self.freeze().outcome(), fault);
            });
            let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o755));
            sandbox.run(&["snapshot", "abort"]);
            return;
        }
        let freeze = self.freeze();
        match fault {
            Fault::Signal => {
                self.dice.pause(900);
                let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
                let which = self.dice.below(3) as usize;
                self.send(&freeze, signals[which]);
            }
            Fault::KilledCaller => {
                self.dice.pause(900);
                self.send(&freeze, Signal::SIGKILL);
            }
            Fault::KilledKeeper => {
                self.dice.pause(900);
                self.kill_keeper();
            }
            Fault::KilledStop => {
                self.dice.pause(900);
                for pid in tool(sandbox, "stop") {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            Fault::KilledServer | Fault::KilledTask => {
                self.dice.pause(900);
                let servers = sandbox.servers();
                let targets = match fault {
                    Fault::KilledServer => servers,
                    _ => sandbox.processes().into_iter().rev().take(1).collect(),
                };
                for pid in targets {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            Fault::EarlyThaw => {
                self.dice.pause(900);
                let thaw = sandbox.run(&["snapshot", "thaw"]);
                assert!([0, 1, 152].contains(&thaw.code), "{}\n{thaw}", self.label);
            }
            Fault::SecondCaller => {
                self.dice.pause(900);
                let second = sandbox.run(&["snapshot", "freeze", "--caller=veeam"]);
                assert!([0, 153].contains(&second.code), "{}\n{second}", self.label);
            }
            _ => {}
        }
        let frozen = self.frozen(freeze.outcome(), fault);
        self.dice.pause(100);
        match fault {
            Fault::KilledFrozenKeeper => self.kill_keeper(),
            Fault::Reboot => return self.reboot(),
            Fault::NoThaw => return,
            Fault::KilledThaw => {
                let thaw = sandbox.command(&["snapshot", "thaw"]).spawn();
                self.dice.pause(200);
                self.send(&thaw, Signal::SIGKILL);
                thaw.outcome();
                return;
            }
            _ => {}
        }
        let thaw = sandbox.run(&["snapshot", "thaw"]);
        if frozen && matches!(fault, Fault::None | Fault::KilledFrozenKeeper) {
            assert_eq!(thaw.code, 0, "{}\n{thaw}", self.label);
            if up {
                // It says so itself, which takes it a moment.
                wait_until(self.label, || sandbox.servers().len() == 1);
            }
        }
    }

    /// A freeze that answered 0 is one: nothing runs and every page is there.
    fn frozen(&self, freeze: Outcome, fault: Fault) -> bool {
        if freeze.code != 0 {
            return false;
        }
        let sandbox = self.sandbox;
        // Once the caller has his answer the thaw may come at any time.
        if matches!(fault, Fault::EarlyThaw | Fault::KilledKeeper) {
            return true;
        }
        let left = sandbox.processes();
        assert!(left.is_empty(), "{}: {left:?}\n{freeze}", self.label);
        assert!(
            !sandbox.data.join(".rc_domino.unclean").exists(),
            "{}: 0 for an unclean stop\n{freeze}",
            self.label
        );
        let checked = pages::check(&sandbox.data.join("pages.nsf"));
        assert_eq!(checked, Ok(PAGES), "{}\n{freeze}", self.label);
        self.held.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The host goes down with everything on it and comes back.
    fn reboot(&self) {
        let sandbox = self.sandbox;
        if let Ok(text) = fs::read_to_string(record(sandbox)) {
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            let other = "00000000-0000-0000-0000-000000000000";
            fs::write(record(sandbox), text.replace(boot.trim(), other)).unwrap();
            sandbox.own(&record(sandbox));
        }
        self.kill_keeper();
        wait_until(self.label, || keeper(sandbox).is_none());
        let before = sandbox.launches().len();
        let thaw = sandbox.run(&["snapshot", "thaw"]);
        assert!([1, 152].contains(&thaw.code), "{}\n{thaw}", self.label);
        assert_eq!(sandbox.launches().len(), before, "{}", self.label);
    }

    /// What must be true in the end.
    fn settled(&self, fault: Fault, up: bool) {
        let sandbox = self.sandbox;
        sandbox.mode(&format!("write_pages={PAGES}\n"));
        let end = Instant::now() + Duration::from_secs(DOWNTIME) + SLACK;
        while keeper(sandbox).is_some() {
            assert!(Instant::now() < end, "{}: the keeper stays", self.label);
            std::thread::sleep(Duration::from_millis(10));
        }
        if !up {
            let launches = sandbox.launches();
            assert!(launches.is_empty(), "{}: started: {launches:?}", self.label);
        } else if fault != Fault::Reboot {
            // A keeper that was killed has a successor that is yet to come.
            while sandbox.servers().is_empty() {
                assert!(
                    Instant::now() < end,
                    "{}: left down; {:?}\n{}",
                    self.label,
                    fs::read_to_string(record(sandbox)),
                    sandbox.console()
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        sandbox.run(&["snapshot", "abort"]);
        wait_until(self.label, || keeper(sandbox).is_none());
        let ending = sandbox.run(&["stop"]);
        assert!(
            [0, 150, 151].contains(&ending.code),
            "{}\n{ending}",
            self.label
        );
    }
}

/// Looks again and again whether two servers run.
fn never_two(sandbox: &Sandbox, label: &str, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let servers = sandbox.servers();
        if servers.len() > 1 {
            // One may just have ended.
            std::thread::sleep(Duration::from_millis(20));
            let still: Vec<i32> = servers
                .into_iter()
                .filter(|pid| !processes::is_gone(*pid))
                .collect();
            assert!(still.len() < 2, "{label}: two servers: {still:?}");
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}
