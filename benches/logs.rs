//! Logs at size: clearing, archiving, showing. `cargo bench --bench logs`
//! prints each figure beside what it must reach, and fails if one is missed.
//!
//! RC_DOMINO_ORIGINAL names the original's rc_domino_script to compare with:
//! on 2,000 files, as it starts a process for each of them;
//! RC_DOMINO_BENCH_ONLY a part (clear, archive, lastlog, writers). Works in
//! RC_DOMINO_BENCH_DIR, else the system's temporary directory: 5 GB of room,
//! on ext4 or XFS. (ext4 without a journal takes most of a minute to make
//! 100,000 files where as many were removed just before.)

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Whom root's runs act as: Domino never runs as root.
const USER: u32 = 61_778;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rc_domino");

/// A host in a directory, with a "server" that only sleeps.
struct Host {
    top: PathBuf,
    server: Option<Child>,
}

impl Host {
    fn new(name: &str) -> Host {
        let base =
            std::env::var_os("RC_DOMINO_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let top = base.join(format!("rcdbench{}{name}", std::process::id()));
        let host = Host { top, server: None };
        for directory in [
            "root/etc/sysconfig",
            "data/IBM_TECHNICAL_SUPPORT",
            "lotus/bin",
            "lotus/notes/latest/linux",
            "bin",
        ] {
            fs::create_dir_all(host.at(directory)).unwrap();
        }
        let server = host.at("lotus/notes/latest/linux/server");
        fs::copy("/bin/sleep", &server).unwrap();
        std::os::unix::fs::symlink(&server, host.at("lotus/bin/server")).unwrap();
        // The target directory may be closed to the user: a copy is not.
        fs::copy(PROGRAM, host.at("bin/rc_domino_script")).unwrap();
        let (uid, gid) = ids();
        let top = host.top.display();
        fs::write(
            host.at("root/etc/passwd"),
            format!("notes:x:{uid}:{gid}::{top}:/bin/sh\n"),
        )
        .unwrap();
        fs::write(host.at("root/etc/group"), format!("notes:x:{gid}:\n")).unwrap();
        fs::write(
            host.at("root/etc/sysconfig/rc_domino_config"),
            format!(
                "LOTUS={top}/lotus\nDOMINO_DATA_PATH={top}/data\nDOMINO_PID_FILE={top}/data/domino.pid\nDOMINO_CONFIGURED=yes\nDOMINO_SCRIPT_VERBOSE_INFO=no\n"
            ),
        )
        .unwrap();
        fs::write(host.at("data/notes.ini"), "[Notes]\nServerSetup=1\n").unwrap();
        for path in ["", "data", "data/notes.ini", "data/IBM_TECHNICAL_SUPPORT"] {
            host.own(&host.at(path));
        }
        host
    }

    fn at(&self, below: &str) -> PathBuf {
        self.top.join(below)
    }

    fn own(&self, path: &Path) {
        if is_root() {
            let (uid, gid) = ids();
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// A command of the user's.
    fn user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.top)
            .env("LOGNAME", "notes")
            .env("USER", "notes")
            .env("LANG", "C.UTF-8")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(self.at("data"));
        if is_root() {
            command.uid(USER).gid(USER);
        }
        command
    }

    fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = self.user(self.at("bin/rc_domino_script"));
        command
            .env("RC_DOMINO_ROOT", self.at("root"))
            .args(arguments);
        command
    }

    /// As docs of the original allow: everything from the environment.
    fn original(&self, script: &Path, arguments: &[&str]) -> Command {
        let mut command = self.user(script);
        command
            // A user whom no file of this host configures.
            .env("LOGNAME", "rcdbench")
            .env("USER", "rcdbench")
            .env("LOTUS", self.at("lotus"))
            .env("DOMINO_DATA_PATH", self.at("data"))
            .env("DOMINO_PID_FILE", self.at("data/domino.pid"))
            .env("DOMINO_CONFIGURED", "yes")
            .env("DOMINO_SCRIPT_VERBOSE_INFO", "no")
            .args(arguments);
        command
    }

    fn start_server(&mut self) {
        let mut server = self.user(self.at("lotus/notes/latest/linux/server"));
        self.server = Some(server.arg("7200").spawn().unwrap());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(&self.top);
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn ids() -> (u32, u32) {
    match is_root() {
        true => (USER, USER),
        false => (
            nix::unistd::getuid().as_raw(),
            nix::unistd::getgid().as_raw(),
        ),
    }
}

fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    begun.elapsed()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// One figure: what it is, whether it reaches what it must.
struct Verdict(bool);

impl Verdict {
    fn on(what: &str, figure: String, must: &str, reached: bool) -> Verdict {
        let mark = if reached { "ok    " } else { "MISSED" };
        println!("{mark}  {what}: {figure} (must: {must})");
        Verdict(reached)
    }
}

/// Expired files in the support directory, empty: what a device needs to give
/// their blocks back (milliseconds each, mounted with `discard`) is the same
/// for everybody and hides the rest.
fn expired(host: &Host, count: usize) -> PathBuf {
    let directory = host.at("data/IBM_TECHNICAL_SUPPORT");
    let then = SystemTime::now() - Duration::from_secs(40 * 86_400);
    for number in 0..count {
        let file = File::create(directory.join(format!("nsd_all_{number:06}.log"))).unwrap();
        file.set_modified(then).unwrap();
    }
    nix::unistd::sync();
    directory
}

fn left(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// How often clearing is measured beside `find -delete`.
const PAIRS: usize = 7;

/// How long a command took, and its processor time.
type Cost = (Duration, Duration);

/// Clears `count` expired files.
fn cleared(host: &Host, count: usize, command: &mut Command) -> Cost {
    let directory = expired(host, count);
    let (took, usage) = with_usage(command);
    assert_eq!(left(&directory), 0);
    let time = |at: libc::timeval| {
        Duration::from_secs(at.tv_sec as u64) + Duration::from_micros(at.tv_usec as u64)
    };
    (took, time(usage.ru_utime) + time(usage.ru_stime))
}

fn clear() -> Vec<Verdict> {
    const FILES: usize = 100_000;
    const FEW: usize = 2_000;
    let host = Host::new("clear");
    let ours = |count| cleared(&host, count, &mut host.ours(&["clearlog", "30"]));
    let find = |count| {
        let mut command = host.user("find");
        command
            .arg(host.at("data/IBM_TECHNICAL_SUPPORT"))
            .args(["-type", "f", "-mtime", "+30", "-delete"]);
        cleared(&host, count, &mut command)
    };
    // In turn, each first as often as the other: what else the machine does
    // is the same for both of a pair, more or less.
    let mut pairs = Vec::new();
    for round in 0..PAIRS {
        pairs.push(if round % 2 == 0 {
            let ours = ours(FILES);
            (ours, find(FILES))
        } else {
            let find = find(FILES);
            (ours(FILES), find)
        });
    }
    let side = |pick: &dyn Fn(&(Cost, Cost)) -> Duration| median(pairs.iter().map(pick).collect());
    let (took, theirs) = (side(&|pair| pair.0.0), side(&|pair| pair.1.0));
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(ours, find)| ours.0.as_secs_f64() / find.0.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "        clearing {FILES}, {PAIRS} pairs: {:.2} to {:.2} times find's; processor time {:.3?}, find's {:.3?}",
        ratios[0],
        ratios[PAIRS - 1],
        side(&|pair| pair.0.1),
        side(&|pair| pair.1.1),
    );
    let ratio = ratios[PAIRS / 2];
    let mut verdicts = vec![Verdict::on(
        "clearing 100,000 expired files",
        format!("{took:.3?}, find -delete {theirs:.3?}, {ratio:.2} times in the median pair"),
        "no slower than find -delete",
        ratio <= 1.0,
    )];
    match std::env::var_os("RC_DOMINO_ORIGINAL") {
        Some(script) if !script.is_empty() => {
            let script = Path::new(&script);
            let (few, _) = ours(FEW);
            let original = host.original(script, &["clearlog", "30"]);
            let (original, _) = cleared(&host, FEW, &mut { original });
            // He starts a process for each file: time grows with the files.
            let each = |took: Duration, files| took.as_secs_f64() * 1e6 / files as f64;
            let times = each(original, FEW) / each(took, FILES);
            println!(
                "        {FEW} files: ours {few:.3?}, the original {original:.2?}: {:.0} times",
                original.as_secs_f64() / few.as_secs_f64()
            );
            verdicts.push(Verdict::on(
                "the same by the original, for each file",
                format!(
                    "{:.0} µs of {FEW}, ours {:.1} µs of {FILES}: {times:.0} times",
                    each(original, FEW),
                    each(took, FILES)
                ),
                "at least 50 times",
                times >= 50.0,
            ));
        }
        _ => println!("NOT RUN  clearing by the original: RC_DOMINO_ORIGINAL is not set"),
    }
    verdicts
}

/// A console log as a busy mail server writes it.
fn console_log(path: &Path, bytes: u64) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut written = 0;
    let mut second = 0u64;
    while written < bytes {
        let number = next();
        second += number % 3;
        let user = number >> 8 & 0x3fff;
        let text = match number % 7 {
            0 => format!("Opened session for User{user:05} Test/Example (Release 14.0)"),
            1 => format!(
                "Closed session for User{user:05} Test/Example Databases accessed: {} Documents read: {} Documents written: {}",
                number >> 20 & 7,
                number >> 24 & 1023,
                number >> 34 & 63
            ),
            2 => format!(
                "Router: Message {:08X} delivered to User{user:05} Test/Example from OF{:016X}-ON{:08X}.{:08X}@example.com",
                number >> 32,
                next(),
                next() >> 32,
                next() >> 32
            ),
            3 => format!(
                "SMTP Server: {}.{}.{}.{} connected",
                number >> 8 & 255,
                number >> 16 & 255,
                number >> 24 & 255,
                number >> 32 & 255
            ),
            4 => format!(
                "HTTP Server: Agent 'Update {}' error in mail/user{user:05}.nsf: document {:08X} not found",
                number >> 24 & 63,
                next() >> 32
            ),
            5 => format!(
                "Replicator: Replicated {} documents with server hub{:02} in {} ms",
                number >> 24 & 255,
                number >> 32 & 31,
                number >> 40 & 4095
            ),
            _ => format!(
                "SMTP Server: Message {:08X} ({} bytes) received from {}.{}.{}.{}",
                next() >> 32,
                number >> 20 & 0xfffff,
                number >> 8 & 255,
                number >> 16 & 255,
                number >> 24 & 255,
                number >> 32 & 255
            ),
        };
        let line = format!(
            "[{:06}:{:06}-{:016X}] 11/22/2026 {:02}:{:02}:{:02} AM  {text}\n",
            4000 + number % 9,
            2 + (number >> 40) % 60,
            0x7f12_3456_0000_u64 + (number >> 50) * 256,
            second / 3600 % 12,
            second / 60 % 60,
            second % 60
        );
        out.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
    }
    out.flush().unwrap();
}

/// Runs a command and says how long it took and what it used.
fn with_usage(command: &mut Command) -> (Duration, libc::rusage) {
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both pointers are valid for writing and the pid is our child's,
    // which nobody else waits for.
    let usage = unsafe {
        libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr());
        usage.assume_init()
    };
    let took = begun.elapsed();
    // It is waited for already; std does not know.
    let _ = child.wait();
    assert_eq!(status, 0, "{command:?}");
    (took, usage)
}

fn archives(host: &Host) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(host.at("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".log.gz"))
        .collect();
    found.sort();
    found
}

fn archive() -> Vec<Verdict> {
    let mut host = Host::new("archive");
    let (log, kept) = (host.at("data/notes.log"), host.at("kept.log"));
    console_log(&kept, 1 << 30);
    host.own(&kept);
    let gzip = host.at("kept.log.gz");
    let mut command = host.user("gzip");
    command.args(["--best", "--keep"]).arg(&kept);
    let theirs = timed(&mut command);
    let their_bytes = fs::metadata(&gzip).unwrap().len();
    let mut verdicts = Vec::new();
    for running in [false, true] {
        if running {
            host.start_server();
        }
        fs::copy(&kept, &log).unwrap();
        host.own(&log);
        nix::unistd::sync();
        let (took, usage) = with_usage(&mut host.ours(&["archivelog"]));
        let memory = usage.ru_maxrss;
        let archive = archives(&host).remove(0);
        let bytes = fs::metadata(&archive).unwrap().len();
        let times = theirs.as_secs_f64() / took.as_secs_f64();
        let more = (bytes as f64 / their_bytes as f64 - 1.0) * 100.0;
        let what = match running {
            false => "archiving 1 GB, stopped server",
            true => "archiving 1 GB, running server",
        };
        verdicts.push(Verdict::on(
            what,
            format!("{took:.1?}, {times:.2} times as fast as gzip --best ({theirs:.1?})"),
            "at least 2 times",
            times >= 2.0,
        ));
        verdicts.push(Verdict::on(
            what,
            format!("{more:+.1} % bytes, {memory} KiB of memory"),
            "at most 5 % more, under 16 MiB",
            more <= 5.0 && memory < 16 * 1024,
        ));
        fs::remove_file(archive).unwrap();
    }
    verdicts
}

fn lastlog() -> Vec<Verdict> {
    const RUNS: usize = 300;
    let host = Host::new("lastlog");
    let log = host.at("data/notes.log");
    console_log(&log, 2 << 30);
    host.own(&log);
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(timed(&mut host.ours(&["lastlog", "100"])));
        nothing.push(timed(&mut host.user("/bin/true")));
    }
    let (ours, nothing) = (median(ours), median(nothing));
    let times = ours.as_secs_f64() / nothing.as_secs_f64();
    vec![Verdict::on(
        "lastlog 100 of a 2 GB log",
        format!("{ours:.2?}, {times:.2} times /bin/true ({nothing:.2?})"),
        "under 3 times",
        times < 3.0,
    )]
}

/// Writes numbered lines at full speed until told to stop.
fn writer(log: PathBuf, name: char, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut file = File::options().append(true).open(log).unwrap();
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let line = format!("{name} {number:012} what a server has to say, at some length\n");
            file.write_all(line.as_bytes()).unwrap();
            number += 1;
        }
        number
    })
}

/// Follows two writers' lines through all archives and the log.
#[derive(Default)]
struct Check {
    next: [u64; 2],
    lost: u64,
    other: u64,
}

impl Check {
    fn read(&mut self, reader: impl Read) {
        for line in BufReader::with_capacity(1 << 20, reader).split(b'\n') {
            let line = line.unwrap();
            let writer = match line.first() {
                Some(b'A') => 0,
                Some(b'B') => 1,
                // Markers, and the rest of the blanks before them.
                _ => {
                    let known =
                        line.trim_ascii().is_empty() || line.starts_with(b"--- Console log");
                    self.other += u64::from(!known);
                    continue;
                }
            };
            let number: u64 = std::str::from_utf8(&line[2..14]).unwrap().parse().unwrap();
            self.lost += number - self.next[writer];
            self.next[writer] = number + 1;
        }
    }
}

fn writers() -> Vec<Verdict> {
    const TIMES: usize = 50;
    let mut host = Host::new("writers");
    host.start_server();
    let log = host.at("data/notes.log");
    File::create(&log).unwrap();
    host.own(&log);
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let threads = ['A', 'B'].map(|name| writer(log.clone(), name, Arc::clone(&stop)));
    let mut names = Vec::new();
    for _ in 0..TIMES {
        std::thread::sleep(Duration::from_millis(20));
        let output = host
            .ours(&["archivelog"])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", output.status);
        let text = String::from_utf8(output.stdout).unwrap();
        let name = text.lines().last().unwrap().rsplit(" as ").next().unwrap();
        names.push(PathBuf::from(name));
    }
    stop.store(true, Ordering::Relaxed);
    let written = threads.map(|thread| thread.join().unwrap());
    let mut check = Check::default();
    for name in &names {
        check.read(flate2::read::GzDecoder::new(File::open(name).unwrap()));
    }
    check.read(File::open(&log).unwrap());
    for (next, written) in check.next.iter().zip(written) {
        check.lost += written - next;
    }
    vec![Verdict::on(
        "archivelog under two full-speed writers, 50 times",
        format!(
            "{} of {} lines lost, {} broken",
            check.lost,
            written[0] + written[1],
            check.other
        ),
        "none",
        check.lost == 0 && check.other == 0,
    )]
}

/// A part of the measurements, by its name.
type Part = (&'static str, fn() -> Vec<Verdict>);

fn main() -> ExitCode {
    let only = std::env::var("RC_DOMINO_BENCH_ONLY").unwrap_or_default();
    let parts: [Part; 4] = [
        ("lastlog", lastlog),
        ("writers", writers),
        ("clear", clear),
        ("archive", archive),
    ];
    let verdicts = parts
        .iter()
        .filter(|(name, _)| only.is_empty() || only == *name)
        .flat_map(|(_, part)| part());
    match verdicts.filter(|verdict| !verdict.0).count() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
