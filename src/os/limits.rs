//! Resource limits and the umask.

use super::explain;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};
use std::io;

/// One resource limit, in the unit in which `ulimit -a` of bash shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name in that table.
    pub name: &'static str,
    /// Its unit there; empty for plain numbers.
    pub unit: &'static str,
    /// The letter of ulimit's option for it.
    pub option: char,
    /// The limit that applies; none for unlimited.
    pub soft: Option<u64>,
    /// How far a process may raise it; none for unlimited.
    pub hard: Option<u64>,
}

type Row = (&'static str, &'static str, char, u64, Resource);

/// Names, units and options as bash 5 has them (ulimit.def); the number is how
/// many of the system's units make one of them.
const TABLE: [Row; 16] = [
    (
        "real-time non-blocking time",
        "microseconds",
        'R',
        1,
        Resource::Rttime,
    ),
    ("core file size", "blocks", 'c', 1024, Resource::Core),
    ("data seg size", "kbytes", 'd', 1024, Resource::Data),
    ("scheduling priority", "", 'e', 1, Resource::Nice),
    ("file size", "blocks", 'f', 1024, Resource::Fsize),
    ("pending signals", "", 'i', 1, Resource::Sigpending),
    ("max locked memory", "kbytes", 'l', 1024, Resource::Memlock),
    ("max memory size", "kbytes", 'm', 1024, Resource::Rss),
    ("open files", "", 'n', 1, Resource::Nofile),
    ("POSIX message queues", "bytes", 'q', 1, Resource::Msgqueue),
    ("real-time priority", "", 'r', 1, Resource::Rtprio),
    ("stack size", "kbytes", 's', 1024, Resource::Stack),
    ("cpu time", "seconds", 't', 1, Resource::Cpu),
    ("max user processes", "", 'u', 1, Resource::Nproc),
    ("virtual memory", "kbytes", 'v', 1024, Resource::As),
    ("file locks", "", 'x', 1, Resource::Locks),
];

/// The limits of this process, in the order of `ulimit -a`. Its line "pipe
/// size" is no limit but a constant and is not among them.
pub fn all() -> Vec<Limit> {
    TABLE
        .into_iter()
        .map(|(name, unit, option, scale, resource)| {
            let found = rustix::process::getrlimit(resource);
            Limit {
                name,
                unit,
                option,
                soft: found.current.map(|value| value / scale),
                hard: found.maximum.map(|value| value / scale),
            }
        })
        .collect()
}

/// Lowers the limits of open files, soft and hard, to at most `cap`, so that
/// programs that close every possible descriptor do not take minutes where a
/// container has a billion. Says whether something was changed.
pub fn cap_open_files(cap: u64) -> io::Result<bool> {
    let found = rustix::process::getrlimit(Resource::Nofile);
    let capped = Rlimit {
        current: Some(found.current.map_or(cap, |value| value.min(cap))),
        maximum: Some(found.maximum.map_or(cap, |value| value.min(cap))),
    };
    if capped == found {
        return Ok(false);
    }
    rustix::process::setrlimit(Resource::Nofile, capped).map_err(|error| {
        explain(
            error,
            format_args!("cannot lower the limit of open files to {cap}"),
        )
    })?;
    Ok(true)
}

/// The umask of this process.
pub fn umask() -> u32 {
    // It can only be read by setting it; the product has one thread.
    let found = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(found);
    found.as_raw_mode()
}

/// Sets the umask of this process and returns the one before.
pub fn set_umask(umask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(umask & 0o777)).as_raw_mode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// bash's own table is the reference.
    #[test]
    fn the_table_is_that_of_bash() {
        let asked = Command::new("bash").args(["-c", "ulimit -a"]).output();
        let asked = asked.expect("bash is needed to compare");
        let theirs = String::from_utf8(asked.stdout).unwrap();
        let ours: Vec<Limit> = all();
        let mut seen = 0;
        for line in theirs.lines() {
            let option = line.split(")").next().unwrap().chars().last().unwrap();
            let Some(limit) = ours.iter().find(|limit| limit.option == option) else {
                assert_eq!(option, 'p', "{line}");
                continue;
            };
            let value = limit
                .soft
                .map_or("unlimited".to_string(), |value| value.to_string());
            assert_eq!(
                line.split_whitespace().last(),
                Some(value.as_str()),
                "{line}"
            );
            assert!(line.starts_with(limit.name), "{line}");
            assert!(limit.unit.is_empty() || line.contains(limit.unit), "{line}");
            seen += 1;
        }
        assert_eq!(seen, ours.len());
    }

    #[test]
    #[ignore = "lowers its own limits: runs in a process of its own, started by the next test"]
    fn helper_caps() {
        assert!(cap_open_files(100).unwrap());
        assert!(!cap_open_files(100).unwrap());
        let files = all().into_iter().find(|limit| limit.option == 'n').unwrap();
        assert_eq!((files.soft, files.hard), (Some(100), Some(100)));
        let before = set_umask(0o027);
        assert_eq!(umask(), 0o027);
        assert_eq!(umask(), 0o027);
        assert_eq!(set_umask(before), 0o027);
    }

    #[test]
    fn limits_are_lowered_and_the_umask_set() {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "os::limits::tests::helper_caps"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}
