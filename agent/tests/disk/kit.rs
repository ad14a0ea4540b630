//! A node on a small tmpfs, and a bridge that is played by the test through the link's socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use flotilla_agent::frame::{self, FrameReader, FromExec, FromLink};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, FleetId, NodeId, OrderId};
use flotilla_protocol::order::{OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{ReceiptBody, ReportBody, Stream};
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::target;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, Label, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey};
use flotilla_protocol::wire::{Check, decode, encode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
const PAGE: u64 = 4096;
/// Longer than anything that a test waits for should take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn bundle() -> Vec<u8> {
    let keys = (1..=5).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
    let scope = vec![Label { key: "site".into(), value: "berlin".into() }];
    let in_berlin = OperatorRule { name: "in Berlin".into(), scope, ..OperatorRule::any_of(Class::Command, vec![4]) };
    let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    encode(&TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![1]), in_berlin]))
}

fn root_hash() -> [u8; 32] {
    flotilla_protocol::sha256(&[&bundle()])
}

fn fleet() -> FleetId {
    FleetId::of_root_hash(&root_hash())
}

fn identity() -> SigningKey {
    key(100)
}

fn node() -> NodeId {
    NodeId::of_key(identity().verifying_key().as_bytes())
}

#[expect(clippy::disallowed_methods, reason = "tests mount and start programs")]
fn command(program: &str) -> std::process::Command {
    std::process::Command::new(program)
}

fn run(program: &str, arguments: &[&str]) -> bool {
    command(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Of these about 4 MiB are the file system's own log.
const EXT4_BYTES: u64 = 8 * 1024 * 1024;

/// A small file system; unmounted when it goes.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// In memory; nothing when this machine lets us mount none.
    pub(crate) fn mount() -> Option<Self> {
        let (folder, path) = Self::folder();
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", "size=3m,nr_inodes=200,mode=0700", "tmpfs", path.to_str()?]);
        is_mounted.then_some(Self { folder })
    }

    /// An ext4 in a file, on a loop device; nothing when this machine has none.
    pub(crate) fn mount_ext4() -> Option<Self> {
        let (folder, path) = Self::folder();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(EXT4_BYTES).unwrap();
        let is_made = run("mkfs.ext4", &["-q", "-F", "-m", "0", "-b", "4096", "-N", "208", image.to_str()?]);
        let is_mounted = is_made && run("mount", &["-o", "loop", image.to_str()?, path.to_str()?]);
        let disk = is_mounted.then_some(Self { folder })?;
        fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Some(disk)
    }

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        (folder, path)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// A place that is never full.
    pub(crate) fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// The node's policy, where there is one when it starts.
    pub(crate) fn policy(&self) -> PathBuf {
        self.beside().join("policy.toml")
    }

    /// Takes all blocks but so many pages.
    pub(crate) fn fill_blocks(&self, pages_left: u64) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        let page = vec![7; usize::try_from(PAGE).unwrap()];
        while file.write_all(&page).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(pages_left * PAGE)).unwrap();
    }

    /// Takes all inodes but so many.
    pub(crate) fn fill_inodes(&self, left: usize) {
        let folder = self.path().join("fillers");
        fs::create_dir(&folder).unwrap();
        let made = (0..).take_while(|number| File::create(folder.join(number.to_string())).is_ok()).count();
        (made.saturating_sub(left)..made).for_each(|number| fs::remove_file(folder.join(number.to_string())).unwrap());
    }

    pub(crate) fn free(&self) {
        drop(fs::remove_file(self.path().join("filler")));
        drop(fs::remove_dir_all(self.path().join("fillers")));
    }

    pub(crate) fn set_read_only(&self, is_read_only: bool) -> bool {
        let how = if is_read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", how, self.path().to_str().unwrap()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", self.path().to_str().unwrap()]);
    }
}

/// What the bridge of the test has heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) head: (u64, [u8; 32], Option<BootId>),
    pub(crate) accepted: BTreeSet<OrderId>,
    pub(crate) rejected: BTreeMap<OrderId, RejectReason>,
    pub(crate) results: BTreeMap<OrderId, Outcome>,
    pub(crate) refused: BTreeMap<RejectReason, u32>,
    pub(crate) memory_lost: u32,
    pub(crate) gives_receipts: bool,
}

/// A node and its bridge.
pub(crate) struct Node {
    pub(crate) disk: SmallDisk,
    exec: Child,
    link: Option<(FrameReader<OwnedReadHalf>, OwnedWriteHalf)>,
    pub(crate) heard: Heard,
    /// The bridge's time.
    pub(crate) now_ms: u64,
}

/// A running strace.
pub(crate) struct Strace {
    child: Child,
    file: PathBuf,
}

impl Strace {
    /// What it has seen, a line for each call.
    pub(crate) async fn end(mut self) -> Vec<String> {
        kill(Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
        self.child.wait().await.unwrap();
        let text = fs::read_to_string(&self.file).unwrap();
        text.lines().filter(|line| line.contains('(')).map(str::to_owned).collect()
    }
}

fn start_exec(disk: &SmallDisk) -> Child {
    let mut command = command(env!("CARGO_BIN_EXE_flotilla-agent"));
    let log = File::options().append(true).create(true).open(disk.beside().join("log")).unwrap();
    command.arg("exec").env("FLOTILLA_AGENT__STATE_FOLDER", disk.path()).env("FLOTILLA_AGENT__SOCKET", disk.beside().join("socket"));
    // Another one on this machine must not decide about these tests.
    let policy = disk.policy();
    if policy.exists() {
        command.env("FLOTILLA_AGENT__POLICY_FILE", policy);
    }
    command.stdin(Stdio::null()).stderr(log);
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command.spawn().unwrap()
}

impl Node {
    pub(crate) async fn start(disk: SmallDisk) -> Self {
        write_state(&disk.path());
        let exec = start_exec(&disk);
        let heard = Heard { gives_receipts: true, ..Heard::default() };
        let mut node = Self { disk, exec, link: None, heard, now_ms: NOW_MS };
        node.connect().await;
        node
    }

    async fn connect(&mut self) {
        let socket = self.disk.beside().join("socket");
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

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.disk.beside().join("log")).unwrap_or_default()
    }

    pub(crate) async fn kill(&mut self) {
        let pid = i32::try_from(self.exec.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        self.exec.wait().await.unwrap();
        self.link = None;
        drop(fs::remove_file(self.disk.beside().join("socket")));
    }

    pub(crate) async fn restart(&mut self) {
        self.exec = start_exec(&self.disk);
        self.connect().await;
    }

    async fn say(&mut self, frame: &FromLink) {
        let (_, writer) = self.link.as_mut().unwrap();
        frame::write(writer, frame).await.unwrap();
    }

    async fn down(&mut self, kind: DownKind, payload: Vec<u8>) {
        let topic = Topic::Down { fleet: fleet(), node: node(), kind }.to_string();
        self.say(&FromLink::Message { topic, retained: false, payload }).await;
    }

    /// Sends an order that appends a line to a file beside the disk.
    pub(crate) async fn order(&mut self, number: u8, script: &str) {
        self.order_by(2, number, script).await;
    }

    /// The same, signed by the key of this seed.
    pub(crate) async fn order_by(&mut self, signer: u8, number: u8, script: &str) {
        let delivery = delivery(signer, number, script, NOW_MS);
        self.down(DownKind::Order, delivery).await;
    }

    /// Sends an order that was made by the bridge's time of now.
    pub(crate) async fn order_of_now(&mut self, number: u8, script: &str) {
        let delivery = delivery(2, number, script, self.now_ms);
        self.down(DownKind::Order, delivery).await;
    }

    pub(crate) async fn reconnect(&mut self) {
        self.say(&FromLink::Disconnected { reason: "for the test".into() }).await;
        self.say(&FromLink::Connected).await;
    }

    /// Counts the calls that wait for the disk, of exec and of all its jobs; nothing when there is no strace.
    pub(crate) async fn count_syncs(&self) -> Option<Strace> {
        self.trace(&["-e", "trace=fsync,fdatasync,sync,syncfs"]).await
    }

    /// Has exec's call of this number, from now on, fail with EIO; nothing when there is no strace.
    pub(crate) async fn fail(&self, call: &str, number: u32) -> Option<Strace> {
        let inject = format!("inject={call}:error=EIO:when={number}");
        self.trace(&["-e", &format!("trace={call}"), "-e", &inject]).await
    }

    async fn trace(&self, what: &[&str]) -> Option<Strace> {
        let file = self.disk.beside().join("strace");
        let mut command = command("strace");
        command.args(["-f", "-qq", "-p", &self.exec.id()?.to_string(), "-o"]).arg(&file).args(what);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Command::from(command).kill_on_drop(true).spawn().ok()?;
        // It is attached when the kernel names it as the tracer.
        let status = format!("/proc/{}/status", self.exec.id()?);
        let is_attached = async {
            let traced = || fs::read_to_string(&status).is_ok_and(|text| !text.contains("TracerPid:\t0\n"));
            while !traced() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), is_attached).await.ok()?;
        Some(Strace { child, file })
    }

    /// Takes what comes for so long, or until `is_enough`.
    pub(crate) async fn listen(&mut self, limit: Duration, is_enough: impl Fn(&Heard) -> bool) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while !is_enough(&self.heard) {
            let (reader, _) = self.link.as_mut().unwrap();
            match tokio::time::timeout_at(end, reader.next::<FromExec>()).await {
                Ok(Ok(Some(FromExec::Publish { topic, payload, .. }))) => self.published(&topic, &payload).await,
                Ok(Ok(Some(_))) => {}
                Ok(other) => panic!("exec went away: {other:?}: {}", self.log()),
                Err(_) => return is_enough(&self.heard),
            }
        }
        true
    }

    /// As [`Node::listen`], while the order is sent again and again as a bridge does.
    pub(crate) async fn insist(&mut self, number: u8, script: &str) {
        let id = order_id(number);
        let is_over = move |heard: &Heard| heard.results.contains_key(&id) || heard.rejected.contains_key(&id);
        let end = tokio::time::Instant::now() + PATIENCE;
        while !self.listen(Duration::from_millis(300), is_over).await {
            assert!(tokio::time::Instant::now() < end, "order {number} has no end: {}", self.log());
            if !self.heard.accepted.contains(&id) {
                self.order(number, script).await;
            }
        }
    }

    async fn published(&mut self, topic: &str, payload: &[u8]) {
        let Ok(Topic::Up { kind, .. }) = topic.parse() else { panic!("{topic}") };
        match kind {
            UpKind::Hello => {
                let hello: HelloBody = signed(Domain::Hello, payload);
                self.heard.refused = hello.refused.iter().copied().collect();
                let welcome = WelcomeBody {
                    node: node(),
                    nonce: hello.nonce,
                    time_ms: self.now_ms,
                    bundles: Vec::new(),
                    resend_minimum_ms: 500,
                    resend_maximum_ms: 1000,
                    reconnect_spread_s: 0,
                    chains: Vec::new(),
                    offers: Vec::new(),
                };
                self.down(DownKind::Welcome, seal(Domain::Welcome, &encode(&welcome), &[&key(4)])).await;
            }
            UpKind::Report => self.report(payload).await,
            UpKind::Output => {}
        }
    }

    async fn report(&mut self, payload: &[u8]) {
        let report: ReportBody = signed(Domain::Report, payload);
        let hash = flotilla_protocol::sha256(&[Envelope::parse(payload, Domain::Report).unwrap().body()]);
        let payload = ReportPayload::decode(&report.payload).unwrap();
        let heard = &mut self.heard;
        let begins_anew = matches!(payload, ReportPayload::MemoryLost(_)) && report.sequence > heard.head.0;
        if report.sequence == heard.head.0 + 1 || begins_anew {
            assert!(begins_anew || report.previous == heard.head.1, "the chain forks");
            heard.head = (report.sequence, hash, Some(report.boot));
            match payload {
                ReportPayload::Admission(Admission::Accepted { order }) => assert!(heard.accepted.insert(order)),
                // The same may be said again, when the order comes again.
                ReportPayload::Admission(Admission::Rejected { order, reason }) => {
                    let before = heard.rejected.insert(order, reason);
                    assert!(!heard.results.contains_key(&order) && before.is_none_or(|before| before == reason), "two ends");
                }
                ReportPayload::CommandResult(result) => {
                    let before = heard.results.insert(result.order, result.outcome);
                    assert!(before.is_none_or(|before| before == result.outcome), "two ends");
                }
                ReportPayload::MemoryLost(_) => heard.memory_lost += 1,
                _ => {}
            }
        }
        if heard.gives_receipts {
            let (up_to, head, Some(boot)) = heard.head else { return };
            let receipt = ReceiptBody { node: node(), stream: Stream::Control, boot, up_to, head };
            self.down(DownKind::Receipt, seal(Domain::Receipt, &encode(&receipt), &[&key(3)])).await;
        }
    }
}

fn signed<T: serde::de::DeserializeOwned + Check>(domain: Domain, payload: &[u8]) -> T {
    let envelope = Envelope::parse(payload, domain).unwrap();
    assert!(envelope.is_signed_by(&identity().verifying_key()));
    decode(envelope.body()).unwrap()
}

pub(crate) fn order_id(number: u8) -> OrderId {
    OrderId([number; 16])
}

fn delivery(signer: u8, number: u8, script: &str, now_ms: u64) -> Vec<u8> {
    let script =
        RunShellScript { run_command: vec![Template::text(script)], working_directory: None, environment: BTreeMap::new(), timeout_s: 60 };
    let plan = Plan { steps: vec![Step::new("run", &Action::RunShellScript(script))] };
    let command = CommandOrder { document: "d".into(), document_version: "1".into(), parameters: Vec::new(), plan };
    let order = OrderBody {
        id: order_id(number),
        fleet: fleet(),
        targets: Targets { count: 1, root: target::leaf(&identity().verifying_key().to_bytes(), b"") },
        requester: "operator".into(),
        lane: 0,
        sequence: 0,
        epoch: 0,
        not_before_ms: now_ms,
        not_after_ms: now_ms + 3_600_000,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command).encode(),
    };
    let envelope = seal(Domain::Order, &encode(&order), &[&key(signer)]);
    encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
}

/// What registering leaves behind.
fn write_state(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        flotilla_agent::state::write_atomically(&path, bytes).unwrap();
    };
    ["exec/journal", "exec/jobs"].iter().for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
    put("exec/identity.key", identity().as_bytes());
    put("exec/sealing.key", &[9; 32]);
    put("exec/root.hash", &root_hash());
    put("exec/trust/1.bundle", &seal(Domain::Trust, &bundle(), &[&key(1)]));
    put("exec/floor", &(NOW_MS - 1000).to_le_bytes());
    let connection =
        format!("host = \"localhost\"\nport = 8883\nfleet = \"{}\"\nnode = \"{}\"\nenrolled_at_s = 1799999999\n", fleet(), node());
    put("link/connection.toml", connection.as_bytes());
    put("registered", b"");
}
