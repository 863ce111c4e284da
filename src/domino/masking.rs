//! Passwords and keys out of text that leaves the host, by their names.
//!
//! NSD files hold the environment and notes.ini, console logs what somebody
//! typed: so everything that is text goes through here, line by line.

mod free;

use std::borrow::Cow;
use std::io;

/// Takes masked text.
type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// What stands for a value that was taken out. Always of one length: the
/// value's own length is nobody's business either.
pub const MASK: &[u8] = b"********";

/// A name that holds one of these words names a secret.
const WORDS: [&[u8]; 12] = [
    // German, too.
    b"PASSWOR",
    b"KENNWORT",
    b"PASSWD",
    b"PASSPHRASE",
    b"PASSCODE",
    b"SECRET",
    b"TOKEN",
    b"CREDENTIAL",
    b"PRIVATE_KEY",
    b"PRIVATEKEY",
    b"ACCESS_KEY",
    b"AUTHORIZATION",
];

/// A name that ends like this does, too.
const ENDINGS: [&[u8]; 5] = [b"KEY", b"PWD", b"PSWD", b"PASS", b"PW"];

/// Names that end so and hold no secret: the shell's directories.
const HARMLESS: [&[u8]; 2] = [b"PWD", b"OLDPWD"];

/// The longest name that is looked at, in bytes.
const LONGEST_NAME: usize = 128;

/// The longest line that is masked in one piece, in bytes; a longer one is
/// cut there.
const LONGEST_LINE: usize = 1 << 20;

/// Whether a variable, setting or field of this name holds a secret.
pub fn is_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_uppercase();
    if HARMLESS.contains(&name.as_slice()) {
        return false;
    }
    WORDS
        .iter()
        .any(|word| name.windows(word.len()).any(|part| part == *word))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$')
}

/// The name in front of a separator, quotes and blanks between them left out.
fn name_before(line: &[u8], separator: usize) -> &[u8] {
    let front = line[separator.saturating_sub(LONGEST_NAME)..separator].trim_ascii_end();
    let front = front
        .strip_suffix(b"\\\"")
        .or_else(|| front.strip_suffix(b"\""))
        .or_else(|| front.strip_suffix(b"'"))
        .unwrap_or(front);
    let begin = front
        .iter()
        .rposition(|byte| !in_name(*byte))
        .map_or(0, |at| at + 1);
    &front[begin..]
}

/// Where a value ends that begins at `from`, a quoted one with its quotes.
/// `Err(quote)`: the quote is not closed on this line.
fn value_end(line: &[u8], from: usize) -> Result<usize, u8> {
    let quote = match line.get(from) {
        Some(quote @ (b'"' | b'\'')) => *quote,
        _ => return Ok(line.len()),
    };
    let mut at = from + 1;
    while at < line.len() {
        match line[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote => {
                // What is glued to a quoted part belongs to the value, as in
                // a shell; what a blank or a comma parts from it does not.
                let glued = line.get(at + 1).is_some_and(|next| {
                    !matches!(
                        next,
                        b' ' | b'\t' | b',' | b';' | b'}' | b']' | b')' | b'\r'
                    )
                });
                return Ok(if glued { line.len() } else { at + 1 });
            }
            _ => at += 1,
        }
    }
    Err(quote)
}

/// Where the password of `//user:password@host` lies, if the `:` at
/// `separator` stands in front of one.
fn url_password(line: &[u8], separator: usize) -> Option<usize> {
    let end = line[separator + 1..]
        .iter()
        .position(|byte| matches!(byte, b'@' | b'/' | b' ' | b'\t' | b'"' | b'\''))?
        + separator
        + 1;
    if line[end] != b'@' || end == separator + 1 {
        return None;
    }
    let begin = line[..separator]
        .iter()
        .rposition(|byte| matches!(byte, b'/' | b' ' | b'\t' | b'@'))?;
    (begin > 0 && line[begin] == b'/' && line[begin - 1] == b'/').then_some(end)
}

/// What a masked line left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A secret value in these quotes goes on, in files that a shell reads.
    Quote(u8),
    /// A private key in PEM form goes on.
    Key,
}

/// Masks text that comes in pieces.
#[derive(Debug, Default)]
pub struct Masker {
    line: Vec<u8>,
    open: Open,
    sourced: bool,
    masked: u64,
}

impl Masker {
    /// For logs: what a line leaves open ends with it.
    pub fn for_logs() -> Masker {
        Masker::default()
    }

    /// For files that a shell reads: a quoted value may span lines.
    pub fn for_sourced() -> Masker {
        Masker {
            sourced: true,
            ..Masker::default()
        }
    }

    /// How many values were masked so far.
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// Takes a piece; whole lines go to `out`, masked.
    pub fn feed(&mut self, mut piece: &[u8], out: Sink) -> io::Result<()> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end);
            piece = &rest[1..];
            if self.line.is_empty() {
                out(&self.mask_line(line))?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                out(&self.mask_line(&whole))?;
                whole.clear();
                self.line = whole;
            }
            out(b"\n")?;
        }
        self.line.extend_from_slice(piece);
        while self.line.len() > LONGEST_LINE {
            let rest = self.line.split_off(LONGEST_LINE);
            let cut = std::mem::replace(&mut self.line, rest);
            out(&self.mask_line(&cut))?;
            out(b"\n")?;
        }
        Ok(())
    }

    /// Takes a piece whose lines nobody wants; what it leaves open counts for
    /// what follows.
    pub fn skip(&mut self, piece: &[u8]) {
        // Nothing fails where nothing is written.
        let _ = self.feed(piece, &mut |_| Ok(()));
        self.masked = 0;
    }

    /// The last line, where no newline ends it.
    pub fn finish(&mut self, out: Sink) -> io::Result<()> {
        let last = std::mem::take(&mut self.line);
        if last.is_empty() {
            return Ok(());
        }
        out(&self.mask_line(&last))
    }

    fn mask_line<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match self.open {
            Open::Key => {
                if find(line, b"-----END").is_some() {
                    self.open = Open::Nothing;
                    return Cow::Borrowed(line);
                }
                return Cow::Borrowed(MASK);
            }
            Open::Quote(quote) => {
                if line.contains(&quote) {
                    self.open = Open::Nothing;
                }
                return Cow::Borrowed(MASK);
            }
            Open::Nothing => {}
        }
        if line.contains(&b'-')
            && let Some(begin) = find(line, b"-----BEGIN")
            && find(&line[begin..], b"PRIVATE KEY").is_some()
        {
            self.masked += 1;
            if find(&line[begin..], b"-----END").is_some() {
                return Cow::Owned([&line[..begin], MASK].concat());
            }
            self.open = Open::Key;
            return Cow::Borrowed(line);
        }
        match self.mask_values(line) {
            Cow::Borrowed(line) => self.mask_free(line),
            Cow::Owned(line) => Cow::Owned(self.mask_free(&line).into_owned()),
        }
    }

    fn mask_free<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let values = free::values(line);
        if values.is_empty() {
            return Cow::Borrowed(line);
        }
        let mut masked = Vec::with_capacity(line.len());
        let mut copied = 0;
        for (from, to) in values {
            masked.extend_from_slice(&line[copied..from]);
            masked.extend_from_slice(MASK);
            self.masked += 1;
            copied = to;
        }
        masked.extend_from_slice(&line[copied..]);
        Cow::Owned(masked)
    }

    fn mask_values<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let mut result: Option<Vec<u8>> = None;
        let mut copied = 0;
        let mut at = 0;
        while let Some(step) = line[at..]
            .iter()
            .position(|byte| matches!(byte, b'=' | b':' | b'>'))
        {
            let separator = at + step;
            at = separator + 1;
            let name = name_before(line, separator);
            // Of the signs `>` that of a start tag only.
            let names = line[separator] != b'>' || line[..separator - name.len()].ends_with(b"<");
            let (from, end) = if names && is_secret(name) {
                let blanks = line[at..]
                    .iter()
                    .take_while(|byte| matches!(byte, b' ' | b'\t' | b'='))
                    .count();
                let from = at + blanks;
                // The content of an XML element ends with its end tag.
                let line = match line[separator] {
                    b'>' => &line[..at + find(&line[at..], b"</").unwrap_or(line.len() - at)],
                    _ => line,
                };
                let end = value_end(line, from).unwrap_or_else(|quote| {
                    if self.sourced {
                        self.open = Open::Quote(quote);
                    }
                    line.len()
                });
                (from, end)
            } else if line[separator] == b':'
                && let Some(end) = url_password(line, separator)
            {
                (at, end)
            } else {
                continue;
            };
            if from >= end || line[from..end].trim_ascii().is_empty() {
                continue;
            }
            let masked = result.get_or_insert_default();
            masked.extend_from_slice(&line[copied..from]);
            masked.extend_from_slice(MASK);
            self.masked += 1;
            copied = end;
            at = end;
        }
        match result {
            None => Cow::Borrowed(line),
            Some(mut masked) => {
                masked.extend_from_slice(&line[copied..]);
                Cow::Owned(masked)
            }
        }
    }
}

/// A whole text, masked.
pub fn mask(text: &[u8], mut masker: Masker) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut out = |part: &[u8]| {
        result.extend_from_slice(part);
        Ok(())
    };
    // Writing to memory does not fail.
    let _ = masker
        .feed(text, &mut out)
        .and_then(|()| masker.finish(&mut out));
    result
}

/// A command line as one text, with the secrets among its arguments masked:
/// `--password X` and `password=X`.
pub fn mask_arguments(arguments: &[std::ffi::OsString]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut line = Vec::new();
    let mut hide_next = false;
    for argument in arguments {
        let argument = argument.as_bytes();
        if !line.is_empty() {
            line.push(b' ');
        }
        if hide_next {
            line.extend_from_slice(MASK);
            hide_next = false;
            continue;
        }
        hide_next = argument.starts_with(b"-")
            && !argument.contains(&b'=')
            && is_secret(argument.trim_ascii_start());
        let shown: Vec<u8> = argument
            .iter()
            .map(|byte| if *byte < 0x20 { b' ' } else { *byte })
            .collect();
        line.extend_from_slice(&mask(&shown, Masker::for_logs()));
    }
    line
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> String {
        String::from_utf8(mask(text.as_bytes(), Masker::for_logs())).unwrap()
    }

    #[test]
    fn values_of_secret_names_go_and_the_rest_stays() {
        for (line, masked) in [
            ("PATH=/bin", "PATH=/bin"),
            ("PWD=/local/notesdata", "PWD=/local/notesdata"),
            (
                "SERVERSETUP_ADMIN_PASSWORD=a b c",
                "SERVERSETUP_ADMIN_PASSWORD=********",
            ),
            (
                "  \"password\": \"x\\\"y\", \"cn\": \"a\"",
                "  \"password\": ********, \"cn\": \"a\"",
            ),
            ("export api_key='a'\"b\" # c", "export api_key=********"),
            ("smtp_pwd = x", "smtp_pwd = ********"),
            ("Authorization: Bearer abc", "Authorization: ********"),
            (
                "proxy=https://joe:geheim@proxy:80/x",
                "proxy=https://joe:********@proxy:80/x",
            ),
            ("KeyFilename=server.id", "KeyFilename=server.id"),
            (
                "12:30:01 Server started: a=b",
                "12:30:01 Server started: a=b",
            ),
            ("PASSWORD=", "PASSWORD="),
            ("DB_PASS=a Passwort: b", "DB_PASS=********"),
            ("mypw=a", "mypw=********"),
            (
                "<user>joe</user><password>a b</password><n>1</n>",
                "<user>joe</user><password>********</password><n>1</n>",
            ),
            ("<Password>open", "<Password>********"),
            ("> set config X_TOKEN=a", "> set config X_TOKEN=********"),
            ("x \\\"token\\\": \\\"abc\\\"", "x \\\"token\\\": ********"),
        ] {
            assert_eq!(log(line), masked, "{line}");
        }
    }

    #[test]
    fn values_behind_a_blank_go_too() {
        for (line, masked) in [
            (
                "tool --pass X --user joe",
                "tool --pass ******** --user joe",
            ),
            ("tool --password=X -v", "tool --password=********"),
            ("-password 'a b' c", "-password ******** c"),
            ("--no-password --force", "--no-password --force"),
            (
                "the password is geheim today",
                "the password is ******** today",
            ),
            ("Das Passwort lautet: x1", "Das Passwort lautet: ********"),
            ("The password is incorrect.", "The password is incorrect."),
            ("password is \"open", "password is ********"),
            ("got Bearer abcdefgh.i", "got Bearer ********"),
            ("a bearer of news", "a bearer of news"),
            ("---- TOKEN table", "---- TOKEN table"),
            ("what it is", "what it is"),
        ] {
            assert_eq!(log(line), masked, "{line}");
        }
    }

    #[test]
    fn private_keys_and_values_over_several_lines() {
        let key =
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb\n";
        let masked = log(key);
        assert!(
            !masked.contains("MIIE") && masked.ends_with("-----\nb\n"),
            "{masked}"
        );
        let sourced = mask(b"PASSWORD=\"a\nb\nc\"\nX=1\n", Masker::for_sourced());
        assert_eq!(sourced, b"PASSWORD=********\n********\n********\nX=1\n");
        // In a log an open quote ends with its line.
        assert_eq!(log("password='x\nnext"), "password=********\nnext");
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = b"A_TOKEN=1234\nx\r\nSECRET: \"q\" z\nlast_password=p";
        let whole = mask(text, Masker::for_logs());
        let mut masker = Masker::for_logs();
        let mut result = Vec::new();
        let mut out = |part: &[u8]| {
            result.extend_from_slice(part);
            Ok(())
        };
        for byte in text {
            masker.feed(&[*byte], &mut out).unwrap();
        }
        masker.finish(&mut out).unwrap();
        assert_eq!(masker.masked(), 3);
        assert_eq!(result, whole);
    }

    #[test]
    fn a_secret_across_a_cut_is_masked() {
        let mut masker = Masker::for_logs();
        masker.skip(b"x\nADMIN_PASSWORD=sec");
        assert_eq!(mask(b"ret\ny\n", masker), b"ADMIN_PASSWORD=********\ny\n");
    }

    #[test]
    fn arguments_lose_their_secrets() {
        let words = ["java", "-Dkeystore.password=x", "--password", "y", "-jc"].map(Into::into);
        assert_eq!(
            mask_arguments(&words),
            b"java -Dkeystore.password=******** --password ******** -jc"
        );
    }
}
