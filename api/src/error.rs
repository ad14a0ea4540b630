//! What an operation answers when it refuses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of an error answer, AWS JSON 1.1: `{"__type": "InvalidInstanceId", "message": "…"}`, sent with status 400.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Name of the error: one of the operation's own in the model, or a general one such as `ValidationException`.
    /// Some servers put `namespace#` before it; [`Self::name`] leaves that out.
    #[serde(rename = "__type")]
    pub kind: String,
    /// What is wrong and what to do, for a person. Some shapes of the model write it `Message`.
    #[serde(default, alias = "Message")]
    pub message: String,
}

impl ErrorBody {
    /// An error by its name in the model, with its text.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }

    /// The name of the error without a namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.rsplit_once('#').map_or(self.kind.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_the_sdks_read_it() {
        let text = serde_json::to_string(&ErrorBody::new("InvalidInstanceId", "no such node")).unwrap();
        assert_eq!(text, r#"{"__type":"InvalidInstanceId","message":"no such node"}"#);
    }

    #[test]
    fn reads_a_namespace_and_both_spellings_of_message() {
        let error: ErrorBody = serde_json::from_str(r#"{"__type":"com.amazonaws.ssm#InvalidFilter","Message":"m"}"#).unwrap();
        assert_eq!((error.name(), error.message.as_str()), ("InvalidFilter", "m"));
    }
}
