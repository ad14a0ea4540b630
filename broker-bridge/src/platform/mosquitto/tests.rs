//! The rendered configuration beside the shipped one, and on the real Mosquitto.

use super::*;

#[test]
fn the_shipped_example_is_what_is_rendered() {
    let settings = MosquittoSettings {
        listen: SocketAddr::from(([0, 0, 0, 0], 8883)),
        claim_listen: SocketAddr::from(([0, 0, 0, 0], 8884)),
        fleet: "0123456789abcdef".parse().unwrap(),
        folder: "/etc/flotilla/broker".to_owned(),
        user: "mosquitto".to_owned(),
        claim_link_id: "replace-by-32-random-hexadecimal-digits".to_owned(),
        dynamic_security: Some("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so".to_owned()),
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/brokers/mosquitto");
    for (name, text) in configuration(&settings) {
        let shipped = std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        assert_eq!(shipped, text, "replace examples/brokers/mosquitto/{name} by the text on the right");
    }
}

#[cfg(feature = "embedded-broker")]
mod on_the_real_one {
    use super::*;
    use crate::platform::embedded_broker::test_client::{Hello, Message, NOT_AUTHORIZED, TestClient, Way};
    use crate::platform::embedded_broker::tests::acl_matrix::{Kind, Stage};
    use crate::platform::pki::FleetCa;
    use flotilla_protocol::id::NodeId;
    use rustls::pki_types::UnixTime;
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;
    use tempfile::TempDir;

    const PROGRAM: &str = "/usr/sbin/mosquitto";
    const FLEET: &str = "0123456789abcdef";
    const NODE: &str = "mi-66687aadf862bd776";
    const OTHER: &str = "mi-00000000000000001";
    const BRIDGE: &str = "flotilla-bridge";
    const CLAIM: &str = "00112233445566778899aabbccddeeff";
    /// A success of MQTT 5 that the embedded broker does not bother to tell apart.
    const NOBODY_LISTENS: u8 = 0x10;
    const OTHER_CLAIM: &str = "ffeeddccbbaa99887766554433221100";

    struct Broker {
        children: Vec<Child>,
        settings: MosquittoSettings,
        authority: FleetCa,
        _folder: TempDir,
    }

    impl Drop for Broker {
        fn drop(&mut self) {
            for child in &mut self.children {
                let _gone = child.kill();
                let _reaped = child.wait();
            }
        }
    }

    impl Broker {
        #[expect(clippy::disallowed_methods, reason = "a test starts the real broker on files of its own")]
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let authority = FleetCa::create("north", UnixTime::now().as_secs()).unwrap();
            let server = authority.issue_server(&["localhost".to_owned()], UnixTime::now().as_secs(), 1).unwrap();
            let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let [listen, claim_listen] = sockets.map(|socket| socket.local_addr().unwrap());
            let path = folder.path().to_str().unwrap().to_owned();
            // Root would otherwise become a user who cannot read the folder; for anybody else the line means nothing.
            let user = "root".to_owned();
            let (fleet, claim_link_id) = (FLEET.parse().unwrap(), "5f0c".repeat(8));
            let settings =
                MosquittoSettings { listen, claim_listen, fleet, folder: path, user, claim_link_id, dynamic_security: installed_plugin() };
            let link = authority.issue_client(CLAIM_LINK_NAME, UnixTime::now().as_secs(), 1).unwrap();
            let mut files = configuration(&settings);
            files.push(("ca.pem", authority.certificate_pem()));
            files.push(("server.pem", server.certificate_pem()));
            files.push(("server.key", server.private_key_pem().to_string()));
            files.push(("claims.pem", link.certificate_pem()));
            files.push(("claims.key", link.private_key_pem().to_string()));
            for (name, text) in files {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let start = |file: &str| {
                let mut command = Command::new(PROGRAM);
                command.arg("-c").arg(folder.path().join(file)).stderr(Stdio::null());
                command.spawn().expect("this test needs Debian's package mosquitto")
            };
            let children = vec![start("mosquitto.conf"), start("claim.conf")];
            let broker = Self { children, settings, authority, _folder: folder };
            tokio::time::timeout(Duration::from_secs(20), broker.until_claims_pass()).await.expect("mosquitto did not start");
            broker
        }

        /// Sends a claim until it passes both brokers.
        async fn until_claims_pass(&self) {
            const PROBE: &str = "0123456789abcdef0123456789abcdef";
            let up = format!("fl/1/{FLEET}/claim/{PROBE}/u");
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let Ok(mut bridge) = self.certified(BRIDGE).connect(Hello::new(BRIDGE)).await else { continue };
                let Ok(mut claim) = self.claim(PROBE).await else { continue };
                bridge.subscribe(&up).await;
                let taken = claim.publish(&up, b"probe", false).await;
                // A subscriber is there: the link. It passes the claim on when its other end is connected; where it was not, it may
                // begin anew and forget the claim.
                if taken.is_ok_and(|reason| reason == 0) && tokio::time::timeout(Duration::from_secs(2), bridge.message()).await.is_ok() {
                    return;
                }
            }
        }

        fn certified(&self, name: &str) -> Way {
            let identity = Some(self.authority.issue_client(name, UnixTime::now().as_secs(), 1).unwrap());
            Way { address: self.settings.listen, authority_der: self.authority.certificate_der().to_vec(), identity }
        }

        fn anonymous(&self, address: SocketAddr) -> Way {
            Way { address, authority_der: self.authority.certificate_der().to_vec(), identity: None }
        }

        async fn join(&self, name: &str) -> TestClient {
            self.certified(name).connect(Hello::new(name)).await.unwrap()
        }

        async fn claim(&self, client_id: &str) -> Result<TestClient, u8> {
            self.anonymous(self.settings.claim_listen).connect(Hello::new(client_id)).await
        }
    }

    fn topic(node: &str, rest: &str) -> String {
        format!("fl/1/{FLEET}/{:02x}/{node}/{rest}", node.parse::<NodeId>().unwrap().shard())
    }

    fn message(topic: &str, payload: &str) -> Message {
        Message { topic: topic.to_owned(), payload: payload.into(), retain: false }
    }

    #[tokio::test]
    async fn a_node_does_its_own_and_nothing_else() {
        let broker = Broker::start().await;
        let mut bridge = broker.join(BRIDGE).await;
        assert_eq!(bridge.subscribe(&format!("fl/1/{FLEET}/#")).await, 1);
        let mut node = broker.join(NODE).await;
        // Mosquitto grants any subscription and judges each delivery.
        node.subscribe("#").await;
        assert_eq!(node.subscribe(&topic(NODE, "d/#")).await, 1);
        let denied = [topic(OTHER, "u/report"), topic(OTHER, "s/online"), topic(NODE, "d/order"), topic(NODE, "u/a/b")];
        for denied in denied {
            assert_eq!(node.publish(&denied, b"forged", false).await.unwrap(), NOT_AUTHORIZED, "{denied}");
        }
        assert_eq!(node.publish(&topic(NODE, "u/report"), b"right", false).await.unwrap(), 0);
        assert_eq!(bridge.message().await, message(&topic(NODE, "u/report"), "right"));
        for order in [topic(OTHER, "d/order"), format!("fl/1/{FLEET}/claim/{CLAIM}/d"), topic(NODE, "d/order")] {
            assert_eq!(bridge.publish(&order, b"down", false).await.unwrap(), 0);
        }
        assert_eq!(node.message().await, message(&topic(NODE, "d/order"), "down"));
    }

    #[tokio::test]
    async fn it_grants_what_is_due_and_nothing_else() {
        if !std::path::Path::new(PROGRAM).exists() {
            println!("skipped: mosquitto is not installed");
            return;
        }
        let broker = Broker::start().await;
        let (main, claims) = (broker.settings.listen, broker.settings.claim_listen);
        let tally = Stage { kind: Kind::Mosquitto, main, claims, authority: &broker.authority }.run().await;
        tally.check("mosquitto");
        broker.until_claims_pass().await;
    }

    #[tokio::test]
    async fn a_certificate_is_asked_for_and_names_the_client() {
        let broker = Broker::start().await;
        let main = broker.settings.listen;
        assert!(broker.anonymous(main).connect(Hello::new(NODE)).await.is_err(), "without a certificate");
        let stranger = FleetCa::create("south", UnixTime::now().as_secs()).unwrap();
        let identity = Some(stranger.issue_client(NODE, UnixTime::now().as_secs(), 1).unwrap());
        let foreign = Way { identity, ..broker.anonymous(main) };
        assert!(foreign.connect(Hello::new(NODE)).await.is_err(), "of another authority");
        let mut victim = broker.join(NODE).await;
        assert_eq!(victim.subscribe(&topic(NODE, "d/#")).await, 1);
        // Another node claims to be the victim: it is taken for what its certificate says.
        let mut attacker = broker.certified(OTHER).connect(Hello::new(NODE)).await.unwrap();
        assert!(victim.is_alive().await, "not taken over");
        assert_eq!(attacker.publish(&topic(NODE, "u/report"), b"forged", false).await.unwrap(), NOT_AUTHORIZED);
        assert_eq!(attacker.publish(&topic(OTHER, "u/report"), b"own", false).await.unwrap(), NOBODY_LISTENS);
        let mut again = broker.join(OTHER).await;
        attacker.until_ended().await;
        assert!(again.is_alive().await, "the same certificate is the same client");
    }

    #[tokio::test]
    async fn claims_are_isolated_from_each_other() {
        let broker = Broker::start().await;
        let of = |claim: &str, direction: &str| format!("fl/1/{FLEET}/claim/{claim}/{direction}");
        let mut bridge = broker.join(BRIDGE).await;
        assert_eq!(bridge.subscribe(&of("+", "u")).await, 1);
        let mut one = broker.claim(CLAIM).await.unwrap();
        one.subscribe(&format!("fl/1/{FLEET}/claim/#")).await;
        assert_eq!(one.publish(&of(OTHER_CLAIM, "u"), b"forged", false).await.unwrap(), NOT_AUTHORIZED);
        assert_eq!(one.publish(&topic(NODE, "u/report"), b"forged", false).await.unwrap(), NOT_AUTHORIZED);
        assert_eq!(one.publish(&of(CLAIM, "u"), b"claim", false).await.unwrap(), 0);
        assert_eq!(bridge.message().await, message(&of(CLAIM, "u"), "claim"));
        for claim in [OTHER_CLAIM, CLAIM] {
            assert_eq!(bridge.publish(&of(claim, "d"), b"answer", false).await.unwrap(), 0);
        }
        assert_eq!(one.message().await, message(&of(CLAIM, "d"), "answer"));
        for wild in ["+", "#"] {
            if let Ok(mut client) = broker.claim(wild).await {
                let taken = client.publish(&of(CLAIM, "u"), b"forged", false).await;
                assert!(taken.is_err() || taken.is_ok_and(|reason| reason == NOT_AUTHORIZED), "{wild}");
            }
        }
    }

    #[tokio::test]
    async fn a_stranger_under_the_name_of_another_harms_nobody() {
        let broker = Broker::start().await;
        let mut bridge = broker.join(BRIDGE).await;
        let mut victim = broker.join(NODE).await;
        for name in [NODE, BRIDGE, CLAIM_LINK_NAME] {
            let mut stranger = broker.claim(name).await.unwrap();
            stranger.subscribe("#").await;
            stranger.subscribe(&topic(NODE, "d/#")).await;
            let up = topic(NODE, "u/report");
            assert_eq!(stranger.publish(&up, b"forged", false).await.unwrap(), NOT_AUTHORIZED, "{name}");
            let own = format!("fl/1/{FLEET}/claim/{name}/d");
            for order in [topic(NODE, "d/order"), own.clone()] {
                bridge.publish(&order, b"down", false).await.unwrap();
            }
            assert_eq!(stranger.message().await, message(&own, "down"), "{name}");
        }
        assert!(bridge.is_alive().await, "the bridge is not thrown out");
        assert!(victim.is_alive().await, "the node is not thrown out");
        broker.until_claims_pass().await;
    }

    #[tokio::test]
    async fn the_will_tells_the_bridge_that_a_node_is_gone() {
        let broker = Broker::start().await;
        let mut bridge = broker.join(BRIDGE).await;
        assert_eq!(bridge.subscribe(&format!("fl/1/{FLEET}/+/+/s/online")).await, 1);
        let online = topic(NODE, "s/online");
        let way = broker.certified(NODE);
        let node = way.connect(Hello { will: Some((&online, "0", true)), ..Hello::new(NODE) }).await.unwrap();
        drop(node);
        assert_eq!(bridge.message().await, message(&online, "0"));
        // The will of another node's topic is not delivered.
        let other = broker.certified(OTHER).connect(Hello { will: Some((&online, "forged", true)), ..Hello::new(OTHER) }).await;
        drop(other);
        let mut node = broker.join(NODE).await;
        assert_eq!(node.publish(&online, b"1", true).await.unwrap(), 0);
        assert_eq!(bridge.message().await, message(&online, "1"));
    }
}
