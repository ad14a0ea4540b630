//! The record of the call that is under way: it is written with the first transaction that the call commits, whichever handler that is
//! in, so no handler can forget it. What commits nothing, and what is refused, is told afterwards.

use super::Record;
use super::counts::REFUSALS;
use crate::platform::store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told of a call that was done.
const DONE: &str = "Success";
/// Kinds of refusals that anybody who sees the network, or every user of a bridge with too much to do, can cause in any number: counted only.
const COUNTED: [&str; 3] = ["ThrottlingException", "InvalidSignatureException", "ServiceUnavailable"];

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// A call that changes something, by somebody who is known.
#[derive(Debug)]
pub struct Call {
    user: String,
    operation: &'static str,
    record: Record,
    is_told: AtomicBool,
}

/// What is told of a call.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The operation.
    pub operation: &'static str,
    /// The id of the access key that signed it.
    pub access_key: &'a str,
    /// The id that the answer names.
    pub request_id: &'a str,
    /// The address that it came from, or that of the proxy; empty where that is not known.
    pub source: &'a str,
    /// SHA-256 of the body: what was asked, without telling it.
    pub body: &'a [u8; 32],
}

impl Call {
    /// The call, at this Unix time in milliseconds.
    #[must_use]
    pub fn new(told: &Told<'_>, now_ms: u64) -> Self {
        let record = Record::new("api-call", told.user, told.operation, now_ms)
            .with("AccessKey", told.access_key)
            .with("RequestId", told.request_id)
            .with("Source", told.source)
            .with("BodySha256", flotilla_api::audit::Hex(*told.body));
        Self { user: told.user.to_owned(), operation: told.operation, record, is_told: AtomicBool::new(false) }
    }

    fn with_outcome(&self, outcome: &str) -> Record {
        self.record.clone().with("Outcome", outcome)
    }

    /// Tells what no transaction of the call has told: that it was refused, for this reason, or that it was done and changed nothing.
    pub async fn tell(&self, store: &Store, refusal: Option<&str>, now_ms: u64) {
        if refusal.is_none() && self.is_told.load(Ordering::Acquire) {
            return;
        }
        if let Some(kind) = refusal
            && (COUNTED.contains(&kind) || !store.audit().refusals.takes(self.user.clone(), now_ms))
        {
            store.audit().counts.add(REFUSALS, &self.user, self.operation, true, now_ms);
            return;
        }
        if let Err(error) = write(store, self.with_outcome(refusal.unwrap_or(DONE))).await {
            // It has changed nothing, and its caller is answered all the same.
            tracing::error!(%error, user = self.user, operation = self.operation, "a call is not in the audit log");
        }
    }
}

async fn write(store: &Store, record: Record) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    write.record(record);
    write.commit().await
}

/// Runs what a call does: the first transaction that it commits tells of the call.
pub async fn under<F: Future>(call: Arc<Call>, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// The record of the call under way, where it is not written yet.
pub(crate) fn untold() -> Option<Record> {
    CALL.try_with(|call| (!call.is_told.load(Ordering::Acquire)).then(|| call.with_outcome(DONE))).ok().flatten()
}

/// The record of the call under way has been committed.
pub(crate) fn is_told() {
    // Outside of a call there is nothing to mark.
    _ = CALL.try_with(|call| call.is_told.store(true, Ordering::Release));
}
