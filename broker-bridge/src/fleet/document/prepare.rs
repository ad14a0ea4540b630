//! From a stored document to a plan: the documents that its steps run are read on the way.

use super::store::{FindDocumentError, find};
use crate::platform::http::ApiError;
use crate::platform::store::Store;
use flotilla_document::Document;
use flotilla_document::ParameterError;
use flotilla_document::{CompileError, Compiled, Library, Reference, compile};
use std::collections::BTreeMap;

/// Most documents that one command reads: more than fit into an order.
const MAXIMUM_DOCUMENTS: usize = 64;

/// Why a document cannot be made ready to be ordered.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A value is missing, unknown, or not allowed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A document that a step runs cannot be read.
    #[error("a step runs the document {name}: {source}")]
    Document {
        /// The document.
        name: String,
        /// Why.
        source: FindDocumentError,
    },
    /// Its steps run too many documents.
    #[error("its steps run more than {MAXIMUM_DOCUMENTS} documents")]
    TooMany,
}

impl From<PrepareError> for ApiError {
    fn from(error: PrepareError) -> Self {
        if let PrepareError::Document { source: FindDocumentError::Store(error), .. } = error {
            return error.into();
        }
        let kind = match &error {
            PrepareError::Parameter(_) | PrepareError::TooMany => "InvalidParameters",
            PrepareError::Document { source: FindDocumentError::Unknown { .. } | FindDocumentError::Content { .. }, .. } => {
                "InvalidDocument"
            }
            PrepareError::Document { source: FindDocumentError::Version { .. }, .. } => "InvalidDocumentVersion",
            PrepareError::Document { source: FindDocumentError::Store(_), .. } => return Self::internal(error),
        };
        Self::new(kind, error.to_string())
    }
}

/// Compiles a document with the values that a command gives, whole, with the documents that its steps run as they are now.
///
/// # Errors
/// See [`PrepareError`].
pub async fn prepare(store: &Store, document: &Document, given: &BTreeMap<String, Vec<String>>) -> Result<Compiled, PrepareError> {
    let mut library = Library::new();
    // Which documents a step runs may depend on values, and their steps may run others: compiling tells which one is needed next.
    while library.len() <= MAXIMUM_DOCUMENTS {
        match compile(document, given, &library) {
            Ok(compiled) => return Ok(compiled),
            Err(CompileError::Parameter(error)) => return Err(error.into()),
            Err(CompileError::Needs(reference)) => {
                let Reference { name, version } = &reference;
                let found = find(store, name, version.as_deref()).await;
                let stored = found.map_err(|source| PrepareError::Document { name: name.clone(), source })?;
                library.insert(reference, stored.document);
            }
        }
    }
    Err(PrepareError::TooMany)
}
