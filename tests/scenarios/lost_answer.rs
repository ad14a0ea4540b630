//! A lost answer and the retry of the real boto3 and `aws`: one command, run once.
#![cfg(test)]

use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};

#[test]
fn a_call_whose_answer_is_lost_is_done_once() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let ids = fleet.node_ids();
    let file = fleet.folder().join("runs");
    if let Some(python) = Python::find() {
        python.run(&fleet, "lost_answer.py", &[&ids[0], file.to_str().unwrap()]);
    }
}
