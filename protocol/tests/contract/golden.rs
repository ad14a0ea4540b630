//! Golden messages: the bytes of every message of this version. A build that writes others, or cannot read these, breaks devices
//! in the field.
//!
//! To add a message: build it in `messages.rs`, add a line to [`messages`], and write its file (see `fixture.rs`).

use crate::fixture::{files_below, hex, read_or_write, root, unhex};
use crate::messages;
use ed25519_dalek::SigningKey;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimReplyBody, ClaimRequest, RenewalBody, claim_mac_matches};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::secret;
use flotilla_protocol::session;
use flotilla_protocol::signature::SshHash;
use flotilla_protocol::target::{is_proven, leaf};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::{Asked, Trust, TrustBundle};
use flotilla_protocol::version::VERSION;
use flotilla_protocol::wire::{Check, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Reads bytes, and panics when they do not say what they should.
type Reader = Box<dyn Fn(&[u8])>;

/// A message: the name of its file, its bytes, and what reads them.
struct Message {
    name: &'static str,
    bytes: Vec<u8>,
    read: Reader,
}

/// A message that is a signed body: its reader verifies the signature, then expects the same body.
fn signed<Body>(name: &'static str, domain: Domain, body: Body, key: SigningKey) -> Message
where
    Body: Serialize + DeserializeOwned + Check + Debug + PartialEq + 'static,
{
    let bytes = seal(domain, &encode(&body), &[&key]);
    let read = move |bytes: &[u8]| {
        let envelope = Envelope::parse(bytes, domain).unwrap();
        assert!(envelope.is_signed_by(&key.verifying_key()), "{name}");
        assert_eq!(decode::<Body>(envelope.body()).unwrap(), body, "{name}");
    };
    Message { name, bytes, read: Box::new(read) }
}

fn messages() -> Vec<Message> {
    let [enrolled, refused] = messages::replies();
    let mut all = vec![
        signed::<TrustBundle>("trust/bundle", Domain::Trust, messages::bundle(), messages::root()),
        signed::<HelloBody>("hello/hello", Domain::Hello, messages::hello(), messages::identity()),
        signed::<WelcomeBody>("hello/welcome", Domain::Welcome, messages::welcome(), messages::freshness()),
        signed::<ClaimBody>("enrolment/claim", Domain::Claim, messages::claim(), messages::identity()),
        signed::<ClaimReplyBody>("enrolment/enrolled", Domain::ClaimReply, enrolled, messages::bridge()),
        signed::<ClaimReplyBody>("enrolment/refused", Domain::ClaimReply, refused, messages::bridge()),
        signed::<OrderBody>("command/order", Domain::Order, messages::order(), messages::operator()),
        signed::<OrderBody>("command/order-of-downloads", Domain::Order, messages::downloads(), messages::operator()),
        signed::<OrderBody>("command/order-of-inventory", Domain::Order, messages::order_of_inventory(), messages::operator()),
        signed::<CancelBody>("command/cancel", Domain::Cancel, messages::cancel(), messages::bridge()),
        signed::<OutputBody>("command/output", Domain::Output, messages::output(), messages::identity()),
        signed::<OutputReceiptBody>("command/output-receipt", Domain::OutputReceipt, messages::output_receipt(), messages::bridge()),
        signed::<ReceiptBody>("report/receipt", Domain::Receipt, messages::receipt(), messages::bridge()),
        signed::<TenureBody>("bridge/tenure", Domain::Tenure, messages::tenure(), messages::bridge()),
        signed::<RenewalBody>("enrolment/renewal", Domain::Renewal, messages::renewal(), messages::bridge()),
        Message { name: "command/delivery", bytes: encode(&messages::delivery()), read: Box::new(read_delivery) },
        Message {
            name: "command/delivery-with-secrets",
            bytes: encode(&messages::delivery_with_secrets()),
            read: Box::new(read_delivery_with_secrets),
        },
        Message { name: "health/node-health-with-mac", bytes: health_with_mac(), read: Box::new(read_health_with_mac) },
        bundle_after("trust/by-ssh-and-security-key", SshHash::Sha512),
        bundle_after("trust/by-ssh-key-with-sha256", SshHash::Sha256),
        Message { name: "enrolment/activation", bytes: messages::activation().to_text().into_bytes(), read: Box::new(read_activation) },
    ];
    for (sequence, (name, payload)) in (1..).zip(messages::payloads()) {
        all.push(signed::<ReportBody>(name, Domain::Report, messages::report(sequence, &payload), messages::identity()));
    }
    all
}

/// A bundle 2 that keys of every algorithm have signed.
fn bundle_after(name: &'static str, hash: SshHash) -> Message {
    let first = seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::root()]);
    let read = move |bytes: &[u8]| {
        let trust = Trust::from_pinned(&messages::root_hash(), [first.as_slice(), bytes]).unwrap();
        assert_eq!(*trust.bundle(), messages::next_bundle(), "{name}");
        let envelope = Envelope::parse(bytes, Domain::Trust).unwrap();
        let signed: Vec<u16> = (0..7).filter(|index| trust.has_signed(*index, &envelope)).collect();
        assert_eq!(signed, [0, 4, 5], "{name}");
    };
    Message { name, bytes: messages::next_envelope(hash), read: Box::new(read) }
}

fn read_delivery(bytes: &[u8]) {
    let delivery: Delivery = decode(bytes).unwrap();
    let trust =
        Trust::from_pinned(&messages::root_hash(), [seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::root()]).as_slice()]);
    let trust = trust.unwrap();
    let envelope = Envelope::parse(&delivery.envelope, Domain::Order).unwrap();
    let order: OrderBody = decode(envelope.body()).unwrap();
    let payload = order.payload().unwrap();
    assert_eq!(payload, OrderPayload::Command(messages::command()));
    let asked = Asked { class: payload.class().unwrap(), requester: &order.requester, labels: None, time_ms: None };
    assert!(trust.authorise(&trust.signers(&envelope), &asked).is_ok());
    let leaf = leaf(&messages::identity().verifying_key().to_bytes(), &delivery.node_data);
    assert!(is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root));
}

fn read_delivery_with_secrets(bytes: &[u8]) {
    let delivery: Delivery = decode(bytes).unwrap();
    let order: OrderBody = decode(Envelope::parse(&delivery.envelope, Domain::Order).unwrap().body()).unwrap();
    assert_eq!(order, messages::order_with_secrets(&delivery.node_data));
    let OrderPayload::Command(command) = order.payload().unwrap() else { panic!("a command") };
    assert_eq!(command.plan.secrets(), Ok([1, 2].into()));
    let sealed = NodeData::read(&delivery.node_data).unwrap().secrets().unwrap().unwrap();
    let name_of = |index: u16| command.parameters.get(usize::from(index)).map(|parameter| parameter.name.as_str());
    let opened = secret::open(&messages::binding(), &messages::sealing_key(), &sealed, name_of).unwrap();
    let opened: Vec<(u16, &[u8])> = opened.iter().map(|secret| (secret.parameter, secret.value.as_slice())).collect();
    assert_eq!(opened, messages::SECRETS.map(|(parameter, _, value)| (parameter, value)));
}

/// The golden report of a node's health, as it goes out in the session of the golden welcome.
fn health_with_mac() -> Vec<u8> {
    let payloads = messages::payloads();
    let (sequence, payload) = (1..)
        .zip(&payloads)
        .find_map(|(sequence, (name, payload))| (*name == "health/node-health").then_some((sequence, payload)))
        .unwrap();
    let signed = seal(Domain::Report, &encode(&messages::report(sequence, payload)), &[&messages::identity()]);
    Envelope::parse(&signed, Domain::Report).unwrap().under_session(&messages::session()).unwrap()
}

fn read_health_with_mac(bytes: &[u8]) {
    let offered = messages::welcome().session().unwrap().unwrap();
    let session = session::open(&messages::session_binding(), &messages::sealing_key(), &offered).unwrap();
    let envelope = Envelope::parse(bytes, Domain::Report).unwrap();
    assert!(envelope.is_of_session(&session) && !envelope.is_signed_by(&messages::identity().verifying_key()));
    let report: ReportBody = decode(envelope.body()).unwrap();
    assert!(report.stream.is_droppable());
    assert_eq!(envelope.signatures()[0].bytes, messages::hmac(&[0x4b; 32], &envelope.covered()));
    assert!(matches!(ReportPayload::decode(&report.payload), Ok(ReportPayload::NodeHealth(_))));
}

fn read_activation(bytes: &[u8]) {
    assert_eq!(Activation::parse(std::str::from_utf8(bytes).unwrap()), Ok(messages::activation()));
}

#[test]
fn every_message_is_written_and_read_as_ever() {
    let folder = root().join(format!("golden/v{VERSION}"));
    for message in messages() {
        let path = folder.join(format!("{}.hex", message.name));
        let golden = read_or_write(&path, &hex(&message.bytes));
        (message.read)(&unhex(&golden));
        assert_eq!(golden, hex(&message.bytes), "{} is written in other bytes than before", message.name);
    }
}

#[test]
fn every_golden_file_is_still_read() {
    let known: Vec<String> = messages().iter().map(|message| format!("{}.hex", message.name)).collect();
    for file in files_below(&root().join(format!("golden/v{VERSION}"))) {
        assert!(known.contains(&file), "golden/v{VERSION}/{file} has no reader: a message that devices send was forgotten");
    }
}

#[test]
fn what_signed_messages_carry_inside_is_read_too() {
    let claim = messages::claim();
    assert!(claim_mac_matches(&[2; 20], &claim) && !claim_mac_matches(&[3; 20], &claim));
    let request: ClaimRequest = decode(&claim.request).unwrap();
    assert_eq!(request.identity_key, messages::identity().verifying_key().to_bytes());
    for (name, payload) in messages::payloads() {
        assert_eq!(ReportPayload::decode(&payload.encode()).unwrap(), payload, "{name}");
    }
}
