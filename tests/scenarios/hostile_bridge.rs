//! The drill of a bridge that is an attacker's: its keys, its database and its topics are in his hand, and the keys of root and operators are with
//! people. Real agents on a real Mosquitto; every attack is one thing that such a bridge could send, write or leave out.
//!
//! An attack that works would make a file in a folder that must stay empty, would have a node sign that it took or started what was forged, move its
//! trust, or leave `flotilla audit verify` content.
#![cfg(test)]

mod hostile_bridge {
    pub(crate) mod forged_log;
    pub(crate) mod orders;
    pub(crate) mod people;
    pub(crate) mod results;
    pub(crate) mod secrets;
    pub(crate) mod stage;
    pub(crate) mod time;
    pub(crate) mod trust;
}

use hostile_bridge::stage::Stage;
use hostile_bridge::{forged_log, orders, results, secrets, time, trust};

/// The least number of attacks that make a drill.
const LEAST_ATTACKS: usize = 60;

#[test]
fn a_bridge_that_is_an_attackers_starts_nothing_and_what_it_hides_shows() {
    let mut stage = Stage::set();
    let half = stage.half_signed();
    // From here on the bridge is the attacker's.
    stage.fleet.stop_bridge();
    let known = stage.last_report(0);
    orders::attack(&mut stage, &half);
    secrets::attack(&mut stage);
    trust::attack(&mut stage);
    time::attack(&mut stage);
    let hidden = (known + 1, stage.hide_reports());
    stage.assert_nothing_was_done();
    // The honest bridge comes back, to a database and topics that were the attacker's, and then the database is his again.
    stage.fleet.start_bridge();
    results::attack(&mut stage, &half);
    forged_log::attack(&mut stage, &half, hidden);
    stage.assert_nothing_was_done();
    let attacks = stage.attacks;
    println!("hostile bridge: {attacks} attacks, 0 accepted, 0 started");
    assert!(attacks >= LEAST_ATTACKS, "{attacks} attacks are too few");
}
