//! What a link is told once, at its start, and the limits of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::{valid_filter, valid_topic};
use rustls::ClientConfig;
use thiserror::Error;

use crate::address::BrokerAddress;
use crate::backoff::BackoffLimits;

/// The client library pings at this interval whatever happens, and refuses a shorter one.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// MQTT carries the keep-alive as 16 bits of seconds.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(65_535);
/// MQTT carries the length of a text as 16 bits.
const LONGEST_TEXT_BYTES: usize = 65_535;
/// One SUBSCRIBE carries all filters; nobody in the fleet needs more than a handful.
const MOST_SUBSCRIPTIONS: usize = 64;
/// Room for a SUBACK and a short message with the longest topic of the fleet.
const SMALLEST_PACKET_LIMIT: u32 = 1_024;
/// The largest packet that MQTT's length field can express.
const LARGEST_PACKET_LIMIT: u32 = 268_435_460;
/// Keeps one packet identifier free and the client library's table small; a bridge is fast enough with far fewer.
const MOST_IN_FLIGHT: u16 = 4_096;
/// Beyond a day a pause is an outage.
const LONGEST_BACKOFF: Duration = Duration::from_secs(86_400);

/// Everything that one link needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The broker; its host is also the name that its certificate must carry.
    pub address: BrokerAddress,
    /// From [`crate::fleet_client`], or on the claim listener from [`crate::unverified_client`].
    pub tls: Arc<ClientConfig>,
    /// The MQTT client identifier: 1 to 65,535 bytes, unique at the broker.
    pub client_id: String,
    /// Topic filters, at most 64, each subscribed with QoS 1. All must be granted. May be empty.
    pub subscriptions: Vec<String>,
    /// What the broker publishes when this connection ends other than by a normal stop.
    pub will: Option<Will>,
    /// The interval between pings, whole seconds from 5 to 65,535. A broker may dictate another one. A dead peer is
    /// noticed after at most twice this time plus one second.
    pub keep_alive: Duration,
    /// The largest packet accepted or sent, in bytes, 1,024 to 268,435,460. The broker is told and drops what is
    /// larger; a larger publish is refused here.
    pub maximum_packet_bytes: u32,
    /// How many publishes may wait for their acknowledgement, in each direction: 1 to 4,096, and 16 for an agent (the
    /// table behind it costs over 200 bytes an entry). The broker may dictate fewer.
    pub in_flight: u16,
    /// The pause between two attempts to connect.
    pub backoff: BackoffLimits,
}

/// A message that the broker publishes with QoS 1 when the connection ends other than by a normal stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// Which setting is out of its limits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The keep-alive is too short or too long.
    #[error("the keep-alive must be from 5 to 65,535 seconds, not {0:?}")]
    KeepAlive(Duration),
    /// The client identifier is empty, too long or has a NUL.
    #[error("the client identifier must have 1 to 65,535 bytes and no NUL")]
    ClientId,
    /// A filter is not a topic filter.
    #[error("\"{0}\" is not a topic filter")]
    Filter(String),
    /// Too many filters.
    #[error("at most 64 subscriptions are possible, not {0}")]
    Subscriptions(usize),
    /// The will's topic is empty, too long or has wildcards, or its payload is too long.
    #[error("the will must have a topic without wildcards and at most 65,535 bytes of payload")]
    Will,
    /// The largest packet is too small or too large.
    #[error("the largest packet must be from 1,024 to 268,435,460 bytes, not {0}")]
    MaximumPacketBytes(u32),
    /// The window is too small or too large.
    #[error("the number of publishes in flight must be from 1 to 4,096, not {0}")]
    InFlight(u16),
    /// The limits of the back-off contradict each other.
    #[error("the back-off must have a minimum above zero and a maximum from there to one day")]
    Backoff,
}

impl Settings {
    /// Checks every limit that the fields' documentation states.
    ///
    /// # Errors
    /// The first setting that is out of its limits.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if !(SHORTEST_KEEP_ALIVE..=LONGEST_KEEP_ALIVE).contains(&self.keep_alive) {
            return Err(SettingsError::KeepAlive(self.keep_alive));
        }
        if !is_text(&self.client_id) {
            return Err(SettingsError::ClientId);
        }
        if self.subscriptions.len() > MOST_SUBSCRIPTIONS {
            return Err(SettingsError::Subscriptions(self.subscriptions.len()));
        }
        if let Some(filter) = self.subscriptions.iter().find(|filter| !is_filter(filter)) {
            return Err(SettingsError::Filter(filter.clone()));
        }
        if self.will.as_ref().is_some_and(|will| !will.is_sendable()) {
            return Err(SettingsError::Will);
        }
        if !(SMALLEST_PACKET_LIMIT..=LARGEST_PACKET_LIMIT).contains(&self.maximum_packet_bytes) {
            return Err(SettingsError::MaximumPacketBytes(self.maximum_packet_bytes));
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.in_flight) {
            return Err(SettingsError::InFlight(self.in_flight));
        }
        let BackoffLimits { minimum, maximum } = self.backoff;
        if minimum.is_zero() || maximum < minimum || maximum > LONGEST_BACKOFF {
            return Err(SettingsError::Backoff);
        }
        Ok(())
    }
}

impl Will {
    fn is_sendable(&self) -> bool {
        is_topic(&self.topic) && self.payload.len() <= LONGEST_TEXT_BYTES
    }
}

/// Whether a message can be published to this topic.
pub(crate) fn is_topic(topic: &str) -> bool {
    is_text(topic) && valid_topic(topic)
}

fn is_filter(filter: &str) -> bool {
    is_text(filter) && valid_filter(filter)
}

fn is_text(text: &str) -> bool {
    (1..=LONGEST_TEXT_BYTES).contains(&text.len()) && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            address: "broker.example:8883".parse().unwrap(),
            tls: crate::unverified_client().unwrap(),
            client_id: "mi-0".to_owned(),
            subscriptions: vec!["f/+/d".to_owned()],
            will: Some(Will { topic: "f/mi-0/s".to_owned(), payload: Bytes::from_static(b"off"), retain: true }),
            keep_alive: SHORTEST_KEEP_ALIVE,
            maximum_packet_bytes: SMALLEST_PACKET_LIMIT,
            in_flight: 16,
            backoff: BackoffLimits::default(),
        }
    }

    #[test]
    fn settings_within_their_limits_pass() {
        assert_eq!(settings().validate(), Ok(()));
    }

    #[test]
    fn every_limit_is_checked() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = settings();
            change(&mut settings);
            settings.validate().unwrap_err()
        };
        let short = Duration::from_millis(4_999);
        assert_eq!(refused(|s| s.keep_alive = Duration::from_millis(4_999)), SettingsError::KeepAlive(short));
        assert_eq!(refused(|s| s.client_id.clear()), SettingsError::ClientId);
        assert_eq!(refused(|s| s.subscriptions = vec!["a".to_owned(); 65]), SettingsError::Subscriptions(65));
        assert_eq!(refused(|s| s.subscriptions = vec!["a/#/b".to_owned()]), SettingsError::Filter("a/#/b".to_owned()));
        assert_eq!(refused(|s| s.will.as_mut().unwrap().topic = "a/+".to_owned()), SettingsError::Will);
        assert_eq!(refused(|s| s.maximum_packet_bytes = 1_023), SettingsError::MaximumPacketBytes(1_023));
        assert_eq!(refused(|s| s.in_flight = 0), SettingsError::InFlight(0));
        assert_eq!(refused(|s| s.in_flight = 4_097), SettingsError::InFlight(4_097));
        assert_eq!(refused(|s| s.backoff.minimum = Duration::ZERO), SettingsError::Backoff);
        assert_eq!(refused(|s| s.backoff.maximum = Duration::from_millis(1)), SettingsError::Backoff);
    }
}
