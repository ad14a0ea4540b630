//! Throws revoked nodes out of a Mosquitto, by its dynamic security plugin.
//!
//! Mosquitto asks the plugin nothing about a client that has proved itself with a certificate, and asks the file of rules before it, so to
//! disable a client ends its connection and does not keep it away (tried on 2.0.11). Therefore a node that is heard of again is thrown out
//! again: see docs/decisions/0019.

use crate::platform::mqtt::Publisher;
use crate::platform::revocation::Revocations;
use flotilla_protocol::id::NodeId;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Where the plugin takes commands.
pub const CONTROL_TOPIC: &str = "$CONTROL/dynamic-security/v1";
/// What the plugin begins with: it knows nobody, and leaves everything to the file of rules.
pub const EMPTY_STATE: &str = "{\"clients\":[],\"groups\":[],\"roles\":[]}\n";
/// Pause between two commands. A node that is thrown out comes back at once, as long as it is let in.
const PAUSE: Duration = Duration::from_millis(20);

/// Has every node thrown out that is revoked or heard of after that, as long as the future lives; `is_possible` says whether there is
/// somebody to do it.
pub async fn run(revocations: Arc<Revocations>, publisher: Publisher, is_possible: bool) {
    loop {
        let node = revocations.next().await;
        if !is_possible {
            continue;
        }
        loop {
            publisher.until_connected().await;
            if publisher.tell_broker(CONTROL_TOPIC, disable(node)).await {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::debug!(%node, "the broker is told to end its connection");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The first of the two does nothing for a client that is known already.
fn disable(node: NodeId) -> Vec<u8> {
    let name = node.to_string();
    let commands = json!([{ "command": "createClient", "username": name }, { "command": "disableClient", "username": name }]);
    json!({ "commands": commands }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn the_broker_is_told_of_each_revoked_node() {
        let (sender, mut sent) = mpsc::channel(4);
        let revocations = Arc::new(Revocations::default());
        let running = tokio::spawn(run(Arc::clone(&revocations), Publisher::into_channel(&sender), true));
        let node = NodeId::of_key(&[1; 32]);
        revocations.revoke(node);
        let told = sent.recv().await.unwrap();
        assert_eq!(told.topic, CONTROL_TOPIC);
        let text = String::from_utf8(told.payload.to_vec()).unwrap();
        assert!(text.contains("disableClient") && text.contains(&node.to_string()), "{text}");
        running.abort();
    }
}
