//! Do the tasks run that are to?

use super::super::partition::Partition;
use super::super::processes::{DominoProcess, Role};
use super::super::state::State;
use super::Check;
use crate::error::shown;
use crate::settings::notes_ini::NotesIni;
use std::collections::BTreeSet;
use std::ffi::OsString;

const NAME: &str = "tasks";

/// Tasks that end when they are done: they may stand in ServerTasks= and be
/// gone a moment later (HCL's list of server tasks).
const ENDING: [&str; 13] = [
    "backup", "catalog", "compact", "convert", "dbmt", "design", "dircat", "domidx", "fixup",
    "object", "repair", "statlog", "updall",
];

/// Every task of ServerTasks= that stays, and those that the site names.
pub fn check(partition: &Partition, state: &State) -> Check {
    if !state.is_running() {
        return Check::without_server(NAME);
    }
    let ini = match partition.notes_ini() {
        Ok(ini) => ini,
        Err(error) => {
            return Check::unknown(
                NAME,
                format!("which are to run is not known: {error}"),
                "make notes.ini readable",
            );
        }
    };
    let site = &partition.settings.verify_tasks.value;
    let wanted = wanted(&ini, site.as_deref().unwrap_or_default());
    let running = running(state.processes());
    let missing: Vec<&String> = wanted.difference(&running).collect();
    if missing.is_empty() {
        let all: Vec<&str> = wanted.iter().map(String::as_str).collect();
        return match all.as_slice() {
            [] => Check::ok(NAME, "none are configured"),
            _ => Check::ok(NAME, format!("all run: {}", all.join(" "))),
        };
    }
    let names: Vec<&str> = missing.into_iter().map(String::as_str).collect();
    Check::failed(
        NAME,
        format!("not running: {}", names.join(" ")),
        format!(
            "load it with 'rc_domino cmd \"load {}\"' and look into the console log; take what need not run out of ServerTasks=, or name it '-{}' in DOMINO_VERIFY_TASKS",
            names[0], names[0]
        ),
    )
}

/// The names of the programs that are to run, in small letters as on disk.
fn wanted(ini: &NotesIni, site: &[OsString]) -> BTreeSet<String> {
    let listed = ini.get("ServerTasks").map(shown).unwrap_or_default();
    let mut wanted: BTreeSet<String> = listed
        .split(',')
        // What follows the name are the task's arguments.
        .filter_map(|task| task.split_whitespace().next())
        .map(str::to_ascii_lowercase)
        .filter(|task| !ENDING.contains(&task.as_str()))
        .collect();
    for word in site {
        let word = shown(word).to_ascii_lowercase();
        for task in word.split(',').filter(|task| !task.is_empty()) {
            match task.strip_prefix('-') {
                Some(task) => wanted.remove(task),
                None => wanted.insert(task.to_owned()),
            };
        }
    }
    wanted
}

fn running(processes: &[DominoProcess]) -> BTreeSet<String> {
    processes
        .iter()
        .filter(|found| found.role == Role::Task)
        .map(|found| shown(&found.name).to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_wanted_and_what_the_site_says() {
        let ini = NotesIni::parse(
            b"ServerTasks=Update, Replica,Replica,Router,AMgr ,Updall -R,HTTP,Runjava ISpy,,Compact\n",
        );
        let of = |site: &[&str]| -> Vec<String> {
            let site: Vec<OsString> = site.iter().map(OsString::from).collect();
            wanted(&ini, &site).into_iter().collect()
        };
        let plain = ["amgr", "http", "replica", "router", "runjava", "update"];
        assert_eq!(of(&[]), plain);
        assert_eq!(
            of(&["Traveler,LDAP", "-http", "-runjava"]),
            ["amgr", "ldap", "replica", "router", "traveler", "update"]
        );
        assert!(wanted(&NotesIni::default(), &[]).is_empty());
    }
}
