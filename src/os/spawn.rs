//! Starting programs: nothing but what the launch names reaches the child.

use super::explain;
use super::pidfd::ProcessHandle;
use super::process::Pid;
use rustix::fs::{FileType, Mode, OFlags, RawDir};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// What one of the three standard descriptors of a child is.
#[derive(Debug)]
pub enum Stream {
    /// /dev/null.
    Null,
    /// Ours.
    Inherit,
    /// This file; its offset is shared.
    File(File),
    /// A pipe whose other end the [`Child`] has.
    Pipe,
}

/// A program to start, with everything it is to see.
///
/// It gets an empty signal mask, default dispositions for all signals
/// and none of our descriptors but its three standard ones.
#[derive(Debug)]
pub struct Launch {
    /// The program; a name without a slash is looked up in the PATH of `env`.
    pub program: OsString,
    /// The arguments after the name.
    pub args: Vec<OsString>,
    /// The name it is called by, if not `program`.
    pub arg0: Option<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, if not ours.
    pub cwd: Option<PathBuf>,
    /// Standard input.
    pub stdin: Stream,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// In a session of its own, without a controlling terminal (setsid(2)).
    pub new_session: bool,
    /// Leader of a process group of its own; a new session implies it.
    pub new_group: bool,
    /// SIGHUP ignored instead of default, as nohup does.
    pub ignore_hangup: bool,
    /// The umask, if not ours.
    pub umask: Option<u32>,
    without_close_range: bool,
}

impl Launch {
    /// What the tests of this layer let the shell do.
    #[cfg(test)]
    pub(super) fn shell(script: &str) -> Launch {
        let mut launch = Launch::new("/bin/sh");
        launch.args = vec!["-c".into(), script.into()];
        launch.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        launch
    }

    /// A program without arguments and environment, input from /dev/null,
    /// output as ours.
    pub fn new(program: impl Into<OsString>) -> Launch {
        Launch {
            program: program.into(),
            args: Vec::new(),
            arg0: None,
            env: Vec::new(),
            cwd: None,
            stdin: Stream::Null,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
            new_session: false,
            new_group: false,
            ignore_hangup: false,
            umask: None,
            without_close_range: false,
        }
    }

    /// Starts it. The error says which program could not be run and why; a
    /// missing /dev/null or working directory is named.
    pub fn spawn(self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(self.stdin.into_stdio()?)
            .stdout(self.stdout.into_stdio()?)
            .stderr(self.stderr.into_stdio()?);
        if let Some(arg0) = &self.arg0 {
            command.arg0(arg0);
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        if self.new_group && !self.new_session {
            command.process_group(0);
        }
        let child_side = ChildSide {
            new_session: self.new_session,
            ignore_hangup: self.ignore_hangup,
            umask: self.umask,
            without_close_range: self.without_close_range,
        };
        // SAFETY: what runs between fork and exec makes system calls on its
        // own stack only: no allocation, no lock, no panic.
        unsafe { command.pre_exec(move || child_side.prepare()) };
        let inner = command
            .spawn()
            .map_err(|error| not_started(error, &self.program, self.cwd.as_deref()))?;
        let pid = i32::try_from(inner.id())
            .ok()
            .and_then(Pid::new)
            .ok_or_else(|| io::Error::other("the child has no pid"))?;
        Ok(Child { pid, inner })
    }
}

fn not_started(error: io::Error, program: &OsString, cwd: Option<&Path>) -> io::Error {
    if let Some(cwd) = cwd
        && let Err(fault) = std::fs::read_dir(cwd)
        && matches!(
            fault.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    {
        let what = format!(
            "cannot enter {} to run {}",
            cwd.display(),
            program.display()
        );
        return explain(fault, what);
    }
    explain(error, format_args!("cannot run {}", program.display()))
}

impl Stream {
    fn into_stdio(self) -> io::Result<Stdio> {
        Ok(match self {
            Stream::Null => open_null()?.into(),
            Stream::Inherit => Stdio::inherit(),
            Stream::File(file) => file.into(),
            Stream::Pipe => Stdio::piped(),
        })
    }
}

/// Opens /dev/null and makes sure that it is the device: a regular file in its
/// place would fill the disk.
pub fn open_null() -> io::Result<File> {
    let advice = "make it with: mknod -m 666 /dev/null c 1 3";
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot open /dev/null: {error}; {advice}"),
            )
        })?;
    let found = rustix::fs::fstat(&file)?;
    let is_null = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
        && rustix::fs::major(found.st_rdev) == 1
        && rustix::fs::minor(found.st_rdev) == 3;
    if is_null {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("/dev/null is not the null device: remove it and {advice}"),
        ))
    }
}

/// What the child does to itself before it becomes the program.
#[derive(Clone, Copy)]
struct ChildSide {
    new_session: bool,
    ignore_hangup: bool,
    umask: Option<u32>,
    without_close_range: bool,
}

impl ChildSide {
    fn prepare(self) -> io::Result<()> {
        if self.new_session {
            rustix::process::setsid()?;
        }
        if let Some(umask) = self.umask {
            rustix::process::umask(Mode::from_raw_mode(umask));
        }
        reset_signals(self.ignore_hangup);
        if self.without_close_range || !close_range_on_exec() {
            close_listed_on_exec();
        }
        Ok(())
    }
}

/// The kernel's struct sigaction; libc's wrapper refuses the two signals it
/// keeps for itself, but a caller may have left them ignored as well.
#[repr(C)]
struct KernelAction {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Default dispositions for all signals, then an empty mask. std does this for
/// SIGPIPE only; what our caller had set to be ignored would last.
fn reset_signals(ignore_hangup: bool) {
    for number in 1..=64 {
        let handler = if number == libc::SIGHUP && ignore_hangup {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        let action = KernelAction {
            handler,
            flags: 0,
            restorer: 0,
            mask: 0,
        };
        // SAFETY: the action has the kernel's layout and its mask's size is
        // given; no handler is installed. SIGKILL and SIGSTOP are refused,
        // which is as it should be.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                &raw const action,
                std::ptr::null_mut::<KernelAction>(),
                size_of::<u64>(),
            )
        };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set, which sigprocmask then reads;
    // the child has one thread.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Marks all descriptors from 3 on to be closed by exec. Not all kernels can:
/// close_range(2) is of Linux 5.9, its CLOEXEC flag of 5.11.
fn close_range_on_exec() -> bool {
    const FIRST: libc::c_uint = 3;
    // SAFETY: the call takes numbers only, and closes nothing yet: std's pipe
    // for the error of exec stays usable until then.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    answer == 0
}

/// The same by what /proc/self/fd lists, or, where that is missing, for every
/// number a descriptor can have.
fn close_listed_on_exec() {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(c"/proc/self/fd", flags, Mode::empty()) else {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.and_then(|limit| i32::try_from(limit).ok());
        (3..limit.unwrap_or(i32::MAX)).for_each(mark_close_on_exec);
        return;
    };
    let mut names = [MaybeUninit::<u8>::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut names);
    while let Some(Ok(entry)) = entries.next() {
        let number = entry
            .file_name()
            .to_bytes()
            .iter()
            .try_fold(0i32, |number, byte| {
                let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
                number.checked_mul(10)?.checked_add(digit)
            });
        if let Some(number) = number
            && number > 2
        {
            mark_close_on_exec(number);
        }
    }
}

fn mark_close_on_exec(number: i32) {
    // SAFETY: fcntl(2) with F_SETFD changes the flag of an open descriptor and
    // fails for any other number.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// A started program. Dropping it neither ends it nor waits for it.
#[derive(Debug)]
pub struct Child {
    /// Its pid; also the id of its process group if it leads one.
    pub pid: Pid,
    inner: std::process::Child,
}

impl Child {
    /// Waits for its end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.inner.wait()
    }

    /// Its status if it has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Something to wait on beside other things. None if it has ended: then
    /// [`Child::try_wait`] has its status.
    pub fn handle(&self) -> io::Result<Option<ProcessHandle>> {
        ProcessHandle::open_current(self.pid)
    }

    /// Our end of its input, once, if that is a pipe.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.inner.stdin.take()
    }

    /// Our end of its output, once, if that is a pipe.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.inner.stdout.take()
    }

    /// Our end of its error output, once, if that is a pipe.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.inner.stderr.take()
    }
}

/// A copy of one of our own three standard descriptors, for a [`Stream::File`]
/// that sends one stream where another of ours goes.
pub fn own_stream(descriptor: BorrowedFd<'_>) -> io::Result<Stream> {
    let copy = descriptor
        .try_clone_to_owned()
        .map_err(|error| explain(error, "cannot copy a descriptor"))?;
    Ok(Stream::File(copy.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    fn shell(script: &str) -> Launch {
        let mut launch = Launch::shell(script);
        launch.args.push("zero".into());
        launch.stdout = Stream::Pipe;
        launch
    }

    fn said(launch: Launch) -> String {
        let mut child = launch.spawn().unwrap();
        let mut said = String::new();
        let mut stdout = child.take_stdout().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        said
    }

    /// A descriptor that exec would keep, as a careless caller leaves it to us.
    fn leaked() -> OwnedFd {
        let null = open_null().unwrap();
        // SAFETY: dup(2) gives a new descriptor that nobody else owns.
        unsafe { OwnedFd::from_raw_fd(libc::dup(null.as_raw_fd())) }
    }

    #[test]
    fn only_the_three_standard_descriptors_reach_the_child() {
        let leaked = leaked();
        assert!(leaked.as_raw_fd() > 2);
        for without_close_range in [false, true] {
            let mut launch = shell("ls /proc/$$/fd");
            launch.without_close_range = without_close_range;
            assert_eq!(said(launch), "0\n1\n2\n");
        }
    }

    fn status_field(status: &str, name: &str) -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    }

    #[test]
    fn mask_and_dispositions_of_the_child_are_fresh() {
        let _held = crate::os::signals::Signals::block().unwrap();
        let status = said(shell("exec cat /proc/self/status"));
        assert_eq!(status_field(&status, "SigBlk:"), 0);
        assert_eq!(status_field(&status, "SigIgn:"), 0);
        let mut launch = shell("exec cat /proc/self/status");
        launch.ignore_hangup = true;
        assert_eq!(status_field(&said(launch), "SigIgn:"), 1);
    }

    #[test]
    fn session_group_umask_name_directory_and_environment_are_as_asked() {
        let script = "umask; pwd; echo $0; /usr/bin/env | sort; cut -d' ' -f5,6 /proc/$$/stat; \
                      echo $$";
        let mut launch = shell(script);
        launch.umask = Some(0o027);
        launch.cwd = Some("/usr".into());
        launch.new_session = true;
        launch.env.push(("K".into(), "a b".into()));
        let child_said = said(launch);
        let lines: Vec<&str> = child_said.lines().collect();
        assert_eq!(&lines[..3], ["0027", "/usr", "zero"]);
        assert!(lines.contains(&"K=a b"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.starts_with("HOME=")));
        let pid = lines[lines.len() - 1];
        assert_eq!(lines[lines.len() - 2], format!("{pid} {pid}"));
        let mut launch = shell("cut -d' ' -f5 /proc/$$/stat; echo $$");
        launch.new_group = true;
        let child_said = said(launch);
        let lines: Vec<&str> = child_said.lines().collect();
        assert_eq!(lines[0], lines[1]);
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let error = Launch::new("/no/such program").spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such program"), "{error}");
        let mut launch = shell("exit");
        launch.cwd = Some("/no/directory".into());
        let error = launch.spawn().unwrap_err();
        assert!(error.to_string().contains("/no/directory"), "{error}");
        let error = Launch::new("/etc/passwd").spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_child_is_waited_for_by_its_handle() {
        let mut launch = shell("read x; exit 7");
        launch.stdin = Stream::Pipe;
        let mut child = launch.spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let handle = child.handle().unwrap().unwrap();
        drop(child.take_stdin());
        let wake = crate::os::wait::wait_any(&[handle], None, &[], None).unwrap();
        assert_eq!(wake.ended, [0]);
        assert!(child.handle().unwrap().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}
