//! What the terminal is like, if there is one, and lines typed at it.

use super::explain;
use super::signals::{Signal, Signals};
use super::wait::wait_any;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The longest line that is taken, in bytes; the kernel's own editing ends at
/// 4,096.
const LONGEST: usize = 64 * 1024;

/// Whether a descriptor is a terminal.
pub fn is_terminal(descriptor: impl AsFd) -> bool {
    rustix::termios::isatty(descriptor)
}

/// How many columns the terminal behind a descriptor has; none if there is no
/// terminal or it does not say.
pub fn width(descriptor: impl AsFd) -> Option<u16> {
    rustix::termios::tcgetwinsize(descriptor)
        .ok()
        .map(|size| size.ws_col)
        .filter(|columns| *columns > 0)
}

/// How many lines the terminal behind a descriptor has.
pub fn height(descriptor: impl AsFd) -> Option<u16> {
    rustix::termios::tcgetwinsize(descriptor)
        .ok()
        .map(|size| size.ws_row)
        .filter(|rows| *rows > 0)
}

/// What came of asking for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(Vec<u8>),
    /// Ctrl-D, or a terminal that went away.
    End,
    /// This signal came instead, from the keyboard or from elsewhere.
    Interrupted(Signal),
}

/// Whether what is typed can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// As usual.
    On,
    /// For passwords: only the end of the line shows.
    Off,
}

/// Reads one line from a terminal. `prompt` is called once the terminal is set
/// as asked for; its former state is back when this returns, whatever came.
/// The kernel edits the line; nothing behind its end is read.
pub fn read_line(
    terminal: impl AsFd,
    echo: Echo,
    signals: &Signals,
    prompt: impl FnOnce(),
) -> io::Result<Typed> {
    let terminal = terminal.as_fd();
    let _quiet =
        match echo {
            Echo::On => None,
            Echo::Off => Some(Mode::set(terminal, silent).map_err(|error| {
                explain(error, "cannot keep the terminal from showing a password")
            })?),
        };
    prompt();
    let mut line = Vec::new();
    loop {
        let wake = wait_any(&[], Some(signals), &[terminal], None)?;
        if let Some(signal) = wake.signal {
            return Ok(Typed::Interrupted(signal));
        }
        let mut byte = [0];
        match read(terminal, &mut byte) {
            Ok(0) if line.is_empty() => return Ok(Typed::End),
            Ok(0) => return Ok(Typed::Line(line)),
            Ok(_) if byte == *b"\n" => return Ok(Typed::Line(line)),
            Ok(_) if line.len() == LONGEST => {
                let text = "the line is too long";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            Ok(_) => line.push(byte[0]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(explain(error, "cannot read from the terminal")),
        }
    }
}

/// Nothing but line ends is shown.
fn silent(mode: &mut Termios) {
    mode.local_modes
        .remove(LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK);
    mode.local_modes
        .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
}

/// A terminal in another mode, until this is dropped.
#[derive(Debug)]
pub(super) struct Mode<'a> {
    /// The terminal.
    pub terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Mode<'a> {
    /// Sets the terminal as `change` wants it.
    pub fn set(
        terminal: BorrowedFd<'a>,
        change: impl FnOnce(&mut Termios),
    ) -> rustix::io::Result<Mode<'a>> {
        let before = tcgetattr(terminal)?;
        let mut changed = before.clone();
        change(&mut changed);
        tcsetattr(terminal, OptionalActions::Drain, &changed)?;
        Ok(Mode { terminal, before })
    }
}

impl Drop for Mode<'_> {
    fn drop(&mut self) {
        // A terminal that has gone away needs no restoring.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Reads what a terminal has; nothing once it was hung up.
pub(super) fn read(terminal: BorrowedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    match rustix::io::read(terminal, buffer) {
        Err(rustix::io::Errno::IO) => Ok(0),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::{FromRawFd, OwnedFd};

    #[test]
    fn a_password_is_read_and_not_shown_and_the_terminal_is_as_before() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let (master, slave) = (std::fs::File::from(pair.master), pair.slave);
        let signals = Signals::block().unwrap();
        let before = tcgetattr(&slave).unwrap().local_modes;
        let mut typist = &master;
        let typed = read_line(&slave, Echo::Off, &signals, || {
            let modes = tcgetattr(&slave).unwrap().local_modes;
            assert!(!modes.contains(LocalModes::ECHO));
            typist.write_all(b"secreX\x7ft \xff\nnext\n").unwrap();
        });
        assert_eq!(typed.unwrap(), Typed::Line(b"secret \xff".to_vec()));
        let mut shown = [0; 64];
        let count = rustix::io::read(&master, &mut shown).unwrap();
        assert_eq!(&shown[..2], b"\r\n", "{:?}", &shown[..count]);
        assert!(!shown.windows(4).any(|window| window == b"secr"));
        assert_eq!(tcgetattr(&slave).unwrap().local_modes, before);
        // What was typed ahead is there for the next question.
        let typed = read_line(&slave, Echo::On, &signals, || {});
        assert_eq!(typed.unwrap(), Typed::Line(b"next".to_vec()));
        typist.write_all(b"\x04").unwrap();
        let typed = read_line(&slave, Echo::Off, &signals, || {});
        assert_eq!(typed.unwrap(), Typed::End);
        // SAFETY: the thread is this one.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        let typed = read_line(&slave, Echo::Off, &signals, || {});
        assert_eq!(typed.unwrap(), Typed::Interrupted(Signal::SIGTERM));
        assert_eq!(tcgetattr(&slave).unwrap().local_modes, before);
        drop(master);
        let typed = read_line(&slave, Echo::On, &signals, || {});
        assert_eq!(typed.unwrap(), Typed::End);
    }

    #[test]
    fn a_terminal_is_told_from_a_file_and_measured() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_terminal(&null));
        assert_eq!(width(&null), None);
        // SAFETY: posix_openpt gives a new descriptor that nobody else owns.
        let (master, number) = unsafe {
            let number = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
            assert!(number >= 0);
            (OwnedFd::from_raw_fd(number), number)
        };
        assert!(is_terminal(&master));
        assert_eq!(width(&master), None);
        let size = libc::winsize {
            ws_row: 10,
            ws_col: 77,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the request reads one winsize.
        assert_eq!(unsafe { libc::ioctl(number, libc::TIOCSWINSZ, &size) }, 0);
        assert_eq!(width(&master), Some(77));
    }
}
