//! The bridge's side of the stream whose reports may be dropped: every sequence is received, or covered by a gap that the node has signed.

use super::fleet::node;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::id::BootId;
use flotilla_protocol::report::{ReceiptBody, ReportBody, Stream};
use flotilla_protocol::wire::encode;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Everything that was ever sent under a sequence, also what was lost on its way: never two of them.
    sent: BTreeMap<u64, [u8; 32]>,
    head: Option<(u64, [u8; 32], BootId)>,
    /// Where the chain began.
    first: u64,
    pub(crate) received: u64,
    /// Sequences that are covered by a gap and did not come.
    pub(crate) dropped: u64,
    /// The last uptime and health, and how often the node said that it dropped something.
    pub(crate) gaps: u32,
}

impl Telemetry {
    pub(crate) fn sequence(&self) -> u64 {
        self.head.map_or(0, |(sequence, ..)| sequence)
    }

    pub(crate) fn receipt(&self) -> Option<ReceiptBody> {
        self.head.map(|(up_to, head, boot)| ReceiptBody { node: node(), stream: Stream::Telemetry, boot, up_to, head })
    }

    pub(crate) fn sent(&mut self, report: &ReportBody, is_lost: bool, may_begin_anew: bool) {
        let payload = ReportPayload::decode(&report.payload).unwrap();
        let (first, hash) = match &payload {
            ReportPayload::Gap(gap) => (gap.from, gap.head),
            _ => (report.sequence, flotilla_protocol::sha256(&[&encode(report)])),
        };
        let known = *self.sent.entry(report.sequence).or_insert(hash);
        assert_eq!(known, hash, "two reports {} of telemetry (fork)", report.sequence);
        if !is_lost {
            self.arrived(report, &payload, first, hash, may_begin_anew);
        }
    }

    fn arrived(&mut self, report: &ReportBody, payload: &ReportPayload, first: u64, hash: [u8; 32], may_begin_anew: bool) {
        let (sequence, head) = self.head.map_or((0, [0; 32]), |(sequence, head, _)| (sequence, head));
        if report.sequence <= sequence {
            return;
        }
        if matches!(payload, ReportPayload::MemoryLost(_)) {
            assert!(may_begin_anew && report.previous == [0; 32] && report.oldest_held == report.sequence, "it begins anew for nothing");
            (self.first, self.received, self.dropped) = (report.sequence, 0, 0);
        } else if first > sequence + 1 {
            assert!(report.oldest_held <= sequence + 1 || may_begin_anew, "{} to {first} are missing, and nobody says so", sequence + 1);
            return;
        } else {
            assert!(first <= sequence || report.previous == head, "the chain of telemetry is broken at {first}");
        }
        self.first = if self.first == 0 { 1 } else { self.first };
        match payload {
            ReportPayload::Gap(_) => {
                self.gaps += 1;
                self.dropped += report.sequence - sequence;
            }
            ReportPayload::NodeHealth(_) | ReportPayload::MemoryLost(_) => self.received += 1,
            other => panic!("{other:?} in telemetry"),
        }
        self.head = Some((report.sequence, hash, report.boot));
    }

    /// Whether every sequence so far was received, or covered by a gap.
    pub(crate) fn is_whole(&self) -> bool {
        self.head.is_none_or(|(sequence, ..)| self.received + self.dropped == sequence + 1 - self.first)
    }
}
