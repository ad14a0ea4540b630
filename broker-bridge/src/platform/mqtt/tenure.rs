//! Whether this bridge may speak to the fleet: the rules of [`flotilla_protocol::tenure`], without a broker.
//!
//! A bridge is *in office* once its own tenure has come back from the broker and no greater one came before it. On each connection it says
//! its tenure, retained, and what the broker has kept comes first. So of two bridges that take the session from each other
//! the one that began later finds itself in office, and the other one finds the greater tenure, as soon as each has had the session for one round
//! trip, whatever the broker says or does not say when it takes a session away.
//!
//! A bridge that has just begun has promised nothing yet: it makes its tenure greater than what it finds, so the newest stays. One
//! that was in office and finds a greater tenure stands aside for good.

use flotilla_protocol::tenure::TenureBody;
use std::fmt;

/// Signs a tenure; the envelope.
pub type Seal = Box<dyn Fn(&TenureBody) -> Vec<u8> + Send + Sync>;
/// Reads an envelope; nothing unless it is a tenure that this fleet's bridges have signed.
pub type Open = Box<dyn Fn(&[u8]) -> Option<TenureBody> + Send + Sync>;

/// This bridge's tenure.
pub struct Tenure {
    own: TenureBody,
    /// Whether it was in office, on this connection or before.
    was_in_office: bool,
    seal: Seal,
    open: Open,
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure").field("own", &self.own).field("was_in_office", &self.was_in_office).finish_non_exhaustive()
    }
}

/// What follows from a message on the topic of tenures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing: it is no tenure of this fleet.
    Forged,
    /// The own tenure is to be said again.
    SayAgain,
    /// This bridge is in office.
    InOffice,
    /// Another bridge is.
    StandAside,
}

impl Tenure {
    /// The tenure of a process that starts now (Unix time in milliseconds).
    #[must_use]
    pub fn new(now_ms: u64, instance: [u8; 16], seal: Seal, open: Open) -> Self {
        Self { own: TenureBody { generation: now_ms, instance }, was_in_office: false, seal, open }
    }

    /// The message to say it with.
    pub(super) fn message(&self) -> Vec<u8> {
        (self.seal)(&self.own)
    }

    /// Judges a message on the topic of tenures.
    pub(super) fn hear(&mut self, message: &[u8]) -> Finding {
        let Some(said) = (self.open)(message) else { return Finding::Forged };
        if said == self.own {
            self.was_in_office = true;
            return Finding::InOffice;
        }
        if said > self.own {
            if self.was_in_office {
                return Finding::StandAside;
            }
            self.own.generation = said.generation.saturating_add(1);
        }
        Finding::SayAgain
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Signed by nobody: a tenure as 24 bytes.
    pub(in crate::platform::mqtt) fn unsigned(now_ms: u64, instance: u8) -> Tenure {
        let seal = |body: &TenureBody| [body.generation.to_be_bytes().as_slice(), &body.instance].concat();
        let open = |message: &[u8]| {
            let (generation, instance) = message.split_at_checked(8)?;
            Some(TenureBody { generation: u64::from_be_bytes(generation.try_into().ok()?), instance: instance.try_into().ok()? })
        };
        Tenure::new(now_ms, [instance; 16], Box::new(seal), Box::new(open))
    }

    #[test]
    fn the_newest_stays_and_the_other_one_finds_it_out() {
        let (mut old, mut new) = (unsigned(1_000, 1), unsigned(500, 2));
        assert_eq!(old.hear(&old.message()), Finding::InOffice);
        // The clock of the newer one is behind.
        assert_eq!(new.hear(&old.message()), Finding::SayAgain);
        assert_eq!(new.hear(&new.message()), Finding::InOffice);
        assert_eq!(old.hear(&new.message()), Finding::StandAside);
        assert_eq!(new.hear(&old.message()), Finding::SayAgain, "what is less is answered");
        assert_eq!(new.hear(b"forged"), Finding::Forged);
        assert_eq!(new.hear(&new.message()), Finding::InOffice);
    }

    /// Bridges that take the one session from each other at the steps that are drawn, at a broker that keeps the last tenure that reached it
    /// and may forget it. In the end each of those left has the session for long
    /// enough, again and again: who stands aside has overwritten the tenure in office, which its holder then says again.
    fn left_in_office(starts_ms: &[u64], turns: &[(usize, usize, bool)]) -> usize {
        let mut bridges: Vec<(Tenure, bool)> =
            (0_u8..).zip(starts_ms).map(|(instance, now_ms)| (unsigned(*now_ms, instance), true)).collect();
        let mut retained: Option<Vec<u8>> = None;
        let rounds = (0..starts_ms.len() * (starts_ms.len() + 2)).map(|round| (round % starts_ms.len(), usize::MAX, false));
        for (index, steps, forgets) in turns.iter().copied().chain(rounds) {
            if forgets {
                retained = None;
            }
            let (tenure, is_left) = &mut bridges[index % starts_ms.len()];
            if !*is_left {
                continue;
            }
            // What the broker delivers: what it has kept, then what this bridge says.
            let mut delivered: std::collections::VecDeque<Vec<u8>> = retained.clone().into_iter().collect();
            delivered.push_back(tenure.message());
            retained = Some(tenure.message());
            for _ in 0..steps {
                let Some(message) = delivered.pop_front() else { break };
                match tenure.hear(&message) {
                    Finding::SayAgain => {
                        delivered.push_back(tenure.message());
                        retained = Some(tenure.message());
                    }
                    Finding::StandAside => {
                        *is_left = false;
                        break;
                    }
                    Finding::InOffice => break,
                    Finding::Forged => unreachable!("nobody forges"),
                }
            }
        }
        bridges.iter().filter(|(_, is_left)| *is_left).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn exactly_one_is_left_however_they_take_the_session_from_each_other(
            starts_ms in proptest::collection::vec(0_u64..4, 1..4),
            turns in proptest::collection::vec((0_usize..4, 0_usize..4, proptest::bool::weighted(0.2)), 0..12),
        ) {
            prop_assert_eq!(left_in_office(&starts_ms, &turns), 1);
        }
    }
}
