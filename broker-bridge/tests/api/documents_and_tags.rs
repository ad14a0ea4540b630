//! Documents, tags and targets through the API and over a database of their own.

use crate::support::Bridge;
use flotilla_api::commands::Target;
use flotilla_broker_bridge::fleet::target;
use serde_json::{Value, json};

const CONTENT: &str = "schemaVersion: '2.2'
description: greets
parameters:
  who:
    type: String
    default: world
  lines:
    type: StringList
    default: []
mainSteps:
  - action: aws:runShellScript
    name: greet
    inputs:
      runCommand: ['echo {{ who }}']
";

fn new(name: &str) -> Value {
    json!({"Name": name, "Content": CONTENT, "DocumentFormat": "YAML", "DocumentType": "Command", "Tags": [{"Key": "team", "Value": "a"}]})
}

#[tokio::test]
async fn a_document_is_made_read_listed_and_deleted() {
    let bridge = Bridge::start().await;
    let made = bridge.ok("CreateDocument", new("greet")).await;
    let description = &made["DocumentDescription"];
    assert_eq!(description["SchemaVersion"], "2.2");
    assert_eq!(description["HashType"], "Sha256");
    assert_eq!(description["Hash"].as_str().unwrap().len(), 64);
    assert_eq!(description["Parameters"][1], json!({"Name": "who", "Type": "String", "DefaultValue": "world"}));
    assert_eq!(bridge.refused("CreateDocument", new("greet")).await, "DocumentAlreadyExists");
    for version in ["1", "$LATEST", "$DEFAULT"] {
        let document = bridge.ok("GetDocument", json!({"Name": "greet", "DocumentVersion": version})).await;
        assert_eq!((&document["Content"], &document["DocumentFormat"]), (&json!(CONTENT), &json!("YAML")));
    }
    let converted = bridge.ok("GetDocument", json!({"Name": "greet", "DocumentFormat": "JSON"})).await;
    let content: Value = serde_json::from_str(converted["Content"].as_str().unwrap()).unwrap();
    assert_eq!(content["mainSteps"][0]["inputs"]["runCommand"], json!(["echo {{ who }}"]));
    assert_eq!(bridge.refused("GetDocument", json!({"Name": "greet", "DocumentVersion": "2"})).await, "InvalidDocumentVersion");
    assert_eq!(bridge.ok("DescribeDocument", json!({"Name": "greet"})).await["Document"], *description);
    bridge.ok("DeleteDocument", json!({"Name": "greet"})).await;
    for operation in ["GetDocument", "DescribeDocument", "DeleteDocument"] {
        assert_eq!(bridge.refused(operation, json!({"Name": "greet"})).await, "InvalidDocument");
    }
    bridge.ok("CreateDocument", json!({"Name": "greet", "Content": CONTENT, "DocumentFormat": "YAML"})).await;
    let tags = bridge.ok("ListTagsForResource", json!({"ResourceType": "Document", "ResourceId": "greet"})).await;
    assert_eq!(tags["TagList"], json!([]), "tags go with their document");
}

#[tokio::test]
async fn the_builtin_is_there_and_stays() {
    let bridge = Bridge::start().await;
    let found = bridge.ok("DescribeDocument", json!({"Name": "AWS-RunShellScript"})).await;
    assert_eq!(found["Document"]["Owner"], "Amazon");
    let arn = "arn:aws:ssm:local-1::document/AWS-RunShellScript";
    assert_eq!(bridge.ok("GetDocument", json!({"Name": arn})).await["Name"], "AWS-RunShellScript");
    assert_eq!(bridge.refused("DeleteDocument", json!({"Name": "AWS-RunShellScript"})).await, "InvalidDocumentOperation");
}

#[tokio::test]
async fn wrong_documents_get_the_models_errors() {
    let bridge = Bridge::start().await;
    let content = |from: &str, to: &str| CONTENT.replacen(from, to, 1);
    for (content, expected) in [
        (content("aws:runShellScript", "aws:runRubyScript"), "InvalidDocumentContent"),
        (content("'2.2'", "'1.1'"), "InvalidDocumentSchemaVersion"),
        (content("type: String", "type: Strong"), "InvalidDocumentContent"),
        ("{".to_owned(), "InvalidDocumentContent"),
        (content("greets", &"x".repeat(64 * 1024)), "MaxDocumentSizeExceeded"),
    ] {
        assert_eq!(
            bridge.refused("CreateDocument", json!({"Name": "wrong", "Content": content, "DocumentFormat": "YAML"})).await,
            expected
        );
    }
    for (member, value) in [
        ("Name", json!("a b")),
        ("Name", json!("AWS-Mine")),
        ("Name", json!("amazonian")),
        ("DocumentFormat", json!("TEXT")),
        ("DocumentType", json!("Automation")),
        ("Requires", json!([{"Name": "x"}])),
        ("Tags", json!([{"Key": "", "Value": ""}])),
        ("DisplayName", json!("a\nb")),
    ] {
        let mut request = new("wrong");
        request[member] = value;
        assert_eq!(bridge.refused("CreateDocument", request).await, "ValidationException", "{member}");
    }
    assert_eq!(bridge.refused("GetDocument", json!({"Name": "wrong"})).await, "InvalidDocument", "nothing was made");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let bridge = Bridge::start().await;
    for number in 0..5 {
        bridge.ok("CreateDocument", new(&format!("doc-{number}"))).await;
    }
    let (mut names, mut token) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({"MaxResults": 2});
        if let Some(token) = token.as_str() {
            request["NextToken"] = json!(token);
        }
        let page = bridge.ok("ListDocuments", request).await;
        let entries = page["DocumentIdentifiers"].as_array().unwrap();
        assert!(entries.len() <= 2);
        names.extend(entries.iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(names, ["AWS-GatherSoftwareInventory", "AWS-RunShellScript", "doc-0", "doc-1", "doc-2", "doc-3", "doc-4"]);
    for (key, value, count) in [
        ("Owner", "Self", 5),
        ("Owner", "Amazon", 2),
        ("Owner", "All", 7),
        ("Name", "AWS-Run", 1),
        ("PlatformTypes", "Linux", 7),
        ("PlatformTypes", "Windows", 0),
        ("DocumentType", "Command", 7),
        ("DocumentType", "Automation", 0),
        ("tag:team", "a", 5),
        ("tag:team", "b", 0),
    ] {
        let page = bridge.ok("ListDocuments", json!({"Filters": [{"Key": key, "Values": [value]}]})).await;
        assert_eq!(page["DocumentIdentifiers"].as_array().unwrap().len(), count, "{key}={value}");
    }
    for (key, value, count) in [("Name", "doc-", 5), ("Owner", "Amazon", 2), ("PlatformTypes", "Linux", 7), ("DocumentType", "Command", 7)]
    {
        // The older form, in which members begin with small letters.
        let page = bridge.ok("ListDocuments", json!({"DocumentFilterList": [{"key": key, "value": value}]})).await;
        assert_eq!(page["DocumentIdentifiers"].as_array().unwrap().len(), count, "{key}={value}");
    }
    let both = json!({"Filters": [{"Key": "Name", "Values": ["doc-1", "doc-2"]}, {"Key": "SearchKeyword", "Values": ["-2", "-3"]}]});
    assert_eq!(bridge.ok("ListDocuments", both).await["DocumentIdentifiers"].as_array().unwrap().len(), 1, "all filters, any value");
    assert_eq!(bridge.refused("ListDocuments", json!({"Filters": [{"Key": "Name", "Values": []}]})).await, "ValidationException");
    assert_eq!(bridge.refused("ListDocuments", json!({"Filters": [{"Key": "Colour", "Values": ["x"]}]})).await, "InvalidFilterKey");
    assert_eq!(bridge.refused("ListDocuments", json!({"NextToken": "x"})).await, "InvalidNextToken");
    assert_eq!(bridge.refused("ListDocuments", json!({"MaxResults": 51})).await, "ValidationException");
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let resource = |id: &str| json!({"ResourceType": "ManagedInstance", "ResourceId": id});
    let with = |id: &str, member: &str, value: Value| {
        let mut request = resource(id);
        request[member] = value;
        request
    };
    let tags = json!([{"Key": "site", "Value": "a"}, {"Key": "ring", "Value": "1"}]);
    bridge.ok("AddTagsToResource", with(&node, "Tags", tags)).await;
    bridge.ok("AddTagsToResource", with(&node, "Tags", json!([{"Key": "site", "Value": "b"}]))).await;
    let listed = bridge.ok("ListTagsForResource", resource(&node)).await;
    assert_eq!(listed["TagList"], json!([{"Key": "ring", "Value": "1"}, {"Key": "site", "Value": "b"}]));
    bridge.ok("RemoveTagsFromResource", with(&node, "TagKeys", json!(["ring", "absent"]))).await;
    let listed = bridge.ok("ListTagsForResource", resource(&node)).await;
    assert_eq!(listed["TagList"].as_array().unwrap().len(), 1);
    let fifty: Vec<Value> = (0..50).map(|number| json!({"Key": number.to_string(), "Value": ""})).collect();
    assert_eq!(bridge.refused("AddTagsToResource", with(&node, "Tags", json!(fifty))).await, "TooManyTagsError");
    assert_eq!(bridge.ok("ListTagsForResource", resource(&node)).await["TagList"].as_array().unwrap().len(), 1, "all or none");
    for id in ["mi-00000000000000000", "i-1", ""] {
        assert_eq!(bridge.refused("ListTagsForResource", resource(id)).await, "InvalidResourceId");
    }
    let parameter = json!({"ResourceType": "Parameter", "ResourceId": "x"});
    assert_eq!(bridge.refused("ListTagsForResource", parameter).await, "InvalidResourceType");
}

fn choice(key: &str, values: &[&str]) -> Target {
    Target { key: Some(key.to_owned()), values: Some(values.iter().map(|value| (*value).to_owned()).collect()) }
}

#[tokio::test]
async fn targets_are_resolved_by_id_and_tag() {
    let bridge = Bridge::start().await;
    let mut nodes = Vec::new();
    for number in 1..=4 {
        nodes.push(bridge.node(number).await);
    }
    for (node, site) in nodes.iter().zip(["a", "a", "b", "b"]) {
        let tags = json!([{"Key": "site", "Value": site}, {"Key": "x:y", "Value": node}]);
        bridge.ok("AddTagsToResource", json!({"ResourceType": "ManagedInstance", "ResourceId": node, "Tags": tags})).await;
    }
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query("UPDATE node SET deregistered_ms = 1 WHERE node_id = $1").bind(&nodes[3]).execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
    let fleet = &bridge.fleet;
    let resolve = async |ids: &[String], targets: &[Target]| {
        let found = target::resolve(fleet, Some(ids), Some(targets)).await;
        found.map(|found| found.iter().map(|node| node.id.to_string()).collect::<Vec<_>>()).map_err(|error| error.kind.into_owned())
    };
    let sorted = |indices: &[usize]| {
        let mut ids: Vec<String> = indices.iter().map(|index| nodes[*index].clone()).collect();
        ids.sort();
        Ok(ids)
    };
    assert_eq!(resolve(&nodes[..2], &[]).await, sorted(&[0, 1]));
    assert_eq!(resolve(&[], &[choice("InstanceIds", &["*"])]).await, sorted(&[0, 1, 2]));
    assert_eq!(resolve(&[], &[choice("InstanceIds", &[&nodes[2]])]).await, sorted(&[2]));
    assert_eq!(resolve(&[], &[choice("tag:site", &["a", "b"])]).await, sorted(&[0, 1, 2]));
    assert_eq!(resolve(&[], &[choice("tag:site", &["a"]), choice("tag:x:y", &[&nodes[1], &nodes[2]])]).await, sorted(&[1]));
    assert_eq!(resolve(&[], &[choice("tag-key", &["site"])]).await, sorted(&[0, 1, 2]));
    assert_eq!(resolve(&[], &[choice("tag:site", &["' OR 1=1 --"])]).await, Ok(Vec::new()));
    let error = |kind: &str| Err(kind.to_owned());
    assert_eq!(resolve(&nodes[3..], &[]).await, error("InvalidInstanceId"), "it was deregistered");
    assert_eq!(resolve(&["i-1".to_owned()], &[]).await, error("InvalidInstanceId"));
    assert_eq!(resolve(&[nodes[0].clone(), nodes[0].clone()], &[]).await, error("DuplicateInstanceId"));
    assert_eq!(resolve(&vec![nodes[0].clone(); 51], &[]).await, error("ValidationException"));
    assert_eq!(resolve(&[], &[]).await, error("ValidationException"));
    assert_eq!(resolve(&nodes[..1], &[choice("InstanceIds", &["*"])]).await, error("ValidationException"));
    assert_eq!(resolve(&[], &vec![choice("InstanceIds", &["*"]); 6]).await, error("InvalidParameters"));
    for wrong in [choice("resource-groups:Name", &["x"]), choice("tag:", &["x"]), choice("", &["x"]), choice("tag:site", &[])] {
        assert_eq!(resolve(&[], std::slice::from_ref(&wrong)).await, error("InvalidParameters"), "{wrong:?}");
    }
}

/// Nobody can have the bridge take a whole fleet into memory that is too large for a command.
#[tokio::test]
async fn a_choice_that_matches_too_many_nodes_is_refused_before_they_are_loaded() {
    let bridge = Bridge::start().await;
    let first = bridge.node(1).await;
    let copies = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 100000) \
        INSERT INTO node (node_id, identity_key, sealing_key, tls_key, activation_id, iam_role, registered_ms, last_seen_ms, agent_version, \
        platform_name, platform_version, architecture, computer_name, ip_address) \
        SELECT 'mi-' || n, identity_key, sealing_key, tls_key, '', '', 0, 0, '', '', '', '', '', '' FROM node, number";
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query(copies).execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
    let every = [choice("InstanceIds", &["*"])];
    let refused = target::resolve(&bridge.fleet, None, Some(&every)).await.unwrap_err();
    assert_eq!(refused.kind, "InvalidParameters");
    assert!(refused.message.contains("more than 100000 nodes"), "{}", refused.message);
    assert_eq!(target::resolve(&bridge.fleet, Some(&[first]), None).await.unwrap().len(), 1);
}
