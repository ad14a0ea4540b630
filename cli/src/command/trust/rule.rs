//! Steps that make and change operator rules and the labels of nodes: who, together, may have what done where and when.

use clap::Args;
use flotilla_protocol::id::NodeId;
use flotilla_protocol::trust::{Class, Label, NodeLabels, OperatorRule, TrustBundle, Window};

use super::edit::{Change, change, position};
use super::hours::window;
use super::roles::class;
use super::words::person_keys;
use crate::error::CliError;
use crate::keys::{KeysArguments, parse_public};
use crate::output::Output;

/// Make or change an operator rule: whose signatures, how many, for which nodes, at which hours.
#[derive(Debug, Args)]
#[command(after_help = "\
An order may run when any rule of its class is met. What is not said stays as it is; a new rule begins with a threshold of 1, no approvals, all \
nodes and all hours. Persons and keys must be named by add-key before; giving any replaces those that the rule had. A scope matches labels \
that a node has in its policy.toml or that `flotilla trust label` gives it, never tags.

Examples:
  flotilla trust set-rule .flotilla/trust 'patches in Berlin' --class patch --person Ann --scope site=berlin --hours 'Mon-Fri 22:00-04:00'
  flotilla trust set-rule .flotilla/trust command --person Ann --person Bob --threshold 2 --approvals 1
  flotilla trust set-rule .flotilla/trust command --always --all-nodes")]
pub(super) struct SetRuleArguments {
    #[command(flatten)]
    change: Change,
    /// The rule's name.
    name: String,
    /// The class of its orders [default: for a new rule, the class of its name].
    #[arg(long, value_parser = class)]
    class: Option<Class>,
    /// Every key of this person counts; repeat it for several.
    #[arg(long)]
    person: Vec<String>,
    /// This key counts; repeat it for several.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// So many persons must sign, whoever asked.
    #[arg(long, value_name = "N")]
    threshold: Option<u8>,
    /// So many persons other than who asked must sign.
    #[arg(long, value_name = "N")]
    approvals: Option<u8>,
    /// Only nodes with this label, key=value; repeat it for several, which a node must have all.
    #[arg(long, value_name = "LABEL", value_parser = label, conflicts_with = "all_nodes")]
    scope: Vec<Label>,
    /// All nodes.
    #[arg(long)]
    all_nodes: bool,
    /// Only within these hours, UTC; repeat it for several windows.
    #[arg(long, value_name = "HOURS", value_parser = window, conflicts_with = "always")]
    hours: Vec<Window>,
    /// At all hours.
    #[arg(long)]
    always: bool,
    #[command(flatten)]
    keys: KeysArguments,
}

/// Take an operator rule out.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flotilla trust remove-rule .flotilla/trust 'patches in Berlin'")]
pub(super) struct RemoveRuleArguments {
    #[command(flatten)]
    change: Change,
    /// The rule's name.
    name: String,
}

/// Say what a node is, in the root's words, for the scopes of rules.
#[derive(Debug, Args)]
#[command(after_help = "\
The labels replace those that the bundle had for the node; without any it says nothing of it. They count before those of the node's own policy.

Example:
  flotilla trust label .flotilla/trust mi-0123456789abcdef0 site=berlin kind=kiosk")]
pub(super) struct LabelArguments {
    #[command(flatten)]
    change: Change,
    /// The node.
    #[arg(value_name = "NODE")]
    node: NodeId,
    /// key=value.
    #[arg(value_name = "LABEL", value_parser = label)]
    labels: Vec<Label>,
}

fn label(text: &str) -> Result<Label, String> {
    let (key, value) = text.split_once('=').ok_or("write key=value")?;
    let label = Label { key: key.to_owned(), value: value.to_owned() };
    if label.is_sound() { Ok(label) } else { Err("neither may be empty, too long or hold control characters".to_owned()) }
}

/// In the order that a bundle asks for; of a key that is said twice both are refused.
fn sorted(mut labels: Vec<Label>) -> Result<Vec<Label>, String> {
    labels.sort();
    match labels.iter().zip(labels.iter().skip(1)).find(|(one, next)| one.key == next.key) {
        Some((one, _)) => Err(format!("the label {} is said twice", one.key)),
        None => Ok(labels),
    }
}

pub(super) fn set_rule(output: Output, arguments: &SetRuleArguments) -> Result<u8, CliError> {
    let folder = arguments.keys.folder()?;
    let keys = arguments.key.iter().map(|key| parse_public(key, &folder)).collect::<Result<Vec<_>, _>>()?;
    change(output, &arguments.change, |bundle| {
        let mut chosen: Vec<u16> = Vec::new();
        for (key, _) in &keys {
            let index = position(bundle, key).ok_or("the bundle does not name this key; add it first with add-key")?;
            chosen.extend(u16::try_from(index));
        }
        for person in &arguments.person {
            let before = chosen.len();
            chosen.extend(person_keys(bundle, person));
            if chosen.len() == before {
                return Err(format!("the bundle names no key of {person}; add one first with add-key"));
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        let rule = rule_of(bundle, &arguments.name, arguments.class)?;
        if !chosen.is_empty() {
            rule.keys = chosen;
        }
        if rule.keys.is_empty() {
            return Err("say whose signatures count, with --person or --key".to_owned());
        }
        rule.class = arguments.class.unwrap_or(rule.class);
        rule.threshold = arguments.threshold.unwrap_or(rule.threshold);
        rule.approvals = arguments.approvals.unwrap_or(rule.approvals);
        if arguments.all_nodes || !arguments.scope.is_empty() {
            rule.scope = sorted(arguments.scope.clone())?;
        }
        if arguments.always || !arguments.hours.is_empty() {
            rule.hours.clone_from(&arguments.hours);
        }
        Ok(())
    })
}

/// The rule of a name, which is made where there is none.
pub(super) fn rule_of<'a>(bundle: &'a mut TrustBundle, name: &str, wanted: Option<Class>) -> Result<&'a mut OperatorRule, String> {
    let index = match bundle.rules.iter().position(|rule| rule.name == name) {
        Some(index) => index,
        None => {
            let class = wanted.or_else(|| Class::of_name(name)).ok_or("say with --class which orders a new rule is for")?;
            bundle.rules.push(OperatorRule { name: name.to_owned(), ..OperatorRule::any_of(class, Vec::new()) });
            bundle.rules.len() - 1
        }
    };
    bundle.rules.get_mut(index).ok_or_else(|| "there is no such rule".to_owned())
}

pub(super) fn remove_rule(output: Output, arguments: &RemoveRuleArguments) -> Result<u8, CliError> {
    change(output, &arguments.change, |bundle| {
        let before = bundle.rules.len();
        bundle.rules.retain(|rule| rule.name != arguments.name);
        if bundle.rules.len() == before { Err(format!("there is no rule \"{}\"", arguments.name)) } else { Ok(()) }
    })
}

pub(super) fn label_node(output: Output, arguments: &LabelArguments) -> Result<u8, CliError> {
    change(output, &arguments.change, |bundle| {
        bundle.labels.retain(|entry| entry.node != arguments.node);
        if !arguments.labels.is_empty() {
            bundle.labels.push(NodeLabels { node: arguments.node, labels: sorted(arguments.labels.clone())? });
            bundle.labels.sort_by_key(|entry| entry.node);
        }
        Ok(())
    })
}
