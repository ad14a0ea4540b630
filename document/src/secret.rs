//! Secrets: parameters of the type SecureString. Their values are no part of a plan, and they may stand only where the node can hand them to a
//! script without writing them anywhere: in the lines of a script, where `{{ name }}` becomes the path of a file that holds the value, and in
//! its environment, where it becomes the value.

use super::content::PRECONDITION;
use super::model::{Action, Document, Lines, Number, ParameterType, Step};
use super::parameter::ParameterError;
use super::template::Scope;
use flotilla_protocol::document::Template;
use flotilla_protocol::secret::{MAXIMUM_SECRETS, MAXIMUM_SECRETS_BYTES};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// What stands for a value wherever a person reads it.
pub const MASK: &str = "****";

/// The value of a secret parameter, to be sealed to each node.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The index in the list of parameters of the plan.
    pub parameter: u16,
    /// The name there.
    pub name: String,
    /// The value; it is wiped when it is dropped.
    pub value: Zeroizing<String>,
}

impl fmt::Debug for Secret {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} {})", self.parameter, self.name)
    }
}

impl Document {
    /// The values that a command gives, with [`MASK`] in the place of secrets: what may be kept and shown.
    #[must_use]
    pub fn masked(&self, given: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let is_secret =
            |name: &String| self.parameters.get(name).is_some_and(|definition| definition.r#type == ParameterType::SecureString);
        let masked = |values: &Vec<String>| values.iter().map(|_| MASK.to_owned()).collect();
        given.iter().map(|(name, values)| (name.clone(), if is_secret(name) { masked(values) } else { values.clone() })).collect()
    }
}

/// Refuses a step that names a secret where its value would be written down: in anything but the lines and the environment of a script. The
/// error is the member of its inputs, or `precondition`, and what is wrong with it.
pub(crate) fn check_places(document: &Document, step: &Step) -> Result<(), (&'static str, String)> {
    let scope = Scope::of_data(document, 0);
    let refuse = |member: &'static str, text: &str| match named_in(document, &scope.split(text)) {
        Some(name) => Err((member, format!("{name} is a SecureString; only runCommand and environment of a script can name it"))),
        None => Ok(()),
    };
    let number = |number: &Option<Number>| number.as_ref().map(Number::text);
    let lines = |lines: &Option<Lines>| lines.as_ref().map(|lines| lines.as_slice().concat());
    for text in step.precondition.values().flatten() {
        refuse(PRECONDITION, text)?;
    }
    let control = &step.control;
    let mut texts = vec![
        ("onFailure", control.on_failure.clone()),
        ("onSuccess", control.on_success.clone()),
        ("finallyStep", control.finally_step.clone()),
    ];
    match &step.action {
        Action::RunShellScript(inputs) | Action::RunPowerShellScript(inputs) => {
            texts.extend([("workingDirectory", inputs.working_directory.clone()), ("timeoutSeconds", number(&inputs.timeout_seconds))]);
        }
        Action::RunDocument(inputs) => texts.extend([
            ("documentType", Some(inputs.document_type.clone())),
            ("documentPath", Some(inputs.document_path.clone())),
            ("documentParameters", Some(inputs.document_parameters.to_string())),
        ]),
        Action::DownloadContent(inputs) => texts.extend([
            ("sourceType", Some(inputs.source_type.clone())),
            ("sourceInfo", Some(inputs.source_info.to_string())),
            ("destinationPath", inputs.destination_path.clone()),
            ("timeoutSeconds", number(&inputs.timeout_seconds)),
        ]),
        Action::RunDockerAction(inputs) => texts.extend([
            ("action", Some(inputs.action.clone())),
            ("container", inputs.container.clone()),
            ("image", inputs.image.clone()),
            ("cmd", inputs.cmd.clone()),
            ("memory", number(&inputs.memory)),
            ("cpuShares", number(&inputs.cpu_shares)),
            ("volume", lines(&inputs.volume)),
            ("env", inputs.env.clone()),
            ("user", number(&inputs.user)),
            ("publish", number(&inputs.publish)),
            ("workingDirectory", inputs.working_directory.clone()),
            ("timeoutSeconds", number(&inputs.timeout_seconds)),
        ]),
        Action::SoftwareInventory(inputs) => texts.extend([
            ("applications", inputs.applications.clone()),
            ("awsComponents", inputs.aws_components.clone()),
            ("files", inputs.files.as_ref().map(ToString::to_string)),
            ("networkConfig", inputs.network_config.clone()),
            ("windowsUpdates", inputs.windows_updates.clone()),
            ("instanceDetailedInformation", inputs.instance_detailed_information.clone()),
            ("services", inputs.services.clone()),
            ("windowsRegistry", inputs.windows_registry.as_ref().map(ToString::to_string)),
            ("windowsRoles", inputs.windows_roles.clone()),
            ("customInventory", inputs.custom_inventory.clone()),
            ("customInventoryDirectory", inputs.custom_inventory_directory.clone()),
            ("billingInfo", inputs.billing_info.clone()),
        ]),
        // The parts are checked one by one when they are read.
        Action::Several(_) | Action::NotRun(_) => {}
    }
    texts.iter().try_for_each(|(member, text)| refuse(member, text.as_deref().unwrap_or_default()))
}

/// Refuses secrets that no delivery could carry.
pub(crate) fn check_sizes(secrets: &[Secret]) -> Result<(), ParameterError> {
    let refuse = |message: String| Err(ParameterError { name: secrets.last().map(|last| last.name.clone()).unwrap_or_default(), message });
    if secrets.len() > MAXIMUM_SECRETS {
        return refuse(format!("the document has {} parameters of the type SecureString; {MAXIMUM_SECRETS} is the limit", secrets.len()));
    }
    if secrets.iter().map(|secret| secret.value.len()).sum::<usize>() > MAXIMUM_SECRETS_BYTES {
        return refuse(format!("the secrets of the command have more than {MAXIMUM_SECRETS_BYTES} bytes together"));
    }
    Ok(())
}

fn named_in<'a>(document: &'a Document, template: &Template) -> Option<&'a str> {
    let index = template.secrets().next()?;
    document.parameters.keys().nth(usize::from(index)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use crate::content::Format;
    use crate::model::Document;
    use crate::{CompileError, Library, compile};
    use flotilla_protocol::document::{Action, Segment};
    use std::collections::BTreeMap;

    const PARAMETERS: &str = r#""parameters":{"host":{"type":"String","default":"h"},"key":{"type":"SecureString"},
        "pin":{"type":"SecureString","interpolationType":"ENV_VAR","allowedPattern":"[0-9]+"}}"#;

    fn document(step: &str) -> Result<Document, String> {
        let text = format!(r#"{{"schemaVersion":"2.2",{PARAMETERS},"mainSteps":[{step}]}}"#);
        Document::parse(&text, Format::Json).map_err(|error| error.to_string())
    }

    fn given(pin: &str) -> BTreeMap<String, Vec<String>> {
        [("key", "the-key"), ("pin", pin)].map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).into()
    }

    const SCRIPT: &str = r#"{"action":"aws:runShellScript","name":"s","inputs":{"runCommand":["login {{ host }} {{ key }} {{ pin }}"],
        "environment":{"KEY":"<{{key}}>"}}}"#;

    #[test]
    fn a_plan_has_places_for_secrets_and_their_values_beside_it() {
        let document = document(SCRIPT).unwrap();
        let compiled = compile(&document, &given("4711"), &Library::new()).unwrap();
        compiled.plan.check(compiled.parameters.len()).unwrap();
        let Ok(Action::RunShellScript(script)) = compiled.plan.steps[0].action() else { panic!("a script") };
        assert_eq!(script.run_command[0].secrets().collect::<Vec<_>>(), [1]);
        assert!(script.run_command[0].0.contains(&Segment::Parameter(0)));
        assert_eq!(script.environment["KEY"].secrets().collect::<Vec<_>>(), [1]);
        assert_eq!(script.environment["SSM_pin"].0, [Segment::Secret(2)]);
        assert_eq!(script.run_command[0].fill(&compiled.parameters), "login h  {{ pin }}");
        let values: Vec<(u16, &str, &str)> =
            compiled.secrets.iter().map(|secret| (secret.parameter, secret.name.as_str(), secret.value.as_str())).collect();
        assert_eq!(values, [(1, "key", "the-key"), (2, "pin", "4711")]);
        for value in ["the-key", "4711"] {
            let whole = format!("{compiled:?}");
            assert!(!whole.contains(value), "{whole}");
        }
        assert_eq!(
            document.masked(&given("4711")),
            [("key", "****"), ("pin", "****")].map(|(n, v)| (n.to_owned(), vec![v.to_owned()])).into()
        );
    }

    #[test]
    fn errors_do_not_tell_a_value() {
        let document = document(SCRIPT).unwrap();
        let long = "9".repeat(9000);
        for wrong in ["hunter2", "{{ ssm:x }} hunter2", "1\0hunter2", long.as_str(), ""] {
            let Err(CompileError::Parameter(error)) = compile(&document, &given(wrong), &Library::new()) else { panic!("{wrong}") };
            assert_eq!(error.name, "pin");
            assert!(!error.message.contains("hunter2") && !error.message.contains("9999"), "{}", error.message);
        }
        let two = BTreeMap::from([("key".to_owned(), vec!["a-secret".to_owned(), "b-secret".to_owned()])]);
        let error = compile(&document, &two, &Library::new()).unwrap_err().to_string();
        assert!(!error.contains("secret\""), "{error}");
    }

    #[test]
    fn secrets_stand_nowhere_else() {
        let step = |action: &str, inputs: &str| format!(r#"{{"action":"aws:{action}","name":"s","inputs":{{{inputs}}}}}"#);
        for (member, text) in [
            ("workingDirectory", step("runShellScript", r#""runCommand":["x"],"workingDirectory":"/{{ key }}""#)),
            ("timeoutSeconds", step("runShellScript", r#""runCommand":["x"],"timeoutSeconds":"{{ pin }}""#)),
            ("onFailure", step("runShellScript", r#""runCommand":["x"],"onFailure":"{{ key }}""#)),
            ("documentPath", step("runDocument", r#""documentType":"SSMDocument","documentPath":"{{key}}""#)),
            (
                "documentParameters",
                step("runDocument", r#""documentType":"SSMDocument","documentPath":"A","documentParameters":{"a":["{{ key }}"]}"#),
            ),
            ("sourceInfo", step("downloadContent", r#""sourceType":"HTTP","sourceInfo":"{\"url\":\"{{ key }}\"}""#)),
            ("destinationPath", step("downloadContent", r#""sourceType":"S3","sourceInfo":{"path":"x"},"destinationPath":"{{pin}}""#)),
            ("cmd", step("runDockerAction", r#""action":"Exec","container":"c","cmd":"x {{ key }}""#)),
            ("env", step("runDockerAction", r#""action":"Run","image":"c","env":"A={{ key }}""#)),
            (
                "precondition",
                r#"{"action":"aws:runShellScript","name":"s","inputs":{"runCommand":["x"]},"precondition":{"StringEquals":["{{key}}","a"]}}"#
                    .to_owned(),
            ),
        ] {
            let error = document(&text).unwrap_err();
            assert!(error.contains("is a SecureString") && error.contains(member), "{member}: {error}");
        }
        for (wrong, why) in [
            (r#"{"type":"SecureString","default":"x"}"#, "no default"),
            (r#"{"type":"SecureString","allowedValues":["x"]}"#, "no allowedValues"),
        ] {
            let text = format!(r#"{{"schemaVersion":"2.2","parameters":{{"a":{wrong}}},"mainSteps":[{SCRIPT}]}}"#);
            assert!(Document::parse(&text, Format::Json).unwrap_err().to_string().contains(why), "{wrong}");
        }
    }

    #[test]
    fn a_document_that_a_step_runs_has_no_secrets() {
        let outer = r#"{"action":"aws:runDocument","name":"s","inputs":{"documentType":"SSMDocument","documentPath":"Inner",
            "documentParameters":{"key":["x"],"pin":["1"]}}}"#;
        let outer = document(outer).unwrap();
        let library = Library::from([(crate::Reference { name: "Inner".into(), version: None }, document(SCRIPT).unwrap())]);
        let error = compile(&outer, &given("1"), &library).unwrap_err().to_string();
        assert!(error.contains("SecureString"), "{error}");
    }
}
