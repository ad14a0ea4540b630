//! The API through its door: real sockets, signed requests, a home and a database of its own for each test.

#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod audit;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod document_versions;
mod documentation;
mod documents_and_tags;
mod groups;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod inventory;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod notifications;
mod orders;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod output;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod pressure;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod repeated_calls;
#[expect(clippy::unwrap_used, reason = "a failing step of a test's set-up ends the test")]
mod support;
mod wire;
