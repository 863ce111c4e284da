//! The ports on which a server speaks NRPC, the protocol of Notes, as notes.ini
//! names them.

use super::partition::Partition;
use crate::error::shown;
use crate::settings::notes_ini::NotesIni;
use std::ffi::OsStr;

/// The NRPC port that IANA assigns to Notes.
const ASSIGNED: u16 = 1352;

/// One of a server's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NrpcPort {
    /// What notes.ini calls it.
    pub name: String,
    /// Its TCP port.
    pub port: u16,
}

/// The TCP ports of a server; the usual one where notes.ini cannot be read.
pub fn ports(partition: &Partition) -> Vec<NrpcPort> {
    of(&partition.notes_ini().unwrap_or_default())
}

/// `Ports=TCPIP,LAN1`, each with `NAME=TCP,…` and, where it is not the assigned
/// one on every address, `NAME_TcpIpAddress=0,ADDRESS:PORT`.
fn of(ini: &NotesIni) -> Vec<NrpcPort> {
    let text = |name: &str| ini.get(name).map(shown).unwrap_or_default();
    let words = |name: &str| -> Vec<String> {
        let value = text(name);
        let words = value.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let disabled = words("DisabledPorts");
    let mut names = words("Ports");
    if names.is_empty() {
        names.push("TCPIP".to_owned());
    }
    names
        .into_iter()
        .filter(|name| {
            !disabled
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name))
        })
        // One that is not defined is TCPIP, or nobody knows.
        .filter(|name| match ini.get(name).and_then(OsStr::to_str) {
            Some(defined) => driver(defined).eq_ignore_ascii_case("TCP"),
            None => name.eq_ignore_ascii_case("TCPIP"),
        })
        .map(|name| NrpcPort {
            port: number(&text(&format!("{name}_TcpIpAddress"))).unwrap_or(ASSIGNED),
            name,
        })
        .collect()
}

fn driver(defined: &str) -> &str {
    defined.split(',').next().unwrap_or_default().trim()
}

/// The port in `0,ADDRESS:PORT`, where ADDRESS may be of IPv6 in brackets.
fn number(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    port.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_notes_ini_enables() {
        let found = |text: &str| -> Vec<(String, u16)> {
            let found = of(&NotesIni::parse(text.as_bytes()));
            found
                .into_iter()
                .map(|port| (port.name, port.port))
                .collect()
        };
        let one = |name: &str, port| vec![(name.to_owned(), port)];
        assert_eq!(found(""), one("TCPIP", 1352));
        assert_eq!(
            found("Ports=TCPIP\nTCPIP=TCP,0,15,0,,45088\nTCPIP_TCPIPADDRESS=0,10.0.0.1:13520"),
            one("TCPIP", 13520)
        );
        assert_eq!(
            found(
                "Ports=LAN1, COM1,OFF\nLAN1=TCP, 0\nCOM1=XPC,1\nOFF=TCP,0\nDisabledPorts=off\nLAN1_TcpIpAddress=0,[fe80::1]:1353"
            ),
            one("LAN1", 1353)
        );
        assert_eq!(
            found("Ports=TCPIP\nTCPIP_TcpIpAddress=0,10.0.0.1"),
            one("TCPIP", 1352)
        );
    }
}
