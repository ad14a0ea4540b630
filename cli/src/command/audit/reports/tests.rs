use ed25519_dalek::SigningKey;
use flotilla_api::blob::Blob;
use flotilla_protocol::capability::command::{CommandProgress, CommandResult};
use flotilla_protocol::envelope::seal;
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::report::{LossCause, MemoryLost, Stream};
use flotilla_protocol::status::Outcome;
use flotilla_protocol::wire::encode;

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn node(seed: u8) -> NodeId {
    NodeId::of_key(&key(seed).verifying_key().to_bytes())
}

/// The entries of a node that signs one report after the other, as an honest bridge tells them.
struct Node {
    seed: u8,
    sequence: u64,
    previous: [u8; 32],
}

impl Node {
    fn new(seed: u8) -> Self {
        Self { seed, sequence: 0, previous: [0; 32] }
    }

    fn says(&mut self, payload: &ReportPayload) -> Entry {
        self.sequence += 1;
        let report = ReportBody {
            node: node(self.seed),
            stream: Stream::Control,
            boot: BootId([1; 16]),
            sequence: self.sequence,
            previous: self.previous,
            oldest_held: 1,
            time_ms: Some(self.sequence * HOUR_MS),
            payload: payload.encode(),
        };
        let body = encode(&report);
        let hash = flotilla_protocol::sha256(&[&body]);
        let (kind, subject, said) = meaning(payload, &report);
        let mut detail = BTreeMap::from([
            (REPORT.to_owned(), self.sequence.to_string()),
            (REPORT_HASH.to_owned(), Hex(hash).to_string()),
            (REPORT_BEFORE.to_owned(), Hex(self.previous).to_string()),
            (REPORT_KEY.to_owned(), Hex(key(self.seed).verifying_key().to_bytes()).to_string()),
        ]);
        detail.extend(said.map(|(name, value)| (name.to_owned(), value)));
        self.previous = hash;
        let (kind, actor) = (kind.to_owned(), node(self.seed).to_string());
        let report = Some(Blob(seal(Domain::Report, &body, &[&key(self.seed)])));
        Entry { kind, actor, subject, detail, report, ..Entry::default() }
    }

    /// Accepts, starts and ends an order: three reports.
    fn runs(&mut self, order: u8, outcome: Outcome) -> Vec<Entry> {
        let order = OrderId([order; 16]);
        let result = CommandResult { order, outcome, explanation: String::new(), steps: Vec::new() };
        [
            ReportPayload::Admission(Admission::Accepted { order }),
            ReportPayload::CommandProgress(CommandProgress { order }),
            ReportPayload::CommandResult(result),
        ]
        .map(|payload| self.says(&payload))
        .to_vec()
    }
}

/// Two orders, of which the second has failed.
fn honest() -> Vec<Entry> {
    let mut node = Node::new(3);
    [node.runs(1, Outcome::Succeeded), node.runs(2, Outcome::Failed)].concat()
}

/// Numbers entries and follows them.
fn checked(is_cut: bool, shown: BTreeMap<(String, String), ShownEnd>, mut entries: Vec<Entry>) -> Reported {
    let mut reports = Reports::begin(is_cut, shown);
    for (sequence, entry) in (1..).zip(&mut entries) {
        entry.sequence = sequence;
        reports.take(entry);
    }
    reports.finish()
}

fn kinds(entries: Vec<Entry>) -> Vec<(&'static str, Option<u64>, Option<u64>)> {
    checked(false, BTreeMap::new(), entries).findings.iter().map(|finding| (finding.kind, finding.from, finding.to)).collect()
}

#[test]
fn what_a_node_has_signed_is_found_whole_and_its_last_word_has_a_time() {
    let reported = checked(false, BTreeMap::new(), [honest(), Node::new(4).runs(1, Outcome::Succeeded)].concat());
    assert_eq!((reported.reports, reported.proven, reported.findings.len()), (9, 9, 0), "{reported:?}");
    let last: Vec<_> = reported.nodes.iter().map(|heard| (heard.node.clone(), heard.last_report, heard.last_heard_ms)).collect();
    assert_eq!(last, [(node(4).to_string(), Some(3), 3 * HOUR_MS), (node(3).to_string(), Some(6), 6 * HOUR_MS)]);
    insta::assert_snapshot!(reported.sentences(0), @r"
    9 reports of nodes are in it, 9 of them with the node's signature, which fits.
    mi-c5b940ed3f65c3919 was heard last at 1970-01-01T03:00:00Z: report 3, order-ended. Since then it is silent, or its reports are hidden.
    mi-b62e867fa2f33afe6 was heard last at 1970-01-01T06:00:00Z: report 6, order-ended. Since then it is silent, or its reports are hidden.
    ");
}

#[test]
fn a_hidden_middle_is_a_gap_and_a_hidden_tail_is_silence() {
    for (from, to) in [(1, 1), (2, 2), (2, 4), (1, 5)] {
        let mut entries = honest();
        drop(entries.drain(from - 1..to));
        let (from, to) = (u64::try_from(from).unwrap(), u64::try_from(to).unwrap());
        assert_eq!(kinds(entries), [("hidden", Some(from), Some(to))]);
    }
    let mut tail = honest();
    tail.truncate(4);
    let reported = checked(false, BTreeMap::new(), tail);
    assert_eq!((reported.findings.len(), reported.nodes[0].last_report, reported.nodes[0].last_heard_ms), (0, Some(4), 4 * HOUR_MS));
    // Where older entries were removed a node may begin anywhere, once.
    let mut removed = honest();
    drop(removed.drain(..2));
    assert_eq!(checked(true, BTreeMap::new(), removed.clone()).findings, []);
    drop(removed.remove(1));
    assert_eq!(checked(true, BTreeMap::new(), removed).findings.len(), 1);
    // A node that has lost its memory says so itself, and begins far above.
    let mut anew = Node { sequence: 999, ..Node::new(3) };
    let loss = anew.says(&ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 }));
    assert_eq!(kinds([honest(), vec![loss], anew.runs(3, Outcome::Succeeded)].concat()), []);
    // A report of another kind says nothing of the sort.
    assert_eq!(kinds([honest(), Node { sequence: 999, ..Node::new(3) }.runs(3, Outcome::Succeeded)].concat())[0].0, "hidden");
}

#[test]
fn what_a_node_has_not_signed_is_found() {
    type Change = fn(&mut Entry);
    let set = |entry: &mut Entry, name: &str, value: &str| drop(entry.detail.insert(name.to_owned(), value.to_owned()));
    let changes: [(&str, Change); 8] = [
        ("the outcome", |entry| drop(entry.detail.insert("Outcome".to_owned(), "Succeeded".to_owned()))),
        ("the order", |entry| entry.subject = OrderId([9; 16]).to_string()),
        ("the kind", |entry| entry.kind = "order-refused".to_owned()),
        ("the node", |entry| entry.actor = node(4).to_string()),
        ("another key", |entry| {
            drop(entry.detail.insert(REPORT_KEY.to_owned(), Hex(key(4).verifying_key().to_bytes()).to_string()));
        }),
        ("the signature", |entry| entry.report.as_mut().unwrap().0[20] ^= 1),
        ("the body", |entry| *entry.report.as_mut().unwrap().0.last_mut().unwrap() ^= 1),
        ("no envelope", |entry| entry.report = Some(Blob(Vec::new()))),
    ];
    for (what, change) in changes {
        let mut entries = honest();
        change(entries.last_mut().unwrap());
        assert_eq!(kinds(entries), [("forged", None, None)], "{what}");
    }
    // Renumbered to close a gap; and a report that the bridge has made up, with a hash that fits.
    let mut closed = honest();
    drop(closed.remove(3));
    set(&mut closed[3], REPORT, "4");
    assert_eq!(kinds(closed)[0].0, "forged");
    let mut invented = honest();
    (invented[3].report, invented[3].kind) = (None, "order-refused".to_owned());
    assert_eq!(kinds(invented), [("unsigned", None, None)]);
    // Signed as a report of this node, with a key of the attacker's own.
    let mut own = honest();
    let report = own[3].report.as_mut().unwrap();
    report.0 = seal(Domain::Report, Envelope::parse(&report.0, Domain::Report).unwrap().body(), &[&key(9)]);
    set(&mut own[3], REPORT_KEY, &Hex(key(9).verifying_key().to_bytes()).to_string());
    assert_eq!(kinds(own), [("forged", None, None), ("hidden", Some(4), Some(4))]);
    let mut another = honest();
    another[3].report = None;
    set(&mut another[3], REPORT_HASH, &Hex([7; 32]).to_string());
    assert_eq!(kinds(another), [("broken", Some(4), Some(5)), ("unsigned", None, None)]);
    let twice = [honest(), honest()].concat();
    assert_eq!(kinds(twice).len(), 6);
}

#[test]
fn an_end_that_is_shown_must_be_signed() {
    let order = |number: u8| (OrderId([number; 16]).to_string(), node(3).to_string());
    let shown = |number, details| BTreeMap::from([(order(number), ShownEnd::of_details(details).unwrap())]);
    let words = |shown| checked(false, shown, honest()).findings.iter().map(|finding| finding.words.clone()).collect::<String>();
    assert_eq!(words(shown(1, "Success")), "");
    assert!(words(shown(2, "Success")).ends_with("as Succeeded, and the node has signed Failed"));
    assert!(words(shown(2, "Execution Timed Out")).ends_with("as TimedOut, and the node has signed Failed"));
    assert!(words(shown(3, "Success")).ends_with("as Succeeded, and no end that the node has signed is in the log"));
    assert_eq!(ShownEnd::of_details("Undeliverable"), None, "that is the bridge's to say");
    // Only what was found since the last look is new, but what is shown is always.
    let mut hidden = honest();
    drop(hidden.remove(2));
    let reported = checked(false, shown(3, "Success"), hidden);
    assert_eq!([0, 2, 3].map(|seen| reported.fresh(seen).len()), [2, 2, 1]);
}
