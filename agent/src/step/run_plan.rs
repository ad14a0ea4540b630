//! `aws:runDocument`: the steps of another document, as one step of this one. They share its output files; preconditions, control and exit
//! codes among them end the inner document only, and its result is the step's. A reboot that one of them asks for is the whole command's.

use flotilla_protocol::document::Plan;
use flotilla_protocol::status::{Outcome, StepStatus};

use super::control::{EXIT_REBOOT, Flow};
use super::{Ending, NO_EXIT_CODE, launch::STOPPED_EXIT_CODE, run_within};
use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::spec::Level;
use crate::job::{aggregate, explain};

/// Exit code of a step whose document failed.
const FAILED_EXIT_CODE: i32 = 1;

/// Runs the steps in their order, after a reboot from the one that asked for it on.
pub(crate) async fn apply(plan: &Plan, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    let before = if host.within.is_empty() { None } else { Some(host.within.remove(0)) };
    let first = before.as_ref().map_or(0, |before| usize::from(before.step));
    let (mut flow, mut statuses, mut explanation) = match before {
        Some(Level { ended_by, statuses, explanation, .. }) => (Flow::of(plan).after(first, ended_by), statuses, explanation),
        None => (Flow::of(plan), Vec::with_capacity(plan.steps.len()), String::new()),
    };
    let outer_prefix = host.prefix.clone();
    let mut captures = Some(captures);
    for (index, step) in (0_u16..).zip(&plan.steps).skip(first) {
        if host.stop.requested() {
            statuses.push(StepStatus::NotRun);
            continue;
        }
        let Some(files) = captures.take() else { break };
        host.prefix = format!("{outer_prefix}{index}.");
        // In a box, since a plan may hold plans; the order's check bounds how deep.
        let ending = Box::pin(run_within(step, &mut flow, host, files)).await;
        captures = ending.captures;
        if let Some(within) = &mut host.asks_reboot {
            within.insert(0, Level { step: index, ended_by: flow.into_ended_by(), statuses, explanation });
            host.prefix = outer_prefix;
            return Ending { status: StepStatus::Failed, exit_code: EXIT_REBOOT, explanation: None, captures };
        }
        statuses.push(ending.status);
        if let Some(why) = ending.explanation {
            explain(&mut explanation, &step.name, &why);
        }
    }
    host.prefix = outer_prefix;
    let (status, exit_code) = match aggregate(statuses.into_iter(), host.stop.requested()) {
        Outcome::Succeeded => (StepStatus::Succeeded, 0),
        Outcome::TimedOut => (StepStatus::TimedOut, STOPPED_EXIT_CODE),
        Outcome::Cancelled => (StepStatus::Cancelled, STOPPED_EXIT_CODE),
        Outcome::Failed => (StepStatus::Failed, FAILED_EXIT_CODE),
        Outcome::Interrupted | Outcome::Expired => (StepStatus::Failed, NO_EXIT_CODE),
    };
    Ending { status, exit_code, explanation: Some(explanation).filter(|text| !text.is_empty()), captures }
}
