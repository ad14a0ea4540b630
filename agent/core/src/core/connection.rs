//! The connection, and the hello that is said on it.

use super::{Connection, Core, MINIMUM_HELLO_PAUSE_MS};
use crate::interface::{Output, UpMessage};
use crate::orders::{Order, Phase};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::hello::{HelloBody, MAXIMUM_HELD};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::topic::UpKind;
use flotilla_protocol::version;
use flotilla_protocol::wire::encode;

impl Core {
    pub(super) fn connected(&mut self, nonce: [u8; 32], now: u64) {
        self.connection = Some(Connection {
            nonce,
            hello_at: now,
            hello_pause_ms: MINIMUM_HELLO_PAUSE_MS,
            is_welcomed: false,
            trust_version: self.trust.version(),
        });
        self.spool.connected();
        self.streams_of_connection();
        self.uploads.set_connected(true);
        self.say_hello();
    }

    pub(super) fn disconnected(&mut self) {
        self.connection = None;
        self.trust.disconnected();
        self.spool.disconnected();
        self.streams_of_connection();
        self.uploads.set_connected(false);
    }

    pub(super) fn say_hello(&mut self) {
        let Some(connection) = &self.connection else { return };
        let is_open = |id: &OrderId, order: &Order| !matches!(order.phase, Phase::Ended { .. }) || self.spool.holds_result_of(*id);
        let mut held: Vec<(u64, OrderId)> =
            self.orders.known.iter().filter(|(id, order)| is_open(id, order)).map(|(id, order)| (order.arrival, *id)).collect();
        held.sort_by_key(|(arrival, _)| std::cmp::Reverse(*arrival));
        held.truncate(MAXIMUM_HELD);
        let hello = HelloBody {
            node: self.node,
            boot: self.boot,
            nonce: connection.nonce,
            oldest_version: version::OLDEST_READ,
            newest_version: version::VERSION,
            trust_version: self.trust.version(),
            floor_ms: self.time.floor_ms(),
            held: held.into_iter().map(|(_, id)| id).collect(),
            control: self.spool.state(),
            droppable: self.streams.state(),
            facts: self.facts.clone(),
            refused: self.refused.iter().map(|(reason, count)| (*reason, *count)).collect(),
        };
        let sealed = seal(Domain::Hello, &encode(&hello), &[&self.identity]);
        self.publish(UpKind::Hello, sealed);
    }

    pub(super) fn publish(&mut self, kind: UpKind, payload: Vec<u8>) {
        self.outputs.push_back(Output::Publish(UpMessage { kind, payload }));
    }
}
