//! What a start warns about: paths that notes.ini names and the server could
//! not use, leftovers of an aborted start, missing resource files.

use super::partition::Partition;
use crate::os::files::is_executable;
use crate::settings::notes_ini::NotesIni;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Every warning about this partition, each a line.
pub fn of(partition: &Partition) -> Vec<String> {
    let mut found = Vec::new();
    match partition.notes_ini() {
        Ok(ini) => {
            paths(partition, &ini, &mut found);
            if let Some(when) = ini
                .get("LAST_DOMINO_TIME_ABORT")
                .filter(|at| !at.is_empty())
            {
                found.push(format!(
                    "notes.ini has LAST_DOMINO_TIME_ABORT={}: the server refused to start because of the host's clock; check the clock, then remove this line and LAST_DOMINO_TIME",
                    crate::error::shown(when)
                ));
            }
        }
        Err(error) => found.push(error.to_string()),
    }
    let dbmt = partition.program("dbmt");
    if !is_executable(&dbmt) {
        found.push(format!(
            "{} is missing: link it to tools/startup to run dbmt",
            dbmt.display()
        ));
    }
    resources(partition, &mut found);
    found
}

/// notes.ini entries that name a path, each with the switch that makes it
/// matter, where it has one.
const PATHS: [(&str, Option<&str>); 6] = [
    ("Directory", None),
    ("View_Rebuild_Dir", None),
    ("Notes_TempDir", None),
    ("FTBasePath", None),
    ("Translog_Path", Some("Translog_Status")),
    ("DAOSBasePath", Some("DAOSEnable")),
];

fn paths(partition: &Partition, ini: &NotesIni, found: &mut Vec<String>) {
    for (name, switch) in PATHS {
        if switch.is_some_and(|switch| !ini.flag(switch)) {
            continue;
        }
        if let Some(path) = ini.path(name, &partition.data())
            && !crate::os::files::is_writable(&path)
        {
            found.push(format!(
                "notes.ini {name}: {} cannot be written to",
                path.display()
            ));
        }
    }
}

fn resources(partition: &Partition, found: &mut Vec<String>) {
    let directory = partition.settings.exec_directory().join("res");
    let language = super::environment::for_programs(partition, None)
        .into_iter()
        .find(|(name, value)| name == "LANG" && !value.is_empty())
        .map(|(_, value)| value);
    if language.is_none() {
        found.push("LANG is not set; set DOMINO_LANG or the user's locale".to_owned());
    }
    let readable = |language: &OsStr| {
        let file: PathBuf = directory.join(language).join("strings.res");
        std::fs::File::open(Path::new(&file)).is_ok()
    };
    if !readable(OsStr::new("C")) && !language.is_some_and(|language| readable(&language)) {
        found.push(format!(
            "no readable resource files under {}: the console will show numbers instead of text; check DOMINO_LANG",
            directory.display()
        ));
    }
}
