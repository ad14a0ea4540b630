//! What an operation answers when it refuses.

use crate::platform::store::StoreError;
use axum::http::StatusCode;
use std::borrow::Cow;

/// A refusal by name. The name is one that the service model lists for the operation, or one of the general names that
/// every AWS client knows.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ApiError {
    /// Name of the error on the wire.
    pub kind: Cow<'static, str>,
    /// What is wrong and what to do, for the caller.
    pub message: String,
    /// The HTTP status, which tells SDKs whether trying again may help.
    status: StatusCode,
    /// What happened inside; logged and never sent.
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// A refusal of what the caller asked for: status 400.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), status: StatusCode::BAD_REQUEST, cause: None }
    }

    /// A request that breaks a rule which every operation shares: a missing member, a value beyond its limits.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A failure of ours: status 500, which SDKs try again. The cause is logged once, with the request id, and not sent.
    #[must_use]
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            kind: "InternalServerError".into(),
            message: "the bridge could not do it; its log says why, under this request id".to_owned(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            cause: Some(Box::new(cause)),
        }
    }

    /// The caller may not do this.
    #[must_use]
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", message)
    }

    /// Too much at once: status 429, with `Retry-After`. SDKs wait and try again, by this name and by the status.
    #[must_use]
    pub fn throttling(message: impl Into<String>) -> Self {
        Self::new("ThrottlingException", message).with_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// This bridge does not serve any more, and another one does: status 503.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("ServiceUnavailable", message).with_status(StatusCode::SERVICE_UNAVAILABLE)
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Whoever waits for the database waits for others: trying again later helps, and is no failure of ours.
            StoreError::Busy(_) => Self::throttling("the database is busy; try again in a moment"),
            error => Self::internal(error),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_database_asks_to_come_again_and_a_failing_one_is_a_failure() {
        let busy = || sqlx::Error::PoolTimedOut;
        for error in [ApiError::from(busy()), StoreError::Busy(busy()).into()] {
            assert_eq!((error.kind.as_ref(), error.status().as_u16()), ("ThrottlingException", 429));
        }
        for error in [ApiError::from(sqlx::Error::RowNotFound), StoreError::Full(busy()).into()] {
            assert_eq!((error.kind.as_ref(), error.status().as_u16()), ("InternalServerError", 500));
        }
    }
}
