//! The checks on an order, in this order, failing closed: not retained → size → delivery and envelope form → topic and domain → signatures →
//! decode → fleet, class, threshold → target proof → replay → trusted time → secrets → room. The durable claim follows when all of them pass.
//!
//! Until the target is proven a refusal has no effect but a counter: whoever sent the message may be anybody. After it, the bridge gets
//! an answer.

use crate::memory::Memory;
use crate::orders::{MAXIMUM_LANES, Orders};
use crate::room;
use crate::secrets;
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::Action;
use flotilla_protocol::envelope::{Domain, Envelope, EnvelopeError};
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::secret::{Binding, SealingKey};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::target;
use flotilla_protocol::trust::{Role, Trust};
use flotilla_protocol::wire::{DecodeError, MAXIMUM_MESSAGE_BYTES, decode};

/// What came of the checks.
#[derive(Debug)]
pub enum Verdict {
    /// All passed.
    Accept(Box<Admitted>),
    /// Signed, and meant for this node; only the time is missing. It waits for the welcome.
    AwaitTime,
    /// The order was taken before: what is held about it is sent again.
    AlreadyTaken(OrderId),
    /// Refused without an answer.
    Drop(RejectReason),
    /// Refused for ever, with an answer to the bridge.
    Answer {
        /// Which order.
        order: OrderId,
        /// Until when its id is kept.
        not_after_ms: u64,
        /// Why.
        reason: RejectReason,
    },
}

/// An order that may be recorded and run.
#[derive(Debug)]
pub struct Admitted {
    /// The signed body as it was received.
    pub bytes: Vec<u8>,
    /// The node data as it was received.
    pub node_data: Vec<u8>,
    /// The order.
    pub order: OrderBody,
    /// What it runs.
    pub command: CommandOrder,
}

/// What the checks need to know of the node.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The node's identity key.
    pub identity_key: &'a [u8; 32],
    /// The trust it goes by.
    pub trust: &'a Trust,
    /// The agent's version: major, minor, patch.
    pub agent_version: [u16; 3],
    /// Its durable floor, Unix milliseconds.
    pub floor_ms: u64,
    /// Trusted Unix time in milliseconds, if it has it.
    pub time_ms: Option<u64>,
    /// Whether the spool takes no more.
    pub is_full: bool,
    /// What the node remembers.
    pub memory: &'a Memory,
    /// How many bytes of orders the journal has room for; nothing while it takes no records.
    pub journal_room: Option<u64>,
    /// The node has gone by this trust version before: an older one judges nothing.
    pub least_trust_version: u32,
    /// What secrets are sealed to.
    pub sealing_key: Option<&'a SealingKey>,
}

/// Turns an unreadable envelope into its reason.
pub(crate) fn envelope_reason(error: EnvelopeError) -> RejectReason {
    match error {
        EnvelopeError::Version(_) => RejectReason::Version,
        EnvelopeError::Domain(_) => RejectReason::Domain,
        EnvelopeError::Malformed | EnvelopeError::BeyondLimit => RejectReason::Malformed,
    }
}

fn body_reason(error: DecodeError) -> RejectReason {
    if error == DecodeError::TooLarge { RejectReason::TooLarge } else { RejectReason::Malformed }
}

/// Judges a delivery that came on the node's own order topic.
pub(crate) fn judge(facts: &Facts<'_>, orders: &Orders, retained: bool, payload: &[u8]) -> Verdict {
    match check(facts, orders, retained, payload) {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Drop(reason),
    }
}

fn check(facts: &Facts<'_>, orders: &Orders, retained: bool, payload: &[u8]) -> Result<Verdict, RejectReason> {
    if retained {
        return Err(RejectReason::Retained);
    }
    if payload.len() > MAXIMUM_MESSAGE_BYTES {
        return Err(RejectReason::TooLarge);
    }
    let delivery: Delivery = decode(payload).map_err(body_reason)?;
    let envelope = Envelope::parse(&delivery.envelope, Domain::Order).map_err(envelope_reason)?;
    if !facts.trust.knows_a_signer_of(&envelope, |role| matches!(role, Role::Operator(_))) {
        return Err(RejectReason::Signature);
    }
    let order: OrderBody = decode(envelope.body()).map_err(body_reason)?;
    if order.fleet != facts.trust.fleet() {
        return Err(RejectReason::Fleet);
    }
    let payload = order.payload().map_err(body_reason)?;
    // A payload that this build does not know has no class: that some operator signed it has to do for the answer that it is unknown.
    if let Some(class) = payload.class() {
        facts.trust.require(Role::Operator(class), &envelope).map_err(|_| RejectReason::Signature)?;
    }
    let leaf = target::leaf(facts.identity_key, &delivery.node_data);
    if !target::is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root) {
        return Err(RejectReason::Target);
    }
    if orders.known.contains_key(&order.id) {
        return Ok(Verdict::AlreadyTaken(order.id));
    }
    if order.not_after_ms <= facts.floor_ms {
        // No answer: whatever came of this order was said when its id was known, and the floor in our hello says that it never runs.
        return Err(RejectReason::Expired);
    }
    let answer = |reason| Ok(Verdict::Answer { order: order.id, not_after_ms: order.not_after_ms, reason });
    let Some(time_ms) = facts.time_ms else { return Ok(Verdict::AwaitTime) };
    // Whatever the answer is, it must be recorded. The bridge sends again.
    let Some(journal_room) = facts.journal_room else { return Err(RejectReason::Storage) };
    // Before the expiry: of an order that may have run it is not known that it expired.
    if facts.memory.may_have_taken(order.id, order.not_before_ms) {
        return answer(RejectReason::MemoryLost);
    }
    if order.not_after_ms <= time_ms {
        return answer(RejectReason::Expired);
    }
    // A node whose trust is behind refuses for now and not for ever: the bridge sends again, and welcomes bring new bundles.
    let bundle = facts.trust.bundle();
    if bundle.expires_ms <= time_ms {
        return Err(RejectReason::TrustExpired);
    }
    if facts.agent_version < bundle.minimum_agent_version {
        return Err(RejectReason::AgentVersion);
    }
    if order.minimum_trust_version.max(facts.least_trust_version) > bundle.version {
        return Err(RejectReason::TrustVersion);
    }
    if order.epoch != bundle.epoch {
        return answer(RejectReason::Epoch);
    }
    let OrderPayload::Command(command) = payload else { return answer(RejectReason::Unsupported) };
    let is_known = |step: &flotilla_protocol::document::Step| !matches!(step.action(), Ok(Action::Unsupported(_)) | Err(_));
    if !command.plan.steps.iter().all(is_known) {
        return answer(RejectReason::Unsupported);
    }
    // Opened for a moment, so that an order that could never run is refused now, with an answer.
    let binding = Binding { fleet: order.fleet, node: NodeId::of_key(facts.identity_key), order: order.id };
    if let Err(reason) = secrets::open(facts.sealing_key, &binding, &command, &delivery.node_data) {
        return answer(reason);
    }
    let held_bytes = envelope.body().len() + delivery.node_data.len();
    if orders.is_full(held_bytes) || facts.is_full {
        // Not for ever: the bridge sends the order again later.
        return Err(RejectReason::Busy);
    }
    if journal_room < room::of_waiting_order(held_bytes) {
        return Err(RejectReason::Storage);
    }
    if order.lane != 0 {
        match orders.lanes.get(&(order.requester.clone(), order.lane)) {
            Some(lane) if order.sequence <= lane.sequence => return answer(RejectReason::OutOfOrder),
            None if orders.lanes.len() >= MAXIMUM_LANES => return Err(RejectReason::Busy),
            Some(_) | None => {}
        }
    }
    Ok(Verdict::Accept(Box::new(Admitted { bytes: envelope.body().to_vec(), node_data: delivery.node_data, order, command })))
}
