//! Snapshots: freeze and thaw for the products that take them. Prints nothing.

pub mod adapters;
pub mod callers;
pub mod verdict;
