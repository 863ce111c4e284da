//! How a command of a sandbox begins: its user, and where needed an /etc of
//! its own in a private mount namespace.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What to become before the program is executed.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// User, group and supplementary groups; none: as the suite runs.
    pub ids: Option<(u32, u32, Vec<u32>)>,
    /// What is mounted where, in a mount namespace of the command's own.
    pub binds: Vec<(CString, CString)>,
    /// Mount a /proc that hides other users' processes.
    pub hide_proc: bool,
    /// Forbid the user to have a further process.
    pub one_process: bool,
    /// Every syncfs(2) fails with EIO, as on a disk that is broken.
    pub broken_disk: bool,
    /// Start a session of its own, with standard input as its terminal.
    pub controlling_terminal: bool,
}

impl Entry {
    /// Mounts a directory or file over another.
    pub fn bind(&mut self, from: &Path, over: &str) {
        let from = CString::new(from.as_os_str().as_bytes()).unwrap();
        self.binds.push((from, CString::new(over).unwrap()));
    }

    /// Makes a command begin so.
    pub fn apply(self, command: &mut Command) {
        // SAFETY: between fork and exec only system calls are made; what they
        // read was prepared before.
        unsafe {
            command.pre_exec(move || self.enter());
        }
    }

    fn enter(&self) -> io::Result<()> {
        let null = std::ptr::null();
        // SAFETY: plain system calls on valid, nul-terminated strings and on
        // a slice whose length is passed along.
        unsafe {
            if self.controlling_terminal {
                check(libc::setsid())?;
                check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
            }
            if !self.binds.is_empty() || self.hide_proc {
                check(libc::unshare(libc::CLONE_NEWNS))?;
                let flags = libc::MS_REC | libc::MS_PRIVATE;
                check(libc::mount(null, c"/".as_ptr(), null, flags, null.cast()))?;
            }
            for (from, over) in &self.binds {
                let flags = libc::MS_BIND;
                check(libc::mount(
                    from.as_ptr(),
                    over.as_ptr(),
                    null,
                    flags,
                    null.cast(),
                ))?;
            }
            if self.hide_proc {
                let (proc, options) = (c"proc".as_ptr(), c"hidepid=2".as_ptr());
                check(libc::mount(
                    proc,
                    c"/proc".as_ptr(),
                    proc,
                    0,
                    options.cast(),
                ))?;
            }
            if let Some((uid, gid, groups)) = &self.ids {
                check(libc::setgroups(groups.len(), groups.as_ptr()))?;
                check(libc::setresgid(*gid, *gid, *gid))?;
                check(libc::setresuid(*uid, *uid, *uid))?;
            }
            if self.broken_disk {
                refuse_syncfs()?;
            }
            if self.one_process {
                let one = libc::rlimit {
                    rlim_cur: 1,
                    rlim_max: 1,
                };
                check(libc::setrlimit(libc::RLIMIT_NPROC, &one))?;
            }
        }
        Ok(())
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes syncfs(2) fail for this process and what it starts.
fn refuse_syncfs() -> io::Result<()> {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut steps = [
        // The number of the system call comes first in what a filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_syncfs as u32,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EIO as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: `program` and the steps it points to live until the calls are
    // over; the kernel copies them.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let mode = libc::SECCOMP_MODE_FILTER;
        check(libc::prctl(libc::PR_SET_SECCOMP, mode, &program, 0, 0))
    }
}
