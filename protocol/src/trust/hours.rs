//! Hours: when a rule allows orders to start. Days and minutes in UTC, judged by the node's trusted time.

use crate::wire::{DecodeError, limit};
use serde::{Deserialize, Serialize};

/// Minutes of a day.
pub const MINUTES_OF_DAY: u16 = 24 * 60;
const MINUTES_OF_WEEK: u64 = 7 * 24 * 60;
const MINUTE_MS: u64 = 60_000;
/// 1970 began on a Thursday; weeks here begin on Monday.
const MINUTES_BEFORE_1970: u64 = 3 * 24 * 60;
/// Monday to Sunday.
const ALL_DAYS: u8 = 0b0111_1111;

/// A part of the week.
///
/// From the minute `from_minute` on each of `days` until the minute `to_minute`, which is not in it any more. Where `to_minute` is not
/// after `from_minute` it is that of the next day: a window that is named for Friday, 22:00 to 04:00, ends on Saturday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The days on which it begins: bit 0 is Monday, bit 6 is Sunday; at least one.
    pub days: u8,
    /// Minutes after midnight, UTC, 0 to 1,439.
    pub from_minute: u16,
    /// Minutes after midnight, UTC, 1 to 1,440; another than `from_minute`.
    pub to_minute: u16,
}

impl Window {
    pub(super) fn check(self) -> Result<(), DecodeError> {
        let has_days = self.days != 0 && self.days & !ALL_DAYS == 0;
        let has_minutes = self.from_minute < MINUTES_OF_DAY && (1..=MINUTES_OF_DAY).contains(&self.to_minute);
        limit(has_days && has_minutes && self.from_minute != self.to_minute, "the hours of a rule")
    }

    /// How many minutes it lasts.
    fn length(self) -> u64 {
        let (from, to) = (u64::from(self.from_minute), u64::from(self.to_minute));
        if to > from { to - from } else { u64::from(MINUTES_OF_DAY) - from + to }
    }

    /// When it begins, in minutes of the week.
    fn begins(self) -> impl Iterator<Item = u64> {
        (0..7_u64)
            .filter(move |day| self.days & (1 << day) != 0)
            .map(move |day| day * u64::from(MINUTES_OF_DAY) + u64::from(self.from_minute))
    }
}

fn minute_of_week(time_ms: u64) -> u64 {
    (time_ms / MINUTE_MS + MINUTES_BEFORE_1970) % MINUTES_OF_WEEK
}

/// Whether it is within one of the windows at `time_ms`, Unix time in milliseconds; always where there is none.
#[must_use]
pub fn is_open(hours: &[Window], time_ms: u64) -> bool {
    let now = minute_of_week(time_ms);
    let is_within = |window: &Window| window.begins().any(|begin| (now + MINUTES_OF_WEEK - begin) % MINUTES_OF_WEEK < window.length());
    hours.is_empty() || hours.iter().any(is_within)
}

/// The first time at or after `time_ms` that is within one of the windows: Unix time in milliseconds.
#[must_use]
pub fn opens_at(hours: &[Window], time_ms: u64) -> u64 {
    if is_open(hours, time_ms) {
        return time_ms;
    }
    let now = minute_of_week(time_ms);
    let begins = hours.iter().flat_map(|window| window.begins());
    let pause = begins.map(|begin| (begin + MINUTES_OF_WEEK - now) % MINUTES_OF_WEEK).min().unwrap_or(0);
    (time_ms - time_ms % MINUTE_MS).saturating_add(pause * MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2026-11-23, 00:00 UTC.
    const MONDAY_MS: u64 = 1_795_392_000_000;
    const HOUR_MS: u64 = 60 * MINUTE_MS;

    fn at(day: u64, hour: u64, minute: u64) -> u64 {
        MONDAY_MS + (day * 24 + hour) * HOUR_MS + minute * MINUTE_MS
    }

    #[test]
    fn a_window_begins_with_its_first_minute_and_ends_before_its_last() {
        let office = [Window { days: 0b0001_1111, from_minute: 8 * 60, to_minute: 18 * 60 }];
        for (time, open) in [
            (at(0, 8, 0), true),
            (at(0, 8, 0) - 1, false),
            (at(4, 18, 0) - 1, true),
            (at(4, 18, 0), false),
            (at(5, 12, 0), false),
            (at(7, 8, 0), true),
        ] {
            assert_eq!(is_open(&office, time), open, "{time}");
        }
        assert_eq!(opens_at(&office, at(4, 18, 0) + 1), at(7, 8, 0));
        assert_eq!(opens_at(&office, at(1, 9, 1) + 5), at(1, 9, 1) + 5);
        assert!(is_open(&[], 0) && is_open(&[], u64::MAX));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = [Window { days: 0b0100_0000, from_minute: 22 * 60, to_minute: 4 * 60 }];
        for (time, open) in [
            (at(6, 22, 0), true),
            (at(6, 22, 0) - 1, false),
            (at(7, 0, 0), true),
            (at(7, 3, 59), true),
            (at(7, 4, 0), false),
            (at(0, 3, 59), true),
            (at(6, 3, 0), false),
        ] {
            assert_eq!(is_open(&night, time), open, "{time}");
        }
        assert_eq!(opens_at(&night, at(0, 4, 0)), at(6, 22, 0));
    }

    #[test]
    fn a_whole_day_is_a_day_and_the_beginning_of_time_a_thursday() {
        let thursday = [Window { days: 0b0000_1000, from_minute: 0, to_minute: 1440 }];
        assert!(is_open(&thursday, 0) && is_open(&thursday, 24 * HOUR_MS - 1));
        assert!(!is_open(&thursday, 24 * HOUR_MS));
        assert_eq!(opens_at(&thursday, 24 * HOUR_MS), 7 * 24 * HOUR_MS);
    }

    #[test]
    fn every_minute_of_a_week_agrees_with_a_calendar_that_counts_minute_by_minute() {
        let hours = [
            Window { days: 0b0000_0101, from_minute: 1439, to_minute: 1 },
            Window { days: 0b0100_0000, from_minute: 600, to_minute: 599 },
            Window { days: 0b0000_1000, from_minute: 5, to_minute: 1440 },
        ];
        // An oracle of another kind: a week as a list of minutes, painted.
        let mut week = [false; 7 * 1440];
        for window in hours {
            for day in 0..7_usize {
                if window.days >> day & 1 == 0 {
                    continue;
                }
                let mut minute = day * 1440 + usize::from(window.from_minute);
                loop {
                    week[minute % week.len()] = true;
                    minute += 1;
                    if minute % 1440 == usize::from(window.to_minute) % 1440 {
                        break;
                    }
                }
            }
        }
        for (minute, open) in (0_u64..).zip(week) {
            let time = MONDAY_MS + minute * MINUTE_MS;
            assert_eq!(is_open(&hours, time + 59_999), open, "minute {minute}");
            let ahead = week.iter().cycle().skip(usize::try_from(minute).unwrap()).position(|open| *open).unwrap();
            let expected = time + u64::try_from(ahead).unwrap() * MINUTE_MS;
            assert_eq!(opens_at(&hours, time), expected, "minute {minute}");
        }
    }

    #[test]
    fn windows_without_days_or_with_minutes_that_are_none_are_refused() {
        let good = Window { days: 1, from_minute: 0, to_minute: 1440 };
        assert!(good.check().is_ok());
        for bad in [
            Window { days: 0, ..good },
            Window { days: 0b1000_0001, ..good },
            Window { from_minute: 1440, ..good },
            Window { to_minute: 1441, ..good },
            Window { to_minute: 0, ..good },
            Window { from_minute: 7, to_minute: 7, ..good },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
