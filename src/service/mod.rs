//! Who runs services on this host: systemd, or nobody.

pub mod notify;
pub mod subsys;
pub mod systemd;
pub mod unit_check;
pub mod unit_file;
pub mod unit_value;

use crate::os::root::Root;

/// Whether systemd runs this host: the test of sd_booted(3), a directory that
/// exists only then.
pub fn systemd_is_in_charge(root: &Root) -> bool {
    root.path("/run/systemd/system").is_dir()
}
