//! What is different between two texts, line by line, as `diff -u` shows it
//! without its context.

/// Beyond this many pairs of lines the middle is shown as replaced whole.
const MOST_PAIRS: usize = 4_000_000;

/// One line that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A line of the old text, with its number there, that is gone.
    Gone(usize, &'a [u8]),
    /// A line of the new text, with its number there, that was not there.
    New(usize, &'a [u8]),
}

/// The lines that differ, in their order.
pub fn between<'a>(old: &'a [u8], new: &'a [u8]) -> Vec<Change<'a>> {
    let (old, new) = (lines(old), lines(new));
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - front;
    let back = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let old_middle = &old[front..old.len() - back];
    let new_middle = &new[front..new.len() - back];
    let kept = if old_middle.len().saturating_mul(new_middle.len()) <= MOST_PAIRS {
        common(old_middle, new_middle)
    } else {
        Vec::new()
    };
    let mut changes = Vec::new();
    let (mut left, mut right) = (0, 0);
    let ends = (old_middle.len(), new_middle.len());
    for (a, b) in kept.into_iter().chain([ends]) {
        let gone = (left..a).map(|at| Change::Gone(front + at + 1, old_middle[at]));
        changes.extend(gone);
        let fresh = (right..b).map(|at| Change::New(front + at + 1, new_middle[at]));
        changes.extend(fresh);
        (left, right) = (a + 1, b + 1);
    }
    changes
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == b'\n').collect()
}

/// The places of a longest common subsequence.
fn common(old: &[&[u8]], new: &[&[u8]]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut table = vec![0u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            table[a * width + b] = if old[a] == new[b] {
                table[(a + 1) * width + b + 1] + 1
            } else {
                table[(a + 1) * width + b].max(table[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut kept = Vec::new();
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            kept.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if table[(a + 1) * width + b] >= table[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told_with_its_line() {
        use Change::{Gone, New};
        assert_eq!(between(b"a\nb\nc\n", b"a\nb\nc"), []);
        assert_eq!(
            between(b"a\nb\nc\nd\n", b"a\nB\nc\nx\nd\n"),
            [Gone(2, b"b"), New(2, b"B"), New(4, b"x")]
        );
        assert_eq!(between(b"", b"a\n"), [New(1, b"a")]);
        assert_eq!(between(b"a\na\n", b"a\n"), [Gone(2, b"a")]);
        assert_eq!(between(b"a\n", b""), [Gone(1, b"a")]);
    }
}
