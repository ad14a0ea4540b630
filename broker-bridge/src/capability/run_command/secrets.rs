//! The secrets of a command: sealed to each of its nodes before anything of the command is written down.

use crate::fleet::Fleet;
use crate::fleet::target::TargetNode;
use crate::platform::http::ApiError;
use flotilla_document::Secret;
use flotilla_protocol::delivery::NodeData;
use flotilla_protocol::id::{FleetId, NodeId, OrderId};
use flotilla_protocol::secret::{Binding, PlainSecret, SealError, seal};
use flotilla_protocol::wire::encode;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Keys that are read with one statement.
const KEYS_AT_ONCE: usize = 500;

/// The node data of each of these nodes, in their order; empty where the command has no secrets.
///
/// A node whose key is none that can be sealed to gets no secrets, and refuses the order by itself: it must not keep a command from others.
///
/// # Errors
/// What the database says; the operating system gives no randomness.
pub(super) async fn node_data(fleet: &Fleet, order: OrderId, nodes: &[TargetNode], secrets: Vec<Secret>) -> Result<Vec<Vec<u8>>, ApiError> {
    if secrets.is_empty() {
        return Ok(vec![Vec::new(); nodes.len()]);
    }
    let keys = sealing_keys(fleet, nodes).await?;
    let nodes: Vec<(NodeId, Option<[u8; 32]>)> = nodes.iter().map(|node| (node.id, keys.get(&node.id.to_string()).copied())).collect();
    let fleet_id = fleet.settings.fleet;
    // A tenth of a millisecond for each node, of a hundred thousand at most.
    let sealing = tokio::task::spawn_blocking(move || nodes.iter().map(|node| of_node(fleet_id, order, *node, &secrets)).collect());
    sealing.await.map_err(ApiError::internal)?
}

async fn sealing_keys(fleet: &Fleet, nodes: &[TargetNode]) -> Result<BTreeMap<String, [u8; 32]>, ApiError> {
    let mut keys = BTreeMap::new();
    for chunk in nodes.chunks(KEYS_AT_ONCE) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT node_id, sealing_key FROM node WHERE node_id IN (");
        let mut separated = query.separated(", ");
        for node in chunk {
            separated.push_bind(node.id.to_string());
        }
        query.push(")");
        let rows: Vec<(String, Vec<u8>)> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
        keys.extend(rows.into_iter().filter_map(|(id, key)| Some((id, key.try_into().ok()?))));
    }
    Ok(keys)
}

fn of_node(fleet: FleetId, order: OrderId, node: (NodeId, Option<[u8; 32]>), secrets: &[Secret]) -> Result<Vec<u8>, ApiError> {
    let (node, key) = node;
    let plain: Vec<PlainSecret<'_>> = secrets
        .iter()
        .map(|secret| PlainSecret { parameter: secret.parameter, name: &secret.name, value: secret.value.as_bytes() })
        .collect();
    let mut randomness = Zeroizing::new([0; 32]);
    getrandom::fill(randomness.as_mut_slice()).map_err(|error| ApiError::internal(std::io::Error::other(error)))?;
    match key.map_or(Err(SealError::Key), |key| seal(&Binding { fleet, node, order }, &key, &plain, &randomness)) {
        Ok(sealed) => Ok(encode(&NodeData::of_secrets(&sealed))),
        Err(SealError::Key) => {
            tracing::warn!(%node, command = %order, "the node's key is none that secrets can be sealed to; it will refuse the command");
            Ok(Vec::new())
        }
        Err(SealError::BeyondLimit) => Err(ApiError::new("InvalidParameters", SealError::BeyondLimit.to_string())),
    }
}
