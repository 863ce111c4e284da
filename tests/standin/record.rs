//! `DATA/standin.calls`: what each program was called with, one JSON line each.
//!
//! Bytes that are no UTF-8 are written as `\xNN`, a backslash as `\\`;
//! [`read_calls`] turns them back.

use super::place::Place;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Bytes of the system, escaped in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(OsString);

/// A resource limit; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What holds now.
    pub soft: Option<u64>,
    /// How far it may be raised.
    pub hard: Option<u64>,
}

/// One call of one program.
#[derive(Clone, Debug)]
pub struct Call {
    /// The program's name, the last part of `argv[0]`.
    pub program: String,
    /// All arguments, the name included.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory it was started in.
    pub cwd: OsString,
    /// Open descriptors and what they are.
    pub fds: BTreeMap<i32, OsString>,
    /// Everything that is a number or a list of numbers; `call.umask` reads it.
    pub facts: Facts,
}

impl std::ops::Deref for Call {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

/// The numbers of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Process id.
    pub pid: i32,
    /// The parent's.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub session: i32,
    /// Real, effective and saved user.
    pub uids: [u32; 3],
    /// Real, effective and saved group.
    pub gids: [u32; 3],
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups, as the kernel lists them.
    pub groups: Vec<u32>,
    /// File creation mask.
    pub umask: u32,
    /// `nofile`, `nproc` and `core`.
    pub limits: BTreeMap<String, Limit>,
    /// Whether SIGHUP was ignored at the start.
    pub sighup_ignored: bool,
    /// Blocked signals, bit n-1 for signal n.
    pub signals_blocked: u64,
    /// Ignored signals likewise, without SIGPIPE, which the runtime ignores.
    pub signals_ignored: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    program: String,
    argv: Vec<Bytes>,
    env: BTreeMap<Bytes, Bytes>,
    cwd: Bytes,
    fds: BTreeMap<i32, Bytes>,
    #[serde(flatten)]
    facts: Facts,
}

impl Call {
    /// The arguments without the program's name, as text.
    pub fn args(&self) -> Vec<String> {
        let rest = self.argv.iter().skip(1);
        rest.map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    /// An environment variable's value as text.
    pub fn var(&self, name: &str) -> Option<String> {
        let value = self.env.get(OsStr::new(name))?;
        Some(value.to_string_lossy().into_owned())
    }
}

/// The calls recorded in a data directory, oldest first; none when there is no
/// file. `DATA` may also be the file itself.
pub fn read_calls(data: &Path) -> io::Result<Vec<Call>> {
    let path = if data.is_dir() {
        data.join("standin.calls")
    } else {
        data.to_path_buf()
    };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    // The last one may be in the middle of being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line| serde_json::from_str::<Line>(line).map_err(io::Error::other);
    let lines = whole
        .lines()
        .map(parse)
        .collect::<io::Result<Vec<Line>>>()?;
    Ok(lines.into_iter().map(Call::from).collect())
}

impl From<Line> for Call {
    fn from(line: Line) -> Call {
        Call {
            program: line.program,
            argv: line.argv.into_iter().map(|arg| arg.0).collect(),
            env: line.env.into_iter().map(|(k, v)| (k.0, v.0)).collect(),
            cwd: line.cwd.0,
            fds: line.fds.into_iter().map(|(n, to)| (n, to.0)).collect(),
            facts: line.facts,
        }
    }
}

/// Appends this process's call. To be done before anything else: later the
/// process has descriptors and signal dispositions of its own.
pub fn append(place: &Place, program: &str, argv: &[OsString]) {
    let line = Line {
        program: program.to_owned(),
        argv: argv.iter().cloned().map(Bytes).collect(),
        env: std::env::vars_os()
            .map(|(k, v)| (Bytes(k), Bytes(v)))
            .collect(),
        cwd: Bytes(
            std::fs::read_link("/proc/self/cwd")
                .unwrap_or_default()
                .into(),
        ),
        fds: descriptors(),
        facts: facts(),
    };
    let Ok(mut text) = serde_json::to_vec(&line) else {
        return;
    };
    text.push(b'\n');
    let path = std::env::var_os("STANDIN_CALLS")
        .map_or_else(|| place.data.join("standin.calls"), PathBuf::from);
    if let Ok(mut file) = File::options().append(true).create(true).open(path) {
        // Root and the notes user write to the same file.
        let _ = file.set_permissions(Permissions::from_mode(0o666));
        let _ = file.write_all(&text);
    }
}

fn descriptors() -> BTreeMap<i32, Bytes> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let (Some(number), Ok(target)) = (number, std::fs::read_link(entry.path())) else {
            continue;
        };
        // The directory being read is a descriptor too.
        if target != Path::new(&format!("/proc/{}/fd", std::process::id())) {
            found.insert(number, Bytes(target.into()));
        }
    }
    found
}

fn facts() -> Facts {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name));
        rest.unwrap_or_default().trim().to_owned()
    };
    let ids = |name| {
        let numbers: Vec<u32> = field(name)
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        [0, 1, 2].map(|n| numbers.get(n).copied().unwrap_or(u32::MAX))
    };
    let mask = |name| u64::from_str_radix(&field(name), 16).unwrap_or(0);
    let (uids, gids) = (ids("Uid:"), ids("Gid:"));
    let ignored = mask("SigIgn:");
    let limit = |resource| {
        let limit = getrlimit(resource);
        Limit {
            soft: limit.current,
            hard: limit.maximum,
        }
    };
    let limits = [
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("core", Resource::Core),
    ];
    // SAFETY: these only return numbers of this process.
    let (pid, ppid, pgid, session) = unsafe {
        (
            libc::getpid(),
            libc::getppid(),
            libc::getpgrp(),
            libc::getsid(0),
        )
    };
    Facts {
        pid,
        ppid,
        pgid,
        session,
        uids,
        gids,
        uid: uids[1],
        gid: gids[1],
        groups: field("Groups:")
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect(),
        umask: u32::from_str_radix(&field("Umask:"), 8).unwrap_or(u32::MAX),
        limits: limits
            .map(|(name, what)| (name.to_owned(), limit(what)))
            .into(),
        sighup_ignored: ignored & 1 != 0,
        signals_blocked: mask("SigBlk:"),
        signals_ignored: ignored & !(1 << (libc::SIGPIPE - 1)),
        at_ms: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64),
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for part in self.0.as_bytes().utf8_chunks() {
            text.push_str(&part.valid().replace('\\', r"\\"));
            for byte in part.invalid() {
                text.push_str(&format!(r"\x{byte:02x}"));
            }
        }
        out.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(input)?;
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match (first, tail) {
                (b'\\', [b'x', high, low, after @ ..]) => {
                    let digit = |byte: &u8| (*byte as char).to_digit(16).unwrap_or(0) as u8;
                    bytes.push(digit(high) * 16 + digit(low));
                    rest = after;
                }
                (b'\\', [second, after @ ..]) => {
                    bytes.push(*second);
                    rest = after;
                }
                _ => bytes.push(*first),
            }
        }
        Ok(Bytes(OsString::from_vec(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn any_bytes_survive_the_file() {
        for text in [
            &b""[..],
            b"plain",
            b"a\xffb\\xff\n\"'\\",
            b"\\",
            b"\xc3\xa4\xc3",
        ] {
            let bytes = Bytes(OsString::from_vec(text.to_vec()));
            let line = serde_json::to_string(&bytes).unwrap();
            assert_eq!(
                serde_json::from_str::<Bytes>(&line).unwrap(),
                bytes,
                "{line}"
            );
        }
    }
}
