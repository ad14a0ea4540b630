//! The chain of a node's reports: whether one follows on what is committed.

use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::hello::Held;
use flotilla_protocol::id::BootId;
use flotilla_protocol::report::ReportBody;

/// The last committed report of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its sequence; 0 when there is none.
    pub sequence: u64,
    /// SHA-256 of its body; zeros when there is none.
    pub hash: [u8; 32],
    /// The boot in which it was made.
    pub boot: BootId,
}

impl Head {
    /// The head of a chain that has not begun.
    pub const NONE: Self = Self { sequence: 0, hash: [0; 32], boot: BootId([0; 16]) };

    /// The head after a report with this place.
    #[must_use]
    pub fn after(report: &ReportBody, place: &Place) -> Self {
        Self { sequence: report.sequence, hash: place.hash, boot: report.boot }
    }
}

/// The place that a report has in its chain. It ends with the report's own sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The report's sequence; of a gap the sequence of the first report that was dropped.
    pub first: u64,
    /// What the next report names as the one before: the hash of this report's body, or of the last that was dropped.
    pub hash: [u8; 32],
    /// Whether it stands for reports that were dropped.
    pub is_gap: bool,
}

impl Place {
    /// The place of a report whose body has this hash. A gap stands for others where reports may be dropped, and nowhere else.
    #[must_use]
    pub fn of(report: &ReportBody, hash: [u8; 32]) -> Self {
        match ReportPayload::decode(&report.payload) {
            Ok(ReportPayload::Gap(gap)) if report.stream.is_droppable() && gap.from <= report.sequence => {
                Self { first: gap.from, hash: gap.head, is_gap: true }
            }
            _ => Self { first: report.sequence, hash, is_gap: false },
        }
    }

    /// How many reports a gap stands for that are not committed under this head; 0 where it is no gap.
    #[must_use]
    pub fn dropped(&self, head: &Head, report: &ReportBody) -> u64 {
        if self.is_gap { report.sequence.saturating_sub(head.sequence.max(self.first.saturating_sub(1))) } else { 0 }
    }
}

/// How a report stands to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is the next one.
    Next,
    /// It was committed before.
    Duplicate,
    /// It contradicts what was committed: two devices with one identity, or a device that lost its memory.
    Fork,
    /// It follows, and the chain begins anew with it: the node has lost its memory, and with it the reports that had not come.
    Anew,
    /// It follows, and this many reports before it are lost for good.
    Gap {
        /// How many.
        missed: u64,
    },
    /// It lies ahead, and what is missing before it is still with the node: it comes again in its turn.
    Ahead,
}

/// Judges a report by its place.
#[must_use]
pub fn judge(head: &Head, report: &ReportBody, place: &Place) -> Link {
    let next = head.sequence.saturating_add(1);
    if report.sequence < head.sequence {
        // Only the head's hash is kept, so an older one is taken for what it says it is; it is not applied either way.
        return Link::Duplicate;
    }
    if report.sequence == head.sequence {
        return if place.hash == head.hash { Link::Duplicate } else { Link::Fork };
    }
    match place.first {
        first if first == next => {
            if report.previous == head.hash {
                Link::Next
            } else {
                Link::Fork
            }
        }
        // A gap, of which a part came before the node dropped it.
        first if first < next => Link::Next,
        first if report.oldest_held == first && begins_anew(report, place) => Link::Anew,
        // It was the only one that the node held, so nothing is passed over. Otherwise the node's next hello says where to go on.
        first if report.oldest_held == first => Link::Gap { missed: first - next },
        _ => Link::Ahead,
    }
}

/// How a node's hello stands to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// Every report that is missing is still with the node.
    Fits,
    /// It contradicts what was committed; see [`Link::Fork`].
    Fork,
    /// The node has had receipts for reports that are not here: this database is an older one. What the node still holds goes on after
    /// `head`, and this many reports before it are lost for good.
    Lost {
        /// Where the chain goes on.
        head: Head,
        /// How many.
        missed: u64,
    },
}

/// Judges what a hello says of the chain.
///
/// Receipts go out after the commit, so a node lacks none of what lies below its oldest report that this database does not have, unless the
/// database was restored. A hello that comes late or a second time says of an earlier moment what was true then. The node states the hash
/// of what it has let go of, and the chain is held to it as to a report that was taken: a clone is found by its next report, or here.
#[must_use]
pub fn greet(head: &Head, held: &Held, boot: BootId) -> Greeting {
    let before = held.oldest.saturating_sub(1);
    if before == head.sequence {
        return if held.before == head.hash { Greeting::Fits } else { Greeting::Fork };
    }
    // Where a chain begins anew, its first report says so.
    if before < head.sequence || held.before == [0; 32] {
        return Greeting::Fits;
    }
    Greeting::Lost { head: Head { sequence: before, hash: held.before, boot }, missed: before - head.sequence }
}

/// A chain begins anew far above where it was, so that how many reports are missing cannot be read from the sequence. A gap can stand for its
/// first report too: no other one has none before it.
fn begins_anew(report: &ReportBody, place: &Place) -> bool {
    let says_so = || matches!(ReportPayload::decode(&report.payload), Ok(ReportPayload::MemoryLost(_)));
    report.previous == [0; 32] && (place.is_gap || says_so())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::report::{Gap, LossCause, MemoryLost, Stream};
    use flotilla_protocol::wire::Payload;

    fn report(sequence: u64, previous: u8, oldest_held: u64) -> ReportBody {
        ReportBody {
            node: flotilla_protocol::id::NodeId::of_key(&[1; 32]),
            stream: Stream::Control,
            boot: BootId([1; 16]),
            sequence,
            previous: [previous; 32],
            oldest_held,
            time_ms: None,
            payload: Payload { kind: 1, body: Vec::new() },
        }
    }

    fn judged(head: &Head, report: &ReportBody, hash: u8) -> Link {
        judge(head, report, &Place::of(report, [hash; 32]))
    }

    #[test]
    fn a_gap_takes_the_place_of_what_was_dropped() {
        let gap = |stream, from, to, previous, head: u8, oldest_held| ReportBody {
            stream,
            payload: ReportPayload::Gap(Gap { from, head: [head; 32] }).encode(),
            ..report(to, previous, oldest_held)
        };
        let telemetry = |from, to, previous, head| gap(Stream::Telemetry, from, to, previous, head, from);
        let head = Head { sequence: 5, hash: [5; 32], boot: BootId([1; 16]) };
        for (report, link, dropped) in [
            (telemetry(6, 9, 5, 9), Link::Next, 4),
            (telemetry(6, 9, 4, 9), Link::Fork, 4),
            // Some of it had come, and the node had no receipt.
            (telemetry(3, 9, 2, 9), Link::Next, 4),
            (telemetry(2, 5, 1, 5), Link::Duplicate, 0),
            (telemetry(2, 5, 1, 7), Link::Fork, 0),
            (telemetry(2, 4, 1, 7), Link::Duplicate, 0),
            // What the node says that it dropped is not what is missing.
            (telemetry(8, 9, 7, 9), Link::Gap { missed: 2 }, 2),
            (gap(Stream::Telemetry, 8, 9, 7, 9, 6), Link::Ahead, 2),
            // The first report of a chain that began anew was dropped too.
            (telemetry(900, 905, 0, 9), Link::Anew, 6),
            (gap(Stream::Telemetry, 900, 905, 0, 9, 7), Link::Ahead, 6),
            // Control is never dropped: there it is a report like any other.
            (gap(Stream::Control, 3, 9, 5, 9, 6), Link::Ahead, 0),
            (gap(Stream::Control, 6, 6, 5, 9, 6), Link::Next, 0),
            (gap(Stream::Telemetry, 9, 6, 5, 9, 6), Link::Next, 0),
        ] {
            let place = Place::of(&report, [77; 32]);
            assert_eq!((judge(&head, &report, &place), place.dropped(&head, &report)), (link, dropped), "{report:?}");
        }
        // The chain goes on with what was made after the last that was dropped.
        let report_after = report(10, 9, 6);
        let gap = telemetry(6, 9, 5, 9);
        let head = Head::after(&gap, &Place::of(&gap, [77; 32]));
        assert_eq!(judged(&head, &report_after, 10), Link::Next);
    }

    #[test]
    fn reports_are_judged_against_the_head() {
        let head = Head { sequence: 5, hash: [5; 32], boot: BootId([1; 16]) };
        let cases = [
            (report(6, 5, 6), 6, Link::Next),
            (report(6, 4, 6), 6, Link::Fork),
            (report(5, 4, 5), 5, Link::Duplicate),
            (report(5, 4, 5), 9, Link::Fork),
            (report(1, 0, 1), 1, Link::Duplicate),
            (report(8, 7, 6), 8, Link::Ahead),
            (report(8, 7, 1), 8, Link::Ahead),
            (report(8, 7, 8), 8, Link::Gap { missed: 2 }),
            (report(8, 7, 7), 8, Link::Ahead),
        ];
        for (report, hash, expected) in cases {
            assert_eq!(judged(&head, &report, hash), expected, "{report:?}");
        }
        let lost = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 }).encode();
        let anew = |sequence, previous, oldest_held| ReportBody { payload: lost.clone(), ..report(sequence, previous, oldest_held) };
        for (report, hash, expected) in [
            (anew(900, 0, 900), 1, Link::Anew),
            (anew(900, 0, 7), 1, Link::Ahead),
            (anew(900, 1, 900), 1, Link::Gap { missed: 894 }),
            (anew(3, 0, 3), 1, Link::Duplicate),
        ] {
            assert_eq!(judged(&head, &report, hash), expected, "{report:?}");
        }
        assert_eq!(judged(&Head::NONE, &anew(900, 0, 900), 1), Link::Anew);
        assert_eq!(judged(&Head::NONE, &report(1, 0, 1), 1), Link::Next);
        assert_eq!(judged(&Head::NONE, &report(1, 7, 1), 1), Link::Fork);
    }

    #[test]
    fn a_hello_tells_an_older_database_from_a_clone() {
        let head = Head { sequence: 5, hash: [5; 32], boot: BootId([1; 16]) };
        let held = |oldest, before: u8| Held { oldest, before: [before; 32], next: oldest + 3 };
        let boot = BootId([2; 16]);
        let lost = |sequence, hash: u8, missed| Greeting::Lost { head: Head { sequence, hash: [hash; 32], boot }, missed };
        for (held, expected) in [
            (held(6, 5), Greeting::Fits),
            (held(6, 4), Greeting::Fork),
            (held(3, 9), Greeting::Fits),
            (held(900, 0), Greeting::Fits),
            (held(9, 8), lost(8, 8, 3)),
        ] {
            assert_eq!(greet(&head, &held, boot), expected, "{held:?}");
        }
        assert_eq!(greet(&Head::NONE, &held(1, 0), boot), Greeting::Fits);
        assert_eq!(greet(&Head::NONE, &held(4, 7), boot), lost(3, 7, 3));
        // After it the chain is judged as strictly as ever.
        let Greeting::Lost { head, .. } = greet(&head, &held(9, 8), boot) else { panic!("it is lost") };
        assert_eq!(judged(&head, &report(9, 8, 6), 9), Link::Next);
        assert_eq!(judged(&head, &report(9, 7, 9), 9), Link::Fork);
    }
}
