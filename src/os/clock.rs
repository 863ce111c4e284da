//! Wall-clock time as people and file names want it. Waits use
//! `std::time::Instant`, never this.

use super::explain;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The year.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
    /// How far the zone is ahead of UTC, in seconds.
    pub offset: i64,
}

/// The current time formatted by strftime(3), in `zone` (a value for TZ) or in
/// the zone of the environment. The C locale's names are used.
pub fn stamp(format: &str, zone: Option<&OsStr>) -> io::Result<OsString> {
    stamp_at(SystemTime::now(), format, zone)
}

/// As [`stamp`], for another moment.
pub fn stamp_at(moment: SystemTime, format: &str, zone: Option<&OsStr>) -> io::Result<OsString> {
    // strftime answers 0 for an empty result as well as for one too long: the
    // full stop makes sure that there is something.
    let format = CString::new(format!("{format}."))
        .map_err(|error| explain(error, "the form of a time holds a NUL"))?;
    with_zone(zone, || {
        let broken_down = break_down(moment)?;
        let mut buffer = [0u8; 1024];
        // SAFETY: the buffer has the size that is given, the format ends in
        // NUL and the time was filled by localtime_r.
        let length = unsafe {
            libc::strftime(
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                format.as_ptr(),
                &broken_down,
            )
        };
        match buffer.get(..length) {
            Some([stamp @ .., b'.']) => Ok(OsString::from_vec(stamp.to_vec())),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the form of a time is longer than 1024 bytes",
            )),
        }
    })
}

/// The current time in `zone`, or in the zone of the environment.
pub fn now_local(zone: Option<&OsStr>) -> io::Result<LocalTime> {
    local(SystemTime::now(), zone)
}

/// As [`now_local`], for another moment.
pub fn local(moment: SystemTime, zone: Option<&OsStr>) -> io::Result<LocalTime> {
    let broken_down = with_zone(zone, || break_down(moment))?;
    Ok(LocalTime {
        year: broken_down.tm_year + 1900,
        month: (broken_down.tm_mon + 1).unsigned_abs(),
        day: broken_down.tm_mday.unsigned_abs(),
        hour: broken_down.tm_hour.unsigned_abs(),
        minute: broken_down.tm_min.unsigned_abs(),
        second: broken_down.tm_sec.unsigned_abs(),
        offset: broken_down.tm_gmtoff,
    })
}

fn break_down(moment: SystemTime) -> io::Result<libc::tm> {
    let seconds = match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|s| -s),
    };
    let seconds: libc::time_t =
        seconds.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such time"))?;
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of their types; an all-zero tm is
    // valid, and the answer tells whether it was filled.
    let filled = unsafe {
        tzset();
        libc::localtime_r(&seconds, broken_down.as_mut_ptr())
    };
    if filled.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: localtime_r filled it.
    Ok(unsafe { broken_down.assume_init() })
}

unsafe extern "C" {
    fn tzset();
}

/// Runs `work` with TZ set to `zone` in the environment, which is the only way
/// to tell localtime_r.
fn with_zone<T>(zone: Option<&OsStr>, work: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // A NUL cannot be in an environment; such a value names no zone.
    let Some(zone) = zone.filter(|zone| !zone.as_bytes().contains(&0)) else {
        return work();
    };
    let before = std::env::var_os("TZ");
    // SAFETY: the product has one thread. In tests, those that come here
    // exclude each other, and std's own readers are excluded by std.
    unsafe { std::env::set_var("TZ", zone) };
    let done = work();
    // SAFETY: as above.
    unsafe {
        match before {
            Some(before) => std::env::set_var("TZ", before),
            None => std::env::remove_var("TZ"),
        }
        tzset();
    }
    done
}

/// The id of this boot of the kernel: two process start times of different
/// boots cannot be compared.
pub fn boot_id() -> io::Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    std::fs::read_to_string(path)
        .map(|id| id.trim().to_string())
        .map_err(|error| explain(error, format_args!("cannot read {path}")))
}

/// Clock ticks a second, the unit of process start times.
pub fn clock_ticks() -> u64 {
    super::procfs::clock_ticks()
}

/// The time since boot, in the clock by which process start times count: it
/// runs on while the machine sleeps (CLOCK_BOOTTIME).
pub fn since_boot() -> Duration {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the call fills the timespec; should it fail, zero is valid too.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, now.as_mut_ptr());
        now.assume_init()
    };
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// How long ago a process started (see [`super::process::Process`]), whatever
/// happened to the wall clock since.
pub fn age(start_ticks: u64) -> Duration {
    let nanos_a_tick = 1_000_000_000 / clock_ticks();
    since_boot().saturating_sub(Duration::from_nanos(
        start_ticks.saturating_mul(nanos_a_tick),
    ))
}

/// When a process started, by the wall clock as it goes now.
pub fn started_at(start_ticks: u64) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(age(start_ticks)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_zone_that_is_asked_for() {
        let moment = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let shown = |zone: &str| {
            stamp_at(moment, "%y%m%d_%H%M%S", Some(OsStr::new(zone)))
                .unwrap()
                .into_string()
                .unwrap()
        };
        assert_eq!(shown("UTC"), "231114_221320");
        assert_eq!(shown("CET-1"), "231114_231320");
        assert_eq!(shown("XYZ+10"), "231114_121320");
        let there = local(moment, Some(OsStr::new("CET-1"))).unwrap();
        assert_eq!((there.year, there.month, there.day), (2023, 11, 14));
        assert_eq!((there.hour, there.minute, there.second), (23, 13, 20));
        assert_eq!(there.offset, 3600);
        // The environment is as before.
        let plain = stamp_at(moment, "%H", None).unwrap();
        let own = local(moment, None).unwrap();
        assert_eq!(plain.into_string().unwrap(), format!("{:02}", own.hour));
    }

    #[test]
    fn forms_may_be_empty_but_not_endless() {
        assert_eq!(stamp("", None).unwrap(), "");
        assert!(stamp(&"x".repeat(2000), None).is_err());
        assert!(stamp("a\0b", None).is_err());
        assert!(now_local(None).unwrap().year >= 2024);
    }

    #[test]
    fn a_process_is_as_old_as_it_is() {
        let own = crate::os::process::inspect(crate::os::process::self_pid())
            .unwrap()
            .unwrap();
        assert!(age(own.start_ticks) < Duration::from_secs(3600));
        assert!(started_at(own.start_ticks) <= SystemTime::now());
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(clock_ticks() >= 100);
    }
}
