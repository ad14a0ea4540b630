//! Kept output on its way to the bridge: for each stream of each step one cursor and one chunk under way.
//!
//! Chunks need no journal: the output is in the job's folder, the bridge's receipt says how far it has it, and a chunk may come twice.

use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::OutputStream;
use std::collections::BTreeMap;

/// Most streams on their way at once; the others follow as these end.
const MAXIMUM_UNDER_WAY: usize = 4;

/// Pause before a chunk without a receipt is sent again, in milliseconds.
const RESEND_MS: u64 = 5_000;

pub(crate) type StreamId = (OrderId, u16, OutputStream);

#[derive(Debug, Default)]
struct Cursor {
    /// The bridge has everything before this.
    committed: u64,
    /// Bytes that exist so far.
    kept: u64,
    /// No more will come.
    is_final: bool,
    /// The chunk under way is sent again at this uptime.
    resend_at: Option<u64>,
}

/// All cursors.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    cursors: BTreeMap<StreamId, Cursor>,
    is_connected: bool,
}

impl Uploads {
    pub(crate) fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
        for cursor in self.cursors.values_mut() {
            cursor.resend_at = None;
        }
    }

    pub(crate) fn grew(&mut self, id: StreamId, kept: u64, is_final: bool) {
        let cursor = self.cursors.entry(id).or_default();
        cursor.kept = cursor.kept.max(kept);
        cursor.is_final |= is_final;
    }

    /// Takes a verified receipt.
    pub(crate) fn receipt(&mut self, id: StreamId, up_to: u64) {
        if let Some(cursor) = self.cursors.get_mut(&id) {
            cursor.committed = cursor.committed.max(up_to);
            cursor.resend_at = None;
            if cursor.is_final && cursor.committed >= cursor.kept {
                self.cursors.remove(&id);
            }
        }
    }

    /// Gives a stream up: its bytes cannot be read any more.
    pub(crate) fn give_up(&mut self, id: &StreamId) {
        self.cursors.remove(id);
    }

    pub(crate) fn forget(&mut self, order: OrderId) {
        self.cursors.retain(|(of, ..), _| *of != order);
    }

    /// Whether an order has output that the bridge does not have yet.
    pub(crate) fn concerns(&self, order: OrderId) -> bool {
        self.cursors.keys().any(|(of, ..)| *of == order)
    }

    /// The streams that are complete on the node and not yet with the bridge, with their lengths: for a snapshot.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (StreamId, u64)> {
        self.cursors.iter().filter(|(_, cursor)| cursor.is_final).map(|(id, cursor)| (*id, cursor.kept))
    }

    /// The reads to ask for now, each with its offset.
    pub(crate) fn due(&mut self, now: u64) -> Vec<(StreamId, u64)> {
        if !self.is_connected {
            return Vec::new();
        }
        let under_way = self.cursors.values().filter(|cursor| cursor.resend_at.is_some_and(|at| at > now)).count();
        let mut due = Vec::new();
        for (id, cursor) in &mut self.cursors {
            if under_way + due.len() >= MAXIMUM_UNDER_WAY {
                break;
            }
            if cursor.committed < cursor.kept && cursor.resend_at.is_none_or(|at| at <= now) {
                cursor.resend_at = Some(now + RESEND_MS);
                due.push((*id, cursor.committed));
            }
        }
        due
    }

    pub(crate) fn next_wakeup(&self) -> Option<u64> {
        self.is_connected.then(|| self.cursors.values().filter_map(|cursor| cursor.resend_at).min()).flatten()
    }
}
