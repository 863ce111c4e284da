//! VMware Tools: one script in backupScripts.d, called with freeze, thaw or
//! freezeFail (open-vm-tools, services/plugins/vmbackup/scriptOps.c).

use super::{Found, Plan, Request, place, scripts};
use crate::error::Result;
use crate::os::files::read_bounded;
use crate::os::root::Root;
use crate::service::unit_file::UnitFile;
use crate::snapshot::callers::Caller;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TOOLS: &str = "/etc/vmware-tools";
const SCRIPTS: &str = "/etc/vmware-tools/backupScripts.d";

/// Late among the freezes, so that others fail before the server is stopped,
/// and therefore early among the thaws, which come in reverse order.
const NAME: &str = "90-rc_domino";

/// What the plug-in runs before all others, from before there was a directory.
const LEGACY: [&str; 2] = ["/usr/sbin/pre-freeze-script", "/usr/sbin/post-thaw-script"];

/// Plans the installation.
pub fn plan(request: &Request, plan: &mut Plan) -> Result<()> {
    let root = &request.root;
    let config = root.path(TOOLS).join("tools.conf");
    let settings = Settings::read(&config, plan);
    let own = Caller::Vmware.patience();
    let limit = settings.limit(own.limit);
    // Other scripts and the thaw share the limit.
    let fitting = match limit {
        limit if limit == own.limit => own.budget,
        limit => limit.map(|limit| Duration::from_secs((limit * 2 / 3).as_secs().max(1))),
    };
    plan.settle(request, limit, fitting);
    let script = scripts(request, plan.budget);
    let body = [
        b"case $1 in\nfreeze) exec ",
        &script.freeze()[..],
        b" ;;\nthaw) exec ",
        &script.thaw(),
        b" ;;\nfreezeFail) exec ",
        &script.abort(),
        // The plug-in knows no other word; one that is not understood must
        // not pass for a freeze.
        b" ;;\nesac\necho \"$0: called with '$1', not with freeze, thaw or freezeFail\" >&2\nexit 2\n",
    ]
    .concat();
    let mut name = std::ffi::OsString::from(NAME);
    if let Some(user) = &request.user {
        name.push("_");
        name.push(user);
    }
    let path = root.path(SCRIPTS).join(name);
    plan.file(
        request,
        path.clone(),
        0o755,
        script.text(&body),
        "move it out of this directory, every file of which is run",
    )?;

    if settings.exec_scripts == Some(false) {
        plan.warn(
            config.display(),
            "[vmbackup] execScripts=false: no script is run, the snapshot is taken of a running server",
            "set execScripts=true and restart VMware Tools (systemctl restart vmtoolsd)",
        );
    }
    if let Some(short) = settings.timeout.filter(|short| *short > 0)
        && limit != own.limit
    {
        plan.warn(
            config.display(),
            format!("[vmbackup] timeout={short}: freeze, snapshot and thaw together get {short} s instead of 900"),
            "remove the line, or set timeout=900",
        );
    }
    plan.compare(request, true);
    legacy(root, plan)?;
    neighbours(&path, plan);
    let there = ["/usr/bin/vmtoolsd", "/usr/sbin/vmtoolsd"];
    if !there.iter().any(|program| root.path(program).exists()) {
        plan.warn(
            "vmtoolsd",
            "VMware Tools are not installed: nothing calls the script",
            "install open-vm-tools and start vmtoolsd",
        );
    }
    plan.step("in the backup product: quiesced snapshots on (\"quiesce guest file system\", \"application-consistent\"); a snapshot that is not quiesced runs no scripts");
    plan.step("the job must fail when quiescing fails, not go on crash-consistent");
    Ok(())
}

/// The scripts of all users.
pub fn places(root: &Root) -> Vec<PathBuf> {
    let directory = root.path(SCRIPTS);
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().starts_with(NAME.as_bytes()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// What tools.conf says.
#[derive(Debug, Default)]
struct Settings {
    exec_scripts: Option<bool>,
    timeout: Option<u64>,
}

impl Settings {
    fn read(config: &Path, plan: &mut Plan) -> Settings {
        let text = match read_bounded(config, 1 << 20) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Settings::default();
            }
            Err(error) => {
                plan.warn(
                    config.display(),
                    format!("{error}"),
                    "make it readable for root and run this again",
                );
                return Settings::default();
            }
        };
        let mut file = UnitFile::default();
        file.add(config, &String::from_utf8_lossy(&text));
        let value = |key: &str| {
            let line = file
                .lines
                .iter()
                .rev()
                .find(|line| line.section == "vmbackup" && line.key == key);
            line.map(|line| line.value.clone())
        };
        Settings {
            // GKeyFile takes 0 and 1 too.
            exec_scripts: value("execScripts").map(|text| !matches!(text.as_str(), "false" | "0")),
            timeout: value("timeout").and_then(|text| text.parse().ok()),
        }
    }

    /// The host's 15 minutes, or less where the guest gives up earlier; 0 is
    /// no limit of the guest's own.
    fn limit(&self, host: Option<Duration>) -> Option<Duration> {
        let own = self.timeout.filter(|seconds| *seconds > 0);
        match (own.map(Duration::from_secs), host) {
            (Some(own), Some(host)) => Some(own.min(host)),
            (own, host) => own.or(host),
        }
    }
}

fn legacy(root: &Root, plan: &mut Plan) -> Result<()> {
    for path in LEGACY.map(|path| root.path(path)) {
        if !matches!(place::look(&path)?, Found::Nothing) {
            plan.warn(
                path.display(),
                "VMware Tools run it besides the scripts in backupScripts.d, first at the freeze and last at the thaw; when it fails the snapshot fails",
                "make sure that it neither stops nor starts Domino, or remove it",
            );
        }
    }
    Ok(())
}

/// The plug-in runs every regular file of the directory, whatever its name.
fn neighbours(own: &Path, plan: &mut Plan) {
    let Some(entries) = own
        .parent()
        .and_then(|parent| std::fs::read_dir(parent).ok())
    else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| *path != own) {
        let Ok(found) = path.metadata() else { continue };
        if !found.is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().as_bytes();
        let left_over = [
            &b".bak"[..],
            b".old",
            b".orig",
            b".rpmsave",
            b".rpmnew",
            b".rpmorig",
            b".dpkg-old",
            b".dpkg-dist",
            b".dpkg-new",
            b"~",
        ]
        .iter()
        .any(|end| name.ends_with(end));
        if found.permissions().mode() & 0o111 == 0 {
            plan.warn(
                path.display(),
                "it cannot be executed, and VMware Tools take that for a freeze that failed: no snapshot succeeds",
                "chmod 755 it, or move it out of the directory",
            );
        } else if left_over {
            plan.warn(
                path.display(),
                "VMware Tools run it in spite of its name",
                "move it out of the directory",
            );
        }
    }
}
