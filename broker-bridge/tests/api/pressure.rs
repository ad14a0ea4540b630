//! More calls than the bridge can take, and callers that do not wait for their answer.

use crate::support::{Answer, Bridge};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

fn command(node: &str) -> Value {
    json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": [node], "Parameters": {"commands": ["true"]}})
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("this did not happen: {what}"));
}

async fn commands(bridge: &Bridge) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM command").fetch_one(bridge.fleet.store.reader()).await.unwrap()
}

#[tokio::test]
async fn while_too_many_changes_wait_callers_are_asked_to_come_again() {
    let bridge = Arc::new(Bridge::start().await);
    let node = bridge.node(1).await;
    // Nobody can write, and so many wait for it.
    let held = bridge.fleet.store.write().await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let store = bridge.fleet.store.clone();
        waiting.spawn(async move { drop(store.write().await) });
    }
    until("all of them wait", async || bridge.fleet.store.waiting_writers() == 32).await;
    let Answer { status, headers, body } = bridge.call(&bridge.admin, "SendCommand", command(&node)).await;
    assert_eq!((status, body["__type"].as_str()), (429, Some("ThrottlingException")), "{body:?}");
    assert!(headers.contains("retry-after: 1"), "{headers}");
    assert_eq!(bridge.call(&bridge.admin, "ListCommands", json!({})).await.status, 200, "who only looks is not in the way");
    drop(held);
    waiting.join_all().await;
    assert_eq!(bridge.fleet.store.waiting_writers(), 0);
    bridge.ok("SendCommand", command(&node)).await;
    assert_eq!(commands(&bridge).await, 1, "what was refused did not happen");
}

/// A caller that hangs up must not cut its call off in the middle, and the next one must find the place free afterwards.
#[tokio::test]
async fn a_call_whose_caller_hangs_up_is_done_whole() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let held = bridge.fleet.store.write().await.unwrap();
    let request = bridge.sign(&bridge.admin, "SendCommand", &command(&node).to_string());
    let mut text = String::from("POST / HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
    let mut stream = TcpStream::connect(bridge.address).await.unwrap();
    stream.write_all(&[text.as_bytes(), &request.body].concat()).await.unwrap();
    until("the call waits for the writer", async || bridge.fleet.store.waiting_writers() == 1).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(held);
    until("the command is there", async || commands(&bridge).await == 1).await;
}

#[tokio::test]
async fn a_bridge_that_stands_aside_takes_no_change() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    // The call is past the first look, and waits for the writer.
    let held = bridge.fleet.store.write().await.unwrap();
    let call = bridge.call(&bridge.admin, "SendCommand", command(&node));
    let aside = async {
        until("the call waits for the writer", async || bridge.fleet.store.waiting_writers() == 1).await;
        bridge.fleet.publisher.stand_aside();
        drop(held);
    };
    let (first, ()) = tokio::join!(call, aside);
    let second = bridge.call(&bridge.admin, "SendCommand", command(&node)).await;
    for answer in [first, second] {
        assert_eq!((answer.status, answer.error()), (503, "ServiceUnavailable"), "{:?}", answer.body);
        assert!(answer.message().contains("another bridge"), "{}", answer.message());
    }
    assert_eq!(commands(&bridge).await, 0);
}
