//! A document is a named text that says what a command does: typed parameters, and steps that use them.
//!
//! It is parsed once, when it is made, into a [`Document`] that cannot be wrong; a command compiles it, with the values that
//! were given, into the plan that is signed ([`prepare`], [`compile`]). Its versions never change; one of them is the default. Those whose
//! names begin with AWS are part of the program, written by us, with the names and parameters that AWS's have.
//!
//! To add a plugin: its inputs in `model.rs`, a line in `content.rs`, in `compile.rs` and in `plugin.rs`. To add a built-in document: its file
//! in `builtin/` and a line in `builtin.rs`.

pub mod api;
mod builtin;
mod compile;
mod content;
mod model;
mod parameter;
mod place;
mod plugin;
mod prepare;
mod store;
mod template;
mod version;

pub use compile::{CompileError, Compiled, Library, Reference, compile};
pub use content::{ContentError, Format, MAXIMUM_CONTENT_BYTES};
pub use model::{
    Action, ControlInputs, Document, DocumentInputs, Interpolation, Lines, Number, ParameterDefinition, ParameterType, Schema, ShellInputs,
    Step,
};
pub use parameter::ParameterError;
pub use place::Fault;
pub use prepare::{PrepareError, prepare};
pub use store::{FindDocumentError, StoredDocument, find, sha1};
