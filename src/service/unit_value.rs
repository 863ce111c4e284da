//! Values in unit files as systemd would read them: commands, booleans, times.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// One command of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Whether systemd takes its failure for a success (`-`).
    pub may_fail: bool,
    /// What is run.
    pub program: PathBuf,
    /// The name it is run by; another than `program` with `@`.
    pub name: OsString,
    /// What it is given.
    pub arguments: Vec<OsString>,
}

/// The commands of a line such as ExecStart= ("Command lines" in
/// systemd.service(5)); `None` where a quote is not closed.
pub fn commands_of(line: &str) -> Option<Vec<Command>> {
    let commands = words(line)?.into_iter().filter_map(|words| {
        let mut words = words.into_iter();
        let first = words.next()?.into_vec();
        let is_path = |byte: &u8| !b"@-:+!|".contains(byte);
        let path = first.iter().position(is_path).unwrap_or(first.len());
        let (prefixes, program) = first.split_at(path);
        let program = OsString::from_vec(program.to_vec());
        Some(Command {
            may_fail: prefixes.contains(&b'-'),
            name: match prefixes.contains(&b'@') {
                true => words.next().unwrap_or_default(),
                false => program.clone(),
            },
            program: program.into(),
            arguments: words.collect(),
        })
    });
    Some(commands.collect())
}

/// The words of each command. A `;` alone is between two.
fn words(line: &str) -> Option<Vec<Vec<OsString>>> {
    let mut commands = vec![Vec::new()];
    let mut rest = line.as_bytes().trim_ascii_start();
    while !rest.is_empty() {
        if let [b';', after @ ..] = rest
            && matches!(after, [] | [b' ' | b'\t', ..])
        {
            commands.push(Vec::new());
            rest = after;
        } else {
            let (word, after) = word(rest)?;
            commands.last_mut()?.push(word);
            rest = after;
        }
        rest = rest.trim_ascii_start();
    }
    Some(commands)
}

/// The first word, quotes taken off and escapes resolved, and what is left.
fn word(mut rest: &[u8]) -> Option<(OsString, &[u8])> {
    let mut word = Vec::new();
    let mut quote = None;
    while let [byte, after @ ..] = rest {
        rest = after;
        match *byte {
            b' ' | b'\t' if quote.is_none() => break,
            mark @ (b'"' | b'\'') if quote.is_none_or(|open| open == mark) => {
                quote = quote.xor(Some(mark));
            }
            b'\\' => {
                let (bytes, length) = unescape(rest);
                word.extend(bytes);
                rest = rest.get(length..)?;
            }
            byte => word.push(byte),
        }
    }
    quote.is_none().then(|| (OsString::from_vec(word), rest))
}

/// What stands for the escape that goes on with this text, and how much of the
/// text belongs to it. What is none stays as it is.
fn unescape(text: &[u8]) -> (Vec<u8>, usize) {
    let Some(kind) = text.first() else {
        return (vec![b'\\'], 0);
    };
    let number = |from: usize, length: usize, radix: u32| {
        let digits = std::str::from_utf8(text.get(from..from + length)?).ok()?;
        Some((u32::from_str_radix(digits, radix).ok()?, from + length))
    };
    let byte = |(value, length): (u32, usize)| Some((vec![u8::try_from(value).ok()?], length));
    let letter = |(value, length): (u32, usize)| {
        Some((char::from_u32(value)?.to_string().into_bytes(), length))
    };
    let one = |byte: u8| Some((vec![byte], 1));
    match kind {
        b'a' => one(7),
        b'b' => one(8),
        b'f' => one(12),
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'v' => one(11),
        b's' => one(b' '),
        b'\\' | b'"' | b'\'' => one(*kind),
        b'x' => number(1, 2, 16).and_then(byte),
        b'u' => number(1, 4, 16).and_then(letter),
        b'U' => number(1, 8, 16).and_then(letter),
        b'0'..=b'7' => number(0, 3, 8).and_then(byte),
        _ => None,
    }
    .unwrap_or_else(|| (vec![b'\\', *kind], 1))
}

/// A boolean of a unit; `None` for none (systemd.syntax(7)).
pub fn boolean(text: &str) -> Option<bool> {
    let is = |names: [&str; 6]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else if is(["0", "no", "n", "false", "f", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// A time span as systemd.time(7) has it; `None` for none. Zero and
/// `infinity` are [`Duration::MAX`] in timeouts.
pub fn time_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "infinity" {
        return Some(Duration::MAX);
    }
    let mut total = 0f64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let letters = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let unit = match rest.get(..letters)? {
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "us" | "usec" | "µs" | "μs" => 1e-6,
            "ms" | "msec" => 1e-3,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            "M" | "month" | "months" => 2_629_800.0,
            "y" | "year" | "years" => 31_557_600.0,
            _ => return None,
        };
        total += number * unit;
        rest = rest.get(letters..)?.trim_start();
    }
    if total == 0.0 {
        return Some(Duration::MAX);
    }
    Some(Duration::try_from_secs_f64(total).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_systemds() {
        let seconds = |text: &str| time_span(text).map(|span| span.as_secs());
        assert_eq!(seconds("600"), Some(600));
        assert_eq!(seconds("5min 20s"), Some(320));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(time_span("infinity"), Some(Duration::MAX));
        assert_eq!(time_span("0"), Some(Duration::MAX));
        for wrong in ["", "abc", "10x", "-5", "min"] {
            assert_eq!(time_span(wrong), None, "{wrong}");
        }
    }

    /// Each word between < and >, a command to a line.
    fn read(line: &str) -> Option<String> {
        let commands = words(line)?.into_iter().map(|words| {
            let shown = words
                .iter()
                .map(|word| format!("<{}>", word.to_string_lossy()));
            shown.collect::<String>()
        });
        Some(commands.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn words_are_systemds() {
        for (line, expected) in [
            ("", Some("")),
            ("  /a  b\tc ", Some("</a><b><c>")),
            (r#""/a b"c 'd "e' "" f"#, Some(r#"</a bc><d "e><><f>"#)),
            (
                r"/a\x20b \x2fc\057 \s\t\\ \u00e4 \xc3\xa4",
                Some("</a b></c/>< \t\\><ä><ä>"),
            ),
            (
                r#"'\'' "\"" \q \xz \400 \"#,
                Some(r#"<'><"><\q><\xz><\400><\>"#),
            ),
            ("/a ; /b ';' c; ;", Some("</a>\n</b><;><c;>\n")),
            ("/a 'b", None),
            (r#"/a "b\""#, None),
        ] {
            assert_eq!(read(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_command_has_prefixes_and_a_name() {
        let commands = commands_of("-@/a b c ; :+/d e;").unwrap();
        let [first, second] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert!(first.may_fail && !second.may_fail);
        assert_eq!(
            (first.program.as_path(), &*first.name),
            ("/a".as_ref(), "b".as_ref())
        );
        assert_eq!(first.arguments, ["c"]);
        assert_eq!(
            (second.program.as_path(), &*second.name),
            ("/d".as_ref(), "/d".as_ref())
        );
        assert_eq!(
            commands_of("'!!/a b'").unwrap()[0].program,
            PathBuf::from("/a b")
        );
        assert!(commands_of(" ").unwrap().is_empty());
    }
}
