//! THE LIST of what steps of a document can do on this node.
//!
//! To add a kind of step: a file here with `plan` (pure; what will be done, printable) and `apply` (does it), and a line in
//! each `match` below. The compiler finds the places once the kind is in `flotilla_protocol::document::Action`.

pub mod run_shell_script;
pub mod shell_process;

use std::io;

use flotilla_protocol::document::{Action, Step};
use flotilla_protocol::status::StepStatus;

use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::spec::CapturedFile;

/// Exit code of a step that could not be run at all.
pub const NO_EXIT_CODE: i32 = -1;

/// How a step ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) status: StepStatus,
    /// [`NO_EXIT_CODE`] where there is none.
    pub(crate) exit_code: i32,
    /// For people, where the exit code does not say it all.
    pub(crate) explanation: Option<String>,
    pub(crate) stdout: CapturedFile,
    pub(crate) stderr: CapturedFile,
}

/// Plans a step and does it. Whatever goes wrong is the step's failure.
pub(crate) async fn run(step: &Step, host: &mut Host<'_>) -> Ending {
    let captures = match host.captures() {
        Ok(captures) => captures,
        Err(error) => return Ending::without_output(format!("its output files cannot be made: {error}")),
    };
    match step.action() {
        Ok(Action::RunShellScript(script)) => match run_shell_script::plan(&script, host.spec) {
            Ok(plan) => {
                tracing::info!(step = %step.name, %plan, "a step begins");
                run_shell_script::apply(&plan, host, captures).await
            }
            Err(why) => Ending::not_run(captures, why),
        },
        Ok(Action::Unsupported(kind)) => {
            Ending::not_run(captures, format!("this agent does not know steps of kind {kind}; update the agent"))
        }
        Err(error) => Ending::not_run(captures, format!("the step cannot be read: {error}")),
    }
}

impl Ending {
    /// A step that could not be run: the reason goes to its standard error, where SSM's users look.
    pub(crate) fn not_run([stdout, mut stderr]: [Capture; 2], why: String) -> Self {
        stderr.take(why.as_bytes());
        stderr.take(b"\n");
        Self {
            status: StepStatus::Failed,
            exit_code: NO_EXIT_CODE,
            explanation: Some(why),
            stdout: stdout.finish(),
            stderr: stderr.finish(),
        }
    }

    fn without_output(why: String) -> Self {
        let (stdout, stderr) = Default::default();
        Self { status: StepStatus::Failed, exit_code: NO_EXIT_CODE, explanation: Some(why), stdout, stderr }
    }

    /// [`Self::not_run`] for a failed system call.
    pub(crate) fn failed(captures: [Capture; 2], what: &str, error: &io::Error) -> Self {
        Self::not_run(captures, format!("{what}: {error}"))
    }
}
