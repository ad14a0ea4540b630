//! F9: power cuts under the bridge's database. What the API had answered before a cut is there after it, and so is what the bridge had shown
//! of results; and as nodes forget a report on the bridge's receipt only, everything comes to its end, though the cuts fall into the ingest.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::disk::Disk;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Tally, skipped, trials};
use flotilla_tests::{Broker, Fleet, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NODES: usize = 6;
/// The cut comes within this after the bridge's start: nodes come back and results come in all the while.
const LATEST_CUT: Duration = Duration::from_millis(900);
/// So many commands are sent before a cut at most, so that the nodes keep up.
const COMMANDS: usize = 8;
/// After each cut so many of the newest commands are looked for; at the end, all.
const LOOKED_FOR: usize = 24;
/// After so many cuts everything must come to its end.
const SETTLE_EVERY: u64 = 25;

#[test]
fn f9_power_cuts_under_the_bridges_database() {
    let mut disk = match Disk::new(192) {
        Ok(disk) => disk,
        Err(why) => return skipped("F9", &why),
    };
    let mut random = Random::seeded("F9");
    let mut fleet = Fleet::start_at(Broker::Embedded, Some(&disk.path().join("home")));
    fleet.add_nodes(NODES);
    let mut campaign = Campaign::new(&fleet);
    let mut tally = Tally::new("F9", &random, Duration::from_secs(240));
    let (nodes, mut acknowledged) = (fleet.node_ids(), 0);
    while tally.count() < trials(100, 2_000) {
        let moment = random.moment(LATEST_CUT);
        tally.begin(format!("a cut after {moment:?}"));
        let targets: Vec<String> = (0..COMMANDS).map(|_| random.one_of(&nodes).clone()).collect();
        let client = fleet.another_client();
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let has_power = || disk.has_power();
            let (campaign, taken, fleet) = (&mut campaign, &taken, &mut fleet);
            scope.spawn(move || {
                for node in targets.chunks(1) {
                    if !has_power() {
                        return;
                    }
                    let was_taken = campaign.send(&client, node, "true", has_power);
                    taken.fetch_add(usize::from(was_taken), Ordering::Relaxed);
                }
                while has_power() {
                    campaign.look(&client, COMMANDS, has_power);
                    wait::let_pass(Duration::from_millis(5));
                }
            });
            wait::let_pass(moment);
            // One power feeds both: what the bridge would say after the cut nobody hears.
            fleet.freeze_bridge();
            disk.cut();
            fleet.kill_bridge();
        });
        acknowledged += usize::from(taken.into_inner() > 0);
        disk.restore();
        fleet.start_bridge();
        let mut broken = campaign.forgotten(&fleet, LOOKED_FOR);
        if (tally.count() + 1).is_multiple_of(SETTLE_EVERY) {
            broken.extend(campaign.check(&fleet, |_| 0).into_values().flatten());
        }
        tally.trial(broken);
    }
    tally.begin("the last look at everything");
    let broken = campaign.check_all(&mut fleet);
    if !broken.is_empty() {
        tally.trial(broken);
    }
    assert!(acknowledged * 2 > usize::try_from(tally.count()).unwrap(), "before most cuts a command must be taken: {acknowledged}");
    assert!(campaign.shown() > 0, "before the cuts results must come in");
    tally.finish();
}
