//! Results that no node has signed, sent to an honest bridge.

use super::stage::{LIMIT, Stage};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{CommandProgress, CommandResult};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::report::ReportBody;
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
    for index in 0..2 {
        let alive = stage.ask(index, "echo alive", &["bob", "cleo"]);
        let ended = stage.fleet.await_end(&alive, &stage.nodes[index].to_string(), LIMIT);
        assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    }
    let status = stage.fleet.invocation(&half.0, &node.to_string()).status;
    assert_eq!(status.as_deref(), Some("Pending"), "a result that the node has not signed");
}
