//! The main property: stop the core at any output, cut the power or only kill it, build it again from its journal, and go on. Nothing
//! starts twice, every order ends in exactly one signed outcome, and the bridge hears of it.
//!
//! `FLOTILLA_HISTORIES` sets how many random histories are tried (default 10,000).

#[cfg(test)]
mod world;

use proptest::prelude::*;
use world::{Action, World};

fn histories() -> u32 {
    std::env::var("FLOTILLA_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

fn action() -> impl Strategy<Value = Action> {
    let order = 0..6_u8;
    prop_oneof![
        4 => order.clone().prop_map(Action::Deliver),
        3 => order.clone().prop_map(Action::FinishJob),
        1 => order.clone().prop_map(Action::FinishJobWithMuchOutput),
        1 => order.clone().prop_map(Action::LoseJob),
        2 => order.clone().prop_map(Action::GrowOutput),
        2 => any::<u8>().prop_map(Action::RepeatMessage),
        2 => order.prop_map(Action::Cancel),
        3 => Just(Action::Connect),
        1 => Just(Action::Disconnect),
        3 => Just(Action::Receipt),
        2 => (1..40_u8).prop_map(Action::PassSeconds),
        1 => Just(Action::PassAnHour),
        1 => Just(Action::PassBeyondExpiry),
        2 => (0..6_u8).prop_map(Action::KillAfterOutputs),
        2 => (0..6_u8, 0..4_u8).prop_map(|(outputs, kept)| Action::CutPowerAfterOutputs(outputs, kept)),
        1 => Just(Action::Compact),
        1 => Just(Action::LoseMessages),
        1 => any::<bool>().prop_map(Action::LoseMemory),
        2 => Just(Action::RefuseRecords),
        2 => Just(Action::TakeRecords),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_starts_nothing_twice_and_ends_everything_once(actions in prop::collection::vec(action(), 1..40)) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.settle();
        world.check_everything_ended();
        world.check_nothing_is_left();
    }
}

#[test]
fn an_order_is_taken_and_started_only_when_its_end_has_room() {
    let mut world = World::new();
    world.act(Action::Connect);
    for (room_bytes, refused, accepted, started) in [(10_000, 1, false, false), (25_000, 1, true, false), (200_000, 1, true, true)] {
        world.set_room(room_bytes);
        world.act(Action::Deliver(0));
        assert_eq!((world.refused_for_now(), world.is_accepted(0), world.is_started(0)), (refused, accepted, started), "{room_bytes}");
    }
    world.settle();
    world.check_everything_ended();
}

#[test]
fn an_end_that_comes_while_nothing_can_be_recorded_is_kept() {
    let mut world = World::new();
    for action in [Action::Connect, Action::Deliver(0), Action::RefuseRecords, Action::FinishJob(0), Action::Deliver(1)] {
        world.act(action);
    }
    assert!(!world.has_result(0) && !world.is_accepted(1));
    world.act(Action::TakeRecords);
    assert!(world.has_result(0), "the end is recorded and sent as soon as it can be");
    world.act(Action::Deliver(1));
    assert!(world.is_started(1));
}

#[test]
fn a_node_that_has_lost_its_memory_takes_only_what_was_made_since() {
    for keeps_floor in [true, false] {
        let mut world = World::new();
        for action in [Action::Connect, Action::Deliver(0), Action::LoseMemory(keeps_floor), Action::Connect, Action::Deliver(0)] {
            world.act(action);
        }
        assert!(world.is_lost(0), "it may have run");
        // Order 4 is made 90 seconds after the start, and the barrier lies one minute after the recovery.
        (0..3).for_each(|_| world.act(Action::PassSeconds(31)));
        world.act(Action::Deliver(4));
        assert!(world.is_started(4));
        world.settle();
        world.check_everything_ended();
        world.check_nothing_is_left();
    }
}

#[test]
fn a_start_that_was_none_waits_for_a_welcome_and_expires() {
    for (goes_away, starts) in [(Action::PassSeconds(30), true), (Action::PassBeyondExpiry, false)] {
        let mut world = World::new();
        world.act(Action::Connect);
        // Accepted and starting are durable, and the agent is gone before the job began.
        world.act(Action::KillAfterOutputs(2));
        world.act(Action::Deliver(0));
        assert!(world.is_recorded_as_waiting(0), "{starts}");
        world.act(goes_away);
        assert!(!world.is_started(0), "nothing starts before there is trusted time");
        world.act(Action::Connect);
        assert_eq!(world.is_started(0), starts);
        world.settle();
        world.check_everything_ended();
        world.check_nothing_is_left();
    }
}

#[test]
fn output_that_was_on_its_way_when_memory_was_lost_is_not_waited_for() {
    for outputs in 0..6 {
        let mut world = World::new();
        for action in [Action::Connect, Action::Deliver(1), Action::KillAfterOutputs(outputs), Action::FinishJobWithMuchOutput(1)] {
            world.act(action);
        }
        world.act(Action::LoseMemory(true));
        world.settle();
        world.check_everything_ended();
        world.check_nothing_is_left();
    }
}

#[test]
fn an_order_that_is_over_is_answered_again_when_nothing_is_held() {
    let mut world = World::new();
    for action in [Action::Connect, Action::Deliver(0), Action::FinishJob(0), Action::Receipt, Action::Compact] {
        world.act(action);
    }
    world.act(Action::KillAfterOutputs(0));
    world.act(Action::PassSeconds(1));
    world.act(Action::Connect);
    for _ in 0..3 {
        world.act(Action::Deliver(0));
        world.act(Action::Receipt);
    }
    assert_eq!(world.said_again, 1, "once in a while");
    world.act(Action::PassAnHour);
    world.act(Action::Deliver(0));
    assert_eq!(world.said_again, 2);
}

#[test]
fn a_node_says_hello_again_from_time_to_time_and_when_an_order_lies_in_the_future() {
    let mut world = World::without_telemetry();
    world.act(Action::Connect);
    (0..24 * 120).for_each(|_| world.act(Action::PassSeconds(30)));
    assert!((20..=32).contains(&world.hellos), "{} hellos in a day", world.hellos);
    let mut world = World::without_telemetry();
    world.behind_ms = 7_200_000;
    world.act(Action::Connect);
    world.behind_ms = 0;
    // Its time stays at its floor, and order 4 is made 90 seconds after that.
    (0..3).for_each(|_| world.act(Action::PassSeconds(31)));
    world.act(Action::Deliver(4));
    assert!(world.is_started(4), "the second welcome puts the time right");
    assert_eq!(world.hellos, 2);
}

#[test]
fn a_wrong_clock_after_a_loss_of_memory_draws_no_barrier_years_ahead() {
    let mut world = World::new();
    for action in [Action::Connect, Action::LoseMemory(true)] {
        world.act(action);
    }
    world.set_bridge_clock(10 * 365 * 24 * 3_600_000);
    world.act(Action::Connect);
    assert!(!world.has_regained_memory(), "one welcome is not enough for a barrier years ahead");
    world.set_bridge_clock(0);
    // A second hello is said by itself.
    world.act(Action::PassAnHour);
    assert!(world.has_regained_memory());
    world.settle();
    world.check_nothing_is_left();
}

#[test]
fn a_chain_that_begins_anew_is_above_the_one_before_however_soon_memory_is_lost_again() {
    let mut world = World::new();
    for action in [
        Action::LoseMemory(false),
        Action::Connect,
        Action::LoseMemory(true),
        Action::Connect,
        // The floor had moved the chain ahead of the time, and nothing on the node says so any more.
        Action::LoseMemory(false),
        Action::Deliver(0),
    ] {
        world.act(action);
    }
    world.settle();
    world.check_everything_ended();
    world.check_nothing_is_left();
}

#[test]
fn what_has_no_room_is_dropped_oldest_first_and_said_in_one_signed_gap() {
    let mut world = World::new();
    world.act(Action::Connect);
    world.act(Action::Receipt);
    assert_eq!(world.telemetry(), (1, 0, 0), "the first at once");
    world.act(Action::Disconnect);
    // A crash in between, and a new boot, change nothing of it.
    for stop in [Action::PassSeconds(1), Action::KillAfterOutputs(0), Action::CutPowerAfterOutputs(0, 0)] {
        (0..30).for_each(|_| world.act(Action::PassSeconds(30)));
        world.act(stop);
        world.act(Action::PassSeconds(1));
        world.act(Action::Connect);
        world.act(Action::Disconnect);
    }
    world.act(Action::Connect);
    let (received, dropped, gaps) = world.telemetry();
    assert!(received >= 3 && dropped >= 5 && gaps >= 1, "{received} received, {dropped} dropped, {gaps} gaps");
    world.settle();
    world.check_nothing_is_left();
}

#[test]
fn what_has_no_room_is_dropped_and_control_is_whole() {
    let mut world = World::new();
    for action in [Action::Connect, Action::Receipt, Action::Deliver(0), Action::Deliver(1), Action::Disconnect] {
        world.act(action);
    }
    [Action::FinishJob(0), Action::FinishJob(1)].into_iter().for_each(|action| world.act(action));
    (0..30).for_each(|_| world.act(Action::PassSeconds(30)));
    world.act(Action::Connect);
    let (_, dropped, gaps) = world.telemetry();
    assert!(dropped >= 5 && gaps == 1, "{dropped} dropped in {gaps} gaps");
    assert!(world.has_result(0) && world.has_result(1), "control is never dropped");
    world.settle();
    world.check_everything_ended();
    world.check_nothing_is_left();
}

#[test]
fn the_checker_sees_a_double_start() {
    let mut world = World::new();
    world.act(Action::Connect);
    world.act(Action::Deliver(0));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.start_again(0)));
    assert!(result.is_err(), "a second start goes unnoticed");
}
