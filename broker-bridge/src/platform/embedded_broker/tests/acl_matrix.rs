//! Every attempt of one list through real MQTT 5 connections, on whichever broker: on the one inside the bridge here, on the
//! real Mosquitto by its own tests.
//!
//! Nothing waits for time to pass. After what must not arrive something permitted is sent the same way, and when that has
//! come, what has not come before it never will.

mod attempts;

use crate::platform::embedded_broker::test_client::{Hello, TestClient, Way, connect_packet, publish_packet, subscribe_packet};
use crate::platform::pki::{FleetCa, IssuedCertificate};
use attempts::{Attempt, Due, FLEET, What, Who, attempts, tree};
use rustls::pki_types::UnixTime;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

const BRIDGE: &str = "flotilla-bridge";
/// The embedded broker's word for a claim that sends too fast: it says nothing about rights.
const QUOTA_EXCEEDED: u8 = 0x97;
const REFUSALS: u8 = 0x80;
const PATIENCE: Duration = Duration::from_secs(20);
/// A goodbye that asks for the will nevertheless.
const GOODBYE_WITH_WILL: [u8; 4] = [0xe0, 2, 4, 0];
/// Least attempts that count as a matrix.
const LEAST: usize = 500;

/// Which broker is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Mosquitto,
}

/// A running broker.
pub(crate) struct Stage<'a> {
    pub(crate) kind: Kind,
    pub(crate) main: SocketAddr,
    pub(crate) claims: SocketAddr,
    pub(crate) authority: &'a FleetCa,
}

/// What came of the attempts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    attempts: usize,
    granted: usize,
    passed: usize,
    wrongly_accepted: Vec<String>,
    wrongly_refused: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, granted, passed, wrongly_accepted, wrongly_refused } = self;
        let (accepted, refused) = (wrongly_accepted.len(), wrongly_refused.len());
        write!(f, "{attempts} attempts, {granted} granted as due, ")?;
        if *passed > 0 {
            write!(f, "{passed} passed as its README says, ")?;
        }
        write!(f, "{accepted} wrongly accepted, {refused} wrongly refused")
    }
}

impl Tally {
    /// Prints it, and fails where the rules failed.
    pub(crate) fn check(&self, name: &str) {
        println!("acl: {name} {self}");
        assert!(self.wrongly_accepted.is_empty(), "wrongly accepted: {:#?}", self.wrongly_accepted);
        assert!(self.wrongly_refused.is_empty(), "wrongly refused: {:#?}", self.wrongly_refused);
        assert!(self.attempts >= LEAST && self.granted > 0, "{self}");
    }
}

/// What the two ends saw of one attempt.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The broker said yes.
    taken: bool,
    /// The message arrived.
    arrived: bool,
}

/// One identity at the door, connected whenever it can be.
struct Actor {
    who: Who,
    way: Way,
    client: Option<TestClient>,
}

impl Actor {
    async fn connected(&mut self) -> &mut TestClient {
        if self.client.is_none() {
            // A claim's id is free again only when the broker has noticed that its former connection ended.
            let connected = async {
                loop {
                    match self.way.connect(Hello::new(self.who.name())).await {
                        Ok(client) => return client,
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
            };
            self.client = Some(timeout(PATIENCE, connected).await.expect("a permitted connection"));
        }
        self.client.as_mut().expect("connected above")
    }

    /// Publishes and returns whether the broker took it. Put out, it was refused.
    async fn publish(&mut self, topic: &str, payload: &str, retain: bool) -> bool {
        loop {
            match self.connected().await.publish(topic, payload.as_bytes(), retain).await {
                Ok(QUOTA_EXCEEDED) => tokio::time::sleep(Duration::from_millis(200)).await,
                Ok(reason) => return reason < REFUSALS,
                Err(_) => {
                    self.client = None;
                    return false;
                }
            }
        }
    }

    async fn subscribe(&mut self, filter: &str) -> bool {
        match self.connected().await.ask(filter).await {
            Ok(reason) => reason < REFUSALS,
            Err(_) => {
                self.client = None;
                false
            }
        }
    }

    /// Where this identity may publish.
    fn outlet(&self) -> Option<String> {
        match self.who {
            Who::Node(node) => Some(format!("{}/u/report", tree(node))),
            Who::Claim => Some(format!("fl/1/{FLEET}/claim/{}/u", self.who.name())),
            Who::WrongName(_) | Who::NoCertificate(_) | Who::OtherFleet(_) => None,
        }
    }

    /// What this identity may hear; on Mosquitto every name of the fleet hears what is for all.
    fn inlet(&self) -> String {
        match self.who {
            Who::Node(node) => format!("{}/d/sentinel", tree(node)),
            Who::Claim => format!("fl/1/{FLEET}/claim/{}/d", self.who.name()),
            Who::WrongName(_) | Who::NoCertificate(_) | Who::OtherFleet(_) => format!("fl/1/{FLEET}/all/d/sentinel"),
        }
    }
}

/// The bridge, which hears all of the fleet, and the number of the last sentinel.
struct Watch {
    bridge: TestClient,
    sentinels: usize,
    /// What was heard while the bridge's own probes were taken out of the way.
    early: BTreeSet<String>,
}

impl Watch {
    fn next(&mut self) -> String {
        self.sentinels += 1;
        format!("sentinel {}", self.sentinels)
    }

    /// The payloads that the bridge has heard until the actor's permitted message came; of one who may say nothing, until
    /// the bridge heard itself.
    async fn heard(&mut self, actor: &mut Actor) -> BTreeSet<String> {
        let sentinel = self.next();
        match actor.outlet() {
            Some(outlet) => assert!(actor.publish(&outlet, &sentinel, false).await, "{:?} may publish on {outlet}", actor.who),
            None => self.say(&format!("fl/1/{FLEET}/bridge/s/sentinel"), &sentinel).await,
        }
        self.until(&sentinel).await;
        std::mem::take(&mut self.early)
    }

    /// Waits for a message, and keeps what comes before it.
    async fn until(&mut self, wanted: &str) {
        loop {
            let payload = String::from_utf8(self.bridge.message().await.payload).unwrap();
            if payload == wanted {
                return;
            }
            self.early.insert(payload);
        }
    }

    async fn say(&mut self, topic: &str, payload: &str) {
        let reason = self.bridge.publish(topic, payload.as_bytes(), false).await.unwrap();
        assert!(reason < REFUSALS, "the bridge may publish on {topic}: {reason:#x}");
    }

    /// The bridge hears its own probes: takes them out of the way, so that they are not taken for the actor's.
    async fn forget(&mut self, probe: &str) {
        let sentinel = self.next();
        self.say(&format!("fl/1/{FLEET}/bridge/s/sentinel"), &sentinel).await;
        self.until(&sentinel).await;
        self.early.remove(probe);
    }
}

impl Stage<'_> {
    fn way(&self, address: SocketAddr, identity: Option<IssuedCertificate>) -> Way {
        Way { address, authority_der: self.authority.certificate_der().to_vec(), identity }
    }

    fn actor(&self, who: Who, stranger: &FleetCa) -> Actor {
        let of = |authority: &FleetCa| Some(authority.issue_client(who.name(), UnixTime::now().as_secs(), 1).unwrap());
        let way = match who {
            Who::Node(_) | Who::WrongName(_) => self.way(self.main, of(self.authority)),
            Who::Claim => self.way(self.claims, None),
            Who::NoCertificate(_) => self.way(self.main, None),
            Who::OtherFleet(_) => self.way(self.main, of(stranger)),
        };
        Actor { who, way, client: None }
    }

    /// Whether this identity is let in at all.
    fn lets_in(&self, who: Who) -> bool {
        match who {
            Who::Node(_) | Who::Claim => true,
            Who::WrongName(_) => self.kind == Kind::Mosquitto,
            Who::NoCertificate(_) | Who::OtherFleet(_) => false,
        }
    }

    /// Tries everything.
    pub(crate) async fn run(&self) -> Tally {
        let stranger = FleetCa::create("south", UnixTime::now().as_secs()).unwrap();
        let identity = self.authority.issue_client(BRIDGE, UnixTime::now().as_secs(), 1).unwrap();
        let mut bridge = self.way(self.main, Some(identity)).connect(Hello::new(BRIDGE)).await.unwrap();
        assert_eq!(bridge.subscribe(&format!("fl/1/{FLEET}/#")).await, 1);
        let mut watch = Watch { bridge, sentinels: 0, early: BTreeSet::new() };
        let mut tally = Tally::default();
        let all = attempts();
        for group in all.chunk_by(|left, right| left.who == right.who) {
            let Some(first) = group.first() else { continue };
            let mut actor = self.actor(first.who, &stranger);
            let mut seen = Vec::new();
            for (number, attempt) in group.iter().enumerate() {
                let payload = format!("attempt {:?} {number}", attempt.who);
                seen.push((payload.clone(), self.try_one(&mut actor, attempt, &payload, &mut watch).await));
            }
            let heard = watch.heard(&mut actor).await;
            for (attempt, (payload, seen)) in group.iter().zip(seen) {
                let seen = Seen { arrived: seen.arrived || heard.contains(&payload), ..seen };
                self.judge(attempt, seen, &mut tally);
            }
        }
        tally
    }

    async fn try_one(&self, actor: &mut Actor, attempt: &Attempt, payload: &str, watch: &mut Watch) -> Seen {
        if !self.lets_in(actor.who) {
            return Seen { taken: was_let_in(actor, &attempt.what, payload).await, arrived: false };
        }
        match &attempt.what {
            What::Publish { topic, retain } => Seen { taken: actor.publish(topic, payload, *retain).await, arrived: false },
            What::Will { topic, retain } => self.leave_will(actor, attempt.due, (topic, payload, *retain), watch).await,
            What::Subscribe { filter, probe } => listen(actor, filter, probe.as_deref(), payload, watch).await,
        }
    }

    async fn leave_will(&self, actor: &mut Actor, due: Due, will: (&str, &str, bool), watch: &mut Watch) -> Seen {
        // The id must be free before, or the answer would be about that.
        if let Some(mut former) = actor.client.take() {
            let _left = former.send(&[0xe0, 0]).await;
            former.until_ended().await;
        }
        let name = actor.who.name();
        let mut connected = actor.way.connect(Hello { will: Some(will), ..Hello::new(name) }).await;
        while self.kind == Kind::Embedded
            && connected.as_ref().err() == Some(&crate::platform::embedded_broker::test_client::CLIENT_ID_NOT_VALID)
        {
            connected = actor.way.connect(Hello { will: Some(will), ..Hello::new(name) }).await;
        }
        let Ok(mut client) = connected else { return Seen::default() };
        if due == Due::Granted {
            // As it happens to a node: the connection breaks, and the bridge is told.
            drop(client);
            watch.until(will.1).await;
            return Seen { taken: true, arrived: true };
        }
        client.send(&GOODBYE_WITH_WILL).await.unwrap();
        client.until_ended().await;
        // Mosquitto takes any will and judges it when it is due.
        Seen { taken: self.kind == Kind::Embedded || due == Due::MosquittoPasses, arrived: false }
    }

    fn judge(&self, attempt: &Attempt, seen: Seen, tally: &mut Tally) {
        tally.attempts += 1;
        let passes = attempt.due == Due::MosquittoPasses && self.kind == Kind::Mosquitto;
        let line = || format!("{attempt:?}: {seen:?}");
        if attempt.due == Due::Granted || passes {
            match (seen.taken && seen.arrived, passes) {
                (true, false) => tally.granted += 1,
                (true, true) => tally.passed += 1,
                (false, _) => tally.wrongly_refused.push(line()),
            }
            return;
        }
        // Mosquitto grants every subscription and judges each delivery.
        let only_delivery_counts =
            self.kind == Kind::Mosquitto && matches!(attempt.what, What::Subscribe { .. }) && self.lets_in(attempt.who);
        if seen.arrived || (seen.taken && !only_delivery_counts) {
            tally.wrongly_accepted.push(line());
        }
    }
}

/// Subscribes, has the bridge publish the probe and then something that the actor may hear, and looks at what came before it.
/// Whatever else than the sentinel came counts as arrived, retained messages and the broker's own ones included.
async fn listen(actor: &mut Actor, filter: &str, probe: Option<&str>, payload: &str, watch: &mut Watch) -> Seen {
    let taken = actor.subscribe(filter).await;
    if let Some(probe) = probe {
        watch.say(probe, payload).await;
    }
    // After the probe, which may be on the same topic.
    let inlet = actor.inlet();
    assert!(actor.subscribe(&inlet).await, "{:?} may subscribe to {inlet}", actor.who);
    let sentinel = watch.next();
    watch.say(&inlet, &sentinel).await;
    let client = actor.connected().await;
    let mut arrived = false;
    loop {
        let message = client.message().await;
        if message.payload == sentinel.as_bytes() {
            break;
        }
        // A sentinel comes once for each filter that covers it: an earlier one may come again.
        arrived |= !message.payload.starts_with(b"sentinel ");
    }
    for filter in [filter, &inlet] {
        if taken || filter == inlet {
            client.unsubscribe(filter).await;
        }
    }
    watch.forget(payload).await;
    Seen { taken, arrived }
}

/// Whether a connection with this attempt right behind its hello was answered with a welcome.
async fn was_let_in(actor: &Actor, what: &What, payload: &str) -> bool {
    let mut hello = Hello::new(actor.who.name());
    let packet = match what {
        What::Publish { topic, retain } => publish_packet(topic, payload.as_bytes(), *retain),
        What::Subscribe { filter, .. } => subscribe_packet(filter),
        What::Will { topic, retain } => {
            hello.will = Some((topic, payload, *retain));
            Vec::new()
        }
    };
    let Ok(mut stream) = actor.way.dial().await else { return false };
    let bytes = [connect_packet(hello), packet].concat();
    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
        return false;
    }
    let mut answer = [0; 4];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer or an end");
    // Kind, length, flags, reason.
    read.is_ok() && answer[0] == 0x20 && answer[3] == 0
}

#[tokio::test]
async fn the_embedded_broker_grants_what_is_due_and_nothing_else() {
    let authority = super::authority();
    let mut settings = super::settings(&authority);
    let often = crate::platform::embedded_broker::Rate { burst: 10_000, per_second: 10_000 };
    (settings.limits.claim_rate, settings.limits.claim_rate_of_address) = (often, often);
    settings.limits.claim_lifetime = Duration::from_secs(600);
    let broker = crate::platform::embedded_broker::EmbeddedBroker::start(settings).await.unwrap();
    let (main, claims) = (broker.address(), broker.claim_address());
    let tally = Stage { kind: Kind::Embedded, main, claims, authority: &authority }.run().await;
    tally.check("embedded");
    broker.stop().await;
}
