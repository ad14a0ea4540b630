//! Every operation of botocore's model with right and with broken input: every answer is an output of the model's shape or an error of its
//! list. And resource groups as boto3 uses them, up to a command whose target is a group.
#![cfg(test)]

use flotilla_api::operations::BUILT;
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};

#[test]
fn every_answer_is_of_the_model() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let ids = fleet.node_ids();
    if let Some(python) = Python::find() {
        python.run(&fleet, "sweep.py", &[&BUILT.join(","), &ids[0]]);
    }
}

#[test]
fn boto3_makes_a_group_and_commands_its_nodes() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 2);
    let ids = fleet.node_ids();
    if let Some(python) = Python::find() {
        python.run(&fleet, "groups.py", &[&ids[0], &ids[1]]);
    }
}
