//! What is taken from the link, and what the pump does with it before and after this bridge is in office.

use super::*;

const FLEET: FleetId = FleetId([1; 8]);

fn take(topic: &str, retained: bool) -> Result<Inbound, Refusal> {
    accept(FLEET, topic, Bytes::from_static(b"x"), retained)
}

#[test]
fn only_topics_of_this_fleet_that_point_up_are_taken() {
    let node = flotilla_protocol::id::NodeId::of_key(&[7; 32]);
    let shard = node.shard();
    let report = format!("fl/1/{FLEET}/{shard:02x}/{node}/u/report");
    assert!(take(&report, false).is_ok());
    assert_eq!(take(&report, true), Err(Refusal::Retained));
    assert!(take(&format!("fl/1/{FLEET}/{shard:02x}/{node}/s/online"), true).is_ok());
    for wrong in [
        format!("fl/1/{}/{shard:02x}/{node}/u/report", FleetId([2; 8])),
        format!("fl/1/{FLEET}/{:02x}/{node}/u/report", shard.wrapping_add(1)),
        format!("fl/1/{FLEET}/{shard:02x}/{node}/d/order"),
        format!("fl/1/{FLEET}/all/d/trust"),
        "other".to_owned(),
    ] {
        assert_eq!(take(&wrong, false), Err(Refusal::Topic), "{wrong}");
    }
    let large = Bytes::from(vec![0; MAXIMUM_MESSAGE_BYTES + 1]);
    assert_eq!(accept(FLEET, &report, large, false), Err(Refusal::TooLarge));
}

#[tokio::test]
async fn without_a_connection_nothing_waits() {
    let publisher = Publisher::new();
    let message = Outbound { topic: Topic::AllTrust { fleet: FLEET }, payload: vec![1] };
    assert!(!publisher.try_publish(message.clone()));
    assert!(!publisher.publish(message).await);
    assert_eq!(publisher.dropped().outbound.load(Ordering::Relaxed), 2);
}

/// A pump in the middle: what the link says goes in, what the link sends and what is taken up come out.
struct Kit {
    publisher: Publisher,
    events: mpsc::Sender<Event>,
    _publishes: mpsc::Sender<Publish>,
    said: mpsc::Receiver<Publish>,
    arrived: mpsc::Receiver<Arrival>,
    pump: JoinHandle<PumpEnd>,
}

impl Kit {
    fn start() -> Self {
        let (publishes, said) = mpsc::channel(8);
        let publisher = Publisher::new();
        *publisher.0.sender.lock().unwrap() = Some(publishes.downgrade());
        let (events, happened) = mpsc::channel(1_024);
        let (arrivals, arrived) = mpsc::channel(1_024);
        let pump = Pump::new(FLEET, Clock::fixed(7), publisher.clone(), tenure::tests::unsigned(7, 1), arrivals);
        Self { publisher, events, _publishes: publishes, said, arrived, pump: tokio::spawn(pump.run(happened)) }
    }

    async fn tell(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    /// As a broker does: what was said on the topic of tenures comes back.
    async fn tell_tenure(&self, payload: Bytes) {
        let topic = Topic::Tenure { fleet: FLEET }.to_string();
        self.tell(Event::Message { topic, payload, retained: false }).await;
    }

    async fn said_tenure(&mut self) -> Bytes {
        let said = self.said.recv().await.unwrap();
        assert_eq!(said.topic, Topic::Tenure { fleet: FLEET }.to_string());
        assert!(said.retain);
        said.payload
    }
}

fn gone() -> Event {
    Event::Disconnected { reason: "gone".into() }
}

#[tokio::test]
async fn only_a_connection_that_stood_can_go() {
    let mut kit = Kit::start();
    for event in [gone(), Event::Connected] {
        kit.tell(event).await;
    }
    let tenure = kit.said_tenure().await;
    kit.tell_tenure(tenure).await;
    for event in [gone(), gone()] {
        kit.tell(event).await;
    }
    let Kit { publisher, events, mut arrived, .. } = kit;
    drop(events);
    assert_eq!(arrived.recv().await, Some(Arrival::Connected));
    assert_eq!(arrived.recv().await, Some(Arrival::Disconnected));
    assert_eq!(arrived.recv().await, None, "an attempt that failed is nothing new");
    assert_eq!(publisher.connected_since_ms(20), None);
    publisher.set_connected(Some(9));
    assert_eq!(publisher.connected_since_ms(20), Some(9));
}

#[test]
fn a_connection_is_not_of_the_future_when_the_clock_is_put_right() {
    let publisher = Publisher::new();
    publisher.set_connected(Some(1_000));
    assert_eq!(publisher.connected_since_ms(5), Some(5));
    assert_eq!(publisher.connected_since_ms(50), Some(5), "it counts from when the clock was put right");
}

#[tokio::test]
async fn nothing_is_answered_before_the_bridge_is_in_office() {
    let mut kit = Kit::start();
    kit.tell(Event::Connected).await;
    let tenure = kit.said_tenure().await;
    let node = flotilla_protocol::id::NodeId::of_key(&[7; 32]);
    let online = Topic::Online { fleet: FLEET, node };
    let report = Topic::Up { fleet: FLEET, node, kind: flotilla_protocol::topic::UpKind::Report };
    for topic in [report, online] {
        kit.tell(Event::Message { topic: topic.to_string(), payload: "1".into(), retained: false }).await;
    }
    let message = |topic| Some(Arrival::Message(Inbound { topic, payload: "1".into() }));
    assert_eq!(kit.arrived.recv().await, Some(Arrival::Connected));
    assert_eq!(kit.arrived.recv().await, message(online), "who is online is heard at once");
    assert!(!kit.publisher.is_connected() && kit.publisher.awaits_office());
    kit.tell_tenure("forged".into()).await;
    // What the broker has lost is said again.
    assert_eq!(kit.said_tenure().await, tenure);
    assert!(!kit.publisher.is_connected());
    kit.tell_tenure(tenure).await;
    assert_eq!(kit.arrived.recv().await, message(report));
    assert_eq!(kit.publisher.connected_since_ms(7), Some(7));
    assert!(!kit.publisher.awaits_office());
}

#[tokio::test]
async fn what_a_node_said_before_it_went_is_not_taken_up_behind_its_will() {
    let mut kit = Kit::start();
    kit.tell(Event::Connected).await;
    let tenure = kit.said_tenure().await;
    let [gone, there] = [7, 8].map(|seed| flotilla_protocol::id::NodeId::of_key(&[seed; 32]));
    let report = |node| Topic::Up { fleet: FLEET, node, kind: flotilla_protocol::topic::UpKind::Report };
    let online = |node| Topic::Online { fleet: FLEET, node };
    for (topic, payload) in [(report(gone), "a"), (report(there), "b"), (online(there), "1"), (online(gone), "0")] {
        kit.tell(Event::Message { topic: topic.to_string(), payload: payload.into(), retained: false }).await;
    }
    kit.tell_tenure(tenure).await;
    kit.tell(Event::Message { topic: report(gone).to_string(), payload: "c".into(), retained: false }).await;
    let message = |topic, payload: &'static str| Some(Arrival::Message(Inbound { topic, payload: payload.into() }));
    let expected = [
        Some(Arrival::Connected),
        message(online(there), "1"),
        message(online(gone), "0"),
        message(report(there), "b"),
        message(report(gone), "c"),
    ];
    for arrival in expected {
        assert_eq!(kit.arrived.recv().await, arrival);
    }
}

#[tokio::test]
async fn a_bridge_that_finds_a_greater_tenure_sends_nothing_any_more() {
    let mut kit = Kit::start();
    kit.tell(Event::Connected).await;
    let tenure = kit.said_tenure().await;
    kit.tell_tenure(tenure).await;
    kit.tell(gone()).await;
    kit.tell(Event::Connected).await;
    kit.tell_tenure(tenure::tests::unsigned(8, 2).message().into()).await;
    let end = tokio::time::timeout(STOP_TIMEOUT, kit.pump).await.expect("the pump ends");
    assert_eq!(end.unwrap(), PumpEnd::StandAside);
    assert!(kit.publisher.stands_aside() && !kit.publisher.is_connected());
}
