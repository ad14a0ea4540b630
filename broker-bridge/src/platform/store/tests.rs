use super::*;
use std::os::unix::fs::PermissionsExt as _;

const ONE: Migration = Migration { version: 202_611_210_001, name: "one", sql: "CREATE TABLE one (id BIGINT NOT NULL PRIMARY KEY);" };
const TWO: Migration =
    Migration { version: 202_611_210_002, name: "two", sql: "CREATE TABLE two (id TEXT); CREATE INDEX two_by_id ON two (id);" };

async fn count(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM one").fetch_one(store.reader()).await.unwrap()
}

async fn insert(write: &mut Write<'_>, id: i64) {
    sqlx::query("INSERT INTO one (id) VALUES ($1)").bind(id).execute(write.connection()).await.unwrap();
}

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_dropped_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let store = Store::open(&path, &[ONE]).await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut write = store.write().await.unwrap();
    insert(&mut write, 1).await;
    assert_eq!(count(&store).await, 0, "readers see nothing of an open transaction");
    write.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
    let mut write = store.write().await.unwrap();
    insert(&mut write, 2).await;
    drop(write);
    let mut write = store.write().await.unwrap();
    insert(&mut write, 2).await;
    write.commit().await.unwrap();
    assert_eq!(count(&store).await, 2);
    assert!(sqlx::query("INSERT INTO one (id) VALUES (9)").execute(store.reader()).await.is_err(), "readers only read");
}

#[tokio::test]
async fn migrations_run_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let store = Store::open(&path, &[ONE]).await.unwrap();
    let mut write = store.write().await.unwrap();
    insert(&mut write, 1).await;
    write.commit().await.unwrap();
    store.close().await;
    let store = Store::open(&path, &[ONE, TWO]).await.unwrap();
    assert_eq!(count(&store).await, 1);
    store.close().await;
    let older = Store::open(&path, &[ONE]).await.unwrap_err();
    assert!(older.to_string().contains("newer bridge"), "{older}");
    let edited = Migration { sql: "CREATE TABLE one (id TEXT);", ..ONE };
    let error = Store::open(&path, &[edited, TWO]).await.unwrap_err();
    assert!(error.to_string().contains("another text"), "{error}");
}

#[tokio::test]
async fn a_failing_migration_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let bad = Migration { sql: "CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT);", ..TWO };
    assert!(Store::open(&path, &[ONE, bad]).await.is_err());
    let store = Store::open(&path, &[ONE]).await.unwrap();
    let half: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetch_one(store.reader()).await.unwrap();
    assert_eq!(half, 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    crate::platform::files::create_secret(&path, &[b'x'; 8192]).unwrap();
    assert!(matches!(Store::open(&path, &[ONE]).await.unwrap_err(), StoreError::Corrupt(_)));
}

#[tokio::test]
async fn writers_wait_for_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fleet.db"), &[ONE]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut write = store.write().await.unwrap();
            insert(&mut write, id).await;
            write.commit().await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(count(&store).await, 50);
}

#[tokio::test]
async fn after_a_full_disk_the_writer_writes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fleet.db"), &[ONE, TWO]).await.unwrap();
    let mut write = store.write().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(write.connection()).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 2));
    sqlx::query(limit).execute(write.connection()).await.unwrap();
    let large = "x".repeat(1024 * 1024);
    let refused = sqlx::query("INSERT INTO two (id) VALUES ($1)").bind(large).execute(write.connection()).await.unwrap_err();
    assert!(matches!(StoreError::from(refused), StoreError::Full(_)));
    drop(write);
    for id in 0..3 {
        let mut write = store.write().await.unwrap();
        insert(&mut write, id).await;
        write.commit().await.unwrap();
    }
    assert_eq!(count(&store).await, 3);
    let mut write = store.write().await.unwrap();
    assert_durable(write.connection()).await.unwrap();
}
