//! A pair of scripts in a place of the site's choice: Veeam, the Linux agent
//! of Arcserve UDP, and anything else that runs a command before and after.

use super::{Plan, Request, scripts};
use crate::error::{Error, Result};
use crate::os::root::Root;
use crate::snapshot::callers::Caller;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the pair goes unless another place is named.
const OWN: &str = "/etc/rc_domino";

/// The names of a caller's pair.
fn names(caller: Caller) -> [&'static str; 2] {
    match caller {
        Caller::Veeam => ["veeam-pre-freeze", "veeam-post-thaw"],
        Caller::Arcserve => ["arcserve-pre-snapshot", "arcserve-post-snapshot"],
        _ => ["pre-snapshot", "post-snapshot"],
    }
}

fn directory(root: &Root, to: Option<&Path>) -> Result<PathBuf> {
    match to {
        None => Ok(root.path(OWN)),
        Some(to) => std::path::absolute(to).map_err(Error::file("find", to)),
    }
}

/// Plans the installation.
pub fn plan(request: &Request, plan: &mut Plan) -> Result<()> {
    let patience = request.caller.patience();
    plan.settle(request, patience.limit, patience.budget);
    let script = scripts(request, plan.budget);
    let directory = directory(&request.root, request.to.as_deref())?;
    let mut paths = Vec::new();
    let commands = [script.freeze(), script.thaw()];
    for (name, command) in names(request.caller).into_iter().zip(&commands) {
        let mut name = OsString::from(name);
        if let Some(user) = &request.user {
            name.push("_");
            name.push(user);
        }
        name.push(".sh");
        let path = directory.join(name);
        plan.file(
            request,
            path.clone(),
            0o755,
            script.only(command),
            "name another directory with --to",
        )?;
        paths.push(path.display().to_string());
    }
    plan.compare(request, false);
    let [freeze, thaw] = commands.map(|line| String::from_utf8_lossy(&line).into_owned());
    let [before, after] =
        [paths.first(), paths.get(1)].map(|path| path.cloned().unwrap_or_default());
    match request.caller {
        Caller::Veeam => {
            plan.step(format!(
                "Veeam Agent for Linux, job, Scripts: pre-freeze {before}, post-thaw {after}"
            ));
            plan.step("Veeam Backup & Replication: copy both to the backup server as they are (line ends stay LF) and name them in the job: Guest Processing, Applications, Edit, Scripts, Linux scripts");
            plan.step("there: \"Require successful script execution\"; the guest credentials must be root's, or elevated");
        }
        Caller::Arcserve => {
            plan.step(format!(
                "agentless plan, Advanced, command before the snapshot: {freeze}"
            ));
            plan.step(format!(
                "agentless plan, Advanced, command after the snapshot: {thaw}"
            ));
            plan.step("(what stands in plans today goes on to work: /etc/init.d/rc_domino stop and /etc/init.d/rc_domino start; only they also start a server that was down before)");
            plan.step("in the plan: fail the job on any exit code but 0 of the command before the snapshot");
            plan.step(format!("Linux agent: copy both files to the prepost folder of the Linux Backup Server (/opt/Arcserve/d2dserver/usr/prepost), then in the plan, on the target machine: before the snapshot is taken {before}, after it {after}"));
        }
        _ => {
            plan.step(format!("before the snapshot: {before}   (or: {freeze})"));
            plan.step(format!("after the snapshot: {after}   (or: {thaw})"));
            plan.step("run both as root; no snapshot when the first answers anything but 0, the second in any case");
        }
    }
    Ok(())
}

/// The pairs of all users.
pub fn places(root: &Root, caller: Caller, to: Option<&Path>) -> Vec<PathBuf> {
    let Some(directory) = directory(root, to).ok() else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            names(caller).iter().any(|ours| {
                let rest = name.strip_prefix(ours);
                rest.is_some_and(|rest| rest == ".sh" || rest.starts_with('_'))
            })
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
