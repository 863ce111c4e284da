//! What the system says of the server: texts put together for the archive.

use crate::domino::masking::{MASK, Masker, is_secret, mask, mask_arguments};
use crate::domino::processes::{self, DominoProcess};
use crate::domino::state::State;
use crate::domino::tools::Work;
use crate::domino::{Partition, about, environment, figures};
use crate::error::{Error, Result};
use crate::os::bounded::{Ended, Output, Piece, run_bounded};
use crate::os::clock::age;
use crate::os::process::{self, Process};
use crate::os::spawn::Launch;
use crate::os::{ipc, sockets};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// How long systemd's programs may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The most that is kept of what one of them says, in bytes.
const MOST: u64 = 8 << 20;

/// Lines of the unit's journal.
const JOURNAL_LINES: &str = "--lines=5000";

/// The texts with their names in the archive.
pub(super) fn texts(
    work: &mut Work,
    unit: Option<&OsStr>,
    journal: Option<&[u8]>,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let partition = work.partition;
    work.reporter.progress("Asking the system");
    let found = processes::find(partition)?;
    let mut texts = vec![
        ("system/about.txt", about(partition)?),
        ("system/processes.txt", process_list(partition, &found)),
        ("system/ipc.txt", ipc_list(partition)),
        ("system/ports.txt", ports(partition)),
        ("system/settings.txt", settings(partition)),
        (
            "system/environment.txt",
            variables(partition, &State::of(found)),
        ),
    ];
    if let Some(unit) = unit {
        for (name, program, arguments) in [
            (
                "system/journal.txt",
                "journalctl",
                ["--no-pager", JOURNAL_LINES, "--unit"].as_slice(),
            ),
            ("system/unit.txt", "systemctl", &["--no-pager", "cat", "--"]),
            (
                "system/unit_status.txt",
                "systemctl",
                &["--no-pager", "--full", "status", "--"],
            ),
        ] {
            let text = match journal.filter(|_| program == "journalctl") {
                Some(journal) => mask(journal, Masker::for_logs()),
                None => said_by(work, program, arguments, unit)?,
            };
            texts.push((name, text));
        }
    }
    Ok(texts)
}

fn about(partition: &Partition) -> Result<Vec<u8>> {
    let mut sections = about::brief(partition, None)?;
    sections.extend(about::further(partition));
    let mut text = Vec::new();
    for section in sections {
        for line in section.lines() {
            push(&mut text, &line);
        }
        text.push(b'\n');
    }
    Ok(text)
}

fn push(text: &mut Vec<u8>, line: &str) {
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
}

/// All processes of the user; those of Domino are marked.
fn process_list(partition: &Partition, domino: &[DominoProcess]) -> Vec<u8> {
    let mut text = Vec::new();
    let all = match process::scan(partition.user.uid, |_| true) {
        Ok(all) => all,
        Err(error) => return error.to_string().into_bytes(),
    };
    push(
        &mut text,
        "* = Domino       PID    PARENT S THREADS     MEMORY       CPU          AGE  COMMAND",
    );
    for process in &all {
        let ours = domino.iter().any(|found| found.pid() == process.pid);
        text.extend_from_slice(process_line(process, ours).as_bytes());
        text.extend_from_slice(&if process.cmdline.is_empty() {
            process.comm.as_bytes().to_vec()
        } else {
            mask_arguments(&process.cmdline)
        });
        text.push(b'\n');
    }
    text
}

fn process_line(process: &Process, ours: bool) -> String {
    format!(
        "{} {:>18} {:>9} {} {:>7} {:>10} {:>8}s {:>12}  ",
        if ours { '*' } else { ' ' },
        process.pid.as_raw(),
        process.parent.map_or(0, |parent| parent.as_raw()),
        process.state,
        process.threads,
        figures::size(process.rss_bytes),
        process.cpu.as_secs(),
        figures::span(age(process.start_ticks)),
    )
}

fn ipc_list(partition: &Partition) -> Vec<u8> {
    let mut text = Vec::new();
    let all = match ipc::list() {
        Ok(all) => all,
        Err(error) => return error.to_string().into_bytes(),
    };
    let uid = partition.user.uid;
    let (ours, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|object| object.uid == uid || object.cuid == uid);
    for object in ours {
        let pid = |pid: Option<process::Pid>| pid.map_or(0, |pid| pid.as_raw());
        push(
            &mut text,
            &format!(
                "{} id {} key {:#010x} mode {:o} bytes {} count {} made by {} last used by {}",
                object.kind,
                object.id,
                object.key,
                object.mode,
                object.bytes,
                object.count,
                pid(object.cpid),
                pid(object.lpid)
            ),
        );
    }
    push(&mut text, &format!("{} of other users", others.len()));
    text
}

fn ports(partition: &Partition) -> Vec<u8> {
    let mut text = Vec::new();
    match sockets::listeners() {
        Ok(listeners) => {
            for listener in listeners {
                let whose = if listener.uid == partition.user.uid {
                    "the Domino user"
                } else {
                    "another user"
                };
                push(&mut text, &format!("port {}: {whose}", listener.port));
            }
        }
        Err(error) => push(&mut text, &error.to_string()),
    }
    text
}

fn settings(partition: &Partition) -> Vec<u8> {
    let mut text = Vec::new();
    for (entry, effective) in partition.settings.all_effective() {
        let Some(effective) = effective else { continue };
        push_value(&mut text, OsStr::new(entry.name), &effective.text);
        push(&mut text, &format!("    # {}", effective.source));
    }
    mask(&text, Masker::for_logs())
}

fn push_value(text: &mut Vec<u8>, name: &OsStr, value: &OsStr) {
    text.extend_from_slice(name.as_bytes());
    text.push(b'=');
    text.extend_from_slice(if is_secret(name.as_bytes()) {
        MASK
    } else {
        value.as_bytes()
    });
    text.push(b'\n');
}

/// The environment that Domino's programs get.
fn variables(partition: &Partition, state: &State) -> Vec<u8> {
    let server = state.server().map(DominoProcess::pid);
    let mut text = Vec::new();
    for (name, value) in environment::for_programs(partition, server) {
        push_value(&mut text, &name, &value);
    }
    mask(&text, Masker::for_logs())
}

/// What a program of systemd says of the unit. That it cannot be asked is
/// what the archive then says.
fn said_by(work: &Work, program: &str, arguments: &[&str], unit: &OsStr) -> Result<Vec<u8>> {
    let mut launch = Launch::new(program);
    launch.args = arguments.iter().map(OsString::from).collect();
    launch.args.push(unit.to_owned());
    launch.env = work.partition.inherited.clone();
    let mut text = Vec::new();
    let output = Output::Lines {
        bound: MOST,
        each: &mut |piece| match piece {
            Piece::Line(line) => {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            Piece::Dropped(bytes) => push(&mut text, &format!("({bytes} more bytes)")),
        },
    };
    let ended = run_bounded(launch, Some(LIMIT), Some(work.signals), output);
    match ended {
        Ok(Ended::Interrupted(signal)) => {
            return Err(work.interrupted(signal, "nothing was written"));
        }
        Ok(Ended::TimedOut) => push(&mut text, &format!("{program} did not answer in time")),
        Ok(Ended::Exited(_)) => {}
        Err(error) => push(
            &mut text,
            &Error::Program {
                program: program.into(),
                cause: error,
            }
            .to_string(),
        ),
    }
    Ok(mask(&text, Masker::for_logs()))
}
