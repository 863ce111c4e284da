//! Template variables of One-Touch Setup files, found and filled in.

use std::collections::BTreeSet;

/// What kind of file a template is; decides which notations count and how a
/// value is written where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON: `{{ NAME }}`, `${NAME}` and `$NAME`.
    Json,
    /// Lines for a shell: `{{ NAME }}` alone, the others are the shell's own.
    Environment,
}

/// Where in a file a variable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Plain,
    JsonString,
    SingleQuoted,
    DoubleQuoted,
}

#[derive(Debug)]
enum Piece<'a> {
    Text(&'a [u8]),
    Variable {
        name: &'a [u8],
        /// As it stands in the template.
        raw: &'a [u8],
        place: Place,
        /// Without braces.
        bare: bool,
    },
}

/// Replaces the variables by their values, written so that they stay one
/// value: escaped in a JSON string, quoted for a shell. One that is not set
/// becomes nothing, as envsubst has it.
///
/// Items of Domino documents begin with a dollar sign themselves (`$Language`,
/// `$$LoginUserForm`), which envsubst destroys. Hence a bare `$NAME` is none
/// in the name of a member, nor behind another dollar sign, nor where it has
/// small letters and no value.
pub fn fill(form: Form, text: &[u8], value: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    for piece in pieces(form, text) {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text),
            Piece::Variable {
                name,
                raw,
                place,
                bare,
            } => match value(name) {
                Some(value) => write_value(&mut filled, form, place, &value),
                None if bare && !looks_like_a_variable(name) => filled.extend_from_slice(raw),
                None => {}
            },
        }
    }
    filled
}

/// The variables a template needs values for, in their order, each once. A
/// bare `$NAME` is counted where it belongs to the setup for certain.
pub fn variables(form: Form, text: &[u8]) -> Vec<String> {
    names(form, text, |name, bare| {
        !bare || name.starts_with(b"SERVERSETUP_")
    })
}

/// Every variable that is replaced if it has a value, in the same order.
pub fn mentioned(form: Form, text: &[u8]) -> Vec<String> {
    names(form, text, |_, _| true)
}

fn names(form: Form, text: &[u8], wanted: impl Fn(&[u8], bool) -> bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for piece in pieces(form, text) {
        if let Piece::Variable { name, bare, .. } = piece
            && wanted(name, bare)
            && seen.insert(name)
        {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names
}

fn looks_like_a_variable(name: &[u8]) -> bool {
    !name.iter().any(u8::is_ascii_lowercase)
}

fn write_value(filled: &mut Vec<u8>, form: Form, place: Place, value: &[u8]) {
    match (place, form) {
        (Place::JsonString, _) => {
            for byte in value {
                match byte {
                    b'"' | b'\\' => filled.extend_from_slice(&[b'\\', *byte]),
                    b'\n' => filled.extend_from_slice(b"\\n"),
                    b'\t' => filled.extend_from_slice(b"\\t"),
                    0..0x20 => filled.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                    _ => filled.push(*byte),
                }
            }
        }
        (Place::DoubleQuoted, _) => {
            for byte in value {
                if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                    filled.push(b'\\');
                }
                filled.push(*byte);
            }
        }
        (Place::SingleQuoted, _) => write_single_quoted(filled, value),
        (Place::Plain, Form::Environment) => {
            filled.push(b'\'');
            write_single_quoted(filled, value);
            filled.push(b'\'');
        }
        // A number, true, null, or a whole piece of JSON.
        (Place::Plain, Form::Json) => filled.extend_from_slice(value),
    }
}

fn write_single_quoted(filled: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'\'' => filled.extend_from_slice(b"'\\''"),
            _ => filled.push(*byte),
        }
    }
}

fn pieces(form: Form, text: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut place = Place::Plain;
    let mut in_name = false;
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(found) = variable(form, rest)
            && !(found.bare && in_name)
        {
            pieces.push(Piece::Text(&text[start..at]));
            pieces.push(Piece::Variable {
                name: found.name,
                raw: &rest[..found.length],
                place,
                bare: found.bare,
            });
            at += found.length;
            start = at;
            continue;
        }
        let doubled = rest.strip_prefix(b"$$").map(name_length);
        at += match (form, rest[0], place) {
            (Form::Json, b'$', _) if doubled.is_some_and(|name| name > 0) => {
                2 + doubled.unwrap_or(0)
            }
            (_, b'\\', place) if place != Place::SingleQuoted => 2,
            (Form::Json, b'"', Place::JsonString) => {
                (place, in_name) = (Place::Plain, false);
                1
            }
            (Form::Json, b'"', _) => {
                (place, in_name) = (Place::JsonString, is_name(rest));
                1
            }
            (Form::Environment, b'\'', Place::Plain) => {
                place = Place::SingleQuoted;
                1
            }
            (Form::Environment, b'"', Place::Plain) => {
                place = Place::DoubleQuoted;
                1
            }
            (Form::Environment, b'\'', Place::SingleQuoted)
            | (Form::Environment, b'"', Place::DoubleQuoted) => {
                place = Place::Plain;
                1
            }
            (Form::Environment, b'#', Place::Plain)
                if at == 0 || text[at - 1].is_ascii_whitespace() =>
            {
                let end = rest.iter().position(|byte| *byte == b'\n');
                end.unwrap_or(rest.len())
            }
            _ => 1,
        };
    }
    pieces.push(Piece::Text(&text[start.min(text.len())..]));
    pieces
}

/// Whether the string that begins here is the name of a member: a colon
/// follows it.
fn is_name(text: &[u8]) -> bool {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.get(at + 1..)
        .unwrap_or_default()
        .trim_ascii_start()
        .starts_with(b":")
}

struct Found<'a> {
    name: &'a [u8],
    length: usize,
    bare: bool,
}

fn variable(form: Form, text: &[u8]) -> Option<Found<'_>> {
    if let Some(inner) = text.strip_prefix(b"{{") {
        let inner = inner.trim_ascii_start();
        let (name, after) = name_in_front(inner)?;
        let after = after.trim_ascii_start().strip_prefix(b"}}")?;
        return Some(Found {
            name,
            length: text.len() - after.len(),
            bare: false,
        });
    }
    if form != Form::Json {
        return None;
    }
    let (braced, inner) = match text.strip_prefix(b"${") {
        Some(inner) => (true, inner),
        None => (false, text.strip_prefix(b"$")?),
    };
    let (name, mut after) = name_in_front(inner)?;
    if braced {
        after = after.strip_prefix(b"}")?;
    }
    Some(Found {
        name,
        length: text.len() - after.len(),
        bare: !braced,
    })
}

fn name_in_front(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match name_length(text) {
        0 => None,
        length => text.split_at_checked(length),
    }
}

fn name_length(text: &[u8]) -> usize {
    if text.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    text.iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(form: Form, text: &str) -> String {
        let value = |name: &[u8]| match name {
            b"HOST" => Some(b"mail.example".to_vec()),
            b"domain" => Some(b"example".to_vec()),
            b"ODD" => Some(b"a\"b\\c'd$HOST\n".to_vec()),
            b"LANGUAGE" => Some(b"en_GB".to_vec()),
            _ => None,
        };
        String::from_utf8(fill(form, text.as_bytes(), value)).unwrap()
    }

    #[test]
    fn all_notations_are_filled_in_json() {
        for (text, expected) in [
            ("\"{{ HOST }}\"", "\"mail.example\""),
            (
                "{{HOST}}/${HOST}/$HOST-{{  HOST  }}",
                "mail.example/mail.example/mail.example-mail.example",
            ),
            ("[$UNSET]", "[]"),
            ("[\"{{ unset }}\", \"${unset}\"]", "[\"\", \"\"]"),
            ("{{ HOST", "{{ HOST"),
            ("{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}"),
            ("$1 $ ${ {{ }} {{ a-b }}", "$1 $ ${ {{ }} {{ a-b }}"),
            ("\"a\\", "\"a\\"),
        ] {
            assert_eq!(filled(Form::Json, text), expected, "{text}");
        }
    }

    #[test]
    fn items_of_domino_documents_keep_their_dollar_signs() {
        let text = r#"{"$LANGUAGE": "en", "$PublicAccess" : "$domain", "LF_LoginForm": "$$LoginUserForm", "x": "$Revisions $HOST"}"#;
        let expected = r#"{"$LANGUAGE": "en", "$PublicAccess" : "example", "LF_LoginForm": "$$LoginUserForm", "x": "$Revisions mail.example"}"#;
        assert_eq!(filled(Form::Json, text), expected);
        assert_eq!(filled(Form::Json, "\"$${HOST}\""), "\"$mail.example\"");
    }

    #[test]
    fn a_value_stays_one_value() {
        let json = filled(Form::Json, r#"["{{ ODD }}", "\"{{ ODD }}"]"#);
        let read: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, ["a\"b\\c'd$HOST\n", "\"a\"b\\c'd$HOST\n"]);
        let text = "# don't {{ HOST }}\nA={{ ODD }}\nB=\"x{{ ODD }}\" C='{{ ODD }}'\nD=$HOST#\n";
        let lines = filled(Form::Environment, text);
        let scope = crate::settings::scope::Scope::default();
        let assigned = crate::settings::shell_config::evaluate(lines.as_bytes(), &scope);
        let values: Vec<Vec<u8>> = assigned
            .unwrap()
            .into_iter()
            .filter_map(|assigned| assigned.state?.value)
            .collect();
        let odd = b"a\"b\\c'd$HOST\n";
        let expected: [&[u8]; 4] = [odd, &[b"x", &odd[..]].concat(), odd, b"#"];
        assert_eq!(values, expected);
        assert!(lines.starts_with("# don't {{ HOST }}\n"), "{lines}");
    }

    #[test]
    fn variables_are_listed_once_and_in_order() {
        let text = r#"{"a": "{{ B }}{{A}}", "$SERVERSETUP_X": "$OTHER $SERVERSETUP_Y ${B}"}"#;
        let names = variables(Form::Json, text.as_bytes());
        assert_eq!(names, ["B", "A", "SERVERSETUP_Y"]);
        let names = mentioned(Form::Json, text.as_bytes());
        assert_eq!(names, ["B", "A", "OTHER", "SERVERSETUP_Y"]);
        let names = variables(Form::Environment, b"#{{ NO }}\nA={{ A }}$B${C}");
        assert_eq!(names, ["A"]);
    }
}
