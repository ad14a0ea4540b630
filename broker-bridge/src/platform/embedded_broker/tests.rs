//! The broker through its own doors, over TLS.

pub(crate) mod acl_matrix;

use super::test_client::{CLIENT_ID_NOT_VALID, Hello, Message, NOT_AUTHORIZED, TestClient, Way, publish_packet};
use super::*;
use crate::platform::pki::FleetCa;
use flotilla_protocol::id::NodeId;
use rustls::pki_types::UnixTime;
use tokio::io::AsyncReadExt as _;

const FLEET: &str = "0123456789abcdef";
const NODE: &str = "mi-66687aadf862bd776";
const OTHER: &str = "mi-00000000000000001";
const BRIDGE: &str = "flotilla-bridge";
const CLAIM: &str = "00112233445566778899aabbccddeeff";
const OTHER_CLAIM: &str = "ffeeddccbbaa99887766554433221100";
const GRANTED: u8 = 1;

struct Fleet {
    authority: FleetCa,
    broker: EmbeddedBroker,
}

pub(super) fn settings(authority: &FleetCa) -> EmbeddedBrokerSettings {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    EmbeddedBrokerSettings {
        revocations: Arc::default(),
        listen: local,
        claim_listen: local,
        fleet: FLEET.parse().unwrap(),
        server: authority.issue_server(&["localhost".to_owned()], UnixTime::now().as_secs(), 1).unwrap(),
        ca_certificate_der: authority.certificate_der().to_vec(),
        limits: BrokerLimits::default(),
    }
}

pub(super) fn authority() -> FleetCa {
    FleetCa::create("north", UnixTime::now().as_secs()).unwrap()
}

impl Fleet {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut BrokerLimits)) -> Self {
        let authority = authority();
        let mut settings = settings(&authority);
        change(&mut settings.limits);
        let broker = EmbeddedBroker::start(settings).await.unwrap();
        Self { authority, broker }
    }

    fn certified(&self, authority: &FleetCa, name: &str) -> Way {
        let identity = Some(authority.issue_client(name, UnixTime::now().as_secs(), 1).unwrap());
        Way { address: self.broker.address(), authority_der: self.authority.certificate_der().to_vec(), identity }
    }

    fn anonymous(&self, address: SocketAddr) -> Way {
        Way { address, authority_der: self.authority.certificate_der().to_vec(), identity: None }
    }

    async fn join(&self, name: &str) -> TestClient {
        self.certified(&self.authority, name).connect(Hello::new(name)).await.unwrap()
    }

    async fn claim(&self, client_id: &str) -> Result<TestClient, u8> {
        self.anonymous(self.broker.claim_address()).connect(Hello::new(client_id)).await
    }
}

fn topic(node: &str, rest: &str) -> String {
    format!("fl/1/{FLEET}/{:02x}/{node}/{rest}", node.parse::<NodeId>().unwrap().shard())
}

fn message(topic: &str, payload: &str) -> Message {
    Message { topic: topic.to_owned(), payload: payload.into(), retain: false }
}

async fn bridge_that_hears_all(fleet: &Fleet) -> TestClient {
    let mut bridge = fleet.join(BRIDGE).await;
    for filter in ["+/+/u/#", "+/+/s/online", "claim/+/u"] {
        assert_eq!(bridge.subscribe(&format!("fl/1/{FLEET}/{filter}")).await, GRANTED);
    }
    bridge
}

#[tokio::test]
async fn a_revoked_node_is_cut_off_and_not_let_in_again() {
    const BANNED: u8 = 0x8a;
    let authority = authority();
    let settings = settings(&authority);
    let revocations = Arc::clone(&settings.revocations);
    let broker = EmbeddedBroker::start(settings).await.unwrap();
    let fleet = Fleet { authority, broker };
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let (mut node, mut other) = (fleet.join(NODE).await, fleet.join(OTHER).await);
    revocations.revoke(NODE.parse().unwrap());
    node.until_ended().await;
    let refused = fleet.certified(&fleet.authority, NODE).connect(Hello::new(NODE)).await;
    assert_eq!(refused.err(), Some(BANNED));
    assert_eq!(other.publish(&topic(OTHER, "u/report"), b"up", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&topic(OTHER, "u/report"), "up"));
    fleet.broker.stop().await;
}

/// While an authority replaces another one, nodes of both are let in, and of a third one none.
#[tokio::test]
async fn nodes_of_both_authorities_are_let_in_during_a_rotation() {
    let (former, current, stranger) = (authority(), authority(), authority());
    let mut settings = settings(&former);
    settings.ca_certificate_der = [current.certificate_der(), former.certificate_der()].concat();
    let broker = EmbeddedBroker::start(settings).await.unwrap();
    let fleet = Fleet { authority: former, broker };
    for authority in [&fleet.authority, &current] {
        let mut node = fleet.certified(authority, NODE).connect(Hello::new(NODE)).await.unwrap();
        assert_eq!(node.publish(&topic(NODE, "u/report"), b"up", false).await.unwrap(), 0);
    }
    assert_eq!(fleet.certified(&stranger, NODE).connect(Hello::new(NODE)).await.err(), Some(0), "of a third authority");
    fleet.broker.stop().await;
}

#[tokio::test]
async fn orders_and_reports_pass_between_bridge_and_node() {
    let fleet = Fleet::start().await;
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut node = fleet.join(NODE).await;
    for filter in [topic(NODE, "d/#"), format!("fl/1/{FLEET}/all/d/#")] {
        assert_eq!(node.subscribe(&filter).await, GRANTED);
    }
    let trust = format!("fl/1/{FLEET}/all/d/trust");
    for order in [topic(NODE, "d/order"), trust] {
        assert_eq!(bridge.publish(&order, b"down", false).await.unwrap(), 0);
        assert_eq!(node.message().await, message(&order, "down"));
    }
    assert_eq!(node.publish(&topic(NODE, "u/report"), b"up", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&topic(NODE, "u/report"), "up"));
    fleet.broker.stop().await;
}

#[tokio::test]
async fn a_denied_publish_is_answered_and_not_delivered() {
    let fleet = Fleet::start().await;
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut victim = fleet.join(OTHER).await;
    assert_eq!(victim.subscribe(&topic(OTHER, "d/#")).await, GRANTED);
    let mut node = fleet.join(NODE).await;
    let wrong_shard = topic(NODE, "u/report").replacen(&format!("{FLEET}/"), &format!("{FLEET}/0"), 1);
    for denied in [
        topic(OTHER, "u/report"),
        topic(OTHER, "s/online"),
        topic(OTHER, "d/order"),
        topic(NODE, "d/order"),
        topic(NODE, "u/report/more"),
        format!("fl/1/{FLEET}/all/d/trust"),
        format!("fl/1/{FLEET}/claim/{CLAIM}/u"),
        "fl/1/fedcba9876543210/00/x/u/report".to_owned(),
        "$SYS/broker".to_owned(),
        wrong_shard,
    ] {
        assert_eq!(node.publish(&denied, b"forged", false).await.unwrap(), NOT_AUTHORIZED, "{denied}");
    }
    // What comes first after all this is what was sent rightly.
    assert_eq!(node.publish(&topic(NODE, "u/report"), b"right", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&topic(NODE, "u/report"), "right"));
    assert_eq!(bridge.publish(&topic(OTHER, "d/order"), b"order", false).await.unwrap(), 0);
    assert_eq!(victim.message().await, message(&topic(OTHER, "d/order"), "order"));
}

#[tokio::test]
async fn a_denied_subscription_hears_nothing() {
    let fleet = Fleet::start().await;
    let mut bridge = fleet.join(BRIDGE).await;
    let mut node = fleet.join(NODE).await;
    for denied in [
        "#".to_owned(),
        format!("fl/1/{FLEET}/#"),
        format!("fl/1/{FLEET}/+/{NODE}/d/#"),
        format!("fl/1/{FLEET}/+/+/d/#"),
        topic(OTHER, "d/#"),
        topic(NODE, "+/#"),
        topic(NODE, "u/#"),
        format!("$share/group/{}", topic(NODE, "d/#")),
        format!("fl/1/{FLEET}/claim/+/u"),
        "$SYS/#".to_owned(),
    ] {
        assert_eq!(node.subscribe(&denied).await, NOT_AUTHORIZED, "{denied}");
    }
    assert_eq!(node.subscribe(&topic(NODE, "d/order")).await, GRANTED);
    for order in [topic(OTHER, "d/order"), topic(NODE, "d/cancel"), topic(NODE, "d/order")] {
        assert_eq!(bridge.publish(&order, b"down", false).await.unwrap(), 0);
    }
    assert_eq!(node.message().await, message(&topic(NODE, "d/order"), "down"));
}

#[tokio::test]
async fn only_certificates_of_the_fleet_come_in() {
    let fleet = Fleet::start().await;
    let (stranger, main) = (authority(), fleet.broker.address());
    assert_eq!(fleet.anonymous(main).connect(Hello::new(NODE)).await.err(), Some(0), "without a certificate");
    let foreign = fleet.certified(&stranger, NODE);
    assert_eq!(foreign.connect(Hello::new(NODE)).await.err(), Some(0), "of another authority");
    let now = UnixTime::now().as_secs();
    let server = Way { identity: Some(settings(&fleet.authority).server), ..fleet.anonymous(main) };
    assert_eq!(server.connect(Hello::new(NODE)).await.err(), Some(0), "a server's certificate");
    let expired = fleet.authority.issue_client(NODE, now - 3 * 86_400, 1).unwrap();
    let expired = Way { identity: Some(expired), ..fleet.anonymous(main) };
    assert_eq!(expired.connect(Hello::new(NODE)).await.err(), Some(0), "an expired certificate");
    for name in ["somebody", "mi-1", CLAIM, "flotilla-bridges"] {
        let way = fleet.certified(&fleet.authority, name);
        assert_eq!(way.connect(Hello::new(name)).await.err(), Some(0), "{name}");
    }
    assert!(fleet.join(NODE).await.is_alive().await);
}

#[tokio::test]
async fn nobody_takes_over_the_session_of_another() {
    let fleet = Fleet::start().await;
    let mut victim = fleet.join(NODE).await;
    let attacker = fleet.certified(&fleet.authority, OTHER);
    for client_id in [NODE, BRIDGE, "", CLAIM] {
        assert_eq!(attacker.connect(Hello::new(client_id)).await.err(), Some(CLIENT_ID_NOT_VALID), "{client_id}");
    }
    for client_id in [NODE, BRIDGE, "", "00112233445566778899AABBCCDDEEFF"] {
        assert_eq!(fleet.claim(client_id).await.err(), Some(CLIENT_ID_NOT_VALID), "{client_id}");
    }
    assert!(victim.is_alive().await);
    // Its own holder may, as after a broken connection.
    let mut again = fleet.join(NODE).await;
    victim.until_ended().await;
    assert!(again.is_alive().await);
}

#[tokio::test]
async fn claims_are_isolated_from_each_other() {
    let fleet = Fleet::start().await;
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut one = fleet.claim(CLAIM).await.unwrap();
    let mut two = fleet.claim(OTHER_CLAIM).await.unwrap();
    let of = |claim: &str, direction: &str| format!("fl/1/{FLEET}/claim/{claim}/{direction}");
    assert_eq!(one.subscribe(&of(OTHER_CLAIM, "d")).await, NOT_AUTHORIZED);
    assert_eq!(one.subscribe(&of("+", "d")).await, NOT_AUTHORIZED);
    assert_eq!(one.subscribe(&format!("fl/1/{FLEET}/#")).await, NOT_AUTHORIZED);
    assert_eq!(one.publish(&of(OTHER_CLAIM, "u"), b"forged", false).await.unwrap(), NOT_AUTHORIZED);
    assert_eq!(one.publish(&topic(NODE, "u/report"), b"forged", false).await.unwrap(), NOT_AUTHORIZED);
    assert_eq!(one.subscribe(&of(CLAIM, "d")).await, GRANTED);
    assert_eq!(two.subscribe(&of(OTHER_CLAIM, "d")).await, GRANTED);
    assert_eq!(one.publish(&of(CLAIM, "u"), b"claim", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&of(CLAIM, "u"), "claim"));
    assert_eq!(bridge.publish(&of(OTHER_CLAIM, "d"), b"for two", false).await.unwrap(), 0);
    assert_eq!(bridge.publish(&of(CLAIM, "d"), b"for one", false).await.unwrap(), 0);
    assert_eq!(one.message().await, message(&of(CLAIM, "d"), "for one"));
    assert_eq!(two.message().await, message(&of(OTHER_CLAIM, "d"), "for two"));
    // Taken while it lasts, and free afterwards.
    assert_eq!(fleet.claim(CLAIM).await.err(), Some(CLIENT_ID_NOT_VALID));
    assert!(one.is_alive().await);
    drop(one);
    let again = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Ok(client) = fleet.claim(CLAIM).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(again.await.unwrap().is_alive().await);
}

#[tokio::test]
async fn claims_leave_no_will_and_nothing_retained() {
    let fleet = Fleet::start().await;
    let up = format!("fl/1/{FLEET}/claim/{CLAIM}/u");
    let way = fleet.anonymous(fleet.broker.claim_address());
    for retain in [false, true] {
        let hello = Hello { will: Some((&up, "gone", retain)), ..Hello::new(CLAIM) };
        assert_eq!(way.connect(hello).await.err(), Some(NOT_AUTHORIZED));
    }
    let mut claim = fleet.claim(CLAIM).await.unwrap();
    assert!(claim.publish(&up, b"kept", true).await.is_err(), "neither acknowledged nor kept");
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut other = fleet.claim(OTHER_CLAIM).await.unwrap();
    let up = format!("fl/1/{FLEET}/claim/{OTHER_CLAIM}/u");
    assert_eq!(other.publish(&up, b"first", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&up, "first"));
}

#[tokio::test]
async fn claims_are_limited_in_size_number_rate_and_time() {
    let rate = Rate { burst: 4, per_second: 0 };
    let fleet = Fleet::start_with(|limits| {
        limits.claim_connections = 2;
        limits.claim_lifetime = Duration::from_millis(1_500);
        limits.claim_rate_of_address = rate;
    });
    let fleet = fleet.await;
    let mut one = fleet.claim(CLAIM).await.unwrap();
    let mut two = fleet.claim(OTHER_CLAIM).await.unwrap();
    assert_eq!(fleet.claim("00000000000000000000000000000000").await.err(), Some(0), "the third is one too many");
    let up = format!("fl/1/{FLEET}/claim/{CLAIM}/u");
    assert_eq!(one.publish(&up, &vec![0; MAX_CLAIM_PACKET - 100], false).await.unwrap(), 0);
    assert!(one.publish(&up, &vec![0; MAX_CLAIM_PACKET], false).await.is_err());
    assert!(two.is_alive().await);
    two.until_ended().await;
    // Three attempts are used up; the fourth is admitted, the fifth not, and nothing refills.
    let mut three = fleet.claim(CLAIM).await.unwrap();
    three.until_ended().await;
    assert_eq!(fleet.claim(CLAIM).await.err(), Some(0));
}

#[tokio::test]
async fn only_online_is_retained_and_only_online_is_a_will() {
    let fleet = Fleet::start().await;
    let online = topic(NODE, "s/online");
    let way = fleet.certified(&fleet.authority, NODE);
    for (will, retain) in [(topic(OTHER, "s/online"), true), (topic(NODE, "u/report"), false), (topic(NODE, "d/order"), false)] {
        let hello = Hello { will: Some((&will, "0", retain)), ..Hello::new(NODE) };
        assert_eq!(way.connect(hello).await.err(), Some(NOT_AUTHORIZED), "{will}");
    }
    let mut node = way.connect(Hello { will: Some((&online, "0", true)), ..Hello::new(NODE) }).await.unwrap();
    assert_eq!(node.publish(&online, b"1", true).await.unwrap(), 0);
    let mut bridge = bridge_that_hears_all(&fleet).await;
    assert_eq!(bridge.message().await, Message { retain: true, ..message(&online, "1") });
    // A report that asks to be kept is not taken, and its sender is put out: the will says so at once.
    assert!(node.publish(&topic(NODE, "u/report"), b"kept", true).await.is_err());
    assert_eq!(bridge.message().await, message(&online, "0"));
    let mut later = fleet.join("flotilla-bridge-2").await;
    assert_eq!(later.subscribe(&format!("fl/1/{FLEET}/#")).await, GRANTED);
    assert_eq!(later.message().await, Message { retain: true, ..message(&online, "0") });
    assert!(later.publish(&topic(NODE, "d/order"), b"kept", true).await.is_err(), "not even a bridge");
    assert!(bridge.is_alive().await);
}

#[tokio::test]
async fn the_will_tells_the_bridge_that_a_node_is_gone() {
    let fleet = Fleet::start().await;
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let online = topic(NODE, "s/online");
    let way = fleet.certified(&fleet.authority, NODE);
    let node = way.connect(Hello { will: Some((&online, "0", true)), ..Hello::new(NODE) }).await.unwrap();
    drop(node);
    assert_eq!(bridge.message().await, message(&online, "0"));
    // A goodbye leaves no will.
    let mut node = way.connect(Hello { will: Some((&online, "0", true)), ..Hello::new(NODE) }).await.unwrap();
    node.send(&[0xe0, 0]).await.unwrap();
    node.until_ended().await;
    let mut other = fleet.join(OTHER).await;
    assert_eq!(other.publish(&topic(OTHER, "u/report"), b"next", false).await.unwrap(), 0);
    assert_eq!(bridge.message().await, message(&topic(OTHER, "u/report"), "next"));
}

#[tokio::test]
async fn old_protocols_long_keep_alives_and_large_packets_are_refused() {
    let fleet = Fleet::start().await;
    let way = fleet.certified(&fleet.authority, NODE);
    let old = way.connect(Hello { level: 4, ..Hello::new(NODE) }).await;
    assert_eq!(old.err(), Some(1), "3.1.1's word for an unacceptable protocol version");
    assert!(way.connect(Hello { keep_alive_s: 1_801, ..Hello::new(NODE) }).await.is_err());
    assert!(way.connect(Hello { keep_alive_s: 0, ..Hello::new(NODE) }).await.is_err(), "for ever");
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut node = fleet.join(NODE).await;
    let up = topic(NODE, "u/report");
    assert_eq!(node.publish(&up, &vec![7; MAX_PACKET - 200], false).await.unwrap(), 0);
    assert_eq!(bridge.message().await.payload.len(), MAX_PACKET - 200);
    assert!(node.publish(&up, &vec![7; MAX_PACKET], false).await.is_err());
    assert!(bridge.is_alive().await);
}

#[tokio::test]
async fn a_thousand_reports_arrive_in_order() {
    let fleet = Fleet::start().await;
    let mut bridge = bridge_that_hears_all(&fleet).await;
    let mut node = fleet.join(NODE).await;
    let up = topic(NODE, "u/report");
    let sent = async {
        for number in 0..1_000_u32 {
            assert_eq!(node.publish(&up, &number.to_be_bytes(), false).await.unwrap(), 0);
        }
    };
    let received = async {
        for number in 0..1_000_u32 {
            assert_eq!(bridge.message().await.payload, number.to_be_bytes());
        }
    };
    tokio::join!(sent, received);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let fleet = Fleet::start_with(|limits| limits.queued_messages = 100).await;
    let mut bridge = fleet.join(BRIDGE).await;
    let mut deaf = fleet.join(OTHER).await;
    assert_eq!(deaf.subscribe(&topic(OTHER, "d/#")).await, GRANTED);
    let payload = vec![7; 60_000];
    for _ in 0..400 {
        assert_eq!(bridge.publish(&topic(OTHER, "d/order"), &payload, false).await.unwrap(), 0);
    }
    let mut node = fleet.join(NODE).await;
    assert_eq!(node.subscribe(&topic(NODE, "d/#")).await, GRANTED);
    assert_eq!(bridge.publish(&topic(NODE, "d/order"), b"on", false).await.unwrap(), 0);
    assert_eq!(node.message().await, message(&topic(NODE, "d/order"), "on"));
    drop(deaf);
}

#[tokio::test]
async fn a_stopped_broker_frees_its_ports_twenty_times() {
    let authority = authority();
    let mut settings = settings(&authority);
    for round in 0..20 {
        let broker = EmbeddedBroker::start(settings.clone()).await.unwrap();
        (settings.listen, settings.claim_listen) = (broker.address(), broker.claim_address());
        let fleet = Fleet { authority: FleetCa::load(authority.certificate_der(), &authority.key_pem()).unwrap(), broker };
        let mut node = fleet.join(NODE).await;
        let silent = fleet.certified(&fleet.authority, OTHER).dial().await.unwrap();
        let taken = EmbeddedBroker::start(settings.clone()).await;
        assert!(matches!(taken, Err(BrokerError::Listen { .. })), "round {round}");
        tokio::time::timeout(Duration::from_secs(10), fleet.broker.stop()).await.unwrap();
        node.until_ended().await;
        drop(silent);
    }
}

#[tokio::test]
async fn nothing_is_served_but_the_two_listeners_and_nothing_is_written() {
    let listening = || {
        let mut sockets = Vec::new();
        for file in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            let lines = std::fs::read_to_string(file).unwrap();
            // The fourth column is the state, 0A is listening; the second the local address and port.
            let fields = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            sockets.extend(fields.filter(|fields| fields[3] == "0A").map(|fields| (fields[1].to_owned(), fields[9].to_owned())));
        }
        sockets
    };
    let own_inodes = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let fleet = Fleet::start().await;
    assert!(fleet.join(NODE).await.is_alive().await);
    let own = own_inodes();
    let ours: Vec<_> = listening().into_iter().filter(|(_, inode)| own.contains(&format!("socket:[{inode}]"))).collect();
    // Other tests of this process have listeners of their own; what the engine's own server would open is known.
    let is_open = |address: SocketAddr| ours.iter().any(|(open, _)| *open == format!("0100007F:{:04X}", address.port()));
    assert!(is_open(fleet.broker.address()) && is_open(fleet.broker.claim_address()), "{ours:?}");
    assert!(!ours.iter().any(|(open, _)| open.ends_with(":075B")), "port 1883: {ours:?}");
    assert!(!std::path::Path::new("mqtt_storage").exists());
}

#[tokio::test]
async fn bytes_that_are_no_mqtt_end_the_connection_only() {
    let fleet = Fleet::start().await;
    let mut node = fleet.join(NODE).await;
    let way = fleet.certified(&fleet.authority, OTHER);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0x10, 0xff, 0xff, 0xff, 0xff], &publish_packet("a", b"b", false)] {
        let mut stream = way.dial().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{bytes:?}");
    }
    assert!(node.is_alive().await);
}
