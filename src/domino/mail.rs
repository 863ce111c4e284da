//! The site's mail program, for `senddiag`.

use super::Partition;
use super::tools::{ToolEnd, Work, program_failed};
use crate::error::{Error, Result};
use crate::os::bounded::{Ended, Output, Piece, run_bounded};
use crate::os::files::is_executable;
use crate::os::spawn::{Launch, Stream};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The mail program of the original's author, used where it is installed.
const NSHMAILX: &str = "/usr/bin/nshmailx";

/// How long a mail program may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A mail program, and who is to get what it sends.
#[derive(Debug)]
pub struct Mailer {
    words: Vec<OsString>,
    to: Option<OsString>,
    from: OsString,
}

impl Mailer {
    /// What is configured; `to` overrides the recipient. The error says what
    /// is missing.
    pub fn of(partition: &Partition, to: Option<&OsStr>) -> std::result::Result<Mailer, String> {
        let ini = partition.notes_ini().ok();
        let from_ini = |name: &str| {
            ini.as_ref()
                .and_then(|ini| ini.get(name))
                .filter(|value| !value.is_empty())
                .map(OsStr::to_owned)
        };
        let settings = &partition.settings;
        let to = to
            .map(OsStr::to_owned)
            .or_else(|| settings.diag_rcpt.value.clone())
            .or_else(|| from_ini("DominoDiagRcpt"));
        if let Some(to) = &to
            && !is_address(to)
        {
            return Err(format!("'{}' is no mail address", crate::error::shown(to)));
        }
        let from = settings
            .diag_from
            .value
            .clone()
            .or_else(|| from_ini("DominoDiagFrom"))
            .unwrap_or_else(|| crate::os::host::kernel().node.into());
        let words = match &settings.diag_mail_command.value {
            Some(words) if !words.is_empty() => words.clone(),
            _ => {
                let nshmailx = partition.root.path(NSHMAILX);
                if !is_executable(&nshmailx) {
                    return Err("no mail program is configured (DOMINO_DIAG_MAIL_COMMAND)".into());
                }
                let mut words = vec![nshmailx.into_os_string()];
                words.extend(
                    [
                        "{to}",
                        "-from",
                        "{from}",
                        "-subject",
                        "{subject}",
                        "-att",
                        "{file}",
                    ]
                    .map(OsString::from),
                );
                words
            }
        };
        if to.is_none() && words.iter().any(|word| holds(word, b"{to}")) {
            return Err(
                "nobody is named to send it to (DOMINO_DIAG_RCPT, or DominoDiagRcpt in notes.ini)"
                    .into(),
            );
        }
        Ok(Mailer { words, to, from })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        Path::new(
            self.words
                .first()
                .map_or(OsStr::new(""), OsString::as_os_str),
        )
    }

    /// Whom it sends to, as far as this program knows.
    pub fn recipient(&self) -> Option<&OsStr> {
        self.to.as_deref()
    }

    /// The arguments: each word of the command stays one argument, whatever
    /// is put in its place.
    fn arguments(&self, file: &Path, subject: &str) -> Vec<OsString> {
        let values: [(&[u8], &[u8]); 4] = [
            (b"{file}", file.as_os_str().as_bytes()),
            (b"{to}", self.to.as_ref().map_or(b"", |to| to.as_bytes())),
            (b"{from}", self.from.as_bytes()),
            (b"{subject}", subject.as_bytes()),
        ];
        let mut arguments: Vec<OsString> = self.words[1..]
            .iter()
            .map(|word| fill(word.as_bytes(), &values))
            .collect();
        if !self.words.iter().any(|word| holds(word, b"{file}")) {
            arguments.push(file.into());
        }
        arguments
    }

    /// Hands a file over; `body` is what the program reads on stdin.
    pub fn send(&self, work: &mut Work, file: &Path, subject: &str, body: &str) -> Result<ToolEnd> {
        let program = PathBuf::from(self.program());
        let mut launch = Launch::new(&program);
        launch.args = self.arguments(file, subject);
        launch.env = work.partition.inherited.clone();
        launch.stdin = text_to_read(body).map_err(Error::system("make a pipe"))?;
        let reporter = &mut *work.reporter;
        let output = Output::Lines {
            bound: 1 << 20,
            each: &mut |piece| {
                if let Piece::Line(line) = piece {
                    reporter.info(&crate::error::shown(OsStr::from_bytes(line)));
                }
            },
        };
        let ended = run_bounded(launch, Some(LIMIT), Some(work.signals), output)
            .map_err(program_failed(&program))?;
        match ended {
            Ended::Exited(status) => Ok(ToolEnd::Ended(status)),
            Ended::TimedOut => Ok(ToolEnd::TimedOut),
            Ended::Interrupted(signal) => Err(work.interrupted(
                signal,
                format!("the archive {} was not sent", file.display()),
            )),
        }
    }
}

/// A text as somebody's standard input: short enough for a pipe to hold it.
fn text_to_read(text: &str) -> std::io::Result<Stream> {
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(&text.as_bytes()[..text.len().min(4096)])?;
    Ok(Stream::File(OwnedFd::from(reader).into()))
}

/// Something that a mail program takes for a recipient, not for an option.
fn is_address(text: &OsStr) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes[0] != b'-'
        && !bytes
            .iter()
            .any(|byte| byte.is_ascii_control() || *byte == b' ')
}

fn holds(word: &OsStr, part: &[u8]) -> bool {
    word.as_bytes()
        .windows(part.len())
        .any(|window| window == part)
}

/// Puts values in the place of their names, in one pass: a name within a value
/// stays as it is.
fn fill(word: &[u8], values: &[(&[u8], &[u8])]) -> OsString {
    let mut filled = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                filled.extend_from_slice(value);
                rest = &rest[name.len()..];
            }
            None => {
                filled.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(words: &[&str]) -> Mailer {
        Mailer {
            words: words.iter().map(OsString::from).collect(),
            to: Some("a@b.c".into()),
            from: "{file}".into(),
        }
    }

    #[test]
    fn words_are_filled_and_stay_words() {
        let file = Path::new("/tmp/a b.tar.gz");
        let mailer = mailer(&[
            "mail",
            "-s",
            "{subject}",
            "--from={from}",
            "-a{file}",
            "{to}",
        ]);
        assert_eq!(
            mailer.arguments(file, "x 'y'"),
            ["-s", "x 'y'", "--from={file}", "-a/tmp/a b.tar.gz", "a@b.c"]
        );
    }

    #[test]
    fn the_file_comes_last_where_no_word_asks_for_it() {
        let mailer = mailer(&["send-it"]);
        assert_eq!(mailer.arguments(Path::new("/f"), "s"), ["/f"]);
    }

    #[test]
    fn recipients_that_look_like_options_are_none() {
        for bad in ["", "-oQ/tmp", "a b", "a\nb"] {
            assert!(!is_address(OsStr::new(bad)), "{bad}");
        }
        assert!(is_address(OsStr::new("root")));
    }
}
