//! Where we differ from the original, on purpose. Each scenario names its line
//! of docs/differences.md (`D..`) or the part of the contract it stands for.

use crate::support::scenario::Scenario;

mod backup_mode;
mod bad_input;
mod check_unit;
mod cleanup;
mod concurrency;
mod config_verbs;
mod configuration;
mod console;
mod databases;
mod diagnosis;
mod exit_codes;
mod faults;
mod hooks;
mod hostile;
mod logs;
mod ocf;
mod partitions;
mod places;
mod processes;
mod ready;
mod reports;
mod run;
mod setup;
mod setup_sources;
mod shared_data;
mod shell;
mod signals;
mod snapshot;
mod snapshot_callers;
mod snapshot_cycles;
mod snapshot_faults;
mod snapshot_install;
mod snapshot_meanwhile;
mod snapshot_online;
mod status_forms;
mod stopping;
mod support_verbs;
mod unclean;
mod unit_troubles;
mod units;
mod verify;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        backup_mode::ALL,
        bad_input::ALL,
        check_unit::ALL,
        cleanup::ALL,
        concurrency::ALL,
        config_verbs::ALL,
        configuration::ALL,
        console::ALL,
        databases::ALL,
        diagnosis::ALL,
        exit_codes::ALL,
        faults::ALL,
        hooks::ALL,
        hostile::ALL,
        logs::ALL,
        ocf::ALL,
        partitions::ALL,
        places::ALL,
        processes::ALL,
        ready::ALL,
        reports::ALL,
        run::ALL,
        setup::ALL,
        setup_sources::ALL,
        signals::ALL,
        snapshot::ALL,
        snapshot_callers::ALL,
        snapshot_cycles::ALL,
        snapshot_faults::ALL,
        snapshot_install::ALL,
        snapshot_meanwhile::ALL,
        snapshot_online::ALL,
        status_forms::ALL,
        stopping::ALL,
        unit_troubles::ALL,
        units::ALL,
        shared_data::ALL,
        shell::ALL,
        support_verbs::ALL,
        unclean::ALL,
        verify::ALL,
    ]
    .concat()
}
