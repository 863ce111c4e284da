//! Never two servers on one data directory, on whatever hosts.
//!
//! Two things tell of another host. A *claim*, a file in the data directory
//! that names the host: written before a server is launched, removed when a
//! stop has seen it off. And a *sign of life*: the server's standard input is a
//! file that is locked as long as a process lives that has it; the kernel, or
//! the network filesystem, takes the lock away when there is none.
//!
//! docs/shared-data.md has what follows from them and why.

use super::partition::Partition;
use super::processes::resolve;
use super::tools::Work;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::files::read_bounded;
use crate::os::host::{kernel, mount_of, mounts};
use crate::os::open_files::OpenFiles;
use crate::os::process;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The claim's name in the data directory.
pub const CLAIM_FILE: &str = ".rc_domino.host";

/// The largest claim that is read, in bytes.
const LARGEST: u64 = 1 << 16;

/// Filesystems that more than one host can have mounted at a time. Every other
/// one belongs to the host that has it mounted, or it would be destroyed.
const SHARED: [&str; 24] = [
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "cvfs",
    "gfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "mmfs",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
];

/// A host at one time, as a claim names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    host: String,
    machine: Option<String>,
    boot: String,
    since: String,
    /// The administrator says that nobody else has the data: the next start
    /// need not ask.
    taken_over: bool,
}

impl Claim {
    /// This host, now.
    fn here(partition: &Partition) -> Claim {
        let machine = std::fs::read_to_string(partition.root.path("/etc/machine-id"));
        let machine = machine.unwrap_or_default().trim().to_owned();
        Claim {
            host: kernel().node,
            machine: (machine.len() == 32).then_some(machine),
            boot: crate::os::clock::boot_id().unwrap_or_default(),
            since: partition.stamp("%Y-%m-%d %H:%M:%S %z").unwrap_or_default(),
            taken_over: false,
        }
    }

    /// The claim that stands; none where nobody has made one. Why, where there
    /// is one that does not say whose it is.
    fn read(partition: &Partition) -> Claimed {
        let path = file(partition);
        match read_bounded(&path, LARGEST) {
            Ok(text) => Claim::parse(&String::from_utf8_lossy(&text))
                .map(Some)
                .ok_or_else(|| format!("{} names no host", path.display())),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::file("read", path)(cause).to_string()),
        }
    }

    /// `NAME=VALUE` lines. None where no host is named: then it says nothing.
    fn parse(text: &str) -> Option<Claim> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| shown(OsStr::new(value.trim())))
                .filter(|value| !value.is_empty())
        };
        Some(Claim {
            host: value("host")?,
            machine: value("machine"),
            boot: value("boot").unwrap_or_default(),
            since: value("since").unwrap_or_default(),
            taken_over: value("taken_over").is_some(),
        })
    }

    fn text(&self) -> String {
        let mut text = format!("host={}\n", self.host);
        if let Some(machine) = &self.machine {
            text.push_str(&format!("machine={machine}\n"));
        }
        text.push_str(&format!("boot={}\nsince={}\n", self.boot, self.since));
        if self.taken_over {
            text.push_str("taken_over=yes\n");
        }
        text
    }

    /// Whether it is the same host, at this boot or an earlier one. Images of
    /// containers and cloned machines share an id or have none: the name has
    /// to be the same too.
    fn is_of(&self, other: &Claim) -> bool {
        let ids = self.machine.as_ref().zip(other.machine.as_ref());
        self.host == other.host && ids.is_none_or(|(own, others)| own == others)
    }
}

fn file(partition: &Partition) -> PathBuf {
    partition.data().join(CLAIM_FILE)
}

/// What is known of a server on these data that does not run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// A process holds its input: it lives.
    Lives {
        /// Where, as far as that is known.
        host: Option<String>,
        /// The type of the filesystem, where several hosts can have it.
        shared: Option<String>,
    },
    /// Another host claimed the data, which it may still have mounted.
    MayLive {
        /// Which one.
        host: String,
        /// Since when.
        since: String,
        /// The type of the filesystem.
        shared: String,
    },
    /// Somebody claimed the data, on a filesystem of many hosts; who cannot be
    /// told.
    Unclear {
        /// Why.
        why: String,
        /// The type of the filesystem.
        shared: String,
    },
}

/// Looks for it. Only where nothing of the server runs here does the answer
/// mean anything.
pub fn elsewhere(partition: &Partition) -> Result<Option<Elsewhere>> {
    look(partition, &Claim::here(partition), &Claim::read(partition))
}

/// What a claim says; an error is why it says nothing.
type Claimed = std::result::Result<Option<Claim>, String>;

fn look(partition: &Partition, here: &Claim, claim: &Claimed) -> Result<Option<Elsewhere>> {
    let foreign = match claim {
        Ok(Some(claim)) if claim.is_of(here) => Ok(None),
        other => other.clone(),
    };
    let lives = input_is_held(partition)?;
    if !lives && foreign == Ok(None) {
        return Ok(None);
    }
    Ok(judge(lives, foreign, shared_type(partition)))
}

fn judge(lives: bool, foreign: Claimed, shared: Option<String>) -> Option<Elsewhere> {
    match (lives, foreign, shared) {
        (true, foreign, shared) => Some(Elsewhere::Lives {
            host: foreign.ok().flatten().map(|claim| claim.host),
            shared,
        }),
        (false, Ok(Some(claim)), Some(shared)) => Some(Elsewhere::MayLive {
            host: claim.host,
            since: claim.since,
            shared,
        }),
        (false, Err(why), Some(shared)) => Some(Elsewhere::Unclear { why, shared }),
        _ => None,
    }
}

/// Whether somebody whom this host's list of processes does not show has a
/// server's input. What a server started and left behind here may have it too.
fn input_is_held(partition: &Partition) -> Result<bool> {
    let path = partition.settings.input_file();
    // A network filesystem locks for itself only what is open for writing.
    let opened = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .or_else(|_| File::open(&path));
    let file = match opened {
        Ok(file) => file,
        Err(_) => return Ok(false),
    };
    if crate::os::lock::try_exclusive(&file).map_err(Error::file("lock", &path))? {
        return Ok(false);
    }
    let id = file
        .metadata()
        .map(|found| (found.dev(), found.ino()))
        .map_err(Error::file("examine", &path))?;
    drop(file);
    let own = process::self_pid();
    let pids: Vec<_> = process::scan(partition.user.uid, |sighting| sighting.pid != own)
        .map_err(Error::Processes)?
        .into_iter()
        .map(|process| process.pid)
        .collect();
    let open = OpenFiles::of(&pids).map_err(Error::Processes)?;
    Ok(!open.contains(id))
}

/// The type of the filesystem of the data, where several hosts can have it.
fn shared_type(partition: &Partition) -> Option<String> {
    let mounts = mounts().ok()?;
    let mount = mount_of(&mounts, &resolve(&partition.data()))?;
    is_shared(&mount.kind, &mount.options).then(|| mount.kind.clone())
}

fn is_shared(kind: &str, options: &str) -> bool {
    let cluster_mount = kind == "vxfs" && options.split(',').any(|option| option == "cluster");
    // In user space nearly all are remote ones: sshfs, s3fs, glusterfs. Not all
    // of them say which they are.
    let in_user_space = kind == "fuse" || kind.starts_with("fuse.");
    cluster_mount || SHARED.contains(&kind) || in_user_space
}

/// Before a start, when nothing of the server runs here: refuses where another
/// host has the data, or may have them and nobody says that it has not.
pub fn admit(work: &mut Work) -> Result<()> {
    let here = Claim::here(work.partition);
    let claim = Claim::read(work.partition);
    let says_so = |claim: &Claim| claim.taken_over && claim.is_of(&here) && claim.boot == here.boot;
    let taken_over = work.partition.settings.take_over.value
        || matches!(&claim, Ok(Some(claim)) if says_so(claim));
    let Some(found) = look(work.partition, &here, &claim)? else {
        if let Ok(Some(claim)) = claim
            && !claim.is_of(&here)
        {
            work.reporter.info(&format!(
                "Host {} ran this server last, since {}, and did not stop it; its data are here now",
                claim.host, claim.since
            ));
        }
        return Ok(());
    };
    if !found.gives_way() || !taken_over {
        return Err(found.refusal(work.partition));
    }
    work.reporter.warn(&format!(
        "{}; started all the same, since the data were taken over",
        found.story(work.partition)
    ));
    Ok(())
}

impl Elsewhere {
    /// Whether the administrator's word is enough: on a filesystem that is
    /// this host's alone the lock's word is better than anybody's.
    fn gives_way(&self) -> bool {
        !matches!(self, Elsewhere::Lives { shared: None, .. })
    }

    /// What is known, as a sentence without its end.
    pub fn story(&self, partition: &Partition) -> String {
        let data = partition.data();
        match self {
            Elsewhere::Lives { host, .. } => format!(
                "a server on {} runs {}: it has {} open",
                data.display(),
                match host {
                    Some(host) => format!("on host {host}"),
                    None => "on another host or in another container".to_owned(),
                },
                partition.settings.input_file().display()
            ),
            Elsewhere::MayLive {
                host,
                since,
                shared,
            } => format!(
                "host {host} started a server on {} ({shared}, which several hosts can have mounted) on {since} and has not stopped it",
                data.display()
            ),
            Elsewhere::Unclear { why, shared } => format!(
                "another host may run a server on {} ({shared}, which several hosts can have mounted): {why}",
                data.display()
            ),
        }
    }

    fn refusal(&self, partition: &Partition) -> Error {
        let way_out = match self {
            Elsewhere::Lives { shared: None, .. } => "stop it there",
            Elsewhere::Unclear { .. } => {
                "if no host runs it for certain, 'rc_domino start --take-over' starts it here"
            }
            _ => {
                "stop it there; if that host is dead for certain, 'rc_domino start --take-over' starts it here"
            }
        };
        Error::Refused {
            message: format!("not started: {}; {way_out}", self.story(partition)),
            exit: Exit::Failed,
        }
    }
}

/// Writes this host's claim, before the launch. Where nobody else can have the
/// data it decides nothing: a full disk then keeps no server down.
pub fn take(work: &mut Work) -> Result<()> {
    match write(work.partition, &Claim::here(work.partition)) {
        Err(error) if shared_type(work.partition).is_none() => {
            work.reporter.warn(&error.to_string());
            Ok(())
        }
        done => done,
    }
}

/// The administrator's word that nobody else has the data, for the next start
/// of this boot. Refused where a server lives on data that are this host's
/// alone.
pub fn take_over(work: &mut Work) -> Result<()> {
    if let Some(found) = elsewhere(work.partition)?.filter(|found| !found.gives_way()) {
        return Err(found.refusal(work.partition));
    }
    let claim = Claim {
        taken_over: true,
        ..Claim::here(work.partition)
    };
    write(work.partition, &claim)
}

fn write(partition: &Partition, claim: &Claim) -> Result<()> {
    let path = file(partition);
    crate::os::files::write_atomically(&path, claim.text().as_bytes(), 0o644)
        .map_err(Error::file("write", &path))
}

/// Removes the claim when nothing of the server runs any more, here or, as far
/// as can be told, anywhere.
pub fn release(work: &mut Work) {
    let path = file(work.partition);
    if path.symlink_metadata().is_err() || !matches!(elsewhere(work.partition), Ok(None)) {
        return;
    }
    if let Err(cause) = std::fs::remove_file(&path)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        work.reporter.warn(&format!(
            "cannot remove {}: {cause}; another host may refuse to start this server",
            path.display()
        ));
    }
}

/// Makes a server's input its sign of life. Where that cannot be, there is the
/// claim still.
pub fn sign_of_life(input: &File) {
    let _ = crate::os::lock::share(input);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(host: &str, machine: Option<&str>, boot: &str) -> Claim {
        Claim {
            host: host.into(),
            machine: machine.map(str::to_owned),
            boot: boot.into(),
            since: "2026-11-22".into(),
            taken_over: false,
        }
    }

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for taken_over in [false, true] {
            for machine in [None, Some("0123456789abcdef0123456789abcdef")] {
                let written = Claim {
                    taken_over,
                    ..claim("node1.example", machine, "b")
                };
                assert_eq!(Claim::parse(&written.text()), Some(written));
            }
        }
        assert_eq!(Claim::parse(""), None);
        assert_eq!(Claim::parse("host=\nboot=x\n"), None);
        let hostile = Claim::parse("host=a\u{1b}[31mb\nother\n").unwrap();
        assert_eq!(hostile.host, "a\\u{1b}[31mb");
    }

    #[test]
    fn a_host_is_the_same_after_a_boot_and_another_by_name_or_id() {
        let here = claim("mail1", Some("m1"), "boot2");
        assert!(claim("mail1", Some("m1"), "boot1").is_of(&here));
        assert!(claim("mail1", None, "boot1").is_of(&here));
        assert!(!claim("mail2", Some("m1"), "boot2").is_of(&here));
        assert!(!claim("mail1", Some("m2"), "boot2").is_of(&here));
        assert!(!claim("pod-7f", None, "boot2").is_of(&here));
    }

    #[test]
    fn what_follows_from_claim_lock_and_filesystem() {
        let other = || Ok(Some(claim("node2", None, "b")));
        let nfs = || Some("nfs4".to_owned());
        // Nothing, a stale claim on this host's own disk.
        assert_eq!(judge(false, Ok(None), None), None);
        assert_eq!(judge(false, Ok(None), nfs()), None);
        assert_eq!(judge(false, other(), None), None);
        // A lock on a local disk: another container of this very kernel.
        let lives = judge(true, other(), None).unwrap();
        assert!(!lives.gives_way());
        assert!(!judge(true, Ok(None), None).unwrap().gives_way());
        // On a network a lock may outlive its host.
        assert!(judge(true, other(), nfs()).unwrap().gives_way());
        let may_live = judge(false, other(), nfs()).unwrap();
        assert!(matches!(may_live, Elsewhere::MayLive { .. }) && may_live.gives_way());
        // One that cannot be read is somebody's, where there can be somebody.
        let unclear = || Err("it is empty".to_owned());
        assert_eq!(judge(false, unclear(), None), None);
        assert!(judge(false, unclear(), nfs()).unwrap().gives_way());
    }

    #[test]
    fn filesystems_that_several_hosts_can_have() {
        for kind in ["nfs4", "cifs", "gfs2", "ocfs2", "fuse.sshfs", "fuse", "9p"] {
            assert!(is_shared(kind, "rw"), "{kind}");
        }
        for kind in [
            "ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "vxfs",
        ] {
            assert!(!is_shared(kind, "rw,relatime"), "{kind}");
        }
        assert!(is_shared("vxfs", "rw,cluster"));
    }
}
