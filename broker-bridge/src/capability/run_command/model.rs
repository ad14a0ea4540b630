//! The states of an invocation, the counts of a command, and SSM's words for both.

use flotilla_protocol::status::{Outcome, RejectReason};

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Where a command stands on one node. It only moves forward; see [`super::rules::transition`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum InvocationState { $($(#[$doc])* $variant),+ }
        impl InvocationState {
            /// Every state, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            /// The state that a word in the database stands for.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

states! {
    /// Never sent.
    Pending = "pending",
    /// Sent at least once; the node has not answered.
    Sent = "sent",
    /// The node has durably taken it.
    Accepted = "accepted",
    /// The node has begun it.
    Running = "running",
    /// Every step succeeded or was skipped.
    Succeeded = "succeeded",
    /// A step failed.
    Failed = "failed",
    /// A step ran longer than it may.
    ExecutionTimedOut = "execution-timed-out",
    /// Stopped by a cancel, or cancelled before it was sent.
    Cancelled = "cancelled",
    /// The run was cut off and its outcome cannot be known.
    Interrupted = "interrupted",
    /// It did not begin in time: the node says so, or the bridge guesses it from silence.
    DeliveryTimedOut = "delivery-timed-out",
    /// The node refused it.
    AccessDenied = "access-denied",
    /// The node's agent does not know what it asks for.
    InvalidPlatform = "invalid-platform",
    /// The node was removed from the fleet before it answered.
    Undeliverable = "undeliverable",
    /// Never sent, because too many other nodes had failed.
    Terminated = "terminated",
}

/// A status of SSM with its detailed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// A value of the model's enumeration.
    pub status: &'static str,
    /// `StatusDetails`.
    pub details: &'static str,
}

const fn words(status: &'static str, details: &'static str) -> Words {
    Words { status, details }
}

/// Beside its state, what the words for an invocation depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aside {
    /// Nothing special.
    #[default]
    Nothing,
    /// A cancel was asked for.
    CancelAsked,
    /// What was sent does not get through, and is sent again: see [`Aside::of`].
    Delayed,
}

impl Aside {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::CancelAsked, Self::Delayed];

    /// An order that was sent is delayed while nothing is due for it, since its node has gone offline or its delivery time is over,
    /// and once it was sent [`DELAYED_SENDS`] times in a row. It means nothing in other states. A cancel comes first.
    #[must_use]
    pub fn of(cancel_asked: bool, is_due: bool, send_count: i64) -> Self {
        match () {
            () if cancel_asked => Self::CancelAsked,
            () if !is_due || send_count >= DELAYED_SENDS => Self::Delayed,
            () => Self::Nothing,
        }
    }
}

/// How often an order was sent in a row when silence about it counts as a delay: about a minute, with the pauses by default (5, 10, 20
/// and 40 seconds).
pub const DELAYED_SENDS: i64 = 5;

impl InvocationState {
    /// Whether nothing more is expected.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Sent | Self::Accepted | Self::Running)
    }

    /// SSM's words for the state.
    #[must_use]
    pub fn words(self, aside: Aside) -> Words {
        match self {
            Self::Sent | Self::Accepted | Self::Running if aside == Aside::CancelAsked => words("Cancelling", "Cancelling"),
            Self::Sent if aside == Aside::Delayed => words("Delayed", "Delayed"),
            Self::Pending | Self::Sent => words("Pending", "Pending"),
            Self::Accepted | Self::Running => words("InProgress", "In Progress"),
            Self::Succeeded => words("Success", "Success"),
            Self::Failed | Self::Interrupted => words("Failed", "Failed"),
            Self::ExecutionTimedOut => words("TimedOut", "Execution Timed Out"),
            Self::Cancelled => words("Cancelled", "Canceled"),
            Self::DeliveryTimedOut => words("TimedOut", "Delivery Timed Out"),
            Self::AccessDenied => words("Failed", "Access Denied"),
            Self::InvalidPlatform => words("Failed", "Invalid Platform"),
            Self::Undeliverable => words("Failed", "Undeliverable"),
            Self::Terminated => words("Cancelled", "Terminated"),
        }
    }

    /// What a node's signed outcome makes of an invocation.
    #[must_use]
    pub fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Failed => Self::Failed,
            Outcome::TimedOut => Self::ExecutionTimedOut,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Expired => Self::DeliveryTimedOut,
        }
    }

    /// What a node's signed refusal makes of an invocation.
    #[must_use]
    pub fn of_refusal(reason: RejectReason) -> Self {
        match reason {
            RejectReason::Expired => Self::DeliveryTimedOut,
            RejectReason::Cancelled => Self::Cancelled,
            // It may have run before the node lost its memory: what cannot be known is interrupted.
            RejectReason::MemoryLost => Self::Interrupted,
            RejectReason::Unsupported | RejectReason::Version => Self::InvalidPlatform,
            _ => Self::AccessDenied,
        }
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $member:ident = $column:literal),+ $(,)?) => {
        /// How many invocations of a command stand where: enough to decide about the command without reading them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $member: i64),+ }
        impl Counts {
            /// The columns, in the order of the members.
            pub const COLUMNS: &'static [&'static str] = &[$($column),+];
            /// The members, in the order of [`Self::COLUMNS`].
            #[must_use]
            pub fn to_array(self) -> [i64; Self::COLUMNS.len()] {
                [$(self.$member),+]
            }
            /// The members from the order of [`Self::COLUMNS`].
            #[must_use]
            pub fn from_array([$($member),+]: [i64; Self::COLUMNS.len()]) -> Self {
                Self { $($member),+ }
            }
        }
    };
}

counts! {
    /// Never sent.
    pending = "count_pending",
    /// Sent, no answer.
    sent = "count_sent",
    /// Accepted or running.
    active = "count_active",
    /// Succeeded.
    succeeded = "count_succeeded",
    /// Failed or interrupted.
    failed = "count_failed",
    /// Ran too long.
    execution_timed_out = "count_execution_timed_out",
    /// Cancelled.
    cancelled = "count_cancelled",
    /// Did not begin in time.
    delivery_timed_out = "count_delivery_timed_out",
    /// Refused by the node: access denied or invalid platform.
    refused = "count_refused",
    /// The node went away.
    undeliverable = "count_undeliverable",
    /// Held back for good.
    terminated = "count_terminated",
}

impl Counts {
    /// The member that counts a state.
    pub fn of_state(&mut self, state: InvocationState) -> &mut i64 {
        match state {
            InvocationState::Pending => &mut self.pending,
            InvocationState::Sent => &mut self.sent,
            InvocationState::Accepted | InvocationState::Running => &mut self.active,
            InvocationState::Succeeded => &mut self.succeeded,
            InvocationState::Failed | InvocationState::Interrupted => &mut self.failed,
            InvocationState::ExecutionTimedOut => &mut self.execution_timed_out,
            InvocationState::Cancelled => &mut self.cancelled,
            InvocationState::DeliveryTimedOut => &mut self.delivery_timed_out,
            InvocationState::AccessDenied | InvocationState::InvalidPlatform => &mut self.refused,
            InvocationState::Undeliverable => &mut self.undeliverable,
            InvocationState::Terminated => &mut self.terminated,
        }
    }

    /// Moves `count` invocations from one state to another.
    pub fn shift(&mut self, from: InvocationState, to: InvocationState, count: i64) {
        *self.of_state(from) -= count;
        *self.of_state(to) += count;
    }

    /// All invocations.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.to_array().iter().sum()
    }

    /// Invocations that hold a place of MaxConcurrency.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.sent + self.active
    }

    /// Invocations that have ended.
    #[must_use]
    pub fn completed(&self) -> i64 {
        self.total() - self.pending - self.in_flight()
    }

    /// Invocations that count against MaxErrors: only what ran and did not succeed.
    #[must_use]
    pub fn errors(&self) -> i64 {
        self.failed + self.execution_timed_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_what_it_writes_and_is_counted_once() {
        for state in InvocationState::ALL {
            assert_eq!(InvocationState::parse(state.as_str()), Some(*state));
            let mut counts = Counts::default();
            *counts.of_state(*state) += 1;
            assert_eq!(counts.total(), 1);
            assert_eq!(counts.completed() == 1, state.is_terminal(), "{state:?}");
            assert_eq!(Counts::from_array(counts.to_array()), counts);
        }
    }

    #[test]
    fn only_what_is_open_and_sent_can_be_cancelling() {
        for state in InvocationState::ALL {
            let shown = state.words(Aside::CancelAsked).status == "Cancelling";
            assert_eq!(shown, matches!(state, InvocationState::Sent | InvocationState::Accepted | InvocationState::Running));
        }
    }

    #[test]
    fn only_what_was_sent_and_does_not_get_through_is_delayed() {
        for state in InvocationState::ALL {
            let is_delayed = state.words(Aside::Delayed).status == "Delayed";
            assert_eq!(is_delayed, *state == InvocationState::Sent, "{state:?}");
            assert!(is_delayed || state.words(Aside::Delayed) == state.words(Aside::Nothing));
        }
        assert_eq!(Aside::of(false, true, DELAYED_SENDS - 1), Aside::Nothing);
        assert_eq!(Aside::of(false, true, DELAYED_SENDS), Aside::Delayed);
        assert_eq!(Aside::of(false, false, 1), Aside::Delayed);
        assert_eq!(Aside::of(true, false, DELAYED_SENDS), Aside::CancelAsked);
    }
}
