//! When the bridge asks its callers to come again: before anything grows that must not.

use super::Fleet;
use crate::platform::http::ApiError;

/// Transactions that wait for the writer at which no further change is taken. Each takes a few milliseconds, so that the messages of nodes,
/// which wait in the same queue, still have their turn several times a second.
const MAXIMUM_WAITING_WRITERS: usize = 32;

impl Fleet {
    /// Why no change is taken now; nothing while there is room.
    #[must_use]
    pub fn overload(&self) -> Option<ApiError> {
        if self.publisher.stands_aside() {
            return Some(ApiError::unavailable("another bridge of this fleet has taken over from this one; call that one"));
        }
        if self.store.waiting_writers() >= MAXIMUM_WAITING_WRITERS {
            return Some(ApiError::throttling("too many changes wait for the database; try again in a moment"));
        }
        if self.publisher.is_crowded() {
            return Some(ApiError::throttling("too many messages wait to be sent to nodes; try again in a moment"));
        }
        None
    }
}
