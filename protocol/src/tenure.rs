//! The tenure of a bridge: that it speaks to the fleet, and no other one.
//!
//! Two bridges on copies of one home have the same name at the broker, which gives the session to the last of them that connects, and tells
//! the other one nothing or too little (Mosquitto before 2.0.15 closes the connection without a word). So each bridge says, in a retained
//! message on a topic of its own, since when it is in office. The greatest statement counts; who finds a greater one than its own stands
//! aside. See docs/decisions/0012.

use crate::wire::{Check, DecodeError};
use serde::{Deserialize, Serialize};

/// The signed body of a tenure, by the bridge role. The greater of two, by the order of the fields, is in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenureBody {
    /// Greater than that of every tenure that was found at the broker when this one began; as a rule the start of the bridge, Unix time in
    /// milliseconds.
    pub generation: u64,
    /// Random, made at the start of the process: tells two apart that begin in the same millisecond.
    pub instance: [u8; 16],
}

impl Check for TenureBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
