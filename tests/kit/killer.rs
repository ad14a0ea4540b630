//! Who can be killed in a fleet, and killing it with SIGKILL, by its process id.

use crate::fleet::Fleet;
use crate::node::Half;
use crate::process;
use crate::random::Random;
use crate::wait;
use nix::sys::signal::Signal;
use std::time::Duration;

/// For how long at most a bridge or a broker stays dead.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The half with the network. The agent starts it again.
    Link,
    /// The half that decides. The agent starts it again.
    Exec,
    /// A command's job, if any runs: one that the seed chooses.
    Job,
    /// The bridge, with the broker inside it where it is the fleet's. It is started again after a moment.
    Bridge,
    /// The Mosquitto. It is started again after a moment.
    Broker,
}

/// Kills a process of a node; for a job, whether one ran.
pub fn kill_of_node(fleet: &mut Fleet, node: usize, victim: Victim, random: &mut Random) -> bool {
    let node = fleet.nodes.get_mut(node).expect("the fleet has this node");
    match victim {
        Victim::Link => node.kill_half(Half::Link),
        Victim::Exec => node.kill_half(Half::Exec),
        Victim::Job => {
            let jobs = node.jobs();
            if jobs.is_empty() {
                return false;
            }
            process::signal(random.one_of(&jobs).pid, Signal::SIGKILL);
        }
        Victim::Bridge | Victim::Broker => panic!("{victim:?} is no process of a node"),
    }
    true
}

/// Kills bridge or broker, and starts it again after a moment.
pub fn kill_and_restart(fleet: &mut Fleet, victim: Victim, random: &mut Random) {
    let pause = random.moment(LONGEST_PAUSE);
    match victim {
        Victim::Bridge => {
            fleet.kill_bridge();
            wait::let_pass(pause);
            fleet.start_bridge();
        }
        Victim::Broker => {
            let mosquitto = fleet.mosquitto.as_mut().expect("this fleet has a Mosquitto");
            mosquitto.kill_main();
            wait::let_pass(pause);
            mosquitto.start_main();
        }
        Victim::Link | Victim::Exec | Victim::Job => panic!("{victim:?} is a process of a node"),
    }
}
