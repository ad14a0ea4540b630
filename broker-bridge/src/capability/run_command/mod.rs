//! Run Command: one document, signed once, run on each of a frozen set of nodes.
//!
//! A *command* is the signed order with its rate control; an *invocation* is that command on one node. An invocation goes
//! Pending → Sent → Accepted → Running → one end, and what a node has signed decides; the bridge itself ends only what was
//! never sent, and what was not answered in time, which a node's signed word still overrides ([`rules::transition`]).
//!
//! A command's invocations are inserted with it in one transaction, so whoever has its id can read them.
//! Where people must sign it, it awaits their signatures before anything is sent ([`prepared`]). Dispatch
//! ([`reconcile`]) sends what MaxConcurrency and MaxErrors allow, and again until the node answers.

#[cfg(test)]
mod after_commit_tests;
pub mod api;
#[cfg(test)]
mod due_tests;
pub mod ingest;
pub mod model;
mod notification;
pub mod output;
pub mod prepared;
pub mod reconcile;
pub mod retention;
pub mod rules;
#[cfg(test)]
mod secret_tests;
mod secrets;
#[cfg(test)]
mod silence_tests;
mod store;
#[cfg(test)]
pub(crate) mod tests;
