//! THE LIST of what steps of a document can do on this node.
//!
//! To add a kind of step: a file here with `plan` (pure; what will be done, printable) and `apply` (does it), and a line in
//! each `match` below. The compiler finds the places once the kind is in `flotilla_protocol::document::Action`.

pub mod control;
mod download;
pub mod download_content;
mod launch;
pub mod run_docker_action;
pub mod run_plan;
pub mod run_power_shell_script;
pub mod run_shell_script;
pub mod software_inventory;
pub mod step_process;

pub use download::DownloadError;

use std::io;
use std::path::Path;

use flotilla_protocol::document::{Action, Plan, RunShellScript, Step};
use flotilla_protocol::status::StepStatus;

use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::spec::JobSpec;
use control::{Decision, EXIT_REBOOT, Flow};
use run_shell_script::Interpreter;

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
    /// What it wrote; none when that was lost.
    pub(crate) captures: Option<[Capture; 2]>,
}

/// Runs a step, skips it, or fails it, as its document says. Whatever goes wrong is the step's failure.
pub(crate) async fn run(step: &Step, flow: &mut Flow, host: &mut Host<'_>) -> Ending {
    match host.captures() {
        Ok(captures) => run_within(step, flow, host, captures).await,
        Err(error) => {
            let why = format!("its output files cannot be made: {error}");
            let ending = Ending { status: StepStatus::Failed, exit_code: NO_EXIT_CODE, explanation: Some(why), captures: None };
            flow.ended(step.control, true, ending)
        }
    }
}

/// [`run`], with the output into files that are there already.
pub(crate) async fn run_within(step: &Step, flow: &mut Flow, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    match flow.next(step, &host.spec.parameters) {
        Decision::Run => {
            let ending = act(step, host, captures).await;
            let ending = note_reboot(step, host, ending);
            flow.ended(step.control, true, ending)
        }
        Decision::Fail(why) => {
            let ending = Ending::not_run(captures, why);
            flow.ended(step.control, false, ending)
        }
        Decision::Skip(why) => Ending::skipped(captures, &why),
    }
}

/// Takes note that a step asks for a reboot. A cancel comes before it.
fn note_reboot(step: &Step, host: &mut Host<'_>, ending: Ending) -> Ending {
    if ending.exit_code != EXIT_REBOOT || ending.status != StepStatus::Failed {
        return ending;
    }
    if host.stop.requested() {
        let why = "cancelled before the reboot that it asks for".to_owned();
        host.asks_reboot = None;
        return Ending { status: StepStatus::Cancelled, explanation: Some(why), ..ending };
    }
    tracing::info!(step = %step.name, "a step asks for a reboot");
    // A step that runs a document has said how far that has come.
    host.asks_reboot.get_or_insert_default();
    ending
}

async fn act(step: &Step, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    match step.action() {
        Ok(Action::RunShellScript(script)) => run_script(step, &script, &Interpreter::shell(), host, captures).await,
        Ok(Action::RunPowerShellScript(script)) => match run_power_shell_script::interpreter(&host.spec.tools.search_path) {
            Ok(interpreter) => run_script(step, &script, &interpreter, host, captures).await,
            Err(why) => Ending::not_run(captures, why),
        },
        Ok(Action::RunPlan(plan)) => run_plan::apply(&plan, host, captures).await,
        Ok(Action::DownloadContent(download)) => match download_content::plan(&download, host.spec) {
            Ok(plan) => {
                tracing::info!(step = %step.name, %plan, "a step begins");
                download_content::apply(plan, host, captures).await
            }
            Err(why) => Ending::not_run(captures, why),
        },
        Ok(Action::RunDockerAction(docker)) => match run_docker_action::plan(&docker, host.spec) {
            Ok(plan) => {
                tracing::info!(step = %step.name, %plan, "a step begins");
                run_docker_action::apply(&plan, host, captures).await
            }
            Err(why) => Ending::not_run(captures, why),
        },
        Ok(Action::SoftwareInventory(inventory)) => software_inventory::apply(&inventory, captures),
        Ok(Action::Refuse(refuse)) => Ending::not_run(captures, refuse.why),
        Ok(Action::Unsupported(kind)) => {
            Ending::not_run(captures, format!("this agent does not know steps of kind {kind}; update the agent"))
        }
        Err(error) => Ending::not_run(captures, format!("the step cannot be read: {error}")),
    }
}

/// Whether there are downloads in a plan.
pub(crate) fn has_downloads(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match step.action() {
        Ok(Action::DownloadContent(_)) => true,
        Ok(Action::RunPlan(plan)) => has_downloads(&plan),
        _ => false,
    })
}

/// Removes what the downloads of a plan may have left when their job was killed. Nothing of the job may run any more.
pub(crate) fn remove_leftovers(plan: &Plan, spec: &JobSpec, work: &Path) {
    for step in &plan.steps {
        match step.action() {
            Ok(Action::DownloadContent(download)) => {
                // A step that has no plan was never begun.
                if let Ok(plan) = download_content::plan(&download, spec) {
                    plan.task.leftovers(work).remove();
                }
            }
            Ok(Action::RunPlan(plan)) => remove_leftovers(&plan, spec, work),
            _ => {}
        }
    }
}

async fn run_script(
    step: &Step,
    script: &RunShellScript,
    interpreter: &Interpreter,
    host: &mut Host<'_>,
    captures: [Capture; 2],
) -> Ending {
    match run_shell_script::plan(script, host.spec) {
        Ok(plan) => {
            tracing::info!(step = %step.name, %plan, "a step begins");
            run_shell_script::apply(&plan, interpreter, host, captures).await
        }
        Err(why) => Ending::not_run(captures, why),
    }
}

impl Ending {
    /// A step that could not be run: the reason goes to its standard error, where SSM's users look.
    pub(crate) fn not_run([stdout, mut stderr]: [Capture; 2], why: String) -> Self {
        stderr.take(why.as_bytes());
        stderr.take(b"\n");
        Self { status: StepStatus::Failed, exit_code: NO_EXIT_CODE, explanation: Some(why), captures: Some([stdout, stderr]) }
    }

    /// A step that was passed over: the reason goes to its output, as in SSM.
    fn skipped([mut stdout, stderr]: [Capture; 2], why: &str) -> Self {
        stdout.take(why.as_bytes());
        stdout.take(b"\n");
        Self { status: StepStatus::Skipped, exit_code: 0, explanation: None, captures: Some([stdout, stderr]) }
    }

    /// [`Self::not_run`] for a failed system call.
    pub(crate) fn failed(captures: [Capture; 2], what: &str, error: &io::Error) -> Self {
        Self::not_run(captures, format!("{what}: {error}"))
    }
}
