//! The only place of this crate that reads a clock; timers come from tokio.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use flotilla_protocol::id::BootId;
use nix::time::{ClockId, clock_gettime};

/// Where the kernel shows the id that it drew at boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Milliseconds since the boot, suspended time included (`CLOCK_BOOTTIME`). It never steps and is comparable between the
/// processes of one boot.
#[must_use]
pub fn boottime_ms() -> u64 {
    // Linux has this clock since 2.6.39, and the call has no other way to fail.
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// What the system takes the time of day to be; nothing of ours is decided by it, but servers judge signatures by theirs.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
pub fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// Where the boot id is read instead of [`BOOT_ID`].
static OTHER_BOOT_ID: OnceLock<PathBuf> = OnceLock::new();

/// Has the boot id read from another file than the kernel's from now on: for tests, which play a reboot. Only the first call counts.
pub fn use_boot_id_of(file: PathBuf) {
    OTHER_BOOT_ID.get_or_init(|| file);
}

/// The file from which the boot id is read instead of the kernel's, if any.
#[must_use]
pub fn other_boot_id() -> Option<&'static Path> {
    OTHER_BOOT_ID.get().map(PathBuf::as_path)
}

/// The id of this boot.
///
/// # Errors
/// `/proc` is not there, or holds something else.
pub fn boot_id() -> io::Result<BootId> {
    let text = std::fs::read_to_string(other_boot_id().unwrap_or_else(|| Path::new(BOOT_ID)))?;
    text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_one_id_and_its_time_goes_on() {
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        let first = boottime_ms();
        assert!(first > 0);
        assert!(boottime_ms() >= first);
    }
}
