//! Users and groups, read from files, and the switch to another user.
//!
//! The binary is static: getpwnam, getgrouplist and initgroups would load the
//! host's NSS modules into it and crash where its glibc is another one. What
//! the files do not know is asked of `getent` and `id`.

use super::bounded::{Ended, Output, run_bounded};
use super::root::Root;
use super::spawn::Launch;
use super::{explain, files};
use nix::unistd::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

/// The most that is read of one of the system's tables, in bytes.
const TABLE_MAX: u64 = 64 * 1024 * 1024;

/// How long a directory service may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Where `getent` and `id` are looked for.
const SYSTEM_PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// One line of the passwd table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: OsString,
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell; /bin/sh where the table names none (passwd(5)).
    pub shell: PathBuf,
}

/// Finds a user by name: in /etc/passwd, then, on the running system, through
/// `getent passwd NAME`.
pub fn find_by_name(root: &Root, name: &OsStr) -> io::Result<Option<User>> {
    let matches = |user: &User| user.name == name;
    if let Some(user) = find_in_file(root, matches)? {
        return Ok(Some(user));
    }
    if !root.is_system() || !is_askable(name.as_bytes()) {
        return Ok(None);
    }
    // A name of digits would be looked up as a number.
    let answer = ask("getent", &[OsStr::new("passwd"), name])?;
    Ok(answer.and_then(|table| find_in(&table, matches)))
}

/// Finds a user by number, in the same places.
pub fn find_by_uid(root: &Root, uid: u32) -> io::Result<Option<User>> {
    let matches = |user: &User| user.uid == uid;
    if let Some(user) = find_in_file(root, matches)? {
        return Ok(Some(user));
    }
    if !root.is_system() {
        return Ok(None);
    }
    let number = OsString::from(uid.to_string());
    let answer = ask("getent", &[OsStr::new("passwd"), &number])?;
    Ok(answer.and_then(|table| find_in(&table, matches)))
}

/// The name of a user for messages; none where it cannot be found out. Asks
/// the files only.
pub fn owner_name(root: &Root, uid: u32) -> Option<OsString> {
    find_in_file(root, |user| user.uid == uid)
        .ok()
        .flatten()
        .map(|user| user.name)
}

fn find_in_file(root: &Root, matches: impl Fn(&User) -> bool) -> io::Result<Option<User>> {
    Ok(find_in(&read_table(root, "/etc/passwd")?, matches))
}

/// A table that is not there is empty: the directory service may have it all.
fn read_table(root: &Root, table: &str) -> io::Result<Vec<u8>> {
    match files::read_bounded(&root.path(table), TABLE_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn find_in(table: &[u8], matches: impl Fn(&User) -> bool) -> Option<User> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(parse_user)
        .find(matches)
}

/// `name:password:uid:gid:comment:home:shell`. Lines for NIS (`+`, `-`) and
/// malformed ones are passed over, as glibc does.
fn parse_user(line: &[u8]) -> Option<User> {
    if matches!(line.first(), None | Some(b'+' | b'-' | b'#')) {
        return None;
    }
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = parse_number(fields.nth(1)?)?;
    let gid = parse_number(fields.next()?)?;
    let home = fields.nth(1)?;
    let shell = fields.next().filter(|shell| !shell.is_empty());
    Some(User {
        name: OsString::from_vec(name.to_vec()),
        uid,
        gid,
        home: PathBuf::from(OsString::from_vec(home.to_vec())),
        shell: PathBuf::from(OsString::from_vec(shell.unwrap_or(b"/bin/sh").to_vec())),
    })
}

fn parse_number(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a name may be given to `getent` and `id`: none of their options, and
/// nothing that a line of the table cannot hold.
fn is_askable(name: &[u8]) -> bool {
    !name.is_empty()
        && name[0] != b'-'
        && !name
            .iter()
            .any(|byte| matches!(byte, b':' | b'\n' | b'/' | 0))
}

/// Runs one of the system's own look-up programs; none if it found nothing.
fn ask(program: &str, args: &[&OsStr]) -> io::Result<Option<Vec<u8>>> {
    let mut launch = Launch::new(program);
    launch.args = args.iter().map(|arg| arg.to_os_string()).collect();
    launch.env = vec![
        ("PATH".into(), SYSTEM_PATH.into()),
        ("LC_ALL".into(), "C".into()),
    ];
    launch.cwd = Some("/".into());
    launch.stderr = super::spawn::Stream::Null;
    let shown = || {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        format!("{program} {}", words.join(" "))
    };
    let mut answer = Vec::new();
    let output = Output::Bytes {
        bound: 1024 * 1024,
        into: &mut answer,
    };
    let ended = run_bounded(launch, Some(ANSWER_LIMIT), None, output)
        .map_err(|error| explain(error, format_args!("cannot ask `{}`", shown())))?;
    match ended {
        Ended::Exited(status) if status.success() => Ok(Some(answer)),
        // getent(1): 2 = a key was not found. id(1): 1 = no such user.
        Ended::Exited(status) if matches!(status.code(), Some(1 | 2)) => Ok(None),
        Ended::Exited(status) => Err(io::Error::other(format!("`{}`: {status}", shown()))),
        Ended::TimedOut | Ended::Interrupted(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "`{}` gave no answer within {} s: is the directory service up?",
                shown(),
                ANSWER_LIMIT.as_secs()
            ),
        )),
    }
}

/// All groups of a user, the primary one first: from /etc/group, and from
/// `id -G` where nsswitch.conf names further sources for groups.
pub fn supplementary_groups(root: &Root, user: &User) -> io::Result<Vec<u32>> {
    let mut groups = vec![user.gid];
    let mut add = |gid: u32| {
        if !groups.contains(&gid) {
            groups.push(gid);
        }
    };
    let table = read_table(root, "/etc/group")?;
    for line in table.split(|byte| *byte == b'\n') {
        if let Some((_, gid, members)) = parse_group(line)
            && members
                .split(|byte| *byte == b',')
                .any(|member| member == user.name.as_bytes())
        {
            add(gid);
        }
    }
    if groups_lie_elsewhere(root)? && is_askable(user.name.as_bytes()) {
        let answer = ask("id", &[OsStr::new("-G"), &user.name])?.unwrap_or_default();
        for word in answer.split(|byte| byte.is_ascii_whitespace()) {
            if let Some(gid) = parse_number(word).filter(|_| !word.is_empty()) {
                add(gid);
            }
        }
    }
    Ok(groups)
}

/// The name of a group, if it has one; asked of `getent` only where groups may
/// lie outside of the files.
pub fn group_name(root: &Root, gid: u32) -> io::Result<Option<OsString>> {
    let find = |table: &[u8]| {
        table
            .split(|byte| *byte == b'\n')
            .filter_map(parse_group)
            .find(|(_, found, _)| *found == gid)
            .map(|(name, _, _)| OsString::from_vec(name.to_vec()))
    };
    if let Some(name) = find(&read_table(root, "/etc/group")?) {
        return Ok(Some(name));
    }
    if !groups_lie_elsewhere(root)? {
        return Ok(None);
    }
    let number = OsString::from(gid.to_string());
    let answer = ask("getent", &[OsStr::new("group"), &number])?;
    Ok(answer.and_then(|table| find(&table)))
}

/// `name:password:gid:members`.
fn parse_group(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    if matches!(line.first(), None | Some(b'+' | b'-' | b'#')) {
        return None;
    }
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = parse_number(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// Whether nsswitch.conf(5) names sources of groups besides the files, on the
/// running system. systemd's source has no groups but those of its own users.
fn groups_lie_elsewhere(root: &Root) -> io::Result<bool> {
    Ok(root.is_system() && names_other_sources(&read_table(root, "/etc/nsswitch.conf")?))
}

fn names_other_sources(nsswitch: &[u8]) -> bool {
    let text = String::from_utf8_lossy(nsswitch);
    text.lines()
        .filter_map(|line| line.split('#').next().unwrap_or("").split_once(':'))
        // A line `initgroups:` replaces `group:` for a user's own groups.
        .filter(|(table, _)| matches!(table.trim(), "group" | "initgroups"))
        .any(|(_, sources)| {
            let mut in_action = false;
            sources.split_whitespace().any(|word| {
                in_action |= word.starts_with('[');
                let is_source = !in_action;
                in_action &= !word.ends_with(']');
                is_source && !matches!(word, "files" | "compat" | "systemd")
            })
        })
}

/// The effective user of this process.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group of this process.
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The real user of this process.
pub fn real_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Becomes `user` with these groups for good: groups, then gid, then uid, in
/// real, effective and saved; then makes sure that all of it took hold and that
/// there is no way back to root. A wish to end with the parent stays. After an
/// error the process may be anything in between: it must end.
pub fn become_user(user: &User, groups: &[u32]) -> io::Result<()> {
    let failed = |error: nix::Error, what: &str| {
        let name = user.name.to_string_lossy();
        explain(error, format!("cannot become user {name} ({what})"))
    };
    let wanted: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    // The kernel forgets it with the old user (prctl(2), PR_SET_PDEATHSIG).
    let with_parent = rustix::process::parent_process_death_signal()?;
    nix::unistd::setgroups(&wanted).map_err(|error| failed(error, "setgroups"))?;
    nix::unistd::setresgid(gid, gid, gid).map_err(|error| failed(error, "setresgid"))?;
    nix::unistd::setresuid(uid, uid, uid).map_err(|error| failed(error, "setresuid"))?;
    rustix::process::set_parent_process_death_signal(with_parent)?;

    let uids = nix::unistd::getresuid().map_err(|error| failed(error, "getresuid"))?;
    let gids = nix::unistd::getresgid().map_err(|error| failed(error, "getresgid"))?;
    let held = nix::unistd::getgroups().map_err(|error| failed(error, "getgroups"))?;
    let as_asked = [uids.real, uids.effective, uids.saved] == [uid; 3]
        && [gids.real, gids.effective, gids.saved] == [gid; 3]
        && sorted(&held) == sorted(&wanted);
    // Trying is the only proof: capabilities or a user namespace could still
    // allow it.
    let root = Uid::from_raw(0);
    let no_way_back = user.uid == 0
        || (nix::unistd::setresuid(root, root, root).is_err()
            && nix::unistd::setuid(root).is_err()
            && (user.gid == 0 || nix::unistd::setgid(Gid::from_raw(0)).is_err()));
    if as_asked && no_way_back {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "the switch to user {} did not take hold: end this process",
            user.name.to_string_lossy()
        ),
    ))
}

fn sorted(groups: &[Gid]) -> Vec<u32> {
    let mut numbers: Vec<u32> = groups.iter().map(|gid| gid.as_raw()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn rooted(passwd: &[u8], group: &[u8]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(dir.path().join("etc/group"), group).unwrap();
        let root = Root::at(dir.path().to_path_buf());
        (dir, root)
    }

    #[test]
    fn users_and_groups_are_read_byte_for_byte_from_the_files() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n+@nis\n# x:x:7:7::/:/x\nbroken:x\n\
            minus:x:-1:0::/:\nnotes:x:1001:100:K\xf6ln:/home/no tes:/sbin/nologin\n\
            bare:x:7:8::/:\nnotes:x:1:1::/:/x\n";
        let group = b"root:x:0:\nusers:x:100:other\nextra:x:200:a,notes\nno:x:300:notes2,xnotes\n\
            last:x:400:notes\n+:::\n";
        let (_dir, root) = rooted(passwd, group);
        let notes = find_by_name(&root, OsStr::new("notes")).unwrap().unwrap();
        assert_eq!((notes.uid, notes.gid), (1001, 100));
        assert_eq!(notes.home, Path::new("/home/no tes"));
        assert_eq!(notes.shell, Path::new("/sbin/nologin"));
        assert_eq!(find_by_uid(&root, 1001).unwrap(), Some(notes.clone()));
        let bare = find_by_uid(&root, 7).unwrap().unwrap();
        assert_eq!(
            (bare.name.as_os_str(), bare.shell),
            (OsStr::new("bare"), "/bin/sh".into())
        );
        assert_eq!(
            supplementary_groups(&root, &notes).unwrap(),
            [100, 200, 400]
        );
        assert_eq!(group_name(&root, 200).unwrap().unwrap(), "extra");
        assert_eq!(group_name(&root, 201).unwrap(), None);
        assert_eq!(owner_name(&root, 0).unwrap(), "root");
        assert_eq!(owner_name(&root, 55), None);
        for nobody in ["minus", "broken", "", "+@nis", "-x", "a:b"] {
            assert_eq!(find_by_name(&root, OsStr::new(nobody)).unwrap(), None);
        }
    }

    #[test]
    fn the_running_system_is_asked_for_what_its_files_do_not_say() {
        let system = Root::system();
        assert_eq!(find_by_uid(&system, 0).unwrap().unwrap().name, "root");
        assert_eq!(
            find_by_name(&system, OsStr::new("root"))
                .unwrap()
                .unwrap()
                .uid,
            0
        );
        assert_eq!(
            find_by_name(&system, OsStr::new("no-such-user")).unwrap(),
            None
        );
        assert_eq!(find_by_name(&system, OsStr::new("0")).unwrap(), None);
        assert_eq!(find_by_name(&system, OsStr::new("--help")).unwrap(), None);
        assert_eq!(find_by_uid(&system, 4_000_000_001).unwrap(), None);
        let root = find_by_uid(&system, 0).unwrap().unwrap();
        let mut groups = supplementary_groups(&system, &root).unwrap();
        let id = Command::new("id").args(["-G", "root"]).output().unwrap();
        let mut told: Vec<u32> = String::from_utf8(id.stdout)
            .unwrap()
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        groups.sort_unstable();
        told.sort_unstable();
        assert_eq!(groups, told);
        assert!(ask("no-such-program", &[]).is_err());
    }

    #[test]
    fn sources_of_groups_are_read_from_nsswitch() {
        for plain in [
            "",
            "passwd: files sss",
            "group: files systemd # sss",
            "group: files [SUCCESS=merge] systemd",
            "group: compat [ NOTFOUND = return ] files",
        ] {
            assert!(!names_other_sources(plain.as_bytes()), "{plain}");
        }
        for more in [
            "group: files sss",
            "initgroups: sss",
            "group: files [SUCCESS=merge] ldap",
        ] {
            assert!(names_other_sources(more.as_bytes()), "{more}");
        }
    }

    #[test]
    #[ignore = "gives up its user: runs in a process of its own, started by the next test"]
    fn helper_become_user() {
        let user = User {
            name: "someone".into(),
            uid: 4242,
            gid: 4243,
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        become_user(&user, &[4243, 77, 78]).unwrap();
        assert!(std::fs::File::open("/etc/shadow").is_err());
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        for line in [
            "Uid:\t4242\t4242\t4242\t4242",
            "Gid:\t4243\t4243\t4243\t4243",
            "Groups:\t77 78 4243",
        ] {
            assert!(status.contains(line), "{status}");
        }
        // Once more is no switch at all, and refused.
        assert!(become_user(&user, &[4243]).is_err());
    }

    /// Root becomes somebody for good; for anybody else it must be refused.
    #[test]
    fn the_switch_of_user_is_complete_or_refused() {
        let run = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "os::users::tests::helper_become_user",
            ])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        if effective_uid() == 0 {
            assert!(run.status.success() && said.contains("1 passed"), "{said}");
        } else {
            assert!(!run.status.success(), "{said}");
            let user = find_by_uid(&Root::system(), 0).unwrap().unwrap();
            let error = become_user(&user, &[0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(real_uid(), effective_uid());
    }
}
