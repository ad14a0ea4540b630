//! What a session does with what the broker says: terms, grants, messages and acknowledgements.

use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{self as packet, Filter, Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{Event as MqttEvent, MqttOptions};
use tokio::time::Instant;

use super::{ANSWER_LIMIT, Delivery, Phase, Session, SessionEnd, broken};
use crate::connection::Event;
use crate::reason;

impl Session<'_> {
    /// Takes in what the library reports.
    pub(super) fn observe(&mut self, event: MqttEvent) -> Result<(), SessionEnd> {
        if self.phase == Phase::Connected {
            self.deadline = Instant::now() + self.stuck_after();
        }
        match event {
            MqttEvent::Incoming(Packet::ConnAck(answer)) => self.let_in(answer.properties.as_ref()),
            MqttEvent::Incoming(Packet::SubAck(answer)) => self.subscribed(&answer),
            MqttEvent::Incoming(Packet::Publish(message)) => self.receive(message),
            MqttEvent::Incoming(Packet::PubAck(answer)) => {
                self.settle(&answer);
                Ok(())
            }
            MqttEvent::Outgoing(Outgoing::Publish(pkid)) => {
                self.ledger.write(pkid);
                Ok(())
            }
            MqttEvent::Outgoing(Outgoing::Disconnect) => match &self.phase {
                Phase::Leaving(stop) => Err(SessionEnd::Stopped(stop.clone())),
                _ => Ok(()),
            },
            MqttEvent::Incoming(_) | MqttEvent::Outgoing(_) => Ok(()),
        }
    }

    fn let_in(&mut self, terms: Option<&packet::ConnAckProperties>) -> Result<(), SessionEnd> {
        if let Some(terms) = terms {
            self.accept_terms(terms)?;
        }
        if self.settings.subscriptions.is_empty() {
            self.connected();
            return Ok(());
        }
        let filters = self.settings.subscriptions.iter();
        let filters = filters.map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|_| broken("the MQTT library takes no subscription"))?;
        self.phase = Phase::AwaitingSubAck;
        self.deadline = Instant::now() + ANSWER_LIMIT;
        Ok(())
    }

    fn accept_terms(&mut self, terms: &packet::ConnAckProperties) -> Result<(), SessionEnd> {
        if terms.max_qos == Some(0) {
            return Err(broken("the broker does not support QoS 1"));
        }
        if let Some(receive_maximum) = terms.receive_max {
            // One less, for the same reason as in the options.
            let allowed = usize::from(receive_maximum).saturating_sub(1).max(1);
            self.window = self.window.min(allowed);
        }
        if let Some(limit) = terms.max_packet_size {
            self.packet_limit = self.packet_limit.min(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        self.retain_available = terms.retain_available != Some(0);
        // Zero means that the broker does not care, but the library would ping without a pause.
        if let Some(seconds) = terms.server_keep_alive.filter(|seconds| *seconds > 0) {
            self.keep_alive = Duration::from_secs(u64::from(seconds));
        }
        Ok(())
    }

    /// The library takes over the broker's keep-alive unseen; this puts a wrong one right before its next poll.
    pub(super) fn keep_alive_into(&self, options: &mut MqttOptions) {
        if options.keep_alive().is_zero() {
            options.set_keep_alive(self.keep_alive);
        }
    }

    fn subscribed(&mut self, answer: &packet::SubAck) -> Result<(), SessionEnd> {
        let said = answer.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
        if answer.return_codes.len() != self.settings.subscriptions.len() {
            return Err(broken("the broker did not answer every subscription"));
        }
        for (filter, code) in self.settings.subscriptions.iter().zip(&answer.return_codes) {
            let refusal = match code {
                SubscribeReasonCode::Success(QoS::AtMostOnce) => "granted without acknowledgements only".to_owned(),
                SubscribeReasonCode::Success(_) => continue,
                code => reason::quoted(code, said),
            };
            return Err(SessionEnd::Broken(format!("the broker refused the subscription to \"{filter}\": {refusal}")));
        }
        if self.phase == Phase::AwaitingSubAck {
            self.connected();
        }
        Ok(())
    }

    fn connected(&mut self) {
        let now = Instant::now();
        self.phase = Phase::Connected;
        self.connected_at = Some(now);
        self.deadline = now + self.stuck_after();
        self.deliveries.push_front(Delivery { event: Event::Connected, acknowledges: None });
    }

    /// The library pings at every interval and must have had an answer by the next; it can also hang in a full socket.
    fn stuck_after(&self) -> Duration {
        2 * self.keep_alive + Duration::from_secs(1)
    }

    fn receive(&mut self, message: packet::Publish) -> Result<(), SessionEnd> {
        let acknowledges = (message.qos != QoS::AtMostOnce).then_some(message.pkid);
        match String::from_utf8(message.topic.to_vec()) {
            Ok(topic) if !topic.is_empty() => {
                let event = Event::Message { topic, payload: message.payload, retained: message.retain };
                self.deliveries.push_back(Delivery { event, acknowledges });
                Ok(())
            }
            _ => {
                tracing::warn!("a message without a readable topic was dropped");
                self.acknowledge(acknowledges)
            }
        }
    }

    fn settle(&mut self, answer: &packet::PubAck) {
        let Some(id) = self.ledger.settle(answer.pkid) else { return };
        self.acknowledged();
        self.deliver(match answer.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Event::Acknowledged { id },
            _ => Event::Refused { id, reason: reason::of_refusal(answer) },
        });
    }
}
