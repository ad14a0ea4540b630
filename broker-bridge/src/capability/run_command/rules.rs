//! The decisions of Run Command. Nothing here reads a clock, a database or the network.

use super::model::{Counts, InvocationState, Words};
use flotilla_protocol::status::{Outcome, RejectReason};

/// After the delivery time of a command that was sent, how long its answer is awaited before silence is called a time-out, in
/// milliseconds: the node may have taken it in the last moment.
pub const ANSWER_GRACE_MS: u64 = 60_000;
/// After the latest time at which a run can end, how long its node's report is awaited before the run counts as interrupted, in
/// milliseconds.
pub const RUN_GRACE_MS: u64 = 600_000;

/// How long a node may wait for its other commands to end and for its own restart when a step asks for a reboot, in milliseconds: the node
/// gives up after as long.
pub const REBOOT_GRACE_MS: u64 = 3_600_000;

/// A number of nodes, or a share of a command's targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many.
    Number(u32),
    /// So many of a hundred.
    Percent(u8),
}

impl Rate {
    /// Reads `MaxConcurrency`: `1`… or `1%`…`100%`, at most 7 characters; `None` for anything else.
    #[must_use]
    pub fn parse_concurrency(text: &str) -> Option<Self> {
        Self::parse(text).filter(|rate| !matches!(rate, Self::Number(0) | Self::Percent(0)))
    }

    /// Reads `MaxErrors`: `0`… or `0%`…`100%`, at most 7 characters; `None` for anything else.
    #[must_use]
    pub fn parse_errors(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        let plain = !digits.is_empty() && text.len() <= 7 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        let number: u32 = digits.parse().ok()?;
        match (percent, u8::try_from(number)) {
            (false, _) => Some(Self::Number(number)),
            (true, Ok(share)) if share <= 100 => Some(Self::Percent(share)),
            (true, _) => None,
        }
    }

    fn of(self, targets: i64) -> i64 {
        match self {
            Self::Number(number) => i64::from(number),
            Self::Percent(share) => targets.saturating_mul(i64::from(share)) / 100,
        }
    }

    /// How many nodes may be busy at once: a share is rounded down, and is at least one.
    #[must_use]
    pub fn concurrency(self, targets: i64) -> i64 {
        self.of(targets).max(1)
    }

    /// How many errors are tolerated: a share is rounded down. One error more stops the command.
    #[must_use]
    pub fn errors(self, targets: i64) -> i64 {
        self.of(targets)
    }
}

/// The limits of a command, in nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many nodes may be busy at once.
    pub concurrency: i64,
    /// How many errors are tolerated.
    pub errors: i64,
}

/// Whether so many nodes failed that no further one is started.
#[must_use]
pub fn is_over_budget(counts: &Counts, limits: Limits) -> bool {
    counts.errors() > limits.errors
}

/// How many pending invocations may be sent now.
#[must_use]
pub fn may_send(counts: &Counts, limits: Limits) -> i64 {
    if is_over_budget(counts, limits) { 0 } else { (limits.concurrency - counts.in_flight()).clamp(0, counts.pending) }
}

/// What happened to an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The bridge is about to send it.
    Sent,
    /// The node says that it has taken it.
    Accepted,
    /// The node says that it has begun.
    Started,
    /// The node says how it ended.
    Ended(Outcome),
    /// The node says that it will not run it.
    Rejected(RejectReason),
    /// The node says that it has lost its memory, and with it whatever it knew of the run.
    MemoryLost,
    /// Its delivery time, with the grace for an answer where it was sent, has passed.
    DeliveryTimePassed,
    /// The time in which its run must have ended has passed, and its node is gone or knows nothing of it.
    RunTimePassed,
    /// An operator cancelled it.
    CancelAsked,
    /// Too many other nodes have failed.
    BudgetExceeded,
    /// The node was removed from the fleet.
    NodeRemoved,
}

impl Happening {
    /// Whether a node has signed it.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Accepted | Self::Started | Self::Ended(_) | Self::Rejected(_) | Self::MemoryLost)
    }
}

/// The state that follows, or nothing where the invocation stays as it is. `guessed` says that a terminal state is the bridge's
/// own conclusion from a silence: only that gives way, and only to what the node signed.
#[must_use]
pub fn transition(state: InvocationState, guessed: bool, happening: Happening) -> Option<InvocationState> {
    use Happening as H;
    use InvocationState as S;
    let next = match (state, happening) {
        (S::Pending, H::Sent) => S::Sent,
        (S::Pending, H::CancelAsked) => S::Cancelled,
        (S::Pending, H::BudgetExceeded) => S::Terminated,
        (S::Pending | S::Sent, H::DeliveryTimePassed) => S::DeliveryTimedOut,
        (S::Pending | S::Sent, H::NodeRemoved) => S::Undeliverable,
        (S::Accepted | S::Running, H::NodeRemoved | H::RunTimePassed) => S::Interrupted,
        // What was sent may have been taken too, and the report of it be lost with the rest.
        (S::Sent | S::Accepted | S::Running, H::MemoryLost) => S::Interrupted,
        // It had said that it took the order, and does not know it any more.
        (S::Accepted | S::Running, H::Rejected(RejectReason::MemoryLost)) => S::Interrupted,
        // A node may answer what the bridge believes unsent when its database was restored from a backup.
        (S::Pending | S::Sent, H::Accepted) => S::Accepted,
        (S::Pending | S::Sent | S::Accepted, H::Started) => S::Running,
        // A node may take an order back before it has run: the trust changed, and its signatures no longer do.
        (S::Pending | S::Sent | S::Accepted | S::Running, H::Rejected(reason)) => S::of_refusal(reason),
        (S::Pending | S::Sent | S::Accepted | S::Running, H::Ended(outcome)) => S::of_outcome(outcome),
        (S::DeliveryTimedOut | S::Interrupted, H::Accepted) if guessed => S::Accepted,
        (S::DeliveryTimedOut | S::Interrupted, H::Started) if guessed => S::Running,
        (S::DeliveryTimedOut | S::Interrupted, H::Ended(outcome)) if guessed => S::of_outcome(outcome),
        (S::DeliveryTimedOut | S::Interrupted, H::Rejected(reason)) if guessed => S::of_refusal(reason),
        _ => return None,
    };
    Some(next)
}

/// Every status of a command with each of its details, as [`command_words`] gives them.
pub const COMMAND_WORDS: [Words; 11] = {
    const fn words(status: &'static str, details: &'static str) -> Words {
        Words { status, details }
    }
    [
        words("Failed", "No Instances In Tag"),
        words("Cancelling", "Cancelling"),
        words("Pending", "Pending"),
        words("InProgress", "In Progress"),
        words("Success", "Success"),
        words("TimedOut", "Execution Timed Out"),
        words("TimedOut", "Delivery Timed Out"),
        words("Failed", "Failed"),
        words("Cancelled", "Canceled"),
        words("Failed", "Access Denied"),
        words("Failed", "Incomplete"),
    ]
};

/// The command's status from its counts. `cancel_asked`: an operator cancelled the command as a whole.
///
/// `Incomplete` goes with the status `Failed`, so that whoever looks at the status alone never takes it for a success.
#[must_use]
pub fn command_words(counts: &Counts, limits: Limits, cancel_asked: bool) -> Words {
    let words = |status, details| Words { status, details };
    let total = counts.total();
    if total == 0 {
        return words("Failed", "No Instances In Tag");
    }
    if counts.completed() < total {
        return match () {
            () if cancel_asked => words("Cancelling", "Cancelling"),
            () if counts.pending + counts.sent == total => words("Pending", "Pending"),
            () => words("InProgress", "In Progress"),
        };
    }
    match () {
        () if counts.succeeded == total => words("Success", "Success"),
        () if is_over_budget(counts, limits) && counts.execution_timed_out == counts.errors() => words("TimedOut", "Execution Timed Out"),
        () if is_over_budget(counts, limits) => words("Failed", "Failed"),
        () if counts.cancelled == total || (cancel_asked && counts.cancelled > 0) => words("Cancelled", "Canceled"),
        () if counts.delivery_timed_out == total => words("TimedOut", "Delivery Timed Out"),
        () if counts.undeliverable == total => words("Failed", "Failed"),
        () if counts.refused == total => words("Failed", "Access Denied"),
        // What could not be delivered does not decide between success and incomplete.
        () if counts.succeeded > 0 && counts.succeeded + counts.undeliverable == total => words("Success", "Success"),
        () => words("Failed", "Incomplete"),
    }
}

/// When silence becomes a delivery time-out: Unix time in milliseconds.
#[must_use]
pub fn gives_up_at_ms(was_sent: bool, expires_ms: u64) -> u64 {
    if was_sent { expires_ms.saturating_add(ANSWER_GRACE_MS) } else { expires_ms }
}

/// When a run that began in the last moment has ended and its node has had the time to say so: Unix time in milliseconds.
/// `time_outs_s` are those of the steps.
#[must_use]
pub fn ends_by_ms(expires_ms: u64, time_outs_s: impl IntoIterator<Item = u32>) -> u64 {
    let longest_ms = time_outs_s.into_iter().fold(0_u64, |sum, seconds| sum.saturating_add(u64::from(seconds) * 1000));
    expires_ms.saturating_add(longest_ms).saturating_add(RUN_GRACE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_read_as_the_model_writes_them() {
        for (text, expected) in [("50", Rate::Number(50)), ("1", Rate::Number(1)), ("100%", Rate::Percent(100)), ("7%", Rate::Percent(7))] {
            assert_eq!(Rate::parse_concurrency(text), Some(expected), "{text}");
            assert_eq!(Rate::parse_errors(text), Some(expected), "{text}");
        }
        for text in ["", "%", "-1", "+1", "01", "00", "101%", "1.5", "12345678", "1 %", "٣"] {
            assert_eq!(Rate::parse_errors(text), None, "{text}");
        }
        assert_eq!((Rate::parse_errors("0"), Rate::parse_errors("0%")), (Some(Rate::Number(0)), Some(Rate::Percent(0))));
        assert_eq!((Rate::parse_concurrency("0"), Rate::parse_concurrency("0%")), (None, None));
    }

    #[test]
    fn the_list_of_words_is_what_commands_show() {
        let mut seen = std::collections::BTreeSet::new();
        for bits in 0..1_u32 << Counts::COLUMNS.len() {
            let counts = Counts::from_array(std::array::from_fn(|index| i64::from(bits >> index & 1)));
            for (errors, cancel_asked) in [(0, false), (0, true), (9, false), (9, true)] {
                let words = command_words(&counts, Limits { concurrency: 1, errors }, cancel_asked);
                seen.insert((words.status, words.details));
            }
        }
        assert_eq!(seen, COMMAND_WORDS.iter().map(|words| (words.status, words.details)).collect());
    }

    #[test]
    fn a_share_is_rounded_down_and_concurrency_is_at_least_one() {
        assert_eq!(Rate::Percent(10).concurrency(50), 5);
        assert_eq!(Rate::Percent(10).concurrency(19), 1);
        assert_eq!(Rate::Percent(1).concurrency(3), 1);
        assert_eq!(Rate::Percent(10).errors(50), 5);
        assert_eq!(Rate::Percent(10).errors(9), 0);
    }

    #[test]
    fn errors_stop_a_command_only_when_they_exceed_the_limit() {
        let limits = Limits { concurrency: 10, errors: 3 };
        let counts = |failed| Counts { failed, pending: 5, ..Counts::default() };
        assert_eq!((is_over_budget(&counts(3), limits), may_send(&counts(3), limits)), (false, 5));
        assert_eq!((is_over_budget(&counts(4), limits), may_send(&counts(4), limits)), (true, 0));
        let not_counted = Counts { delivery_timed_out: 9, refused: 9, undeliverable: 9, cancelled: 9, pending: 5, ..Counts::default() };
        assert_eq!(may_send(&not_counted, limits), 5);
    }

    #[test]
    fn words_of_a_command() {
        let none = Counts::default();
        let limits = Limits { concurrency: 50, errors: 0 };
        let cases = [
            (none, false, "Failed", "No Instances In Tag"),
            (Counts { pending: 1, sent: 1, ..none }, false, "Pending", "Pending"),
            (Counts { pending: 1, active: 1, ..none }, false, "InProgress", "In Progress"),
            (Counts { pending: 1, succeeded: 1, ..none }, false, "InProgress", "In Progress"),
            (Counts { active: 1, ..none }, true, "Cancelling", "Cancelling"),
            (Counts { succeeded: 2, ..none }, false, "Success", "Success"),
            (Counts { succeeded: 2, ..none }, true, "Success", "Success"),
            (Counts { succeeded: 1, failed: 1, ..none }, false, "Failed", "Failed"),
            (Counts { failed: 1, terminated: 3, ..none }, false, "Failed", "Failed"),
            (Counts { execution_timed_out: 1, ..none }, false, "TimedOut", "Execution Timed Out"),
            (Counts { cancelled: 2, ..none }, false, "Cancelled", "Canceled"),
            (Counts { cancelled: 1, succeeded: 1, ..none }, true, "Cancelled", "Canceled"),
            (Counts { cancelled: 1, succeeded: 1, ..none }, false, "Failed", "Incomplete"),
            (Counts { delivery_timed_out: 2, ..none }, false, "TimedOut", "Delivery Timed Out"),
            (Counts { delivery_timed_out: 1, succeeded: 1, ..none }, false, "Failed", "Incomplete"),
            (Counts { undeliverable: 2, ..none }, false, "Failed", "Failed"),
            (Counts { undeliverable: 1, succeeded: 1, ..none }, false, "Success", "Success"),
            (Counts { refused: 1, ..none }, false, "Failed", "Access Denied"),
            (Counts { refused: 1, succeeded: 1, ..none }, false, "Failed", "Incomplete"),
        ];
        for (counts, cancel_asked, status, details) in cases {
            assert_eq!(command_words(&counts, limits, cancel_asked), Words { status, details }, "{counts:?}");
        }
        let tolerant = Limits { concurrency: 50, errors: 1 };
        assert_eq!(command_words(&Counts { succeeded: 1, failed: 1, ..none }, tolerant, false).details, "Incomplete");
    }

    #[test]
    fn only_a_guess_gives_way_and_only_to_what_the_node_signed() {
        for state in [InvocationState::DeliveryTimedOut, InvocationState::Interrupted] {
            for (happening, next) in [
                (Happening::Accepted, InvocationState::Accepted),
                (Happening::Started, InvocationState::Running),
                (Happening::Ended(Outcome::Succeeded), InvocationState::Succeeded),
                (Happening::Rejected(RejectReason::Policy), InvocationState::AccessDenied),
            ] {
                assert_eq!(transition(state, true, happening), Some(next), "{happening:?}");
                assert_eq!(transition(state, false, happening), None, "{happening:?}");
            }
            for unsigned in [Happening::DeliveryTimePassed, Happening::RunTimePassed, Happening::CancelAsked, Happening::NodeRemoved] {
                assert_eq!(transition(state, true, unsigned), None, "{unsigned:?}");
            }
        }
        assert_eq!(transition(InvocationState::Cancelled, true, Happening::Ended(Outcome::Succeeded)), None);
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let outcome = proptest::sample::select(vec![
            Outcome::Succeeded,
            Outcome::Failed,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::Interrupted,
            Outcome::Expired,
        ]);
        let reason = proptest::sample::select(vec![RejectReason::Policy, RejectReason::Expired, RejectReason::Unsupported]);
        prop_oneof![
            Just(Happening::Accepted),
            Just(Happening::Started),
            outcome.prop_map(Happening::Ended),
            reason.prop_map(Happening::Rejected),
            Just(Happening::DeliveryTimePassed),
            Just(Happening::RunTimePassed),
            Just(Happening::CancelAsked),
            Just(Happening::NodeRemoved),
        ]
    }

    proptest! {
        /// A command with random answers: never more nodes busy than allowed, but for those that were wrongly given up; states
        /// only move forward, but for guesses; nothing is sent after the budget is spent, and the counts stay what the states say.
        #[test]
        fn rate_control_holds_over_random_histories(
            nodes in 1_usize..30, concurrency in 1_u32..10, errors in 0_u32..5,
            history in proptest::collection::vec((0_usize..30, happening()), 0..200),
        ) {
            let limits = Limits { concurrency: i64::from(concurrency), errors: i64::from(errors) };
            let mut states = vec![(InvocationState::Pending, false); nodes];
            let mut counts = Counts { pending: i64::try_from(nodes).unwrap(), ..Counts::default() };
            let mut back = 0;
            for (node, happening) in history {
                let over = is_over_budget(&counts, limits);
                let sent_before = counts.in_flight();
                let free = may_send(&counts, limits);
                for _ in 0..free {
                    let state = states.iter_mut().find(|(state, _)| *state == InvocationState::Pending).unwrap();
                    state.0 = transition(state.0, false, Happening::Sent).unwrap();
                    counts.shift(InvocationState::Pending, InvocationState::Sent, 1);
                }
                prop_assert!(!over || counts.in_flight() == sent_before);
                prop_assert!(counts.in_flight() <= limits.concurrency + back);
                let (state, guessed) = &mut states[node % nodes];
                // Only the backup case answers what was not sent; here every answer follows a sending.
                if happening.is_signed() && *state == InvocationState::Pending { continue; }
                if let Some(next) = transition(*state, *guessed, happening) {
                    prop_assert!(!state.is_terminal() || (*guessed && happening.is_signed()));
                    prop_assert!(next.is_terminal() || next > *state || *guessed);
                    counts.shift(*state, next, 1);
                    back += i64::from(*guessed && !next.is_terminal());
                    *guessed = match happening {
                        Happening::DeliveryTimePassed => *state == InvocationState::Sent,
                        Happening::RunTimePassed => true,
                        _ => false,
                    };
                    *state = next;
                }
                let mut recounted = Counts::default();
                for (state, _) in &states { *recounted.of_state(*state) += 1; }
                prop_assert_eq!(recounted, counts);
                let ended = states.iter().all(|(state, _)| state.is_terminal());
                let words = command_words(&counts, limits, false);
                prop_assert_eq!(ended, !matches!(words.status, "Pending" | "InProgress" | "Cancelling"));
            }
        }
    }
}
