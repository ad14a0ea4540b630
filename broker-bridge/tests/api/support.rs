//! A bridge's API on a free port over a home of its own, and a client that signs with the official `aws-sigv4`.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use flotilla_broker_bridge::clock::Clock;
use flotilla_broker_bridge::command::{InitOptions, init, router};
use flotilla_broker_bridge::fleet::{Fleet, user};
use flotilla_broker_bridge::platform::http::{Access, Listener};
use flotilla_broker_bridge::platform::shutdown::{ShutdownSwitch, shutdown};
use flotilla_broker_bridge::settings::Settings;
use flotilla_protocol::id::NodeId;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// 21 November 2026, 22:26:40.
pub(crate) const NOW_MS: u64 = 1_795_300_000_000;

pub(crate) struct Bridge {
    folder: TempDir,
    _switch: ShutdownSwitch,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) admin: Key,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// An answer: its status, its headers as text, its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The name of the error.
    pub(crate) fn error(&self) -> &str {
        self.body["__type"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// A request that can be bent before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Bridge {
    pub(crate) async fn start() -> Self {
        Self::start_with(Clock::fixed(NOW_MS), |_| String::new()).await
    }

    /// With another clock, and settings of one's own after those of `init`; they are made by a function of the home.
    pub(crate) async fn start_with(clock: Clock, settings: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = InitOptions {
            home: folder.path().join("home"),
            name: "test".to_owned(),
            listen_host: Vec::new(),
            api_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            broker_listen: None,
            claim_listen: None,
            if_missing: false,
        };
        init(&options, &clock).await.unwrap();
        let more = settings(&options.home);
        let mut file = std::fs::OpenOptions::new().append(true).open(options.home.join("bridge.toml")).unwrap();
        std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
        Self::open(folder, clock).await
    }

    /// Ends, and starts on the same home.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, fleet, clock, .. } = self;
        fleet.store.close().await;
        Self::open(folder, clock).await
    }

    async fn open(folder: TempDir, clock: Clock) -> Self {
        let settings = Settings::load_file(&folder.path().join("home")).unwrap();
        let fleet = Fleet::open(&settings, clock.clone()).await.unwrap();
        let listener = Listener::bind(settings.api.listen, None).await.unwrap();
        let address = listener.address();
        let (switch, wish) = shutdown();
        tokio::spawn(listener.serve(router(&fleet), wish));
        let environment = std::fs::read_to_string(settings.home.operator_environment()).unwrap();
        let variable = |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let admin = Key { id: variable("AWS_ACCESS_KEY_ID="), secret: variable("AWS_SECRET_ACCESS_KEY=") };
        Self { folder, _switch: switch, fleet, address, clock, admin }
    }

    pub(crate) async fn user(&self, name: &str, access: Access) -> Key {
        let mut write = self.fleet.store.write().await.unwrap();
        let key = user::add(&mut write, &self.fleet.sealer, name, access, NOW_MS).await.unwrap();
        write.commit().await.unwrap();
        Key { id: key.id.clone(), secret: key.secret.to_string() }
    }

    /// A node that exists in the database only.
    pub(crate) async fn node(&self, number: u8) -> String {
        let key = [number; 32];
        let id = NodeId::of_key(&key).to_string();
        let mut write = self.fleet.store.write().await.unwrap();
        sqlx::query(
            "INSERT INTO node (node_id, identity_key, sealing_key, tls_key, activation_id, iam_role, registered_ms, last_seen_ms, \
             agent_version, platform_name, platform_version, architecture, computer_name, ip_address) \
             VALUES ($1, $2, $2, $2, 'a', '', 0, 0, '', '', '', '', '', '')",
        )
        .bind(&id)
        .bind(key.as_slice())
        .execute(write.connection())
        .await
        .unwrap();
        write.commit().await.unwrap();
        id
    }

    /// A signed request at the bridge's time. Each has its own invocation, as the SDKs' have.
    pub(crate) fn sign(&self, key: &Key, operation: &str, body: &str) -> Request {
        self.sign_at(key, operation, body, self.clock.now_ms())
    }

    pub(crate) fn sign_at(&self, key: &Key, operation: &str, body: &str, time_ms: u64) -> Request {
        self.sign_target_at(key, &format!("AmazonSSM.{operation}"), body, time_ms)
    }

    /// A signed request of an operation whose name is given with what stands before it.
    pub(crate) fn sign_target(&self, key: &Key, target: &str, body: &str) -> Request {
        self.sign_target_at(key, target, body, self.clock.now_ms())
    }

    fn sign_target_at(&self, key: &Key, target: &str, body: &str, time_ms: u64) -> Request {
        let mut headers = vec![
            ("host".to_owned(), self.address.to_string()),
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), target.to_owned()),
        ];
        let identity = Credentials::new(&key.id, &key.secret, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("local-1")
            .name("ssm")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(time_ms))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = format!("http://{}/", self.address);
        let borrowed = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new("POST", url, borrowed, SignableBody::Bytes(body.as_bytes())).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let added: Vec<_> = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.extend(added);
        headers.push(("amz-sdk-invocation-id".to_owned(), uuid::Uuid::now_v7().to_string()));
        Request { headers, body: body.as_bytes().to_vec() }
    }

    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let mut text = String::from("POST / HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in &request.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
        let answer = self.exchange(&[text.as_bytes(), &request.body].concat()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The bridge may answer, and close, before it has read everything.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    pub(crate) async fn call(&self, key: &Key, operation: &str, body: Value) -> Answer {
        self.send(&self.sign(key, operation, &body.to_string())).await
    }

    /// A call by the admin that must succeed.
    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let answer = self.call(&self.admin, operation, body).await;
        assert_eq!(answer.status, 200, "{operation}: {:?}", answer.body);
        answer.body
    }

    /// The name of the error of a call by the admin.
    pub(crate) async fn refused(&self, operation: &str, body: Value) -> String {
        let answer = self.call(&self.admin, operation, body).await;
        assert_eq!(answer.status, 400, "{operation}: {:?}", answer.body);
        assert!(!answer.message().is_empty());
        answer.error().to_owned()
    }
}
