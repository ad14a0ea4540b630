//! What a command tells, and all that it wrote, with real programs: the bridge is killed while a notification waits.
#![cfg(test)]

use flotilla_api::commands::{GetCommandInvocationRequest, NotificationConfig, SendCommandRequest};
use flotilla_broker_bridge::platform::files;
use flotilla_broker_bridge::platform::webhook::WebhookSecret;
use flotilla_tests::calls::{is_terminal, shell_on};
use flotilla_tests::{Broker, Fleet, wait};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A receiver that hangs up on every message until it is willing.
#[derive(Debug, Default)]
struct Receiver {
    willing: AtomicBool,
    /// The body of each id, and whether it was taken.
    messages: Mutex<BTreeMap<String, (Value, bool)>>,
}

impl Receiver {
    fn start() -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Arc::new(Self::default());
        let own = Arc::clone(&receiver);
        std::thread::spawn(move || listener.incoming().for_each(|stream| own.serve(stream.unwrap())));
        (receiver, port)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            // A bridge that is killed hangs up in the midst.
            let Ok(1..) = reader.read_line(&mut line) else { return };
            match line.trim_end().to_lowercase().split_once(": ") {
                Some(("webhook-id", value)) => id = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        let Ok(()) = reader.read_exact(&mut body) else { return };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let willing = self.willing.load(Ordering::SeqCst);
        let mut messages = self.messages.lock().unwrap();
        let known = messages.entry(id).or_insert_with(|| (body.clone(), false));
        assert_eq!(known.0, body, "one id, one message");
        known.1 |= willing;
        drop(messages);
        if willing {
            drop(reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"));
        }
    }

    fn ids(&self, taken: bool) -> BTreeSet<String> {
        self.messages.lock().unwrap().iter().filter(|(_, (_, known))| *known == taken).map(|(id, _)| id.clone()).collect()
    }

    /// The statuses that were taken.
    fn told(&self) -> BTreeSet<String> {
        let messages = self.messages.lock().unwrap();
        messages.values().filter(|(_, taken)| *taken).map(|(body, _)| body["status"].as_str().unwrap().to_owned()).collect()
    }
}

/// Fetches a link as a browser would.
fn fetch(link: &str) -> String {
    let (host, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

#[test]
fn a_notification_survives_a_kill_of_the_bridge_and_a_link_gives_all_that_a_node_wrote() {
    let (receiver, port) = Receiver::start();
    let mut fleet = Fleet::with_nodes(Broker::Embedded, 1);
    fleet.stop_bridge();
    let settings = fleet.home().settings();
    files::create_secret(&fleet.home().join("ops.secret".as_ref()), WebhookSecret::create().unwrap().as_bytes()).unwrap();
    let webhook = format!("\n[webhooks.ops]\nurl = \"http://127.0.0.1:{port}/\"\nsecret_file = \"ops.secret\"\n");
    std::fs::OpenOptions::new().append(true).open(settings).unwrap().write_all(webhook.as_bytes()).unwrap();
    fleet.start_bridge();
    fleet.await_online();

    let node = fleet.node_ids().remove(0);
    let config =
        NotificationConfig { notification_arn: Some("arn:aws:sns:local-1:000000000000:ops".to_owned()), ..NotificationConfig::default() };
    let sent = fleet.call(&SendCommandRequest { notification_config: Some(config), ..shell_on(&node, "seq 1 50000") });
    let command_id = sent.command.unwrap().command_id.unwrap();
    let request = GetCommandInvocationRequest { command_id, instance_id: node, plugin_name: None };
    wait::until_true(LIMIT, "the command ends", || is_terminal(fleet.call(&request).status.as_deref()));
    wait::until_true(LIMIT, "a notification is tried", || !receiver.ids(false).is_empty());

    let whole: String = (1..=50_000).map(|number| format!("{number}\n")).collect();
    let kept = i64::try_from(whole.len()).unwrap();
    wait::until_true(LIMIT, "the output arrives", || fleet.call(&request).standard_output_bytes == Some(kept));
    let link = fleet.call(&request).standard_output_url.unwrap();
    assert_eq!(fetch(&link), whole);

    fleet.kill_bridge();
    let tried = receiver.ids(false);
    receiver.willing.store(true, Ordering::SeqCst);
    fleet.start_bridge();
    wait::until_true(LIMIT, "the end is told", || receiver.told().contains("Success"));
    wait::until_true(LIMIT, "all that was tried is taken under its id", || tried.is_subset(&receiver.ids(true)));
    assert_eq!(fetch(&link), whole, "the link outlives the bridge that made it");
}
