//! The whole output of commands: how much is kept, and the links that give it, and to whom they do not.

use crate::support::{Bridge, Key, NOW_MS};
use flotilla_broker_bridge::clock::Clock;
use flotilla_broker_bridge::fleet::user;
use flotilla_broker_bridge::platform::http::Access;
use flotilla_protocol::capability::command::{Captured, CommandResult, StepResult};
use flotilla_protocol::status::{Outcome, StepStatus};
use flotilla_protocol::wire::encode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Fetched {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Fetched {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn fetch(bridge: &Bridge, method: &str, link: &str) -> Fetched {
    let path = link.strip_prefix(&format!("http://{}", bridge.address)).unwrap();
    let mut stream = TcpStream::connect(bridge.address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: any.example\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Fetched { status, head, body: answer[end + 4..].to_vec() }
}

async fn execute(bridge: &Bridge, query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>) {
    let mut write = bridge.fleet.store.write().await.unwrap();
    query.execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
}

/// A chunk as ingest writes it.
async fn chunk(bridge: &Bridge, command: &str, node: &str, step: i64, stream: i64, offset: i64, bytes: &[u8]) {
    let end = offset + i64::try_from(bytes.len()).unwrap();
    let sql =
        "INSERT INTO command_output (command_id, node_id, step, stream, chunk_offset, end_offset, bytes) VALUES ($1,$2,$3,$4,$5,$6,$7)";
    let query = sqlx::query(sql).bind(command).bind(node).bind(step).bind(stream).bind(offset).bind(end).bind(bytes);
    execute(bridge, query).await;
}

/// A command of two steps for a node; returns its id.
async fn command(bridge: &Bridge, node: &str) -> String {
    let step = |name: &str| json!({"action": "aws:runShellScript", "name": name, "inputs": {"runCommand": ["true"]}});
    let content = json!({"schemaVersion": "2.2", "mainSteps": [step("first"), step("second")]});
    bridge.ok("CreateDocument", json!({"Name": "Two-Steps", "DocumentType": "Command", "Content": content.to_string()})).await;
    let sent = bridge.ok("SendCommand", json!({"DocumentName": "Two-Steps", "InstanceIds": [node]})).await;
    sent["Command"]["CommandId"].as_str().unwrap().to_owned()
}

async fn invocation(bridge: &Bridge, key: &Key, command: &str, node: &str, step: Option<&str>) -> Value {
    let mut request = json!({"CommandId": command, "InstanceId": node});
    if let Some(step) = step {
        request["PluginName"] = json!(step);
    }
    let answer = bridge.call(key, "GetCommandInvocation", request).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_link_gives_the_whole_output_while_it_is_written_and_after() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let id = command(&bridge, &node).await;
    let shown = invocation(&bridge, &bridge.admin, &id, &node, None).await;
    assert_eq!((text(&shown["StandardOutputUrl"]), &shown["StandardOutputBytes"]), ("", &json!(0)));

    // Three chunks; the second begins within a character.
    let whole = "grün ".repeat(8_000);
    let (one, rest) = whole.as_bytes().split_at(16_383);
    let (two, three) = rest.split_at(16_384);
    chunk(&bridge, &id, &node, 0, 0, 0, one).await;
    chunk(&bridge, &id, &node, 0, 0, 16_383, two).await;
    chunk(&bridge, &id, &node, 0, 0, 32_767, three).await;
    chunk(&bridge, &id, &node, 1, 0, 0, b"second\n").await;
    chunk(&bridge, &id, &node, 1, 1, 0, &[0xff, 0, 1, 2]).await;
    let shown = invocation(&bridge, &bridge.admin, &id, &node, Some("first")).await;
    assert_eq!(text(&shown["StandardOutputContent"]).chars().count(), 24_000);
    assert_eq!((&shown["StandardOutputBytes"], &shown["StandardErrorBytes"]), (&json!(48_000), &json!(0)));
    assert_eq!(text(&shown["StandardErrorUrl"]), "");
    let link = text(&shown["StandardOutputUrl"]);
    assert!(link.starts_with(&format!("http://{}/output/{id}/{node}/0/stdout?user=admin&expires=", bridge.address)), "{link}");
    let fetched = fetch(&bridge, "GET", link).await;
    assert_eq!((fetched.status, fetched.text()), (200, whole.as_str()));
    for header in ["content-type: text/plain; charset=utf-8", "content-length: 48000", "x-content-type-options: nosniff", "no-store"] {
        assert!(fetched.head.contains(header), "{header}: {}", fetched.head);
    }
    let head = fetch(&bridge, "HEAD", link).await;
    assert!(head.status == 200 && head.body.is_empty() && head.head.contains("content-length: 48000"));
    assert_eq!(fetch(&bridge, "POST", link).await.status, 405);

    // All steps, one after the other.
    let shown = invocation(&bridge, &bridge.admin, &id, &node, None).await;
    assert_eq!(shown["StandardOutputBytes"], 48_007);
    let all = fetch(&bridge, "GET", text(&shown["StandardOutputUrl"])).await;
    assert_eq!(all.text(), format!("{whole}second\n"));
    let bytes = fetch(&bridge, "GET", text(&shown["StandardErrorUrl"])).await;
    assert!(bytes.head.contains("content-type: application/octet-stream"), "{}", bytes.head);
    assert_eq!(bytes.body, [0xff, 0, 1, 2]);

    let listed = bridge.ok("ListCommandInvocations", json!({"CommandId": id, "Details": true})).await;
    let plugins = &listed["CommandInvocations"][0]["CommandPlugins"];
    assert_eq!((&plugins[1]["StandardOutputBytes"], &plugins[1]["StandardErrorBytes"]), (&json!(7), &json!(4)));
    assert_eq!(fetch(&bridge, "GET", text(&plugins[1]["StandardOutputUrl"])).await.text(), "second\n");

    // The result brings the head of the stream, and what came in chunks goes on where it ends or overlaps with it.
    let captured = |head: &[u8], kept: usize| Captured {
        written_bytes: u64::try_from(kept).unwrap(),
        kept_bytes: u64::try_from(kept).unwrap(),
        sha256: [0; 32],
        head: head.to_vec(),
    };
    let step = |name: &str, stdout: Captured, stderr: Captured| StepResult {
        name: name.into(),
        status: StepStatus::Succeeded,
        exit_code: 0,
        started_ms: Some(NOW_MS),
        ended_ms: Some(NOW_MS),
        stdout,
        stderr,
    };
    let result = CommandResult {
        order: id.parse().unwrap(),
        outcome: Outcome::Succeeded,
        explanation: String::new(),
        steps: vec![
            step("first", captured(&whole.as_bytes()[..20_000], whole.len()), captured(b"only in the result", 18)),
            step("second", captured(b"second\n", 7), captured(&[0xff, 0, 1, 2], 4)),
        ],
    };
    execute(&bridge, sqlx::query("UPDATE invocation SET state = 'succeeded', result = $1").bind(encode(&result))).await;
    assert_eq!(fetch(&bridge, "GET", link).await.text(), whole, "the link from before still counts");
    let shown = invocation(&bridge, &bridge.admin, &id, &node, Some("first")).await;
    assert_eq!((&shown["StandardOutputBytes"], &shown["StandardErrorBytes"]), (&json!(48_000), &json!(18)));
    assert_eq!(fetch(&bridge, "GET", text(&shown["StandardErrorUrl"])).await.text(), "only in the result");
}

#[tokio::test]
async fn a_link_that_was_changed_or_is_old_or_whose_user_is_gone_gives_nothing() {
    let bridge = Bridge::start().await;
    let (node, other) = (bridge.node(1).await, bridge.node(2).await);
    let id = command(&bridge, &node).await;
    chunk(&bridge, &id, &node, 0, 0, 0, b"secret of the node").await;
    let viewer = bridge.user("otto", Access::Viewer).await;
    let shown = invocation(&bridge, &viewer, &id, &node, Some("first")).await;
    let link = text(&shown["StandardOutputUrl"]).to_owned();
    assert_eq!(fetch(&bridge, "GET", &link).await.text(), "secret of the node");

    let last = link.chars().last().unwrap();
    let flipped = format!("{}{}", link.trim_end_matches(last), if last == '0' { '1' } else { '0' });
    let (bare, expires) = (link.split_once('?').unwrap().0, "expires=");
    for wrong in [
        flipped,
        bare.to_owned(),
        link.replace("/0/stdout", "/1/stdout"),
        link.replace("/0/stdout", "/all/stdout"),
        link.replace("/stdout", "/stderr"),
        link.replace("/stdout", "/stdin"),
        link.replace(&node, &other),
        link.replace("user=otto", "user=admin"),
        link.replace("user=otto", "user=nobody"),
        link.replace(expires, "expires=1"),
        format!("{link}&a=b"),
    ] {
        let fetched = fetch(&bridge, "GET", &wrong).await;
        assert_eq!(fetched.status, 403, "{wrong}");
        assert!(fetched.text().starts_with("this link is not right: "), "{}", fetched.text());
    }

    bridge.clock.advance(Duration::from_secs(3_599));
    assert_eq!(fetch(&bridge, "GET", &link).await.status, 200);
    let fresh = invocation(&bridge, &viewer, &id, &node, Some("first")).await;
    let fresh = text(&fresh["StandardOutputUrl"]).to_owned();
    bridge.clock.advance(Duration::from_secs(1));
    let old = fetch(&bridge, "GET", &link).await;
    assert_eq!(old.status, 403);
    assert!(old.text().starts_with("this link is too old"), "{}", old.text());

    assert_eq!(fetch(&bridge, "GET", &fresh).await.status, 200);
    let mut write = bridge.fleet.store.write().await.unwrap();
    user::remove(&mut write, "otto").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(fetch(&bridge, "GET", &fresh).await.status, 403, "a user who was removed");
    let mut write = bridge.fleet.store.write().await.unwrap();
    user::add(&mut write, &bridge.fleet.sealer, "otto", Access::Admin, bridge.clock.now_ms()).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(fetch(&bridge, "GET", &fresh).await.status, 403, "another user of the same name");

    let shown = invocation(&bridge, &bridge.admin, &id, &node, Some("first")).await;
    execute(&bridge, sqlx::query("DELETE FROM invocation")).await;
    let gone = fetch(&bridge, "GET", text(&shown["StandardOutputUrl"])).await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("removed as old"), "{}", gone.text());
}

#[tokio::test]
async fn links_begin_with_the_public_address_of_the_settings() {
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), |home| {
        let path = home.join("bridge.toml");
        let text = std::fs::read_to_string(&path).unwrap().replace("[api]\n", "[api]\npublic_url = \"https://bridge.example/fleet/\"\n");
        std::fs::remove_file(&path).unwrap();
        flotilla_broker_bridge::platform::files::create_public(&path, text.as_bytes()).unwrap();
        String::new()
    })
    .await;
    let node = bridge.node(1).await;
    let id = command(&bridge, &node).await;
    chunk(&bridge, &id, &node, 0, 0, 0, b"x").await;
    let shown = invocation(&bridge, &bridge.admin, &id, &node, Some("first")).await;
    let link = text(&shown["StandardOutputUrl"]);
    assert!(link.starts_with(&format!("https://bridge.example/fleet/output/{id}/{node}/0/stdout?user=admin&")), "{link}");
}
