//! The shell around one core: as the agent's exec and link together, without files and processes.

use super::World;
use super::behaviour::{End, Play, job_end};
use super::enrol::{Member, random};
use super::journal::Journal;
use flotilla_agent_core::{Core, Input, Output, Record, Recovery, Settings as CoreSettings};
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, Will, fleet_client};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::id::{BootId, FleetId, OrderId};
use flotilla_protocol::topic::{Topic, node_filters};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

/// Events and publishes that wait in the channels of a link.
const CHANNEL: usize = 8;
/// Messages that wait for the link; beyond it they are dropped, because everything that matters is sent again.
const OUTBOX: usize = 64;
/// As the agent's link.
const PRESENCE_AGAIN_MS: u64 = 60_000;
/// Jobs at once, as an agent's default.
const MAXIMUM_JOBS: usize = 4;
/// Longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// What stands before the seed in the PKCS#8 form of an ed25519 key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A job that "runs".
struct Job {
    command: Box<CommandOrder>,
    play: Play,
    started_ms: u64,
    /// Nothing for one that only a cancel ends.
    ends_ms: Option<u64>,
    cancelled: bool,
}

/// A connection to the broker, or the tries to get one.
struct Link {
    task: tokio::task::JoinHandle<flotilla_link::StopReason>,
    publishes: mpsc::Sender<Publish>,
    events: mpsc::Receiver<Event>,
    is_connected: bool,
    /// Until it is connected for the first time.
    handshake: Option<OwnedSemaphorePermit>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Node {
    index: usize,
    fleet: FleetId,
    core: Core,
    journal: Journal,
    jobs: BTreeMap<OrderId, Job>,
    outbox: VecDeque<Publish>,
    settings: flotilla_link::Settings,
    online: String,
    link: Option<Link>,
    /// When presence is said once more on this connection, as the agent's link does.
    say_again_at_ms: Option<u64>,
    world: Arc<World>,
}

impl Node {
    pub(super) fn new(index: usize, member: Member, world: Arc<World>) -> Self {
        let Member { id, facts, identity, tls, trust, enrolled } = member;
        let fleet = trust.fleet();
        let online = Topic::Online { fleet, node: id }.to_string();
        let key = [PKCS8_PREFIX.as_slice(), tls.as_bytes()].concat();
        let settings = flotilla_link::Settings {
            address: BrokerAddress { host: enrolled.host, port: enrolled.port },
            tls: fleet_client(&enrolled.authority, &enrolled.certificate, &key, None).expect("the bridge gives good certificates"),
            client_id: id.to_string(),
            subscriptions: node_filters(&fleet, &id).to_vec(),
            will: Some(Will { topic: online.clone(), payload: "0".into(), retain: true }),
            keep_alive: world.keep_alive,
            maximum_packet_bytes: 128 * 1024,
            in_flight: 16,
            backoff: BackoffLimits { minimum: Duration::from_millis(500), maximum: Duration::from_secs(5) },
        };
        let recovery = Recovery::new(CoreSettings {
            identity,
            trust: trust.into(),
            boot: BootId(random()),
            facts,
            agent_version: [0, 1, 0],
            maximum_jobs: MAXIMUM_JOBS,
            first_floor_ms: enrolled.time_ms,
        });
        let (jobs, outbox) = (BTreeMap::new(), VecDeque::new());
        Self {
            index,
            fleet,
            core: recovery.finish(),
            journal: Journal::default(),
            jobs,
            outbox,
            settings,
            online,
            link: None,
            say_again_at_ms: None,
            world,
        }
    }

    /// Lives until the fleet is dropped.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<bool>) {
        loop {
            self.take_outputs();
            let is_wanted = *wanted.borrow_and_update();
            self.follow(is_wanted).await;
            let sleep = self.sleep();
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                event = exchange(&mut self.link, &mut self.outbox) => self.happened(event),
                () = tokio::time::sleep(sleep) => self.time_passed(),
            }
        }
    }

    /// Makes or cuts the connection, as it is wanted.
    async fn follow(&mut self, wanted: bool) {
        if wanted == self.link.is_some() {
            return;
        }
        if !wanted {
            self.link = None;
            self.outbox.clear();
            self.core.handle(Input::Disconnected, self.world.now_ms());
            return self.take_outputs();
        }
        let world = Arc::clone(&self.world);
        let handshake = tokio::select! {
            permit = Arc::clone(&world.handshakes).acquire_owned() => permit.ok(),
            // A node that waits for its turn too long goes without one.
            () = tokio::time::sleep(LONGEST_SLEEP) => None,
        };
        let (publishes, taken) = mpsc::channel(CHANNEL);
        let (given, events) = mpsc::channel(CHANNEL);
        let task = tokio::spawn(flotilla_link::run(self.settings.clone(), taken, given));
        self.link = Some(Link { task, publishes, events, is_connected: false, handshake });
    }

    fn sleep(&self) -> Duration {
        let now_ms = self.world.now_ms();
        let jobs = self.jobs.values().filter_map(|job| job.ends_ms);
        let next = jobs.chain(self.core.next_wakeup(now_ms)).chain(self.say_again_at_ms).min();
        next.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.saturating_sub(now_ms)).min(LONGEST_SLEEP))
    }

    fn happened(&mut self, event: Event) {
        let now_ms = self.world.now_ms();
        match event {
            Event::Connected => {
                if let Some(link) = &mut self.link {
                    link.is_connected = true;
                    link.handshake = None;
                }
                self.publish(self.online.clone(), b"1".to_vec(), true);
                self.say_again_at_ms = Some(now_ms + PRESENCE_AGAIN_MS);
                self.core.handle(Input::Connected { nonce: random() }, now_ms);
            }
            Event::Disconnected { .. } => {
                if let Some(link) = &mut self.link {
                    link.is_connected = false;
                }
                self.outbox.clear();
                self.say_again_at_ms = None;
                self.core.handle(Input::Disconnected, now_ms);
            }
            Event::Message { topic, payload, retained } => {
                self.core.handle(Input::Message { topic: &topic, retained, payload: &payload }, now_ms);
            }
            Event::Acknowledged { .. } | Event::Refused { .. } => {}
        }
    }

    fn time_passed(&mut self) {
        let now_ms = self.world.now_ms();
        let ended: Vec<OrderId> =
            self.jobs.iter().filter(|(_, job)| job.ends_ms.is_some_and(|at| at <= now_ms)).map(|(order, _)| *order).collect();
        for order in ended {
            if let Some(job) = self.jobs.remove(&order) {
                let end = job_end(&job.command, &job.play, job.cancelled, job.started_ms, now_ms);
                self.core.handle(Input::JobEnded { order, end }, now_ms);
            }
        }
        if self.say_again_at_ms.take_if(|at| *at <= now_ms).is_some() {
            self.publish(self.online.clone(), b"1".to_vec(), true);
        }
        self.core.handle(Input::Tick, now_ms);
    }

    /// Does what the core wants, in its order.
    fn take_outputs(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Persist(record) => self.persist(record),
                Output::Publish(message) => {
                    let topic = Topic::Up { fleet: self.fleet, node: self.core.node(), kind: message.kind };
                    self.publish(topic.to_string(), message.payload, false);
                }
                Output::RunJob { order, command, .. } => self.start(order, command),
                Output::CancelJob { order } => {
                    if let Some(job) = self.jobs.get_mut(&order) {
                        (job.cancelled, job.ends_ms) = (true, Some(0));
                    }
                }
                Output::ReadOutput { order, step, stream, offset } => {
                    // Results carry all of the output there is.
                    let input = Input::OutputRead { order, step, stream, offset, bytes: Vec::new() };
                    self.core.handle(input, self.world.now_ms());
                }
                Output::RecoverJob { .. } => unreachable!("a simulated node is never started again"),
                Output::ForgetJob { order } => self.world.account().receipted(order, self.index),
                Output::Reboot
                | Output::Refused { .. }
                | Output::KeepTrust { .. }
                | Output::RenewCertificate { .. }
                | Output::SpreadReconnect { .. } => {}
            }
        }
        self.journal.compact_if_needed(&self.core);
    }

    fn persist(&mut self, record: Record) {
        match &record {
            Record::Taken { .. } => {
                let (order, _) = record.taken().expect("the core keeps orders that it has read");
                self.world.courses().accepted(order.id);
            }
            Record::Ended { order, .. } => {
                self.world.courses().ended(*order);
                self.world.account().ended(*order, self.index);
            }
            _ => {}
        }
        self.journal.append(record);
    }

    fn start(&mut self, order: OrderId, command: Box<CommandOrder>) {
        let started_ms = self.world.now_ms();
        self.world.courses().started(order, self.index, started_ms);
        self.world.account().started(order, self.index);
        let play = (self.world.behaviour)(self.index, &command);
        let after_ms = u64::try_from(play.after.as_millis()).unwrap_or(u64::MAX);
        let ends_ms = (play.end != End::Never).then(|| started_ms.saturating_add(after_ms));
        self.jobs.insert(order, Job { command, play, started_ms, ends_ms, cancelled: false });
    }

    fn publish(&mut self, topic: String, payload: Vec<u8>, retain: bool) {
        let is_connected = self.link.as_ref().is_some_and(|link| link.is_connected);
        if is_connected && self.outbox.len() < OUTBOX {
            self.outbox.push_back(Publish { id: 0, topic, payload: payload.into(), retain });
        }
    }
}

/// Hands over what waits until an event comes; never ends where there is no link. May be dropped at any await without losing anything.
async fn exchange(link: &mut Option<Link>, outbox: &mut VecDeque<Publish>) -> Event {
    let Some(Link { publishes, events, .. }) = link else { return std::future::pending().await };
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => return event,
                None => return std::future::pending().await,
            },
            permit = publishes.reserve(), if !outbox.is_empty() => match (permit, outbox.pop_front()) {
                (Ok(permit), Some(publish)) => permit.send(publish),
                _ => return std::future::pending().await,
            },
        }
    }
}
