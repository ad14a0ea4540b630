//! The chain of reports of a stream, and those that have no receipt yet.
//!
//! Control is never dropped: when its spool is full, new orders are refused instead ([`Spool::is_full`]). Of another stream the oldest
//! reports may be dropped; a signed gap stands in the chain in their place ([`Spool::make_gap`]), and is held, sent and receipted as they
//! were.

use crate::record::RecordError;
use ed25519_dalek::SigningKey;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello;
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::report::{Gap, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::status::Admission;
use flotilla_protocol::wire::{decode, encode};
use std::collections::VecDeque;

/// Reports on their way without a receipt, at most: what a bridge answers in one commit.
const WINDOW: usize = 64;

/// Bytes of reports without a receipt at which no more orders are taken: a node of 64 MB of memory bears it.
const FULL_BYTES: usize = 8 * 1024 * 1024;

/// Pause before reports are sent again until a welcome says otherwise, in milliseconds.
const DEFAULT_PAUSE_MS: (u32, u32) = (5_000, 600_000);

/// After so many repetitions without a receipt something is wrong that only a hello can mend.
const UNANSWERED: u32 = 2;

#[derive(Debug)]
struct Held {
    /// The sequence; of a gap that of the first report that it stands for.
    first: u64,
    sequence: u64,
    /// Hash of the report before `first`.
    previous: [u8; 32],
    /// What the next report names as the one before.
    hash: [u8; 32],
    boot: BootId,
    order: Option<OrderId>,
    is_result: bool,
    is_gap: bool,
    bytes: Vec<u8>,
}

/// The chain, and what is held of it.
#[derive(Debug)]
pub(crate) struct Spool {
    node: NodeId,
    boot: BootId,
    stream: Stream,
    sequence: u64,
    head: [u8; 32],
    receipted: u64,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Reports that gaps took the place of, since the start.
    dropped: u64,
    /// The highest sequence sent on this connection; `None` while there is none.
    sent_up_to: Option<u64>,
    pace_ms: (u32, u32),
    pause_ms: u32,
    resend_at: Option<u64>,
    /// How often the window was sent again since the last receipt.
    resends: u32,
}

/// What a receipt did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipted {
    /// These orders' results are with the bridge.
    Freed(Vec<OrderId>),
    /// It repeats an earlier one.
    Nothing,
    /// It does not fit what was sent.
    Unasked,
}

impl Spool {
    pub(crate) fn new(node: NodeId, boot: BootId, stream: Stream) -> Self {
        Self {
            node,
            boot,
            stream,
            sequence: 0,
            head: [0; 32],
            receipted: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            dropped: 0,
            sent_up_to: None,
            pace_ms: DEFAULT_PAUSE_MS,
            pause_ms: DEFAULT_PAUSE_MS.0,
            resend_at: None,
            resends: 0,
        }
    }

    /// Makes the next report of the chain and returns its signed bytes, which [`Spool::replay`] takes once they are recorded.
    pub(crate) fn make(&self, key: &SigningKey, time_ms: Option<u64>, payload: &ReportPayload) -> Vec<u8> {
        let sequence = self.sequence + 1;
        let oldest_held = self.held.front().map_or(sequence, |held| held.first);
        self.seal(key, time_ms, payload, sequence, self.head, oldest_held)
    }

    /// Makes the gap that stands for everything up to the oldest report that was not dropped before, and for that report too. Nothing where
    /// nothing is held, or nothing but a gap. [`Spool::replay`] takes it once it is recorded.
    pub(crate) fn make_gap(&self, key: &SigningKey, time_ms: Option<u64>) -> Option<Vec<u8>> {
        let oldest = self.held.front()?;
        let last = self.held.iter().find(|held| !held.is_gap)?;
        let gap = ReportPayload::Gap(Gap { from: oldest.first, head: last.hash });
        Some(self.seal(key, time_ms, &gap, last.sequence, oldest.previous, oldest.first))
    }

    fn seal(
        &self,
        key: &SigningKey,
        time_ms: Option<u64>,
        payload: &ReportPayload,
        sequence: u64,
        previous: [u8; 32],
        oldest_held: u64,
    ) -> Vec<u8> {
        let (node, stream, boot) = (self.node, self.stream, self.boot);
        let body = ReportBody { node, stream, boot, sequence, previous, oldest_held, time_ms, payload: payload.encode() };
        seal(Domain::Report, &encode(&body), &[key])
    }

    /// Takes a report that was just recorded, or is read back from the journal.
    pub(crate) fn replay(&mut self, bytes: Vec<u8>) -> Result<(), RecordError> {
        let envelope = Envelope::parse(&bytes, Domain::Report).map_err(|_| RecordError::Malformed)?;
        let hash = flotilla_protocol::sha256(&[envelope.body()]);
        let body: ReportBody = decode(envelope.body()).map_err(|_| RecordError::Malformed)?;
        if body.node != self.node {
            return Err(RecordError::AnotherNode);
        }
        let payload = ReportPayload::decode(&body.payload);
        if let (Ok(ReportPayload::Gap(gap)), true) = (&payload, self.stream.is_droppable()) {
            return self.replay_gap(&body, *gap, bytes);
        }
        // Control begins anew with a record of its own, which says more.
        let begins_anew = self.sequence == 0 && body.previous == [0; 32] && matches!(payload, Ok(ReportPayload::MemoryLost(_)));
        if begins_anew && self.stream.is_droppable() {
            self.begin_anew(body.sequence.saturating_sub(1));
        }
        if body.sequence != self.sequence + 1 || body.previous != self.head {
            return Err(RecordError::BrokenChain);
        }
        let (order, is_result) = match payload {
            Ok(ReportPayload::Admission(Admission::Accepted { order } | Admission::Rejected { order, .. })) => (Some(order), false),
            Ok(ReportPayload::CommandProgress(progress)) => (Some(progress.order), false),
            Ok(ReportPayload::CommandRebooting(rebooting)) => (Some(rebooting.order), false),
            Ok(ReportPayload::CommandResult(result)) => (Some(result.order), true),
            Ok(
                ReportPayload::Gap(_)
                | ReportPayload::MemoryLost(_)
                | ReportPayload::NodeHealth(_)
                | ReportPayload::Inventory(_)
                | ReportPayload::Unsupported(_),
            )
            | Err(_) => (None, false),
        };
        self.sequence = body.sequence;
        self.head = hash;
        self.held_bytes += bytes.len();
        let (first, sequence, previous, boot) = (body.sequence, body.sequence, body.previous, body.boot);
        self.held.push_back(Held { first, sequence, previous, hash, boot, order, is_result, is_gap: false, bytes });
        Ok(())
    }

    /// A gap takes the place of what it stands for. In a snapshot that is not there any more, and the chain goes on with the gap.
    fn replay_gap(&mut self, body: &ReportBody, gap: Gap, bytes: Vec<u8>) -> Result<(), RecordError> {
        let (sequence, before) = self.beginning();
        let last = self.held.iter().find(|held| held.sequence == body.sequence);
        let fits = last.map_or_else(|| self.held.is_empty() && body.sequence > self.sequence, |last| last.hash == gap.head);
        if !fits || gap.from != sequence + 1 || body.previous != before {
            return Err(RecordError::BrokenChain);
        }
        while let Some(dropped) = self.held.pop_front_if(|held| held.sequence <= body.sequence) {
            self.held_bytes -= dropped.bytes.len();
            self.dropped += u64::from(!dropped.is_gap);
        }
        if body.sequence > self.sequence {
            (self.sequence, self.head) = (body.sequence, gap.head);
        }
        self.held_bytes += bytes.len();
        let (first, sequence, previous, hash, boot) = (gap.from, body.sequence, body.previous, gap.head, body.boot);
        self.held.push_front(Held { first, sequence, previous, hash, boot, order: None, is_result: false, is_gap: true, bytes });
        Ok(())
    }

    /// Begins the chain anew after this sequence.
    pub(crate) fn begin_anew(&mut self, sequence: u64) {
        self.restore(sequence, [0; 32], sequence);
        self.held.clear();
        (self.held_bytes, self.sent_up_to, self.resend_at) = (0, self.sent_up_to.map(|_| sequence), None);
    }

    /// How many reports are held, and their bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.held.len(), self.held_bytes)
    }

    /// How many reports gaps took the place of, since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether something other than a gap is held.
    pub(crate) fn has_droppable(&self) -> bool {
        self.held.iter().any(|held| !held.is_gap)
    }

    /// Whether a gap is held.
    pub(crate) fn has_gap(&self) -> bool {
        self.held.iter().any(|held| held.is_gap)
    }

    /// Whether receipts have gone further than this. A chain that has just begun anew has none yet: what it begins after never was at the bridge.
    pub(crate) fn was_further_than(&self, bridge_has: u64) -> bool {
        let begins_anew = self.held.front().is_some_and(|held| held.previous == [0; 32]);
        bridge_has < self.receipted && !begins_anew
    }

    /// From here on what is dropped counts.
    pub(crate) fn start_counting(&mut self) {
        self.dropped = 0;
    }

    /// Whether reports are sent.
    pub(crate) fn is_connected(&self) -> bool {
        self.sent_up_to.is_some()
    }

    /// Whether everything that may be on its way is: what has not been sent on this connection waits for receipts.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.sent_up_to.is_some_and(|sent_up_to| self.held.back().is_none_or(|held| held.sequence <= sent_up_to))
    }

    /// The last sequence of the chain.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sets the chain as a snapshot has it; the held reports follow with [`Spool::replay`].
    pub(crate) fn restore(&mut self, sequence: u64, head: [u8; 32], receipted: u64) {
        (self.sequence, self.head, self.receipted) = (sequence, head, receipted);
    }

    /// Where the chain stood before its oldest held report, where it stands, and the held reports: for a snapshot.
    pub(crate) fn snapshot(&self) -> (u64, [u8; 32], u64, Vec<Vec<u8>>) {
        let (sequence, head) = self.beginning();
        (sequence, head, self.receipted, self.held.iter().map(|held| held.bytes.clone()).collect())
    }

    /// The sequence before the oldest held report, and the hash of that report.
    fn beginning(&self) -> (u64, [u8; 32]) {
        self.held.front().map_or((self.sequence, self.head), |held| (held.first - 1, held.previous))
    }

    /// Forgets everything up to `up_to`, as the journal says, and returns the orders whose results were among it.
    pub(crate) fn forget(&mut self, up_to: u64) -> Vec<OrderId> {
        self.receipted = self.receipted.max(up_to);
        let mut results = Vec::new();
        while let Some(held) = self.held.pop_front_if(|held| held.sequence <= up_to) {
            self.held_bytes -= held.bytes.len();
            results.extend(held.order.filter(|_| held.is_result));
        }
        results
    }

    /// Judges a receipt whose signature is verified.
    pub(crate) fn receipt(&mut self, receipt: &ReceiptBody, now: u64) -> Receipted {
        // A receipt for what was dropped meanwhile frees nothing; the gap gets its own.
        let dropped = self.held.front().filter(|held| held.is_gap).map_or(0, |gap| gap.sequence - 1);
        if receipt.up_to <= self.receipted.max(dropped) {
            return Receipted::Nothing;
        }
        // The last report that a gap stands for may have come before the gap, and may be of another boot than it.
        let is_of_boot = |held: &Held| held.is_gap || held.boot == receipt.boot;
        let fits = |held: &Held| held.sequence == receipt.up_to && held.hash == receipt.head && is_of_boot(held);
        if !self.held.iter().any(fits) {
            return Receipted::Unasked;
        }
        let freed = self.forget(receipt.up_to);
        self.pause_ms = self.pace_ms.0;
        self.resends = 0;
        self.resend_at = (!self.held.is_empty()).then(|| now + u64::from(self.pause_ms));
        Receipted::Freed(freed)
    }

    /// Whether so much waits for receipts that no more orders are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.held_bytes > FULL_BYTES
    }

    /// Whether what is held was sent several times and nobody has said anything: the bridge may not be able to take it up.
    pub(crate) fn is_unanswered(&self) -> bool {
        !self.held.is_empty() && self.resends >= UNANSWERED
    }

    /// How often what is held was sent again since the last receipt.
    pub(crate) fn resends(&self) -> u32 {
        self.resends
    }

    /// What a hello says of the chain.
    pub(crate) fn state(&self) -> hello::Held {
        let (before_sequence, before) = self.beginning();
        hello::Held { oldest: before_sequence + 1, before, next: self.sequence + 1 }
    }

    /// Whether the result of an order waits for its receipt.
    pub(crate) fn holds_result_of(&self, order: OrderId) -> bool {
        self.held.iter().any(|held| held.is_result && held.order == Some(order))
    }

    pub(crate) fn connected(&mut self) {
        self.sent_up_to = Some(self.receipted);
        self.pause_ms = self.pace_ms.0;
        self.resends = 0;
    }

    pub(crate) fn disconnected(&mut self) {
        self.sent_up_to = None;
        self.resend_at = None;
    }

    pub(crate) fn set_pace(&mut self, minimum_ms: u32, maximum_ms: u32) {
        self.pace_ms = (minimum_ms, maximum_ms);
        self.pause_ms = minimum_ms;
    }

    /// Everything that concerns `order` and has no receipt yet: the answer to an order that comes again.
    pub(crate) fn about(&self, order: OrderId) -> Vec<Vec<u8>> {
        self.held.iter().filter(|held| held.order == Some(order)).map(|held| held.bytes.clone()).collect()
    }

    /// The reports to send now: those not yet sent on this connection, within the window; all of the window again when no receipt came in
    /// time.
    pub(crate) fn due(&mut self, now: u64) -> Vec<Vec<u8>> {
        let Some(mut sent_up_to) = self.sent_up_to else { return Vec::new() };
        if self.held.is_empty() {
            self.resend_at = None;
            return Vec::new();
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            sent_up_to = self.receipted;
            self.pause_ms = self.pause_ms.saturating_mul(2).min(self.pace_ms.1);
            self.resend_at = None;
            self.resends = self.resends.saturating_add(1);
        }
        let due: Vec<&Held> = self.held.iter().take(WINDOW).filter(|held| held.sequence > sent_up_to).collect();
        if let Some(last) = due.last() {
            sent_up_to = last.sequence;
        }
        let due = due.into_iter().map(|held| held.bytes.clone()).collect();
        self.sent_up_to = Some(sent_up_to);
        self.resend_at.get_or_insert_with(|| now + u64::from(self.pause_ms));
        due
    }

    pub(crate) fn next_wakeup(&self) -> Option<u64> {
        self.sent_up_to.and(self.resend_at)
    }
}
