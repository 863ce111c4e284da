//! Runs commands and takes their time, CPU and memory.

use super::of_original;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Instant;

/// What a run took, by the indices below.
pub type Sample = [f64; 3];
/// From the spawn to the end, in milliseconds.
pub const WALL: usize = 0;
/// User and system time with the children it waited for, in milliseconds.
pub const CPU: usize = 1;
/// Largest resident set of it or such a child, in MiB. The kernel counts what
/// it was before its exec, too: a copy of this benchmark.
pub const PEAK: usize = 2;

/// Medians of our `status`, of another command, of the original's `status`.
pub struct Contest {
    /// Of the other command.
    pub name: String,
    pub ours: Sample,
    pub other: Sample,
    pub original: Option<Sample>,
}

impl Contest {
    /// One of the figures as the table shows it: ours, and the others.
    pub fn texts(&self, at: usize, unit: &str) -> (String, String) {
        let original = of_original(unit, self.original.map(|original| original[at]));
        let others = format!("{:.2} {unit} {}, {original}", self.other[at], self.name);
        (format!("{:.2} {unit}", self.ours[at]), others)
    }
}

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Medians of so many runs of each command. They take turns, to and fro: what
/// disturbs the machine disturbs all, and nobody always runs in the caches that
/// another one left. A first round does not count.
pub fn alternate(rounds: usize, commands: &mut [Command]) -> io::Result<Vec<Sample>> {
    let mut all = vec![Vec::new(); commands.len()];
    for round in 0..=rounds {
        let mut turn: Vec<_> = commands.iter_mut().zip(&mut all).collect();
        if round % 2 == 1 {
            turn.reverse();
        }
        for (command, samples) in turn {
            samples.extend(Some(run(command)?).filter(|_| round > 0));
        }
    }
    let of = |samples: &Vec<Sample>, at| median(samples.iter().map(|sample| sample[at]));
    let medians = all
        .iter()
        .map(|samples| [WALL, CPU, PEAK].map(|at| of(samples, at)));
    Ok(medians.collect())
}

/// Runs a command, which must answer 0.
pub fn run(command: &mut Command) -> io::Result<Sample> {
    let began = Instant::now();
    let child = command.spawn()?;
    let mut status = 0;
    // SAFETY: a rusage of zeros is a valid one.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to variables of this function.
    if unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut used) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let wall = began.elapsed().as_secs_f64() * 1e3;
    succeeded(
        command,
        std::os::unix::process::ExitStatusExt::from_raw(status),
    )?;
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    let cpu = ms(used.ru_utime) + ms(used.ru_stime);
    Ok([wall, cpu, used.ru_maxrss as f64 / 1024.0])
}

/// Runs a command that ends the processes `pids`. Milliseconds from the last
/// one's end to the command's return; negative where it returned too early.
/// (Not until they have left /proc: that is when somebody reaps them.)
pub fn lag(command: &mut Command, pids: &[i32]) -> io::Result<f64> {
    let pids = pids.iter().filter_map(|pid| Pid::from_raw(*pid));
    let handles = pids.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let handles: Vec<_> = handles.collect::<Result<_, _>>()?;
    let began = Instant::now();
    let all_ended = std::thread::spawn(move || {
        let ended = |handle| poll(&mut [PollFd::new(handle, PollFlags::IN)], None).map(drop);
        handles.iter().try_for_each(ended).map(|()| began.elapsed())
    });
    let status = command.status()?;
    succeeded(command, status)?;
    let returned = began.elapsed();
    let last = all_ended
        .join()
        .map_err(|_| io::Error::other("poll failed"))??;
    Ok((returned.as_secs_f64() - last.as_secs_f64()) * 1e3)
}

fn succeeded(command: &Command, status: ExitStatus) -> io::Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?}: {status}")))
}
