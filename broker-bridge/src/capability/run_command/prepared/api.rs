//! The endpoints of prepared orders: read them, hand in signatures, reject them.

use super::super::api::parse_order_id;
use super::super::store::{self as commands, Ledger};
use super::store::{self, Signature};
use super::{Order, State, release};
use crate::fleet::Fleet;
use crate::fleet::audit;
use crate::fleet::signer::authority;
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::store::StoreError;
use crate::platform::time::{from_column, to_column};
use flotilla_api::Blob;
use flotilla_api::audit::Hex;
use flotilla_api::orders::{
    ALREADY_SIGNED, CollectedSignature, GetPreparedOrderRequest, GetPreparedOrderResult, INVALID_SIGNATURE, KEY_NOT_AUTHORISED,
    ListPreparedOrderTargetsRequest, ListPreparedOrderTargetsResult, ListPreparedOrdersRequest, ListPreparedOrdersResult,
    MAXIMUM_ORDERS_PAGE, MAXIMUM_TARGETS_PAGE, NOT_FOUND, ORDER_CANCELLED, ORDER_EXPIRED, ORDER_RELEASED, OTHER_BYTES, OrderTarget,
    PreparedOrder, PutOrderSignatureRequest, PutOrderSignatureResult, RejectPreparedOrderRequest, RejectPreparedOrderResult,
};
use flotilla_protocol::envelope::{Domain, Envelope, MAXIMUM_SIGNATURES};
use flotilla_protocol::trust::Trust;

/// Adds the endpoints.
pub(in super::super) fn endpoints(registry: &mut Registry<Fleet>) {
    registry.own_endpoint::<ListPreparedOrdersRequest>(Access::Viewer, list_prepared_orders);
    registry.own_endpoint::<GetPreparedOrderRequest>(Access::Viewer, get_prepared_order);
    registry.own_endpoint::<ListPreparedOrderTargetsRequest>(Access::Viewer, list_prepared_order_targets);
    registry.own_change::<PutOrderSignatureRequest>(Access::Operator, put_order_signature);
    registry.own_change::<RejectPreparedOrderRequest>(Access::Operator, reject_prepared_order);
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(NOT_FOUND, format!("{id} is no prepared order of this fleet"))
}

/// The order as the API shows it.
fn shown(order: &Order, trust: &Trust, now_ms: u64) -> (PreparedOrder, Vec<u8>) {
    let (envelope, judgement) = order.judged(trust, now_ms);
    let signature = |signature: &Signature| CollectedSignature {
        person: signature.person.clone(),
        key_id: Hex(<[u8; 8]>::try_from(signature.key_id.as_slice()).unwrap_or_default()),
        user: signature.user_name.clone(),
        signed_ms: from_column(signature.signed_ms),
        counts: order.counts(trust, signature, now_ms),
    };
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let body = Envelope::parse(&order.unsigned, Domain::Order).map(|envelope| envelope.body().to_vec()).unwrap_or_default();
    let shown = PreparedOrder {
        order_id: order.prepared.command_id.clone(),
        state: order.state_at(now_ms).as_str().to_owned(),
        requester: order.body.requester.clone(),
        class: order.class.as_str().to_owned(),
        document_name: order.prepared.document_name.clone(),
        target_count: order.body.targets.count,
        prepared_ms: from_column(order.prepared.requested_ms),
        not_after_ms: order.body.not_after_ms,
        body_sha256: Hex(flotilla_protocol::sha256(&[&body])),
        signatures: order.signatures.iter().map(signature).collect(),
        threshold: number(judgement.threshold),
        missing: number(judgement.missing),
        may_sign: judgement.may_sign.into_iter().collect(),
        reason: given(&order.prepared.reason),
        closed_by: given(&order.prepared.closed_by),
    };
    (shown, envelope)
}

pub(super) async fn list_prepared_orders(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListPreparedOrdersRequest,
) -> Result<ListPreparedOrdersResult, ApiError> {
    let size = page_size(request.max_results, 1..=MAXIMUM_ORDERS_PAGE)?;
    let scope = TokenScope::new("ListPreparedOrders", &request.state);
    let before = scope.after(request.next_token.as_deref())?;
    let state = request.state.as_deref().map(State::parse).transpose();
    let state = state.map_err(|_| ApiError::validation("State is none of the states of a prepared order"))?;
    let (now_ms, trust) = (fleet.clock.now_ms(), fleet.signer.trust());
    // One look at the database for which they are and what is shown of them.
    let mut snapshot = fleet.store.reader().begin().await?;
    let mut ids = store::page(&mut snapshot, state, before.as_deref(), now_ms, size + 1).await?;
    let next_token = cut(&mut ids, size, &scope, Clone::clone);
    let mut orders = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(order) = Order::find(&mut snapshot, &id).await? {
            orders.push(shown(&order, &trust, now_ms).0);
        }
    }
    snapshot.rollback().await?;
    Ok(ListPreparedOrdersResult { orders: Some(orders), next_token })
}

pub(super) async fn get_prepared_order(
    fleet: &Fleet,
    _caller: &Caller,
    request: GetPreparedOrderRequest,
) -> Result<GetPreparedOrderResult, ApiError> {
    let id = parse_order_id(&request.order_id)?.to_string();
    let mut snapshot = fleet.store.reader().begin().await?;
    let order = Order::find(&mut snapshot, &id).await?.ok_or_else(|| not_found(&id))?;
    snapshot.rollback().await?;
    let (order, envelope) = shown(&order, &fleet.signer.trust(), fleet.clock.now_ms());
    Ok(GetPreparedOrderResult { order, envelope: Blob(envelope) })
}

pub(super) async fn list_prepared_order_targets(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListPreparedOrderTargetsRequest,
) -> Result<ListPreparedOrderTargetsResult, ApiError> {
    let id = parse_order_id(&request.order_id)?.to_string();
    let size = page_size(request.max_results, 1..=MAXIMUM_TARGETS_PAGE)?;
    let scope = TokenScope::new("ListPreparedOrderTargets", &id);
    let after = scope.after(request.next_token.as_deref())?.unwrap_or_default();
    let mut reader = fleet.store.reader().acquire().await?;
    if store::find(&mut reader, &id).await?.is_none() {
        return Err(not_found(&id));
    }
    let mut targets = store::targets(&mut reader, &id, &after, size + 1).await?;
    let next_token = cut(&mut targets, size, &scope, |target| target.node_id.clone());
    let mut answered = Vec::with_capacity(targets.len());
    for target in targets {
        let damaged = |_| StoreError::Unusable(format!("the row of node {} is damaged", target.node_id));
        let identity_key = Hex(<[u8; 32]>::try_from(target.identity_key.as_slice()).map_err(damaged)?);
        let hash = <[u8; 32]>::try_from(target.node_data_hash.as_slice()).ok();
        let node_data_sha256 = hash.filter(|_| target.node_data.is_empty()).map(Hex);
        answered.push(OrderTarget { node_id: target.node_id, identity_key, node_data: Blob(target.node_data), node_data_sha256 });
    }
    Ok(ListPreparedOrderTargetsResult { targets: Some(answered), next_token })
}

/// Refuses what is to be done to an order that awaits nothing any more.
fn still_awaits(order: &Order, trust: &Trust, now_ms: u64) -> Result<(), ApiError> {
    let id = &order.prepared.command_id;
    match order.state_at(now_ms) {
        State::AwaitingSignature if order.body.epoch != trust.bundle().epoch => {
            Err(ApiError::new(ORDER_EXPIRED, format!("{id} was prepared before the fleet began a new epoch; send the command anew")))
        }
        State::AwaitingSignature => Ok(()),
        State::Released => {
            Err(ApiError::new(ORDER_RELEASED, format!("enough persons have signed {id}, and no node waits for another signature")))
        }
        State::Rejected => Err(ApiError::new(ORDER_CANCELLED, format!("{} has rejected {id}", order.prepared.closed_by))),
        State::Cancelled => Err(ApiError::new(ORDER_CANCELLED, format!("{id} was cancelled"))),
        State::Expired => Err(ApiError::new(ORDER_EXPIRED, format!("the time of {id} was over before enough had signed it"))),
    }
}

/// Whose signature was handed in, if it counts.
fn verify(
    order: &Order,
    trust: &Trust,
    request: &PutOrderSignatureRequest,
    signature: &Signature,
    now_ms: u64,
) -> Result<String, ApiError> {
    let envelope = Envelope::parse(&order.unsigned, Domain::Order).map_err(|error| ApiError::validation(error.to_string()))?;
    if flotilla_protocol::sha256(&[envelope.body()]) != request.body_sha256.0 {
        return Err(ApiError::new(OTHER_BYTES, "other bytes than those of this order were signed; read it anew and sign that"));
    }
    let class = order.class.as_str();
    let bundle = trust.bundle();
    let named = |index: &u16| {
        let verifier = bundle.keys.get(usize::from(*index)).and_then(|key| key.public_key.verifier().ok().flatten());
        verifier.is_some_and(|verifier| verifier.algorithm() == request.algorithm && verifier.id().0 == request.key_id.0)
    };
    let refused = || {
        let message = format!("trust bundle {} does not let the key {} sign orders of the class {class}", bundle.version, request.key_id);
        ApiError::new(KEY_NOT_AUTHORISED, message)
    };
    let index = authority::keys_of(trust, order.class, now_ms).into_iter().find(named).ok_or_else(refused)?;
    let person = bundle.keys.get(usize::from(index)).map(|key| key.person.clone()).ok_or_else(refused)?;
    let invalid = || ApiError::new(INVALID_SIGNATURE, format!("it is no signature of {person}'s key over this order"));
    let signed = order.signed_by(signature).ok_or_else(invalid)?;
    let verifies = Envelope::parse(&signed, Domain::Order).is_ok_and(|envelope| trust.has_signed(index, &envelope));
    if verifies { Ok(person) } else { Err(invalid()) }
}

pub(super) async fn put_order_signature(
    fleet: &Fleet,
    caller: &Caller,
    request: PutOrderSignatureRequest,
) -> Result<PutOrderSignatureResult, ApiError> {
    let id = parse_order_id(&request.order_id)?.to_string();
    let now_ms = fleet.clock.now_ms();
    let mut write = fleet.store.write().await?;
    // Under the writer, so that whoever judges all by a newer trust comes behind this.
    let trust = fleet.signer.trust();
    // Who has stood aside meanwhile releases nothing: the nodes are not ours any more.
    if fleet.publisher.stands_aside() {
        return Err(ApiError::unavailable("another bridge of this fleet has taken over from this one; call that one"));
    }
    let mut order = Order::find(write.connection(), &id).await?.ok_or_else(|| not_found(&id))?;
    // A node that has not taken it may need more signatures than others did.
    let is_current = order.body.not_after_ms > now_ms && order.body.epoch == trust.bundle().epoch;
    let is_released = order.state == State::Released && is_current;
    let joins = is_released && store::is_open(write.connection(), &id).await?;
    if !joins {
        still_awaits(&order, &trust, now_ms)?;
    }
    let mut signature = Signature {
        algorithm: i64::from(request.algorithm),
        key_id: request.key_id.0.to_vec(),
        signature: request.signature.0.clone(),
        person: String::new(),
        user_name: caller.user.clone(),
        signed_ms: to_column(now_ms),
    };
    signature.person = verify(&order, &trust, &request, &signature, now_ms)?;
    // Those that count no more are kept beside the others, and go into no envelope.
    let counted = order.signatures.iter().filter(|signature| order.counts(&trust, signature, now_ms)).count();
    let (_, before) = order.judged(&trust, now_ms);
    order.signatures.push(signature.clone());
    let adds = order.judged(&trust, now_ms).1.rules != before.rules;
    // Another key of the same person may be one of another rule.
    if !adds && before.signed.contains(&signature.person) {
        return Err(ApiError::new(ALREADY_SIGNED, format!("{} has signed {id} already, and counts once", signature.person)));
    }
    if counted >= MAXIMUM_SIGNATURES {
        return Err(ApiError::validation(format!("an order carries at most {MAXIMUM_SIGNATURES} signatures")));
    }
    store::add_signature(&mut write, &id, &signature).await?;
    write.record(audit::order_approved(&caller.user, &id, &signature.person, request.key_id.0, &signature.signature, now_ms));
    order.signatures = store::signatures(write.connection(), &id).await?;
    let (envelope, judgement) = order.judged(&trust, now_ms);
    if joins {
        store::replace_envelope(&mut write, &id, &envelope, now_ms).await?;
    } else if judgement.is_enough {
        release(&mut write, &order, &envelope, &judgement, now_ms).await?;
        order.state = State::Released;
    }
    write.commit().await?;
    tracing::info!(command = id, user = caller.user, person = signature.person, missing = judgement.missing, "an order was signed");
    if judgement.is_enough {
        fleet.nudge.dispatch.notify_one();
    }
    Ok(PutOrderSignatureResult { order: shown(&order, &trust, now_ms).0 })
}

pub(super) async fn reject_prepared_order(
    fleet: &Fleet,
    caller: &Caller,
    request: RejectPreparedOrderRequest,
) -> Result<RejectPreparedOrderResult, ApiError> {
    let id = parse_order_id(&request.order_id)?.to_string();
    let now_ms = fleet.clock.now_ms();
    let trust = fleet.signer.trust();
    let mut write = fleet.store.write().await?;
    let order = Order::find(write.connection(), &id).await?.ok_or_else(|| not_found(&id))?;
    still_awaits(&order, &trust, now_ms)?;
    store::reject(&mut write, &id, &caller.user, &request.reason).await?;
    let mut ledger = Ledger::default();
    commands::cancel(&mut write, &mut ledger, &id, &[], now_ms).await?;
    commands::touch(&mut ledger, &id);
    commands::settle(&mut write, &mut ledger, now_ms).await?;
    write.record(audit::order_rejected(&caller.user, &id, &request.reason, now_ms));
    let order = Order::find(write.connection(), &id).await?.ok_or_else(|| not_found(&id))?;
    write.commit().await?;
    fleet.nudge.dispatch.notify_one();
    tracing::info!(command = id, user = caller.user, "a prepared order was rejected");
    Ok(RejectPreparedOrderResult { order: shown(&order, &trust, now_ms).0 })
}
