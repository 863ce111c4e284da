//! The main job's limits, measured: `status` and `stop` beside /bin/true,
//! `pgrep` and, where RC_DOMINO_ORIGINAL names it, the original's
//! rc_domino_script. One run, in turns; ends with 1 where a limit is missed.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod common;
#[path = "../tests/standin/mod.rs"]
mod standin;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../tests/support/mod.rs"]
mod support;

use common::host::{Crowd, Host};
use common::measure::{CPU, PEAK, WALL, lag, median, run};
use common::{Table, of_original};
use std::process::{Command, ExitCode, Stdio};
use std::{fs, io};
use support::{Sandbox, partition::Partition};

const ROUNDS: usize = 101;
const STOPS: usize = 21;
const STRANGERS: usize = 10_000;
const SERVERS: usize = 8;
/// Seconds of its shutdown; the others are half a second quicker each.
const SLOWEST: f64 = 4.5;

fn main() -> ExitCode {
    common::table_of(measure)
}

fn measure(table: &mut Table) -> io::Result<()> {
    let host = Host::new()?;
    host.up("")?;
    status(&host, table)?;
    processes(&host, table);
    strangers(&host, table)?;
    run(&mut host.verb("stop")[0])?;
    short_stop(&host, table)?;
    long_stop(&host, table)?;
    stop_of_all(table)?;
    let size = fs::metadata(Host::product())?.len() as f64 / 1_048_576.0;
    let cells = ["binary", &format!("{size:.2} MiB"), "", "3 MiB"];
    table.row(cells, Some(size <= 3.0));
    Ok(())
}

fn status(host: &Host, table: &mut Table) -> io::Result<()> {
    let runs = host.contest(ROUNDS, &["/bin/true"])?;
    let (shown, others) = runs.texts(WALL, "ms");
    let times = runs.ours[WALL] / runs.other[WALL];
    let shown = format!("{shown}, {times:.2} x");
    let cells = ["status, wall", &shown, &others, "2.5 x /bin/true"];
    table.row(cells, Some(times <= 2.5));

    let (mut shown, others) = runs.texts(CPU, "ms");
    let share = runs.original.map(|original| original[CPU] / runs.ours[CPU]);
    shown += &share.map_or(String::new(), |share| format!(", 1/{share:.0}"));
    let cells = ["status, CPU", &shown, &others, "1/40 of original"];
    table.row(cells, share.map(|share| share >= 40.0));

    let (shown, others) = runs.texts(PEAK, "MiB");
    let cells = ["status, peak memory", &shown, &others, "8 MiB"];
    table.row(cells, Some(runs.ours[PEAK] <= 8.0));
    Ok(())
}

/// Processes and programs that `status` starts, where strace can tell.
fn processes(host: &Host, table: &mut Table) {
    let trace = host.0.data.join("trace").display().to_string();
    let calls = "trace=execve,execveat,fork,vfork,clone,clone3";
    let strace = ["strace", "-f", "-qq", "-e", calls, "-e", "signal=none"];
    let strace = [&strace[..], &["-o", &trace]].concat();
    let count = |mut command: Command| {
        run(&mut command).ok()?;
        let text = fs::read_to_string(&trace).ok()?;
        let done = |line: &&str| !line.contains(" resumed>") && !line.contains(" = -1 ");
        // The first exec is strace's own.
        Some(text.lines().filter(done).count() as f64 - 1.0)
    };
    let mut counts = host.verb_by(&strace, "status").into_iter().map(count);
    let ours = counts.next().flatten();
    let others = of_original("", counts.next().flatten());
    let shown = ours.map_or("no strace, or refused".into(), |ours| ours.to_string());
    let cells = ["status, forks and execs", &shown, &others, "0"];
    table.row(cells, ours.map(|ours| ours == 0.0));
}

fn strangers(host: &Host, table: &mut Table) -> io::Result<()> {
    let what = format!("status, {STRANGERS} foreign processes");
    if !support::is_root() {
        table.row([&what, "needs root", "", "faster than pgrep"], None);
        return Ok(());
    }
    // The server comes after them: status has to pass them all.
    run(&mut host.verb("stop")[0])?;
    let _crowd = Crowd::gather(STRANGERS)?;
    host.up("")?;
    let user = host.0.ids.0.to_string();
    let runs = host.contest(STOPS, &["pgrep", "-u", &user])?;
    let (shown, others) = runs.texts(WALL, "ms");
    let kept = runs.ours[WALL] < runs.other[WALL];
    table.row([&what, &shown, &others, "faster than pgrep"], Some(kept));
    Ok(())
}

fn short_stop(host: &Host, table: &mut Table) -> io::Result<()> {
    let mut commands = host.verb("stop");
    let mut lags = vec![Vec::new(); commands.len()];
    for _ in 0..STOPS {
        for (command, lags) in commands.iter_mut().zip(&mut lags) {
            host.up("shutdown_delay=0.5\n")?;
            // What others left to be written is not this stop's to wait for.
            rustix::fs::syncfs(fs::File::open(&host.0.data)?)?;
            lags.push(lag(command, &host.0.processes())?);
        }
    }
    let early = lags[0].iter().any(|lag| *lag < 0.0);
    let mut medians = lags.into_iter().map(|lags| median(lags.into_iter()));
    let ours = medians.next().unwrap_or(f64::NAN);
    let shown = ["", ", but once before it"][usize::from(early)];
    let shown = format!("{ours:.2} ms{shown}");
    let others = of_original("ms", medians.next());
    let cells = [
        "stop, after the last process's end",
        &shown,
        &others,
        "10 ms",
    ];
    table.row(cells, Some(!early && ours <= 10.0));
    Ok(())
}

fn long_stop(host: &Host, table: &mut Table) -> io::Result<()> {
    let mut used = Vec::new();
    for mut command in host.verb("stop") {
        host.up("shutdown_delay=20\n")?;
        used.push(run(&mut command)?[CPU]);
    }
    let shown = format!("{:.2} ms", used[0]);
    let others = of_original("ms", used.get(1).copied());
    let cells = ["stop over 20 s, CPU", &shown, &others, "20 ms"];
    table.row(cells, Some(used[0] <= 20.0));
    Ok(())
}

/// Several servers that take up to five seconds each: together as long as the
/// slowest.
fn stop_of_all(table: &mut Table) -> io::Result<()> {
    let mut sandbox = Sandbox::new();
    sandbox.forget("DOMINO_CONFIGURED");
    sandbox.forget("DOMINO_PID_FILE");
    let owner = support::is_root().then_some(sandbox.ids);
    let passwd = sandbox.root.join("etc/passwd");
    let mut members = Vec::new();
    for number in 1..=SERVERS {
        let user = format!("p{number}");
        let (uid, gid) = sandbox.ids;
        let home = sandbox.home.display();
        let line = format!("{user}:x:{uid}:{gid}::{home}:/bin/sh\n");
        fs::write(&passwd, fs::read_to_string(&passwd)? + &line)?;
        members.push(Partition::install(&mut sandbox, &user, owner));
    }
    for (member, number) in members.iter().zip(1u32..) {
        let delay = SLOWEST - f64::from(number - 1) / 2.0;
        member.mode(&format!("tasks=router,http\nshutdown_delay={delay}\n"));
    }
    let all = |verb| {
        let command = sandbox.command(&["all", verb]).called("rc_domino");
        let mut command = command.no_env("DOMINO_USER").prepared();
        command.stdout(Stdio::null());
        run(&mut command)
    };
    all("start")?;
    support::wait_until("all are up", || members.iter().all(Partition::is_up));
    let times = all("stop")?[WALL] / (SLOWEST * 1e3);
    let what = format!("all stop, {SERVERS} servers, slowest {SLOWEST} s");
    let cells = [&what, &format!("{times:.2} x"), "", "1.2 x the slowest"];
    table.row(cells, Some(times <= 1.2));
    Ok(())
}
