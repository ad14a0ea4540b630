//! The programs of examples/python run on a real fleet, and call every operation that is built; the waiter and the paging of the real `aws`.
#![cfg(test)]

use flotilla_api::operations::BUILT;
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};
use std::path::Path;

/// More than fit on the smallest page of nodes, which has five.
const NODES: usize = 6;

/// The operations of Resource Groups that the bridge serves, from the lines that register them.
fn built_of_resource_groups() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker-bridge/src/fleet/group/api.rs");
    let text = std::fs::read_to_string(path).unwrap();
    let requests = text.lines().filter_map(|line| line.trim().strip_prefix("registry.rest_endpoint::<")?.split_once("Request>"));
    requests.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn examples_in_python_call_every_built_operation() {
    let groups = built_of_resource_groups();
    assert!(!groups.is_empty());
    let fleet = Fleet::with_nodes(Broker::Embedded, NODES);
    let spare = fleet.node_ids().pop().unwrap();
    if let Some(python) = Python::find() {
        python.run(&fleet, "examples.py", &[&BUILT.join(","), &groups.join(","), &spare]);
    }
}
