//! The endpoints of the API by the names of their operations.

use super::ApiError;
use super::validation::Patterns;
use axum::http::HeaderMap;
use bytes::Bytes;
use flotilla_api::Operation;
use flotilla_api::groups::RestOperation;
use flotilla_api::model::{self, Shape};
use flotilla_protocol::sha256;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Names a call: the SDKs send the same with every attempt.
pub(super) const INVOCATION_HEADER: &str = "amz-sdk-invocation-id";

/// What a caller may do: [`Access::permits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Viewer,
    /// Look, and read the audit log.
    Auditor,
    /// Run commands on nodes and manage documents and tags.
    Operator,
    /// Change the fleet itself: activations, nodes, users.
    Admin,
}

impl Access {
    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether who has this may do what needs `needed`. Everybody may look, an admin may do everything, and the audit log is for auditors and
    /// admins: who runs commands need not read what is told of others.
    #[must_use]
    pub fn permits(self, needed: Self) -> bool {
        match needed {
            Self::Viewer => true,
            Self::Auditor | Self::Operator => self == needed || self == Self::Admin,
            Self::Admin => self == Self::Admin,
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Auditor, Self::Operator, Self::Admin].into_iter().find(|access| access.name() == name)
    }
}

/// Who calls, after the signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub user: String,
    /// What the user may do.
    pub access: Access,
    /// What the caller called us: the signed `Host` header. Links begin with it where the settings say nothing else.
    pub host: String,
    /// The name that the client's program gave to the call, the same for all its attempts; nothing where it gave none.
    pub call: Option<CallName>,
}

/// Longest name of a call that is taken, in characters: the SDKs' are UUIDs.
const MAXIMUM_CALL_NAME: usize = 128;

/// The header `amz-sdk-invocation-id`, and what was asked under it.
///
/// It counts whether the signature covers it or not: boto3 and the `aws` command send it and do not sign it. Whoever could change
/// it on its way could as well hold the call back and answer in our place, since answers are not signed; and all that it can do
/// is keep a user's own call from being done a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallName {
    /// The header.
    pub name: String,
    /// The hash of the operation's name and the body.
    pub request: [u8; 32],
}

impl CallName {
    /// The name of a call of this operation with this body. One that is empty, too long or no plain text is none, and so is one of several.
    pub(super) fn read(headers: &HeaderMap, operation: &str, body: &[u8]) -> Option<Self> {
        let mut all = headers.get_all(INVOCATION_HEADER).iter();
        let name = all.next()?.to_str().ok()?.trim();
        if all.next().is_some() || !(1..=MAXIMUM_CALL_NAME).contains(&name.len()) {
            return None;
        }
        Some(Self { name: name.to_owned(), request: sha256(&[operation.as_bytes(), &[0], body]) })
    }
}

/// An operation's handler: `async fn(&S, &Caller, Request) -> Result<Response, ApiError>`. Implemented for such functions;
/// the trait exists to say that their futures are `Send` whatever the borrows' lifetime.
pub trait Handler<'a, S: 'a, Request: Operation>: Send + Sync + 'static {
    /// What the function returns.
    type Future: Future<Output = Result<Request::Response, ApiError>> + Send + 'a;

    /// Calls the function.
    fn call(&self, state: &'a S, caller: &'a Caller, request: Request) -> Self::Future;
}

impl<'a, S, Request, Function, Answer> Handler<'a, S, Request> for Function
where
    S: 'a,
    Request: Operation,
    Function: Fn(&'a S, &'a Caller, Request) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Request::Response, ApiError>> + Send + 'a,
{
    type Future = Answer;

    fn call(&self, state: &'a S, caller: &'a Caller, request: Request) -> Answer {
        self(state, caller, request)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, ApiError>> + Send>>;
type Erased<S> = Box<dyn Fn(Arc<S>, Caller, Bytes) -> Answer + Send + Sync>;

/// An endpoint.
pub(super) struct Endpoint<S> {
    pub(super) name: &'static str,
    pub(super) access: Access,
    /// Whether it changes something: such a call counts once, and is in the audit log by itself.
    pub(super) changes: bool,
    /// What the service model lets a request hold.
    request: &'static Shape,
    /// The parameters of its address that are members of the request: their names there and in the request.
    pub(super) query: &'static [(&'static str, &'static str)],
    handler: Erased<S>,
}

/// Endpoints by the names of their operations, over the shared state `S`.
pub struct Registry<S> {
    endpoints: BTreeMap<&'static str, Endpoint<S>>,
    /// The endpoints that have an address of their own, by its path.
    rest: BTreeMap<&'static str, Endpoint<S>>,
    /// Flotilla's own, by their names.
    own: BTreeMap<&'static str, Endpoint<S>>,
    patterns: Patterns,
}

impl<S> std::fmt::Debug for Registry<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.endpoints.keys()).entries(self.rest.keys()).entries(self.own.keys()).finish()
    }
}

impl<S: Send + Sync + 'static> Default for Registry<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Send + Sync + 'static> Registry<S> {
    /// No endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self { endpoints: BTreeMap::new(), rest: BTreeMap::new(), own: BTreeMap::new(), patterns: Patterns::default() }
    }

    /// Adds the endpoint of an operation of SSM, for callers with at least this access.
    ///
    /// # Panics
    /// When the operation has an endpoint already, or the service model does not have it: no start of the program survives that.
    pub fn endpoint<Request: Operation + Send + 'static>(&mut self, access: Access, handler: impl for<'a> Handler<'a, S, Request>) {
        let shape = model::of_ssm(Request::NAME).unwrap_or_else(|| panic!("{} is no operation of SSM", Request::NAME));
        let endpoint = self.made(access, shape, &[], handler);
        let before = self.endpoints.insert(Request::NAME, endpoint);
        assert!(before.is_none(), "{} has two endpoints", Request::NAME);
    }

    /// Adds the endpoint of an operation of resource groups, for callers with at least this access.
    ///
    /// # Panics
    /// As [`Registry::endpoint`].
    pub fn rest_endpoint<Request: RestOperation + Send + 'static>(
        &mut self,
        access: Access,
        handler: impl for<'a> Handler<'a, S, Request>,
    ) {
        let shape = model::of_groups(Request::NAME).unwrap_or_else(|| panic!("{} is no operation of resource groups", Request::NAME));
        let endpoint = self.made(access, shape, Request::QUERY, handler);
        let before = self.rest.insert(Request::PATH, endpoint);
        assert!(before.is_none(), "{} has two endpoints", Request::PATH);
    }

    /// Adds the endpoint of one of Flotilla's own operations that only read, for callers with at least this access.
    ///
    /// # Panics
    /// As [`Registry::endpoint`].
    pub fn own_endpoint<Request: Operation + Send + 'static>(&mut self, access: Access, handler: impl for<'a> Handler<'a, S, Request>) {
        self.own_made(access, false, handler);
    }

    /// Adds the endpoint of one of Flotilla's own operations that change something: every call is told in the audit log.
    ///
    /// # Panics
    /// As [`Registry::endpoint`].
    pub fn own_change<Request: Operation + Send + 'static>(&mut self, access: Access, handler: impl for<'a> Handler<'a, S, Request>) {
        self.own_made(access, true, handler);
    }

    fn own_made<Request: Operation + Send + 'static>(
        &mut self,
        access: Access,
        changes: bool,
        handler: impl for<'a> Handler<'a, S, Request>,
    ) {
        let shape = model::of_flotilla(Request::NAME).unwrap_or_else(|| panic!("{} is no operation of Flotilla", Request::NAME));
        let endpoint = Endpoint { changes, ..self.made(access, shape, &[], handler) };
        let before = self.own.insert(Request::NAME, endpoint);
        assert!(before.is_none(), "{} has two endpoints", Request::NAME);
    }

    fn made<Request: Operation + Send + 'static>(
        &mut self,
        access: Access,
        request: &'static Shape,
        query: &'static [(&'static str, &'static str)],
        handler: impl for<'a> Handler<'a, S, Request>,
    ) -> Endpoint<S> {
        self.patterns.add(request);
        let handler = Arc::new(handler);
        let handler: Erased<S> = Box::new(move |state, caller, body| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let request: Request = parse(&body)?;
                let response = handler.call(&state, &caller, request).await?;
                serde_json::to_vec(&response).map_err(ApiError::internal)
            })
        });
        Endpoint { name: Request::NAME, access, changes: access > Access::Viewer, request, query, handler }
    }

    /// The operations that have an endpoint, and what their callers need.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, Access)> {
        self.endpoints.iter().map(|(name, endpoint)| (*name, endpoint.access))
    }

    /// The operations of resource groups that have an endpoint, in the order of their paths, and what their callers need.
    pub fn rest_operations(&self) -> impl Iterator<Item = (&'static str, Access)> {
        self.rest.values().map(|endpoint| (endpoint.name, endpoint.access))
    }

    /// Flotilla's own operations, and what their callers need.
    pub fn own_operations(&self) -> impl Iterator<Item = (&'static str, Access)> {
        self.own.values().map(|endpoint| (endpoint.name, endpoint.access))
    }

    /// The paths of endpoints that have an address of their own.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.rest.keys().copied()
    }

    pub(super) fn find_path(&self, path: &str) -> Option<&Endpoint<S>> {
        self.rest.get(path)
    }

    /// Has `caller`, whose signature somebody else has verified, call an operation of SSM with a request as JSON; returns the response as
    /// JSON. The way of the simulator, and of whatever else is inside the process: access and the service model's limits are checked as
    /// for callers from outside.
    ///
    /// # Errors
    /// What the operation answers; `UnknownOperationException` for one that has no endpoint, `AccessDeniedException` for a caller who may
    /// not call it.
    pub async fn call(&self, state: Arc<S>, caller: Caller, operation: &str, request: Bytes) -> Result<Vec<u8>, ApiError> {
        let unknown = || ApiError::new("UnknownOperationException", format!("{operation} is no operation of this bridge"));
        let endpoint = self.find(operation).ok_or_else(unknown)?;
        if !caller.access.permits(endpoint.access) {
            return Err(ApiError::new("AccessDeniedException", format!("{} needs the role {}", endpoint.name, endpoint.access.name())));
        }
        self.validate(endpoint, &request)?;
        endpoint.call(state, caller, request).await
    }

    /// Checks a request against the service model. What is no JSON is left to the reader of the request's type, which says where.
    pub(super) fn validate(&self, endpoint: &Endpoint<S>, body: &[u8]) -> Result<(), ApiError> {
        let body = if body.is_empty() { b"{}".as_slice() } else { body };
        match serde_json::from_slice::<Value>(body) {
            // That reader would take a list of the members' values.
            Ok(request) if !request.is_object() => Err(ApiError::validation(format!("{}: the request is no object", endpoint.name))),
            Ok(request) => self.patterns.check(endpoint.request, &request),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn find_own(&self, operation: &str) -> Option<&Endpoint<S>> {
        self.own.get(operation)
    }

    pub(super) fn find(&self, operation: &str) -> Option<&Endpoint<S>> {
        self.endpoints.get(operation)
    }
}

impl<S> Endpoint<S> {
    pub(super) fn call(&self, state: Arc<S>, caller: Caller, body: Bytes) -> Answer {
        (self.handler)(state, caller, body)
    }
}

/// Reads a request. An error names the member by its path and what was expected there.
fn parse<Request: Operation>(body: &[u8]) -> Result<Request, ApiError> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let request = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        ApiError::validation(format!("{}: {place}{}", Request::NAME, error.into_inner()))
    })?;
    deserializer.end().map_err(|error| ApiError::validation(format!("{}: {error}", Request::NAME)))?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_api::tags::{AddTagsToResourceRequest, ListTagsForResourceRequest};

    fn refusal<Request: Operation + std::fmt::Debug>(body: &str) -> String {
        let error = parse::<Request>(body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, "ValidationException");
        error.message
    }

    #[test]
    fn a_refused_member_is_named_with_what_was_expected() {
        let unknown = refusal::<ListTagsForResourceRequest>(r#"{"ResourceType":"Document","ResourceId":"a","Colour":1}"#);
        assert!(unknown.contains("Colour") && unknown.contains("ResourceType"), "{unknown}");
        let missing = refusal::<ListTagsForResourceRequest>(r#"{"ResourceType":"Document"}"#);
        assert!(missing.contains("ResourceId"), "{missing}");
        let nested = refusal::<AddTagsToResourceRequest>(
            r#"{"ResourceType":"Document","ResourceId":"a","Tags":[{"Key":"a","Value":"b"},{"Key":"a","Value":7}]}"#,
        );
        assert!(nested.contains("Tags[1].Value") && nested.contains("expected a string"), "{nested}");
        refusal::<ListTagsForResourceRequest>("");
        refusal::<ListTagsForResourceRequest>(r#"{"ResourceType":"Document","ResourceId":"a"} {}"#);
        refusal::<ListTagsForResourceRequest>("[[[");
    }

    #[test]
    fn what_a_role_permits_and_its_name() {
        use Access::{Admin, Auditor, Operator, Viewer};
        let permitted = |access: Access| [Viewer, Auditor, Operator, Admin].map(|needed| access.permits(needed));
        assert_eq!(permitted(Viewer), [true, false, false, false]);
        assert_eq!(permitted(Auditor), [true, true, false, false]);
        assert_eq!(permitted(Operator), [true, false, true, false]);
        assert_eq!(permitted(Admin), [true; 4]);
        for access in [Viewer, Auditor, Operator, Admin] {
            assert_eq!(Access::named(access.name()), Some(access));
        }
        assert_eq!(Access::named("Operator"), None);
    }
}
