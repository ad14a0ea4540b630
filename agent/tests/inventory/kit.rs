//! A node whose exec is a process, and a bridge that is played by the test through the link's socket and takes inventories alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use flotilla_agent::frame::{self, FrameReader, FromExec, FromLink};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::inventory::{Change, InventoryReport, Table};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{FleetId, NodeId};
use flotilla_protocol::report::{ReceiptBody, ReportBody, Stream};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey};
use flotilla_protocol::wire::{Check as _, decode, encode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

const NOW_MS: u64 = 1_800_000_000_000;
/// Longer than anything that a test waits for should take, on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn bundle() -> Vec<u8> {
    let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
    let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    encode(&TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![1])]))
}

fn fleet() -> FleetId {
    FleetId::of_root_hash(&flotilla_protocol::sha256(&[&bundle()]))
}

fn node() -> NodeId {
    NodeId::of_key(key(100).verifying_key().as_bytes())
}

/// A program of this machine, or the agent itself.
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    std::process::Command::new(program)
}

/// What the bridge has.
#[derive(Default)]
pub(crate) struct Bridge {
    pub(crate) tables: BTreeMap<String, Table>,
    /// Changes that were taken, by the type.
    pub(crate) changes: BTreeMap<String, u32>,
    /// Changes that were made of what the bridge does not have.
    pub(crate) stale: u32,
    /// The sizes of all reports that came, signature and all.
    pub(crate) sizes: Vec<usize>,
    up_to: u64,
    head: [u8; 32],
    pieces: Vec<InventoryReport>,
}

impl Bridge {
    fn take(&mut self, report: InventoryReport) {
        if report.piece == 0 {
            self.pieces.clear();
        }
        if self.pieces.len() != usize::from(report.piece) || self.pieces.first().is_some_and(|first| first.hash != report.hash) {
            self.pieces.clear();
            return;
        }
        self.pieces.push(report.clone());
        if report.piece + 1 < report.pieces {
            return;
        }
        let bytes: Vec<u8> = self.pieces.drain(..).flat_map(|piece| piece.bytes).collect();
        let change = Change::from_bytes(&miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes, 1 << 21).unwrap()).unwrap();
        let base = match report.base {
            None => Some(Table::default()),
            Some(hash) => self.tables.get(&report.type_name).filter(|table| table.hash() == hash).cloned(),
        };
        let Some(base) = base else {
            self.stale += 1;
            return;
        };
        let table = base.changed_by(&change).unwrap();
        assert_eq!(table.hash(), report.hash);
        *self.changes.entry(report.type_name.clone()).or_default() += 1;
        self.tables.insert(report.type_name, table);
    }
}

/// A node and its bridge.
pub(crate) struct Node {
    place: TempDir,
    settings: Vec<(&'static str, String)>,
    exec: Child,
    link: Option<(FrameReader<OwnedReadHalf>, OwnedWriteHalf)>,
    pub(crate) bridge: Bridge,
}

impl Node {
    /// With these settings beside those of its place; it gathers every second.
    pub(crate) async fn start(settings: &[(&'static str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("custom")).unwrap();
        write_state(&place.path().join("state"));
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let exec = start_exec(place.path(), &settings);
        let mut node = Self { place, settings, exec, link: None, bridge: Bridge::default() };
        node.connect().await;
        node
    }

    /// Writes a file of the site's own inventory.
    pub(crate) fn write_custom(&self, name: &str, text: &str) {
        flotilla_agent::state::replace_file(&self.place.path().join("custom").join(name), text.as_bytes()).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// Kills exec, as a power cut would, and starts it again.
    pub(crate) async fn kill_and_restart(&mut self) {
        kill(Pid::from_raw(i32::try_from(self.exec.id().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
        self.exec.wait().await.unwrap();
        self.link = None;
        drop(fs::remove_file(self.socket()));
        self.exec = start_exec(self.place.path(), &self.settings);
        self.connect().await;
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("socket")
    }

    async fn connect(&mut self) {
        let socket = self.socket();
        let connect = async {
            loop {
                match UnixStream::connect(&socket).await {
                    Ok(stream) => return stream,
                    Err(_) => sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let Ok(stream) = timeout(PATIENCE, connect).await else { panic!("exec does not come up: {}", self.log()) };
        let (reader, writer) = stream.into_split();
        self.link = Some((FrameReader::new(reader), writer));
        self.say(&FromLink::Connected).await;
    }

    async fn say(&mut self, frame: &FromLink) {
        let (_, writer) = self.link.as_mut().unwrap();
        frame::write(writer, frame).await.unwrap();
    }

    async fn down(&mut self, kind: DownKind, payload: Vec<u8>) {
        let topic = Topic::Down { fleet: fleet(), node: node(), kind }.to_string();
        self.say(&FromLink::Message { topic, retained: false, payload }).await;
    }

    /// Takes what comes for so long, or until `is_enough`.
    pub(crate) async fn listen(&mut self, limit: Duration, is_enough: impl Fn(&Bridge) -> bool) -> bool {
        let end = Instant::now() + limit;
        while !is_enough(&self.bridge) {
            let (reader, _) = self.link.as_mut().unwrap();
            match timeout_at(end, reader.next::<FromExec>()).await {
                Ok(Ok(Some(FromExec::Publish { topic, payload, .. }))) => self.published(&topic, &payload).await,
                Ok(Ok(Some(_))) => {}
                Ok(other) => panic!("exec went away: {other:?}: {}", self.log()),
                Err(_) => return is_enough(&self.bridge),
            }
        }
        true
    }

    async fn published(&mut self, topic: &str, payload: &[u8]) {
        let Ok(Topic::Up { kind, .. }) = topic.parse() else { panic!("{topic}") };
        if kind == UpKind::Hello {
            let hello: HelloBody = decode(Envelope::parse(payload, Domain::Hello).unwrap().body()).unwrap();
            let welcome = WelcomeBody {
                node: node(),
                nonce: hello.nonce,
                time_ms: NOW_MS,
                bundles: Vec::new(),
                resend_minimum_ms: 500,
                resend_maximum_ms: 1000,
                reconnect_spread_s: 0,
                chains: vec![(Stream::Control, 0), (Stream::Inventory, self.bridge.up_to)],
                offers: Vec::new(),
            };
            self.down(DownKind::Welcome, seal(Domain::Welcome, &encode(&welcome), &[&key(4)])).await;
        }
        if kind == UpKind::Report {
            let envelope = Envelope::parse(payload, Domain::Report).unwrap();
            assert!(envelope.is_signed_by(&key(100).verifying_key()));
            let hash = flotilla_protocol::sha256(&[envelope.body()]);
            let report: ReportBody = decode(envelope.body()).unwrap();
            assert_eq!(report.stream, Stream::Inventory);
            if report.sequence == self.bridge.up_to + 1 {
                assert_eq!(report.previous, self.bridge.head, "the chain forks");
                (self.bridge.up_to, self.bridge.head) = (report.sequence, hash);
                let ReportPayload::Inventory(report) = ReportPayload::decode(&report.payload).unwrap() else { panic!("another payload") };
                report.check().unwrap();
                self.bridge.sizes.push(payload.len());
                self.bridge.take(report);
            }
            let (boot, up_to, head) = (report.boot, self.bridge.up_to, self.bridge.head);
            let receipt = ReceiptBody { node: node(), stream: Stream::Inventory, boot, up_to, head };
            self.down(DownKind::Receipt, seal(Domain::Receipt, &encode(&receipt), &[&key(3)])).await;
        }
    }
}

fn start_exec(place: &Path, settings: &Vec<(&'static str, String)>) -> Child {
    let mut command = command(env!("CARGO_BIN_EXE_flotilla-agent"));
    let log = File::options().append(true).create(true).open(place.join("log")).unwrap();
    for (name, path) in [("STATE_FOLDER", "state"), ("SOCKET", "socket"), ("CUSTOM_INVENTORY_FOLDER", "custom")] {
        command.env(format!("FLOTILLA_AGENT__{name}"), place.join(path));
    }
    command.env("FLOTILLA_AGENT__INVENTORY_INTERVAL_S", "1");
    for (name, value) in settings {
        command.env(format!("FLOTILLA_AGENT__{name}"), value);
    }
    command.arg("exec").stdin(Stdio::null()).stderr(log);
    Command::from(command).kill_on_drop(true).spawn().unwrap()
}

/// What registering leaves behind.
fn write_state(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        flotilla_agent::state::write_atomically(&path, bytes).unwrap();
    };
    ["exec/journal", "exec/jobs"].iter().for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
    put("exec/identity.key", key(100).as_bytes());
    put("exec/sealing.key", &[9; 32]);
    put("exec/root.hash", &flotilla_protocol::sha256(&[&bundle()]));
    put("exec/trust/1.bundle", &seal(Domain::Trust, &bundle(), &[&key(1)]));
    put("exec/floor", &(NOW_MS - 1000).to_le_bytes());
    let connection =
        format!("host = \"localhost\"\nport = 8883\nfleet = \"{}\"\nnode = \"{}\"\nenrolled_at_s = 1799999999\n", fleet(), node());
    put("link/connection.toml", connection.as_bytes());
    put("registered", b"");
}
