//! As root, with a real second user: his name, groups, limits and profile
//! come from an /etc of the sandbox's own in a private mount namespace.

use crate::support::Sandbox;
use crate::support::builder::Builder;
use crate::support::command::Command;
use crate::support::scenario::Scenario;

mod configuration;
mod host;
mod login;
mod ocf;
mod snapshot_all;
mod switch;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        configuration::ALL,
        host::ALL,
        login::ALL,
        ocf::ALL,
        snapshot_all::ALL,
        switch::ALL,
    ]
    .concat()
}

/// A sandbox whose commands see its own /etc.
fn host() -> Sandbox {
    Builder::default().own_etc().build()
}

/// The entry point as root calls it there.
fn as_root<'a>(sandbox: &'a Sandbox, arguments: &[&str]) -> Command<'a> {
    sandbox
        .command(arguments)
        .called("rc_domino")
        .entering(sandbox.entry_as_caller())
        .no_env("RC_DOMINO_ROOT")
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root")
}
