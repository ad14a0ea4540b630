//! Migrations: each runs once, in its own transaction, and is remembered with the hash of its text.

use super::{Store, StoreError};
use flotilla_protocol::sha256;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// YYYYMMDDNNNN: the day it was written and a number in the day.
    pub version: i64,
    /// What it is about.
    pub name: &'static str,
    /// One or more statements.
    pub sql: &'static str,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
  version BIGINT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL
)";

/// Applies what is missing.
pub(super) async fn run(store: &Store, migrations: &[Migration]) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    sqlx::query(TABLE).execute(write.connection()).await?;
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, sha256 FROM schema_version ORDER BY version").fetch_all(write.connection()).await?;
    write.commit().await?;
    let mut applied: BTreeMap<i64, String> = rows.into_iter().collect();
    for migration in migrations {
        let hash = hash(migration.sql);
        match applied.remove(&migration.version) {
            Some(known) if known == hash => {}
            Some(_) => {
                let Migration { version, name, .. } = migration;
                return Err(StoreError::Unusable(format!("its migration {version} ({name}) was another text")));
            }
            None => apply(store, migration, &hash).await?,
        }
    }
    match applied.last_key_value() {
        None => Ok(()),
        Some((version, _)) => {
            Err(StoreError::Unusable(format!("it was written by a newer bridge (migration {version}); run that bridge, or a later one")))
        }
    }
}

async fn apply(store: &Store, migration: &Migration, hash: &str) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    sqlx::raw_sql(AssertSqlSafe(migration.sql)).execute(write.connection()).await?;
    sqlx::query("INSERT INTO schema_version (version, name, sha256) VALUES ($1, $2, $3)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(hash)
        .execute(write.connection())
        .await?;
    write.commit().await
}

fn hash(sql: &str) -> String {
    sha256(&[sql.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}
