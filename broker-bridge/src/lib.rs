//! The bridge: between the broker that nodes speak to, the fleet database, and the operators' API.
//!
//! [`platform`] is mechanism that knows nothing of fleets, [`fleet`] holds the nouns that everything shares, and
//! [`capability`] holds the verbs; each may use what stands before it and never what stands behind. [`device`] is the half
//! that speaks to nodes, [`command`] is the command line.
#![forbid(unsafe_code)]

pub mod capability;
pub mod clock;
pub mod command;
pub mod device;
pub mod fleet;
pub mod platform;
pub mod randomness;
pub mod schema;
pub mod settings;
