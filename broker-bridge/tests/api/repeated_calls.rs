//! Calls that come twice because an answer was lost: they make one thing, answered to every attempt.

use crate::support::{Bridge, Key, Request};
use flotilla_broker_bridge::platform::http::Access;
use flotilla_broker_bridge::platform::repeat::REMEMBERED_MS;
use serde_json::json;
use std::time::Duration;

const NAME: &str = "amz-sdk-invocation-id";

fn command(node: &str, script: &str) -> String {
    json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": [node], "Parameters": {"commands": [script]}}).to_string()
}

/// An attempt as boto3 makes it: signed anew, the same name, another number.
fn attempt(bridge: &Bridge, key: &Key, operation: &str, body: &str, name: &str, number: u32) -> Request {
    bridge.sign(key, operation, body).set(NAME, name).set("amz-sdk-request", &format!("attempt={number}; max=5"))
}

async fn sent(bridge: &Bridge, request: &Request) -> String {
    let answer = bridge.send(request).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["Command"]["CommandId"].as_str().unwrap().to_owned()
}

async fn commands(bridge: &Bridge) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM command").fetch_one(bridge.fleet.store.reader()).await.unwrap()
}

#[tokio::test]
async fn one_more_attempt_is_answered_with_the_same_command() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let body = command(&node, "reboot");
    let first = bridge.send(&attempt(&bridge, &bridge.admin, "SendCommand", &body, "call-1", 1)).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    // In the second of the first attempt, when the signature is the same, and long after, when it is another one.
    for number in 2..5 {
        let again = bridge.send(&attempt(&bridge, &bridge.admin, "SendCommand", &body, "call-1", number)).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        bridge.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(commands(&bridge).await, 1);
    let id = first.body["Command"]["CommandId"].as_str().unwrap();
    assert_ne!(sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call-2", 1)).await, id, "another call");
    let other_user = bridge.user("olga", Access::Operator).await;
    assert_ne!(sent(&bridge, &attempt(&bridge, &other_user, "SendCommand", &body, "call-1", 1)).await, id, "another user");
    assert_eq!(commands(&bridge).await, 3);
    // What the document or the node has become meanwhile does not matter to a call that was done.
    bridge.ok("DeregisterManagedInstance", json!({"InstanceId": node})).await;
    assert_eq!(sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call-1", 6)).await, id);
}

#[tokio::test]
async fn a_name_stands_for_one_request_and_for_a_day() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let body = command(&node, "one");
    let send = async |body: &str, name: &str| bridge.send(&attempt(&bridge, &bridge.admin, "SendCommand", body, name, 1)).await;
    let first = sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call", 1)).await;
    bridge.clock.advance(Duration::from_secs(10));
    let other = send(&command(&node, "two"), "call").await;
    assert_eq!((other.status, other.error()), (400, "ValidationException"), "{:?}", other.body);
    assert!(other.message().contains(NAME), "{}", other.message());
    let activation = attempt(&bridge, &bridge.admin, "CreateActivation", r#"{"IamRole":""}"#, "call", 1);
    assert_eq!(bridge.send(&activation).await.error(), "ValidationException", "another operation");
    // What was refused may be asked again under its name.
    assert_eq!(send(&command("mi-00000000000000000", "x"), "refused").await.error(), "InvalidInstanceId");
    assert_eq!(send(&command(&node, "x"), "refused").await.status, 200);
    assert_eq!(commands(&bridge).await, 2);
    bridge.clock.advance(Duration::from_millis(REMEMBERED_MS));
    assert_ne!(sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call", 1)).await, first, "a day later");
    assert_eq!(commands(&bridge).await, 3);
}

#[tokio::test]
async fn without_a_name_each_call_counts() {
    let bridge = Bridge::start().await;
    let body = command(&bridge.node(1).await, "one");
    let long = "x".repeat(129);
    for name in [None, Some(""), Some(long.as_str())] {
        for _ in 0..2 {
            bridge.clock.advance(Duration::from_secs(5));
            let mut request = bridge.sign(&bridge.admin, "SendCommand", &body);
            request.headers.retain(|(known, _)| known != NAME);
            request.headers.extend(name.map(|name| (NAME.to_owned(), name.to_owned())));
            sent(&bridge, &request).await;
        }
    }
    for _ in 0..2 {
        bridge.clock.advance(Duration::from_secs(5));
        let mut request = bridge.sign(&bridge.admin, "SendCommand", &body).set(NAME, "one");
        request.headers.push((NAME.to_owned(), "two".to_owned()));
        sent(&bridge, &request).await;
    }
    assert_eq!(commands(&bridge).await, 8);
}

#[tokio::test]
async fn attempts_at_the_same_time_make_one_command() {
    let bridge = std::sync::Arc::new(Bridge::start().await);
    let body = command(&bridge.node(1).await, "one");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (bridge, body) = (std::sync::Arc::clone(&bridge), body.clone());
        tasks.spawn(async move { sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call", number)).await });
    }
    let ids: std::collections::BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(commands(&bridge).await, 1);
}

#[tokio::test]
async fn a_bridge_that_was_started_anew_remembers() {
    let bridge = Bridge::start().await;
    let body = command(&bridge.node(1).await, "one");
    let first = sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call", 1)).await;
    let bridge = bridge.restart().await;
    assert_eq!(sent(&bridge, &attempt(&bridge, &bridge.admin, "SendCommand", &body, "call", 2)).await, first);
    assert_eq!(commands(&bridge).await, 1);
}

#[tokio::test]
async fn one_more_attempt_to_make_an_activation_has_the_same_code() {
    let bridge = Bridge::start().await;
    let body = json!({"IamRole": "", "RegistrationLimit": 5}).to_string();
    let first = bridge.send(&attempt(&bridge, &bridge.admin, "CreateActivation", &body, "call", 1)).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    bridge.clock.advance(Duration::from_secs(60));
    let again = bridge.send(&attempt(&bridge, &bridge.admin, "CreateActivation", &body, "call", 2)).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    let listed = bridge.ok("DescribeActivations", json!({})).await;
    assert_eq!(listed["ActivationList"].as_array().unwrap().len(), 1);
}
