//! SendCommand: choose the nodes, compile the document, sign once, or prepare what people sign, and write it all in one transaction.
//!
//! What may go out at once is marked as sent in that same transaction and published right after its commit, so an idle
//! fleet's command waits for no further commit; the rest is left to dispatch.

use super::super::model::{Counts, InvocationState};
use super::super::notification;
use super::super::prepared;
use super::super::reconcile::delivery_message;
use super::super::rules::{self, Limits, Rate, command_words};
use super::super::secrets;
use super::super::store::{self, NewCommand, NewInvocation};
use super::detail::StepName;
use super::list::{command, new_command};
use crate::fleet::document::{self, StoredDocument};
use crate::fleet::signer::authority;
use crate::fleet::{Fleet, audit, target};
use crate::platform::http::{ApiError, Caller};
use crate::platform::repeat;
use crate::platform::time::to_column;
use crate::randomness::Randomness;
use flotilla_api::commands::{SendCommandRequest, SendCommandResult};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::Step;
use flotilla_protocol::envelope::{Domain, MAXIMUM_SIGNATURES, seal};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::{MAXIMUM_REQUESTER_BYTES, MAXIMUM_VALIDITY_MS, OnCrash, OrderBody, Targets};
use flotilla_protocol::target::{MAXIMUM_PROOF, TargetTree, leaf};
use flotilla_protocol::trust::Class;
use flotilla_protocol::wire::{Check as _, MAXIMUM_MESSAGE_BYTES, encode};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Seconds within which a command must begin (the model's limits), and where nothing is said.
const TIMEOUT_S: RangeInclusive<i32> = 30..=2_592_000;
const DEFAULT_TIMEOUT_S: i32 = 3_600;
/// Longest comment, in characters (the model's limit).
const MAXIMUM_COMMENT: usize = 100;
/// Longest ARN of a role, in characters: it means nothing here, and every row of a list repeats it.
const MAXIMUM_SERVICE_ROLE: usize = 2_048;
/// How far back an order's begin lies: a node's idea of the time may be a little behind ours.
const BACKDATING_MS: u64 = 60_000;
/// Bytes that one signature takes up in an envelope, at most: that of a security key.
const SIGNATURE_ROOM: usize = 11 + 70;
/// Most deliveries that a call publishes itself; the rest is left to dispatch.
const SENT_AT_ONCE: usize = 256;

pub(crate) async fn send_command(fleet: &Fleet, caller: &Caller, request: SendCommandRequest) -> Result<SendCommandResult, ApiError> {
    let repeated = repeat::find(fleet.store.reader().acquire().await?.as_mut(), caller, fleet.clock.now_ms()).await?;
    if let Some(command_id) = repeated {
        return answer_again(fleet, caller, &command_id).await;
    }
    let rates = check(&request)?;
    let notification = notification::check(fleet, request.notification_config.as_ref())?;
    let stored = document::find(&fleet.store, &request.document_name, request.document_version.as_deref()).await?;
    check_hash(&request, &stored)?;
    let given = request.parameters.clone().unwrap_or_default();
    let compiled = document::prepare(&fleet.store, &stored.document, &given).await?;
    let shown = stored.document.masked(&given);
    let mut chosen = target::resolve(fleet, request.instance_ids.as_deref(), request.targets.as_deref()).await?;
    // The tree wants them by identity key.
    chosen.sort_by_key(|node| node.identity_key);
    let total = i64::try_from(chosen.len()).unwrap_or(i64::MAX);
    let limits = Limits { concurrency: rates.concurrency.concurrency(total), errors: rates.errors.errors(total) };

    let now_ms = fleet.clock.now_ms();
    let id = order_id(&fleet.randomness, now_ms)?;
    let timeout_s = request.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_S);
    let timeout_ms = u64::try_from(timeout_s).unwrap_or(0) * 1000;
    let expires_ms = now_ms.saturating_add(timeout_ms);
    // From here on nothing holds the values but the request itself.
    let node_data = secrets::node_data(fleet, id, &chosen, compiled.secrets).await?;
    let longest_node_data = node_data.iter().map(Vec::len).max().unwrap_or_default();
    let tree = TargetTree::new(chosen.iter().zip(&node_data).map(|(node, data)| leaf(&node.identity_key, data)).collect());
    let ends_by_ms = rules::ends_by_ms(expires_ms, compiled.plan.steps.iter().map(Step::time_out_s));
    let order = CommandOrder {
        document: stored.name.clone(),
        document_version: stored.version.to_string(),
        parameters: compiled.parameters,
        plan: compiled.plan,
    };
    order.check().map_err(|error| ApiError::new("InvalidParameters", error.to_string()))?;
    let body = OrderBody {
        id,
        fleet: fleet.settings.fleet,
        targets: Targets { count: u32::try_from(chosen.len()).unwrap_or(u32::MAX), root: tree.root() },
        requester: requester(&caller.user),
        lane: 0,
        sequence: 0,
        epoch: fleet.signer.trust().bundle().epoch,
        not_before_ms: now_ms.saturating_sub(BACKDATING_MS.min(MAXIMUM_VALIDITY_MS.saturating_sub(timeout_ms))),
        not_after_ms: expires_ms,
        minimum_trust_version: fleet.signer.trust().bundle().version,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(order).encode(),
    };
    let Signed { envelope, awaits, joins } = if chosen.is_empty() { Signed::default() } else { sign(fleet, &body, longest_node_data)? };

    let command_id = id.to_string();
    // Who is online is read where nobody can come or go before this is written.
    let mut write = fleet.store.write().await?;
    // Who has stood aside meanwhile promises nothing: the nodes are not ours any more.
    if fleet.publisher.stands_aside() {
        return Err(ApiError::unavailable("another bridge of this fleet has taken over from this one; call that one"));
    }
    // Another attempt may have come first; whoever holds the writer is the only one to look.
    if let Some(command_id) = repeat::find(write.connection(), caller, now_ms).await? {
        drop(write);
        return answer_again(fleet, caller, &command_id).await;
    }
    let ready = if fleet.publisher.is_connected() && awaits.is_none() {
        store::ready_among(&mut write, chosen.iter().take(SENT_AT_ONCE).map(|node| node.id)).await?
    } else {
        BTreeSet::new()
    };
    let mut counts = Counts::default();
    let mut invocations = Vec::with_capacity(chosen.len());
    let mut place = rules::may_send(&Counts { pending: total, ..Counts::default() }, limits);
    for (index, (node, node_data)) in chosen.iter().zip(node_data).enumerate() {
        let send = place > 0 && ready.contains(&node.id);
        let state = if send { InvocationState::Sent } else { InvocationState::Pending };
        place -= i64::from(send);
        *counts.of_state(state) += 1;
        let next_send_ms = to_column(if send { now_ms.saturating_add(fleet.settings.pace.pause_ms(1)) } else { now_ms });
        let proof = tree.proof(index).unwrap_or_default();
        let give_up_ms = to_column(rules::gives_up_at_ms(send, expires_ms));
        invocations.push(NewInvocation { node: node.id, index, proof, node_data, state, next_send_ms, give_up_ms });
    }
    let steps: Vec<StepName> = stored.document.steps.iter().map(step_name).collect();
    let (words, document_version) = (command_words(&counts, limits, false), stored.version.to_string());
    let json = |value: serde_json::Result<String>| value.map_err(ApiError::internal);
    let new = NewCommand {
        command_id: &command_id,
        envelope: &envelope,
        requester: &caller.user,
        document_name: &stored.name,
        document_version: &document_version,
        steps: json(serde_json::to_string(&steps))?,
        comment: request.comment.as_deref().unwrap_or_default(),
        parameters: json(serde_json::to_string(&shown))?,
        instance_ids: json(serde_json::to_string(request.instance_ids.as_deref().unwrap_or_default()))?,
        targets: json(serde_json::to_string(request.targets.as_deref().unwrap_or_default()))?,
        requested_ms: to_column(now_ms),
        expires_ms: to_column(expires_ms),
        ends_by_ms: to_column(ends_by_ms),
        timeout_seconds: i64::from(timeout_s),
        max_concurrency: request.max_concurrency.as_deref().unwrap_or(DEFAULT_CONCURRENCY),
        max_errors: request.max_errors.as_deref().unwrap_or(DEFAULT_ERRORS),
        limits,
        words,
        counts,
        notification,
        service_role: request.service_role_arn.as_deref().unwrap_or_default(),
    };
    store::insert(&mut write, &new, &invocations).await?;
    let content = format!("{} version {document_version}", stored.name);
    if let Some(class) = awaits {
        prepared::insert(&mut write, &command_id, class).await?;
        write.record(audit::order_prepared(&body, class, &content, now_ms));
    } else if !envelope.is_empty() {
        if let Some(class) = joins {
            prepared::insert_signed(&mut write, &fleet.signer.trust(), &command_id, class, &envelope, now_ms).await?;
        }
        write.record(audit::order_signed(&body, Class::Command.as_str(), &content, now_ms));
    }
    notification::began(&mut write, &new, now_ms).await?;
    repeat::remember(&mut write, caller, &command_id, now_ms).await?;
    let command = new_command(&new);
    write.commit().await?;
    // The command is signed and written: whatever happens from here on, it was sent.
    for invocation in invocations.into_iter().filter(|invocation| invocation.state == InvocationState::Sent) {
        let index = u32::try_from(invocation.index).unwrap_or(u32::MAX);
        // What finds no place now is sent again after the first pause.
        let NewInvocation { node, proof, node_data, .. } = invocation;
        fleet.publisher.try_publish(delivery_message(fleet, node, &envelope, index, proof, node_data));
    }
    // For the rest, and because dispatch must know of the new due times.
    fleet.nudge.dispatch.notify_one();
    tracing::info!(
        command = command_id,
        user = caller.user,
        document = stored.name,
        targets = total,
        awaits_signature = awaits.is_some(),
        "a command was sent"
    );
    Ok(SendCommandResult { command: Some(command) })
}

/// The answer to one more attempt of a call: the command of the first, as it stands now.
async fn answer_again(fleet: &Fleet, caller: &Caller, command_id: &str) -> Result<SendCommandResult, ApiError> {
    tracing::info!(command = command_id, user = caller.user, "a call was repeated, and its command not sent again");
    match command(fleet, command_id).await? {
        Some(command) => Ok(SendCommandResult { command: Some(command) }),
        None => Err(ApiError::validation(format!("this call sent the command {command_id}, which is not kept any more"))),
    }
}

const DEFAULT_CONCURRENCY: &str = "50";
const DEFAULT_ERRORS: &str = "0";

struct Rates {
    concurrency: Rate,
    errors: Rate,
}

/// Checks what needs no database, and refuses what is not there yet rather than to ignore it.
fn check(request: &SendCommandRequest) -> Result<Rates, ApiError> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if given(&request.output_s3_bucket_name) || given(&request.output_s3_key_prefix) || given(&request.output_s3_region) {
        let message = "output to S3 is not supported yet: leave out OutputS3BucketName, OutputS3KeyPrefix and OutputS3Region";
        return Err(ApiError::new("InvalidOutputFolder", message));
    }
    if request.cloud_watch_output_config.as_ref().is_some_and(|config| config.cloud_watch_output_enabled == Some(true)) {
        return Err(ApiError::new("InvalidOutputFolder", "output to a log group is not supported yet: leave out CloudWatchOutputConfig"));
    }
    if request.alarm_configuration.is_some() {
        return Err(ApiError::new("InvalidParameters", "alarms are not supported yet: leave out AlarmConfiguration"));
    }
    if request.timeout_seconds.is_some_and(|timeout| !TIMEOUT_S.contains(&timeout)) {
        return Err(ApiError::validation(format!("TimeoutSeconds must be from {} to {}", TIMEOUT_S.start(), TIMEOUT_S.end())));
    }
    if request.comment.as_ref().is_some_and(|comment| comment.chars().count() > MAXIMUM_COMMENT) {
        return Err(ApiError::validation(format!("Comment has at most {MAXIMUM_COMMENT} characters")));
    }
    if request.service_role_arn.as_ref().is_some_and(|role| role.chars().count() > MAXIMUM_SERVICE_ROLE) {
        return Err(ApiError::validation(format!("ServiceRoleArn has at most {MAXIMUM_SERVICE_ROLE} characters")));
    }
    let (concurrency, errors) = (request.max_concurrency.as_deref(), request.max_errors.as_deref());
    let concurrency = Rate::parse_concurrency(concurrency.unwrap_or(DEFAULT_CONCURRENCY))
        .ok_or_else(|| ApiError::validation("MaxConcurrency is a number from 1 on, or 1% to 100%"))?;
    let errors = Rate::parse_errors(errors.unwrap_or(DEFAULT_ERRORS))
        .ok_or_else(|| ApiError::validation("MaxErrors is a number from 0 on, or 0% to 100%"))?;
    Ok(Rates { concurrency, errors })
}

/// The caller may say which content it means. A hash without a type is a SHA-256.
fn check_hash(request: &SendCommandRequest, stored: &StoredDocument) -> Result<(), ApiError> {
    let (name, actual) = match request.document_hash_type.as_deref() {
        None | Some("Sha256") => ("SHA-256", stored.sha256.clone()),
        Some("Sha1") => ("SHA-1", document::sha1(&stored.content)),
        Some(other) => return Err(ApiError::new("InvalidDocument", format!("DocumentHashType: {other:?} is not Sha256 or Sha1"))),
    };
    match &request.document_hash {
        Some(hash) if !hash.eq_ignore_ascii_case(&actual) => {
            let StoredDocument { name: document, version, .. } = stored;
            let message = format!("the content of version {version} of {document} has the {name} {actual}, not the given DocumentHash");
            Err(ApiError::new("InvalidDocument", message))
        }
        _ => Ok(()),
    }
}

/// An order with the bridge's signature, or without any.
#[derive(Default)]
struct Signed {
    envelope: Vec<u8>,
    /// The class whose people must sign it, where the bridge may not.
    awaits: Option<&'static str>,
    /// The class whose people may sign it beside the bridge, for nodes where the bridge's signature does not suffice.
    joins: Option<&'static str>,
}

/// Signs the order, or leaves it to people, when its delivery fits into a message for every target.
fn sign(fleet: &Fleet, body: &OrderBody, node_data_bytes: usize) -> Result<Signed, ApiError> {
    body.check().map_err(|error| ApiError::new("InvalidParameters", error.to_string()))?;
    let (class, room_for_all) = (Class::Command, MAXIMUM_SIGNATURES * SIGNATURE_ROOM);
    let name = class.as_str();
    let (envelope, awaits, joins, room) = match fleet.signer.order(body, fleet.clock.now_ms()) {
        Some(signed) if signed.suffices_everywhere => (signed.envelope, None, None, 0),
        Some(signed) => (signed.envelope, None, Some(name), room_for_all),
        None => {
            let trust = fleet.signer.trust();
            if authority::keys_of(&trust, class, fleet.clock.now_ms()).is_empty() {
                let version = trust.bundle().version;
                return Err(ApiError::access_denied(format!("trust bundle {version} lets nobody sign orders of the class {name}")));
            }
            (seal(Domain::Order, &encode(body), &[]), Some(name), None, room_for_all)
        }
    };
    let longest = Delivery { envelope, index: u32::MAX, proof: vec![[0; 32]; MAXIMUM_PROOF], node_data: vec![0; node_data_bytes] };
    let size = encode(&longest).len() + room;
    if size > MAXIMUM_MESSAGE_BYTES {
        let message = format!("the command is {size} bytes with its document and parameters; at most {MAXIMUM_MESSAGE_BYTES} can be sent");
        return Err(ApiError::new("MaxDocumentSizeExceeded", message));
    }
    Ok(Signed { envelope: longest.envelope, awaits, joins })
}

fn step_name(step: &flotilla_document::Step) -> StepName {
    StepName { name: step.name.clone(), action: step.plugin.clone() }
}

/// A name for people: cut to what an order carries.
fn requester(user: &str) -> String {
    let mut requester = user.to_owned();
    while requester.len() > MAXIMUM_REQUESTER_BYTES {
        requester.pop();
    }
    requester
}

/// A UUIDv7, whose text sorts by time.
fn order_id(randomness: &Randomness, now_ms: u64) -> Result<OrderId, ApiError> {
    let random = randomness.id_bytes::<10>().map_err(|error| ApiError::internal(std::io::Error::other(error)))?;
    Ok(OrderId(uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_refused_by_its_own_error() {
        use flotilla_api::commands::{AlarmConfiguration, CloudWatchOutputConfig};
        let request = SendCommandRequest::default;
        let wrong = [
            (SendCommandRequest { output_s3_bucket_name: Some("b".into()), ..request() }, "InvalidOutputFolder"),
            (
                SendCommandRequest {
                    cloud_watch_output_config: Some(CloudWatchOutputConfig {
                        cloud_watch_output_enabled: Some(true),
                        ..CloudWatchOutputConfig::default()
                    }),
                    ..request()
                },
                "InvalidOutputFolder",
            ),
            (SendCommandRequest { alarm_configuration: Some(AlarmConfiguration::default()), ..request() }, "InvalidParameters"),
            (SendCommandRequest { timeout_seconds: Some(29), ..request() }, "ValidationException"),
            (SendCommandRequest { comment: Some("x".repeat(101)), ..request() }, "ValidationException"),
            (SendCommandRequest { max_concurrency: Some("0".into()), ..request() }, "ValidationException"),
            (SendCommandRequest { max_errors: Some("-1".into()), ..request() }, "ValidationException"),
        ];
        for (request, kind) in wrong {
            assert_eq!(check(&request).err().unwrap().kind, kind, "{request:?}");
        }
        assert!(check(&request()).is_ok());
    }

    #[test]
    fn order_ids_sort_by_time() {
        let randomness = Randomness::system();
        let (earlier, later) = (order_id(&randomness, 1_000).unwrap(), order_id(&randomness, 1_001).unwrap());
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(earlier.0[6] >> 4, 7, "version 7");
    }
}
