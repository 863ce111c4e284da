//! Where in a JSON text a value stands: line and column for messages.

use std::fmt;

/// One step on the way from the whole document to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the member of this name.
    Member(String),
    /// Into the item at this place, counted from 0.
    Item(usize),
}

/// A way to a value, shown as `serverSetup.server.type` or `databases[0]`.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a>(pub &'a [Step]);

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at == 0 => write!(f, "{name}")?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Item(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

/// Line and column, both counted from 1, columns in bytes as serde_json counts
/// them, of a value in a text that is valid JSON. A way that ends early gives
/// the last value on it.
pub fn locate(text: &[u8], way: &[Step]) -> (usize, usize) {
    let mut at = skip_blanks(text, 0);
    for step in way {
        let Some(inner) = enter(text, at, step) else {
            break;
        };
        at = inner;
    }
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |found| found + 1);
    (line, before.len() - start + 1)
}

/// Where the string at the end of a way begins and ends, quotes included.
pub fn enclosing_string(text: &[u8], way: &[Step]) -> Option<(usize, usize)> {
    let start = skip_blanks(text, 0);
    let start = way
        .iter()
        .try_fold(start, |at, step| enter(text, at, step))?;
    (text.get(start) == Some(&b'"')).then(|| (start, skip_string(text, start)))
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`.
fn skip_value(text: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match text.get(at) {
            None => return at,
            Some(b'"') => at = skip_string(text, at),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(b',' | b':') => at += 1,
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            Some(_) => {
                while text
                    .get(at)
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
                {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

fn skip_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match text.get(at) {
            None => return at,
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The start of the value one step into the one at `at`. Of members of the
/// same name the last counts, as in serde_json.
fn enter(text: &[u8], at: usize, step: &Step) -> Option<usize> {
    let object = match (text.get(at)?, step) {
        (b'{', Step::Member(_)) => true,
        (b'[', Step::Item(_)) => false,
        _ => return None,
    };
    let mut at = skip_blanks(text, at + 1);
    let mut place = 0;
    let mut found = None;
    while !matches!(text.get(at)?, b'}' | b']') {
        let mut wanted = matches!(step, Step::Item(item) if *item == place);
        if object {
            let end = skip_string(text, at);
            let name: Option<String> = serde_json::from_slice(text.get(at..end)?).ok();
            wanted = matches!(step, Step::Member(member) if Some(member) == name.as_ref());
            // Past the colon.
            at = skip_blanks(text, skip_blanks(text, end) + 1);
        }
        if wanted {
            found = Some(at);
        }
        at = skip_blanks(text, skip_value(text, at));
        if text.get(at) == Some(&b',') {
            at = skip_blanks(text, at + 1);
        } else if !matches!(text.get(at)?, b'}' | b']') {
            return found;
        }
        place += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.into())
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let text = b"{ \"a\": [1, {\"x\\\"]\": true},\n  -2.5e3, [ ] ],\n\t\"b\" : \"}\", \"c\":null, \"b\": 7 }";
        for (way, expected) in [
            (vec![], (1, 1)),
            (vec![member("a")], (1, 8)),
            (vec![member("a"), Step::Item(1), member("x\"]")], (1, 21)),
            (vec![member("a"), Step::Item(2)], (2, 3)),
            (vec![member("a"), Step::Item(3)], (2, 11)),
            (vec![member("b")], (3, 28)),
            (vec![member("c")], (3, 17)),
            (vec![member("a"), Step::Item(9)], (1, 8)),
        ] {
            assert_eq!(locate(text, &way), expected, "{way:?}");
        }
        for odd in [&b"{"[..], b"{\"a\"", b"[1", b"", b"{\"a\":\"x\\"] {
            locate(odd, &[member("a"), Step::Item(0)]);
            locate(odd, &[Step::Item(1)]);
        }
    }

    #[test]
    fn ways_read_as_one_would_write_them() {
        let way = [member("databases"), Step::Item(0), member("action")];
        assert_eq!(Way(&way).to_string(), "databases[0].action");
    }
}
