//! A running link with its channels, and waits that fail after a limit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, Settings, StopReason, run};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far beyond anything that works, on a busy machine, too.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Link {
    pub(crate) publishes: mpsc::Sender<Publish>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) task: JoinHandle<StopReason>,
}

pub(crate) fn settings(port: u16, tls: Arc<ClientConfig>, client_id: &str, filter: &str) -> Settings {
    Settings {
        address: BrokerAddress { host: "localhost".to_owned(), port },
        tls,
        client_id: client_id.to_owned(),
        subscriptions: vec![filter.to_owned()],
        will: None,
        keep_alive: Duration::from_secs(5),
        maximum_packet_bytes: 262_144,
        in_flight: 16,
        backoff: BackoffLimits { minimum: Duration::from_millis(100), maximum: Duration::from_secs(1) },
    }
}

pub(crate) fn publish(id: u64, topic: &str, payload: impl Into<Bytes>) -> Publish {
    Publish { id, topic: topic.to_owned(), payload: payload.into(), retain: false }
}

pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("nothing within {LIMIT:?}: {what}"))
}

impl Link {
    pub(crate) fn start(settings: Settings) -> Self {
        Self::start_with_room(settings, 64)
    }

    /// A link whose channel of events takes `room` events.
    pub(crate) fn start_with_room(settings: Settings, room: usize) -> Self {
        let (publishes, taken) = mpsc::channel(64);
        let (told, events) = mpsc::channel(room);
        let task = tokio::spawn(run(settings, taken, told));
        Self { publishes, events, task }
    }

    pub(crate) async fn event(&mut self) -> Event {
        within("an event", self.events.recv()).await.expect("the link runs")
    }

    pub(crate) async fn send(&self, publish: Publish) {
        within("room for a publish", self.publishes.send(publish)).await.expect("the link runs");
    }

    /// Waits until connected, whatever comes before.
    pub(crate) async fn connected(&mut self) {
        while self.event().await != Event::Connected {}
    }

    /// Waits until disconnected, whatever comes before.
    pub(crate) async fn disconnected(&mut self) -> String {
        loop {
            if let Event::Disconnected { reason } = self.event().await {
                return reason;
            }
        }
    }

    /// The next event, which must be a message.
    pub(crate) async fn message(&mut self) -> (String, Bytes) {
        match self.event().await {
            Event::Message { topic, payload, .. } => (topic, payload),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// Closes the publishes and waits for the end.
    pub(crate) async fn stop(self) -> StopReason {
        drop(self.publishes);
        let mut events = self.events;
        let reading = tokio::spawn(async move { while events.recv().await.is_some() {} });
        let stopped = within("the end", self.task).await.expect("the link does not panic");
        reading.abort();
        stopped
    }
}
