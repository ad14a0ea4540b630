//! A document is a named text that says what a command does: typed parameters, and steps that use them.
//!
//! The crate `flotilla-document` reads and compiles it. Here it is kept, in versions that never change, of which one is the default, and made
//! ready for a command together with the documents that its steps run ([`prepare`]). Those whose names begin with AWS are part of the
//! program, written by us, with the names and parameters that AWS's have.

pub mod api;
mod prepare;
mod store;
mod version;

pub use prepare::{PrepareError, prepare};
pub use store::{FindDocumentError, StoredDocument, find, find_text, sha1};
