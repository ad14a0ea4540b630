//! Versions of documents through the API, and which version a command runs. The errors are those that the service model lists.

use crate::support::Bridge;
use serde_json::{Value, json};

fn content(word: &str) -> String {
    format!(
        "schemaVersion: '2.2'\nmainSteps:\n  - action: aws:runShellScript\n    name: say\n    inputs: {{runCommand: ['echo {word}']}}\n"
    )
}

fn update(word: &str) -> Value {
    json!({"Name": "greet", "Content": content(word), "DocumentFormat": "YAML", "DocumentVersion": "$LATEST"})
}

fn with(mut request: Value, member: &str, value: Value) -> Value {
    request[member] = value;
    request
}

/// A bridge with a document of three versions: one, two (named second) and three.
async fn bridge() -> Bridge {
    let bridge = Bridge::start().await;
    let new = json!({"Name": "greet", "Content": content("one"), "DocumentFormat": "YAML", "DisplayName": "Greeting"});
    bridge.ok("CreateDocument", new).await;
    bridge.ok("UpdateDocument", with(update("two"), "VersionName", json!("second"))).await;
    bridge.ok("UpdateDocument", with(update("three"), "DocumentVersion", json!("2"))).await;
    bridge
}

async fn text_of(bridge: &Bridge, member: &str, value: &str) -> (String, String) {
    let document = bridge.ok("GetDocument", json!({"Name": "greet", member: value})).await;
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    (text("DocumentVersion"), text("Content"))
}

#[tokio::test]
async fn versions_are_added_read_and_made_the_default() {
    let bridge = bridge().await;
    let described = bridge.ok("DescribeDocument", json!({"Name": "greet"})).await;
    let described = &described["Document"];
    assert_eq!((&described["DocumentVersion"], &described["DefaultVersion"]), (&json!("1"), &json!("1")), "a new version is no default");
    assert_eq!(described["LatestVersion"], "3");
    for (member, value, version, word) in [
        ("DocumentVersion", "1", "1", "one"),
        ("DocumentVersion", "$DEFAULT", "1", "one"),
        ("DocumentVersion", "$LATEST", "3", "three"),
        ("DocumentVersion", "2", "2", "two"),
        ("VersionName", "second", "2", "two"),
    ] {
        assert_eq!(text_of(&bridge, member, value).await, (version.to_owned(), content(word)), "{member}={value}");
    }
    let described = bridge.ok("DescribeDocument", json!({"Name": "greet", "DocumentVersion": "2"})).await;
    assert_eq!((&described["Document"]["VersionName"], &described["Document"]["DisplayName"]), (&json!("second"), &json!("Greeting")));
    for version in ["0", "4", "01", "-1", "+1", "second", "$NEWEST", "99999999999999999999"] {
        let error = bridge.call(&bridge.admin, "GetDocument", json!({"Name": "greet", "DocumentVersion": version})).await;
        assert!(["InvalidDocumentVersion", "ValidationException"].contains(&error.error()), "{version}: {:?}", error.body);
    }
    assert_eq!(bridge.refused("GetDocument", json!({"Name": "greet", "VersionName": "third"})).await, "InvalidDocumentVersion");
    let both = json!({"Name": "greet", "VersionName": "second", "DocumentVersion": "1"});
    assert_eq!(bridge.refused("GetDocument", both).await, "InvalidDocumentVersion", "both must fit");

    let set = bridge.ok("UpdateDocumentDefaultVersion", json!({"Name": "greet", "DocumentVersion": "2"})).await;
    assert_eq!(set["Description"], json!({"Name": "greet", "DefaultVersion": "2", "DefaultVersionName": "second"}));
    assert_eq!(text_of(&bridge, "DocumentVersion", "$DEFAULT").await.0, "2");
    let listed = bridge.ok("ListDocuments", json!({"Filters": [{"Key": "SearchKeyword", "Values": ["REET"]}]})).await;
    assert_eq!(listed["DocumentIdentifiers"][0]["DocumentVersion"], "2", "lists show the default version");
    assert_eq!(
        bridge.refused("UpdateDocumentDefaultVersion", json!({"Name": "greet", "DocumentVersion": "4"})).await,
        "InvalidDocumentVersion"
    );
    assert_eq!(bridge.refused("UpdateDocumentDefaultVersion", json!({"Name": "other", "DocumentVersion": "1"})).await, "InvalidDocument");
}

#[tokio::test]
async fn only_the_latest_version_is_updated_and_only_by_something_new() {
    let bridge = bridge().await;
    let cases = [
        (with(update("x"), "DocumentVersion", json!("2")), "InvalidDocumentVersion"),
        (with(update("x"), "DocumentVersion", json!("$DEFAULT")), "InvalidDocumentVersion"),
        (with(update("x"), "DocumentVersion", json!("4")), "InvalidDocumentVersion"),
        (with(update("x"), "DocumentVersion", Value::Null), "InvalidDocumentVersion"),
        (update("three"), "DuplicateDocumentContent"),
        (with(update("x"), "VersionName", json!("second")), "DuplicateDocumentVersionName"),
        (with(update("x"), "Content", json!("schemaVersion: '9'")), "InvalidDocumentSchemaVersion"),
        (with(update("x"), "Content", json!("schemaVersion: '2.2'\nmainSteps: []")), "InvalidDocumentContent"),
        (with(update("x"), "Name", json!("other")), "InvalidDocument"),
        (with(update("x"), "Name", json!("AWS-RunShellScript")), "InvalidDocumentOperation"),
        (with(update("x"), "Content", json!("x".repeat(70_000))), "MaxDocumentSizeExceeded"),
    ];
    for (mut request, expected) in cases {
        if request["DocumentVersion"].is_null() {
            request.as_object_mut().unwrap().remove("DocumentVersion");
        }
        assert_eq!(bridge.refused("UpdateDocument", request.clone()).await, expected, "{}", request["DocumentVersion"]);
    }
    assert_eq!(text_of(&bridge, "DocumentVersion", "$LATEST").await.0, "3", "nothing was added");
    let made = bridge.ok("UpdateDocument", update("one")).await;
    assert_eq!(made["DocumentDescription"]["DocumentVersion"], "4", "an older content may come back");
}

#[tokio::test]
async fn versions_are_listed_from_the_newest_in_pages() {
    let bridge = bridge().await;
    let first = bridge.ok("ListDocumentVersions", json!({"Name": "greet", "MaxResults": 2})).await;
    let second = bridge.ok("ListDocumentVersions", json!({"Name": "greet", "MaxResults": 2, "NextToken": first["NextToken"]})).await;
    assert!(second["NextToken"].is_null());
    let entries: Vec<&Value> = [&first, &second].into_iter().flat_map(|page| page["DocumentVersions"].as_array().unwrap()).collect();
    let shown: Vec<_> =
        entries.iter().map(|entry| (entry["DocumentVersion"].as_str().unwrap(), entry["IsDefaultVersion"].as_bool().unwrap())).collect();
    assert_eq!(shown, [("3", false), ("2", false), ("1", true)]);
    assert_eq!(entries[1]["VersionName"], "second");
    assert_eq!(bridge.refused("ListDocumentVersions", json!({"Name": "greet", "NextToken": "x"})).await, "InvalidNextToken");
    assert_eq!(bridge.refused("ListDocumentVersions", json!({"Name": "other"})).await, "InvalidDocument");
    let builtin = bridge.ok("ListDocumentVersions", json!({"Name": "AWS-RunShellScript"})).await;
    assert_eq!(builtin["DocumentVersions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_version_is_deleted_alone_unless_it_is_the_default() {
    let bridge = bridge().await;
    assert_eq!(bridge.refused("DeleteDocument", json!({"Name": "greet", "DocumentVersion": "1"})).await, "InvalidDocumentOperation");
    assert_eq!(bridge.refused("DeleteDocument", json!({"Name": "greet", "DocumentVersion": "$DEFAULT"})).await, "InvalidDocumentOperation");
    // The model lists no error for a version here.
    assert_eq!(bridge.refused("DeleteDocument", json!({"Name": "greet", "DocumentVersion": "9"})).await, "InvalidDocument");
    bridge.ok("DeleteDocument", json!({"Name": "greet", "VersionName": "second"})).await;
    bridge.ok("DeleteDocument", json!({"Name": "greet", "DocumentVersion": "$LATEST"})).await;
    assert_eq!(text_of(&bridge, "DocumentVersion", "$LATEST").await.0, "1");
    let made = bridge.ok("UpdateDocument", update("four")).await;
    assert_eq!(made["DocumentDescription"]["DocumentVersion"], "4", "a number that was deleted does not come back");
    bridge.ok("DeleteDocument", json!({"Name": "greet"})).await;
    assert_eq!(bridge.refused("GetDocument", json!({"Name": "greet", "DocumentVersion": "4"})).await, "InvalidDocument");
}

#[tokio::test]
async fn a_document_has_a_thousand_versions_at_most() {
    let bridge = bridge().await;
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE number (n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM number WHERE n < 1000) \
         INSERT INTO document_version SELECT name, n, format, content, sha256, NULL, NULL, NULL, created_by, created_ms \
         FROM document_version, number WHERE version = 1",
    )
    .execute(write.connection())
    .await
    .unwrap();
    write.commit().await.unwrap();
    assert_eq!(bridge.refused("UpdateDocument", update("x")).await, "DocumentVersionLimitExceeded");
}

#[tokio::test]
async fn a_command_runs_the_version_that_it_names_and_checks_its_hash() {
    let bridge = bridge().await;
    let node = bridge.node(1).await;
    let send = |members: Value| {
        let mut request = json!({"DocumentName": "greet", "InstanceIds": [node]});
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    for (version, expected) in [(json!({}), "1"), (json!({"DocumentVersion": "$LATEST"}), "3"), (json!({"DocumentVersion": "2"}), "2")] {
        let sent = bridge.ok("SendCommand", send(version)).await;
        assert_eq!(sent["Command"]["DocumentVersion"], expected);
    }
    assert_eq!(bridge.refused("SendCommand", send(json!({"DocumentVersion": "9"}))).await, "InvalidDocumentVersion");
    let hash = bridge.ok("DescribeDocument", json!({"Name": "greet", "DocumentVersion": "3"})).await["Document"]["Hash"].clone();
    let of_latest = json!({"DocumentVersion": "$LATEST", "DocumentHash": hash, "DocumentHashType": "Sha256"});
    bridge.ok("SendCommand", send(of_latest)).await;
    bridge.ok("SendCommand", send(json!({"DocumentVersion": "$LATEST", "DocumentHash": hash}))).await;
    assert_eq!(bridge.refused("SendCommand", send(json!({"DocumentHash": hash}))).await, "InvalidDocument", "it is another version's");
    let sha1 = flotilla_broker_bridge::fleet::document::sha1(&content("one"));
    assert_eq!(sha1.len(), 40);
    bridge.ok("SendCommand", send(json!({"DocumentHash": sha1, "DocumentHashType": "Sha1"}))).await;
    let wrong = json!({"DocumentHash": sha1, "DocumentHashType": "Sha256"});
    assert_eq!(bridge.refused("SendCommand", send(wrong)).await, "InvalidDocument");
    // RFC 3174's example.
    assert_eq!(flotilla_broker_bridge::fleet::document::sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

#[tokio::test]
async fn a_document_that_a_step_runs_is_read_when_the_command_is_sent() {
    let bridge = bridge().await;
    let node = bridge.node(1).await;
    let outer = |path: &str| {
        format!(
            "schemaVersion: '2.2'\nmainSteps:\n  - {{action: 'aws:runDocument', name: run, inputs: {{documentType: SSMDocument, documentPath: '{path}'}}}}\n"
        )
    };
    for (name, path, expected) in [
        ("outer-1", "greet", None),
        ("outer-2", "greet:2", None),
        ("outer-3", "greet:9", Some("InvalidDocumentVersion")),
        ("outer-4", "absent", Some("InvalidDocument")),
        ("outer-5", "AWS-RunShellScript", Some("InvalidParameters")),
    ] {
        bridge.ok("CreateDocument", json!({"Name": name, "Content": outer(path), "DocumentFormat": "YAML"})).await;
        let request = json!({"DocumentName": name, "InstanceIds": [node]});
        match expected {
            None => assert_eq!(bridge.ok("SendCommand", request).await["Command"]["DocumentName"], name),
            Some(error) => assert_eq!(bridge.refused("SendCommand", request).await, error, "{name}"),
        }
    }
}

/// Another bridge, whose rules were others, has taken it.
#[tokio::test]
async fn a_document_that_cannot_be_read_any_more_can_be_looked_at_mended_and_deleted() {
    let bridge = bridge().await;
    let node = bridge.node(1).await;
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query("UPDATE document_version SET content = 'schemaVersion: \"9.9\"'").execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
    let name = json!({"Name": "greet"});
    let read = bridge.ok("GetDocument", name.clone()).await;
    assert_eq!(read["Content"], "schemaVersion: \"9.9\"");
    let command = json!({"DocumentName": "greet", "InstanceIds": [node]});
    for (operation, request) in [("DescribeDocument", &name), ("SendCommand", &command)] {
        let answer = bridge.call(&bridge.admin, operation, request.clone()).await;
        assert_eq!((answer.status, answer.error()), (400, "InvalidDocument"), "{operation}: {:?}", answer.body);
        assert!(answer.message().contains("9.9"), "{}", answer.message());
    }
    bridge.ok("ListDocuments", json!({})).await;
    bridge.ok("ListDocumentVersions", name.clone()).await;
    let tag = json!({"ResourceType": "Document", "ResourceId": "greet", "Tags": [{"Key": "broken", "Value": ""}]});
    bridge.ok("AddTagsToResource", tag).await;
    bridge.ok("UpdateDocument", update("four")).await;
    bridge.ok("UpdateDocumentDefaultVersion", json!({"Name": "greet", "DocumentVersion": "4"})).await;
    bridge.ok("SendCommand", command).await;
    bridge.ok("DeleteDocument", json!({"Name": "greet", "DocumentVersion": "2"})).await;
    bridge.ok("DeleteDocument", name).await;
}
