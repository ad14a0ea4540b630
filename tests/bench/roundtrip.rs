//! A command's round trip: from the API call until its result can be read from the database, on an idle fleet of one node.

use crate::floor::Floor;
use crate::report::Report;
use crate::statistics::Times;
use flotilla_api::commands::GetCommandInvocationRequest;
use flotilla_tests::calls::{is_terminal, shell_on};
use flotilla_tests::{Broker, Fleet, clock};
use std::time::Duration;

/// How many are measured when nobody says.
pub(crate) const TRIALS: usize = 200;
/// Trials before the first that counts: caches and connections warm up.
const WARM_UP: usize = 10;
/// A command that takes longer is a fault and no figure.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures so many round trips, each beside a floor taken in the same moment.
pub(crate) fn run(trials: usize) -> Report {
    let fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let node = fleet.node_ids().remove(0);
    let mut floor = Floor::of(&fleet);
    let (mut trips, mut parts) = (Vec::new(), Vec::new());
    for trial in 0..WARM_UP + trials {
        let floor = floor.trial();
        let trip = one_trip(&fleet, &node);
        if trial >= WARM_UP {
            parts.push(floor);
            trips.push(trip);
        }
    }
    let sent = Times::new(trips.iter().map(|trip| trip.sent).collect());
    let seen = Times::new(trips.iter().map(|trip| trip.seen).collect());
    let floor = Times::new(parts.iter().map(|part| part.total()).collect());
    let echo = Times::new(parts.iter().map(|part| part.echo).collect());
    let process = Times::new(parts.iter().map(|part| part.process).collect());
    let commits = Times::new(parts.iter().map(|part| part.commits).collect());
    let measured = [
        ("round trip", &seen),
        ("of it, until SendCommand answers", &sent),
        ("floor", &floor),
        ("of it, MQTT echo", &echo),
        ("of it, fork and exec", &process),
        ("of it, two durable commits", &commits),
    ];
    let mut figures = vec![("trials".to_owned(), f64::from(u32::try_from(trials).unwrap_or(u32::MAX)))];
    for (name, times) in measured {
        figures.extend([50, 99].map(|percent| (format!("{name} p{percent} (ms)"), times.percentile_ms(percent))));
    }
    let ratio = |percent| (format!("round trip / floor, p{percent}"), seen.percentile_ms(percent) / floor.percentile_ms(percent));
    Report { name: "roundtrip", figures, ratios: vec![ratio(50), ratio(99)], budgets: Vec::new() }
}

struct Trip {
    /// Until SendCommand has answered.
    sent: Duration,
    /// Until the result can be read.
    seen: Duration,
}

fn one_trip(fleet: &Fleet, node: &str) -> Trip {
    let request = shell_on(node, "true");
    let began = clock::now();
    let command_id = fleet.send(&request);
    let sent = began.elapsed();
    let look = GetCommandInvocationRequest { command_id, instance_id: node.to_owned(), plugin_name: None };
    loop {
        // As tight as calls go: the next look follows the answer to the last.
        let answer = fleet.call(&look);
        if is_terminal(answer.status.as_deref()) {
            let seen = began.elapsed();
            assert_eq!(answer.status.as_deref(), Some("Success"), "{answer:?}");
            return Trip { sent, seen };
        }
        assert!(began.elapsed() < LIMIT, "a command does not end: {answer:?}");
    }
}
