//! Small files that the agent writes for itself: a version byte, then postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The version that this build writes and reads.
const VERSION: u8 = 0;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Another version, from another release of the agent.
    #[error("it is of version {0}, which this build does not read")]
    Version(u8),
    /// Cut off, or something else altogether.
    #[error("it is damaged")]
    Damaged,
}

/// A value as bytes.
///
/// # Errors
/// [`RecordError::Damaged`] for a type that postcard cannot write.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, RecordError> {
    postcard::to_extend(value, vec![VERSION]).map_err(|_| RecordError::Damaged)
}

/// The value in bytes that [`encode`] has made, and nothing after it.
///
/// # Errors
/// See [`RecordError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let (version, body) = bytes.split_first().ok_or(RecordError::Damaged)?;
    if *version != VERSION {
        return Err(RecordError::Version(*version));
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(RecordError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_what_it_writes_and_nothing_else() {
        let bytes = encode(&(7_u32, "text")).unwrap();
        assert_eq!(decode::<(u32, String)>(&bytes), Ok((7, "text".to_owned())));
        assert_eq!(decode::<(u32, String)>(&[&bytes, &[0][..]].concat()), Err(RecordError::Damaged));
        assert_eq!(decode::<(u32, String)>(&bytes[..bytes.len() - 1]), Err(RecordError::Damaged));
        assert_eq!(decode::<(u32, String)>(&[]), Err(RecordError::Damaged));
        assert_eq!(decode::<(u32, String)>(&[9, 7]), Err(RecordError::Version(9)));
    }
}
