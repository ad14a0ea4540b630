//! What is said, and when: with the core itself, a bridge in memory, and collections of a small tree.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Input, Output, Record, Recovery, Settings as CoreSettings, Telemetry};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::inventory::{Change, Table};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, WelcomeBody};
use flotilla_protocol::id::BootId;
use flotilla_protocol::report::{ReceiptBody, ReportBody, Stream};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{decode, encode};
use tempfile::TempDir;

use super::*;
use crate::inventory::{Kind, Scope};

const START_MS: u64 = 1_800_000_000_000;
const DAY_MS: u64 = 24 * 3_600_000;
const MEMORY_BYTES: u64 = 1 << 30;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn trust() -> Trust {
    let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
    let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    let bundle = encode(&TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![1])]));
    let envelope = seal(Domain::Trust, &bundle, &[&key(1)]);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&bundle]), [envelope.as_slice()]).unwrap()
}

/// What a bridge has of a type.
#[derive(Default)]
struct Bridge {
    tables: BTreeMap<String, Table>,
    stale: Vec<String>,
    pieces: Vec<InventoryReport>,
    /// The bytes of all inventory reports that came, and how many.
    bytes: usize,
    reports: usize,
    up_to: u64,
}

impl Bridge {
    fn take(&mut self, report: InventoryReport) {
        report.check().unwrap();
        let follows = self.pieces.last().is_some_and(|last| {
            (last.piece + 1, last.pieces, last.hash, &last.type_name) == (report.piece, report.pieces, report.hash, &report.type_name)
        });
        if !follows {
            self.pieces.clear();
        }
        if follows || report.piece == 0 {
            self.pieces.push(report.clone());
        }
        if self.pieces.len() < usize::from(report.pieces) {
            return;
        }
        let bytes: Vec<u8> = self.pieces.drain(..).flat_map(|piece| piece.bytes).collect();
        let change = Change::from_bytes(&miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes, 1 << 21).unwrap()).unwrap();
        let base = match report.base {
            None => Table::default(),
            Some(hash) => match self.tables.get(&report.type_name).filter(|table| table.hash() == hash) {
                Some(table) => table.clone(),
                None => return self.stale.push(report.type_name),
            },
        };
        let table = base.changed_by(&change).unwrap();
        assert_eq!(table.hash(), report.hash);
        self.tables.insert(report.type_name, table);
    }

    fn names(&self, type_name: &str) -> Vec<String> {
        let table = &self.tables[type_name];
        let column = |name: &str| table.attributes().iter().position(|attribute| attribute == name).unwrap();
        table.rows().map(|row| format!("{} {}", row[column("Name")], row[column("Version")])).collect()
    }
}

struct Node {
    place: TempDir,
    core: Core,
    inventory: Inventory,
    now: u64,
    bridge: Bridge,
    /// What is on the disk.
    journal: Vec<Record>,
    gives_receipts: bool,
    spool_bytes: usize,
    connections: u8,
}

fn recovery() -> Recovery {
    Recovery::new(CoreSettings {
        identity: key(9),
        trust: trust().into(),
        boot: BootId([1; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: START_MS - 1000,
    })
}

fn core(records: Vec<Record>, spool_bytes: usize) -> Core {
    let mut recovery = recovery();
    records.into_iter().for_each(|record| recovery.replay(record).unwrap());
    recovery.with_telemetry(Telemetry { interval_ms: 90 * DAY_MS, spool_bytes, restarts: None }).finish()
}

fn open(place: &Path) -> Inventory {
    let scope = Scope {
        kinds: [Kind::Application].into(),
        has_custom: true,
        root: place.join("root"),
        search_path: "/usr/bin".into(),
        has_details: false,
        files: Vec::new(),
        custom: "/custom".into(),
    };
    let (collected, _) = mpsc::channel(1);
    Inventory::new(InventorySettings { interval_ms: 6 * 3_600_000, scope }, &place.join("inventory"), Runner::default(), collected)
}

impl Node {
    fn new(spool_bytes: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("root/var/lib/dpkg")).unwrap();
        fs::create_dir_all(place.path().join("root/custom")).unwrap();
        let (core, inventory) = (core(Vec::new(), spool_bytes), open(place.path()));
        let (bridge, journal) = (Bridge::default(), Vec::new());
        let mut node = Self { place, core, inventory, now: 1000, bridge, journal, gives_receipts: true, spool_bytes, connections: 0 };
        node.connect();
        node
    }

    fn write(&self, path: &str, text: &str) {
        replace_file_for_this_boot(&self.place.path().join("root").join(path), text.as_bytes()).unwrap();
    }

    fn packages(&self, packages: impl IntoIterator<Item = (String, String)>) {
        let paragraph = |(name, version): (String, String)| {
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
        };
        self.write("var/lib/dpkg/status", &packages.into_iter().map(paragraph).collect::<String>());
    }

    fn connect(&mut self) {
        self.connections += 1;
        self.handle(Input::Disconnected);
        self.handle(Input::Connected { nonce: [self.connections; 32] });
    }

    fn handle(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        self.take_outputs();
    }

    fn take_outputs(&mut self) {
        let mut down = Vec::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Persist(record) => self.journal.push(record),
                Output::Publish(message) if message.kind == UpKind::Hello => {
                    let hello: HelloBody = decode(Envelope::parse(&message.payload, Domain::Hello).unwrap().body()).unwrap();
                    let welcome = WelcomeBody {
                        node: self.core.node(),
                        nonce: hello.nonce,
                        time_ms: START_MS + self.now,
                        bundles: Vec::new(),
                        resend_minimum_ms: 5_000,
                        resend_maximum_ms: 10_000,
                        reconnect_spread_s: 0,
                        chains: vec![(Stream::Control, 0), (Stream::Inventory, self.bridge.up_to)],
                        offers: Vec::new(),
                    };
                    down.push((DownKind::Welcome, seal(Domain::Welcome, &encode(&welcome), &[&key(4)])));
                }
                Output::Publish(message) if message.kind == UpKind::Report => down.extend(self.report(&message.payload)),
                _ => {}
            }
        }
        for (kind, payload) in down {
            let topic = Topic::Down { fleet: trust().fleet(), node: self.core.node(), kind }.to_string();
            self.core.handle(Input::Message { topic: &topic, retained: false, payload: &payload }, self.now);
            self.take_outputs();
        }
    }

    fn report(&mut self, payload: &[u8]) -> Option<(DownKind, Vec<u8>)> {
        let envelope = Envelope::parse(payload, Domain::Report).unwrap();
        let body: ReportBody = decode(envelope.body()).unwrap();
        if body.stream != Stream::Inventory || !self.gives_receipts {
            return None;
        }
        if body.sequence > self.bridge.up_to {
            self.bridge.up_to = body.sequence;
            match ReportPayload::decode(&body.payload).unwrap() {
                ReportPayload::Inventory(report) => {
                    self.bridge.bytes += payload.len();
                    self.bridge.reports += 1;
                    self.bridge.take(report);
                }
                ReportPayload::MemoryLost(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let head = flotilla_protocol::sha256(&[envelope.body()]);
        let receipt = ReceiptBody { node: body.node, stream: Stream::Inventory, boot: body.boot, up_to: body.sequence, head };
        Some((DownKind::Receipt, seal(Domain::Receipt, &encode(&receipt), &[&key(3)])))
    }

    /// As the shell does; at most so many pieces.
    fn say(&mut self, mut pieces: usize) {
        while self.inventory.has_more() {
            if self.inventory.is_said() {
                self.inventory.finish(&self.core, self.now);
            } else if pieces > 0 && self.inventory.say(&mut self.core, self.now) {
                pieces -= 1;
                self.take_outputs();
            } else {
                break;
            }
        }
    }

    /// Gathers, as the role does, without a process of its own.
    fn gather(&mut self) -> Done {
        let folder = self.inventory.prepare(&self.core, MEMORY_BYTES, self.now).unwrap();
        let task: Task = record::decode(&fs::read(folder.join(collect::TASK)).unwrap()).unwrap();
        let done = collect::collect(&task, &folder).unwrap();
        replace_file_for_this_boot(&folder.join(collect::DONE), &record::encode(&done).unwrap()).unwrap();
        self.inventory.collected(Ok(folder), self.now);
        done
    }

    /// What came of gathering and saying: reports, and their bytes.
    fn tell(&mut self) -> (usize, usize) {
        let before = (self.bridge.reports, self.bridge.bytes);
        self.gather();
        self.say(usize::MAX);
        (self.bridge.reports - before.0, self.bridge.bytes - before.1)
    }

    /// The power is cut, and the node comes up again and connects.
    fn cut_power(&mut self) {
        self.core = core(self.journal.clone(), self.spool_bytes);
        self.inventory = open(self.place.path());
        self.connect();
    }

    /// As [`Node::is_due`], where only a command has something gathered: what is due at once is not begun, for that takes a process.
    fn is_asked_and_due(&mut self) -> bool {
        self.inventory.look(&self.core, self.now);
        self.inventory.next_look(&self.core).is_some_and(|at| at <= self.now + 60_000)
    }

    /// Looks as the shell does; whether a collection is due within a minute.
    fn is_due(&mut self) -> bool {
        self.inventory.is_collecting = true;
        self.inventory.look(&self.core, self.now);
        self.inventory.is_collecting = false;
        self.inventory.next_look(&self.core).is_some_and(|at| at <= self.now + 60_000)
    }
}

fn some(count: usize, version: &str) -> impl Iterator<Item = (String, String)> + use<'_> {
    (0..count).map(move |number| (format!("package-{number:04}"), format!("{version}.{number}-1")))
}

#[test]
fn nothing_is_said_where_nothing_has_changed_and_one_package_is_a_small_report() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(400, "1"));
    let (reports, _) = node.tell();
    assert_eq!((reports, node.bridge.names("AWS:Application").len()), (1, 400));
    let records = node.journal.len();
    assert_eq!(node.tell(), (0, 0), "not one byte");
    assert_eq!(node.journal.len(), records, "nor a record");
    assert!(fs::read_dir(node.place.path().join("inventory")).unwrap().all(|entry| entry.unwrap().file_name() != "collection-2"));
    node.packages(some(400, "1").map(|(name, version)| if name == "package-0007" { (name, "9-1".into()) } else { (name, version) }));
    let (reports, bytes) = node.tell();
    assert!(reports == 1 && bytes < 400, "{bytes}");
    assert_eq!(node.bridge.names("AWS:Application")[7], "package-0007 9");
    // What is known is known after a restart too.
    node.cut_power();
    assert_eq!(node.tell(), (0, 0));
}

#[test]
fn a_type_that_is_gathered_no_longer_becomes_empty_once() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(1, "1"));
    node.write("custom/rack.json", r#"{"TypeName":"Custom:Rack","SchemaVersion":"1.2","Content":{"Location":"B2"}}"#);
    assert_eq!(node.tell().0, 2);
    assert_eq!(node.bridge.tables["Custom:Rack"].rows().len(), 1);
    // What cannot be read is not gone: neither a file, nor the folder.
    node.write("custom/rack.json", "{");
    assert_eq!(node.tell().0, 0);
    let custom = node.place.path().join("root/custom");
    fs::rename(&custom, node.place.path().join("aside")).unwrap();
    node.write("custom", "no folder");
    assert_eq!(node.tell().0, 0);
    fs::remove_file(&custom).unwrap();
    fs::rename(node.place.path().join("aside"), custom).unwrap();
    fs::remove_file(node.place.path().join("root/custom/rack.json")).unwrap();
    assert_eq!(node.tell().0, 1);
    assert_eq!((node.bridge.tables["Custom:Rack"].rows().len(), node.bridge.stale.len()), (0, 0));
    assert_eq!(node.tell().0, 0);
}

#[test]
fn a_power_cut_at_any_piece_costs_at_most_a_whole_table() {
    // So small that a change has many pieces, and that only some of them have room.
    let pieces = {
        let mut node = Node::new(3000);
        node.packages(some(600, "1"));
        node.tell().0
    };
    assert!(pieces >= 4, "{pieces}");
    for cut_after in 0..=pieces {
        let mut node = Node::new(3000);
        node.packages(some(600, "1"));
        node.gather();
        node.say(cut_after);
        node.cut_power();
        node.packages(some(601, "1"));
        node.tell();
        assert_eq!((node.bridge.names("AWS:Application").len(), node.bridge.stale.len()), (601, 0), "after {cut_after}");
        // And from then on only changes are said.
        node.packages(some(602, "1"));
        let (reports, _) = node.tell();
        assert_eq!((reports, node.bridge.names("AWS:Application").len(), node.bridge.stale.len()), (1, 602, 0), "after {cut_after}");
    }
}

#[test]
fn a_cut_between_the_last_piece_and_what_is_kept_of_it_leaves_nobody_stale() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(10, "1"));
    node.tell();
    node.packages(some(11, "1"));
    node.gather();
    assert!(node.inventory.say(&mut node.core, node.now));
    node.take_outputs();
    // The bridge has it, and the node does not know that it has said it.
    node.cut_power();
    node.packages(some(12, "1"));
    assert_eq!(node.tell().0, 1);
    assert_eq!((node.bridge.names("AWS:Application").len(), node.bridge.stale.len()), (12, 0));
}

#[test]
fn an_inventory_waits_for_room_and_takes_nobody_s_place() {
    let mut node = Node::new(3000);
    node.gives_receipts = false;
    node.packages(some(600, "1"));
    node.gather();
    node.say(usize::MAX);
    let held = node.journal.iter().filter(|record| matches!(record, Record::Report { .. })).count();
    assert!(node.inventory.has_more() && held > 0, "it waits");
    assert!(node.inventory.next_look(&node.core).is_none(), "and nothing is gathered meanwhile");
    node.say(usize::MAX);
    assert_eq!(node.journal.iter().filter(|record| matches!(record, Record::Report { .. })).count(), held, "no gap, no report");
    node.gives_receipts = true;
    node.connect();
    for _ in 0..100 {
        node.say(usize::MAX);
        node.now += 11_000;
        node.handle(Input::Tick);
    }
    assert_eq!(node.bridge.names("AWS:Application").len(), 600);
    assert_eq!((node.core.inventory_losses(), node.bridge.stale.len()), (0, 0));
}

#[test]
fn whole_tables_are_said_again_after_a_loss_and_after_seven_days() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(50, "1"));
    node.tell();
    assert!(node.is_due(), "the first time");
    node.inventory.due_at = Some(node.now + DAY_MS);
    // The bridge was restored from a backup: it has less than its receipts said.
    (node.bridge.up_to, node.bridge.tables) = (0, BTreeMap::new());
    node.connect();
    assert!(node.is_due(), "a lower chain");
    assert_eq!(node.tell().0, 1);
    assert_eq!(node.bridge.names("AWS:Application").len(), 50);
    node.inventory.due_at = Some(node.now + DAY_MS);
    node.connect();
    assert!(!node.is_due(), "the chains agree");
    assert_eq!(node.tell().0, 0);
    node.now += 7 * DAY_MS - 1;
    assert_eq!(node.tell().0, 0);
    node.now += 1;
    let before = node.bridge.bytes;
    assert_eq!(node.tell().0, 1, "seven days");
    assert!(node.bridge.bytes - before > 300 && node.bridge.stale.is_empty());
    assert_eq!(node.tell().0, 0);
    // The journal is lost, and what was said is not: the bridge may have lost reports that were held.
    node.journal.clear();
    let mut lost = recovery();
    lost.remember(&node.core.floor(), Some(flotilla_protocol::report::LossCause::Missing));
    node.core = lost.with_telemetry(Telemetry { interval_ms: 90 * DAY_MS, spool_bytes: node.spool_bytes, restarts: None }).finish();
    node.inventory = open(node.place.path());
    node.connect();
    assert!(node.is_due(), "a memory that was lost");
    assert_eq!(node.tell().0, 1);
    assert!(node.bridge.stale.is_empty());
}

#[test]
fn a_collection_that_fails_says_nothing_and_is_tried_again() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(5, "1"));
    node.tell();
    node.packages(some(6, "1"));
    node.inventory.collected(Err("it was killed".into()), node.now);
    node.say(usize::MAX);
    assert_eq!(node.bridge.reports, 1);
    assert!(node.inventory.due_at.is_some_and(|at| at <= node.now + AFTER_FAILURE_MS * 9 / 8));
    // A collector that died half-way has left no word that it is done.
    let folder = node.inventory.prepare(&node.core, MEMORY_BYTES, node.now).unwrap();
    node.inventory.collected(Ok(folder.clone()), node.now);
    assert!(!node.inventory.has_more() && !folder.exists());
    // A damaged record of what was said costs a whole table.
    replace_file_for_this_boot(&node.place.path().join("inventory/said"), b"?").unwrap();
    node.cut_power();
    assert_eq!(node.tell().0, 1);
    assert_eq!((node.bridge.names("AWS:Application").len(), node.bridge.stale.len()), (6, 0));
    // And so does a damaged table.
    replace_file_for_this_boot(&node.place.path().join("inventory/tables/AWS:Application"), b"?").unwrap();
    node.packages(some(7, "1"));
    assert_eq!(node.tell().0, 1);
    assert_eq!((node.bridge.names("AWS:Application").len(), node.bridge.stale.len()), (7, 0));
}

#[test]
fn a_command_has_the_types_said_whole_that_it_names_also_where_nothing_is_gathered_otherwise() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(3, "1"));
    node.write("custom/rack.json", r#"{"TypeName":"Custom:Rack","SchemaVersion":"1.0","Content":{"Location":"B2"}}"#);
    node.tell();
    node.inventory.settings.interval_ms = 0;
    node.inventory.due_at = None;
    assert!(!node.is_due(), "it is off");
    node.inventory.ask(&["Custom:*".to_owned()], node.now);
    assert!(node.is_due());
    // Also when the power is cut before it is gathered.
    node.cut_power();
    let done = node.gather();
    assert_eq!(done.changed.iter().map(|changed| (changed.type_name.as_str(), changed.base)).collect::<Vec<_>>(), [("Custom:Rack", None)]);
    node.say(usize::MAX);
    assert_eq!(node.tell().0, 0);
}

/// What a collection is to say: the types, and whether whole.
fn to_say(done: &Done) -> Vec<(&str, bool)> {
    done.changed.iter().map(|changed| (changed.type_name.as_str(), changed.base.is_none())).collect()
}

const RACK: &str = r#"{"TypeName":"Custom:Rack","SchemaVersion":"1.2","Content":{"Location":"B2"}}"#;

#[test]
fn that_a_type_is_gone_is_said_again_whatever_is_lost() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(1, "1"));
    node.write("custom/rack.json", RACK);
    node.tell();
    fs::remove_file(node.place.path().join("root/custom/rack.json")).unwrap();
    // Whatever the bridge has of it: there is no base.
    node.bridge.tables.remove("Custom:Rack");
    assert_eq!(node.tell().0, 1);
    assert!(node.bridge.stale.is_empty() && node.tell().0 == 0);
    // A bridge that was restored has the rows of before.
    node.bridge.up_to = 0;
    node.connect();
    assert!(node.is_due());
    assert_eq!(to_say(&node.gather()), [("AWS:Application", true), ("Custom:Rack", true)]);
    node.say(usize::MAX);
    node.now += 7 * DAY_MS;
    assert_eq!((node.tell().0, node.tell().0), (2, 0), "seven days");
    // What was said is lost, but not the tables.
    fs::remove_file(node.place.path().join("inventory/said")).unwrap();
    node.cut_power();
    assert_eq!(to_say(&node.gather()), [("AWS:Application", true), ("Custom:Rack", true)]);
    node.say(usize::MAX);
    assert_eq!(node.tell().0, 0);
    node.write("custom/rack.json", RACK);
    assert_eq!((node.tell().0, node.bridge.tables["Custom:Rack"].rows().len()), (1, 1), "and it is back");
}

#[test]
fn only_so_many_types_that_are_gone_are_remembered() {
    let mut node = Node::new(64 * 1024);
    for round in 0..3 {
        fs::remove_dir_all(node.place.path().join("root/custom")).unwrap();
        fs::create_dir(node.place.path().join("root/custom")).unwrap();
        for number in 0..28 {
            let text = RACK.replace("Custom:Rack", &format!("Custom:R{round}-{number}"));
            node.write(&format!("custom/{number}.json"), &text);
        }
        node.tell();
        assert_eq!(node.bridge.tables.values().filter(|table| table.rows().len() == 1).count(), 28, "round {round}");
        assert!(node.inventory.said.bases(START_MS).len() <= 60);
    }
    assert!(fs::read_dir(node.place.path().join("inventory/tables")).unwrap().count() <= 60);
}

#[test]
fn another_version_of_the_same_content_is_said_once() {
    let mut node = Node::new(64 * 1024);
    node.write("custom/rack.json", RACK);
    node.tell();
    node.write("custom/rack.json", &RACK.replace("1.2", "1.3"));
    let done = node.gather();
    assert_eq!((to_say(&done), done.changed[0].schema_version), (vec![("Custom:Rack", false)], (1, 3)));
    node.say(usize::MAX);
    assert!(node.bridge.stale.is_empty() && node.tell().0 == 0);
}

#[test]
fn what_a_clock_has_said_that_was_ahead_is_said_again() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(1, "1"));
    node.tell();
    let base = |now_ms| node.inventory.said.bases(now_ms)["AWS:Application"];
    assert!(base(START_MS).is_some() && base(START_MS - 8 * DAY_MS).is_none());
}

#[test]
fn a_command_that_asks_while_a_change_is_said_has_it_said_whole() {
    let mut node = Node::new(3000);
    node.packages(some(600, "1"));
    node.tell();
    node.packages(some(600, "2"));
    node.gather();
    node.say(1);
    assert!(node.inventory.has_more());
    node.inventory.ask(&["AWS:Application".to_owned()], node.now);
    node.say(usize::MAX);
    assert_eq!(to_say(&node.gather()), [("AWS:Application", true)]);
    node.say(usize::MAX);
    assert_eq!((node.bridge.names("AWS:Application")[7].as_str(), node.bridge.stale.len()), ("package-0007 2.7", 0));
}

#[test]
fn what_a_command_asks_for_is_not_put_off_and_outlives_a_restart() {
    let mut node = Node::new(64 * 1024);
    node.packages(some(1, "1"));
    for interval_ms in [0, DAY_MS] {
        node.inventory.settings.interval_ms = interval_ms;
        // A collection was under way, and failed.
        node.inventory.is_collecting = true;
        node.inventory.ask(&["AWS:Application".to_owned()], node.now);
        node.inventory.collected(Err("it was killed".into()), node.now);
        node.inventory.forget(node.now);
        assert_eq!(node.inventory.due_at, Some(node.now));
    }
    node.cut_power();
    node.inventory.settings.interval_ms = 0;
    assert!(node.is_asked_and_due(), "the power was cut before it was gathered");
    node.inventory.due_at = None;
    node.inventory.is_asked_since = false;
    node.inventory.collected(Err("it was killed".into()), node.now);
    assert!(node.inventory.due_at.is_some(), "its collection failed");
    node.gather();
    node.cut_power();
    node.inventory.settings.interval_ms = 0;
    assert!(node.is_asked_and_due(), "the power was cut before it was said");
    node.inventory.due_at = None;
    assert_eq!(node.tell().0, 1);
    node.cut_power();
    node.inventory.settings.interval_ms = 0;
    assert!(!node.is_asked_and_due(), "it is said");
}
