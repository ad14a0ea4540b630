//! The configuration of a Mosquitto that serves a fleet: written here, shipped in `examples`, tried on the real one.
//!
//! The same rules as the embedded broker, as far as Mosquitto can be told, and two processes. All listeners of one Mosquitto
//! share one space of client ids, so a stranger who is let in without a certificate could connect as `flotilla-bridge` and
//! throw the bridge out, again and again. Devices that are not yet nodes therefore get a Mosquitto of their own, which
//! passes their claims on over a connection of its own.
//!
//! What Mosquitto cannot be told is checked again by the bridge and the nodes, which trust no broker: a report under a wrong
//! shard is refused by the bridge, a retained order by the node. `README.md` beside the example lists the differences.

pub mod dynamic_security;

use flotilla_protocol::id::FleetId;
use flotilla_protocol::topic::Topic;
use std::net::SocketAddr;

/// The common name of the certificate with which the claim broker passes claims on. No broker takes it for a bridge's name.
pub const CLAIM_LINK_NAME: &str = "flotilla-claims";

/// Largest packet, as on the embedded broker.
const MAX_PACKET: usize = 128 * 1024;
/// Largest packet of a claim, as on the embedded broker.
const MAX_CLAIM_PACKET: usize = 16 * 1024;
/// Longest keep-alive in seconds, as on the embedded broker.
const MAX_KEEP_ALIVE_S: u16 = 1_800;
/// Longest keep-alive of a claim in seconds. Mosquitto has no limit on the life of a connection; this ends those that fell silent.
const MAX_CLAIM_KEEP_ALIVE_S: u16 = 60;
/// Claims connected at once, as on the embedded broker.
const MAX_CLAIMS: usize = 400;

/// What a configuration depends on.
#[derive(Debug, Clone)]
pub struct MosquittoSettings {
    /// Where nodes and bridges connect. The claim broker connects there too, as `localhost`.
    pub listen: SocketAddr,
    /// Where devices connect to be enrolled.
    pub claim_listen: SocketAddr,
    /// The fleet whose topics are served.
    pub fleet: FleetId,
    /// The absolute folder of the files, without line breaks: those rendered here, `ca.pem`, `server.pem` and `server.key`
    /// (a server certificate that also names `localhost`), `claims.pem` and `claims.key` (a client certificate for
    /// [`CLAIM_LINK_NAME`]).
    pub folder: String,
    /// The user whom Mosquitto becomes when root starts it. It must be able to read the folder.
    pub user: String,
    /// The client id of the claim broker's own end of its link: random, because whoever connects under it cuts the link.
    pub claim_link_id: String,
    /// The file of Mosquitto's dynamic security plugin, by which deregistered nodes are thrown out; without it they are only not heard.
    pub dynamic_security: Option<String>,
}

/// Where Mosquitto's packages put the plugin: below this, in a folder for each architecture.
const LIBRARIES: &str = "/usr/lib";
const PLUGIN: &str = "mosquitto_dynamic_security.so";

/// The dynamic security plugin of this machine, where it is installed.
#[must_use]
pub fn installed_plugin() -> Option<String> {
    let folders = std::fs::read_dir(LIBRARIES).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = folders.map(|folder| folder.join(PLUGIN)).filter(|plugin| plugin.is_file()).collect();
    found.sort();
    found.first()?.to_str().map(str::to_owned)
}

/// The files of the configuration: name in the folder, and text. Two processes use them, `mosquitto -c <folder>/mosquitto.conf`
/// and `mosquitto -c <folder>/claim.conf`. `claim.conf` holds the link's id and is to be readable by Mosquitto only.
#[must_use]
pub fn configuration(settings: &MosquittoSettings) -> Vec<(&'static str, String)> {
    let topics = fleet_prefix(&settings.fleet);
    let mut files = vec![
        ("mosquitto.conf", main_file(settings)),
        ("acl", certified_rules(&topics)),
        ("claim.conf", claim_file(settings, &topics)),
        ("claim.acl", claim_rules(&topics)),
    ];
    if settings.dynamic_security.is_some() {
        files.push(("dynamic-security.json", dynamic_security::EMPTY_STATE.to_owned()));
    }
    files
}

fn main_file(settings: &MosquittoSettings) -> String {
    let MosquittoSettings { listen, folder, user, .. } = settings;
    let (address, port) = (listen.ip(), listen.port());
    let plugin = settings.dynamic_security.as_ref().map(|plugin| {
        format!(
            "\
# Throws deregistered nodes out, as the bridge says. Mosquitto writes its file, which must therefore be its own.
plugin {plugin}
plugin_opt_config_file {folder}/dynamic-security.json
"
        )
    });
    let plugin = plugin.unwrap_or_default();
    format!(
        "\
# Mosquitto 2.0 for a Flotilla fleet. Written by the bridge's `platform/mosquitto.rs`; README.md says how to use it.

user {user}
# Each listener has rules of its own, should one be added.
per_listener_settings true

# The queue of record is the fleet's database: whatever is lost here is sent again, and a file would only slow it down.
persistence false
persistent_client_expiration 1h

# Without this, small packets wait for others: tens of milliseconds for each order.
set_tcp_nodelay true

message_size_limit {MAX_PACKET}
max_packet_size {MAX_PACKET}
max_keepalive {MAX_KEEP_ALIVE_S}
max_inflight_messages 64
max_queued_messages 50000
max_queued_bytes 67108864

log_dest stderr
log_type error
log_type warning
log_type notice

# Nodes and bridges. The name in the client's certificate is its user name and its client id, whatever it says itself.
# Never add a listener without certificates here: its clients could take any client id, the bridge's included.
listener {port} {address}
cafile {folder}/ca.pem
tls_version tlsv1.3
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {folder}/acl
max_qos 1
max_topic_alias 0
{plugin}"
    )
}

fn claim_file(settings: &MosquittoSettings, topics: &str) -> String {
    let MosquittoSettings { listen, claim_listen, folder, user, claim_link_id, .. } = settings;
    let (main_port, address, port) = (listen.port(), claim_listen.ip(), claim_listen.port());
    format!(
        "\
# Mosquitto 2.0 for the devices that are not yet nodes of a Flotilla fleet, in a process of its own. README.md says why.

user {user}
per_listener_settings true
persistence false
persistent_client_expiration 1h
set_tcp_nodelay true
message_size_limit {MAX_CLAIM_PACKET}
max_packet_size {MAX_CLAIM_PACKET}
max_keepalive {MAX_CLAIM_KEEP_ALIVE_S}
max_inflight_messages 16
max_queued_messages 1000

log_dest stderr
log_type error
log_type warning
log_type notice

# Anonymous, and each confined to the topics of its own random client id.
listener {port} {address}
certfile {folder}/server.pem
keyfile {folder}/server.key
allow_anonymous true
allow_zero_length_clientid false
acl_file {folder}/claim.acl
max_connections {MAX_CLAIMS}
max_qos 1
max_topic_alias 0

# Passes claims on to the main broker, and answers back.
connection claims
address localhost:{main_port}
bridge_cafile {folder}/ca.pem
bridge_certfile {folder}/claims.pem
bridge_keyfile {folder}/claims.key
bridge_protocol_version mqttv50
remote_clientid {CLAIM_LINK_NAME}
# Random and secret: whoever connects under it cuts the link.
local_clientid {claim_link_id}
cleansession true
restart_timeout 1 10
keepalive_interval 30
notifications false
topic {topics}claim/+/u out 1
topic {topics}claim/+/d in 1
"
    )
}

fn certified_rules(topics: &str) -> String {
    let control = dynamic_security::CONTROL_TOPIC;
    format!(
        "\
# Who may do what with a certificate. Whatever is not granted is denied.

# The bridge. For each further one add a block with its name.
user flotilla-bridge
topic readwrite {topics}#
topic write {control}

# The claim broker's link.
user {CLAIM_LINK_NAME}
topic write {topics}claim/+/u
topic read {topics}claim/+/d

# Every node, %u being the name in its certificate: it reads its own orders and what is for all, and writes its own reports
# and whether it is online. The level left open is the shard; the bridge refuses a report under a wrong one.
pattern read {topics}+/%u/d/#
pattern read {topics}all/d/#
pattern write {topics}+/%u/u/+
pattern write {topics}+/%u/s/online
"
    )
}

fn claim_rules(topics: &str) -> String {
    format!(
        "\
# What an anonymous device may do, %c being its client id: send its claim and read the answer.
pattern write {topics}claim/%c/u
pattern read {topics}claim/%c/d
"
    )
}

/// The fleet's part of the topic tree, cut out of a topic so that only `protocol` knows the layout.
fn fleet_prefix(fleet: &FleetId) -> String {
    let topic = Topic::AllTrust { fleet: *fleet }.to_string();
    topic.strip_suffix("all/d/trust").unwrap_or(&topic).to_owned()
}

#[cfg(test)]
mod tests;
