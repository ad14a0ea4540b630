//! Judges one connection: may it connect under this client id, and may it do what it asks.
//!
//! The broker asks through [`AuthProvider`] for each connect, publish, subscribe and will. It does not tell whether a message is
//! retained when it asks, only later, in an event whose answer cannot be "refused". A retained message in a wrong place is
//! therefore neither delivered nor acknowledged, and its sender is disconnected.
//!
//! A connection that a newer one of the same client has displaced may publish no more. Its will would say that the client is
//! gone, and could come late: after the newer connection said that it is there.

use super::acl::{Identity, Permissions};
use crate::platform::revocation::Revocations;
use flotilla_protocol::id::{ClaimId, FleetId};
use mqtt5::QoS;
use mqtt5::broker::{AuthProvider, AuthResult, BrokerEventHandler, ClientConnectEvent, ClientPublishEvent, PublishAction};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::broadcast;

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The protocol level of MQTT 5. Older ones cannot be told that a publish was denied.
const MQTT_5: u8 = 5;
/// Longest keep-alive that is accepted, so that a dead connection does not stay for hours.
const MAX_KEEP_ALIVE_S: u16 = 1_800;
/// No one can subscribe to this: it is outside every fleet.
const NOWHERE: &str = "$denied";

/// The claims that are connected now.
#[derive(Debug, Default)]
pub(super) struct OpenClaims(Mutex<BTreeSet<ClaimId>>);

impl OpenClaims {
    fn enter(&self, claim: ClaimId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(claim)
    }

    fn leave(&self, claim: &ClaimId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(claim);
    }
}

/// Which connection of each client was established last.
#[derive(Debug, Default)]
pub(super) struct Established {
    last: AtomicU64,
    connections: Mutex<BTreeMap<String, u64>>,
}

impl Established {
    fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed)
    }

    fn enter(&self, client_id: &str, number: u64) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(client_id.to_owned(), number);
    }

    fn leave(&self, client_id: &str, number: u64) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.get(client_id) == Some(&number) {
            connections.remove(client_id);
        }
    }

    fn is_displaced(&self, client_id: &str, number: u64) -> bool {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.get(client_id).is_some_and(|last| *last > number)
    }
}

/// Through which door a connection came.
#[derive(Debug)]
pub(super) enum Door {
    /// With a certificate of this name.
    Certificate { common_name: String, identity: Identity },
    /// Anonymously.
    Claim(Arc<OpenClaims>),
}

/// The judge of one connection.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    fleet: FleetId,
    door: Door,
    peer: SocketAddr,
    /// Ends the connection.
    end: broadcast::Sender<()>,
    permissions: OnceLock<(String, Permissions)>,
    claim: OnceLock<ClaimId>,
    expelled: AtomicBool,
    established: Arc<Established>,
    revocations: Arc<Revocations>,
    /// Which connection this is, among all since the start.
    number: u64,
}

impl Gatekeeper {
    pub(super) fn new(
        fleet: FleetId,
        door: Door,
        peer: SocketAddr,
        end: broadcast::Sender<()>,
        established: Arc<Established>,
        revocations: Arc<Revocations>,
    ) -> Self {
        let (permissions, claim) = (OnceLock::new(), OnceLock::new());
        let number = established.number();
        Self { fleet, door, peer, end, permissions, claim, expelled: AtomicBool::new(false), established, revocations, number }
    }

    /// The client id under which the connection was let in.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.permissions.get().map(|(client_id, _)| client_id.as_str())
    }

    fn admit(&self, connect: &ConnectPacket) -> Result<(), ReasonCode> {
        if connect.protocol_version != MQTT_5 {
            return Err(ReasonCode::UnsupportedProtocolVersion);
        }
        // 0 would be for ever.
        if !(1..=MAX_KEEP_ALIVE_S).contains(&connect.keep_alive) {
            return Err(ReasonCode::ImplementationSpecificError);
        }
        let identity = match &self.door {
            Door::Certificate { common_name, identity } if *common_name == connect.client_id => identity.clone(),
            Door::Certificate { .. } => return Err(ReasonCode::ClientIdentifierNotValid),
            Door::Claim(_) => Identity::of_claim(&connect.client_id).ok_or(ReasonCode::ClientIdentifierNotValid)?,
        };
        if let Identity::Node(node) = identity
            && !self.revocations.enter(node, self.number, self.end.clone())
        {
            return Err(ReasonCode::Banned);
        }
        let permissions = Permissions::new(self.fleet, &identity);
        if let Some(will) = &connect.will
            && !permissions.may_leave_will(&will.topic, will.retain)
        {
            return Err(ReasonCode::NotAuthorized);
        }
        if let (Door::Claim(open), Identity::Claim(claim)) = (&self.door, &identity) {
            // Nobody proves who he is here, so whoever came first keeps the name.
            if !open.enter(*claim) {
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
            if self.claim.set(*claim).is_err() {
                return Err(ReasonCode::ProtocolError);
            }
        }
        let entry = (connect.client_id.clone(), permissions);
        self.permissions.set(entry).map_err(|_| ReasonCode::ProtocolError)
    }

    fn allows(&self, client_id: &str, rule: impl FnOnce(&Permissions) -> bool) -> bool {
        let known = self.permissions.get().filter(|(known, _)| known == client_id);
        known.is_some_and(|(_, permissions)| rule(permissions))
    }

    fn may_publish(&self, permissions: &Permissions, topic: &str) -> bool {
        // What an expelled client sent before it noticed is not taken, but the will that tells of its end is.
        let heard = !self.expelled.load(Ordering::Relaxed) || permissions.may_leave_will(topic, false);
        let displaced = self.client_id().is_some_and(|client_id| self.established.is_displaced(client_id, self.number));
        heard && !displaced && permissions.may_publish(topic)
    }

    /// The connect was answered: from now on an older connection of this client is a displaced one.
    fn note_established(&self) {
        if let Some(client_id) = self.client_id() {
            self.established.enter(client_id, self.number);
        }
    }

    fn judge_publish(&self, event: &ClientPublishEvent) -> PublishAction {
        if !event.retain || self.allows(&event.client_id, |permissions| permissions.may_retain(&event.topic)) {
            return PublishAction::Continue;
        }
        tracing::warn!(peer = %self.peer, client_id = %event.client_id, topic = %event.topic, "retained message refused, sender disconnected");
        self.expelled.store(true, Ordering::Relaxed);
        // It fails only when the connection has ended already.
        let _ended = self.end.send(());
        // Without quality of service there is no acknowledgement: the sender must not believe that it was taken.
        PublishAction::Transform(PublishPacket::new(NOWHERE, Vec::new(), QoS::AtMostOnce))
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        if let Some(client_id) = self.client_id() {
            self.established.leave(client_id, self.number);
        }
        if let (Door::Claim(open), Some(claim)) = (&self.door, self.claim.get()) {
            open.leave(claim);
        }
        if let Door::Certificate { identity: Identity::Node(node), .. } = &self.door {
            self.revocations.leave(*node, self.number);
        }
    }
}

impl AuthProvider for Gatekeeper {
    fn authenticate<'a>(&'a self, connect: &'a ConnectPacket, _: SocketAddr) -> Answer<'a, mqtt5::Result<AuthResult>> {
        let result = match self.admit(connect) {
            Ok(()) => AuthResult::success(),
            Err(reason) => {
                tracing::info!(peer = %self.peer, client_id = ?connect.client_id, ?reason, "connection refused");
                AuthResult::fail(reason)
            }
        };
        Box::pin(ready(Ok(result)))
    }

    fn authorize_publish<'a>(&'a self, client_id: &str, _: Option<&'a str>, topic: &'a str) -> Answer<'a, bool> {
        Box::pin(ready(self.allows(client_id, |permissions| self.may_publish(permissions, topic))))
    }

    fn authorize_subscribe<'a>(&'a self, client_id: &str, _: Option<&'a str>, filter: &'a str) -> Answer<'a, bool> {
        Box::pin(ready(self.allows(client_id, |permissions| permissions.may_subscribe(filter))))
    }
}

/// Hands the broker's events to the judge. Weak, because the judge must go when its connection goes.
pub(super) struct Events(pub(super) std::sync::Weak<Gatekeeper>);

impl BrokerEventHandler for Events {
    fn on_client_connect<'a>(&'a self, _: ClientConnectEvent) -> Answer<'a, ()> {
        if let Some(gatekeeper) = self.0.upgrade() {
            gatekeeper.note_established();
        }
        Box::pin(ready(()))
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Answer<'a, PublishAction> {
        let action = self.0.upgrade().map_or(PublishAction::Handled, |gatekeeper| gatekeeper.judge_publish(&event));
        Box::pin(ready(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::topic::Topic;

    #[test]
    fn the_late_will_of_a_displaced_connection_is_not_taken() {
        let fleet: FleetId = "0123456789abcdef".parse().unwrap();
        let node = "mi-66687aadf862bd776".parse().unwrap();
        let online = Topic::Online { fleet, node }.to_string();
        let established = Arc::new(Established::default());
        let connection = || {
            let (end, _) = broadcast::channel(1);
            let door = Door::Certificate { common_name: node.to_string(), identity: Identity::Node(node) };
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let gatekeeper = Gatekeeper::new(fleet, door, peer, end, Arc::clone(&established), Arc::default());
            let permissions = Permissions::new(fleet, &Identity::Node(node));
            gatekeeper.permissions.set((node.to_string(), permissions)).unwrap();
            gatekeeper
        };
        let publishes =
            |gatekeeper: &Gatekeeper| gatekeeper.allows(&node.to_string(), |permissions| gatekeeper.may_publish(permissions, &online));
        let old = connection();
        old.note_established();
        let new = connection();
        assert!(publishes(&old), "the new one has not been answered: nobody else would tell of the end");
        new.note_established();
        assert!(!publishes(&old) && publishes(&new));
        drop(old);
        assert!(publishes(&new));
        drop(new);
        assert!(established.connections.lock().unwrap().is_empty(), "nothing is left behind");
    }
}
