use super::*;
use crate::content::Format;

/// A document with one parameter `p` of this definition.
fn document(definition: &str) -> Document {
    let text = format!(
        r#"{{"schemaVersion":"2.2","parameters":{{"p":{definition}}},
            "mainSteps":[{{"action":"aws:runShellScript","name":"a","inputs":{{"runCommand":["true"]}}}}]}}"#
    );
    Document::parse(&text, Format::Json).unwrap()
}

fn give(definition: &str, texts: &[&str]) -> Result<PlanValue, ParameterError> {
    let given = BTreeMap::from([("p".to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())]);
    resolve(&document(definition), &given).map(|mut resolved| resolved.remove(0).to_parameter("").value)
}

fn value(text: &str, list: Option<&[&str]>) -> PlanValue {
    PlanValue { text: text.to_owned(), list: list.map(|list| list.iter().map(|text| (*text).to_owned()).collect()) }
}

#[test]
fn each_type_reads_its_values() {
    for (definition, texts, expected) in [
        (r#"{"type":"String"}"#, [r#"a "b""#].as_slice(), value(r#"a "b""#, None)),
        (r#"{"type":"StringList"}"#, &["a", "b"], value(r#"["a","b"]"#, Some(&["a", "b"]))),
        (r#"{"type":"StringList"}"#, &[], value("[]", Some(&[]))),
        (r#"{"type":"Boolean"}"#, &["True"], value("true", None)),
        (r#"{"type":"Integer"}"#, &["-7"], value("-7", None)),
        (r#"{"type":"StringMap"}"#, &[r#"{ "a": 2 }"#], value(r#"{"a":2}"#, None)),
        (r#"{"type":"MapList"}"#, &["[]"], value("[]", None)),
        (r#"{"type":"MapList"}"#, &[r#"[{"a":1},{"b":2}]"#], value(r#"[{"a":1},{"b":2}]"#, None)),
        (r#"{"type":"MapList"}"#, &[r#"{"a":1}"#, r#"{"b":2}"#], value(r#"[{"a":1},{"b":2}]"#, None)),
    ] {
        assert_eq!(give(definition, texts).unwrap(), expected, "{definition}");
    }
}

#[test]
fn what_a_rule_forbids_is_refused() {
    for (definition, texts) in [
        (r#"{"type":"String"}"#, ["a", "b"].as_slice()),
        (r#"{"type":"String"}"#, &[]),
        (r#"{"type":"Boolean"}"#, &["yes"]),
        (r#"{"type":"Integer"}"#, &["1.5"]),
        (r#"{"type":"StringMap"}"#, &["[]"]),
        (r#"{"type":"StringMap"}"#, &["{"]),
        (r#"{"type":"MapList"}"#, &["[1]"]),
        (r#"{"type":"String","allowedValues":["a","b"]}"#, &["c"]),
        (r#"{"type":"StringList","allowedValues":["a","b"]}"#, &["a", "c"]),
        (r#"{"type":"String","allowedPattern":"[a-z]+"}"#, &["abc; reboot"]),
        (r#"{"type":"String","allowedPattern":"[a-z]+"}"#, &["abc\n"]),
        (r#"{"type":"String","allowedPattern":"^a|b$"}"#, &["ax"]),
        (r#"{"type":"StringList","allowedPattern":"[a-z]+"}"#, &["a", "1"]),
        (r#"{"type":"String","minChars":2}"#, &["ä"]),
        (r#"{"type":"String","maxChars":2}"#, &["abc"]),
        (r#"{"type":"StringList","minItems":1}"#, &[]),
        (r#"{"type":"StringList","maxItems":1}"#, &["a", "b"]),
        (r#"{"type":"String"}"#, &["{{ ssm:secret }}"]),
    ] {
        let error = give(definition, texts).unwrap_err();
        assert_eq!(error.name, "p", "{definition} {texts:?}");
    }
}

#[test]
fn defaults_fill_in_and_unknown_names_are_refused() {
    let given = BTreeMap::new();
    let parameters = resolve(&document(r#"{"type":"StringList","default":["x"]}"#), &given).unwrap();
    assert_eq!(parameters[0].to_parameter("").value, value(r#"["x"]"#, Some(&["x"])));
    assert!(resolve(&document(r#"{"type":"String"}"#), &given).unwrap_err().message.contains("needed"));
    let unknown = BTreeMap::from([("q".to_owned(), vec!["x".to_owned()])]);
    let error = resolve(&document(r#"{"type":"String","default":"x"}"#), &unknown).unwrap_err();
    assert!(error.name == "q" && error.message.ends_with("p"), "{error}");
}
