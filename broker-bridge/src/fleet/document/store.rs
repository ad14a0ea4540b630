//! Documents in the database, and how a name and a version find one.

use crate::fleet::ACCOUNT;
use crate::platform::http::ApiError;
use crate::platform::store::{Store, StoreError, Write};
use flotilla_document::Document;
use flotilla_document::builtin::{self, Builtin};
use flotilla_document::{ContentError, Format};
use flotilla_protocol::sha256;
use sha1::{Digest as _, Sha1};

/// Most documents of a fleet (AWS: 500).
pub(super) const MAXIMUM_DOCUMENTS: i64 = 500;
/// Most versions of a document (AWS: 1,000).
pub(super) const MAXIMUM_VERSIONS: i64 = 1000;
/// The only version of a built-in document.
const BUILTIN_VERSION: i64 = 1;
/// The version that is used where none is named.
pub(super) const DEFAULT: &str = "$DEFAULT";
/// The newest version.
pub(super) const LATEST: &str = "$LATEST";

/// A document with what is known about it; without its meaning where only the text is needed, which then may be one that a bridge with other
/// rules took.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument<Meaning = Document> {
    /// Its name.
    pub name: String,
    /// `Amazon` for those that are part of the program, else the account.
    pub owner: &'static str,
    /// Its version: a number from 1 on.
    pub version: i64,
    /// The version that is used where none is named.
    pub default_version: i64,
    /// The newest version.
    pub latest_version: i64,
    /// How it is written.
    pub format: Format,
    /// Its text as it was given.
    pub content: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub sha256: String,
    /// A name for people.
    pub display_name: Option<String>,
    /// A name of the version.
    pub version_name: Option<String>,
    /// What kind of resource it is for.
    pub target_type: Option<String>,
    /// When it was made: Unix time in milliseconds.
    pub created_ms: i64,
    /// What it says.
    pub document: Meaning,
}

/// Why no document was found.
#[derive(Debug, thiserror::Error)]
pub enum FindDocumentError {
    /// There is none of this name.
    #[error("there is no document {name:?}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// It has no such version.
    #[error("{version:?} is no version of {name}; a version is a number, $LATEST, $DEFAULT, or the name that it was given")]
    Version {
        /// The name.
        name: String,
        /// The version.
        version: String,
    },
    /// What is stored cannot be read: it was made by a bridge with other rules.
    #[error("the document {name} cannot be read")]
    Content {
        /// The name.
        name: String,
        /// What is wrong.
        #[source]
        source: ContentError,
    },
    /// The database.
    #[error("the documents cannot be read")]
    Store(#[from] StoreError),
}

impl From<FindDocumentError> for ApiError {
    fn from(error: FindDocumentError) -> Self {
        if let FindDocumentError::Store(error) = error {
            return error.into();
        }
        match &error {
            FindDocumentError::Unknown { .. } => Self::new("InvalidDocument", error.to_string()),
            FindDocumentError::Version { .. } => Self::new("InvalidDocumentVersion", error.to_string()),
            // No failure of ours, and nothing that passes: the document can still be read as a text, replaced and deleted.
            FindDocumentError::Content { source, .. } => Self::new("InvalidDocument", format!("{error}: {source}; update it or delete it")),
            FindDocumentError::Store(_) => Self::internal(error),
        }
    }
}

/// Finds a document by its name, or by its ARN, and its version: a number, `$LATEST` or `$DEFAULT`, which is also meant when it is absent.
///
/// # Errors
/// There is no such document or version, or the database refuses.
pub async fn find(store: &Store, name: &str, version: Option<&str>) -> Result<StoredDocument, FindDocumentError> {
    find_version(store, name, version, None).await
}

/// [`find`] without reading what it says, for what concerns its text, its versions and its name.
///
/// # Errors
/// There is no such document or version, or the database refuses.
pub async fn find_text(store: &Store, name: &str, version: Option<&str>) -> Result<StoredDocument<()>, FindDocumentError> {
    find_version_text(store, name, version, None).await
}

/// [`find`], by the name that the version was given as well; both must fit when both are given.
pub(super) async fn find_version(
    store: &Store,
    name: &str,
    version: Option<&str>,
    version_name: Option<&str>,
) -> Result<StoredDocument, FindDocumentError> {
    find_version_text(store, name, version, version_name).await?.read()
}

/// [`find_version`], without reading what it says.
pub(super) async fn find_version_text(
    store: &Store,
    name: &str,
    version: Option<&str>,
    version_name: Option<&str>,
) -> Result<StoredDocument<()>, FindDocumentError> {
    let name = name.rsplit_once(":document/").map_or(name, |(_, name)| name);
    let unknown_version = |version: &str| FindDocumentError::Version { name: name.to_owned(), version: version.to_owned() };
    let known = known(store, name).await?.ok_or_else(|| FindDocumentError::Unknown { name: name.to_owned() })?;
    let wanted = match (version, version_name) {
        (None | Some(""), None) => known.default_version,
        (None | Some(""), Some(version_name)) => {
            version_named(store, name, version_name).await?.ok_or_else(|| unknown_version(version_name))?
        }
        (Some(version), _) => known.number(version).ok_or_else(|| unknown_version(version))?,
    };
    let stored = match builtin::find(name) {
        Some(builtin) if wanted == BUILTIN_VERSION => Row::of_builtin(builtin).with(known),
        Some(_) => return Err(unknown_version(&wanted.to_string())),
        None => {
            let row: Option<Row> = sqlx::query_as("SELECT * FROM document_version WHERE name = $1 AND version = $2")
                .bind(name)
                .bind(wanted)
                .fetch_optional(store.reader())
                .await
                .map_err(StoreError::from)?;
            row.ok_or_else(|| unknown_version(version.unwrap_or_default()))?.with(known)
        }
    };
    match version_name {
        Some(version_name) if stored.version_name.as_deref() != Some(version_name) => Err(unknown_version(version_name)),
        _ => Ok(stored),
    }
}

/// Which versions a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Known {
    pub(super) default_version: i64,
    pub(super) latest_version: i64,
    /// The highest number that was ever given.
    pub(super) last_version: i64,
}

impl Known {
    const OF_BUILTIN: Self = Self { default_version: BUILTIN_VERSION, latest_version: BUILTIN_VERSION, last_version: BUILTIN_VERSION };

    /// The number that a version stands for; it may be one that there is not.
    pub(super) fn number(self, version: &str) -> Option<i64> {
        match version {
            DEFAULT => Some(self.default_version),
            LATEST => Some(self.latest_version),
            // No sign, no zero before it: one version has one text.
            digits if digits.starts_with(|first: char| matches!(first, '1'..='9')) => digits.parse().ok(),
            _ => None,
        }
    }
}

const KNOWN: &str = "SELECT default_version, last_version, \
    (SELECT max(version) FROM document_version v WHERE v.name = d.name) AS latest_version FROM document d WHERE name = $1";

async fn known(store: &Store, name: &str) -> Result<Option<Known>, StoreError> {
    if builtin::find(name).is_some() {
        return Ok(Some(Known::OF_BUILTIN));
    }
    Ok(sqlx::query_as(KNOWN).bind(name).fetch_optional(store.reader()).await?)
}

/// [`known`], in the transaction that will write; nothing for built-in documents, which nobody writes.
pub(super) async fn known_to_write(write: &mut Write<'_>, name: &str) -> Result<Option<Known>, StoreError> {
    Ok(sqlx::query_as(KNOWN).bind(name).fetch_optional(write.connection()).await?)
}

async fn version_named(store: &Store, name: &str, version_name: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT version FROM document_version WHERE name = $1 AND version_name = $2";
    Ok(sqlx::query_scalar(sql).bind(name).bind(version_name).fetch_optional(store.reader()).await?)
}

/// All documents by name, the built-in ones among them, with what their default versions say of themselves.
pub(super) async fn list(store: &Store) -> Result<Vec<Listed>, StoreError> {
    let mut listed: Vec<Listed> = sqlx::query_as(
        "SELECT v.name, v.version, v.format, v.display_name, v.version_name, v.target_type, v.created_ms \
         FROM document d JOIN document_version v ON v.name = d.name AND v.version = d.default_version",
    )
    .fetch_all(store.reader())
    .await?;
    listed.extend(builtin::BUILTIN.iter().map(|builtin| Listed {
        name: builtin.name.to_owned(),
        version: BUILTIN_VERSION,
        format: builtin::FORMAT.name().to_owned(),
        display_name: None,
        version_name: None,
        target_type: None,
        created_ms: builtin::CREATED_MS,
    }));
    listed.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(listed)
}

/// The versions of a document, the newest first, below a number, without their texts.
pub(super) async fn list_versions(store: &Store, name: &str, below: i64, count: i64) -> Result<Vec<ListedVersion>, StoreError> {
    if builtin::find(name).is_some() {
        let only = ListedVersion {
            version: BUILTIN_VERSION,
            format: builtin::FORMAT.name().to_owned(),
            display_name: None,
            version_name: None,
            created_ms: builtin::CREATED_MS,
        };
        return Ok(Vec::from_iter(Some(only).filter(|only| only.version < below)));
    }
    let sql = "SELECT version, format, display_name, version_name, created_ms FROM document_version \
               WHERE name = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
    Ok(sqlx::query_as(sql).bind(name).bind(below).bind(count).fetch_all(store.reader()).await?)
}

/// Who owns the document of this name.
pub(super) fn owner(name: &str) -> &'static str {
    if builtin::find(name).is_some() { "Amazon" } else { ACCOUNT }
}

/// A new version of a document.
pub(super) struct NewVersion<'a> {
    pub(super) name: &'a str,
    pub(super) version: i64,
    pub(super) format: Format,
    pub(super) content: &'a str,
    pub(super) display_name: Option<&'a str>,
    pub(super) version_name: Option<&'a str>,
    pub(super) target_type: Option<&'a str>,
    pub(super) created_by: &'a str,
    pub(super) created_ms: i64,
}

/// Adds a document with its first version.
pub(super) async fn add(write: &mut Write<'_>, new: &NewVersion<'_>) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO document (name, default_version, last_version) VALUES ($1, $2, $2)")
        .bind(new.name)
        .bind(new.version)
        .execute(write.connection())
        .await?;
    insert_version(write, new).await
}

/// Adds a version to a document.
pub(super) async fn add_version(write: &mut Write<'_>, new: &NewVersion<'_>) -> Result<(), StoreError> {
    sqlx::query("UPDATE document SET last_version = $2 WHERE name = $1")
        .bind(new.name)
        .bind(new.version)
        .execute(write.connection())
        .await?;
    insert_version(write, new).await
}

async fn insert_version(write: &mut Write<'_>, new: &NewVersion<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO document_version (name, version, format, content, sha256, display_name, version_name, target_type, created_by, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.name)
    .bind(new.version)
    .bind(new.format.name())
    .bind(new.content)
    .bind(hash(new.content))
    .bind(new.display_name)
    .bind(new.version_name)
    .bind(new.target_type)
    .bind(new.created_by)
    .bind(new.created_ms)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// How many versions a document has.
pub(super) async fn count_versions(write: &mut Write<'_>, name: &str) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM document_version WHERE name = $1";
    Ok(sqlx::query_scalar(sql).bind(name).fetch_one(write.connection()).await?)
}

/// Whether a document has a version of this name.
pub(super) async fn has_version_named(write: &mut Write<'_>, name: &str, version_name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM document_version WHERE name = $1 AND version_name = $2";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(name).bind(version_name).fetch_optional(write.connection()).await?;
    Ok(found.is_some())
}

/// Makes a version the default; false when there is no such version.
pub(super) async fn set_default(write: &mut Write<'_>, name: &str, version: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE document SET default_version = $2 WHERE name = $1 \
               AND EXISTS (SELECT 1 FROM document_version WHERE name = $1 AND version = $2)";
    let set = sqlx::query(sql).bind(name).bind(version).execute(write.connection()).await?;
    Ok(set.rows_affected() == 1)
}

/// Removes one version of a document.
pub(super) async fn remove_version(write: &mut Write<'_>, name: &str, version: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM document_version WHERE name = $1 AND version = $2")
        .bind(name)
        .bind(version)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// How many documents operators made.
pub(super) async fn count(write: &mut Write<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM document").fetch_one(write.connection()).await?)
}

/// Removes a document with all its versions; false when there is none.
pub(super) async fn remove(write: &mut Write<'_>, name: &str) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM document_version WHERE name = $1").bind(name).execute(write.connection()).await?;
    let removed = sqlx::query("DELETE FROM document WHERE name = $1").bind(name).execute(write.connection()).await?;
    Ok(removed.rows_affected() == 1)
}

/// Whether there is a document of this name, in the transaction that will write.
pub(super) async fn exists(write: &mut Write<'_>, name: &str) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM document WHERE name = $1").bind(name).fetch_optional(write.connection()).await?;
    Ok(found.is_some() || builtin::find(name).is_some())
}

/// A document in a list: its default version, without its text.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) format: String,
    pub(super) display_name: Option<String>,
    pub(super) version_name: Option<String>,
    pub(super) target_type: Option<String>,
    pub(super) created_ms: i64,
}

/// A version in a list.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ListedVersion {
    pub(super) version: i64,
    pub(super) format: String,
    pub(super) display_name: Option<String>,
    pub(super) version_name: Option<String>,
    pub(super) created_ms: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    version: i64,
    format: String,
    content: String,
    sha256: String,
    display_name: Option<String>,
    version_name: Option<String>,
    target_type: Option<String>,
    created_ms: i64,
}

impl Row {
    fn of_builtin(builtin: &Builtin) -> Self {
        Self {
            name: builtin.name.to_owned(),
            version: BUILTIN_VERSION,
            format: builtin::FORMAT.name().to_owned(),
            content: builtin.content.to_owned(),
            sha256: hash(builtin.content),
            display_name: None,
            version_name: None,
            target_type: None,
            created_ms: builtin::CREATED_MS,
        }
    }

    fn with(self, known: Known) -> StoredDocument<()> {
        let Self { name, version, format, content, sha256, display_name, version_name, target_type, created_ms } = self;
        let format = Format::named(&format).unwrap_or(Format::Json);
        StoredDocument {
            owner: owner(&name),
            name,
            version,
            default_version: known.default_version,
            latest_version: known.latest_version,
            format,
            content,
            sha256,
            display_name,
            version_name,
            target_type,
            created_ms,
            document: (),
        }
    }
}

impl StoredDocument<()> {
    fn read(self) -> Result<StoredDocument, FindDocumentError> {
        let failed = |source| FindDocumentError::Content { name: self.name.clone(), source };
        let document = Document::parse(&self.content, self.format).map_err(failed)?;
        let Self { name, owner, version, default_version, latest_version, format, content, sha256, .. } = self;
        let Self { display_name, version_name, target_type, created_ms, .. } = self;
        Ok(StoredDocument {
            name,
            owner,
            version,
            default_version,
            latest_version,
            format,
            content,
            sha256,
            display_name,
            version_name,
            target_type,
            created_ms,
            document,
        })
    }
}

/// SHA-1 of a content, in hexadecimal digits: SSM still takes it, to tell contents apart and not to protect them.
#[must_use]
pub fn sha1(content: &str) -> String {
    Sha1::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(content: &str) -> String {
    sha256(&[content.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MIGRATIONS;

    #[tokio::test]
    async fn documents_from_before_versions_become_version_1() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.db");
        let before: Vec<_> = MIGRATIONS.iter().copied().take_while(|migration| migration.name != "document_version").collect();
        let store = Store::open(&path, &before).await.unwrap();
        let mut write = store.write().await.unwrap();
        let content = "schemaVersion: '2.2'\nmainSteps: [{action: 'aws:psModule', name: a}]\n";
        sqlx::query("INSERT INTO document VALUES ('old', 'YAML', $1, $2, 'Old', 'first', NULL, 'admin', 7)")
            .bind(content)
            .bind(hash(content))
            .execute(write.connection())
            .await
            .unwrap();
        write.commit().await.unwrap();
        store.close().await;
        let store = Store::open(&path, MIGRATIONS).await.unwrap();
        for version in [None, Some("1"), Some(LATEST), Some(DEFAULT)] {
            let found = find(&store, "old", version).await.unwrap();
            assert_eq!((found.version, found.content.as_str(), found.version_name.as_deref()), (1, content, Some("first")));
            assert_eq!((found.default_version, found.latest_version, found.created_ms), (1, 1, 7));
        }
        assert!(matches!(find(&store, "old", Some("2")).await, Err(FindDocumentError::Version { .. })));
        store.close().await;
    }
}
