//! The version of contract 1.
//!
//! Version 1 is frozen: enum variants are only appended, structs never change (a change is a new variant), golden messages are added and
//! never regenerated.

/// The version that this build speaks; the third byte of every envelope.
pub const VERSION: u8 = 1;

/// The oldest version that this build still reads.
pub const OLDEST_READ: u8 = 1;
