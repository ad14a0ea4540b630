//! A compiled document: what is left of an SSM document when the bridge has parsed, validated and compiled it.
//!
//! Text that held `{{ name }}` became a template, a list of segments that name parameters by index, and the node fills the
//! parameters in. So what was signed shows the document and the values apart, and a value can never become syntax.

pub mod docker;
pub mod download;

use self::docker::RunDockerAction;
use self::download::DownloadContent;
use crate::capability::command::{MAXIMUM_NAME_BYTES, MAXIMUM_STEPS, Parameter};
use crate::capability::inventory;
use crate::wire::{Check, DecodeError, Payload, decode, encode, limit};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most lines of one script.
pub const MAXIMUM_LINES: usize = 4096;
/// Most variables of one step's environment.
pub const MAXIMUM_ENVIRONMENT: usize = 256;
/// Shortest and longest time that a step may run, in seconds (AWS: executionTimeout).
pub const TIMEOUT_S: core::ops::RangeInclusive<u32> = 5..=172_800;

/// Deepest nesting of plans: a document that runs a document that runs a document.
pub const MAXIMUM_DEPTH: usize = 3;
/// Most preconditions of a step; SSM has one operator, and a document that names others fails its step.
pub const MAXIMUM_PRECONDITIONS: usize = 8;
/// Longest text for people in a plan, in bytes.
pub const MAXIMUM_TEXT_BYTES: usize = 1024;

/// The steps in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// At least one.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its document.
    pub name: String,
    /// All must hold, else the step is skipped; one that has no meaning fails the step. At most [`MAXIMUM_PRECONDITIONS`].
    pub preconditions: Vec<Precondition>,
    /// What its end means for the steps after it.
    pub control: Control,
    /// What it does: a kind of [`Action`].
    pub action: Payload,
}

/// A precondition of a step, judged by the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// As the document has it, or what is wrong with it; for people, without values. At most [`MAXIMUM_TEXT_BYTES`].
    pub text: String,
    /// When it holds.
    pub test: Test,
}

/// When a precondition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// The node's platform has this name, in any case: `Linux`, `Windows` or `MacOS`.
    Platform(String),
    /// The two are the same text after the parameters were filled in.
    Equal(Template, Template),
    /// It has no meaning: the step fails.
    Malformed,
}

/// What the end of a step means for the steps after it. Those that are passed over are skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What follows its failure.
    pub on_failure: OnFailure,
    /// Whether its success ends the document.
    pub exit_on_success: bool,
    /// It runs whatever ended the document before it; only the last step of a plan may say so.
    pub finally: bool,
}

/// What follows the failure of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The next step.
    #[default]
    Continue,
    /// The end of the document, failed.
    Exit,
    /// The end of the document; the step counts as succeeded.
    SuccessAndExit,
}

impl Step {
    /// A step without preconditions and control.
    #[must_use]
    pub fn new(name: impl Into<String>, action: &Action) -> Self {
        Self { name: name.into(), preconditions: Vec::new(), control: Control::default(), action: action.encode() }
    }

    /// The action as a type.
    ///
    /// # Errors
    /// An action of a known kind that is malformed. An unknown kind is [`Action::Unsupported`].
    pub fn action(&self) -> Result<Action, DecodeError> {
        match self.action.kind {
            1 => decode(&self.action.body).map(Action::RunShellScript),
            2 => decode(&self.action.body).map(Action::RunPowerShellScript),
            3 => decode(&self.action.body).map(Action::RunPlan),
            4 => decode(&self.action.body).map(Action::Refuse),
            5 => decode(&self.action.body).map(Action::DownloadContent),
            6 => decode(&self.action.body).map(Action::RunDockerAction),
            7 => decode(&self.action.body).map(Action::SoftwareInventory),
            kind => Ok(Action::Unsupported(kind)),
        }
    }

    /// How long it may run at a time, in seconds, the steps of a document within it added up; the longest time for a step that this build
    /// cannot read.
    #[must_use]
    pub fn time_out_s(&self) -> u32 {
        match self.action() {
            Ok(Action::RunShellScript(script) | Action::RunPowerShellScript(script)) => script.timeout_s,
            Ok(Action::DownloadContent(download)) => download.timeout_s,
            Ok(Action::RunDockerAction(docker)) => docker.timeout_s,
            Ok(Action::RunPlan(plan)) => plan.steps.iter().map(Self::time_out_s).fold(0, u32::saturating_add),
            Ok(Action::Refuse(_) | Action::SoftwareInventory(_)) => 0,
            Ok(Action::Unsupported(_)) | Err(_) => *TIMEOUT_S.end(),
        }
    }
}

/// What a step does. THE LIST for the node is `agent/src/step`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `aws:runShellScript`
    RunShellScript(RunShellScript),
    /// `aws:runPowerShellScript`: the same, for `pwsh`.
    RunPowerShellScript(RunShellScript),
    /// `aws:runDocument`: the steps of another document as one step, whose output they share.
    RunPlan(Plan),
    /// A plugin that is known and cannot be run: the step fails.
    Refuse(Refuse),
    /// `aws:downloadContent`
    DownloadContent(DownloadContent),
    /// `aws:runDockerAction`
    RunDockerAction(RunDockerAction),
    /// `aws:softwareInventory`
    SoftwareInventory(SoftwareInventory),
    /// A kind that this build does not know.
    Unsupported(u16),
}

impl Action {
    /// Writes an action with its kind.
    #[must_use]
    pub fn encode(&self) -> Payload {
        match self {
            Self::RunShellScript(script) => Payload { kind: 1, body: encode(script) },
            Self::RunPowerShellScript(script) => Payload { kind: 2, body: encode(script) },
            Self::RunPlan(plan) => Payload { kind: 3, body: encode(plan) },
            Self::Refuse(refuse) => Payload { kind: 4, body: encode(refuse) },
            Self::DownloadContent(download) => Payload { kind: 5, body: encode(download) },
            Self::RunDockerAction(docker) => Payload { kind: 6, body: encode(docker) },
            Self::SoftwareInventory(inventory) => Payload { kind: 7, body: encode(inventory) },
            Self::Unsupported(kind) => Payload { kind: *kind, body: Vec::new() },
        }
    }
}

/// `aws:runShellScript`: the lines as one script for `/bin/sh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunShellScript {
    /// The lines; one that is a list parameter and nothing else becomes as many lines as the list has.
    pub run_command: Vec<Template>,
    /// Where it runs; the job's own folder when absent or empty.
    pub working_directory: Option<Template>,
    /// Environment variables by name.
    pub environment: BTreeMap<String, Template>,
    /// How long it may run, in [`TIMEOUT_S`].
    pub timeout_s: u32,
}

/// `aws:softwareInventory`: when the command is over the node gathers its inventory, and says these types whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftwareInventory {
    /// Names of types, such as `AWS:Application`, and [`CUSTOM_TYPES`]; what the node's own settings do not gather is not gathered. At most
    /// [`MAXIMUM_TYPES`](crate::capability::inventory::MAXIMUM_TYPES).
    pub types: Vec<String>,
}

/// Stands for all types of a site's own.
pub const CUSTOM_TYPES: &str = "Custom:*";

impl Check for SoftwareInventory {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.types.len() <= inventory::MAXIMUM_TYPES, "the number of inventory types")?;
        let is_name = |name: &String| name == CUSTOM_TYPES || inventory::is_type_name(name);
        limit(self.types.iter().all(is_name), "the name of an inventory type")
    }
}

/// A plugin of SSM that is not run, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuse {
    /// A sentence that names the plugin. At most [`MAXIMUM_TEXT_BYTES`].
    pub why: String,
}

/// Text with places for parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template(pub Vec<Segment>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Segment {
    /// Text as it is.
    Text(String),
    /// The parameter at this index of the order's list.
    Parameter(u16),
    /// The secret parameter at this index of the order's list: the value there is empty, and the node has it from its node data
    /// ([`crate::secret`]). Only a script may name one, in its lines and in its environment.
    Secret(u16),
}

/// The value of a parameter, in the two forms that templates need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The form inside other text: a string as it is, everything else as JSON.
    pub text: String,
    /// The elements, for a StringList.
    pub list: Option<Vec<String>>,
}

impl Value {
    /// A string.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Self { text: text.into(), list: None }
    }
}

impl Template {
    /// A template of plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(alloc::vec![Segment::Text(text.into())])
    }

    /// The text with the parameters filled in, in a single pass: a value that looks like a template stays as it is.
    #[must_use]
    pub fn fill(&self, parameters: &[Parameter]) -> String {
        self.pieces(parameters).collect()
    }

    /// The same where it has at most `maximum` bytes, found without making it: a template of a few kilobytes that names a large parameter often
    /// would fill the memory.
    #[must_use]
    pub fn fill_within(&self, parameters: &[Parameter], maximum: usize) -> Option<String> {
        let length = self.pieces(parameters).map(str::len).fold(0, usize::saturating_add);
        (length <= maximum).then(|| self.fill(parameters))
    }

    /// How many bytes the lines of the template have at most, each with its end, without making them.
    #[must_use]
    pub fn filled_length(&self, parameters: &[Parameter]) -> usize {
        let lines = match self.0.as_slice() {
            [Segment::Parameter(index)] => parameters.get(usize::from(*index)).and_then(|parameter| parameter.value.list.as_ref()),
            _ => None,
        };
        let of_lines = lines.into_iter().flatten().map(|line| line.len() + 1).fold(0, usize::saturating_add);
        self.pieces(parameters).map(str::len).fold(1, usize::saturating_add).max(of_lines)
    }

    /// Whether two templates become the same text, without making it.
    #[must_use]
    pub fn fills_as(&self, other: &Self, parameters: &[Parameter]) -> bool {
        self.pieces(parameters).flat_map(str::bytes).eq(other.pieces(parameters).flat_map(str::bytes))
    }

    fn pieces<'a>(&'a self, parameters: &'a [Parameter]) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|segment| match segment {
            Segment::Text(text) => text.as_str(),
            Segment::Parameter(index) | Segment::Secret(index) => {
                parameters.get(usize::from(*index)).map_or("", |parameter| &parameter.value.text)
            }
        })
    }

    /// The lines that the template stands for: the elements of a list parameter that stands alone, else the one filled text.
    #[must_use]
    pub fn fill_lines(&self, parameters: &[Parameter]) -> Vec<String> {
        if let [Segment::Parameter(index)] = self.0.as_slice()
            && let Some(list) = parameters.get(usize::from(*index)).and_then(|parameter| parameter.value.list.as_ref())
        {
            return list.clone();
        }
        alloc::vec![self.fill(parameters)]
    }

    /// The secrets that the template names.
    pub fn secrets(&self) -> impl Iterator<Item = u16> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Secret(index) => Some(*index),
            Segment::Text(_) | Segment::Parameter(_) => None,
        })
    }

    /// Checks a template of what is no secret.
    fn check(&self, parameters: usize) -> Result<(), DecodeError> {
        limit(self.secrets().next().is_none(), "the place of a secret")?;
        self.check_with_secrets(parameters)
    }

    fn check_with_secrets(&self, parameters: usize) -> Result<(), DecodeError> {
        let known = |segment: &Segment| match segment {
            Segment::Text(_) => true,
            Segment::Parameter(index) | Segment::Secret(index) => usize::from(*index) < parameters,
        };
        limit(self.0.iter().all(known), "a parameter's index in a template")
    }
}

impl RunShellScript {
    fn check_parameters(&self, parameters: usize) -> Result<(), DecodeError> {
        self.working_directory.iter().try_for_each(|template| template.check(parameters))?;
        self.templates_for_secrets().try_for_each(|template| template.check_with_secrets(parameters))
    }

    /// The templates that may name secrets.
    fn templates_for_secrets(&self) -> impl Iterator<Item = &Template> {
        self.run_command.iter().chain(self.environment.values())
    }
}

impl Check for RunShellScript {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.run_command.len() <= MAXIMUM_LINES, "the number of lines of a script")?;
        limit(self.environment.len() <= MAXIMUM_ENVIRONMENT, "the environment of a step")?;
        let named = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        limit(self.environment.keys().all(named), "the name of an environment variable")?;
        limit(TIMEOUT_S.contains(&self.timeout_s), "the time-out of a step")
    }
}

impl Check for Plan {
    /// What can be said without the parameters.
    fn check(&self) -> Result<(), DecodeError> {
        limit((1..=MAXIMUM_STEPS).contains(&self.steps.len()), "the number of steps")
    }
}

impl Check for Refuse {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.why.len() <= MAXIMUM_TEXT_BYTES, "the reason of a refusal")
    }
}

impl Precondition {
    fn check_parameters(&self, parameters: usize) -> Result<(), DecodeError> {
        limit(self.text.len() <= MAXIMUM_TEXT_BYTES, "the text of a precondition")?;
        match &self.test {
            Test::Platform(name) => limit(name.len() <= MAXIMUM_TEXT_BYTES, "the platform of a precondition"),
            Test::Equal(left, right) => [left, right].into_iter().try_for_each(|template| template.check(parameters)),
            Test::Malformed => Ok(()),
        }
    }
}

impl Plan {
    /// The secrets that the plan names, those of plans in it included: indices in the order's list of parameters.
    ///
    /// # Errors
    /// A step that cannot be read.
    pub fn secrets(&self) -> Result<BTreeSet<u16>, DecodeError> {
        let mut named = BTreeSet::new();
        for step in &self.steps {
            match step.action()? {
                Action::RunShellScript(script) | Action::RunPowerShellScript(script) => {
                    named.extend(script.templates_for_secrets().flat_map(Template::secrets));
                }
                Action::RunPlan(plan) => named.extend(plan.secrets()?),
                // Their check refuses secrets.
                Action::DownloadContent(_)
                | Action::RunDockerAction(_)
                | Action::SoftwareInventory(_)
                | Action::Refuse(_)
                | Action::Unsupported(_) => {}
            }
        }
        Ok(named)
    }

    /// Checks the plan's limits, those of the plans in it, and that every template names one of `parameters` parameters.
    ///
    /// # Errors
    /// [`DecodeError::BeyondLimit`] names the member, [`DecodeError::Malformed`] stands for an action that cannot be read.
    pub fn check(&self, parameters: usize) -> Result<(), DecodeError> {
        self.check_to_depth(parameters, MAXIMUM_DEPTH)
    }

    fn check_to_depth(&self, parameters: usize, depth: usize) -> Result<(), DecodeError> {
        let below = depth.checked_sub(1).ok_or(DecodeError::BeyondLimit("the depth of plans"))?;
        Check::check(self)?;
        for (index, step) in self.steps.iter().enumerate() {
            limit((1..=MAXIMUM_NAME_BYTES).contains(&step.name.len()), "the name of a step")?;
            limit(step.preconditions.len() <= MAXIMUM_PRECONDITIONS, "the number of preconditions")?;
            step.preconditions.iter().try_for_each(|precondition| precondition.check_parameters(parameters))?;
            limit(!step.control.finally || index + 1 == self.steps.len(), "the place of a final step")?;
            match step.action()? {
                Action::RunShellScript(script) | Action::RunPowerShellScript(script) => script.check_parameters(parameters)?,
                Action::RunPlan(plan) => plan.check_to_depth(parameters, below)?,
                Action::DownloadContent(download) => download.check_parameters(parameters)?,
                Action::RunDockerAction(docker) => docker.check_parameters(parameters)?,
                Action::SoftwareInventory(_) | Action::Refuse(_) | Action::Unsupported(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;

    #[test]
    fn values_are_filled_in_once_and_lists_become_lines() {
        let parameters = vec![
            Parameter { name: "name".into(), value: Value::string("{{ name }}; $(reboot)") },
            Parameter { name: "lines".into(), value: Value { text: "[\"a\",\"b\"]".into(), list: Some(vec!["a".into(), "b".into()]) } },
        ];
        let inside = Template(vec![Segment::Text("echo ".into()), Segment::Parameter(0)]);
        assert_eq!(inside.fill(&parameters), "echo {{ name }}; $(reboot)");
        let length = inside.fill(&parameters).len();
        assert_eq!(
            (inside.fill_within(&parameters, length), inside.fill_within(&parameters, length - 1)),
            (Some(inside.fill(&parameters)), None)
        );
        assert_eq!(inside.filled_length(&parameters), length + 1);
        assert!(inside.fills_as(&Template::text(inside.fill(&parameters)), &parameters));
        assert!(!inside.fills_as(&Template::text("echo"), &parameters) && !Template::text("echo").fills_as(&inside, &parameters));
        let bomb = Template(vec![Segment::Parameter(0); 1 << 20]);
        assert!(bomb.filled_length(&parameters) > 1 << 20 && bomb.fill_within(&parameters, 1 << 20).is_none());
        assert_eq!(Template(vec![Segment::Parameter(1)]).fill_lines(&parameters), ["a", "b"]);
        let beside = Template(vec![Segment::Text("x".into()), Segment::Parameter(1)]);
        assert_eq!(beside.fill_lines(&parameters), ["x[\"a\",\"b\"]".to_string()]);
    }

    #[test]
    fn a_template_that_names_a_missing_parameter_is_refused() {
        let script = RunShellScript {
            run_command: vec![Template(vec![Segment::Parameter(1)])],
            working_directory: None,
            environment: BTreeMap::new(),
            timeout_s: 60,
        };
        let plan = Plan { steps: vec![Step::new("s", &Action::RunShellScript(script))] };
        assert!(plan.check(1).is_err());
        assert!(plan.check(2).is_ok());
        let nested = Plan { steps: vec![Step::new("outer", &Action::RunPlan(plan))] };
        assert!(nested.check(1).is_err(), "the parameters are those of the whole order");
        assert!(nested.check(2).is_ok());
    }

    #[test]
    fn secrets_stand_in_scripts_and_their_environment_alone() {
        let secret = || Template(vec![Segment::Text("x ".into()), Segment::Secret(1)]);
        let script = |run_command, working_directory, environment| {
            let environment = BTreeMap::from([("A".into(), environment)]);
            Action::RunShellScript(RunShellScript { run_command: vec![run_command], working_directory, environment, timeout_s: 60 })
        };
        let plan = |action: &Action| Plan { steps: vec![Step::new("s", action)] };
        let plain = || Template::text("x");
        for action in [script(secret(), None, plain()), script(plain(), None, secret())] {
            let plan = plan(&action);
            assert_eq!((plan.check(2), plan.secrets()), (Ok(()), Ok([1].into())));
            assert!(plan.check(1).is_err(), "the parameters end before it");
            let outer = Plan { steps: vec![Step::new("outer", &Action::RunPlan(plan))] };
            assert_eq!((outer.check(2), outer.secrets()), (Ok(()), Ok([1].into())));
        }
        let refused = Err(DecodeError::BeyondLimit("the place of a secret"));
        assert_eq!(plan(&script(plain(), Some(secret()), plain())).check(2), refused);
        let docker = RunDockerAction {
            action: docker::DockerAction::Ps,
            container: None,
            image: None,
            cmd: None,
            memory: None,
            cpu_shares: None,
            volume: Vec::new(),
            env: Some(secret()),
            user: None,
            publish: None,
            working_directory: None,
            timeout_s: 60,
        };
        assert_eq!(plan(&Action::RunDockerAction(docker)).check(2), refused);
        let source = download::Source::S3(download::S3Source { path: secret(), sha256: None });
        assert_eq!(plan(&Action::DownloadContent(DownloadContent { source, destination_path: None, timeout_s: 60 })).check(2), refused);
        let precondition = Precondition { text: "t".into(), test: Test::Equal(secret(), plain()) };
        assert_eq!(Plan { steps: vec![Step { preconditions: vec![precondition], ..refusing() }] }.check(2), refused);
    }

    fn refusing() -> Step {
        Step::new("s", &Action::Refuse(Refuse { why: "aws:psModule is for Windows".into() }))
    }

    #[test]
    fn plans_in_plans_end_at_a_depth() {
        let mut plan = Plan { steps: vec![refusing()] };
        for _ in 1..MAXIMUM_DEPTH {
            plan = Plan { steps: vec![Step::new("outer", &Action::RunPlan(plan))] };
            assert_eq!(plan.check(0), Ok(()));
        }
        let plan = Plan { steps: vec![Step::new("outer", &Action::RunPlan(plan))] };
        assert_eq!(plan.check(0), Err(DecodeError::BeyondLimit("the depth of plans")));
        let empty = Plan { steps: vec![Step::new("outer", &Action::RunPlan(Plan::default()))] };
        assert!(empty.check(0).is_err());
    }

    #[test]
    fn only_the_last_step_is_final_and_preconditions_have_limits() {
        let finally = Step { control: Control { finally: true, ..Control::default() }, ..refusing() };
        assert!(Plan { steps: vec![refusing(), finally.clone()] }.check(0).is_ok());
        assert!(Plan { steps: vec![finally, refusing()] }.check(0).is_err());
        let with = |test: Test, count: usize| {
            let precondition = Precondition { text: "t".into(), test };
            Plan { steps: vec![Step { preconditions: vec![precondition; count], ..refusing() }] }
        };
        assert!(with(Test::Malformed, MAXIMUM_PRECONDITIONS).check(0).is_ok());
        assert!(with(Test::Malformed, MAXIMUM_PRECONDITIONS + 1).check(0).is_err());
        let names_one = Test::Equal(Template::text("a"), Template(vec![Segment::Parameter(0)]));
        assert!(with(names_one.clone(), 1).check(0).is_err());
        assert!(with(names_one, 1).check(1).is_ok());
    }
}
