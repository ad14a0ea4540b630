//! A fleet: its home, bridge, broker and nodes.

use crate::broker::{Broker, Mosquitto};
use crate::node::Node;
use crate::ports::Port;
use crate::process::{self, Child, binary};
use crate::proxy::Proxy;
use crate::wait;
use flotilla_api::client::{Client, ClientSettings};
use flotilla_api::nodes::DescribeInstanceInformationRequest;
use flotilla_broker_bridge::settings::Home;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::FleetId;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;

/// How long a bridge may take to answer, and a node to be online: nodes spread their reconnection over a minute, and several fleets start
/// at once on two cores.
pub const START_LIMIT: Duration = Duration::from_secs(120);

/// A fleet of real processes. All of them are gone when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// The Mosquitto, where the fleet uses one.
    pub mosquitto: Option<Mosquitto>,
    /// The operators' client.
    pub client: Client,
    bridge: Option<Child>,
    broker: Broker,
    home: Home,
    ports: [Port; 3],
    folder: TempDir,
    surroundings: Surroundings,
    /// What stands before the broker, where anything does.
    pub proxy: Option<Proxy>,
}

/// What is between a fleet's nodes and its broker.
#[derive(Debug, Default)]
struct Surroundings {
    /// The broker's address instead of loopback.
    address: Option<IpAddr>,
    /// What stands before the program of a node.
    enter: Vec<String>,
    /// The port on which nodes are to find the broker instead of its own.
    proxy_port: Option<Port>,
}

impl Fleet {
    /// Makes a fleet without nodes and waits until its API answers.
    ///
    /// # Panics
    /// When it does not come up; the bridge's words are in the message or the log.
    #[must_use]
    pub fn start(broker: Broker) -> Self {
        Self::start_at(broker, None)
    }

    /// As [`Fleet::start`], with its broker on an address of this machine other than loopback, and its nodes started through `enter`: for
    /// nodes in a network namespace.
    ///
    /// # Panics
    /// As [`Fleet::start`].
    #[must_use]
    pub fn start_across(broker: Broker, address: IpAddr, enter: Vec<String>) -> Self {
        Self::start_with(broker, None, Surroundings { address: Some(address), enter, ..Surroundings::default() })
    }

    /// As [`Fleet::start`]; nodes (and with Mosquitto the bridge) are told that the broker is on another port, where a proxy listens.
    ///
    /// # Panics
    /// As [`Fleet::start`].
    #[must_use]
    pub fn start_behind(broker: Broker, make_proxy: impl FnOnce(&Home, SocketAddr, SocketAddr) -> Proxy) -> Self {
        let port = Port::free();
        let mut fleet = Self::start_with(broker, None, Surroundings { proxy_port: Some(port), ..Surroundings::default() });
        let [_, behind, _] = fleet.addresses();
        let before = fleet.surroundings.proxy_port.as_ref().map(Port::address).expect("it was given");
        fleet.proxy = Some(make_proxy(&fleet.home, before, behind));
        fleet
    }

    /// As [`Fleet::start`], with the bridge's home at a path, such as one on a disk of its own. It must be there until the fleet is dropped.
    ///
    /// # Panics
    /// As [`Fleet::start`].
    #[must_use]
    pub fn start_at(broker: Broker, home: Option<&Path>) -> Self {
        Self::start_with(broker, home, Surroundings::default())
    }

    fn start_with(broker: Broker, home: Option<&Path>, surroundings: Surroundings) -> Self {
        let folder = tempfile::Builder::new().prefix("flotilla-").tempdir().expect("a temporary folder can be made");
        let ports = [(); 3].map(|()| Port::free());
        for name in ["logs", "nodes"] {
            std::fs::create_dir(folder.path().join(name)).expect("folders can be made");
        }
        let home = home.map_or_else(|| Home::new(&folder.path().join("home")), Home::new);
        init(&home, &addresses(&ports, &surroundings));
        let client = new_client(&home);
        let mut fleet =
            Self { nodes: Vec::new(), mosquitto: None, client, bridge: None, broker, home, ports, folder, surroundings, proxy: None };
        if broker == Broker::Mosquitto {
            let [_, listen, claim_listen] = fleet.addresses();
            let place = fleet.folder.path().join("broker");
            fleet.mosquitto = Some(Mosquitto::start(place, &fleet.logs(), &fleet.home, fleet.id(), listen, claim_listen));
        }
        fleet.start_bridge();
        fleet
    }

    /// As [`Fleet::start`], with so many registered nodes that are online.
    #[must_use]
    pub fn with_nodes(broker: Broker, count: usize) -> Self {
        let mut fleet = Self::start(broker);
        fleet.add_nodes(count);
        fleet
    }

    /// Starts the bridge and waits until its API answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_bridge(&mut self) {
        let mut command = process::command(&binary("flotilla-bridge"));
        command.arg("run").arg("--home").arg(self.home.path());
        if self.broker == Broker::Mosquitto {
            command.env("FLOTILLA_BRIDGE__BROKER__MODE", "external").env("FLOTILLA_BRIDGE__BROKER__DYNAMIC_SECURITY", "true");
        }
        if let Some(port) = &self.surroundings.proxy_port {
            command.env("FLOTILLA_BRIDGE__BROKER__ADDRESS", port.address().to_string());
            // What a proxy loses is sent again soon, or a test would wait and do nothing else.
            command.env("FLOTILLA_BRIDGE__LIMITS__RESEND_MINIMUM_S", "1").env("FLOTILLA_BRIDGE__LIMITS__RESEND_MAXIMUM_S", "4");
        }
        let log = self.logs().join("bridge.log");
        let mut bridge = Child::start("flotilla-bridge", command, &log);
        wait::until_true(START_LIMIT, "the API answers", || {
            assert!(bridge.ended().is_none(), "the bridge ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            self.client.call(&DescribeInstanceInformationRequest::default()).is_ok()
        });
        self.bridge = Some(bridge);
    }

    /// How the bridge ended, if it has.
    pub fn bridge_ended(&mut self) -> Option<ExitStatus> {
        self.bridge.as_mut().and_then(Child::ended)
    }

    /// A copy of the bridge's home, as a backup is made: the bridge must be stopped.
    #[must_use]
    pub fn copy_home(&self, name: &str) -> Home {
        let copy = self.folder.path().join(name);
        process::copy_folder(self.home.path(), &copy);
        Home::new(&copy)
    }

    /// Puts the database of a backup in the place of the bridge's, which must be stopped.
    ///
    /// # Panics
    /// When files cannot be removed.
    pub fn restore_database(&self, backup: &Home) {
        let database = self.home.database();
        for ending in ["", "-wal", "-shm"] {
            let mut path = database.clone().into_os_string();
            path.push(ending);
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("the database cannot be removed: {error}"),
                _ => {}
            }
        }
        process::copy_folder(&backup.database(), &database);
    }

    /// A client of a bridge on a copy of this fleet's home.
    ///
    /// # Panics
    /// When the home names no endpoint.
    #[must_use]
    pub fn client_at(&self, listen: SocketAddr) -> Client {
        let mut settings = ClientSettings::from_operator_env(&self.home.operator_environment()).expect("init writes operator.env");
        settings.endpoint = format!("http://{listen}");
        Client::new(settings).expect("the endpoint is an address")
    }

    /// Starts a further bridge on any home, with its API at `listen` and the log `name.log`; waits for nothing.
    #[must_use]
    pub fn further_bridge(&self, home: &Home, listen: SocketAddr, name: &str) -> Child {
        let mut command = process::command(&binary("flotilla-bridge"));
        command.arg("run").arg("--home").arg(home.path()).env("FLOTILLA_BRIDGE__API__LISTEN", listen.to_string());
        if self.broker == Broker::Mosquitto {
            command.env("FLOTILLA_BRIDGE__BROKER__MODE", "external");
        }
        Child::start(name, command, &self.logs().join(format!("{name}.log")))
    }

    /// Kills the bridge with SIGKILL.
    pub fn kill_bridge(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            bridge.kill();
        }
    }

    /// Stops the bridge where it is, as a power cut does: it says nothing more. To be killed then.
    pub fn freeze_bridge(&self) {
        if let Some(bridge) = &self.bridge {
            process::freeze(bridge.pid());
        }
    }

    /// Lets a bridge that [`Fleet::freeze_bridge`] has stopped go on.
    pub fn thaw_bridge(&self) {
        if let Some(bridge) = &self.bridge {
            process::signal(bridge.pid(), Signal::SIGCONT);
        }
    }

    /// Asks the bridge to stop and waits for it.
    pub fn stop_bridge(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            bridge.stop();
        }
    }

    /// What the bridge holds in memory now, and held at most.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn bridge_memory(&self) -> process::Memory {
        process::memory(self.bridge.as_ref().expect("the bridge was started").pid())
    }

    /// Registers and starts so many nodes with one activation, and waits until all are online.
    pub fn add_nodes(&mut self, count: usize) {
        let limit = i32::try_from(count).expect("few nodes");
        let activation = self.activation(limit);
        for _ in 0..count {
            let node = self.new_node();
            node.register(&activation);
            self.nodes.push(node);
        }
        self.nodes.iter_mut().for_each(Node::start);
        self.await_online();
    }

    /// The folder and settings of a further node, which is neither registered nor part of the fleet's list.
    #[must_use]
    pub fn new_node(&self) -> Node {
        self.new_node_of(&binary("flotilla-agent"), &self.surroundings.enter)
    }

    /// As [`Fleet::new_node`], of another agent than the one that cargo built, with something else before it.
    #[must_use]
    pub fn new_node_of(&self, agent: &Path, enter: &[String]) -> Node {
        let parent = self.folder.path().join("nodes");
        let number = std::fs::read_dir(&parent).map_or(0, Iterator::count);
        let program = enter.iter().map(OsString::from).chain([agent.as_os_str().to_owned()]).collect();
        Node::new(&parent.join(format!("n{number}")), &self.logs().join(format!("node-{number}.log")), program)
    }

    /// Waits until every node of the list is online.
    pub fn await_online(&self) {
        let wanted: Vec<String> = self.node_ids();
        wait::until_true(START_LIMIT, "all nodes are online", || {
            let online = self.online();
            wanted.iter().all(|id| online.contains(id))
        });
    }

    /// The ids of the fleet's nodes.
    #[must_use]
    pub fn node_ids(&self) -> Vec<String> {
        self.nodes.iter().map(Node::id).collect()
    }

    /// The fleet's id: the first bytes of the hash of trust bundle 1.
    ///
    /// # Panics
    /// When the home has no trust.
    #[must_use]
    pub fn id(&self) -> FleetId {
        let first = std::fs::read(self.home.bundle(1)).expect("the home has trust bundle 1");
        let envelope = Envelope::parse(&first, Domain::Trust).expect("init writes envelopes");
        FleetId::of_root_hash(&flotilla_protocol::sha256(&[envelope.body()]))
    }

    /// The bridge's home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the API, the broker and its claim listener listen.
    #[must_use]
    pub fn addresses(&self) -> [SocketAddr; 3] {
        addresses(&self.ports, &self.surroundings)
    }

    /// A further client of the operators, for another thread.
    ///
    /// # Panics
    /// When the home cannot be read.
    #[must_use]
    pub fn another_client(&self) -> Client {
        new_client(&self.home)
    }

    /// The folder of the logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// What the bridge has logged so far.
    #[must_use]
    pub fn bridge_log(&self) -> String {
        std::fs::read_to_string(self.logs().join("bridge.log")).unwrap_or_default()
    }
}

fn new_client(home: &Home) -> Client {
    let settings = ClientSettings::from_operator_env(&home.operator_environment()).expect("init writes operator.env");
    Client::new(settings).expect("operator.env names an endpoint")
}

fn addresses(ports: &[Port; 3], surroundings: &Surroundings) -> [SocketAddr; 3] {
    let of_nodes = |port: &Port| surroundings.address.map_or_else(|| port.address(), |address| (address, port.address().port()).into());
    let [api, broker, claim] = ports;
    [api.address(), of_nodes(broker), of_nodes(claim)]
}

fn init(home: &Home, addresses: &[SocketAddr; 3]) {
    let [api, broker, claim] = addresses.map(|address| address.to_string());
    let mut command = process::command(&binary("flotilla-bridge"));
    command.args(["init", "--name", "test", "--api-listen", &api, "--broker-listen", &broker, "--claim-listen", &claim, "--home"]);
    command.arg(home.path());
    let output = process::output(command);
    assert!(output.status.success(), "init failed: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            process::print_logs(&self.logs());
        }
        self.nodes.clear();
        self.bridge = None;
        self.mosquitto = None;
        process::kill_all_of(self.folder.path());
    }
}
