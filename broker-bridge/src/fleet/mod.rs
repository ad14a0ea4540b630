//! The nouns that every capability shares: nodes, activations, tags, groups, targets, documents, users, and the keys that sign.

pub mod activation;
pub mod audit;
pub mod document;
pub mod group;
pub mod node;
mod overload;
pub mod pace;
pub mod signer;
pub mod tag;
pub mod target;
pub mod trust;
pub mod user;
pub mod webhook;

use crate::clock::Clock;
use crate::platform::http::{Registry, SignedLinks};
use crate::platform::mqtt::Publisher;
use crate::platform::revocation::Revocations;
use crate::platform::seal::{SealError, Sealer};
use crate::platform::store::{Store, StoreError};
use crate::randomness::Randomness;
use crate::schema::MIGRATIONS;
use crate::settings::Settings;
use flotilla_protocol::id::FleetId;
use signer::{Signer, SignerError};
use std::sync::Arc;
use tokio::sync::Notify;

/// The account in ARNs: there is none, and ARNs want twelve digits.
pub const ACCOUNT: &str = "000000000000";

/// What the fleet is, as far as endpoints and ingest need to know.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// The fleet: the first bytes of the hash of its trust root.
    pub fleet: FleetId,
    /// Its name, for people.
    pub name: String,
    /// The region in ARNs.
    pub region: String,
    /// Where nodes connect, as they are told when they enrol.
    pub broker_host: String,
    /// The port there.
    pub broker_port: u16,
    /// Where devices connect to enrol; it stands in activation strings.
    pub claim_host: String,
    /// The port there.
    pub claim_port: u16,
    /// How often what is not answered is sent again, by us and by nodes.
    pub pace: pace::Pace,
    /// How far ahead an activation may expire, in milliseconds.
    pub longest_activation_ms: u64,
    /// How long commands are kept after they have ended, in milliseconds.
    pub retention_ms: u64,
}

/// Bells that wake what otherwise waits for its period.
#[derive(Debug, Default)]
pub struct Nudges {
    /// There may be something to send.
    pub dispatch: Notify,
}

/// The fleet: what handlers and ingest share.
#[derive(Debug)]
pub struct Fleet {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The randomness of ids.
    pub randomness: Randomness,
    /// Seals secrets that lie in the database.
    pub sealer: Sealer,
    /// What the fleet is.
    pub settings: FleetSettings,
    /// Signs orders, receipts and what else goes down to nodes.
    pub signer: Arc<Signer>,
    /// Wakes dispatch.
    pub nudge: Nudges,
    /// The way out to nodes; it drops everything until the device half is connected.
    pub publisher: Publisher,
    /// Who may not be connected any more.
    pub revocations: Arc<Revocations>,
    /// Where notifications can go.
    pub webhooks: webhook::Webhooks,
    /// Makes and checks addresses that need no other signature.
    pub links: SignedLinks,
}

/// Why a fleet cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFleetError {
    /// The database.
    #[error("the fleet's database cannot be opened")]
    Store(#[from] StoreError),
    /// The seal key.
    #[error("the fleet's secrets cannot be opened")]
    Seal(#[from] SealError),
    /// The keys and the trust.
    #[error("the fleet's keys cannot be used")]
    Signer(#[from] SignerError),
    /// The webhooks of the settings.
    #[error("a webhook of the settings cannot be used")]
    Webhook(#[from] webhook::WebhookError),
}

impl Fleet {
    /// Opens the fleet in the home of these settings.
    ///
    /// # Errors
    /// Its database, its seal key or its signing keys cannot be used.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Arc<Self>, OpenFleetError> {
        let home = &settings.home;
        let sealer = Sealer::load(&home.seal_key())?;
        let signer = Arc::new(Signer::load(home.path(), clock.now_ms())?);
        let webhooks = webhook::Webhooks::load(&settings.webhooks)?;
        let links = SignedLinks::new(&sealer, settings.api.public_url.as_deref(), settings.api.tls.is_some());
        let store = Store::open(&home.database(), MIGRATIONS).await?;
        store.audit().sign_with(signer.heads());
        let (broker, claim) = (settings.broker.address.clone(), settings.broker.claim_address.clone());
        let settings = FleetSettings {
            fleet: signer.fleet(),
            name: settings.name.clone(),
            region: settings.region.clone(),
            broker_host: broker.host,
            broker_port: broker.port,
            claim_host: claim.host,
            claim_port: claim.port,
            pace: pace::Pace { minimum_ms: settings.resend_minimum_s * 1000, maximum_ms: settings.resend_maximum_s * 1000 },
            longest_activation_ms: u64::from(settings.longest_activation_days) * 86_400_000,
            retention_ms: u64::from(settings.retention_days) * 86_400_000,
        };
        let (nudge, publisher, randomness) = (Nudges::default(), Publisher::new(), Randomness::system());
        let revocations = Arc::default();
        Ok(Arc::new(Self { store, clock, randomness, sealer, settings, signer, nudge, publisher, revocations, webhooks, links }))
    }
}

impl Fleet {
    /// Where devices connect to enrol: host and port.
    #[must_use]
    pub fn claim_address(&self) -> (String, u16) {
        (self.settings.claim_host.clone(), self.settings.claim_port)
    }

    /// How far ahead an activation may expire, in milliseconds.
    #[must_use]
    pub fn longest_activation_ms(&self) -> u64 {
        self.settings.longest_activation_ms
    }
}

/// THE LIST of the nouns' endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    activation::api::endpoints(registry);
    audit::api::endpoints(registry);
    document::api::endpoints(registry);
    group::api::endpoints(registry);
    node::api::endpoints(registry);
    signer::api::endpoints(registry);
    tag::api::endpoints(registry);
    trust::api::endpoints(registry);
}
