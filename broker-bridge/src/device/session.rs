//! The sessions that this bridge offers to nodes: all of them follow from one secret, so that none is kept.
//!
//! A session's id is `tag (3) ‖ period (u16 LE) ‖ hash (3)`: the tag tells the sessions of this process from those of one before it, the period
//! says when it was offered, and the hash differs for each node and hello. Its key is HMAC-SHA256 under the secret over node and id. A million
//! nodes cost no memory, and whoever holds the key of one session has that of no other.
//!
//! The secret is made at the start, lies in memory alone, and is gone with the process: what comes under a session of before is dropped without
//! a word, and the node signs again (docs/decisions/0022).

use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::id::{FleetId, NodeId};
use flotilla_protocol::session::{self, SessionBinding, SessionKey};
use flotilla_protocol::wire::Payload;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// A session counts in the period in which it was offered and in the next: for 4 to 8 hours. A connected node gets another one every 75
/// minutes at the latest.
const PERIOD_MS: u64 = 4 * 3_600_000;

/// What the sessions of this process are made of.
pub(super) struct Sessions {
    fleet: FleetId,
    secret: Zeroizing<[u8; 32]>,
    tag: [u8; 3],
    forgotten: AtomicU64,
}

impl fmt::Debug for Sessions {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl Sessions {
    /// With a new secret of the operating system.
    ///
    /// # Errors
    /// It gives none.
    pub(super) fn new(fleet: FleetId) -> Result<Self, getrandom::Error> {
        let (mut secret, mut tag) = (Zeroizing::new([0; 32]), [0; 3]);
        getrandom::fill(secret.as_mut_slice())?;
        getrandom::fill(&mut tag)?;
        Ok(Self { fleet, secret, tag, forgotten: AtomicU64::new(0) })
    }

    /// A session for a node, as an offer of the welcome that answers the hello with this nonce; nothing where nothing can be sealed to its key.
    pub(super) fn offer(&self, node: NodeId, sealing_key: &[u8; 32], nonce: [u8; 32], now_ms: u64) -> Option<Payload> {
        let [first, second, third, ..] = flotilla_protocol::sha256(&[b"flotilla/session id", node.to_string().as_bytes(), &nonce]);
        let ([tag_0, tag_1, tag_2], [period_0, period_1]) = (self.tag, period(now_ms).to_le_bytes());
        let key = self.key([tag_0, tag_1, tag_2, period_0, period_1, first, second, third], node);
        let mut randomness = Zeroizing::new([0; 32]);
        getrandom::fill(randomness.as_mut_slice()).ok()?;
        let binding = SessionBinding { fleet: self.fleet, node, nonce };
        Some(WelcomeBody::offer_of_session(&session::seal(&binding, sealing_key, &key, &randomness).ok()?))
    }

    /// The session of a node with this id; nothing for an id that this process has offered to nobody, or too long ago.
    pub(super) fn find(&self, id: [u8; 8], node: NodeId, now_ms: u64) -> Option<SessionKey> {
        let [tag @ .., period_0, period_1, _, _, _] = id;
        let offered = u16::from_le_bytes([period_0, period_1]);
        let counts = tag == self.tag && period(now_ms).wrapping_sub(offered) <= 1;
        counts.then(|| self.key(id, node))
    }

    /// Counts a report under a session that is not known.
    pub(super) fn forget(&self, node: NodeId) {
        let count = self.forgotten.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // A power of two each time: one line for the first, and few for a fleet after a restart.
        if count.is_power_of_two() {
            tracing::info!(%node, count, "a report came under a session of before this start, or an old one, and was dropped: it comes again signed");
        }
    }

    /// How many reports came under sessions that are not known.
    #[cfg(test)]
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn key(&self, id: [u8; 8], node: NodeId) -> SessionKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()).expect("HMAC takes keys of any length");
        mac.update(b"flotilla/session key");
        mac.update(&self.fleet.0);
        mac.update(node.to_string().as_bytes());
        mac.update(&id);
        SessionKey::new(id, mac.finalize().into_bytes().into())
    }
}

/// Which period it is; it begins anew after 29 years.
fn period(now_ms: u64) -> u16 {
    u16::try_from(now_ms / PERIOD_MS % (1 << 16)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn sessions() -> Sessions {
        Sessions::new(FleetId([1; 8])).unwrap()
    }

    fn node(seed: u8) -> NodeId {
        NodeId::of_key(&[seed; 32])
    }

    /// The id that is offered to a node in the answer to a hello.
    fn offered(sessions: &Sessions, seed: u8, nonce: u8, now_ms: u64) -> [u8; 8] {
        let key = flotilla_protocol::secret::SealingKey::new([seed; 32]);
        let offer = sessions.offer(node(seed), &key.public(), [nonce; 32], now_ms).unwrap();
        offer.body[..8].try_into().unwrap()
    }

    /// What tells two keys apart: their MACs over the same report.
    fn mac(key: &SessionKey) -> Vec<u8> {
        let report = flotilla_protocol::envelope::seal(flotilla_protocol::envelope::Domain::Report, b"", &[]);
        let envelope = flotilla_protocol::envelope::Envelope::parse(&report, flotilla_protocol::envelope::Domain::Report).unwrap();
        envelope.under_session(key).unwrap().split_off(16)
    }

    #[test]
    fn each_node_hello_period_and_process_has_a_session_of_its_own() {
        let (one, other) = (sessions(), sessions());
        let ids = [(1, 1, NOW_MS), (2, 1, NOW_MS), (1, 2, NOW_MS), (1, 1, NOW_MS + PERIOD_MS)].map(|(seed, nonce, now)| {
            let id = offered(&one, seed, nonce, now);
            assert_eq!(id, offered(&one, seed, nonce, now), "and it is the same one again");
            mac(&one.find(id, node(seed), now).unwrap())
        });
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), 4);
        let id = offered(&one, 1, 1, NOW_MS);
        assert_ne!(mac(&one.find(id, node(1), NOW_MS).unwrap()), mac(&one.find(id, node(2), NOW_MS).unwrap()), "another node");
        assert!(other.find(id, node(1), NOW_MS).is_none(), "another process");
        assert!(!format!("{one:?}").contains("secret"));
    }

    #[test]
    fn a_session_counts_for_four_to_eight_hours() {
        let sessions = sessions();
        let begin = NOW_MS / PERIOD_MS * PERIOD_MS;
        for (offered_at, last) in [(begin, 2 * PERIOD_MS - 1), (begin + PERIOD_MS - 1, PERIOD_MS)] {
            let id = offered(&sessions, 1, 1, offered_at);
            assert!(sessions.find(id, node(1), offered_at + last).is_some());
            assert!(sessions.find(id, node(1), offered_at + last + 1).is_none());
            assert!(sessions.find(id, node(1), offered_at - PERIOD_MS).is_none(), "of the future");
        }
        // Where the number of the period begins anew.
        let turn = (1 << 16) * PERIOD_MS;
        let id = offered(&sessions, 1, 1, turn - 1);
        assert!(sessions.find(id, node(1), turn).is_some());
        assert!(sessions.offer(node(1), &[0; 32], [1; 32], NOW_MS).is_none(), "a weak key");
    }
}
