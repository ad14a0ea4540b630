//! What happened, as plain data: what nodes did, in the order in which they did it, and what the bridge's database says.

use super::journal::KeptJournal;
use crate::effects::Effect;
use flotilla_broker_bridge::capability::run_command::model::{Counts, InvocationState};
use flotilla_protocol::report::Stream;
use flotilla_protocol::status::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// A history. Nodes and orders go by their ids as text.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What is known of each node.
    pub nodes: BTreeMap<String, NodeHistory>,
    /// Each command that the bridge's database holds.
    pub commands: BTreeMap<String, CommandHistory>,
    /// What the bridge wrote down about nodes.
    pub notes: Vec<Note>,
    /// Nodes of which there are two devices since one's state was copied: each has run what it was sent, and signs what came of that.
    pub copied: BTreeSet<String>,
    /// Every fault is over and there was time for everything to end: what is open now stays open.
    pub settled: bool,
    /// The database was replaced by an older copy of itself: see [`History::restore`].
    pub restored: bool,
    /// The commands are those of a database that was read: there are no others.
    pub has_database: bool,
    /// The bridge's audit log was read.
    pub has_audit: bool,
    /// Commands of which the requester was told that they are taken.
    pub acknowledged: BTreeSet<String>,
    /// Messages that no bridge can read, sent as a node's.
    pub poison_sent: u64,
    /// Dead letters of the bridge.
    pub dead_letters: u64,
}

/// How much of a node's life its entries hold. What is not known is not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// Every record of the journal that became durable is an entry.
    pub journal: bool,
    /// Every start is an entry.
    pub starts: bool,
    /// Every delivery is an entry.
    pub deliveries: bool,
}

impl Knowledge {
    /// Nothing is left out.
    pub const WHOLE: Self = Self { journal: true, starts: true, deliveries: true };
}

/// What a node did.
#[derive(Debug, Clone, Default)]
pub struct NodeHistory {
    /// In the order in which it happened.
    pub entries: Vec<Entry>,
    /// What the entries leave out.
    pub knowledge: Knowledge,
    /// Orders whose end the bridge had before its database was replaced by an older copy. The node lets go of it, and says it again only
    /// when it is asked.
    pub handed_in: BTreeSet<String>,
    /// How many reports of this node the bridge had at most forgotten when its database was replaced by an older copy, by chain.
    pub set_back: BTreeMap<Stream, u64>,
    /// Up to which sequence the bridge has the chains whose reports may be dropped.
    pub droppable_heads: BTreeMap<Stream, u64>,
    /// How many of its runs were hit by whoever tests, at most, where that is known: so many may be interrupted.
    pub hits: Option<usize>,
    /// What its journal holds at the end, where that was read.
    pub kept: Option<KeptJournal>,
    /// The highest sequence for which the node took a receipt.
    pub receipted_up_to: u64,
    /// The sequence up to which the bridge's database has the node's reports.
    pub bridge_head: u64,
}

/// One thing that happened on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, on the test's own clock: milliseconds.
    pub at_ms: u64,
    /// To which order.
    pub order: String,
    /// What.
    pub fact: Fact,
}

/// A step asks for a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// In which boot.
    pub boot: u64,
    /// The step, by its index from 0.
    pub step: u16,
    /// The step with which the order goes on.
    pub first: u16,
    /// How many reboots the order has asked for, this one included.
    pub count: u16,
}

/// What happened to an order on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// It was delivered. `genuine`: to the node it is for, on its topic, not retained, as it was signed.
    Delivered {
        /// Whether the node may take it.
        genuine: bool,
    },
    /// Its acceptance became durable.
    Accepted,
    /// That it never starts became durable: it was refused, or cancelled before it came.
    Refused,
    /// That it starts became durable.
    Starting,
    /// Its outcome became durable.
    Ended(Outcome),
    /// It began to run: a side effect. `trusted_ms`: what the trusted time was at least (Unix milliseconds), where that is known.
    Started {
        /// A lower bound of trusted time.
        trusted_ms: Option<u64>,
    },
    /// That a step of it asks for a reboot became durable.
    RebootAsked(Ask),
    /// That the reboot is not to be became durable; it goes on with the step after the one that asked.
    RebootGivenUp {
        /// The step that asked, by its index from 0.
        step: u16,
        /// How many reboots it had asked for.
        count: u16,
    },
    /// It went on after a reboot that it asked for, or without it: a side effect.
    Resumed {
        /// In which boot.
        boot: u64,
        /// With which step, by its index from 0.
        first: u16,
        /// How many reboots it had asked for.
        count: u16,
    },
    /// A step of it began to run, by its index from 0: a side effect.
    StepStarted(u16),
    /// The device was told to reboot, for whichever orders.
    ToldToReboot {
        /// In which boot.
        boot: u64,
    },
    /// The device refused, and the node heard it.
    RebootRefused,
    /// Its processes are gone in good order.
    JobOver,
    /// Its run was cut off: nobody can know how far it came.
    CutOff,
    /// The node has taken a cancel for it.
    CancelTaken,
    /// A signed acceptance left the node.
    SaidAccepted,
    /// A signed refusal left the node.
    SaidRejected,
    /// A signed start left the node.
    SaidStarted,
    /// A signed outcome left the node.
    SaidEnded(Outcome),
    /// A message was refused without an answer, and the node did this many things for it all the same.
    Dropped {
        /// Records, starts and stops that followed from it.
        effects: u64,
    },
}

/// A command as the bridge has it.
#[derive(Debug, Clone, Default)]
pub struct CommandHistory {
    /// The nodes that were frozen under its signature; where not known, those of its rows.
    pub targets: BTreeSet<String>,
    /// When it expires: Unix milliseconds.
    pub not_after_ms: u64,
    /// Longest run in milliseconds, where it is known.
    pub time_out_ms: Option<u64>,
    /// Lane and sequence, where it has a lane.
    pub lane: Option<(u16, u64)>,
    /// How many nodes may be busy at once; 0 where it is not known.
    pub concurrency: i64,
    /// The most that were busy at once as far as anybody looked.
    pub most_in_flight: i64,
    /// So many of its nodes were sent it before an older copy took the database's place: the bridge hears of these when they say something,
    /// and may have others busy by then.
    pub begun_before: i64,
    /// The counts in its row.
    pub counts: Option<Counts>,
    /// Its invocations by node.
    pub invocations: BTreeMap<String, InvocationRow>,
    /// What its requester has written on it.
    pub comment: String,
    /// The ends that the faults of the test excuse, where it knows.
    pub excused: Option<BTreeSet<InvocationState>>,
    /// The output that the bridge has in chunks.
    pub output: Vec<OutputRows>,
    /// How often each step asks for a reboot, by its index from 0, as the test wrote it: so many more starts it has. Where a node's records
    /// are known, those count.
    pub asks: BTreeMap<u16, u16>,
    /// How many starts of it the bridge's audit log has, by node.
    pub audited_starts: BTreeMap<String, usize>,
}

/// Where an invocation stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The state.
    pub state: InvocationState,
    /// Whether the node has signed it.
    pub signed: bool,
}

/// An invocation as the bridge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationRow {
    /// Where it stands at the end.
    pub now: Seen,
    /// Where it was seen before, in the order of the looks.
    pub before: Vec<Seen>,
    /// So many of these were seen in a database that was replaced by an older copy since.
    pub taken_back: usize,
}

impl InvocationRow {
    /// A row that was looked at once.
    #[must_use]
    pub fn new(state: InvocationState, signed: bool) -> Self {
        Self { now: Seen { state, signed }, before: Vec::new(), taken_back: 0 }
    }
}

/// What the bridge has of one stream of one step: the head of the result, and chunks in the order of their offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputRows {
    /// Whose.
    pub node: String,
    /// Of which step.
    pub step: i64,
    /// 0 is standard output.
    pub stream: i64,
    /// How many of the first bytes the node's result carries itself.
    pub head: u64,
    /// From and up to which byte each chunk goes.
    pub pieces: Vec<(u64, u64)>,
    /// How many of the first bytes there were in a database that was replaced by an older copy since.
    pub taken_back: u64,
    /// How many bytes there must be at the end, where that is known.
    pub wanted: Option<u64>,
    /// Whether the bytes are those that were written, where that is known.
    pub is_right: Option<bool>,
}

/// Something that the bridge wrote down about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// About which.
    pub node: String,
    /// What: `gap`, `fork`, `dropped`.
    pub kind: String,
    /// Of which chain it tells that reports are missing, and how many.
    pub missing: Option<(Stream, u64)>,
}

impl History {
    /// The history of a node, which begins when it is first asked for.
    pub fn node(&mut self, node: &str) -> &mut NodeHistory {
        self.nodes.entry(node.to_owned()).or_default()
    }

    /// The history of a command.
    pub fn command(&mut self, order: &str) -> &mut CommandHistory {
        self.commands.entry(order.to_owned()).or_default()
    }

    /// The database is replaced by an older copy of itself at this moment; it must have been read just before. The copy explains that
    /// - the bridge does not know commands and ends of before any more: those ends that nodes had let go of ([`NodeHistory::handed_in`]) stay
    ///   unknown, and what was decided on the older copy about orders that it believed unsent stands. Ends that nodes have signed do not
    ///   change: what is signed now is what was signed before;
    /// - a node's chains of reports are ahead of the bridge's: reports are missing, not more than the bridge had. There may be several gaps:
    ///   one of the forgotten reports comes again late, and what lies before it is said to be missing, and afterwards what lies behind it;
    /// - output that was whole before, and so let go of by its node, is not whole any more;
    /// - nodes are busy of which the bridge does not know: with those that it sends to, more may be than the command allows;
    /// - of two devices with one identity the bridge may hear the one where it had heard the other.
    ///
    /// Everything else holds as ever.
    pub fn restore(&mut self) {
        self.restored = true;
        for of_node in self.nodes.values_mut() {
            let heads = of_node.droppable_heads.iter().map(|(stream, head)| (*stream, *head));
            for (stream, head) in heads.chain([(Stream::Control, of_node.bridge_head)]).filter(|(_, head)| *head > 0) {
                *of_node.set_back.entry(stream).or_default() += head;
            }
        }
        for command in self.commands.values_mut() {
            let begun = command.invocations.values().filter(|row| row.now.state != InvocationState::Pending).count();
            command.begun_before = command.begun_before.saturating_add(i64::try_from(begun).unwrap_or(i64::MAX));
            for row in command.invocations.values_mut() {
                row.before.push(row.now);
                row.taken_back = row.before.len();
                // What the copy says is still to be read.
                row.now = Seen { state: InvocationState::Pending, signed: false };
            }
            for rows in &mut command.output {
                rows.taken_back = rows.taken_back.max(rows.end());
            }
        }
    }

    /// Whether the bridge has this command. One that was seen in its database before, and is not there any more, it has not.
    #[must_use]
    pub fn has_command(&self, order: &str) -> bool {
        self.commands.get(order).is_some_and(|command| command.counts.is_some() || !self.has_database)
    }

    /// Whether an older copy of the database explains that the bridge does not know the end that a node has signed.
    #[must_use]
    pub fn may_have_lost(&self, of_node: &NodeHistory, order: &str, row: &InvocationRow) -> bool {
        // What was decided on an older copy about an order that it believed unsent stands.
        let decided = matches!(row.now.state, InvocationState::Cancelled | InvocationState::Terminated | InvocationState::Undeliverable);
        self.restored && (decided || of_node.handed_in.contains(order))
    }

    /// Takes what commands of a real node have written ([`crate::effects`]): `order_of` says which command wrote under a mark.
    /// From then on the node's starts count as known.
    pub fn effects<'a>(
        &mut self,
        node: &str,
        effects: impl IntoIterator<Item = (&'a String, &'a Effect)>,
        order_of: impl Fn(&str) -> Option<String>,
    ) {
        let of_node = self.node(node);
        of_node.knowledge.starts = true;
        for (mark, effect) in effects {
            let Some(order) = order_of(mark) else { continue };
            let starts = effect.starts.iter().map(|at| (*at, Fact::Started { trusted_ms: None }));
            let ends = effect.ends.iter().map(|at| (*at, Fact::JobOver));
            for (at_ns, fact) in starts.chain(ends) {
                of_node.entries.push(Entry { at_ms: at_ns / 1_000_000, order: order.clone(), fact });
            }
        }
        // Stable, so that a start stays before an end of the same millisecond.
        of_node.entries.sort_by_key(|entry| entry.at_ms);
    }
}

impl History {
    /// Takes what single steps of a real node's commands have written: `step_of` says which step of which command wrote under a mark.
    pub fn step_effects<'a>(
        &mut self,
        node: &str,
        effects: impl IntoIterator<Item = (&'a String, &'a Effect)>,
        step_of: impl Fn(&str) -> Option<(String, u16)>,
    ) {
        let of_node = self.node(node);
        for (mark, effect) in effects {
            let Some((order, step)) = step_of(mark) else { continue };
            for at_ns in &effect.starts {
                of_node.entries.push(Entry { at_ms: at_ns / 1_000_000, order: order.clone(), fact: Fact::StepStarted(step) });
            }
        }
        of_node.entries.sort_by_key(|entry| entry.at_ms);
    }
}

impl OutputRows {
    /// Up to which byte there is output.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.1).max(self.head)
    }
}

impl NodeHistory {
    /// Adds what happened now.
    pub fn add(&mut self, at_ms: u64, order: impl Into<String>, fact: Fact) {
        self.entries.push(Entry { at_ms, order: order.into(), fact });
    }

    /// The outcome that became durable, or was at least said.
    #[must_use]
    pub fn outcome_of(&self, order: &str) -> Option<Outcome> {
        self.entries.iter().filter(|entry| entry.order == order).find_map(|entry| match entry.fact {
            Fact::Ended(outcome) | Fact::SaidEnded(outcome) => Some(outcome),
            _ => None,
        })
    }

    /// Whether this was ever so.
    #[must_use]
    pub fn has(&self, order: &str, wanted: impl Fn(&Fact) -> bool) -> bool {
        self.entries.iter().any(|entry| entry.order == order && wanted(&entry.fact))
    }
}
