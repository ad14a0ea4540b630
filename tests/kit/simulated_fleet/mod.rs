//! A fleet of nodes in this process: each with its own key, certificate, TLS connection and the *real* core of the agent. Only the disk
//! and the jobs are simulated: the journal is in memory, and a [`Behaviour`] says when and how a job ends.
//!
//! Nodes are enrolled by real claims, many over one connection, because a bridge takes few anonymous connections from one address. What
//! the nodes saw of a command is its [`Course`]: who started it, how often, and how many had it at once. The simulated fleet is told what
//! to do by the one who owns it, and is gone, with every connection, when it is dropped.

mod account;
mod behaviour;
mod course;
mod enrol;
mod journal;
mod node;

pub use account::Run;
pub use behaviour::{Behaviour, End, Play, script_of};
pub use course::Course;

use crate::clock;
use account::Account;
use course::Courses;
use flotilla_protocol::enrolment::Activation;
use node::Node;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

/// Descriptors that a node's connection takes in this process: allow for them with [`crate::process::allow_descriptors`].
pub const DESCRIPTORS_OF_A_NODE: u64 = 3;
/// Threads for all nodes together: they wait nearly all of the time.
const THREADS: usize = 2;
/// Between two pings of a node, where a test does not say otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Connections that are made at the same time: a handshake that waits too long behind others is given up by the broker.
const HANDSHAKES: usize = 48;

/// Simulated nodes, connected or not.
pub struct SimulatedFleet {
    ids: Vec<String>,
    online: Vec<watch::Sender<bool>>,
    world: Arc<World>,
    // Last: with it all tasks end.
    runtime: Option<Runtime>,
}

/// What all nodes share.
pub(crate) struct World {
    /// Uptime is counted from here.
    origin: Instant,
    behaviour: Behaviour,
    /// The pings of a node.
    keep_alive: Duration,
    courses: Mutex<Courses>,
    account: Mutex<Account>,
    /// A permit is held while a node makes its first connection after it was told to be online.
    handshakes: Arc<Semaphore>,
}

impl World {
    /// The uptime of every node, in milliseconds.
    fn now_ms(&self) -> u64 {
        u64::try_from(clock::now().saturating_duration_since(self.origin).as_millis()).unwrap_or(u64::MAX)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn courses(&self) -> MutexGuard<'_, Courses> {
        // A poisoned lock holds what was seen until then.
        self.courses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimulatedFleet {
    /// Enrols as many nodes with each activation as stands beside it, and connects them. It does not wait until the bridge knows them
    /// to be online.
    ///
    /// # Panics
    /// When an activation cannot be read, or a node is not enrolled in time.
    #[must_use]
    pub fn join(activations: &[(String, usize)], behaviour: Behaviour) -> Self {
        Self::join_with(activations, behaviour, KEEP_ALIVE)
    }

    /// As [`SimulatedFleet::join`], with another keep-alive than a minute: twice as long a dead connection may go unnoticed.
    ///
    /// # Panics
    /// As [`SimulatedFleet::join`].
    #[must_use]
    pub fn join_with(activations: &[(String, usize)], behaviour: Behaviour, keep_alive: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let world = World {
            origin: clock::now(),
            behaviour,
            keep_alive,
            courses: Mutex::new(Courses::default()),
            account: Mutex::new(Account::default()),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
        };
        let mut fleet = Self { ids: Vec::new(), online: Vec::new(), world: Arc::new(world), runtime: None };
        let parsed = |text: &String| Activation::parse(text).expect("the bridge makes good activations");
        let activations: Vec<(Activation, usize)> = activations.iter().map(|(text, count)| (parsed(text), *count)).collect();
        for (index, member) in runtime.block_on(enrol::enrol(&activations)).into_iter().enumerate() {
            let (online, wanted) = watch::channel(true);
            fleet.ids.push(member.id.to_string());
            fleet.online.push(online);
            drop(runtime.spawn(Node::new(index, member, Arc::clone(&fleet.world)).run(wanted)));
        }
        fleet.runtime = Some(runtime);
        fleet
    }

    /// The ids of the nodes, by their index.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Cuts the network of a node, or gives it back. Its jobs go on.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn set_online(&self, index: usize, online: bool) {
        self.online.get(index).expect("there is such a node").send_replace(online);
    }

    /// What the nodes have seen of a command so far.
    ///
    /// # Panics
    /// When the id is none.
    #[must_use]
    pub fn course(&self, command: &str) -> Course {
        let order = command.parse().expect("the id of a command");
        self.world.courses().of(order)
    }

    /// Everything that the nodes have started and ended so far, by the command's id and the node's.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<(String, String), Run> {
        let runs = self.world.account().runs();
        runs.into_iter().map(|((order, node), run)| ((order.to_string(), self.ids[node].clone()), run)).collect()
    }

    /// How long the fleet has been there.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.world.now_ms())
    }
}

impl fmt::Debug for SimulatedFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedFleet").field("nodes", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Drop for SimulatedFleet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
