//! How many files a process has open, and how many it may.

use super::process::Pid;
use super::{explain, procfs};
use rustix::io::Errno;
use std::io;

/// A process's open files against its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// How many descriptors it has open.
    pub open: u64,
    /// How many it may have; none for unlimited.
    pub soft: Option<u64>,
    /// How far it may raise that; none for unlimited.
    pub hard: Option<u64>,
}

/// The open files of a process; none if it has ended or is not ours to look
/// into.
pub fn of(pid: Pid) -> io::Result<Option<OpenFiles>> {
    let Some(open) = count(pid)? else {
        return Ok(None);
    };
    Ok(limit_of(pid, b"Max open files")?.map(|(soft, hard)| OpenFiles { open, soft, hard }))
}

/// A limit of a process as `/proc/PID/limits` names it, soft and hard; none if
/// the process has ended, is not ours to look into, or has no such limit.
pub fn limit_of(pid: Pid, name: &[u8]) -> io::Result<Option<(Option<u64>, Option<u64>)>> {
    match std::fs::read(format!("/proc/{pid}/limits")) {
        Ok(table) => Ok(parse(&table, name)),
        Err(error) if passed(&error) => Ok(None),
        Err(error) => Err(explain(
            error,
            format_args!("cannot read /proc/{pid}/limits"),
        )),
    }
}

fn passed(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|error| procfs::is_gone(error) || procfs::is_denied(error))
}

fn count(pid: Pid) -> io::Result<Option<u64>> {
    let mut count = 0;
    let whole = procfs::descriptors(pid, |_, _| count += 1)?;
    Ok(whole.then_some(count))
}

/// `Max open files            1024                 1048576              files`
fn parse(table: &[u8], name: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let line = table
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name))?;
    let mut values = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut value = || match values.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some((value()?, value()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process::self_pid;

    #[test]
    fn open_files_are_counted_against_the_limits() {
        let files = of(self_pid()).unwrap().unwrap();
        let limits = crate::os::limits::all();
        let limit = limits.iter().find(|limit| limit.option == 'n').unwrap();
        assert_eq!((files.soft, files.hard), (limit.soft, limit.hard));
        assert!(files.open >= 3, "{files:?}");
        assert_eq!(of(Pid::new(i32::MAX).unwrap()).unwrap(), None);
    }

    #[test]
    fn limits_are_read_by_their_names() {
        let table =
            b"Limit   Soft Limit  Hard Limit  Units\nMax open files  17  unlimited  files\n";
        assert_eq!(parse(table, b"Max open files"), Some((Some(17), None)));
        assert_eq!(parse(table, b"Max processes"), None);
    }
}
