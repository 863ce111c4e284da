//! placeholder
use crate::support::scenario::Scenario;
pub fn all() -> Vec<Scenario> {
    Vec::new()
}
