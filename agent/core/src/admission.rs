//! The checks on an order, in this order, failing closed: not retained → size → delivery and envelope form → topic and domain → signatures →
//! decode → fleet, class, threshold, scope → target proof → replay → trusted time → keys that have run out → local policy → secrets → room. The
//! durable claim follows when all of them pass. Hours are no check here: an order waits for them, and is judged again before it starts.
//!
//! Until the target is proven a refusal has no effect but a counter: whoever sent the message may be anybody. After it, the bridge gets
//! an answer, unless another set of signatures, another policy or more room would let the same order in: a broker that takes a signature out
//! of an envelope must not make an order refused for ever. An order that is allowed on other nodes, of a class whose rules are all for other
//! nodes, gets one: no further signature helps it here.

use crate::memory::Memory;
use crate::orders::{MAXIMUM_LANES, Orders, Signed};
use crate::policy::{PolicyRefusal, PolicyState};
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
use flotilla_protocol::trust::{Asked, Class, Labels, NotAuthorised, Trust};
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
    Drop(Refusal),
    /// Refused for ever, with an answer to the bridge.
    Answer {
        /// Which order.
        order: OrderId,
        /// Until when its id is kept.
        not_after_ms: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a message is refused.
#[derive(Debug)]
pub struct Refusal {
    /// For counters and answers.
    pub reason: RejectReason,
    /// For people, where there is more to say.
    pub why: Option<String>,
}

impl Refusal {
    pub(crate) fn because(reason: RejectReason, why: &impl ToString) -> Self {
        Self { reason, why: Some(why.to_string()) }
    }
}

impl From<RejectReason> for Refusal {
    fn from(reason: RejectReason) -> Self {
        Self { reason, why: None }
    }
}

/// An order that may be recorded and run.
#[derive(Debug)]
pub struct Admitted {
    /// The order's envelope as it was received.
    pub envelope: Vec<u8>,
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
    /// The node.
    pub node: NodeId,
    /// The node's identity key.
    pub identity_key: &'a [u8; 32],
    /// The trust it goes by.
    pub trust: &'a Trust,
    /// Its own policy.
    pub policy: &'a PolicyState,
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
        Err(refusal) => Verdict::Drop(refusal),
    }
}

fn check(facts: &Facts<'_>, orders: &Orders, retained: bool, payload: &[u8]) -> Result<Verdict, Refusal> {
    if retained {
        return Err(RejectReason::Retained.into());
    }
    if payload.len() > MAXIMUM_MESSAGE_BYTES {
        return Err(RejectReason::TooLarge.into());
    }
    let delivery: Delivery = decode(payload).map_err(body_reason)?;
    let envelope = Envelope::parse(&delivery.envelope, Domain::Order).map_err(envelope_reason)?;
    let signers = facts.trust.signers(&envelope);
    if !facts.trust.has_operator(&signers, None) {
        return Err(RejectReason::Signature.into());
    }
    let order: OrderBody = decode(envelope.body()).map_err(body_reason)?;
    if order.fleet != facts.trust.fleet() {
        return Err(RejectReason::Fleet.into());
    }
    let payload = order.payload().map_err(body_reason)?;
    // What the node is, is not known while its policy has a fault; the policy refuses the order below, for as long as that lasts.
    let labels = labels_of(facts.policy, facts.trust, facts.node);
    let asked = |class, time_ms| Asked { class, requester: &order.requester, labels: labels.as_ref(), time_ms };
    let mut elsewhere = None;
    // A payload that this build does not know has no class: that some operator signed it has to do for the answer that it is unknown.
    if let Some(class) = payload.class() {
        match facts.trust.authorise(&signers, &asked(class, None)) {
            Ok(_) => {}
            // It is answered, because no further signature could let it in: else the bridge would send it until its time is over.
            Err(error) if error.is_for_other_nodes_alone() => elsewhere = Some(not_authorised(&error)),
            Err(error) => return Err(not_authorised(&error)),
        }
    }
    let leaf = target::leaf(facts.identity_key, &delivery.node_data);
    if !target::is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root) {
        return Err(RejectReason::Target.into());
    }
    if orders.known.contains_key(&order.id) {
        return Ok(Verdict::AlreadyTaken(order.id));
    }
    if order.not_after_ms <= facts.floor_ms {
        // No answer: whatever came of this order was said when its id was known, and the floor in our hello says that it never runs.
        return Err(RejectReason::Expired.into());
    }
    let answer = |reason: RejectReason| Ok(Verdict::Answer { order: order.id, not_after_ms: order.not_after_ms, refusal: reason.into() });
    let Some(time_ms) = facts.time_ms else { return Ok(Verdict::AwaitTime) };
    // Whatever the answer is, it must be recorded. The bridge sends again.
    let Some(journal_room) = facts.journal_room else { return Err(RejectReason::Storage.into()) };
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
        return Err(RejectReason::TrustExpired.into());
    }
    if facts.agent_version < bundle.minimum_agent_version {
        return Err(RejectReason::AgentVersion.into());
    }
    if order.minimum_trust_version > bundle.version {
        return Err(RejectReason::TrustVersion.into());
    }
    if order.epoch != bundle.epoch {
        return answer(RejectReason::Epoch);
    }
    if let Some(refusal) = elsewhere {
        // Whoever may sign for other nodes must not take the places of this node's orders.
        if orders.is_full_of_orders_for_others() {
            return Err(refusal);
        }
        return Ok(Verdict::Answer { order: order.id, not_after_ms: order.not_after_ms, refusal });
    }
    if let Some(class) = payload.class() {
        let persons = match facts.trust.authorise(&signers, &asked(class, Some(time_ms))) {
            Ok(authorised) => authorised.persons,
            // It waits for its hours.
            Err(error) if error.opens_at_ms().is_some() => error.persons,
            Err(error) => return Err(not_authorised(&error)),
        };
        if let Err(why) = facts.policy.check(class, persons.len()) {
            let refusal = Refusal::because(RejectReason::Policy, &why);
            return match why {
                PolicyRefusal::Class(_) => Ok(Verdict::Answer { order: order.id, not_after_ms: order.not_after_ms, refusal }),
                PolicyRefusal::Fault(_) | PolicyRefusal::Persons { .. } => Err(refusal),
            };
        }
    }
    let OrderPayload::Command(command) = payload else { return answer(RejectReason::Unsupported) };
    let is_known = |step: &flotilla_protocol::document::Step| !matches!(step.action(), Ok(Action::Unsupported(_)) | Err(_));
    if !command.plan.steps.iter().all(is_known) {
        return answer(RejectReason::Unsupported);
    }
    // Opened for a moment, so that an order that could never run is refused now, with an answer.
    let binding = Binding { fleet: order.fleet, node: facts.node, order: order.id };
    if let Err(reason) = secrets::open(facts.sealing_key, &binding, &command, &delivery.node_data) {
        return answer(reason);
    }
    let held_bytes = delivery.envelope.len() + delivery.node_data.len();
    if orders.is_full(held_bytes) || facts.is_full {
        // Not for ever: the bridge sends the order again later.
        return Err(RejectReason::Busy.into());
    }
    if journal_room < room::of_waiting_order(held_bytes) {
        return Err(RejectReason::Storage.into());
    }
    if order.lane != 0 {
        match orders.lanes.get(&(order.requester.clone(), order.lane)) {
            Some(lane) if order.sequence <= lane.sequence => return answer(RejectReason::OutOfOrder),
            None if orders.lanes.len() >= MAXIMUM_LANES => return Err(RejectReason::Busy.into()),
            Some(_) | None => {}
        }
    }
    Ok(Verdict::Accept(Box::new(Admitted { envelope: delivery.envelope, node_data: delivery.node_data, order, command })))
}

/// The labels by which scopes are judged; nothing while the policy, which names some, cannot be gone by.
fn labels_of(policy: &PolicyState, trust: &Trust, node: NodeId) -> Option<Labels> {
    policy.fault.is_none().then(|| policy.policy.labels.signed_over(trust.bundle(), node))
}

fn not_authorised(error: &NotAuthorised) -> Refusal {
    let reason = if error.is_for_other_nodes() { RejectReason::Scope } else { RejectReason::Signature };
    Refusal::because(reason, error)
}

/// Who judges an order once more, and when.
#[derive(Debug)]
pub(crate) struct Again<'a> {
    pub(crate) node: NodeId,
    pub(crate) trust: &'a Trust,
    pub(crate) policy: &'a PolicyState,
    /// Trusted Unix time in milliseconds; nothing: hours and the ends of keys are not judged.
    pub(crate) time_ms: Option<u64>,
}

/// An order that was taken may start, as far as the trust goes.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) class: Class,
    /// How many persons have signed it.
    pub(crate) persons: usize,
}

/// What stands against the start of an order that was taken.
#[derive(Debug)]
pub(crate) enum Objection {
    /// The hours of its rule, which begin then: Unix milliseconds.
    Until(u64),
    /// It never starts.
    Ever(Refusal),
}

/// Judges an order that was taken once more, by the trust of now: its signatures were kept with it.
pub(crate) fn judge_again(facts: &Again<'_>, signed: &Signed) -> Result<Allowed, Objection> {
    let ever = |reason: RejectReason| Objection::Ever(reason.into());
    let Signed::Envelope(envelope) = signed else { return Err(ever(RejectReason::Signature)) };
    let envelope = Envelope::parse(envelope, Domain::Order).map_err(|error| ever(envelope_reason(error)))?;
    let signers = facts.trust.signers(&envelope);
    // Before the body is read, as for an order that comes: nothing on this disk is believed more than the signatures.
    if !facts.trust.has_operator(&signers, None) {
        return Err(ever(RejectReason::Signature));
    }
    let order: OrderBody = decode(envelope.body()).map_err(|error| ever(body_reason(error)))?;
    let payload = order.payload().map_err(|error| ever(body_reason(error)))?;
    let class = payload.class().ok_or_else(|| ever(RejectReason::Unsupported))?;
    // While the policy has a fault nothing starts, and nothing is refused for it.
    let labels = labels_of(facts.policy, facts.trust, facts.node);
    let asked = Asked { class, requester: &order.requester, labels: labels.as_ref(), time_ms: facts.time_ms };
    let (persons, opens_at_ms) = match facts.trust.authorise(&signers, &asked) {
        Ok(authorised) => (authorised.persons, None),
        Err(error) => match error.opens_at_ms() {
            None => return Err(Objection::Ever(not_authorised(&error))),
            opens_at_ms => (error.persons, opens_at_ms),
        },
    };
    if order.epoch != facts.trust.bundle().epoch {
        return Err(ever(RejectReason::Epoch));
    }
    opens_at_ms.map_or(Ok(Allowed { class, persons: persons.len() }), |at| Err(Objection::Until(at)))
}
