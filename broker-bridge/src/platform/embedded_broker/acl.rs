//! Who may subscribe to, publish on and retain what.
//!
//! An identity is the common name of a verified client certificate or, on the claim listener, a claim's random client id.
//! What an identity may do follows from it alone:
//!
//! | identity | subscribe | publish | retain |
//! |---|---|---|---|
//! | bridge | all of the fleet | all of the fleet | `online` of any node; its tenure |
//! | node | its own `d`, the fleet's `all`; each whole or one kind of it | one kind of its own `u`; its `online` | its `online` |
//! | claim | its answer | its claim | nothing |
//!
//! Everything else is refused: other fleets, wrong shards, wildcards in any other place, shared subscriptions, `$SYS`.

use flotilla_protocol::id::{ClaimId, FleetId, NodeId};
use flotilla_protocol::topic::{Topic, UpKind, node_filters};

/// The bridge's common name. Those of further bridges have a `-` and digits after it.
const BRIDGE: &str = "flotilla-bridge";
/// Longest last level of a node's topic. The kinds of today are shorter; a kind of tomorrow passes without a change here.
const MAX_KIND: usize = 32;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Bridge,
    Node(NodeId),
    Claim(ClaimId),
}

impl Identity {
    /// The identity behind a certificate's common name; `None` for names that may do nothing.
    pub(super) fn of_common_name(name: &str) -> Option<Self> {
        match name.strip_prefix(BRIDGE) {
            Some("") => Some(Self::Bridge),
            Some(rest) => {
                let number = rest.strip_prefix('-').filter(|number| !number.is_empty());
                number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())).map(|_| Self::Bridge)
            }
            None => name.parse().ok().map(Self::Node),
        }
    }

    /// The identity behind the client id of an anonymous connection.
    pub(super) fn of_claim(client_id: &str) -> Option<Self> {
        client_id.parse().ok().map(Self::Claim)
    }
}

/// What one identity may do, ready to be asked for every packet.
#[derive(Debug)]
pub(super) struct Permissions {
    fleet: FleetId,
    /// Subscriptions below these: everything (`#`) or one kind.
    subscribe_below: Vec<String>,
    /// Subscriptions to exactly this.
    subscribe: Option<String>,
    /// Publications below this: one kind.
    publish_below: Option<String>,
    /// Publications on exactly this.
    publish: Option<String>,
    /// Everything below this, wildcards included.
    all_below: Option<String>,
    /// The one topic on which a message or a will may be retained; the bridge may on that of every node, and on its tenure.
    retain: Option<String>,
}

impl Permissions {
    pub(super) fn new(fleet: FleetId, identity: &Identity) -> Self {
        let mut permissions =
            Self { fleet, subscribe_below: Vec::new(), subscribe: None, publish_below: None, publish: None, all_below: None, retain: None };
        match *identity {
            Identity::Bridge => permissions.all_below = Some(fleet_prefix(&fleet)),
            Identity::Node(node) => {
                let below = |filter: &String| filter.strip_suffix('#').map(str::to_owned);
                permissions.subscribe_below = node_filters(&fleet, &node).iter().filter_map(below).collect();
                permissions.publish_below = Some(own_reports_prefix(&fleet, &node));
                permissions.publish = Some(Topic::Online { fleet, node }.to_string());
                permissions.retain.clone_from(&permissions.publish);
            }
            Identity::Claim(claim) => {
                permissions.subscribe = Some(Topic::ClaimDown { fleet, claim }.to_string());
                permissions.publish = Some(Topic::ClaimUp { fleet, claim }.to_string());
            }
        }
        permissions
    }

    /// Whether a subscription to this filter is granted.
    pub(super) fn may_subscribe(&self, filter: &str) -> bool {
        let one_kind_or_all = |prefix: &String| filter.strip_prefix(prefix.as_str()).is_some_and(|rest| rest == "#" || is_kind(rest));
        self.is_within_all(filter) || self.subscribe.as_deref() == Some(filter) || self.subscribe_below.iter().any(one_kind_or_all)
    }

    /// Whether a message may be published on this topic, or left as a will for it.
    pub(super) fn may_publish(&self, topic: &str) -> bool {
        if topic.contains(['+', '#']) {
            return false;
        }
        let one_kind = |prefix: &str| topic.strip_prefix(prefix).is_some_and(is_kind);
        self.is_within_all(topic) || self.publish.as_deref() == Some(topic) || self.publish_below.as_deref().is_some_and(one_kind)
    }

    /// Whether a message on this topic may be retained.
    pub(super) fn may_retain(&self, topic: &str) -> bool {
        if self.all_below.is_some() {
            return matches!(topic.parse(), Ok(Topic::Online { fleet, .. } | Topic::Tenure { fleet }) if fleet == self.fleet);
        }
        self.retain.as_deref() == Some(topic)
    }

    /// Whether a connection may leave this will. A node's will says that it is gone and nothing else.
    pub(super) fn may_leave_will(&self, topic: &str, retain: bool) -> bool {
        let allowed = if self.all_below.is_some() { self.may_publish(topic) } else { self.retain.as_deref() == Some(topic) };
        allowed && (!retain || self.may_retain(topic))
    }

    fn is_within_all(&self, topic: &str) -> bool {
        let below = |prefix: &str| topic.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
        self.all_below.as_deref().is_some_and(below)
    }
}

fn is_kind(level: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !level.is_empty() && level.len() <= MAX_KIND && level.bytes().all(letter)
}

/// The fleet's part of the topic tree, cut out of a topic so that only `protocol` knows the layout.
fn fleet_prefix(fleet: &FleetId) -> String {
    before(&Topic::AllTrust { fleet: *fleet }.to_string(), "all/d/trust")
}

fn own_reports_prefix(fleet: &FleetId, node: &NodeId) -> String {
    before(&Topic::Up { fleet: *fleet, node: *node, kind: UpKind::Report }.to_string(), UpKind::Report.as_str())
}

/// The text before this ending; all of it, which then permits less, should the layout ever change.
fn before(topic: &str, ending: &str) -> String {
    topic.strip_suffix(ending).unwrap_or(topic).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::topic::DownKind;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const FLEET: &str = "0123456789abcdef";
    const OWN: &str = "mi-66687aadf862bd776";
    const OTHER: &str = "mi-00000000000000001";
    const CLAIM: &str = "00112233445566778899aabbccddeeff";

    fn permissions(identity: &Identity) -> Permissions {
        Permissions::new(FLEET.parse().unwrap(), identity)
    }

    fn node(text: &str) -> Identity {
        Identity::of_common_name(text).unwrap()
    }

    fn shard(text: &str) -> String {
        format!("{:02x}", text.parse::<NodeId>().unwrap().shard())
    }

    #[test]
    fn identities_are_read_from_names() {
        for (name, expected) in [
            ("flotilla-bridge", Some(Identity::Bridge)),
            ("flotilla-bridge-2", Some(Identity::Bridge)),
            (OWN, Some(Identity::Node(OWN.parse().unwrap()))),
            ("flotilla-bridge-17", Some(Identity::Bridge)),
            (crate::platform::mosquitto::CLAIM_LINK_NAME, None),
            ("flotilla-bridge-", None),
            ("flotilla-bridge-claims", None),
            ("flotilla-bridge-2a", None),
            ("flotilla-bridge--2", None),
            ("flotilla-bridge-٢", None),
            ("flotilla-bridges", None),
            ("flotilla-broker", None),
            ("Flotilla-bridge", None),
            ("mi-66687AADF862BD776", None),
            (CLAIM, None),
            ("", None),
        ] {
            assert_eq!(Identity::of_common_name(name), expected, "{name}");
        }
        assert_eq!(Identity::of_claim(CLAIM), Some(Identity::Claim(CLAIM.parse().unwrap())));
        for name in [OWN, "flotilla-bridge", "", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeef"] {
            assert_eq!(Identity::of_claim(name), None, "{name}");
        }
    }

    /// Every combination of levels that somebody could try, right and wrong ones.
    fn attempts() -> Vec<String> {
        let fleets = [FLEET, "fedcba9876543210", "+", "#", ""];
        let wrong_shard = format!("{:02x}", OWN.parse::<NodeId>().unwrap().shard().wrapping_add(1));
        let shards = [shard(OWN), shard(OTHER), wrong_shard, "+".into(), "all".into(), "claim".into(), "0".into()];
        let nodes = [OWN, OTHER, "+", "#", CLAIM, "d"];
        let directions = ["d", "u", "s", "+", "#", "x"];
        let kinds = ["order", "report", "online", "+", "#", "", "trust", "order/more", "ORDER"];
        let mut all = vec!["#".into(), "+".into(), String::new(), "fl".into(), "fl/1".into(), "$SYS/#".into(), "/".into()];
        for fleet in fleets {
            all.push(format!("fl/1/{fleet}"));
            all.push(format!("fl/1/{fleet}/all/d/#"));
            all.push(format!("fl/1/{fleet}/all/d/trust"));
            all.push(format!("fl/1/{fleet}/all/u/trust"));
            all.push(format!("fl/1/{fleet}/claim/{CLAIM}/u"));
            all.push(format!("fl/1/{fleet}/claim/{CLAIM}/d"));
            all.push(format!("fl/1/{fleet}/claim/+/d"));
            all.push(format!("fl/1/{fleet}/bridge/s/tenure"));
            for shard in &shards {
                for node in nodes {
                    for direction in directions {
                        all.push(format!("fl/1/{fleet}/{shard}/{node}/{direction}"));
                        all.extend(kinds.iter().map(|kind| format!("fl/1/{fleet}/{shard}/{node}/{direction}/{kind}")));
                    }
                }
            }
        }
        let shared: Vec<String> = all.iter().map(|topic| format!("$share/group/{topic}")).collect();
        let later: Vec<String> = all.iter().map(|topic| topic.replacen("fl/1", "fl/2", 1)).filter(|topic| topic.contains("fl/2")).collect();
        all.extend(shared);
        all.extend(later);
        all
    }

    fn granted(allows: impl Fn(&str) -> bool) -> BTreeSet<String> {
        attempts().into_iter().filter(|topic| allows(topic)).collect()
    }

    fn set(topics: &[String]) -> BTreeSet<String> {
        topics.iter().cloned().collect()
    }

    #[test]
    fn of_all_attempts_a_node_is_granted_exactly_its_own() {
        assert!(attempts().len() > 10_000);
        let own = format!("fl/1/{FLEET}/{}/{OWN}", shard(OWN));
        let all = format!("fl/1/{FLEET}/all/d");
        let permissions = permissions(&node(OWN));
        let kinds = ["order", "report", "online", "trust", "#"];
        let mut filters: Vec<String> = kinds.iter().map(|kind| format!("{own}/d/{kind}")).collect();
        // The last four come from combinations in which `d` stands where a node would: kinds that do not exist yet.
        filters.extend(["#", "trust", "d", "u", "s", "x"].iter().map(|kind| format!("{all}/{kind}")));
        assert_eq!(granted(|topic| permissions.may_subscribe(topic)), set(&filters));
        let mut topics: Vec<String> = ["order", "report", "online", "trust"].iter().map(|kind| format!("{own}/u/{kind}")).collect();
        topics.push(format!("{own}/s/online"));
        assert_eq!(granted(|topic| permissions.may_publish(topic)), set(&topics));
        let online = set(&[format!("{own}/s/online")]);
        assert_eq!(granted(|topic| permissions.may_retain(topic)), online);
        assert_eq!(granted(|topic| permissions.may_leave_will(topic, true)), online);
        assert_eq!(granted(|topic| permissions.may_leave_will(topic, false)), online);
    }

    #[test]
    fn of_all_attempts_a_claim_is_granted_its_two_topics() {
        let permissions = permissions(&Identity::of_claim(CLAIM).unwrap());
        assert_eq!(granted(|topic| permissions.may_subscribe(topic)), set(&[format!("fl/1/{FLEET}/claim/{CLAIM}/d")]));
        assert_eq!(granted(|topic| permissions.may_publish(topic)), set(&[format!("fl/1/{FLEET}/claim/{CLAIM}/u")]));
        assert_eq!(granted(|topic| permissions.may_retain(topic)), set(&[]));
        assert_eq!(granted(|topic| permissions.may_leave_will(topic, false)), set(&[]));
    }

    #[test]
    fn the_bridge_has_its_fleet_and_no_other() {
        let permissions = permissions(&Identity::Bridge);
        let ours = format!("fl/1/{FLEET}/");
        let within = |topic: &str| topic.starts_with(&ours) && topic.len() > ours.len();
        for topic in attempts() {
            assert_eq!(permissions.may_subscribe(&topic), within(&topic), "{topic}");
            assert_eq!(permissions.may_publish(&topic), within(&topic) && !topic.contains(['+', '#']), "{topic}");
        }
        let online = |node: &str| format!("fl/1/{FLEET}/{}/{node}/s/online", shard(node));
        assert_eq!(granted(|topic| permissions.may_retain(topic)), set(&[online(OWN), online(OTHER), format!("{ours}bridge/s/tenure")]));
    }

    #[test]
    fn the_filters_that_protocol_names_are_granted() {
        let fleet: FleetId = FLEET.parse().unwrap();
        let own: NodeId = OWN.parse().unwrap();
        let permissions = permissions(&node(OWN));
        assert!(node_filters(&fleet, &own).iter().all(|filter| permissions.may_subscribe(filter)));
        for kind in DownKind::ALL {
            assert!(permissions.may_subscribe(&Topic::Down { fleet, node: own, kind: *kind }.to_string()));
        }
        for kind in UpKind::ALL {
            assert!(permissions.may_publish(&Topic::Up { fleet, node: own, kind: *kind }.to_string()));
        }
    }

    proptest! {
        #[test]
        fn no_text_beyond_the_own_prefixes_is_granted_to_a_node(text in "\\PC{0,80}") {
            let permissions = permissions(&node(OWN));
            let own = format!("fl/1/{FLEET}/{}/{OWN}/", shard(OWN));
            let all = format!("fl/1/{FLEET}/all/d/");
            prop_assert!(!permissions.may_publish(&text) || text.starts_with(&own));
            prop_assert!(!permissions.may_subscribe(&text) || text.starts_with(&own) || text.starts_with(&all));
            for tail in [format!("{own}d/{text}"), format!("{all}{text}")] {
                prop_assert_eq!(permissions.may_subscribe(&tail), text == "#" || is_kind(&text));
            }
        }
    }
}
