//! Snapshots: freeze and thaw for the products that take them. Prints nothing.
//!
//! A freeze is owned from beginning to end by one process, the keeper, which
//! outlives its caller: it stops the server, waits for the thaw and brings the
//! server back, also when no thaw comes. Callers only talk to it.

pub mod adapters;
pub mod callers;
pub mod facts;
pub mod history;
pub mod keeper;
pub mod place;
pub mod protocol;
pub mod record;
pub mod verbs;
pub mod verdict;
