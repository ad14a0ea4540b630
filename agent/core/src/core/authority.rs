//! Whether an order that was accepted may start *now*: trust, time and policy may have changed since, and hours have to come.
//!
//! What was signed is kept with its signatures until the order starts, so the question is asked anew each time, of the trust and the policy
//! of now. An order outside its hours is held until they begin; one that nothing allows any more ends.

use super::Core;
use crate::policy::PolicyState;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::status::Outcome;
use flotilla_protocol::trust::Asked;
use flotilla_protocol::wire::decode;

/// What stands against a start.
enum Against {
    /// Hours, which begin then: Unix milliseconds.
    Until(u64),
    /// It never starts.
    Ever(String),
}

impl Core {
    /// The policy is another one, or its state is.
    pub(super) fn policy_changed(&mut self, policy: PolicyState, now: u64) {
        self.policy = policy;
        self.orders.release_held();
        self.tell_health_soon(now);
    }

    /// Another trust may allow sooner, or not at all, what is held.
    pub(super) fn follow_trust(&mut self) {
        let trust = self.trust.hash();
        if std::mem::replace(&mut self.held_under, trust) != trust {
            self.orders.release_held();
        }
    }

    /// Whether the order may start at trusted time `time_ms`. If not it is held, or ended.
    pub(super) fn may_start_now(&mut self, order: OrderId, time_ms: u64, now: u64) -> bool {
        match self.against(order, time_ms) {
            None => return true,
            Some(Against::Until(at)) => self.orders.hold(order, at),
            Some(Against::Ever(why)) => self.end(order, Outcome::Cancelled, &format!("not started: {why}"), Vec::new(), now),
        }
        false
    }

    fn against(&self, order: OrderId, time_ms: u64) -> Option<Against> {
        // What an earlier build has accepted was kept without its signatures, and was judged when it came.
        let sealed = self.orders.known.get(&order)?.taken.envelope()?;
        let unreadable = || Some(Against::Ever("what was signed cannot be read any more".to_owned()));
        let Ok(envelope) = Envelope::parse(sealed, Domain::Order) else { return unreadable() };
        let Ok(body) = decode::<OrderBody>(envelope.body()) else { return unreadable() };
        let Some(class) = body.payload().ok().and_then(|payload| payload.class()) else { return unreadable() };
        let labels = self.policy.policy.labels.signed_over(self.trust.bundle(), self.node);
        let asked = Asked { class, requester: &body.requester, labels: Some(&labels), time_ms: Some(time_ms) };
        match self.trust.authorise(&self.trust.signers(&envelope), &asked) {
            Ok(authorised) => self.policy.check(class, authorised.persons.len()).err().map(|refusal| Against::Ever(refusal.to_string())),
            Err(refusal) => Some(refusal.opens_at_ms().map_or_else(|| Against::Ever(refusal.to_string()), Against::Until)),
        }
    }
}
