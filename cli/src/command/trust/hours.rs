//! Hours as people write them: `Mon-Fri 08:00-18:00`, `Sat,Sun 22:00-04:00`, `daily 00:00-24:00`; always in UTC.

use flotilla_protocol::trust::Window;
use flotilla_protocol::trust::hours::MINUTES_OF_DAY;

/// Monday is bit 0.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: &str = "daily";

/// One window.
pub(super) fn window(text: &str) -> Result<Window, String> {
    let wrong = || "write days and UTC times, such as \"Mon-Fri 08:00-18:00\", \"Sat,Sun 22:00-04:00\" or \"daily 00:00-24:00\"".to_owned();
    let (days, times) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (from, to) = times.trim().split_once('-').ok_or_else(wrong)?;
    let window = Window {
        days: days_of(days).ok_or_else(wrong)?,
        from_minute: minute(from).ok_or_else(wrong)?,
        to_minute: minute(to).map(|minute| if minute == 0 { MINUTES_OF_DAY } else { minute }).ok_or_else(wrong)?,
    };
    let is_window = window.from_minute < MINUTES_OF_DAY && window.from_minute != window.to_minute;
    if is_window { Ok(window) } else { Err(wrong()) }
}

fn days_of(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    if text.eq_ignore_ascii_case(EVERY_DAY) {
        return Some(0b0111_1111);
    }
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // From Friday to Monday goes over Sunday.
        let count = (last + DAYS.len() - first) % DAYS.len();
        Some((0..=count).fold(days, |days, step| days | 1 << ((first + step) % DAYS.len())))
    })
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: u16| match text.len() {
        2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().ok().filter(|number| *number <= most),
        _ => None,
    };
    let minute = number(hours, 24)? * 60 + number(minutes, 59)?;
    (minute <= MINUTES_OF_DAY).then_some(minute)
}

/// A window as it is written.
pub(super) fn words(window: Window) -> String {
    let named: Vec<&str> = (0..).zip(DAYS).filter(|(bit, _)| window.days >> bit & 1 == 1).map(|(_, day)| day).collect();
    let days = if named.len() == DAYS.len() { EVERY_DAY.to_owned() } else { named.join(",") };
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{days} {}-{}", time(window.from_minute), time(window.to_minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_written() {
        for (text, written) in [
            ("Mon-Fri 08:00-18:00", "Mon,Tue,Wed,Thu,Fri 08:00-18:00"),
            ("sat,SUN 22:00-04:00", "Sat,Sun 22:00-04:00"),
            ("daily 00:00-24:00", "daily 00:00-24:00"),
            ("daily 20:00-00:00", "daily 20:00-24:00"),
            ("Fri-Mon 01:02-03:04", "Mon,Fri,Sat,Sun 01:02-03:04"),
            ("Wed  00:00-00:01", "Wed 00:00-00:01"),
        ] {
            let window = window(text).unwrap();
            assert_eq!(words(window), written, "{text}");
        }
        for wrong in [
            "",
            "Mon",
            "08:00-18:00",
            "Mon 8:00-18:00",
            "Mon 08:00",
            "Mon 08:00-08:00",
            "Mon 24:00-08:00",
            "Mon 08:00-24:01",
            "Mon 08:60-09:00",
            "Mo 08:00-09:00",
            "Mon- 08:00-09:00",
        ] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
