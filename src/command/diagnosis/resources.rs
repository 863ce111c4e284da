//! `resources`: what a server holds on this host, for people and programs.

use super::super::Call;
use super::cleanup::finder;
use crate::cli::diagnosis::ResourcesArgs;
use crate::domino::Partition;
use crate::domino::belongings::{Reason, Verdict};
use crate::domino::figures::size;
use crate::domino::processes::Role;
use crate::domino::resources::{self, Held, Resources};
use crate::error::{Result, shown};
use crate::exit::Exit;
use crate::os::ipc::{IpcObject, Kind};
use crate::ui::Ui;
use serde::Serialize;

/// Runs the verb.
pub fn run(call: &Call, arguments: ResourcesArgs, ui: &mut Ui) -> Result<Exit> {
    let partition = match super::partition(call, ui)? {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let finder = finder(&partition, ui)?;
    let resources = resources::look(&partition, &finder)?;
    match arguments.json {
        true => json(&partition, &resources, ui)?,
        false => table(&partition, &resources, ui),
    }
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Report {
    server: String,
    user: String,
    memory_bytes: u64,
    threads: u64,
    threads_limit: Option<u64>,
    processes: Vec<ProcessReport>,
    ipc: Vec<IpcReport>,
    locks: Vec<String>,
    ports: Vec<u16>,
}

#[derive(Debug, Serialize)]
struct ProcessReport {
    pid: i32,
    parent: Option<i32>,
    role: &'static str,
    name: String,
    state: char,
    threads: u32,
    memory_bytes: u64,
    cpu_seconds: f64,
    age_seconds: u64,
    open_files: Option<u64>,
    open_files_limit: Option<u64>,
}

#[derive(Debug, Serialize)]
struct IpcReport {
    kind: &'static str,
    id: i32,
    key: String,
    bytes: u64,
    count: u64,
    creator: Option<i32>,
    last_user: Option<i32>,
    whose: &'static str,
}

fn json(partition: &Partition, resources: &Resources, ui: &mut Ui) -> Result<()> {
    let report = Report {
        server: partition.name().to_string_lossy().into_owned(),
        user: partition.user.name.to_string_lossy().into_owned(),
        memory_bytes: resources.memory(),
        threads: resources.threads,
        threads_limit: resources.threads_limit,
        processes: resources.processes.iter().map(process_report).collect(),
        ipc: resources.ipc.iter().map(ipc_report).collect(),
        locks: resources
            .locks
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect(),
        ports: resources.ports.clone(),
    };
    ui.json(&report)
}

fn process_report(held: &Held) -> ProcessReport {
    let process = &held.found.process;
    ProcessReport {
        pid: process.pid.as_raw(),
        parent: process.parent.map(|parent| parent.as_raw()),
        role: role(held.found.reason),
        name: held.found.name.to_string_lossy().into_owned(),
        state: process.state,
        threads: process.threads,
        memory_bytes: process.rss_bytes,
        cpu_seconds: process.cpu.as_secs_f64(),
        age_seconds: crate::os::clock::age(process.start_ticks).as_secs(),
        open_files: held.files.map(|files| files.open),
        open_files_limit: held.files.and_then(|files| files.soft),
    }
}

fn ipc_report((object, verdict): &(IpcObject, Verdict)) -> IpcReport {
    IpcReport {
        kind: short(object.kind),
        id: object.id,
        key: key(object),
        bytes: object.bytes,
        count: object.count,
        creator: object.cpid.map(|pid| pid.as_raw()),
        last_user: object.lpid.map(|pid| pid.as_raw()),
        whose: whose(verdict),
    }
}

fn role(reason: Reason) -> &'static str {
    match reason {
        Reason::Domino(Role::Server) => "server",
        Reason::Domino(Role::Task) => "task",
        Reason::Domino(Role::Controller) => "controller",
        Reason::Domino(Role::Nsd) => "nsd",
        Reason::Domino(Role::Tika) => "tika",
        Reason::Domino(Role::Client) => "client",
        Reason::Installation => "installation",
        Reason::ThirdParty => "3rd party",
        Reason::Setup => "setup",
    }
}

fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::Shm => "shm",
        Kind::Sem => "sem",
        Kind::Msg => "msg",
    }
}

fn whose(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Dominos => "domino",
        Verdict::Orphan => "orphan",
        Verdict::Doomed => "going",
        Verdict::Others(_) => "other",
    }
}

fn key(object: &IpcObject) -> String {
    format!("{:#010x}", object.key)
}

fn table(partition: &Partition, resources: &Resources, ui: &mut Ui) {
    ui.line(&format!(
        "Resources of Domino server {} (user {})",
        shown(&partition.name()),
        shown(&partition.user.name)
    ));
    let rows: Vec<[String; 8]> = resources.processes.iter().map(process_row).collect();
    section(
        ui,
        "Processes",
        [
            "pid", "role", "name", "state", "threads", "memory", "cpu", "files",
        ],
        "rllcrrrr",
        &rows,
    );
    if !rows.is_empty() {
        ui.line(&format!(
            "  memory of all: {} (shared pages count for each)",
            size(resources.memory())
        ));
    }
    let limit = resources.threads_limit;
    ui.line(&format!(
        "  threads of the user: {}{}",
        resources.threads,
        limit.map_or_else(String::new, |limit| format!(" of {limit}"))
    ));
    let rows: Vec<[String; 8]> = resources.ipc.iter().map(ipc_row).collect();
    section(
        ui,
        "System V IPC",
        [
            "kind", "id", "key", "size", "count", "creator", "last", "whose",
        ],
        "lrlrrrrl",
        &rows,
    );
    lines(
        ui,
        "Locks",
        resources.locks.iter().map(|file| shown(file.as_os_str())),
    );
    lines(
        ui,
        "Listening TCP ports",
        resources.ports.iter().map(u16::to_string),
    );
}

fn process_row(held: &Held) -> [String; 8] {
    let process = &held.found.process;
    let limit = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    [
        process.pid.to_string(),
        role(held.found.reason).to_owned(),
        shown(&held.found.name),
        process.state.to_string(),
        process.threads.to_string(),
        size(process.rss_bytes),
        format!("{:.1} s", process.cpu.as_secs_f64()),
        held.files.map_or("?".to_owned(), |files| {
            format!("{} of {}", files.open, limit(files.soft))
        }),
    ]
}

fn ipc_row(entry: &(IpcObject, Verdict)) -> [String; 8] {
    let (object, verdict) = entry;
    let pid =
        |pid: Option<crate::os::process::Pid>| pid.map_or("-".to_owned(), |pid| pid.to_string());
    let whose = match verdict {
        Verdict::Others(why) => format!("other: {why}"),
        known => whose(known).to_owned(),
    };
    [
        short(object.kind).to_owned(),
        object.id.to_string(),
        key(object),
        size(object.bytes),
        object.count.to_string(),
        pid(object.cpid),
        pid(object.lpid),
        whose,
    ]
}

/// A table below a title: columns as wide as their longest cell; `alignment`
/// has `r` for those whose text stands at the right.
fn section<const N: usize>(
    ui: &mut Ui,
    title: &str,
    heads: [&str; N],
    alignment: &str,
    rows: &[[String; N]],
) {
    ui.line("");
    ui.line(&format!(
        "{title}:{}",
        if rows.is_empty() { " none" } else { "" }
    ));
    if rows.is_empty() {
        return;
    }
    let heads = heads.map(str::to_owned);
    let mut widths = [0; N];
    for row in rows.iter().chain([&heads]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in [&heads].into_iter().chain(rows) {
        let mut line = String::new();
        for ((cell, width), side) in row.iter().zip(widths).zip(alignment.chars()) {
            line.push_str("  ");
            line.push_str(&match side {
                'r' => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
        }
        ui.line(line.trim_end());
    }
}

fn lines(ui: &mut Ui, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    ui.line("");
    if lines.is_empty() {
        ui.line(&format!("{title}: none"));
        return;
    }
    ui.line(&format!("{title}:"));
    for line in lines {
        ui.line(&format!("  {line}"));
    }
}
