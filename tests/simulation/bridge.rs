//! The bridge: its real ingest, dispatch, retention, signer and operations on a real SQLite database, with time and randomness handed
//! in and without a broker. Each call runs to its end before the world goes on, so one seed gives one run.

use crate::plan::BridgeClock;
use bytes::Bytes;
use flotilla_broker_bridge::capability::run_command::{reconcile, retention};
use flotilla_broker_bridge::clock::Clock;
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::device::router::Router;
use flotilla_broker_bridge::fleet::activation::claim::Enrolment;
use flotilla_broker_bridge::fleet::node::store::{Registration, register};
use flotilla_broker_bridge::fleet::pace::Pace;
use flotilla_broker_bridge::fleet::signer::Signer;
use flotilla_broker_bridge::fleet::webhook::Webhooks;
use flotilla_broker_bridge::fleet::{Fleet, FleetSettings, Nudges};
use flotilla_broker_bridge::platform::files;
use flotilla_broker_bridge::platform::http::{Access, Caller, Registry, SignedLinks};
use flotilla_broker_bridge::platform::ingest::take_batch;
use flotilla_broker_bridge::platform::mqtt::{Arrival, Publisher};
use flotilla_broker_bridge::platform::pki::{Authorities, FleetCa};
use flotilla_broker_bridge::platform::seal::Sealer;
use flotilla_broker_bridge::platform::sigv4::MAXIMUM_SKEW_MS;
use flotilla_broker_bridge::platform::store::Store;
use flotilla_broker_bridge::randomness::Randomness;
use flotilla_broker_bridge::schema::MIGRATIONS;
use flotilla_link::Publish;
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::NodeId;
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use flotilla_tests::invariants::{History, database};
use flotilla_tests::random::Random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// More than any one call publishes.
const OUTBOUND: usize = 16_384;
/// Most messages of one group commit, as in ingest.
const BATCH: usize = flotilla_broker_bridge::platform::ingest::BATCH;

/// A chunk of output: command, node, step, offset and bytes.
pub(crate) type Chunk = (String, String, i64, i64, Vec<u8>);

/// A message that goes out: topic and payload.
pub(crate) type Outgoing = (String, Vec<u8>);

/// Where the bridge is killed: at the commit after `after_commits` others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) after_commits: u32,
    /// Nothing: before the commit. Else after it, with so many messages out.
    pub(crate) published: Option<usize>,
    pub(crate) off_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Pass,
    DieBefore,
    DieAfter(usize),
}

#[derive(Debug)]
struct Alive {
    fleet: Arc<Fleet>,
    router: Router,
    sent: mpsc::Receiver<Publish>,
    _sender: mpsc::Sender<Publish>,
}

#[derive(Debug)]
pub(crate) struct Bridge {
    runtime: Runtime,
    folder: TempDir,
    registry: Registry<Fleet>,
    signer: Arc<Signer>,
    pub(crate) clock: Clock,
    randomness: Randomness,
    alive: Option<Alive>,
    kill: Option<Kill>,
    pub(crate) inbox: Vec<Arrival>,
    pub(crate) disk_is_full: bool,
    has_backup: bool,
    retention: retention::Schedule,
    /// How far the clock is ahead of the sun, in milliseconds.
    pub(crate) clock_error_ms: i64,
    /// Planted: what follows from a batch goes out before its commit.
    pub(crate) answers_before_commit: bool,
}

/// What a call left behind.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) publishes: Vec<Outgoing>,
    /// Dispatch is to look.
    pub(crate) nudged: bool,
    /// The kill has come: how long the bridge is away, and whether it came before the commit.
    pub(crate) died: Option<(u64, bool)>,
}

fn trust_bundle() -> Vec<u8> {
    let key = |seed: u8| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("person {seed}")));
    let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
    let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    let bundle = TrustBundle::beginning(keys.collect(), roles, vec![OperatorRule::any_of(Class::Command, vec![1])]);
    seal(Domain::Trust, &encode(&bundle), &[&key(1)])
}

/// A folder in memory where there is one: what is durable is decided by the world, not by this machine's disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return folder;
    }
    tempfile::tempdir().unwrap()
}

impl Bridge {
    pub(crate) fn new(seed: u64, now_ms: u64) -> Self {
        let folder = folder();
        for name in ["trust", "keys"] {
            files::create_folder(&folder.path().join(name)).unwrap();
        }
        files::create_public(&folder.path().join("trust/1.bundle"), &trust_bundle()).unwrap();
        for (name, seed) in [("operator", 2), ("bridge", 3), ("freshness", 4)] {
            files::create_secret(&folder.path().join(format!("keys/{name}.key")), &[seed; 32]).unwrap();
        }
        let signer = Arc::new(Signer::load(folder.path(), now_ms).unwrap());
        let mut bridge = Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            folder,
            registry: registry(),
            signer,
            clock: Clock::fixed(now_ms),
            randomness: Randomness::seeded(seed),
            alive: None,
            kill: None,
            inbox: Vec::new(),
            disk_is_full: false,
            has_backup: false,
            retention: retention::Schedule::default(),
            clock_error_ms: 0,
            answers_before_commit: false,
        };
        bridge.start();
        bridge
    }

    pub(crate) fn trust(&self) -> Trust {
        self.signer.trust().as_ref().clone()
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("fleet.db")
    }

    pub(crate) fn start(&mut self) {
        let (sender, sent) = mpsc::channel(OUTBOUND);
        let settings = FleetSettings {
            fleet: self.signer.fleet(),
            name: "simulated".into(),
            region: "local-1".into(),
            broker_host: "broker.example".into(),
            broker_port: 8883,
            claim_host: "broker.example".into(),
            claim_port: 8884,
            pace: Pace::default(),
            longest_activation_ms: 30 * 86_400_000,
            retention_ms: 90 * 86_400_000,
        };
        let store = self.runtime.block_on(Store::open(&self.database(), MIGRATIONS)).unwrap();
        let sealer = Sealer::new(&[7; 32]);
        let fleet = Arc::new(Fleet {
            store,
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            links: SignedLinks::new(&sealer, None, false),
            webhooks: Webhooks::load(&BTreeMap::new()).unwrap(),
            sealer,
            settings,
            signer: Arc::clone(&self.signer),
            nudge: Nudges::default(),
            publisher: Publisher::into_channel(&sender),
            revocations: Arc::default(),
        });
        fleet.publisher.pretend_connected(None);
        let authority = FleetCa::create("simulated", self.clock.now_ms() / 1000).unwrap();
        let enrolment = Enrolment::new(Authorities::one(authority), "broker.example".into(), 8883, 365 * 86_400);
        let router = Router::new(Arc::clone(&fleet), enrolment);
        self.alive = Some(Alive { fleet, router, sent, _sender: sender });
        // Who was online before this start is not known any more.
        self.inbox = vec![Arrival::Disconnected];
        self.retention = retention::Schedule::default();
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.is_some()
    }

    /// The process is gone; what was committed stays.
    pub(crate) fn die(&mut self) {
        self.inbox.clear();
        self.kill = None;
        if let Some(alive) = self.alive.take() {
            self.runtime.block_on(alive.fleet.store.close());
        }
    }

    pub(crate) fn set_connected(&mut self, connected: bool) {
        if let Some(alive) = &self.alive {
            alive.fleet.publisher.pretend_connected(connected.then(|| self.clock.now_ms()));
            self.inbox.push(if connected { Arrival::Connected } else { Arrival::Disconnected });
        }
    }

    pub(crate) fn kill_at(&mut self, kill: Option<Kill>) {
        self.kill = kill;
    }

    fn gate(&mut self) -> Gate {
        match &mut self.kill {
            None => Gate::Pass,
            Some(kill) if kill.after_commits > 0 => {
                kill.after_commits -= 1;
                Gate::Pass
            }
            Some(Kill { published: None, .. }) => Gate::DieBefore,
            Some(Kill { published: Some(published), .. }) => Gate::DieAfter(*published),
        }
    }

    /// A full disk: the database may not grow any more.
    fn arm_disk(&self, alive: &Alive) {
        if self.disk_is_full {
            self.runtime.block_on(async {
                let mut write = alive.fleet.store.write().await.unwrap();
                let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(write.connection()).await.unwrap();
                let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
                sqlx::query(limit).execute(write.connection()).await.unwrap();
            });
        }
    }

    pub(crate) fn disk_is_well(&mut self) {
        self.disk_is_full = false;
        if let Some(alive) = &self.alive {
            self.runtime.block_on(async {
                let mut write = alive.fleet.store.write().await.unwrap();
                sqlx::query("PRAGMA max_page_count = 1073741823").execute(write.connection()).await.unwrap();
            });
        }
    }

    /// Collects what a committed call wants, or dies where it is told to.
    fn after(&mut self, gate: Gate) -> Done {
        let mut done = Done::default();
        if let Some(alive) = &mut self.alive {
            while let Ok(publish) = alive.sent.try_recv() {
                done.publishes.push((publish.topic, publish.payload.to_vec()));
            }
            let nudge = &alive.fleet.nudge.dispatch;
            done.nudged = self.runtime.block_on(async {
                tokio::select! { biased; () = nudge.notified() => true, () = std::future::ready(()) => false }
            });
        }
        if let Gate::DieAfter(published) = gate {
            done.publishes.truncate(published);
            done.died = Some((self.kill.map_or(1_000, |kill| kill.off_ms), false));
            self.die();
        }
        done
    }

    fn die_before(&mut self) -> Done {
        let died = Some((self.kill.map_or(1_000, |kill| kill.off_ms), true));
        self.die();
        Done { died, ..Done::default() }
    }

    /// Takes up what has arrived as one group commit.
    pub(crate) fn take(&mut self) -> Done {
        let Some(alive) = &self.alive else { return Done::default() };
        let rest = self.inbox.split_off(self.inbox.len().min(BATCH));
        let batch = std::mem::replace(&mut self.inbox, rest);
        if batch.is_empty() {
            return Done::default();
        }
        self.arm_disk(alive);
        let gate = self.gate();
        if gate == Gate::DieBefore && !self.answers_before_commit {
            return self.die_before();
        }
        if gate == Gate::DieBefore {
            self.copy("fleet", "uncommitted");
        }
        let Some(alive) = &self.alive else { return Done::default() };
        let fleet = &alive.fleet;
        let mut presence = self.runtime.block_on(take_batch(&fleet.store, &fleet.clock, &alive.router, &fleet.publisher, &batch));
        let mut kept = presence.release();
        kept.append(&mut self.inbox);
        self.inbox = kept;
        let mut done = self.after(gate);
        if gate == Gate::DieBefore {
            done.died = self.die_before().died;
            self.copy("uncommitted", "fleet");
        }
        done
    }

    /// One round of dispatch, and retention when there is time for it. Returns when there is something to do next.
    pub(crate) fn round(&mut self, uptime_ms: u64) -> (Done, Option<u64>) {
        let Some(alive) = &self.alive else { return (Done::default(), None) };
        self.arm_disk(alive);
        let gate = self.gate();
        if gate == Gate::DieBefore {
            return (self.die_before(), None);
        }
        let Some(alive) = &self.alive else { return (Done::default(), None) };
        let fleet = Arc::clone(&alive.fleet);
        let now_ms = self.clock.now_ms();
        let next_ms = match self.runtime.block_on(reconcile::round(&fleet)) {
            Ok(round) if round.more => Some(now_ms),
            Ok(round) => {
                if self.retention.is_due(uptime_ms, now_ms) {
                    while matches!(self.runtime.block_on(retention::prune(&fleet)), Ok(true)) {}
                }
                round.next_due_ms
            }
            Err(_) => Some(now_ms + 1_000),
        };
        drop(fleet);
        (self.after(gate), next_ms)
    }

    /// An operator calls. Nothing when the bridge does not answer; whether it did it all the same is in the result.
    pub(crate) fn call(&mut self, operation: &str, request: &serde_json::Value) -> (Option<serde_json::Value>, Done) {
        let Some(alive) = &self.alive else { return (None, Done::default()) };
        // Signatures are checked before the operation is called, and an operator whose clock is right is refused by one that is not.
        if self.clock_error_ms.unsigned_abs() > MAXIMUM_SKEW_MS {
            return (None, Done::default());
        }
        self.arm_disk(alive);
        let gate = self.gate();
        if gate == Gate::DieBefore {
            return (None, self.die_before());
        }
        let Some(alive) = &self.alive else { return (None, Done::default()) };
        let caller = Caller { user: "operator".into(), access: Access::Admin, host: String::new(), call: None };
        let request = Bytes::from(serde_json::to_vec(request).unwrap());
        let answer = self.runtime.block_on(self.registry.call(Arc::clone(&alive.fleet), caller, operation, request));
        let answer = answer.ok().map(|answer| serde_json::from_slice(&answer).unwrap());
        (answer, self.after(gate))
    }

    pub(crate) fn register(&self, node: NodeId, identity_key: [u8; 32]) {
        let Some(alive) = &self.alive else { return };
        let (facts, now_ms) = (Facts::default(), self.clock.now_ms());
        let registration = Registration {
            node,
            identity_key,
            sealing_key: [0; 32],
            tls_key: [0; 32],
            activation_id: "",
            name: None,
            iam_role: "role",
            facts: &facts,
        };
        self.runtime.block_on(async {
            let mut write = alive.fleet.store.write().await.unwrap();
            register(&mut write, &registration, now_ms).await.unwrap();
            write.commit().await.unwrap();
        });
    }

    /// Copies the database as it is now; nothing writes meanwhile.
    pub(crate) fn backup(&mut self) {
        self.copy("fleet", "backup");
        self.has_backup = true;
    }

    /// Puts the copy in the database's place; the bridge is dead. Returns whether there is a copy.
    pub(crate) fn restore(&mut self) -> bool {
        self.die();
        if self.has_backup {
            self.copy("backup", "fleet");
        }
        self.has_backup
    }

    fn copy(&self, from: &str, to: &str) {
        let path = |name: &str, ending: &str| self.folder.path().join(format!("{name}.db{ending}"));
        for ending in ["-shm", "-wal", ""] {
            drop(std::fs::remove_file(path(to, ending)));
        }
        for ending in ["", "-wal"].into_iter().filter(|ending| path(from, ending).exists()) {
            std::fs::copy(path(from, ending), path(to, ending)).unwrap();
        }
    }

    /// Reads the database into the history.
    pub(crate) fn look(&self, history: &mut History) {
        if let Some(alive) = &self.alive {
            self.runtime.block_on(async {
                let mut reader = alive.fleet.store.reader().acquire().await.unwrap();
                database::read(&mut reader, history).await.unwrap();
            });
        }
    }

    /// Planted: whoever was quarantined is believed again.
    pub(crate) fn forget_quarantines(&self) {
        let Some(alive) = &self.alive else { return };
        self.runtime.block_on(async {
            let mut write = alive.fleet.store.write().await.unwrap();
            sqlx::query("UPDATE node SET quarantined_ms = NULL").execute(write.connection()).await.unwrap();
            write.commit().await.unwrap();
        });
    }

    /// Whether nothing of this node is taken up any more; nothing while the bridge is down.
    pub(crate) fn is_quarantined(&self, node: &str) -> Option<bool> {
        let alive = self.alive.as_ref()?;
        let sql = "SELECT COUNT(*) FROM node WHERE node_id = $1 AND quarantined_ms IS NOT NULL";
        let count: i64 = self.runtime.block_on(sqlx::query_scalar(sql).bind(node).fetch_one(alive.fleet.store.reader())).unwrap();
        Some(count > 0)
    }

    /// Every chunk of standard output.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        let Some(alive) = &self.alive else { return Vec::new() };
        let sql = "SELECT command_id, node_id, step, chunk_offset, bytes FROM command_output WHERE stream = 0";
        self.runtime.block_on(sqlx::query_as(sql).fetch_all(alive.fleet.store.reader())).unwrap()
    }

    /// It is `real_ms` by the sun; the bridge's clock shows what its error makes of it.
    pub(crate) fn at(&self, real_ms: u64) {
        self.clock.set(u64::try_from(i64::try_from(real_ms).unwrap() + self.clock_error_ms).unwrap_or(0));
    }

    pub(crate) fn set_clock_error(&mut self, real_ms: u64, clock: Option<BridgeClock>, dice: &mut Random) {
        let hour = 3_600_000;
        let signed = |ms: u64| i64::try_from(ms).unwrap();
        self.clock_error_ms = match clock {
            None => 0,
            Some(BridgeClock::Ahead) => signed(dice.between(60_000, 2 * hour)),
            Some(BridgeClock::Behind) => -signed(dice.between(60_000, 26 * hour)),
            Some(BridgeClock::At1970) => signed(dice.below(hour)) - signed(real_ms),
            Some(BridgeClock::InTenYears) => signed(10 * 365 * 24 * hour),
        };
        self.at(real_ms);
    }
}
