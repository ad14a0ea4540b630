//! What comes of nodes' reports, through the router: whole tables and changes, and everything that can be wrong with them.

use super::deletion::go_on;
use super::list::list_inventory_entries;
use super::put::put_inventory;
use super::retention::orphans;
use super::schema::get_inventory_schema;
use crate::device::test_kit::{Kit, SimulatedNode};
use crate::fleet::node::api::deregister_managed_instance;
use flotilla_api::inventory::{GetInventorySchemaRequest, InventoryEntry, ListInventoryEntriesRequest, PutInventoryRequest};
use flotilla_api::nodes::DeregisterManagedInstanceRequest;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::inventory::{Change, InventoryReport, MAXIMUM_TABLE_BYTES, Table};
use flotilla_protocol::report::{LossCause, MemoryLost, Stream};
use flotilla_protocol::topic::Topic;
use miniz_oxide::deflate::compress_to_vec;

const APPLICATION: &str = "AWS:Application";

fn table(packages: &[(&str, &str)]) -> Table {
    let rows = packages.iter().map(|(name, version)| vec![(*name).to_owned(), (*version).to_owned()]);
    Table::new(["Name", "Version"].map(str::to_owned).to_vec(), rows).unwrap()
}

/// The reports of a change, in pieces of so many bytes.
fn reports(type_name: &str, base: Option<&Table>, table: &Table, piece_bytes: usize) -> Vec<InventoryReport> {
    let change = base.map_or_else(|| table.whole(), |base| table.change_from(base));
    pieces(type_name, base.map(Table::hash), table.hash(), &change, piece_bytes)
}

fn pieces(type_name: &str, base: Option<[u8; 32]>, hash: [u8; 32], change: &Change, piece_bytes: usize) -> Vec<InventoryReport> {
    let compressed = compress_to_vec(&change.to_bytes(), 6);
    let all: Vec<&[u8]> = compressed.chunks(piece_bytes).collect();
    let count = u16::try_from(all.len()).unwrap();
    let report = |(piece, bytes): (usize, &&[u8])| InventoryReport {
        type_name: type_name.to_owned(),
        schema_version: (1, 1),
        base,
        hash,
        piece: u16::try_from(piece).unwrap(),
        pieces: count,
        bytes: bytes.to_vec(),
    };
    all.iter().enumerate().map(report).collect()
}

struct Bench {
    kit: Kit,
    node: SimulatedNode,
}

impl Bench {
    async fn new() -> Self {
        let kit = Kit::new().await;
        let node = SimulatedNode { stream: Stream::Inventory, ..kit.online_node(30).await };
        Self { kit, node }
    }

    fn messages(&mut self, reports: Vec<InventoryReport>) -> Vec<(Topic, Vec<u8>)> {
        reports.into_iter().map(|report| self.node.report(&ReportPayload::Inventory(report))).collect()
    }

    async fn say(&mut self, reports: Vec<InventoryReport>) {
        let messages = self.messages(reports);
        self.kit.take(messages).await;
    }

    async fn whole(&mut self, table: &Table) {
        self.say(reports(APPLICATION, None, table, 16 * 1024)).await;
    }

    async fn entries(&self) -> Vec<String> {
        let request = ListInventoryEntriesRequest {
            instance_id: self.node.id.to_string(),
            type_name: APPLICATION.to_owned(),
            ..ListInventoryEntriesRequest::default()
        };
        let answer = list_inventory_entries(&self.kit.fleet, &Kit::caller(), request).await.unwrap();
        let text = |entry: InventoryEntry| format!("{} {}", entry["Name"], entry["Version"]);
        answer.entries.unwrap().into_iter().map(text).collect()
    }

    async fn stale(&self) -> i64 {
        self.kit.count("SELECT COALESCE(SUM(stale), 0) FROM inventory_node").await
    }

    async fn letters(&self) -> i64 {
        self.kit.count("SELECT COUNT(*) FROM dead_letter").await
    }

    /// The last report counts, whatever became of it: nothing stops the stream.
    fn assert_receipted(&mut self) {
        let sequence = self.node.sequence;
        assert_eq!(self.kit.receipts(self.node.id).last(), Some(&sequence));
    }
}

#[tokio::test]
async fn a_whole_table_and_its_changes_are_kept_and_entries_are_shared() {
    let mut bench = Bench::new().await;
    let before = table(&[("bash", "5.2"), ("openssl", "3.0"), ("zsh", "5.9")]);
    let after = table(&[("bash", "5.2"), ("openssl", "3.1"), ("zsh", "5.9")]);
    bench.whole(&before).await;
    assert_eq!(bench.entries().await, ["bash 5.2", "openssl 3.0", "zsh 5.9"]);
    // Another node with the same packages adds no entry.
    let mut other = SimulatedNode { stream: Stream::Inventory, ..bench.kit.online_node(31).await };
    let message = other.report(&ReportPayload::Inventory(reports(APPLICATION, None, &before, 4096).remove(0)));
    bench.kit.take([message]).await;
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_entry").await, 3);
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node_entry").await, 6);
    bench.say(reports(APPLICATION, Some(&before), &after, 4096)).await;
    assert_eq!(bench.entries().await, ["bash 5.2", "openssl 3.1", "zsh 5.9"]);
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_entry").await, 4, "the other still has openssl 3.0");
    let message = other.report(&ReportPayload::Inventory(reports(APPLICATION, Some(&before), &after, 4096).remove(0)));
    bench.kit.take([message]).await;
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_entry").await, 3, "nobody has it any more");
    // A type that is gathered no longer is a change to a table without rows; and it can come back.
    let nothing = table(&[]);
    bench.say(reports(APPLICATION, Some(&after), &nothing, 4096)).await;
    assert_eq!(bench.entries().await, [""; 0]);
    bench.say(reports(APPLICATION, Some(&nothing), &before, 4096)).await;
    assert_eq!((bench.entries().await.len(), bench.stale().await, bench.letters().await), (3, 0, 0));
    bench.assert_receipted();
}

fn many() -> Table {
    let names: Vec<(String, String)> =
        (0..400_u32).map(|number| (format!("package-{number}-{}", number * 7919), format!("{number}.1"))).collect();
    table(&names.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect::<Vec<_>>())
}

#[tokio::test]
async fn pieces_are_put_together_over_batches_and_a_lost_one_makes_the_item_stale() {
    let mut bench = Bench::new().await;
    let table = many();
    let all = reports(APPLICATION, None, &table, 500);
    assert!(all.len() > 4, "{}", all.len());
    for report in all.clone() {
        bench.say(vec![report]).await;
    }
    assert_eq!(bench.kit.count("SELECT entries FROM inventory_node").await, 400);
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_piece").await, 0);
    // What is there already is said once more: nothing is done with it.
    bench.say(all.clone()).await;
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_piece").await, 0);
    let less = super::tests::table(&[("only", "1")]);
    bench.say(reports(APPLICATION, Some(&table), &less, 4096)).await;
    assert_eq!(bench.entries().await, ["only 1"]);
    // One piece lost; one that is of another change.
    let mut lost = all.clone();
    lost.remove(2);
    bench.say(lost).await;
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["only 1".to_owned()], 1));
    let mut mixed = all.clone();
    mixed[3].schema_version = (9, 9);
    bench.say(mixed).await;
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["only 1".to_owned()], 1));
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_piece").await, 0, "what cannot be ended is forgotten");
    bench.say(all).await;
    assert_eq!((bench.entries().await.len(), bench.stale().await, bench.letters().await), (50, 0, 0));
    bench.assert_receipted();
}

#[tokio::test]
async fn a_change_of_something_else_leaves_what_is_here_and_marks_it() {
    let mut bench = Bench::new().await;
    let (one, two, three) = (table(&[("a", "1")]), table(&[("a", "2")]), table(&[("a", "3")]));
    bench.say(reports(APPLICATION, Some(&one), &two, 4096)).await;
    assert_eq!((bench.entries().await.len(), bench.stale().await), (0, 1), "nothing is known of what it changes");
    bench.whole(&one).await;
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["a 1".to_owned()], 0));
    bench.say(reports(APPLICATION, Some(&two), &three, 4096)).await;
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["a 1".to_owned()], 1));
    bench.whole(&one).await;
    assert_eq!(bench.stale().await, 0, "the same, said as a whole: it is right");
    assert_eq!(bench.letters().await, 0, "that is no fault of anybody's");
    bench.assert_receipted();
}

#[tokio::test]
async fn what_is_malformed_is_set_aside_and_the_stream_goes_on() {
    let mut bench = Bench::new().await;
    let (one, two) = (table(&[("a", "1")]), table(&[("a", "2")]));
    bench.whole(&one).await;
    let whole = two.whole();
    let mut letters = 0;
    let mut wrong = Vec::new();
    // Another hash than what comes out.
    wrong.push(pieces(APPLICATION, None, [7; 32], &whole, 4096));
    // Not compressed; compressed, and no change.
    let mut garbage = pieces(APPLICATION, None, two.hash(), &whole, 4096);
    garbage[0].bytes = vec![0xff; 100];
    wrong.push(garbage.clone());
    garbage[0].bytes = compress_to_vec(&[0xff; 100], 6);
    wrong.push(garbage.clone());
    // Two kilobytes that become two megabytes and more.
    garbage[0].bytes = compress_to_vec(&vec![0; MAXIMUM_TABLE_BYTES + 1], 6);
    assert!(garbage[0].bytes.len() < 16 * 1024);
    wrong.push(garbage);
    // A change that does not fit the base that it names.
    wrong.push(pieces(APPLICATION, Some(one.hash()), two.hash(), &two.change_from(&table(&[("a", "1"), ("b", "1")])), 4096));
    wrong.push(pieces("AWS:Tag", None, two.hash(), &whole, 4096));
    for report in wrong {
        bench.say(report).await;
        letters += 1;
        assert_eq!((bench.entries().await, bench.letters().await), (vec!["a 1".to_owned()], letters));
        bench.assert_receipted();
    }
    assert_eq!(bench.stale().await, 1);
    // Of another stream.
    let mut telemetry = SimulatedNode { stream: Stream::Telemetry, ..SimulatedNode::new(30) };
    let message = telemetry.report(&ReportPayload::Inventory(reports(APPLICATION, None, &two, 4096).remove(0)));
    bench.kit.take([message]).await;
    assert_eq!(bench.letters().await, letters + 1);
    bench.say(reports(APPLICATION, Some(&one), &two, 4096)).await;
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["a 2".to_owned()], 0));
}

#[tokio::test]
async fn what_was_dropped_or_forgotten_makes_all_of_a_node_stale() {
    let mut bench = Bench::new().await;
    bench.whole(&table(&[("a", "1")])).await;
    bench.say(reports("Custom:Rack", None, &table(&[("b", "1")]), 4096)).await;
    let gap = bench.node.gap(3);
    bench.kit.take([gap]).await;
    assert_eq!(bench.stale().await, 2);
    bench.whole(&table(&[("a", "1")])).await;
    assert_eq!(bench.stale().await, 1);
    let lost = bench.node.report(&ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 }));
    bench.kit.take([lost]).await;
    assert_eq!(bench.stale().await, 2);
}

#[tokio::test]
async fn a_removed_node_takes_its_inventory_along_and_entries_of_nobody_are_swept() {
    let mut bench = Bench::new().await;
    bench.whole(&many()).await;
    let mut stays = SimulatedNode { stream: Stream::Inventory, ..bench.kit.online_node(31).await };
    let shared = table(&[("package-0-0", "0.1")]);
    let message = stays.report(&ReportPayload::Inventory(reports(APPLICATION, None, &shared, 4096).remove(0)));
    bench.kit.take([message]).await;
    // With a change under way.
    let first = reports("Custom:Rack", None, &many(), 500).remove(0);
    bench.say(vec![first]).await;
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_piece").await, 1);
    let request = DeregisterManagedInstanceRequest { instance_id: bench.node.id.to_string() };
    deregister_managed_instance(&bench.kit.fleet, &Kit::caller(), request).await.unwrap();
    for sql in
        ["SELECT COUNT(*) FROM inventory_piece", "SELECT COUNT(*) - 1 FROM inventory_node_entry", "SELECT COUNT(*) - 1 FROM inventory_node"]
    {
        assert_eq!(bench.kit.count(sql).await, 0, "{sql}");
    }
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_entry").await, 400);
    let (mut after, mut rounds) = (0, 0);
    while let Some(next) = orphans(&bench.kit.fleet, after).await.unwrap() {
        assert!(next > after, "it moves on");
        (after, rounds) = (next, rounds + 1);
    }
    assert_eq!((bench.kit.count("SELECT COUNT(*) FROM inventory_entry").await, rounds), (1, 2), "in small batches");
}

#[tokio::test]
async fn a_node_cannot_fill_the_database() {
    let mut bench = Bench::new().await;
    for number in 0..31 {
        bench.say(reports(&format!("Custom:T{number}"), None, &table(&[("a", "1")]), 4096)).await;
    }
    assert_eq!((bench.kit.count("SELECT COUNT(*) FROM inventory_node").await, bench.letters().await), (30, 1));
    // Nine tables of one megabyte each: the ninth is too much.
    let long = "v".repeat(4000);
    let mut bench = Bench::new().await;
    for number in 0..9 {
        let rows = (0..260).map(|row| vec![format!("{number} {row}"), long.clone()]);
        let table = Table::new(["Name", "Version"].map(str::to_owned).to_vec(), rows).unwrap();
        bench.say(reports(&format!("AWS:T{number}"), None, &table, 16 * 1024)).await;
    }
    assert_eq!((bench.letters().await, bench.stale().await), (1, 1));
    assert!(bench.kit.count("SELECT SUM(bytes) FROM inventory_node").await <= super::MAXIMUM_NODE_BYTES);
}

#[tokio::test]
async fn a_node_that_changes_everything_all_the_time_does_not_keep_the_writer_busy() {
    let mut bench = Bench::new().await;
    let (one, two) = (table(&[("a", "1")]), table(&[("a", "2")]));
    for turn in 0..super::ingest::BUDGET_OF_A_NODE + 1 {
        bench.whole(if turn % 2 == 0 { &one } else { &two }).await;
    }
    assert_eq!((bench.entries().await, bench.stale().await), (vec!["a 2".to_owned()], 1), "the last was one too many");
    bench.kit.clock.advance(std::time::Duration::from_secs(61));
    bench.whole(&one).await;
    assert_eq!((bench.entries().await, bench.stale().await, bench.letters().await), (vec!["a 1".to_owned()], 0, 0));
}

#[tokio::test]
async fn a_type_that_is_gone_leaves_nothing() {
    let mut bench = Bench::new().await;
    let nothing = Table::default();
    let gone = || reports(APPLICATION, None, &nothing, 4096);
    let (one, two) = (table(&[("a", "1")]), table(&[("a", "2")]));
    let items = "SELECT COUNT(*) FROM inventory_node";
    bench.whole(&one).await;
    bench.say(gone()).await;
    assert_eq!(bench.kit.count(items).await, 0);
    // Of something else than what is here; of what is only known to be stale; of nothing.
    bench.whole(&one).await;
    bench.say(reports(APPLICATION, Some(&two), &nothing, 4096)).await;
    assert_eq!(bench.kit.count(items).await, 0);
    bench.say(reports(APPLICATION, Some(&two), &one, 4096)).await;
    assert_eq!((bench.kit.count(items).await, bench.stale().await), (1, 1));
    bench.say(gone()).await;
    bench.say(gone()).await;
    bench.say(reports("Custom:Rack", None, &nothing, 4096)).await;
    assert_eq!((bench.kit.count(items).await, bench.kit.count("SELECT COUNT(*) FROM inventory_type").await), (0, 0));
    // It comes back, as a change of nothing.
    bench.say(reports(APPLICATION, Some(&nothing), &one, 4096)).await;
    assert_eq!((bench.entries().await, bench.stale().await, bench.letters().await), (vec!["a 1".to_owned()], 0, 0));
    bench.assert_receipted();
}

#[tokio::test]
async fn a_new_version_of_the_same_content_is_taken() {
    let mut bench = Bench::new().await;
    let mut report = reports("Custom:Rack", None, &table(&[("a", "1")]), 4096).remove(0);
    bench.say(vec![report.clone()]).await;
    report.schema_version = (2, 0);
    bench.say(vec![report]).await;
    for sql in [
        "SELECT COUNT(*) FROM inventory_node WHERE schema_version = '2.0'",
        "SELECT COUNT(*) FROM inventory_type WHERE schema_version = '2.0'",
    ] {
        assert_eq!(bench.kit.count(sql).await, 1, "{sql}");
    }
}

#[tokio::test]
async fn what_is_beyond_the_budget_is_not_even_unpacked() {
    let mut bench = Bench::new().await;
    let (one, two) = (table(&[("a", "1")]), table(&[("a", "2")]));
    for turn in 0..super::ingest::BUDGET_OF_A_NODE {
        bench.whole(if turn % 2 == 0 { &one } else { &two }).await;
    }
    let wrong = || pieces(APPLICATION, None, [7; 32], &one.whole(), 4096);
    bench.say(wrong()).await;
    assert_eq!((bench.letters().await, bench.stale().await), (0, 1), "nobody has looked at it");
    bench.kit.clock.advance(std::time::Duration::from_secs(61));
    bench.say(wrong()).await;
    assert_eq!(bench.letters().await, 1);
}

/// A table of so many attributes and one row.
fn wide(attributes: std::ops::Range<u32>) -> Table {
    let names: Vec<String> = attributes.map(|number| format!("A{number:03}")).collect();
    let row = names.iter().map(|_| "x".to_owned()).collect();
    Table::new(names, [row]).unwrap()
}

async fn put_rack(bench: &Bench, type_name: &str, attribute: &str) -> bool {
    let item = serde_json::json!({"TypeName": type_name, "SchemaVersion": "1.0", "CaptureTime": "2026-11-21T22:26:40Z", "Content": [{attribute: "1"}]});
    let request = serde_json::json!({"InstanceId": bench.node.id.to_string(), "Items": [item]});
    let request: PutInventoryRequest = serde_json::from_value(request).unwrap();
    put_inventory(&bench.kit.fleet, &Kit::caller(), request).await.is_ok()
}

#[tokio::test]
async fn what_one_node_invents_takes_nothing_from_others() {
    let bench = Bench::new().await;
    for number in 31..34_u8 {
        let mut node = SimulatedNode { stream: Stream::Inventory, ..bench.kit.online_node(number).await };
        let from = u32::from(number) * 40;
        let said = reports("Custom:Rack", None, &wide(from..from + 40), 16 * 1024);
        let messages: Vec<_> = said.into_iter().map(|report| node.report(&ReportPayload::Inventory(report))).collect();
        bench.kit.take(messages).await;
    }
    assert_eq!((bench.kit.count("SELECT COUNT(*) FROM inventory_node WHERE entries = 1").await, bench.letters().await), (3, 0));
    assert!(put_rack(&bench, "Custom:Rack", "Unit").await, "the type is as good as it was");
    let schemas =
        get_inventory_schema(&bench.kit.fleet, &Kit::caller(), GetInventorySchemaRequest::default()).await.unwrap().schemas.unwrap();
    let rack = schemas.iter().find(|schema| schema.type_name == "Custom:Rack").unwrap();
    assert!(rack.attributes.len() == 50 && rack.attributes.iter().any(|attribute| attribute.name == "Unit"), "{rack:?}");
    // More types than are shown.
    for number in 40..47_u8 {
        let mut node = SimulatedNode { stream: Stream::Inventory, ..bench.kit.online_node(number).await };
        let said = (0..30).map(|index| reports(&format!("Custom:T{number}-{index}"), None, &table(&[("a", "1")]), 4096).remove(0));
        let messages: Vec<_> = said.map(|report| node.report(&ReportPayload::Inventory(report))).collect();
        bench.kit.take(messages).await;
    }
    assert_eq!((bench.kit.count("SELECT COUNT(*) FROM inventory_node").await, bench.letters().await), (214, 0));
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_type").await, 200);
    assert!(put_rack(&bench, "Custom:Mine", "Unit").await);
}

async fn execute(bench: &Bench, sql: &'static str) {
    let mut write = bench.kit.fleet.store.write().await.unwrap();
    sqlx::query(sql).execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
}

const OPEN_DELETION: &str = "INSERT INTO inventory_deletion (deletion_id, type_name, schema_option, started_ms, updated_ms, last_place, \
                             remaining, summary) VALUES ('d', 'Custom:Rack', '', 1, 1, (SELECT last FROM inventory_number WHERE kind = 'place'), 1, '{}')";

#[tokio::test]
async fn a_deletion_removes_nothing_that_came_after_it() {
    let mut bench = Bench::new().await;
    let rack = |version: &str| reports("Custom:Rack", None, &table(&[("a", version)]), 4096);
    bench.say(rack("1")).await;
    execute(&bench, OPEN_DELETION).await;
    // What is to be deleted is said anew; and what has gone otherwise comes back.
    bench.say(rack("2")).await;
    assert!(go_on(&bench.kit.fleet).await.unwrap() && !go_on(&bench.kit.fleet).await.unwrap());
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node").await, 1);
    execute(&bench, "DELETE FROM inventory_deletion").await;
    execute(&bench, OPEN_DELETION).await;
    execute(&bench, "DELETE FROM inventory_node").await;
    bench.say(rack("3")).await;
    while go_on(&bench.kit.fleet).await.unwrap() {}
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node").await, 1);
}

#[tokio::test]
async fn a_large_item_is_deleted_a_part_at_a_time() {
    let mut bench = Bench::new().await;
    let rows = (0..5_000).map(|row| vec![format!("{row}")]);
    let large = Table::new(vec!["A".to_owned()], rows).unwrap();
    bench.say(reports("Custom:Rack", None, &large, 16 * 1024)).await;
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node_entry").await, 5_000);
    execute(&bench, OPEN_DELETION).await;
    assert!(go_on(&bench.kit.fleet).await.unwrap());
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node_entry").await, 1_000);
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node WHERE table_hash IS NULL AND stale = 1").await, 1);
    assert!(go_on(&bench.kit.fleet).await.unwrap() && !go_on(&bench.kit.fleet).await.unwrap());
    assert_eq!(bench.kit.count("SELECT COUNT(*) FROM inventory_node").await, 0);
}
