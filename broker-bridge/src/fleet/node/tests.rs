//! Nodes through their endpoints.

use super::api::{deregister_managed_instance, describe_instance_information, get_connection_status};
use crate::device::test_kit::{Kit, SimulatedNode};
use flotilla_api::nodes::{
    DeregisterManagedInstanceRequest, DescribeInstanceInformationRequest, GetConnectionStatusRequest, InstanceInformationFilter,
    InstanceInformationStringFilter,
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
