//! The nodes' signed reports in the log: what a bridge that is an attacker's has left out of them, or put in.
//!
//! A node numbers its control reports and names in each the hash of the one before, under its signature. So a report that was left out shows
//! as a gap, and what a node has not signed shows as such: neither needs the bridge's word. What was left out at the end shows as silence,
//! which is said of each node with its time.

use std::collections::{BTreeMap, VecDeque};

use flotilla_api::audit::{Entry, Hex, KEPT_REPORTS, REPORT, REPORT_BEFORE, REPORT_HASH, REPORT_KEY};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::signature::strong_key;
use flotilla_protocol::status::Admission;
use flotilla_protocol::wire::decode;
use serde::Serialize;

use super::moment;
use super::shown::{self, ShownEnd};

/// Most findings that are named.
const MAXIMUM_FINDINGS: usize = 100;
/// Most nodes that are followed: as many as a fleet has.
const MAXIMUM_NODES: usize = 1 << 20;
/// Nodes of which people are told one by one when they were heard last: those that are silent for longest.
const SHOWN_NODES: usize = 20;

/// What is wrong with the reports of a node, in the log or in what the bridge shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Finding {
    /// `hidden`, `broken`, `again`, `unsigned` or `forged`.
    kind: &'static str,
    /// The node.
    node: String,
    /// The first report that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    /// The last.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    /// The entry where it shows; nothing where it is about what the bridge shows elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    /// The whole, for people.
    words: String,
}

impl Finding {
    /// The whole, for people.
    pub(super) fn words(&self) -> &str {
        &self.words
    }
}

/// When a node was heard last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Heard {
    node: String,
    /// The number of its last report in the log; nothing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_report: Option<u64>,
    /// When it made it, or when it was enrolled: Unix time in milliseconds.
    last_heard_ms: u64,
    /// The node has signed that time; else it is the bridge's.
    is_signed_time: bool,
    /// What it said: the kind of the entry.
    said: String,
}

/// What the check of all reports came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Reported {
    /// Reports of nodes that the log tells of.
    pub(super) reports: u64,
    /// Of how many the node's signature was there, and fits.
    pub(super) proven: u64,
    /// What is wrong, the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) findings: Vec<Finding>,
    /// The nodes, those that are silent for longest first.
    pub(super) nodes: Vec<Heard>,
}

/// The last report of a node.
#[derive(Debug)]
struct Last {
    sequence: Option<u64>,
    hash: Hex<32>,
    heard: Heard,
}

/// Follows the reports of all nodes through a log: [`Reports::take`] for each entry, [`Reports::finish`].
#[derive(Debug)]
pub(super) struct Reports {
    /// Older entries were removed, so that a node's first report here may have any number.
    is_cut: bool,
    nodes: BTreeMap<String, Last>,
    /// The ends that the bridge shows, and what nodes have signed of them.
    shown: BTreeMap<(String, String), ShownEnd>,
    /// Of the newest reports, those without the node's signature: the entry, the node and the report.
    unsigned: VecDeque<Option<(u64, String, u64)>>,
    reported: Reported,
}

/// A report as an entry tells it.
struct Told {
    sequence: u64,
    hash: Hex<32>,
    /// Nothing in entries of before it was told.
    previous: Option<Hex<32>>,
    /// What its node has signed; nothing where that is not kept any more.
    proven: Option<ReportBody>,
}

impl Reports {
    /// Begins with a log, of which older entries were removed or not, and with what the bridge shows of ends.
    pub(super) fn begin(is_cut: bool, shown: BTreeMap<(String, String), ShownEnd>) -> Self {
        Self { is_cut, nodes: BTreeMap::new(), shown, unsigned: VecDeque::new(), reported: Reported::default() }
    }

    /// Takes the next entry of the log.
    pub(super) fn take(&mut self, entry: &Entry) {
        if entry.kind == "node-enrolled" {
            self.enrolled(entry);
        }
        if !entry.detail.contains_key(REPORT) {
            return;
        }
        self.reported.reports += 1;
        match told(entry) {
            Ok(told) => self.follow(entry, told),
            Err(reason) => {
                let words = format!("entry {} tells a report of {} that it has not signed: {reason}", entry.sequence, entry.actor);
                self.find("forged", entry, None, words);
            }
        }
    }

    fn enrolled(&mut self, entry: &Entry) {
        if self.nodes.len() < MAXIMUM_NODES {
            let said = entry.kind.clone();
            let heard = Heard { node: entry.actor.clone(), last_report: None, last_heard_ms: entry.time_ms, is_signed_time: false, said };
            self.nodes.entry(entry.actor.clone()).or_insert(Last { sequence: None, hash: Hex([0; 32]), heard });
        }
    }

    fn follow(&mut self, entry: &Entry, told: Told) {
        let node = entry.actor.clone();
        let is_anew = told.previous == Some(Hex([0; 32])) && told.proven.as_ref().is_some_and(says_memory_lost);
        let last = self.nodes.get(&node);
        let first = last.and_then(|last| last.sequence).map_or(1, |sequence| sequence.saturating_add(1));
        let is_first = last.is_none_or(|last| last.sequence.is_none());
        if told.sequence < first {
            let words = format!("entry {} tells report {} of {node} again, or where it does not belong", entry.sequence, told.sequence);
            self.find("again", entry, Some((told.sequence, told.sequence)), words);
            return;
        }
        if told.sequence > first && !is_anew && !(is_first && self.is_cut) {
            let (from, to) = (first, told.sequence - 1);
            let words = format!(
                "the reports {from} to {to} of {node} are not in the log: they were hidden or lost before entry {}",
                entry.sequence
            );
            self.find("hidden", entry, Some((from, to)), words);
        } else if told.sequence == first
            && !is_first
            && last.is_some_and(|last| told.previous.is_some_and(|previous| previous != last.hash))
        {
            let words = format!(
                "report {} of {node} in entry {} follows another report {} than the log tells",
                told.sequence,
                entry.sequence,
                told.sequence - 1
            );
            self.find("broken", entry, Some((told.sequence - 1, told.sequence)), words);
        }
        self.unsigned.push_back(told.proven.is_none().then(|| (entry.sequence, node.clone(), told.sequence)));
        if u64::try_from(self.unsigned.len()).is_ok_and(|count| count > KEPT_REPORTS) {
            self.unsigned.pop_front();
        }
        if let Some(report) = &told.proven {
            self.reported.proven += 1;
            if let Some(shown) = self.shown.get_mut(&(entry.subject.clone(), node.clone())) {
                shown.signs(report);
            }
        }
        let signed_ms = told.proven.as_ref().and_then(|report| report.time_ms);
        let heard = Heard {
            node: node.clone(),
            last_report: Some(told.sequence),
            last_heard_ms: signed_ms.unwrap_or(entry.time_ms),
            is_signed_time: signed_ms.is_some(),
            said: entry.kind.clone(),
        };
        if self.nodes.len() < MAXIMUM_NODES || self.nodes.contains_key(&node) {
            self.nodes.insert(node, Last { sequence: Some(told.sequence), hash: told.hash, heard });
        }
    }

    fn find(&mut self, kind: &'static str, entry: &Entry, range: Option<(u64, u64)>, words: String) {
        if self.reported.findings.len() < MAXIMUM_FINDINGS {
            let (from, to) = range.unzip();
            self.reported.findings.push(Finding { kind, node: entry.actor.clone(), from, to, entry: Some(entry.sequence), words });
        }
    }

    /// Ends with the log.
    pub(super) fn finish(mut self) -> Reported {
        let unsigned: Vec<_> = self.unsigned.into_iter().flatten().collect();
        if let (Some((first, node, report)), Some((last, ..))) = (unsigned.first(), unsigned.last()) {
            let count = unsigned.len();
            let words = format!(
                "{count} of the newest reports are told without the node's signature, from entry {first} (report {report} of {node}) to entry {last}: \
                 their words are the bridge's"
            );
            let finding = Finding { kind: "unsigned", node: node.clone(), from: None, to: None, entry: Some(*last), words };
            self.reported.findings.push(finding);
        }
        let contradicted = self.shown.iter().filter_map(|((command, node), shown)| Some((command, node, shown.contradiction()?)));
        for (command, node, contradiction) in contradicted.take(MAXIMUM_FINDINGS) {
            let words = format!("the bridge shows the command {command} on {node} as {contradiction}");
            self.reported.findings.push(Finding { kind: "forged", node: node.clone(), from: None, to: None, entry: None, words });
        }
        let mut nodes: Vec<Heard> = self.nodes.into_values().map(|last| last.heard).collect();
        nodes.sort_by(|one, other| (one.last_heard_ms, &one.node).cmp(&(other.last_heard_ms, &other.node)));
        self.reported.nodes = nodes;
        self.reported
    }
}

impl Reported {
    /// What was found behind this entry, which was the last when the log was looked at before; and all that is not about the log.
    pub(super) fn fresh(&self, seen: u64) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.entry.is_none_or(|entry| entry > seen)).collect()
    }

    /// For people.
    pub(super) fn sentences(&self, seen: u64) -> String {
        let mut text =
            format!("{} reports of nodes are in it, {} of them with the node's signature, which fits.\n", self.reports, self.proven);
        for finding in &self.findings {
            let is_fresh = finding.entry.is_none_or(|entry| entry > seen);
            text.push_str(&format!("{}: {}.\n", if is_fresh { "GAP OR FORGERY" } else { "Known since the look before" }, finding.words));
        }
        for heard in self.nodes.iter().take(SHOWN_NODES) {
            text.push_str(&heard.sentence());
        }
        if let Some(others) = self.nodes.len().checked_sub(SHOWN_NODES).filter(|others| *others > 0) {
            text.push_str(&format!("{others} other nodes were heard later than these; --output json lists all.\n"));
        }
        text
    }

    /// For scripts: a line for each finding and each node.
    pub(super) fn lines(&self) -> String {
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let findings = self.findings.iter().map(|finding| {
            let Finding { kind, node, from, to, entry, .. } = finding;
            format!("{kind}\t{node}\t{}\t{}\t{}\n", number(*from), number(*to), number(*entry))
        });
        let heard = self.nodes.iter().map(|heard| {
            let Heard { node, last_report, last_heard_ms, .. } = heard;
            format!("heard\t{node}\t{}\t{}\n", number(*last_report), moment(*last_heard_ms))
        });
        findings.chain(heard).collect()
    }
}

impl Heard {
    fn sentence(&self) -> String {
        let Self { node, last_report, last_heard_ms, is_signed_time, said } = self;
        let at = moment(*last_heard_ms);
        match last_report {
            None => format!("{node} was enrolled at {at}, and nothing is heard of it since.\n"),
            Some(report) => {
                let whose = if *is_signed_time { "" } else { ", by the bridge's clock" };
                format!(
                    "{node} was heard last at {at}{whose}: report {report}, {said}. Since then it is silent, or its reports are hidden.\n"
                )
            }
        }
    }
}

/// The report of an entry: what the entry says of it is what its node has signed, where that is kept.
fn told(entry: &Entry) -> Result<Told, String> {
    let number = entry.detail.get(REPORT).and_then(|text| text.parse().ok());
    let hash = |name: &str| entry.detail.get(name).and_then(|text| text.parse().ok());
    let sequence: u64 = number.filter(|number| *number > 0).ok_or("it has no number")?;
    let told_hash: Hex<32> = hash(REPORT_HASH).ok_or("it has no hash")?;
    let previous: Option<Hex<32>> = hash(REPORT_BEFORE);
    let Some(envelope) = &entry.report else {
        return Ok(Told { sequence, hash: told_hash, previous, proven: None });
    };
    let key: Hex<32> = hash(REPORT_KEY).ok_or("no key is named")?;
    let envelope = Envelope::parse(&envelope.0, Domain::Report).map_err(|error| error.to_string())?;
    if NodeId::of_key(&key.0).to_string() != entry.actor {
        return Err("the key is another node's".to_owned());
    }
    let verifying = strong_key(&key.0).map_err(|weak| weak.to_string())?;
    if !envelope.is_signed_by(&verifying) {
        return Err("the signature does not fit".to_owned());
    }
    if flotilla_protocol::sha256(&[envelope.body()]) != told_hash.0 {
        return Err("it has signed another report than this".to_owned());
    }
    let report: ReportBody = decode(envelope.body()).map_err(|error| error.to_string())?;
    if report.node.to_string() != entry.actor || report.stream.is_droppable() {
        return Err("it is a report of another node or stream".to_owned());
    }
    if report.sequence != sequence || previous.is_none_or(|previous| previous.0 != report.previous) {
        return Err(format!("it has signed it as report {} behind another one", report.sequence));
    }
    let payload = ReportPayload::decode(&report.payload).unwrap_or(ReportPayload::Unsupported(report.payload.kind));
    let (kind, subject, detail) = meaning(&payload, &report);
    let says_else = detail.is_some_and(|(name, value)| entry.detail.get(name) != Some(&value));
    if kind != entry.kind || subject != entry.subject || says_else {
        return Err(format!("it has signed {kind} for {subject}"));
    }
    Ok(Told { sequence, hash: told_hash, previous, proven: Some(report) })
}

/// What a report means as an entry: kind, subject, and the detail that says more. It is read here once more and not taken from the bridge.
fn meaning(payload: &ReportPayload, report: &ReportBody) -> (&'static str, String, Option<(&'static str, String)>) {
    let node = report.node.to_string();
    match payload {
        ReportPayload::Admission(Admission::Accepted { order }) => ("order-accepted", order.to_string(), None),
        ReportPayload::Admission(Admission::Rejected { order, reason }) => {
            ("order-refused", order.to_string(), Some(("Reason", reason.as_str().to_owned())))
        }
        ReportPayload::CommandProgress(progress) => ("order-started", progress.order.to_string(), None),
        ReportPayload::CommandRebooting(rebooting) => {
            ("order-rebooting", rebooting.order.to_string(), Some(("Step", rebooting.step.to_string())))
        }
        ReportPayload::CommandResult(result) => {
            ("order-ended", result.order.to_string(), Some((shown::OUTCOME, shown::name(result.outcome))))
        }
        ReportPayload::MemoryLost(loss) => ("node-memory-lost", node, Some(("Cause", loss.cause.as_str().to_owned()))),
        _ => ("node-report", node, Some(("Payload", report.payload.kind.to_string()))),
    }
}

fn says_memory_lost(report: &ReportBody) -> bool {
    matches!(ReportPayload::decode(&report.payload), Ok(ReportPayload::MemoryLost(_)))
}

#[cfg(test)]
mod tests;
