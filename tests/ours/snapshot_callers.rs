//! The products as their sources and manuals have them, small: each calls the
//! scripts that `snapshot install` wrote, as real processes around a stand-in
//! server.

use super::snapshot::{HELD, back, go_on, no_keeper, stopping};
use super::snapshot_install::{host, put};
use crate::support::command::Command;
use crate::support::{Sandbox, holds, spawned, wait_until};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

scenarios![
    azure_pre_and_post,
    azure_gives_up_while_pre_still_runs,
    azure_never_reads_what_scripts_print,
    azure_goes_by_exit_codes,
    qemu_reads_a_hook_to_its_end,
    qemu_has_no_thaw_after_a_failed_hook,
    qemu_wrapper_is_called_and_undone,
    vmware_ends_a_script_by_signal,
    vmware_words,
    veeam_copies_its_scripts,
    veeam_fails_a_job_on_any_code,
    arcserve_shows_a_verdict,
    arcserve_output_may_be_hostile,
    netbackup_notifies,
    netbackup_leaves_users_backups_alone,
    any_script_in_the_sites_place,
    a_caller_that_never_reads_is_answered,
];

/// A hook that prints four times what a pipe holds.
const FLOOD: &str = "i=0; while [ $i -lt 4000 ]; do echo 'a line of a hook that says a good deal more than it must'; i=$((i+1)); done";

fn installed(sandbox: &Sandbox, words: &[&str]) {
    let line: Vec<&str> = ["snapshot", "install"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    sandbox.run(&line).code(0);
}

/// A process as the sandbox's products start them.
fn product(sandbox: &Sandbox, program: &Path, words: &[&str]) -> std::process::Command {
    Command::new(sandbox, program.to_path_buf())
        .args(words)
        .prepared()
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn undone(sandbox: &Sandbox) {
    wait_until("the freeze is undone", || {
        let history = sandbox.root.join("var/lib/rc_domino/history.jsonl");
        fs::read_to_string(history).is_ok_and(|text| text.contains("\"undo\""))
    });
    back(sandbox);
}

/// Azure's plug-in (VMBackup/main/PluginHost.py, ScriptRunner.py).
struct Azure<'a> {
    sandbox: &'a Sandbox,
    config: Value,
    /// Seconds between looks at a script; 3 there.
    poll: Duration,
    timeout: Duration,
}

impl<'a> Azure<'a> {
    /// What validate_scripts insists on, and load_modules before it.
    fn new(sandbox: &'a Sandbox) -> Azure<'a> {
        let file = sandbox
            .root
            .join("etc/azure/VMSnapshotScriptPluginConfig.json");
        let mode = fs::metadata(&file).unwrap().mode();
        assert!(mode & 0o177 == 0, "{mode:o}");
        let config: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for key in ["preScriptLocation", "postScriptLocation"] {
            let found = fs::metadata(config[key].as_str().unwrap()).unwrap();
            assert!(found.is_file() && found.mode() & 0o077 == 0, "{key}");
            assert_eq!(found.uid(), sandbox.ids.0, "{key}: stands for root here");
        }
        let seconds = config["timeoutInSeconds"].as_u64().unwrap().min(1800);
        Azure {
            sandbox,
            config,
            poll: Duration::from_millis(30),
            timeout: Duration::from_secs(seconds),
        }
    }

    /// `sh SCRIPT` with pipes that nobody reads.
    fn start(&self, key: &str) -> Child {
        let script = self.config[key].as_str().unwrap();
        // The template's parameters are two empty words.
        let mut command = product(self.sandbox, Path::new("/bin/sh"), &[script, "", ""]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        spawned(&mut command)
    }

    /// The code of a script; none where it still runs at the timeout. It is
    /// not killed then.
    fn wait(&self, script: &mut Child) -> Option<i32> {
        let end = Instant::now() + self.timeout;
        loop {
            if let Some(status) = script.try_wait().unwrap() {
                return Some(code(status));
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(self.poll);
        }
    }

    fn run(&self, key: &str) -> Option<i32> {
        self.wait(&mut self.start(key))
    }
}

fn azure_pre_and_post() {
    let sandbox = host();
    installed(&sandbox, &["azure"]);
    let azure = Azure::new(&sandbox);
    assert_eq!(azure.config["continueBackupOnFailure"], false);
    sandbox.up();
    assert_eq!(azure.run("preScriptLocation"), Some(0));
    assert!(sandbox.processes().is_empty());
    assert_eq!(azure.run("postScriptLocation"), Some(0));
    back(&sandbox);
    sandbox.down();
}

fn azure_gives_up_while_pre_still_runs() {
    let sandbox = host();
    installed(&sandbox, &["azure"]);
    let mut azure = Azure::new(&sandbox);
    sandbox.mode(HELD);
    sandbox.up();
    azure.timeout = Duration::from_millis(500);
    let mut pre = azure.start("preScriptLocation");
    stopping(&sandbox);
    assert_eq!(azure.wait(&mut pre), None);
    azure.timeout = Duration::from_secs(60);
    let mut post = azure.start("postScriptLocation");
    assert_eq!(azure.wait(&mut pre), Some(152));
    go_on(&sandbox);
    assert_eq!(azure.wait(&mut post), Some(152));
    undone(&sandbox);
    assert_eq!(sandbox.launches().len(), 2);
    sandbox.down();
}

fn azure_never_reads_what_scripts_print() {
    let mut sandbox = host();
    sandbox.hook("DOMINO_PRE_SHUTDOWN_SCRIPT", FLOOD);
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", FLOOD);
    installed(&sandbox, &["azure"]);
    let azure = Azure::new(&sandbox);
    sandbox.up();
    let mut pre = azure.start("preScriptLocation");
    assert_eq!(azure.wait(&mut pre), Some(0));
    assert!(sandbox.processes().is_empty());
    assert_eq!(azure.run("postScriptLocation"), Some(0));
    back(&sandbox);
    sandbox.down();
}

fn azure_goes_by_exit_codes() {
    let sandbox = host();
    installed(&sandbox, &["azure"]);
    let azure = Azure::new(&sandbox);
    sandbox.mode("crash_on_stop=yes\n");
    sandbox.up();
    assert_eq!(azure.run("preScriptLocation"), Some(151));
    undone(&sandbox);
    // Azure runs the post script all the same.
    assert_ne!(azure.run("postScriptLocation"), Some(0));
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.mode("");
    sandbox.down();
}

/// The guest agent (qga/commands-posix.c: ga_run_command): a session of its
/// own, one pipe for both outputs, read to its end before the child is waited
/// for.
fn qemu_hook(sandbox: &Sandbox, hook: &Path, word: &str) -> (i32, String, Duration) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let began = Instant::now();
    let mut child = {
        let mut command = product(sandbox, hook, &[word]);
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        spawned(&mut command)
    };
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    let read = began.elapsed();
    (code(child.wait().unwrap()), said, read)
}

fn qemu_reads_a_hook_to_its_end() {
    let sandbox = host();
    installed(&sandbox, &["qemu"]);
    let hook = sandbox.root.join("etc/qemu/fsfreeze-hook");
    sandbox.up();
    let (frozen, said, _) = qemu_hook(&sandbox, &hook, "freeze");
    assert_eq!(frozen, 0, "{said}");
    assert!(sandbox.processes().is_empty());
    let (thawed, said, took) = qemu_hook(&sandbox, &hook, "thaw");
    assert_eq!(thawed, 0, "{said}");
    assert!(took < Duration::from_secs(15), "the agent hangs: {took:?}");
    assert_eq!(sandbox.servers().len(), 1);
    let (odd, said, _) = qemu_hook(&sandbox, &hook, "status");
    assert!(
        odd == 2 && said.contains("not with freeze or thaw"),
        "{odd} {said}"
    );
    back(&sandbox);
    sandbox.down();
}

fn qemu_has_no_thaw_after_a_failed_hook() {
    let sandbox = host();
    installed(&sandbox, &["qemu", "--budget=5"]);
    let hook = sandbox.root.join("etc/qemu/fsfreeze-hook");
    sandbox.mode(HELD);
    sandbox.up();
    let (frozen, said, _) = qemu_hook(&sandbox, &hook, "freeze");
    let console = sandbox.console();
    assert_eq!(frozen, 152, "{said}");
    // It has not waited for the shutdown.
    assert!(!console.contains("Server shutdown complete"), "{said}");
    go_on(&sandbox);
    undone(&sandbox);
    sandbox.down();
}

/// Whoever had scripts in fsfreeze-hook.d before goes on to be called.
fn qemu_wrapper_is_called_and_undone() {
    let sandbox = host();
    let calls = sandbox.base.join("calls");
    let wrapper = format!(
        "#!/bin/sh\nFSFREEZE_D=/etc/qemu/fsfreeze-hook.d\necho \"$1\" >>'{}'\nexit 0\n",
        calls.display()
    );
    put(&sandbox, "etc/qemu/fsfreeze-hook", &wrapper, 0o755);
    let own = sandbox.directory("own");
    put(&sandbox, "usr/sbin/qemu-ga", "", 0o755);
    installed(&sandbox, &["qemu", "--budget=60"]);
    let hook = sandbox.root.join("etc/qemu/rc_domino-fsfreeze-hook");
    let called = || fs::read_to_string(&calls).unwrap_or_default();
    assert!(own.exists());
    sandbox.own(&sandbox.base);
    sandbox.up();
    assert_eq!(qemu_hook(&sandbox, &hook, "freeze").0, 0);
    assert_eq!(called(), "freeze\n");
    assert_eq!(qemu_hook(&sandbox, &hook, "thaw").0, 0);
    assert_eq!(called(), "freeze\nthaw\n");
    back(&sandbox);
    installed(&sandbox, &["qemu", "--budget=5"]);
    sandbox.mode(HELD);
    sandbox.down();
    sandbox.up();
    assert_eq!(qemu_hook(&sandbox, &hook, "freeze").0, 152);
    assert_eq!(called(), "freeze\nthaw\nfreeze\nthaw\n");
    go_on(&sandbox);
    undone(&sandbox);
    sandbox.down();
}

/// An abort (open-vm-tools, lib/procMgr: SIGTERM, and SIGKILL 5 s later): the
/// script is a shell that has become our program.
fn vmware_ends_a_script_by_signal() {
    let sandbox = host();
    installed(&sandbox, &["vmware"]);
    let script = sandbox
        .root
        .join("etc/vmware-tools/backupScripts.d/90-rc_domino");
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        sandbox.mode(HELD);
        sandbox.up();
        let _ = fs::remove_file(sandbox.root.join("var/lib/rc_domino/history.jsonl"));
        let launches = sandbox.launches().len();
        let mut freeze = Command::new(&sandbox, script.clone()).arg("freeze").spawn();
        stopping(&sandbox);
        let sent = Instant::now();
        freeze.signal(signal);
        wait_until("it ends", || !freeze.is_running());
        assert!(sent.elapsed() < Duration::from_secs(5));
        assert_ne!(freeze.outcome().code, 0);
        go_on(&sandbox);
        undone(&sandbox);
        assert_eq!(sandbox.launches().len(), launches + 1);
        sandbox.down();
    }
}

fn vmware_words() {
    let sandbox = host();
    installed(&sandbox, &["vmware"]);
    let script = sandbox
        .root
        .join("etc/vmware-tools/backupScripts.d/90-rc_domino");
    sandbox.up();
    let call = |words: &[&str]| Command::new(&sandbox, script.clone()).args(words).run();
    // scriptArg of tools.conf comes as a second word.
    call(&["freeze", "an argument"]).code(0);
    assert!(sandbox.processes().is_empty());
    call(&["freezeFail", "an argument"]).code(0);
    back(&sandbox);
    call(&["freezeFail"]).code(0);
    call(&["freeze"]).code(0);
    call(&["thaw"]).code(0);
    back(&sandbox);
    call(&["Freeze"]).code(2);
    call(&[]).code(2);
    assert_eq!(sandbox.servers().len(), 1);
    sandbox.down();
}

/// Veeam puts a copy into /tmp under a name of its own and runs that.
fn veeam(sandbox: &Sandbox, script: &str) -> i32 {
    let copy = sandbox.directory("tmp").join(format!("{script}_8f2c"));
    let from: PathBuf = sandbox.root.join("etc/rc_domino").join(script);
    put(
        sandbox,
        "tmp/copy",
        &fs::read_to_string(from).unwrap(),
        0o700,
    );
    fs::rename(sandbox.root.join("tmp/copy"), &copy).unwrap();
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o700
    );
    Command::new(sandbox, copy).run().code
}

fn veeam_copies_its_scripts() {
    let sandbox = host();
    installed(&sandbox, &["veeam"]);
    sandbox.up();
    assert_eq!(veeam(&sandbox, "veeam-pre-freeze.sh"), 0);
    assert!(sandbox.processes().is_empty());
    assert_eq!(veeam(&sandbox, "veeam-post-thaw.sh"), 0);
    back(&sandbox);
    sandbox.down();
}

fn veeam_fails_a_job_on_any_code() {
    let sandbox = host();
    installed(&sandbox, &["veeam"]);
    sandbox.mode("crash_on_stop=yes\n");
    sandbox.up();
    assert_eq!(veeam(&sandbox, "veeam-pre-freeze.sh"), 151);
    undone(&sandbox);
    sandbox.mode("");
    sandbox.down();
}

/// A stage of Arcserve's Linux agent on the target: the code, and the first
/// line of the output file, which the activity log shows.
fn arcserve(sandbox: &Sandbox, script: &str, stage: &str, output: &Path) -> (i32, String) {
    let script = sandbox.root.join("etc/rc_domino").join(script);
    let outcome = Command::new(sandbox, script)
        .env("D2D_JOBNAME", "nightly")
        .env("D2D_JOBID", "42")
        .env("D2D_TARGETNODE", "domino1")
        .env("D2D_JOBTYPE", "backup.incremental")
        .env("D2D_SESSIONLOCATION", "//backup/session")
        .env("D2D_JOBSTAGE", stage)
        .env("D2D_PREPOST_OUTPUT", output)
        .run();
    let text = fs::read_to_string(output).unwrap_or_default();
    (
        outcome.code,
        text.lines().next().unwrap_or_default().to_owned(),
    )
}

fn arcserve_shows_a_verdict() {
    let sandbox = host();
    installed(&sandbox, &["arcserve"]);
    let output = sandbox.file(
        "prepost.out",
        "left by an earlier stage, which said much more than this one does\n",
    );
    sandbox.up();
    let before = |stage| arcserve(&sandbox, "arcserve-pre-snapshot.sh", stage, &output);
    let after = |stage| arcserve(&sandbox, "arcserve-post-snapshot.sh", stage, &output);
    let (frozen, line) = before("pre-snapshot");
    assert_eq!(frozen, 0);
    assert_eq!(line, "Domino is frozen: every database is whole on disk");
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 1);
    let (thawed, line) = after("post-snapshot");
    assert_eq!(thawed, 0);
    assert_eq!(line, "Domino is thawed: the server is as it was before");
    back(&sandbox);
    sandbox.mode("crash_on_stop=yes\n");
    let (failed, line) = before("pre-snapshot");
    assert_eq!(failed, 151);
    assert!(line.starts_with("Domino: freeze answers 151: "), "{line}");
    assert!(line.ends_with("do not trust this snapshot"), "{line}");
    undone(&sandbox);
    sandbox.mode("");
    sandbox.down();
}

/// A link where the output file should be is not followed; the freeze goes by
/// what it is, not by what can be told of it.
fn arcserve_output_may_be_hostile() {
    let sandbox = host();
    installed(&sandbox, &["arcserve"]);
    let precious = sandbox.file("precious", "keep me\n");
    let link = sandbox.directory("shared").join("out");
    std::os::unix::fs::symlink(&precious, &link).unwrap();
    let (frozen, _) = arcserve(&sandbox, "arcserve-pre-snapshot.sh", "pre-snapshot", &link);
    assert_eq!(frozen, 0);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep me\n");
    let second = sandbox.base.join("shared/second");
    fs::hard_link(&precious, &second).unwrap();
    let (thawed, _) = arcserve(
        &sandbox,
        "arcserve-post-snapshot.sh",
        "post-snapshot",
        &second,
    );
    assert_eq!(thawed, 0);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep me\n");
    no_keeper(&sandbox);
}

/// NetBackup's client: name, policy, schedule and type as arguments, in front.
fn netbackup(sandbox: &Sandbox, script: &str, kind: &str) -> i32 {
    let script = sandbox.root.join("usr/openv/netbackup/bin").join(script);
    let mode = fs::metadata(&script).unwrap().mode();
    assert_eq!(mode & 0o555, 0o555, "everybody must be able to run it");
    let words = ["domino1", "domino", "full", kind, "0"];
    Command::new(sandbox, script).args(&words).run().code
}

fn netbackup_notifies() {
    let sandbox = host();
    installed(&sandbox, &["netbackup", "--policy=domino"]);
    sandbox.up();
    assert_eq!(netbackup(&sandbox, "bpstart_notify.domino", "FULL"), 0);
    assert!(sandbox.processes().is_empty());
    assert_eq!(netbackup(&sandbox, "bpend_notify.domino", "FULL"), 0);
    back(&sandbox);
    sandbox.down();
}

fn netbackup_leaves_users_backups_alone() {
    let sandbox = host();
    installed(&sandbox, &["netbackup"]);
    sandbox.up();
    for kind in ["UBAK", "UARC"] {
        assert_eq!(netbackup(&sandbox, "bpstart_notify", kind), 0);
        assert_eq!(netbackup(&sandbox, "bpend_notify", kind), 0);
    }
    assert_eq!(sandbox.launches().len(), 1);
    sandbox.down();
}

/// Commvault appends words of its own.
fn any_script_in_the_sites_place() {
    let sandbox = host();
    let place = sandbox.directory("libexec");
    installed(&sandbox, &["generic", "--to", place.to_str().unwrap()]);
    sandbox.up();
    let call = |name: &str| {
        Command::new(&sandbox, place.join(name))
            .args(&["-bkplevel", "1", "-attempt", "1", "-job", "77"])
            .run()
    };
    let frozen = call("pre-snapshot.sh").code(0);
    assert!(holds(&frozen.stdout, "Frozen"));
    assert!(sandbox.processes().is_empty());
    call("post-snapshot.sh").code(0);
    back(&sandbox);
    sandbox.down();
}

/// A caller of one's own may read as little as Azure does: what hooks print
/// goes to the log, and a pipe holds the rest.
fn a_caller_that_never_reads_is_answered() {
    let mut sandbox = Sandbox::new();
    sandbox.hook("DOMINO_PRE_SHUTDOWN_SCRIPT", FLOOD);
    sandbox.hook("DOMINO_POST_STARTUP_SCRIPT", FLOOD);
    sandbox.up();
    for verb in ["freeze", "thaw"] {
        let mut command = sandbox.command(&["snapshot", verb]).prepared();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut unread = spawned(&mut command);
        wait_until("it ends", || unread.try_wait().unwrap().is_some());
        assert_eq!(code(unread.wait().unwrap()), 0);
    }
    back(&sandbox);
    sandbox.down();
}
