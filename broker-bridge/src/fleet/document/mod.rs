//! A document is a named text that says what a command does: typed parameters, and steps that use them.
//!
//! It is parsed once, when it is made, into a [`Document`] that cannot be wrong; a command compiles it, with the values that
//! were given, into the plan that is signed ([`compile`]). Documents have one version now. Those whose names begin with AWS
//! are part of the program, written by us, with the names and parameters that AWS's have.
//!
//! To add a plugin: its inputs in `model.rs`, a line in `content.rs` and in `compile.rs`. To add a built-in document: its file
//! in `builtin/` and a line in `builtin.rs`.

pub mod api;
mod builtin;
mod compile;
mod content;
mod model;
mod parameter;
mod store;
mod template;

pub use compile::{Compiled, compile};
pub use content::{ContentError, Format, MAXIMUM_CONTENT_BYTES};
pub use model::{Action, Document, Interpolation, Lines, Number, ParameterDefinition, ParameterType, ShellInputs, Step};
pub use parameter::ParameterError;
pub use store::{FindDocumentError, StoredDocument, find};
