//! Mechanism: what the bridge stands on and what knows nothing of fleets.

pub mod allowance;
pub mod audit;
#[cfg(feature = "embedded-broker")]
pub mod embedded_broker;
pub mod files;
pub mod http;
pub mod ingest;
pub mod mosquitto;
pub mod mqtt;
pub mod page;
pub mod pki;
pub mod repeat;
pub mod revocation;
pub mod seal;
pub mod shutdown;
pub mod sigv4;
pub mod store;
pub mod time;
pub mod webhook;
