//! What goes into the core and what comes out.

use crate::record::Record;
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
        /// The bytes; none when they cannot be read any more.
        bytes: Vec<u8>,
    },
    /// Time has passed.
    Tick,
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

/// Something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Append this to the journal. It is durable before the next output that is not itself `Persist` is taken.
    Persist(Record),
    /// Publish this. Losing it is no harm: it is sent again until it has a receipt.
    Publish(UpMessage),
    /// Start the job of an order, which was never started as far as the journal knows.
    RunJob {
        /// Which.
        order: OrderId,
        /// What it does.
        command: Box<CommandOrder>,
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
    },
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
    /// Read kept output and answer with [`Input::OutputRead`].
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
