//! Why a connection ended, in words for the person who reads the log or the device's status.

use std::error::Error;
use std::fmt::Debug;
use std::io;

use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, PubAck};
use rumqttc::v5::{ConnectionError, StateError};

use crate::dialer::StreamEnd;

/// The longest text taken over from a broker.
const LONGEST_QUOTE_CHARACTERS: usize = 200;

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What MQTT has to say about the end of a connection; nothing if the stream below it broke, because then the stream
/// knows more.
pub(crate) fn of_mqtt(error: &ConnectionError) -> Option<String> {
    match error {
        ConnectionError::Io(_)
        | ConnectionError::MqttState(StateError::Io(_) | StateError::ConnectionAborted | StateError::Deserialization(PacketError::Io(_))) => {
            None
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            Some(format!("the broker disconnected: {}", quoted(reason_code, reason_string.as_deref())))
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => Some("the broker did not answer a ping".to_owned()),
        ConnectionError::ConnectionRefused(code) => Some(format!("the broker refused the connection: {}", words(code))),
        ConnectionError::Timeout(_) => Some("the broker did not answer the MQTT connect in time".to_owned()),
        other => Some(format!("MQTT failed: {}", with_causes(other))),
    }
}

/// How the stream below MQTT ended.
pub(crate) fn of_stream(ended: Option<StreamEnd>) -> String {
    if let Some(code) = ended.as_ref().and_then(|ended| ended.farewell) {
        let code = DisconnectReasonCode::try_from(code).map_or_else(|_| format!("code {code}"), |code| words(&code));
        return format!("the broker disconnected: {code}");
    }
    match ended.map(|ended| ended.closed) {
        Some(Ok(())) => "the broker closed the connection".to_owned(),
        Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => "the connection was cut by the broker or on the way".to_owned(),
        Some(Err(error)) => format!("the connection broke: {}", with_causes(&error)),
        None => "the connection broke".to_owned(),
    }
}

/// Why the broker did not take a publish.
pub(crate) fn of_refusal(answer: &PubAck) -> String {
    let said = answer.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
    format!("the broker refused it: {}", quoted(&answer.reason, said))
}

/// A reason code, and what the broker added to it.
pub(crate) fn quoted(code: &impl Debug, said: Option<&str>) -> String {
    let code = words(code);
    match said {
        Some(said) if !said.is_empty() => {
            let said: String = said.chars().take(LONGEST_QUOTE_CHARACTERS).collect();
            format!("{code} ({})", said.escape_debug())
        }
        _ => code,
    }
}

/// The name of a reason code as words: `SessionTakenOver` becomes "session taken over".
pub(crate) fn words(code: &impl Debug) -> String {
    let mut text = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_code_reads_as_words_and_quotes_the_broker_with_care() {
        assert_eq!(words(&DisconnectReasonCode::SessionTakenOver), "session taken over");
        assert_eq!(quoted(&DisconnectReasonCode::ServerBusy, Some("")), "server busy");
        assert_eq!(quoted(&DisconnectReasonCode::ServerBusy, Some("later\n\u{1b}[31m")), "server busy (later\\n\\u{1b}[31m)");
        let long = quoted(&DisconnectReasonCode::ServerBusy, Some(&"x".repeat(100_000)));
        assert!(long.len() < 300);
    }

    #[test]
    fn a_broken_stream_is_left_to_the_stream() {
        let aborted = ConnectionError::MqttState(StateError::ConnectionAborted);
        assert_eq!(of_mqtt(&aborted), None);
        let alert = io::Error::new(io::ErrorKind::InvalidData, "received fatal alert: BadCertificate");
        let broken = StreamEnd { farewell: None, closed: Err(alert) };
        assert_eq!(of_stream(Some(broken)), "the connection broke: received fatal alert: BadCertificate");
    }

    #[test]
    fn a_farewell_is_the_reason_for_the_end_of_the_stream() {
        let reason = |farewell| of_stream(Some(StreamEnd { farewell, closed: Ok(()) }));
        assert_eq!(reason(Some(0x8e)), "the broker disconnected: session taken over");
        assert_eq!(reason(Some(0xff)), "the broker disconnected: code 255");
        assert_eq!(reason(None), "the broker closed the connection");
    }
}
