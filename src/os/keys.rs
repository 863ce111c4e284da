//! Single keys from a terminal.

use super::explain;
use super::terminal::{self, Mode};
use rustix::termios::{LocalModes, QueueSelector, SpecialCodeIndex, tcflush};
use std::io;
use std::os::fd::BorrowedFd;

/// Gives a terminal's keys one by one, without showing them, until it is
/// dropped: then the terminal is as it was. Ctrl-C goes on being SIGINT.
#[derive(Debug)]
pub struct Keys<'a>(Mode<'a>);

impl<'a> Keys<'a> {
    /// Switches the terminal over. What was typed before is thrown away: it
    /// was not meant for what is shown next. To be called before that is shown,
    /// or a quick answer goes too.
    pub fn of(terminal: BorrowedFd<'a>) -> io::Result<Keys<'a>> {
        let mode = Mode::set(terminal, |mode| {
            mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            mode.special_codes[SpecialCodeIndex::VMIN] = 1;
            mode.special_codes[SpecialCodeIndex::VTIME] = 0;
            // A suspended program would leave the shell without an echo.
            mode.special_codes[SpecialCodeIndex::VSUSP] = 0;
        })
        .map_err(|error| explain(error, "cannot set this terminal to single keys"))?;
        let _ = tcflush(terminal, QueueSelector::IFlush);
        Ok(Keys(mode))
    }

    /// What was typed: at least one byte, at most `buffer`; none once the
    /// terminal is gone. Waits for it.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(terminal::read(self.0.terminal, buffer)?)
    }
}
