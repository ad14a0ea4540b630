//! What a node costs: size, memory, start, idle processor and wire, of one agent binary against a real Mosquitto with TLS.
//!
//! The two halves run without a supervisor, as under a service manager. The wire is counted in a network namespace; where this machine gives
//! none, those figures are left out. Times are printed and never judged: a busy machine decides them.

use crate::report::{Budget, Report};
use crate::statistics::Times;
use flotilla_tests::calls::shell_on;
use flotilla_tests::namespace::Wire;
use flotilla_tests::node::{Half, Node};
use flotilla_tests::process::{self, Load};
use flotilla_tests::{Broker, Fleet, clock, wait};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// How long the node is watched while nothing happens, when nobody says.
pub(crate) const IDLE: Duration = Duration::from_secs(10);
/// From here on what passes the wire while nothing happens is worth a figure: less holds no ping.
const LONG_IDLE: Duration = Duration::from_secs(3600);
/// Starts that are timed.
const STARTS: usize = 5;
/// Commands over which the wire is counted.
const COMMANDS: usize = 20;
/// Bursts of packets over which a ping or a report is counted.
const BURSTS: usize = 2;
/// What comes with a connection is said after this.
const SETTLES: Duration = Duration::from_secs(3);
/// A burst is over when so long nothing has passed.
const BURST_PAUSE: Duration = Duration::from_millis(700);
/// A node that needs longer is broken.
const LIMIT: Duration = Duration::from_secs(30);
/// What the link logs when the broker has let it in.
const CONNECTED: &str = "connected to the broker";
/// A step that writes a megabyte, so that everything is used that moves output.
const LOUD: &str = "head -c 1000000 /dev/zero | tr '\\0' x";

const DAY_S: f64 = 86_400.0;
/// Pings of a day with the default of 300 seconds.
const PINGS: f64 = 288.0;
/// Reports of a day with the default of an hour.
const REPORTS: f64 = 24.0;

const SIZE: &str = "size (MB)";
const IDLE_PSS: &str = "idle PSS, link + exec (MB)";
const START: &str = "start to connected, median (s)";
const WAKEUPS: &str = "idle wake-ups (1/s)";
const CPU: &str = "idle processor (%)";
const DAY: &str = "wire, idle day: pings and reports (kB)";

/// Goals and budgets of DESIGN.md. Without a budget nothing fails.
const BUDGETS: [Budget; 6] = [
    Budget { figure: SIZE, goal: 3.0, budget: Some(4.0) },
    Budget { figure: IDLE_PSS, goal: 4.0, budget: Some(6.0) },
    Budget { figure: START, goal: 0.15, budget: None },
    Budget { figure: WAKEUPS, goal: 0.2, budget: None },
    Budget { figure: CPU, goal: 0.01, budget: None },
    Budget { figure: DAY, goal: 60.0, budget: None },
];

/// Measures this agent; `idle` is how long nothing happens.
pub(crate) fn run(agent: &Path, idle: Duration) -> Report {
    let wire = Wire::new().and_then(|wire| wire.count().map(|()| wire));
    if let Err(why) = &wire {
        say(&format!("figures of the wire: SKIPPED, {why}"));
    }
    let wire = wire.ok();
    let enter = wire.as_ref().map(Wire::enter).unwrap_or_default();
    let mut fleet = match &wire {
        Some(wire) => Fleet::start_across(Broker::Mosquitto, wire.host(), wire.enter()),
        None => Fleet::start(Broker::Mosquitto),
    };
    let mut node = fleet.new_node_of(agent, &enter);
    node.use_defaults();
    node.register(&fleet.activation(1));
    let length = std::fs::metadata(agent).expect("the agent is there").len();
    let mut figures = vec![(SIZE.to_owned(), megabytes(length))];

    let started = (0..STARTS).map(|_| start(&mut node)).collect();
    figures.push((START.to_owned(), Times::new(started).percentile_ms(50) / 1000.0));
    let pids = restart(&mut node);
    fleet.nodes.push(node);
    fleet.await_online();
    figures.extend(idle_figures(pids, idle, wire.as_ref()));
    figures.extend(command_figures(&fleet, pids, wire.as_ref()));
    let mut node = fleet.nodes.remove(0);
    figures.extend(supervised_figures(&mut node));
    if let Some(wire) = &wire {
        figures.extend(day_figures(&mut node, wire));
    }
    node.stop();
    Report { name: "footprint", figures, ratios: Vec::new(), budgets: BUDGETS.to_vec() }
}

/// Stops the node and starts both halves anew; how long until they are connected.
fn start(node: &mut Node) -> Duration {
    node.stop();
    let before = connections(node);
    let began = clock::now();
    let _pids = node.start_halves();
    while connections(node) == before {
        assert!(began.elapsed() < LIMIT, "the node does not connect: {}", node.log());
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

/// Starts both halves anew and waits until what comes with a connection is said; the process ids of exec and link.
fn restart(node: &mut Node) -> [i32; 2] {
    node.stop();
    let before = connections(node);
    let pids = node.start_halves();
    wait::until_true(LIMIT, "the node connects", || connections(node) > before);
    wait::let_pass(SETTLES);
    pids
}

fn connections(node: &Node) -> usize {
    node.log().matches(CONNECTED).count()
}

fn idle_figures([exec, link]: [i32; 2], idle: Duration, wire: Option<&Wire>) -> Vec<(String, f64)> {
    let bytes = || wire.map(|wire| wire.carried().expect("the counters can be read").bytes);
    let both = || [exec, link].map(process::load).into_iter().sum::<Load>();
    let (before, bytes_before) = (both(), bytes());
    wait::let_pass(idle);
    let (after, bytes_after) = (both(), bytes());
    let seconds = idle.as_secs_f64();
    let wakeups = float(after.wakeups.saturating_sub(before.wakeups)) / seconds;
    let cpu_s = float(after.cpu_ns.saturating_sub(before.cpu_ns)) / 1e9;
    let mut figures = vec![(IDLE_PSS.to_owned(), kibibytes(after.pss_kib))];
    for (name, load) in [("exec", process::load(exec)), ("link", process::load(link))] {
        figures.push((format!("of it, {name} (MB)"), kibibytes(load.pss_kib)));
        figures.push((format!("of it, heap and stack of {name} (MB)"), kibibytes(load.pss_anonymous_kib)));
    }
    figures.push(("idle threads".to_owned(), float(after.threads)));
    figures.push((WAKEUPS.to_owned(), wakeups));
    figures.push((CPU.to_owned(), cpu_s / seconds * 100.0));
    figures.push(("wake-ups in an idle hour".to_owned(), wakeups * 3600.0));
    figures.push(("processor in an idle hour (s)".to_owned(), cpu_s / seconds * 3600.0));
    if let (Some(before), Some(after)) = (bytes_before, bytes_after)
        && idle >= LONG_IDLE
    {
        figures.push(("wire, idle day, all that passed (kB)".to_owned(), float(after - before) / 1000.0 / seconds * DAY_S));
    }
    figures
}

fn command_figures(fleet: &Fleet, pids: [i32; 2], wire: Option<&Wire>) -> Vec<(String, f64)> {
    let ids = fleet.node_ids();
    let id = ids.first().expect("the fleet has a node");
    let succeeds = |command: &str| {
        let end = fleet.await_end(command, id, LIMIT);
        assert_eq!(end.status.as_deref(), Some("Success"), "{end:?}");
    };
    let done = |script: &str| succeeds(&fleet.send(&shell_on(id, script)));
    let mut figures = Vec::new();
    // Once before, so that the wire carries no first time of anything.
    done("true");
    if let Some(wire) = wire {
        let carried = || wire.carried().expect("the counters can be read");
        let before = carried();
        (0..COMMANDS).for_each(|_| done("true"));
        let after = carried();
        let commands = float(u64::try_from(COMMANDS).unwrap_or(u64::MAX));
        figures.push(("wire, one command (bytes)".to_owned(), float(after.bytes - before.bytes) / commands));
        figures.push(("packets, one command".to_owned(), float(after.packets - before.packets) / commands));
    }
    let command = fleet.send(&shell_on(id, "sleep 2"));
    let node = fleet.nodes.first().expect("the fleet has a node");
    let job = wait::until(LIMIT, "a job runs", || node.jobs().first().map(|job| job.pid));
    wait::let_pass(Duration::from_millis(500));
    figures.push(("PSS of a running job (MB)".to_owned(), kibibytes(process::load(job).pss_kib)));
    succeeds(&command);
    done(LOUD);
    for (name, pid) in ["exec", "link"].into_iter().zip(pids) {
        figures.push((format!("peak RSS of {name} (MB)"), kibibytes(process::memory(pid).peak_kib)));
    }
    figures
}

/// The same without a service manager: a third process.
fn supervised_figures(node: &mut Node) -> Vec<(String, f64)> {
    node.stop();
    let before = connections(node);
    node.start();
    wait::until_true(LIMIT, "the node connects", || connections(node) > before);
    wait::let_pass(SETTLES);
    let all: Load = [node.supervisor(), node.half(Half::Exec), node.half(Half::Link)].map(process::load).into_iter().sum();
    vec![("idle PSS, with a supervisor (MB)".to_owned(), kibibytes(all.pss_kib))]
}

/// What a day costs of which nothing happens: pings and reports, each measured when they come often.
fn day_figures(node: &mut Node, wire: &Wire) -> Vec<(String, f64)> {
    let mut often = |settings: &str| {
        node.stop();
        node.use_defaults();
        node.add_settings(settings);
        let _pids = restart(node);
        burst(wire)
    };
    let ping = often("keep_alive_s = 5\n");
    let report = often("health_interval_s = 3\n");
    vec![
        ("wire, a ping and its answer (bytes)".to_owned(), ping),
        ("wire, a report of health (bytes)".to_owned(), report),
        (DAY.to_owned(), (ping * PINGS + report * REPORTS) / 1000.0),
    ]
}

/// Bytes of what passes the wire at a time: the mean of some bursts.
fn burst(wire: &Wire) -> f64 {
    let carried = || wire.carried().expect("the counters can be read").bytes;
    let settled = || {
        let mut last = carried();
        loop {
            wait::let_pass(BURST_PAUSE);
            let now = carried();
            if std::mem::replace(&mut last, now) == now {
                return now;
            }
        }
    };
    let next = |at: u64| {
        wait::until_true(LIMIT, "something passes the wire", || carried() != at);
        settled()
    };
    // A young connection acknowledges at once what it acknowledges along with its answers later: the first burst is no measure.
    let before = next(settled());
    let at = (0..BURSTS).fold(before, |at, _| next(at));
    float(at - before) / float(u64::try_from(BURSTS).unwrap_or(u64::MAX))
}

fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1e6
}

fn kibibytes(kib: u64) -> f64 {
    megabytes(kib * 1024)
}

/// Counts of a test are far below 2^53, where this would begin to round.
fn float(count: u64) -> f64 {
    let [low, high] = [count, count >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(u32::MAX));
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// On standard error: standard output is the report.
fn say(line: &str) {
    let _written = writeln!(std::io::stderr(), "{line}");
}
