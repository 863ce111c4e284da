//! The hidden verb by which the snapshot verbs reach online backup mode.

use clap::{Args, Subcommand};
use std::time::Duration;

/// What to do about backup mode.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Bring all databases into backup mode and flush them. Codes: 0 on; 7 the
    /// server is down and all is whole; 150 it is down and not all is; 153 in
    /// use by another backup; 152 given up and released; 1 failed, released
    Enter(Limit),
    /// Flush them once more where it is on by an earlier call. Codes: 0 it is;
    /// 1 it is not
    Renew,
    /// End it. Codes: 0 it was on up to now, or there was none; 152 it had been
    /// lost; 153 it is another program's
    Leave(Limit),
    /// Whether the server can. Codes: 0 yes, 1 no
    Supported,
}

/// How long it may take.
#[derive(Clone, Copy, Debug, Args)]
pub struct Limit {
    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub limit: u32,
}

impl Limit {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.limit.into())
    }
}
