//! Contract 2, between operators and the bridge: the requests and responses of the SSM API.
//!
//! Every type is named as its shape in the service model of AWS Systems Manager (version 2014-11-06), so that the
//! `aws` command line and every AWS SDK drive a fleet unchanged. A request refuses members that the model does not
//! have; a response skips them, so that an older client reads a newer bridge. Words of an enumeration stay text: the
//! server checks them and answers with the error that the model gives for it.
//!
//! On the wire an operation is `POST /` with the headers [`operation::TARGET_HEADER`] and
//! `Content-Type:` [`operation::CONTENT_TYPE`], signed with Signature Version 4 for the service
//! [`operation::SIGNING_SERVICE`]; the body is the request as JSON. An error is status 400 with an [`ErrorBody`].
//!
//! To add an operation: write its request and response in the file of its group, implement [`Operation`] for the
//! request, and add its name to `BUILT` in [`operations`].

#![deny(missing_docs)]

pub mod activations;
pub mod audit;
pub mod blob;
#[cfg(feature = "client")]
pub mod client;
pub mod commands;
pub mod documents;
pub mod error;
pub mod groups;
pub mod inventory;
pub mod model;
pub mod nodes;
pub mod operation;
pub mod operations;
pub mod orders;
pub mod tags;
pub mod timestamp;
pub mod trust;

pub use blob::Blob;
pub use error::ErrorBody;
pub use operation::Operation;
pub use timestamp::Timestamp;
