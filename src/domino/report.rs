//! The report on environment and limits that each start writes into the log.

use super::environment::Environment;
use super::masking::{MASK, is_secret};
use super::server_log::ServerLog;
use super::tools::Work;
use crate::error::Result;
use std::os::unix::ffi::OsStrExt;

/// Appends the report to the console log.
pub fn write(work: &mut Work, environment: &Environment) -> Result<()> {
    let mut text: Vec<u8> = Vec::new();
    let mut section = |title: &str, lines: Vec<Vec<u8>>| {
        text.extend_from_slice(format!("--- {title} ---\n").as_bytes());
        for line in lines {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        text.push(b'\n');
    };
    let now = work.partition.stamp("%a %b %e %H:%M:%S %Z %Y")?;
    let zone = work.partition.stamp("%Z %z")?;
    section(
        &format!("rc_domino {}: start at {now}", env!("CARGO_PKG_VERSION")),
        Vec::new(),
    );
    let variable = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        // One-Touch Setup passes passwords through the environment.
        let shown: &[u8] = if is_secret(name.as_bytes()) {
            MASK
        } else {
            value.as_bytes()
        };
        [name.as_bytes(), b"=", shown].concat()
    };
    section("environment", environment.iter().map(variable).collect());
    section(
        "locale",
        environment
            .iter()
            .filter(|(name, _)| {
                let name = name.as_bytes();
                name == b"LANG" || name == b"LANGUAGE" || name.starts_with(b"LC_")
            })
            .map(variable)
            .collect(),
    );
    section(
        "umask",
        vec![format!("{:04o}", crate::os::limits::umask()).into_bytes()],
    );
    section("time zone", vec![zone.into_bytes()]);
    let limits = crate::os::limits::all();
    section(
        "limits: soft, hard",
        limits
            .iter()
            .map(|limit| {
                format!(
                    "{:<42} {:>20} {:>20}",
                    format!("{} {}", limit.name, limit.unit),
                    amount(limit.soft),
                    amount(limit.hard)
                )
                .into_bytes()
            })
            .collect(),
    );
    ServerLog::of(work.partition).append(&text)
}

fn amount(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}
