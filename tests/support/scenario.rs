//! A scenario, and what it needs of the host to be run.

use super::{Target, is_root, target};
use std::path::Path;

/// What a scenario needs beside a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Root, for a second user, a mount namespace or a file system.
    Root,
    /// Root, and sudo.
    Sudo,
    /// Root, and bindfs: a filesystem that several hosts could have mounted.
    Bindfs,
    /// Root, and csh.
    Csh,
    /// The shell zsh.
    Zsh,
    /// The shell fish.
    Fish,
    /// A kernel that tells how any process ended.
    ExitInfo,
}

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Module and function.
    pub path: &'static str,
    /// The scenario.
    pub run: fn(),
    /// What it needs.
    pub need: Need,
}

impl Scenario {
    /// Its name, without the crate's.
    pub fn name(&self) -> &'static str {
        self.path
            .split_once("::")
            .map_or(self.path, |(_, name)| name)
    }

    /// Why it cannot be run here, if so.
    pub fn not_run(&self) -> Option<&'static str> {
        let original = matches!(target(), Target::Original(_));
        let compat = self.name().starts_with("compat::");
        let installed = |program: &str| {
            ["/usr/bin", "/bin", "/usr/sbin"]
                .iter()
                .any(|dir| Path::new(dir).join(program).exists())
        };
        if original && !compat {
            return Some("RC_DOMINO_ORIGINAL is set, and this is true of our program only");
        }
        if original && !is_root() {
            return Some(
                "the original reads the real /etc: root and its mount namespace are needed",
            );
        }
        match self.need {
            Need::Nothing => None,
            Need::ExitInfo => (!kernel_tells_exits()).then_some("needs Linux 6.15"),
            Need::Zsh => (!installed("zsh")).then_some("zsh is not installed"),
            Need::Fish => (!installed("fish")).then_some("fish is not installed"),
            _ if !is_root() => Some("needs root"),
            Need::Sudo if !installed("sudo") => Some("sudo is not installed"),
            Need::Bindfs if !installed("bindfs") => Some("bindfs is not installed"),
            Need::Bindfs if !Path::new("/dev/fuse").exists() => Some("there is no /dev/fuse"),
            Need::Csh if !installed("csh") && !installed("tcsh") => Some("csh is not installed"),
            _ => None,
        }
    }
}

/// The scenarios of a module: `scenarios![name, other needs Root]`.
macro_rules! scenarios {
    (@need) => { $crate::support::scenario::Need::Nothing };
    (@need $need:ident) => { $crate::support::scenario::Need::$need };
    ($($name:ident $(needs $need:ident)?),* $(,)?) => {
        /// Every scenario of this module.
        pub const ALL: &[$crate::support::scenario::Scenario] = &[$(
            $crate::support::scenario::Scenario {
                path: concat!(module_path!(), "::", stringify!($name)),
                run: $name,
                need: scenarios!(@need $($need)?),
            }
        ),*];
    };
}

fn kernel_tells_exits() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}
