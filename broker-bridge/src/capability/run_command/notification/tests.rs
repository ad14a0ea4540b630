use super::*;
use crate::capability::run_command::reconcile::round;
use crate::capability::run_command::tests::{accepted, ended, request, send, started};
use crate::device::test_kit::Kit;
use crate::platform::webhook::WebhookSecret;
use crate::settings::WebhookSettings;
use flotilla_api::commands::SendCommandRequest;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::status::Outcome;
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
    for arn in ["", "ops", "arn:aws:sns:local-1:000000000000:other", "arn:aws:sns:eu-west-1:000000000000:ops", "arn:aws:sns:local-1:1:ops"]
    {
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

/// Has a command tell of everything, per command or per invocation.
async fn subscribe(kit: &Kit, order: OrderId, kind: &str) {
    let config = serde_json::to_string(&config("arn:aws:sns:local-1:000000000000:ops", &["All"], Some(kind))).unwrap();
    let mut write = kit.fleet.store.write().await.unwrap();
    let query = sqlx::query("UPDATE command SET notification = $2 WHERE command_id = $1");
    query.bind(order.to_string()).bind(config).execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
}

/// Who or what is told of, and its words, in order; what was told is forgotten.
async fn told(kit: &Kit) -> Vec<(String, String, String)> {
    let mut write = kit.fleet.store.write().await.unwrap();
    let messages = outbox::due(write.connection(), "ops", u64::MAX, 1000).await.unwrap();
    for message in &messages {
        outbox::delivered(&mut write, "ops", message.sequence).await.unwrap();
    }
    write.commit().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .map(|body: Value| (text(&body["instanceId"]), text(&body["status"]), text(&body["detailedStatus"])))
        .collect()
}

fn line(node: &str, status: &str, details: &str) -> (String, String, String) {
    (node.to_owned(), status.to_owned(), details.to_owned())
}

#[tokio::test]
async fn a_command_tells_of_each_status_once_with_the_words_of_the_api() {
    let kit = Kit::new().await;
    let mut nodes = [kit.online_node(20).await, kit.online_node(21).await];
    let order = send(&kit, request(&nodes.each_ref())).await.unwrap();
    subscribe(&kit, order, "Command").await;
    kit.take([nodes[0].report(&accepted(order))]).await;
    kit.take([nodes[0].report(&started(order))]).await;
    assert_eq!(told(&kit).await, [line("", "InProgress", "In Progress")]);
    kit.take([nodes[0].report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(told(&kit).await, [], "one of two");
    kit.take([nodes[1].report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(told(&kit).await, [line("", "Success", "Success")]);
    kit.take([nodes[1].report(&ended(order, Outcome::Failed))]).await;
    assert_eq!(told(&kit).await, [], "the end stands");
}

#[tokio::test]
async fn invocations_tell_of_all_they_went_through_in_order_even_within_one_transaction() {
    let kit = Kit::new().await;
    let mut nodes = [kit.online_node(20).await, kit.online_node(21).await, kit.node(22).await];
    let ids = nodes.each_ref().map(|node| node.id.to_string());
    let limited = SendCommandRequest { timeout_seconds: Some(30), max_concurrency: Some("1".into()), ..request(&nodes.each_ref()) };
    let order = send(&kit, limited).await.unwrap();
    subscribe(&kit, order, "Invocation").await;
    let sent: String =
        sqlx::query_scalar("SELECT node_id FROM invocation WHERE state = 'sent'").fetch_one(kit.fleet.store.reader()).await.unwrap();
    let busy = ids.iter().position(|id| *id == sent).unwrap();
    kit.take([
        nodes[busy].report(&accepted(order)),
        nodes[busy].report(&started(order)),
        nodes[busy].report(&ended(order, Outcome::Failed)),
    ])
    .await;
    // The error budget is spent: the others are never sent.
    let mut others: Vec<_> = ids.iter().filter(|id| **id != sent).map(|id| line(id, "Cancelled", "Terminated")).collect();
    others.sort();
    let mut told_of = told(&kit).await;
    assert_eq!(told_of.drain(..2).collect::<Vec<_>>(), [line(&sent, "InProgress", "In Progress"), line(&sent, "Failed", "Failed")]);
    told_of.sort();
    assert_eq!(told_of, others);
}

#[tokio::test]
async fn a_guess_and_what_overrides_it_are_both_told_and_what_is_not_committed_is_not() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node]) }).await.unwrap();
    subscribe(&kit, order, "Command").await;
    kit.clock.advance(std::time::Duration::from_secs(90));
    round(&kit.fleet).await.unwrap();
    assert_eq!(told(&kit).await, [line("", "TimedOut", "Delivery Timed Out")]);
    kit.take([node.report(&started(order))]).await;
    kit.take([node.report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(told(&kit).await, [line("", "InProgress", "In Progress"), line("", "Success", "Success")]);
    let mut write = kit.fleet.store.write().await.unwrap();
    outbox::enqueue(&mut write, "ops", &["{}".to_owned()], 0).await.unwrap();
    drop(write);
    assert_eq!(told(&kit).await, []);
}
