//! What the keeper must know of a server before it freezes it; told by a
//! process that is the Domino user.

use super::protocol::Wish;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The server's name.
    pub server: String,
    /// Whether it runs, seen while no start or stop was under way.
    pub running: bool,
    /// DOMINO_SNAPSHOT_MODE.
    pub mode: Wish,
    /// DOMINO_SNAPSHOT_MAX_DOWNTIME, in seconds.
    pub max_downtime: u64,
    /// The unit that owns the server, if one does.
    pub unit: Option<String>,
}
