//! Which processes belong to this Domino, and what each of them is.
//!
//! The truth is /proc: a process of the Domino user whose *executable* lies
//! under LOTUS/notes. A word in a command line proves nothing: `tail -f` of a
//! file there is not a server. A Domino program of another installation that
//! works in this data directory counts too: LOTUS can be mistyped, or changed
//! for the next release, while a server runs.

use super::partition::{Partition, base_name};
use crate::error::{Error, Result};
use crate::os::process::{self, Pid, Process};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What a Domino process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The server itself.
    Server,
    /// A server task, or anything else that runs from LOTUS/notes.
    Task,
    /// The Java controller (`server -jc`).
    Controller,
    /// NSD, Domino's crash and diagnosis collector.
    Nsd,
    /// Tika, the full-text filter; known to outlive a shutdown.
    Tika,
    /// A `server -c`, `server -q` or the like: talks to a server, is none.
    Client,
}

impl Role {
    /// Whether it holds no database open, so that the server can be down beside
    /// it.
    pub fn is_idle(self) -> bool {
        matches!(self, Role::Controller | Role::Client)
    }
}

/// A process of this Domino.
#[derive(Clone, Debug)]
pub struct DominoProcess {
    /// What it is.
    pub role: Role,
    /// The name of its program: `server`, `router`, `java` …
    pub name: OsString,
    /// What /proc says of it.
    pub process: Process,
}

impl DominoProcess {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.process.pid
    }

    /// What a person calls it: its program's name, but for those that java
    /// runs.
    pub fn to_name(&self) -> OsString {
        match self.role {
            Role::Controller => "java controller".into(),
            Role::Tika => "tika".into(),
            _ => self.name.clone(),
        }
    }
}

impl fmt::Display for DominoProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_name();
        write!(f, "{} ({})", name.to_string_lossy(), self.process.pid)
    }
}

/// Names processes as a person would list them: `server (12), router (14)`.
pub fn list(processes: &[DominoProcess]) -> String {
    let mut text = String::new();
    for (position, process) in processes.iter().enumerate() {
        if position == 12 {
            text.push_str(&format!(" and {} more", processes.len() - position));
            break;
        }
        if position > 0 {
            text.push_str(", ");
        }
        text.push_str(&process.to_string());
    }
    text
}

/// Where the programs of an installation lie, links resolved once.
#[derive(Clone, Debug)]
pub struct Programs {
    /// LOTUS/notes: what runs from here is Domino.
    notes: PathBuf,
    /// The same before links were resolved, as command lines show it.
    notes_as_named: PathBuf,
    /// LOTUS: scripts below it that a shell runs are Domino's too.
    lotus: PathBuf,
    lotus_as_named: PathBuf,
    /// The data directory.
    data: PathBuf,
}

impl Programs {
    /// The places of this partition's installation. A missing installation is
    /// no error: `cleanup` and `status` must work on a broken one.
    pub fn of(partition: &Partition) -> Programs {
        let lotus = partition.lotus();
        let notes = lotus.join("notes");
        Programs {
            notes: resolve(&notes),
            notes_as_named: notes,
            lotus: resolve(&lotus),
            lotus_as_named: lotus,
            data: resolve(&partition.data()),
        }
    }

    /// The places of an installation without links.
    #[cfg(test)]
    pub(crate) fn at(lotus: &str) -> Programs {
        let lotus = PathBuf::from(lotus);
        Programs {
            notes: lotus.join("notes"),
            notes_as_named: lotus.join("notes"),
            lotus_as_named: lotus.clone(),
            lotus,
            data: "/local/notesdata".into(),
        }
    }

    /// What a process is, if it is one of this Domino's.
    pub fn recognise(&self, process: &Process) -> Option<DominoProcess> {
        let cwd = || process.cwd.clone();
        let name = self.program_of(process.exe.as_deref(), &process.cmdline, cwd)?;
        Some(DominoProcess {
            role: role_of(&name, &process.cmdline),
            name,
            process: process.clone(),
        })
    }

    /// Whether a program lies anywhere in the installation.
    pub fn is_installed(&self, path: &Path) -> bool {
        path.starts_with(&self.lotus) || path.starts_with(&self.lotus_as_named)
    }

    /// Whether a process that is none of Domino's own runs from elsewhere in
    /// the installation, itself or by a shell.
    fn is_beside(&self, process: &Process) -> bool {
        let script = || process.cmdline.get(1).map(Path::new);
        self.recognise(process).is_none()
            && process.exe.as_deref().is_some_and(|exe| {
                self.is_installed(exe)
                    || is_shell(exe) && script().is_some_and(|script| self.is_installed(script))
            })
    }

    fn is_domino(&self, path: &Path) -> bool {
        path.starts_with(&self.notes) || path.starts_with(&self.notes_as_named)
    }

    /// Whether it takes the command line to tell that this is not Domino's.
    fn may_be_domino(&self, exe: Option<&Path>) -> bool {
        exe.is_none_or(|exe| self.is_domino(exe) || is_shell(exe) || is_some_dominos(exe))
    }

    /// The name of the Domino program that a process runs, if it runs one.
    fn program_of(
        &self,
        exe: Option<&Path>,
        cmdline: &[OsString],
        cwd: impl FnOnce() -> Option<PathBuf>,
    ) -> Option<OsString> {
        match exe {
            Some(exe) if self.is_domino(exe) => Some(base_name(exe.as_os_str()).to_owned()),
            // The start-up links under LOTUS/bin and NSD are shell scripts:
            // the executable is the shell, the script its first argument.
            Some(exe) if is_shell(exe) => {
                let script = Path::new(cmdline.get(1)?);
                let below =
                    script.starts_with(&self.lotus) || script.starts_with(&self.lotus_as_named);
                let name = base_name(script.as_os_str());
                (below && DOMINO_SCRIPTS.iter().any(|known| name == *known))
                    .then(|| name.to_owned())
            }
            Some(exe) if is_some_dominos(exe) => cwd()
                .is_some_and(|cwd| cwd == self.data)
                .then(|| base_name(exe.as_os_str()).to_owned()),
            Some(_) => None,
            // Not dumpable, so its executable is hidden even from its owner.
            None => {
                let named = Path::new(cmdline.first()?);
                self.is_domino(named)
                    .then(|| base_name(named.as_os_str()).to_owned())
            }
        }
    }
}

/// Whether a program lies where each installation of Domino has its programs:
/// notes/VERSION/linux.
pub fn is_some_dominos(exe: &Path) -> bool {
    let mut names = exe.components().map(Component::as_os_str);
    names.any(|name| name == "notes") && names.any(|name| name == "linux")
}

/// A path without links. What of it is not there any more (an installation
/// that was removed while it ran) keeps its name below what is.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    for above in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(above) {
            return missing
                .iter()
                .rev()
                .fold(found, |path, name| path.join(name));
        }
        missing.extend(above.file_name());
    }
    path.to_path_buf()
}

/// Scripts under LOTUS that stand for the program they start or for NSD.
const DOMINO_SCRIPTS: [&str; 4] = ["server", "nsd", "nsd.sh", "startup"];

pub(crate) fn is_shell(exe: &Path) -> bool {
    let name = base_name(exe.as_os_str());
    ["sh", "bash", "dash", "ksh", "ksh93", "mksh", "busybox"]
        .iter()
        .any(|shell| name == *shell)
}

fn is_nsd(name: &OsStr) -> bool {
    ["nsd", "nsd.sh", "memcheck"]
        .iter()
        .any(|known| name == *known)
}

/// Tells what a process is by its program and its arguments.
pub fn role_of(name: &OsStr, cmdline: &[OsString]) -> Role {
    let has = |word: &str| cmdline.iter().skip(1).any(|argument| argument == word);
    let contains = |part: &str| {
        cmdline
            .iter()
            .skip(1)
            .any(|argument| memchr_find(argument.as_bytes(), part.as_bytes()))
    };
    if is_nsd(name) {
        return Role::Nsd;
    }
    let server = name == "server" || name == "startup";
    let java = name == "java";
    // `-q`, `-c COMMAND` and `-m` talk to a running server; with `-jc`, `-c`
    // means "console of the controller", only `-q` makes it a client.
    if server && (has("-q") || (!has("-jc") && (has("-c") || has("-m")))) {
        return Role::Client;
    }
    if (server || java) && has("-jc") || java && contains("ServerController") {
        return Role::Controller;
    }
    if java && contains("tika-server") {
        return Role::Tika;
    }
    if server { Role::Server } else { Role::Task }
}

fn memchr_find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// Every live process of this Domino, by pid. Zombies have ended: they hold no
/// file and are left out.
pub fn find(partition: &Partition) -> Result<Vec<DominoProcess>> {
    find_among(&Programs::of(partition), partition.user.uid)
}

/// The server itself, if it runs. Reads no more than that takes, and nothing
/// of what started after it: programs ask this often.
pub fn server(partition: &Partition) -> Result<Option<Pid>> {
    let programs = Programs::of(partition);
    let own = process::self_pid();
    let mut server = None;
    process::any(partition.user.uid, |sighting| {
        if sighting.pid == own || !programs.may_be_domino(sighting.exe) {
            return false;
        }
        let cmdline = sighting.arguments();
        let name = programs.program_of(sighting.exe, &cmdline, || sighting.cwd());
        let found = name.is_some_and(|name| role_of(&name, &cmdline) == Role::Server);
        server = found.then_some(sighting.pid);
        found
    })
    .map_err(Error::Processes)?;
    Ok(server)
}

/// Whether anything beside this Domino's processes runs from its installation,
/// such as what starts the server again after a crash.
pub fn is_attended(programs: &Programs, uid: u32) -> Result<bool> {
    let own = process::self_pid();
    let seen = process::scan(uid, |sighting| {
        let exe = sighting.exe;
        exe.is_some_and(|exe| programs.is_installed(exe) || is_shell(exe))
    })
    .map_err(Error::Processes)?;
    Ok(seen
        .iter()
        .any(|found| !found.is_zombie() && found.pid != own && programs.is_beside(found)))
}

/// As [`find`], with the installation's places already resolved.
pub fn find_among(programs: &Programs, uid: u32) -> Result<Vec<DominoProcess>> {
    let own = process::self_pid();
    let seen = process::scan(uid, |sighting| programs.may_be_domino(sighting.exe))
        .map_err(Error::Processes)?;
    let mut found: Vec<DominoProcess> = seen
        .into_iter()
        .filter(|process| !process.is_zombie() && process.pid != own)
        .filter_map(|process| programs.recognise(&process))
        .collect();
    found.sort_by_key(|found| found.process.pid);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> Programs {
        Programs {
            notes: "/opt/hcl/domino/notes".into(),
            notes_as_named: "/opt/lotus/notes".into(),
            lotus: "/opt/hcl/domino".into(),
            lotus_as_named: "/opt/lotus".into(),
            data: "/local/notesdata".into(),
        }
    }

    fn classify(exe: Option<&str>, cmdline: &[&str]) -> Option<Role> {
        let cmdline: Vec<OsString> = cmdline.iter().map(OsString::from).collect();
        classify_in("/", exe, &cmdline)
    }

    fn classify_in(cwd: &str, exe: Option<&str>, cmdline: &[OsString]) -> Option<Role> {
        let cwd = || Some(cwd.into());
        let name = programs().program_of(exe.map(Path::new), cmdline, cwd)?;
        Some(role_of(&name, cmdline))
    }

    const LINUX: &str = "/opt/hcl/domino/notes/14000000/linux";

    fn program(name: &str) -> String {
        format!("{LINUX}/{name}")
    }

    #[test]
    fn roles_follow_what_a_process_is() {
        let server = program("server");
        let java = program("jvm/bin/java");
        assert_eq!(classify(Some(&server), &[&server]), Some(Role::Server));
        assert_eq!(
            classify(Some(&server), &[&server, "-listen", "1352"]),
            Some(Role::Server)
        );
        assert_eq!(
            classify(Some(&server), &[&server, "-q"]),
            Some(Role::Client)
        );
        assert_eq!(
            classify(Some(&server), &[&server, "-c", "show server"]),
            Some(Role::Client)
        );
        assert_eq!(
            classify(Some(&server), &[&server, "-jc", "-c"]),
            Some(Role::Controller)
        );
        assert_eq!(
            classify(Some(&server), &[&server, "-jc", "-q", "-y"]),
            Some(Role::Client)
        );
        assert_eq!(
            classify(
                Some(&java),
                &[
                    "java",
                    "-cp",
                    "x",
                    "lotus.notes.internal.ServerController",
                    "-jc",
                    "-c"
                ]
            ),
            Some(Role::Controller)
        );
        assert_eq!(
            classify(Some(&java), &["java", "-jar", "/x/tika-server.jar"]),
            Some(Role::Tika)
        );
        assert_eq!(
            classify(Some(&java), &["java", "-jar", "other.jar"]),
            Some(Role::Task)
        );
        let router = program("router");
        assert_eq!(classify(Some(&router), &["router"]), Some(Role::Task));
    }

    #[test]
    fn shell_scripts_of_the_installation_count_and_nothing_else_a_shell_runs() {
        assert_eq!(
            classify(
                Some("/usr/bin/bash"),
                &["/bin/bash", "/opt/lotus/bin/server"]
            ),
            Some(Role::Server)
        );
        assert_eq!(
            classify(
                Some("/usr/bin/dash"),
                &["/bin/sh", &program("nsd.sh"), "-kill"]
            ),
            Some(Role::Nsd)
        );
        assert_eq!(
            classify(Some("/usr/bin/bash"), &["bash", "/home/notes/server"]),
            None
        );
        assert_eq!(
            classify(Some("/usr/bin/tail"), &["tail", "-f", &program("server")]),
            None
        );
        assert_eq!(
            classify(Some("/usr/bin/vim"), &["server", &program("server")]),
            None
        );
    }

    #[test]
    fn another_installation_counts_where_it_works_on_these_data() {
        let server = Some("/opt/ibm/domino/notes/latest/linux/server");
        let here = |exe| classify_in("/local/notesdata", exe, &[]);
        assert_eq!(here(server), Some(Role::Server));
        assert_eq!(classify_in("/local/notesdata2", server, &[]), None);
        assert_eq!(here(Some("/usr/bin/linux/server")), None);
        assert_eq!(here(Some("/home/linux/notes/server")), None);
    }

    #[test]
    fn a_hidden_executable_falls_back_to_the_command_line() {
        let server = program("server");
        assert_eq!(classify(None, &[&server]), Some(Role::Server));
        assert_eq!(classify(None, &["/usr/bin/passwd"]), None);
        assert_eq!(classify(None, &[]), None);
    }
}
