//! The network between nodes, broker and bridge: it loses, repeats, delays and mixes up; and a broker that keeps what it has seen.

use crate::fault::Fault;
use crate::world::{Event, World};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::report::ReceiptBody;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::decode;
use flotilla_tests::random::Random;

/// Messages that a hostile broker keeps.
const KEPT: usize = 400;

#[derive(Debug)]
pub(crate) struct Network {
    dice: Random,
    /// Of a hundred messages so many are lost, repeated, delayed.
    loss: u64,
    duplicates: u64,
    delays: u64,
    /// In one history in two presence suffers with everything else. Drawn from a generator of its own: the others stay what they were.
    presence: Option<Random>,
    /// What went by, topic and bytes.
    pub(crate) kept: Vec<(String, Vec<u8>)>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        let mut presence = Random::part(seed, 10);
        let presence = presence.percent(50).then_some(presence);
        Self { dice: Random::part(seed, 3), loss: 0, duplicates: 0, delays: 0, presence, kept: Vec::new() }
    }

    pub(crate) fn spoil(&mut self, loss: u64, duplicates: u64, delays: u64) {
        (self.loss, self.duplicates, self.delays) = (loss, duplicates, delays);
    }

    pub(crate) fn heal(&mut self) {
        self.spoil(0, 0, 0);
    }

    fn keep(&mut self, topic: &str, payload: &[u8]) {
        if self.kept.len() < KEPT {
            self.kept.push((topic.to_owned(), payload.to_vec()));
        } else {
            let place = self.dice.index(KEPT);
            self.kept[place] = (topic.to_owned(), payload.to_vec());
        }
    }

    pub(crate) fn pick(&self, pick: usize) -> Option<(String, Vec<u8>)> {
        self.kept.get(pick % self.kept.len().max(1)).cloned()
    }
}

/// Up to which sequence a message is a receipt.
fn receipt_in(topic: &str, payload: &[u8]) -> u64 {
    if !matches!(topic.parse(), Ok(Topic::Down { kind: DownKind::Receipt, .. })) {
        return 0;
    }
    let receipt = Envelope::parse(payload, Domain::Receipt).ok().and_then(|envelope| decode::<ReceiptBody>(envelope.body()).ok());
    receipt.map_or(0, |receipt| receipt.up_to)
}

impl World {
    /// After how many milliseconds copies of a message arrive.
    fn copies(&mut self) -> Vec<u64> {
        let network = &mut self.network;
        let mut copies = vec![network.dice.between(1, 40)];
        if network.dice.percent(network.loss) {
            self.faults.add(Fault::Lost);
            return Vec::new();
        }
        if network.dice.percent(network.delays) {
            copies[0] += network.dice.between(100, 30_000);
            self.faults.add(Fault::Reordered);
        }
        if network.dice.percent(network.duplicates) {
            copies.push(copies[0] + network.dice.below(20_000));
            self.faults.add(Fault::Duplicated);
        }
        copies
    }

    /// After how many milliseconds copies of what is said of a node's presence reach the bridge; nothing where it comes at once, as it does
    /// where the network is well.
    pub(crate) fn copies_of_presence(&mut self) -> Option<Vec<u64>> {
        let Network { presence: Some(dice), loss, duplicates, delays, .. } = &mut self.network else { return None };
        if dice.percent(*loss) {
            self.faults.add(Fault::PresenceLost);
            return Some(Vec::new());
        }
        let (is_late, is_doubled) = (dice.percent(*delays), dice.percent(*duplicates));
        if !is_late && !is_doubled {
            return None;
        }
        let first_ms = if is_late { dice.between(100, 60_000) } else { 1 };
        let second_ms = is_doubled.then(|| first_ms + dice.below(120_000));
        if is_late {
            self.faults.add(Fault::PresenceLate);
        }
        if is_doubled {
            self.faults.add(Fault::PresenceDoubled);
        }
        Some([first_ms].into_iter().chain(second_ms).collect())
    }

    /// The bridge has published.
    pub(crate) fn goes_down(&mut self, topic: String, payload: Vec<u8>) {
        self.network.keep(&topic, &payload);
        if let Ok(Topic::Down { node, .. }) = topic.parse::<Topic>()
            && let Some(node) = self.index.get(&node).copied()
            && self.broker_is_up
            && !self.cut_off
        {
            let link = self.nodes[node].link;
            self.nodes[node].receipts_up_to = self.nodes[node].receipts_up_to.max(receipt_in(&topic, &payload));
            for ms in self.copies() {
                self.after(ms, Event::ToNode { node, link, topic: topic.clone(), payload: payload.clone() });
            }
        }
    }

    /// A node has published.
    pub(crate) fn goes_up(&mut self, node: usize, topic: String, payload: Vec<u8>) {
        self.network.keep(&topic, &payload);
        if self.nodes[node].connected && !self.nodes[node].hole && self.bridge_is_connected() {
            let life = self.bridge_life;
            for ms in self.copies() {
                self.after(ms, Event::ToBridge { life, topic: topic.clone(), payload: payload.clone() });
            }
        }
    }
}
