//! Everything that the nodes have started and ended: what must be in the bridge's database afterwards, and that nothing ran twice.

use flotilla_protocol::id::OrderId;
use std::collections::BTreeMap;

/// Commands on nodes that are remembered; a test that makes more must not rely on it.
const MAXIMUM_ENTRIES: usize = 1_000_000;

/// A command on a node, as the node saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// How often it started.
    pub starts: u32,
    /// How often it ended.
    pub ends: u32,
    /// Whether the bridge's receipt for its result came: the node keeps nothing of it any more.
    pub receipted: bool,
}

/// Command by command, node by node (by its index).
#[derive(Debug, Default)]
pub(super) struct Account(BTreeMap<(OrderId, usize), Run>);

impl Account {
    pub(super) fn started(&mut self, order: OrderId, node: usize) {
        if let Some(run) = self.entry(order, node) {
            run.starts += 1;
        }
    }

    pub(super) fn ended(&mut self, order: OrderId, node: usize) {
        if let Some(run) = self.entry(order, node) {
            run.ends += 1;
        }
    }

    fn entry(&mut self, order: OrderId, node: usize) -> Option<&mut Run> {
        let has_room = self.0.len() < MAXIMUM_ENTRIES || self.0.contains_key(&(order, node));
        has_room.then(|| self.0.entry((order, node)).or_default())
    }

    pub(super) fn receipted(&mut self, order: OrderId, node: usize) {
        if let Some(run) = self.entry(order, node) {
            run.receipted = true;
        }
    }

    pub(super) fn runs(&self) -> BTreeMap<(OrderId, usize), Run> {
        self.0.clone()
    }
}
