//! Documents in the database, and how a name and a version find one.

use super::builtin::{self, Builtin};
use super::content::{ContentError, Format};
use super::model::Document;
use crate::fleet::ACCOUNT;
use crate::platform::http::ApiError;
use crate::platform::store::{Store, StoreError, Write};
use flotilla_protocol::sha256;

/// Most documents of a fleet (AWS: 500).
pub(super) const MAXIMUM_DOCUMENTS: i64 = 500;
/// The only version.
pub(super) const VERSION: &str = "1";

/// A document with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Its name.
    pub name: String,
    /// `Amazon` for those that are part of the program, else the account.
    pub owner: &'static str,
    /// Its version: always 1 now.
    pub version: &'static str,
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
    pub document: Document,
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
    #[error("{version:?} is no version of {name}; it has version {VERSION}, which is also $LATEST and $DEFAULT")]
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
        match &error {
            FindDocumentError::Unknown { .. } => Self::new("InvalidDocument", error.to_string()),
            FindDocumentError::Version { .. } => Self::new("InvalidDocumentVersion", error.to_string()),
            FindDocumentError::Content { .. } | FindDocumentError::Store(_) => Self::internal(error),
        }
    }
}

/// Finds a document by its name, or by its ARN, and its version (absent, a number, `$LATEST` or `$DEFAULT`).
///
/// # Errors
/// There is no such document or version, or the database refuses.
pub async fn find(store: &Store, name: &str, version: Option<&str>) -> Result<StoredDocument, FindDocumentError> {
    let name = name.rsplit_once(":document/").map_or(name, |(_, name)| name);
    let row: Option<Row> = match builtin::find(name) {
        Some(builtin) => Some(Row::of_builtin(builtin)),
        None => sqlx::query_as("SELECT * FROM document WHERE name = $1")
            .bind(name)
            .fetch_optional(store.reader())
            .await
            .map_err(StoreError::from)?,
    };
    let row = row.ok_or_else(|| FindDocumentError::Unknown { name: name.to_owned() })?;
    match version {
        None | Some("$LATEST" | "$DEFAULT" | VERSION) => row.read(),
        Some(version) => Err(FindDocumentError::Version { name: name.to_owned(), version: version.to_owned() }),
    }
}

/// All documents by name, the built-in ones among them, without their texts.
pub(super) async fn list(store: &Store) -> Result<Vec<Listed>, StoreError> {
    let mut listed: Vec<Listed> = sqlx::query_as("SELECT name, format, display_name, version_name, target_type, created_ms FROM document")
        .fetch_all(store.reader())
        .await?;
    listed.extend(builtin::BUILTIN.iter().map(|builtin| Listed {
        name: builtin.name.to_owned(),
        format: builtin::FORMAT.name().to_owned(),
        display_name: None,
        version_name: None,
        target_type: None,
        created_ms: builtin::CREATED_MS,
    }));
    listed.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(listed)
}

/// Who owns the document of this name.
pub(super) fn owner(name: &str) -> &'static str {
    if builtin::find(name).is_some() { "Amazon" } else { ACCOUNT }
}

/// A new document.
pub(super) struct NewDocument<'a> {
    pub(super) name: &'a str,
    pub(super) format: Format,
    pub(super) content: &'a str,
    pub(super) display_name: Option<&'a str>,
    pub(super) version_name: Option<&'a str>,
    pub(super) target_type: Option<&'a str>,
    pub(super) created_by: &'a str,
    pub(super) created_ms: i64,
}

/// Adds a document; false when the name is taken.
pub(super) async fn add(write: &mut Write<'_>, new: &NewDocument<'_>) -> Result<bool, StoreError> {
    let added = sqlx::query(
        "INSERT INTO document (name, format, content, sha256, display_name, version_name, target_type, created_by, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO NOTHING",
    )
    .bind(new.name)
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
    Ok(added.rows_affected() == 1)
}

/// How many documents operators made.
pub(super) async fn count(write: &mut Write<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM document").fetch_one(write.connection()).await?)
}

/// Removes a document; false when there is none.
pub(super) async fn remove(write: &mut Write<'_>, name: &str) -> Result<bool, StoreError> {
    let removed = sqlx::query("DELETE FROM document WHERE name = $1").bind(name).execute(write.connection()).await?;
    Ok(removed.rows_affected() == 1)
}

/// Whether there is a document of this name, in the transaction that will write.
pub(super) async fn exists(write: &mut Write<'_>, name: &str) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM document WHERE name = $1").bind(name).fetch_optional(write.connection()).await?;
    Ok(found.is_some() || builtin::find(name).is_some())
}

/// A document in a list.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) format: String,
    pub(super) display_name: Option<String>,
    pub(super) version_name: Option<String>,
    pub(super) target_type: Option<String>,
    pub(super) created_ms: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
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
            format: builtin::FORMAT.name().to_owned(),
            content: builtin.content.to_owned(),
            sha256: hash(builtin.content),
            display_name: None,
            version_name: None,
            target_type: None,
            created_ms: builtin::CREATED_MS,
        }
    }

    fn read(self) -> Result<StoredDocument, FindDocumentError> {
        let Self { name, format, content, sha256, display_name, version_name, target_type, created_ms } = self;
        let format = Format::named(&format).unwrap_or(Format::Json);
        let failed = |source| FindDocumentError::Content { name: name.clone(), source };
        let document = Document::parse(&content, format).map_err(failed)?;
        let owner = owner(&name);
        Ok(StoredDocument {
            name,
            owner,
            version: VERSION,
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

fn hash(content: &str) -> String {
    sha256(&[content.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}
