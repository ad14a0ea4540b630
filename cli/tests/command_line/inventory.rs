//! `flotilla inventory` against a bridge of the test: what is sent, what is shown, what is exported.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bridge::{self, Bridge};
use crate::{Calls, flotilla_at, texts};

const NODE: &str = "mi-0123456789abcdef0";

fn item(type_name: &str, content: &Value) -> Value {
    json!({ "TypeName": type_name, "SchemaVersion": "1.0", "CaptureTime": "2026-11-21T22:26:40Z", "Content": content })
}

fn bridge_with_inventory() -> (Bridge, Calls) {
    let sent: Calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let information =
        json!([{ "InstanceId": NODE, "ComputerName": "gateway", "PlatformName": "Debian GNU/Linux", "PlatformVersion": "12" }]);
    let packages = json!([
        { "Name": "bash", "Version": "5.2", "Release": "1", "PackageManager": "dpkg", "Architecture": "amd64" },
        { "Name": "evil", "Version": "=1+1", "Summary": "a, b" },
    ]);
    let bridge = Bridge::start(move |operation, request| {
        sent.lock().unwrap().push((operation.to_owned(), request.clone()));
        match operation {
            // Two pages, so that a client that reads only the first is noticed.
            "ListInventoryItems" => {
                let item = |name: &str, stale: bool| {
                    json!({ "InstanceId": NODE, "TypeName": name, "SchemaVersion": "1.0", "ContentHash": "", "Entries": 2, "Bytes": 70,
                            "Source": "node", "IsStale": stale, "CaptureTime": "2026-11-21T22:26:40Z" })
                };
                match request["NextToken"].as_str() {
                    None => (200, json!({ "Items": [item("AWS:Application", false)], "NextToken": "2" })),
                    Some(_) => (200, json!({ "Items": [item("Custom:Rack", true)] })),
                }
            }
            "ListInventoryEntries" => (200, json!({ "Entries": packages })),
            "GetInventory" if !request["Aggregators"].is_null() => {
                let counts = item("AWS:Application", &json!([{ "Name": "bash", "Count": "3" }]));
                (200, json!({ "Entities": [{ "Data": { "AWS:Application": counts } }] }))
            }
            "GetInventory" => {
                let name = request["ResultAttributes"][0]["TypeName"].as_str().unwrap().to_owned();
                let content = match name.as_str() {
                    "AWS:Application" => &packages,
                    "AWS:InstanceInformation" => &information,
                    _ => return (200, json!({ "Entities": [{ "Id": NODE, "Data": {} }] })),
                };
                (200, json!({ "Entities": [{ "Id": NODE, "Data": { &name: item(&name, content) } }] }))
            }
            "GetInventorySchema" => {
                let attributes = ["Name", "Summary", "Version"].map(|name| json!({ "Name": name, "DataType": "string" }));
                (200, json!({ "Schemas": [{ "TypeName": "AWS:Application", "Version": "1.1", "Attributes": attributes }] }))
            }
            "PutInventory" => (200, json!({ "Message": "done" })),
            "DeleteInventory" => (200, json!({ "DeletionId": "id", "DeletionSummary": { "TotalCount": 2 } })),
            "DescribeInventoryDeletions" => {
                let summary = json!({ "TotalCount": 2, "RemainingCount": 0 });
                let deletion =
                    json!({ "DeletionId": "id", "TypeName": "Custom:Rack", "LastStatus": "Complete", "DeletionSummary": summary });
                (200, json!({ "InventoryDeletions": [deletion] }))
            }
            _ => bridge::refuse("InvalidTypeNameException", "no such type"),
        }
    });
    (bridge, seen)
}

fn run(bridge: &Bridge, arguments: &str) -> (Option<i32>, String, String) {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let output = flotilla_at(bridge, &words).output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

fn last(calls: &Calls) -> Value {
    calls.lock().unwrap().last().unwrap().1.clone()
}

#[test]
fn inventory_is_listed_shown_found_and_counted() {
    let (bridge, calls) = bridge_with_inventory();
    let (code, out, errors) = run(&bridge, "inventory");
    let line = |name: &str, state: &str| format!("{NODE}\t{name}\t1.0\t2\t70\t2026-11-21T22:26:40Z\tnode\t{state}\n");
    assert_eq!((code, out), (Some(0), line("AWS:Application", "current") + &line("Custom:Rack", "stale")), "{errors}");
    let shown = run(&bridge, &format!("inventory show {NODE} AWS:Application --filter Name^=ba --output table")).1;
    assert!(shown.starts_with("Name  Version  Architecture"), "{shown}");
    assert_eq!(last(&calls)["Filters"], json!([{ "Key": "Name", "Values": ["ba"], "Type": "BeginWith" }]));
    assert_eq!(
        run(&bridge, "inventory find --filter AWS:Application.Name=bash").1,
        format!("{NODE}\tgateway\t\tDebian GNU/Linux 12\t\t\n")
    );
    assert_eq!(run(&bridge, "inventory find").0, Some(2));
    assert_eq!(run(&bridge, "inventory count AWS:Application.Name AWS:Application.Version").1, "bash\t3\n");
    let nested = json!([{ "Expression": "AWS:Application.Name", "Aggregators": [{ "Expression": "AWS:Application.Version" }] }]);
    assert_eq!(last(&calls)["Aggregators"], nested);
    assert_eq!(run(&bridge, "inventory schema").1, "AWS:Application\t1.1\tName Summary Version\n");
}

#[test]
fn types_are_put_and_deleted() {
    let (bridge, calls) = bridge_with_inventory();
    let mut put = flotilla_at(&bridge, &["inventory", "put", NODE, "-", "--output", "table"]);
    let mut child = put.stdin(Stdio::piped()).spawn().unwrap();
    let text = r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":{"Unit":17}}"#;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let (out, errors) = texts(&child.wait_with_output().unwrap());
    assert_eq!(out, format!("{NODE} has 1 entries of Custom:Rack\n"), "{errors}");
    let sent = last(&calls);
    assert_eq!((&sent["InstanceId"], &sent["Items"][0]["Content"]), (&json!(NODE), &json!([{ "Unit": "17" }])));
    assert!(sent["Items"][0]["CaptureTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(run(&bridge, "inventory delete Custom:Rack --dry-run --output table").1, "Custom:Rack would be deleted from 2 nodes\n");
    assert_eq!(last(&calls), json!({ "TypeName": "Custom:Rack", "DryRun": true }));
    assert_eq!(run(&bridge, "inventory delete Custom:Rack --forget-type").0, Some(0));
    assert_eq!(last(&calls), json!({ "TypeName": "Custom:Rack", "DryRun": false, "SchemaDeleteOption": "DeleteSchema" }));
    assert_eq!(run(&bridge, "inventory deletions").1, "id\tCustom:Rack\tComplete\t2\t0\t\n");
}

#[test]
fn the_fleet_is_exported() {
    let (bridge, _) = bridge_with_inventory();
    let csv = run(&bridge, "inventory export --format csv").1;
    let line = |rest: &str| format!("{NODE},AWS:Application,1.0,2026-11-21T22:26:40Z,{rest}\r\n");
    let header = "InstanceId,TypeName,SchemaVersion,CaptureTime,Name,Summary,Version\r\n".to_owned();
    assert_eq!(csv, header + &line("bash,,5.2") + &line("evil,\"a, b\",'=1+1"));
    let lines = run(&bridge, "inventory export --format json-lines --type AWS:Application").1;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["InstanceId"], &first["Entry"]["Name"], lines.lines().count()), (&json!(NODE), &json!("bash"), 2));
    let (code, out, errors) = run(&bridge, &format!("inventory export --format cyclonedx --node {NODE}"));
    assert_eq!(code, Some(0), "{errors}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["components"][0]["purl"], "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sboms");
    let done = run(&bridge, &format!("inventory export --format cyclonedx --folder {}", path.display()));
    assert_eq!(done.0, Some(0), "{}", done.2);
    let written: Value = serde_json::from_slice(&std::fs::read(path.join(format!("{NODE}.cdx.json"))).unwrap()).unwrap();
    assert_eq!(written, document);
    assert_eq!(run(&bridge, "inventory export --format cyclonedx").0, Some(2));
    assert_eq!(run(&bridge, "inventory export --format csv --folder x").0, Some(2));
}
