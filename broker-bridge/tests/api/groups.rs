//! Resource groups through their own addresses: signed for their service, checked, paged, and a target of commands.

use crate::support::{Answer, Bridge, Key};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use flotilla_api::commands::Target;
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::fleet::target;
use flotilla_broker_bridge::platform::http::Access;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// What can be bent of a call.
struct Call<'a> {
    service: &'a str,
    signed_path: &'a str,
    path: &'a str,
    signed_body: &'a str,
    body: &'a str,
}

#[expect(clippy::unwrap_used, reason = "a failing step of a call ends the test")]
async fn send(bridge: &Bridge, key: &Key, call: &Call<'_>) -> Answer {
    let host = bridge.address.to_string();
    let mut headers = vec![("host".to_owned(), host.clone()), ("content-type".to_owned(), "application/json".to_owned())];
    let identity = Credentials::new(&key.id, &key.secret, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("local-1")
        .name(call.service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_millis(bridge.clock.now_ms()))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://{host}{}", call.signed_path);
    let borrowed = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new("POST", url, borrowed, SignableBody::Bytes(call.signed_body.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let added: Vec<_> = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(added);
    headers.push(("amz-sdk-invocation-id".to_owned(), uuid::Uuid::now_v7().to_string()));
    let mut text = format!("POST {} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", call.path, call.body.len());
    for (name, value) in &headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let answer = bridge.exchange(format!("{text}\r\n{}", call.body).as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

async fn post(bridge: &Bridge, key: &Key, path: &str, body: Value) -> Answer {
    let body = body.to_string();
    send(bridge, key, &Call { service: "resource-groups", signed_path: path, path, signed_body: &body, body: &body }).await
}

async fn ok(bridge: &Bridge, path: &str, body: Value) -> Value {
    let answer = post(bridge, &bridge.admin, path, body).await;
    assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
    assert!(answer.headers.contains("content-type: application/json"));
    answer.body
}

async fn refused(bridge: &Bridge, path: &str, body: Value) -> (u16, String) {
    let answer = post(bridge, &bridge.admin, path, body).await;
    assert!(answer.headers.contains(&format!("x-amzn-errortype: {}", answer.error().to_lowercase())), "{}", answer.headers);
    assert!(!answer.message().is_empty());
    (answer.status, answer.error().to_owned())
}

fn query(types: &[&str], tags: Value) -> Value {
    json!({"Type": "TAG_FILTERS_1_0", "Query": json!({"ResourceTypeFilters": types, "TagFilters": tags}).to_string()})
}

fn group(name: &str, tags: Value) -> Value {
    json!({"Name": name, "ResourceQuery": query(&["AWS::SSM::ManagedInstance"], tags)})
}

/// Four nodes: the first two at site a, the others at site b.
async fn nodes(bridge: &Bridge) -> Vec<String> {
    let mut nodes = Vec::new();
    for number in 1..=4 {
        nodes.push(bridge.node(number).await);
    }
    for (node, site) in nodes.iter().zip(["a", "a", "b", "b"]) {
        let tags = json!([{"Key": "site", "Value": site}]);
        bridge.ok("AddTagsToResource", json!({"ResourceType": "ManagedInstance", "ResourceId": node, "Tags": tags})).await;
    }
    nodes
}

#[tokio::test]
async fn a_group_is_made_shown_searched_and_removed() {
    let bridge = Bridge::start().await;
    let nodes = nodes(&bridge).await;
    let mut request = group("site-a", json!([{"Key": "site", "Values": ["a"]}]));
    request["Description"] = json!("the first site");
    request["Tags"] = json!({"team": "x"});
    request["Criticality"] = json!(3);
    let made = ok(&bridge, "/groups", request.clone()).await;
    let arn = "arn:aws:resource-groups:local-1:000000000000:group/site-a";
    let shown = json!({"GroupArn": arn, "Name": "site-a", "Description": "the first site", "Criticality": 3});
    assert_eq!(made, json!({"Group": shown, "ResourceQuery": request["ResourceQuery"], "Tags": {"team": "x"}}));
    assert_eq!(refused(&bridge, "/groups", request.clone()).await, (400, "BadRequestException".to_owned()), "it is there already");
    for named in [json!({"Group": arn}), json!({"Group": "site-a"}), json!({"GroupName": "site-a"})] {
        assert_eq!(ok(&bridge, "/get-group", named.clone()).await["Group"], shown);
        let query = ok(&bridge, "/get-group-query", named).await;
        assert_eq!(query["GroupQuery"], json!({"GroupName": "site-a", "ResourceQuery": request["ResourceQuery"]}));
    }
    let found = ok(&bridge, "/list-group-resources", json!({"Group": "site-a"})).await;
    let mut expected: Vec<String> =
        nodes[..2].iter().map(|node| format!("arn:aws:ssm:local-1:000000000000:managed-instance/{node}")).collect();
    expected.sort();
    let arns: Vec<&str> =
        found["ResourceIdentifiers"].as_array().unwrap().iter().map(|entry| entry["ResourceArn"].as_str().unwrap()).collect();
    assert_eq!(arns, expected);
    assert_eq!(found["Resources"][0]["Identifier"], found["ResourceIdentifiers"][0]);
    let searched = ok(&bridge, "/resources/search", json!({"ResourceQuery": request["ResourceQuery"]})).await;
    assert_eq!(searched["ResourceIdentifiers"], found["ResourceIdentifiers"]);
    let others = json!({"Group": "site-a", "Filters": [{"Name": "resource-type", "Values": ["AWS::EC2::Instance"]}]});
    assert_eq!(ok(&bridge, "/list-group-resources", others).await["ResourceIdentifiers"], json!([]));
    ok(&bridge, "/delete-group", json!({"GroupName": "site-a"})).await;
    for path in ["/get-group", "/delete-group", "/list-group-resources", "/get-group-query"] {
        assert_eq!(refused(&bridge, path, json!({"Group": "site-a"})).await, (404, "NotFoundException".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn queries_choose_by_every_tag_and_any_value() {
    let bridge = Bridge::start().await;
    nodes(&bridge).await;
    let all = ["AWS::AllSupported"].as_slice();
    for (types, tags, count) in [
        (all, json!([]), 4),
        (all, json!([{"Key": "site", "Values": ["a", "b"]}]), 4),
        (all, json!([{"Key": "site"}]), 4),
        (all, json!([{"Key": "site", "Values": ["b"]}]), 2),
        (all, json!([{"Key": "site", "Values": ["a"]}, {"Key": "ring"}]), 0),
        (all, json!([{"Key": "site", "Values": ["' OR 1=1 --"]}]), 0),
        (&["AWS::EC2::Instance"], json!([]), 0),
        (&["AWS::EC2::Instance", "AWS::SSM::ManagedInstance"], json!([]), 4),
    ] {
        let found = ok(&bridge, "/resources/search", json!({"ResourceQuery": query(types, tags.clone())})).await;
        assert_eq!(found["ResourceIdentifiers"].as_array().unwrap().len(), count, "{types:?} {tags}");
    }
    let bad = (400, "BadRequestException".to_owned());
    for wrong in [
        json!({"Type": "TAG_FILTERS_1_0", "Query": "nothing"}),
        json!({"Type": "CLOUDFORMATION_STACK_1_0", "Query": "{}"}),
        json!({"Type": "OTHER", "Query": "{}"}),
        json!({"Type": "TAG_FILTERS_1_0", "Query": " ".repeat(4097)}),
        json!({"Type": "TAG_FILTERS_1_0"}),
    ] {
        assert_eq!(refused(&bridge, "/resources/search", json!({"ResourceQuery": wrong})).await, bad, "{wrong}");
    }
}

#[tokio::test]
async fn groups_and_their_nodes_are_paged() {
    let bridge = Bridge::start().await;
    nodes(&bridge).await;
    for number in 0..3 {
        ok(&bridge, "/groups", group(&format!("g{number}"), json!([]))).await;
    }
    let (mut names, mut path) = (Vec::new(), "/groups-list?maxResults=2".to_owned());
    loop {
        let page = ok(&bridge, &path, json!({})).await;
        names.extend(page["GroupIdentifiers"].as_array().unwrap().iter().map(|entry| entry["GroupName"].as_str().unwrap().to_owned()));
        let Some(token) = page["NextToken"].as_str() else { break };
        let token = token.replace('+', "%2B").replace('/', "%2F");
        path = format!("/groups-list?maxResults=2&nextToken={token}");
    }
    assert_eq!(names, ["g0", "g1", "g2"]);
    let (mut arns, mut request) = (Vec::new(), json!({"Group": "g0", "MaxResults": 3}));
    loop {
        let page = ok(&bridge, "/list-group-resources", request.clone()).await;
        arns.extend(page["ResourceIdentifiers"].as_array().unwrap().iter().map(|entry| entry["ResourceArn"].as_str().unwrap().to_owned()));
        let Some(token) = page["NextToken"].as_str() else { break };
        request["NextToken"] = json!(token);
    }
    assert_eq!(arns.len(), 4);
    let bad = (400, "BadRequestException".to_owned());
    for wrong in ["/groups-list?maxResults=51", "/groups-list?nextToken=AAAA", "/groups-list?colour=red", "/groups-list?maxResults=two"] {
        assert_eq!(refused(&bridge, wrong, json!({})).await, bad, "{wrong}");
    }
    for name in ["", "a b", "AWS-mine", "awsome"] {
        assert_eq!(refused(&bridge, "/groups", group(name, json!([]))).await, bad, "{name:?}");
    }
}

#[tokio::test]
async fn a_group_is_a_target() {
    let bridge = Bridge::start().await;
    let nodes = nodes(&bridge).await;
    ok(&bridge, "/groups", group("first", json!([{"Key": "site", "Values": ["a"]}]))).await;
    ok(&bridge, "/groups", group("second", json!([{"Key": "site", "Values": ["b"]}]))).await;
    let choice = |key: &str, values: &[&str]| Target {
        key: Some(key.to_owned()),
        values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
    };
    let resolve = async |targets: &[Target]| {
        let found = target::resolve(&bridge.fleet, None, Some(targets)).await;
        found.map(|found| found.iter().map(|node| node.id.to_string()).collect::<Vec<_>>()).map_err(|error| error.kind.into_owned())
    };
    let sorted = |nodes: &[String]| {
        let mut nodes = nodes.to_vec();
        nodes.sort();
        Ok(nodes)
    };
    let first = choice("resource-groups:Name", &["first"]);
    assert_eq!(resolve(std::slice::from_ref(&first)).await, sorted(&nodes[..2]));
    assert_eq!(resolve(&[choice("resource-groups:Name", &["first", "second"])]).await, sorted(&nodes));
    let types = |kind: &str| choice("resource-groups:ResourceTypeFilters", &[kind]);
    assert_eq!(resolve(&[first.clone(), types("AWS::SSM::ManagedInstance")]).await, sorted(&nodes[..2]));
    assert_eq!(resolve(&[first, types("AWS::EC2::Instance")]).await, Ok(Vec::new()));
    assert_eq!(resolve(&[choice("resource-groups:Name", &["third"])]).await, Err("InvalidParameters".to_owned()));
}

#[tokio::test]
async fn a_signature_counts_for_its_service_its_address_and_its_body_only() {
    let bridge = Bridge::start().await;
    let good = Call { service: "resource-groups", signed_path: "/groups-list", path: "/groups-list", signed_body: "{}", body: "{}" };
    assert_eq!(send(&bridge, &bridge.admin, &good).await.status, 200);
    for bent in [
        Call { service: "ssm", ..good },
        Call { signed_path: "/get-group", ..good },
        Call { signed_path: "/", ..good },
        Call { path: "/groups-list?maxResults=1", ..good },
        Call { signed_path: "/groups-list?maxResults=1", ..good },
        Call { body: "{ }", ..good },
    ] {
        let answer = send(&bridge, &bridge.admin, &bent).await;
        assert_eq!(answer.status, 400);
        assert!(["InvalidSignatureException", "IncompleteSignatureException"].contains(&answer.error()), "{}", answer.error());
    }
    // The other way round: a signature for resource groups opens no operation of SSM.
    let turned = Call { path: "/", signed_path: "/", ..good };
    assert_eq!(send(&bridge, &bridge.admin, &turned).await.error(), "IncompleteSignatureException");
}

#[tokio::test]
async fn roles_are_held_for_every_address() {
    let bridge = Bridge::start().await;
    let paths = [
        ("/delete-group", "DeleteGroup"),
        ("/get-group", "GetGroup"),
        ("/get-group-query", "GetGroupQuery"),
        ("/groups", "CreateGroup"),
        ("/groups-list", "ListGroups"),
        ("/list-group-resources", "ListGroupResources"),
        ("/resources/search", "SearchResources"),
    ];
    let (viewer, operator) = (bridge.user("viewer", Access::Viewer).await, bridge.user("operator", Access::Operator).await);
    let registry = registry();
    let operations: Vec<(&str, Access)> = registry.rest_operations().collect();
    assert_eq!(operations.iter().map(|(name, _)| *name).collect::<Vec<_>>(), paths.map(|(_, name)| name));
    for ((path, name), (_, needed)) in paths.into_iter().zip(operations) {
        let changes = ["Create", "Delete"].iter().any(|verb| name.starts_with(verb));
        assert_eq!(changes, needed == Access::Operator, "{name}: who looks is a viewer, who changes is not");
        for (access, key) in [(Access::Viewer, &viewer), (Access::Operator, &operator)] {
            let answer = post(&bridge, key, path, json!({})).await;
            assert_eq!(answer.error() == "ForbiddenException", access < needed, "{name} by {access:?}: {:?}", answer.body);
            assert_eq!(answer.status == 403, access < needed);
        }
    }
}
