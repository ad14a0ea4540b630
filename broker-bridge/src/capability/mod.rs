//! THE LIST of capabilities: what can be done with a fleet.
//!
//! To add one: make its folder here with the files that DESIGN.md names, declare it below, add its endpoints to
//! [`endpoints`], its migrations to [`crate::schema`], and what it takes from nodes and sends them to [`crate::device`].

pub mod inventory;
pub mod run_command;

use crate::fleet::Fleet;
use crate::platform::http::Registry;
use axum::Router;
use std::sync::Arc;

/// The endpoints of all capabilities.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    inventory::api::endpoints(registry);
    run_command::api::endpoints(registry);
}

/// The addresses of all capabilities that are no operations: links, fetched with GET.
pub fn routes(fleet: &Arc<Fleet>) -> Router {
    run_command::output::routes(fleet)
}
