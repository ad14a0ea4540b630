//! When the link asks for a new certificate, and how far it is with that.
//!
//! There are three reasons to ask: a third of the certificate's life remains, by the node's trusted time and never by the system clock; the
//! fleet has other authorities than the link knows; or the broker does not let the link in for long, which is what an expired certificate and
//! a dropped authority look like from here. The way is always the same: the claim listener, and the node's own signature by exec.

use std::future::pending;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_link::BrokerAddress;
use flotilla_protocol::enrolment::tls_proof_bytes;
use flotilla_protocol::id::FleetId;
use flotilla_protocol::sha256;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::credentials::Identity;
use crate::clock::boottime_ms;
use crate::frame::{FromExec, FromLink};
use crate::register::exchange::exchange;
use crate::state;

/// How long exec may take to answer.
const EXEC_LIMIT_MS: u64 = 30_000;
/// Longest pause between two tries, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 6 * 3_600_000;
/// A pause is at most this part of the certificate's life.
const PAUSES_IN_A_LIFE: u64 = 30;
/// So many attempts to connect fail before the certificate is suspected.
const SUSPICIOUS_FAILURES: u32 = 5;
/// So many of the longest pauses between two attempts to connect must have passed, too.
const SUSPICIOUS_PAUSES: u64 = 10;
/// Longest sleep: what is known of the time may have changed.
const LONGEST_SLEEP_MS: u64 = 3_600_000;

/// The renewal of the link's certificate.
#[derive(Debug)]
pub(super) struct Renewal {
    /// The claim listener and the fleet; nothing for a device that does not know where it is.
    claim: Option<BrokerAddress>,
    fleet: FleetId,
    /// Longest pause between two attempts to connect, in milliseconds.
    reconnect_maximum_ms: u64,
    /// Trusted Unix time in milliseconds, and the uptime at which it was that.
    pub(super) time: Option<(u64, u64)>,
    /// Trusted time at which a third of the life remains, in seconds.
    due_s: Option<u64>,
    life_s: u64,
    /// SHA-256 of the authorities that are trusted.
    authorities: [u8; 32],
    /// The fleet has others.
    is_nudged: bool,
    /// Since which uptime there is no connection, and how many attempts have failed.
    lost: Option<(u64, u32)>,
    /// Tries that failed, one after the other.
    tries: u32,
    /// Before this uptime nothing is tried.
    not_before_ms: u64,
    key: Option<SigningKey>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// Exec is to answer until this uptime.
    Exec {
        until_ms: u64,
    },
    Listener(JoinHandle<Result<Vec<u8>, String>>),
}

impl Renewal {
    pub(super) fn new(claim: Option<BrokerAddress>, fleet: FleetId, reconnect_maximum_s: u64) -> Self {
        Self {
            claim,
            fleet,
            reconnect_maximum_ms: reconnect_maximum_s.saturating_mul(1000),
            time: None,
            due_s: None,
            life_s: u64::MAX,
            authorities: [0; 32],
            is_nudged: false,
            lost: Some((boottime_ms(), 0)),
            tries: 0,
            not_before_ms: 0,
            key: None,
            stage: Stage::Idle,
        }
    }

    /// What is in use from now on.
    pub(super) fn watch(&mut self, identity: &Identity) {
        let validity = identity.validity();
        self.due_s = validity.map(|validity| due_s(validity, &identity.certificate));
        self.life_s = validity.map_or(u64::MAX, |validity| validity.life_s());
        self.authorities = sha256(&[&identity.authorities]);
    }

    /// A new exec: what the one before was asked is forgotten.
    pub(super) fn exec_came(&mut self) {
        if let Stage::Listener(task) = std::mem::replace(&mut self.stage, Stage::Idle) {
            task.abort();
        }
        self.key = None;
    }

    pub(super) fn told_time(&mut self, unix_ms: u64) {
        self.time = Some((unix_ms, boottime_ms()));
    }

    /// What was told of the time is void.
    pub(super) fn forget_time(&mut self) {
        self.time = None;
    }

    pub(super) fn told_authorities(&mut self, authorities: &[u8; 32]) {
        let differs = *authorities != self.authorities;
        if differs && !std::mem::replace(&mut self.is_nudged, differs) {
            tracing::info!("the fleet has other certificate authorities: a new certificate is asked for");
            // The whole fleet is told the same.
            self.pause(self.first_pause_ms());
        }
        self.is_nudged = differs;
    }

    pub(super) fn connected(&mut self) {
        self.lost = None;
    }

    pub(super) fn failed_to_connect(&mut self) {
        let (since, failures) = self.lost.unwrap_or_else(|| (boottime_ms(), 0));
        self.lost = Some((since, failures.saturating_add(1)));
    }

    /// The next thing to say to exec. May be dropped at any await.
    pub(super) async fn step(&mut self) -> FromLink {
        loop {
            match &mut self.stage {
                Stage::Idle => {
                    let Some(wait_ms) = self.wait_ms(boottime_ms()) else { return pending().await };
                    if wait_ms == 0 {
                        self.stage = Stage::Exec { until_ms: boottime_ms() + EXEC_LIMIT_MS };
                        return FromLink::RenewalWanted;
                    }
                    sleep(Duration::from_millis(wait_ms.min(LONGEST_SLEEP_MS))).await;
                }
                Stage::Exec { until_ms } => {
                    let wait_ms = until_ms.saturating_sub(boottime_ms());
                    if wait_ms == 0 {
                        self.failed("exec gave no answer", false);
                    } else {
                        sleep(Duration::from_millis(wait_ms)).await;
                    }
                }
                Stage::Listener(task) => match task.await {
                    Ok(Ok(payload)) => {
                        self.stage = Stage::Exec { until_ms: boottime_ms() + EXEC_LIMIT_MS };
                        return FromLink::RenewalAnswer { payload };
                    }
                    Ok(Err(reason)) => self.failed(&reason, false),
                    Err(error) => self.failed(&error.to_string(), false),
                },
            }
        }
    }

    /// Takes an answer of exec; what to say to it, or the set that was renewed.
    pub(super) fn take(&mut self, frame: FromExec) -> Taken {
        if !matches!(self.stage, Stage::Exec { .. }) {
            return Taken::Nothing;
        }
        match frame {
            FromExec::RenewalTerms { identity_key, nonce } => match new_key() {
                Some(key) => {
                    let tls_key = key.verifying_key().to_bytes();
                    let tls_proof = key.sign(&tls_proof_bytes(&identity_key, &tls_key, &nonce)).to_bytes();
                    self.key = Some(key);
                    return Taken::Say(FromLink::RenewalRequest { tls_key, tls_proof });
                }
                None => self.failed("the system gives no random bytes", false),
            },
            FromExec::RenewalClaim { envelope } => match self.claim.clone() {
                Some(address) => {
                    let fleet = self.fleet;
                    let asking = async move { exchange(&address, fleet, &envelope).await.map_err(|error| error.to_string()) };
                    self.stage = Stage::Listener(tokio::spawn(asking));
                }
                None => self.failed("it is not known where the claim listener is; register again with --again", true),
            },
            FromExec::Renewed { authorities, certificate, host, port } => {
                if let Some(key) = self.key.take() {
                    self.stage = Stage::Idle;
                    return Taken::Renewed(Identity { key: state::pkcs8(&key), certificate, authorities, host, port });
                }
                self.failed("exec spoke out of turn", false);
            }
            FromExec::NotRenewed { reason, is_final } => self.failed(&reason, is_final),
            _ => {}
        }
        Taken::Nothing
    }

    /// The new set is kept.
    pub(super) fn succeeded(&mut self) {
        (self.tries, self.is_nudged) = (0, false);
        self.pause(self.first_pause_ms());
    }

    /// There is no new certificate this time.
    pub(super) fn failed(&mut self, reason: &str, is_final: bool) {
        self.stage = Stage::Idle;
        self.key = None;
        self.tries = if is_final { u32::MAX } else { self.tries.saturating_add(1) };
        let longest = LONGEST_PAUSE_MS.min(self.part_of_life_ms()).max(self.first_pause_ms());
        let pause_ms = self.first_pause_ms().saturating_mul(1 << self.tries.min(20)).min(longest);
        self.pause(pause_ms);
        let seconds = self.not_before_ms.saturating_sub(boottime_ms()) / 1000;
        tracing::warn!(reason, seconds, "the certificate was not renewed; it is tried again after these seconds");
    }

    fn pause(&mut self, most_ms: u64) {
        // Between half of it and all of it.
        let half = most_ms / 2;
        let jitter = getrandom::u64().map_or(half, |random| if half == 0 { 0 } else { random % half });
        self.not_before_ms = boottime_ms().saturating_add(half + jitter);
    }

    fn first_pause_ms(&self) -> u64 {
        self.reconnect_maximum_ms.saturating_mul(2).min(self.part_of_life_ms()).max(1)
    }

    fn part_of_life_ms(&self) -> u64 {
        self.life_s.saturating_mul(1000) / PAUSES_IN_A_LIFE
    }

    /// How long until a renewal is to be tried, by what is known now; nothing while there is no reason for one.
    fn wait_ms(&self, now: u64) -> Option<u64> {
        let by_time = self.time.zip(self.due_s).map(|((unix_ms, then), due_s)| {
            let time_ms = unix_ms.saturating_add(now.saturating_sub(then));
            due_s.saturating_mul(1000).saturating_sub(time_ms)
        });
        let by_nudge = self.is_nudged.then_some(0);
        let by_failures = self.lost.map(|(since, failures)| {
            let rest = since.saturating_add(SUSPICIOUS_PAUSES * self.reconnect_maximum_ms).saturating_sub(now);
            // Attempts are what ends this wait; it is looked again soon.
            if failures >= SUSPICIOUS_FAILURES { rest } else { rest.max(self.reconnect_maximum_ms) }
        });
        let reason = [by_time, by_nudge, by_failures].into_iter().flatten().min()?;
        Some(reason.max(self.not_before_ms.saturating_sub(now)))
    }
}

/// What came of an answer of exec.
pub(super) enum Taken {
    /// Nothing more to do.
    Nothing,
    /// Say this.
    Say(FromLink),
    /// There is a new set.
    Renewed(Identity),
}

/// When a certificate is to be renewed: at two thirds of its life, and within a twelfth of it behind that, at a point that follows from the
/// certificate alone, so that a fleet that was enrolled in one go is not renewed in one go.
fn due_s(validity: flotilla_link::Validity, certificate: &[u8]) -> u64 {
    let life = validity.life_s();
    let [first, second, ..] = sha256(&[certificate]);
    let share = u64::from(u16::from_be_bytes([first, second]));
    let spread = u64::try_from(u128::from(life / 12) * u128::from(share) / u128::from(u16::MAX)).unwrap_or(0);
    validity.not_before_s.saturating_add(life - life / 3).saturating_add(spread)
}

fn new_key() -> Option<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok()?;
    Some(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_link::Validity;

    const YEAR_S: u64 = 365 * 86_400;

    fn renewal() -> Renewal {
        let claim = Some(BrokerAddress { host: "localhost".into(), port: 1 });
        let mut renewal = Renewal::new(claim, FleetId([0; 8]), 30);
        renewal.lost = None;
        renewal
    }

    #[test]
    fn a_fleet_enrolled_in_one_go_is_not_renewed_in_one_go() {
        let validity = Validity { not_before_s: 1000, not_after_s: 1000 + YEAR_S };
        let (earliest, latest) = (1000 + YEAR_S * 2 / 3, 1000 + YEAR_S * 3 / 4);
        let mut due: Vec<u64> = (0..1000_u32).map(|serial| due_s(validity, &serial.to_be_bytes())).collect();
        due.sort_unstable();
        assert!(due[0] >= earliest && due[999] <= latest, "{due:?}");
        // Each tenth of the spread has its share.
        for part in 0..10 {
            let from = earliest + (latest - earliest) * part / 10;
            let count = due.iter().filter(|due| (from..from + (latest - earliest) / 10).contains(*due)).count();
            assert!((50..200).contains(&count), "{count} in part {part}");
        }
        assert_eq!(due_s(validity, b"x"), due_s(validity, b"x"), "a restart draws no other time");
    }

    #[test]
    fn only_trusted_time_says_that_it_is_due() {
        let mut renewal = renewal();
        renewal.due_s = Some(1_000_000);
        assert_eq!(renewal.wait_ms(boottime_ms()), None, "nobody has told the time yet");
        renewal.told_time(999_999_000);
        let now = renewal.time.unwrap().1;
        assert_eq!((renewal.wait_ms(now), renewal.wait_ms(now + 1000)), (Some(1000), Some(0)));
        renewal.failed("for the test", false);
        assert!(renewal.wait_ms(now + 1000).unwrap() > 25_000, "not at once again");
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut renewal = renewal();
        let mut longest = 0;
        for _ in 0..50 {
            let before = boottime_ms();
            renewal.failed("for the test", false);
            let pause = renewal.not_before_ms - before;
            assert!(pause <= LONGEST_PAUSE_MS + 1000);
            longest = longest.max(pause);
        }
        assert!(longest > LONGEST_PAUSE_MS / 2 && renewal.tries == 50);
        renewal.life_s = 600;
        let before = boottime_ms();
        renewal.failed("for the test", true);
        assert!(renewal.not_before_ms - before <= 21_000, "a short life knows no long pauses");
    }

    #[test]
    fn a_broker_that_lets_nobody_in_for_long_makes_the_certificate_suspect() {
        let mut renewal = renewal();
        assert_eq!(renewal.wait_ms(boottime_ms()), None);
        (0..4).for_each(|_| renewal.failed_to_connect());
        let since = renewal.lost.unwrap().0;
        assert!(renewal.wait_ms(since + 1_000_000).unwrap() > 0, "too few attempts");
        renewal.failed_to_connect();
        assert!(renewal.wait_ms(since + 299_000).unwrap() > 0, "too soon");
        assert_eq!(renewal.wait_ms(since + 300_000), Some(0));
        renewal.connected();
        assert_eq!(renewal.wait_ms(since + 300_000), None);
    }

    #[test]
    fn other_authorities_are_a_reason_and_the_own_ones_are_none() {
        let mut renewal = renewal();
        renewal.told_authorities(&[0; 32]);
        assert_eq!(renewal.wait_ms(boottime_ms()), None);
        renewal.told_authorities(&[1; 32]);
        let wait = renewal.wait_ms(boottime_ms()).unwrap();
        assert!((25_000..=60_000).contains(&wait), "the whole fleet hears it: {wait}");
        let planned = renewal.not_before_ms;
        renewal.told_authorities(&[1; 32]);
        assert_eq!(renewal.not_before_ms, planned, "to hear it again puts nothing off");
    }

    #[test]
    fn exec_is_heard_only_when_it_was_asked() {
        let mut renewal = renewal();
        let renewed = || FromExec::Renewed { authorities: vec![1], certificate: vec![2], host: "h".into(), port: 1 };
        assert!(matches!(renewal.take(renewed()), Taken::Nothing));
        renewal.stage = Stage::Exec { until_ms: u64::MAX };
        let terms = FromExec::RenewalTerms { identity_key: [1; 32], nonce: [2; 32] };
        let Taken::Say(FromLink::RenewalRequest { tls_key, tls_proof }) = renewal.take(terms) else { panic!("no request") };
        let key = ed25519_dalek::VerifyingKey::from_bytes(&tls_key).unwrap();
        let proved = tls_proof_bytes(&[1; 32], &tls_key, &[2; 32]);
        key.verify_strict(&proved, &ed25519_dalek::Signature::from_bytes(&tls_proof)).unwrap();
        assert!(matches!(renewal.take(renewed()), Taken::Renewed(identity) if identity.certificate == [2]));
    }
}
