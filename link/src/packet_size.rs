//! How large a publish is on the wire, known before it is handed to the client library.
//!
//! The library finds out only while it writes, and then gives up the connection; the same publish would end the next
//! one as well.

/// The longest remaining length that MQTT can express.
const LARGEST_REMAINING_LENGTH: usize = 268_435_455;

/// The size of a QoS 1 PUBLISH without properties, in bytes: fixed header, topic with its length, packet identifier,
/// the properties' length of zero, payload. `usize::MAX` for what MQTT cannot express.
pub(crate) fn publish_bytes(topic: &str, payload: &[u8]) -> usize {
    let remaining = 2 + topic.len() + 2 + 1 + payload.len();
    let length_bytes = match remaining {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        2_097_152..=LARGEST_REMAINING_LENGTH => 4,
        _ => return usize::MAX,
    };
    1 + length_bytes + remaining
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{Packet, Publish};

    #[test]
    fn the_size_is_what_the_library_writes() {
        let around_each_step = [0, 1, 114, 115, 16_370, 16_371, 2_097_138, 2_097_139];
        for length in around_each_step {
            let payload = vec![0; length];
            let mut publish = Publish::new("topic/8", QoS::AtLeastOnce, payload.clone(), None);
            publish.pkid = 1;
            let mut written = bytes::BytesMut::new();
            Packet::Publish(publish).write(&mut written, None).unwrap();
            assert_eq!(publish_bytes("topic/8", &payload), written.len(), "{length}");
        }
    }

    #[test]
    fn what_mqtt_cannot_express_is_larger_than_every_limit() {
        assert_eq!(publish_bytes("t", &vec![0; LARGEST_REMAINING_LENGTH]), usize::MAX);
    }
}
