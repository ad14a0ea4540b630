//! The nodes that may not be connected any more, and how their connections are ended.
//!
//! The embedded broker asks here before it lets a node in, and leaves the means to end each connection. For a broker elsewhere, whoever
//! speaks to it takes from here whom it is to throw out.

use flotilla_protocol::id::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, broadcast};

/// Nodes that wait to be thrown out of a broker elsewhere; one that is heard of again comes again.
const MOST_WAITING: usize = 10_000;

/// Which nodes are revoked.
#[derive(Debug, Default)]
pub struct Revocations {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    revoked: BTreeSet<NodeId>,
    /// The connections of each node, by their number, and what ends them.
    open: BTreeMap<NodeId, BTreeMap<u64, broadcast::Sender<()>>>,
    /// Who is to be thrown out elsewhere, in the order in which that was found.
    waiting: VecDeque<NodeId>,
}

impl Revocations {
    /// Ends the node's connections and lets it in no more.
    pub fn revoke(&self, node: NodeId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.revoked.insert(node);
        for end in inner.open.get(&node).into_iter().flat_map(BTreeMap::values) {
            // It fails only when the connection has ended already.
            let _ended = end.send(());
        }
        if inner.waiting.len() < MOST_WAITING && !inner.waiting.contains(&node) {
            inner.waiting.push_back(node);
        }
        self.wake.notify_one();
    }

    /// Lets a connection in and keeps what ends it; `false` for a node that is revoked.
    pub fn enter(&self, node: NodeId, number: u64, end: broadcast::Sender<()>) -> bool {
        // Under one lock with `revoke`: whoever is revoked from now on finds the connection here.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.revoked.contains(&node) {
            return false;
        }
        inner.open.entry(node).or_default().insert(number, end);
        true
    }

    /// A connection has ended.
    pub fn leave(&self, node: NodeId, number: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = inner.open.get_mut(&node) {
            connections.remove(&number);
            if connections.is_empty() {
                inner.open.remove(&node);
            }
        }
    }

    /// The next node to be thrown out of a broker elsewhere; waits for one. May be dropped at any await.
    pub async fn next(&self) -> NodeId {
        loop {
            let next = self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front();
            match next {
                Some(node) => return node,
                None => self.wake.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::of_key(&[number; 32])
    }

    #[test]
    fn a_revoked_node_loses_its_connections_and_gets_no_new_one() {
        let revocations = Revocations::default();
        let (end, mut ended) = broadcast::channel(1);
        let (other, mut other_ended) = broadcast::channel(1);
        assert!(revocations.enter(node(1), 1, end.clone()) && revocations.enter(node(2), 2, other));
        revocations.revoke(node(1));
        assert!(ended.try_recv().is_ok() && other_ended.try_recv().is_err());
        assert!(!revocations.enter(node(1), 3, end));
        for number in [1, 2] {
            revocations.leave(node(u8::try_from(number).unwrap()), number);
        }
        assert!(revocations.inner.lock().unwrap().open.is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn each_node_is_to_be_thrown_out_once_until_it_is_heard_again() {
        let revocations = Revocations::default();
        (0..3).for_each(|_| revocations.revoke(node(1)));
        assert_eq!(revocations.next().await, node(1));
        assert!(revocations.inner.lock().unwrap().waiting.is_empty());
        revocations.revoke(node(1));
        assert_eq!(revocations.next().await, node(1));
    }
}
