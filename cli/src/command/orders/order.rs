//! An order as its bytes say, and the checks that need nobody's word.

use flotilla_api::audit::Hex;
use flotilla_api::commands::SendCommandRequest;
use flotilla_api::orders::{GetPreparedOrderRequest, ListPreparedOrderTargetsRequest, MAXIMUM_TARGETS_PAGE, OrderTarget};
use flotilla_document::{Document, Library, builtin, compile};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::NodeData;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::target::{MAXIMUM_TARGETS, TargetTree, leaf, leaf_of_hash};
use flotilla_protocol::trust::{Class, Trust};
use flotilla_protocol::wire::decode;
use std::collections::BTreeSet;

use super::OrderError;
use super::words::date;
use crate::connection::Connection;
use crate::error::CliError;
use crate::paging;

/// How far the clocks of this machine and the bridge may differ.
const CLOCK_MS: u64 = 300_000;
/// How long nodes may take to begin where nothing is said, in milliseconds: the API's default.
const DEFAULT_TIMEOUT_MS: u64 = 3_600_000;

/// An order that was read, with the nodes that make up its root.
#[derive(Debug)]
pub(crate) struct ReadOrder {
    envelope: Vec<u8>,
    pub(crate) body: OrderBody,
    pub(crate) command: CommandOrder,
    /// Which of its parameters have values that only the nodes can read.
    pub(crate) secrets: BTreeSet<u16>,
    pub(crate) class: Class,
    pub(crate) nodes: Vec<NodeId>,
    /// Of so many nodes what came with them alone is gone, because they have ended it: it makes up the root, and cannot be read.
    pub(crate) gone: usize,
    /// What the bridge says of its state; it is not signed, and nothing here depends on it.
    pub(crate) state: String,
}

impl ReadOrder {
    /// Reads an order and its nodes from the bridge, and believes nothing of it.
    pub(crate) fn of_bridge(connection: &Connection, id: &str, trust: &Trust) -> Result<Self, CliError> {
        let answer = connection.client.call(&GetPreparedOrderRequest { order_id: id.to_owned() })?;
        let most = usize::try_from(MAXIMUM_TARGETS).unwrap_or(usize::MAX);
        let targets = paging::read(most, |next_token| {
            let max_results = Some(MAXIMUM_TARGETS_PAGE);
            let page = connection.client.call(&ListPreparedOrderTargetsRequest { order_id: id.to_owned(), max_results, next_token })?;
            Ok((page.targets, page.next_token))
        })?;
        Ok(Self::checked(answer.envelope.0, id, &targets, trust, answer.order.state)?)
    }

    fn checked(envelope: Vec<u8>, id: &str, targets: &[OrderTarget], trust: &Trust, state: String) -> Result<Self, OrderError> {
        let unreadable = |error: &dyn std::fmt::Display| OrderError::Unreadable(error.to_string());
        let parsed = Envelope::parse(&envelope, Domain::Order).map_err(|error| unreadable(&error))?;
        let body: OrderBody = decode(parsed.body()).map_err(|error| unreadable(&error))?;
        let OrderPayload::Command(command) = body.payload().map_err(|error| unreadable(&error))? else {
            return Err(OrderError::Unreadable(format!("what it asks for is of the unknown kind {}", body.payload.kind)));
        };
        if body.id.to_string() != id {
            return Err(OrderError::Other(format!("{} and not {id}", body.id)));
        }
        if body.fleet != trust.fleet() {
            return Err(OrderError::Other(format!("it is for the fleet {} and not for {}", body.fleet, trust.fleet())));
        }
        let bundle = trust.bundle();
        if body.epoch != bundle.epoch || body.minimum_trust_version > bundle.version {
            return Err(OrderError::Other("no node that goes by this trust would take it".to_owned()));
        }
        let mut secrets = command.plan.secrets().map_err(|error| unreadable(&error))?;
        let (nodes, gone) = nodes_of(&body, targets, &mut secrets)?;
        let is_named = |index: &u16| command.parameters.get(usize::from(*index)).is_some_and(|parameter| parameter.value.text.is_empty());
        if !secrets.iter().all(is_named) {
            return Err(OrderError::Unreadable("it has secrets that are none of its parameters".to_owned()));
        }
        Ok(Self { class: Class::Command, envelope, body, command, secrets, nodes, gone, state })
    }

    /// The envelope with the signatures that were collected; it was taken apart when it was read.
    pub(crate) fn envelope(&self) -> Result<Envelope<'_>, OrderError> {
        Envelope::parse(&self.envelope, Domain::Order).map_err(|error| OrderError::Unreadable(error.to_string()))
    }

    /// SHA-256 of the body that is signed.
    pub(crate) fn sha256(&self) -> Result<Hex<32>, OrderError> {
        Ok(Hex(flotilla_protocol::sha256(&[self.envelope()?.body()])))
    }

    /// The names of the parameters whose values only the nodes can read.
    pub(crate) fn secret_names(&self) -> impl Iterator<Item = &str> {
        let parameters = self.secrets.iter().filter_map(|index| self.command.parameters.get(usize::from(*index)));
        parameters.map(|parameter| parameter.name.as_str())
    }

    /// Whether all of it is there to be read: what is signed may hold nothing that nobody here has seen.
    pub(crate) fn must_be_whole(&self) -> Result<(), OrderError> {
        match self.gone {
            0 => Ok(()),
            gone => Err(OrderError::Unreadable(format!("{gone} of its nodes have ended it, and what came with them alone is gone"))),
        }
    }

    /// Whether no node would start it any more.
    pub(crate) fn must_be_in_time(&self, now_ms: u64) -> Result<(), OrderError> {
        if self.body.not_after_ms <= now_ms { Err(OrderError::Expired(date(self.body.not_after_ms))) } else { Ok(()) }
    }

    /// Whether the order is what a request asked for. Returns what could not be compared.
    pub(crate) fn must_be_what_was_asked(&self, request: &SendCommandRequest, now_ms: u64) -> Result<Vec<String>, OrderError> {
        let different = |what: String| Err(OrderError::Different(what));
        let mut unknown = Vec::new();
        if self.command.document != request.document_name {
            return different(format!("it runs the document {}", self.command.document));
        }
        let given = request.parameters.clone().unwrap_or_default();
        match builtin::find(&request.document_name) {
            Some(builtin) => {
                let document =
                    Document::parse(builtin.content, builtin::FORMAT).map_err(|error| OrderError::Unreadable(error.to_string()))?;
                let expected = compile(&document, &given, &Library::new());
                if !expected.is_ok_and(|expected| expected.plan == self.command.plan && expected.parameters == self.command.parameters) {
                    return different("its steps or parameters are not those of your command".to_owned());
                }
            }
            None => {
                for (name, values) in &given {
                    if self.secret_names().any(|secret| secret == name) {
                        continue;
                    }
                    let found = self.command.parameters.iter().find(|parameter| parameter.name == *name);
                    let is_same = found.is_some_and(|found| match (&found.value.list, values.as_slice()) {
                        (Some(list), values) => list.as_slice() == values,
                        (None, [value]) => same_text(&found.value.text, value),
                        (None, _) => false,
                    });
                    if !is_same {
                        return different(format!("its parameter {name} has another value"));
                    }
                }
                unknown.push(format!("that the steps are those of the document {}: its text is kept by the bridge", request.document_name));
            }
        }
        if let Some(wanted) = &request.instance_ids {
            let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
            if wanted != self.nodes.iter().map(ToString::to_string).collect() {
                return different("it is for other nodes".to_owned());
            }
        } else {
            unknown
                .push("that these are the nodes which your tags, group or targets mean: tags and groups are kept by the bridge".to_owned());
        }
        let asked_ms = request.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_TIMEOUT_MS, |s| s * 1000);
        if self.body.not_after_ms > now_ms.saturating_add(asked_ms).saturating_add(CLOCK_MS) {
            return different(format!("it counts until {}", date(self.body.not_after_ms)));
        }
        Ok(unknown)
    }
}

/// Whether two values are the same: as text, or as JSON.
fn same_text(left: &str, right: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    left == right || json(left).is_some_and(|left| json(right) == Some(left))
}

/// The nodes, when their keys and their data make up exactly the root that is signed; and of how many only the hash of the data is left. Adds
/// which parameters come to them sealed.
fn nodes_of(body: &OrderBody, targets: &[OrderTarget], secrets: &mut BTreeSet<u16>) -> Result<(Vec<NodeId>, usize), OrderError> {
    let wrong = |what: String| Err(OrderError::Targets(what));
    if usize::try_from(body.targets.count) != Ok(targets.len()) {
        return wrong(format!("it names {} where the order is for {}", targets.len(), body.targets.count));
    }
    let mut sorted: Vec<&OrderTarget> = targets.iter().collect();
    sorted.sort_by_key(|target| target.identity_key);
    for target in &sorted {
        if NodeId::of_key(&target.identity_key.0).to_string() != target.node_id {
            return wrong(format!("{} is not the id of its key", target.node_id));
        }
        let data = NodeData::read(&target.node_data.0).ok().filter(NodeData::is_known);
        let Some(Ok(sealed)) = data.map(|data| data.secrets()) else {
            return wrong(format!("data that this version cannot read comes with {}", target.node_id));
        };
        secrets.extend(sealed.iter().flat_map(|sealed| &sealed.secrets).map(|secret| secret.parameter));
    }
    let leaf_of = |target: &OrderTarget| match &target.node_data_sha256 {
        Some(hash) if target.node_data.0.is_empty() => leaf_of_hash(&target.identity_key.0, &hash.0),
        _ => leaf(&target.identity_key.0, &target.node_data.0),
    };
    let tree = TargetTree::new(sorted.iter().map(|target| leaf_of(target)).collect());
    if tree.root() != body.targets.root {
        return wrong("their keys do not make up the root that is signed".to_owned());
    }
    let gone = sorted.iter().filter(|target| target.node_data.0.is_empty() && target.node_data_sha256.is_some()).count();
    let mut nodes: Vec<NodeId> = sorted.iter().map(|target| NodeId::of_key(&target.identity_key.0)).collect();
    nodes.sort_unstable_by_key(ToString::to_string);
    Ok((nodes, gone))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use ed25519_dalek::SigningKey;
    use flotilla_api::blob::Blob;
    use flotilla_protocol::envelope::seal;
    use flotilla_protocol::id::OrderId;
    use flotilla_protocol::order::{OnCrash, Targets};
    use flotilla_protocol::secret::{SealedSecret, SealedSecrets};
    use flotilla_protocol::trust::{OperatorRule, Role, RoleEntry, TrustBundle, TrustKey};
    use flotilla_protocol::wire::encode;

    use super::*;

    pub(in super::super) const NOW_MS: u64 = 1_795_219_200_000;

    pub(in super::super) fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Root 1; Ann 2, Bob 3 and Cleo 4, of whom two sign commands.
    pub(in super::super) fn trust() -> Trust {
        let keys = (1..).zip(["root", "Ann", "Bob", "Cleo"]);
        let keys = keys.map(|(seed, person): (u8, _)| TrustKey::new(key(seed).verifying_key().to_bytes().into(), person));
        let roles = vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] }];
        let rule = OperatorRule { threshold: 2, ..OperatorRule::any_of(Class::Command, vec![1, 2, 3]) };
        let bundle = TrustBundle::beginning(keys.collect(), roles, vec![rule]);
        let body = encode(&bundle);
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
    }

    pub(in super::super) fn target(seed: u8) -> OrderTarget {
        let identity_key = key(seed).verifying_key().to_bytes();
        OrderTarget { node_id: NodeId::of_key(&identity_key).to_string(), identity_key: Hex(identity_key), ..OrderTarget::default() }
    }

    pub(in super::super) fn asked(nodes: &[OrderTarget], script: &str) -> SendCommandRequest {
        SendCommandRequest {
            document_name: "AWS-RunShellScript".to_owned(),
            instance_ids: Some(nodes.iter().map(|node| node.node_id.clone()).collect()),
            parameters: Some(BTreeMap::from([("commands".to_owned(), vec![script.to_owned()])])),
            ..SendCommandRequest::default()
        }
    }

    pub(in super::super) fn order(targets: &[OrderTarget], script: &str) -> OrderBody {
        let document = Document::parse(builtin::find("AWS-RunShellScript").unwrap().content, builtin::FORMAT).unwrap();
        let given = BTreeMap::from([("commands".to_owned(), vec![script.to_owned()])]);
        let compiled = compile(&document, &given, &Library::new()).unwrap();
        let command = CommandOrder {
            document: "AWS-RunShellScript".to_owned(),
            document_version: "1".to_owned(),
            parameters: compiled.parameters,
            plan: compiled.plan,
        };
        let mut keys: Vec<[u8; 32]> = targets.iter().map(|target| target.identity_key.0).collect();
        keys.sort_unstable();
        let tree = TargetTree::new(keys.iter().map(|key| leaf(key, &[])).collect());
        OrderBody {
            id: OrderId([7; 16]),
            fleet: trust().fleet(),
            targets: Targets { count: u32::try_from(targets.len()).unwrap(), root: tree.root() },
            requester: "Ann".to_owned(),
            lane: 0,
            sequence: 0,
            epoch: 0,
            not_before_ms: NOW_MS,
            not_after_ms: NOW_MS + 3_600_000,
            minimum_trust_version: 1,
            on_crash: OnCrash::Never,
            payload: OrderPayload::Command(command).encode(),
        }
    }

    pub(in super::super) fn read(body: &OrderBody, targets: &[OrderTarget], signers: &[u8]) -> Result<ReadOrder, OrderError> {
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let envelope = seal(Domain::Order, &encode(body), &keys.iter().collect::<Vec<_>>());
        ReadOrder::checked(envelope, &OrderId([7; 16]).to_string(), targets, &trust(), "AwaitingSignature".to_owned())
    }

    #[test]
    fn what_a_hostile_bridge_gives_is_refused() {
        let targets = [target(20), target(21), target(22)];
        let body = order(&targets, "uptime");
        assert_eq!(read(&body, &targets, &[]).unwrap().nodes.len(), 3);
        let with = |change: &dyn Fn(&mut OrderBody)| {
            let mut changed = body.clone();
            change(&mut changed);
            read(&changed, &targets, &[]).unwrap_err().to_string()
        };
        assert!(with(&|body| body.id = OrderId([8; 16])).contains("another order"));
        assert!(with(&|body| body.fleet.0[0] ^= 1).contains("fleet"));
        assert!(with(&|body| body.epoch = 1).contains("no node"));
        assert!(with(&|body| body.payload.kind = 99).contains("unknown kind"));
        assert!(with(&|body| body.targets.root[0] ^= 1).contains("root"));
        let refused = |targets: &[OrderTarget]| read(&body, targets, &[]).unwrap_err().to_string();
        assert!(refused(&targets[..2]).contains("names 2 where the order is for 3"), "one is hidden");
        assert!(refused(&[target(20), target(21), target(23)]).contains("root"), "one is exchanged");
        assert!(refused(&[target(20), target(21), target(21)]).contains("root"), "one comes twice");
        let renamed = OrderTarget { node_id: target(23).node_id, ..target(22) };
        assert!(refused(&[target(20), target(21), renamed]).contains("not the id of its key"));
        let with_data = OrderTarget { node_data: Blob(vec![1]), ..target(22) };
        assert!(refused(&[target(20), target(21), with_data]).contains("data"));
    }

    #[test]
    fn sealed_secrets_are_a_part_of_what_is_signed_and_said() {
        let of = |parameter: usize, first: u8| {
            let secret = SealedSecret { parameter: u16::try_from(parameter).unwrap(), ciphertext: vec![first; 20] };
            let sealed = SealedSecrets { encapsulated: [1; 32], secrets: vec![secret] };
            OrderTarget { node_data: Blob(encode(&NodeData::of_secrets(&sealed))), ..target(20) }
        };
        let signed_for = |target: &OrderTarget| {
            let mut body = order(std::slice::from_ref(target), "uptime");
            body.targets.root = TargetTree::new(vec![leaf(&target.identity_key.0, &target.node_data.0)]).root();
            body
        };
        let OrderPayload::Command(command) = order(&[target(20)], "uptime").payload().unwrap() else { panic!() };
        let place = |is_empty| command.parameters.iter().position(|parameter| parameter.value.text.is_empty() == is_empty).unwrap();
        let sealed = of(place(true), 0);
        let body = signed_for(&sealed);
        let names: Vec<String> = read(&body, std::slice::from_ref(&sealed), &[]).unwrap().secret_names().map(str::to_owned).collect();
        assert_eq!(names, [command.parameters[place(true)].name.as_str()]);
        let refused = |body: &OrderBody, target: OrderTarget| read(body, &[target], &[]).unwrap_err().to_string();
        assert!(refused(&body, of(place(true), 1)).contains("root"), "another value");
        assert!(refused(&body, target(20)).contains("root"), "none");
        // When the node has signed the end the bridge has only the hash: it can be shown, and not be signed.
        let ended = |hash| OrderTarget { node_data: Blob::default(), node_data_sha256: Some(Hex(hash)), ..sealed.clone() };
        let shown = read(&body, &[ended(flotilla_protocol::sha256(&[&sealed.node_data.0]))], &[]).unwrap();
        assert_eq!((shown.nodes.len(), shown.gone), (1, 1));
        assert!(shown.must_be_whole().unwrap_err().to_string().contains("1 of its nodes"));
        assert!(refused(&body, ended([7; 32])).contains("root"), "another hash");
        assert!(read(&body, std::slice::from_ref(&sealed), &[]).unwrap().must_be_whole().is_ok());
        let open = of(place(false), 0);
        assert!(refused(&signed_for(&open), open).contains("none of its parameters"), "a value beside the sealed one");
    }

    #[test]
    fn an_order_is_compared_with_what_was_asked() {
        let targets = [target(20), target(21)];
        let read = |body: &OrderBody| read(body, &targets, &[]).unwrap();
        let request = asked(&targets, "uptime");
        let good = order(&targets, "uptime");
        assert_eq!(read(&good).must_be_what_was_asked(&request, NOW_MS).unwrap(), Vec::<String>::new());
        let differs =
            |body: &OrderBody, request: &SendCommandRequest| read(body).must_be_what_was_asked(request, NOW_MS).unwrap_err().to_string();
        assert!(differs(&order(&targets, "uptime; reboot"), &request).contains("steps or parameters"));
        assert!(differs(&good, &asked(&targets[..1], "uptime")).contains("other nodes"));
        let longer = OrderBody { not_after_ms: NOW_MS + 86_400_000, ..good.clone() };
        assert!(differs(&longer, &request).contains("counts until"));
        let other = SendCommandRequest { document_name: "My-Document".to_owned(), ..request.clone() };
        assert!(differs(&good, &other).contains("document"));
        let by_tag = SendCommandRequest { instance_ids: None, ..request };
        assert_eq!(read(&good).must_be_what_was_asked(&by_tag, NOW_MS).unwrap().len(), 1, "tags are the bridge's word");
        assert!(read(&good).must_be_in_time(NOW_MS).is_ok());
        assert!(read(&good).must_be_in_time(good.not_after_ms).is_err());
    }
}
