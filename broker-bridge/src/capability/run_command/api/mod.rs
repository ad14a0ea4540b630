//! The endpoints of Run Command.

pub(crate) mod cancel;
pub(crate) mod detail;
mod filter;
pub(crate) mod list;
pub(crate) mod send;
mod source;
#[cfg(test)]
mod tests;
mod walk;

use super::prepared;
use crate::fleet::Fleet;
use crate::platform::http::{Access, ApiError, Registry};
use flotilla_api::commands::{
    CancelCommandRequest, GetCommandInvocationRequest, ListCommandInvocationsRequest, ListCommandsRequest, SendCommandRequest,
};
use flotilla_protocol::id::OrderId;

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<SendCommandRequest>(Access::Operator, send::send_command);
    registry.endpoint::<CancelCommandRequest>(Access::Operator, cancel::cancel_command);
    registry.endpoint::<GetCommandInvocationRequest>(Access::Viewer, detail::get_command_invocation);
    registry.endpoint::<ListCommandsRequest>(Access::Viewer, list::list_commands);
    registry.endpoint::<ListCommandInvocationsRequest>(Access::Viewer, list::list_command_invocations);
    prepared::api::endpoints(registry);
}

/// The command id in a member of a request.
fn parse_command_id(text: &str) -> Result<OrderId, ApiError> {
    text.parse().map_err(|_| ApiError::new("InvalidCommandId", format!("{text:?} is not a command id, which is a UUID in lower case")))
}

/// The order id in a member of a request of Flotilla's own.
pub(super) fn parse_order_id(text: &str) -> Result<OrderId, ApiError> {
    text.parse().map_err(|_| ApiError::validation(format!("{text:?} is not an order id, which is a UUID in lower case")))
}

fn no_such_command(id: OrderId) -> ApiError {
    ApiError::new("InvalidCommandId", format!("{id} is not a command of this fleet"))
}
