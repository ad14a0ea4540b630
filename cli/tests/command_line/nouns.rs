//! Nodes, tags, groups and documents: what is sent, and what is shown of the answers.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bridge::{self, Bridge};
use crate::{Calls, flotilla_at, texts};

const NODE: &str = "mi-0123456789abcdef0";
const NODE_ARN: &str = "arn:aws:ssm:us-east-1:000000000000:managed-instance/mi-0123456789abcdef0";

fn bridge_with_nouns() -> (Bridge, Calls) {
    let sent: Calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let resource = json!({ "ResourceArn": NODE_ARN, "ResourceType": "AWS::SSM::ManagedInstance" });
    let query = json!({ "Type": "TAG_FILTERS_1_0", "Query": "{\"TagFilters\":[{\"Key\":\"site\",\"Values\":[\"north\"]}]}" });
    let bridge = Bridge::start(move |operation, request| {
        sent.lock().unwrap().push((operation.to_owned(), request.clone()));
        match operation {
            "DescribeInstanceInformation" => (200, json!({ "InstanceInformationList": [] })),
            "DescribeInstanceProperties" => (200, json!({ "InstanceProperties": [{ "InstanceId": NODE, "Architecture": "aarch64" }] })),
            "GetConnectionStatus" => (200, json!({ "Target": NODE, "Status": "connected" })),
            "ListTagsForResource" => (200, json!({ "TagList": [{ "Key": "site", "Value": "north" }] })),
            "DescribeDocument" => (200, json!({ "Document": { "Name": "Doc", "LatestVersion": "3" } })),
            "UpdateManagedInstanceRole" | "DeregisterManagedInstance" | "AddTagsToResource" | "RemoveTagsFromResource" => (200, json!({})),
            "UpdateDocumentDefaultVersion" => (200, json!({ "Description": { "Name": "Doc", "DefaultVersion": "2" } })),
            // Two pages, so that a client that reads only the first is noticed.
            "/groups-list?maxResults=50" => (200, json!({ "GroupIdentifiers": [{ "GroupName": "a" }], "NextToken": "b+/=" })),
            "/groups-list?maxResults=50&nextToken=b%2B%2F%3D" => {
                (200, json!({ "GroupIdentifiers": [{ "GroupName": "b", "Owner": "team" }] }))
            }
            "/get-group" if request["Group"] == "north" => {
                (200, json!({ "Group": { "GroupArn": "arn", "Name": "north", "Description": "text" } }))
            }
            "/get-group-query" => (200, json!({ "GroupQuery": { "GroupName": "north", "ResourceQuery": query } })),
            "/groups" | "/delete-group" => (200, json!({ "Group": { "GroupArn": "arn", "Name": "north" } })),
            "/list-group-resources" => (200, json!({ "Resources": [{ "Identifier": resource }] })),
            "/resources/search" => (200, json!({ "ResourceIdentifiers": [resource] })),
            _ => bridge::refuse("NotFoundException", "no such group"),
        }
    });
    (bridge, seen)
}

/// Runs all lines and gives their exit codes and output.
fn run(bridge: &Bridge, arguments: &str) -> (Option<i32>, String, String) {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let output = flotilla_at(bridge, &words).output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

fn sent(calls: &Calls) -> Vec<(String, Value)> {
    std::mem::take(&mut *calls.lock().unwrap())
}

#[test]
fn nodes_are_filtered_and_managed() {
    let (bridge, calls) = bridge_with_nouns();
    let all = "nodes --tag a=b --tag-key c --status ConnectionLost --node mi-1 --node mi-2 --agent-version 1 --activation id --role r \
               --platform Linux --resource-type ManagedInstance --association-status Success --source-type t --source-id s";
    assert_eq!(run(&bridge, all), (Some(0), String::new(), String::new()));
    let filters = sent(&calls).remove(0).1["Filters"].clone();
    let keys: Vec<_> = filters.as_array().unwrap().iter().map(|filter| filter["Key"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "tag:a",
        "tag-key",
        "PingStatus",
        "InstanceIds",
        "AgentVersion",
        "ActivationIds",
        "IamRole",
        "PlatformTypes",
        "ResourceType",
        "AssociationStatus",
        "SourceTypes",
        "SourceIds",
    ];
    assert_eq!(keys, expected);
    assert_eq!(filters[3]["Values"], json!(["mi-1", "mi-2"]));

    let (code, out, errors) = run(&bridge, "nodes properties --filter AgentVersion<0.2.0");
    assert_eq!((code, out), (Some(0), format!("{NODE}\t\t\taarch64\t\t\t\n")), "{errors}");
    let request = sent(&calls).remove(0).1;
    assert_eq!(request["FiltersWithOperator"], json!([{ "Key": "AgentVersion", "Values": ["0.2.0"], "Operator": "LessThan" }]));

    assert_eq!(run(&bridge, &format!("nodes status {NODE}")).1, "connected\n");
    assert_eq!(run(&bridge, &format!("nodes role {NODE} kiosk --output table")).1, format!("{NODE} has the role kiosk\n"));
    assert_eq!(run(&bridge, "nodes deregister mi-1 mi-2").0, Some(0));
    let names: Vec<_> = sent(&calls).into_iter().map(|(operation, request)| (operation, request["InstanceId"].clone())).collect();
    assert_eq!(names[2..], ["mi-1", "mi-2"].map(|node| ("DeregisterManagedInstance".to_owned(), json!(node))));
}

#[test]
fn tags_are_listed_added_and_removed() {
    let (bridge, calls) = bridge_with_nouns();
    assert_eq!(run(&bridge, &format!("tags list {NODE}")).1, "site\tnorth\n");
    assert_eq!(run(&bridge, &format!("tags add {NODE} site=north room=3")).0, Some(0));
    assert_eq!(run(&bridge, "tags remove Doc team --output table").1, "Doc no longer has team\n");
    let calls = sent(&calls);
    assert_eq!(calls[0].1, json!({ "ResourceType": "ManagedInstance", "ResourceId": NODE }));
    assert_eq!(calls[1].1["Tags"], json!([{ "Key": "site", "Value": "north" }, { "Key": "room", "Value": "3" }]));
    assert_eq!(calls[2].1, json!({ "ResourceType": "Document", "ResourceId": "Doc", "TagKeys": ["team"] }));
    assert_eq!(run(&bridge, "tags add Doc").0, Some(2));
}

#[test]
fn what_of_a_document_is_deleted_is_said() {
    let bridge = Bridge::start(|_, _| (200, json!({})));
    assert_eq!(run(&bridge, "documents delete Doc --output table").1, "Doc is deleted\n");
    assert_eq!(run(&bridge, "documents delete Doc --version 2 --output table").1, "version 2 of Doc is deleted\n");
}

#[test]
fn groups_are_made_shown_and_deleted() {
    let (bridge, calls) = bridge_with_nouns();
    assert_eq!(run(&bridge, "groups"), (Some(0), "a\t\t\nb\tteam\t\n".to_owned(), String::new()));
    assert_eq!(run(&bridge, "groups show north").1, "north\tsite=north\t\ttext\n");
    assert_eq!(run(&bridge, "groups nodes north").1, format!("{NODE}\tAWS::SSM::ManagedInstance\n"));
    assert_eq!(run(&bridge, "groups search --tag-key site").1, format!("{NODE}\tAWS::SSM::ManagedInstance\n"));
    sent(&calls);
    assert_eq!(run(&bridge, "groups create north --tag site=north --owner team").0, Some(0));
    let request = sent(&calls).remove(0).1;
    assert_eq!(
        (&request["Name"], &request["Owner"], &request["ResourceQuery"]["Type"]),
        (&json!("north"), &json!("team"), &json!("TAG_FILTERS_1_0"))
    );
    assert_eq!(run(&bridge, "groups delete north --output table").1, "north is deleted\n");
    assert_eq!(run(&bridge, "groups create north").0, Some(2), "a group without a query");
    let (code, _, errors) = run(&bridge, "groups show south");
    assert_eq!(code, Some(3));
    assert!(errors.contains("NotFoundException: no such group") && errors.contains("`flotilla groups`"), "{errors}");
}

#[test]
fn documents_are_described_and_their_default_is_set() {
    let (bridge, calls) = bridge_with_nouns();
    assert_eq!(run(&bridge, "documents describe Doc --version 3").1, "name\tDoc\nlatest version\t3\n");
    assert_eq!(run(&bridge, "documents default Doc 2").0, Some(0));
    let calls = sent(&calls);
    assert_eq!(calls[0].1, json!({ "Name": "Doc", "DocumentVersion": "3" }));
    assert_eq!(calls[1].1, json!({ "Name": "Doc", "DocumentVersion": "2" }));
}
