//! The API on the wire: AWS JSON 1.1 over HTTP.
//!
//! One address, `POST /`; the header `X-Amz-Target` names the operation, the signature names the caller. The operations of resource
//! groups, which are REST, have an address each. An endpoint is a function registered under its operation in a [`Registry`];
//! everything else (size, signature, access, replay, the service model's limits, form of the answer) happens here, once, before the
//! function is called.
//!
//! Plain HTTP is served on loopback addresses only; elsewhere a certificate is needed.

mod error;
mod link;
mod places;
mod registry;
mod replay;
mod rest;
mod server;
mod service;
mod stalled;
mod validation;

pub use error::ApiError;
pub use link::{LINK_VALID_S, LinkRefusal, PresentedLink, SignedLinks};
pub use registry::{Access, CallName, Caller, Handler, Registry};
pub use server::{Listener, ServeError, TlsFiles};
pub use service::{Api, Identities, Identity, MAXIMUM_BODY_BYTES};
