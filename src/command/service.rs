//! `service` and `statusd`: the server's unit under systemd.

use super::identity::{Identity, Standing};
use super::{Call, identity, loading, logs, managers, restart, start, stop};
use crate::cli::managers::ManagersVerb;
use crate::cli::{LiveArgs, StartArgs};
use crate::domino::state::State;
use crate::domino::{Reporter, processes};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::service::systemd::Unit;
use crate::ui::Ui;

/// Shows the unit's state, or does with it what was asked for.
pub fn run(call: &Call, action: Option<&str>, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let unit = loading::unit_to_show(call, &identity)?.ok_or_else(logs::no_unit)?;
    // systemctl answers 0 to a stop that had to be by force.
    match action {
        Some("start") => return start::run(call, StartArgs::default(), ui),
        Some("stop") => return stop::run(call, LiveArgs::default(), false, ui),
        Some("restart") => return restart::run(call, StartArgs::default(), ui),
        Some("try-restart" | "condrestart" | "force-reload") => {
            return managers::run(call, ManagersVerb::TryRestart, ui);
        }
        _ => {}
    }
    let verb = match action.unwrap_or("status") {
        "on" | "add" => "enable",
        "off" | "del" => "disable",
        other => other,
    };
    if verb.starts_with('-') {
        return Err(Error::Usage(format!("'{verb}' is no action for a unit")));
    }
    let looks_only = matches!(
        verb,
        "status" | "show" | "cat" | "is-active" | "is-enabled" | "is-failed"
    );
    let code = unit.call(verb, !looks_only && loading::through_sudo(call))?;
    if verb == "status" && identity.standing != Standing::Other {
        compare(call, &identity, &unit, ui)?;
    }
    // systemctl and sudo answer 1 to whoever may not, and for other reasons.
    if !looks_only && matches!(code, 1 | 4) && crate::os::users::effective_uid() != 0 {
        return Err(Error::Service {
            message: format!(
                "systemd did not do it; call it as root, or let sudo or polkit allow '{}' to control the unit",
                shown(&identity.user.name)
            ),
            exit: Exit::Privilege,
        });
    }
    Ok(match code {
        0 => Exit::Done,
        code => Exit::Passed(code),
    })
}

/// Says where systemd and /proc disagree: systemd sees only what it started.
fn compare(call: &Call, identity: &Identity, unit: &Unit, ui: &mut Ui) -> Result<()> {
    let known = unit.state()?;
    let partition = loading::load_as(call, identity, ui)?;
    let state = State::of(processes::find(&partition)?);
    let name = shown(unit.name());
    if state.is_running() && !known.is_up() {
        ui.warn(&format!(
            "unit {name} is {}, but the server runs, outside of it: {}; 'rc_domino stop' stops it",
            known.active(),
            processes::list(state.processes())
        ));
    } else if !state.is_running() && known.active() == "active" {
        ui.warn(&format!("unit {name} is active, but no server runs"));
    }
    Ok(())
}
