//! `aws:softwareInventory`: which types are asked for.

use super::super::model::{Document, InventoryInputs, Step};
use super::super::template::{Scope, is_plain, plain_text};
use super::{CompileError, Compiler, Frame, filled, of_step};
use flotilla_protocol::document::{CUSTOM_TYPES, SoftwareInventory};
use serde_json::Value;

impl Compiler<'_> {
    pub(super) fn inventory(&self, frame: &Frame<'_>, step: &Step, inputs: &InventoryInputs) -> Result<SoftwareInventory, CompileError> {
        let scope = Scope::of_data(frame.document, frame.first);
        let mut types = Vec::new();
        for (member, type_name, text) in switches(inputs) {
            let text = filled(&scope.split(text), &self.parameters).map_err(|message| of_step(step, message))?;
            let is_enabled = read_switch(&text).map_err(|message| of_step(step, format!("{member}: {message}")))?;
            types.extend(type_name.filter(|_| is_enabled).map(str::to_owned));
        }
        let files = inputs.files.as_ref().map(text_of).unwrap_or_default();
        if !filled(&scope.split(&files), &self.parameters).map_err(|message| of_step(step, message))?.trim().is_empty() {
            types.push("AWS:File".to_owned());
        }
        types.sort();
        Ok(SoftwareInventory { types })
    }
}

/// What can be known before values are given.
pub(super) fn check(document: &Document, inputs: &InventoryInputs) -> Result<(), (&'static str, String)> {
    let scope = Scope::of_data(document, 0);
    for (member, _, text) in switches(inputs) {
        let template = scope.split(text);
        if is_plain(&template) {
            read_switch(&plain_text(&template)).map_err(|what| (member, what))?;
        }
    }
    Ok(())
}

/// The inputs that are given, each with the type that it stands for, where a node has one.
fn switches(inputs: &InventoryInputs) -> impl Iterator<Item = (&'static str, Option<&'static str>, &str)> {
    let all = [
        ("applications", Some("AWS:Application"), &inputs.applications),
        ("awsComponents", None, &inputs.aws_components),
        ("networkConfig", Some("AWS:Network"), &inputs.network_config),
        ("windowsUpdates", None, &inputs.windows_updates),
        ("instanceDetailedInformation", Some("AWS:InstanceDetailedInformation"), &inputs.instance_detailed_information),
        ("services", Some("AWS:Service"), &inputs.services),
        ("windowsRoles", None, &inputs.windows_roles),
        ("customInventory", Some(CUSTOM_TYPES), &inputs.custom_inventory),
        ("billingInfo", None, &inputs.billing_info),
    ];
    all.into_iter().filter_map(|(member, type_name, text)| Some((member, type_name, text.as_deref()?)))
}

fn read_switch(text: &str) -> Result<bool, String> {
    match text.trim() {
        "Enabled" => Ok(true),
        "Disabled" | "" => Ok(false),
        other => Err(format!("{other:?} is neither Enabled nor Disabled")),
    }
}

/// A text, or the text of what is written as an object or a list.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
