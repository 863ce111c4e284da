//! What a Domino server holds on this host beside its databases: processes,
//! lock files, System V IPC. `resources` shows it, `cleanup` removes it.

use super::Partition;
use super::partition::base_name;
use super::processes::{self, Programs, Role};
use crate::error::{Error, Result};
use crate::os::ipc::{self, IpcObject, Kind};
use crate::os::process::{self, Pid, Process};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a process belongs to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It runs a program below LOTUS/notes.
    Domino(Role),
    /// It runs another program of the installation.
    Installation,
    /// It runs from one of DOMINO_3RD_PARTY_BIN_DIRS.
    ThirdParty,
    /// It waits for a One-Touch Setup from afar.
    Setup,
}

/// A process that belongs to a server.
#[derive(Clone, Debug)]
pub struct Belonging {
    /// Why it does.
    pub reason: Reason,
    /// The name of its program.
    pub name: OsString,
    /// What /proc says of it.
    pub process: Process,
}

impl fmt::Display for Belonging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})",
            crate::error::shown(&self.name),
            self.process.pid
        )
    }
}

/// Names processes as a person would list them.
pub fn list(processes: &[Belonging]) -> String {
    let names: Vec<String> = processes.iter().map(Belonging::to_string).collect();
    names.join(", ")
}

/// Finds the processes that belong to a server. They are the Domino user's
/// own, always.
#[derive(Debug)]
pub struct Finder {
    programs: Programs,
    uid: u32,
    /// Third parties' directories, as configured and with links resolved.
    directories: Vec<PathBuf>,
    /// Who called this program: a site's script among them must live on.
    callers: BTreeSet<Pid>,
}

impl Finder {
    /// The places to look in. A directory that would make every program a
    /// third party's is refused: its name is handed to `refused`.
    pub fn of(partition: &Partition, mut refused: impl FnMut(&OsStr)) -> Result<Finder> {
        let mut directories = Vec::new();
        for named in partition.settings.bin_dirs_3rd_party.value.iter().flatten() {
            let path = Path::new(named);
            let resolved = processes::resolve(path);
            if path.is_absolute() && resolved.components().count() > 2 {
                directories.extend([path.to_path_buf(), resolved]);
            } else {
                refused(named);
            }
        }
        let mut callers = BTreeSet::from([process::self_pid()]);
        let mut above = process::parent_of(process::self_pid()).map_err(Error::Processes)?;
        while let Some(caller) = above.filter(|caller| callers.insert(*caller)) {
            above = process::parent_of(caller).map_err(Error::Processes)?;
        }
        Ok(Finder {
            programs: Programs::of(partition),
            uid: partition.user.uid,
            directories,
            callers,
        })
    }

    /// Every live process that belongs to the server, by pid.
    pub fn find(&self) -> Result<Vec<Belonging>> {
        let mut found: Vec<Belonging> = self
            .all_of_user()?
            .into_iter()
            .filter_map(|process| self.recognise(process))
            .collect();
        found.sort_by_key(|found| found.process.pid);
        Ok(found)
    }

    /// Every live process of the user.
    pub fn all_of_user(&self) -> Result<Vec<Process>> {
        let mut all = process::scan(self.uid, |_| true).map_err(Error::Processes)?;
        all.retain(|process| !process.is_zombie());
        Ok(all)
    }

    /// What a process is to the server, if anything.
    pub fn recognise(&self, process: Process) -> Option<Belonging> {
        if process.uid != self.uid || process.pid == process::self_pid() {
            return None;
        }
        if let Some(found) = self.programs.recognise(&process) {
            return Some(Belonging {
                reason: Reason::Domino(found.role),
                name: found.name,
                process,
            });
        }
        if self.callers.contains(&process.pid) {
            return None;
        }
        let program = program_of(&process)?;
        let reason = if self.programs.is_installed(program) {
            Reason::Installation
        } else if self.is_third_party(program, &process.cmdline) {
            Reason::ThirdParty
        } else if is_setup(program, &process.cmdline) {
            Reason::Setup
        } else {
            return None;
        };
        Some(Belonging {
            reason,
            name: base_name(program.as_os_str()).to_owned(),
            process,
        })
    }

    /// Whether another process of the user is alive that could have made an
    /// object nobody is on record for.
    fn others_live(&self, but: &BTreeSet<Pid>) -> Result<bool> {
        Ok(self.all_of_user()?.iter().any(|process| {
            !but.contains(&process.pid)
                && !self.callers.contains(&process.pid)
                && process.exe.as_deref().is_none_or(|exe| !is_login(exe))
        }))
    }

    fn is_third_party(&self, program: &Path, cmdline: &[OsString]) -> bool {
        let below = |path: &Path| self.directories.iter().any(|dir| path.starts_with(dir));
        if below(program) {
            return true;
        }
        // An interpreter runs what it is given: the script first named, or
        // anything on java's class path. A word within a text is no program.
        let name = base_name(program.as_os_str());
        if name == "java" {
            return cmdline.iter().skip(1).any(|argument| {
                argument
                    .as_bytes()
                    .split(|byte| *byte == b':')
                    .any(|part| below(Path::new(OsStr::from_bytes(part))))
            });
        }
        let interprets = processes::is_shell(program)
            || ["python", "perl", "ruby", "node"]
                .iter()
                .any(|known| name.as_bytes().starts_with(known.as_bytes()));
        interprets
            && cmdline
                .iter()
                .skip(1)
                .find(|argument| !argument.as_bytes().starts_with(b"-"))
                .is_some_and(|script| below(Path::new(script)))
    }
}

/// What a process runs; where the kernel does not say, what it says itself.
fn program_of(process: &Process) -> Option<&Path> {
    process
        .exe
        .as_deref()
        .or_else(|| process.cmdline.first().map(Path::new))
}

/// What waits for a setup from afar, as the original knows it: Domino's
/// configuration server, or openssl listening for the setup's file.
fn is_setup(program: &Path, cmdline: &[OsString]) -> bool {
    let name = base_name(program.as_os_str());
    let arguments = || cmdline.iter().skip(1);
    if name == "java" {
        return arguments().any(|argument| base_name(argument) == "cfgdomserver.jar");
    }
    name == "openssl"
        && arguments().next().is_some_and(|first| first == "s_server")
        && arguments().any(|argument| argument == "-accept")
}

/// Programs of a login session, none of which makes IPC objects.
fn is_login(exe: &Path) -> bool {
    let name = base_name(exe.as_os_str());
    processes::is_shell(exe)
        || [
            "systemd",
            "sd-pam",
            "sshd",
            "sshd-session",
            "login",
            "tail",
            "less",
            "vi",
            "vim",
        ]
        .iter()
        .any(|known| name == *known)
}

/// The files that say that a server runs: Domino's lock, the controller's,
/// Domino's list of processes, the pid file.
pub fn lock_files(partition: &Partition) -> Vec<PathBuf> {
    let data = partition.data();
    let mut files: Vec<PathBuf> = ["~notes.lck", ".jsc_lock", "pid.nbf"]
        .iter()
        .map(|name| data.join(name))
        .collect();
    files.push(partition.pid_file());
    files.retain(|file| {
        std::fs::symlink_metadata(file)
            .is_ok_and(|found| !found.is_dir() && found.uid() == partition.user.uid)
    });
    files
}

/// What is to become of an IPC object of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is Domino's: one of the server's processes made it or used it last,
    /// or nobody is on record and nobody else is there.
    Dominos,
    /// Nobody lives who made it or used it.
    Orphan,
    /// It goes by itself with the last process that has it attached.
    Doomed,
    /// It is another program's, or may be; why.
    Others(String),
}

/// The user's IPC objects and whose they are. `dominos` are the pids of the
/// server's processes, alive or not. Objects of other users are not listed.
pub fn ipc_objects(finder: &Finder, dominos: &BTreeSet<Pid>) -> Result<Vec<(IpcObject, Verdict)>> {
    let all = ipc::list().map_err(Error::system("list System V IPC"))?;
    let mut attached = BTreeSet::new();
    for pid in dominos {
        attached.extend(ipc::attached(*pid).map_err(Error::Processes)?);
    }
    let mut unclaimed = None;
    let mut found = Vec::new();
    for object in all.into_iter().filter(|object| object.uid == finder.uid) {
        let verdict = match ipc::users(&object) {
            Ok(_)
                if object.kind == Kind::Shm && !object.doomed && attached.contains(&object.id) =>
            {
                Verdict::Dominos
            }
            Ok(users) => {
                let verdict = judge(&object, &users, dominos, |pid| may_use(&object, pid))?;
                // Nobody is on record: only if nobody is there it is nobody's.
                if verdict == Verdict::Orphan && users.is_empty() {
                    if unclaimed.is_none() {
                        unclaimed = Some(finder.others_live(dominos)?);
                    }
                    match unclaimed {
                        Some(true) => Verdict::Others("nobody knows who made it".into()),
                        _ if dominos.is_empty() => verdict,
                        _ => Verdict::Dominos,
                    }
                } else {
                    verdict
                }
            }
            Err(cause) => Verdict::Others(cause.to_string()),
        };
        found.push((object, verdict));
    }
    Ok(found)
}

fn judge(
    object: &IpcObject,
    users: &[Pid],
    dominos: &BTreeSet<Pid>,
    mut lives: impl FnMut(Pid) -> Result<bool>,
) -> Result<Verdict> {
    if object.doomed {
        return Ok(Verdict::Doomed);
    }
    if users.iter().any(|pid| dominos.contains(pid)) {
        return Ok(Verdict::Dominos);
    }
    for pid in users {
        if lives(*pid)? {
            return Ok(Verdict::Others(format!("process {pid} uses it")));
        }
    }
    if object.kind == Kind::Shm && object.count > 0 {
        return Ok(Verdict::Others(format!(
            "{} processes have it attached",
            object.count
        )));
    }
    Ok(Verdict::Orphan)
}

/// Whether a process lives and has the right to use the object. A pid that
/// went to another user's process since is nobody's.
fn may_use(object: &IpcObject, pid: Pid) -> Result<bool> {
    let process = process::inspect(pid).map_err(Error::Processes)?;
    Ok(process.is_some_and(|process| {
        !process.is_zombie()
            && (process.uid == object.uid || process.uid == 0 || object.mode & 0o077 != 0)
    }))
}

#[cfg(test)]
mod tests;
