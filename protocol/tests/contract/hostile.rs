//! Hostile messages: each file is named after what is wrong with it, says who reads it and with which typed reason it must be
//! refused, and then holds the bytes.
//!
//! To add a case: three lines in [`cases`] and its file (see `fixture.rs`), or the file alone. `order` stands for the first checks
//! of a node: envelope, signature by a key of the trust, decode, fleet, class and threshold, target.

use crate::fixture::{files_below, hex, read_or_write, root, unhex};
use crate::messages;
use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::download::{DownloadContent, MAXIMUM_TEXT_CONTENT_BYTES, S3Source, Source, TextSource};
use flotilla_protocol::document::{Action, Plan, Segment, Step, Template};
use flotilla_protocol::enrolment::{Activation, ClaimBody};
use flotilla_protocol::envelope::{Domain, Envelope, SignatureEntry, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{FleetId, KeyId, NodeId};
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::session::SessionKey;
use flotilla_protocol::sha256;
use flotilla_protocol::signature::{SshHash, security_key_message, security_key_signature, ssh_frame, ssh_signature};
use flotilla_protocol::target::{is_proven, leaf};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::trust::{Asked, Labels, Trust, TrustBundle, TrustError};
use flotilla_protocol::wire::{Check, Payload, decode, encode};
use serde::de::DeserializeOwned;

/// What a reader says: `accepted`, or the reason in the words of the type.
type Verdict = String;

fn reason(reason: impl std::fmt::Debug) -> Verdict {
    format!("{reason:?}")
}

fn body<Body: DeserializeOwned + Check>(bytes: &[u8], domain: Domain) -> Verdict {
    let envelope = match Envelope::parse(bytes, domain) {
        Ok(envelope) => envelope,
        Err(error) => return reason(error),
    };
    decode::<Body>(envelope.body()).map_or_else(reason, |_| "accepted".into())
}

/// The first checks of a node on a delivery, in their order.
fn order(bytes: &[u8]) -> Result<(), Verdict> {
    let bundle = seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::root()]);
    let trust = Trust::from_pinned(&messages::root_hash(), [bundle.as_slice()]).map_err(reason)?;
    let delivery: Delivery = decode(bytes).map_err(reason)?;
    let envelope = Envelope::parse(&delivery.envelope, Domain::Order).map_err(reason)?;
    let signers = trust.signers(&envelope);
    if !trust.has_operator(&signers, None) {
        return Err("Signature".into());
    }
    let order: OrderBody = decode(envelope.body()).map_err(reason)?;
    if order.fleet != trust.fleet() {
        return Err("Fleet".into());
    }
    let payload = order.payload().map_err(reason)?;
    if let OrderPayload::Unsupported(kind) = payload {
        return Err(format!("Unsupported({kind})"));
    }
    if let Some(class) = payload.class() {
        let asked = Asked { class, requester: &order.requester, labels: Some(&Labels::default()), time_ms: Some(messages::NOW_MS) };
        trust.authorise(&signers, &asked).map_err(|error| error.to_string())?;
    }
    let leaf = leaf(&messages::identity().verifying_key().to_bytes(), &delivery.node_data);
    let proven = is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root);
    if proven { Ok(()) } else { Err("Target".into()) }
}

/// What a bridge judges of a report of the golden node, which it has offered the session of the golden welcome.
pub(crate) fn report_in_session(bytes: &[u8]) -> Result<(), Verdict> {
    let envelope = Envelope::parse(bytes, Domain::Report).map_err(reason)?;
    let is_under_mac = envelope.session_id().is_some();
    let is_proven = match envelope.session_id() {
        Some(id) if id != messages::session().id() => return Err("Session".into()),
        Some(_) => envelope.is_of_session(&messages::session()),
        None => envelope.is_signed_by(&messages::identity().verifying_key()),
    };
    if !is_proven {
        return Err("Signature".into());
    }
    let report: ReportBody = decode(envelope.body()).map_err(reason)?;
    if is_under_mac && !report.stream.is_droppable() {
        return Err("Signature".into());
    }
    if report.node == messages::node() { Ok(()) } else { Err("Target".into()) }
}

/// The golden report of a stream that may be dropped, or another, under the MAC of this session.
fn in_session(name: &str, session: &SessionKey, change: impl FnOnce(&mut ReportBody)) -> Vec<u8> {
    let payloads = messages::payloads();
    let (_, payload) = payloads.iter().find(|(of, _)| *of == name).expect("a payload of that name");
    let mut report = messages::report(8, payload);
    change(&mut report);
    let signed = seal(Domain::Report, &encode(&report), &[&messages::identity()]);
    Envelope::parse(&signed, Domain::Report).expect("sealed above").under_session(session).expect("a report")
}

/// MACs that must not count: name, reason and envelope.
fn wrong_macs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let health = "health/node-health";
    let good = || in_session(health, &messages::session(), |_| ());
    let entry = |bytes: &[u8]| {
        let envelope = Envelope::parse(bytes, Domain::Report).expect("made above");
        let [entry] = envelope.signatures() else { panic!("one entry") };
        (entry.algorithm, entry.key, entry.bytes.to_vec(), envelope.body().to_vec())
    };
    // The same body with this signature, or with none.
    let beside = |keys: &[&SigningKey], algorithm: u8, length: usize| {
        let (_, key, mac, body) = entry(&good());
        let mac = [mac.as_slice(), &[0]].concat().get(..length).expect("33 bytes").to_vec();
        let sealed = seal(Domain::Report, &body, keys);
        let sealed = Envelope::parse(&sealed, Domain::Report).expect("sealed above");
        sealed.with_signature(SignatureEntry { algorithm, key, bytes: &mac }).expect("within limits")
    };
    // The good one, and after it an entry that signs nothing.
    let then = |algorithm: u8, key: KeyId| {
        let (good, bytes) = (good(), [7; 64]);
        let envelope = Envelope::parse(&good, Domain::Report).expect("made above");
        envelope.with_signature(SignatureEntry { algorithm, key, bytes: &bytes }).expect("within limits")
    };
    let of_domain = |domain| {
        let (_, key, _, body) = entry(&good());
        let mac = messages::hmac(&[0x4b; 32], &Envelope::parse(&seal(domain, &body, &[]), domain).expect("sealed above").covered());
        let sealed = seal(Domain::Report, &body, &[]);
        let sealed = Envelope::parse(&sealed, Domain::Report).expect("sealed above");
        sealed.with_signature(SignatureEntry { algorithm: 4, key, bytes: &mac }).expect("within limits")
    };
    vec![
        ("session/control-under-a-mac", "Signature", in_session("command/accepted", &messages::session(), |_| ())),
        ("session/another-key", "Signature", in_session(health, &SessionKey::new(messages::session().id(), [1; 32]), |_| ())),
        ("session/another-session", "Session", in_session(health, &SessionKey::new([2; 8], [0x4b; 32]), |_| ())),
        ("session/one-bit-of-the-body-flipped", "Signature", changed(good(), |bytes| *bytes.last_mut().expect("not empty") ^= 1)),
        ("session/mac-of-another-domain", "Signature", of_domain(Domain::Output)),
        ("session/mac-cut", "Signature", beside(&[], 4, 31)),
        ("session/mac-empty", "Signature", beside(&[], 4, 0)),
        ("session/mac-with-a-byte-more", "Signature", beside(&[], 4, 33)),
        ("session/mac-as-plain", "Signature", beside(&[], 1, 32)),
        ("session/mac-beside-a-strangers-signature", "Signature", beside(&[&messages::key(99)], 4, 32)),
        ("session/mac-before-a-strangers-signature", "Signature", then(1, KeyId::of_key(messages::key(99).verifying_key().as_bytes()))),
        ("session/mac-before-an-algorithm-of-the-future", "Signature", then(200, KeyId([9; 8]))),
        ("session/another-node-in-the-body", "Target", {
            let other = NodeId::of_key(&messages::key(9).verifying_key().to_bytes());
            in_session(health, &messages::session(), |report| report.node = other)
        }),
    ]
}

/// A bundle 2 after the fleet's first.
fn successor(bytes: &[u8]) -> Result<Trust, TrustError> {
    let first = seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::root()]);
    Trust::from_pinned(&messages::root_hash(), [first.as_slice(), bytes])
}

/// The bundle 2 with the old root's signature, and one more, which should have been an SSH key's or a security key's; another key would
/// have to sign before the threshold is reached.
fn next_with(algorithm: u8, key: u8, signature: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let sealed = seal(Domain::Trust, &encode(&messages::next_bundle()), &[&messages::root()]);
    let covered = Envelope::parse(&sealed, Domain::Trust).expect("sealed above").covered();
    messages::with_signature(&sealed, Domain::Trust, algorithm, &messages::key(key), &signature(&covered))
}

/// The order of the group of ed25519, little endian: S + L is the same number modulo L.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0x10,
];

/// The same signature with S + L for S: the equation still holds, the form is another.
fn malleated(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, addend) in signature[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    signature
}

/// Signatures of bundle 2 that must not count: name and envelope.
fn wrong_signatures() -> Vec<(&'static str, Vec<u8>)> {
    let ssh = |message: &[u8]| messages::key(11).sign(message).to_bytes();
    let frame = |covered: &[u8]| ssh_frame(SshHash::Sha512, covered);
    let good = move |covered: &[u8]| ssh_signature(SshHash::Sha512, &ssh(&frame(covered)));
    let touched = |covered: &[u8], flags| {
        let message = security_key_message(&sha256(&[b"ssh:flotilla"]), flags, [0; 4], &frame(covered));
        security_key_signature(SshHash::Sha512, flags, [0; 4], &messages::key(12).sign(&message).to_bytes())
    };
    let in_namespace_git = |covered: &[u8]| {
        let frame = frame(covered);
        [&b"SSHSIG"[..], &[0, 0, 0, 3], b"git", &frame[6 + 4 + 8..]].concat()
    };
    vec![
        ("signature/ssh-namespace-of-git", next_with(2, 11, |covered| ssh_signature(SshHash::Sha512, &ssh(&in_namespace_git(covered))))),
        ("signature/ssh-other-hash-than-said", next_with(2, 11, |covered| ssh_signature(SshHash::Sha256, &ssh(&frame(covered))))),
        ("signature/ssh-unknown-hash", next_with(2, 11, |covered| changed(good(covered), |bytes| bytes[0] = 3))),
        ("signature/ssh-trailing-byte", next_with(2, 11, |covered| changed(good(covered), |bytes| bytes.push(0)))),
        ("signature/ssh-cut", next_with(2, 11, |covered| changed(good(covered), |bytes| bytes.truncate(64)))),
        ("signature/ssh-empty", next_with(2, 11, |_| Vec::new())),
        ("signature/ssh-malleable", { next_with(2, 11, |covered| ssh_signature(SshHash::Sha512, &malleated(ssh(&frame(covered))))) }),
        ("signature/ssh-of-another-body", next_with(2, 11, |_| good(b"another"))),
        ("signature/ssh-by-another-key", next_with(2, 12, good)),
        ("signature/ssh-as-a-security-key", next_with(3, 11, good)),
        ("signature/ssh-as-plain", next_with(1, 11, |covered| ssh(&frame(covered)).to_vec())),
        ("signature/plain-by-an-ssh-key", next_with(1, 11, |covered| ssh(covered).to_vec())),
        ("signature/plain-as-ssh", next_with(2, 11, |covered| ssh_signature(SshHash::Sha512, &ssh(covered)))),
        ("signature/security-key-not-touched", next_with(3, 12, |covered| touched(covered, 0))),
        ("signature/security-key-verified-and-not-touched", next_with(3, 12, |covered| touched(covered, 4))),
        ("signature/security-key-with-extensions", next_with(3, 12, |covered| touched(covered, 0x81))),
        ("signature/security-key-reserved-flag", next_with(3, 12, |covered| touched(covered, 3))),
        ("signature/security-key-flag-added", next_with(3, 12, |covered| changed(touched(covered, 1), |bytes| bytes[1] = 5))),
        ("signature/security-key-counter-changed", next_with(3, 12, |covered| changed(touched(covered, 1), |bytes| bytes[5] = 1))),
        ("signature/security-key-trailing-byte", next_with(3, 12, |covered| changed(touched(covered, 1), |bytes| bytes.push(0)))),
        ("signature/security-key-as-ssh", next_with(2, 12, |covered| touched(covered, 1))),
        ("signature/security-key-of-a-web-site", {
            next_with(3, 12, |covered| {
                let message = security_key_message(&sha256(&[b"https://example.org"]), 1, [0; 4], &frame(covered));
                security_key_signature(SshHash::Sha512, 1, [0; 4], &messages::key(12).sign(&message).to_bytes())
            })
        }),
        ("signature/of-an-algorithm-of-the-future", next_with(200, 11, good)),
    ]
}

fn read(reader: &str, bytes: &[u8]) -> Verdict {
    let text = || std::str::from_utf8(bytes).unwrap_or_default();
    match reader {
        "order" => order(bytes).err().unwrap_or_else(|| "accepted".into()),
        "cancel" => body::<CancelBody>(bytes, Domain::Cancel),
        "hello" => body::<HelloBody>(bytes, Domain::Hello),
        "welcome" => body::<WelcomeBody>(bytes, Domain::Welcome),
        "report" => body::<ReportBody>(bytes, Domain::Report),
        "report in a session" => report_in_session(bytes).err().unwrap_or_else(|| "accepted".into()),
        "claim" => body::<ClaimBody>(bytes, Domain::Claim),
        "trust" => Trust::from_pinned(&messages::root_hash(), [bytes]).map_or_else(reason, |_| "accepted".into()),
        "successor" => successor(bytes).map_or_else(reason, |_| "accepted".into()),
        "topic" => text().parse::<Topic>().map_or_else(reason, |_| "accepted".into()),
        "activation" => Activation::parse(text()).map_or_else(reason, |_| "accepted".into()),
        other => panic!("there is no reader {other}"),
    }
}

/// A good delivery with one thing changed.
fn delivery(change: impl FnOnce(&mut Delivery)) -> Vec<u8> {
    let mut delivery = messages::delivery();
    change(&mut delivery);
    encode(&delivery)
}

/// A good order with one thing changed before it is signed.
fn order_signed(keys: &[&SigningKey], change: impl FnOnce(&mut OrderBody)) -> Vec<u8> {
    let mut body = messages::order();
    change(&mut body);
    delivery(|delivery| delivery.envelope = seal(Domain::Order, &encode(&body), keys))
}

/// An order of one step.
fn order_of_step(key: &SigningKey, action: &Action) -> Vec<u8> {
    let command = CommandOrder { plan: Plan { steps: vec![Step::new("step", action)] }, ..messages::command() };
    order_signed(&[key], |order| order.payload = OrderPayload::Command(command).encode())
}

fn changed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    bytes
}

fn hello_with(change: impl FnOnce(&mut HelloBody)) -> Vec<u8> {
    let mut hello = messages::hello();
    change(&mut hello);
    seal(Domain::Hello, &encode(&hello), &[&messages::identity()])
}

fn welcome_with(change: impl FnOnce(&mut WelcomeBody)) -> Vec<u8> {
    let mut welcome = messages::welcome();
    change(&mut welcome);
    seal(Domain::Welcome, &encode(&welcome), &[&messages::freshness()])
}

/// What is wrong (folder and file), who reads it, what it must say, and the bytes.
fn cases() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let good = || encode(&messages::delivery());
    let operator = messages::operator();
    let sealed_cancel = || seal(Domain::Cancel, &encode(&messages::cancel()), &[&messages::bridge()]);
    let bundle = || seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::root()]);
    let topic = |text: &str| text.as_bytes().to_vec();
    vec![
        ("malformed/empty", "order", "Malformed", Vec::new()),
        ("malformed/cut-in-the-middle", "order", "Malformed", changed(good(), |bytes| bytes.truncate(bytes.len() / 2))),
        ("malformed/not-an-envelope", "order", "Malformed", delivery(|delivery| delivery.envelope = b"hello".to_vec())),
        ("malformed/length-beyond-the-end", "order", "Malformed", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]),
        ("malformed/trailing-bytes", "order", "TrailingBytes", changed(good(), |bytes| bytes.push(0))),
        ("malformed/trailing-bytes-in-a-signed-body", "cancel", "TrailingBytes", {
            let body = changed(encode(&messages::cancel()), |bytes| bytes.push(0));
            seal(Domain::Cancel, &body, &[&messages::bridge()])
        }),
        (
            "malformed/unknown-discriminant",
            "order",
            "Malformed",
            order_signed(&[&operator], |order| {
                order.payload = Payload { kind: 1, body: changed(order.payload.body.clone(), |bytes| bytes[0] = 0xff) };
            }),
        ),
        (
            "malformed/a-download-that-names-a-missing-parameter",
            "order",
            "BeyondLimit(\"a parameter's index in a template\")",
            order_of_step(
                &operator,
                &Action::DownloadContent(DownloadContent {
                    source: Source::S3(S3Source { path: Template(vec![Segment::Parameter(9)]), sha256: None }),
                    destination_path: None,
                    timeout_s: 60,
                }),
            ),
        ),
        (
            "oversized/a-document-in-a-step",
            "order",
            "BeyondLimit(\"the text of a document in an order\")",
            order_of_step(
                &operator,
                &Action::DownloadContent(DownloadContent {
                    source: Source::Text(TextSource { name: "A".into(), content: "x".repeat(MAXIMUM_TEXT_CONTENT_BYTES + 1) }),
                    destination_path: None,
                    timeout_s: 60,
                }),
            ),
        ),
        ("malformed/report-without-a-sequence", "report", "BeyondLimit(\"the sequence of a report\")", {
            let [(_, payload), ..] = messages::payloads();
            let report = ReportBody { sequence: 0, oldest_held: 0, ..messages::report(1, &payload) };
            seal(Domain::Report, &encode(&report), &[&messages::identity()])
        }),
        ("malformed/hello-that-holds-what-it-has-not-made", "hello", "BeyondLimit(\"the sequences of a hello\")", {
            hello_with(|hello| hello.control.oldest = hello.control.next + 1)
        }),
        ("oversized/too-many-signatures", "cancel", "BeyondLimit", changed(sealed_cancel(), |bytes| bytes[4] = 17)),
        ("oversized/too-long-signature", "cancel", "BeyondLimit", changed(sealed_cancel(), |bytes| bytes[15] = 5)),
        (
            "oversized/too-long-proof",
            "order",
            "BeyondLimit(\"the proof of a delivery\")",
            delivery(|delivery| delivery.proof = vec![[0; 32]; 21]),
        ),
        ("oversized/valid-for-31-days", "order", "BeyondLimit(\"the validity of an order\")", {
            order_signed(&[&operator], |order| order.not_after_ms = order.not_before_ms + 31 * 24 * 3600 * 1000)
        }),
        ("oversized/too-many-streams", "hello", "BeyondLimit(\"the number of streams in a hello\")", {
            hello_with(|hello| hello.droppable = vec![hello.droppable[0]; 17])
        }),
        ("oversized/too-many-held-orders", "hello", "BeyondLimit(\"the number of held orders in a hello\")", {
            hello_with(|hello| hello.held = vec![messages::order_id(); 1025])
        }),
        ("oversized/too-long-fact", "hello", "BeyondLimit(\"a fact of a node\")", {
            hello_with(|hello| hello.facts.computer_name = "x".repeat(256))
        }),
        ("oversized/pace-too-fast", "welcome", "BeyondLimit(\"the pace of a welcome\")", {
            welcome_with(|welcome| welcome.resend_minimum_ms = 1)
        }),
        ("oversized/a-kind-of-offer-twice", "welcome", "BeyondLimit(\"a kind of offer twice\")", {
            welcome_with(|welcome| welcome.offers.extend_from_within(..))
        }),
        ("oversized/too-many-offers", "welcome", "BeyondLimit(\"the number of offers in a welcome\")", {
            welcome_with(|welcome| welcome.offers = (1..=9).map(|kind| Payload { kind, body: Vec::new() }).collect())
        }),
        ("mis-signed/by-nobody", "order", "Signature", order_signed(&[], |_| ())),
        ("mis-signed/by-a-stranger", "order", "Signature", order_signed(&[&messages::key(99)], |_| ())),
        ("mis-signed/one-signature-twice", "order", "Malformed", order_signed(&[&operator, &operator], |_| ())),
        ("mis-signed/by-the-bridge-only", "order", "Signature", order_signed(&[&messages::bridge()], |_| ())),
        ("mis-signed/by-the-root-only", "order", "Signature", order_signed(&[&messages::root()], |_| ())),
        (
            "mis-signed/one-bit-of-the-body-flipped",
            "order",
            "Signature",
            delivery(|delivery| {
                let last = delivery.envelope.len() - 1;
                delivery.envelope[last] ^= 1;
            }),
        ),
        (
            "mis-signed/signature-of-another-domain",
            "order",
            "Signature",
            delivery(|delivery| {
                delivery.envelope =
                    changed(seal(Domain::Cancel, &encode(&messages::order()), &[&messages::operator()]), |bytes| bytes[3] = 1);
            }),
        ),
        ("wrong-version/envelope-of-version-0", "order", "Version(0)", delivery(|delivery| delivery.envelope[2] = 0)),
        ("wrong-version/envelope-of-version-2", "order", "Version(2)", delivery(|delivery| delivery.envelope[2] = 2)),
        (
            "wrong-domain/a-cancel-as-an-order",
            "order",
            "Domain(2)",
            delivery(|delivery| {
                delivery.envelope = seal(Domain::Cancel, &encode(&messages::cancel()), &[&messages::bridge()]);
            }),
        ),
        ("wrong-fleet/order-of-another-fleet", "order", "Fleet", order_signed(&[&operator], |order| order.fleet = FleetId([0; 8]))),
        ("wrong-node/index-of-another-target", "order", "Target", delivery(|delivery| delivery.index = (delivery.index + 1) % 3)),
        ("wrong-node/index-beyond-the-targets", "order", "Target", delivery(|delivery| delivery.index = 3)),
        ("wrong-node/proof-cut", "order", "Target", delivery(|delivery| delivery.proof.clear())),
        ("wrong-node/node-data-added", "order", "Target", delivery(|delivery| delivery.node_data = vec![1])),
        (
            "wrong-node/not-a-target",
            "order",
            "Target",
            order_signed(&[&operator], |order| {
                order.targets.root = leaf(&messages::key(9).verifying_key().to_bytes(), b"");
            }),
        ),
        (
            "unknown/payload-of-the-future",
            "order",
            "Unsupported(999)",
            order_signed(&[&operator], |order| {
                order.payload = Payload { kind: 999, body: vec![1, 2, 3] };
            }),
        ),
        ("trust/another-root", "trust", "AnotherRoot", {
            let mut other = messages::bundle();
            other.epoch = 1;
            seal(Domain::Trust, &encode(&other), &[&messages::root()])
        }),
        ("trust/not-signed-by-the-root", "trust", "Threshold(Root)", {
            seal(Domain::Trust, &encode(&messages::bundle()), &[&messages::operator()])
        }),
        ("trust/cut", "trust", "Envelope(Malformed)", changed(bundle(), |bytes| bytes.truncate(40))),
        ("trust/a-successor-of-another-history", "successor", "AnotherPredecessor", {
            let next = TrustBundle { previous: [7; 32], ..messages::next_bundle() };
            let sealed = seal(Domain::Trust, &encode(&next), &[&messages::root()]);
            messages::with_ssh_signature(&sealed, Domain::Trust, &messages::key(11), SshHash::Sha512)
        }),
        ("claim/a-hello-as-a-claim", "claim", "Domain(5)", hello_with(|_| ())),
        ("topic/wrong-shard", "topic", "InvalidTopic", topic("fl/1/0123456789abcdef/00/mi-66687aadf862bd776/d/order")),
        ("topic/path-as-a-node", "topic", "InvalidTopic", topic("fl/1/0123456789abcdef/ae/../../etc/passwd")),
        ("topic/wildcard", "topic", "InvalidTopic", topic("fl/1/0123456789abcdef/+/mi-66687aadf862bd776/u/report")),
        ("activation/one-character-wrong", "activation", "Damaged", {
            changed(messages::activation().to_text().into_bytes(), |bytes| bytes[20] = if bytes[20] == b'a' { b'b' } else { b'a' })
        }),
        ("activation/another-prefix", "activation", "Prefix", topic("fl2_abcdefgh")),
    ]
}

/// All cases: those above, and the signatures and MACs that do not count.
fn all_cases() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let signatures = wrong_signatures().into_iter().map(|(name, bytes)| (name, "successor", "Threshold(Root)", bytes));
    let macs = wrong_macs().into_iter().map(|(name, reason, bytes)| (name, "report in a session", reason, bytes));
    cases().into_iter().chain(signatures).chain(macs).collect()
}

fn file(reader: &str, expected: &str, bytes: &[u8]) -> String {
    format!("reader: {reader}\nrefused: {expected}\n\n{}", hex(bytes))
}

#[test]
fn every_case_has_its_file() {
    for (name, reader, expected, bytes) in all_cases() {
        let written = read_or_write(&root().join(format!("hostile/{name}.txt")), &file(reader, expected, &bytes));
        assert_eq!(written, file(reader, expected, &bytes), "{name}");
    }
}

#[test]
fn every_hostile_message_is_refused_with_its_reason() {
    let folder = root().join("hostile");
    let files = files_below(&folder);
    assert!(files.len() >= all_cases().len(), "{} files", files.len());
    for name in files {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let (head, bytes) = text.split_once("\n\n").expect("head, empty line, bytes");
        let (reader, expected) = head.split_once('\n').expect("two lines of head");
        let said = read(reader.strip_prefix("reader: ").unwrap(), &unhex(bytes));
        assert_eq!(said, expected.strip_prefix("refused: ").unwrap(), "{name}");
        assert_ne!(said, "accepted", "{name}");
    }
}

#[test]
fn the_message_without_a_fault_passes() {
    assert_eq!(order(&encode(&messages::delivery())), Ok(()));
    let ssh = next_with(2, 11, |covered| {
        ssh_signature(SshHash::Sha512, &messages::key(11).sign(&ssh_frame(SshHash::Sha512, covered)).to_bytes())
    });
    assert!(successor(&ssh).is_ok());
    let sealed = seal(Domain::Trust, &encode(&messages::next_bundle()), &[&messages::root()]);
    assert!(successor(&messages::with_security_key(&sealed, Domain::Trust, &messages::key(12), 5)).is_ok());
    let with_mac = in_session("health/node-health", &messages::session(), |_| ());
    assert_eq!(report_in_session(&with_mac), Ok(()));
    let signed = Envelope::parse(&with_mac, Domain::Report).unwrap();
    assert_eq!(report_in_session(&seal(Domain::Report, signed.body(), &[&messages::identity()])), Ok(()));
}
