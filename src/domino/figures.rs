//! Numbers as people read them.

use std::time::Duration;

/// A number of bytes as a person reads it.
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded; whole numbers keep the program small.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_000 && !unit.is_empty() {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A time as a person reads it.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min")
    } else {
        format!("{seconds} s")
    }
}

/// So many of something: `1 file`, `2 files`, `3 directories`.
pub fn count(number: impl Into<u64>, one: &str) -> String {
    let number = number.into();
    match one.strip_suffix('y') {
        _ if number == 1 => format!("1 {one}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ if one.ends_with('s') => format!("{number} {one}es"),
        _ => format!("{number} {one}s"),
    }
}

/// As [`count`], for the length of a list.
pub fn many(number: usize, one: &str) -> String {
    count(number as u64, one)
}

/// A time in whole seconds, in words.
pub fn seconds(time: Duration) -> String {
    count(time.as_secs(), "second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1u64, "file"), "1 file");
        assert_eq!(count(0u64, "file"), "0 files");
        assert_eq!(many(2, "directory"), "2 directories");
        assert_eq!(many(2, "day"), "2 days");
        assert_eq!(many(3, "process"), "3 processes");
        assert_eq!(seconds(Duration::from_millis(1_900)), "1 second");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(1023 << 30), "1.0 TiB");
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
    }
}
