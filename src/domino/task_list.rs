//! The tasks of a server: what Domino's own list (`pid.nbf`) says, put right
//! by what really runs.

use super::Partition;
use super::processes::{self, Programs, Role};
use crate::error::Result;
use crate::os::process::Pid;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The largest list that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// A task of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTask {
    /// Its pid, or the one it had.
    pub pid: Pid,
    /// Its name.
    pub name: OsString,
    /// Whether it runs.
    pub runs: bool,
}

/// All tasks, in the order in which Domino lists them; those it does not list
/// come last. After a crash the list is stale: what runs decides.
pub fn look(partition: &Partition, programs: &Programs) -> Result<Vec<ServerTask>> {
    let running = processes::find_among(programs, partition.user.uid)?
        .into_iter()
        .filter(|found| !matches!(found.role, Role::Client | Role::Nsd))
        .map(|found| (found.pid(), found.to_name()))
        .collect();
    let listed = crate::os::files::read_bounded(&partition.data().join("pid.nbf"), LARGEST);
    Ok(merge(&listed.unwrap_or_default(), running))
}

fn merge(listed: &[u8], mut running: BTreeMap<Pid, OsString>) -> Vec<ServerTask> {
    let mut tasks = Vec::new();
    for (pid, name) in listed.split(|byte| *byte == b'\n').filter_map(parse) {
        // NSD is in the list as long as the server; it is no task of it.
        if name == "nsd.sh" || name == "nsd" {
            continue;
        }
        let runs = running.remove(&pid).is_some();
        tasks.push(ServerTask { pid, name, runs });
    }
    tasks.extend(running.into_iter().map(|(pid, name)| ServerTask {
        pid,
        name,
        runs: true,
    }));
    tasks
}

/// `<1|0 active> <pid> <ppid> <task>` (contract §4).
fn parse(line: &[u8]) -> Option<(Pid, OsString)> {
    let mut fields = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|field| !field.is_empty());
    fields
        .next()
        .filter(|active| matches!(*active, b"0" | b"1"))?;
    let pid = Pid::parse(fields.next()?)?;
    let name = fields.nth(1)?;
    Some((pid, OsStr::from_bytes(name).to_owned()))
}

/// What changed from one look to the next: ended ones first, then new ones.
pub fn changes(before: &[ServerTask], now: &[ServerTask]) -> Vec<ServerTask> {
    let runs =
        |tasks: &[ServerTask], pid: Pid| tasks.iter().any(|task| task.pid == pid && task.runs);
    let ended = before
        .iter()
        .filter(|task| task.runs && !runs(now, task.pid))
        .map(|task| ServerTask {
            runs: false,
            ..task.clone()
        });
    let begun = now
        .iter()
        .filter(|task| task.runs && !runs(before, task.pid))
        .cloned();
    ended.chain(begun).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pid(number: i32) -> Pid {
        Pid::new(number).unwrap()
    }

    fn task(number: i32, name: &str, runs: bool) -> ServerTask {
        ServerTask {
            pid: pid(number),
            name: name.into(),
            runs,
        }
    }

    #[test]
    fn a_stale_list_is_put_right() {
        let list = b"1 10 1 server\n1 11 10 router\n0 12 10 update\n1 13 10 nsd.sh\nrubbish\n";
        let running = BTreeMap::from([(pid(10), "server".into()), (pid(20), "http".into())]);
        let tasks = merge(list, running);
        assert_eq!(
            tasks,
            [
                task(10, "server", true),
                task(11, "router", false),
                task(12, "update", false),
                task(20, "http", true)
            ]
        );
        let later = [task(10, "server", true), task(30, "amgr", true)];
        assert_eq!(
            changes(&tasks, &later),
            [task(20, "http", false), task(30, "amgr", true)]
        );
    }

    proptest! {
        #[test]
        fn no_list_confuses_the_reader(list: Vec<u8>) {
            let running = BTreeMap::from([(pid(10), OsString::from("server"))]);
            let tasks = merge(&list, running);
            prop_assert_eq!(tasks.iter().filter(|task| task.runs).count(), 1);
        }
    }
}
