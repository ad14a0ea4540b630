//! Notifications: what a command tells a webhook when its status, or that of an invocation, changes.
//!
//! The texts are those that subscribers of SSM's notifications get, with `detailedStatus` beside `status`. They are written to the
//! webhook's outbox in the transaction that makes the change.

use super::model::{InvocationState, Words};
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
        let known = if known.is_empty() { "and the bridge's settings have none".to_owned() } else { format!("they are {}", known.join(", ")) };
        return Err(refused(format!("NotificationArn: {arn:?} is no webhook of the bridge's settings; {known}")));
    }
    for event in config.notification_events.iter().flatten() {
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
        let (before, words) = (from.words(false), to.words(false));
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
mod tests {
    use super::*;
    use crate::platform::webhook::WebhookSecret;
    use crate::settings::WebhookSettings;
    use std::collections::BTreeMap;

    fn webhooks(names: &[&str]) -> Webhooks {
        let folder = tempfile::tempdir().unwrap();
        let secret_file = folder.path().join("secret");
        crate::platform::files::create_secret(&secret_file, WebhookSecret::create().unwrap().as_bytes()).unwrap();
        let settings = WebhookSettings { url: "http://127.0.0.1:1".to_owned(), secret_file, ca_file: None };
        Webhooks::load(&names.iter().map(|name| ((*name).to_owned(), settings.clone())).collect::<BTreeMap<_, _>>()).unwrap()
    }

    fn config(arn: &str, events: &[&str], kind: Option<&str>) -> NotificationConfig {
        NotificationConfig {
            notification_arn: Some(arn.to_owned()),
            notification_events: Some(events.iter().map(|event| (*event).to_owned()).collect()),
            notification_type: kind.map(str::to_owned),
        }
    }

    #[test]
    fn only_webhooks_of_the_settings_are_told_and_a_refusal_lists_them() {
        let webhooks = webhooks(&["ops", "audit"]);
        let check = |config: &NotificationConfig| check_within(&webhooks, "local-1", Some(config));
        let kept = check(&config("arn:aws:sns:local-1:000000000000:ops", &["Success"], None)).unwrap();
        let read = Subscription::read(&kept).unwrap();
        assert_eq!(read, Subscription { webhook: "ops".into(), events: vec!["Success".into()], per_invocation: false });
        for arn in ["", "ops", "arn:aws:sns:local-1:000000000000:other", "arn:aws:sns:eu-west-1:000000000000:ops", "arn:aws:sns:local-1:1:ops"] {
            let error = check(&config(arn, &[], None)).unwrap_err();
            assert_eq!(error.kind, "InvalidNotificationConfig");
            let known = "they are arn:aws:sns:local-1:000000000000:audit, arn:aws:sns:local-1:000000000000:ops";
            assert!(error.message.ends_with(known), "{}", error.message);
        }
        let error = check(&NotificationConfig { notification_type: Some("Command".into()), ..NotificationConfig::default() }).unwrap_err();
        assert_eq!(error.kind, "InvalidNotificationConfig");
        let none = Webhooks::default();
        let error = check_within(&none, "local-1", Some(&config("arn:aws:sns:local-1:000000000000:ops", &[], None))).unwrap_err();
        assert!(error.message.ends_with("the bridge's settings have none"), "{}", error.message);
        assert_eq!(check_within(&none, "local-1", None).unwrap(), "");
        assert_eq!(check_within(&none, "local-1", Some(&NotificationConfig::default())).unwrap(), "");
    }

    #[test]
    fn what_is_wanted_is_told_and_nothing_else() {
        let read = |events: &[&str], kind: Option<&str>| {
            let config = config("arn:aws:sns:local-1:000000000000:ops", events, kind);
            Subscription::read(&serde_json::to_string(&config).unwrap()).unwrap()
        };
        for events in [&[][..], &["All"], &["Failed", "All"]] {
            let all = read(events, None);
            assert!(EVENTS.iter().all(|status| all.wants(status)), "{events:?}");
            assert!(!all.wants("Pending") && !all.wants("Cancelling"));
        }
        let some = read(&["Failed", "TimedOut"], Some("Invocation"));
        assert!(some.per_invocation && some.wants("Failed") && some.wants("TimedOut") && !some.wants("Success"));
        assert_eq!(Subscription::read(""), None);
        assert_eq!(Subscription::read("damaged"), None);
    }

    #[test]
    fn a_move_within_a_status_is_no_change() {
        use InvocationState::{Accepted, Pending, Running, Sent, Succeeded};
        for (from, to, changes) in
            [(Pending, Sent, false), (Sent, Accepted, true), (Accepted, Running, false), (Running, Succeeded, true), (Sent, Succeeded, true)]
        {
            assert_eq!(Change::of("mi-1", from, to).is_some(), changes, "{from:?} {to:?}");
        }
    }
}
