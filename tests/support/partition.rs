//! One of several servers of a host: programs, data and configuration of a
//! user of its own.

use super::sandbox::Sandbox;
use crate::standin::{self, processes};
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

/// A server beside the sandbox's own.
pub struct Partition {
    pub user: String,
    /// Below the sandbox's own, so that it is cleared with it.
    pub lotus: PathBuf,
    pub data: PathBuf,
}

impl Partition {
    /// Installs and configures it; `owner` gets its files, where that is not
    /// who runs the test.
    pub fn install(sandbox: &mut Sandbox, user: &str, owner: Option<(u32, u32)>) -> Partition {
        let partition = Partition {
            user: user.to_owned(),
            lotus: sandbox.lotus.join(user),
            data: sandbox.directory(format!("data_{user}")),
        };
        sandbox.install_beside(&partition.lotus, &partition.data, owner);
        if let Some((uid, gid)) = owner {
            chown(&partition.data, Some(uid), Some(gid)).unwrap();
        }
        let config = format!(
            "DOMINO_CONFIGURED=yes\nLOTUS={}\nDOMINO_DATA_PATH={data}\nDOMINO_PID_FILE={data}/domino.pid\n",
            partition.lotus.display(),
            data = partition.data.display()
        );
        sandbox.sysconfig(&format!("rc_domino_config_{user}"), config.as_bytes());
        partition
    }

    /// How its server behaves from now on.
    pub fn mode(&self, text: &str) {
        fs::write(self.data.join("standin.mode"), text).unwrap();
    }

    /// Whether a process of it runs, or is about to.
    pub fn runs(&self) -> bool {
        !processes::on_their_way(&self.lotus).is_empty()
            || !processes::under(&self.lotus, None).is_empty()
    }

    /// Whether its log says that the server is ready.
    pub fn is_up(&self) -> bool {
        fs::read(self.data.join(format!("{}.log", self.user)))
            .is_ok_and(|log| super::holds(&log, super::server::UP))
    }

    /// Whether its server was told to quit.
    pub fn is_told_to_quit(&self) -> bool {
        let calls = standin::read_calls(&self.data).unwrap();
        let is_quit = |call: &standin::Call| call.args().iter().any(|word| word == "-q");
        calls.iter().any(is_quit)
    }

    /// How often its server was started.
    pub fn starts(&self) -> usize {
        let calls = standin::read_calls(&self.data).unwrap();
        let is_start = |call: &standin::Call| {
            call.program == "server" && !call.args().iter().any(|word| word == "-q" || word == "-c")
        };
        calls.iter().filter(|call| is_start(call)).count()
    }
}
