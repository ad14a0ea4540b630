//! Every operation of botocore's model answers: what is built with an output or an error of its own, the rest with an error that the
//! model lists. Never a failure of the bridge, never an answer that boto3 cannot read.
#![cfg(test)]

use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};

#[test]
fn every_operation_of_the_model_answers() {
    let fleet = Fleet::start(Broker::Embedded);
    if let Some(python) = Python::find() {
        python.run(&fleet, "api_surface.py", &[]);
    }
}
