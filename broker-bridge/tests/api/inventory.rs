//! Inventory through the API: put, found, counted, read, deleted, and every refusal.

use crate::support::Bridge;
use serde_json::{Value, json};

const TIME: &str = "2026-11-21T22:26:40Z";

fn item(type_name: &str, content: Value) -> Value {
    json!({"TypeName": type_name, "SchemaVersion": "1.0", "CaptureTime": TIME, "Content": content})
}

fn put(node: &str, items: &[Value]) -> Value {
    json!({"InstanceId": node, "Items": items})
}

fn package(name: &str, version: &str) -> Value {
    json!({"Name": name, "Version": version, "Architecture": "amd64"})
}

fn filter(key: &str, kind: &str, values: &[&str]) -> Value {
    json!({"Key": key, "Type": kind, "Values": values})
}

/// Four nodes, of which three have packages and two a rack.
async fn fleet(bridge: &Bridge) -> Vec<String> {
    let mut nodes = Vec::new();
    for number in 1..=4 {
        nodes.push(bridge.node(number).await);
    }
    nodes.sort();
    for (node, openssl) in nodes.iter().zip(["3.0.9", "3.0.10", "1.1.1"]) {
        let packages = json!([package("openssl", openssl), package("bash", "5.2")]);
        bridge.ok("PutInventory", put(node, &[item("AWS:Application", packages)])).await;
    }
    for (node, unit) in nodes.iter().zip(["17", "4"]) {
        bridge.ok("PutInventory", put(node, &[item("Custom:Rack", json!([{"Unit": unit, "Room": "B2"}]))])).await;
    }
    bridge
        .ok(
            "AddTagsToResource",
            json!({"ResourceType": "ManagedInstance", "ResourceId": nodes[0], "Tags": [{"Key": "site", "Value": "a"}]}),
        )
        .await;
    nodes
}

async fn found(bridge: &Bridge, nodes: &[String], filters: Value) -> Vec<usize> {
    let answer = bridge.ok("GetInventory", json!({"Filters": filters})).await;
    let ids = answer["Entities"].as_array().unwrap().iter().map(|entity| entity["Id"].as_str().unwrap());
    ids.map(|id| nodes.iter().position(|node| node == id).unwrap()).collect()
}

#[tokio::test]
async fn nodes_are_found_by_what_they_have() {
    let bridge = Bridge::start().await;
    let nodes = fleet(&bridge).await;
    let (name, version) = ("AWS:Application.Name", "AWS:Application.Version");
    for (filters, expected) in [
        (json!([filter(name, "Equal", &["openssl"])]), vec![0, 1, 2]),
        (json!([{"Key": name, "Values": ["bash"]}]), vec![0, 1, 2]),
        (json!([filter(name, "NotEqual", &["openssl"])]), vec![3]),
        (json!([filter(name, "BeginWith", &["open", "x"])]), vec![0, 1, 2]),
        (json!([filter(name, "Equal", &["openssl"]), filter(version, "LessThan", &["3.0.10"])]), vec![0, 2]),
        (json!([filter(name, "Equal", &["openssl"]), filter(version, "GreaterThan", &["3.0.9"])]), vec![1]),
        (json!([filter(name, "Equal", &["openssl"]), filter(version, "Equal", &["5.2"])]), vec![]),
        (json!([filter(name, "Equal", &["openssl"]), filter(version, "NotEqual", &["1.1.1"])]), vec![0, 1]),
        (json!([filter("Custom:Rack.Unit", "Equal", &["17", "4"]), filter(version, "Equal", &["3.0.9"])]), vec![0]),
        (json!([filter("AWS:Tag.Key", "Equal", &["site"]), filter("AWS:Tag.Value", "Equal", &["a"])]), vec![0]),
        (json!([filter("AWS:Tag.Key", "NotEqual", &["site"])]), vec![1, 2, 3]),
        (json!([filter("AWS:InstanceInformation.InstanceId", "Equal", &[&nodes[2], &nodes[3]])]), vec![2, 3]),
        (json!([filter("AWS:InstanceInformation.PlatformType", "Equal", &["Linux"])]), vec![0, 1, 2, 3]),
        (json!([filter("AWS:InstanceInformation.InstanceStatus", "Equal", &["Active"])]), vec![]),
        (json!([filter("AWS:Application.Publisher", "Equal", &["' OR 1=1 --"])]), vec![]),
    ] {
        assert_eq!(found(&bridge, &nodes, filters.clone()).await, expected, "{filters}");
    }
}

#[tokio::test]
async fn what_is_found_has_the_shape_of_the_model_and_is_paged() {
    let bridge = Bridge::start().await;
    let nodes = fleet(&bridge).await;
    let request = json!({"Filters": [filter("AWS:Tag.Key", "Equal", &["site"])], "ResultAttributes": [{"TypeName": "AWS:Application"}]});
    let answer = bridge.ok("GetInventory", request).await;
    let entity = &answer["Entities"][0];
    let data = &entity["Data"]["AWS:Application"];
    assert_eq!((entity["Id"].as_str(), answer["Entities"].as_array().unwrap().len()), (Some(nodes[0].as_str()), 1));
    assert_eq!((&data["TypeName"], &data["SchemaVersion"], &data["CaptureTime"]), (&json!("AWS:Application"), &json!("1.0"), &json!(TIME)));
    assert_eq!(data["Content"], json!([package("bash", "5.2"), package("openssl", "3.0.9")]));
    assert_eq!(data["ContentHash"].as_str().unwrap().len(), 64);
    let tags = bridge.ok("GetInventory", json!({"ResultAttributes": [{"TypeName": "AWS:Tag"}]})).await;
    assert_eq!(tags["Entities"][0]["Data"]["AWS:Tag"]["Content"], json!([{"Key": "site", "Value": "a"}]));

    let (mut ids, mut request) = (Vec::new(), json!({"MaxResults": 3}));
    loop {
        let page = bridge.ok("GetInventory", request.clone()).await;
        ids.extend(page["Entities"].as_array().unwrap().iter().map(|entity| entity["Id"].as_str().unwrap().to_owned()));
        assert_eq!(page["Entities"][0]["Data"]["AWS:InstanceInformation"]["Content"][0]["PlatformType"], "Linux");
        match page["NextToken"].as_str() {
            Some(token) => request["NextToken"] = json!(token),
            None => break,
        }
    }
    assert_eq!(ids, nodes);
    request["Filters"] = json!([filter("AWS:Tag.Key", "Equal", &["site"])]);
    assert_eq!(bridge.refused("GetInventory", request).await, "InvalidNextToken", "a token of other filters");
}

#[tokio::test]
async fn values_and_groups_are_counted() {
    let bridge = Bridge::start().await;
    fleet(&bridge).await;
    let count = async |request: Value| bridge.ok("GetInventory", request).await["Entities"].clone();
    let by_name = count(json!({"Aggregators": [{"Expression": "AWS:Application.Name"}]})).await;
    assert_eq!(
        by_name[0]["Data"]["AWS:Application"]["Content"],
        json!([{"Name": "bash", "Count": "3"}, {"Name": "openssl", "Count": "3"}])
    );
    let nested = json!({"Expression": "AWS:Application.Name", "Aggregators": [{"Expression": "AWS:Application.Version"}]});
    let only = json!([filter("AWS:Application.Version", "NotEqual", &["1.1.1"]), filter("AWS:Application.Name", "Equal", &["openssl"])]);
    let both = count(json!({"Aggregators": [nested], "Filters": only})).await;
    let expected = json!([
        {"Name": "bash", "Version": "5.2", "Count": "2"},
        {"Name": "openssl", "Version": "3.0.10", "Count": "1"},
        {"Name": "openssl", "Version": "3.0.9", "Count": "1"},
    ]);
    assert_eq!(both[0]["Data"]["AWS:Application"]["Content"], expected, "of one package, not every name with every version");
    let across = json!({"Expression": "AWS:InstanceInformation.PlatformType", "Aggregators": [{"Expression": "Custom:Rack.Unit"}]});
    let across = count(json!({"Aggregators": [across]})).await;
    assert_eq!(
        across[0]["Data"]["AWS:InstanceInformation"]["Content"],
        json!([{"PlatformType": "Linux", "Unit": "17", "Count": "1"}, {"PlatformType": "Linux", "Unit": "4", "Count": "1"}])
    );
    let groups = json!([
        {"Name": "has-rack", "Filters": [filter("Custom:Rack.Unit", "Exists", &["true"])]},
        {"Name": "no-packages", "Filters": [filter("AWS:Application.Name", "Exists", &["false"])]},
    ]);
    let groups = count(json!({"Aggregators": [{"Groups": groups}]})).await;
    assert_eq!(groups[0]["Data"]["has-rack"]["Content"], json!([{"matchingCount": "2"}, {"notMatchingCount": "2"}]));
    assert_eq!(groups[0]["Data"]["no-packages"]["Content"], json!([{"matchingCount": "1"}, {"notMatchingCount": "3"}]));
}

#[tokio::test]
async fn questions_that_mean_nothing_get_the_models_errors() {
    let bridge = Bridge::start().await;
    fleet(&bridge).await;
    let exists = filter("AWS:Application.Name", "Exists", &["true"]);
    let group = json!({"Name": "g", "Filters": [exists]});
    let wrong_group = json!({"Name": "g", "Filters": [{"Key": "Name", "Values": ["x"]}]});
    let deep = json!({"Expression": "AWS:Tag.Key", "Aggregators": [{"Expression": "AWS:Tag.Key"}]});
    for (request, expected) in [
        (json!({"Filters": [filter("Name", "Equal", &["x"])]}), "InvalidFilter"),
        (json!({"Filters": [exists]}), "InvalidFilter"),
        (json!({"Filters": [filter("AWS:Nothing.Name", "Equal", &["x"])]}), "InvalidTypeNameException"),
        (json!({"Filters": [filter("Custom:Nothing.Name", "Equal", &["x"])]}), "InvalidTypeNameException"),
        (json!({"ResultAttributes": [{"TypeName": "AWS:Nothing"}]}), "InvalidResultAttributeException"),
        (json!({"Aggregators": [{"Expression": "AWS:Application"}]}), "InvalidAggregatorException"),
        (json!({"Aggregators": [{}]}), "InvalidAggregatorException"),
        (json!({"Aggregators": [deep]}), "InvalidAggregatorException"),
        (json!({"Aggregators": [{"Expression": "AWS:Nothing.Name"}]}), "InvalidTypeNameException"),
        (json!({"Aggregators": [{"Expression": "AWS:Tag.Key", "Aggregators": [{"Groups": [group]}]}]}), "InvalidAggregatorException"),
        (json!({"Aggregators": [{"Groups": [group, group]}]}), "InvalidInventoryGroupException"),
        (json!({"Aggregators": [{"Groups": [wrong_group]}]}), "InvalidInventoryGroupException"),
        (json!({"NextToken": "foreign"}), "InvalidNextToken"),
        (json!({"MaxResults": 51}), "ValidationException"),
        (json!({"Filters": [filter("AWS:Tag.Key", "Like", &["x"])]}), "ValidationException"),
    ] {
        assert_eq!(bridge.refused("GetInventory", request.clone()).await, expected, "{request}");
    }
}

#[tokio::test]
async fn the_entries_of_a_node_are_listed_in_pages() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let packages: Vec<Value> = (0..7).map(|number| package(&format!("p{number}"), if number < 5 { "1" } else { "2" })).collect();
    bridge.ok("PutInventory", put(&node, &[item("AWS:Application", json!(packages))])).await;
    let (mut names, mut request) = (Vec::new(), json!({"InstanceId": node, "TypeName": "AWS:Application", "MaxResults": 3}));
    loop {
        let page = bridge.ok("ListInventoryEntries", request.clone()).await;
        assert_eq!(
            (&page["TypeName"], &page["SchemaVersion"], &page["CaptureTime"]),
            (&json!("AWS:Application"), &json!("1.0"), &json!(TIME))
        );
        names.extend(page["Entries"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()));
        match page["NextToken"].as_str() {
            Some(token) => request["NextToken"] = json!(token),
            None => break,
        }
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    let ask = |node: &str, type_name: &str, filters: Value| json!({"InstanceId": node, "TypeName": type_name, "Filters": filters});
    for key in ["Version", "AWS:Application.Version"] {
        let page = bridge.ok("ListInventoryEntries", ask(&node, "AWS:Application", json!([{"Key": key, "Values": ["2"]}]))).await;
        assert_eq!(page["Entries"].as_array().unwrap().len(), 2, "{key}");
    }
    let none = bridge.ok("ListInventoryEntries", json!({"InstanceId": node, "TypeName": "AWS:Network"})).await;
    assert_eq!(none["Entries"], json!([]));
    let own = bridge.ok("ListInventoryEntries", json!({"InstanceId": node, "TypeName": "AWS:InstanceInformation"})).await;
    assert_eq!((&own["Entries"][0]["InstanceId"], &own["SchemaVersion"]), (&json!(node), &json!("1.0")));
    for (request, expected) in [
        (json!({"InstanceId": "mi-00000000000000000", "TypeName": "AWS:Tag"}), "InvalidInstanceId"),
        (json!({"InstanceId": node, "TypeName": "AWS:Nothing"}), "InvalidTypeNameException"),
        (ask(&node, "AWS:Tag", json!([{"Key": "AWS:Application.Name", "Values": ["x"]}])), "InvalidFilter"),
        (json!({"InstanceId": node, "TypeName": "AWS:Tag", "NextToken": "x"}), "InvalidNextToken"),
        (json!({"InstanceId": "x", "TypeName": "AWS:Tag"}), "ValidationException"),
    ] {
        assert_eq!(bridge.refused("ListInventoryEntries", request.clone()).await, expected, "{request}");
    }
}

fn with(mut item: Value, member: &str, value: Value) -> Value {
    item[member] = value;
    item
}

#[tokio::test]
async fn what_cannot_be_put_is_refused_as_a_whole() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let rack = || item("Custom:Rack", json!([{"Unit": "1"}]));
    let without = |member: &str| {
        let mut item = rack();
        item.as_object_mut().unwrap().remove(member);
        item
    };
    let large = item("Custom:Large", json!((0..60).map(|row| json!({"A": format!("{row}{}", "x".repeat(4000))})).collect::<Vec<_>>()));
    let fifty_one = || -> Value { (0..51).map(|number| (format!("A{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into() };
    for (wrong, expected) in [
        (with(rack(), "TypeName", json!("Custom:")), "InvalidTypeNameException"),
        (with(rack(), "TypeName", json!("Custom:a b")), "InvalidTypeNameException"),
        (with(rack(), "TypeName", json!("AWS:WindowsUpdate")), "InvalidTypeNameException"),
        (with(rack(), "TypeName", json!("AWS:Tag")), "InvalidTypeNameException"),
        (with(rack(), "TypeName", json!("AWS:Process")), "InvalidTypeNameException"),
        (with(rack(), "TypeName", json!("AWS:InstanceInformation")), "InvalidTypeNameException"),
        (with(item("AWS:Application", json!([])), "SchemaVersion", json!("7.0")), "UnsupportedInventorySchemaVersionException"),
        (item("AWS:Application", json!([{"Colour": "red"}])), "InvalidItemContentException"),
        (item("Custom:Rack", json!([{"a b": "x"}])), "InvalidItemContentException"),
        (without("Content"), "InvalidItemContentException"),
        (with(rack(), "CaptureTime", json!("2026-02-31T00:00:00Z")), "InvalidItemContentException"),
        (with(without("Content"), "ContentHash", json!("abc")), "ItemContentMismatchException"),
        (with(rack(), "Context", json!({"ComplianceType": "x"})), "UnsupportedInventoryItemContextException"),
        (large, "ItemSizeLimitExceededException"),
        (with(rack(), "CaptureTime", json!("yesterday")), "ValidationException"),
        (with(rack(), "SchemaVersion", json!("1")), "ValidationException"),
        (item("Custom:Rack", json!([fifty_one()])), "ValidationException"),
    ] {
        let good = item("Custom:Good", json!([{"A": "1"}]));
        assert_eq!(bridge.refused("PutInventory", put(&node, &[good, wrong.clone()])).await, expected, "{wrong:.200}");
    }
    assert_eq!(bridge.refused("PutInventory", put(&node, &[rack(), rack()])).await, "InvalidItemContentException", "twice");
    assert_eq!(bridge.refused("PutInventory", put("mi-00000000000000000", &[rack()])).await, "InvalidInstanceId");
    let listed = bridge.ok("GetInventorySchema", json!({"TypeName": "Custom"})).await;
    assert_eq!(listed["Schemas"], json!([]), "all or none");
    // Attributes add up over nodes.
    let some = |from: u32| -> Value { (from..from + 30).map(|n| (format!("A{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into() };
    bridge.ok("PutInventory", put(&node, &[item("Custom:Wide", json!([some(0)]))])).await;
    let wider = put(&node, &[item("Custom:Wide", json!([some(30)]))]);
    assert_eq!(bridge.refused("PutInventory", wider).await, "InvalidItemContentException");
    // Many narrow entries are a wide table: that is seen before a row of it is made.
    let other = put(&node, &[item("Custom:Other", json!([some(0), some(30)]))]);
    let answer = bridge.call(&bridge.admin, "PutInventory", other).await;
    assert!(answer.body.to_string().contains("more than 50 attributes together"), "{}", answer.body);
}

#[tokio::test]
async fn names_and_attributes_may_be_unusual() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let names = ["a\u{0}z", "a b", "a", "b\u{0}"];
    let packages: Vec<Value> = names.iter().map(|name| package(name, "1")).collect();
    let rack = item("Custom:Rack", json!([{"Power.Watt": "40"}]));
    bridge.ok("PutInventory", put(&node, &[item("AWS:Application", json!(packages)), rack])).await;
    let mut request = json!({"InstanceId": node, "TypeName": "AWS:Application", "MaxResults": 1});
    let mut listed = Vec::new();
    loop {
        let page = bridge.ok("ListInventoryEntries", request.clone()).await;
        listed.extend(page["Entries"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()));
        match page["NextToken"].as_str() {
            Some(token) => request["NextToken"] = json!(token),
            None => break,
        }
    }
    listed.sort();
    assert_eq!(listed, ["a", "a\u{0}z", "a b", "b\u{0}"], "each once, on one page or another");
    for (watt, expected) in [("40", vec![0]), ("41", vec![])] {
        let filters = json!([filter("Custom:Rack.Power.Watt", "Equal", &[watt])]);
        assert_eq!(found(&bridge, std::slice::from_ref(&node), filters).await, expected);
    }
    let counts = bridge.ok("GetInventory", json!({"Aggregators": [{"Expression": "Custom:Rack.Power.Watt"}]})).await;
    assert_eq!(counts["Entities"][0]["Data"]["Custom:Rack"]["Content"], json!([{"Power.Watt": "40", "Count": "1"}]));
}

#[tokio::test]
async fn types_without_attributes_take_no_place_on_a_page() {
    let bridge = Bridge::start().await;
    for batch in 0..3_u8 {
        let node = bridge.node(batch).await;
        let items: Vec<Value> = (0..20).map(|number| item(&format!("Custom:T{batch}-{number}"), json!([]))).collect();
        bridge.ok("PutInventory", put(&node, &items)).await;
    }
    let node = bridge.node(9).await;
    bridge.ok("PutInventory", put(&node, &[item("Custom:Z", json!([{"A": "1"}]))])).await;
    let page = bridge.ok("GetInventorySchema", json!({"MaxResults": 50})).await;
    assert_eq!(page["Schemas"].as_array().unwrap().last().unwrap()["TypeName"], "Custom:Z");
    assert_eq!(page["NextToken"], Value::Null);
}

#[tokio::test]
async fn a_content_hash_that_is_there_leaves_the_content() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let first = with(item("Custom:Rack", json!([{"Unit": "1"}])), "ContentHash", json!("h1"));
    bridge.ok("PutInventory", put(&node, std::slice::from_ref(&first))).await;
    let mut same = with(first, "CaptureTime", json!("2026-11-22T00:00:00Z"));
    same.as_object_mut().unwrap().remove("Content");
    bridge.ok("PutInventory", put(&node, &[same])).await;
    let read = async || bridge.ok("ListInventoryEntries", json!({"InstanceId": node, "TypeName": "Custom:Rack"})).await;
    let answer = read().await;
    assert_eq!((&answer["Entries"], &answer["CaptureTime"]), (&json!([{"Unit": "1"}]), &json!("2026-11-22T00:00:00Z")));
    let other = with(item("Custom:Rack", json!([{"Unit": "2"}])), "ContentHash", json!("h2"));
    bridge.ok("PutInventory", put(&node, &[other])).await;
    assert_eq!(read().await["Entries"], json!([{"Unit": "2"}]));
    // What the node itself reports is the node's.
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query("UPDATE inventory_node SET source = 'node'").execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
    let mine = put(&node, &[item("Custom:Rack", json!([{"Unit": "3"}]))]);
    assert_eq!(bridge.refused("PutInventory", mine).await, "InvalidItemContentException");
}

#[tokio::test]
async fn types_and_bytes_are_bounded() {
    let bridge = Bridge::start().await;
    for batch in 0..4_u8 {
        let node = bridge.node(batch).await;
        let items: Vec<Value> = (0..25).map(|number| item(&format!("Custom:T{batch}-{number}"), json!([{"A": "1"}]))).collect();
        bridge.ok("PutInventory", put(&node, &items)).await;
    }
    let node = bridge.node(9).await;
    let one_more = put(&node, &[item("Custom:More", json!([{"A": "1"}]))]);
    assert_eq!(bridge.refused("PutInventory", one_more).await, "CustomSchemaCountLimitExceededException");
    // Forty items of 200 kB are just within eight megabytes: three nodes' types on one node, in batches of four.
    let content = |seed: usize| json!((0..48).map(|row| json!({"A": format!("{seed} {row} {}", "x".repeat(4000))})).collect::<Vec<_>>());
    let names: Vec<String> = (0..30).map(|number| format!("Custom:T{}-{}", number / 25, number % 25)).collect();
    for (seed, names) in names.chunks(4).enumerate() {
        let items: Vec<Value> = names.iter().map(|name| item(name, content(seed))).collect();
        bridge.ok("PutInventory", put(&node, &items)).await;
    }
    let more = put(&node, &[item("Custom:T3-1", json!([{"A": "1"}]))]);
    assert_eq!(bridge.refused("PutInventory", more).await, "TotalSizeLimitExceededException", "a node has at most 30 types");
    let node = bridge.node(10).await;
    let name = |number: usize| ["AWS:Application", "AWS:File", "AWS:Network", "AWS:Service"].get(number).copied();
    let large = |seed: usize| json!((0..225).map(|row| json!({"Name": format!("{seed} {row} {}", "x".repeat(4000))})).collect::<Vec<_>>());
    for number in 0..4 {
        bridge.ok("PutInventory", put(&node, &[item(name(number).unwrap(), large(number))])).await;
    }
    let mut refused = String::new();
    for (seed, names) in names.chunks(4).enumerate() {
        let items: Vec<Value> = names.iter().map(|name| item(name, content(seed))).collect();
        let answer = bridge.call(&bridge.admin, "PutInventory", put(&node, &items)).await;
        if answer.status != 200 {
            refused = answer.error().to_owned();
            break;
        }
    }
    assert_eq!(refused, "TotalSizeLimitExceededException");
}

#[tokio::test]
async fn types_are_listed() {
    let bridge = Bridge::start().await;
    fleet(&bridge).await;
    let all = bridge.ok("GetInventorySchema", json!({})).await;
    let names: Vec<&str> = all["Schemas"].as_array().unwrap().iter().map(|schema| schema["TypeName"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"AWS:Application") && names.contains(&"Custom:Rack"), "{names:?}");
    let custom = bridge.ok("GetInventorySchema", json!({"TypeName": "Custom:R", "Aggregator": true})).await;
    let attributes = json!([{"Name": "Room", "DataType": "string"}, {"Name": "Unit", "DataType": "string"}]);
    assert_eq!(custom["Schemas"], json!([{"TypeName": "Custom:Rack", "Version": "1.0", "Attributes": attributes, "DisplayName": "Rack"}]));
    assert_eq!(bridge.ok("GetInventorySchema", json!({"SubType": true})).await["Schemas"], json!([]));
    assert_eq!(bridge.refused("GetInventorySchema", json!({"TypeName": "Nothing"})).await, "InvalidTypeNameException");
    assert_eq!(bridge.refused("GetInventorySchema", json!({"NextToken": "x"})).await, "InvalidNextToken");
    assert_eq!(bridge.refused("GetInventorySchema", json!({"MaxResults": 1})).await, "ValidationException");
}

#[tokio::test]
async fn a_type_is_deleted_disabled_and_made_anew() {
    let bridge = Bridge::start().await;
    let nodes = fleet(&bridge).await;
    let token = "01234567-89ab-cdef-0123-456789abcdef";
    let delete = |option: Option<&str>| {
        let mut request = json!({"TypeName": "Custom:Rack"});
        if let Some(option) = option {
            request["SchemaDeleteOption"] = json!(option);
        }
        request
    };
    let dry = bridge.ok("DeleteInventory", with(delete(None), "DryRun", json!(true))).await;
    let expected = json!({"TotalCount": 2, "RemainingCount": 2, "SummaryItems": [{"Version": "1.0", "Count": 2, "RemainingCount": 2}]});
    assert_eq!(dry["DeletionSummary"], expected);
    assert_eq!(bridge.ok("DescribeInventoryDeletions", json!({})).await["InventoryDeletions"], json!([]), "nothing was done");
    let done = bridge.ok("DeleteInventory", with(delete(None), "ClientToken", json!(token))).await;
    let again = bridge.ok("DeleteInventory", with(delete(None), "ClientToken", json!(token))).await;
    assert_eq!(done["DeletionId"], again["DeletionId"]);
    let other = with(delete(Some("DeleteSchema")), "ClientToken", json!(token));
    assert_eq!(bridge.refused("DeleteInventory", other).await, "InvalidDeleteInventoryParametersException");
    let deletions = bridge.ok("DescribeInventoryDeletions", json!({"DeletionId": done["DeletionId"]})).await;
    let status = &deletions["InventoryDeletions"][0];
    assert_eq!((&status["LastStatus"], &status["TypeName"]), (&json!("Complete"), &json!("Custom:Rack")));
    assert_eq!((&status["DeletionSummary"]["TotalCount"], &status["DeletionSummary"]["RemainingCount"]), (&json!(2), &json!(0)));
    let left = bridge.ok("ListInventoryEntries", json!({"InstanceId": nodes[0], "TypeName": "Custom:Rack"})).await;
    assert_eq!(left["Entries"], json!([]), "the type itself is still there");

    bridge.ok("DeleteInventory", delete(Some("DisableSchema"))).await;
    assert_eq!(bridge.refused("DeleteInventory", delete(Some("DisableSchema"))).await, "InvalidOptionException");
    let rack = |version: &str| put(&nodes[0], &[with(item("Custom:Rack", json!([{"Unit": "1"}])), "SchemaVersion", json!(version))]);
    assert_eq!(bridge.refused("PutInventory", rack("1.0")).await, "UnsupportedInventorySchemaVersionException");
    let shown = async || bridge.ok("GetInventorySchema", json!({"TypeName": "Custom:R"})).await["Schemas"].as_array().unwrap().len();
    assert_eq!(shown().await, 0);
    bridge.ok("PutInventory", rack("1.1")).await;
    assert_eq!(bridge.refused("PutInventory", rack("1.0")).await, "UnsupportedInventorySchemaVersionException", "it stays disabled");
    assert_eq!(shown().await, 1);
    bridge.ok("DeleteInventory", delete(Some("DisableSchema"))).await;
    assert_eq!(bridge.refused("PutInventory", rack("1.1")).await, "UnsupportedInventorySchemaVersionException");
    bridge.ok("DeleteInventory", delete(Some("DeleteSchema"))).await;
    for request in [delete(None), json!({"TypeName": "AWS:Application"}), json!({"TypeName": "Custom:Nothing"})] {
        assert_eq!(bridge.refused("DeleteInventory", request).await, "InvalidTypeNameException");
    }
    bridge.ok("PutInventory", rack("1.0")).await;
    // One that was interrupted is not begun a second time.
    let mut write = bridge.fleet.store.write().await.unwrap();
    sqlx::query("UPDATE inventory_deletion SET remaining = 1").execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(bridge.refused("DeleteInventory", delete(None)).await, "InvalidInventoryRequestException");
    let first = bridge.ok("DescribeInventoryDeletions", json!({"MaxResults": 2})).await;
    assert_eq!(first["InventoryDeletions"][0]["LastStatus"], "InProgress");
    let rest = bridge.ok("DescribeInventoryDeletions", json!({"MaxResults": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((rest["InventoryDeletions"].as_array().unwrap().len(), &rest["NextToken"]), (2, &Value::Null));
    assert_eq!(bridge.refused("DescribeInventoryDeletions", json!({"DeletionId": token})).await, "InvalidDeletionIdException");
    assert_eq!(bridge.refused("DescribeInventoryDeletions", json!({"NextToken": "x"})).await, "InvalidNextToken");
    assert_eq!(bridge.refused("DescribeInventoryDeletions", json!({"DeletionId": "x"})).await, "ValidationException");
}

#[tokio::test]
async fn items_are_listed_without_their_entries() {
    let bridge = Bridge::start().await;
    let nodes = fleet(&bridge).await;
    let ask = async |body: Value| {
        let request = bridge.sign_target(&bridge.admin, "Flotilla.ListInventoryItems", &body.to_string());
        bridge.send(&request).await.body
    };
    let (mut seen, mut request) = (Vec::new(), json!({"MaxResults": 2}));
    loop {
        let page = ask(request.clone()).await;
        let items = page["Items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| format!("{} {} {}", item["InstanceId"], item["TypeName"], item["Entries"]).replace('"', "")));
        match page["NextToken"].as_str() {
            Some(token) => request["NextToken"] = json!(token),
            None => break,
        }
    }
    let expected = [
        format!("{} AWS:Application 2", nodes[0]),
        format!("{} Custom:Rack 1", nodes[0]),
        format!("{} AWS:Application 2", nodes[1]),
        format!("{} Custom:Rack 1", nodes[1]),
        format!("{} AWS:Application 2", nodes[2]),
    ];
    assert_eq!(seen, expected);
    let one = ask(json!({"InstanceId": nodes[1], "TypeName": "Custom:Rack"})).await;
    assert_eq!(
        (&one["Items"][0]["Source"], &one["Items"][0]["IsStale"], &one["Items"][0]["CaptureTime"]),
        (&json!("api"), &json!(false), &json!(TIME))
    );
}
