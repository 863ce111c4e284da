//! Secrets that no sign parts from their name: `--pass X`, `password is X`,
//! `Bearer X`.

use super::{MASK, WORDS, in_name, is_secret, value_end};

/// What stands between a secret's name and its value in a sentence.
const VERBS: [&[u8]; 5] = [b"is", b"was", b"ist", b"war", b"lautet"];

/// What a password may be said to be; such words are kept, since they are what
/// an error message is about.
const STATES: [&[u8]; 21] = [
    b"a",
    b"an",
    b"correct",
    b"empty",
    b"expired",
    b"falsch",
    b"incorrect",
    b"invalid",
    b"leer",
    b"locked",
    b"missing",
    b"no",
    b"not",
    b"nicht",
    b"required",
    b"set",
    b"the",
    b"too",
    b"valid",
    b"weak",
    b"wrong",
];

/// The shortest word behind `Bearer` that is taken for a token, in bytes.
const SHORTEST_TOKEN: usize = 8;

/// What a word says of the one behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Anything,
    OptionValue,
    Said,
    Token,
}

/// Where the values lie.
pub(super) fn values(line: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut at, mut next, mut before) = (0, Next::Anything, &line[..0]);
    while let Some(begin) = line[at..].iter().position(|byte| !is_blank(*byte)) {
        let from = at + begin;
        let length = line[from..].iter().position(|byte| is_blank(*byte));
        let word = &line[from..length.map_or(line.len(), |length| from + length)];
        at = from + word.len();
        if is_value(word, next) {
            if matches!(word[0], b'"' | b'\'') {
                at = value_end(line, from).unwrap_or(line.len());
            }
            found.push((from, at));
            (next, before) = (Next::Anything, &line[..0]);
            continue;
        }
        next = after(word, before);
        before = word;
    }
    found
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn is_value(word: &[u8], next: Next) -> bool {
    if word.starts_with(MASK) {
        return false;
    }
    match next {
        Next::Anything => false,
        Next::OptionValue => word[0] != b'-',
        Next::Said => !is_one_of(trimmed(word), &STATES),
        Next::Token => word.len() >= SHORTEST_TOKEN,
    }
}

fn after(word: &[u8], before: &[u8]) -> Next {
    if word[0] == b'-' {
        let name = word.strip_prefix(b"--").unwrap_or(&word[1..]);
        let is_name = name.first().is_some_and(u8::is_ascii_alphanumeric)
            && name.iter().all(|byte| in_name(*byte));
        if is_name && is_secret(name) {
            return Next::OptionValue;
        }
    }
    let word = trimmed(word);
    if is_one_of(word, &VERBS) && names_secret(before) {
        return Next::Said;
    }
    if word.eq_ignore_ascii_case(b"bearer") {
        return Next::Token;
    }
    Next::Anything
}

fn names_secret(word: &[u8]) -> bool {
    let word = word.to_ascii_uppercase();
    WORDS
        .iter()
        .any(|known| word.windows(known.len()).any(|part| part == *known))
}

fn is_one_of(word: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// A word without the signs around it.
fn trimmed(word: &[u8]) -> &[u8] {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let from = word.iter().position(letter).unwrap_or(word.len());
    let to = word.iter().rposition(letter).map_or(from, |at| at + 1);
    &word[from..to]
}
