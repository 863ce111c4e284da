//! The hidden verbs: the keeper itself, and what it asks of the Domino user.

use crate::cli::snapshot::ModeWord;
use crate::command::identity::{self, Identity, Needs};
use crate::command::switch::own_program;
use crate::command::{Call, diagnosis, loading, with_work};
use crate::domino::processes;
use crate::domino::state::State;
use crate::domino::{Partition, cleanup, lock};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::os::process::Pid;
use crate::snapshot::facts::Facts;
use crate::snapshot::keeper::{self, Setup};
use crate::snapshot::place::Place;
use crate::snapshot::protocol::Wish;
use crate::snapshot::verbs::Verbs;
use crate::ui::Ui;
use clap::ValueEnum;

/// `__keeper`.
pub fn keep(call: &Call) -> Result<Exit> {
    let identity = identity::settle(call)?;
    if !super::may_act(call) {
        return Err(Error::OtherUser {
            user: "root".into(),
            try_instead: "sudo rc_domino snapshot status".into(),
        });
    }
    keeper::keep(Setup {
        root: call.root.clone(),
        verbs: verbs(call, &identity)?,
        user: identity.user,
        // What systemd tells every process of a unit.
        restarted: call.variable("INVOCATION_ID").is_some(),
    })?;
    Ok(Exit::Done)
}

/// `__keeper-second`.
pub fn second(call: &Call, pid: i32) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let keeper = Pid::new(pid).ok_or_else(|| Error::Usage(format!("{pid} is no pid")))?;
    let place = Place::of(&call.root, identity.user.uid);
    keeper::second::watch(keeper, &place, || start_keeper(call, &identity).map(drop))?;
    Ok(Exit::Done)
}

/// Starts a keeper for this user's server; the name of its unit, where systemd
/// runs the host.
pub fn start_keeper(call: &Call, identity: &Identity) -> Result<String> {
    let (uid, own) = (identity.user.uid, std::process::id());
    let unit = format!("rc_domino-snapshot-{uid}-{own}");
    verbs(call, identity)?.detach_keeper(&call.root, &unit)?;
    Ok(unit)
}

/// How the keeper runs this program again for this user's server.
pub fn verbs(call: &Call, identity: &Identity) -> Result<Verbs> {
    Ok(Verbs::new(
        own_program()?,
        &identity.user.name,
        call.direct,
        &call.root,
        &call.environment,
    ))
}

/// `__snapshot-facts`: waits for a start or stop under way, then looks.
pub fn facts(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let identity = identity::settle(call)?;
    let unit = loading::unit_to_start(call, &identity);
    let partition = load(call, &identity, ui)?;
    let running = with_work(&partition, ui, |work| {
        let _lock = lock::acquire(work)?;
        Ok(State::of(processes::find(work.partition)?).can_stop())
    })?;
    // Where its start would be refused, the thaw would leave it down.
    let unit = match running {
        true => unit?,
        false => unit.ok().flatten(),
    };
    let max_downtime = partition.settings.snapshot_max_downtime.value;
    let facts = Facts {
        server: partition.name().to_string_lossy().into_owned(),
        running,
        mode: mode(&partition)?,
        // Half a second is not never.
        max_downtime: max_downtime.as_secs() + u64::from(max_downtime.subsec_nanos() > 0),
        unit: unit.map(|unit| unit.name().to_string_lossy().into_owned()),
    };
    let line = serde_json::to_string(&facts).map_err(|cause| Error::System {
        action: "write JSON",
        cause: cause.into(),
    })?;
    ui.line(&line);
    Ok(Exit::Done)
}

fn load(call: &Call, identity: &Identity, ui: &mut Ui) -> Result<Partition> {
    let partition = loading::load_as(call, identity, ui)?;
    partition.require_installed()?;
    partition.require_data()?;
    Ok(partition)
}

/// DOMINO_SNAPSHOT_MODE.
fn mode(partition: &Partition) -> Result<Wish> {
    let word = partition.settings.text("DOMINO_SNAPSHOT_MODE");
    let word = word.map_or_else(|| "stop".into(), |word| word.to_string_lossy());
    ModeWord::from_str(&word, true)
        .map(ModeWord::wish)
        .map_err(|_| Error::Refused {
            message: format!(
                "DOMINO_SNAPSHOT_MODE is '{word}'; it must be stop, online or auto. Nothing was done"
            ),
            exit: Exit::NotConfigured,
        })
}

/// `__force-down`: beside the stop that waits for the server.
pub fn force_down(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let finder = diagnosis::finder(&partition, ui)?;
    with_work(&partition, ui, |work| {
        cleanup::kill_server(work, &finder, "the server was killed for a snapshot")
    })?;
    Ok(Exit::Done)
}
