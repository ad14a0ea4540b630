//! Run Command: a compiled document that goes down, progress and one outcome that come up.

use crate::document::{Plan, Value};
use crate::id::OrderId;
use crate::status::{Outcome, StepStatus};
use crate::wire::{Check, DecodeError, bytes, limit};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most parameters of a document (AWS: 200).
pub const MAXIMUM_PARAMETERS: usize = 200;
/// Most steps of a document.
pub const MAXIMUM_STEPS: usize = 64;
/// Longest name of a document, step or parameter, in bytes.
pub const MAXIMUM_NAME_BYTES: usize = 128;
/// Bytes of standard output that a result itself carries (SSM shows 24,000 characters of it).
pub const RESULT_STDOUT_BYTES: usize = 24_000;
/// Bytes of standard error that a result itself carries (SSM shows 8,000 characters of it).
pub const RESULT_STDERR_BYTES: usize = 8_000;
/// Longest explanation for people, in bytes.
pub const MAXIMUM_EXPLANATION_BYTES: usize = 1024;

/// The order to run a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOrder {
    /// The document's name, for people and for the job's environment.
    pub document: String,
    /// The document's version, for people.
    pub document_version: String,
    /// The parameters as data: never spliced into text before the node does it.
    pub parameters: Vec<Parameter>,
    /// The steps.
    pub plan: Plan,
}

/// A parameter by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// `[a-zA-Z0-9]+`
    pub name: String,
    /// Its value after defaults were applied.
    pub value: Value,
}

impl Check for CommandOrder {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.document.len() <= MAXIMUM_NAME_BYTES, "the name of a document")?;
        limit(self.document_version.len() <= MAXIMUM_NAME_BYTES, "the version of a document")?;
        limit(self.parameters.len() <= MAXIMUM_PARAMETERS, "the number of parameters")?;
        for parameter in &self.parameters {
            limit(parameter.name.len() <= MAXIMUM_NAME_BYTES, "the name of a parameter")?;
        }
        self.plan.check(self.parameters.len())
    }
}

/// A command has begun: the node has durably recorded that it starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandProgress {
    /// The command.
    pub order: OrderId,
}

impl Check for CommandProgress {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A step of a command has asked for a reboot (exit code 194): the node has durably recorded that it reboots and where it goes on. Once it goes
/// on, it says [`CommandProgress`] again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRebooting {
    /// The command.
    pub order: OrderId,
    /// The step that asked, by its index from 0.
    pub step: u16,
    /// How many reboots the command has asked for on this node, this one included: from 1.
    pub count: u16,
}

impl Check for CommandRebooting {
    fn check(&self) -> Result<(), DecodeError> {
        limit(usize::from(self.step) < MAXIMUM_STEPS, "the step of a reboot")?;
        limit(self.count > 0, "the count of a reboot")
    }
}

/// The one signed outcome of a command on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// The command.
    pub order: OrderId,
    /// How it ended.
    pub outcome: Outcome,
    /// For people: why, where the outcome alone does not say it.
    pub explanation: String,
    /// The steps in their order, as far as they were reached.
    pub steps: Vec<StepResult>,
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step's name.
    pub name: String,
    /// How it ended.
    pub status: StepStatus,
    /// The exit code; −1 where there is none.
    pub exit_code: i32,
    /// When it began: trusted Unix time in milliseconds, where the node has it.
    pub started_ms: Option<u64>,
    /// When it ended: trusted Unix time in milliseconds, where the node has it.
    pub ended_ms: Option<u64>,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}

/// What a step wrote to one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// How many bytes the step wrote.
    pub written_bytes: u64,
    /// How many of them were kept, from the first on; fewer than written means that the output was truncated.
    pub kept_bytes: u64,
    /// SHA-256 of the kept bytes.
    pub sha256: [u8; 32],
    /// The first of the kept bytes: at most [`RESULT_STDOUT_BYTES`] and [`RESULT_STDERR_BYTES`] over all steps together. The rest follows
    /// in chunks ([`crate::report::OutputBody`]).
    #[serde(with = "bytes")]
    pub head: Vec<u8>,
}

impl Check for CommandResult {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.explanation.len() <= MAXIMUM_EXPLANATION_BYTES, "the explanation of a result")?;
        limit(self.steps.len() <= MAXIMUM_STEPS, "the number of steps of a result")?;
        for step in &self.steps {
            limit(step.name.len() <= MAXIMUM_NAME_BYTES, "the name of a step")?;
            limit(step.stdout.head.len() <= RESULT_STDOUT_BYTES, "the standard output of a result")?;
            limit(step.stderr.head.len() <= RESULT_STDERR_BYTES, "the standard error of a result")?;
        }
        Ok(())
    }
}
