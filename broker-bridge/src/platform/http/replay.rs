//! Signatures that were used: a captured request that changes something must not work twice.
//!
//! SDKs write the time of a signature in whole seconds and sign no nonce, so two honest requests with one body in one
//! second carry one signature. What tells them apart are the unsigned headers `amz-sdk-invocation-id` and `amz-sdk-request`,
//! which somebody who replays could invent. So a signature counts again, under other such headers, only within
//! [`HONEST_REPEAT_MS`] of its first use; after that, and under the same headers at once, it is refused.
//!
//! A twin that is one more attempt of the same call, under the same invocation id, gets in and makes nothing twice: that is
//! [`crate::platform::repeat`]'s, which outlives the process.
//!
//! The memory ends with the process, so what was signed before the process began is refused too: it may have been used.

use super::super::sigv4::{MAXIMUM_SKEW_MS, PresentedSignature};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How long after its first use a signature may come with another invocation id, in milliseconds: the second that the
/// signature's time stands for, and one more on the way.
pub(super) const HONEST_REPEAT_MS: u64 = 2_000;
/// Most signatures remembered; beyond it, calls that change something are throttled rather than unprotected.
const MAXIMUM_SIGNATURES: usize = 200_000;
/// Most honest repetitions of one signature.
const MAXIMUM_REPEATS: usize = 64;
/// Longest invocation that is told apart; a longer one is cut.
const MAXIMUM_INVOCATION_BYTES: usize = 256;

/// Why a signature is not taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was used before.
    Used,
    /// It was made before the bridge started, and may have been used then.
    BeforeStart,
    /// Too many are remembered.
    Full,
}

#[derive(Debug)]
struct Seen {
    first_ms: u64,
    invocations: BTreeSet<String>,
}

/// How much longer than it verifies a signature is remembered, in milliseconds: longer than any request lasts.
const REMEMBERED_LONGER_MS: u64 = 60_000;

/// The signatures of calls that change something, as long as they would still verify.
#[derive(Debug)]
pub(super) struct SeenSignatures {
    started_ms: AtomicU64,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    seen: BTreeMap<String, Seen>,
    /// When each can be forgotten, because its time is too old to verify.
    expiry: BTreeSet<(u64, String)>,
}

impl SeenSignatures {
    /// No signature seen, since the process begins now.
    pub(super) fn new(now_ms: u64) -> Self {
        // Signatures are dated in whole seconds.
        Self { started_ms: AtomicU64::new(now_ms - now_ms % 1000), memory: Mutex::default() }
    }

    /// Takes note of a verified signature.
    pub(super) fn admit(&self, presented: &PresentedSignature, invocation: &str, now_ms: u64) -> Result<(), Refusal> {
        // A clock that was set back since the start, as after a boot without a battery, must not refuse everybody until it has caught up.
        let second_ms = now_ms - now_ms % 1000;
        if presented.date_ms() < self.started_ms.fetch_min(second_ms, Ordering::Relaxed).min(second_ms) {
            return Err(Refusal::BeforeStart);
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((expires_ms, _)) = memory.expiry.first()
            && *expires_ms < now_ms
            && let Some((_, signature)) = memory.expiry.pop_first()
        {
            memory.seen.remove(&signature);
        }
        let invocation: String = invocation.chars().take(MAXIMUM_INVOCATION_BYTES).collect();
        if let Some(seen) = memory.seen.get_mut(presented.signature()) {
            let honest = now_ms.saturating_sub(seen.first_ms) <= HONEST_REPEAT_MS && seen.invocations.len() < MAXIMUM_REPEATS;
            return if honest && seen.invocations.insert(invocation) { Ok(()) } else { Err(Refusal::Used) };
        }
        if memory.seen.len() >= MAXIMUM_SIGNATURES {
            return Err(Refusal::Full);
        }
        let signature = presented.signature().to_owned();
        // Somewhat longer than it verifies: the clock was read for that a moment ago.
        memory.expiry.insert((presented.date_ms().saturating_add(MAXIMUM_SKEW_MS + REMEMBERED_LONGER_MS), signature.clone()));
        memory.seen.insert(signature, Seen { first_ms: now_ms, invocations: BTreeSet::from([invocation]) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, HeaderValue};

    const SIGNED_MS: u64 = 1_763_764_000_000;

    fn presented(digit: char) -> PresentedSignature {
        let mut headers = HeaderMap::new();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=K/20251121/local-1/ssm/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature={}",
            digit.to_string().repeat(64)
        );
        headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
        headers.insert("x-amz-date", HeaderValue::from_static("20251121T222640Z"));
        let presented = PresentedSignature::parse(&headers).unwrap();
        assert_eq!(presented.date_ms(), SIGNED_MS);
        presented
    }

    #[test]
    fn the_same_request_again_is_refused_at_once_and_an_honest_twin_is_not() {
        let seen = SeenSignatures::new(SIGNED_MS + 999);
        assert_eq!(seen.admit(&presented('a'), "one", SIGNED_MS), Ok(()));
        assert_eq!(seen.admit(&presented('a'), "one", SIGNED_MS), Err(Refusal::Used));
        assert_eq!(seen.admit(&presented('a'), "two", SIGNED_MS + HONEST_REPEAT_MS), Ok(()));
        assert_eq!(seen.admit(&presented('a'), "two", SIGNED_MS + HONEST_REPEAT_MS), Err(Refusal::Used));
        assert_eq!(seen.admit(&presented('a'), "three", SIGNED_MS + HONEST_REPEAT_MS + 1), Err(Refusal::Used));
        assert_eq!(seen.admit(&presented('b'), "one", SIGNED_MS + 60_000), Ok(()));
    }

    #[test]
    fn a_signature_is_remembered_somewhat_longer_than_it_verifies() {
        let seen = SeenSignatures::new(SIGNED_MS + 999);
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS), Ok(()));
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS + MAXIMUM_SKEW_MS), Err(Refusal::Used));
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS + MAXIMUM_SKEW_MS + 1), Err(Refusal::Used));
        assert_eq!(seen.admit(&presented('b'), "", SIGNED_MS + MAXIMUM_SKEW_MS + REMEMBERED_LONGER_MS + 1), Ok(()));
        assert_eq!(seen.memory.lock().unwrap().seen.len(), 1, "what no longer verifies is forgotten");
    }

    #[test]
    fn what_was_signed_before_the_start_may_have_been_used() {
        let seen = SeenSignatures::new(SIGNED_MS + 1000);
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS + 1000), Err(Refusal::BeforeStart));
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody_for_long() {
        let seen = SeenSignatures::new(SIGNED_MS + 24 * 3_600_000);
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS + 500), Ok(()));
        assert_eq!(seen.admit(&presented('a'), "", SIGNED_MS + 600), Err(Refusal::Used));
    }
}
