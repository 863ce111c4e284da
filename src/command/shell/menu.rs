//! The menu that the program shows where it is called without a verb on a
//! terminal: single keys for the common verbs, and the server's state.
//!
//! Over a slow line little must be sent: the menu is drawn once, and only the
//! line with the state is drawn again when it changes. Each key runs this
//! program again with a verb: what a verb does, and as whom, is its business.

use super::super::{Call, identity, switch};
use super::peek;
use crate::cli;
use crate::domino::tools::number;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::bounded::{Output, run_bounded};
use crate::os::keys::Keys;
use crate::os::signals::Signals;
use crate::os::spawn::{Launch, open_null, own_stream};
use crate::os::terminal;
use crate::os::wait::wait_any;
use crate::ui::Ui;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How often the server's state is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long looking may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How long after Escape the rest of a key's sequence may come.
const SEQUENCE: Duration = Duration::from_millis(100);

/// The line of the screen that the state stands on, counted from 1.
const STATE_LINE: u16 = 3;

const CLEAR: &str = "\x1b[H\x1b[2J";

/// One key of the menu.
struct Entry {
    key: char,
    /// The verb that it runs, with its arguments.
    words: &'static [&'static str],
    text: &'static str,
    /// Whether it asks before it does something.
    asks: bool,
}

const fn entry(
    key: char,
    words: &'static [&'static str],
    text: &'static str,
    asks: bool,
) -> Option<Entry> {
    Some(Entry {
        key,
        words,
        text,
        asks,
    })
}

/// The keys, as the original has them where it has them; `None` is an empty
/// line.
const ENTRIES: [Option<Entry>; 19] = [
    entry('s', &["start"], "Start the server", false),
    entry('t', &["stop"], "Stop the server", true),
    entry('u', &["restart"], "Restart the server", true),
    None,
    entry('c', &["monitor"], "Live console", false),
    entry('l', &["lastlog"], "Last lines of the console log", false),
    entry('o', &["log"], "Console log", false),
    entry('y', &["systemlog"], "Journal of the unit", false),
    entry('a', &["archivelog"], "Archive the console log", true),
    entry('r', &["resources"], "Processes, memory, IPC", false),
    entry('p', &["proc"], "Processes", false),
    None,
    entry('i', &["about"], "About host and server", false),
    entry('d', &["diag"], "Collect diagnostics", true),
    entry('n', &["nsd"], "NSD", true),
    entry(
        'g',
        &["hang"],
        "Server hangs: three NSDs -stacks, one full",
        true,
    ),
    entry('m', &["memdump"], "Memory dump", true),
    entry('k', &["cleanup"], "Clean up after a crash", true),
    entry('h', &["help"], "Help", false),
];

/// What somebody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    Key(char),
    /// Nothing yet: time to look at the server.
    Nothing,
    /// The terminal is gone.
    End,
    /// A signal asks for the end.
    Signal(u8),
}

/// Shows the menu until it is left.
pub fn run(call: &Call, ui: &mut Ui) -> Result<Exit> {
    let user = identity::settle(call)?.user.name;
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    let mut menu = Menu {
        call,
        user,
        signals: &signals,
        plain: is_plain(call),
        verbs: cli::verbs(),
        state: String::new(),
    };
    loop {
        menu.state = menu.look()?;
        let key = match menu.choose(ui)? {
            Typed::Key(key) => key,
            Typed::Signal(number) => {
                ui.line("");
                return Ok(Exit::Signal(number));
            }
            Typed::End | Typed::Nothing => return Ok(Exit::Done),
        };
        if matches!(key, 'q' | '0') {
            ui.line("");
            return Ok(Exit::Done);
        }
        let chosen = menu.entries().find(|entry| entry.key == key);
        let Some(entry) = chosen else { continue };
        match menu.perform(entry, ui)? {
            Typed::Signal(number) => return Ok(Exit::Signal(number)),
            Typed::End | Typed::Key('q') => return Ok(Exit::Done),
            _ => {}
        }
    }
}

/// Whether nothing on the screen is to be overwritten: asked for, or the
/// terminal cannot, or is too small to hold the menu.
fn is_plain(call: &Call) -> bool {
    let dumb = call
        .variable("TERM")
        .is_none_or(|terminal| terminal == "dumb");
    let asked = peek(call, "DISABLE_CLEAR_SCREEN").is_some_and(|value| value == "yes");
    // Head, keys and the last line, which no newline ends.
    let rows = terminal::height(std::io::stdout()).unwrap_or(24);
    dumb || asked || usize::from(rows) < ENTRIES.len() + 5
}

struct Menu<'a> {
    call: &'a Call,
    user: OsString,
    signals: &'a Signals,
    plain: bool,
    verbs: Vec<String>,
    state: String,
}

impl Menu<'_> {
    /// The keys whose verbs there are.
    fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        ENTRIES
            .iter()
            .flatten()
            .filter(|entry| self.verbs.iter().any(|verb| verb == entry.words[0]))
    }

    fn state_line(&self) -> String {
        let width = terminal::width(std::io::stdout()).unwrap_or(80);
        let room = usize::from(width).saturating_sub(1);
        self.state.chars().take(room).collect()
    }

    fn draw(&self, ui: &mut Ui) {
        let mut text = String::new();
        if !self.plain {
            text.push_str(CLEAR);
        }
        text.push_str(&format!(
            "HCL Domino, rc_domino {}\n\n{}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.state_line()
        ));
        for entry in &ENTRIES {
            match entry {
                None => text.push('\n'),
                Some(entry) if self.entries().any(|known| known.key == entry.key) => {
                    let key = entry.key.to_ascii_uppercase();
                    text.push_str(&format!("  ({key})  {}\n", entry.text));
                }
                Some(_) => {}
            }
        }
        text.push_str("  (Q)  Leave     Key: ");
        ui.text(&text);
    }

    /// Draws the state again, and nothing else.
    fn redraw_state(&self, ui: &mut Ui) {
        if !self.plain {
            ui.text(&format!(
                "\x1b7\x1b[{STATE_LINE};1H\x1b[K{}\x1b8",
                self.state_line()
            ));
        }
    }

    /// Shows the menu and waits for a key, looking at the server from time to
    /// time.
    fn choose(&mut self, ui: &mut Ui) -> Result<Typed> {
        let input = std::io::stdin();
        // Before anything is shown: a key that answers it must count.
        let keys = Keys::of(input.as_fd()).map_err(Error::system("use this terminal"))?;
        self.draw(ui);
        loop {
            match self.key(&keys, Some(Instant::now() + LOOK_EVERY))? {
                Typed::Nothing => {
                    let state = self.look()?;
                    if state != self.state {
                        self.state = state;
                        self.redraw_state(ui);
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// One key. Arrow keys and the like send several bytes, a pasted text many:
    /// neither is meant for a menu of letters.
    fn key(&self, keys: &Keys, deadline: Option<Instant>) -> Result<Typed> {
        let input = std::io::stdin();
        let failed = "wait for a key";
        let wait = |deadline| {
            wait_any(&[], Some(self.signals), &[input.as_fd()], deadline)
                .map_err(Error::system(failed))
        };
        let mut buffer = [0; 256];
        loop {
            let wake = wait(deadline)?;
            if let Some(signal) = wake.signal.or_else(|| self.signals.pending()) {
                return Ok(Typed::Signal(number(signal)));
            }
            if wake.timed_out {
                return Ok(Typed::Nothing);
            }
            let count = keys.read(&mut buffer).map_err(Error::system(failed))?;
            match &buffer[..count] {
                [] => return Ok(Typed::End),
                // End of input, as Ctrl-D is typed here.
                [4] => return Ok(Typed::End),
                [0x1b] => {
                    let rest = wait(Some(Instant::now() + SEQUENCE))?;
                    if !rest.readable.is_empty() {
                        keys.read(&mut buffer).map_err(Error::system(failed))?;
                    }
                }
                [byte] => return Ok(Typed::Key(char::from(byte.to_ascii_lowercase()))),
                _ => {}
            }
        }
    }

    /// Runs a verb, after a question where that is called for.
    fn perform(&mut self, entry: &Entry, ui: &mut Ui) -> Result<Typed> {
        if !self.plain {
            ui.text(CLEAR);
        }
        ui.line("");
        let words = entry.words.join(" ");
        if entry.asks {
            let input = std::io::stdin();
            let keys = Keys::of(input.as_fd()).map_err(Error::system("use this terminal"))?;
            ui.text(&format!("{} ({words})? Y = yes: ", entry.text));
            match self.key(&keys, None)? {
                Typed::Key('y') => {}
                Typed::Key(_) | Typed::Nothing => return Ok(Typed::Nothing),
                other => return Ok(other),
            }
            drop(keys);
            ui.line("");
        }
        let launch = self.again(entry.words)?;
        let exit = switch::run_in_front(launch, ui)?;
        if exit != Exit::Done {
            ui.line(&format!("'{words}' ended with code {}", exit.code()));
        }
        ui.line("");
        let input = std::io::stdin();
        let keys = Keys::of(input.as_fd()).map_err(Error::system("use this terminal"))?;
        ui.text("Any key goes on, Q leaves: ");
        let key = self.key(&keys, None)?;
        drop(keys);
        ui.line("");
        Ok(key)
    }

    /// This program with a verb, for the same server.
    fn again(&self, words: &[&str]) -> Result<Launch> {
        let program = switch::own_program()?;
        let mut launch = switch::again(&program, self.call, &self.user);
        launch.args.extend(words.iter().map(OsString::from));
        Ok(launch)
    }

    /// The server's name and state as one line. Never asks for a password.
    fn look(&self) -> Result<String> {
        let mut launch = self.again(&["__state"])?;
        launch.env.push(("DOMINO_NO_SUDO".into(), "1".into()));
        let null = open_null().map_err(Error::system("open /dev/null"))?;
        launch.stderr = own_stream(null.as_fd()).map_err(Error::system("open /dev/null"))?;
        let mut said = Vec::new();
        let output = Output::Bytes {
            bound: 16 << 10,
            into: &mut said,
        };
        let looked = run_bounded(launch, Some(LOOK_LIMIT), None, output);
        let text = String::from_utf8_lossy(&said);
        let mut lines = text.lines();
        Ok(match (looked, lines.next(), lines.next()) {
            (Ok(_), Some(name), Some(state)) => format!("Server {name}: {state}"),
            _ => format!(
                "Server of {}: its state cannot be told from here ('rc_domino status' says why)",
                shown(&self.user)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_means_one_thing() {
        let keys: Vec<char> = ENTRIES.iter().flatten().map(|entry| entry.key).collect();
        for (position, key) in keys.iter().enumerate() {
            assert!(!keys[..position].contains(key), "{key}");
            assert!(*key != 'q' && key.is_ascii_lowercase());
        }
    }

    #[test]
    fn the_menu_fits_a_small_screen() {
        assert!(ENTRIES.len() + 5 <= 24);
    }
}
