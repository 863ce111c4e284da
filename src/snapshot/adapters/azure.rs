//! Azure Backup: two scripts and the plug-in's JSON, all for root alone
//! (azure-linux-extensions, VMBackup/main/PluginHost.py and ScriptRunner.py).

use super::place::{self, Found, Ours};
use super::{Plan, Planned, Request, State, script, scripts};
use crate::error::{Error, Result};
use crate::os::files::read_bounded;
use crate::os::root::Root;
use crate::service::unit_file::UnitFile;
use crate::snapshot::callers::budget_within;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PRE: &str = "/etc/azure/rc_domino-pre.sh";
const POST: &str = "/etc/azure/rc_domino-post.sh";
const CONFIG: &str = "/etc/azure/VMSnapshotScriptPluginConfig.json";
const HOST_CONFIG: &str = "/etc/azure/VMSnapshotPluginHost.conf";

/// What the plug-in host allows at most, and what the plug-in takes where its
/// configuration does not say.
const MOST: u64 = 1800;
const UNSAID: u64 = 10;

/// The plug-in's configuration.
pub fn config(root: &Root) -> PathBuf {
    root.path(CONFIG)
}

/// Plans the installation.
pub fn plan(request: &Request, plan: &mut Plan) -> Result<()> {
    let root = &request.root;
    let path = config(root);
    let most = host_limit(root);
    let found = place::text_of(&path).map_err(Error::file("read", &path))?;
    let read = match &found {
        None => None,
        Some(found) => match serde_json::from_slice::<Value>(&found.text) {
            Ok(value) if names_ours(&value, root) => Some(value),
            _ => {
                return Err(place::foreign(
                    &path,
                    &format!(
                        "set \"preScriptLocation\": \"{}\" and \"postScriptLocation\": \"{}\" in it, or move it away, and install again",
                        root.path(PRE).display(),
                        root.path(POST).display()
                    ),
                ));
            }
        },
    };
    if found.is_none() && path.symlink_metadata().is_ok() {
        return Err(place::foreign(&path, "move it away and install again"));
    }
    let seconds = read.as_ref().map_or(MOST, timeout).min(most);
    let limit = Duration::from_secs(seconds);
    plan.settle(request, Some(limit), Some(budget_within(limit)));
    let script = scripts(request, plan.budget);
    for (place, command) in [(PRE, script.freeze()), (POST, script.thaw())] {
        // The plug-in waits for the end of a script and never reads what it
        // prints: more than a pipe holds would stop it for good.
        let text = script.only(&[&command[..], b" >/dev/null 2>&1"].concat());
        plan.file(
            request,
            root.path(place),
            0o700,
            text,
            "move it away and install again",
        )?;
    }
    match (&found, read) {
        (Some(found), Some(value)) => {
            checks(&path, found, &value, request, plan);
            plan.files.push(Planned {
                path,
                mode: found.mode,
                text: found.text.clone(),
                state: State::Kept,
            });
        }
        _ => plan.files.push(Planned {
            path,
            mode: 0o600,
            text: fresh(root, seconds),
            state: State::New,
        }),
    }
    if most < MOST {
        plan.warn(
            root.path(HOST_CONFIG).display(),
            format!("[pre_post] timeoutInSeconds: {most}: scripts get no more than that, whatever their own configuration says"),
            format!("set timeoutInSeconds: {MOST}, then install again"),
        );
    }
    plan.compare(request, false);
    plan.step("nothing in the portal: the VM's next backup runs the scripts (the VM agent must be running)");
    plan.step("in the job's details \"application-consistent\" must stand for the recovery point; \"file-system consistent\" means that the scripts did not run");
    Ok(())
}

/// A configuration for our scripts. It has no room for comments; it is known
/// by the scripts it names.
fn fresh(root: &Root, seconds: u64) -> Vec<u8> {
    let quoted = |path: PathBuf| Value::from(path.display().to_string()).to_string();
    format!(
        "{{\n    \"pluginName\": \"ScriptRunner\",\n    \"preScriptLocation\": {},\n    \"postScriptLocation\": {},\n    \"preScriptParams\": [],\n    \"postScriptParams\": [],\n    \"preScriptNoOfRetries\": 0,\n    \"postScriptNoOfRetries\": 0,\n    \"timeoutInSeconds\": {seconds},\n    \"continueBackupOnFailure\": false,\n    \"fsFreezeEnabled\": true\n}}\n",
        quoted(root.path(PRE)),
        quoted(root.path(POST))
    )
    .into_bytes()
}

fn names_ours(value: &Value, root: &Root) -> bool {
    [("preScriptLocation", PRE), ("postScriptLocation", POST)]
        .iter()
        .all(|(key, place)| {
            let named = value.get(key).and_then(Value::as_str).map(Path::new);
            named == Some(&root.path(place))
        })
}

/// The limit that a configuration sets, in seconds.
fn timeout(value: &Value) -> u64 {
    let set = value.get("timeoutInSeconds").and_then(Value::as_u64);
    set.unwrap_or(UNSAID)
}

/// The limit of the plug-in host for all its plug-ins, in seconds.
fn host_limit(root: &Root) -> u64 {
    let path = root.path(HOST_CONFIG);
    let Ok(text) = read_bounded(&path, 1 << 20) else {
        return MOST;
    };
    let mut file = UnitFile::default();
    // Python's parser takes `key: value` as well.
    let text = String::from_utf8_lossy(&text).replacen(':', "=", 64);
    file.add(&path, &text);
    let set = file.lines.iter().rev().find(|line| {
        line.section == "pre_post" && line.key.eq_ignore_ascii_case("timeoutInSeconds")
    });
    set.and_then(|line| line.value.parse::<u64>().ok())
        .map_or(MOST, |seconds| seconds.min(MOST))
}

fn checks(path: &Path, found: &Ours, value: &Value, request: &Request, plan: &mut Plan) {
    if value
        .get("continueBackupOnFailure")
        .and_then(Value::as_bool)
        != Some(false)
    {
        plan.warn(
            path.display(),
            "continueBackupOnFailure is not false: a freeze that fails lets the backup go on",
            "set \"continueBackupOnFailure\": false",
        );
    }
    let seconds = timeout(value);
    if seconds < MOST {
        plan.warn(
            path.display(),
            format!("timeoutInSeconds is {seconds}: a server that takes longer to stop fails the backup (30 is the template's)"),
            format!("set \"timeoutInSeconds\": {MOST}, then install again for a budget that fits"),
        );
    }
    // The first digit must be even, the others 0; the owner root.
    if found.mode & 0o177 != 0 || (request.root.is_system() && found.uid != 0) {
        plan.warn(
            path.display(),
            "owner or mode are not those the plug-in insists on: it takes the snapshot without scripts",
            "chown root and chmod 600 it",
        );
    }
}

/// Our files.
pub fn places(root: &Root) -> Vec<PathBuf> {
    [PRE, POST, CONFIG].map(|path| root.path(path)).to_vec()
}

/// What the plug-in's configuration is: ours if it names our scripts and one
/// of them is there.
pub fn look(root: &Root) -> Result<Found> {
    let path = config(root);
    let Some(found) = place::text_of(&path).map_err(Error::file("read", &path))? else {
        return place::look(&path);
    };
    let ours =
        serde_json::from_slice::<Value>(&found.text).is_ok_and(|value| names_ours(&value, root));
    if !ours {
        return Ok(Found::Foreign);
    }
    // Whose it is stands in the scripts.
    let scripts = place::look(&root.path(PRE))?;
    Ok(match scripts {
        Found::Ours(pre) if script::is_ours(&pre.text) => Found::Ours(Ours {
            text: pre.text,
            ..found
        }),
        Found::Nothing => Found::Ours(found),
        _ => Found::Foreign,
    })
}
