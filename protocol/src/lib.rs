//! Contract 1: every message between a node and the bridge.
//!
//! This crate has no I/O, no clock and no async; it is `no_std` with `alloc` and forbids `unsafe`. A message is bytes
//! that were signed, and a signature is checked over exactly those bytes before anything in them is decoded:
//!
//! 1. [`envelope::Envelope::parse`] splits bytes into signatures and body, without reading the body;
//! 2. [`trust`] or a node key verifies the signatures;
//! 3. [`wire::decode`] turns the body into a type, refusing trailing bytes;
//! 4. the type's `check` refuses lists and texts beyond their limits.
//!
//! To add a capability, start at [`capability`]. To change a message, read [`version`] first.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

pub mod capability;
pub mod delivery;
pub mod document;
pub mod enrolment;
pub mod envelope;
pub mod hello;
pub mod id;
pub mod order;
pub mod report;
pub mod secret;
pub mod session;
pub mod signature;
pub mod status;
pub mod target;
pub mod tenure;
pub mod topic;
pub mod trust;
pub mod version;
pub mod wire;

/// SHA-256 of `parts`, one after the other. The only hash of contract 1.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
