//! What goes into the core and what comes out.

use crate::policy::PolicyState;
use crate::record::{Attempt, Record, Resume};
use flotilla_protocol::capability::command::{CommandOrder, StepResult};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::OutputStream;
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::topic::UpKind;

/// Something happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The link is connected and its subscriptions are granted. `nonce` is 32 fresh random bytes.
    Connected {
        /// Binds this connection's welcome.
        nonce: [u8; 32],
    },
    /// The link has lost its connection.
    Disconnected,
    /// A message came down.
    Message {
        /// The topic as it stood in the packet.
        topic: &'a str,
        /// Whether the broker had kept it.
        retained: bool,
        /// The bytes.
        payload: &'a [u8],
    },
    /// A job is over, however it went.
    JobEnded {
        /// Which.
        order: OrderId,
        /// How.
        end: JobEnd,
    },
    /// The answer to [`Output::RecoverJob`] where nobody has started the job, and nobody can any more: no process of an earlier exec either.
    /// The order waits again; [`Output::RunJob`] comes when time, lane and the other jobs allow it.
    NeverStarted {
        /// Which.
        order: OrderId,
    },
    /// A job has come to a step that asks for a reboot, and has ended in good order. What it has done so far is on disk.
    RebootAsked {
        /// Which.
        order: OrderId,
        /// By what, and what was done so far.
        asked: RebootAsked,
    },
    /// The answer to [`Output::Reboot`] where the system refuses: it will not reboot. There is none where it obeys.
    RebootRefused {
        /// Why, for people.
        why: String,
    },
    /// The answer to [`Output::Reboot`] where a record before it could not be made durable: the system was not told, and is not going to be.
    RebootWithheld,
    /// A running step has written output: so many bytes are kept by now.
    OutputGrew {
        /// Which job.
        order: OrderId,
        /// The step's index.
        step: u16,
        /// Which of its streams.
        stream: OutputStream,
        /// Bytes kept so far.
        kept_bytes: u64,
    },
    /// The answer to [`Output::ReadOutput`].
    OutputRead {
        /// Which job.
        order: OrderId,
        /// The step's index.
        step: u16,
        /// Which of its streams.
        stream: OutputStream,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes; empty when there are no more, which gives the rest of the stream up.
        bytes: Vec<u8>,
    },
    /// The answer to [`Output::KeepTrust`] where the bundle is on disk. There is none where it is not: it is asked for again.
    TrustKept {
        /// Of the bundle.
        version: u32,
    },
    /// Time has passed.
    Tick,
    /// The node's own policy, as it is from now on; with which it begins says [`crate::Recovery::with_policy`].
    Policy(PolicyState),
    /// What the journal can take from now on. Before the first of these the core believes in a journal without limits.
    Storage {
        /// Whether records can be made durable. While they cannot, the core makes none: it takes no orders, starts nothing, and keeps the
        /// ends of jobs until it can record them.
        is_writable: bool,
        /// How many bytes a whole journal may have.
        room_bytes: u64,
    },
}

/// How a job ended, as the shell saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// The outcome; [`Outcome::Interrupted`] when it cannot be known.
    pub outcome: Outcome,
    /// For people; may be empty.
    pub explanation: String,
    /// The steps. Their times are uptimes in milliseconds; the core turns them into trusted time.
    pub steps: Vec<StepResult>,
}

/// A step asks for a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebootAsked {
    /// The step, by its index from 0.
    pub step: u16,
    /// Where the command goes on.
    pub resume: Resume,
    /// Whether a cancel has come to the job, by an earlier process of the agent too: then it gets no reboot.
    pub is_cancelled: bool,
    /// For people, on the steps so far; may be empty.
    pub explanation: String,
    /// The steps up to and with the one that asks. Their times are uptimes in milliseconds.
    pub steps: Vec<StepResult>,
}

/// Something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Append this to the journal. It is durable before the next output that is not itself `Persist` is taken.
    Persist(Record),
    /// Publish this. Losing it is no harm: it is sent again until it has a receipt.
    Publish(UpMessage),
    /// Start the job of an order, or the part of it after a reboot, which was never started as far as the journal knows.
    RunJob {
        /// Which.
        order: OrderId,
        /// What it does.
        command: Box<CommandOrder>,
        /// Which of the order's starts it is: each is made at most once.
        attempt: Attempt,
        /// Why the reboot that the order asked for is not to be, where that is so: of the steps after the one that asked only one runs that
        /// is to run whatever came before, and the one that asked has failed.
        without_reboot: Option<String>,
    },
    /// After a restart: an order was about to start. Do not start it. In the same boot find out whether it has started: wait for it and
    /// answer [`Input::JobEnded`], or see to it that nothing can start it any more and answer [`Input::NeverStarted`]. In a later boot
    /// answer [`Input::JobEnded`].
    RecoverJob {
        /// Which.
        order: OrderId,
        /// What it does.
        command: Box<CommandOrder>,
        /// Whether it is still the boot in which it was to start.
        same_boot: bool,
        /// Which of the order's starts it was.
        attempt: Attempt,
    },
    /// Reboot the device, now or not at all. No job runs, and none starts until the system refuses or too much time has passed without a
    /// reboot. Where the records before it cannot be made durable the system is not told; [`Input::RebootWithheld`] says so.
    Reboot,
    /// Stop a running job. It answers with [`Input::JobEnded`] as usual.
    CancelJob {
        /// Which.
        order: OrderId,
    },
    /// Nothing of the job is needed any more: remove its folder.
    ForgetJob {
        /// Which.
        order: OrderId,
    },
    /// Read kept output and answer with [`Input::OutputRead`]. Without an answer, where a read fails, it is asked for again after a pause.
    ReadOutput {
        /// Which job.
        order: OrderId,
        /// The step's index.
        step: u16,
        /// Which of its streams.
        stream: OutputStream,
        /// Where to begin.
        offset: u64,
    },
    /// A message was refused: for a rate-limited log line. The counters are kept by the core.
    Refused {
        /// Why.
        reason: RejectReason,
        /// The same for people, where there is more to say.
        why: Option<String>,
    },
    /// Have this trust bundle on disk, in two copies, and then answer [`Input::TrustKept`]: only then the node goes by it. Nothing starts
    /// before. Bundles are kept in the order in which they come.
    KeepTrust {
        /// The bundle's version.
        version: u32,
        /// Its envelope.
        envelope: Vec<u8>,
    },
    /// The fleet's certificate authorities have this hash now. Whoever keeps the node's certificate asks for a new one where its own have
    /// another.
    RenewCertificate {
        /// SHA-256 of the authorities, as [`flotilla_protocol::enrolment::RenewalBody`] says.
        authorities: [u8; 32],
    },
    /// Spread the next reconnection over this many seconds.
    SpreadReconnect {
        /// As the welcome said.
        seconds: u32,
    },
}

/// A message up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpMessage {
    /// Which topic.
    pub kind: UpKind,
    /// The signed bytes.
    pub payload: Vec<u8>,
}
