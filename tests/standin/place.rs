//! Where a program of the stand-in is: its LOTUS, its DATA, its host, its notes.ini.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Both trees of one Domino server.
#[derive(Clone, Debug)]
pub struct Place {
    /// The program directory, by the name it was called by (links kept).
    pub lotus: PathBuf,
    /// The data directory.
    pub data: PathBuf,
}

impl Place {
    /// Finds LOTUS by the program's own path, and DATA as Domino does: the
    /// working directory if it holds a notes.ini, else the first directory of
    /// PATH that does, else what the layout noted.
    pub fn find(own: &OsStr) -> Place {
        let called = Path::new(own);
        let exe = std::env::current_exe().unwrap_or_default();
        let lotus = lotus_above(called)
            .filter(|_| called.is_absolute())
            .or_else(|| lotus_above(&exe))
            .unwrap_or_else(|| PathBuf::from("/"));
        let data = std::env::current_dir()
            .ok()
            .filter(|dir| holds_ini(dir))
            .or_else(data_on_path)
            .or_else(|| {
                let noted = std::fs::read(lotus.join("standin.data")).ok()?;
                Some(PathBuf::from(OsStr::from_bytes(&noted)))
            })
            .unwrap_or_else(|| PathBuf::from("."));
        Place { lotus, data }
    }

    /// The path of one of Domino's binaries.
    pub fn program(&self, name: &str) -> PathBuf {
        self.lotus.join("notes/latest/linux").join(name)
    }

    /// The path of one of the stand-in's own helpers, outside LOTUS/notes.
    pub fn helper(&self, name: &str) -> PathBuf {
        self.lotus.join("tools").join(name)
    }

    /// The directory for diagnostics, created when needed.
    pub fn support(&self) -> PathBuf {
        let path = self.data.join("IBM_TECHNICAL_SUPPORT");
        let _ = std::fs::create_dir_all(&path);
        path
    }

    /// The value of a notes.ini line, names compared without case.
    pub fn ini(&self, name: &str) -> Option<String> {
        let text = std::fs::read(self.data.join("notes.ini")).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    /// Sets a notes.ini line, replacing the one that is there.
    pub fn set_ini(&self, name: &str, value: &str) {
        let path = self.data.join("notes.ini");
        let old = std::fs::read(&path).unwrap_or_default();
        let mut new = Vec::new();
        for line in old.split_inclusive(|byte| *byte == b'\n') {
            let key = line.split(|byte| *byte == b'=').next().unwrap_or(line);
            if !key.eq_ignore_ascii_case(name.as_bytes()) {
                new.extend_from_slice(line);
            }
        }
        if !new.is_empty() && !new.ends_with(b"\n") {
            new.push(b'\n');
        }
        new.extend_from_slice(format!("{name}={value}\n").as_bytes());
        let _ = std::fs::write(path, new);
    }
}

/// This machine's name.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "localhost".to_owned())
}

/// The parts of the local time: year, month, day, hour, minute, second.
pub fn local_time() -> [i32; 6] {
    // SAFETY: time accepts a null pointer; localtime_r writes only to `parts`,
    // for which all zeroes is a valid value.
    let parts = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&now, &mut parts);
        parts
    };
    [
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
    ]
}

/// The local time as Domino puts it into file names: YYYY_MM_DD@HH_MM_SS.
pub fn file_stamp() -> String {
    let [year, month, day, hour, minute, second] = local_time();
    format!("{year}_{month:02}_{day:02}@{hour:02}_{minute:02}_{second:02}")
}

fn lotus_above(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .find(|dir| dir.join("notes/latest").exists())
        .map(Path::to_path_buf)
}

fn holds_ini(dir: &Path) -> bool {
    dir.join("notes.ini").is_file()
}

fn data_on_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .find(|dir| dir.is_absolute() && holds_ini(dir))
}
