//! Kept output on its way to the bridge: for each stream of each step one cursor and at most one chunk under way.
//!
//! Chunks need no journal: the output is in the job's folder, the bridge's receipt says how far it has it, and a chunk may come twice.

use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::OutputStream;
use std::collections::BTreeMap;

/// Most chunks under way at once; the other streams take turns with them.
const MAXIMUM_UNDER_WAY: usize = 4;

/// First and longest pause before a chunk without a receipt is sent again, in milliseconds; it doubles in between.
const PAUSE_MS: (u64, u64) = (5_000, 600_000);

pub(crate) type StreamId = (OrderId, u16, OutputStream);

#[derive(Debug)]
struct Cursor {
    /// The bridge has everything before this.
    committed: u64,
    /// The bridge has less than we thought: it was restored from a backup. Followed when the pause is over, so that old receipts
    /// that come again cannot make us send more than the pace allows.
    rewind_to: Option<u64>,
    /// Bytes that exist so far.
    kept: u64,
    /// No more will come.
    is_final: bool,
    /// A chunk is under way until this uptime.
    under_way_until: Option<u64>,
    pause_ms: u64,
    /// When it had its last turn: who waited longest is next.
    turn: u64,
}

impl Cursor {
    fn is_done(&self) -> bool {
        self.is_final && self.committed >= self.kept
    }
}

/// All cursors.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    cursors: BTreeMap<StreamId, Cursor>,
    is_connected: bool,
    turns: u64,
}

impl Uploads {
    pub(crate) fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
        for cursor in self.cursors.values_mut() {
            (cursor.under_way_until, cursor.pause_ms) = (None, PAUSE_MS.0);
        }
    }

    /// A stream has so many bytes by now.
    pub(crate) fn grew(&mut self, id: StreamId, kept: u64, is_final: bool) {
        let cursor = self.cursors.entry(id).or_insert(Cursor {
            committed: 0,
            rewind_to: None,
            kept: 0,
            is_final: false,
            under_way_until: None,
            pause_ms: PAUSE_MS.0,
            turn: 0,
        });
        cursor.kept = cursor.kept.max(kept);
        cursor.is_final |= is_final;
        if cursor.is_done() {
            self.cursors.remove(&id);
        }
    }

    /// An order has ended: streams that its result does not speak of, or carries whole, are not sent any further.
    pub(crate) fn end(&mut self, order: OrderId) {
        self.cursors.retain(|(of, ..), cursor| *of != order || cursor.is_final);
    }

    /// Takes a verified receipt.
    pub(crate) fn receipt(&mut self, id: StreamId, up_to: u64) {
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        if up_to > cursor.committed {
            (cursor.committed, cursor.rewind_to) = (up_to, None);
            (cursor.under_way_until, cursor.pause_ms) = (None, PAUSE_MS.0);
            if cursor.is_done() {
                self.cursors.remove(&id);
            }
        } else if up_to < cursor.committed {
            cursor.rewind_to = Some(up_to);
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

    /// How many streams are on their way.
    pub(crate) fn count(&self) -> usize {
        self.cursors.len()
    }

    /// The reads to ask for now, each with its offset.
    pub(crate) fn due(&mut self, now: u64) -> Vec<(StreamId, u64)> {
        if !self.is_connected {
            return Vec::new();
        }
        for cursor in self.cursors.values_mut().filter(|cursor| cursor.under_way_until.is_some_and(|until| until <= now)) {
            cursor.under_way_until = None;
            cursor.committed = cursor.rewind_to.take().unwrap_or(cursor.committed);
            cursor.pause_ms = (cursor.pause_ms * 2).min(PAUSE_MS.1);
        }
        let under_way = self.cursors.values().filter(|cursor| cursor.under_way_until.is_some()).count();
        let is_due = |cursor: &Cursor| cursor.under_way_until.is_none() && cursor.committed < cursor.kept;
        let mut waiting: Vec<(&StreamId, &mut Cursor)> = self.cursors.iter_mut().filter(|(_, cursor)| is_due(cursor)).collect();
        waiting.sort_by_key(|(_, cursor)| cursor.turn);
        let mut due = Vec::new();
        for (id, cursor) in waiting.into_iter().take(MAXIMUM_UNDER_WAY.saturating_sub(under_way)) {
            self.turns += 1;
            cursor.turn = self.turns;
            cursor.under_way_until = Some(now + cursor.pause_ms);
            due.push((*id, cursor.committed));
        }
        due
    }

    pub(crate) fn next_wakeup(&self) -> Option<u64> {
        self.is_connected.then(|| self.cursors.values().filter_map(|cursor| cursor.under_way_until).min()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8, stream: OutputStream) -> StreamId {
        (OrderId([number; 16]), 0, stream)
    }

    #[test]
    fn receipts_that_bring_nothing_new_send_nothing() {
        let mut uploads = Uploads::default();
        uploads.set_connected(true);
        uploads.grew(id(1, OutputStream::Stdout), 100_000, true);
        assert_eq!(uploads.due(0).len(), 1);
        uploads.receipt(id(1, OutputStream::Stdout), 16_384);
        assert_eq!(uploads.due(0), [(id(1, OutputStream::Stdout), 16_384)]);
        for _ in 0..10 {
            uploads.receipt(id(1, OutputStream::Stdout), 16_384);
            uploads.receipt(id(1, OutputStream::Stdout), 0);
        }
        assert_eq!(uploads.due(1), []);
        assert_eq!(uploads.due(5_000), [(id(1, OutputStream::Stdout), 0)], "the bridge has lost what it had");
    }

    #[test]
    fn a_silent_bridge_never_keeps_the_node_awake_and_everyone_gets_a_turn() {
        let mut uploads = Uploads::default();
        uploads.set_connected(true);
        for number in 0..9 {
            uploads.grew(id(number, OutputStream::Stderr), 10, true);
        }
        let (mut now, mut seen) = (0, std::collections::BTreeSet::new());
        for number in 0..30 {
            seen.extend(uploads.due(now).into_iter().map(|(id, _)| id));
            uploads.grew(id(number, OutputStream::Stdout), 10, true);
            let next = uploads.next_wakeup().unwrap();
            assert!(next > now, "a wake-up in the past");
            now = next;
        }
        assert!(seen.len() > 20, "{} streams had a turn", seen.len());
    }

    #[test]
    fn output_that_was_sent_before_the_end_is_done_at_the_end() {
        let mut uploads = Uploads::default();
        uploads.set_connected(true);
        uploads.grew(id(1, OutputStream::Stdout), 10, false);
        uploads.receipt(id(1, OutputStream::Stdout), 10);
        assert!(uploads.concerns(OrderId([1; 16])));
        uploads.grew(id(1, OutputStream::Stdout), 10, true);
        assert!(!uploads.concerns(OrderId([1; 16])));
    }
}
