//! How often an unanswered message is sent again, in both directions.

/// The pause before an unanswered message is sent again: it doubles from the minimum to the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first pause, in milliseconds.
    pub minimum_ms: u32,
    /// The longest pause, in milliseconds.
    pub maximum_ms: u32,
}

impl Default for Pace {
    /// Five seconds, doubling up to ten minutes.
    fn default() -> Self {
        Self { minimum_ms: 5_000, maximum_ms: 600_000 }
    }
}

impl Pace {
    /// The pause in milliseconds after a message was sent `count` times: the minimum after the first, then doubling.
    #[must_use]
    pub fn pause_ms(self, count: i64) -> u64 {
        // 32 doublings of a millisecond are beyond every maximum.
        let doublings = u32::try_from(count.saturating_sub(1).clamp(0, 31)).unwrap_or(31);
        (u64::from(self.minimum_ms) << doublings).min(u64::from(self.maximum_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_doubles_up_to_its_maximum() {
        let pace = Pace::default();
        let pauses: Vec<u64> = (0..10).map(|count| pace.pause_ms(count) / 1000).collect();
        assert_eq!(pauses, [5, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(pace.pause_ms(i64::MAX), 600_000);
    }
}
