//! The text of the adapters' scripts: POSIX sh, a few lines, one exec.

use super::Caller;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// What every file of ours has in its first or second line, before the name
/// of the caller.
const MARK: &[u8] = b"# rc_domino snapshot adapter: ";

/// What the scripts of one caller have in common.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// For whom.
    pub caller: Caller,
    /// Whose server; none: the one that is meant without a name.
    pub user: Option<&'a OsStr>,
    /// This program, by an absolute path.
    pub program: &'a Path,
    /// The budget of a freeze.
    pub budget: Option<Duration>,
}

impl Script<'_> {
    /// The line that tells our files from others, and whose they are.
    pub fn mark(&self) -> Vec<u8> {
        let mut line = [MARK, self.caller.name().as_bytes()].concat();
        if let Some(user) = self.user {
            line.extend_from_slice(b" for ");
            line.extend_from_slice(user.as_bytes());
        }
        line.push(b'\n');
        line
    }

    /// A script with this body after the head.
    pub fn text(&self, body: &[u8]) -> Vec<u8> {
        let name = self.caller.name();
        let notes = format!(
            "# Written by 'rc_domino snapshot install {name}', which also renews it;\n\
             # 'rc_domino snapshot uninstall {name}' removes it. See rc_domino-snapshot(7).\n"
        );
        [b"#!/bin/sh\n", &self.mark()[..], notes.as_bytes(), body].concat()
    }

    /// The command line that freezes.
    pub fn freeze(&self) -> Vec<u8> {
        let mut line = self.command("freeze");
        if let Some(budget) = self.budget {
            line.extend_from_slice(format!(" --budget={}", budget.as_secs()).as_bytes());
        }
        line
    }

    /// The command line that thaws.
    pub fn thaw(&self) -> Vec<u8> {
        self.command("thaw")
    }

    /// The command line that undoes a freeze.
    pub fn abort(&self) -> Vec<u8> {
        self.command("abort")
    }

    fn command(&self, verb: &str) -> Vec<u8> {
        let mut line = quoted(self.program.as_os_str());
        if let Some(user) = self.user {
            line.extend_from_slice(b" --user ");
            line.extend_from_slice(&quoted(user));
        }
        let rest = format!(" snapshot {verb} --caller={}", self.caller);
        line.extend_from_slice(rest.as_bytes());
        line
    }

    /// A script that does nothing but to become this command.
    pub fn only(&self, command: &[u8]) -> Vec<u8> {
        self.text(&[b"exec ", command, b"\n"].concat())
    }
}

/// A word as a shell reads it back.
fn quoted(word: &OsStr) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    let bytes = word.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return bytes.to_vec();
    }
    let mut quoted = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// What follows the mark on its line, if the text is ours.
fn marked(text: &[u8]) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n')
        .take(2)
        .find_map(|line| line.strip_prefix(MARK))
}

/// Whether one of our installations wrote this.
pub fn is_ours(text: &[u8]) -> bool {
    marked(text).is_some()
}

/// The caller a text of ours is for; none where it does not say.
pub fn caller_of(text: &[u8]) -> Option<&str> {
    let word = marked(text)?.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(word).ok()
}

/// The user whose server a text of ours is for.
fn user_of(text: &[u8]) -> Option<&[u8]> {
    let rest = marked(text)?;
    let gap = rest.windows(5).position(|part| part == b" for ")?;
    rest.get(gap + 5..)
}

/// Whether a text of ours is for this user's server.
pub fn is_for(text: &[u8], user: &OsStr) -> bool {
    user_of(text) == Some(user.as_bytes())
}

/// Whether two texts of ours are for the same caller and server; a text that
/// is not ours goes with any.
pub fn same_server(one: &[u8], other: &[u8]) -> bool {
    marked(one).is_none() || marked(other).is_none() || marked(one) == marked(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script<'a>(program: &'a str, user: Option<&'a str>) -> Script<'a> {
        Script {
            caller: Caller::Qemu,
            user: user.map(OsStr::new),
            program: Path::new(program),
            budget: Some(Duration::from_secs(540)),
        }
    }

    #[test]
    fn ours_is_told_by_its_mark() {
        let plain = script("/usr/bin/rc_domino", None);
        let mail = script("/usr/bin/rc_domino", Some("mail"));
        let text = plain.only(&plain.freeze());
        assert!(
            text.ends_with(
                b"\nexec /usr/bin/rc_domino snapshot freeze --caller=qemu --budget=540\n"
            )
        );
        assert!(is_ours(&text) && caller_of(&text) == Some("qemu"));
        assert!(!is_ours(
            b"#!/bin/sh\necho # rc_domino snapshot adapter: qemu\n"
        ));
        let other = mail.only(&mail.thaw());
        assert!(is_for(&other, OsStr::new("mail")) && !is_for(&text, OsStr::new("mail")));
        assert!(same_server(&text, &plain.only(&plain.thaw())) && !same_server(&text, &other));
    }

    #[test]
    fn odd_names_stay_one_word() {
        let odd = script("/opt/a b/it's", Some("$u"));
        assert_eq!(
            odd.thaw(),
            b"'/opt/a b/it'\\''s' --user '$u' snapshot thaw --caller=qemu"
        );
    }
}
