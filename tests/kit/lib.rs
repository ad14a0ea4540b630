//! The test kit: real fleets of real processes in a temporary folder, and the means to disturb them.
//!
//! A [`Fleet`] is a bridge, its broker (embedded or Mosquitto) and its nodes, on free ports of this machine. Everything that
//! it starts is a child of the test in a process group of its own, and is killed by its id when the fleet is dropped. A test
//! that fails prints the end of every log. Nothing here sleeps for a result: [`wait::until`] waits on a level, with a limit.
//!
//! The binaries are those that cargo built beside the test: run `cargo build --workspace` first (`tests/run` does).
//!
//! [`leaks`] looks for secrets where none may be.
//!
//! For the fault suites: [`lone`] is a node without a broker, [`disk`] a disk whose power can be cut, [`strace`] lets one call of a program
//! kill it or fail, [`killer`] kills what runs; [`proxy`] does to MQTT messages what networks and brokers do, and [`namespace`] is a wire that can be broken; [`campaign`], [`verdict`] and [`invariants`] say what must be true afterwards, and [`tally`] counts.
//!
//! This package is for tests only, so its functions panic with a sentence where a test should fail.

pub mod broker;
pub mod calls;
pub mod campaign;
pub mod clock;
pub mod disk;
pub mod effects;
pub mod emulation;
pub mod fleet;
pub mod hostile;
pub mod invariants;
pub mod killer;
pub mod leaks;
pub mod lone;
pub mod machine;
pub mod namespace;
pub mod node;
pub mod operators;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
pub mod simulated_fleet;
pub mod strace;
pub mod tally;
pub mod verdict;
pub mod wait;
pub mod watchdog;

pub use broker::Broker;
pub use fleet::Fleet;
pub use simulated_fleet::SimulatedFleet;
