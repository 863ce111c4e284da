//! Lays out a Domino installation and a data directory for the stand-in.

use super::{LOADED, PROGRAMS, TASKS};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// The version directory under LOTUS/notes.
pub const VERSION: &str = "14000000";

/// The start-up script behind LOTUS/bin/server and its siblings. The last link
/// is not resolved: its name says which program is meant.
const STARTUP: &str = r#"#!/bin/sh
# Runs the Domino program this script was called as.
name=${0##*/}
dir=${0%/*}
[ "$dir" = "$0" ] && dir=.
unset CDPATH
lotus=$(cd "$dir/.." && pwd) || exit 1
exec "$lotus/notes/latest/linux/$name" "$@"
"#;

/// What to lay out and where.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The stand-in's ELF.
    pub source: PathBuf,
    /// The program directory to create.
    pub lotus: PathBuf,
    /// The data directory to create.
    pub data: PathBuf,
    /// Whether notes.ini says that the server is set up.
    pub server_setup: bool,
    /// The TCP port the running server listens on, on the loopback address.
    pub port: Option<u16>,
    /// Owner and group of DATA, when root lays it out for another user.
    pub owner: Option<(u32, u32)>,
    /// Further notes.ini lines, without line ends.
    pub ini: Vec<String>,
}

impl Layout {
    /// A server that is set up, without a port, owned by the caller.
    pub fn new(
        source: impl Into<PathBuf>,
        lotus: impl Into<PathBuf>,
        data: impl Into<PathBuf>,
    ) -> Layout {
        Layout {
            source: source.into(),
            lotus: lotus.into(),
            data: data.into(),
            server_setup: true,
            port: None,
            owner: None,
            ini: Vec::new(),
        }
    }
}

/// The stand-in that `cargo test` or `cargo build --examples` built, found from
/// the running test's own path.
pub fn built_example() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .map(|dir| dir.join("examples/standin"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            io::Error::other("no stand-in beside the tests: run cargo build --example standin")
        })
}

/// Creates both trees. Directories may exist already; programs are replaced.
pub fn install(layout: &Layout) -> io::Result<()> {
    let lotus = &layout.lotus;
    let linux = lotus.join("notes").join(VERSION).join("linux");
    for dir in ["jvm/bin", "res/C", "tools"] {
        fs::create_dir_all(linux.join(dir))?;
    }
    fs::create_dir_all(lotus.join("bin/tools"))?;
    fs::create_dir_all(lotus.join("tools"))?;
    fs::create_dir_all(&layout.data)?;

    // Links, also of the source: the kernel names the link a process was
    // started by, and megabytes of copies would have to be flushed by each stop.
    let first = linux.join("server");
    let _ = fs::remove_file(&first);
    link(&layout.source, &first)?;
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755))?;
    for name in TASKS
        .iter()
        .chain(&PROGRAMS)
        .chain(&LOADED)
        .filter(|name| **name != "server")
    {
        link(&first, &linux.join(name))?;
    }
    link(&first, &linux.join("jvm/bin/java"))?;
    link(&first, &lotus.join("tools/faultrecovery"))?;
    link(&first, &lotus.join("tools/keeper"))?;

    replace_symlink(VERSION, &lotus.join("notes/latest"))?;
    fs::write(linux.join("res/C/strings.res"), "strings\n")?;
    for path in [lotus.join("bin/tools/startup"), linux.join("tools/startup")] {
        fs::write(&path, STARTUP)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for name in PROGRAMS {
        replace_symlink("tools/startup", &lotus.join("bin").join(name))?;
    }
    fs::write(
        lotus.join("standin.data"),
        layout.data.as_os_str().as_bytes(),
    )?;

    data_directory(layout)
}

fn data_directory(layout: &Layout) -> io::Result<()> {
    let data = &layout.data;
    let mut ini = b"[Notes]\nNotesProgram=".to_vec();
    ini.extend_from_slice(layout.lotus.as_os_str().as_bytes());
    ini.extend_from_slice(b"/notes/latest/linux\nDirectory=");
    ini.extend_from_slice(data.as_os_str().as_bytes());
    ini.extend_from_slice(
        b"\nKeyFilename=server.id\nServerTasks=Update,Replica,Router,AMgr,AdminP,Sched,HTTP\n",
    );
    ini.extend_from_slice(
        b"TCPIP=TCP,0,15,0,,45088\nPorts=TCPIP\nMailServer=CN=standin/O=Example\n",
    );
    if layout.server_setup {
        ini.extend_from_slice(b"ServerSetup=851400\n");
    }
    if let Some(port) = layout.port {
        ini.extend_from_slice(format!("StandinPort={port}\n").as_bytes());
    }
    for line in &layout.ini {
        ini.extend_from_slice(line.as_bytes());
        ini.push(b'\n');
    }
    fs::write(data.join("notes.ini"), ini)?;
    fs::write(data.join("server.id"), "an id file\n")?;
    for name in ["names.nsf", "log.nsf"] {
        fs::write(data.join(name), [0x1a; 4096])?;
    }
    if let Some((uid, gid)) = layout.owner {
        chown(data, Some(uid), Some(gid))?;
        for entry in fs::read_dir(data)? {
            chown(entry?.path(), Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

/// A hard link, or a copy where links cannot be made.
fn link(first: &Path, path: &Path) -> io::Result<()> {
    let _ = fs::remove_file(path);
    fs::hard_link(first, path).or_else(|_| fs::copy(first, path).map(drop))
}

fn replace_symlink(target: &str, path: &Path) -> io::Result<()> {
    let _ = fs::remove_file(path);
    symlink(target, path)
}
