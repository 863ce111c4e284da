//! Is anything left of an earlier instance of the server?

use super::super::backup_mode::{self, BackupMode};
use super::super::belongings::{self, Finder, Verdict};
use super::super::partition::Partition;
use super::super::processes::{self, DominoProcess, Role};
use super::super::state::State;
use super::Check;
use crate::error::Result;
use crate::os::clock;
use crate::os::files::read_bounded;
use crate::os::process::Pid;
use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

const NAME: &str = "leftovers";

/// More than the files that are read here hold, in bytes.
const MOST: u64 = 1 << 20;

/// Processes, files and IPC objects of before this server's start.
pub fn check(partition: &Partition, finder: &Finder, state: &State) -> Result<Check> {
    let mut found = Vec::new();
    match state.server() {
        Some(server) => {
            let old = older(state, server);
            if !old.is_empty() {
                found.push(format!("processes {}", processes::list(&old)));
            }
            files(partition, state, server, &mut found);
            ipc(finder, state, server, &mut found)?;
        }
        None => {
            let left: Vec<DominoProcess> = state
                .processes()
                .iter()
                .filter(|found| !found.role.is_idle())
                .cloned()
                .collect();
            if !left.is_empty() {
                found.push(format!("processes {}", processes::list(&left)));
            }
        }
    }
    if let BackupMode::Stale(lock) = backup_mode::state(partition)? {
        found.push(format!("{} of a backup that is over", lock.display()));
    }
    Ok(if found.is_empty() {
        Check::ok(NAME, "nothing is left of an earlier server")
    } else {
        Check::failed(
            NAME,
            format!("of before this server's start: {}", found.join("; ")),
            "'rc_domino stop', 'rc_domino cleanup', 'rc_domino start'; 'rc_domino resources' lists all there is",
        )
    })
}

/// Processes that were there before the server and did not bring it up; a
/// second server too.
fn older(state: &State, server: &DominoProcess) -> Vec<DominoProcess> {
    let parent_of = |pid: Pid| {
        let found = state.processes().iter().find(|found| found.pid() == pid);
        found.and_then(|found| found.process.parent)
    };
    let is_server = |pid: Pid| {
        let mut found = state.processes().iter();
        found.any(|found| found.role == Role::Server && found.pid() == pid)
    };
    let mut line = BTreeSet::from([server.pid()]);
    let mut above = server.process.parent;
    while let Some(pid) = above.filter(|pid| line.insert(*pid)) {
        above = parent_of(pid);
    }
    state
        .processes()
        .iter()
        .filter(|found| !found.role.is_idle())
        .filter(|found| !line.contains(&found.pid()))
        .filter(|found| {
            let second = found.role == Role::Server && !found.process.parent.is_some_and(is_server);
            second || found.process.start_ticks < server.process.start_ticks
        })
        .cloned()
        .collect()
}

/// Files that name an earlier server as the one that runs.
fn files(partition: &Partition, state: &State, server: &DominoProcess, found: &mut Vec<String>) {
    let live = |pid: Pid| state.processes().iter().any(|found| found.pid() == pid);
    let pid_file = partition.pid_file();
    if let Ok(text) = read_bounded(&pid_file, MOST) {
        match Pid::parse(text.trim_ascii()) {
            Some(pid) if live(pid) => {}
            Some(pid) => found.push(format!(
                "pid file {}, which names process {pid}",
                pid_file.display()
            )),
            None => found.push(format!(
                "pid file {}, which names no process",
                pid_file.display()
            )),
        }
    }
    let table = partition.data().join("pid.nbf");
    if let Ok(text) = read_bounded(&table, MOST)
        && let Some(pid) = listed_server(&text)
        && !live(pid)
    {
        found.push(format!(
            "{}, which lists server {pid} instead of {}",
            table.display(),
            server.pid()
        ));
    }
    let lock = partition.data().join(".jsc_lock");
    let controller = |found: &DominoProcess| found.role == Role::Controller;
    if lock.exists() && !state.processes().iter().any(controller) {
        found.push(format!(
            "{} of a Java controller that does not run",
            lock.display()
        ));
    }
}

/// The active server of Domino's list of processes (contract §4).
fn listed_server(table: &[u8]) -> Option<Pid> {
    table.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        fields.next().filter(|active| *active == b"1")?;
        let pid = Pid::parse(fields.next()?)?;
        (fields.nth(1)? == b"server").then_some(pid)
    })
}

/// Objects that nobody alive has made or used, from before the server's start:
/// younger ones are what tasks leave that have ended since.
fn ipc(
    finder: &Finder,
    state: &State,
    server: &DominoProcess,
    found: &mut Vec<String>,
) -> Result<()> {
    let dominos: BTreeSet<Pid> = state.processes().iter().map(DominoProcess::pid).collect();
    let started = clock::started_at(server.process.start_ticks)
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let orphans: Vec<String> = belongings::ipc_objects(finder, &dominos)?
        .into_iter()
        .filter(|(_, verdict)| *verdict == Verdict::Orphan)
        .filter(|(object, _)| object.changed.is_some_and(|changed| changed < started))
        .map(|(object, _)| format!("{} {}", object.kind, object.id))
        .collect();
    match orphans.as_slice() {
        [] => {}
        [one] => found.push(one.clone()),
        [first, .., last] => found.push(format!(
            "{} IPC objects nobody uses, from {first} to {last}",
            orphans.len()
        )),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::state::tests::process;
    use super::*;

    #[test]
    fn the_server_is_the_active_one_of_the_list() {
        let pid = |table: &[u8]| listed_server(table).map(|pid| pid.as_raw());
        assert_eq!(
            pid(b"0 9 1 server\n1 11 10 router\n1 10 1 server\n"),
            Some(10)
        );
        assert_eq!(pid(b"rubbish\n1\n1 x y server\n"), None);
    }

    #[test]
    fn who_brought_the_server_up_is_no_leftover() {
        let at = |pid, parent, role, ticks| {
            let mut found = process(pid, parent, role);
            found.process.start_ticks = ticks;
            found
        };
        let state = State::of(vec![
            at(10, 1, Role::Task, 5),
            at(11, 10, Role::Server, 9),
            at(12, 11, Role::Server, 10),
            at(13, 11, Role::Task, 10),
            at(14, 1, Role::Controller, 2),
            at(15, 1, Role::Task, 3),
            at(16, 1, Role::Server, 12),
        ]);
        let server = state.server().cloned().unwrap();
        let old = older(&state, &server);
        let pids: Vec<i32> = old.iter().map(|found| found.pid().as_raw()).collect();
        assert_eq!(pids, [15, 16]);
    }
}
