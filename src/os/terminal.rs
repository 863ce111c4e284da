//! What the terminal is like, if there is one.

use std::os::fd::AsFd;

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
    }
}
