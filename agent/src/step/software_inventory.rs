//! `aws:softwareInventory`: exec has the inventory gathered when the command is over, whatever else the command does, and says it whole.
//!
//! The step itself gathers nothing: it may run as a user who may not see everything, and what it left would have to be trusted.

use flotilla_protocol::document::{Action, Plan, SoftwareInventory};
use flotilla_protocol::status::StepStatus;

use super::Ending;
use crate::job::capture::Capture;

/// Says what will be gathered.
pub(super) fn apply(inventory: &SoftwareInventory, [mut stdout, stderr]: [Capture; 2]) -> Ending {
    let types = if inventory.types.is_empty() { "no type".to_owned() } else { inventory.types.join(", ") };
    stdout.take(format!("The inventory is gathered when the command is over, and said whole: {types}.\n").as_bytes());
    Ending { status: StepStatus::Succeeded, exit_code: 0, explanation: None, captures: Some([stdout, stderr]) }
}

/// The types that the steps of a plan ask for, those of the plans within it, too; nothing where no step asks for any.
#[must_use]
pub fn asked_types(plan: &Plan) -> Option<Vec<String>> {
    let mut asked: Option<Vec<String>> = None;
    for step in &plan.steps {
        let more = match step.action() {
            Ok(Action::SoftwareInventory(inventory)) => Some(inventory.types),
            Ok(Action::RunPlan(plan)) => asked_types(&plan),
            _ => None,
        };
        if let Some(more) = more {
            asked.get_or_insert_default().extend(more);
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::document::Step;

    #[test]
    fn what_is_asked_for_however_deep_it_is() {
        let step = |types: &[&str]| {
            let types = types.iter().map(|name| (*name).to_owned()).collect();
            Step::new("inventory", &Action::SoftwareInventory(SoftwareInventory { types }))
        };
        let inner = Step::new("inner", &Action::RunPlan(Plan { steps: vec![step(&["Custom:*"])] }));
        let plan = Plan { steps: vec![step(&["AWS:Network"]), inner] };
        assert_eq!(asked_types(&plan), Some(vec!["AWS:Network".to_owned(), "Custom:*".to_owned()]));
        assert_eq!(asked_types(&Plan { steps: Vec::new() }), None);
    }
}
