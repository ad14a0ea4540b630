//! Messages in the wrong place: of another domain, another signer, another fleet, another node or another question. None may be accepted.
//!
//! That an order is taken once is judged by the agent's core, and tried by its tests of admission and replay.

use crate::fixture::{files_below, root, unhex};
use crate::hostile;
use crate::messages::{self, NOW_MS, key};
use crate::world::{GOLDEN, IDENTITY, ONE_KEY, Refused, Seeds, World, forged, signature_of};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest, RenewalBody, claim_mac};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::order::{CancelBody, OrderBody, Targets};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::target::leaf;
use flotilla_protocol::wire::{decode, encode};

/// Another device.
const OTHER: u8 = 9;
/// A key of nobody in the fleet.
const STRANGER: u8 = 99;

/// Whether a message is accepted.
type Reader = Box<dyn Fn(&World, &[u8]) -> bool>;

/// Pairs of domains that are two.
fn pairs() -> impl Iterator<Item = (Domain, Domain)> {
    let all = Domain::ALL;
    all.into_iter().flat_map(move |one| all.into_iter().map(move |other| (one, other))).filter(|(one, other)| one != other)
}

fn other_node() -> NodeId {
    NodeId::of_key(key(OTHER).verifying_key().as_bytes())
}

#[test]
fn what_is_in_its_place_is_accepted() {
    for world in [World::new(GOLDEN), World::new(ONE_KEY)] {
        for domain in Domain::ALL {
            assert_eq!(world.judge(domain, &world.message(domain)), Ok(()), "{domain:?} of {:?}", world.seeds);
        }
    }
    assert_eq!(World::new(GOLDEN).body(Domain::Trust), encode(&messages::bundle()));
}

#[test]
fn no_message_counts_in_another_domain() {
    let world = World::new(ONE_KEY);
    let (one_key, mut attacks) = (key(IDENTITY), 0);
    for (from, to) in pairs() {
        let what = format!("{from:?} as {to:?}");
        let message = world.message(from);
        assert_eq!(world.judge(to, &message), Err(Refused::Envelope), "{what}: whole");
        let mut renamed = message.clone();
        renamed[3] = to as u8;
        assert!(world.judge(to, &renamed).is_err(), "{what}: under another domain's number");
        let signature = signature_of(&message, from);
        let moved = forged(to, &world.body(to), &one_key, 1, &signature);
        assert_eq!(world.judge(to, &moved), Err(Refused::Signature), "{what}: the signature alone");
        let stuffed = forged(from, &world.body(to), &one_key, 1, &signature);
        assert!(world.judge(from, &stuffed).is_err(), "{what}: its signature around another's body");
        // What the same key really signs, and means for another reader: only the domain stands against it.
        let body_of_other = seal(from, &world.body(to), &[&one_key]);
        let mut lifted = body_of_other.clone();
        lifted[3] = to as u8;
        assert_eq!(world.judge(to, &lifted), Err(Refused::Signature), "{what}: the right body, signed for another domain");
        attacks += 5;
    }
    println!("signatures: {attacks} crossings of domains, accepted 0");
    assert!(attacks >= 780, "{attacks} attacks");
}

#[test]
fn no_key_signs_what_is_anothers() {
    let world = World::new(GOLDEN);
    let mut attacks = 0;
    for domain in Domain::ALL {
        let body = world.body(domain);
        let right = world.signer(domain);
        for seed in [GOLDEN.root, GOLDEN.operator, GOLDEN.bridge, GOLDEN.freshness, IDENTITY, OTHER, STRANGER] {
            let signed = seal(domain, &body, &[&key(seed)]);
            // Whoever may have commands run may stop them.
            let may = seed == right || (domain == Domain::Cancel && seed == GOLDEN.operator);
            assert_eq!(world.judge(domain, &signed).is_ok(), may, "{domain:?} by key {seed}");
            if may {
                continue;
            }
            let renamed = forged(domain, &body, &key(right), 1, &signature_of(&signed, domain));
            assert_eq!(world.judge(domain, &renamed), Err(Refused::Signature), "{domain:?} by key {seed} in the name of {right}");
            attacks += 2;
        }
        for algorithm in [0, 2, 3, 4, 5, 200, 255] {
            let other = forged(domain, &body, &key(right), algorithm, &signature_of(&world.message(domain), domain));
            assert_eq!(world.judge(domain, &other), Err(Refused::Signature), "{domain:?} by algorithm {algorithm}");
            attacks += 1;
        }
        let bare = seal(domain, &body, &[]);
        assert_eq!(world.judge(domain, &bare), Err(Refused::Signature), "{domain:?} without a signature");
        attacks += 1;
    }
    println!("signatures: {attacks} messages by another issuer or algorithm, accepted 0");
    assert!(attacks >= 250, "{attacks} attacks");
}

#[test]
fn nothing_of_another_fleet_counts() {
    let world = World::new(GOLDEN);
    let strangers = World::new(Seeds { root: 31, operator: 32, bridge: 33, freshness: 34 });
    // Bridge, freshness and operators of here, under another root; and the same people in another fleet.
    let other_root = World::new(Seeds { root: 31, ..GOLDEN });
    let same_people = World::expiring(GOLDEN, messages::bundle().expires_ms + 1);
    let (signature, fleet, root) = (Refused::Signature, Refused::Fleet, Refused::Root);
    // A device's own key is all that its messages say: hello, report, output and claim are no fleet's.
    let mut attacks: Vec<(&World, Domain, Refused)> = vec![
        (&strangers, Domain::ClaimReply, root),
        (&other_root, Domain::Trust, signature),
        (&other_root, Domain::ClaimReply, root),
        (&other_root, Domain::Order, fleet),
        (&other_root, Domain::Cancel, fleet),
        (&same_people, Domain::Trust, root),
        (&same_people, Domain::ClaimReply, root),
        (&same_people, Domain::Order, fleet),
        (&same_people, Domain::Cancel, fleet),
    ];
    let signed_by_fleets = [
        Domain::Order,
        Domain::Cancel,
        Domain::Receipt,
        Domain::OutputReceipt,
        Domain::Welcome,
        Domain::Tenure,
        Domain::Renewal,
        Domain::Trust,
    ];
    attacks.extend(signed_by_fleets.map(|domain| (&strangers, domain, signature)));
    for (other, domain, expected) in &attacks {
        let message = other.message(*domain);
        assert_eq!(other.judge(*domain, &message), Ok(()), "{domain:?} at home");
        assert_eq!(world.judge(*domain, &message), Err(*expected), "{domain:?} of the fleet of {:?}", other.seeds);
    }
    println!("signatures: {} messages of another fleet, accepted 0", attacks.len());
    assert!(attacks.len() >= 17);
}

/// Messages of or for another device, well signed: name, domain, envelope and why they are refused.
fn across_devices(world: &World) -> Vec<(&'static str, Domain, Vec<u8>, Refused)> {
    let node = other_node();
    let (wrong_node, wrong_signature) = (Refused::Node, Refused::Signature);
    let by_other = |domain, body: &[u8]| seal(domain, body, &[&key(OTHER)]);
    let hello = encode(&HelloBody { node, ..messages::hello() });
    let report = encode(&ReportBody { node, ..decode(&world.body(Domain::Report)).unwrap() });
    let output = encode(&OutputBody { node, ..messages::output() });
    let targets = |count, root| encode(&OrderBody { targets: Targets { count, root }, ..messages::order() });
    let claim_of = |request: &ClaimRequest| {
        let request = encode(request);
        encode(&ClaimBody { mac: claim_mac(&messages::activation().code, &request), request })
    };
    let request: ClaimRequest = decode(&messages::claim().request).unwrap();
    let others_request = ClaimRequest { identity_key: key(OTHER).verifying_key().to_bytes(), ..request.clone() };
    let (cancel, receipt) = (CancelBody { node, ..messages::cancel() }, ReceiptBody { node, ..messages::receipt() });
    let output_receipt = OutputReceiptBody { node, ..messages::output_receipt() };
    let (welcome, renewal) = (WelcomeBody { node, ..messages::welcome() }, RenewalBody { node, ..messages::renewal() });
    let to_other = |domain: Domain, body: Vec<u8>| world.signed(domain, &body);
    let root_of_other = leaf(key(OTHER).verifying_key().as_bytes(), b"");
    vec![
        ("an order for another", Domain::Order, to_other(Domain::Order, targets(1, root_of_other)), wrong_node),
        ("an order for as many others", Domain::Order, to_other(Domain::Order, targets(3, root_of_other)), wrong_node),
        ("a cancel for another", Domain::Cancel, to_other(Domain::Cancel, encode(&cancel)), wrong_node),
        ("a receipt for another", Domain::Receipt, to_other(Domain::Receipt, encode(&receipt)), wrong_node),
        ("an output receipt for another", Domain::OutputReceipt, to_other(Domain::OutputReceipt, encode(&output_receipt)), wrong_node),
        ("a welcome for another", Domain::Welcome, to_other(Domain::Welcome, encode(&welcome)), wrong_node),
        ("a renewal for another", Domain::Renewal, to_other(Domain::Renewal, encode(&renewal)), wrong_node),
        ("a hello in another's name", Domain::Hello, to_other(Domain::Hello, hello.clone()), wrong_node),
        ("a report in another's name", Domain::Report, to_other(Domain::Report, report.clone()), wrong_node),
        ("output in another's name", Domain::Output, to_other(Domain::Output, output.clone()), wrong_node),
        ("another's hello", Domain::Hello, by_other(Domain::Hello, &hello), wrong_signature),
        ("another's report", Domain::Report, by_other(Domain::Report, &report), wrong_signature),
        ("another's output", Domain::Output, by_other(Domain::Output, &output), wrong_signature),
        ("a hello by another", Domain::Hello, by_other(Domain::Hello, &world.body(Domain::Hello)), wrong_signature),
        ("a report by another", Domain::Report, by_other(Domain::Report, &world.body(Domain::Report)), wrong_signature),
        ("output by another", Domain::Output, by_other(Domain::Output, &world.body(Domain::Output)), wrong_signature),
        ("a claim of another's key", Domain::Claim, to_other(Domain::Claim, claim_of(&others_request)), wrong_signature),
        ("a claim with the proof of the first", Domain::Claim, by_other(Domain::Claim, &claim_of(&others_request)), wrong_signature),
        ("a claim by another", Domain::Claim, by_other(Domain::Claim, &claim_of(&request)), wrong_signature),
    ]
}

#[test]
fn nothing_of_another_device_counts() {
    let world = World::new(GOLDEN);
    let attacks = across_devices(&world);
    for (what, domain, envelope, expected) in &attacks {
        assert_eq!(world.judge(*domain, envelope), Err(*expected), "{what}");
    }
    println!("signatures: {} messages across devices, accepted 0", attacks.len());
    assert!(attacks.len() >= 19);
}

#[test]
fn answers_to_another_question_are_refused() {
    let world = World::new(GOLDEN);
    let welcome = |nonce| encode(&WelcomeBody { nonce, time_ms: NOW_MS + 1, ..messages::welcome() });
    let reply: ClaimReplyBody = decode(&world.body(Domain::ClaimReply)).unwrap();
    let reply = |nonce| encode(&ClaimReplyBody { nonce, ..reply.clone() });
    let mut attacks = 0;
    // Any other nonce: all that differ in a bit, and none at all.
    let (asked, nonces) = (messages::hello().nonce, 256);
    for bit in 0..=nonces {
        let mut nonce = asked;
        match nonce.get_mut(bit / 8) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => nonce = [0; 32],
        }
        for (domain, body) in [(Domain::Welcome, welcome(nonce)), (Domain::ClaimReply, reply(nonce))] {
            assert_eq!(world.judge(domain, &world.signed(domain, &body)), Err(Refused::Nonce), "{domain:?} with bit {bit} of the nonce");
            attacks += 1;
        }
    }
    assert_eq!(world.judge(Domain::Welcome, &world.signed(Domain::Welcome, &welcome(asked))), Ok(()));
    let claim = messages::claim();
    let by_another_code = encode(&ClaimBody { mac: claim_mac(&[3; 20], &claim.request), ..claim });
    let judged = world.judge(Domain::Claim, &world.signed(Domain::Claim, &by_another_code));
    assert_eq!(judged, Err(Refused::Code), "a claim under another activation's code");
    println!("signatures: {} answers and claims that belong elsewhere, accepted 0", attacks + 1);
    assert!(attacks >= 514);
}

/// Who judges a golden message: nothing where one flipped bit leaves enough of what it was. Of a bundle that three have signed two are
/// enough; an activation string is no signed message, and its check is tested where it is written.
fn reader(world: &World, name: &str, bytes: &[u8]) -> Option<Reader> {
    match name {
        "trust/by-ssh-and-security-key.hex" | "trust/by-ssh-key-with-sha256.hex" | "enrolment/activation.hex" => None,
        "health/node-health-with-mac.hex" => Some(Box::new(|_, bytes| hostile::report_in_session(bytes).is_ok())),
        "command/delivery.hex" | "command/delivery-with-secrets.hex" => {
            Some(Box::new(|world, bytes| decode::<Delivery>(bytes).is_ok_and(|delivery| world.judge_delivery(&delivery).is_ok())))
        }
        _ => {
            let is_of = |domain: &Domain| Envelope::parse(bytes, *domain).is_ok_and(|envelope| world.signature(*domain, &envelope).is_ok());
            let domain = Domain::ALL.into_iter().find(is_of).unwrap_or_else(|| panic!("{name} is of a domain"));
            Some(Box::new(move |world, bytes| world.judge(domain, bytes).is_ok()))
        }
    }
}

#[test]
fn no_golden_message_counts_with_a_bit_flipped() {
    let world = World::new(GOLDEN);
    let folder = root().join("golden/v1");
    let (mut flips, mut files) = (0_u32, 0_u32);
    for name in files_below(&folder) {
        let golden = unhex(&std::fs::read_to_string(folder.join(&name)).unwrap());
        let Some(is_accepted) = reader(&world, &name, &golden) else { continue };
        assert!(is_accepted(&world, &golden), "{name} as it is");
        files += 1;
        for bit in 0..golden.len() * 8 {
            let mut flipped = golden.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_accepted(&world, &flipped), "{name} with bit {bit} flipped");
            flips += 1;
        }
    }
    println!("signatures: {flips} single-bit flips of {files} golden messages, accepted 0");
    assert!(files >= 24 && flips >= 40_000, "{flips} flips of {files} messages");
}
