//! The agent's decisions, without I/O, clock or randomness.
//!
//! A [`Core`] takes inputs ([`Core::handle`]), says what is to be done ([`Core::poll_output`]) and when it wants to be woken
//! ([`Core::next_wakeup`]). The shell around it keeps one promise: when it takes [`Output::Persist`], the record is on disk before it takes
//! an output of another kind. So the core can stop between any two outputs, be built again from its records, and start nothing twice:
//! `tests/replay` holds it to that.
//!
//! The life of an order: a delivery passes the checks of [`admission`] → `Taken` is recorded → it waits for a free place → `Starting` is
//! recorded → the job runs → `Ended` is recorded with the one signed result → the result is sent until the bridge gives its receipt. Where a
//! step asks for a reboot, `Rebooting` is recorded → no other job runs → the system is told → in the next boot `Starting` is recorded again.
#![forbid(unsafe_code)]

pub mod admission;
mod core;
mod interface;
mod memory;
mod orders;
mod policy;
mod record;
mod room;
mod secrets;
mod spool;
mod streams;
mod trusted_time;
mod upload;

pub use crate::core::reboot::{MAXIMUM_REBOOTS, RebootRule};
pub use crate::core::{Core, HeldTrust, Recovery, Settings, Telemetry};
pub use interface::{Input, JobEnd, Output, RebootAsked, UpMessage};
pub use memory::{Floor, Memory};
pub use orders::MAXIMUM_ORDERS;
pub use policy::{Policy, PolicyState};
pub use record::{Attempt, End, Reboot, RebootTries, Record, RecordError, Resume};
