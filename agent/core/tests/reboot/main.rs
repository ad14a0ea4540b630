//! Reboots that steps ask for: stop the core at any output, reboot or only kill it, build it again from its journal, and go on. No start is made
//! twice, the system is told only after the record is durable and while no job runs, nothing goes on without a new boot, and no order reboots
//! the node for ever.
//!
//! `FLOTILLA_HISTORIES` sets how many random histories are tried (default 500).

#[cfg(test)]
mod world;

use flotilla_agent_core::{MAXIMUM_REBOOTS, Resume};
use flotilla_protocol::status::{Outcome, StepStatus};
use proptest::prelude::*;
use world::{Action, World};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn histories() -> u32 {
    std::env::var("FLOTILLA_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

fn action() -> impl Strategy<Value = Action> {
    let order = 0..3_u8;
    prop_oneof![
        4 => order.clone().prop_map(Action::Deliver),
        5 => order.clone().prop_map(Action::Ask),
        2 => order.clone().prop_map(Action::Finish),
        2 => order.prop_map(Action::Cancel),
        3 => Just(Action::Connect),
        2 => (1..120_u64).prop_map(|seconds| Action::Pass(seconds * 1000)),
        1 => Just(Action::Pass(11 * MINUTE_MS)),
        1 => Just(Action::Pass(2 * HOUR_MS)),
        4 => Just(Action::Reboot),
        1 => Just(Action::Refuse),
        1 => Just(Action::Kill),
        2 => (0..8_u8, any::<bool>()).prop_map(|(outputs, power)| Action::StopAfter(outputs, power)),
        1 => Just(Action::Compact),
        1 => any::<bool>().prop_map(Action::Storage),
        1 => Just(Action::BreaksWhenTold),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_reboots_keeps_the_promises(with_final_steps in any::<bool>(), actions in prop::collection::vec(action(), 1..50)) {
        let world = World::new(true);
        let mut world = if with_final_steps { world.with_final_steps() } else { world };
        for action in actions {
            world.act(action);
        }
        world.settle();
        world.check_everything_ended();
    }
}

fn played(actions: &[Action]) -> World {
    let mut world = World::new(true);
    actions.iter().for_each(|action| world.act(*action));
    world
}

/// An order runs and asks for a reboot.
fn asking() -> World {
    played(&[Action::Connect, Action::Deliver(0), Action::Ask(0)])
}

#[test]
fn a_step_that_asks_goes_on_after_the_reboot_with_what_was_before() {
    let mut world = asking();
    assert_eq!((world.told, world.starts(0)), (1, 1));
    world.act(Action::Reboot);
    assert_eq!(world.starts(0), 1, "without trusted time nothing starts");
    world.act(Action::Connect);
    assert_eq!(world.starts(0), 2);
    world.act(Action::Finish(0));
    let result = world.result(0).clone();
    assert_eq!(result.outcome, Outcome::Succeeded);
    let steps: Vec<_> = result.steps.iter().map(|step| (step.status, step.stdout.head.clone())).collect();
    let text = |text: &str| text.as_bytes().to_vec();
    // The second step is run again; the first has written what it wrote in the first boot.
    let expected = [(StepStatus::Succeeded, text("step 0 of boot 1")), (StepStatus::Succeeded, text("step 1 of boot 2"))];
    assert_eq!(steps[..2], expected);
    assert!(result.steps.iter().all(|step| step.started_ms <= step.ended_ms && step.started_ms.is_some()), "{result:?}");
    assert_eq!(world.said_rebooting, [(1, 1)]);
}

#[test]
fn a_reboot_step_goes_on_with_the_next() {
    let mut world = played(&[Action::Connect, Action::Deliver(0)]);
    world.ask(0, Resume::NextStep);
    [Action::Reboot, Action::Connect, Action::Finish(0)].iter().for_each(|action| world.act(*action));
    let heads: Vec<_> = world.result(0).steps.iter().map(|step| String::from_utf8(step.stdout.head.clone()).unwrap()).collect();
    assert_eq!(heads, ["step 0 of boot 1", "step 1 of boot 1", "step 2 of boot 2"]);
}

#[test]
fn nothing_goes_on_in_the_same_boot_and_the_device_is_told_once_more() {
    let mut world = asking();
    world.act(Action::Kill);
    world.act(Action::Connect);
    assert_eq!((world.told, world.starts(0)), (1, 1), "it may be on its way down");
    world.act(Action::Pass(10 * MINUTE_MS));
    assert_eq!(world.told, 2);
    world.act(Action::Kill);
    world.act(Action::Connect);
    world.act(Action::Pass(10 * MINUTE_MS));
    assert_eq!((world.told, world.starts(0)), (2, 1));
    let result = world.result(0).clone();
    assert!(result.outcome == Outcome::Failed && result.explanation.contains("told 2 times to reboot"), "{result:?}");
    let ends: Vec<_> = result.steps.iter().map(|step| (step.status, step.exit_code)).collect();
    assert_eq!(ends, [(StepStatus::Succeeded, 0), (StepStatus::Failed, 194), (StepStatus::NotRun, -1)]);
}

#[test]
fn a_reboot_before_the_device_was_told_is_one_too() {
    // The record is durable, and the power goes before anything else.
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::StopAfter(1, false), Action::Ask(0)]);
    assert_eq!(world.told, 0);
    world.act(Action::Reboot);
    world.act(Action::Connect);
    assert_eq!(world.starts(0), 2);
}

#[test]
fn an_order_reboots_a_node_so_often_and_no_more() {
    let mut world = played(&[Action::Connect, Action::Deliver(0)]);
    for _ in 0..MAXIMUM_REBOOTS + 3 {
        [Action::Ask(0), Action::Reboot, Action::Connect].iter().for_each(|action| world.act(*action));
    }
    assert_eq!((world.told, world.starts(0)), (u32::from(MAXIMUM_REBOOTS), u32::from(MAXIMUM_REBOOTS) + 1));
    let result = world.result(0);
    assert!(result.outcome == Outcome::Failed && result.explanation.contains("at most 5 times"), "{result:?}");
    assert_eq!(result.steps.len(), 3);
}

#[test]
fn a_reboot_waits_for_other_jobs_and_no_job_starts_meanwhile() {
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Deliver(1), Action::Ask(0), Action::Deliver(2)]);
    assert_eq!((world.told, world.starts(1), world.starts(2)), (0, 1, 0));
    world.act(Action::Finish(1));
    assert_eq!((world.told, world.starts(2)), (1, 0));
    world.act(Action::Reboot);
    world.act(Action::Connect);
    assert_eq!((world.starts(0), world.starts(2)), (2, 1));

    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Deliver(1), Action::Ask(0), Action::Deliver(2)]);
    world.act(Action::Pass(HOUR_MS));
    assert!(world.result(0).explanation.contains("did not end in time"), "{:?}", world.result(0));
    assert_eq!((world.told, world.starts(2)), (0, 1), "it does not hold up the others for ever");
}

#[test]
fn one_reboot_is_enough_for_all_that_ask() {
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Deliver(1), Action::Ask(0), Action::Ask(1)]);
    assert_eq!(world.told, 1);
    world.act(Action::Reboot);
    world.act(Action::Connect);
    assert_eq!((world.starts(0), world.starts(1), world.told), (2, 2, 1));
}

#[test]
fn a_cancel_while_it_reboots_means_that_it_never_goes_on() {
    for reboots_first in [false, true] {
        let mut world = asking();
        if reboots_first {
            world.act(Action::Reboot);
            // Without the welcome that would let it go on.
            world.connect_without_welcome();
        }
        world.act(Action::Cancel(0));
        assert_eq!(world.result(0).outcome, Outcome::Cancelled);
        [Action::Reboot, Action::Connect, Action::Pass(HOUR_MS)].iter().for_each(|action| world.act(*action));
        assert_eq!(world.starts(0), 1);
        let ends: Vec<_> = world.result(0).steps.iter().map(|step| step.status).collect();
        assert_eq!(ends, [StepStatus::Succeeded, StepStatus::Cancelled, StepStatus::NotRun]);
    }
}

#[test]
fn nothing_starts_while_the_device_may_be_on_its_way_down() {
    // The order that asked was cancelled after the device was told.
    let mut world = asking();
    assert_eq!(world.told, 1);
    [Action::Cancel(0), Action::Deliver(1)].iter().for_each(|action| world.act(*action));
    world.act(Action::Pass(MINUTE_MS));
    assert_eq!(world.starts(1), 0);
    world.act(Action::Pass(10 * MINUTE_MS));
    assert_eq!(world.starts(1), 1, "it does not reboot after all");
}

#[test]
fn an_order_that_was_cancelled_gets_no_reboot() {
    let world = played(&[Action::Connect, Action::Deliver(0), Action::Cancel(0), Action::Ask(0)]);
    assert_eq!((world.told, world.result(0).outcome), (0, Outcome::Cancelled));
}

#[test]
fn a_node_that_refuses_reboots_fails_the_step() {
    let mut world = World::new(false);
    [Action::Connect, Action::Deliver(0), Action::Ask(0)].iter().for_each(|action| world.act(*action));
    assert_eq!(world.told, 0);
    assert!(world.result(0).explanation.contains("setting reboot is \"refuse\""), "{:?}", world.result(0));
}

#[test]
fn what_inhibits_a_reboot_is_waited_for_and_not_for_ever() {
    let mut world = asking();
    for refused in 1..=9 {
        world.act(Action::Refuse);
        world.act(Action::Pass(MINUTE_MS - 1));
        assert_eq!(world.told, refused);
        world.act(Action::Pass(1));
        assert_eq!(world.told, refused + 1);
        // The count outlives the agent.
        world.act(Action::Kill);
        world.act(Action::Connect);
    }
    world.act(Action::Refuse);
    let result = world.result(0);
    assert!(result.explanation.contains("refused 10 times") && result.explanation.contains("somebody inhibits it"), "{result:?}");
}

#[test]
fn a_device_that_is_off_too_long_does_not_go_on() {
    // Three hours in which it may start, three steps of a minute each, and an hour for the reboot.
    for (off_ms, goes_on) in [(4 * HOUR_MS, true), (4 * HOUR_MS + 3 * MINUTE_MS, false)] {
        let mut world = asking();
        world.act(Action::Reboot);
        world.act(Action::Pass(off_ms));
        world.act(Action::Connect);
        assert_eq!(world.starts(0) == 2, goes_on, "{off_ms}");
        assert_eq!(world.has_result(0), !goes_on, "{off_ms}");
    }
}

#[test]
fn a_run_that_is_cut_off_after_a_reboot_keeps_the_steps_before() {
    let mut world = asking();
    [Action::Reboot, Action::Connect, Action::Reboot, Action::Connect].iter().for_each(|action| world.act(*action));
    let result = world.result(0);
    assert_eq!((result.outcome, world.starts(0)), (Outcome::Interrupted, 2));
    assert_eq!((result.steps[0].status, result.steps[0].stdout.head.as_slice()), (StepStatus::Succeeded, b"step 0 of boot 1".as_slice()));
}

#[test]
fn an_ask_that_comes_while_nothing_can_be_recorded_is_kept() {
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Storage(false), Action::Ask(0)]);
    assert_eq!(world.told, 0);
    world.act(Action::Storage(true));
    assert_eq!(world.told, 1);
}

#[test]
fn what_could_not_be_told_is_decided_anew_when_the_disk_is_back() {
    let broken = [Action::Connect, Action::Deliver(0), Action::BreaksWhenTold, Action::Ask(0)];
    let mut world = played(&broken);
    assert_eq!(world.told, 0, "the disk broke just then");
    world.act(Action::Pass(5 * MINUTE_MS));
    world.act(Action::Storage(true));
    assert_eq!(world.told, 1, "it counts as if it had not been decided before");

    // Too late for it.
    let mut world = played(&broken);
    [Action::Pass(2 * HOUR_MS), Action::Storage(true)].iter().for_each(|action| world.act(*action));
    assert_eq!((world.told, world.result(0).outcome), (0, Outcome::Failed), "{:?}", world.result(0));
}

#[test]
fn a_cancel_that_an_earlier_agent_handed_on_comes_before_the_reboot() {
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Kill, Action::Connect]);
    world.ask_cancelled(0);
    assert_eq!((world.told, world.result(0).outcome), (0, Outcome::Cancelled));
}

#[test]
fn the_second_telling_comes_however_late_the_first_was() {
    let mut world = played(&[Action::Connect, Action::Deliver(0), Action::Deliver(1), Action::Ask(0)]);
    [Action::Pass(55 * MINUTE_MS), Action::Finish(1)].iter().for_each(|action| world.act(*action));
    assert_eq!(world.told, 1);
    world.act(Action::Pass(10 * MINUTE_MS));
    assert_eq!((world.told, world.has_result(0)), (2, false));
    world.act(Action::Pass(10 * MINUTE_MS));
    assert!(world.result(0).explanation.contains("told 2 times"), "{:?}", world.result(0));
}

#[test]
fn an_agent_that_is_started_again_knows_that_the_device_may_be_on_its_way_down() {
    for compacts in [false, true] {
        // The order that asked is over, so nothing but this says it.
        let mut world = asking();
        assert_eq!(world.told, 1);
        world.act(Action::Cancel(0));
        if compacts {
            world.act(Action::Compact);
        }
        [Action::Kill, Action::Connect, Action::Deliver(1), Action::Pass(MINUTE_MS)].iter().for_each(|action| world.act(*action));
        assert_eq!(world.starts(1), 0);
        world.act(Action::Pass(10 * MINUTE_MS));
        assert_eq!(world.starts(1), 1, "it does not reboot after all");
    }
    // What was said in another boot means nothing in this one.
    let mut world = asking();
    [Action::Cancel(0), Action::Reboot, Action::Connect, Action::Deliver(1)].iter().for_each(|action| world.act(*action));
    assert_eq!(world.starts(1), 1);
}

#[test]
fn a_last_step_that_runs_whatever_came_before_runs_without_the_reboot_too() {
    // Refused by the node's setting; by the bound; by a system that does not do it.
    let mut refused = World::new(false).with_final_steps();
    [Action::Connect, Action::Deliver(0), Action::Ask(0)].iter().for_each(|action| refused.act(*action));
    let mut bounded = World::new(true).with_final_steps();
    [Action::Connect, Action::Deliver(0)].iter().for_each(|action| bounded.act(*action));
    for _ in 0..MAXIMUM_REBOOTS {
        [Action::Ask(0), Action::Reboot, Action::Connect].iter().for_each(|action| bounded.act(*action));
    }
    bounded.act(Action::Ask(0));
    let mut ignored = World::new(true).with_final_steps();
    let waits = [Action::Connect, Action::Deliver(0), Action::Ask(0), Action::Pass(10 * MINUTE_MS), Action::Pass(10 * MINUTE_MS)];
    waits.iter().for_each(|action| ignored.act(*action));
    for (mut world, why) in [(refused, "setting reboot"), (bounded, "at most 5 times"), (ignored, "told 2 times")] {
        assert_eq!((world.without_reboot(), world.has_result(0)), (1, false), "{why}");
        // A start like any other: made once, also where the agent is started again, and cut off by a reboot.
        let told = world.told;
        [Action::Compact, Action::Kill, Action::Connect].iter().for_each(|action| world.act(*action));
        assert_eq!((world.without_reboot(), world.told), (1, told), "{why}");
        world.act(Action::Reboot);
        world.act(Action::Connect);
        let result = world.result(0);
        assert!(result.outcome == Outcome::Interrupted && result.explanation.contains(why), "{why}: {result:?}");
        let ends: Vec<_> = result.steps.iter().map(|step| step.exit_code).collect();
        assert_eq!(ends, [0, 194, -1], "{why}: {result:?}");
    }
}

#[test]
fn a_cancelled_order_runs_no_last_step() {
    let mut world = World::new(true).with_final_steps();
    [Action::Connect, Action::Deliver(0), Action::Ask(0), Action::Cancel(0)].iter().for_each(|action| world.act(*action));
    assert_eq!((world.without_reboot(), world.result(0).outcome), (0, Outcome::Cancelled));
}

/// What a bundle says that gives the rule for commands to another key than the one that has signed.
fn forbids(bundle: &mut flotilla_protocol::trust::TrustBundle) {
    bundle.rules[0].keys = vec![3];
}

#[test]
fn what_a_new_bundle_forbids_does_not_go_on_after_its_reboot_and_says_so() {
    // The bundle comes while it waits for the reboot, and after it.
    for comes_before in [true, false] {
        let mut world = asking();
        if comes_before {
            world.follow(forbids);
            assert!(world.has_result(0), "it is said at once");
        }
        world.act(Action::Reboot);
        world.act(Action::Connect);
        if !comes_before {
            // It went on before the bundle came: what runs is not stopped half-way.
            assert_eq!(world.starts(0), 2);
            continue;
        }
        assert_eq!(world.starts(0), 1, "it does not go on");
        let result = world.result(0).clone();
        assert_eq!(result.outcome, Outcome::Failed);
        assert!(result.explanation.contains("does not go on after the reboot: the node's trust has changed (signature)"), "{result:?}");
        assert_eq!(result.steps.len(), 3);
        assert_eq!(result.steps[2].status, StepStatus::NotRun, "{:?}", result.steps);
    }
    // It comes in the first welcome after the reboot, before the order could go on.
    let mut world = asking();
    world.act(Action::Reboot);
    world.connect_without_welcome();
    world.follow(forbids);
    world.act(Action::Connect);
    assert_eq!((world.starts(0), world.result(0).outcome), (1, Outcome::Failed));
    // One that changes nothing for it lets it go on.
    let mut world = asking();
    world.follow(|_| ());
    world.act(Action::Reboot);
    world.act(Action::Connect);
    world.act(Action::Finish(0));
    assert_eq!((world.starts(0), world.result(0).outcome), (2, Outcome::Succeeded));
}
