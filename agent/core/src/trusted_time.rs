//! Trusted time: the time of this boot's welcome plus the uptime since, never below the durable floor.

/// How far trusted time runs ahead before the floor is recorded again, in milliseconds: an hour costs 24 records a day.
const FLOOR_STEP_MS: u64 = 3_600_000;

/// A jump beyond this, in milliseconds, becomes the floor only when a second welcome confirms it: a bridge whose clock was wrong for a
/// moment must not make the node refuse everything for years. A floor that is too low is always safe.
const FAR_JUMP_MS: u64 = 30 * 24 * 3_600_000;
/// How much later the second welcome must be, in milliseconds.
const CONFIRMATION_MS: u64 = 3_600_000;
/// How far the two may differ, in milliseconds.
const AGREEMENT_MS: u64 = 600_000;

/// What the node knows of the time.
#[derive(Debug)]
pub(crate) struct TrustedTime {
    floor_ms: u64,
    /// Unix milliseconds at uptime 0, once a welcome of this boot was believed.
    origin_ms: Option<u64>,
    /// The first welcome of this boot that put the time where it is: uptime, and the origin that it said.
    first: Option<(u64, u64)>,
    is_confirmed: bool,
    /// When the hello of the last welcome was said: uptime.
    fresh_at: Option<u64>,
    /// The floor is the journal's, and no longer the enrolment's.
    is_recalled: bool,
}

impl TrustedTime {
    pub(crate) fn new(floor_ms: u64) -> Self {
        Self { floor_ms, origin_ms: None, first: None, is_confirmed: false, fresh_at: None, is_recalled: false }
    }

    /// The durable floor. What expired before it is refused, and forgotten, by one and the same comparison.
    pub(crate) fn floor_ms(&self) -> u64 {
        self.floor_ms
    }

    pub(crate) fn raise_floor(&mut self, floor_ms: u64) {
        self.floor_ms = self.floor_ms.max(floor_ms);
    }

    /// The floor as the journal of a later epoch than the first says it. Its first one counts instead of the enrolment's, which may be of
    /// an epoch before.
    pub(crate) fn recall_floor(&mut self, floor_ms: u64) {
        self.floor_ms = if std::mem::replace(&mut self.is_recalled, true) { self.floor_ms.max(floor_ms) } else { floor_ms };
    }

    /// Everything that is known of the time may be wrong: a new epoch begins. Orders of the epochs before are refused from now on, so
    /// nothing that the floor kept out comes back.
    pub(crate) fn begin_epoch(&mut self) {
        *self = Self { is_recalled: true, ..Self::new(0) };
    }

    /// Whether a welcome of this boot is not older than `most_ms` at uptime `now`.
    pub(crate) fn is_fresh(&self, now: u64, most_ms: u64) -> bool {
        self.fresh_at.is_some_and(|at| now.saturating_sub(at) <= most_ms)
    }

    /// Believes a welcome. The hello was sent at `sent_at` and can have arrived no earlier, so `welcome_ms` at `sent_at` is the latest
    /// that it can be: an order is rather found expired too early than too late.
    pub(crate) fn learn(&mut self, welcome_ms: u64, sent_at: u64) {
        let origin = welcome_ms.saturating_sub(sent_at);
        (self.origin_ms, self.fresh_at) = (Some(origin), Some(sent_at));
        match self.first {
            Some((first_at, first_origin)) if origin.abs_diff(first_origin) <= AGREEMENT_MS => {
                self.is_confirmed = sent_at >= first_at.saturating_add(CONFIRMATION_MS);
            }
            Some(_) | None => (self.first, self.is_confirmed) = (Some((sent_at, origin)), false),
        }
    }

    /// Trusted Unix time in milliseconds at uptime `now`; `None` before this boot's first welcome.
    pub(crate) fn at(&self, now: u64) -> Option<u64> {
        self.origin_ms.map(|origin| origin.saturating_add(now).max(self.floor_ms))
    }

    /// The uptime at which trusted time reaches `time_ms`.
    pub(crate) fn uptime_of(&self, time_ms: u64) -> Option<u64> {
        self.origin_ms.map(|origin| time_ms.saturating_sub(origin))
    }

    /// The floor to record, when trusted time has run far enough ahead of it.
    pub(crate) fn due_floor(&self, now: u64) -> Option<u64> {
        self.believed(now).filter(|time| time.saturating_sub(self.floor_ms) >= FLOOR_STEP_MS)
    }

    /// Trusted time where it may become durable: it is near the floor, or a second welcome has confirmed it.
    pub(crate) fn believed(&self, now: u64) -> Option<u64> {
        self.at(now).filter(|time| self.is_confirmed || time.saturating_sub(self.floor_ms) <= FAR_JUMP_MS)
    }

    /// The uptime at which a second hello can confirm a time that is not believed.
    pub(crate) fn confirmation_due(&self) -> Option<u64> {
        self.first.filter(|_| !self.is_confirmed).map(|(first_at, _)| first_at.saturating_add(CONFIRMATION_MS))
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

    #[test]
    fn one_welcome_of_a_wrong_clock_does_not_push_the_floor_years_ahead() {
        let (now_ms, ten_years_ms) = (1_800_000_000_000, 10 * 365 * 24 * 3_600_000);
        let mut time = TrustedTime::new(now_ms);
        time.learn(now_ms + ten_years_ms, 1_000);
        assert_eq!(time.due_floor(2_000), None);
        time.learn(now_ms + 2 * FLOOR_STEP_MS, 2_000);
        assert_eq!(time.due_floor(2_000), Some(now_ms + 2 * FLOOR_STEP_MS), "the right time counts at once");
    }

    #[test]
    fn a_long_absence_is_believed_when_a_later_welcome_confirms_it() {
        let (floor_ms, year_ms) = (1_800_000_000_000, 365 * 24 * 3_600_000);
        let mut time = TrustedTime::new(floor_ms);
        time.learn(floor_ms + year_ms, 0);
        assert_eq!((time.due_floor(CONFIRMATION_MS), time.believed(CONFIRMATION_MS)), (None, None));
        assert_eq!(time.confirmation_due(), Some(CONFIRMATION_MS));
        time.learn(floor_ms + year_ms + CONFIRMATION_MS, CONFIRMATION_MS);
        assert!(time.due_floor(CONFIRMATION_MS).is_some());
        assert_eq!((time.believed(CONFIRMATION_MS), time.confirmation_due()), (time.at(CONFIRMATION_MS), None));
    }
}
