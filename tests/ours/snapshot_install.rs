//! The adapters' files: written where and as each product wants them, renewed,
//! refused where something else is there, and taken back.

use crate::support::{Sandbox, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

scenarios![
    each_product_gets_its_files_and_loses_them,
    a_second_installation_changes_nothing,
    a_change_is_put_right,
    a_dry_run_writes_nothing,
    foreign_files_stay,
    links_are_foreign,
    options_that_do_not_fit_are_refused,
    programs_are_told_in_json,
    vmware_settings_that_spoil_it_are_told,
    qemu_lies_beside_the_wrapper,
    qemu_says_what_to_set,
    azure_keeps_the_sites_configuration,
    netbackup_has_a_pair_for_a_policy,
    netbackup_budget_follows_its_limit,
    freezes_longer_than_the_budget_are_told,
    half_written_files_do_not_lie_among_those_that_are_run,
    an_ordinary_user_is_told_to_be_root,
];

/// A sandbox whose /etc and /usr its user may write to, as root may.
pub fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    for directory in ["etc", "usr", "usr/openv", "usr/openv/netbackup/bin"] {
        let path = sandbox.root.join(directory);
        fs::create_dir_all(&path).unwrap();
        sandbox.own(&path);
    }
    sandbox
}

/// Puts a file of this mode below the sandbox's root.
pub fn put(sandbox: &Sandbox, path: &str, text: &str, mode: u32) -> PathBuf {
    let file = sandbox.root.join(path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    for directory in file
        .ancestors()
        .skip(1)
        .take_while(|at| *at != sandbox.root)
    {
        sandbox.own(directory);
    }
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    sandbox.own(&file);
    file
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// What each product wants, below the root.
const FILES: [(&str, &[(&str, u32)]); 7] = [
    (
        "vmware",
        &[("etc/vmware-tools/backupScripts.d/90-rc_domino", 0o755)],
    ),
    (
        "qemu",
        &[
            ("etc/qemu/fsfreeze-hook", 0o755),
            ("etc/qemu/qemu-ga.conf", 0o644),
        ],
    ),
    (
        "azure",
        &[
            ("etc/azure/rc_domino-pre.sh", 0o700),
            ("etc/azure/rc_domino-post.sh", 0o700),
            ("etc/azure/VMSnapshotScriptPluginConfig.json", 0o600),
        ],
    ),
    (
        "veeam",
        &[
            ("etc/rc_domino/veeam-pre-freeze.sh", 0o755),
            ("etc/rc_domino/veeam-post-thaw.sh", 0o755),
        ],
    ),
    (
        "arcserve",
        &[
            ("etc/rc_domino/arcserve-pre-snapshot.sh", 0o755),
            ("etc/rc_domino/arcserve-post-snapshot.sh", 0o755),
        ],
    ),
    (
        "netbackup",
        &[
            ("usr/openv/netbackup/bin/bpstart_notify", 0o755),
            ("usr/openv/netbackup/bin/bpend_notify", 0o755),
        ],
    ),
    (
        "generic",
        &[
            ("etc/rc_domino/pre-snapshot.sh", 0o755),
            ("etc/rc_domino/post-snapshot.sh", 0o755),
        ],
    ),
];

fn each_product_gets_its_files_and_loses_them() {
    let sandbox = host();
    for (caller, files) in FILES {
        sandbox.run(&["snapshot", "install", caller]).code(0);
        for (path, mode) in files {
            let file = sandbox.root.join(path);
            assert_eq!(mode_of(&file), *mode, "{path}");
            if !path.ends_with("json") && !path.ends_with("conf") {
                let text = fs::read_to_string(&file).unwrap();
                assert!(text.starts_with("#!/bin/sh\n"), "{text}");
                assert!(text.contains("/bin/rc_domino snapshot "), "{text}");
                assert!(text.contains(&format!(" --caller={caller}")), "{text}");
                let checked = std::process::Command::new("sh")
                    .arg("-n")
                    .arg(&file)
                    .status();
                assert!(checked.unwrap().success(), "{path}");
            }
        }
    }
    for (caller, files) in FILES {
        let said = sandbox
            .run(&["snapshot", "uninstall", caller])
            .code(0)
            .text();
        for (path, _) in files {
            assert!(!sandbox.root.join(path).exists(), "{path}");
            assert!(said.contains(path), "{said}");
        }
        sandbox
            .run(&["snapshot", "uninstall", caller])
            .code(0)
            .stdout_has("Nothing of rc_domino");
    }
}

fn a_second_installation_changes_nothing() {
    let sandbox = host();
    for (caller, files) in FILES {
        sandbox.run(&["snapshot", "install", caller]).code(0);
        let inodes = || {
            files
                .iter()
                .map(|(path, _)| fs::metadata(sandbox.root.join(path)).unwrap().ino())
                .collect::<Vec<_>>()
        };
        let before = inodes();
        let said = sandbox.run(&["snapshot", "install", caller]).code(0).text();
        assert_eq!(inodes(), before, "{caller}");
        assert!(
            !said.contains("wrote") && !said.contains("renewed"),
            "{said}"
        );
    }
}

fn a_change_is_put_right() {
    let sandbox = host();
    sandbox.run(&["snapshot", "install", "vmware"]).code(0);
    let file = sandbox.root.join(FILES[0].1[0].0);
    let right = fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox
        .run(&["snapshot", "install", "vmware"])
        .code(0)
        .stdout_has("renewed");
    assert_eq!(mode_of(&file), 0o755);
    fs::write(&file, [&right[..], b"exit 0\n"].concat()).unwrap();
    sandbox
        .run(&["snapshot", "install", "vmware", "--budget=120"])
        .code(0)
        .stdout_has("renewed");
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .contains(" --budget=120 ")
    );
}

fn a_dry_run_writes_nothing() {
    let sandbox = host();
    for (caller, files) in FILES {
        let said = sandbox
            .run(&["snapshot", "install", caller, "--dry-run"])
            .code(0)
            .text();
        for (path, mode) in files {
            assert!(
                said.contains(path) && said.contains(&format!("{mode:04o}")),
                "{said}"
            );
            assert!(!sandbox.root.join(path).exists());
        }
        sandbox.run(&["snapshot", "install", caller]).code(0);
        sandbox
            .run(&["snapshot", "uninstall", caller, "--dry-run"])
            .code(0)
            .stdout_has("Would remove");
        for (path, _) in files {
            assert!(sandbox.root.join(path).exists());
        }
    }
}

fn foreign_files_stay() {
    for (caller, files) in FILES {
        for (at, (path, _)) in files.iter().enumerate() {
            // The agent's own settings are told of, not refused.
            if path.ends_with("qemu-ga.conf") {
                continue;
            }
            let sandbox = host();
            let file = put(&sandbox, path, "#!/bin/sh\necho mine\n", 0o755);
            sandbox
                .run(&["snapshot", "install", caller])
                .code(1)
                .stderr_has(file.display().to_string())
                .stderr_has("nothing was written");
            assert_eq!(fs::read_to_string(&file).unwrap(), "#!/bin/sh\necho mine\n");
            for (other, (path, _)) in files.iter().enumerate() {
                assert_eq!(sandbox.root.join(path).exists(), other == at, "{path}");
            }
            sandbox
                .run(&["snapshot", "uninstall", caller])
                .code(0)
                .stdout_has("stays");
            assert!(file.exists());
        }
    }
}

fn links_are_foreign() {
    let sandbox = host();
    let target = put(&sandbox, "etc/target", "mine", 0o644);
    let link = sandbox.root.join("etc/rc_domino/pre-snapshot.sh");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    sandbox.own(link.parent().unwrap());
    std::os::unix::fs::symlink(&target, &link).unwrap();
    sandbox.run(&["snapshot", "install", "generic"]).code(1);
    assert_eq!(fs::read_to_string(target).unwrap(), "mine");
}

fn options_that_do_not_fit_are_refused() {
    let sandbox = host();
    for line in [
        "install",
        "install xen",
        "install aws-ssm",
        "install qemu --to /tmp/x",
        "install vmware --policy=p",
        "install netbackup --policy=../../etc/passwd",
        "install netbackup --policy=",
        "install vmware --budget=0",
        "uninstall",
    ] {
        let words: Vec<&str> = std::iter::once("snapshot").chain(line.split(' ')).collect();
        sandbox.run(&words).code(2);
    }
    let warned = sandbox
        .run(&["snapshot", "install", "veeam", "--budget=600"])
        .code(0);
    warned.stderr_has("gives a freeze up after 600 s");
}

fn programs_are_told_in_json() {
    let sandbox = host();
    let said = sandbox
        .run(&["snapshot", "install", "vmware", "--json", "--dry-run"])
        .code(0);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["caller"], "vmware");
    assert_eq!(said["dry_run"], true);
    assert_eq!(
        [&said["budget_seconds"], &said["limit_seconds"]],
        [600, 900]
    );
    assert_eq!(said["files"][0]["state"], "would write");
    assert_eq!(said["files"][0]["owner"], "root");
    assert_eq!(said["files"][0]["mode"], "0755");
    let content = said["files"][0]["content"].as_str().unwrap();
    assert!(content.contains("freezeFail) exec "), "{content}");
    assert_eq!(said["warnings"][0]["about"], "vmtoolsd");
    assert!(said["left_to_do"][0].as_str().unwrap().contains("quiesce"));
}

fn vmware_settings_that_spoil_it_are_told() {
    let sandbox = host();
    put(
        &sandbox,
        "etc/vmware-tools/tools.conf",
        "[vmbackup]\nexecScripts=false\ntimeout=300\n",
        0o644,
    );
    put(&sandbox, "usr/sbin/pre-freeze-script", "#!/bin/sh\n", 0o755);
    put(
        &sandbox,
        "etc/vmware-tools/backupScripts.d/README",
        "x",
        0o644,
    );
    put(
        &sandbox,
        "etc/vmware-tools/backupScripts.d/10-x.rpmsave",
        "x",
        0o755,
    );
    sandbox
        .run(&["snapshot", "install", "vmware"])
        .code(0)
        .stderr_has("execScripts=false")
        .stderr_has("timeout=300")
        .stderr_has("pre-freeze-script")
        .stderr_has("README: it cannot be executed")
        .stderr_has("rpmsave: VMware Tools run it in spite of its name")
        // Two thirds of what there is: the rest is for others and the thaw.
        .stdout_has("A freeze may take 200 s");
}

/// The wrapper of QEMU's source, by what it is known by.
const WRAPPER: &str =
    "#!/bin/sh\n# stand-in of the wrapper\nFSFREEZE_D=/etc/qemu/fsfreeze-hook.d\n";

fn qemu_lies_beside_the_wrapper() {
    let sandbox = host();
    put(
        &sandbox,
        "usr/lib/systemd/system/qemu-guest-agent.service",
        "[Service]\nExecStart=-/usr/sbin/qemu-ga\n",
        0o644,
    );
    let wrapper = put(&sandbox, "etc/qemu/fsfreeze-hook", WRAPPER, 0o755);
    sandbox.run(&["snapshot", "install", "qemu"]).code(0);
    assert_eq!(fs::read_to_string(&wrapper).unwrap(), WRAPPER);
    let hook = sandbox.root.join("etc/qemu/rc_domino-fsfreeze-hook");
    assert_eq!(mode_of(&hook), 0o755);
    let config = sandbox.root.join("etc/qemu/qemu-ga.conf");
    assert!(
        fs::read_to_string(config)
            .unwrap()
            .ends_with("[general]\nfsfreeze-hook=/etc/qemu/rc_domino-fsfreeze-hook\n")
    );
    // Again, now that the configuration names ours.
    let said = sandbox.run(&["snapshot", "install", "qemu"]).code(0).text();
    assert!(
        !said.contains("wrote") && !said.contains("renewed"),
        "{said}"
    );
    sandbox.run(&["snapshot", "uninstall", "qemu"]).code(0);
    assert!(!hook.exists() && wrapper.exists());
}

fn qemu_says_what_to_set() {
    let sandbox = host();
    let unit = "usr/lib/systemd/system/qemu-guest-agent.service";
    put(
        &sandbox,
        unit,
        "[Service]\nEnvironmentFile=/etc/sysconfig/qemu-ga\nExecStart=/usr/bin/qemu-ga --method=virtio-serial -F${FSFREEZE_HOOK_PATHNAME}\n",
        0o644,
    );
    put(
        &sandbox,
        "etc/sysconfig/qemu-ga",
        "FSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook\n",
        0o644,
    );
    put(&sandbox, "etc/qemu-ga/fsfreeze-hook", WRAPPER, 0o755);
    sandbox
        .run(&["snapshot", "install", "qemu"])
        .code(0)
        .stderr_has("set FSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/rc_domino-fsfreeze-hook in it");
    // Done as told: nothing is left to say.
    put(
        &sandbox,
        "etc/sysconfig/qemu-ga",
        "FSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/rc_domino-fsfreeze-hook\n",
        0o644,
    );
    let said = sandbox.run(&["snapshot", "install", "qemu"]).code(0);
    assert!(
        said.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );

    let sandbox = host();
    put(
        &sandbox,
        unit,
        "[Service]\nExecStart=-/usr/sbin/qemu-ga -F/usr/local/hook -v\n",
        0o644,
    );
    put(
        &sandbox,
        "etc/default/qemu-guest-agent",
        "DAEMON_ARGS=-F\n",
        0o644,
    );
    sandbox
        .run(&["snapshot", "install", "qemu"])
        .code(0)
        .stderr_has("ExecStart=/usr/sbin/qemu-ga -v -F/etc/qemu/fsfreeze-hook")
        .stderr_has("the unit of qemu-guest-agent does not know this file");

    let sandbox = host();
    put(
        &sandbox,
        "etc/qemu/qemu-ga.conf",
        "[general]\nverbose=1\n",
        0o644,
    );
    sandbox
        .run(&["snapshot", "install", "qemu"])
        .code(0)
        .stderr_has("put fsfreeze-hook=/etc/qemu/fsfreeze-hook below [general]")
        .stderr_has("the guest agent is not installed");
    assert!(sandbox.root.join("etc/qemu/fsfreeze-hook").exists());
}

fn azure_keeps_the_sites_configuration() {
    let sandbox = host();
    let place = |name: &str| {
        sandbox
            .root
            .join("etc/azure")
            .join(name)
            .display()
            .to_string()
    };
    let config = "etc/azure/VMSnapshotScriptPluginConfig.json";
    let text = format!(
        "{{ \"pluginName\": \"ScriptRunner\", \"preScriptLocation\": \"{}\", \"postScriptLocation\": \"{}\", \"timeoutInSeconds\": 300, \"continueBackupOnFailure\": true }}",
        place("rc_domino-pre.sh"),
        place("rc_domino-post.sh")
    );
    let file = put(&sandbox, config, &text, 0o644);
    sandbox
        .run(&["snapshot", "install", "azure"])
        .code(0)
        .stdout_has("kept")
        .stdout_has("A freeze may take 270 s")
        .stderr_has("continueBackupOnFailure")
        .stderr_has("timeoutInSeconds is 300")
        .stderr_has("chmod 600");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    put(
        &sandbox,
        "etc/azure/VMSnapshotPluginHost.conf",
        "[pre_post]\ntimeoutInSeconds: 100\n",
        0o644,
    );
    sandbox
        .run(&["snapshot", "install", "azure"])
        .code(0)
        .stdout_has("A freeze may take 90 s");
    // What is no JSON is not ours either.
    put(&sandbox, config, "{", 0o600);
    sandbox.run(&["snapshot", "install", "azure"]).code(1);
}

fn netbackup_has_a_pair_for_a_policy() {
    let sandbox = host();
    put(
        &sandbox,
        "usr/openv/netbackup/bin/bpstart_notify",
        "#!/bin/sh\n",
        0o755,
    );
    sandbox
        .run(&["snapshot", "install", "netbackup"])
        .code(1)
        .stderr_has("--policy=POLICY");
    let said = sandbox
        .run(&["snapshot", "install", "netbackup", "--policy=domino.full"])
        .code(0);
    assert!(said.stderr.is_empty());
    for name in ["bpstart_notify.domino.full", "bpend_notify.domino.full"] {
        assert!(
            sandbox
                .root
                .join("usr/openv/netbackup/bin")
                .join(name)
                .exists()
        );
    }
    sandbox
        .run(&["snapshot", "uninstall", "netbackup"])
        .code(0)
        .stdout_has("bpend_notify.domino.full")
        .stdout_has("bpstart_notify stays");
    fs::remove_dir_all(sandbox.root.join("usr/openv")).unwrap();
    sandbox
        .run(&["snapshot", "install", "netbackup"])
        .code(1)
        .stderr_has("not installed");
}

fn netbackup_budget_follows_its_limit() {
    let sandbox = host();
    put(
        &sandbox,
        "usr/openv/netbackup/bp.conf",
        "SERVER = a\nBPSTART_TIMEOUT = 900\n",
        0o644,
    );
    sandbox
        .run(&["snapshot", "install", "netbackup", "--policy=domino"])
        .code(0)
        .stdout_has("A freeze may take 810 s; netbackup gives up after 900 s");
}

fn freezes_longer_than_the_budget_are_told() {
    let sandbox = host();
    put(
        &sandbox,
        "var/lib/rc_domino/history.jsonl",
        "{\"when\":1,\"user\":\"notes\",\"verb\":\"freeze\",\"caller\":\"x\",\"mode\":\"stop\",\"outcome\":0,\"seconds\":580.0}\n\
         {\"when\":2,\"user\":\"notes\",\"verb\":\"thaw\",\"caller\":\"x\",\"mode\":\"stop\",\"outcome\":0,\"seconds\":400.0}\n\
         {\"when\":2,\"user\":\"other\",\"verb\":\"freeze\",\"caller\":\"x\",\"mode\":\"stop\",\"outcome\":0,\"seconds\":4000.0}\n{\"wh",
        0o644,
    );
    sandbox
        .run(&["snapshot", "install", "veeam"])
        .code(0)
        .stderr_has("a recent freeze took 580 s, the budget is 540 s");
    sandbox
        .run(&["snapshot", "install", "vmware"])
        .code(0)
        .stderr_has("freeze and thaw took 980 s, vmware gives both together 900 s");
}

/// Whoever runs every file of a directory must never see one that is not
/// complete: watched while the script is renewed again and again.
fn half_written_files_do_not_lie_among_those_that_are_run() {
    let sandbox = host();
    sandbox.run(&["snapshot", "install", "vmware"]).code(0);
    let directory = sandbox.root.join("etc/vmware-tools/backupScripts.d");
    let mut seen = std::collections::BTreeSet::new();
    for budget in 0..6 {
        let mut renewing = sandbox
            .command(&[
                "snapshot",
                "install",
                "vmware",
                &format!("--budget={}", 100 + budget),
            ])
            .spawn();
        wait_until("it is renewed", || {
            for entry in fs::read_dir(&directory).unwrap().flatten() {
                seen.insert(entry.file_name());
            }
            !renewing.is_running()
        });
        renewing.outcome().code(0);
    }
    let seen: Vec<_> = seen.into_iter().collect();
    assert_eq!(seen, ["90-rc_domino"]);
}

/// On the host itself these files are root's to write.
fn an_ordinary_user_is_told_to_be_root() {
    let sandbox = Sandbox::new();
    sandbox
        .command(&["snapshot", "install", "generic"])
        .no_env("RC_DOMINO_ROOT")
        .run()
        .code(4)
        .stderr_has("sudo rc_domino snapshot install generic");
    sandbox
        .command(&["snapshot", "install", "generic", "--dry-run"])
        .no_env("RC_DOMINO_ROOT")
        .run()
        .code(0)
        .stdout_has("would write: /etc/rc_domino/pre-snapshot");
}
