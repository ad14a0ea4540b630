//! Every limit of every built operation: one step beyond it is refused, and at it is not.

use super::*;
use flotilla_api::{model, operations};
use serde_json::json;

/// Texts among which every pattern of a built operation finds one that it takes.
const SAMPLES: &[&str] = &[
    "a",
    "1",
    "abc",
    "1.0",
    "$LATEST",
    "0%",
    "50",
    "mi-00000000000000000",
    "01234567-89ab-cdef-0123-456789abcdef",
    "arn:aws:iam::000000000000:role/name",
    "arn:aws:resource-groups:local-1:000000000000:group/name",
    "arn:aws:ssm:local-1:000000000000:document/name",
    "AWS::SSM::ManagedInstance",
    "AWS::EC2::Instance",
    "/AWS/Thing",
    "/",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "s3://bucket/key",
    "https://a.example/b",
    "Custom:ab",
    "2026-11-21T22:26:40Z",
    "default",
    "name=value",
];
/// Texts among which every pattern that refuses anything finds one that it refuses.
const WRONG: &[&str] = &["\u{7}", "a b;\u{7}", "\n"];

struct Case {
    patterns: Patterns,
    checked: usize,
}

impl Case {
    /// Texts of about the right lengths that might match.
    fn candidates(span: Span) -> Vec<String> {
        let mut texts: Vec<String> = SAMPLES.iter().map(|sample| (*sample).to_owned()).collect();
        for length in [span.least, span.most].into_iter().flatten() {
            let length = usize::try_from(length).unwrap();
            texts.extend(["a", "1", "0"].iter().map(|letter| letter.repeat(length)));
            // A word and then one more of it: what is longer than its samples.
            texts.extend(
                SAMPLES
                    .iter()
                    .filter(|sample| sample.len() < length)
                    .map(|sample| format!("{sample}{}", "a".repeat(length - sample.len()))),
            );
        }
        texts
    }

    fn takes(&self, shape: &'static Shape, value: &Value) -> bool {
        self.patterns.check(shape, value).is_ok()
    }

    /// The smallest value that the shape takes.
    fn smallest(&self, shape: &'static Shape) -> Value {
        match shape {
            Shape::Structure(members) => members
                .iter()
                .filter(|member| member.required)
                .map(|member| (member.name.to_owned(), self.smallest(member.shape)))
                .collect(),
            Shape::List(span, entry) => Value::Array(vec![self.smallest(entry); usize::try_from(span.least.unwrap_or(0)).unwrap()]),
            Shape::Map(span, ..) => {
                assert!(span.least.unwrap_or(0) == 0, "no built operation has a map with a least length");
                json!({})
            }
            Shape::Text(span, pattern) => {
                let found = Self::candidates(*span).into_iter().find(|text| self.takes(shape, &json!(text)));
                json!(found.unwrap_or_else(|| panic!("add a sample for {pattern:?} of {span:?}")))
            }
            Shape::Word(words) => json!(words[0]),
            Shape::Number(span) => json!(span.least.or(span.most).unwrap_or(0)),
            Shape::Free => json!("free"),
        }
    }

    /// Values just beyond a limit of the shape, and values at it.
    fn bounds(&self, shape: &'static Shape) -> (Vec<Value>, Vec<Value>) {
        let (mut wrong, mut right) = (Vec::new(), vec![self.smallest(shape)]);
        match shape {
            Shape::List(span, entry) => {
                let of = |length: i64| Value::Array(vec![self.smallest(entry); usize::try_from(length).unwrap()]);
                wrong.extend(span.least.filter(|least| *least > 0).map(|least| of(least - 1)));
                wrong.extend(span.most.map(|most| of(most + 1)));
                right.extend(span.most.map(of));
            }
            Shape::Text(span, pattern) => {
                let text = |length: i64| json!("a".repeat(usize::try_from(length).unwrap()));
                wrong.extend(span.least.filter(|least| *least > 0).map(|least| text(least - 1)));
                wrong.extend(span.most.map(|most| text(most + 1)));
                let longest = span.most.and_then(|most| usize::try_from(most).ok());
                let at = Self::candidates(*span)
                    .into_iter()
                    .find(|text| Some(text.chars().count()) == longest && self.takes(shape, &json!(text)));
                right.extend(at.map(|text| json!(text)));
                if let Some(pattern) = pattern {
                    let refused = WRONG.iter().find(|text| !self.patterns.matches(pattern, text));
                    // Some patterns take any text at all, and say nothing.
                    assert!(refused.is_some() || pattern.model.contains(r"\s\S"), "add a wrong text for {pattern:?}");
                    wrong.extend(refused.map(|text| json!(text)));
                }
            }
            Shape::Word(words) => {
                wrong.extend([json!("NoSuchWord"), json!(""), json!(words[0].to_owned() + " ")]);
                right.extend(words.iter().map(|word| json!(word)));
            }
            Shape::Number(span) => {
                wrong.extend(span.least.map(|least| json!(least - 1)));
                wrong.extend(span.most.map(|most| json!(most + 1)));
                right.extend([span.least, span.most].into_iter().flatten().map(|number| json!(number)));
            }
            Shape::Structure(_) | Shape::Map(..) | Shape::Free => {}
        }
        (wrong, right)
    }

    /// Checks the limits of a shape that stands somewhere in a request; `place` builds the whole request around a value for it.
    fn limits(&mut self, request: &'static Shape, shape: &'static Shape, path: &str, depth: usize, place: &dyn Fn(Value) -> Value) {
        // A shape that holds itself is checked once around.
        if depth > 6 {
            return;
        }
        let (wrong, right) = self.bounds(shape);
        for value in right {
            let answer = self.patterns.check(request, &place(value.clone()));
            assert!(answer.is_ok(), "{path}: {value} is within the limits: {}", answer.unwrap_err().message);
        }
        for value in wrong {
            let error = self.patterns.check(request, &place(value.clone())).expect_err(&format!("{path}: {value}"));
            assert_eq!(error.kind, "ValidationException");
            assert!(error.message.contains("failed to satisfy constraint: "), "{path}: {}", error.message);
            self.checked += 1;
        }
        match shape {
            Shape::Structure(members) => {
                let whole = self.smallest(shape);
                for member in *members {
                    let with = |value: Value| {
                        let mut whole = whole.clone();
                        whole[member.name] = value;
                        place(whole)
                    };
                    if member.required {
                        let error = self.patterns.check(request, &with(Value::Null)).unwrap_err();
                        assert!(error.message.contains("Member must not be null"), "{}", error.message);
                        self.checked += 1;
                    }
                    self.limits(request, member.shape, &format!("{path}.{}", member.name), depth + 1, &with);
                }
            }
            Shape::List(span, entry) => {
                let least = usize::try_from(span.least.unwrap_or(0).max(1)).unwrap();
                let whole = vec![self.smallest(entry); least];
                self.limits(request, entry, &format!("{path}[]"), depth + 1, &|value| {
                    let mut whole = whole.clone();
                    whole[0] = value;
                    place(Value::Array(whole))
                });
            }
            Shape::Map(_, key, value_shape) => {
                let (key, value) = (self.smallest(key), self.smallest(value_shape));
                let key = key.as_str().unwrap_or_default().to_owned();
                assert!(self.takes(request, &place(json!({key.clone(): value}))), "{path}");
                self.limits(request, value_shape, &format!("{path}{{}}"), depth + 1, &|value| place(json!({key.clone(): value})));
            }
            _ => {}
        }
    }
}

#[test]
fn every_limit_of_every_built_operation_is_kept() {
    let ssm = operations::BUILT.iter().map(|name| (*name, model::of_ssm(name)));
    let groups = ["CreateGroup", "DeleteGroup", "GetGroup", "GetGroupQuery", "ListGroupResources", "ListGroups", "SearchResources"];
    let groups = groups.iter().map(|name| (*name, model::of_groups(name)));
    let mut case = Case { patterns: Patterns::default(), checked: 0 };
    for (name, request) in ssm.chain(groups) {
        let request = request.unwrap_or_else(|| panic!("{name} is not in the table; run api/generate/constraints.py"));
        case.patterns.add(request);
        case.limits(request, request, name, 0, &|value| value);
    }
    assert!(case.checked > 200, "only {} violations were tried", case.checked);
}

#[test]
fn every_pattern_of_the_model_compiles() {
    let mut patterns = Patterns::default();
    for listed in operations::all() {
        patterns.add(model::of_ssm(listed.name).unwrap());
    }
    assert!(patterns.0.len() > 50, "only {} patterns", patterns.0.len());
}

fn message(operation: &str, request: &Value) -> String {
    let mut patterns = Patterns::default();
    let shape = model::of_ssm(operation).unwrap();
    patterns.add(shape);
    patterns.check(shape, request).unwrap_err().message
}

#[test]
fn violations_are_told_in_awss_words() {
    assert_eq!(
        message("ListCommands", &json!({"MaxResults": 51})),
        "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"
    );
    assert_eq!(
        message("SendCommand", &json!({"InstanceIds": ["i-1"], "TimeoutSeconds": 1})),
        "3 validation errors detected: Value null at 'documentName' failed to satisfy constraint: Member must not be null; \
         Value '[i-1]' at 'instanceIds' failed to satisfy constraint: Member must satisfy constraint: \
         [Member must satisfy regular expression pattern: (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)]; \
         Value '1' at 'timeoutSeconds' failed to satisfy constraint: Member must have value greater than or equal to 30"
    );
    assert_eq!(
        message("DescribeInstanceInformation", &json!({"Filters": [{"Key": "a", "Values": ["b"]}, {"Key": "", "Values": ["b"]}]})),
        "1 validation error detected: Value '' at 'filters.2.member.key' failed to satisfy constraint: \
         Member must have length greater than or equal to 1"
    );
    assert!(message("AddTagsToResource", &json!({"ResourceType": "X", "ResourceId": "a", "Tags": []})).contains(
        "Value 'X' at 'resourceType' failed to satisfy constraint: Member must satisfy enum value set: [Document, ManagedInstance"
    ));
}

#[test]
fn what_is_shown_is_bounded_and_secrets_are_not_shown() {
    let long = message("CancelCommand", &json!({"CommandId": "x".repeat(100_000)}));
    assert!(long.chars().count() < 2 * MAXIMUM_SHOWN + 200, "{}", long.len());
    let many: Vec<Value> = (0..1000).map(|_| json!({"Key": "", "Value": ""})).collect();
    let many = message("AddTagsToResource", &json!({"ResourceType": "Document", "ResourceId": "a", "Tags": many}));
    assert!(many.chars().count() < MAXIMUM_VIOLATIONS * 600, "{}", many.len());
    static SHORT: Shape = Shape::Text(Span { least: None, most: Some(3) }, None);
    static SECRETIVE: Shape = Shape::Structure(&[Member { name: "Password", required: true, secret: true, shape: &SHORT }]);
    assert_eq!(
        Patterns::default().check(&SECRETIVE, &json!({"Password": "hunter2"})).unwrap_err().message,
        "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length less than or equal to 3"
    );
    let wrong = message("DescribeInstanceInformation", &json!({"Filters": {"Key": 1}, "MaxResults": 1}));
    assert!(wrong.starts_with("1 validation error"), "what has the wrong type is left to the request's type: {wrong}");
}
