//! Which broker a fleet uses, and Mosquitto as the shipped configuration has it: two processes.

use crate::clock;
use crate::process::{self, Child};
use crate::wait;
use flotilla_broker_bridge::platform::mosquitto::{CLAIM_LINK_NAME, MosquittoSettings, configuration, installed_plugin};
use flotilla_broker_bridge::settings::Home;
use flotilla_protocol::id::FleetId;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Debian's package puts it.
const MOSQUITTO: &str = "/usr/sbin/mosquitto";
/// The common name with which a test plays a hostile broker: Mosquitto lets it do anything.
pub const HOSTILE: &str = "hostile";
/// How long Mosquitto may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Which broker carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// The one inside the bridge.
    Embedded,
    /// Debian's Mosquitto with the shipped configuration.
    Mosquitto,
}

/// The two processes of a Mosquitto for a fleet.
#[derive(Debug)]
pub struct Mosquitto {
    folder: PathBuf,
    logs: PathBuf,
    listen: SocketAddr,
    claim_listen: SocketAddr,
    main: Option<Child>,
    claims: Option<Child>,
}

impl Mosquitto {
    /// Writes the configuration and starts both.
    ///
    /// # Panics
    /// When Mosquitto is not installed or does not start.
    #[must_use]
    pub fn start(folder: PathBuf, logs: &Path, home: &Home, fleet: FleetId, listen: SocketAddr, claim_listen: SocketAddr) -> Self {
        assert!(Path::new(MOSQUITTO).exists(), "this test needs Debian's package mosquitto");
        std::fs::create_dir(&folder).expect("the folder of the broker can be made");
        let path = folder.to_str().expect("temporary folders have plain names").to_owned();
        let (user, claim_link_id) = ("root".to_owned(), "5f0c".repeat(8));
        let settings =
            MosquittoSettings { listen, claim_listen, fleet, folder: path, user, claim_link_id, dynamic_security: installed_plugin() };
        let mut files = configuration(&settings);
        for (name, text) in &mut files {
            if *name == "acl" {
                text.push_str(&format!("\nuser {HOSTILE}\ntopic readwrite #\n"));
            }
            // The claim broker looks for the other one on loopback, where it is not when nodes are in a namespace.
            if !listen.ip().is_loopback() {
                *text = text.replace(&format!("address localhost:{}", listen.port()), &format!("address {listen}"));
            }
            write(&folder.join(name), text);
        }
        let mut broker = Self { folder, logs: logs.to_owned(), listen, claim_listen, main: None, claims: None };
        broker.write_certificates(home);
        broker.start_main();
        broker.start_claims();
        broker
    }

    /// Writes the certificates that the home has by now, as the command `mosquitto` does.
    ///
    /// # Panics
    /// When the home has none.
    pub fn write_certificates(&self, home: &Home) {
        let authorities = home.read_authorities().expect("the home has an authority");
        let server = home.read_certificate("broker").expect("the home has a certificate for the broker");
        let link = authorities.current.issue_client(CLAIM_LINK_NAME, clock::unix_ms() / 1000, 1).expect("a certificate can be issued");
        for (name, text) in [
            ("ca.pem", authorities.pem()),
            ("server.pem", server.certificate_pem()),
            ("server.key", server.private_key_pem().to_string()),
            ("claims.pem", link.certificate_pem()),
            ("claims.key", link.private_key_pem().to_string()),
        ] {
            write(&self.folder.join(name), &text);
        }
    }

    /// Stops both and starts them again.
    pub fn restart(&mut self) {
        (self.main, self.claims) = (None, None);
        self.start_main();
        self.start_claims();
    }

    /// Starts the main broker.
    pub fn start_main(&mut self) {
        self.main = Some(self.start_one("mosquitto", "mosquitto.conf", self.listen));
    }

    fn start_claims(&mut self) {
        self.claims = Some(self.start_one("mosquitto-claims", "claim.conf", self.claim_listen));
    }

    fn start_one(&self, name: &str, file: &str, listen: SocketAddr) -> Child {
        let mut command = process::command(Path::new(MOSQUITTO));
        command.arg("-c").arg(self.folder.join(file));
        let mut child = Child::start(name, command, &self.logs.join(format!("{name}.log")));
        wait::until_true(START_LIMIT, &format!("{name} listens on {listen}"), || {
            assert!(child.ended().is_none(), "{name} ended at once");
            TcpStream::connect(listen).is_ok()
        });
        child
    }

    /// Kills the main broker with SIGKILL.
    pub fn kill_main(&mut self) {
        if let Some(main) = &mut self.main {
            main.kill();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}
