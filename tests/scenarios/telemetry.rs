//! How a node is: reported from time to time, kept while the broker is away, dropped where there is no room, and that signed for.
#![cfg(test)]

use flotilla_api::nodes::GetConnectionStatusRequest;
use flotilla_tests::calls::shell_on;
use flotilla_tests::{Broker, Fleet, wait};
use sqlx::{Connection as _, SqliteConnection};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// A report a second, and room for four of them.
const SETTINGS: &str = "health_interval_s = 1\ntelemetry_spool_bytes = 1100\n";

/// A number from the bridge's database, which is read beside the bridge or without it.
fn number(fleet: &Fleet, sql: &'static str) -> i64 {
    let path = fleet.home().database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let read = async {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}?mode=ro", path.display())).await?;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await
    };
    runtime.block_on(read).expect("the database can be read")
}

/// The last sequence of telemetry that is committed.
const HEAD: &str = "SELECT COALESCE(MAX(sequence), 0) FROM node_stream WHERE stream = 1";
const DROPPED: &str = "SELECT COALESCE(SUM(dropped), 0) FROM node_stream_loss WHERE stream = 1";
const MISSING: &str = "SELECT COALESCE(SUM(missing), 0) FROM node_stream_loss";
const GAP_NOTES: &str = "SELECT COUNT(*) FROM node_event WHERE kind = 'dropped'";
const ALARMS: &str = "SELECT COUNT(*) FROM node_event WHERE kind <> 'dropped'";
/// What the node itself counted since its exec started.
const COUNTED: &str = "SELECT COALESCE(MAX(json_extract(value, '$.dropped')), 0) FROM node_health, json_each(health, '$.spool') WHERE value LIKE '%telemetry%'";

#[test]
fn telemetry_that_has_no_room_is_dropped_counted_and_signed_for_and_control_is_whole() {
    let mut fleet = Fleet::start(Broker::Embedded);
    let activation = fleet.activation(1);
    let mut node = fleet.new_node();
    node.add_settings(SETTINGS);
    let id = node.register(&activation);
    node.start();
    fleet.nodes.push(node);
    fleet.await_online();
    wait::until_true(LIMIT, "the node says how it is", || number(&fleet, HEAD) >= 2);
    assert_eq!((number(&fleet, GAP_NOTES), number(&fleet, DROPPED)), (0, 0), "there was room");

    // A command ends while the broker is away: its result is control, and waits beside what is dropped.
    let command = fleet.send(&shell_on(&id, "sleep 4; echo kept"));
    wait::until_true(LIMIT, "the command runs", || !fleet.nodes[0].jobs().is_empty());
    fleet.stop_bridge();
    let away_from = number(&fleet, HEAD);
    wait::until_true(LIMIT, "the command ends", || fleet.nodes[0].jobs().is_empty());
    wait::let_pass(Duration::from_secs(12));
    fleet.start_bridge();
    fleet.await_online();

    let result = fleet.await_end(&command, &id, LIMIT);
    assert_eq!(result.standard_output_content.as_deref(), Some("kept\n"), "control is never dropped");
    wait::until_true(LIMIT, "the gap arrives", || number(&fleet, GAP_NOTES) >= 1);
    let (dropped, head) = (number(&fleet, DROPPED), number(&fleet, HEAD));
    assert!(dropped >= 3, "{dropped} dropped of those after {away_from}, up to {head}");
    // A report counts what was dropped before it was made, perhaps for its own sake. The node may have dropped what had come and had no
    // receipt yet, so in the end it counts a few more.
    wait::until_true(LIMIT, "the node says how many", || number(&fleet, COUNTED) >= dropped);
    let counted = number(&fleet, COUNTED);
    assert!((dropped..=dropped + 4).contains(&counted), "the node counted {counted}, the bridge {dropped}");
    assert_eq!((number(&fleet, MISSING), number(&fleet, ALARMS)), (0, 0), "nothing is missing that is not signed for");
    assert_eq!(number(&fleet, "SELECT COUNT(*) FROM node_health"), 1);
    let health = fleet.call(&GetConnectionStatusRequest { target: id }).health.unwrap();
    assert_eq!(number(&fleet, "SELECT COUNT(*) FROM dead_letter"), 0, "nothing that it sent was refused");
    assert_eq!((&health["reports_dropped"], &health["reports_missing"]), (&dropped.into(), &0.into()), "{health}");
}
