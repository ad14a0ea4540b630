//! Trusted time: the time of this boot's welcome plus the uptime since, never below the durable floor.

/// How far trusted time runs ahead before the floor is recorded again, in milliseconds: an hour costs 24 records a day.
const FLOOR_STEP_MS: u64 = 3_600_000;

/// What the node knows of the time.
#[derive(Debug)]
pub(crate) struct TrustedTime {
    floor_ms: u64,
    /// Unix milliseconds at uptime 0, once a welcome of this boot was believed.
    origin_ms: Option<u64>,
}

impl TrustedTime {
    pub(crate) fn new(floor_ms: u64) -> Self {
        Self { floor_ms, origin_ms: None }
    }

    /// The durable floor. What expired before it is refused, and forgotten, by one and the same comparison.
    pub(crate) fn floor_ms(&self) -> u64 {
        self.floor_ms
    }

    pub(crate) fn raise_floor(&mut self, floor_ms: u64) {
        self.floor_ms = self.floor_ms.max(floor_ms);
    }

    /// Believes a welcome. The hello was sent at `sent_at` and can have arrived no earlier, so `welcome_ms` at `sent_at` is the latest
    /// that it can be: an order is rather found expired too early than too late.
    pub(crate) fn learn(&mut self, welcome_ms: u64, sent_at: u64) {
        self.origin_ms = Some(welcome_ms.saturating_sub(sent_at));
    }

    /// Trusted Unix time in milliseconds at uptime `now`; `None` before this boot's first welcome.
    pub(crate) fn at(&self, now: u64) -> Option<u64> {
        self.origin_ms.map(|origin| origin.saturating_add(now).max(self.floor_ms))
    }

    /// The floor to record, when trusted time has run far enough ahead of it.
    pub(crate) fn due_floor(&self, now: u64) -> Option<u64> {
        self.at(now).filter(|time| *time >= self.floor_ms.saturating_add(FLOOR_STEP_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_unknown_until_a_welcome_and_never_below_the_floor() {
        let mut time = TrustedTime::new(5_000);
        assert_eq!(time.at(100), None);
        time.learn(4_000, 100);
        assert_eq!(time.at(200), Some(5_000), "a welcome from the past does not lower the floor");
        time.learn(9_000, 100);
        assert_eq!(time.at(200), Some(9_100));
    }
}
