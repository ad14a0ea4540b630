use super::*;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use std::collections::BTreeMap;

const FLEET: Hex<8> = Hex([7; 8]);

/// A log as whoever holds the database sees it.
#[derive(Debug, Clone, PartialEq)]
struct Log {
    base: Option<SignedHead>,
    entries: Vec<Entry>,
    head: SignedHead,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

/// A key that some bundle has named, and the newest does not.
fn former() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn public(key: &SigningKey) -> Hex<32> {
    Hex(key.verifying_key().to_bytes())
}

fn bridge() -> BridgeKeys {
    BridgeKeys::new([public(&key())], [public(&former()), public(&key())])
}

fn texts(kind: &str, number: u64) -> [String; 3] {
    [kind.to_owned(), format!("user-{}", number % 3), format!("Operation{number}")]
}

/// Writes entries behind others, as the bridge does.
fn grow(entries: &mut Vec<Entry>, before: (u64, Hex<32>), count: u64, key: &SigningKey) {
    for number in 0..count {
        let (sequence, hash) = entries.last().map_or(before, |last| (last.sequence, last.hash));
        let mut entry = Entry::chained(sequence, &hash, 1_000 + number, texts("api-call", number), BTreeMap::new());
        if entry.sequence.is_multiple_of(CHECKPOINT_EVERY) {
            entry.checkpoint = Some(SignedHead::sign(SignedKind::Checkpoint, &FLEET, entry.sequence, &entry.hash, 5, key));
        }
        entries.push(entry);
    }
}

fn head_of(entries: &[Entry], key: &SigningKey) -> SignedHead {
    let last = entries.last().unwrap();
    SignedHead::sign(SignedKind::Head, &FLEET, last.sequence, &last.hash, 6, key)
}

/// A log of `count` entries from which the first `removed` were removed as old.
fn log(count: u64, removed: usize) -> Log {
    let mut entries = Vec::new();
    grow(&mut entries, (0, NOTHING_BEFORE), count, &key());
    let head = head_of(&entries, &key());
    let gone: Vec<Entry> = entries.drain(..removed).collect();
    let base = gone.last().map(|last| SignedHead::sign(SignedKind::Base, &FLEET, last.sequence, &last.hash, 6, &key()));
    Log { base, entries, head }
}

fn check(log: &Log, remembered: Option<&Remembered>) -> Result<Verified, Tampering> {
    let mut verifier = Verifier::begin(FLEET, bridge(), log.base.as_ref(), remembered)?;
    for entry in &log.entries {
        verifier.take(entry)?;
    }
    verifier.finish(&log.head)
}

fn remember(log: &Log) -> Remembered {
    let SignedHead { sequence, hash, time_ms, key, .. } = log.head;
    Remembered { fleet: FLEET, key, root: None, sequence, hash, time_ms }
}

#[test]
fn a_log_that_nobody_touched_is_good() {
    let whole = log(2_005, 0);
    let verified = check(&whole, Some(&remember(&log(1_500, 0)))).unwrap();
    let expected = Verified { removed: 0, entries: 2_005, signatures: 3, same_as_remembered: Some(1_500), complaints: Vec::new() };
    assert_eq!(verified, expected);
    let shortened = log(2_005, 1_000);
    let verified = check(&shortened, Some(&remember(&log(1_000, 0)))).unwrap();
    assert_eq!((verified.removed, verified.entries, verified.same_as_remembered), (1_000, 1_005, Some(1_000)));
    // What is remembered was removed as old: nothing speaks against the log, and nothing for it.
    assert_eq!(check(&shortened, Some(&remember(&log(10, 0)))).unwrap().same_as_remembered, None);
}

#[test]
fn each_way_to_change_a_log_is_found_and_named() {
    type Change = fn(&mut Log);
    let cases: [(&str, Change, Tampering); 14] = [
        ("an entry is edited", |log| log.entries[4].actor = "eve".to_owned(), Tampering::Changed { sequence: 5 }),
        (
            "an entry is edited and its hash made anew",
            |log| {
                let before = log.entries[3].hash;
                log.entries[4].actor = "eve".to_owned();
                log.entries[4].hash = log.entries[4].hash_after(&before);
            },
            Tampering::Changed { sequence: 6 },
        ),
        (
            "all that follows is made anew",
            |log| {
                log.entries.truncate(990);
                grow(&mut log.entries, (0, NOTHING_BEFORE), 1_015, &SigningKey::from_bytes(&[9; 32]));
            },
            Tampering::OtherKey { what: "checkpoint", sequence: 1_000, found: public(&SigningKey::from_bytes(&[9; 32])) },
        ),
        (
            "the end is made anew",
            |log| {
                let mut last = log.entries.pop().unwrap();
                last.actor = "eve".to_owned();
                last.hash = last.hash_after(&log.entries[2_003].hash);
                log.entries.push(last);
            },
            Tampering::Changed { sequence: 2_005 },
        ),
        ("one of the middle is removed", |log| drop(log.entries.remove(7)), Tampering::Missing { from: 8, to: 8 }),
        (
            "one of the middle is removed and the rest numbered anew",
            |log| {
                log.entries.remove(7);
                log.entries.iter_mut().skip(7).for_each(|entry| entry.sequence -= 1);
            },
            Tampering::Changed { sequence: 8 },
        ),
        ("two are exchanged", |log| log.entries.swap(3, 4), Tampering::Missing { from: 4, to: 4 }),
        ("one is there twice", |log| log.entries.insert(5, log.entries[4].clone()), Tampering::Misplaced { found: 5, behind: 5 }),
        ("the beginning is cut", |log| drop(log.entries.drain(..10)), Tampering::Missing { from: 1, to: 10 }),
        (
            "the beginning is cut at a checkpoint, which is shown as the base",
            |log| {
                let gone: Vec<Entry> = log.entries.drain(..1_000).collect();
                log.base = gone.last().and_then(|last| last.checkpoint.clone());
            },
            Tampering::Signature { what: "base", sequence: 1_000 },
        ),
        ("the end is cut", |log| log.entries.truncate(2_000), Tampering::Truncated { last: 2_000, head: 2_005 }),
        (
            "the end is cut at a checkpoint, which is shown as the head",
            |log| {
                log.entries.truncate(2_000);
                log.head = log.entries[1_999].checkpoint.clone().unwrap();
            },
            Tampering::Signature { what: "head", sequence: 2_000 },
        ),
        ("a checkpoint is removed", |log| log.entries[999].checkpoint = None, Tampering::Checkpoint { sequence: 1_000 }),
        (
            "a checkpoint is that of another entry",
            |log| log.entries[1_999].checkpoint = log.entries[999].checkpoint.clone(),
            Tampering::Checkpoint { sequence: 2_000 },
        ),
    ];
    for (name, change, expected) in cases {
        let mut changed = log(2_005, 0);
        change(&mut changed);
        assert_eq!(check(&changed, None), Err(expected), "{name}");
    }
}

#[test]
fn a_head_or_checkpoint_of_a_stranger_counts_for_nothing() {
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let mut entries = Vec::new();
    grow(&mut entries, (0, NOTHING_BEFORE), 1_005, &stranger);
    let forged = Log { base: None, head: head_of(&entries, &stranger), entries };
    assert!(matches!(check(&forged, None), Err(Tampering::OtherKey { what: "checkpoint", sequence: 1_000, .. })));
    // Without a checkpoint the head is still a stranger's.
    let mut short = log(5, 0);
    short.head = head_of(&short.entries, &stranger);
    assert!(matches!(check(&short, None), Err(Tampering::OtherKey { what: "head", sequence: 5, .. })));
    let mut forged = log(1_005, 0);
    forged.entries[999].checkpoint.as_mut().unwrap().signature.0[9] ^= 1;
    assert_eq!(check(&forged, None), Err(Tampering::Signature { what: "checkpoint", sequence: 1_000 }));
}

#[test]
fn a_key_counts_that_a_bundle_names_whatever_the_log_says() {
    for (seed, expected) in [
        (4, Ok(1_006)),
        // Who can write the database and writes all of it anew says that their key was the bridge's.
        (9, Err(Tampering::OtherKey { what: "checkpoint", sequence: 1_000, found: public(&SigningKey::from_bytes(&[9; 32])) })),
    ] {
        let before = SigningKey::from_bytes(&[seed; 32]);
        let mut entries = Vec::new();
        grow(&mut entries, (0, NOTHING_BEFORE), 1_005, &before);
        let last = entries.last().unwrap();
        let detail = BTreeMap::from([(KEY_BEFORE.to_owned(), public(&before).to_string())]);
        let change = Entry::chained(last.sequence, &last.hash, 9, texts(KEY_CHANGED, 0), detail);
        entries.push(change);
        let log = Log { base: None, head: head_of(&entries, &key()), entries };
        assert_eq!(check(&log, None).map(|verified| verified.entries), expected);
    }
    // A key that was the bridge's signs no head any more, and what is said to be the present one does.
    let mut log = log(10, 0);
    log.head = head_of(&log.entries, &former());
    assert!(matches!(check(&log, None), Err(Tampering::OtherKey { what: "head", sequence: 10, .. })));
    let said = Verifier::begin(FLEET, bridge().with_present(public(&former())), None, None).unwrap();
    let said = log.entries.iter().try_fold(said, |mut verifier, entry| verifier.take(entry).map(|()| verifier)).unwrap();
    assert!(said.finish(&log.head).is_ok());
}

#[test]
fn a_cut_to_an_older_head_is_found_by_who_remembers() {
    let seen = remember(&log(1_200, 0));
    let older = log(1_100, 0);
    assert!(check(&older, None).is_ok(), "nobody else can tell");
    assert_eq!(check(&older, Some(&seen)), Err(Tampering::RolledBack { head: 1_100, remembered: 1_200 }));
    // As long as before, and another history: the bridge itself, or who has its key.
    let mut entries = log(1_100, 0).entries;
    let last = entries.last().map(|last| (last.sequence, last.hash)).unwrap();
    entries.push(Entry::chained(last.0, &last.1, 1, texts("other", 1), BTreeMap::new()));
    grow(&mut entries, last, 200, &key());
    let rewritten = Log { base: None, head: head_of(&entries, &key()), entries };
    assert_eq!(check(&rewritten, Some(&seen)), Err(Tampering::Rewritten { sequence: 1_200 }));
    let other = Remembered { fleet: Hex([1; 8]), ..seen };
    assert!(matches!(check(&rewritten, Some(&other)), Err(Tampering::OtherFleet { .. })));
}

#[test]
fn a_base_that_is_remembered_is_compared_too() {
    let shortened = log(1_100, 1_000);
    let mut seen = remember(&log(1_000, 0));
    seen.hash.0[0] ^= 1;
    assert_eq!(check(&shortened, Some(&seen)), Err(Tampering::Rewritten { sequence: 1_000 }));
}

#[test]
fn what_the_bridge_found_itself_is_told() {
    let mut entries = log(3, 0).entries;
    let last = entries.last().map(|last| (last.sequence, last.hash)).unwrap();
    entries.push(Entry::chained(last.0, &last.1, 1, texts(DAMAGED, 1), BTreeMap::new()));
    let log = Log { base: None, head: head_of(&entries, &key()), entries };
    assert_eq!(check(&log, None).unwrap().complaints, [4]);
}

/// One blow of somebody who can write the database and has no key.
#[derive(Debug, Clone)]
enum Blow {
    FlipText(usize, u8),
    Time(usize, u64),
    Rehash(usize),
    Remove(usize, usize),
    Swap(usize, usize),
    Copy(usize, usize),
    CutBegin(usize),
    CutEnd(usize),
    FlipHead(usize),
    FlipBase(usize),
    NoBase,
    OtherHead(usize),
}

fn blow() -> impl Strategy<Value = Blow> {
    let at = 0..4_000_usize;
    prop_oneof![
        (at.clone(), 1..=255_u8).prop_map(|(at, by)| Blow::FlipText(at, by)),
        (at.clone(), any::<u64>()).prop_map(|(at, time)| Blow::Time(at, time)),
        at.clone().prop_map(Blow::Rehash),
        (at.clone(), 1..20_usize).prop_map(|(at, count)| Blow::Remove(at, count)),
        (at.clone(), at.clone()).prop_map(|(one, other)| Blow::Swap(one, other)),
        (at.clone(), at.clone()).prop_map(|(from, to)| Blow::Copy(from, to)),
        (1..30_usize).prop_map(Blow::CutBegin),
        (1..30_usize).prop_map(Blow::CutEnd),
        at.clone().prop_map(Blow::FlipHead),
        at.clone().prop_map(Blow::FlipBase),
        Just(Blow::NoBase),
        at.prop_map(Blow::OtherHead),
    ]
}

fn flip(signed: &mut SignedHead, at: usize) {
    match at % 4 {
        0 => signed.sequence ^= 1 << (at % 8),
        1 => signed.hash.0[at % 32] ^= 1,
        2 => signed.time_ms ^= 1 << (at % 40),
        _ => signed.signature.0[at % 64] ^= 1,
    }
}

fn strike(log: &mut Log, blow: &Blow) {
    let count = log.entries.len();
    if count == 0 {
        return;
    }
    match *blow {
        Blow::FlipText(at, by) => {
            let entry = &mut log.entries[at % count];
            let text = [&mut entry.kind, &mut entry.actor, &mut entry.subject].into_iter().nth(usize::from(by) % 3).unwrap();
            text.push(char::from(by));
        }
        Blow::Time(at, time) => log.entries[at % count].time_ms = time,
        Blow::Rehash(from) => {
            // Makes the chain fit again from here on, whatever was done to it.
            let from = (from % count).max(1);
            for at in from..count {
                let before = log.entries[at - 1].hash;
                log.entries[at].hash = log.entries[at].hash_after(&before);
            }
        }
        Blow::Remove(at, more) => drop(log.entries.drain(at % count..(at % count + more).min(count))),
        Blow::Swap(one, other) => log.entries.swap(one % count, other % count),
        Blow::Copy(from, to) => log.entries.insert(to % count, log.entries[from % count].clone()),
        Blow::CutBegin(more) => drop(log.entries.drain(..more.min(count))),
        Blow::CutEnd(more) => log.entries.truncate(count.saturating_sub(more)),
        Blow::FlipHead(at) => flip(&mut log.head, at),
        Blow::FlipBase(at) => log.base.iter_mut().for_each(|base| flip(base, at)),
        Blow::NoBase => log.base = None,
        // The only other signatures that lie about are checkpoints and the base.
        Blow::OtherHead(at) => {
            let lying: Vec<SignedHead> = log.entries.iter().filter_map(|entry| entry.checkpoint.clone()).chain(log.base.clone()).collect();
            if let Some(other) = lying.get(at % lying.len().max(1)) {
                log.head = other.clone();
                log.entries.retain(|entry| entry.sequence <= other.sequence);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_without_the_key_is_found(removed in prop_oneof![Just(0), Just(1_000)], blows in prop::collection::vec(blow(), 1..4)) {
        let good = log(1_040, removed);
        let mut changed = good.clone();
        for blow in &blows {
            strike(&mut changed, blow);
        }
        // A blow can undo another, and some do nothing: what is the same log is a good one.
        prop_assert_eq!(check(&changed, None).is_ok(), changed == good, "{:?}", blows);
    }
}
