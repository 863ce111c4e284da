//! Where we differ from the original, on purpose. Each scenario names its line
//! of docs/differences.md (`D..`) or the part of the contract it stands for.

use crate::support::scenario::Scenario;

mod bad_input;
mod concurrency;
mod configuration;
mod console;
mod exit_codes;
mod faults;
mod hooks;
mod hostile;
mod logs;
mod places;
mod processes;
mod ready;
mod signals;
mod status_forms;
mod stopping;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        bad_input::ALL,
        concurrency::ALL,
        configuration::ALL,
        console::ALL,
        exit_codes::ALL,
        faults::ALL,
        hooks::ALL,
        hostile::ALL,
        logs::ALL,
        places::ALL,
        processes::ALL,
        ready::ALL,
        signals::ALL,
        status_forms::ALL,
        stopping::ALL,
    ]
    .concat()
}
