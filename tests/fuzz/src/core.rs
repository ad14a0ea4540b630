//! The agent's core, given messages that the fleet has signed, whatever is in them.

use crate::fleet::{self, NOW_MS};
use flotilla_agent_core::{Core, Input, JobEnd, Output};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::report::{OutputStream, Stream};
use flotilla_protocol::status::Outcome;
use flotilla_protocol::target::leaf;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::{decode, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Outputs taken after one input: more means that the core talks to itself.
const MAXIMUM_OUTPUTS: usize = 10_000;
/// Inputs of one history.
const MAXIMUM_INPUTS: usize = 64;

/// The core with its surroundings.
struct Node {
    core: Core,
    now: u64,
    nonce: u8,
    hello: Option<[u8; 32]>,
    started: BTreeMap<OrderId, u32>,
    running: BTreeSet<OrderId>,
}

impl Node {
    fn new() -> Self {
        Self { core: fleet::recovery().finish(), now: 1_000, nonce: 0, hello: None, started: BTreeMap::new(), running: BTreeSet::new() }
    }

    fn take(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        for _ in 0..MAXIMUM_OUTPUTS {
            let Some(output) = self.core.poll_output() else { return };
            match output {
                Output::RunJob { order, .. } => {
                    let starts = self.started.entry(order).or_default();
                    *starts += 1;
                    assert_eq!(*starts, 1, "an order starts twice");
                    self.running.insert(order);
                }
                Output::Publish(message) if message.kind == UpKind::Hello => {
                    let envelope = Envelope::parse(&message.payload, Domain::Hello).expect("the core signs what it says");
                    self.hello = Some(decode::<HelloBody>(envelope.body()).expect("the core writes what can be read").nonce);
                }
                _ => {}
            }
        }
        panic!("the core does not come to rest");
    }

    fn down(&mut self, kind: DownKind, payload: &[u8]) {
        let topic = Topic::Down { fleet: fleet::trust().fleet(), node: fleet::node(), kind }.to_string();
        self.take(Input::Message { topic: &topic, retained: false, payload });
    }

    fn connect(&mut self) {
        self.nonce = self.nonce.wrapping_add(1);
        self.take(Input::Connected { nonce: [self.nonce; 32] });
    }

    fn order(&mut self, body: &[u8]) {
        self.down(DownKind::Order, &delivery(body));
    }

    fn end_all(&mut self) {
        for order in std::mem::take(&mut self.running) {
            let end = JobEnd { outcome: Outcome::Succeeded, explanation: String::new(), steps: Vec::new() };
            self.take(Input::JobEnded { order, end });
        }
    }
}

/// An order of these bytes, signed, with a proof where it is for this node alone.
fn delivery(body: &[u8]) -> Vec<u8> {
    let envelope = seal(Domain::Order, body, &[&fleet::signer(Domain::Order)]);
    encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
}

/// A body of an order as a node of the fleet could get it: its time, fleet and target are set right, the rest is the fuzzer's.
pub(crate) fn order(bytes: &[u8]) {
    let _starts = give_order(bytes);
}

/// How many orders have started.
fn give_order(bytes: &[u8]) -> usize {
    let mut node = Node::new();
    node.connect();
    node.order(bytes);
    let Ok(mut order) = decode::<OrderBody>(bytes) else { return 0 };
    let Some(nonce) = node.hello else { panic!("no hello after the connection") };
    let welcome = WelcomeBody {
        node: fleet::node(),
        nonce,
        time_ms: NOW_MS,
        bundles: Vec::new(),
        resend_minimum_ms: 5_000,
        resend_maximum_ms: 600_000,
        reconnect_spread_s: 60,
        chains: vec![(Stream::Control, 0), (Stream::Telemetry, 0)],
        offers: Vec::new(),
    };
    node.down(DownKind::Welcome, &seal(Domain::Welcome, &encode(&welcome), &[&fleet::signer(Domain::Welcome)]));
    order.fleet = fleet::trust().fleet();
    order.targets.count = 1;
    order.targets.root = leaf(&fleet::identity().verifying_key().to_bytes(), b"");
    (order.not_before_ms, order.not_after_ms) = (NOW_MS - 1000, NOW_MS + 3_600_000);
    (order.epoch, order.minimum_trust_version) = (0, 1);
    let delivery = delivery(&encode(&order));
    node.down(DownKind::Order, &delivery);
    node.down(DownKind::Order, &delivery);
    node.end_all();
    node.down(DownKind::Order, &delivery);
    // What it kept must be enough to go on.
    let mut again = fleet::recovery();
    for record in node.core.snapshot() {
        again.replay(record).expect("the core reads its own snapshot");
    }
    let _core = again.finish();
    node.started.len()
}

/// A history: each input is a kind, a length and bytes.
pub(crate) fn history(mut bytes: &[u8]) {
    let mut node = Node::new();
    for _ in 0..MAXIMUM_INPUTS {
        let Some(([kind, low, high], rest)) = bytes.split_first_chunk::<3>() else { break };
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (data, rest) = rest.split_at(length);
        bytes = rest;
        step(&mut node, *kind, data);
    }
    node.end_all();
}

fn step(node: &mut Node, kind: u8, data: &[u8]) {
    let number = |at: usize| u64::from(data.get(at).copied().unwrap_or_default());
    let order = || OrderId(data.first_chunk::<16>().copied().unwrap_or_default());
    let signed = |domain| seal(domain, data, &[&fleet::signer(domain)]);
    match kind % 13 {
        0 => node.connect(),
        1 => node.take(Input::Disconnected),
        2 => node.order(data),
        3 => node.down(DownKind::Cancel, &signed(Domain::Cancel)),
        4 => node.down(DownKind::Receipt, &signed(Domain::Receipt)),
        5 => node.down(DownKind::OutputReceipt, &signed(Domain::OutputReceipt)),
        6 => node.down(DownKind::Welcome, &signed(Domain::Welcome)),
        7 => node.down(DownKind::Order, data),
        8 => {
            let topic = String::from_utf8_lossy(data).into_owned();
            node.take(Input::Message { topic: &topic, retained: data.len() % 2 == 1, payload: data });
        }
        9 => {
            node.now = node.now.saturating_add(number(0) * 60_000);
            node.take(Input::Tick);
        }
        10 => node.end_all(),
        11 => {
            let kept_bytes = number(16) << number(17).min(40);
            node.take(Input::OutputGrew { order: order(), step: 0, stream: OutputStream::Stdout, kept_bytes });
        }
        _ => {
            let (offset, bytes) = (number(16), data.get(17..).unwrap_or_default().to_vec());
            node.take(Input::OutputRead { order: order(), step: 0, stream: OutputStream::Stderr, offset, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_of_the_corpus_gets_as_far_as_its_start() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/order");
        let files = std::fs::read_dir(corpus).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        assert!(files.map(|bytes| give_order(&bytes)).sum::<usize>() > 0, "every order is refused: the target sees nothing behind that");
    }
}
