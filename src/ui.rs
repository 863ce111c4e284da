//! All terminal output: lines, warnings, progress, colour.

mod outlet;

use crate::cli::Color;
use crate::domino::{Reporter, tools};
use crate::error::{Error, Result};
use crate::os::signals::{Signal, Signals};
use crate::os::terminal::{self, Echo, Typed};
use outlet::Stream;
use std::io::{IsTerminal, Write};

/// Where the program's words go: results and steps to stdout, warnings and
/// errors to stderr. A reader that has gone away is no reason to end: a stop
/// must be finished though nobody listens.
#[derive(Debug)]
pub struct Ui {
    color_out: bool,
    color_err: bool,
    progress_on_terminal: bool,
    progress_shown: bool,
    quiet: bool,
}

/// A colour of the terminal.
#[derive(Clone, Copy, Debug)]
pub enum Tint {
    /// Good.
    Green,
    /// Bad.
    Red,
    /// Worth a look.
    Yellow,
}

impl Tint {
    fn code(self) -> &'static str {
        match self {
            Tint::Green => "\x1b[32m",
            Tint::Red => "\x1b[31m",
            Tint::Yellow => "\x1b[33m",
        }
    }
}

/// Whether somebody sits at a terminal, to be shown things and asked.
pub fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

impl Ui {
    /// Output as the caller's terminal and wishes allow.
    pub fn new(color: Color, no_color: bool) -> Ui {
        let out = std::io::stdout().is_terminal();
        let err = std::io::stderr().is_terminal();
        let tinted = |on_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => on_terminal && !no_color,
        };
        Ui {
            color_out: tinted(out),
            color_err: tinted(err),
            progress_on_terminal: out,
            progress_shown: false,
            quiet: false,
        }
    }

    /// From now on says only what is asked for, not the steps.
    pub fn only_results(&mut self) {
        self.quiet = true;
    }

    /// A line of a result.
    pub fn line(&mut self, text: &str) {
        self.end_progress();
        write_out(&[text.as_bytes(), b"\n"].concat());
    }

    /// A result in colour where there is colour.
    pub fn tinted_line(&mut self, tint: Tint, text: &str) {
        if self.color_out {
            self.line(&format!("{}{text}\x1b[0m", tint.code()));
        } else {
            self.line(text);
        }
    }

    /// Text as it is, such as help.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes as they are, such as lines of a log.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.end_progress();
        write_out(bytes);
    }

    /// A result for programs, as JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|cause| Error::System {
            action: "write JSON",
            cause: cause.into(),
        })?;
        self.line(&text);
        Ok(())
    }

    /// Asks at the terminal and returns the line that was typed; `None` where
    /// the input ended. A signal is an error that tells `state`.
    pub fn ask(&mut self, echo: Echo, prompt: &str, state: &str) -> Result<Option<Vec<u8>>> {
        let signals = Signals::block().map_err(Error::system("hold back signals"))?;
        let typed = terminal::read_line(std::io::stdin(), echo, &signals, || self.text(prompt))
            .map_err(Error::system("ask at this terminal"))?;
        let signal = match typed {
            Typed::Line(line) => return Ok(Some(line)),
            Typed::End => return Ok(None),
            Typed::Interrupted(signal) => signal,
        };
        if signal == Signal::SIGINT {
            self.text("\n");
        }
        Err(Error::Interrupted {
            signal: tools::number(signal),
            state: state.to_owned(),
        })
    }

    /// Text beside the answer, on stderr.
    pub fn aside(&mut self, text: &str) {
        self.aside_bytes(text.as_bytes());
    }

    /// Bytes beside the answer, such as another program's complaints.
    pub fn aside_bytes(&mut self, bytes: &[u8]) {
        self.end_progress();
        write(Stream::Error, bytes);
    }

    /// All that a reader has, as it is, until nobody listens any more. Fails
    /// where the reading does.
    pub fn stream(&mut self, reader: &mut dyn std::io::Read) -> std::io::Result<()> {
        self.end_progress();
        let mut block = vec![0; 64 * 1024];
        let mut out = std::io::stdout().lock();
        loop {
            let count = match reader.read(&mut block) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 || out.write_all(&block[..count]).is_err() {
                let _ = out.flush();
                return Ok(());
            }
        }
    }

    /// An error, on stderr.
    pub fn error(&mut self, text: &str) {
        self.complain(Tint::Red, "rc_domino: ", text);
    }

    fn complain(&mut self, tint: Tint, front: &str, text: &str) {
        self.end_progress();
        let line = if self.color_err {
            format!("{}{front}{text}\x1b[0m\n", tint.code())
        } else {
            format!("{front}{text}\n")
        };
        write(Stream::Error, line.as_bytes());
    }

    fn end_progress(&mut self) {
        if self.progress_shown {
            self.progress_shown = false;
            write_out(b"\r\x1b[K");
        }
    }
}

fn write_out(bytes: &[u8]) {
    write(Stream::Out, bytes);
}

fn write(stream: Stream, bytes: &[u8]) {
    match outlet::get() {
        Some(outlet) => outlet.put(stream, bytes),
        None => stream.write(bytes),
    }
}

/// From now on no output keeps the program waiting for its reader.
pub fn never_wait() {
    outlet::open();
}

/// The program comes to its end: lines of logs are not waited for any more
/// where nobody reads them.
pub fn about_to_end() {
    if let Some(outlet) = outlet::get() {
        outlet.end();
    }
}

/// Waits for what is still to be written, as far as somebody reads it.
pub fn finish() {
    if let Some(outlet) = outlet::get() {
        outlet.finish();
    }
}

impl Reporter for Ui {
    fn info(&mut self, line: &str) {
        if !self.quiet {
            self.line(line);
        }
    }

    fn warn(&mut self, line: &str) {
        self.complain(Tint::Yellow, "rc_domino: warning: ", line);
    }

    fn progress(&mut self, line: &str) {
        if self.quiet {
            return;
        }
        if !self.progress_on_terminal {
            self.line(line);
            return;
        }
        let width = terminal::width(std::io::stdout())
            .unwrap_or(80)
            .saturating_sub(1);
        let shown: String = line.chars().take(usize::from(width)).collect();
        write_out(format!("\r\x1b[K{shown}").as_bytes());
        self.progress_shown = true;
    }
}

/// A line of a log, for threads that show one while a verb goes on.
pub fn raw_line(line: &[u8]) {
    let line = [line, b"\n"].concat();
    match outlet::get() {
        Some(outlet) => outlet.put_log(&line),
        None => write_out(&line),
    }
}
