//! `aws:runDockerAction`: its inputs as templates, and what each action needs.

use super::super::model::{DockerInputs, Document, Number, Step};
use super::super::template::{Scope, is_plain, plain_text};
use super::{CompileError, Compiler, Frame, filled, of_step, timeout_s};
use flotilla_protocol::document::docker::{DockerAction, MAXIMUM_VOLUMES, RunDockerAction};
use flotilla_protocol::document::{Segment, Template};

impl Compiler<'_> {
    pub(super) fn docker(&self, frame: &Frame<'_>, step: &Step, inputs: &DockerInputs) -> Result<RunDockerAction, CompileError> {
        let scope = Scope::of_data(frame.document, frame.first);
        let fault = |message| of_step(step, message);
        let action = filled(&scope.split(&inputs.action), &self.parameters).and_then(|text| read_action(&text)).map_err(fault)?;
        // What is too long is refused on the node, and is not empty.
        let has_text = |text: &String| filled(&scope.split(text), &self.parameters).map_or(true, |text| !text.trim().is_empty());
        check_needs(action, |name| input(inputs, name).as_ref().is_some_and(has_text)).map_err(fault)?;
        let text = |text: &Option<String>| text.as_deref().map(|text| scope.split(text));
        let number = |number: &Option<Number>| number.as_ref().map(|number| scope.split(&number.text()));
        let volume: Vec<Template> = inputs.volume.iter().flat_map(|lines| lines.as_slice()).map(|line| scope.split(line)).collect();
        let volumes: usize = volume.iter().map(|template| self.count_lines(template)).sum();
        if volumes > MAXIMUM_VOLUMES {
            return Err(fault(format!("volume has {volumes} elements; at most {MAXIMUM_VOLUMES} are allowed")).into());
        }
        Ok(RunDockerAction {
            action,
            container: text(&inputs.container),
            image: text(&inputs.image),
            cmd: text(&inputs.cmd),
            memory: number(&inputs.memory),
            cpu_shares: number(&inputs.cpu_shares),
            volume,
            env: text(&inputs.env),
            user: number(&inputs.user),
            publish: number(&inputs.publish),
            working_directory: text(&inputs.working_directory),
            timeout_s: timeout_s(&scope, step, inputs.timeout_seconds.as_ref(), &self.parameters)?,
        })
    }

    /// How many lines a template becomes on the node.
    pub(super) fn count_lines(&self, template: &Template) -> usize {
        match template.0.as_slice() {
            [Segment::Parameter(index)] => {
                let list = self.parameters.get(usize::from(*index)).and_then(|parameter| parameter.value.list.as_ref());
                list.map_or(1, Vec::len)
            }
            _ => 1,
        }
    }
}

/// What can be known before values are given.
pub(super) fn check(document: &Document, inputs: &DockerInputs) -> Result<(), (&'static str, String)> {
    let scope = Scope::of_data(document, 0);
    let action = scope.split(&inputs.action);
    if is_plain(&action) {
        let action = read_action(&plain_text(&action)).map_err(|what| ("action", what))?;
        check_needs(action, |name| input(inputs, name).as_deref().is_some_and(|text| !text.is_empty())).map_err(|what| ("action", what))?;
    }
    let volumes = inputs.volume.as_ref().map_or(0, |lines| lines.as_slice().len());
    if volumes > MAXIMUM_VOLUMES {
        return Err(("volume", format!("it has {volumes} elements; at most {MAXIMUM_VOLUMES} are allowed")));
    }
    Ok(())
}

fn read_action(text: &str) -> Result<DockerAction, String> {
    DockerAction::named(text).ok_or_else(|| {
        let names: Vec<&str> = DockerAction::ALL.iter().map(|action| action.name()).collect();
        format!("action is {text:?}; it is one of {}", names.join(", "))
    })
}

fn input<'a>(inputs: &'a DockerInputs, name: &str) -> &'a Option<String> {
    match name {
        "image" => &inputs.image,
        "cmd" => &inputs.cmd,
        _ => &inputs.container,
    }
}

/// Source: "Action %s requires parameter %s" of the public agent.
fn check_needs(action: DockerAction, has: impl Fn(&str) -> bool) -> Result<(), String> {
    let needed: &[&str] = match action {
        DockerAction::Create | DockerAction::Run | DockerAction::Pull | DockerAction::Rmi => &["image"],
        DockerAction::Start | DockerAction::Stop | DockerAction::Rm | DockerAction::Logs => &["container"],
        DockerAction::Exec => &["container", "cmd"],
        DockerAction::Inspect if !has("container") && !has("image") => {
            return Err("the action Inspect needs the input container or image".to_owned());
        }
        DockerAction::Inspect | DockerAction::Ps | DockerAction::Stats | DockerAction::Images => &[],
    };
    match needed.iter().find(|name| !has(name)) {
        Some(missing) => Err(format!("the action {} needs the input {missing}", action.name())),
        None => Ok(()),
    }
}
