use super::*;
use proptest::prelude::*;
use std::time::Duration;

const UID: u32 = 1000;

fn finder() -> Finder {
    Finder {
        programs: Programs::at("/opt/hcl/domino"),
        uid: UID,
        directories: vec!["/opt/ctd/bin".into()],
        callers: BTreeSet::from([process::self_pid()]),
    }
}

fn process(exe: Option<&str>, cmdline: &[&str]) -> Process {
    Process {
        pid: Pid::new(i32::MAX).unwrap(),
        parent: None,
        uid: UID,
        state: 'S',
        threads: 1,
        start_ticks: 1,
        cpu: Duration::ZERO,
        rss_bytes: 0,
        comm: "x".into(),
        exe: exe.map(PathBuf::from),
        exe_deleted: false,
        cwd: None,
        cmdline: cmdline.iter().map(OsString::from).collect(),
    }
}

fn reason(exe: Option<&str>, cmdline: &[&str]) -> Option<Reason> {
    finder()
        .recognise(process(exe, cmdline))
        .map(|found| found.reason)
}

#[test]
fn processes_belong_by_what_they_run() {
    let router = "/opt/hcl/domino/notes/latest/linux/router";
    for (exe, cmdline, expected) in [
        (router, &["router"][..], Some(Reason::Domino(Role::Task))),
        (
            "/opt/hcl/domino/tools/x",
            &["x"],
            Some(Reason::Installation),
        ),
        ("/opt/ctd/bin/agent", &["agent"], Some(Reason::ThirdParty)),
        (
            "/bin/sh",
            &["sh", "-x", "/opt/ctd/bin/run"],
            Some(Reason::ThirdParty),
        ),
        (
            "/usr/bin/python3.11",
            &["python3", "/opt/ctd/bin/a.py"],
            Some(Reason::ThirdParty),
        ),
        (
            "/jvm/java",
            &["java", "-cp", "/x:/opt/ctd/bin/a.jar", "M"],
            Some(Reason::ThirdParty),
        ),
        (
            "/jvm/java",
            &["java", "-jar", "/x/cfgdomserver.jar"],
            Some(Reason::Setup),
        ),
        (
            "/usr/bin/openssl",
            &["openssl", "s_server", "-accept", "1352"],
            Some(Reason::Setup),
        ),
        ("/opt/ctd/binary", &["binary"], None),
        ("/usr/bin/tail", &["tail", "-f", "/opt/ctd/bin/log"], None),
        (
            "/usr/bin/vi",
            &["vi", "/opt/hcl/domino/notes/latest/linux/server"],
            None,
        ),
        ("/bin/sh", &["sh", "-c", "tail -f /opt/ctd/bin/log"], None),
        (
            "/usr/bin/openssl",
            &["openssl", "s_client", "-accept"],
            None,
        ),
        ("/jvm/java", &["java", "-jar", "/x/other.jar"], None),
    ] {
        assert_eq!(reason(Some(exe), cmdline), expected, "{exe} {cmdline:?}");
    }
    assert_eq!(
        reason(None, &["/opt/ctd/bin/agent"]),
        Some(Reason::ThirdParty)
    );
    assert_eq!(reason(None, &[]), None);
}

#[test]
fn another_users_process_never_belongs() {
    let mut other = process(
        Some("/opt/hcl/domino/notes/latest/linux/server"),
        &["server"],
    );
    other.uid = UID + 1;
    assert!(finder().recognise(other).is_none());
}

#[test]
fn a_caller_from_a_third_partys_directory_is_spared_and_domino_is_not() {
    let mut finder = finder();
    let script = process(Some("/opt/ctd/bin/agent"), &["agent"]);
    finder.callers.insert(script.pid);
    assert!(finder.recognise(script).is_none());
    let server = process(Some("/opt/hcl/domino/notes/1/linux/amgr"), &["amgr"]);
    assert!(finder.recognise(server).is_some());
}

fn pid() -> impl Strategy<Value = Pid> {
    (1..50).prop_map(|number| Pid::new(number).unwrap())
}

prop_compose! {
    fn object()(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        cpid in prop::option::of(pid()),
        lpid in prop::option::of(pid()),
        count in 0..3u64,
        doomed: bool,
    ) -> IpcObject {
        IpcObject {
            kind, id: 1, key: 0, mode: 0o600, uid: UID, gid: 0, cuid: UID, cgid: 0,
            bytes: 1, count, cpid, lpid, changed: None,
            doomed: doomed && kind == Kind::Shm,
        }
    }
}

proptest! {
    /// What a living process that was not killed uses stays, whatever else is
    /// true; what the killed used goes.
    #[test]
    fn objects_in_use_stay(
        object in object(),
        killed in prop::collection::btree_set(pid(), 0..20),
        living in prop::collection::btree_set(pid(), 0..20),
    ) {
        let users: Vec<Pid> = [object.cpid, object.lpid].into_iter().flatten().collect();
        let verdict = judge(&object, &users, &killed, |pid| Ok(living.contains(&pid))).unwrap();
        let of_killed = users.iter().any(|pid| killed.contains(pid));
        let in_use = users.iter().any(|pid| living.contains(pid))
            || object.kind == Kind::Shm && object.count > 0;
        match verdict {
            Verdict::Doomed => prop_assert!(object.doomed),
            Verdict::Dominos => prop_assert!(of_killed && !object.doomed),
            Verdict::Orphan => prop_assert!(!of_killed && !in_use),
            Verdict::Others(_) => prop_assert!(!of_killed && in_use),
        }
    }

    /// Arguments alone make nothing a third party's unless an interpreter
    /// runs them.
    #[test]
    fn no_argument_makes_a_foreign_program_belong(
        arguments in prop::collection::vec("(-[a-z]|/opt/(ctd/bin|hcl/domino/notes)/[a-z]{1,4}|server|s_server|-accept)", 0..5),
        program in "/(usr/)?s?bin/(tail|vi|cat|grep|postgres|httpd)",
    ) {
        let mut cmdline = vec![program.as_str()];
        cmdline.extend(arguments.iter().map(String::as_str));
        prop_assert_eq!(reason(Some(&program), &cmdline), None);
    }
}
