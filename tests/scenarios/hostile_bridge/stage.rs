//! The stage: a fleet whose people hold its keys, an attacker who holds the bridge's, and the count of what he tried.

use super::people::{self, bundle_after, key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_api::audit::Hex;
use flotilla_api::blob::Blob;
use flotilla_api::orders::{GetPreparedOrderRequest, PutOrderSignatureRequest};
use flotilla_api::trust::{GetTrustStatusRequest, PutTrustBundleRequest};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{KeyId, NodeId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::report::{ReceiptBody, ReportBody, Stream};
use flotilla_protocol::signature::ALGORITHM_ED25519;
use flotilla_protocol::status::{Admission, RejectReason};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::{ByteVec, decode, encode};
use flotilla_tests::calls::shell_on;
use flotilla_tests::hostile::{Forgery, HostileBroker, order_topic};
use flotilla_tests::node::Half;
use flotilla_tests::{Broker, Fleet, clock, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// What the attacker has, and what he has tried.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) broker: HostileBroker,
    pub(crate) nodes: [NodeId; 2],
    /// The bridge's private keys, and those that were taken out of the trust.
    pub(crate) stolen: BTreeMap<&'static str, SigningKey>,
    /// A good order of the past: its delivery, as it went to node 0, and its id.
    pub(crate) captured: (Vec<u8>, OrderId),
    /// Version and epoch of the trust that the nodes must go by.
    pub(crate) trust: (u32, u32),
    pub(crate) attacks: usize,
    /// What was tried, for who looks for what went wrong.
    tried: Vec<String>,
    /// How often each node must have refused for each reason since it started.
    refusals: [BTreeMap<&'static str, u32>; 2],
    /// The ids of forged orders.
    forged: BTreeSet<OrderId>,
    /// Those that may be taken, and must not start.
    held: BTreeSet<OrderId>,
    number: u64,
    /// How far the time of node 0 is ahead, in milliseconds: good orders are made for it.
    pub(crate) ahead_ms: u64,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.tried.join("\n"));
        }
    }
}

fn seed(path: &Path) -> SigningKey {
    SigningKey::from_bytes(std::fs::read(path).unwrap().as_slice().try_into().unwrap())
}

impl Stage {
    /// A fleet of two nodes that go by bundle 3, after a good order that both have run.
    pub(crate) fn set() -> Self {
        let fleet = Fleet::with_nodes(Broker::Mosquitto, 2);
        let nodes: [NodeId; 2] = [0, 1].map(|index| fleet.node_ids()[index].parse().unwrap());
        let stolen = ["bridge", "freshness", "operator", "root"].map(|name| (name, seed(&fleet.home().key(name))));
        let stolen = BTreeMap::from(stolen);
        for folder in ["forged", "good"] {
            std::fs::create_dir(fleet.folder().join(folder)).unwrap();
        }
        let mut newest = std::fs::read(fleet.home().bundle(1)).unwrap();
        for signers in [[&stolen["root"], &key("rita"), &key("rolf")].as_slice(), &[&key("rita"), &key("ruth")]] {
            newest = people::signed(&bundle_after(&newest, nodes[1]), signers);
            let _put = fleet.call(&PutTrustBundleRequest { bundle: STANDARD.encode(&newest) });
        }
        wait::until_true(LIMIT, "both nodes go by bundle 3", || {
            let status = fleet.call(&GetTrustStatusRequest {}).nodes;
            status.iter().any(|nodes| (nodes.version, nodes.nodes) == (3, 2))
        });
        let broker = HostileBroker::of(&fleet);
        let (captured, refusals, forged) = ((Vec::new(), OrderId([0; 16])), [BTreeMap::new(), BTreeMap::new()], BTreeSet::new());
        let mut stage = Self {
            fleet,
            broker,
            nodes,
            stolen,
            captured,
            trust: (3, 0),
            attacks: 0,
            tried: Vec::new(),
            refusals,
            forged,
            held: BTreeSet::new(),
            number: 0,
            ahead_ms: 0,
        };
        for name in ["root", "operator"] {
            let away = stage.fleet.folder().join(format!("{name}.key"));
            std::fs::rename(stage.fleet.home().key(name), away).unwrap();
        }
        stage.run_a_good_order();
        stage
    }

    fn run_a_good_order(&mut self) {
        for index in [1, 0] {
            let script = format!("echo run >> {}", self.runs().display());
            let order = self.ask(index, &script, &["ann", "bob"]);
            let ended = self.fleet.await_end(&order, &self.nodes[index].to_string(), LIMIT);
            assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
            let topic = order_topic(&self.fleet, &self.nodes[index].to_string());
            let (_, delivery) = self.broker.captured(|seen| seen == topic);
            self.captured = (delivery, order.parse().unwrap());
        }
    }

    /// What the good orders of the past wrote: two lines.
    pub(crate) fn runs(&self) -> PathBuf {
        self.fleet.folder().join("runs")
    }

    /// Has the honest bridge prepare an order, and these people sign it; returns its id.
    pub(crate) fn ask(&self, node: usize, script: &str, signers: &[&str]) -> String {
        let order_id = self.fleet.send(&shell_on(&self.nodes[node].to_string(), script));
        for signer in signers {
            let prepared = self.fleet.call(&GetPreparedOrderRequest { order_id: order_id.clone() }).envelope.0;
            let envelope = Envelope::parse(&prepared, Domain::Order).unwrap();
            let key = key(signer);
            drop(self.fleet.call(&PutOrderSignatureRequest {
                order_id: order_id.clone(),
                body_sha256: Hex(flotilla_protocol::sha256(&[envelope.body()])),
                algorithm: ALGORITHM_ED25519,
                key_id: Hex(KeyId::of_key(&key.verifying_key().to_bytes()).0),
                signature: Blob(key.sign(&envelope.covered()).to_bytes().to_vec()),
            }));
        }
        order_id
    }

    /// An order of the bridge's database that only Ann has signed: its id and its envelope.
    pub(crate) fn half_signed(&mut self) -> (String, Vec<u8>) {
        let script = self.forged_script();
        let order_id = self.ask(0, &script, &["ann"]);
        let envelope = self.fleet.call(&GetPreparedOrderRequest { order_id: order_id.clone() }).envelope.0;
        let _is_new = self.forged.insert(order_id.parse().unwrap());
        (order_id, envelope)
    }

    /// A script that must never run: it leaves a file of its own.
    pub(crate) fn forged_script(&mut self) -> String {
        self.number += 1;
        format!("touch {}", self.fleet.folder().join(format!("forged/{}", self.number)).display())
    }

    /// An order for one node that nothing is wrong with but who has signed it.
    pub(crate) fn order(&mut self, node: usize) -> OrderBody {
        let script = self.forged_script();
        self.order_to(node, &script)
    }

    /// The same to run a script.
    pub(crate) fn order_to(&self, node: usize, script: &str) -> OrderBody {
        let body = Forgery::signed_by(&self.fleet, node, script, key("ann")).body;
        let (minimum_trust_version, epoch) = self.trust;
        let (not_before_ms, not_after_ms) = (clock::unix_ms() + self.ahead_ms - 2 * HOUR_MS, body.not_after_ms + self.ahead_ms);
        OrderBody { requester: "somebody".to_owned(), minimum_trust_version, epoch, not_before_ms, not_after_ms, ..body }
    }

    /// The delivery of an order that these keys have signed, to the only node that it is for.
    pub(crate) fn delivery(body: &OrderBody, signers: &[&SigningKey]) -> Vec<u8> {
        Self::delivery_of(seal(Domain::Order, &encode(body), signers))
    }

    /// The delivery of an order's envelope to the only node that it is for.
    pub(crate) fn delivery_of(envelope: Vec<u8>) -> Vec<u8> {
        encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
    }

    /// Sends what is no order of the fleet's people to a node, as an order. With a reason it must be refused for it, without an answer.
    pub(crate) fn attack(&mut self, node: usize, what: &str, delivery: &[u8], reason: Option<&'static str>) {
        let order = decode::<Delivery>(delivery).ok().and_then(|delivery| {
            let envelope = Envelope::parse(&delivery.envelope, Domain::Order).ok()?;
            Some(decode::<OrderBody>(envelope.body()).ok()?.id)
        });
        // The good one of the past comes again in several attacks, and has run.
        self.forged.extend(order.filter(|order| *order != self.captured.1));
        let topic = order_topic(&self.fleet, &self.nodes[node].to_string());
        self.attack_by(&topic, node, what, delivery, reason);
    }

    /// Publishes anything to a node, on any topic that it listens to.
    pub(crate) fn attack_by(&mut self, topic: &str, node: usize, what: &str, payload: &[u8], reason: Option<&'static str>) {
        self.broker.publish(topic, payload, false);
        self.tried(node, what, reason);
    }

    /// Counts an attack, for which a node must refuse once more.
    pub(crate) fn tried(&mut self, node: usize, what: &str, reason: Option<&'static str>) {
        self.attacks += 1;
        self.tried.push(format!(
            "{} attack {}: {what}{}",
            clock::unix_ms() / 1_000 % 1_000,
            self.attacks,
            reason.map_or_else(String::new, |reason| format!(" ({reason})"))
        ));
        if let Some(reason) = reason {
            *self.refusals[node].entry(reason).or_insert(0) += 1;
        }
    }

    /// A node may take this order, and must not start it.
    pub(crate) fn may_be_taken(&mut self, order: OrderId) {
        let _was_there = self.forged.remove(&order);
        let _is_new = self.held.insert(order);
    }

    /// The genuine order of this id is sent: whatever was tried with it is over.
    pub(crate) fn let_run(&mut self, order: OrderId) {
        let _was_there = self.forged.remove(&order);
    }

    /// An order that people have signed as they should, on whatever way it comes, still runs: the node works on, and has looked at all that was sent
    /// before it.
    pub(crate) fn works_on(&mut self, node: usize) -> OrderId {
        self.number += 1;
        let done = self.fleet.folder().join(format!("good/{}", self.number));
        let body = self.order_to(node, &format!("touch {}", done.display()));
        let topic = order_topic(&self.fleet, &self.nodes[node].to_string());
        self.broker.publish(&topic, &Self::delivery(&body, &[&key("bob"), &key("cleo")]), false);
        wait::until_true(LIMIT, &format!("node {node} runs what people have signed"), || done.exists());
        if node == 0 {
            self.give_receipt(node);
        }
        body.id
    }

    /// Has a node connect anew, and returns its hello: it must count all refusals. What was on its way is lost, so see before that it has come
    /// ([`Stage::works_on`]).
    pub(crate) fn hello(&mut self, node: usize) -> HelloBody {
        self.fleet.nodes[node].kill_half(Half::Link);
        let seen = self.broker.everything().len();
        let hello = self.await_hello(node, seen);
        for (reason, least) in &self.refusals[node] {
            let counted = hello.refused.iter().find(|(found, _)| found.as_str() == *reason).map_or(0, |(_, count)| *count);
            assert!(counted >= *least, "node {node} refused {counted} times as {reason}, and not {least} times: {:?}", hello.refused);
        }
        hello
    }

    /// The next hello of a node behind so many messages: it must stand by its trust.
    fn await_hello(&mut self, node: usize, seen: usize) -> HelloBody {
        let topic = self.up(node, UpKind::Hello);
        let hello: HelloBody = self.broker.after(seen, "a hello", |found, payload| {
            let envelope = (found == topic).then(|| Envelope::parse(payload, Domain::Hello).ok()).flatten()?;
            decode(envelope.body()).ok()
        });
        assert_eq!(hello.trust_version, self.trust.0, "the trust of node {node}");
        hello
    }

    /// Starts a node anew and returns its hello: it knows only what is durable, and counts from the beginning. That is quicker than to end the
    /// link, which is started again with growing pauses.
    pub(crate) fn anew(&mut self, node: usize) -> HelloBody {
        self.fleet.nodes[node].stop();
        self.refusals[node].clear();
        let seen = self.broker.everything().len();
        self.fleet.nodes[node].start();
        self.await_hello(node, seen)
    }

    /// How many lines of a node's log say that something was refused for a reason: of each the first since its start, and further ones seldom.
    pub(crate) fn said(&self, node: usize, reason: &str) -> usize {
        self.fleet.nodes[node].log().lines().filter(|line| line.contains("refused") && line.contains(reason)).count()
    }

    /// Answers a hello as a bridge, with this time and these bundles.
    pub(crate) fn welcome(&mut self, hello: &HelloBody, time_ms: u64, bundles: &[Vec<u8>], signer: &SigningKey) {
        let welcome = WelcomeBody {
            node: hello.node,
            nonce: hello.nonce,
            time_ms,
            bundles: bundles.iter().cloned().map(ByteVec).collect(),
            resend_minimum_ms: 1_000,
            resend_maximum_ms: 4_000,
            reconnect_spread_s: 1,
            chains: vec![(Stream::Control, hello.control.oldest - 1)],
            offers: Vec::new(),
        };
        let topic = Topic::Down { fleet: self.fleet.id(), node: hello.node, kind: DownKind::Welcome }.to_string();
        self.broker.publish(&topic, &seal(Domain::Welcome, &encode(&welcome), &[signer]), false);
    }

    /// The topic on which a node hears or speaks.
    pub(crate) fn down(&self, node: usize, kind: DownKind) -> String {
        Topic::Down { fleet: self.fleet.id(), node: self.nodes[node], kind }.to_string()
    }

    pub(crate) fn up(&self, node: usize, kind: UpKind) -> String {
        Topic::Up { fleet: self.fleet.id(), node: self.nodes[node], kind }.to_string()
    }

    /// The control reports of a node that were seen so far, with the hash of each.
    pub(crate) fn reports(&mut self, node: usize) -> BTreeMap<u64, (ReportBody, [u8; 32])> {
        let topic = self.up(node, UpKind::Report);
        let reports = self.broker.everything().iter().filter(|(found, _)| *found == topic).filter_map(|(_, payload)| {
            let envelope = Envelope::parse(payload, Domain::Report).ok()?;
            let report: ReportBody = decode(envelope.body()).ok()?;
            let hash = flotilla_protocol::sha256(&[envelope.body()]);
            (report.stream == Stream::Control).then_some((report.sequence, (report, hash)))
        });
        reports.collect()
    }

    /// Waits until a node has refused an order for ever, for this reason.
    pub(crate) fn await_answer(&mut self, node: usize, order: OrderId, reason: RejectReason) {
        let answer = ReportPayload::Admission(Admission::Rejected { order, reason }).encode();
        wait::until_true(LIMIT, &format!("node {node} refuses an order as {}", reason.as_str()), || {
            // It sends so many reports and no more before it has a receipt.
            self.give_receipt(node);
            self.reports(node).values().any(|(report, _)| report.payload == answer)
        });
    }

    /// Gives a receipt for all that a node has reported, as only the bridge's key can: the node forgets it, and nobody else will ever get it.
    fn give_receipt(&mut self, node: usize) {
        let reports = self.reports(node);
        let Some((up_to, (report, head))) = reports.last_key_value() else { return };
        let body = ReceiptBody { node: self.nodes[node], stream: Stream::Control, boot: report.boot, up_to: *up_to, head: *head };
        let receipt = seal(Domain::Receipt, &encode(&body), &[&self.stolen["bridge"]]);
        let topic = self.down(node, DownKind::Receipt);
        self.broker.publish(&topic, &receipt, false);
    }

    /// The last report of a node that was seen.
    pub(crate) fn last_report(&mut self, node: usize) -> u64 {
        self.reports(node).into_keys().last().unwrap_or(0)
    }

    /// Hides all that node 0 has reported while the bridge was the attacker's; returns the last report of it.
    pub(crate) fn hide_reports(&mut self) -> u64 {
        // What it says last is that the last order has ended.
        let last = self.works_on(0);
        wait::until_true(LIMIT, "the last end is reported", || {
            self.give_receipt(0);
            self.reports(0).values().any(|(report, _)| match ReportPayload::decode(&report.payload) {
                Ok(ReportPayload::CommandResult(result)) => result.order == last,
                _ => false,
            })
        });
        self.give_receipt(0);
        let up_to = self.last_report(0);
        let hello = self.anew(0);
        assert_eq!((hello.control.oldest, hello.control.next), (up_to + 1, up_to + 1), "it believes the receipts, and forgets");
        up_to
    }

    /// No forged order was taken or started by a node, and none left a trace.
    pub(crate) fn assert_nothing_was_done(&mut self) {
        let mut done = 0;
        for node in 0..self.nodes.len() {
            for (report, _) in self.reports(node).values() {
                let order = match ReportPayload::decode(&report.payload) {
                    Ok(ReportPayload::Admission(Admission::Accepted { order })) => order,
                    Ok(ReportPayload::CommandProgress(progress)) => {
                        assert!(!self.held.contains(&progress.order), "node {node} started what has to wait");
                        progress.order
                    }
                    _ => continue,
                };
                assert!(!self.forged.contains(&order), "node {node} took {order}, which was forged");
                done += 1;
            }
        }
        assert!(done > 10, "only {done} reports were seen");
        let traces: Vec<_> = std::fs::read_dir(self.fleet.folder().join("forged")).unwrap().flatten().collect();
        assert!(traces.is_empty(), "something was started: {traces:?}");
        assert_eq!(std::fs::read_to_string(self.runs()).unwrap().lines().count(), 2, "a good order ran twice");
    }
}
