//! The version of contract 1.
//!
//! Version 0 is not frozen: its golden messages may change until version 1. From version 1 on: enum variants are only
//! appended, structs never change (a change is a new variant), golden messages are added and never regenerated.

/// The version that this build speaks; the third byte of every envelope.
pub const VERSION: u8 = 0;

/// The oldest version that this build still reads.
pub const OLDEST_READ: u8 = 0;
