//! Which files the processes of a user have open.

use super::explain;
use super::process::Pid;
use super::procfs::{self, Entry, PROC_BUFFER};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use std::collections::HashSet;
use std::io;

/// Regular files that were open at one moment, by device and inode.
#[derive(Clone, Debug, Default)]
pub struct OpenFiles {
    ids: HashSet<(u64, u64)>,
}

impl OpenFiles {
    /// Those of all processes of user `uid`, whatever namespaces they are in.
    /// Processes whose descriptors are closed to us (not dumpable ones) are
    /// passed.
    pub fn of_user(uid: u32) -> io::Result<OpenFiles> {
        let proc = procfs::open()?;
        let mut found = OpenFiles::default();
        let mut names = Vec::with_capacity(PROC_BUFFER);
        let mut numbers = Vec::with_capacity(PROC_BUFFER);
        let mut directory = RawDir::new(&proc, names.spare_capacity_mut());
        while let Some(next) = directory.next() {
            let dirent = next.map_err(|error| explain(error, "cannot read /proc"))?;
            let Some(pid) = Pid::parse(dirent.file_name().to_bytes()) else {
                continue;
            };
            // Cheap first: no descriptor is opened for other users' processes.
            let owner = rustix::fs::statat(&proc, dirent.file_name(), AtFlags::empty());
            if !owner.is_ok_and(|owner| owner.st_uid == uid) {
                continue;
            }
            let Some(entry) = Entry::open(&proc, pid)? else {
                continue;
            };
            if entry.uid() == uid
                && let Some(descriptors) = entry.descriptors()
            {
                found.add(&descriptors, &mut numbers);
            }
        }
        Ok(found)
    }

    /// Those of these processes. One that has ended has none.
    pub fn of(pids: &[Pid]) -> io::Result<OpenFiles> {
        let proc = procfs::open()?;
        let mut found = OpenFiles::default();
        let mut numbers = Vec::with_capacity(PROC_BUFFER);
        for pid in pids {
            if let Some(entry) = Entry::open(&proc, *pid)?
                && let Some(descriptors) = entry.descriptors()
            {
                found.add(&descriptors, &mut numbers);
            }
        }
        Ok(found)
    }

    /// Whether the file with this device and inode was open.
    pub fn contains(&self, id: (u64, u64)) -> bool {
        self.ids.contains(&id)
    }

    fn add(&mut self, descriptors: &OwnedFd, buffer: &mut Vec<u8>) {
        let mut directory = RawDir::new(descriptors, buffer.spare_capacity_mut());
        // A process that ends midway has nothing open any more.
        while let Some(Ok(dirent)) = directory.next() {
            if dirent.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            if let Ok(found) = rustix::fs::statat(descriptors, dirent.file_name(), AtFlags::empty())
                && FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
            {
                self.ids.insert((found.st_dev, found.st_ino));
            }
        }
    }
}

impl Entry {
    /// The directory of the process's descriptors; none where it is closed to
    /// us or the process has ended.
    fn descriptors(&self) -> Option<OwnedFd> {
        rustix::fs::openat(
            self.directory(),
            c"fd",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sleeper;
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    #[test]
    fn files_of_other_processes_and_our_own_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = directory.path().join("theirs");
        let idle = directory.path().join("idle");
        std::fs::write(&theirs, "").unwrap();
        std::fs::write(&idle, "").unwrap();
        let script = format!("exec 3<'{}'; echo; read x", theirs.display());
        let process = Sleeper::run(Command::new("/bin/sh").args(["-c", &script]));
        let id = |path: &std::path::Path| {
            let found = std::fs::metadata(path).unwrap();
            (found.dev(), found.ino())
        };
        let uid = crate::os::users::effective_uid();
        super::super::testing::until(|| OpenFiles::of_user(uid).unwrap().contains(id(&theirs)));
        assert!(!OpenFiles::of_user(uid).unwrap().contains(id(&idle)));
        let _own = std::fs::File::open(&idle).unwrap();
        assert!(OpenFiles::of_user(uid).unwrap().contains(id(&idle)));
        assert!(!OpenFiles::of_user(uid + 77).unwrap().contains(id(&theirs)));
        drop(process);
    }
}
