//! What the terminal is like, if there is one.

use rustix::termios::{LocalModes, OptionalActions, Termios};
use std::os::fd::{AsFd, BorrowedFd};

/// A terminal that hands on each key as it is pressed and shows none; as it
/// was before when dropped.
#[derive(Debug)]
pub struct SingleKeys<'a> {
    descriptor: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> SingleKeys<'a> {
    /// Begins it; none if the descriptor is no terminal.
    pub fn on(descriptor: BorrowedFd<'a>) -> Option<SingleKeys<'a>> {
        let before = rustix::termios::tcgetattr(descriptor).ok()?;
        let mut keys = before.clone();
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        rustix::termios::tcsetattr(descriptor, OptionalActions::Now, &keys).ok()?;
        Some(SingleKeys { descriptor, before })
    }

    /// Takes the keys that were pressed and says how many there were; none at
    /// the end of the input.
    pub fn pressed(&self) -> usize {
        let mut keys = [0u8; 64];
        rustix::io::read(self.descriptor, &mut keys).unwrap_or(0)
    }
}

impl Drop for SingleKeys<'_> {
    fn drop(&mut self) {
        // Keys nobody read are not for the shell that comes next.
        let _ = rustix::termios::tcsetattr(self.descriptor, OptionalActions::Flush, &self.before);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{FromRawFd, OwnedFd};

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
        let echoes = || {
            let modes = rustix::termios::tcgetattr(&master).unwrap().local_modes;
            modes.contains(LocalModes::ECHO | LocalModes::ICANON)
        };
        let keys = SingleKeys::on(master.as_fd()).unwrap();
        assert!(!echoes());
        drop(keys);
        assert!(echoes());
        assert!(SingleKeys::on(null.as_fd()).is_none());
    }
}
