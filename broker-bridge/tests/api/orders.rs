//! Prepared orders through the door: who may do what, what a request may hold, and how a refusal is named. How they wait for people's
//! signatures is tested where nodes are.

use crate::support::{Answer, Bridge, Key};
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::platform::http::Access;
use serde_json::{Value, json};

const ORDER: &str = "0198c0de-0000-7000-8000-000000000000";

async fn own(bridge: &Bridge, key: &Key, operation: &str, body: Value) -> Answer {
    bridge.send(&bridge.sign_target(key, &format!("Flotilla.{operation}"), &body.to_string())).await
}

/// A request that an operation takes, about an order that is not there.
fn request(operation: &str) -> Value {
    match operation {
        "ListPreparedOrders" | "ListTrustBundles" => json!({}),
        "RejectPreparedOrder" => json!({"OrderId": ORDER, "Reason": "no"}),
        "PutOrderSignature" => {
            json!({"OrderId": ORDER, "BodySha256": "0".repeat(64), "Algorithm": 1, "KeyId": "0".repeat(16), "Signature": "AAAA"})
        }
        _ => json!({"OrderId": ORDER}),
    }
}

#[tokio::test]
async fn who_may_look_and_who_may_sign() {
    let bridge = Bridge::start().await;
    let is_here = |name: &str| name.contains("Order") || name == "ListTrustBundles";
    let operations: Vec<(&str, Access)> = registry().own_operations().filter(|(name, _)| is_here(name)).collect();
    assert_eq!(
        operations,
        [
            ("GetPreparedOrder", Access::Viewer),
            ("ListPreparedOrderTargets", Access::Viewer),
            ("ListPreparedOrders", Access::Viewer),
            ("ListTrustBundles", Access::Viewer),
            ("PutOrderSignature", Access::Operator),
            ("RejectPreparedOrder", Access::Operator),
        ]
    );
    let (viewer, operator) = (bridge.user("vic", Access::Viewer).await, bridge.user("otto", Access::Operator).await);
    for (operation, access) in operations {
        let answer = own(&bridge, &viewer, operation, request(operation)).await;
        assert_eq!(answer.error() == "AccessDeniedException", access == Access::Operator, "{operation} by a viewer: {:?}", answer.body);
        let answer = own(&bridge, &operator, operation, request(operation)).await;
        if ["ListPreparedOrders", "ListTrustBundles"].contains(&operation) {
            assert_eq!(answer.status, 200, "{operation}: {:?}", answer.body);
        } else {
            assert_eq!(answer.error(), "PreparedOrderNotFoundException", "{operation}");
        }
    }
    let bundles = own(&bridge, &viewer, "ListTrustBundles", json!({})).await.body;
    assert_eq!(bundles["Bundles"].as_array().map(Vec::len), Some(1));
    assert_eq!(own(&bridge, &viewer, "ListTrustBundles", json!({"AfterVersion": 1})).await.body["Bundles"], json!([]));
}

#[tokio::test]
async fn who_may_hand_in_trust_and_see_how_far_nodes_are() {
    let bridge = Bridge::start().await;
    let is_here = |name: &str| name.contains("Trust") && name != "ListTrustBundles";
    let operations: Vec<(&str, Access)> = registry().own_operations().filter(|(name, _)| is_here(name)).collect();
    assert_eq!(operations, [("GetTrustStatus", Access::Auditor), ("PutTrustBundle", Access::Admin)]);
    let auditor = bridge.user("otto", Access::Auditor).await;
    let status = own(&bridge, &auditor, "GetTrustStatus", json!({})).await;
    assert_eq!((status.status, status.body["Version"].clone()), (200, json!(1)), "{:?}", status.body);
    assert_eq!(own(&bridge, &auditor, "PutTrustBundle", json!({"Bundle": "AAAA"})).await.error(), "AccessDeniedException");
    assert_eq!(own(&bridge, &bridge.admin, "PutTrustBundle", json!({"Bundle": "AAAA"})).await.error(), "ValidationException");
    assert_eq!(own(&bridge, &bridge.admin, "GetTrustStatus", json!({"AfterVersion": 1})).await.error(), "ValidationException");
}

#[tokio::test]
async fn what_no_request_may_hold() {
    let bridge = Bridge::start().await;
    let with = |operation: &str, member: &str, value: Value| {
        let mut request = request(operation);
        request[member] = value;
        request
    };
    for (operation, member, value) in [
        ("ListPreparedOrders", "State", json!("Lost")),
        ("ListPreparedOrders", "MaxResults", json!(51)),
        ("ListPreparedOrderTargets", "MaxResults", json!(1_001)),
        ("GetPreparedOrder", "OrderId", json!("0198C0DE-0000-7000-8000-000000000000")),
        ("GetPreparedOrder", "Colour", json!(1)),
        ("ListTrustBundles", "AfterVersion", json!(-1)),
        ("PutOrderSignature", "KeyId", json!("0")),
        ("PutOrderSignature", "BodySha256", json!("Z".repeat(64))),
        ("PutOrderSignature", "Algorithm", json!(256)),
        ("PutOrderSignature", "Signature", json!("no base64!")),
        ("PutOrderSignature", "Signature", json!("A".repeat(1_372))),
        ("RejectPreparedOrder", "Reason", json!("")),
        ("RejectPreparedOrder", "Reason", json!("x".repeat(501))),
    ] {
        let answer = own(&bridge, &bridge.admin, operation, with(operation, member, value.clone())).await;
        assert_eq!(answer.error(), "ValidationException", "{operation} {member}={value}: {:?}", answer.body);
    }
    let token = own(&bridge, &bridge.admin, "ListPreparedOrders", json!({"NextToken": "AAAA"})).await;
    assert_eq!(token.error(), "InvalidNextToken");
}
