//! The contract as others see it: golden messages, hostile messages, and properties that hold for any bytes.
#![cfg(test)]

mod crossings;
mod document;
mod field_swaps;
mod fixture;
mod golden;
mod hostile;
mod messages;
mod properties;
mod quorum;
mod rule_attacks;
mod trust_attacks;
mod vectors;
mod world;
