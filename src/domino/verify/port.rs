//! Does the server itself listen where Notes clients and servers call?

use super::super::nrpc::{self, NrpcPort};
use super::super::partition::Partition;
use super::super::processes::Role;
use super::super::state::State;
use super::Check;
use crate::error::{Error, Result, shown};
use crate::os::process::Pid;
use crate::os::sockets::{self, Listener};
use crate::os::users;

const NAME: &str = "port";

/// Every NRPC port of notes.ini, owned by a process of this server.
pub fn check(partition: &Partition, state: &State) -> Result<Check> {
    if !state.is_running() {
        return Ok(Check::without_server(NAME));
    }
    let pids: Vec<Pid> = state
        .processes()
        .iter()
        .filter(|found| matches!(found.role, Role::Server | Role::Task))
        .map(|found| found.pid())
        .collect();
    let failed = Error::system("list TCP ports");
    let own = match sockets::listening_ports_of(&pids) {
        Ok(own) => own,
        Err(cause) => return Err(failed(cause)),
    };
    let wanted = nrpc::ports(partition);
    let closed: Vec<&NrpcPort> = wanted
        .iter()
        .filter(|wanted| !own.contains(&wanted.port))
        .collect();
    let Some(first) = closed.first() else {
        let all: Vec<String> = wanted
            .iter()
            .map(|open| format!("{} ({})", open.port, open.name))
            .collect();
        return Ok(match all.as_slice() {
            [] => Check::unknown(
                NAME,
                "notes.ini names no port of TCP/IP",
                "look at Ports= and DisabledPorts= in notes.ini",
            ),
            _ => Check::ok(NAME, format!("it listens on NRPC port {}", all.join(", "))),
        });
    };
    let listeners = sockets::listeners().map_err(failed)?;
    let holder = listeners.iter().find(|found| found.port == first.port);
    Ok(not_owned(partition, state, first, holder))
}

fn not_owned(
    partition: &Partition,
    state: &State,
    port: &NrpcPort,
    holder: Option<&Listener>,
) -> Check {
    let NrpcPort { name, port } = port;
    let Some(holder) = holder else {
        return Check::failed(
            NAME,
            format!("nobody listens on NRPC port {port} ({name})"),
            format!(
                "look for {name} in the console log: the address in {name}_TcpIpAddress= must be one of this host"
            ),
        );
    };
    // The kernel hides the descriptors of a program with capabilities.
    let hidden = state
        .server()
        .is_some_and(|server| !sockets::can_look_into(server.pid()).unwrap_or(false));
    if holder.uid == partition.user.uid && hidden {
        return Check::unknown(
            NAME,
            format!(
                "a process of user '{}' listens on NRPC port {port} ({name}), but whose it is is hidden from that user",
                shown(&partition.user.name)
            ),
            format!("as root, 'ss -ltnp sport = :{port}' tells it"),
        );
    }
    let user = users::owner_name(&partition.root, holder.uid)
        .map_or_else(|| holder.uid.to_string(), |name| shown(&name));
    Check::failed(
        NAME,
        format!("NRPC port {port} ({name}) belongs to another process, of user '{user}'"),
        format!("as root, 'ss -ltnp sport = :{port}' names it; end it, then 'rc_domino restart'"),
    )
}
