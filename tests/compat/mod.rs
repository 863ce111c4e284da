//! What is true of the original start script too: a drop-in must keep it.
//!
//! Exit codes of `status` and of stops that went wrong are not among it: the
//! original answers 0 there (contract §7).

use crate::support::scenario::Scenario;

mod archive;
mod config;
mod config_verbs;
mod databases;
mod diagnosis;
mod environment;
mod hooks;
mod logs;
mod maintenance;
mod monitor;
mod setup;
mod setup_verb;
mod shell;
mod start;
mod status;
mod stop;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        archive::ALL,
        config::ALL,
        config_verbs::ALL,
        databases::ALL,
        diagnosis::ALL,
        environment::ALL,
        hooks::ALL,
        logs::ALL,
        maintenance::ALL,
        monitor::ALL,
        setup::ALL,
        setup_verb::ALL,
        shell::ALL,
        start::ALL,
        status::ALL,
        stop::ALL,
    ]
    .concat()
}
