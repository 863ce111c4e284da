//! The kinds of values a setting can have, and how their text is read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

/// What a setting's text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or directory.
    Path,
    /// On with `yes`; off with whatever else.
    Switch,
    /// Off with `no`; on with whatever else.
    Unless,
    /// On with any text that is not empty.
    Presence,
    /// A time: a number of seconds, or of another unit with `s`, `m`, `h`, `d`.
    Seconds,
    /// A whole number of days.
    Days,
    /// An octal file mode mask.
    Octal,
    /// A TCP port.
    Port,
    /// A whole number.
    Number,
    /// A command or list of words, quoted as for a shell.
    Words,
    /// An extended regular expression, as for `grep -E`.
    Pattern,
}

impl Kind {
    /// What an error says was expected.
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Text | Kind::Path | Kind::Presence | Kind::Pattern => "a text",
            Kind::Switch | Kind::Unless => "yes or no",
            Kind::Seconds => "a number of seconds, or a number with s, m, h or d",
            Kind::Days => "a whole number of days",
            Kind::Octal => "an octal mask from 0 to 0777",
            Kind::Port => "a port from 1 to 65535",
            Kind::Number => "a whole number",
            Kind::Words => "words whose quotes are closed",
        }
    }
}

/// How the text of one kind becomes a value.
pub trait Reading {
    /// What the text is read into.
    type Value;
    /// Its kind.
    const KIND: Kind;
    /// `None` when the text is not of this kind.
    fn read(text: &OsStr) -> Option<Self::Value>;
}

macro_rules! kinds {
    ($($kind:ident => $value:ty, |$text:ident| $read:expr;)*) => {$(
        #[doc = concat!("Reads texts of [`Kind::", stringify!($kind), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $kind;
        impl Reading for $kind {
            type Value = $value;
            const KIND: Kind = Kind::$kind;
            fn read($text: &OsStr) -> Option<$value> {
                $read
            }
        }
    )*};
}

kinds! {
    Text => OsString, |text| Some(text.to_owned());
    Path => PathBuf, |text| Some(PathBuf::from(text));
    Switch => bool, |text| Some(text == "yes");
    Unless => bool, |text| Some(text != "no");
    Presence => bool, |text| Some(!text.is_empty());
    Seconds => Duration, |text| duration(text.as_bytes());
    Days => u32, |text| Some(u32::try_from(digits(text.as_bytes())?).unwrap_or(u32::MAX));
    Octal => u32, |text| octal(text.as_bytes());
    Port => u16, |text| u16::try_from(digits(text.as_bytes())?).ok().filter(|port| *port > 0);
    Number => u64, |text| digits(text.as_bytes());
    Words => Vec<OsString>, |text| words(text.as_bytes());
    Pattern => OsString, |text| Some(text.to_owned());
}

impl Kind {
    /// Whether a text is of this kind; of a switch only `yes` and `no` are,
    /// though others count as one of them.
    pub fn accepts(self, text: &OsStr) -> bool {
        match self {
            Kind::Text | Kind::Path | Kind::Presence | Kind::Pattern => true,
            Kind::Switch | Kind::Unless => text == "yes" || text == "no",
            Kind::Seconds => Seconds::read(text).is_some(),
            Kind::Days => Days::read(text).is_some(),
            Kind::Octal => Octal::read(text).is_some(),
            Kind::Port => Port::read(text).is_some(),
            Kind::Number => Number::read(text).is_some(),
            Kind::Words => Words::read(text).is_some(),
        }
    }
}

/// A whole number with blanks around it; larger ones stay at the largest.
fn digits(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

/// No wait is longer than this many seconds (a century), so that adding one
/// to a clock cannot overflow.
const LONGEST: u64 = 100 * 366 * 86_400;

/// `20`, `0.5`, `10m`: what `sleep` takes, which some of these values were for.
fn duration(text: &[u8]) -> Option<Duration> {
    let text = text.trim_ascii();
    let (number, unit) = match text.split_last()? {
        (b's', number) => (number, 1),
        (b'm', number) => (number, 60),
        (b'h', number) => (number, 3600),
        (b'd', number) => (number, 86_400),
        _ => (text, 1),
    };
    let dot = number.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = number.split_at(dot.unwrap_or(number.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if !all_digits(whole) || !all_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let seconds = digits(whole).unwrap_or(0).saturating_mul(unit).min(LONGEST);
    let nanos = fraction
        .iter()
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0'));
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos * unit))
}

fn octal(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mask = digits.then(|| u32::from_str_radix(text, 8).ok())??;
    (mask <= 0o777).then_some(mask)
}

/// Splits at blanks and removes quotes and backslashes as a shell does; no
/// other character has a meaning. `None` where a quote is not closed.
pub fn words(text: &[u8]) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => match bytes.next()? {
                            escaped @ (b'"' | b'\\' | b'$' | b'`') => word.push(escaped),
                            other => word.extend([b'\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            b'\\' => word.get_or_insert_default().push(bytes.next()?),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words.into_iter().map(OsString::from_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<K: Reading>(text: &str) -> Option<K::Value> {
        K::read(OsStr::new(text))
    }

    #[test]
    fn times_take_a_unit_and_nothing_else() {
        assert_eq!(read::<Seconds>(" 180 "), Some(Duration::from_secs(180)));
        assert_eq!(read::<Seconds>("0180"), Some(Duration::from_secs(180)));
        assert_eq!(read::<Seconds>("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read::<Seconds>("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(read::<Seconds>("2h"), Some(Duration::from_secs(7200)));
        for wrong in [
            "abc", "-1", "", ".", "m", "1 0", "1e3", "0x10", "10ms", "1.2.3",
        ] {
            assert_eq!(read::<Seconds>(wrong), None, "{wrong}");
        }
        let endless = read::<Seconds>("99999999999999999999999d").unwrap();
        assert!(std::time::Instant::now().checked_add(endless).is_some());
    }

    #[test]
    fn numbers_keep_within_their_range() {
        assert_eq!(read::<Port>("1352"), Some(1352));
        assert!(read::<Port>("0").is_none() && read::<Port>("65536").is_none());
        assert_eq!(read::<Octal>("0077"), Some(0o077));
        assert!(read::<Octal>("8").is_none() && read::<Octal>("7777").is_none());
        assert!(read::<Octal>("+7").is_none() && read::<Octal>("u=rwx").is_none());
        assert_eq!(read::<Days>("7"), Some(7));
        assert!(read::<Days>("7d").is_none() && read::<Number>("\u{0661}").is_none());
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = |text: &str| words(text.as_bytes());
        let some = |words: &[&str]| Some(words.iter().map(OsString::from).collect());
        assert_eq!(split("gzip --best"), some(&["gzip", "--best"]));
        assert_eq!(
            split(" -# 4 '$a b' \"c\\\"\\d\"e f\\ g ''"),
            some(&["-#", "4", "$a b", "c\"\\de", "f g", ""])
        );
        assert_eq!(split("  \t\n"), some(&[]));
        assert!(split("it's").is_none() && split("\"").is_none() && split("x\\").is_none());
    }
}
