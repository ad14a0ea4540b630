//! An order in plain words: what a person reads before signing it. All of it comes from the bytes that are signed.

use std::collections::{BTreeMap, BTreeSet};

use flotilla_api::audit::Hex;
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{Action, Plan, RunShellScript, Step, Template};
use flotilla_protocol::trust::{Asked, RuleState};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use serde::Serialize;
use serde_json::Value;

use super::{KnownTrust, ReadOrder, now_ms};
use crate::error::CliError;
use crate::output::{Format, Output, visible};

/// Longest filled text of one step that is shown, in bytes. Whatever is longer, nobody reads; and it is told.
const MAXIMUM_SHOWN: usize = 4 * MAXIMUM_MESSAGE_BYTES;
/// Most nodes that are listed for people; JSON has all of them.
const LISTED_NODES: usize = 50;

/// What an order says, for people and programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Description {
    order_id: String,
    body_sha256: String,
    fleet: String,
    requester: String,
    class: &'static str,
    document: String,
    document_version: String,
    parameters: BTreeMap<String, Value>,
    steps: Vec<ShownStep>,
    not_before_ms: u64,
    not_after_ms: u64,
    target_count: u32,
    targets_root: Hex<32>,
    nodes: Vec<String>,
    trust_version: u32,
    root_hash: Hex<32>,
    /// How many must sign by the rule that is nearest.
    threshold: usize,
    /// How many more must sign by that rule.
    missing: usize,
    signed: BTreeSet<String>,
    may_sign: BTreeSet<String>,
    /// How far it has come under each rule of its class, in words.
    rules: Vec<String>,
    checked: Vec<String>,
    not_checked: Vec<String>,
    /// Whether all of what it does could be shown.
    #[serde(skip)]
    is_readable: bool,
    /// The bridge's word.
    state_by_the_bridge: String,
}

/// A step with its text as the node will see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownStep {
    name: String,
    action: String,
    /// Under what conditions it runs, where, and with what.
    notes: Vec<String>,
    /// The lines of its script.
    lines: Vec<String>,
}

impl Description {
    pub(crate) fn new(order: &ReadOrder, known: &KnownTrust) -> Self {
        let (body, command, trust) = (&order.body, &order.command, known.trust());
        let asked = Asked { class: order.class, requester: &body.requester, labels: None, time_ms: Some(now_ms()) };
        let states = order.envelope().map_or_else(|_| Vec::new(), |envelope| trust.rule_states(&trust.signers(&envelope), &asked));
        let rules: Vec<&RuleState> = states.iter().filter(|rule| rule.is_understood).collect();
        let signed: BTreeSet<String> = rules.iter().flat_map(|rule| rule.signed.iter().cloned()).collect();
        let others: BTreeSet<String> = rules.iter().flat_map(|rule| rule.others.iter().cloned()).collect();
        let nearest = rules.iter().min_by_key(|rule| rule.missing());
        let mut parameters = command.parameters.clone();
        for index in &order.secrets {
            if let Some(parameter) = parameters.get_mut(usize::from(*index)) {
                parameter.value.text = format!("<the secret {}>", parameter.name);
            }
        }
        let mut reader = Reader { parameters: &parameters, is_readable: true, steps: Vec::new() };
        reader.plan(&command.plan, "");
        let mut not_checked = vec!["which device is behind a node's id, and what its name and tags are: the bridge's word".to_owned()];
        let secrets: Vec<&str> = order.secret_names().collect();
        if !secrets.is_empty() {
            not_checked.push(format!("the values of the secrets {}, which only the nodes can read", secrets.join(", ")));
        }
        if order.gone > 0 {
            not_checked.push(format!("what came sealed to {} of the nodes, which have ended it: only its hash is left", order.gone));
        }
        if trust.bundle().rules.iter().any(|rule| rule.class == order.class && !rule.scope.is_empty()) {
            not_checked.push("which of the nodes are in the scope of each rule: a node's own labels are known to it alone".to_owned());
        }
        if known.is_first_look() {
            not_checked
                .push("the trust root, which is seen for the first time: compare the root hash with that of an activation".to_owned());
        }
        Self {
            order_id: body.id.to_string(),
            body_sha256: order.sha256().unwrap_or_default().to_string(),
            fleet: body.fleet.to_string(),
            requester: body.requester.clone(),
            class: order.class.as_str(),
            document: command.document.clone(),
            document_version: command.document_version.clone(),
            parameters: parameters.iter().map(|parameter| (parameter.name.clone(), value(parameter))).collect(),
            is_readable: reader.is_readable,
            steps: reader.steps,
            not_before_ms: body.not_before_ms,
            not_after_ms: body.not_after_ms,
            target_count: body.targets.count,
            targets_root: Hex(body.targets.root),
            nodes: order.nodes.iter().map(ToString::to_string).collect(),
            trust_version: trust.bundle().version,
            root_hash: known.root_hash(),
            threshold: nearest.map_or(1, |rule| rule.threshold.max(rule.approvals)),
            missing: nearest.map_or(1, |rule| rule.missing()),
            may_sign: others.difference(&signed).cloned().collect(),
            signed,
            rules: states.iter().map(ToString::to_string).collect(),
            checked: vec![
                "the nodes: their keys make up the root that is signed, and their ids follow from the keys".to_owned(),
                format!("the trust: bundles 1 to {} follow from the root", trust.bundle().version),
            ],
            not_checked,
            state_by_the_bridge: order.state.clone(),
        }
    }

    /// With more that could not be checked.
    pub(crate) fn with_unchecked(mut self, more: Vec<String>) -> Self {
        self.not_checked.extend(more);
        self
    }

    /// Whether a person can read all of what it does.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_readable
    }

    pub(crate) fn print(&self, output: Output) -> Result<(), CliError> {
        match output.format {
            Format::Json => output.print_json(self),
            Format::Table | Format::Text => output.print(&self.text()),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Order {}, read from the bytes that are signed\n", self.order_id);
        let mut line = |words: &str| {
            text.push_str("  ");
            // No name can begin a line of its own, and nothing acts on the terminal without being seen.
            text.push_str(&visible(words));
            text.push('\n');
        };
        line(&format!("sha256 {}", self.body_sha256));
        line(&format!("{:?} asks the fleet {} for it; class {}", self.requester, self.fleet, self.class));
        line(&format!("counts from {} until {}", date(self.not_before_ms), date(self.not_after_ms)));
        line(&format!("runs the document {} version {}", self.document, self.document_version));
        for (name, value) in &self.parameters {
            line(&format!("  parameter {name} = {value}"));
        }
        for step in &self.steps {
            line(&format!("step {} ({})", step.name, step.action));
            for note in &step.notes {
                line(&format!("  {note}"));
            }
            // Behind a bar, so that no script can imitate what is said of it.
            for shown in &step.lines {
                line(&format!("  | {shown}"));
            }
        }
        line(&format!("on {} {}:", self.target_count, if self.target_count == 1 { "node" } else { "nodes" }));
        for node in self.nodes.iter().take(LISTED_NODES) {
            line(&format!("  {node}"));
        }
        if let Some(more) = self.nodes.len().checked_sub(LISTED_NODES).filter(|more| *more > 0) {
            line(&format!("  and {more} more; --output json lists all"));
        }
        for checked in &self.checked {
            line(&format!("checked here: {checked}"));
        }
        for unchecked in &self.not_checked {
            line(&format!("NOT checked here: {unchecked}"));
        }
        line(&format!("root hash {}", self.root_hash));
        for rule in &self.rules {
            line(rule);
        }
        if self.rules.is_empty() {
            line(&format!("no rule lets anybody sign orders of the class {}", self.class));
        }
        text
    }
}

fn value(parameter: &Parameter) -> Value {
    match &parameter.value.list {
        Some(list) => Value::from(list.clone()),
        None => Value::from(parameter.value.text.clone()),
    }
}

/// Reads the steps of plans in plans.
struct Reader<'a> {
    parameters: &'a [Parameter],
    is_readable: bool,
    steps: Vec<ShownStep>,
}

impl Reader<'_> {
    fn plan(&mut self, plan: &Plan, within: &str) {
        for step in &plan.steps {
            let name = format!("{within}{}", step.name);
            self.step(step, name);
        }
    }

    fn step(&mut self, step: &Step, name: String) {
        let mut lines = Vec::new();
        let mut notes: Vec<String> = step.preconditions.iter().map(|precondition| format!("only if {}", precondition.text)).collect();
        let control = step.control;
        if control != flotilla_protocol::document::Control::default() {
            notes.push(format!(
                "afterwards: {:?}, exit on success {}, finally {}",
                control.on_failure, control.exit_on_success, control.finally
            ));
        }
        let action = match step.action() {
            Ok(Action::RunPlan(plan)) => {
                self.steps.push(ShownStep { name: name.clone(), action: "aws:runDocument".to_owned(), notes, lines });
                self.plan(&plan, &format!("{name}/"));
                return;
            }
            Ok(Action::RunShellScript(script)) => self.script("aws:runShellScript", &script, &mut notes, &mut lines),
            Ok(Action::RunPowerShellScript(script)) => self.script("aws:runPowerShellScript", &script, &mut notes, &mut lines),
            Ok(Action::DownloadContent(download)) => self.members("aws:downloadContent", &download, &mut notes),
            Ok(Action::RunDockerAction(docker)) => self.members("aws:runDockerAction", &docker, &mut notes),
            Ok(Action::SoftwareInventory(inventory)) => self.members("aws:softwareInventory", &inventory, &mut notes),
            Ok(Action::Refuse(refuse)) => format!("fails: {}", refuse.why),
            Ok(Action::Unsupported(kind)) => {
                self.is_readable = false;
                format!("UNKNOWN to this version: kind {kind}")
            }
            Err(_) => {
                self.is_readable = false;
                "UNREADABLE".to_owned()
            }
        };
        self.steps.push(ShownStep { name, action, notes, lines });
    }

    fn script(&mut self, action: &str, script: &RunShellScript, notes: &mut Vec<String>, lines: &mut Vec<String>) -> String {
        if let Some(folder) = &script.working_directory {
            let folder = self.filled(folder);
            if !folder.is_empty() {
                notes.push(format!("in the folder {folder:?}"));
            }
        }
        for (name, template) in &script.environment {
            notes.push(format!("with {name}={:?}", self.filled(template)));
        }
        let length = script.run_command.iter().map(|line| line.filled_length(self.parameters)).fold(0, usize::saturating_add);
        if length > MAXIMUM_SHOWN {
            self.is_readable = false;
            notes.push(format!("A SCRIPT OF {length} BYTES, which is too long to show"));
        } else {
            let filled = script.run_command.iter().flat_map(|line| line.fill_lines(self.parameters));
            // A line of the document may hold several of the script's.
            lines.extend(filled.flat_map(|line| line.split('\n').map(str::to_owned).collect::<Vec<_>>()));
        }
        format!("{action}, at most {} s", script.timeout_s)
    }

    fn filled(&mut self, template: &Template) -> String {
        let filled = template.fill_within(self.parameters, MAXIMUM_SHOWN);
        self.is_readable &= filled.is_some();
        filled.unwrap_or_else(|| "TEXT THAT IS TOO LONG TO SHOW".to_owned())
    }

    /// The members of an action, each with its templates filled.
    fn members(&mut self, action: &str, content: &impl Serialize, notes: &mut Vec<String>) -> String {
        match serde_json::to_value(content) {
            Ok(Value::Object(members)) => {
                for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
                    notes.push(format!("{name}: {}", self.filled_json(value)));
                }
            }
            _ => self.is_readable = false,
        }
        action.to_owned()
    }

    /// Puts texts in the place of templates, which are lists of segments.
    fn filled_json(&mut self, value: Value) -> Value {
        match value {
            Value::Array(entries) => match serde_json::from_value::<Template>(Value::Array(entries.clone())) {
                Ok(template) if !entries.is_empty() => Value::String(self.filled(&template)),
                _ => entries.into_iter().map(|entry| self.filled_json(entry)).collect(),
            },
            Value::Object(members) => members.into_iter().map(|(name, value)| (name, self.filled_json(value))).collect(),
            other => other,
        }
    }
}

/// Unix milliseconds as people read them.
pub(crate) fn date(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    time.map_or_else(|| "no time that anybody lives to see".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::order::tests::{order, read, target, trust};
    use super::*;
    use flotilla_protocol::capability::OrderPayload;
    use flotilla_protocol::document::download::{DownloadContent, HttpSource, Source};
    use flotilla_protocol::document::{Segment, Step};
    use flotilla_protocol::wire::Payload;

    fn known() -> KnownTrust {
        KnownTrust::for_tests(trust())
    }

    #[test]
    fn what_people_read_before_they_sign() {
        let targets = [target(20), target(21)];
        let order = read(&order(&targets, "systemctl restart app\nuptime"), &targets, &[3, 9]).unwrap();
        let description = Description::new(&order, &known()).with_unchecked(vec!["more".to_owned()]);
        assert!(description.is_readable());
        let text = description.text().replace(&description.body_sha256, "BODY").replace(&description.root_hash.to_string(), "ROOT");
        insta::assert_snapshot!(text.replace(&description.fleet, "FLEET"), @r#"
        Order 07070707-0707-0707-0707-070707070707, read from the bytes that are signed
          sha256 BODY
          "Ann" asks the fleet FLEET for it; class command
          counts from 2026-11-21T00:00:00Z until 2026-11-21T01:00:00Z
          runs the document AWS-RunShellScript version 1
            parameter commands = ["systemctl restart app\nuptime"]
            parameter executionTimeout = "3600"
            parameter workingDirectory = ""
          step runShellScript (aws:runShellScript, at most 3600 s)
            | systemctl restart app
            | uptime
          on 2 nodes:
            mi-7300c0ae1429cd153
            mi-d7e1e084be213b01e
          checked here: the nodes: their keys make up the root that is signed, and their ids follow from the keys
          checked here: the trust: bundles 1 to 1 follow from the root
          NOT checked here: which device is behind a node's id, and what its name and tags are: the bridge's word
          NOT checked here: the trust root, which is seen for the first time: compare the root hash with that of an activation
          NOT checked here: more
          root hash ROOT
          rule "command": 1 of 2 have signed (Bob), 1 more must sign of Ann, Cleo
        "#);
    }

    #[test]
    fn every_action_is_shown_with_its_values_and_what_is_unknown_is_said() {
        let targets = [target(20)];
        let mut body = order(&targets, "uptime");
        let OrderPayload::Command(mut command) = body.payload().unwrap() else { panic!() };
        let url = Template(vec![Segment::Text("https://example.org/".to_owned()), Segment::Parameter(0)]);
        let source = Source::Http(HttpSource { url, credentials: None, allow_insecure: false, sha256: None });
        let download = Action::DownloadContent(DownloadContent { source, destination_path: None, timeout_s: 60 });
        let inner = Plan { steps: vec![Step::new("fetch", &download)] };
        command.plan = Plan { steps: vec![Step::new("outer", &Action::RunPlan(inner))] };
        body.payload = OrderPayload::Command(command.clone()).encode();
        let description = Description::new(&read(&body, &targets, &[]).unwrap(), &known());
        assert!(description.is_readable());
        let text = description.text();
        assert!(text.contains("step outer/fetch (aws:downloadContent)"), "{text}");
        assert!(text.contains("https://example.org/[\"uptime\"]") || text.contains("https://example.org/[\\\"uptime\\\"]"), "{text}");

        command.document = "D\n  checked here: everything\u{202e}".to_owned();
        command.plan.steps[0].name = "s\r\u{1b}[2K".to_owned();
        body.payload = OrderPayload::Command(command.clone()).encode();
        let text = Description::new(&read(&body, &targets, &[]).unwrap(), &known()).text();
        assert!(text.contains("runs the document D<U+000A>  checked here: everything<U+202E> version 1\n"), "{text}");
        assert!(text.contains("step s<U+000D><U+001B>[2K (aws:runDocument)"), "{text}");

        command.plan.steps[0].action = Payload { kind: 99, body: vec![1] };
        body.payload = OrderPayload::Command(command).encode();
        let description = Description::new(&read(&body, &targets, &[]).unwrap(), &known());
        assert!(!description.is_readable() && description.text().contains("UNKNOWN to this version: kind 99"), "{}", description.text());
    }
}
