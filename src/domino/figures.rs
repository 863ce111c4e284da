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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(1023 << 30), "1.0 TiB");
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
    }
}
