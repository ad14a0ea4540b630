use super::*;
use crate::platform::store::{Store, Write};
use crate::schema::MIGRATIONS;
use ed25519_dalek::SigningKey;
use flotilla_api::audit::{BridgeKeys, CHECKPOINT_EVERY, DAMAGED, Entry, KEY_CHANGED, Remembered, Tampering, Verified, Verifier};
use sqlx::AssertSqlSafe;

const FLEET: [u8; 8] = [7; 8];

struct Log {
    store: Store,
    folder: tempfile::TempDir,
}

impl Log {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Self::open(&folder, 3).await;
        Self { store, folder }
    }

    /// The trust bundles have named key 3 and the key that signs now.
    async fn open(folder: &tempfile::TempDir, key: u8) -> Store {
        let store = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
        store.audit().sign_with(HeadSigner::new(FLEET, SigningKey::from_bytes(&[key; 32]), [public(3).0]));
        store
    }

    /// As a bridge that ends and starts again, perhaps with another key.
    async fn reopen(self, key: u8) -> Self {
        let Self { store, folder } = self;
        store.close().await;
        Self { store: Self::open(&folder, key).await, folder }
    }

    async fn add(&self, count: u64) {
        let mut write = self.store.write().await.unwrap();
        (0..count).for_each(|number| write.record(record(number)));
        write.commit().await.unwrap();
    }

    /// What somebody does who can write the database.
    async fn sql(&self, sql: &str) {
        let mut write = self.store.write().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn entries(&self) -> Vec<Entry> {
        let (mut entries, mut from) = (Vec::new(), None);
        loop {
            let (page, next) = page(&self.store, &Filter::default(), false, from, 300).await.unwrap();
            entries.extend(page);
            if next.is_none() {
                return entries;
            }
            from = next;
        }
    }

    async fn verify(&self, remembered: Option<&Remembered>) -> Result<Verified, Tampering> {
        let marks = marks(&self.store).await.unwrap();
        let head = marks.head.ok_or(Tampering::NoHead)?;
        let keys = BridgeKeys::new([head.key], [public(3)]);
        let mut verifier = Verifier::begin(Hex(FLEET), keys, marks.base.as_ref(), remembered)?;
        for entry in self.entries().await {
            verifier.take(&entry)?;
        }
        verifier.finish(&head)
    }
}

fn public(key: u8) -> Hex<32> {
    Hex(SigningKey::from_bytes(&[key; 32]).verifying_key().to_bytes())
}

fn record(number: u64) -> Record {
    Record::new("test", "ada", &format!("subject-{}", number % 7), 1_000 + number).with("Number", number)
}

#[tokio::test]
async fn what_is_committed_is_there_and_signed_and_what_is_not_never_was() {
    let log = Log::new().await;
    log.add(3).await;
    let mut dropped = log.store.write().await.unwrap();
    dropped.record(record(9));
    drop(dropped);
    log.add(CHECKPOINT_EVERY).await;
    let verified = log.verify(None).await.unwrap();
    assert_eq!((verified.entries, verified.signatures), (CHECKPOINT_EVERY + 3, 2), "a checkpoint and the head");
    let log = log.reopen(3).await;
    log.add(1).await;
    let verified = log.verify(None).await.unwrap();
    assert_eq!((verified.entries, verified.complaints), (CHECKPOINT_EVERY + 4, Vec::new()));
}

#[tokio::test]
async fn a_transaction_that_fails_tells_nothing() {
    let log = Log::new().await;
    log.add(2).await;
    let mut write = log.store.write().await.unwrap();
    write.record(record(1));
    sqlx::query("INSERT INTO audit_entry VALUES (3, 0, '', '', '', '', x'00')").execute(write.connection()).await.unwrap();
    sqlx::query("DELETE FROM audit_mark WHERE kind = 'nothing'").execute(write.connection()).await.unwrap();
    drop(write);
    log.add(1).await;
    assert_eq!(log.verify(None).await.unwrap().entries, 3);
}

#[tokio::test]
async fn each_change_of_the_database_is_found() {
    let changes = [
        ("edit", "UPDATE audit_entry SET actor = 'eve' WHERE sequence = 5"),
        ("edit of a detail", "UPDATE audit_entry SET detail = '{\"Number\":\"0\"}' WHERE sequence = 5"),
        ("no JSON", "UPDATE audit_entry SET detail = 'x' WHERE sequence = 5"),
        ("a hash that is none", "UPDATE audit_entry SET hash = x'00' WHERE sequence = 5"),
        ("delete in the middle", "DELETE FROM audit_entry WHERE sequence = 500"),
        (
            "delete and renumber",
            "DELETE FROM audit_entry WHERE sequence = 500; UPDATE audit_entry SET sequence = -sequence WHERE sequence > 500; \
             UPDATE audit_entry SET sequence = -sequence - 1 WHERE sequence < 0",
        ),
        (
            "reorder",
            "UPDATE audit_entry SET sequence = -1 WHERE sequence = 7; UPDATE audit_entry SET sequence = 7 WHERE sequence = 8; \
             UPDATE audit_entry SET sequence = 8 WHERE sequence = -1",
        ),
        ("cut the beginning", "DELETE FROM audit_entry WHERE sequence <= 10"),
        (
            "cut the beginning at a checkpoint",
            "DELETE FROM audit_entry WHERE sequence <= 1000; \
             UPDATE audit_mark SET kind = 'base', number = 0 WHERE kind = 'checkpoint' AND number = 1000",
        ),
        ("cut the end", "DELETE FROM audit_entry WHERE sequence > 1020"),
        (
            "cut the end at a checkpoint",
            "DELETE FROM audit_entry WHERE sequence > 1000; DELETE FROM audit_mark WHERE kind = 'head'; \
             UPDATE audit_mark SET kind = 'head', number = 0 WHERE kind = 'checkpoint'",
        ),
        ("no checkpoint", "DELETE FROM audit_mark WHERE kind = 'checkpoint'"),
        ("another checkpoint", "UPDATE audit_mark SET signature = x'01' WHERE kind = 'checkpoint'"),
        ("no head", "DELETE FROM audit_mark WHERE kind = 'head'"),
        ("another head", "UPDATE audit_mark SET sequence = 5 WHERE kind = 'head'"),
        (
            "one more",
            "INSERT INTO audit_entry SELECT 1031, time_ms, kind, actor, subject, detail, hash FROM audit_entry WHERE sequence = 3",
        ),
    ];
    for (name, sql) in changes {
        let log = Log::new().await;
        log.add(1_030).await;
        assert!(log.verify(None).await.is_ok());
        log.sql(sql).await;
        let found = log.verify(None).await;
        assert!(found.is_err(), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn what_the_bridge_finds_changed_it_says_for_ever() {
    let changes = [
        ("the end is cut", "DELETE FROM audit_entry WHERE sequence > 20"),
        ("the last is edited", "UPDATE audit_entry SET hash = x'01' WHERE sequence = 30"),
        (
            "one is added",
            "INSERT INTO audit_entry SELECT 31, time_ms, kind, actor, subject, detail, hash FROM audit_entry WHERE sequence = 3",
        ),
        ("everything is gone", "DELETE FROM audit_entry; DELETE FROM audit_mark"),
    ];
    for (name, sql) in changes {
        let log = Log::new().await;
        log.add(30).await;
        log.sql(sql).await;
        log.add(1).await;
        let complaints = log.entries().await.iter().filter(|entry| entry.kind == DAMAGED).count();
        assert_eq!(complaints, 1, "{name}: while it runs");
        log.add(1).await;
        let complaints = log.entries().await.iter().filter(|entry| entry.kind == DAMAGED).count();
        assert_eq!(complaints, 1, "{name}: it is said once");
    }
    // Between an end and the next start, when nobody watched.
    let unwatched = [
        ("the end is cut", "DELETE FROM audit_entry WHERE sequence > 20"),
        ("the head is gone", "DELETE FROM audit_mark WHERE kind = 'head'"),
        ("the head is another", "UPDATE audit_mark SET sequence = 29 WHERE kind = 'head'"),
    ];
    for (name, sql) in unwatched {
        let log = Log::new().await;
        log.add(30).await;
        log.sql(sql).await;
        let log = log.reopen(3).await;
        log.add(1).await;
        let entries = log.entries().await;
        assert_eq!(entries.iter().filter(|entry| entry.kind == DAMAGED).count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_new_key_is_told_and_the_former_one_stays_good() {
    let log = Log::new().await;
    log.add(1_010).await;
    let log = log.reopen(4).await;
    log.add(1).await;
    let entries = log.entries().await;
    assert_eq!(entries.iter().filter(|entry| entry.kind == KEY_CHANGED).count(), 1);
    assert_eq!(log.verify(None).await.unwrap().entries, 1_012);
}

/// Somebody who can write the database writes all of it anew, longer than it was, and signs it with a key of their own.
async fn write_anew(log: &Log, key: u8, count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
    other.audit().sign_with(HeadSigner::new(FLEET, SigningKey::from_bytes(&[key; 32]), []));
    let mut write = other.write().await.unwrap();
    (0..count).for_each(|number| write.record(Record::new("test", "eve", "nothing", number)));
    write.commit().await.unwrap();
    other.close().await;
    let path = folder.path().join("fleet.db");
    let mut connection = log.store.reader().acquire().await.unwrap().detach();
    let attach = format!("PRAGMA query_only = OFF; ATTACH '{}' AS other", path.display());
    sqlx::raw_sql(AssertSqlSafe(attach)).execute(&mut connection).await.unwrap();
    for table in ["audit_entry", "audit_mark"] {
        let sql = format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM other.{table}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_was_written_anew_by_another_is_no_log_of_an_earlier_bridge() {
    let told = async |log: &Log| {
        log.add(1).await;
        let entries = log.entries().await;
        let of = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).count();
        (of(DAMAGED), of(KEY_CHANGED))
    };
    // Between an end and the next start, under a key that no bundle names: nothing is remembered, and the key gives it away.
    let log = Log::new().await;
    log.add(30).await;
    write_anew(&log, 9, 40).await;
    let log = log.reopen(3).await;
    assert_eq!(told(&log).await, (1, 0));
    assert_eq!(log.verify(None).await.unwrap().complaints.len(), 1);
    // A key of the bridge's from before: the key says nothing, and while the bridge runs, its last entry does, at its own number.
    for count in [30, 40, 1_100] {
        let log = Log::new().await;
        log.add(20).await;
        let log = log.reopen(4).await;
        log.add(9).await;
        write_anew(&log, 3, count).await;
        assert_eq!(told(&log).await, (1, 0), "{count}");
    }
}

#[tokio::test]
async fn another_process_may_add_to_it() {
    let log = Log::new().await;
    log.add(3).await;
    let beside = Log::open(&log.folder, 3).await;
    let mut write = beside.write().await.unwrap();
    write.record(record(1));
    write.commit().await.unwrap();
    beside.close().await;
    log.add(1).await;
    let verified = log.verify(None).await.unwrap();
    assert_eq!((verified.entries, verified.complaints), (5, Vec::new()));
}

#[tokio::test]
async fn what_goes_as_old_leaves_a_signature() {
    let log = Log::new().await;
    log.add(2_500).await;
    let seen = marks(&log.store).await.unwrap().head.unwrap();
    let seen = Remembered { fleet: Hex(FLEET), key: seen.key, root: None, sequence: seen.sequence, hash: seen.hash, time_ms: seen.time_ms };
    assert!(!keep::remove(&log.store, 1_501, 9).await.unwrap(), "there are fewer than a round too many");
    assert!(keep::remove(&log.store, 1_400, 9).await.unwrap());
    assert!(!keep::remove(&log.store, 1_400, 9).await.unwrap());
    let verified = log.verify(Some(&seen)).await.unwrap();
    assert_eq!((verified.removed, verified.entries, verified.same_as_remembered), (1_000, 1_501, Some(2_500)), "the removal is an entry");
    // Removing more by hand is seen, and so is what was changed before it went.
    log.sql("DELETE FROM audit_entry WHERE sequence <= 1010").await;
    assert_eq!(log.verify(None).await, Err(Tampering::Missing { from: 1_001, to: 1_010 }));
    let log = Log::new().await;
    log.add(1_500).await;
    log.sql("UPDATE audit_entry SET actor = 'eve' WHERE sequence = 5").await;
    assert!(keep::remove(&log.store, 10, 9).await.unwrap());
    let verified = log.verify(None).await.unwrap();
    assert_eq!(verified.complaints.len(), 1, "it went, and that it was changed is said");
}

#[tokio::test]
async fn who_keeps_the_log_stops_when_it_is_asked_to_and_counts_on_what_it_could_not_write() {
    let log = Log::new().await;
    log.add(20_000).await;
    let (switch, wish) = crate::platform::shutdown::shutdown();
    let clock = crate::clock::Clock::fixed(9);
    let asked = async {
        while marks(&log.store).await.unwrap().base.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        switch.request();
    };
    let (done, ()) = tokio::join!(keep::once(&log.store, &clock, 0, &wish), asked);
    done.unwrap();
    let removed = marks(&log.store).await.unwrap().base.unwrap().sequence;
    assert!((1_000..20_000).contains(&removed) && log.verify(None).await.is_ok(), "{removed}");
    // A full disk, which has no free pages.
    let log = Log::new().await;
    let counts = &log.store.audit().counts;
    (0..200).for_each(|number| counts.add(counts::READS, &format!("{number:0500}"), "ListCommands", false, 5));
    log.sql("PRAGMA max_page_count = 1").await;
    assert!(keep::once(&log.store, &clock, 1_000_000, &wish).await.is_err());
    log.sql("PRAGMA max_page_count = 1000000").await;
    keep::once(&log.store, &clock, 1_000_000, &wish).await.unwrap();
    assert_eq!(log.entries().await.iter().filter(|entry| entry.kind == counts::READS).count(), 200);
}

#[tokio::test]
async fn pages_go_both_ways_and_filters_hold() {
    let log = Log::new().await;
    log.add(20).await;
    let mut numbers = Vec::new();
    let mut from = None;
    loop {
        let (entries, next) = page(&log.store, &Filter::default(), true, from, 6).await.unwrap();
        numbers.extend(entries.iter().map(|entry| entry.sequence));
        from = next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(numbers, (1..=20).rev().collect::<Vec<_>>());
    let store = &log.store;
    let wanted = |filter: Filter| async move { page(store, &filter, false, Some(0), 100).await.unwrap().0.len() };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(wanted(Filter { subject: text("subject-3"), ..Filter::default() }).await, 3);
    assert_eq!(wanted(Filter { actor: text("eve"), ..Filter::default() }).await, 0);
    assert_eq!(wanted(Filter { kind: text("test"), ..Filter::default() }).await, 20);
    assert_eq!(wanted(Filter { since_ms: Some(1_005), until_ms: Some(1_008), ..Filter::default() }).await, 3);
}

#[tokio::test]
async fn a_call_is_told_by_its_first_commit_or_afterwards() {
    use call::{Call, Told, under};
    let log = Log::new().await;
    let told = |operation| Told { user: "ada", operation, access_key: "K", request_id: "r", source: "127.0.0.1", body: &[1; 32] };
    let commit = |store: Store, count: u64| async move {
        for _ in 0..count {
            let mut write: Write<'_> = store.write().await.unwrap();
            write.record(record(0));
            write.commit().await.unwrap();
        }
    };
    // Two commits: told once, in the first.
    let call = std::sync::Arc::new(Call::new(&told("Two"), 5));
    under(std::sync::Arc::clone(&call), commit(log.store.clone(), 2)).await;
    call.tell(&log.store, None, 5).await;
    // A transaction that is dropped tells nothing; the end of the call does.
    let call = std::sync::Arc::new(Call::new(&told("None"), 5));
    under(std::sync::Arc::clone(&call), async { drop(log.store.write().await.unwrap()) }).await;
    call.tell(&log.store, None, 5).await;
    // Refused after a commit: both are told.
    let call = std::sync::Arc::new(Call::new(&told("Late"), 5));
    under(std::sync::Arc::clone(&call), commit(log.store.clone(), 1)).await;
    call.tell(&log.store, Some("InternalServerError"), 5).await;
    // Refusals beyond the allowance are counted.
    for _ in 0..100 {
        Call::new(&told("Refused"), 5).tell(&log.store, Some("ValidationException"), 5).await;
    }
    let entries = log.entries().await;
    let shown: Vec<(&str, &str)> = entries
        .iter()
        .filter(|entry| entry.kind == "api-call" && entry.subject != "Refused")
        .map(|entry| (entry.subject.as_str(), entry.detail["Outcome"].as_str()))
        .collect();
    assert_eq!(shown, [("Two", "Success"), ("None", "Success"), ("Late", "Success"), ("Late", "InternalServerError")]);
    assert_eq!(entries.iter().position(|entry| entry.subject == "Two"), Some(1), "in the transaction of the first record");
    let refused = entries.iter().filter(|entry| entry.subject == "Refused").count();
    assert!((50..=61).contains(&refused), "{refused}");
    assert_eq!(log.store.audit().counts.take().records(6).count(), 1);
}

/// A record of a report with so many bytes.
fn report(number: u64, bytes: usize) -> Record {
    record(number).with(flotilla_api::audit::REPORT, number).with_signed(&vec![u8::try_from(number % 256).unwrap(); bytes])
}

#[tokio::test]
async fn what_nodes_have_signed_is_kept_of_the_newest_and_pages_stay_short() {
    let log = Log::new().await;
    let mut write = log.store.write().await.unwrap();
    (1..=80).for_each(|number| write.record(report(number, 100)));
    write.record(record(81));
    (82..=90).for_each(|number| write.record(report(number, 1024 * 1024)));
    write.commit().await.unwrap();
    let kept = |entries: &[Entry]| entries.iter().filter(|entry| entry.report.is_some()).map(|entry| entry.sequence).collect::<Vec<_>>();
    // Four megabytes and a bit are a page, whatever was asked for; and nothing is left out between two.
    let (first, next) = page(&log.store, &Filter::default(), false, None, 300).await.unwrap();
    assert_eq!((first.len(), next), (84, Some(84)));
    let entries = log.entries().await;
    assert_eq!((entries.len(), kept(&entries).len()), (90, 89));
    assert!(entries.iter().all(|entry| entry.report.as_ref().is_none_or(|report| u64::from(report.0[0]) == entry.sequence % 256)));
    let (newest, next) = page(&log.store, &Filter::default(), true, None, 300).await.unwrap();
    assert_eq!((newest.len(), newest[0].sequence, next), (4, 90, Some(87)));
    // The log holds with it and without it.
    keep::forget_reports(&log.store, 10).await.unwrap();
    assert_eq!(kept(&log.entries().await), [80, 82, 83, 84, 85, 86, 87, 88, 89, 90]);
    assert_eq!(log.verify(None).await.unwrap().entries, 90);
    keep::forget_reports(&log.store, 10).await.unwrap();
    assert_eq!(kept(&log.entries().await).len(), 10);
    // What goes as old takes what stood beside it along.
    log.add(2 * keep::REMOVED_AT_ONCE).await;
    assert!(keep::remove(&log.store, 100, 5).await.unwrap());
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_report").fetch_one(log.store.reader()).await.unwrap();
    assert_eq!(left, 0);
}
