//! A message byte by byte, as `docs/protocol.md` shows it: the envelope, its body, and what is encoded inside that once more.

use super::trace::{Part, trace};
use crate::messages;
use flotilla_protocol::capability::command::{CommandOrder, CommandProgress, CommandRebooting, CommandResult};
use flotilla_protocol::capability::health::NodeHealth;
use flotilla_protocol::capability::inventory::InventoryReport;
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::document::docker::RunDockerAction;
use flotilla_protocol::document::download::DownloadContent;
use flotilla_protocol::document::{Plan, Refuse, RunShellScript, SoftwareInventory};
use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest, RenewalBody};
use flotilla_protocol::envelope::Domain;
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{Gap, MemoryLost, OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::secret::SealedSecrets;
use flotilla_protocol::session::SealedSession;
use flotilla_protocol::status::Admission;
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::TrustBundle;

/// Bytes in a line.
const WIDTH: usize = 24;
/// Seeds of the keys of golden messages.
const SEEDS: core::ops::RangeInclusive<u8> = 1..=12;

type Reader = fn(&[u8]) -> Vec<Part>;
/// What the body of each domain is, and its name in [`inside`].
const BODIES: [(Domain, &str, Reader); 13] = [
    (Domain::Order, "order", trace::<OrderBody>),
    (Domain::Cancel, "cancel", trace::<CancelBody>),
    (Domain::Receipt, "receipt", trace::<ReceiptBody>),
    (Domain::Welcome, "welcome", trace::<WelcomeBody>),
    (Domain::Hello, "hello", trace::<HelloBody>),
    (Domain::Report, "report", trace::<ReportBody>),
    (Domain::Output, "output", trace::<OutputBody>),
    (Domain::OutputReceipt, "output receipt", trace::<OutputReceiptBody>),
    (Domain::Trust, "trust", trace::<TrustBundle>),
    (Domain::Claim, "claim", trace::<ClaimBody>),
    (Domain::ClaimReply, "claim reply", trace::<ClaimReplyBody>),
    (Domain::Tenure, "tenure", trace::<TenureBody>),
    (Domain::Renewal, "renewal", trace::<RenewalBody>),
];

/// The parts of a golden message, by the name of its file.
pub(crate) fn parts(name: &str, bytes: &[u8]) -> Vec<Part> {
    if name.starts_with("command/delivery") { expanded(trace::<Delivery>(bytes), bytes, "delivery") } else { envelope(bytes, "") }
}

/// As text: where the bytes begin, the bytes, and what they are.
pub(crate) fn text(parts: &[Part], bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    for part in parts {
        let meaning = match (part.path.as_str(), part.says.as_str()) {
            (path, "") => path.to_owned(),
            ("", says) => says.to_owned(),
            (path, says) => format!("{path}: {says}"),
        };
        for (index, line) in bytes[at..at + part.length].chunks(WIDTH).enumerate() {
            let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let meaning = if index == 0 { meaning.as_str() } else { "" };
            text += format!("{:4}  {hex:48}  {meaning}", at + index * WIDTH).trim_end();
            text.push('\n');
        }
        at += part.length;
    }
    text
}

fn envelope(bytes: &[u8], path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let domain = Domain::ALL.into_iter().find(|domain| *domain as u8 == bytes[3]).unwrap();
    parts.push(Part::new(2, under("magic"), "\"FL\""));
    parts.push(Part::new(1, under("version"), bytes[2].to_string()));
    parts.push(Part::new(1, under("domain"), format!("{}, {domain:?}", bytes[3])));
    parts.push(Part::new(1, under("signature count"), bytes[4].to_string()));
    let mut at = 5;
    for index in 0..bytes[4] {
        let under = |name: &str| under(&format!("signatures[{index}].{name}"));
        let length = u16::from_le_bytes([bytes[at + 9], bytes[at + 10]]);
        parts.push(Part::new(1, under("algorithm"), algorithm(bytes[at])));
        let key = &bytes[at + 1..at + 9];
        parts.push(Part::new(8, under("key id"), if bytes[at] == 4 { "of the session".to_owned() } else { owner(key) }));
        parts.push(Part::new(2, under("length"), length.to_string()));
        let (begin, end) = (at + 11, at + 11 + usize::from(length));
        let signature = &bytes[begin..end];
        match (bytes[at], signature.len()) {
            (2, 65) => {
                parts.push(Part::new(1, under("hash"), hash(signature[0])));
                parts.push(Part::new(64, under("bytes"), "R, S"));
            }
            (3, 70) => {
                parts.push(Part::new(1, under("hash"), hash(signature[0])));
                parts.push(Part::new(1, under("flags"), "user present"));
                parts.push(Part::new(4, under("counter"), "big endian"));
                parts.push(Part::new(64, under("bytes"), "R, S"));
            }
            (4, 32) => parts.push(Part::new(32, under("bytes"), "HMAC-SHA256")),
            (1, 64) => parts.push(Part::new(64, under("bytes"), "R, S")),
            other => panic!("a golden signature of a form without a picture: {other:?}"),
        }
        at = end;
    }
    let body = &bytes[at..];
    let (_, root, read) = BODIES.into_iter().find(|(of, ..)| *of == domain).expect("a domain has its line in BODIES");
    let inner = read(body);
    let inner = expanded(inner, body, root);
    parts.extend(inner.into_iter().map(|part| Part { path: under(&part.path), ..part }));
    parts
}

/// Byte strings that hold something, replaced by the parts of that.
fn expanded(parts: Vec<Part>, bytes: &[u8], root: &str) -> Vec<Part> {
    let mut result: Vec<Part> = Vec::new();
    let (mut at, mut kind) = (0, String::new());
    for part in parts {
        let content = &bytes[at..at + part.length];
        at += part.length;
        if part.path.ends_with(".kind") {
            kind.clone_from(&part.says);
        }
        let inner = if part.is_content { inside(root, &part.path, &kind, content) } else { None };
        match inner {
            Some(inner) => {
                let holder = part.path.strip_suffix(".body").unwrap_or(&part.path).to_owned();
                result.extend(inner.into_iter().map(|inner| Part { path: joined(&holder, &inner.path), ..inner }));
            }
            None => result.push(part),
        }
    }
    result
}

fn joined(holder: &str, path: &str) -> String {
    match (holder, path) {
        (holder, "") => holder.to_owned(),
        (holder, path) if path.starts_with('[') => format!("{holder}{path}"),
        (holder, path) => format!("{holder}.{path}"),
    }
}

/// What a byte string holds, by where it stands.
fn inside(root: &str, path: &str, kind: &str, content: &[u8]) -> Option<Vec<Part>> {
    let again = |parts: Vec<Part>| Some(expanded(parts, content, root));
    match (root, path) {
        ("delivery", "envelope") => Some(envelope(content, "")),
        ("delivery", "node_data") => again(trace::<NodeData>(content)),
        ("delivery", path) if path.ends_with(".body") => match kind {
            "1" => again(trace::<SealedSecrets>(content)),
            other => panic!("node data {other}"),
        },
        ("claim", "request") => again(trace::<ClaimRequest>(content)),
        ("claim reply" | "welcome", path) if path.starts_with("bundles[") => Some(envelope(content, "")),
        ("welcome", path) if path.starts_with("offers[") && path.ends_with(".body") => match kind {
            "1" => again(trace::<SealedSession>(content)),
            other => panic!("offer {other}"),
        },
        ("order", path) if path.ends_with("action.body") => match kind {
            "1" | "2" => again(trace::<RunShellScript>(content)),
            "3" => again(trace::<Plan>(content)),
            "4" => again(trace::<Refuse>(content)),
            "5" => again(trace::<DownloadContent>(content)),
            "6" => again(trace::<RunDockerAction>(content)),
            "7" => again(trace::<SoftwareInventory>(content)),
            other => panic!("action {other}"),
        },
        ("order", "payload.body") => again(trace::<CommandOrder>(content)),
        ("report", "payload.body") => match kind {
            "1" => again(trace::<Admission>(content)),
            "2" => again(trace::<CommandProgress>(content)),
            "3" => again(trace::<CommandResult>(content)),
            "4" => again(trace::<Gap>(content)),
            "5" => again(trace::<MemoryLost>(content)),
            "6" => again(trace::<CommandRebooting>(content)),
            "7" => again(trace::<NodeHealth>(content)),
            "8" => again(trace::<InventoryReport>(content)),
            other => panic!("report {other}"),
        },
        _ => None,
    }
}

fn algorithm(number: u8) -> String {
    let name = match number {
        1 => "ed25519",
        2 => "SSHSIG-ed25519",
        3 => "sk-ed25519",
        4 => "session MAC",
        _ => "not known",
    };
    format!("{number}, {name}")
}

fn hash(number: u8) -> &'static str {
    if number == 1 { "sha256" } else { "sha512" }
}

/// Whose key an id names.
fn owner(id: &[u8]) -> String {
    let seed = SEEDS.into_iter().find(|seed| KeyId::of_key(&messages::key(*seed).verifying_key().to_bytes()).0 == id);
    seed.map_or_else(|| "not one of the test keys".into(), |seed| format!("of test key {seed}"))
}
