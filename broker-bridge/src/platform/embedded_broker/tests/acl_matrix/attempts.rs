//! The list: who attempts what, and what each is due.

use flotilla_protocol::id::{ClaimId, FleetId, NodeId};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};

pub(super) const FLEET: &str = "0123456789abcdef";
const OTHER_FLEET: &str = "fedcba9876543210";
pub(super) const CLAIM: &str = "00112233445566778899aabbccddeeff";
const OTHER_CLAIM: &str = "ffeeddccbbaa99887766554433221100";
const NODES: [&str; 2] = ["mi-66687aadf862bd776", "mi-00000000000000001"];
/// Names close to the bridge's, in certificates of the fleet's own authority.
const WRONG_NAMES: [&str; 2] = ["flotilla-bridges", "Flotilla-bridge"];
/// Where Mosquitto's plugin takes its orders.
const CONTROL: &str = crate::platform::mosquitto::dynamic_security::CONTROL_TOPIC;

/// Who attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// With the certificate of this node.
    Node(&'static str),
    /// On the claim listener.
    Claim,
    /// With a certificate of the fleet's authority for a name that is nobody's.
    WrongName(&'static str),
    /// On the main listener, without a certificate, as this client id.
    NoCertificate(&'static str),
    /// With a certificate of another fleet's authority for this name.
    OtherFleet(&'static str),
}

impl Who {
    /// The name in the certificate, or the claim's client id.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claim => CLAIM,
            Self::Node(name) | Self::WrongName(name) | Self::NoCertificate(name) | Self::OtherFleet(name) => name,
        }
    }
}

/// What is attempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Publish {
        topic: String,
        retain: bool,
    },
    Will {
        topic: String,
        retain: bool,
    },
    /// The bridge publishes on `probe`, which the filter covers. None where the bridge itself may not.
    Subscribe {
        filter: String,
        probe: Option<String>,
    },
}

/// What an attempt is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Granted,
    Refused,
    /// Refused by the embedded broker. Mosquitto cannot be told, and lets it pass, as its `README.md` says: a form of the
    /// sender's own topic, or what the subscriber may hear anyway, by another filter. Nobody else's is among them.
    MosquittoPasses,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) who: Who,
    pub(super) what: What,
    pub(super) due: Due,
}

use Due::{Granted, MosquittoPasses, Refused};

pub(super) fn shard(node: &str) -> String {
    format!("{:02x}", node.parse::<NodeId>().unwrap().shard())
}

/// A node's topics up to its name, under its own shard.
pub(super) fn tree(node: &str) -> String {
    format!("fl/1/{FLEET}/{}/{node}", shard(node))
}

fn wrong_shard(node: &str) -> String {
    format!("{:02x}", node.parse::<NodeId>().unwrap().shard().wrapping_add(1))
}

fn fleet(rest: &str) -> String {
    format!("fl/1/{FLEET}/{rest}")
}

/// Everything that a test tries, on each broker.
pub(super) fn attempts() -> Vec<Attempt> {
    let mut all = Vec::new();
    for (own, other) in [(NODES[0], NODES[1]), (NODES[1], NODES[0])] {
        of_a_node(&mut all, own, other);
    }
    of_a_claim(&mut all);
    for name in WRONG_NAMES {
        of_a_stranger(&mut all, Who::WrongName(name));
    }
    for name in [NODES[0], "flotilla-bridge"] {
        of_a_stranger(&mut all, Who::NoCertificate(name));
        of_a_stranger(&mut all, Who::OtherFleet(name));
    }
    all
}

/// Forms of a topic below a node's name, and what its owner is due for them.
fn below_a_node() -> Vec<(String, Due)> {
    let mut rests: Vec<(String, Due)> = UpKind::ALL.iter().map(|kind| (format!("/u/{}", kind.as_str()), Granted)).collect();
    rests.extend(DownKind::ALL.iter().map(|kind| (format!("/d/{}", kind.as_str()), Refused)));
    rests.push(("/s/online".to_owned(), Granted));
    for refused in [
        "",
        "/",
        "/u",
        "/s",
        "/d",
        "/d/",
        "/s/",
        "//u/report",
        "/u//report",
        "/u/report/",
        "/u/report/more",
        "/u/report//",
        "/s/offline",
        "/s/ONLINE",
        "/s/online/",
        "/s/online/more",
        "/x/report",
        "/U/report",
        "/S/online",
        "/D/order",
        "/ u/report",
        "/u /report",
        "/report",
        "/online",
        "/u/../d/order",
        "/u/+",
        "/u/#",
        "/+/report",
        "/s/+",
        "/#",
        "/u/\0",
        "/u%2freport",
        "/u\\report",
    ] {
        rests.push((refused.to_owned(), Refused));
    }
    // One level below its own `u`, but no kind: the bridge reads none of them.
    for odd in ["/u/", "/u/REPORT", "/u/re port", "/u/rapport-ü", "/u/a.b", "/u/$SYS", "/u/..", "/u/abcdefghijklmnopqrstuvwxyz0123456"] {
        rests.push((odd.to_owned(), MosquittoPasses));
    }
    rests
}

/// Topics that are nobody's but the bridge's, or no topic of the fleet at all.
fn beyond(own: &str, other: &str) -> Vec<String> {
    let (own_tree, own_shard, other_shard) = (tree(own), shard(own), shard(other));
    let mut topics: Vec<String> = [
        "all/d/trust",
        "all/d/order",
        "all/u/report",
        "all/s/online",
        "all/d",
        "all",
        "bridge/s/tenure",
        "bridge/s/online",
        "bridge/u/report",
        "bridge/d/order",
        "bridge",
        "claim",
        "",
        "/",
    ]
    .map(fleet)
    .into();
    for claim in [CLAIM, OTHER_CLAIM] {
        topics.extend(["u", "d", "s", "u/more", "d/more", ""].map(|rest| fleet(&format!("claim/{claim}/{rest}"))));
    }
    topics.extend(["u", "d", "d/order"].map(|rest| fleet(&format!("claim/{own}/{rest}"))));
    topics.extend([
        format!("fl/1/{OTHER_FLEET}/{own_shard}/{own}/u/report"),
        format!("fl/1/{OTHER_FLEET}/{own_shard}/{own}/s/online"),
        format!("fl/1/{OTHER_FLEET}/{other_shard}/{other}/u/report"),
        format!("fl/1/{OTHER_FLEET}/all/d/trust"),
        format!("fl/1/{OTHER_FLEET}/bridge/s/tenure"),
        format!("fl/1/{}/{own_shard}/{own}/u/report", FLEET.to_uppercase()),
        format!("fl/2/{FLEET}/{own_shard}/{own}/u/report"),
        format!("fl/{FLEET}/{own_shard}/{own}/u/report"),
        format!("FL/1/{FLEET}/{own_shard}/{own}/u/report"),
        format!("fl/1/{FLEET}/{own}/u/report"),
        format!("fl/1/{FLEET}/{own_shard}/{own_shard}/{own}/u/report"),
        format!("fl/1/{FLEET}/{own_shard}/{own}/{own}/u/report"),
        format!("fl/1/{FLEET}/{own_shard}/{other}/{own}/u/report"),
        format!("fl/1/{FLEET}/{own_shard}/{own}{other}/u/report"),
        format!("fl/1/{FLEET}/{own_shard}/{}/u/report", own.to_uppercase()),
        format!("fl/1/{FLEET}/{own_shard}/ {own}/u/report"),
        format!("fl/1/{FLEET}/+/{own}/u/report"),
        format!("fl/1/+/{own_shard}/{own}/u/report"),
        format!("/{own_tree}/u/report"),
        format!(" {own_tree}/u/report"),
        format!("x/{own_tree}/u/report"),
        format!("$share/group/{own_tree}/u/report"),
        format!("$SYS/{own_tree}/u/report"),
        format!("fl/1/{FLEET}/{}/{other}/u/report", wrong_shard(other)),
        format!("fl/1/{FLEET}/{}/{own}/d/order", wrong_shard(own)),
        format!("fl/1/{FLEET}/{}/{own}/u/report/more", wrong_shard(own)),
    ]);
    topics.extend(
        [CONTROL, "$CONTROL/x", "$SYS/broker/uptime", "$SYS", "$queue/x", "fl", "fl/1", "x", "/", "//", "#", "+", ""].map(str::to_owned),
    );
    topics
}

fn of_a_node(all: &mut Vec<Attempt>, own: &'static str, other: &str) {
    let who = Who::Node(own);
    let mut topics: Vec<(String, Due)> = below_a_node().into_iter().map(|(rest, due)| (tree(own) + &rest, due)).collect();
    topics.extend(below_a_node().into_iter().map(|(rest, _)| (tree(other) + &rest, Refused)));
    topics.extend(beyond(own, other).into_iter().map(|topic| (topic, Refused)));
    for shard in
        [wrong_shard(own), "all".into(), "claim".into(), "bridge".into(), "0".into(), shard(own).to_uppercase() + "x", String::new()]
    {
        topics.extend(["u/report", "s/online"].map(|rest| (fleet(&format!("{shard}/{own}/{rest}")), MosquittoPasses)));
    }
    let online = tree(own) + "/s/online";
    for (topic, due) in topics {
        // Retained and as a will only `online` is granted; Mosquitto judges both as it judges the topic.
        let rare = if due == Granted && topic != online { MosquittoPasses } else { due };
        all.push(Attempt { who, what: What::Publish { topic: topic.clone(), retain: false }, due });
        all.push(Attempt { who, what: What::Publish { topic: topic.clone(), retain: true }, due: rare });
        // A will on a topic that is none makes the packet unreadable, which the publications have shown already.
        if !topic.contains(['+', '#', '\0']) && !topic.is_empty() && all.len().is_multiple_of(3) || topic == online {
            all.push(Attempt { who, what: What::Will { topic, retain: true }, due: rare });
        }
    }
    for (filter, probe, due) in filters_of_a_node(own, other) {
        all.push(Attempt { who, what: What::Subscribe { filter, probe }, due });
    }
}

fn filters_of_a_node(own: &str, other: &str) -> Vec<(String, Option<String>, Due)> {
    let (mine, theirs) = (tree(own), tree(other));
    let (my_order, their_order, their_report) = (format!("{mine}/d/order"), format!("{theirs}/d/order"), format!("{theirs}/u/report"));
    let (trust, tenure) = (fleet("all/d/trust"), fleet("bridge/s/tenure"));
    let (claim_up, claim_down) = (fleet(&format!("claim/{OTHER_CLAIM}/u")), fleet(&format!("claim/{OTHER_CLAIM}/d")));
    let mut filters = Vec::new();
    let mut add = |filter: &str, probe: &str, due| filters.push((filter.to_owned(), Some(probe.to_owned()), due));
    for kind in DownKind::ALL {
        let topic = format!("{mine}/d/{}", kind.as_str());
        add(&topic, &topic, Granted);
        let topic = format!("{theirs}/d/{}", kind.as_str());
        add(&topic, &topic, Refused);
    }
    for kind in UpKind::ALL {
        for tree in [&mine, &theirs] {
            let topic = format!("{tree}/u/{}", kind.as_str());
            add(&topic, &topic, Refused);
        }
    }
    add(&format!("{mine}/d/#"), &my_order, Granted);
    add(&fleet("all/d/#"), &trust, Granted);
    add(&trust, &trust, Granted);
    // Wide filters, each with what must not come through it.
    for wide in ["#", "+/#", "fl/#", "fl/1/#", "fl/+/+/#", "$share/group/#", "$share/g/fl/1/#"] {
        for probe in [&their_order, &their_report, &tenure, &claim_up, &claim_down] {
            add(wide, probe, Refused);
        }
    }
    for wide in ["#", "+/#", "+/+/#", "+/+/+/#"] {
        for probe in [&their_order, &their_report, &tenure, &claim_down] {
            add(&fleet(wide), probe, Refused);
        }
    }
    for rest in ["+/+/d/#", "+/+/d/+", "+/+/+/+", "+/+/d/order", &format!("{}/#", shard(other)), &format!("{}/+/d/#", shard(other))] {
        add(&fleet(rest), &their_order, Refused);
    }
    for rest in ["+/+/u/#", "+/+/u/+", "+/+/u/report", &format!("{}/+/u/#", shard(other)), &format!("+/{other}/u/#")] {
        add(&fleet(rest), &their_report, Refused);
        add(&format!("$share/group/{}", fleet(rest)), &their_report, Refused);
    }
    for tree in [&mine, &theirs] {
        for rest in ["s/online", "s/#", "s/+", "+/online", "#"] {
            add(&format!("{tree}/{rest}"), &format!("{tree}/s/online"), Refused);
        }
        for rest in ["u/#", "u/+", "+/report", "+/+", "+/#", "#"] {
            add(&format!("{tree}/{rest}"), &format!("{tree}/u/report"), Refused);
        }
    }
    for rest in ["d/#", "d/+", "+/order", "+/+", "+/#", "#"] {
        add(&format!("{theirs}/{rest}"), &their_order, Refused);
        add(&format!("$share/group/{theirs}/{rest}"), &their_order, Refused);
    }
    for rest in ["bridge/s/tenure", "bridge/#", "bridge/+/+", "+/s/tenure", "+/+/tenure", "+/s/#"] {
        add(&fleet(rest), &tenure, Refused);
    }
    for rest in
        [format!("claim/{OTHER_CLAIM}/u"), format!("claim/{OTHER_CLAIM}/#"), "claim/+/u".into(), "claim/+/+".into(), "claim/#".into()]
    {
        add(&fleet(&rest), &claim_up, Refused);
    }
    for rest in [format!("claim/{OTHER_CLAIM}/d"), format!("claim/{OTHER_CLAIM}/+"), "claim/+/d".into(), "claim/+/#".into()] {
        add(&fleet(&rest), &claim_down, Refused);
    }
    for rest in ["all/u/report", "all/s/online", "all/x", "all/d"] {
        add(&fleet(rest), &fleet(rest), if rest == "all/d" { MosquittoPasses } else { Refused });
    }
    // Its own orders by filters that it need not use: the embedded broker knows none of them.
    for filter in [format!("{mine}/d/+"), format!("$share/group/{mine}/d/#"), fleet(&format!("+/{own}/d/#")), fleet("#"), "#".into()] {
        add(&filter, &my_order, MosquittoPasses);
    }
    for (filter, probe) in [
        (format!("{mine}/d/order/more"), format!("{mine}/d/order/more")),
        (format!("{mine}/d/ORDER"), format!("{mine}/d/ORDER")),
        (format!("{mine}/d/"), format!("{mine}/d/")),
        (fleet("all/+/trust"), trust.clone()),
        (fleet("+/d/trust"), trust.clone()),
    ] {
        add(&filter, &probe, MosquittoPasses);
    }
    let unknown =
        ["$SYS/#", "$SYS/broker/#", "$SYS/+/+", "$CONTROL/#", CONTROL, "$share/group/$SYS/#", "$share/", "$share/g", "$share//x", ""];
    filters.extend(unknown.map(|filter| (filter.to_owned(), None, Refused)));
    let shard = shard(own);
    filters.push((format!("fl/1/{OTHER_FLEET}/#"), None, Refused));
    filters.push((format!("fl/1/{OTHER_FLEET}/{shard}/{own}/d/#"), None, Refused));
    filters.push((format!("fl/2/{FLEET}/{shard}/{own}/d/#"), None, Refused));
    filters
}

fn of_a_claim(all: &mut Vec<Attempt>) {
    let who = Who::Claim;
    let node = NODES[0];
    let own = |claim: ClaimId, fleet: FleetId| (Topic::ClaimUp { fleet, claim }.to_string(), Topic::ClaimDown { fleet, claim }.to_string());
    let (up, down) = own(CLAIM.parse().unwrap(), FLEET.parse().unwrap());
    all.push(Attempt { who, what: What::Publish { topic: up.clone(), retain: false }, due: Granted });
    all.push(Attempt { who, what: What::Publish { topic: up.clone(), retain: true }, due: MosquittoPasses });
    all.push(Attempt { who, what: What::Will { topic: up.clone(), retain: false }, due: MosquittoPasses });
    let mut topics: Vec<String> = beyond(node, NODES[1]).into_iter().filter(|topic| *topic != up).collect();
    topics.extend(["u/report", "s/online", "d/order"].map(|rest| format!("{}/{rest}", tree(node))));
    topics.push(fleet(&format!("00/{CLAIM}/u/report")));
    for (index, topic) in topics.into_iter().enumerate() {
        let is_topic = !topic.contains(['+', '#']) && !topic.is_empty();
        if index.is_multiple_of(3) && is_topic {
            all.push(Attempt { who, what: What::Publish { topic: topic.clone(), retain: true }, due: Refused });
            all.push(Attempt { who, what: What::Will { topic: topic.clone(), retain: false }, due: Refused });
        }
        all.push(Attempt { who, what: What::Publish { topic, retain: false }, due: Refused });
    }
    let other_down = fleet(&format!("claim/{OTHER_CLAIM}/d"));
    let other_up = fleet(&format!("claim/{OTHER_CLAIM}/u"));
    let order = format!("{}/d/order", tree(node));
    let mut add = |filter: String, probe: Option<&str>, due| {
        all.push(Attempt { who, what: What::Subscribe { filter, probe: probe.map(str::to_owned) }, due });
    };
    add(down.clone(), Some(&down), Granted);
    for wide in ["#", "+/#", "fl/#", "$share/g/#", &fleet("#"), &fleet("claim/#"), &fleet("claim/+/+"), &fleet("+/+/+")] {
        for probe in [&other_down, &other_up, &up, &order] {
            add(wide.to_owned(), Some(probe), Refused);
        }
    }
    for rest in ["d", "+", "#"] {
        add(fleet(&format!("claim/{OTHER_CLAIM}/{rest}")), Some(&other_down), Refused);
        add(format!("$share/g/{}", fleet(&format!("claim/{OTHER_CLAIM}/{rest}"))), Some(&other_down), Refused);
    }
    for (filter, probe) in
        [(fleet("claim/+/d"), &other_down), (fleet("claim/+/u"), &other_up), (up.clone(), &up), (other_up.clone(), &other_up)]
    {
        add(filter, Some(probe), Refused);
    }
    for (filter, probe) in
        [(order.clone(), order.clone()), (fleet("all/d/#"), fleet("all/d/trust")), (fleet("bridge/#"), fleet("bridge/s/tenure"))]
    {
        add(filter, Some(&probe), Refused);
    }
    for own_otherwise in
        [fleet(&format!("claim/{CLAIM}/+")), fleet(&format!("claim/{CLAIM}/#")), fleet("claim/+/d"), format!("$share/g/{down}")]
    {
        add(own_otherwise, Some(&down), MosquittoPasses);
    }
    for filter in ["$SYS/#", "$SYS/broker/#", "$CONTROL/#", "$share/g", ""] {
        add(filter.to_owned(), None, Refused);
    }
}

/// Those to whom nothing is due.
fn of_a_stranger(all: &mut Vec<Attempt>, who: Who) {
    let node = tree(NODES[0]);
    let mut add = |what| all.push(Attempt { who, what, due: Refused });
    let topics: Vec<String> = ["u/report", "s/online", "d/order"].map(|rest| format!("{node}/{rest}")).into();
    let of_the_fleet = ["all/d/trust", "bridge/s/tenure", &format!("claim/{CLAIM}/u"), &format!("claim/{CLAIM}/d")].map(fleet);
    for topic in topics.into_iter().chain(of_the_fleet).chain([CONTROL.to_owned()]) {
        add(What::Publish { topic: topic.clone(), retain: false });
        add(What::Publish { topic: topic.clone(), retain: true });
        add(What::Will { topic, retain: true });
    }
    let report = format!("{node}/u/report");
    let order = format!("{node}/d/order");
    for (filter, probe) in [("#", &report), ("#", &order), (&fleet("#"), &report), (&fleet("+/+/u/#"), &report), (&order, &order)] {
        add(What::Subscribe { filter: filter.to_owned(), probe: Some(probe.clone()) });
        add(What::Subscribe { filter: format!("$share/g/{filter}"), probe: Some(probe.clone()) });
    }
    add(What::Subscribe { filter: "$SYS/#".to_owned(), probe: None });
    if matches!(who, Who::WrongName(_)) {
        // For whatever name the fleet's authority signed, Mosquitto's rules take its holder for a node of that name.
        let what = What::Subscribe { filter: fleet("all/d/#"), probe: Some(fleet("all/d/trust")) };
        all.push(Attempt { who, what, due: MosquittoPasses });
    }
}
