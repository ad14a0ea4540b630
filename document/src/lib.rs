//! SSM documents: named texts that say what a command does, with typed parameters, and steps that use them.
//!
//! A text is read into a [`Document`] that cannot be wrong ([`Document::parse`]). [`compile`] makes of it, and of the values that a command
//! gives, the plan that is signed and sent. Nothing here does any input or output, and whatever a text holds, reading it ends in one of the
//! two: the bridge reads what operators send, and the command line checks files before they are sent.
//!
//! To add a plugin: its inputs in `model.rs`, a line in `content.rs`, in `compile.rs` and in `plugin.rs`. To add a built-in document: its file
//! in `builtin/` and a line in `builtin.rs`.

pub mod builtin;
mod compile;
mod content;
mod lint;
mod model;
mod parameter;
mod place;
mod plugin;
mod secret;
mod template;

pub use compile::{CompileError, Compiled, Library, Reference, compile};
pub use content::{ContentError, Format, MAXIMUM_CONTENT_BYTES};
pub use lint::{Finding, MAXIMUM_FINDINGS, Severity, lint};
pub use model::{
    Action, ControlInputs, DockerInputs, Document, DocumentInputs, DownloadInputs, Interpolation, InventoryInputs, Lines, Number,
    ParameterDefinition, ParameterType, Schema, ShellInputs, Step,
};
pub use parameter::ParameterError;
pub use place::Fault;
pub use secret::{MASK, Secret};
