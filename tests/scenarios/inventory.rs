//! Inventory as boto3 and the `aws` command use it: put, found, counted, read in pages, deleted.
#![cfg(test)]

use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};

#[test]
fn boto3_puts_finds_counts_and_deletes() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 2);
    let ids = fleet.node_ids();
    if let Some(python) = Python::find() {
        python.run(&fleet, "inventory.py", &[&ids[0], &ids[1]]);
    }
}
