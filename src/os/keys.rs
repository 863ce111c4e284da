//! Single keys from a terminal.

use super::explain;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};
use std::io;
use std::os::fd::BorrowedFd;

/// Gives a terminal's keys one by one, without showing them, until it is
/// dropped: then the terminal is as it was. Ctrl-C goes on being SIGINT.
#[derive(Debug)]
pub struct Keys<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Keys<'a> {
    /// Switches the terminal over. What was typed before is thrown away: it
    /// was not meant for what is shown now.
    pub fn of(terminal: BorrowedFd<'a>) -> io::Result<Keys<'a>> {
        let failed = |error| explain(error, "cannot set this terminal to single keys");
        let before = tcgetattr(terminal).map_err(failed)?;
        let mut single = before.clone();
        single.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        single.special_codes[SpecialCodeIndex::VMIN] = 1;
        single.special_codes[SpecialCodeIndex::VTIME] = 0;
        // A suspended program would leave the shell without an echo.
        single.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(terminal, OptionalActions::Now, &single).map_err(failed)?;
        let _ = tcflush(terminal, QueueSelector::IFlush);
        Ok(Keys { terminal, before })
    }

    /// What was typed: at least one byte, at most `buffer`; none once the
    /// terminal is gone. Waits for it.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(self.terminal, buffer) {
            // The terminal was hung up.
            Err(rustix::io::Errno::IO) => Ok(0),
            other => Ok(other?),
        }
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
