//! How a simulated job goes: decided before it starts, from the node and the command.

use flotilla_agent_core::JobEnd;
use flotilla_protocol::capability::command::{Captured, CommandOrder, Parameter, StepResult};
use flotilla_protocol::document::{Action, Segment, Step, Template};
use flotilla_protocol::sha256;
use flotilla_protocol::status::{Outcome, StepStatus};
use std::sync::Arc;
use std::time::Duration;

/// The exit code that a result shows where there is none.
const NO_EXIT_CODE: i32 = -1;

/// Decides for a node, by its index, what becomes of a command. It is asked once for each start.
pub type Behaviour = Arc<dyn Fn(usize, &CommandOrder) -> Play + Send + Sync>;

/// What becomes of a job.
#[derive(Debug, Clone)]
pub struct Play {
    /// When it ends, after its start.
    pub after: Duration,
    /// How.
    pub end: End,
    /// What it writes to standard output. At most 24,000 bytes: a simulated node keeps no output for later.
    pub output: String,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exit(i32),
    /// Killed because it ran for too long.
    TimedOut,
    /// Only by a cancel.
    Never,
}

impl Play {
    /// A success after this time, with a line of output.
    #[must_use]
    pub fn success(after: Duration) -> Self {
        Self { after, end: End::Exit(0), output: "done\n".to_owned() }
    }

    /// Another end after this time, without output.
    #[must_use]
    pub fn end(after: Duration, end: End) -> Self {
        Self { after, end, output: String::new() }
    }
}

/// The script of a command's first step; empty when it runs none.
#[must_use]
pub fn script_of(command: &CommandOrder) -> String {
    let Some(Ok(Action::RunShellScript(script))) = command.plan.steps.first().map(Step::action) else { return String::new() };
    let lines: Vec<String> = script.run_command.iter().flat_map(|line| filled(line, &command.parameters)).collect();
    lines.join("\n")
}

/// A line that is a list parameter and nothing else becomes as many lines as the list has.
fn filled(line: &Template, parameters: &[Parameter]) -> Vec<String> {
    let [Segment::Parameter(index)] = line.0.as_slice() else { return vec![line.fill(parameters)] };
    match parameters.get(usize::from(*index)).and_then(|parameter| parameter.value.list.clone()) {
        Some(lines) => lines,
        None => vec![line.fill(parameters)],
    }
}

/// The end of a job as the core takes it: the first step has the play's end, and the others follow from it.
pub(super) fn job_end(command: &CommandOrder, play: &Play, cancelled: bool, started_ms: u64, ended_ms: u64) -> JobEnd {
    let (outcome, first, exit_code) = match play.end {
        _ if cancelled => (Outcome::Cancelled, StepStatus::Cancelled, NO_EXIT_CODE),
        End::Exit(0) => (Outcome::Succeeded, StepStatus::Succeeded, 0),
        End::Exit(code) => (Outcome::Failed, StepStatus::Failed, code),
        End::TimedOut | End::Never => (Outcome::TimedOut, StepStatus::TimedOut, NO_EXIT_CODE),
    };
    let steps = command.plan.steps.iter().enumerate().map(|(index, step)| {
        let runs = index == 0 || outcome == Outcome::Succeeded;
        StepResult {
            name: step.name.clone(),
            status: if runs { first } else { StepStatus::NotRun },
            exit_code: if runs { exit_code } else { NO_EXIT_CODE },
            started_ms: runs.then_some(started_ms),
            ended_ms: runs.then_some(ended_ms),
            stdout: captured(if index == 0 { play.output.as_bytes() } else { &[] }),
            stderr: captured(&[]),
        }
    });
    JobEnd { outcome, explanation: String::new(), steps: steps.collect() }
}

fn captured(bytes: &[u8]) -> Captured {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Captured { written_bytes: length, kept_bytes: length, sha256: sha256(&[bytes]), head: bytes.to_vec() }
}
