//! Commands from the request to the node's signed end, through topics, with simulated nodes.

use super::api::{cancel::cancel_command, detail::get_command_invocation, list, send::send_command};
use super::reconcile::round;
use crate::device::test_kit::{Kit, NOW_MS, SimulatedNode};
use crate::platform::http::ApiError;
use flotilla_api::commands::{
    CancelCommandRequest, CommandFilter, GetCommandInvocationRequest, GetCommandInvocationResult, ListCommandInvocationsRequest,
    ListCommandsRequest, SendCommandRequest,
};
use flotilla_protocol::capability::command::{Captured, CommandProgress, CommandRebooting, CommandResult, StepResult};
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::{FleetId, OrderId};
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{LossCause, MemoryLost, OutputReceiptBody, OutputStream};
use flotilla_protocol::status::{Admission, Outcome, RejectReason, StepStatus};
use flotilla_protocol::target::{is_proven, leaf};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::{Asked, Class, Role};
use flotilla_protocol::wire::decode;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn request(nodes: &[&SimulatedNode]) -> SendCommandRequest {
    SendCommandRequest {
        document_name: "AWS-RunShellScript".into(),
        instance_ids: Some(nodes.iter().map(|node| node.id.to_string()).collect()),
        parameters: Some(BTreeMap::from([("commands".to_owned(), vec!["echo hello".to_owned()])])),
        ..SendCommandRequest::default()
    }
}

pub(crate) async fn send(kit: &Kit, request: SendCommandRequest) -> Result<OrderId, ApiError> {
    let answer = send_command(&kit.fleet, &Kit::caller(), request).await?;
    Ok(answer.command.unwrap().command_id.unwrap().parse().unwrap())
}

pub(super) async fn invocation(kit: &Kit, order: OrderId, node: &SimulatedNode) -> GetCommandInvocationResult {
    let request = GetCommandInvocationRequest { command_id: order.to_string(), instance_id: node.id.to_string(), plugin_name: None };
    get_command_invocation(&kit.fleet, &Kit::caller(), request).await.unwrap()
}

pub(super) async fn words(kit: &Kit, order: OrderId, node: &SimulatedNode) -> (String, String) {
    let shown = invocation(kit, order, node).await;
    (shown.status.unwrap(), shown.status_details.unwrap())
}

pub(super) async fn command_words(kit: &Kit, order: OrderId) -> (String, String) {
    let request = ListCommandsRequest { command_id: Some(order.to_string()), ..ListCommandsRequest::default() };
    let commands = list::list_commands(&kit.fleet, &Kit::caller(), request).await.unwrap().commands.unwrap();
    (commands[0].status.clone().unwrap(), commands[0].status_details.clone().unwrap())
}

pub(super) fn pair(status: &str, details: &str) -> (String, String) {
    (status.to_owned(), details.to_owned())
}

pub(super) fn accepted(order: OrderId) -> ReportPayload {
    ReportPayload::Admission(Admission::Accepted { order })
}

pub(crate) fn started(order: OrderId) -> ReportPayload {
    ReportPayload::CommandProgress(CommandProgress { order })
}

pub(crate) fn ended(order: OrderId, outcome: Outcome) -> ReportPayload {
    let (status, exit_code) = match outcome {
        Outcome::Succeeded => (StepStatus::Succeeded, 0),
        _ => (StepStatus::Failed, 7),
    };
    let captured = |text: &str| Captured {
        written_bytes: u64::try_from(text.len()).unwrap(),
        kept_bytes: u64::try_from(text.len()).unwrap(),
        sha256: [0; 32],
        head: text.as_bytes().to_vec(),
    };
    let step = StepResult {
        name: "runShellScript".into(),
        status,
        exit_code,
        started_ms: Some(NOW_MS),
        ended_ms: Some(NOW_MS + 1_234),
        stdout: captured("hello\n"),
        stderr: captured(""),
    };
    let steps = if outcome == Outcome::Interrupted { Vec::new() } else { vec![step] };
    let explanation = if outcome == Outcome::Interrupted { "the device lost power".to_owned() } else { String::new() };
    ReportPayload::CommandResult(CommandResult { order, outcome, explanation, steps })
}

#[tokio::test]
async fn an_order_reaches_an_online_node_at_once_and_a_node_would_take_it() {
    let mut kit = Kit::new().await;
    let nodes = [kit.online_node(20).await, kit.online_node(21).await, kit.online_node(22).await];
    kit.published();
    let order = send(&kit, request(&nodes.each_ref())).await.unwrap();
    let published = kit.published();
    assert_eq!(published.len(), 3);
    for (topic, payload) in published {
        let Topic::Down { node, kind: DownKind::Order, fleet } = topic else { panic!("{topic:?}") };
        let delivery: Delivery = decode(&payload).unwrap();
        let envelope = Envelope::parse(&delivery.envelope, Domain::Order).unwrap();
        let trust = kit.fleet.signer.trust();
        let asked = Asked { class: Class::Command, requester: "", labels: None, time_ms: None };
        assert!(trust.authorise(&trust.signers(&envelope), &asked).is_ok());
        let body: OrderBody = decode(envelope.body()).unwrap();
        assert_eq!((body.id, body.fleet, body.requester.as_str()), (order, fleet, "tester"));
        assert!(body.not_before_ms <= NOW_MS && body.not_after_ms == NOW_MS + 3_600_000);
        let node = nodes.iter().find(|known| known.id == node).unwrap();
        let leaf = leaf(&node.key.verifying_key().to_bytes(), &delivery.node_data);
        assert!(is_proven(leaf, delivery.index, body.targets.count, &delivery.proof, &body.targets.root));
        let OrderPayload::Command(command) = body.payload().unwrap() else { panic!() };
        assert_eq!((command.document.as_str(), command.plan.steps.len()), ("AWS-RunShellScript", 1));
    }
}

#[tokio::test]
async fn a_command_lives_from_pending_to_success() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    let shown = invocation(&kit, order, &node).await;
    assert_eq!((shown.status.as_deref(), shown.response_code), (Some("Pending"), Some(-1)), "readable at once");
    assert_eq!(shown.execution_start_date_time.as_deref(), Some(""));
    kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("InProgress", "In Progress"));
    assert_eq!(command_words(&kit, order).await, pair("InProgress", "In Progress"));
    kit.take([node.report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&3));
    let shown = invocation(&kit, order, &node).await;
    assert_eq!((shown.status.as_deref(), shown.status_details.as_deref()), (Some("Success"), Some("Success")));
    assert_eq!((shown.response_code, shown.standard_output_content.as_deref()), (Some(0), Some("hello\n")));
    assert_eq!(shown.plugin_name.as_deref(), Some("runShellScript"));
    assert_eq!(shown.execution_elapsed_time.as_deref(), Some("PT1.234S"));
    assert_eq!(shown.execution_start_date_time.as_deref(), Some("2026-11-21T00:00:00.000Z"));
    assert_eq!(command_words(&kit, order).await, pair("Success", "Success"));
    // The end stands: whatever comes later changes nothing.
    kit.take([node.report(&ended(order, Outcome::Failed))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("Success", "Success"));
    assert_eq!(kit.count("SELECT count_succeeded FROM command").await, 1);
}

#[tokio::test]
async fn ends_have_the_words_of_ssm() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let rejected = |reason| move |order| ReportPayload::Admission(Admission::Rejected { order, reason });
    type Report = Box<dyn Fn(OrderId) -> ReportPayload>;
    let cases: [(Report, &str, &str); 8] = [
        (Box::new(|order| ended(order, Outcome::Failed)), "Failed", "Failed"),
        (Box::new(|order| ended(order, Outcome::TimedOut)), "TimedOut", "Execution Timed Out"),
        (Box::new(|order| ended(order, Outcome::Cancelled)), "Cancelled", "Canceled"),
        (Box::new(|order| ended(order, Outcome::Interrupted)), "Failed", "Failed"),
        (Box::new(|order| ended(order, Outcome::Expired)), "TimedOut", "Delivery Timed Out"),
        (Box::new(rejected(RejectReason::Policy)), "Failed", "Access Denied"),
        (Box::new(rejected(RejectReason::Unsupported)), "Failed", "Invalid Platform"),
        (Box::new(rejected(RejectReason::Cancelled)), "Cancelled", "Canceled"),
    ];
    for (report, status, details) in cases {
        let order = send(&kit, request(&[&node])).await.unwrap();
        kit.take([node.report(&report(order))]).await;
        assert_eq!(words(&kit, order, &node).await, pair(status, details));
    }
    let order = send(&kit, request(&[&node])).await.unwrap();
    kit.take([node.report(&ended(order, Outcome::Interrupted))]).await;
    let shown = invocation(&kit, order, &node).await;
    assert_eq!((shown.response_code, shown.standard_error_content.as_deref()), (Some(-1), Some("the device lost power")));
}

#[tokio::test]
async fn a_node_that_has_lost_its_memory_interrupts_what_it_had_taken_and_goes_on() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let (taken, done, sent) = (
        send(&kit, request(&[&node])).await.unwrap(),
        send(&kit, request(&[&node])).await.unwrap(),
        send(&kit, request(&[&node])).await.unwrap(),
    );
    kit.take([node.report(&accepted(taken)), node.report(&accepted(done)), node.report(&ended(done, Outcome::Succeeded))]).await;
    let never_arrives = node.report(&ended(taken, Outcome::Succeeded));
    kit.receipts(node.id);
    (node.sequence, node.previous, node.oldest_held) = (1_000_000, [0; 32], 1_000_001);
    let lost = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: NOW_MS });
    let anew = node.report(&lost);
    kit.take([anew.clone()]).await;
    assert_eq!(kit.receipts(node.id), [1_000_001], "the chain goes on from there");
    assert_eq!(words(&kit, taken, &node).await, pair("Failed", "Failed"), "nobody knows more");
    assert_eq!(words(&kit, done, &node).await, pair("Success", "Success"));
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'memory-lost'").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event").await, 1, "neither a gap nor a fork");
    // What comes late, or again, changes nothing.
    kit.take([never_arrives, anew]).await;
    assert_eq!(words(&kit, taken, &node).await, pair("Failed", "Failed"));
    assert_eq!(words(&kit, sent, &node).await, pair("Failed", "Failed"), "the report that it was taken may be lost");
    // The node refuses it when it comes again: it may have run.
    let refusal = |order| ReportPayload::Admission(Admission::Rejected { order, reason: RejectReason::MemoryLost });
    kit.take([node.report(&refusal(sent)), node.report(&refusal(done))]).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&1_000_003));
    let shown = invocation(&kit, sent, &node).await;
    assert_eq!((shown.status.as_deref(), shown.response_code), (Some("Failed"), Some(-1)));
    assert_eq!(words(&kit, done, &node).await, pair("Success", "Success"));
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 0);
}

#[tokio::test]
async fn max_concurrency_and_max_errors_hold() {
    let mut kit = Kit::new().await;
    let mut nodes = Vec::new();
    for seed in 20..26 {
        nodes.push(kit.online_node(seed).await);
    }
    kit.published();
    let wanted: Vec<&SimulatedNode> = nodes.iter().collect();
    let request = SendCommandRequest { max_concurrency: Some("2".into()), max_errors: Some("1".into()), ..request(&wanted) };
    let order = send(&kit, request).await.unwrap();
    let sent = |kit: &mut Kit| {
        let down = |topic: Topic| match topic {
            Topic::Down { node, kind: DownKind::Order, .. } => Some(node),
            _ => None,
        };
        kit.published().into_iter().filter_map(|(topic, _)| down(topic)).collect::<Vec<_>>()
    };
    let mut busy = sent(&mut kit);
    assert_eq!(busy.len(), 2);
    round(&kit.fleet).await.unwrap();
    assert!(sent(&mut kit).is_empty());
    for errors in 1..=2 {
        let first = busy.remove(0);
        let node = nodes.iter_mut().find(|node| node.id == first).unwrap();
        kit.take([node.report(&ended(order, Outcome::Failed))]).await;
        round(&kit.fleet).await.unwrap();
        let next = sent(&mut kit);
        assert_eq!(next.len(), usize::from(errors < 2), "one error is tolerated, the second stops it");
        busy.extend(next);
    }
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'terminated'").await, 3);
    assert_eq!(command_words(&kit, order).await, pair("InProgress", "In Progress"));
    let last = busy.remove(0);
    let node = nodes.iter_mut().find(|node| node.id == last).unwrap();
    kit.take([node.report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(command_words(&kit, order).await, pair("Failed", "Failed"));
    let request = ListCommandsRequest { command_id: Some(order.to_string()), ..ListCommandsRequest::default() };
    let command = list::list_commands(&kit.fleet, &Kit::caller(), request).await.unwrap().commands.unwrap().remove(0);
    assert_eq!((command.target_count, command.completed_count, command.error_count), (Some(6), Some(6), Some(2)));
}

#[tokio::test]
async fn a_cancel_ends_what_was_never_sent_and_is_repeated_to_the_rest() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let offline = kit.node(21).await;
    let order = send(&kit, request(&[&node, &offline])).await.unwrap();
    kit.take([node.report(&started(order))]).await;
    let cancel = CancelCommandRequest { command_id: order.to_string(), instance_ids: None };
    cancel_command(&kit.fleet, &Kit::caller(), cancel).await.unwrap();
    assert_eq!(words(&kit, order, &offline).await, pair("Cancelled", "Canceled"));
    assert_eq!(words(&kit, order, &node).await.0, "Cancelling");
    assert_eq!(command_words(&kit, order).await.0, "Cancelling");
    kit.published();
    for _ in 0..2 {
        round(&kit.fleet).await.unwrap();
        let cancels = kit.published_to(node.id, DownKind::Cancel);
        assert_eq!(cancels.len(), 1);
        let envelope = Envelope::parse(&cancels[0], Domain::Cancel).unwrap();
        assert_eq!(kit.fleet.signer.trust().require(Role::Bridge, &envelope), Ok(()));
        let body: CancelBody = decode(envelope.body()).unwrap();
        assert_eq!((body.order, body.node), (order, node.id));
        kit.clock.advance(Duration::from_secs(5));
    }
    kit.take([node.report(&ended(order, Outcome::Cancelled))]).await;
    kit.clock.advance(Duration::from_secs(600));
    round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Cancel).is_empty());
    assert_eq!(command_words(&kit, order).await, pair("Cancelled", "Canceled"));
}

#[tokio::test]
async fn one_node_can_be_cancelled_and_strangers_cannot() {
    let kit = Kit::new().await;
    let (one, two, stranger) = (kit.node(20).await, kit.node(21).await, kit.node(22).await);
    let order = send(&kit, request(&[&one, &two])).await.unwrap();
    let cancel =
        |node: &SimulatedNode| CancelCommandRequest { command_id: order.to_string(), instance_ids: Some(vec![node.id.to_string()]) };
    cancel_command(&kit.fleet, &Kit::caller(), cancel(&one)).await.unwrap();
    assert_eq!(words(&kit, order, &one).await.0, "Cancelled");
    assert_eq!(words(&kit, order, &two).await.0, "Pending");
    let error = cancel_command(&kit.fleet, &Kit::caller(), cancel(&stranger)).await.unwrap_err();
    assert_eq!(error.kind, "InvalidInstanceId");
    let unknown = CancelCommandRequest { command_id: OrderId([1; 16]).to_string(), instance_ids: None };
    assert_eq!(cancel_command(&kit.fleet, &Kit::caller(), unknown).await.unwrap_err().kind, "InvalidCommandId");
}

#[tokio::test]
async fn output_is_appended_once_and_bounded() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    kit.published();
    let receipt = |kit: &mut Kit, node: &SimulatedNode| {
        let receipts = kit.published_to(node.id, DownKind::OutputReceipt);
        let envelope = Envelope::parse(&receipts[0], Domain::OutputReceipt).unwrap();
        decode::<OutputReceiptBody>(envelope.body()).unwrap().up_to
    };
    let stdout = OutputStream::Stdout;
    for (offset, bytes, expected) in [(0, "abc", 3), (0, "abc", 3), (6, "ghi", 3), (1, "bcdef", 6), (6, "", 6)] {
        kit.take([node.output(order, stdout, offset, bytes.as_bytes())]).await;
        assert_eq!(receipt(&mut kit, &node), expected, "{bytes:?} at {offset}");
    }
    kit.take([node.report(&started(order))]).await;
    assert_eq!(invocation(&kit, order, &node).await.standard_output_content.as_deref(), Some("abcdef"), "live");
    kit.published();
    kit.take([node.output(OrderId([1; 16]), stdout, 0, b"x")]).await;
    assert_eq!(receipt(&mut kit, &node), u64::MAX, "a command that is not known");
    let mut offset = 6;
    let last = loop {
        kit.take([node.output(order, stdout, offset, &[b'x'; 16 * 1024])]).await;
        match receipt(&mut kit, &node) {
            u64::MAX => break offset,
            up_to => offset = up_to,
        }
    };
    assert!(last < super::ingest::MAXIMUM_OUTPUT_BYTES);
    kit.take([node.output(order, stdout, super::ingest::MAXIMUM_OUTPUT_BYTES, b"more")]).await;
    assert_eq!(receipt(&mut kit, &node), u64::MAX, "what was refused stays refused");
    kit.take([node.output_of_step(order, 1, stdout, 0, b"x")]).await;
    assert!(kit.published_to(node.id, DownKind::OutputReceipt).is_empty(), "the document has one step");
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 1);
    let kept = kit.count("SELECT SUM(LENGTH(bytes)) FROM command_output").await;
    assert_eq!(u64::try_from(kept).unwrap(), super::ingest::MAXIMUM_OUTPUT_BYTES);
}

#[tokio::test]
async fn output_in_small_pieces_is_kept_as_a_whole() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    let text: Vec<u8> = (0..40_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let piece = |at: usize, length: usize| node.output(order, OutputStream::Stdout, u64::try_from(at).unwrap(), &text[at..at + length]);
    kit.take((0..1000).map(|at| piece(at, 1))).await;
    // Twice, and one that overlaps.
    kit.take([piece(999, 1), piece(900, 200)]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM command_output").await, 1);
    kit.take((1100..40_000).step_by(100).map(|at| piece(at, 100))).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM command_output").await, 3);
    let sql = "SELECT bytes FROM command_output ORDER BY chunk_offset";
    let stored: Vec<Vec<u8>> = sqlx::query_scalar(sql).fetch_all(kit.fleet.store.reader()).await.unwrap();
    assert_eq!(stored.concat(), text);
    assert_eq!(kit.count("SELECT MAX(end_offset) FROM command_output").await, 40_000);
    let last = kit.published_to(node.id, DownKind::OutputReceipt).pop().unwrap();
    let receipt: OutputReceiptBody = decode(Envelope::parse(&last, Domain::OutputReceipt).unwrap().body()).unwrap();
    assert_eq!(receipt.up_to, 40_000);
}

#[tokio::test]
async fn requests_are_refused_by_their_own_errors() {
    let kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let stranger = SimulatedNode::new(99);
    let long = "x".repeat(70_000);
    let with = |parameters: &[(&str, &str)]| SendCommandRequest {
        parameters: Some(parameters.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect()),
        ..request(&[&node])
    };
    let cases = [
        (request(&[&stranger]), "InvalidInstanceId"),
        (request(&[&node, &node]), "DuplicateInstanceId"),
        (SendCommandRequest { document_name: "Unknown-Document".into(), ..request(&[&node]) }, "InvalidDocument"),
        (SendCommandRequest { document_version: Some("7".into()), ..request(&[&node]) }, "InvalidDocumentVersion"),
        (SendCommandRequest { document_hash: Some("00".into()), ..request(&[&node]) }, "InvalidDocument"),
        (with(&[]), "InvalidParameters"),
        (with(&[("commands", "a"), ("colour", "red")]), "InvalidParameters"),
        (with(&[("commands", &long)]), "MaxDocumentSizeExceeded"),
    ];
    for (request, kind) in cases {
        let error = send(&kit, request).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    assert_eq!(kit.count("SELECT COUNT(*) FROM command").await, 0, "nothing was sent");
    let order = send(&kit, request(&[&node])).await.unwrap();
    let wrong = |node: &SimulatedNode, plugin: Option<&str>| GetCommandInvocationRequest {
        command_id: order.to_string(),
        instance_id: node.id.to_string(),
        plugin_name: plugin.map(str::to_owned),
    };
    let error = get_command_invocation(&kit.fleet, &Kit::caller(), wrong(&stranger, None)).await.unwrap_err();
    assert_eq!(error.kind, "InvocationDoesNotExist");
    let error = get_command_invocation(&kit.fleet, &Kit::caller(), wrong(&node, Some("other"))).await.unwrap_err();
    assert_eq!(error.kind, "InvalidPluginName");
    for plugin in ["runShellScript", "aws:runShellScript"] {
        get_command_invocation(&kit.fleet, &Kit::caller(), wrong(&node, Some(plugin))).await.unwrap();
    }
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let offline = kit.node(21).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(send(&kit, request(&[&node, &offline])).await.unwrap().to_string());
        kit.clock.advance(Duration::from_millis(10));
    }
    let last: OrderId = orders[4].parse().unwrap();
    kit.take([node.report(&ended(last, Outcome::Succeeded))]).await;
    orders.reverse();
    let mut listed = Vec::new();
    let mut next_token = None;
    loop {
        let request = ListCommandsRequest { max_results: Some(2), next_token, ..ListCommandsRequest::default() };
        let page = list::list_commands(&kit.fleet, &Kit::caller(), request).await.unwrap();
        listed.extend(page.commands.unwrap().into_iter().map(|command| command.command_id.unwrap()));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(listed, orders, "newest first, each once");
    let mut seen = 0;
    let mut next_token = None;
    loop {
        let request = ListCommandInvocationsRequest { max_results: Some(3), next_token, details: Some(true), ..Default::default() };
        let page = list::list_command_invocations(&kit.fleet, &Kit::caller(), request).await.unwrap();
        let invocations = page.command_invocations.unwrap();
        assert!(invocations.iter().all(|invocation| invocation.command_plugins.as_ref().unwrap().len() == 1));
        seen += invocations.len();
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, 10);
    let count = async |key: &str, value: &str| {
        let filters = Some(vec![CommandFilter { key: key.into(), value: value.into() }]);
        let request = ListCommandInvocationsRequest { filters, ..Default::default() };
        list::list_command_invocations(&kit.fleet, &Kit::caller(), request).await.map(|page| page.command_invocations.unwrap().len())
    };
    assert_eq!(count("Status", "Success").await.unwrap(), 1);
    assert_eq!(count("Status", "Pending").await.unwrap(), 9);
    assert_eq!(count("Status", "Nonsense").await.unwrap(), 0);
    assert_eq!(count("ExecutionStage", "Complete").await.unwrap(), 1);
    assert_eq!(count("DocumentName", "AWS-RunShellScript").await.unwrap(), 10);
    assert_eq!(count("InvokedAfter", "2027-01-01T00:00:00Z").await.unwrap(), 0);
    assert_eq!(count("InvokedBefore", "2027-01-01T00:00:00Z").await.unwrap(), 10);
    assert_eq!(count("Colour", "red").await.unwrap_err().kind, "InvalidFilterKey");
}

/// It is removed between the choice of the nodes and the writing of the command.
#[tokio::test]
async fn a_node_that_is_removed_while_a_command_is_made_ends_too() {
    let kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let mut write = kit.fleet.store.write().await.unwrap();
    let remove = async {
        while kit.fleet.store.waiting_writers() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(crate::fleet::node::store::deregister(&mut write, node.id, 5).await.unwrap());
        // As dispatch does, which finds nothing open.
        sqlx::query("UPDATE node SET closed = 1").execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
    };
    let (order, ()) = tokio::join!(send(&kit, request(&[&node])), remove);
    let order = order.unwrap();
    assert_eq!(words(&kit, order, &node).await.0, "Pending");
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("Failed", "Undeliverable"));
}

#[tokio::test]
async fn a_removed_node_ends_its_invocations() {
    let kit = Kit::new().await;
    let (mut node, waiting) = (kit.online_node(20).await, kit.node(21).await);
    let order = send(&kit, request(&[&node, &waiting])).await.unwrap();
    kit.take([node.report(&started(order))]).await;
    for node in [&node, &waiting] {
        let request = flotilla_api::nodes::DeregisterManagedInstanceRequest { instance_id: node.id.to_string() };
        crate::fleet::node::api::deregister_managed_instance(&kit.fleet, &Kit::caller(), request).await.unwrap();
    }
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &waiting).await, pair("Failed", "Undeliverable"));
    assert_eq!(words(&kit, order, &node).await, pair("Failed", "Failed"));
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE closed = 0").await, 0);
    assert_eq!(send(&kit, request(&[&node])).await.unwrap_err().kind, "InvalidInstanceId");
}

#[tokio::test]
async fn a_node_that_reboots_for_a_command_is_waited_for() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node]) }).await.unwrap();
    let rebooting = |count| ReportPayload::CommandRebooting(CommandRebooting { order, step: 0, count });
    kit.take([node.report(&accepted(order)), node.report(&started(order)), node.report(&rebooting(1))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("InProgress", "Rebooting"));
    assert_eq!(command_words(&kit, order).await, pair("InProgress", "In Progress"));
    // Its one step may take an hour and has; it may take another, with the graces of a reboot and of a run.
    kit.clock.advance(Duration::from_secs(30 + 3600));
    kit.take([node.report(&rebooting(2))]).await;
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"0".to_vec())]).await;
    kit.clock.advance(Duration::from_secs(3600 + 3600 + 600 - 1));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("InProgress", "Rebooting"), "a node that reboots is silent");
    kit.clock.advance(Duration::from_secs(1));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("Failed", "Failed"), "not for ever");
    kit.take([node.report(&started(order))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("InProgress", "In Progress"));
    kit.take([node.report(&rebooting(3))]).await;
    let cancel = CancelCommandRequest { command_id: order.to_string(), instance_ids: None };
    cancel_command(&kit.fleet, &Kit::caller(), cancel).await.unwrap();
    assert_eq!(words(&kit, order, &node).await.0, "Cancelling");
    kit.take([node.report(&ended(order, Outcome::Cancelled))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("Cancelled", "Canceled"));
}
