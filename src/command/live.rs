//! The live console: the log as it grows, above a line for commands.

use super::identity::Needs;
use super::loading;
use super::{Call, with_work};
use crate::domino::follow::Follower;
use crate::domino::processes;
use crate::domino::server_log::ServerLog;
use crate::domino::state::State;
use crate::domino::{Partition, Reporter, client};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::ui::{Ui, has_terminal};
use regex_lite::Regex;
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many lines of the log are shown at first.
const FIRST_LINES: usize = 20;

/// How often the log is looked at for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Without a terminal: how long after the last command its answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Without a terminal: silence that counts as the end of the answer.
const QUIET: Duration = Duration::from_secs(1);

/// `monitor`, `live`, `console`.
pub fn console(call: &Call, filtered: bool, ui: &mut Ui) -> Result<Exit> {
    let partition = match loading::here(loading::access(call, Needs::Login, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    on_partition(&partition, filtered, ui)
}

/// The console of a server whose settings are loaded.
pub fn on_partition(partition: &Partition, filtered: bool, ui: &mut Ui) -> Result<Exit> {
    let filter = Filter::of(partition, filtered)?;
    let log = ServerLog::shown(partition);
    let follower = Follower::new(log.path().to_path_buf(), FIRST_LINES)?;
    if has_terminal() {
        interactive(partition, follower, filter, ui)
    } else {
        plain(partition, follower, filter, ui)
    }
}

/// Lines that are not shown: DOMINO_MONITOR_FILTER_STRING, as `grep -v -E`.
struct Filter(Option<Regex>);

impl Filter {
    fn of(partition: &Partition, filtered: bool) -> Result<Filter> {
        let pattern = partition.settings.text("DOMINO_MONITOR_FILTER_STRING");
        let (true, Some(pattern)) = (filtered, pattern) else {
            return Ok(Filter(None));
        };
        Regex::new(&pattern.to_string_lossy())
            .map(|pattern| Filter(Some(pattern)))
            .map_err(|cause| {
                Error::Usage(format!(
                    "DOMINO_MONITOR_FILTER_STRING '{}' is no valid pattern: {cause}",
                    shown(pattern)
                ))
            })
    }

    fn shows(&self, line: &[u8]) -> bool {
        match &self.0 {
            Some(pattern) => !pattern.is_match(&String::from_utf8_lossy(line)),
            None => true,
        }
    }
}

/// What a line typed at the console means.
enum Typed {
    Nothing,
    Close,
    Refused,
    Command(OsString),
}

fn meaning(line: &[u8]) -> Typed {
    match line.trim_ascii() {
        b"" => Typed::Nothing,
        b"close" | b"stop" => Typed::Close,
        b"quit" | b"exit" | b"q" | b"e" => Typed::Refused,
        command => Typed::Command(OsString::from_vec(command.to_vec())),
    }
}

const REFUSED: &str = "ignored, to keep the server from being stopped by mistake: type QUIT in capitals to stop the server, 'close' or Ctrl-D to leave the console";

/// Sends a command to the server: by `server -c`, or through the input file
/// where DOMINO_CONSOLE_SERVERC is not `yes`.
fn send(partition: &Partition, command: &OsString, ui: &mut Ui) -> Result<()> {
    if !State::of(processes::find(partition)?).is_running() {
        return Err(Error::NeedsServer {
            server: partition.name(),
        });
    }
    if partition.settings.console_serverc.value {
        return with_work(partition, ui, |work| {
            client::command(work, command, None).map(drop)
        });
    }
    let input = partition.settings.input_file();
    let mut line = command.clone().into_vec();
    line.push(b'\n');
    std::fs::File::options()
        .append(true)
        .open(&input)
        .and_then(|mut file| file.write_all(&line))
        .map_err(Error::file("write to", input))
}

/// On a terminal: an edit line with history, the log above it.
fn interactive(
    partition: &Partition,
    follower: Follower,
    filter: Filter,
    ui: &mut Ui,
) -> Result<Exit> {
    let failed = |cause: ReadlineError| Error::System {
        action: "use this terminal",
        cause: std::io::Error::other(cause),
    };
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let mut printer = editor.create_external_printer().map_err(failed)?;
    ui.line(&format!(
        "Live console of {}: 'close', 'stop' or Ctrl-D leaves it, the server goes on",
        shown(&partition.name())
    ));
    let background = Background::spawn(follower, move |line| {
        if filter.shows(line) {
            let mut text = String::from_utf8_lossy(line).into_owned();
            text.push('\n');
            // The terminal is gone: the editor will notice and end.
            let _ = printer.print(text);
        }
    });
    // Ctrl-C, Ctrl-D and a terminal that went away all end the console.
    'console: while let Ok(line) = editor.readline("> ") {
        // A terminal hands a paste over as a whole: each line is a command.
        for line in line.split(['\n', '\r']) {
            match meaning(line.as_bytes()) {
                Typed::Nothing => {}
                Typed::Close => break 'console,
                Typed::Refused => ui.line(&format!("'{}' {REFUSED}", line.trim())),
                Typed::Command(command) => {
                    let _ = editor.add_history_entry(line.trim());
                    if let Err(error) = send(partition, &command, ui) {
                        ui.warn(&error.to_string());
                    }
                }
            }
        }
    }
    // A line that came as it ended waits for it, and its thread with that line.
    drop(editor);
    drop(background);
    Ok(Exit::Done)
}

/// Without a terminal: commands line by line from stdin, the log to stdout.
fn plain(partition: &Partition, follower: Follower, filter: Filter, ui: &mut Ui) -> Result<Exit> {
    let last = Arc::new(std::sync::Mutex::new(Instant::now()));
    let seen = Arc::clone(&last);
    let background = Background::spawn(follower, move |line| {
        if let Ok(mut seen) = seen.lock() {
            *seen = Instant::now();
        }
        if filter.shows(line) {
            crate::ui::raw_line(line);
        }
    });
    let mut exit = Exit::Done;
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { break };
        match meaning(&line) {
            Typed::Nothing => {}
            Typed::Close => return Ok(exit),
            Typed::Refused => ui.warn(&format!("'{}' {REFUSED}", String::from_utf8_lossy(&line))),
            Typed::Command(command) => {
                if let Err(error) = send(partition, &command, ui) {
                    ui.error(&error.to_string());
                    exit = error.exit();
                }
            }
        }
    }
    let end = Instant::now() + ANSWER_LIMIT;
    let quiet = || last.lock().map_or(true, |at| at.elapsed() >= QUIET);
    while Instant::now() < end && !quiet() {
        std::thread::sleep(LOOK_EVERY);
    }
    drop(background);
    Ok(exit)
}

/// A thread that shows the log as it grows; ends when dropped, after a last
/// look.
pub struct Background {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Shows a server's log on stdout while something else goes on.
    pub fn start(partition: &Partition) -> Result<Background> {
        let log = ServerLog::shown(partition);
        let follower = Follower::new(log.path().to_path_buf(), 0)?;
        Ok(Background::spawn(follower, crate::ui::raw_line))
    }

    /// The same for the console log itself, which may not be there yet.
    pub fn of_log(partition: &Partition) -> Result<Background> {
        let follower = Follower::new(partition.log(), 0)?;
        Ok(Background::spawn(follower, crate::ui::raw_line))
    }

    fn spawn(mut follower: Follower, mut show: impl FnMut(&[u8]) + Send + 'static) -> Background {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            loop {
                let ending = asked.load(Ordering::Relaxed);
                // A log that cannot be read for a moment is tried again.
                let _ = follower.read_new(&mut show);
                if ending {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Background {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_and_what_it_means() {
        assert!(matches!(meaning(b"  "), Typed::Nothing));
        assert!(matches!(meaning(b"close"), Typed::Close));
        assert!(matches!(meaning(b"stop"), Typed::Close));
        for word in ["quit", "exit", "q", "e"] {
            assert!(matches!(meaning(word.as_bytes()), Typed::Refused), "{word}");
        }
        assert!(matches!(meaning(b"QUIT"), Typed::Command(c) if c == "QUIT"));
        assert!(matches!(meaning(b"load x'; id"), Typed::Command(c) if c == "load x'; id"));
    }

    #[test]
    fn the_filter_hides_what_it_names() {
        let filter = Filter(Regex::new("Opened session for|Closed session for").ok());
        assert!(!filter.shows(b"1 Opened session for x"));
        assert!(filter.shows(b"Router started"));
        assert!(Filter(None).shows(b"Opened session for x"));
    }
}
