//! What the cluster hands an agent: `OCF_RESKEY_…` and `OCF_CHECK_LEVEL`.

use super::super::Call;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The parameters of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The Domino user; none: the host's default.
    pub user: Option<OsString>,
    /// A further configuration file.
    pub config: Option<OsString>,
    /// How long a shutdown may take.
    pub shutdown_timeout: Option<u32>,
    /// Whether a start waits for readiness.
    pub ready: bool,
    /// Whether another host's claim does not count.
    pub take_over: bool,
    /// How deep a monitor looks: 0, 10, 20.
    pub depth: u32,
    /// How long the cluster lets this action take.
    pub limit: Option<Duration>,
    /// Whether this is a probe: the cluster asks what there is before it has
    /// done anything.
    pub probe: bool,
}

impl Parameters {
    /// Reads them. An error is one of the resource's definition.
    pub fn of(call: &Call) -> Result<Parameters> {
        let key = |name: &str| call.variable(&format!("OCF_RESKEY_{name}"));
        let number = |name: &str| key(name).map(|text| read_number(name, text)).transpose();
        let level = call.variable("OCF_CHECK_LEVEL");
        let depth = level.map(|text| read_number("OCF_CHECK_LEVEL", text));
        let milliseconds = number("CRM_meta_timeout")?;
        Ok(Parameters {
            user: key("user").map(OsStr::to_owned),
            config: key("config").map(OsStr::to_owned),
            shutdown_timeout: number("shutdown_timeout")?,
            ready: boolean("ready", key("ready"), true)?,
            take_over: boolean("take_over", key("take_over"), false)?,
            depth: depth.transpose()?.unwrap_or(0),
            limit: milliseconds.map(|text| Duration::from_millis(text.into())),
            probe: number("CRM_meta_interval")?.unwrap_or(0) == 0,
        })
    }
}

fn wrong(name: &str, text: &OsStr, expected: &str) -> Error {
    Error::Refused {
        message: format!(
            "parameter {name} is '{}'; {expected} is expected",
            shown(text)
        ),
        exit: Exit::NotConfigured,
    }
}

fn read_number(name: &str, text: &OsStr) -> Result<u32> {
    let plain = text.to_str().and_then(|text| text.parse().ok());
    plain.ok_or_else(|| wrong(name, text, "a whole number"))
}

/// What resource agents take for true and false.
fn boolean(name: &str, text: Option<&OsStr>, default: bool) -> Result<bool> {
    let Some(text) = text else {
        return Ok(default);
    };
    match text.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("yes" | "true" | "1" | "ja" | "on") => Ok(true),
        Some("no" | "false" | "0" | "nein" | "off") => Ok(false),
        _ => Err(wrong(name, text, "true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Persona;
    use crate::os::root::Root;

    fn read(variables: &[(&str, &str)]) -> Result<Parameters> {
        let pair = |(name, value): &(&str, &str)| (name.into(), value.into());
        Parameters::of(&Call {
            root: Root::system(),
            persona: Persona::Agent,
            user: None,
            config: None,
            shutdown_timeout: None,
            direct: true,
            arguments: Vec::new(),
            environment: variables.iter().map(pair).collect(),
        })
    }

    #[test]
    fn parameters_are_read_and_wrong_ones_refused() {
        let none = read(&[]).unwrap();
        assert!(none.ready && !none.take_over && none.probe && none.depth == 0);
        let all = read(&[
            ("OCF_RESKEY_user", "mail"),
            ("OCF_RESKEY_shutdown_timeout", "90"),
            ("OCF_RESKEY_ready", "no"),
            ("OCF_RESKEY_take_over", "TRUE"),
            ("OCF_CHECK_LEVEL", "20"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("OCF_RESKEY_CRM_meta_interval", "10000"),
        ])
        .unwrap();
        assert_eq!(all.user.as_deref(), Some(OsStr::new("mail")));
        assert_eq!((all.shutdown_timeout, all.depth), (Some(90), 20));
        assert!(!all.ready && all.take_over && !all.probe);
        assert_eq!(all.limit, Some(Duration::from_secs(20)));
        for (name, value) in [
            ("OCF_RESKEY_shutdown_timeout", "soon"),
            ("OCF_RESKEY_take_over", "perhaps"),
            ("OCF_CHECK_LEVEL", "-1"),
        ] {
            assert_eq!(
                read(&[(name, value)]).unwrap_err().exit(),
                Exit::NotConfigured
            );
        }
    }
}
