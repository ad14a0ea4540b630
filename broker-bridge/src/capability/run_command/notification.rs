//! Notifications: what a command tells a webhook when its status, or that of an invocation, changes.
//!
//! The texts are those that subscribers of SSM's notifications get, with `detailedStatus` beside `status`. They are written to the
//! webhook's outbox in the transaction that makes the change.

use super::model::{Aside, InvocationState, Words};
use super::store::NewCommand;
use crate::fleet::webhook::{Webhooks, outbox};
use crate::fleet::{ACCOUNT, Fleet};
use crate::platform::http::ApiError;
use crate::platform::store::{StoreError, Write};
use crate::platform::time::{iso, to_column};
use flotilla_api::commands::NotificationConfig;
use serde_json::{Value, json};

/// The statuses that can be told of. The others, such as Pending, lead to one of them.
const EVENTS: [&str; 5] = ["InProgress", "Success", "TimedOut", "Cancelled", "Failed"];
/// Every one of [`EVENTS`].
const ALL: &str = "All";

/// The part of a webhook's ARN before its name.
fn arn_prefix(region: &str) -> String {
    format!("arn:aws:sns:{region}:{ACCOUNT}:")
}

/// Checks what SendCommand says of notifications; returns what the command keeps of it, which is empty for none.
///
/// # Errors
/// `InvalidNotificationConfig`.
pub(super) fn check(fleet: &Fleet, config: Option<&NotificationConfig>) -> Result<String, ApiError> {
    check_within(&fleet.webhooks, &fleet.settings.region, config)
}

fn check_within(webhooks: &Webhooks, region: &str, config: Option<&NotificationConfig>) -> Result<String, ApiError> {
    let refused = |message: String| ApiError::new("InvalidNotificationConfig", message);
    let Some(config) = config.filter(|config| **config != NotificationConfig::default()) else { return Ok(String::new()) };
    let prefix = arn_prefix(region);
    let arn = config.notification_arn.as_deref().unwrap_or_default();
    if !arn.strip_prefix(&prefix).is_some_and(|name| webhooks.knows(name)) {
        let known: Vec<String> = webhooks.names().map(|name| format!("{prefix}{name}")).collect();
        let known =
            if known.is_empty() { "and the bridge's settings have none".to_owned() } else { format!("they are {}", known.join(", ")) };
        return Err(refused(format!("NotificationArn: {arn:?} is no webhook of the bridge's settings; {known}")));
    }
    let events = config.notification_events.as_deref().unwrap_or_default();
    // Checked before each is looked for among those before it.
    if events.len() > EVENTS.len() + 1 {
        return Err(refused(format!("NotificationEvents: there are {} events, and no more can be named", EVENTS.len() + 1)));
    }
    for (index, event) in events.iter().enumerate() {
        if events.iter().take(index).any(|earlier| earlier == event) {
            return Err(refused(format!("NotificationEvents: {event:?} is named twice")));
        }
        if event != ALL && !EVENTS.contains(&event.as_str()) {
            return Err(refused(format!("NotificationEvents: {event:?} is not All, {}", EVENTS.join(", "))));
        }
    }
    if let Some(kind) = config.notification_type.as_deref()
        && !["Command", "Invocation"].contains(&kind)
    {
        return Err(refused(format!("NotificationType: {kind:?} is not Command or Invocation")));
    }
    serde_json::to_string(config).map_err(ApiError::internal)
}

/// Whom a command tells of what.
#[derive(Debug, PartialEq, Eq)]
struct Subscription {
    webhook: String,
    /// Empty: every one of [`EVENTS`].
    events: Vec<String>,
    /// Each invocation is told of, else the command as a whole.
    per_invocation: bool,
}

impl Subscription {
    /// What a command keeps; nothing where it tells nobody.
    fn read(notification: &str) -> Option<Self> {
        if notification.is_empty() {
            return None;
        }
        let config: NotificationConfig = serde_json::from_str(notification).ok()?;
        let arn = config.notification_arn?;
        let (_, webhook) = arn.rsplit_once(':')?;
        let mut events = config.notification_events.unwrap_or_default();
        if events.iter().any(|event| event == ALL) {
            events.clear();
        }
        let per_invocation = config.notification_type.as_deref() == Some("Invocation");
        Some(Self { webhook: webhook.to_owned(), events, per_invocation })
    }

    fn wants(&self, status: &str) -> bool {
        EVENTS.contains(&status) && (self.events.is_empty() || self.events.iter().any(|event| event == status))
    }
}

/// An invocation whose status has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    node_id: String,
    words: Words,
}

impl Change {
    /// What is to be told of a move; nothing where the status stays the same.
    pub(super) fn of(node_id: &str, from: InvocationState, to: InvocationState) -> Option<Self> {
        let (before, words) = (from.words(Aside::Nothing), to.words(Aside::Nothing));
        (before.status != words.status && EVENTS.contains(&words.status)).then(|| Self { node_id: node_id.to_owned(), words })
    }
}

/// What every text about a command says.
#[derive(Debug, sqlx::FromRow)]
struct About {
    document_name: String,
    instance_ids: String,
    requested_ms: i64,
    expires_ms: i64,
}

impl About {
    fn of_command(&self, command_id: &str, words: Words, now_ms: u64) -> String {
        let instance_ids: Value = serde_json::from_str(&self.instance_ids).unwrap_or_else(|_| json!([]));
        json!({
            "commandId": command_id,
            "documentName": self.document_name,
            "instanceIds": instance_ids,
            "requestedDateTime": iso(self.requested_ms),
            "expiresAfter": iso(self.expires_ms),
            "outputS3BucketName": "",
            "outputS3KeyPrefix": "",
            "status": words.status,
            "detailedStatus": words.details,
            "eventTime": iso(to_column(now_ms)),
        })
        .to_string()
    }

    fn of_invocation(&self, command_id: &str, change: &Change, now_ms: u64) -> String {
        json!({
            "commandId": command_id,
            "documentName": self.document_name,
            "instanceId": change.node_id,
            "requestedDateTime": iso(self.requested_ms),
            "status": change.words.status,
            "detailedStatus": change.words.details,
            "eventTime": iso(to_column(now_ms)),
        })
        .to_string()
    }
}

/// A command was written: where that is its end already, because nobody is meant, it is told.
pub(super) async fn began(write: &mut Write<'_>, new: &NewCommand<'_>, now_ms: u64) -> Result<(), StoreError> {
    moved(write, new.command_id, &new.notification, "", new.words, &[], now_ms).await
}

/// Tells what a transaction has changed of a command: its status from `before` to `words`, and its invocations.
pub(super) async fn moved(
    write: &mut Write<'_>,
    command_id: &str,
    notification: &str,
    before: &str,
    words: Words,
    changes: &[Change],
    now_ms: u64,
) -> Result<(), StoreError> {
    let Some(subscription) = Subscription::read(notification) else { return Ok(()) };
    let of_command = !subscription.per_invocation && words.status != before && subscription.wants(words.status);
    let wanted = changes.iter().filter(|change| subscription.per_invocation && subscription.wants(change.words.status));
    let wanted: Vec<&Change> = wanted.collect();
    if !of_command && wanted.is_empty() {
        return Ok(());
    }
    let about: Option<About> =
        sqlx::query_as("SELECT document_name, instance_ids, requested_ms, expires_ms FROM command WHERE command_id = $1")
            .bind(command_id)
            .fetch_optional(write.connection())
            .await?;
    let Some(about) = about else { return Ok(()) };
    let mut bodies: Vec<String> = wanted.into_iter().map(|change| about.of_invocation(command_id, change, now_ms)).collect();
    if of_command {
        bodies.push(about.of_command(command_id, words, now_ms));
    }
    outbox::enqueue(write, &subscription.webhook, &bodies, now_ms).await
}

#[cfg(test)]
mod tests;
