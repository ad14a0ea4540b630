//! The MQTT 5 connection over TLS that the agent's link process and the bridge share.
//!
//! A *link* is one task ([`run`]) that keeps one session with one broker alive: it dials, shakes hands, subscribes,
//! hands over what arrives, sends what it is given, and starts again with a jittered back-off when anything breaks.
//! Everything about MQTT and TLS stays behind this crate, so that the client library can be replaced in one place.
//!
//! What a link does *not* do: remember anything across connections. Every connection starts clean, and what was sent
//! but not acknowledged when it ended is dropped. A broker's acknowledgement means "the broker has it", not "the other
//! side has it": the layers above send again until they hold the other side's own receipt.

mod address;
mod backoff;
mod certificate;
mod clock;
mod connection;
mod der;
mod dialer;
mod farewell;
mod ledger;
mod network;
mod packet_size;
mod reason;
mod session;
mod settings;
mod tls;

pub use address::{AddressError, BrokerAddress};
pub use backoff::BackoffLimits;
pub use certificate::{InvalidCertificate, MAXIMUM_AUTHORITIES, Validity, certificates_in};
pub use connection::{Event, Publish, StopReason, run};
pub use der::{DerReader, NotDer};
pub use network::NetworkChanges;
pub use settings::{Settings, SettingsError, Will};
pub use tls::{KnownTime, TlsError, fleet_client, node_client, unverified_client};
