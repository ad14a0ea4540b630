//! Requests as botocore writes them (its own serialiser made the files in `fixtures`): every member is read and
//! written back the same, and a member that the model does not have is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;

use flotilla_api::activations::CreateActivationRequest;
use flotilla_api::commands::{ListCommandInvocationsRequest, SendCommandRequest};
use flotilla_api::documents::{CreateDocumentRequest, DescribeDocumentResult, ListDocumentsRequest};
use flotilla_api::nodes::{DescribeInstanceInformationRequest, DescribeInstanceInformationResult};
use flotilla_api::{Operation, Timestamp};
use serde_json::Value;

/// Reads the text, checks that writing it again loses nothing, and that nothing unknown gets in.
fn read<Request: Operation + Debug>(text: &str) -> Request {
    let request: Request = serde_json::from_str(text).unwrap();
    let mut original: Value = serde_json::from_str(text).unwrap();
    make_numbers_equal(&mut original);
    let mut written = serde_json::to_value(&request).unwrap();
    make_numbers_equal(&mut written);
    assert_eq!(written, original);

    let mut wrong: Value = serde_json::from_str(text).unwrap();
    wrong.as_object_mut().unwrap().insert("NoSuchMember".to_owned(), Value::Null);
    let error = serde_json::from_value::<Request>(wrong).unwrap_err().to_string();
    assert!(error.contains("NoSuchMember"), "{error}");
    request
}

/// A timestamp may be written `5` or `5.0`; JSON says that they are the same number, `Value` that they are not.
fn make_numbers_equal(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter_mut().for_each(make_numbers_equal),
        Value::Object(members) => members.values_mut().for_each(make_numbers_equal),
        _ => {}
    }
}

#[test]
fn send_command() {
    let request: SendCommandRequest = read(include_str!("fixtures/SendCommand.json"));
    assert_eq!(request.output_s3_bucket_name.as_deref(), Some("bucket"));
    assert_eq!(request.parameters.unwrap()["commands"], ["echo \"hello\"", "uname -a"]);
}

#[test]
fn create_activation() {
    let request: CreateActivationRequest = read(include_str!("fixtures/CreateActivation.json"));
    assert_eq!(request.expiration_date, Some(Timestamp::from_milliseconds(1_767_268_800_000)));
}

#[test]
fn describe_instance_information() {
    let request: DescribeInstanceInformationRequest = read(include_str!("fixtures/DescribeInstanceInformation.json"));
    assert_eq!(request.instance_information_filter_list.unwrap()[0].value_set, ["Online"]);
}

#[test]
fn list_documents() {
    let request: ListDocumentsRequest = read(include_str!("fixtures/ListDocuments.json"));
    assert_eq!(request.document_filter_list.unwrap()[0].key, "Name");
}

#[test]
fn list_command_invocations() {
    let request: ListCommandInvocationsRequest = read(include_str!("fixtures/ListCommandInvocations.json"));
    assert_eq!(request.details, Some(true));
}

#[test]
fn create_document() {
    let request: CreateDocumentRequest = read(include_str!("fixtures/CreateDocument.json"));
    assert_eq!(request.attachments.unwrap()[0].values.as_deref(), Some(["https://a.example/".to_owned()].as_slice()));
}

#[test]
fn an_unknown_member_deep_inside_a_request_is_refused() {
    let text = r#"{"DocumentName":"d","Targets":[{"Key":"InstanceIds","Values":["*"],"Value":"x"}]}"#;
    assert!(serde_json::from_str::<SendCommandRequest>(text).is_err());
    assert!(serde_json::from_str::<SendCommandRequest>("{}").is_err(), "DocumentName is required");
}

#[test]
fn responses_skip_what_is_unknown_and_write_names_as_the_model_has_them() {
    let text = r#"{"InstanceInformationList":[{"IPAddress":"10.0.0.1","LastPingDateTime":1.5,"Newer":{}}],"Newer":1}"#;
    let response: DescribeInstanceInformationResult = serde_json::from_str(text).unwrap();
    let written = serde_json::to_string(&response).unwrap();
    assert_eq!(written, r#"{"InstanceInformationList":[{"LastPingDateTime":1.5,"IPAddress":"10.0.0.1"}]}"#);

    let text = r#"{"Document":{"Sha1":"s","Parameters":[{"Name":"n","Type":"String"}],"CategoryEnum":["c"]}}"#;
    let response: DescribeDocumentResult = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&response).unwrap(), text);
}

#[test]
fn the_activation_code_is_not_in_debug_output() {
    let result = flotilla_api::activations::CreateActivationResult {
        activation_id: Some("id".to_owned()),
        activation_code: Some("secret-code".to_owned()),
    };
    assert!(!format!("{result:?}").contains("secret-code"));
}
