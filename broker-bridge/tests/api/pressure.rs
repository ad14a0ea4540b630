//! More calls than the bridge can take, and callers that do not wait for their answer.

use crate::support::{Answer, Bridge, Key};
use flotilla_broker_bridge::platform::http::Access;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// A request whose body does not come. It is read until there is an answer, or left open.
async fn without_body(bridge: &Bridge, key: &Key) -> TcpStream {
    let request = bridge.sign(key, "ListCommands", "{}");
    let mut text = String::from("POST / HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("content-length: 1000\r\n\r\n");
    let mut stream = TcpStream::connect(bridge.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn who_has_no_secret_cannot_keep_others_out_with_bodies_that_never_come() {
    let bridge = Bridge::start().await;
    let viewer = bridge.user("viewer", Access::Viewer).await;
    let stranger = Key { id: "AKIAAAAAAAAAAAAAAAAA".to_owned(), ..bridge.admin.clone() };
    let mut open = Vec::new();
    for _ in 0..300 {
        open.push(without_body(&bridge, &stranger).await);
    }
    for stream in &mut open {
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("a body is waited for").unwrap();
        let answer = String::from_utf8_lossy(answer.get(..read).unwrap()).into_owned();
        assert!(answer.contains("UnrecognizedClientException"), "{answer}");
    }
    // The id of a key is no secret: its owner is kept out, and nobody else.
    let impostor = Key { secret: "x".repeat(40), ..bridge.admin.clone() };
    for _ in 0..200 {
        open.push(without_body(&bridge, &impostor).await);
    }
    let status = async |key: &Key| bridge.call(key, "ListCommands", json!({})).await.status;
    until("the share of the key is taken", async || status(&bridge.admin).await == 429).await;
    assert_eq!(status(&viewer).await, 200);
    drop(open);
    until("its places are free again", async || status(&bridge.admin).await == 200).await;
}

/// All readers are taken for longer than anybody waits for one.
#[tokio::test]
async fn a_database_that_is_too_busy_to_read_asks_to_come_again() {
    let bridge = Bridge::start().await;
    let mut held = Vec::new();
    for _ in 0..bridge.fleet.store.reader().options().get_max_connections() {
        held.push(bridge.fleet.store.reader().acquire().await.unwrap());
    }
    let Answer { status, headers, body } = bridge.call(&bridge.admin, "ListCommands", json!({})).await;
    assert_eq!((status, body["__type"].as_str()), (429, Some("ThrottlingException")), "{body:?}");
    assert!(headers.contains("retry-after: 1"), "{headers}");
    drop(held);
    bridge.ok("ListCommands", json!({})).await;
}
