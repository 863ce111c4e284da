//! A pure reader for sourced shell files: assignments, quotes, parameters,
//! `export` and `unset`, exactly as bash evaluates them. Whatever else a file
//! holds is refused with its line, and nothing of the file takes effect.
//!
//! Refusing is always right, because bash then answers; accepting must agree
//! with bash on every byte. `shell_config_tests.rs` holds it to that.

pub use super::refusal::{Construct, Refusal};
use super::scope::{
    Assignment, Scope, Variable, belongs_to_bash, has_default_in_bash, name_length,
};
use std::collections::BTreeMap;

/// Evaluates a file's text in `scope`, which stays as it is: the caller
/// applies the assignments, which come in the order in which they happened.
///
/// # Errors
/// The first construct that is not understood.
pub fn evaluate(text: &[u8], scope: &Scope) -> Result<Vec<Assignment>, Refusal> {
    let (assignments, refusal) = evaluate_up_to_refusal(text, scope);
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(assignments),
    }
}

/// As [`evaluate`], but hands back what came before the refusal, too.
pub(super) fn evaluate_up_to_refusal(
    text: &[u8],
    scope: &Scope,
) -> (Vec<Assignment>, Option<Refusal>) {
    if let Some(refusal) = foreign_bytes(text) {
        return (Vec::new(), Some(refusal));
    }
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        depth: 0,
        scope,
        changed: BTreeMap::new(),
        log: Vec::new(),
    };
    let refusal = reader.file().err();
    (reader.log, refusal)
}

/// Finds bytes that no accepted file holds. CR LF passes in lines that are
/// nothing but a comment.
fn foreign_bytes(text: &[u8]) -> Option<Refusal> {
    const ODD: [u8; 4] = [0, 1, 0x7f, b'\r'];
    // Byte by byte this would take longer than all else that is done here.
    if !ODD.iter().any(|byte| text.contains(byte)) {
        return None;
    }
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let refuse = |what| {
            Some(Refusal {
                line: index + 1,
                what,
            })
        };
        if let Some(byte) = line
            .iter()
            .find(|byte| ODD.contains(byte) && **byte != b'\r')
        {
            return refuse(Construct::ControlByte(*byte));
        }
        if line.ends_with(b"\r") && !line.trim_ascii_start().starts_with(b"#") {
            return refuse(Construct::CarriageReturn);
        }
    }
    None
}

/// How deep defaults may hold further expansions.
const DEEPEST: usize = 16;

/// Where a value stands: decides what its characters mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Assignment,
    /// Bash expands braces in the arguments of `export`.
    Export,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    depth: usize,
    scope: &'a Scope,
    changed: BTreeMap<Vec<u8>, Option<Variable>>,
    log: Vec<Assignment>,
}

type Reading<T> = Result<T, Refusal>;

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn peek_after(&self, offset: usize) -> Option<u8> {
        self.text.get(self.at + offset).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn refuse<T>(&self, what: Construct) -> Reading<T> {
        Err(Refusal {
            line: self.line,
            what,
        })
    }

    fn refuse_command<T>(&self) -> Reading<T> {
        let word = self.text.get(self.at..).unwrap_or_default();
        let end = word
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || *byte == b';')
            .unwrap_or(word.len())
            .min(40);
        match (word.get(..end).unwrap_or_default(), word.first()) {
            (b"", Some(byte)) => self.refuse(Construct::Operator(*byte)),
            (word, _) => self.refuse(Construct::Command(word.to_vec())),
        }
    }

    /// Skips blanks and continued lines.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.peek_after(1) == Some(b'\n') => {
                    self.at += 2;
                    self.line += 1;
                }
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        self.at += end.unwrap_or(rest.len());
    }

    fn file(&mut self) -> Reading<()> {
        loop {
            self.blanks();
            match self.peek() {
                None => return Ok(()),
                Some(b'\n') => {
                    self.next();
                }
                Some(b'#') => self.comment(),
                Some(_) => {
                    self.command()?;
                    if self.peek() == Some(b';') {
                        self.at += 1;
                    }
                }
            }
        }
    }

    /// Whether the command ends here; skips a comment that follows it.
    fn at_end_of_command(&mut self) -> bool {
        self.blanks();
        if self.peek() == Some(b'#') {
            self.comment();
        }
        matches!(self.peek(), None | Some(b'\n' | b';'))
    }

    fn command(&mut self) -> Reading<()> {
        let start = self.log.len();
        let done = self.command_logged();
        if done.is_err() {
            // `A=1 command` sets A for that command only.
            self.log.truncate(start);
        }
        done
    }

    fn command_logged(&mut self) -> Reading<()> {
        let line = self.line;
        match self.word_in_front() {
            b"export" => return self.export(line),
            b"unset" => return self.unset(line),
            _ => {}
        }
        loop {
            let Some((name, append)) = self.assignment_head()? else {
                return self.refuse_command();
            };
            let value = self.value(Place::Assignment)?;
            self.assign(name, append, value, line)?;
            if self.at_end_of_command() {
                return Ok(());
            }
        }
    }

    /// The name at this place, when a blank or the command's end follows it.
    fn word_in_front(&self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (name, rest) = rest.split_at(name_length(rest));
        match rest.first() {
            None | Some(b' ' | b'\t' | b'\n' | b';') => name,
            // A backslash before a line end would join the next line's word.
            Some(_) => b"",
        }
    }

    /// Reads `NAME=` or `NAME+=`; true means append. Reads nothing otherwise.
    fn assignment_head(&mut self) -> Reading<Option<(&'a [u8], bool)>> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (name, rest) = rest.split_at(name_length(rest));
        let append = rest.starts_with(b"+=");
        if name.is_empty() || !(append || rest.starts_with(b"=")) {
            return Ok(None);
        }
        if belongs_to_bash(name) {
            return self.refuse(Construct::ShellVariable(name.to_vec()));
        }
        self.at += name.len() + 1 + usize::from(append);
        Ok(Some((name, append)))
    }

    fn export(&mut self, line: usize) -> Reading<()> {
        let start = self.at;
        self.at += b"export".len();
        // Bash expands all arguments before it assigns the first.
        let mut arguments = Vec::new();
        while !self.at_end_of_command() {
            if let Some((name, append)) = self.assignment_head()? {
                arguments.push((name, append, Some(self.value(Place::Export)?)));
            } else {
                let name = self.plain_name()?;
                self.readable(name)?;
                arguments.push((name, false, None));
            }
        }
        if arguments.is_empty() {
            self.at = start;
            return self.refuse_command();
        }
        for (name, append, value) in arguments {
            if let Some(value) = value {
                self.assign(name, append, value, line)?;
            }
            let mut variable = self.variable(name).cloned().unwrap_or_default();
            variable.exported = true;
            self.record(name, line, Some(variable));
        }
        Ok(())
    }

    fn unset(&mut self, line: usize) -> Reading<()> {
        let start = self.at;
        self.at += b"unset".len();
        let mut names = Vec::new();
        while !self.at_end_of_command() {
            names.push(self.plain_name()?);
        }
        if names.is_empty() {
            self.at = start;
            return self.refuse_command();
        }
        for name in names {
            self.record(name, line, None);
        }
        Ok(())
    }

    /// Reads a word that is nothing but a name.
    fn plain_name(&mut self) -> Reading<&'a [u8]> {
        let name = self.word_in_front();
        if name.is_empty() {
            return self.refuse_command();
        }
        if belongs_to_bash(name) {
            return self.refuse(Construct::ShellVariable(name.to_vec()));
        }
        self.at += name.len();
        Ok(name)
    }

    fn variable(&self, name: &[u8]) -> Option<&Variable> {
        match self.changed.get(name) {
            Some(state) => state.as_ref(),
            None => self.scope.variable(name),
        }
    }

    /// Refuses names whose value only bash knows.
    fn readable(&self, name: &[u8]) -> Reading<()> {
        let unknown =
            belongs_to_bash(name) || (has_default_in_bash(name) && self.variable(name).is_none());
        if unknown {
            return self.refuse(Construct::ShellVariable(name.to_vec()));
        }
        Ok(())
    }

    fn assign(&mut self, name: &'a [u8], append: bool, value: Vec<u8>, line: usize) -> Reading<()> {
        let mut variable = match self.variable(name) {
            Some(variable) => variable.clone(),
            None => Variable::default(),
        };
        if append {
            self.readable(name)?;
            variable
                .value
                .get_or_insert_with(Vec::new)
                .extend_from_slice(&value);
        } else {
            variable.value = Some(value);
        }
        self.record(name, line, Some(variable));
        Ok(())
    }

    fn record(&mut self, name: &[u8], line: usize, state: Option<Variable>) {
        self.changed.insert(name.to_vec(), state.clone());
        self.log.push(Assignment {
            name: name.to_vec(),
            line,
            state,
        });
    }

    /// Reads a value up to the blank, `;` or line end that closes it.
    fn value(&mut self, place: Place) -> Reading<Vec<u8>> {
        let mut value = Vec::new();
        if self.peek() == Some(b'(') {
            return self.refuse(Construct::Array);
        }
        // The byte before, where it was a plain one: decides about a tilde.
        let mut before = b'=';
        loop {
            let Some(byte) = self.peek() else {
                return Ok(value);
            };
            match byte {
                b' ' | b'\t' | b'\n' | b';' => return Ok(value),
                b'\'' => self.single_quoted(&mut value)?,
                b'"' => self.double_quoted(&mut value)?,
                b'$' => self.dollar(false, &mut value)?,
                b'`' => return self.refuse(Construct::CommandSubstitution),
                b'\\' => match self.peek_after(1) {
                    None => return self.refuse(Construct::Backslash),
                    Some(b'\n') => {
                        self.at += 2;
                        self.line += 1;
                        // Whatever stood before the break still does.
                        continue;
                    }
                    Some(escaped) => {
                        self.at += 2;
                        value.push(escaped);
                    }
                },
                b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                    return self.refuse(Construct::Operator(byte));
                }
                b'{' if place == Place::Export => {
                    return self.refuse(Construct::Operator(byte));
                }
                b'~' if !is_plain(before) => return self.refuse(Construct::Tilde),
                _ => {
                    self.at += 1;
                    value.push(byte);
                    before = byte;
                    continue;
                }
            }
            before = 0;
        }
    }

    fn single_quoted(&mut self, value: &mut Vec<u8>) -> Reading<()> {
        let opened = self.line;
        self.at += 1;
        while let Some(byte) = self.next() {
            if byte == b'\'' {
                return Ok(());
            }
            value.push(byte);
        }
        Err(Refusal {
            line: opened,
            what: Construct::OpenQuote(b'\''),
        })
    }

    fn double_quoted(&mut self, value: &mut Vec<u8>) -> Reading<()> {
        let opened = self.line;
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'$' => {
                    self.dollar(true, value)?;
                    continue;
                }
                b'`' => return self.refuse(Construct::CommandSubstitution),
                b'\\' => match self.peek_after(1) {
                    Some(b'\n') => {
                        self.at += 2;
                        self.line += 1;
                        continue;
                    }
                    Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                        self.at += 2;
                        value.push(escaped);
                        continue;
                    }
                    _ => {}
                },
                _ => {}
            }
            self.next();
            value.push(byte);
        }
        Err(Refusal {
            line: opened,
            what: Construct::OpenQuote(b'"'),
        })
    }

    /// Reads what begins with a `$`.
    fn dollar(&mut self, quoted: bool, value: &mut Vec<u8>) -> Reading<()> {
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = name_length(rest);
        if length > 0 {
            let (name, rest) = rest.split_at(length);
            // In some locales a letter beyond ASCII would belong to the name,
            // and a name may go on behind a line break.
            if rest.first().is_some_and(|byte| *byte >= 0x80) {
                return self.refuse(Construct::Expansion);
            }
            if rest.starts_with(b"\\\n") {
                return self.refuse(Construct::Backslash);
            }
            self.readable(name)?;
            self.at += length;
            if let Some(known) = self.variable(name).and_then(|known| known.value.as_ref()) {
                value.extend_from_slice(known);
            }
            return Ok(());
        }
        match rest.first() {
            Some(b'{') => self.braces(quoted, value),
            Some(b'(') => self.refuse(Construct::CommandSubstitution),
            Some(b'[') => self.refuse(Construct::Arithmetic),
            Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9') => {
                self.refuse(Construct::SpecialParameter)
            }
            Some(b'\'' | b'"') if !quoted => self.refuse(Construct::DollarQuote),
            Some(b'\\') if rest.get(1) == Some(&b'\n') => self.refuse(Construct::Backslash),
            Some(0x80..) => self.refuse(Construct::Expansion),
            _ => {
                value.push(b'$');
                Ok(())
            }
        }
    }

    /// Reads `{NAME}` or `{NAME:-default}` and its kin, behind the `$`.
    fn braces(&mut self, quoted: bool, value: &mut Vec<u8>) -> Reading<()> {
        let opened = self.line;
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let name = rest.get(..name_length(rest)).unwrap_or_default();
        if name.is_empty() {
            return self.refuse(Construct::Expansion);
        }
        self.readable(name)?;
        self.at += name.len();
        let known = self
            .variable(name)
            .and_then(|variable| variable.value.clone());
        let colon = self.peek() == Some(b':');
        let operator = self.peek_after(usize::from(colon));
        match operator {
            Some(b'}') if !colon => {
                self.at += 1;
                value.extend(known.unwrap_or_default());
                return Ok(());
            }
            Some(b'-' | b'=' | b'+') => self.at += 1 + usize::from(colon),
            None if !colon => {
                return Err(Refusal {
                    line: opened,
                    what: Construct::OpenBrace,
                });
            }
            _ => return self.refuse(Construct::Expansion),
        }
        if self.depth == DEEPEST || (self.depth > 0 && operator == Some(b'=')) {
            return self.refuse(Construct::Expansion);
        }
        self.depth += 1;
        let word = self.default_word(quoted, opened)?;
        self.depth -= 1;
        let filled = known.filter(|known| !(colon && known.is_empty()));
        match (operator, filled) {
            (Some(b'+'), Some(_)) | (Some(b'-'), None) => value.extend(word),
            (Some(b'+'), None) => {}
            (Some(b'='), None) => {
                value.extend_from_slice(&word);
                self.assign(name, false, word, opened)?;
            }
            (_, Some(known)) => value.extend(known),
            (_, None) => return self.refuse(Construct::Expansion),
        }
        Ok(())
    }

    /// Reads the word of a default up to its closing brace.
    fn default_word(&mut self, quoted: bool, opened: usize) -> Reading<Vec<u8>> {
        let mut word = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                return Err(Refusal {
                    line: opened,
                    what: Construct::OpenBrace,
                });
            };
            match byte {
                b'}' => {
                    self.at += 1;
                    return Ok(word);
                }
                b'$' => self.dollar(quoted, &mut word)?,
                b'\'' if !quoted => self.single_quoted(&mut word)?,
                b'"' if !quoted => self.double_quoted(&mut word)?,
                b'`' => return self.refuse(Construct::CommandSubstitution),
                b'\\' => return self.refuse(Construct::Backslash),
                b'~' if !quoted => return self.refuse(Construct::Tilde),
                b'\'' | b'"' | b'{' | b'\n' | b'<' | b'>' | b'(' | b')' | b'&' | b'|' | b';' => {
                    return self.refuse(Construct::Expansion);
                }
                _ => {
                    self.at += 1;
                    word.push(byte);
                }
            }
        }
    }
}

/// Whether a tilde behind this byte is never expanded.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_')
}

#[cfg(test)]
#[path = "shell_config_tests.rs"]
mod tests;
