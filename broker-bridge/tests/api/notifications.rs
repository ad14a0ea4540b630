//! Notifications from the call that asks for them to a real listener, which checks the signatures and is not always willing.

use crate::support::{Bridge, NOW_MS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flotilla_broker_bridge::clock::Clock;
use flotilla_broker_bridge::fleet::webhook::deliver::{self, GIVE_UP_MS, Reach, round};
use flotilla_broker_bridge::fleet::webhook::outbox::{self, Counts};
use flotilla_broker_bridge::platform::files;
use flotilla_broker_bridge::platform::http::{Listener, TlsFiles};
use flotilla_broker_bridge::platform::pki::{FleetCa, certificate_pem};
use flotilla_broker_bridge::platform::shutdown::shutdown;
use flotilla_broker_bridge::platform::webhook::WebhookSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const ARN: &str = "arn:aws:sns:local-1:000000000000:ops";

/// A message as the receiver got it.
#[derive(Debug)]
struct Received {
    path: String,
    id: String,
    timestamp_s: u64,
    body: Value,
}

/// A receiver that gives these answers, one after the other, and 200 from then on.
struct Receiver {
    port: u16,
    received: mpsc::UnboundedReceiver<Received>,
}

impl Receiver {
    async fn start(secret: String, answers: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // One after the other, so that the answers come in their order.
                serve(stream, &secret, &mut answers, &sender).await;
            }
        });
        Self { port, received }
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(Duration::from_secs(30), self.received.recv()).await.unwrap().unwrap()
    }
}

async fn serve(
    stream: TcpStream,
    secret: &str,
    answers: &mut impl Iterator<Item = &'static str>,
    sender: &mpsc::UnboundedSender<Received>,
) {
    let mut stream = BufReader::new(stream);
    let (mut path, mut headers) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => path = line,
        }
    }
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap();
    let mut body = vec![0; header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(header("content-type"), "application/json");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(secret.trim().strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    let body = serde_json::from_slice(&body).unwrap();
    sender.send(Received { path, id, timestamp_s: timestamp.parse().unwrap(), body }).unwrap();
    let answer = answers.next().unwrap_or("200 OK\r\ncontent-length: 0");
    stream.write_all(format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    drop(stream.shutdown().await);
}

fn secret() -> String {
    WebhookSecret::create().unwrap().to_string()
}

/// Settings with the webhook `ops` on this port.
fn settings(secret: &str, port: u16) -> impl FnOnce(&Path) -> String {
    move |home: &Path| {
        files::create_secret(&home.join("ops.secret"), secret.as_bytes()).unwrap();
        format!("\n[webhooks.ops]\nurl = \"http://127.0.0.1:{port}/hook?token=1\"\nsecret_file = \"ops.secret\"\n")
    }
}

fn command(notification: &Value) -> Value {
    json!({
        "DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]},
        "Targets": [{"Key": "tag:nobody", "Values": ["has"]}], "NotificationConfig": notification,
    })
}

async fn counts(bridge: &Bridge) -> Counts {
    outbox::counts(&mut bridge.fleet.store.reader().acquire().await.unwrap(), "ops").await.unwrap()
}

#[tokio::test]
async fn a_notification_outlives_a_restart_and_is_posted_under_one_id_until_it_is_taken() {
    let secret = secret();
    let elsewhere = "302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0";
    let mut receiver = Receiver::start(secret.clone(), vec!["500 Internal Server Error\r\ncontent-length: 0", elsewhere]).await;
    let bridge = Bridge::start_with(Clock::system(), settings(&secret, receiver.port)).await;
    let sent = bridge.ok("SendCommand", command(&json!({"NotificationArn": ARN, "NotificationEvents": ["Failed"]}))).await;
    assert_eq!(counts(&bridge).await, Counts { waiting: 1, ..Counts::default() }, "written with the command");

    let bridge = bridge.restart().await;
    let (switch, wish) = shutdown();
    let delivering = tokio::spawn(deliver::run(Arc::clone(&bridge.fleet), wish));
    let (one, two, three) = (receiver.next().await, receiver.next().await, receiver.next().await);
    assert_eq!((&one.id, &one.id), (&two.id, &three.id), "one id over all attempts");
    assert!(one.id.starts_with("msg_") && one.path == "POST /hook?token=1 HTTP/1.1", "{} {}", one.id, one.path);
    assert_eq!([&two.path, &three.path], [&one.path, &one.path], "a redirect is not followed");
    let now_s = Clock::system().now_ms() / 1000;
    assert!(one.timestamp_s < three.timestamp_s && three.timestamp_s.abs_diff(now_s) < 30, "the time is that of the attempt");
    assert_eq!((&one.body, &one.body), (&two.body, &three.body));
    let command_id = &sent["Command"]["CommandId"];
    assert_eq!(
        (&one.body["commandId"], &one.body["documentName"], &one.body["instanceIds"]),
        (command_id, &json!("AWS-RunShellScript"), &json!([]))
    );
    assert_eq!((&one.body["status"], &one.body["detailedStatus"]), (&json!("Failed"), &json!("No Instances In Tag")));
    assert_eq!((&one.body["outputS3BucketName"], &one.body["outputS3KeyPrefix"]), (&json!(""), &json!("")));
    for time in ["requestedDateTime", "expiresAfter", "eventTime"] {
        assert!(one.body[time].as_str().unwrap().ends_with('Z'), "{time}");
    }
    // The listener has answered; the row goes right after.
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while counts(&bridge).await.delivered == 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counts(&bridge).await, Counts { delivered: 1, ..Counts::default() });

    // While it runs, a commit wakes it: no need to wait for a period.
    bridge.ok("SendCommand", command(&json!({"NotificationArn": ARN}))).await;
    let next = tokio::time::timeout(Duration::from_secs(10), receiver.next()).await.unwrap();
    assert_ne!(next.id, one.id);
    switch.request();
    delivering.await.unwrap();
}

#[tokio::test]
async fn each_invocation_is_told_of_and_the_configuration_is_shown() {
    let secret = secret();
    // An answer longer than anything that is read of it.
    let long: &'static str = Box::leak(format!("200 OK\r\nx-long: {}\r\ncontent-length: 9000000", "x".repeat(1000)).into_boxed_str());
    let mut receiver = Receiver::start(secret.clone(), vec![long]).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, receiver.port)).await;
    let nodes = [bridge.node(1).await, bridge.node(2).await];
    let config = json!({"NotificationArn": ARN, "NotificationEvents": ["Cancelled", "Success"], "NotificationType": "Invocation"});
    let mut request = command(&config);
    request.as_object_mut().unwrap().remove("Targets");
    request["InstanceIds"] = json!(nodes);
    request["ServiceRoleArn"] = json!("arn:aws:iam::000000000000:role/any");
    let sent = bridge.ok("SendCommand", request).await;
    let command_id = sent["Command"]["CommandId"].clone();
    assert_eq!(sent["Command"]["NotificationConfig"], config);
    let listed = bridge.ok("ListCommands", json!({"CommandId": command_id})).await;
    assert_eq!(listed["Commands"][0]["NotificationConfig"], config);
    assert_eq!(listed["Commands"][0]["ServiceRole"], "arn:aws:iam::000000000000:role/any");
    let listed = bridge.ok("ListCommandInvocations", json!({"CommandId": command_id})).await;
    assert_eq!(listed["CommandInvocations"][1]["NotificationConfig"], config);
    assert_eq!(counts(&bridge).await, Counts::default(), "nothing has happened that was asked for");

    bridge.ok("CancelCommand", json!({"CommandId": command_id, "InstanceIds": [nodes[0]]})).await;
    bridge.ok("CancelCommand", json!({"CommandId": command_id})).await;
    assert_eq!(counts(&bridge).await.waiting, 2, "the command as a whole is not told of");
    let webhook = bridge.fleet.webhooks.find("ops").unwrap();
    assert_eq!(round(&bridge.fleet, &webhook, &mut Reach::default()).await.unwrap(), None);
    let (one, two) = (receiver.next().await, receiver.next().await);
    let mut told = [one.body["instanceId"].clone(), two.body["instanceId"].clone()];
    told.sort_by_key(ToString::to_string);
    let mut expected = nodes.map(Value::from);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
    assert_eq!((&one.body["status"], &one.body["detailedStatus"]), (&json!("Cancelled"), &json!("Canceled")));
    assert_eq!((&one.body["commandId"], &one.body["eventTime"]), (&command_id, &json!("2026-11-21T22:26:40.000Z")));
    assert_eq!(counts(&bridge).await, Counts { delivered: 2, ..Counts::default() });
}

#[tokio::test]
async fn what_nobody_takes_for_a_day_is_given_up_and_so_is_what_a_receiver_that_is_gone_refuses() {
    let secret = secret();
    let refused = "500 Internal Server Error\r\ncontent-length: 0";
    let mut receiver = Receiver::start(secret.clone(), vec![refused; 6]).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, receiver.port)).await;
    for _ in 0..5 {
        bridge.ok("SendCommand", command(&json!({"NotificationArn": ARN}))).await;
    }
    let (webhook, mut reach) = (bridge.fleet.webhooks.find("ops").unwrap(), Reach::default());
    let held_until = round(&bridge.fleet, &webhook, &mut reach).await.unwrap().unwrap();
    assert!((NOW_MS + 1_000..=NOW_MS + 2_000).contains(&held_until), "{held_until}");
    for _ in 0..4 {
        receiver.next().await;
    }
    assert_eq!(round(&bridge.fleet, &webhook, &mut reach).await.unwrap(), Some(held_until), "nothing before the pause is over");
    assert!(receiver.received.try_recv().is_err());
    bridge.clock.advance(Duration::from_millis(600_000));
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    receiver.next().await;
    assert!(receiver.received.try_recv().is_err(), "one at a time while nothing is taken");
    assert_eq!(counts(&bridge).await, Counts { waiting: 5, ..Counts::default() });
    bridge.clock.advance(Duration::from_millis(GIVE_UP_MS));
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    assert_eq!(counts(&bridge).await, Counts { given_up: 5, ..Counts::default() }, "those that were not tried too");

    let mut gone = Receiver::start(secret.clone(), vec!["410 Gone\r\ncontent-length: 0"]).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, gone.port)).await;
    bridge.ok("SendCommand", command(&json!({"NotificationArn": ARN}))).await;
    let webhook = bridge.fleet.webhooks.find("ops").unwrap();
    round(&bridge.fleet, &webhook, &mut Reach::default()).await.unwrap();
    gone.next().await;
    assert_eq!(counts(&bridge).await, Counts { given_up: 1, ..Counts::default() });
}

async fn enqueue(bridge: &Bridge, body: &str, now_ms: u64) {
    let mut write = bridge.fleet.store.write().await.unwrap();
    outbox::enqueue(&mut write, "ops", &[body.to_owned()], now_ms).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_stood_ahead_silences_nothing() {
    let secret = secret();
    let mut receiver = Receiver::start(secret.clone(), vec!["500 Internal Server Error\r\ncontent-length: 0"]).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, receiver.port)).await;
    let (webhook, mut reach) = (bridge.fleet.webhooks.find("ops").unwrap(), Reach::default());
    enqueue(&bridge, "{}", NOW_MS + 10 * 365 * GIVE_UP_MS).await;
    assert_eq!(round(&bridge.fleet, &webhook, &mut reach).await.unwrap(), Some(NOW_MS));
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    receiver.next().await;
    // Its day begins now, and not in ten years.
    bridge.clock.advance(Duration::from_millis(GIVE_UP_MS - 1));
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    receiver.next().await;
    assert_eq!(counts(&bridge).await, Counts { delivered: 1, ..Counts::default() });
    let old: Option<i64> =
        sqlx::query_scalar("SELECT MAX(created_ms) FROM webhook_message").fetch_one(bridge.fleet.store.reader()).await.unwrap();
    assert_eq!(old, None);
}

#[tokio::test]
async fn a_message_that_is_refused_holds_no_other_for_long() {
    const REFUSED: usize = 8;
    let secret = secret();
    let mut receiver = Receiver::start(secret.clone(), vec!["400 Bad Request\r\ncontent-length: 0"; REFUSED]).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, receiver.port)).await;
    let (webhook, mut reach) = (bridge.fleet.webhooks.find("ops").unwrap(), Reach::default());
    enqueue(&bridge, "{}", NOW_MS).await;
    for _ in 0..REFUSED {
        round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
        receiver.next().await;
        bridge.clock.advance(Duration::from_millis(600_000));
    }
    assert_eq!(counts(&bridge).await, Counts { waiting: 1, ..Counts::default() });
    let refused_at_ms = bridge.clock.now_ms() - 600_000;
    let held_ms = reach.hold_until_ms() - refused_at_ms;
    assert!((1_000..=2_000).contains(&held_ms), "{held_ms}");
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    assert_eq!(counts(&bridge).await, Counts { delivered: 1, ..Counts::default() });
}

#[tokio::test]
async fn what_was_taken_and_cannot_be_removed_is_not_posted_again_and_again() {
    let secret = secret();
    let mut receiver = Receiver::start(secret.clone(), Vec::new()).await;
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret, receiver.port)).await;
    let (webhook, mut reach) = (bridge.fleet.webhooks.find("ops").unwrap(), Reach::default());
    enqueue(&bridge, "{}", NOW_MS).await;
    let change = async |sql: &'static str| {
        let mut write = bridge.fleet.store.write().await.unwrap();
        sqlx::raw_sql(sql).execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
    };
    change("CREATE TRIGGER full BEFORE DELETE ON webhook_message BEGIN SELECT RAISE(ABORT, 'the disk is full'); END").await;
    for failures in 1..=8 {
        assert!(round(&bridge.fleet, &webhook, &mut reach).await.is_err());
        receiver.next().await;
        let held_ms = reach.hold_until_ms() - bridge.clock.now_ms();
        assert!((1_000..=1_000 << failures).contains(&held_ms), "{failures}: {held_ms}");
        assert_eq!(round(&bridge.fleet, &webhook, &mut reach).await.unwrap(), Some(reach.hold_until_ms()));
        bridge.clock.advance(Duration::from_millis(600_000));
    }
    assert!(receiver.received.try_recv().is_err(), "once in each pause");
    change("DROP TRIGGER full").await;
    round(&bridge.fleet, &webhook, &mut reach).await.unwrap();
    assert_eq!(counts(&bridge).await, Counts { delivered: 1, ..Counts::default() });
}

#[tokio::test]
async fn what_lists_repeat_is_bounded() {
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret(), 1)).await;
    let with = |events: &[&str], role: usize| {
        let mut request = command(&json!({"NotificationArn": ARN, "NotificationEvents": events}));
        request["ServiceRoleArn"] = json!("r".repeat(role));
        request
    };
    bridge.refused("SendCommand", with(&["Failed", "Success", "Failed"], 1)).await;
    bridge.refused("SendCommand", with(&["All"; 7], 1)).await;
    bridge.refused("SendCommand", with(&["All"], 2_049)).await;
    bridge.ok("SendCommand", with(&["All", "InProgress", "Success", "TimedOut", "Cancelled", "Failed"], 2_048)).await;
}

#[tokio::test]
async fn an_unknown_webhook_is_refused_and_the_known_ones_are_named() {
    let bridge = Bridge::start_with(Clock::fixed(NOW_MS), settings(&secret(), 1)).await;
    let unknown = json!({"NotificationArn": "arn:aws:sns:local-1:000000000000:other"});
    let answer = bridge.call(&bridge.admin, "SendCommand", command(&unknown)).await;
    assert_eq!((answer.status, answer.error()), (400, "InvalidNotificationConfig"));
    assert!(answer.message().contains(ARN), "{}", answer.message());
    let word = json!({"NotificationArn": ARN, "NotificationEvents": ["Done"]});
    bridge.refused("SendCommand", command(&word)).await;
    let commands = bridge.ok("ListCommands", json!({})).await;
    assert_eq!(commands["Commands"], json!([]), "nothing was sent");
}

#[tokio::test]
async fn over_tls_only_the_certificates_of_the_settings_are_trusted() {
    let now_s = Clock::system().now_ms() / 1000;
    let folder = tempfile::tempdir().unwrap();
    let authorities = [FleetCa::create("ours", now_s).unwrap(), FleetCa::create("other", now_s).unwrap()];
    let issued = authorities[0].issue_server(&["127.0.0.1".to_owned()], now_s, 1).unwrap();
    let tls = TlsFiles { certificate: folder.path().join("server.pem"), key: folder.path().join("server.key") };
    files::create_public(&tls.certificate, issued.certificate_pem().as_bytes()).unwrap();
    files::create_secret(&tls.key, issued.private_key_pem().as_bytes()).unwrap();
    let (sender, mut taken) = mpsc::unbounded_channel();
    let hook = axum::routing::post(move |body: String| async move { sender.send(body).unwrap() });
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(&tls)).await.unwrap();
    let url = format!("{}/hook", listener.url());
    let (_switch, wish) = shutdown();
    tokio::spawn(listener.serve(axum::Router::new().route("/hook", hook), wish));
    for (authority, expected) in
        authorities.iter().rev().zip([Counts { waiting: 1, ..Counts::default() }, Counts { delivered: 1, ..Counts::default() }])
    {
        let bridge = Bridge::start_with(Clock::system(), |home| {
            files::create_secret(&home.join("ops.secret"), secret().as_bytes()).unwrap();
            files::create_public(&home.join("ca.pem"), certificate_pem(authority.certificate_der()).as_bytes()).unwrap();
            format!("\n[webhooks.ops]\nurl = \"{url}\"\nsecret_file = \"ops.secret\"\nca_file = \"ca.pem\"\n")
        })
        .await;
        bridge.ok("SendCommand", command(&json!({"NotificationArn": ARN}))).await;
        let webhook = bridge.fleet.webhooks.find("ops").unwrap();
        round(&bridge.fleet, &webhook, &mut Reach::default()).await.unwrap();
        assert_eq!(counts(&bridge).await, expected);
    }
    assert!(taken.recv().await.unwrap().contains("No Instances In Tag"));
    assert!(taken.try_recv().is_err(), "the other authority's server got nothing");
}
