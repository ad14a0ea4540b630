//! What the simulated nodes do with the commands of the scenario: the script is the name of the play.

use flotilla_protocol::capability::command::CommandOrder;
use flotilla_tests::simulated_fleet::{End, Play, script_of};
use std::ops::Range;
use std::time::Duration;

/// Those of some nodes that are away for a while: one in ten.
pub(crate) fn absent(nodes: Range<usize>) -> impl Iterator<Item = usize> {
    nodes.filter(|index| index % 10 == 7)
}

/// Spread evenly over the nodes, and the same in each run.
fn spread(index: usize, from_ms: u64, to_ms: u64) -> Duration {
    let index = u64::try_from(index).expect("few nodes");
    Duration::from_millis(from_ms + index.wrapping_mul(7919) % (to_ms - from_ms))
}

/// The play of a node.
///
/// # Panics
/// When the script is not one of this scenario.
pub(crate) fn play(index: usize, command: &CommandOrder) -> Play {
    match script_of(command).as_str() {
        "mixed" => mixed(index),
        "fail" => Play::end(spread(index, 300, 600), End::Exit(1)),
        "quarter-for-ever" if index.is_multiple_of(4) => Play::end(Duration::ZERO, End::Never),
        "quarter-for-ever" => Play::success(Duration::from_millis(200)),
        "quick" => Play::success(Duration::from_millis(100)),
        "two-seconds" => Play::success(Duration::from_secs(2)),
        other => panic!("no play is called {other:?}"),
    }
}

/// One in twenty fails, one in twenty runs too long, one in a hundred is very late, and the rest succeeds.
fn mixed(index: usize) -> Play {
    match index % 100 {
        at if at % 20 == 0 => Play::end(spread(index, 50, 500), End::Exit(3)),
        at if at % 20 == 1 => Play::end(spread(index, 50, 500), End::TimedOut),
        50 => Play::success(Duration::from_secs(5)),
        _ => Play::success(spread(index, 50, 500)),
    }
}

/// How the API shows the end of the mixed command on a node.
pub(crate) fn details_of_mixed(index: usize) -> &'static str {
    match mixed(index).end {
        End::Exit(0) => "Success",
        End::Exit(_) => "Failed",
        End::TimedOut | End::Never => "Execution Timed Out",
    }
}
