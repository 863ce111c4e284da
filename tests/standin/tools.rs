//! The programs that are called and end: the short forms of `server`, nsd,
//! compact, dbmt and fixup.

use super::mode::Mode;
use super::place::{Place, file_stamp, host};
use super::{control, ipc, processes, record};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// `server -q`.
pub fn quit(place: &Place) -> i32 {
    match control::send(control::SERVER, b"q") {
        Ok(()) => {
            println!("Server shutdown requested, it may take some time to complete");
            Mode::load(&place.data).code("quit_exit")
        }
        Err(error) => no_server(&error),
    }
}

/// `server -c COMMAND`.
pub fn send_command(_place: &Place, command: Option<&OsString>) -> i32 {
    let mut request = vec![b'c'];
    request.extend_from_slice(command.map_or(b"", |text| text.as_bytes()));
    match control::send(control::SERVER, &request) {
        Ok(()) => 0,
        Err(error) => no_server(&error),
    }
}

fn no_server(error: &std::io::Error) -> i32 {
    println!("Error: no Domino server answers in this data directory ({error})");
    1
}

/// `server -m`: a dump of the shared memory.
pub fn memory_dump(place: &Place) -> i32 {
    let name = format!("memory_{}_{}.dmp", host(), file_stamp());
    let path = place.support().join(name);
    let text = format!("shared memory, {} IPC objects\n", ipc::left(&place.data));
    match std::fs::write(&path, text) {
        Ok(()) => {
            println!("Memory dump written to {}", path.display());
            0
        }
        Err(error) => {
            println!("Error writing {}: {error}", path.display());
            1
        }
    }
}

/// `nsd`, with `-kill`, and as the server calls it in a crash (`-batch`).
pub fn nsd(place: &Place, args: &[OsString]) -> i32 {
    let mode = Mode::load(&place.data);
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let crash = has("-batch");
    let name = format!("nsd_Linux_{}_{}.log", host(), file_stamp());
    let path = place.support().join(name);
    let mut report = String::from("NSD (Notes System Diagnostic) report\n");
    let _ = writeln!(report, "Options: {args:?}");
    for pid in processes::under(&place.lotus.join("notes"), Some(&place.data)) {
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        let _ = writeln!(report, "process {pid}: {cmdline}");
    }
    println!("NSD: collecting, output in {}", path.display());
    if crash {
        println!("NSD is in progress ....");
    }
    std::thread::sleep(mode.seconds_or("nsd_delay", 0.0));
    if crash {
        println!("NSD is in progress .... done");
        let _ = std::fs::write(
            place.data.join("nsdindex.nbf"),
            format!("{}\n", path.display()),
        );
    }
    if let Err(error) = std::fs::write(&path, report) {
        println!("NSD: cannot write {}: {error}", path.display());
    }
    if has("-kill") && !mode.on("nsd_kill_fails") {
        kill(place);
    }
    println!("NSD: complete");
    mode.code("nsd_exit")
}

fn kill(place: &Place) {
    let parent = std::os::unix::process::parent_id() as i32;
    loop {
        let mut found = processes::under(&place.lotus.join("notes"), Some(&place.data));
        found.retain(|pid| *pid != parent);
        if found.is_empty() {
            break;
        }
        for pid in &found {
            println!("NSD: killing process {pid}");
        }
        processes::kill_and_wait(&found);
    }
    ipc::remove(&place.data);
    let keeps = Mode::load(&place.data).number("nsd_kill_keeps_pids");
    let keeps = keeps.is_some_and(|times| kills(place) <= times);
    for file in ["pid.nbf", "~notes.lck", control::SERVER] {
        if file != "pid.nbf" || !keeps {
            let _ = std::fs::remove_file(place.data.join(file));
        }
    }
}

/// How many `nsd -kill` there have been, this one included.
fn kills(place: &Place) -> u64 {
    let calls = record::read_calls(&place.data).unwrap_or_default();
    let is_kill = |call: &&record::Call| {
        call.program == "nsd" && call.args().iter().any(|word| word == "-kill")
    };
    calls.iter().filter(is_kill).count() as u64
}

/// compact, dbmt and fixup: a line for each database named, or for all of DATA.
pub fn database_tool(place: &Place, name: &str, args: &[OsString]) -> i32 {
    let mode = Mode::load(&place.data);
    let (doing, did, key) = match name {
        "fixup" => (
            "Performing consistency check on",
            "Performed consistency check on",
            "fixup",
        ),
        _ => ("Compacting", "Compacted", "compact"),
    };
    println!("{name}: started in {}", place.data.display());
    for database in databases(place, args) {
        println!("{doing} {} ...", database.display());
        if place.data.join(&database).is_file() {
            println!("{did} {}", database.display());
        } else {
            println!("Error: {}: File does not exist", database.display());
        }
    }
    std::thread::sleep(mode.seconds_or(&format!("{key}_delay"), 0.0));
    println!("{name}: complete");
    mode.code(&format!("{key}_exit"))
}

fn databases(place: &Place, args: &[OsString]) -> Vec<PathBuf> {
    let mut named = Vec::new();
    for arg in args {
        let is = |suffix: &[u8]| arg.as_bytes().ends_with(suffix);
        if is(b".ind") {
            let list = std::fs::read_to_string(place.data.join(arg)).unwrap_or_default();
            named.extend(
                list.lines()
                    .filter(|line| !line.is_empty())
                    .map(PathBuf::from),
            );
        } else if is(b".nsf") || is(b".ntf") || is(b".box") {
            named.push(PathBuf::from(arg));
        }
    }
    if named.is_empty() {
        let files = std::fs::read_dir(&place.data)
            .into_iter()
            .flatten()
            .flatten();
        named = files
            .map(|entry| PathBuf::from(entry.file_name()))
            .filter(|path| path.extension().is_some_and(|ext| ext == "nsf"))
            .collect();
        named.sort();
    }
    named
}
