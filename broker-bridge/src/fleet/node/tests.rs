//! Nodes through their endpoints.

use super::api::{deregister_managed_instance, describe_instance_information, get_connection_status, update_managed_instance_role};
use super::properties::describe_instance_properties;
use crate::device::test_kit::{Kit, SimulatedNode};
use flotilla_api::nodes::{
    DeregisterManagedInstanceRequest, DescribeInstanceInformationRequest, DescribeInstancePropertiesRequest, GetConnectionStatusRequest,
    InstanceInformationFilter, InstanceInformationStringFilter, InstancePropertyFilter, InstancePropertyStringFilter,
    UpdateManagedInstanceRoleRequest,
};

async fn list(kit: &Kit, request: DescribeInstanceInformationRequest) -> Result<Vec<String>, String> {
    let answer = describe_instance_information(&kit.fleet, &Kit::caller(), request).await.map_err(|error| error.kind.into_owned())?;
    Ok(answer.instance_information_list.unwrap().into_iter().map(|node| node.instance_id.unwrap()).collect())
}

async fn filtered(kit: &Kit, key: &str, values: &[&str]) -> Result<Vec<String>, String> {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let newer = InstanceInformationStringFilter { key: key.into(), values: values.clone() };
    let newer = list(kit, DescribeInstanceInformationRequest { filters: Some(vec![newer]), ..Default::default() }).await;
    let older = InstanceInformationFilter { key: key.into(), value_set: values };
    let request = DescribeInstanceInformationRequest { instance_information_filter_list: Some(vec![older]), ..Default::default() };
    assert_eq!(list(kit, request).await, newer, "both forms answer the same");
    newer
}

async fn tag(kit: &Kit, node: &SimulatedNode, key: &'static str, value: &'static str) {
    let mut write = kit.fleet.store.write().await.unwrap();
    sqlx::query("INSERT INTO tag (resource_type, resource_id, tag_key, tag_value) VALUES ('ManagedInstance', $1, $2, $3)")
        .bind(node.id.to_string())
        .bind(key)
        .bind(value)
        .execute(write.connection())
        .await
        .unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn nodes_are_filtered_in_both_forms() {
    let kit = Kit::new().await;
    let (online, offline) = (kit.online_node(20).await, kit.node(21).await);
    tag(&kit, &online, "site", "north").await;
    let mut both = vec![online.id.to_string(), offline.id.to_string()];
    both.sort();
    let one = vec![online.id.to_string()];
    let other = vec![offline.id.to_string()];
    for (key, values, expected) in [
        ("InstanceIds", vec![one[0].as_str()], &one),
        ("InstanceIds", both.iter().map(String::as_str).collect(), &both),
        ("PingStatus", vec!["Online"], &one),
        ("PingStatus", vec!["ConnectionLost"], &other),
        ("PingStatus", vec!["ConnectionLost", "Online"], &both),
        ("PingStatus", vec!["Inactive"], &Vec::new()),
        ("PlatformTypes", vec!["Linux"], &both),
        ("PlatformTypes", vec!["Windows"], &Vec::new()),
        ("ResourceType", vec!["ManagedInstance"], &both),
        ("AgentVersion", vec!["0.1.0"], &one),
        ("IamRole", vec!["role"], &both),
        ("ActivationIds", vec!["none"], &Vec::new()),
        ("tag:site", vec!["north", "south"], &one),
        ("tag:site", vec!["south"], &Vec::new()),
        ("tag-key", vec!["site"], &one),
        ("AssociationStatus", vec!["Success"], &Vec::new()),
        ("SourceTypes", vec!["AWS::SSM::ManagedInstance"], &both),
        ("SourceTypes", vec!["AWS::IoT::Thing"], &Vec::new()),
        ("SourceIds", vec!["thing"], &Vec::new()),
    ] {
        assert_eq!(filtered(&kit, key, &values).await.as_ref(), Ok(expected), "{key} {values:?}");
    }
    for (key, values, kind) in [
        ("Colour", vec!["red"], "InvalidFilterKey"),
        ("tag:", vec!["x"], "InvalidFilterKey"),
        ("PingStatus", vec!["Maybe"], "InvalidInstanceInformationFilterValue"),
        ("PingStatus", vec![], "InvalidInstanceInformationFilterValue"),
        ("InstanceIds", vec!["' OR 1=1"], "InvalidInstanceId"),
    ] {
        assert_eq!(filtered(&kit, key, &values).await, Err(kind.to_owned()), "{key} {values:?}");
    }
}

#[tokio::test]
async fn nodes_are_paged() {
    let kit = Kit::new().await;
    for seed in 20..33 {
        kit.node(seed).await;
    }
    let mut seen = Vec::new();
    let mut next_token = None;
    loop {
        let request = DescribeInstanceInformationRequest { max_results: Some(5), next_token, ..Default::default() };
        let page = describe_instance_information(&kit.fleet, &Kit::caller(), request).await.unwrap();
        seen.extend(page.instance_information_list.unwrap().into_iter().map(|node| node.instance_id.unwrap()));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert!(seen.is_sorted_by(|left, right| left < right));
    assert_eq!(seen.len(), 13);
    for (request, kind) in [
        (DescribeInstanceInformationRequest { next_token: Some("x".into()), ..Default::default() }, "InvalidNextToken"),
        (DescribeInstanceInformationRequest { max_results: Some(4), ..Default::default() }, "ValidationException"),
        (DescribeInstanceInformationRequest { max_results: Some(51), ..Default::default() }, "ValidationException"),
    ] {
        assert_eq!(list(&kit, request).await, Err(kind.to_owned()));
    }
}

#[tokio::test]
async fn a_removed_node_is_gone_for_good() {
    let kit = Kit::new().await;
    let node = kit.online_node(20).await;
    tag(&kit, &node, "site", "north").await;
    let status = async || {
        let request = GetConnectionStatusRequest { target: node.id.to_string() };
        get_connection_status(&kit.fleet, &Kit::caller(), request).await.unwrap().status.unwrap()
    };
    assert_eq!(status().await, "connected");
    let remove = async || {
        let request = DeregisterManagedInstanceRequest { instance_id: node.id.to_string() };
        deregister_managed_instance(&kit.fleet, &Kit::caller(), request).await
    };
    remove().await.unwrap();
    assert_eq!(status().await, "notconnected");
    assert_eq!(list(&kit, DescribeInstanceInformationRequest::default()).await, Ok(Vec::new()));
    assert_eq!(remove().await.unwrap_err().kind, "InvalidInstanceId");
    assert_eq!(kit.count("SELECT COUNT(*) FROM tag").await, 0);
}

#[tokio::test]
async fn properties_are_filtered_with_operators() {
    let kit = Kit::new().await;
    let (online, offline) = (kit.online_node(20).await, kit.node(21).await);
    tag(&kit, &online, "site", "north").await;
    let mut both = vec![online.id.to_string(), offline.id.to_string()];
    both.sort();
    let (one, other, none) = (vec![online.id.to_string()], vec![offline.id.to_string()], Vec::new());
    let list = async |request: DescribeInstancePropertiesRequest| {
        let answer = describe_instance_properties(&kit.fleet, &Kit::caller(), request).await.map_err(|error| error.kind.into_owned())?;
        Ok::<_, String>(answer.instance_properties.unwrap().into_iter().map(|node| node.instance_id.unwrap()).collect::<Vec<_>>())
    };
    let filtered = async |key: &str, operator: Option<&str>, value: &str| {
        let filter = InstancePropertyStringFilter { key: key.into(), values: vec![value.into()], operator: operator.map(str::to_owned) };
        list(DescribeInstancePropertiesRequest { filters_with_operator: Some(vec![filter]), ..Default::default() }).await
    };
    for (key, operator, value, expected) in [
        ("InstanceIds", None, one[0].as_str(), &one),
        ("InstanceIds", Some("NotEqual"), one[0].as_str(), &other),
        ("InstanceIds", Some("BeginWith"), one[0].get(..12).unwrap(), &one),
        ("AgentVersion", Some("Equal"), "0.1.0", &one),
        ("AgentVersion", Some("LessThan"), "0.10.0", &one),
        ("AgentVersion", Some("LessThan"), "0.1.0", &none),
        ("AgentVersion", Some("GreaterThan"), "0.0.9", &one),
        ("AgentVersion", Some("BeginWith"), "0.", &one),
        ("PingStatus", Some("NotEqual"), "Online", &other),
        ("PlatformTypes", Some("NotEqual"), "Windows", &both),
        ("tag:site", Some("BeginWith"), "nor", &one),
        ("tag:site", Some("NotEqual"), "north", &other),
        ("tag-key", Some("Equal"), "site", &one),
        ("IamRole", Some("BeginWith"), "%", &none),
    ] {
        assert_eq!(filtered(key, operator, value).await.as_ref(), Ok(expected), "{key} {operator:?} {value}");
    }
    for (key, operator, value, kind) in [
        ("Colour", None, "red", "InvalidFilterKey"),
        ("DocumentName", None, "any", "InvalidFilterKey"),
        ("IamRole", Some("LessThan"), "a", "InvalidInstancePropertyFilterValue"),
        ("AgentVersion", Some("LessThan"), "new", "InvalidInstancePropertyFilterValue"),
        ("PingStatus", None, "Maybe", "InvalidInstancePropertyFilterValue"),
        ("InstanceIds", None, "i-1", "InvalidInstanceId"),
        ("InstanceIds", Some("Near"), "i-1", "ValidationException"),
    ] {
        assert_eq!(filtered(key, operator, value).await, Err(kind.to_owned()), "{key} {operator:?} {value}");
    }
    let older = vec![InstancePropertyFilter { key: "PingStatus".into(), value_set: vec!["Online".into()] }];
    let request = DescribeInstancePropertiesRequest { instance_property_filter_list: Some(older), ..Default::default() };
    assert_eq!(list(request.clone()).await, Ok(one));
    let filter = InstancePropertyStringFilter { key: "IamRole".into(), values: vec!["a".into()], operator: None };
    let twice = DescribeInstancePropertiesRequest { filters_with_operator: Some(vec![filter]), ..request };
    assert_eq!(list(twice).await, Err("ValidationException".to_owned()));
}

#[tokio::test]
async fn a_role_is_kept_and_shown() {
    let kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let give = async |instance_id: String, role: &str| {
        let request = UpdateManagedInstanceRoleRequest { instance_id, iam_role: role.to_owned() };
        update_managed_instance_role(&kit.fleet, &Kit::caller(), request).await.map_err(|error| error.kind.into_owned())
    };
    give(node.id.to_string(), "another").await.unwrap();
    let shown = describe_instance_information(&kit.fleet, &Kit::caller(), DescribeInstanceInformationRequest::default()).await.unwrap();
    assert_eq!(shown.instance_information_list.unwrap()[0].iam_role.as_deref(), Some("another"));
    assert_eq!(filtered(&kit, "IamRole", &["another"]).await, Ok(vec![node.id.to_string()]));
    for (id, role, kind) in [
        ("mi-00000000000000000".to_owned(), "a", "InvalidInstanceId"),
        ("i-1".to_owned(), "a", "InvalidInstanceId"),
        (node.id.to_string(), &"r".repeat(65), "ValidationException"),
    ] {
        assert_eq!(give(id, role).await.unwrap_err(), kind);
    }
}

#[tokio::test]
async fn a_large_fleet_is_looked_through_in_parts() {
    let kit = Kit::new().await;
    let mut write = kit.fleet.store.write().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 44999) \
         INSERT INTO node (node_id, identity_key, sealing_key, tls_key, activation_id, iam_role, registered_ms, last_seen_ms, \
         agent_version, platform_name, platform_version, architecture, computer_name, ip_address, deregistered_ms) \
         SELECT 'mi-' || printf('%017x', n), x'00', x'00', x'00', 'a', CASE n % 15000 WHEN 7 THEN 'rare' ELSE 'common' END, 0, 0, \
         '', '', '', '', '', '', CASE WHEN n < 25000 AND n <> 7 THEN 1 END FROM number",
    )
    .execute(write.connection())
    .await
    .unwrap();
    write.commit().await.unwrap();
    let page = async |key: &str, value: &str, next_token: Option<String>| {
        let filter = InstanceInformationStringFilter { key: key.to_owned(), values: vec![value.to_owned()] };
        let request = DescribeInstanceInformationRequest { filters: Some(vec![filter]), next_token, ..Default::default() };
        describe_instance_information(&kit.fleet, &Kit::caller(), request).await.unwrap()
    };
    let (mut found, mut pages, mut token) = (Vec::new(), 0, None);
    loop {
        let answer = page("IamRole", "rare", token).await;
        found.extend(answer.instance_information_list.unwrap().into_iter().map(|node| node.instance_id.unwrap()));
        pages += 1;
        token = answer.next_token;
        if token.is_none() {
            break;
        }
    }
    // Removed nodes are looked past, and not for ever.
    assert_eq!((found, pages), (vec!["mi-00000000000000007".to_owned(), "mi-00000000000007537".to_owned()], 3));
    let one = page("InstanceIds", "mi-00000000000007537", None).await;
    assert_eq!((one.instance_information_list.unwrap().len(), one.next_token), (1, None), "an id is found at once");
}
