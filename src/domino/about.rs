//! What `about` and `about+` show: the host, the server, and what of the host
//! matters to the server.

use super::Partition;
use super::figures::{many, size, span};
use super::processes;
use super::state::State;
use crate::error::{Result, shown};
use crate::os::host;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A group of facts under one heading.
#[derive(Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Names and what is known of them.
    pub rows: Vec<(String, String)>,
}

impl Section {
    fn new(title: &'static str) -> Section {
        Section {
            title,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.rows.push((name.into(), value));
        }
    }

    /// The section as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let width = self
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(14);
        let mut lines = vec![format!("{}:", self.title)];
        lines.extend(
            self.rows
                .iter()
                .map(|(name, value)| format!("  {name:<width$}  {value}")),
        );
        lines
    }
}

/// The host and the server in short.
pub fn brief(partition: &Partition, unit: Option<&str>) -> Result<Vec<Section>> {
    let kernel = host::kernel();
    let mut machine = Section::new("Host");
    machine.row("Name", kernel.node);
    machine.row(
        "System",
        host::distribution(&partition.root).unwrap_or_default(),
    );
    machine.row("Kernel", format!("{} {}", kernel.release, kernel.machine));
    machine.row("Up for", span(host::uptime()));

    let state = State::of(processes::find(partition)?);
    let mut server = Section::new("Domino");
    server.row("Server", shown(&partition.name()));
    if let Ok(ini) = partition.notes_ini()
        && let Some(name) = ini.get("ServerName")
    {
        server.row("Domino name", shown(name));
    }
    server.row("Version", version(partition));
    server.row("State", state_text(&state));
    server.row("User", shown(&partition.user.name));
    server.row("LOTUS", path_text(&partition.lotus()));
    server.row("Data", path_text(&partition.data()));
    server.row("Console log", path_text(&partition.log()));
    server.row("Unit", unit.unwrap_or("none"));
    server.row("rc_domino", env!("CARGO_PKG_VERSION"));
    Ok(vec![machine, server])
}

/// What `about+` adds.
pub fn further(partition: &Partition) -> Vec<Section> {
    vec![
        machine(),
        filesystems(partition),
        limits(partition),
        kernel_controls(),
    ]
}

fn machine() -> Section {
    let mut section = Section::new("Machine");
    section.row("Hardware", host::hardware().unwrap_or_default());
    let (count, model) = host::processors();
    section.row(
        "Processors",
        match model {
            Some(model) => format!("{count} x {model}"),
            None => count.to_string(),
        },
    );
    section.row("Load", host::load().unwrap_or_default());
    if let Ok(memory) = host::memory() {
        section.row(
            "Memory",
            format!(
                "{}, {} available",
                size(memory.total),
                size(memory.available)
            ),
        );
        let swap = if memory.swap_total == 0 {
            "none".to_owned()
        } else {
            format!(
                "{}, {} free",
                size(memory.swap_total),
                size(memory.swap_free)
            )
        };
        section.row("Swap", swap);
    }
    section
}

/// Directories of the server, each with what it is for.
pub fn places(partition: &Partition) -> Vec<(&'static str, PathBuf)> {
    let settings = &partition.settings;
    let mut places = vec![
        ("LOTUS", partition.lotus()),
        ("data", partition.data()),
        ("log directory", settings.log_dir()),
        ("log archives", settings.log_backup_dir()),
        ("diagnostics", partition.support()),
    ];
    for (name, path) in [
        ("temporary", &settings.temp_dir.value),
        ("view rebuild", &settings.view_rebuild_dir.value),
        ("DOMINO_LOG_PATH", &settings.log_path.value),
    ] {
        places.extend(path.clone().map(|path| (name, path)));
    }
    if let Ok(ini) = partition.notes_ini() {
        for (name, entry) in [
            ("transaction log", "Translog_Path"),
            ("DAOS", "DAOSBasePath"),
            ("NIF", "NIFBasePath"),
            ("full text", "FTBasePath"),
        ] {
            places.extend(ini.path(entry, &partition.data()).map(|path| (name, path)));
        }
    }
    places.push(("system", PathBuf::from("/")));
    places
}

/// Every filesystem that the server lives on, once, with what lies there.
fn filesystems(partition: &Partition) -> Section {
    let mut section = Section::new("Filesystems");
    let mounts = match host::mounts() {
        Ok(mounts) => mounts,
        Err(error) => {
            section.row("-", error.to_string());
            return section;
        }
    };
    let mut seen: Vec<(&host::Mount, Vec<&'static str>)> = Vec::new();
    let mut missing = Vec::new();
    for (purpose, place) in places(partition) {
        match host::mount_of(&mounts, &place) {
            Some(mount) => match seen.iter_mut().find(|(known, _)| *known == mount) {
                Some((_, purposes)) => purposes.push(purpose),
                None => seen.push((mount, vec![purpose])),
            },
            None => missing.push((purpose, place)),
        }
    }
    for (mount, purposes) in seen {
        let room = match host::room(&mount.target) {
            Ok(room) => format!("{} of {} free", size(room.available), size(room.size)),
            Err(error) => error.to_string(),
        };
        section.row(
            path_text(&mount.target),
            format!(
                "{room}; {} on {} ({}): {}",
                mount.kind,
                shown(&mount.source),
                shown(OsStr::new(&mount.options)),
                purposes.join(", ")
            ),
        );
    }
    for (purpose, place) in missing {
        section.row(path_text(&place), format!("not there: {purpose}"));
    }
    section
}

/// The limits of the running server, or those that a server started from here
/// would get.
fn limits(partition: &Partition) -> Section {
    let state = processes::find(partition).map(State::of);
    if let Ok(state) = state
        && let Some(server) = state.server()
        && let Ok(text) = std::fs::read_to_string(format!("/proc/{}/limits", server.pid()))
    {
        let mut section = Section::new("Limits of the running server (soft, hard)");
        for line in text.lines().skip(1) {
            // The name's column is 26 wide (fs/proc/base.c).
            if let Some((name, values)) = line.split_at_checked(26) {
                section.row(
                    name.trim(),
                    values.split_whitespace().collect::<Vec<_>>().join(" "),
                );
            }
        }
        return section;
    }
    let mut section = Section::new("Limits of this process (soft, hard)");
    let amount = |limit: Option<u64>| {
        limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
    };
    for limit in crate::os::limits::all() {
        section.row(
            limit.name,
            format!(
                "{} {} {}",
                amount(limit.soft),
                amount(limit.hard),
                limit.unit
            )
            .trim_end()
            .to_owned(),
        );
    }
    section
}

fn kernel_controls() -> Section {
    let mut section = Section::new("Kernel");
    for name in [
        "kernel/shmmax",
        "kernel/shmall",
        "kernel/shmmni",
        "kernel/sem",
        "kernel/msgmni",
        "kernel/pid_max",
        "kernel/core_pattern",
        "fs/file-max",
        "vm/swappiness",
        "net/ipv4/ip_local_port_range",
    ] {
        section.row(
            name.replace('/', "."),
            host::kernel_setting(name).unwrap_or_default(),
        );
    }
    if let Ok(text) = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled") {
        section.row("huge pages", text.trim());
    }
    section
}

/// Which Domino it is: the release that the server last wrote into notes.ini
/// when it started, else the number of the installed programs' directory.
pub fn version(partition: &Partition) -> String {
    let ini = partition.notes_ini().ok();
    let release = ini
        .as_ref()
        .and_then(|ini| ini.get("FaultRecovery_Build"))
        .filter(|text| !text.is_empty());
    let directory = std::fs::read_link(partition.lotus().join("notes/latest")).ok();
    let directory = directory.as_deref().and_then(Path::file_name);
    match (release, directory) {
        (Some(release), Some(directory)) => format!("{} ({})", shown(release), shown(directory)),
        (Some(one), None) | (None, Some(one)) => shown(one),
        (None, None) => "not known".to_owned(),
    }
}

/// A state in words.
pub fn state_text(state: &State) -> String {
    match state {
        State::Running { processes } => {
            let since = state
                .server()
                .map(|server| crate::os::clock::age(server.process.start_ticks))
                .map_or_else(String::new, |age| format!(" for {}", span(age)));
            format!("running{since}, {}", many(processes.len(), "process"))
        }
        State::Remnants { processes } => format!(
            "not running; processes of an earlier server are left: {}",
            processes::list(processes)
        ),
        State::Idle { .. } => "not running; the Java controller waits".to_owned(),
        State::Stopped => "not running".to_owned(),
    }
}

fn path_text(path: &Path) -> String {
    shown(path.as_os_str())
}
