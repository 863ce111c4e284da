//! Who asks for a snapshot, and how long each waits: the only place where
//! their limits stand.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A product that freezes and thaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// VMware Tools, open-vm-tools, and the products that ride on them.
    Vmware,
    /// The QEMU guest agent: libvirt, Proxmox, oVirt.
    Qemu,
    /// Azure Backup's VM extension.
    Azure,
    /// Veeam Backup & Replication and Veeam Agent.
    Veeam,
    /// Arcserve UDP, agentless or with its Linux agent.
    Arcserve,
    /// Veritas NetBackup's client.
    Netbackup,
    /// AWS Systems Manager and Data Lifecycle Manager.
    AwsSsm,
    /// A script of the site, an administrator, any other product.
    Generic,
}

/// What is known of a caller's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The word for `--caller`.
    pub name: &'static str,
    /// When the caller gives a freeze up unless the site set something else;
    /// `None`: it does not, as far as is known.
    pub limit: Option<Duration>,
    /// The budget of a freeze for which none was named; safely under `limit`.
    pub budget: Option<Duration>,
    /// Where `limit` is written.
    pub source: &'static str,
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

impl Caller {
    /// Every caller, in the order of the help.
    pub const ALL: [Caller; 8] = [
        Caller::Vmware,
        Caller::Qemu,
        Caller::Azure,
        Caller::Veeam,
        Caller::Arcserve,
        Caller::Netbackup,
        Caller::AwsSsm,
        Caller::Generic,
    ];

    /// What is known of this caller.
    pub const fn patience(self) -> Patience {
        match self {
            // All scripts and the thaw share the time: a third is left to them.
            Caller::Vmware => Patience {
                name: "vmware",
                limit: seconds(900),
                budget: seconds(600),
                source: "open-vm-tools, vmbackup/stateMachine.c: 15 minutes for the whole of it",
            },
            Caller::Qemu => Patience {
                name: "qemu",
                limit: seconds(600),
                budget: seconds(540),
                source: "Proxmox VE waits 10 minutes, older ones an hour; the agent itself has no limit",
            },
            Caller::Azure => Patience {
                name: "azure",
                limit: seconds(1800),
                budget: seconds(1620),
                source: "azure-linux-extensions, VMBackup/main/PluginHost.py: at most 1800 s, less by timeoutInSeconds",
            },
            Caller::Veeam => Patience {
                name: "veeam",
                limit: seconds(600),
                budget: seconds(540),
                source: "Veeam user guide, pre-freeze and post-thaw scripts: 10 minutes",
            },
            Caller::Arcserve => Patience {
                name: "arcserve",
                limit: None,
                budget: None,
                source: "none is known",
            },
            Caller::Netbackup => Patience {
                name: "netbackup",
                limit: seconds(300),
                budget: seconds(270),
                source: "NetBackup Administrator's Guide: BPSTART_TIMEOUT, 300 s",
            },
            Caller::AwsSsm => Patience {
                name: "aws-ssm",
                limit: seconds(120),
                budget: seconds(108),
                source: "Data Lifecycle Manager guide: pre and post scripts, at most 120 s",
            },
            Caller::Generic => Patience {
                name: "generic",
                limit: None,
                budget: None,
                source: "none is known",
            },
        }
    }

    /// The word for `--caller`.
    pub const fn name(self) -> &'static str {
        self.patience().name
    }

    /// The budget of a freeze for which none was named.
    pub const fn default_budget(self) -> Option<Duration> {
        self.patience().budget
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Caller {
    type Err = String;

    fn from_str(word: &str) -> Result<Caller, String> {
        Caller::ALL
            .into_iter()
            .find(|caller| caller.name() == word)
            .ok_or_else(|| {
                let names: Vec<&str> = Caller::ALL.iter().map(|caller| caller.name()).collect();
                format!("no such caller; known are {}", names.join(", "))
            })
    }
}

/// The budget that fits a limit set by the site: a tenth is kept back, at
/// least two seconds, for the answer to arrive.
pub fn budget_within(limit: Duration) -> Duration {
    let kept = (limit / 10).max(Duration::from_secs(2));
    Duration::from_secs(limit.saturating_sub(kept).as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for caller in Caller::ALL {
            assert_eq!(caller.name().parse(), Ok(caller));
            assert_eq!(caller.to_string(), caller.name());
        }
        assert!("VMware".parse::<Caller>().is_err());
        assert!(
            "xen"
                .parse::<Caller>()
                .unwrap_err()
                .contains("vmware, qemu")
        );
    }

    #[test]
    fn budgets_lie_under_limits() {
        for caller in Caller::ALL {
            let Patience { limit, budget, .. } = caller.patience();
            assert_eq!(limit.is_some(), budget.is_some(), "{caller}");
            if let (Some(limit), Some(budget)) = (limit, budget) {
                assert!(budget <= budget_within(limit), "{caller}");
            }
        }
        let within = |limit| budget_within(Duration::from_secs(limit)).as_secs();
        assert_eq!(
            [within(600), within(30), within(10), within(0)],
            [540, 27, 8, 1]
        );
    }
}
