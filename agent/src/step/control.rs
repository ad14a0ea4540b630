//! Which steps run: preconditions, step control and the exit codes that end a document.
//!
//! The rules are those of the public SSM agent (`agent/framework/runpluginutil/runpluginutil.go`). One difference: what a step wrote is never
//! changed. A step that asks for a reboot ends the job until then, see `run_within`.

use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{Control, OnFailure, Plan, Step, Test};
use flotilla_protocol::status::StepStatus;

use super::Ending;

/// A step that exits so ends the document successfully.
pub const EXIT_STOP_SUCCESS: i32 = 168;
/// A step that exits so ends the document as failed.
pub const EXIT_STOP_FAILURE: i32 = 169;
/// A step that exits so wants a reboot, and to be run again after it.
pub const EXIT_REBOOT: i32 = 194;
/// The platform of every node on which this agent runs.
const PLATFORM: &str = "Linux";

/// What is to be done with a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Run,
    /// Not run, which is no failure; why.
    Skip(String),
    /// Not run, which is a failure; why.
    Fail(String),
}

/// The way through the steps of one plan.
#[derive(Debug)]
pub(crate) struct Flow {
    steps_left: usize,
    /// The name of the step that ended the document.
    ended_by: Option<String>,
    current: String,
}

impl Flow {
    /// Before the first step of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self { steps_left: plan.steps.len(), ended_by: None, current: String::new() }
    }

    /// The same, before the step `index`: those before it are done, and `ended_by` has ended the document.
    pub(crate) fn after(self, index: usize, ended_by: Option<String>) -> Self {
        Self { steps_left: self.steps_left.saturating_sub(index), ended_by, ..self }
    }

    /// The name of the step that has ended the document.
    pub(crate) fn into_ended_by(self) -> Option<String> {
        self.ended_by
    }

    /// What is to be done with the next step.
    pub(crate) fn next(&mut self, step: &Step, parameters: &[Parameter]) -> Decision {
        self.steps_left = self.steps_left.saturating_sub(1);
        self.current.clone_from(&step.name);
        let is_finally = step.control.finally && self.steps_left == 0;
        match &self.ended_by {
            Some(name) if !is_finally => Decision::Skip(format!("skipped: the step {name} has ended the document")),
            _ => judge_preconditions(step, parameters),
        }
    }

    /// What the end of a step means for itself and for those after it. `was_run`: it was no [`Decision::Fail`].
    pub(crate) fn ended(&mut self, control: Control, was_run: bool, ending: Ending) -> Ending {
        let Judgement { status, exit_code, ends_document, note } = judge(control, was_run, ending.status, ending.exit_code);
        if ends_document {
            self.ended_by.get_or_insert_with(|| self.current.clone());
        }
        let explanation = match (ending.explanation, note) {
            (Some(why), Some(note)) => Some(format!("{why}; {note}")),
            (why, note) => why.or_else(|| note.map(str::to_owned)),
        };
        Ending { status, exit_code, explanation, ..ending }
    }
}

struct Judgement {
    status: StepStatus,
    exit_code: i32,
    ends_document: bool,
    note: Option<&'static str>,
}

/// A time-out is no failure here: neither SSM's agent nor this one ends a document for it.
fn judge(control: Control, was_run: bool, status: StepStatus, exit_code: i32) -> Judgement {
    let judged = |status, exit_code, ends_document, note| Judgement { status, exit_code, ends_document, note };
    match (status, exit_code, control.on_failure) {
        (StepStatus::Failed, EXIT_STOP_SUCCESS, _) => judged(StepStatus::Succeeded, exit_code, true, None),
        (StepStatus::Failed, EXIT_STOP_FAILURE, _) => judged(status, exit_code, true, None),
        // It is run again, and then is judged; whatever control it has.
        (StepStatus::Failed, EXIT_REBOOT, _) if was_run => judged(status, exit_code, false, None),
        (StepStatus::Failed, _, OnFailure::SuccessAndExit) if was_run => {
            let note = "it failed and counts as succeeded: onFailure is successAndExit";
            judged(StepStatus::Succeeded, EXIT_STOP_SUCCESS, true, Some(note))
        }
        (StepStatus::Failed, _, OnFailure::Exit) => judged(status, exit_code, true, None),
        (StepStatus::Succeeded, _, _) => judged(status, exit_code, control.exit_on_success, None),
        _ => judged(status, exit_code, false, None),
    }
}

/// One that does not hold wins over one that has no meaning, as in SSM's agent.
fn judge_preconditions(step: &Step, parameters: &[Parameter]) -> Decision {
    let (mut unmet, mut malformed) = (Vec::new(), Vec::new());
    for precondition in &step.preconditions {
        let holds = match &precondition.test {
            Test::Platform(name) => name.eq_ignore_ascii_case(PLATFORM),
            Test::Equal(left, right) => left.fills_as(right, parameters),
            Test::Malformed => {
                malformed.push(precondition.text.as_str());
                continue;
            }
        };
        if !holds {
            unmet.push(precondition.text.as_str());
        }
    }
    match (unmet.as_slice(), malformed.as_slice()) {
        ([], []) => Decision::Run,
        ([], malformed) => Decision::Fail(format!("its precondition has no meaning: {}", malformed.join(", "))),
        (unmet, _) => Decision::Skip(format!("skipped: its precondition does not hold: {}", unmet.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::document::{Action, Precondition, Segment, Template, Value};

    fn step(tests: Vec<Test>) -> Step {
        let preconditions = tests.into_iter().map(|test| Precondition { text: format!("{test:?}"), test }).collect();
        Step { preconditions, ..Step::new("s", &Action::Unsupported(0)) }
    }

    fn word(value: &str) -> Vec<Parameter> {
        vec![Parameter { name: "word".into(), value: Value::string(value) }]
    }

    /// Source: `evaluatePreconditions` and `getStepExecutionOperation` of the public agent.
    #[test]
    fn preconditions_are_judged_as_by_the_public_agent() {
        let platform = |name: &str| Test::Platform(name.into());
        let equal = || Test::Equal(Template(vec![Segment::Parameter(0)]), Template::text("a"));
        let judged = |tests, value| match judge_preconditions(&step(tests), &word(value)) {
            Decision::Run => "run",
            Decision::Skip(_) => "skip",
            Decision::Fail(_) => "fail",
        };
        assert_eq!(judged(vec![], ""), "run");
        for (name, expected) in [("Linux", "run"), ("LINUX", "run"), ("Windows", "skip"), ("MacOS", "skip"), ("", "skip")] {
            assert_eq!(judged(vec![platform(name)], ""), expected, "{name}");
        }
        assert_eq!(judged(vec![equal()], "a"), "run");
        assert_eq!(judged(vec![equal()], "A"), "skip");
        assert_eq!(judged(vec![Test::Malformed], ""), "fail");
        assert_eq!(judged(vec![platform("Linux"), Test::Malformed], ""), "fail");
        assert_eq!(judged(vec![Test::Malformed, platform("Windows")], ""), "skip", "unmet wins over malformed");
    }

    /// Source: `RunPlugins` and `getShouldPluginSkipBasedOnControlFlow` of the public agent.
    #[test]
    fn exit_codes_and_control_end_documents_as_in_the_public_agent() {
        use OnFailure::{Continue, Exit, SuccessAndExit};
        use StepStatus::{Failed, Succeeded, TimedOut};
        for (on_failure, exit_on_success, was_run, given, expected) in [
            (Continue, false, true, (Succeeded, 0), (Succeeded, 0, false)),
            (Continue, true, true, (Succeeded, 0), (Succeeded, 0, true)),
            (Continue, true, true, (Failed, 3), (Failed, 3, false)),
            (Continue, false, true, (Failed, 168), (Succeeded, 168, true)),
            (Continue, false, true, (Failed, 169), (Failed, 169, true)),
            (SuccessAndExit, false, true, (Failed, 169), (Failed, 169, true)),
            (Continue, false, true, (Failed, 194), (Failed, 194, false)),
            (SuccessAndExit, false, true, (Failed, 194), (Failed, 194, false)),
            (Exit, false, true, (Failed, 3), (Failed, 3, true)),
            (Exit, false, true, (Succeeded, 0), (Succeeded, 0, false)),
            (SuccessAndExit, false, true, (Failed, 3), (Succeeded, 168, true)),
            (Exit, false, true, (TimedOut, 137), (TimedOut, 137, false)),
            (SuccessAndExit, false, true, (TimedOut, 137), (TimedOut, 137, false)),
            (Exit, false, false, (Failed, -1), (Failed, -1, true)),
            (SuccessAndExit, false, false, (Failed, -1), (Failed, -1, false)),
        ] {
            let control = Control { on_failure, exit_on_success, finally: false };
            let Judgement { status, exit_code, ends_document, .. } = judge(control, was_run, given.0, given.1);
            assert_eq!((status, exit_code, ends_document), expected, "{control:?} {given:?}");
        }
    }

    /// Source: `getShouldPluginSkipBasedOnControlFlow`: a finally step runs only as the last one.
    #[test]
    fn the_final_step_runs_whatever_came_before() {
        let finally = Step { control: Control { finally: true, ..Control::default() }, ..step(vec![]) };
        let mut flow = Flow::of(&Plan { steps: vec![step(vec![]), finally.clone(), finally.clone()] });
        assert_eq!(flow.next(&step(vec![]), &[]), Decision::Run);
        let ending = Ending { status: StepStatus::Failed, exit_code: EXIT_STOP_FAILURE, explanation: None, captures: None };
        flow.ended(Control::default(), true, ending);
        assert!(matches!(flow.next(&finally, &[]), Decision::Skip(why) if why.contains("the step s")), "it is not the last");
        assert_eq!(flow.next(&finally, &[]), Decision::Run);
    }
}
