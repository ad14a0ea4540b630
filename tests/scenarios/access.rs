//! Who may do what: every built operation for every role, and signatures that are not one.
#![cfg(test)]

use flotilla_api::client::{CallError, Client, ClientSettings, SecretAccessKey};
use flotilla_api::nodes::DescribeInstanceInformationRequest;
use flotilla_api::operations::BUILT;
use flotilla_tests::process::{binary, command, output};
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};

/// Adds a user with a role, and returns the file with its access key.
fn add_user(fleet: &Fleet, role: &str) -> std::path::PathBuf {
    let file = fleet.folder().join(format!("{role}.env"));
    let mut call = command(&binary("flotilla-bridge"));
    call.args(["user", "add", &format!("a-{role}"), "--role", role, "--output"]).arg(&file).arg("--home").arg(fleet.home().path());
    let done = output(call);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    file
}

#[test]
fn every_operation_asks_for_its_role() {
    let fleet = Fleet::start(Broker::Embedded);
    let files = ["viewer", "operator", "admin"].map(|role| add_user(&fleet, role));
    let [viewer, operator, admin] = [0, 1, 2].map(|index| files[index].to_str().unwrap());
    let operations = BUILT.join(",");
    if let Some(python) = Python::find() {
        python.run(&fleet, "access.py", &[viewer, operator, admin, &operations]);
    }
}

#[test]
fn a_removed_user_and_a_wrong_secret_are_refused() {
    let fleet = Fleet::start(Broker::Embedded);
    let file = add_user(&fleet, "viewer");
    let settings = ClientSettings::from_operator_env(&file).unwrap();
    let call = |settings: &ClientSettings| Client::new(settings.clone()).unwrap().call(&DescribeInstanceInformationRequest::default());
    assert!(call(&settings).is_ok());

    let refusal = |settings: &ClientSettings| match call(settings) {
        Err(CallError::Refused { kind, status, .. }) => (kind, status),
        other => panic!("not refused: {other:?}"),
    };
    let mut wrong = settings.clone();
    wrong.secret_access_key = SecretAccessKey::new("wrong".to_owned());
    let (kind, status) = refusal(&wrong);
    assert!(matches!(kind.as_str(), "InvalidSignatureException" | "SignatureDoesNotMatch"), "{kind}");
    assert!((400..500).contains(&status), "{status}");
    let mut elsewhere = settings.clone();
    elsewhere.region = "us-west-2".to_owned();
    // The region only stands in signatures: a signature for another one is as good.
    assert!(call(&elsewhere).is_ok() || refusal(&elsewhere).1 < 500);

    let mut remove = command(&binary("flotilla-bridge"));
    remove.args(["user", "remove", "a-viewer", "--home"]).arg(fleet.home().path());
    assert!(output(remove).status.success());
    let (kind, _) = refusal(&settings);
    assert_eq!(kind, "UnrecognizedClientException");
}
