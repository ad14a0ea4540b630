//! Results that no node has signed, sent to an honest bridge.

use super::people::key;
use super::stage::{LIMIT, Stage};
use ed25519_dalek::Signer as _;
use flotilla_api::audit::Hex;
use flotilla_api::blob::Blob;
use flotilla_api::orders::{GetPreparedOrderRequest, PutOrderSignatureRequest};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{CommandProgress, CommandResult};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::signature::ALGORITHM_ED25519;
use flotilla_protocol::status::{Admission, Outcome};
use flotilla_protocol::topic::UpKind;
use flotilla_protocol::wire::encode;

pub(crate) fn attack(stage: &mut Stage, half: &(String, Vec<u8>)) {
    let node = stage.nodes[0];
    let order = half.0.parse().unwrap();
    let result = CommandResult { order, outcome: Outcome::Succeeded, explanation: String::new(), steps: Vec::new() };
    let payloads = [
        ("an acceptance", ReportPayload::Admission(Admission::Accepted { order })),
        ("a start", ReportPayload::CommandProgress(CommandProgress { order })),
        ("a result", ReportPayload::CommandResult(result)),
    ];
    let (sequence, (last, head)) = stage.reports(0).pop_last().unwrap();
    let topic = stage.up(0, UpKind::Report);
    // What the node itself has signed, before anything is forged.
    let genuine = stage.broker.everything().iter().rev().find(|(found, _)| *found == topic).unwrap().1.clone();
    let report = |payload: &ReportPayload| ReportBody {
        sequence: sequence + 1,
        previous: head,
        oldest_held: sequence + 1,
        payload: payload.encode(),
        ..last.clone()
    };
    for (what, payload) in &payloads {
        for name in ["bridge", "freshness", "operator"] {
            let signer = stage.stolen[name].clone();
            let forged = seal(Domain::Report, &encode(&report(payload)), &[&signer]);
            stage.attack_by(&topic, 0, &format!("{what} signed by the key {name}"), &forged, None);
        }
        stage.attack_by(&topic, 0, &format!("{what} that nobody signed"), &seal(Domain::Report, &encode(&report(payload)), &[]), None);
    }
    // The node's own signatures, over something else.
    let (_, payload) = &payloads[2];
    let entry = Envelope::parse(&genuine, Domain::Report).unwrap().signatures()[0];
    let unsigned = seal(Domain::Report, &encode(&report(payload)), &[]);
    let moved = Envelope::parse(&unsigned, Domain::Report).unwrap().with_signature(entry).unwrap();
    stage.attack_by(&topic, 0, "a result with the node's signature of another report", &moved, None);
    let others = stage.up(1, UpKind::Report);
    stage.attack_by(&others, 1, "a report of another node", &genuine, None);
    stage.attack_by(&topic, 0, "a report of the past once more", &genuine, None);
    let hello = stage.up(0, UpKind::Hello);
    stage.attack_by(&hello, 0, "a report where hellos come", &genuine, None);
    stage.fleet.await_online();
    // Approvals that are none, handed in where people hand in theirs.
    let other = stage.ask(1, "true", &[]);
    let other = stage.fleet.call(&GetPreparedOrderRequest { order_id: other }).envelope.0;
    for (what, signed, signer) in [("another order", &other, key("bob")), ("the bridge", &half.1, stage.stolen["bridge"].clone())] {
        let covered = Envelope::parse(signed, Domain::Order).unwrap().covered();
        let body = flotilla_protocol::sha256(&[Envelope::parse(&half.1, Domain::Order).unwrap().body()]);
        let put = PutOrderSignatureRequest {
            order_id: half.0.clone(),
            body_sha256: Hex(body),
            algorithm: ALGORITHM_ED25519,
            key_id: Hex(KeyId::of_key(&signer.verifying_key().to_bytes()).0),
            signature: Blob(signer.sign(&covered).to_bytes().to_vec()),
        };
        let (kind, message) = stage.fleet.refusal(&put);
        assert!(!kind.is_empty(), "{message}");
        stage.tried(0, &format!("an approval of {what}, at the API"), None);
    }
    for index in 0..2 {
        let alive = stage.ask(index, "echo alive", &["bob", "cleo"]);
        let ended = stage.fleet.await_end(&alive, &stage.nodes[index].to_string(), LIMIT);
        assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    }
    let status = stage.fleet.invocation(&half.0, &node.to_string()).status;
    assert_eq!(status.as_deref(), Some("Pending"), "a result that the node has not signed");
}
