//! The QEMU guest agent: the one hook it calls with freeze and thaw.
//!
//! Ours must be the hook itself: the wrapper that comes with the agent drops
//! the codes of what it runs. Where that wrapper is the hook, ours lies beside
//! it and calls it, so that the site's scripts in fsfreeze-hook.d go on to run.

use super::agent::{self, Agent, CONFIG, DEFAULT_HOOK, DEFAULTS};
use super::place::{self, Found};
use super::script::Script;
use super::{Plan, Planned, Request, State, scripts};
use crate::error::{Error, Result};
use crate::os::root::Root;
use crate::snapshot::callers::Caller;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Our hook beside the wrapper.
const BESIDE: &str = "rc_domino-fsfreeze-hook";

/// Where distributions put the wrapper.
const DIRECTORIES: [&str; 3] = ["/etc/qemu", "/etc/qemu-ga", "/etc/qemu-kvm"];

/// Plans the installation.
pub fn plan(request: &Request, plan: &mut Plan) -> Result<()> {
    let root = &request.root;
    let agent = Agent::read(root)?;
    let patience = Caller::Qemu.patience();
    plan.settle(request, patience.limit, patience.budget);
    let script = scripts(request, plan.budget);
    let (hook, wrapper) = hooks(root, &agent)?;
    let called = wrapper.as_ref().map(|wrapper| root.path(wrapper));
    let text = text(&script, called.as_deref());
    plan.file(request, root.path(&hook), 0o755, text, &call_it(&script))?;
    setup(request, &agent, &hook, plan)?;
    if let Some(wrapper) = &wrapper {
        plan.step(format!(
            "{} runs what lies in its fsfreeze-hook.d and drops its exit codes; our hook calls it: it must not call ours",
            wrapper.display()
        ));
    }
    plan.compare(request, false);
    if !agent.is_there(root) {
        plan.warn(
            "qemu-ga",
            "the guest agent is not installed: nothing calls the hook",
            "install qemu-guest-agent and give the virtual machine its channel",
        );
    }
    if plan.changes() || !runs_with(&agent, &hook) {
        plan.step("systemctl restart qemu-guest-agent   (it reads its settings at its start only)");
    }
    plan.step("libvirt: virsh snapshot-create-as VM NAME --disk-only --quiesce; Proxmox VE: Options, QEMU Guest Agent on, and \"Freeze/thaw guest filesystems on backup\" on");
    Ok(())
}

/// Where our hook goes, as the agent is to know it, and the wrapper it is to
/// call.
fn hooks(root: &Root, agent: &Agent) -> Result<(PathBuf, Option<PathBuf>)> {
    let named = agent
        .hook()
        .unwrap_or(Path::new(DEFAULT_HOOK))
        .to_path_buf();
    let beside = |wrapper: &Path| wrapper.with_file_name(BESIDE);
    if agent::is_stock_wrapper(&root.path(&named)) {
        return Ok((beside(&named), Some(named)));
    }
    // Ours beside a wrapper, from an earlier installation.
    if named.file_name() == Some(BESIDE.as_ref()) {
        let wrapper = named.with_file_name("fsfreeze-hook");
        let there = agent::is_stock_wrapper(&root.path(&wrapper));
        return Ok((named, there.then_some(wrapper)));
    }
    let found = place::look(&root.path(&named))?;
    // What is named elsewhere and missing is the site's mistake, not a place.
    if matches!(found, Found::Nothing) && named != Path::new(DEFAULT_HOOK) {
        let default = Path::new(DEFAULT_HOOK);
        if agent::is_stock_wrapper(&root.path(default)) {
            return Ok((beside(default), Some(default.to_path_buf())));
        }
        return Ok((default.to_path_buf(), None));
    }
    Ok((named, None))
}

/// What a foreign hook would have to do.
fn call_it(script: &Script) -> String {
    format!(
        "the agent calls one hook only: let it run, as its last step at 'freeze', '{}' and end with its exit code, and at 'thaw' first '{}'; or move it away and install again",
        String::from_utf8_lossy(&script.freeze()),
        String::from_utf8_lossy(&script.thaw())
    )
}

fn text(script: &Script, wrapper: Option<&Path>) -> Vec<u8> {
    let odd = b"echo \"$0: called with '$1', not with freeze or thaw\" >&2\nexit 2\n";
    let [freeze, thaw] = [script.freeze(), script.thaw()];
    let body = match wrapper {
        None => [
            b"case $1 in\nfreeze) exec ",
            &freeze[..],
            b" ;;\nthaw) exec ",
            &thaw,
            b" ;;\nesac\n",
            odd,
        ]
        .concat(),
        // No thaw follows a freeze that failed: the others' is undone here.
        Some(wrapper) => [
            b"wrapper=",
            wrapper.as_os_str().as_bytes(),
            b"\n[ -x \"$wrapper\" ] || wrapper=:\ncase $1 in\nfreeze)\n    \"$wrapper\" freeze\n    ",
            &freeze,
            b"\n    code=$?\n    [ \"$code\" -eq 0 ] || \"$wrapper\" thaw\n    exit \"$code\"\n    ;;\nthaw)\n    ",
            &thaw,
            b"\n    code=$?\n    \"$wrapper\" thaw\n    exit \"$code\"\n    ;;\nesac\n",
            odd,
        ]
        .concat(),
    };
    script.text(&body)
}

/// Makes the agent call our hook: through qemu-ga.conf where that is free and
/// the command line does not say otherwise; else says what to change.
fn setup(request: &Request, agent: &Agent, hook: &Path, plan: &mut Plan) -> Result<()> {
    let root = &request.root;
    let shown = hook.display();
    if agent.unread {
        plan.warn(
            root.path(DEFAULTS).display(),
            "the hook named there is not read: the unit of qemu-guest-agent does not know this file",
            "nothing to do for rc_domino; use qemu-ga.conf or a drop-in for other options too",
        );
    }
    if agent.by_command.as_deref() == Some(hook) {
        return Ok(());
    }
    if let Some(other) = &agent.by_command {
        let (about, fix) = match (&agent.variable, &agent.unit) {
            (Some((file, name)), _) => (file.clone(), format!("set {name}={shown} in it")),
            (None, unit) => {
                let rest: Vec<&str> = agent
                    .command
                    .iter()
                    .map(String::as_str)
                    .filter(|word| !word.starts_with("-F") && !word.starts_with("--fsfreeze-hook"))
                    .collect();
                let fix = format!(
                    "systemctl edit qemu-guest-agent: [Service], ExecStart=, ExecStart={} -F{shown}",
                    rest.join(" ")
                );
                (unit.clone().unwrap_or_default(), fix)
            }
        };
        plan.warn(
            about.display(),
            format!(
                "the agent is started with -F{}: it calls that, not {shown}",
                other.display()
            ),
            fix,
        );
        return Ok(());
    }
    let config = root.path(CONFIG);
    let text = [
        &scripts(request, None).mark()[..],
        format!("[general]\nfsfreeze-hook={shown}\n").as_bytes(),
    ]
    .concat();
    match place::look(&config)? {
        Found::Foreign if agent.by_config.as_deref() == Some(hook) => {
            let found = place::text_of(&config).map_err(Error::file("read", &config))?;
            if let Some(found) = found {
                plan.files.push(Planned {
                    path: config,
                    mode: found.mode,
                    text: found.text,
                    state: State::Kept,
                });
            }
        }
        Found::Foreign => plan.warn(
            config.display(),
            "the agent is not told to call a hook: no freeze and no thaw reaches Domino",
            format!("put fsfreeze-hook={shown} below [general] in it"),
        ),
        Found::Nothing | Found::Ours(_) => {
            plan.file(request, config, 0o644, text, "")?;
        }
    }
    Ok(())
}

/// Whether the agent that runs was started with our hook; where none was
/// found there is nothing to be restarted.
fn runs_with(agent: &Agent, hook: &Path) -> bool {
    let Some(words) = &agent.running else {
        return true;
    };
    agent::hook_of(words)
        .as_deref()
        .or(agent.by_config.as_deref())
        == Some(hook)
}

/// Our files.
pub fn places(root: &Root) -> Vec<PathBuf> {
    let hooks = DIRECTORIES
        .iter()
        .flat_map(|directory| ["fsfreeze-hook", BESIDE].map(|name| Path::new(directory).join(name)))
        .map(|path| root.path(path));
    hooks
        .chain([root.path(CONFIG)])
        // The wrapper itself is of no interest to who takes ours away.
        .filter(|path| !agent::is_stock_wrapper(path))
        .collect()
}
