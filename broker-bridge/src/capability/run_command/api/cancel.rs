//! CancelCommand: what was never sent ends at once; the rest is asked of the nodes, again and again until they answer.

use super::super::store::{self, Ledger};
use super::{no_such_command, parse_command_id};
use crate::fleet::Fleet;
use crate::fleet::node::parse_node_id;
use crate::platform::http::{ApiError, Caller};
use flotilla_api::commands::{CancelCommandRequest, CancelCommandResult};
use std::collections::BTreeSet;

/// Most nodes that can be named (the model's limit).
const MAXIMUM_INSTANCE_IDS: usize = 50;

pub(crate) async fn cancel_command(fleet: &Fleet, caller: &Caller, request: CancelCommandRequest) -> Result<CancelCommandResult, ApiError> {
    let order = parse_command_id(&request.command_id)?;
    let command_id = order.to_string();
    let nodes = request.instance_ids.unwrap_or_default();
    if nodes.len() > MAXIMUM_INSTANCE_IDS {
        return Err(ApiError::validation(format!("at most {MAXIMUM_INSTANCE_IDS} InstanceIds are taken")));
    }
    let mut seen = BTreeSet::new();
    for node in &nodes {
        if !seen.insert(parse_node_id(node)?) {
            return Err(ApiError::new("DuplicateInstanceId", format!("{node} is given twice")));
        }
    }
    let now_ms = fleet.clock.now_ms();
    let mut write = fleet.store.write().await?;
    if store::envelope(write.connection(), &command_id).await?.is_none() {
        return Err(no_such_command(order));
    }
    for node in &nodes {
        if store::find(write.connection(), &command_id, node).await?.is_none() {
            return Err(ApiError::new("InvalidInstanceId", format!("{node} is not a target of command {command_id}")));
        }
    }
    let mut ledger = Ledger::default();
    let cancelled = store::cancel(&mut write, &mut ledger, &command_id, &nodes, now_ms).await?;
    store::touch(&mut ledger, &command_id);
    store::settle(&mut write, &mut ledger, now_ms).await?;
    write.commit().await?;
    fleet.nudge.dispatch.notify_one();
    tracing::info!(
        command = command_id,
        user = caller.user,
        at_once = cancelled.at_once,
        asked = cancelled.asked,
        "a command was cancelled"
    );
    Ok(CancelCommandResult {})
}
