//! What exec tells a job, and what the job tells exec.

use super::tools::Tools;
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::Plan;
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::status::{Outcome, StepStatus};
use serde::{Deserialize, Serialize};

/// What a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The order; names the folder.
    pub order: OrderId,
    /// The document's name, for the environment of the steps.
    pub document: String,
    /// The document's version, for people.
    pub document_version: String,
    /// The parameters that the plan's templates name.
    pub parameters: Vec<Parameter>,
    /// The steps.
    pub plan: Plan,
    /// How much of each stream of each step is kept, in bytes.
    pub output_limit_bytes: u64,
    /// Who runs the steps; needs a job that is root. None: the job's own user.
    pub job_user: Option<String>,
    /// The boot in which the job may start.
    pub boot: BootId,
    /// What the node's settings say to steps.
    pub tools: Tools,
    /// Why the reboot that a step asked for is not to be: that step has failed, and only a last one still runs that runs whatever came before.
    pub without_reboot: Option<String>,
}

/// What stands in `started`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The job's process id, at the same time its session; [`super::start::NOBODY`] where the start was only taken away.
    pub pid: u32,
    /// The boot in which that number meant something.
    pub boot: BootId,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Over all steps.
    pub outcome: Outcome,
    /// For people: why, where the outcome alone does not say it. At most 1,024 bytes.
    pub explanation: String,
    /// Every step of the plan, in its order; empty when the order itself could not be read.
    pub steps: Vec<JobStep>,
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStep {
    /// The step's name.
    pub name: String,
    /// How it ended.
    pub status: StepStatus,
    /// The exit code; 128 + n when signal n ended it; 137 when we stopped it, as in SSM; −1 when it could not be run; 0 when it was
    /// skipped; 168 when its failure ends the document successfully.
    pub exit_code: i32,
    /// When it began, in milliseconds since the boot; none when it was not reached.
    pub started_uptime_ms: Option<u64>,
    /// When it ended, in milliseconds since the boot; none when it was not reached.
    pub ended_uptime_ms: Option<u64>,
    /// Its standard output.
    pub stdout: CapturedFile,
    /// Its standard error.
    pub stderr: CapturedFile,
}

/// How far a job had come when a step asked for a reboot: on the disk before anybody hears of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootAsked {
    /// The step that asked, by its index from 0. It is run again after the reboot.
    pub step: u16,
    /// The step that had ended the document by then, so that only a last one still ran.
    pub ended_by: Option<String>,
    /// For people, on the steps so far.
    pub explanation: String,
    /// The steps up to and with the one that asked.
    pub steps: Vec<JobStep>,
    /// Where the step is a document that runs another: how far that had come, and those within it.
    pub within: Vec<Level>,
}

/// How far a document within a step had come when a step of it asked for a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The step that asked, by its index from 0.
    pub step: u16,
    /// The step that had ended this document by then.
    pub ended_by: Option<String>,
    /// How the steps before it ended.
    pub statuses: Vec<StepStatus>,
    /// For people, on these steps.
    pub explanation: String,
}

/// What a step wrote to one stream, and how much of it is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFile {
    /// How many bytes the step wrote.
    pub written_bytes: u64,
    /// How many of them are in the file, from the first on; fewer than written means that the output was truncated.
    pub kept_bytes: u64,
    /// SHA-256 of the kept bytes.
    pub sha256: [u8; 32],
}

impl Default for CapturedFile {
    /// A stream to which nothing was written.
    fn default() -> Self {
        Self { written_bytes: 0, kept_bytes: 0, sha256: flotilla_protocol::sha256(&[]) }
    }
}

impl JobStep {
    /// A step that was not reached.
    #[must_use]
    pub fn not_run(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: StepStatus::NotRun,
            exit_code: -1,
            started_uptime_ms: None,
            ended_uptime_ms: None,
            stdout: CapturedFile::default(),
            stderr: CapturedFile::default(),
        }
    }
}
