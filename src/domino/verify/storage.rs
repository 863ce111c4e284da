//! Can the server write where its data lies?

use super::super::durable;
use super::super::partition::Partition;
use super::Check;
use crate::os::files;
use crate::os::host::{self, Mount};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const NAME: &str = "storage";

/// notes.ini entries whose place must be there, each with its switch.
const NEEDED: [(&str, &str); 2] = [
    ("Translog_Path", "TRANSLOG_Status"),
    ("DAOSBasePath", "DAOSEnable"),
];

/// Every place of the server's data is there and takes a file.
pub fn check(partition: &Partition) -> Check {
    let mounts = host::mounts().unwrap_or_default();
    let data = partition.data();
    let (further, complete) = durable::places(partition);
    let mut places = vec![data.clone()];
    places.extend(further);
    let mut faults: Vec<String> = Vec::new();
    places.retain(|place| match std::fs::metadata(place) {
        Ok(_) => true,
        Err(cause) => {
            if cause.kind() != ErrorKind::NotFound || is_needed(partition, place) {
                faults.push(format!("{}: {cause}", place.display()));
            }
            false
        }
    });
    let mut known: Vec<PathBuf> = Vec::new();
    places.retain(|place| {
        let Ok(real) = std::fs::canonicalize(place) else {
            return true;
        };
        let first = !known.contains(&real);
        known.push(real);
        first
    });
    faults.extend(places.iter().filter_map(|place| fault(place, &mounts)));
    if !complete {
        return Check::unknown(
            NAME,
            "notes.ini cannot be read, so where the data lies is not known",
            "make notes.ini readable",
        );
    }
    if faults.is_empty() {
        let rest = match places.len() {
            1 => String::new(),
            count => format!(" and {} further places", count - 1),
        };
        return Check::ok(NAME, format!("{}{rest} can be written to", data.display()));
    }
    Check::failed(
        NAME,
        faults.join("; "),
        "mount what is missing, remount what is read-only ('dmesg' tells why), make room, or correct owner and mode; then 'rc_domino restart'",
    )
}

/// Whether something is wrong where this place is not there. What a directory
/// link names always must be; what notes.ini names, where it is in use.
fn is_needed(partition: &Partition, place: &Path) -> bool {
    let Ok(ini) = partition.notes_ini() else {
        return true;
    };
    let data = partition.data();
    let named_by_ini = durable::DATA_PATHS
        .iter()
        .any(|name| ini.path(name, &data).is_some_and(|path| path == place));
    !named_by_ini
        || NEEDED.iter().any(|(name, switch)| {
            ini.flag(switch) && ini.path(name, &data).is_some_and(|path| path == place)
        })
}

/// What is wrong with a place that is there.
fn fault(place: &Path, mounts: &[Mount]) -> Option<String> {
    let mount = host::mount_of(mounts, place);
    if let Some(mount) = mount
        && mount.options.split(',').any(|option| option == "ro")
    {
        return Some(format!(
            "{}: {} is mounted read-only on {}",
            place.display(),
            crate::error::shown(&mount.source),
            mount.target.display()
        ));
    }
    // A database that lies elsewhere by a link of its own.
    if place.is_file() {
        let fault = !files::is_writable(place);
        return fault.then(|| format!("{} cannot be written to", place.display()));
    }
    let cause = files::prove_writable(place).err()?;
    Some(format!("{}: {cause}", place.display()))
}
