//! NetBackup: bpstart_notify and bpend_notify of the client, for all its
//! policies or for one.

use super::{Plan, Request, scripts};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::files::read_bounded;
use crate::os::root::Root;
use crate::snapshot::callers::{Caller, budget_within};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

const BIN: &str = "/usr/openv/netbackup/bin";
const CONFIG: &str = "/usr/openv/netbackup/bp.conf";
const NAMES: [&str; 2] = ["bpstart_notify", "bpend_notify"];

/// A backup that a user began himself must not stop the server.
const NOT_FOR_USERS: &[u8] = b"case $4 in\nUBAK | UARC) exit 0 ;;\nesac\n";

/// Plans the installation.
pub fn plan(request: &Request, plan: &mut Plan) -> Result<()> {
    let root = &request.root;
    let bin = root.path(BIN);
    if !bin.is_dir() {
        return Err(Error::Refused {
            message: format!(
                "NetBackup's client is not installed: {} is missing; install it first",
                bin.display()
            ),
            exit: Exit::Failed,
        });
    }
    let suffix = match &request.policy {
        None => String::new(),
        Some(policy) if is_name(policy) => format!(".{policy}"),
        Some(policy) => {
            return Err(Error::Usage(format!(
                "'{policy}' is no name of a policy, or POLICY.SCHEDULE"
            )));
        }
    };
    let set = timeout(root);
    let known = Caller::Netbackup.patience();
    let limit = set.or(known.limit);
    plan.settle(request, limit, set.map(budget_within).or(known.budget));
    let script = scripts(request, plan.budget);
    for (name, command) in NAMES.into_iter().zip([script.freeze(), script.thaw()]) {
        let line = String::from_utf8_lossy(&command);
        let instead = match &request.policy {
            None => format!(
                "use --policy=POLICY for a pair of its own, or let it run '{line}' and end with its exit code"
            ),
            Some(_) => format!("let it run '{line}' and end with its exit code"),
        };
        let text = script.text(&[NOT_FOR_USERS, b"exec ", &command, b"\n"].concat());
        let path = bin.join(format!("{name}{suffix}"));
        plan.file(request, path, 0o755, text, &instead)?;
    }
    plan.compare(request, false);
    if request.policy.is_none() {
        plan.warn(
            "bpstart_notify",
            "without --policy every scheduled backup of this client stops the server, those of other policies too",
            "install with --policy=POLICY, the one that backs up Domino",
        );
    }
    let seconds = limit.map_or(300, |limit| limit.as_secs());
    plan.step(format!("Host Properties of the media server, Timeouts, \"Backup start notify timeout\": {seconds} s is what the budget was made for; raise it and install again where shutdowns take longer"));
    plan.step("the policy: one data stream (\"Allow multiple data streams\" off), or the first stream's end starts the server");
    plan.step("without a snapshot client the server stays down until the backup has ended: DOMINO_SNAPSHOT_MAX_DOWNTIME must be longer than that");
    Ok(())
}

fn is_name(policy: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    !policy.is_empty() && !policy.starts_with(['.', '-']) && policy.chars().all(good)
}

/// BPSTART_TIMEOUT of this host's own bp.conf.
fn timeout(root: &Root) -> Option<Duration> {
    let text = read_bounded(&root.path(CONFIG), 1 << 20).ok()?;
    String::from_utf8_lossy(&text)
        .lines()
        .rev()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "BPSTART_TIMEOUT")
        .and_then(|(_, value)| value.trim().parse().ok())
        .map(Duration::from_secs)
}

/// The notify scripts of all policies.
pub fn places(root: &Root) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.path(BIN)) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            NAMES.iter().any(|ours| {
                let rest = name.as_bytes().strip_prefix(ours.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
            })
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
