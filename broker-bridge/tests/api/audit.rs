//! The audit log through the API: what it tells of calls, who may read it, and that it holds.

use crate::support::{Answer, Bridge, Key, NOW_MS};
use flotilla_api::audit::{BridgeKeys, Entry, GetAuditHeadResult, ListAuditEntriesResult, Verified, Verifier};
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::platform::http::Access;
use serde_json::{Value, json};

async fn own(bridge: &Bridge, key: &Key, operation: &str, body: Value) -> Answer {
    bridge.send(&bridge.sign_target(key, &format!("Flotilla.{operation}"), &body.to_string())).await
}

async fn entries(bridge: &Bridge, request: Value) -> ListAuditEntriesResult {
    let answer = own(bridge, &bridge.admin, "ListAuditEntries", request).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    serde_json::from_value(answer.body).unwrap()
}

async fn all(bridge: &Bridge) -> Vec<Entry> {
    entries(bridge, json!({"AfterSequence": 0, "MaxResults": 500})).await.entries.unwrap()
}

async fn calls(bridge: &Bridge) -> Vec<Entry> {
    all(bridge).await.into_iter().filter(|entry| entry.kind == "api-call").collect()
}

async fn verify(bridge: &Bridge) -> Verified {
    let answer = own(bridge, &bridge.admin, "GetAuditHead", json!({})).await;
    let GetAuditHeadResult { fleet, head, base } = serde_json::from_value(answer.body).unwrap();
    let head = head.unwrap();
    let mut verifier = Verifier::begin(fleet, BridgeKeys::new([head.key], []), base.as_ref(), None).unwrap();
    all(bridge).await.iter().for_each(|entry| verifier.take(entry).unwrap());
    verifier.finish(&head).unwrap()
}

/// A request that each changing operation takes, or refuses for a reason of its own.
fn request(operation: &str, node: &str) -> Value {
    match operation {
        "AddTagsToResource" => json!({"ResourceType": "ManagedInstance", "ResourceId": node, "Tags": [{"Key": "a", "Value": "b"}]}),
        "CancelCommand" => json!({"CommandId": "00000000-0000-7000-8000-000000000000"}),
        "CreateActivation" => json!({"IamRole": "none"}),
        "CreateDocument" => json!({"Name": "Secret", "DocumentFormat": "YAML", "Content": CONTENT}),
        "DeleteActivation" => json!({"ActivationId": "00000000-0000-7000-8000-000000000000"}),
        "DeleteDocument" => json!({"Name": "Secret"}),
        "DeleteInventory" => json!({"TypeName": "Custom:Rack"}),
        "DeregisterManagedInstance" => json!({"InstanceId": node}),
        "PutInventory" => {
            let item = json!({"TypeName": "Custom:Rack", "SchemaVersion": "1.0", "CaptureTime": "2026-11-21T22:26:40Z", "Content": [{"Unit": "hunter2-of-the-fleet"}]});
            json!({"InstanceId": node, "Items": [item]})
        }
        "RemoveTagsFromResource" => json!({"ResourceType": "ManagedInstance", "ResourceId": node, "TagKeys": ["a"]}),
        "SendCommand" => {
            json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": [node], "Parameters": {"commands": ["echo hunter2-of-the-fleet"]}})
        }
        "UpdateDocument" => json!({"Name": "Secret", "Content": CONTENT}),
        "UpdateDocumentDefaultVersion" => json!({"Name": "Secret", "DocumentVersion": "1"}),
        "UpdateManagedInstanceRole" => json!({"InstanceId": node, "IamRole": "role"}),
        other => panic!("{other} changes something: say here what it is asked"),
    }
}

const CONTENT: &str =
    "schemaVersion: '2.2'\nmainSteps:\n- action: aws:runShellScript\n  name: a\n  inputs:\n    runCommand: [echo hunter2-of-the-fleet]\n";

#[tokio::test]
async fn every_call_that_changes_something_is_told_once_and_without_its_content() {
    let bridge = Bridge::start().await;
    let (node, leaving) = (bridge.node(7).await, bridge.node(8).await);
    for (operation, access) in registry().operations() {
        if access == Access::Viewer {
            continue;
        }
        let before = calls(&bridge).await.len();
        let answer = bridge
            .call(&bridge.admin, operation, request(operation, if operation == "DeregisterManagedInstance" { &leaving } else { &node }))
            .await;
        let told = calls(&bridge).await.split_off(before);
        assert_eq!(told.len(), 1, "{operation}: {told:?}");
        let outcome = if answer.status == 200 { "Success" } else { answer.error() };
        let detail = &told[0].detail;
        assert_eq!((told[0].actor.as_str(), told[0].subject.as_str(), detail["Outcome"].as_str()), ("admin", operation, outcome));
        assert_eq!((detail["Source"].as_str(), &detail["AccessKey"], told[0].time_ms), ("127.0.0.1", &bridge.admin.id, NOW_MS));
        assert!(answer.headers.contains(&detail["RequestId"]), "the id that the answer names");
    }
    let text = serde_json::to_string(&all(&bridge).await).unwrap();
    assert!(!text.contains("hunter2") && !text.contains(&bridge.admin.secret), "{text}");
    assert!(text.contains("order-signed"));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
    let unexplained: Vec<String> =
        all(&bridge).await.into_iter().map(|entry| entry.kind).filter(|kind| !page.contains(&format!("`{kind}`"))).collect();
    assert_eq!(unexplained, Vec::<String>::new(), "docs/security.md lists all kinds");
    assert_eq!(verify(&bridge).await.complaints, Vec::<u64>::new());
}

#[tokio::test]
async fn an_order_is_told_in_the_transaction_that_makes_it() {
    let bridge = Bridge::start().await;
    let node = bridge.node(7).await;
    let sent = bridge.ok("SendCommand", request("SendCommand", &node)).await;
    let id = sent["Command"]["CommandId"].as_str().unwrap();
    let found = entries(&bridge, json!({"Subject": id})).await.entries.unwrap();
    assert_eq!(found.len(), 1);
    let Entry { kind, actor, detail, .. } = &found[0];
    assert_eq!(
        (kind.as_str(), actor.as_str(), detail["Targets"].as_str(), detail["Class"].as_str()),
        ("order-signed", "admin", "1", "command")
    );
    assert!(detail["BodySha256"].len() == 64 && detail["TargetsRoot"].len() == 64, "{detail:?}");
    let sequence = found[0].sequence;
    let call = all(&bridge).await.into_iter().find(|entry| entry.sequence == sequence + 1).unwrap();
    assert_eq!(call.subject, "SendCommand", "side by side, so that nobody has to guess which call it was");
}

#[tokio::test]
async fn refusals_are_told_and_strangers_are_only_counted() {
    let bridge = Bridge::start().await;
    let viewer = bridge.user("eve", Access::Viewer).await;
    assert_eq!(bridge.call(&viewer, "DeleteDocument", json!({"Name": "abc"})).await.error(), "AccessDeniedException");
    let stranger = Key { id: viewer.id.clone(), secret: "wrong".to_owned() };
    let before = all(&bridge).await.len();
    for _ in 0..3 {
        bridge.call(&stranger, "DeleteDocument", json!({"Name": "abc"})).await;
        bridge.call(&viewer, "ListDocuments", json!({})).await;
    }
    let told = all(&bridge).await;
    assert_eq!(told.len(), before, "who has no key, and who only reads, writes nothing");
    let refused = told.iter().find(|entry| entry.actor == "eve").unwrap();
    assert_eq!((refused.subject.as_str(), refused.detail["Outcome"].as_str()), ("DeleteDocument", "AccessDeniedException"));
    // What was counted is written when the bridge ends.
    let (switch, wish) = flotilla_broker_bridge::platform::shutdown::shutdown();
    switch.request();
    flotilla_broker_bridge::platform::audit::keep::run(bridge.fleet.store.clone(), bridge.clock.clone(), 1_000_000, wish).await;
    let told = all(&bridge).await;
    let count = |kind: &str, actor: &str| {
        let found = told.iter().find(|entry| entry.kind == kind && entry.actor == actor);
        found.map_or_else(String::new, |entry| entry.detail["Calls"].clone())
    };
    assert_eq!((count("api-reads", "eve").as_str(), count("api-unauthenticated", "").as_str()), ("3", "3"));
}

#[tokio::test]
async fn the_log_is_for_auditors_and_admins_and_nobody_changes_it() {
    let bridge = Bridge::start().await;
    let own_operations: Vec<(&str, Access)> = registry().own_operations().filter(|(name, _)| name.contains("Audit")).collect();
    assert_eq!(own_operations, [("GetAuditHead", Access::Auditor), ("ListAuditEntries", Access::Auditor)], "none of them writes");
    let auditor = bridge.user("auditor", Access::Auditor).await;
    for (operation, _) in own_operations {
        for access in [Access::Viewer, Access::Operator] {
            let key = bridge.user(&format!("{}-{operation}", access.name()), access).await;
            assert_eq!(own(&bridge, &key, operation, json!({})).await.error(), "AccessDeniedException", "{operation} by {access:?}");
        }
        assert_eq!(own(&bridge, &auditor, operation, json!({})).await.status, 200, "{operation}");
    }
    assert_eq!(bridge.call(&auditor, "ListDocuments", json!({})).await.status, 200);
    for operation in ["DeleteDocument", "CreateActivation"] {
        assert_eq!(bridge.call(&auditor, operation, request(operation, "")).await.error(), "AccessDeniedException");
    }
    assert_eq!(own(&bridge, &auditor, "SendCommand", json!({})).await.error(), "UnknownOperationException");
    assert_eq!(
        bridge.call(&auditor, "ListAuditEntries", json!({})).await.error(),
        "UnknownOperationException",
        "not under the name of SSM"
    );
}

#[tokio::test]
async fn pages_and_limits() {
    let bridge = Bridge::start().await;
    for number in 0..5 {
        bridge.ok("CreateActivation", json!({"IamRole": "none", "DefaultInstanceName": format!("n{number}")})).await;
    }
    let (mut numbers, mut token) = (Vec::new(), Value::Null);
    loop {
        let page = entries(&bridge, json!({"MaxResults": 2, "Kind": "api-call", "NextToken": token})).await;
        numbers.extend(page.entries.unwrap().iter().map(|entry| entry.sequence));
        match page.next_token {
            Some(next) => token = json!(next),
            None => break,
        }
    }
    assert!(numbers.len() == 5 && numbers.is_sorted_by(|left, right| left > right), "{numbers:?}");
    for wrong in
        [json!({"MaxResults": 501}), json!({"MaxResults": 0}), json!({"Kind": ""}), json!({"AfterSequence": -1}), json!({"Colour": 1})]
    {
        let answer = own(&bridge, &bridge.admin, "ListAuditEntries", wrong.clone()).await;
        assert_eq!(answer.error(), "ValidationException", "{wrong}");
    }
    let wrong = own(&bridge, &bridge.admin, "ListAuditEntries", json!({"NextToken": "AAAA"})).await;
    assert_eq!(wrong.error(), "InvalidNextToken");
}
