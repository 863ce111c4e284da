//! A sandbox of the suite with the configuration as it is shipped, the
//! commands to compare in it, and a crowd of strangers.

use super::measure::{Contest, alternate, run};
use crate::standin::processes::signal;
use crate::support::{Sandbox, command, run_directory};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{fs, io};

/// The uid of the strangers; no sandbox has it.
const STRANGER: u32 = 61_232;

/// See the module.
pub struct Host(pub Sandbox);

impl Host {
    /// Lays it out.
    pub fn new() -> io::Result<Host> {
        let sandbox = Sandbox::with(&[("DOMINO_SHUTDOWN_TIMEOUT", "60")]);
        let config = sandbox.root.join("etc/sysconfig/rc_domino_config");
        fs::rename(&config, config.with_file_name("rc_domino_config_notes"))?;
        fs::copy("etc/sysconfig/rc_domino_config", config)?;
        Ok(Host(sandbox))
    }

    /// The product, by the name under which it acts itself.
    pub fn product() -> PathBuf {
        run_directory::program("rc_domino_script")
    }

    /// A command of the Domino user's, without output.
    pub fn command(&self, program: impl Into<PathBuf>, arguments: &[&str]) -> Command {
        self.silent(program.into(), arguments, false)
    }

    fn silent(&self, program: PathBuf, arguments: &[&str], own_etc: bool) -> Command {
        let mut entry = self.0.entry();
        // Only the original needs it, and it takes time.
        entry.binds.retain(|_| own_etc);
        let command = command::Command::new(&self.0, program).args(arguments);
        let command = command.env("RC_DOMINO_ROOT", &self.0.root);
        let mut command = command.entering(entry).prepared();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    }

    /// A verb of ours, and of the original's where RC_DOMINO_ORIGINAL names it.
    pub fn verb(&self, verb: &str) -> Vec<Command> {
        let mut commands = vec![self.command(Host::product(), &[verb])];
        let original = std::env::var_os("RC_DOMINO_ORIGINAL").filter(|path| !path.is_empty());
        commands.extend(original.map(|path| self.silent(path.into(), &[verb], true)));
        commands
    }

    /// Compares `status` with another command in so many runs.
    pub fn contest(&self, rounds: usize, other: &str, words: &[&str]) -> io::Result<Contest> {
        let mut commands = self.verb("status");
        commands.insert(1, self.command(other, words));
        let medians = alternate(rounds, &mut commands)?;
        Ok(Contest {
            name: other.to_owned(),
            ours: medians[0],
            other: medians[1],
            original: medians.get(2).copied(),
        })
    }

    /// Starts the server in this mode and waits until it is up.
    pub fn up(&self, mode: &str) -> io::Result<()> {
        self.0.mode(mode);
        let _ = fs::remove_file(self.0.log());
        run(&mut self.verb("start")[0])?;
        self.0.wait_up();
        Ok(())
    }
}

/// Sleeping processes of another user. Killed when dropped, and by the kernel
/// should the benchmark die.
pub struct Crowd(Vec<libc::pid_t>);

impl Crowd {
    /// So many of them.
    pub fn gather(count: usize) -> io::Result<Crowd> {
        let mut crowd = Crowd(Vec::new());
        while crowd.0.len() < count {
            // SAFETY: the child makes system calls only.
            match unsafe { libc::fork() } {
                -1 => return Err(io::Error::last_os_error()),
                0 => sleep(),
                pid => crowd.0.push(pid),
            }
        }
        Ok(crowd)
    }
}

fn sleep() -> ! {
    // SAFETY: plain numbers. PR_SET_PDEATHSIG comes last: a change of the user
    // takes it back.
    unsafe {
        libc::setresuid(STRANGER, STRANGER, STRANGER);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
        for pid in &self.0 {
            // SAFETY: it is our child; no status is asked for.
            unsafe { libc::waitpid(*pid, std::ptr::null_mut(), 0) };
        }
    }
}
