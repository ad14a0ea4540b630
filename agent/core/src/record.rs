//! What the journal holds. The shell frames records (length, checksum); their meaning is here.
//!
//! Variants are only appended and never changed: an agent reads the journal of the release before it.

use flotilla_protocol::capability::command::StepResult;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::report::{LossCause, OutputStream, Stream};
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::wire::decode;
use serde::{Deserialize, Serialize};

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An order was taken, by a release that kept no signatures. It can be judged by no later trust, so it never starts.
    Accepted {
        /// The body that was signed, as it was received.
        body: Vec<u8>,
        /// The signed admission, unless this is a snapshot.
        report: Option<Vec<u8>>,
    },
    /// An order is about to start. Without this record on disk no job starts.
    Starting {
        /// Which.
        order: OrderId,
        /// The boot in which it starts.
        boot: BootId,
        /// The signed progress report, unless this is a snapshot or it was said at an earlier try.
        report: Option<Vec<u8>>,
    },
    /// An order has its one outcome.
    Ended {
        /// Which.
        order: OrderId,
        /// The signed result.
        report: Vec<u8>,
    },
    /// An order that never starts: it was refused, or cancelled before it came.
    Refused {
        /// Which.
        order: OrderId,
        /// Until when its id is kept: Unix milliseconds.
        not_after_ms: u64,
        /// The signed rejection or result.
        report: Vec<u8>,
    },
    /// Snapshot: a report without a receipt. Else: what was said of an order that has ended is said again; or a report that may be dropped,
    /// the gap that stands for some of those, or the first of a chain of those that begins anew.
    Report {
        /// The signed report.
        report: Vec<u8>,
    },
    /// The bridge has everything up to this sequence. Losing this record costs a repetition, so nothing waits for it.
    Receipted {
        /// The sequence.
        up_to: u64,
    },
    /// The job's output is with the bridge and its folder may go. Losing this record costs a repetition.
    Forgotten {
        /// Which.
        order: OrderId,
    },
    /// Trusted time has reached this: Unix milliseconds.
    Floor {
        /// The floor.
        floor_ms: u64,
    },
    /// Snapshot: where the chain of reports stands.
    Chain {
        /// The last sequence.
        sequence: u64,
        /// Hash of the body of the last report.
        head: [u8; 32],
        /// The last receipted sequence.
        receipted: u64,
    },
    /// Snapshot: an order that has its outcome.
    Known {
        /// Which.
        order: OrderId,
        /// Until when it is kept: Unix milliseconds.
        not_after_ms: u64,
        /// Whether its job's folder is still needed.
        has_folder: bool,
    },
    /// Snapshot: where a lane stands.
    Lane {
        /// The requester.
        requester: String,
        /// The lane.
        lane: u16,
        /// The last sequence that was taken.
        sequence: u64,
        /// Until when it matters: Unix milliseconds.
        not_after_ms: u64,
    },
    /// Snapshot: kept output that is not yet with the bridge.
    Upload {
        /// Which job.
        order: OrderId,
        /// The step's index.
        step: u16,
        /// Which of its streams.
        stream: OutputStream,
        /// How many bytes are kept.
        kept_bytes: u64,
    },
    /// The journal before this one was lost, and no welcome came since.
    MemoryLost {
        /// Why.
        cause: LossCause,
        /// The last sequence of the chain that is known to have been used.
        sequence: u64,
    },
    /// The first welcome after the loss came.
    MemoryRegained {
        /// Orders that may start before this are refused: Unix milliseconds.
        barrier_ms: u64,
        /// The chain begins anew after this sequence.
        sequence: u64,
        /// The signed report of the loss, the first of the chain.
        report: Vec<u8>,
    },
    /// Snapshot: the barrier of a loss in the past.
    Barrier {
        /// Orders that may start before this are refused: Unix milliseconds.
        barrier_ms: u64,
    },
    /// The trust that the node has gone by; it never goes by an older one.
    Trust {
        /// The version of the bundle.
        version: u32,
        /// Its epoch.
        epoch: u32,
    },
    /// An order that was about to start certainly never did: it waits again.
    NotStarted {
        /// Which.
        order: OrderId,
        /// How often that has happened by now.
        tries: u32,
    },
    /// Snapshot, in the place of `Known` where it is known what was said of the order.
    KnownEnd {
        /// Which.
        order: OrderId,
        /// Until when it is kept: Unix milliseconds.
        not_after_ms: u64,
        /// Whether its job's folder is still needed.
        has_folder: bool,
        /// What was said of it.
        end: End,
    },
    /// A step of an order that runs has asked for a reboot. Without this record on disk the system is never told to.
    Rebooting {
        /// Which.
        order: OrderId,
        /// Who asked, and how the order goes on.
        reboot: Box<Reboot>,
        /// The signed report of it, unless this is a snapshot.
        report: Option<Vec<u8>>,
    },
    /// The system is about to be told to reboot, or has refused to.
    RebootTried {
        /// For which order.
        order: OrderId,
        /// How that stands by now.
        tries: RebootTries,
    },
    /// Snapshot: where the chain of a stream stands whose reports may be dropped.
    StreamChain {
        /// Which.
        stream: Stream,
        /// The last sequence before the oldest report that is held.
        sequence: u64,
        /// Hash of the body of that report.
        head: [u8; 32],
        /// The last receipted sequence.
        receipted: u64,
    },
    /// As `Receipted`, of a stream whose reports may be dropped.
    StreamReceipted {
        /// Which.
        stream: Stream,
        /// The sequence.
        up_to: u64,
    },
    /// A step has asked for a reboot that is not to be, and the last step of the order runs whatever came before: it goes on with that.
    RebootGivenUp {
        /// Which.
        order: OrderId,
        /// Who asked, and what was done so far.
        reboot: Box<Reboot>,
        /// Why there is none, for people.
        why: String,
    },
    /// The system is about to be told to reboot, or has refused to.
    ToldToReboot {
        /// In which boot.
        boot: BootId,
        /// Nothing starts before this, in milliseconds of uptime of that boot; nothing where it refused.
        until: Option<u64>,
    },
    /// An order was taken. Its signatures are kept, because the trust may change before it starts, and so is what its start needs.
    Taken {
        /// The order's envelope, as it was received.
        envelope: Vec<u8>,
        /// The node data of its delivery, as it was received: what is secret in it is sealed.
        node_data: Vec<u8>,
        /// The signed admission, unless this is a snapshot.
        report: Option<Vec<u8>>,
    },
}

/// A reboot that a step of an order has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// The step, by its index from 0.
    pub step: u16,
    /// The boot in which it asked: another one proves the reboot.
    pub boot: BootId,
    /// Where the order goes on.
    pub resume: Resume,
    /// How many reboots the order has asked for, this one included.
    pub count: u16,
    /// When it asked, in milliseconds of uptime of that boot.
    pub asked_at: u64,
    /// For people, on the steps so far.
    pub explanation: String,
    /// The steps up to and with the one that asked, as they will stand in the result.
    pub steps: Vec<StepResult>,
}

impl Reboot {
    /// The step with which the order goes on.
    #[must_use]
    pub fn first_step(&self) -> usize {
        match self.resume {
            Resume::SameStep => usize::from(self.step),
            Resume::NextStep => usize::from(self.step).saturating_add(1),
        }
    }
}

/// Where an order goes on after a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resume {
    /// With the step that asked: it is run again.
    SameStep,
    /// With the step after it.
    NextStep,
}

/// How often the system was told to reboot for an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootTries {
    /// So often it was told to and did not refuse.
    pub told: u8,
    /// So often it refused.
    pub refused: u8,
    /// It is being told since `at`; else nothing, or it refused at `at`.
    pub is_told: bool,
    /// In milliseconds of uptime.
    pub at: u64,
}

/// Which of the starts of one order: what makes them different is that a reboot lies between them, or that it is certain that the one
/// before was none. Each is made at most once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// How many reboots lie before it.
    pub reboots: u16,
    /// How often a start of the order was none.
    pub tries: u32,
}

/// What a node has said last of an order that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It has this outcome.
    Outcome(Outcome),
    /// It was refused for this reason.
    Rejected(RejectReason),
}

impl std::fmt::Display for Attempt {
    /// As [`std::str::FromStr`] reads it: `reboots.tries`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.reboots, self.tries)
    }
}

impl std::str::FromStr for Attempt {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (reboots, tries) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { reboots: reboots.parse()?, tries: tries.parse()? })
    }
}

impl Record {
    /// Whether losing the record in a power cut costs only a repetition, so that no output needs to wait for it.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        matches!(self, Self::Receipted { .. } | Self::Forgotten { .. } | Self::StreamReceipted { .. })
    }

    /// The order that this record says was taken, and the signed admission; nothing where it says something else or cannot be read.
    #[must_use]
    pub fn taken(&self) -> Option<(OrderBody, Option<&[u8]>)> {
        let (order, report) = match self {
            Self::Accepted { body, report } => (decode(body).ok()?, report),
            Self::Taken { envelope, report, .. } => (decode(Envelope::parse(envelope, Domain::Order).ok()?.body()).ok()?, report),
            _ => return None,
        };
        Some((order, report.as_deref()))
    }

    /// The record as bytes, with a version byte in front.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![RECORD_VERSION];
        bytes.extend(flotilla_protocol::wire::encode(self));
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Bytes that are not a whole record of a known version: the journal is damaged or of a later release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, body) = bytes.split_first().ok_or(RecordError::Malformed)?;
        if *version != RECORD_VERSION {
            return Err(RecordError::Version(*version));
        }
        match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            _ => Err(RecordError::Malformed),
        }
    }
}

/// First byte of every record.
const RECORD_VERSION: u8 = 0;

/// Why a journal cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordError {
    /// Not a record.
    Malformed,
    /// Of a version that this build does not read.
    Version(u8),
    /// A record about an order that no record before it introduced.
    UnknownOrder(OrderId),
    /// A report that does not continue the chain.
    BrokenChain,
    /// A report of another node: the device was enrolled anew and the journal is the old node's.
    AnotherNode,
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("a record cannot be read"),
            Self::Version(version) => write!(f, "a record is of version {version}, which this release does not read"),
            Self::UnknownOrder(order) => write!(f, "a record speaks of order {order}, which was never taken"),
            Self::AnotherNode => f.write_str("the journal is another node's: the identity was replaced and the journal was not"),
            Self::BrokenChain => f.write_str("a report does not continue the chain"),
        }
    }
}

impl std::error::Error for RecordError {}
