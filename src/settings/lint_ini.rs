//! Looks at an edited notes.ini: can Domino still read each line of it?

use super::lint::Finding;
use std::collections::BTreeSet;
use std::path::Path;

/// Settings without which a server that is set up does not start.
const NEEDED: [&str; 2] = ["Directory", "KeyFilename"];

/// What is wrong with `after` that was not so in `before`.
pub fn changes(path: &Path, before: &[u8], after: &[u8]) -> Vec<Finding> {
    let known: BTreeSet<&[u8]> = lines(before).map(|(_, line)| line).collect();
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (number, line) in lines(after) {
        let at = |text: &str| Finding::at(path, Some(number), text);
        let name = name_of(line);
        let repeated = name
            .as_ref()
            .is_some_and(|name| !names.insert(name.clone()));
        if known.contains(line) && !repeated {
            continue;
        }
        if line.contains(&0) {
            found.push(at("the line holds a null byte").severe());
        } else if name.is_none() && !line.is_empty() && !is_header(line) {
            found.push(at("the line is no NAME=value").severe());
        } else if repeated && !known_repeated(before, name.as_deref()) {
            found.push(at("the name stands above already; the first one counts"));
        }
    }
    if has_header(before) && !has_header(after) {
        found.push(Finding::at(path, Some(1), "the line [Notes] at the top is gone").severe());
    }
    let has = |text: &[u8], name: &str| {
        lines(text).any(|(_, line)| {
            name_of(line).is_some_and(|found| found == name.to_ascii_lowercase().as_bytes())
        })
    };
    for name in NEEDED {
        if has(before, name) && !has(after, name) {
            found.push(
                Finding::at(path, None, format!("{name}= is gone; the server needs it")).severe(),
            );
        }
    }
    found
}

fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_ascii()))
}

/// The name of a line in lower case, since case does not matter.
fn name_of(line: &[u8]) -> Option<Vec<u8>> {
    let split = line.iter().position(|byte| *byte == b'=')?;
    let name = line.get(..split)?.trim_ascii();
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn is_header(line: &[u8]) -> bool {
    line.eq_ignore_ascii_case(b"[Notes]")
}

fn has_header(text: &[u8]) -> bool {
    lines(text).any(|(_, line)| is_header(line))
}

fn known_repeated(before: &[u8], name: Option<&[u8]>) -> bool {
    lines(before)
        .filter(|(_, line)| name_of(line).as_deref() == name)
        .count()
        > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_faults_are_told() {
        let before = b"[Notes]\nDirectory=/d\nold oddity\nKeyFilename=s.id\nA=1\n";
        let tell = |after: &[u8]| -> Vec<String> {
            changes(Path::new("/n"), before, after)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert!(tell(before).is_empty());
        assert!(tell(b"[Notes]\nDirectory=/e\nold oddity\nKeyFilename=s.id\n\nB==\n").is_empty());
        let found = tell(b"Directory=/d\nold oddity\nnew oddity\na=2\nA=1\nX=\0\n");
        let expected = [
            "/n:3: the line is",
            "/n:5: the name",
            "/n:6: the line holds",
            "/n:1: the line [Notes]",
            "/n: KeyFilename=",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
