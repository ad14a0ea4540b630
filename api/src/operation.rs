//! An operation is one call of the API: a request, its name, and the response it gets.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The header that names the operation.
pub const TARGET_HEADER: &str = "X-Amz-Target";
/// What stands before the operation's name in [`TARGET_HEADER`], with a dot between; Flotilla's own operations have another one.
pub const TARGET_PREFIX: &str = "AmazonSSM";
/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// The service name in the credential scope of a signature.
pub const SIGNING_SERVICE: &str = "ssm";

/// Implemented by every request; ties it to its name and its response.
pub trait Operation: Serialize + DeserializeOwned {
    /// The operation's name in the model, for example `SendCommand`.
    const NAME: &'static str;
    /// What stands before the name in [`TARGET_HEADER`].
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    /// What a success answers.
    type Response: Serialize + DeserializeOwned + Default;
}

/// The value of [`TARGET_HEADER`] for an operation.
#[must_use]
pub fn target_header_value(name: &str) -> String {
    format!("{TARGET_PREFIX}.{name}")
}

/// The operation that a value of [`TARGET_HEADER`] names, if it is one of this service at all.
///
/// ```
/// use flotilla_api::operation::operation_name;
/// assert_eq!(operation_name("AmazonSSM.SendCommand"), Some("SendCommand"));
/// assert_eq!(operation_name("DynamoDB_20120810.GetItem"), None);
/// ```
#[must_use]
pub fn operation_name(target: &str) -> Option<&str> {
    target.strip_prefix(TARGET_PREFIX)?.strip_prefix('.').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_header_goes_both_ways() {
        assert_eq!(operation_name(&target_header_value("ListCommands")), Some("ListCommands"));
        for wrong in ["", "AmazonSSM", "AmazonSSM.", "AmazonSSMSendCommand", "amazonssm.SendCommand"] {
            assert_eq!(operation_name(wrong), None, "{wrong}");
        }
    }
}
