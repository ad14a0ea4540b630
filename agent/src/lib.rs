//! Flotilla's device agent: everything that the binary `flotilla-agent` does.
//!
//! The agent is three kinds of processes of one binary. [`link`] owns the network and understands no order; [`exec`] owns
//! the keys and the journal, verifies and decides, and has no network; [`job`] runs the steps of one order. [`supervise`]
//! starts the first two, exec starts the third, and a job lives on when everything else dies. [`register`] makes a device
//! a node. Decisions are made in `flotilla-agent-core`; what is here does.
//!
//! This is a library only so that tests can reach its parts. Nothing outside this package uses it.

pub mod arguments;
pub mod clock;
pub mod exec;
pub mod facts;
pub mod frame;
pub mod inventory;
pub mod job;
pub mod link;
pub mod notify;
pub mod ownership;
pub mod package_manager;
pub mod peer;
pub mod policy;
pub mod process;
pub mod processes;
pub mod record;
pub mod register;
pub mod settings;
pub mod state;
pub mod step;
pub mod supervise;
mod trust_store;
