//! What the host is: its name, system, kernel, memory, processors and
//! mounted filesystems, from files and system calls alone.

use super::explain;
use super::root::Root;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What uname(1) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The host's name.
    pub node: String,
    /// The kernel's release.
    pub release: String,
    /// The kind of machine.
    pub machine: String,
}

/// The host's name and kernel.
pub fn kernel() -> Kernel {
    Kernel {
        node: kernel_setting("kernel/hostname").unwrap_or_default(),
        release: kernel_setting("kernel/osrelease").unwrap_or_default(),
        machine: std::env::consts::ARCH.to_owned(),
    }
}

/// What the distribution calls itself: PRETTY_NAME of os-release(5).
pub fn distribution(root: &Root) -> Option<String> {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| std::fs::read_to_string(root.path(path)).ok())?;
    text.lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|value| value.trim_matches(['"', '\'']).to_owned())
}

/// Memory of the host, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs could still get.
    pub available: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that is not in use.
    pub swap_free: u64,
}

/// The memory as /proc/meminfo has it.
pub fn memory() -> io::Result<Memory> {
    let text = std::fs::read_to_string("/proc/meminfo")
        .map_err(|error| explain(error, "cannot read /proc/meminfo"))?;
    Ok(parse_memory(&text))
}

fn parse_memory(text: &str) -> Memory {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .map_or(0, |kilobytes| kilobytes.saturating_mul(1024))
    };
    Memory {
        total: field("MemTotal"),
        available: field("MemAvailable"),
        swap_total: field("SwapTotal"),
        swap_free: field("SwapFree"),
    }
}

/// How many processors the kernel runs on, and what they call themselves.
pub fn processors() -> (usize, Option<String>) {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |line: &str, name: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    let count = text
        .lines()
        .filter(|line| field(line, "processor").is_some())
        .count();
    let model = text.lines().find_map(|line| field(line, "model name"));
    (count, model)
}

/// The three load averages, as /proc/loadavg has them.
pub fn load() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    (words.len() == 3).then(|| words.join(" "))
}

/// A control of the kernel below /proc/sys, such as `kernel/shmmax`.
pub fn kernel_setting(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    device: (u32, u32),
    /// Where it is mounted.
    pub target: PathBuf,
    /// Its type.
    pub kind: String,
    /// What it lies on.
    pub source: OsString,
    /// Its options: the mount's, then the filesystem's.
    pub options: String,
}

/// Everything that is mounted in this mount namespace.
pub fn mounts() -> io::Result<Vec<Mount>> {
    let text = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| explain(error, "cannot read /proc/self/mountinfo"))?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(parse_mount)
        .collect())
}

/// `id parent major:minor root target options [fields…] - type source options`
/// (proc_pid_mountinfo(5)).
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = words.iter().position(|word| *word == b"-")?;
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let device = text(words.get(2)?);
    let (major, minor) = device.split_once(':')?;
    let mut options = text(words.get(5)?);
    for option in text(words.get(dash + 3)?).split(',') {
        if !options.split(',').any(|known| known == option) {
            options.push(',');
            options.push_str(option);
        }
    }
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        target: unescape(words.get(4)?).into(),
        kind: text(words.get(dash + 1)?),
        source: unescape(words.get(dash + 2)?),
        options,
    })
}

/// Blanks, tabs, newlines and backslashes stand there as `\040` and so on.
fn unescape(word: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(code);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain)
}

/// The mount that a path lies on: by its device, and of several mounts of one
/// device the one that is nearest to the path.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let path = std::fs::canonicalize(path).ok()?;
    let device = std::fs::metadata(&path).ok()?.dev();
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    let nearest = |same_device: bool| {
        mounts
            .iter()
            .filter(|mount| path.starts_with(&mount.target))
            .filter(|mount| !same_device || mount.device == device)
            .max_by_key(|mount| mount.target.as_os_str().len())
    };
    // btrfs shows another device there than stat(2) does.
    nearest(true).or_else(|| nearest(false))
}

/// Room on the filesystem that holds a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its size.
    pub size: u64,
    /// What is left for ordinary users.
    pub available: u64,
}

/// The room on the filesystem of `path`.
pub fn room(path: &Path) -> io::Result<Room> {
    let found = rustix::fs::statvfs(path)
        .map_err(|error| explain(error, format_args!("cannot examine {}", path.display())))?;
    Ok(Room {
        size: found.f_blocks.saturating_mul(found.f_frsize),
        available: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

/// What the machine says of its maker and model: tells virtual machines.
pub fn hardware() -> Option<String> {
    let read = |name: &str| {
        let text = std::fs::read(Path::new("/sys/class/dmi/id").join(name)).ok()?;
        let text = OsStr::from_bytes(text.trim_ascii())
            .to_string_lossy()
            .into_owned();
        (!text.is_empty()).then_some(text)
    };
    match (read("sys_vendor"), read("product_name")) {
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (one, other) => one.or(other),
    }
}

/// How long the host has been up.
pub fn uptime() -> Duration {
    super::clock::since_boot()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_blanks() {
        let line = b"36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mount = parse_mount(line).unwrap();
        assert_eq!(mount.target, Path::new("/mnt/a b"));
        assert_eq!(mount.kind, "ext3");
        assert_eq!(mount.options, "rw,noatime,errors=continue");
        assert!(parse_mount(b"36 35").is_none());
    }

    #[test]
    fn the_running_system_can_be_described() {
        assert!(!kernel().release.is_empty());
        assert!(memory().unwrap().total > 0);
        let mounts = mounts().unwrap();
        assert!(
            mount_of(&mounts, Path::new("/proc/self")).is_some_and(|mount| mount.kind == "proc")
        );
        assert!(room(Path::new("/")).unwrap().size > 0);
    }

    #[test]
    fn memory_is_in_kilobytes() {
        let memory = parse_memory("MemTotal:  16 kB\nMemFree: 3 kB\nMemAvailable: 8 kB\n");
        assert_eq!(
            (memory.total, memory.available, memory.swap_total),
            (16384, 8192, 0)
        );
    }
}
