//! F16: many more calls than the bridge can take, over simulated nodes that report as fast as they can.
//!
//! Its memory stays bounded, callers are told to come again (429), every command that was answered with 200 is there afterwards and comes to
//! its end, and every result for which a node has a receipt is in the database.
#![cfg(test)]

use flotilla_api::client::CallError;
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_tests::calls::shell;
use flotilla_tests::invariants::{self, Fact};
use flotilla_tests::process::allow_descriptors;
use flotilla_tests::random::Random;
use flotilla_tests::simulated_fleet::{DESCRIPTORS_OF_A_NODE, Play, Run};
use flotilla_tests::tally::{Broken, Tally, is_release};
use flotilla_tests::{Broker, Fleet, SimulatedFleet, clock, verdict, wait};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NODES: usize = 60;
/// Callers that each make one call after the other; three times as many as may wait for the writer.
const CALLERS: usize = 96;
/// Nodes of each command.
const TARGETS: usize = 4;
/// A caller that is told to come again waits this long and not the second that it is asked to: it is a bad one.
const PAUSE_OF_A_BAD_CALLER: Duration = Duration::from_millis(10);
/// What the bridge may hold at most; a figure of a build for debugging. The page caches of its five connections alone may have 320 MiB.
const BRIDGE_LIMIT_KIB: u64 = 384 * 1024;
/// How long everything that was taken may need to come to its end, for each second of load: what was taken stays in the queue.
const DRAIN_FACTOR: u32 = 4;
/// No measure: a machine with much else to do is slow.
const ONLINE_LIMIT: Duration = Duration::from_secs(240);

/// What came of the calls.
#[derive(Debug, Default)]
struct Calls {
    taken: BTreeSet<String>,
    throttled: u64,
    others: Vec<String>,
}

impl Calls {
    fn add(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.throttled += other.throttled;
        self.others.extend(other.others);
    }
}

/// One caller, for as long as the load lasts.
fn call(fleet: &Fleet, ids: &[String], first: usize, load: Duration) -> Calls {
    let (client, deadline) = (fleet.another_client(), clock::now() + load);
    let mut calls = Calls::default();
    let mut turn = first;
    while clock::now() < deadline {
        let nodes: Vec<String> = ids.iter().cycle().skip(turn % ids.len()).take(TARGETS).cloned().collect();
        turn += TARGETS;
        match client.call(&shell(&nodes, "true")) {
            Ok(answer) => calls.taken.extend(answer.command.and_then(|command| command.command_id)),
            Err(CallError::Refused { kind, status: 429, .. }) if kind == "ThrottlingException" => {
                calls.throttled += 1;
                wait::let_pass(PAUSE_OF_A_BAD_CALLER);
            }
            Err(error) => calls.others.push(error.to_string()),
        }
    }
    calls
}

/// What the database says of every command on every node: its state, and whether it has a result.
fn invocations(database: &Path) -> BTreeMap<(String, String), (String, bool)> {
    let read = async {
        let options = SqliteConnectOptions::new().filename(database).pragma("query_only", "ON");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let sql = "SELECT command_id, node_id, state, result IS NOT NULL FROM invocation";
        let rows: Vec<(String, String, String, bool)> = sqlx::query_as(sql).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(rows)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let rows = runtime.block_on(read).expect("the database can be read beside the bridge");
    rows.into_iter().map(|(command, node, state, result)| ((command, node), (state, result))).collect()
}

fn is_open(state: &str) -> bool {
    matches!(state, "pending" | "sent" | "accepted" | "running")
}

/// What the bridge's database, the callers and the runs on the nodes say together.
fn judge(fleet: &Fleet, calls: &Calls, runs: &BTreeMap<(String, String), Run>) -> Vec<Broken> {
    let mut history = verdict::of_bridge(fleet);
    history.acknowledged.clone_from(&calls.taken);
    for command in history.commands.values_mut() {
        command.excused = Some(BTreeSet::from([InvocationState::Succeeded]));
    }
    for ((command, node), run) in runs {
        let of_node = history.node(node);
        of_node.knowledge.starts = true;
        (0..run.starts).for_each(|_| of_node.add(0, command, Fact::Started { trusted_ms: None }));
        (0..run.ends).for_each(|_| of_node.add(0, command, Fact::JobOver));
    }
    invariants::check(&history).into_iter().map(verdict::broken).collect()
}

#[test]
fn f16_more_than_the_bridge_takes() {
    allow_descriptors(DESCRIPTORS_OF_A_NODE * 60 + 1_000);
    let load = Duration::from_secs(if is_release() { 600 } else { 60 });
    let random = Random::seeded("F16");
    let mut tally = Tally::new("F16", &random, Duration::from_secs(240));
    let fleet = Fleet::start(Broker::Embedded);
    let activation = fleet.activation(i32::try_from(NODES).expect("few nodes"));
    let nodes = SimulatedFleet::join(&[(activation, NODES)], Arc::new(|_, _| Play::success(Duration::from_millis(1))));
    wait::until_true(ONLINE_LIMIT, "all nodes are online", || fleet.online().len() == NODES);
    tally.begin("the load");
    let idle = fleet.bridge_memory();
    let mut calls = Calls::default();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|first| {
                scope.spawn({
                    let (fleet, ids) = (&fleet, nodes.ids());
                    move || call(fleet, ids, first, load)
                })
            })
            .collect();
        for caller in callers {
            calls.add(caller.join().expect("a caller does not panic"));
        }
    });
    let database = fleet.home().database();
    let begun = clock::now();
    let mut rows = BTreeMap::new();
    wait::until_true(load * DRAIN_FACTOR, "everything that was taken comes to its end, and every result has its receipt", || {
        wait::let_pass(Duration::from_millis(500));
        rows = invocations(&database);
        let runs = nodes.runs();
        rows.values().all(|(state, _)| !is_open(state)) && runs.values().all(|run| run.receipted)
    });
    let memory = fleet.bridge_memory();
    println!(
        "F16: {CALLERS} callers for {} s: {} commands taken, {} calls told to come again, {} others; {} runs, drained in {:.1} s; memory of the \
         bridge {} KiB idle, {} KiB at most",
        load.as_secs(),
        calls.taken.len(),
        calls.throttled,
        calls.others.len(),
        rows.len(),
        begun.elapsed().as_secs_f32(),
        idle.resident_kib,
        memory.peak_kib
    );
    assert!(calls.others.is_empty(), "calls were refused in another way: {:?}", calls.others.iter().take(5).collect::<Vec<_>>());
    assert!(calls.taken.len() > CALLERS && calls.throttled > 0, "some are taken, and some told to come again");
    assert!(memory.peak_kib <= BRIDGE_LIMIT_KIB, "the bridge held {} KiB, and {BRIDGE_LIMIT_KIB} are allowed", memory.peak_kib);
    tally.trial(judge(&fleet, &calls, &nodes.runs()));
    tally.finish();
}
