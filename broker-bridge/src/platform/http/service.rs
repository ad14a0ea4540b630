//! One request, from its first header to its answer.

use super::places::Places;
use super::registry::{CallName, Endpoint, INVOCATION_HEADER};
use super::replay::{Refusal, SeenSignatures};
use super::server::Peer;
use super::{ApiError, Caller, Registry, rest};
use crate::platform::audit::call::{Call, Told, under};
use crate::platform::audit::counts;
use crate::platform::sigv4::{PresentedSignature, SignedService};
use crate::platform::store::Store;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use flotilla_api::operation::{CONTENT_TYPE, TARGET_HEADER, operation_name};
use flotilla_api::{ErrorBody, audit, groups, operations};
use flotilla_protocol::sha256;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Largest request, in bytes: a document of 64 KB with every character escaped fits several times.
pub const MAXIMUM_BODY_BYTES: usize = 1024 * 1024;
/// Longest time for one request, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time in which the body of a request comes in.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Most verified requests at once; one more is throttled. A change counts until it is done, also when its caller has hung up.
const MAXIMUM_REQUESTS: usize = 256;
/// After how many seconds a throttled caller is asked to come again.
const RETRY_AFTER_S: &str = "1";

/// Whose access key it is, and the secret to verify with.
#[derive(Debug)]
pub struct Identity {
    /// Who calls.
    pub caller: Caller,
    /// The secret access key.
    pub secret: Zeroizing<String>,
}

/// The state behind the endpoints, as far as this module needs it: it knows users and the time.
pub trait Identities: Send + Sync + 'static {
    /// The identity of an access key; nothing where there is no such key.
    fn identity(&self, access_key_id: &str) -> impl Future<Output = Result<Option<Identity>, ApiError>> + Send;

    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Where the audit log is.
    fn store(&self) -> &Store;

    /// Why no call that changes something is taken now, because too much waits already.
    fn refusal(&self) -> Option<ApiError>;
}

/// The endpoints with their state and their limits.
#[derive(Debug)]
pub struct Api<S> {
    state: Arc<S>,
    registry: Registry<S>,
    seen: SeenSignatures,
    requests: Arc<Semaphore>,
    unproven: Places,
}

impl<S: Identities> Api<S> {
    /// The API over this state.
    #[must_use]
    pub fn new(state: Arc<S>, registry: Registry<S>) -> Self {
        let seen = SeenSignatures::new(state.now_ms());
        Self { state, registry, seen, requests: Arc::new(Semaphore::new(MAXIMUM_REQUESTS)), unproven: Places::default() }
    }

    /// The routes: the operations at `POST /`, those of resource groups at their own addresses, and `GET /health`, which needs no
    /// signature and says only that we answer.
    pub fn router(self) -> Router {
        let not_here = || async {
            let error = ApiError::new("UnknownOperationException", "operations are called with POST /");
            answer_error(&error, Door::Root, &request_id())
        };
        let paths: Vec<&'static str> = self.registry.paths().collect();
        let root = post(|State(api): State<Arc<Self>>, request: Request| answer(api, Door::Root, request));
        let mut router = Router::new().route("/", root).route("/health", get(|| async { "ok\n" }));
        for path in paths {
            let own = post(move |State(api): State<Arc<Self>>, request: Request| answer(api, Door::Path(path), request));
            router = router.route(path, own);
        }
        router.fallback(not_here).method_not_allowed_fallback(not_here).with_state(Arc::new(self))
    }

    /// Who calls what, and what comes of it.
    async fn perform(&self, door: Door, request: Request, seen: &mut Seen) -> Result<Vec<u8>, ApiError> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        if door == Door::Root && parts.uri.query().is_some() {
            return Err(ApiError::new("InvalidSignatureException", "signatures are taken in headers only, and the address has no query"));
        }
        let presented = PresentedSignature::parse_for(&parts.headers, door.service()).map_err(signature_error)?;
        let target = text(&parts.headers, TARGET_HEADER).to_owned();
        if door == Door::Root {
            check_content_type(&parts.headers)?;
        }
        // Nothing of a body is waited for whose key is not known, and those of one key wait in places of their own: who has no secret must
        // not keep out who has.
        let identity = self.identify(&presented, &parts.headers).await?;
        let crowded = || ApiError::throttling("too many requests at once that are not verified yet; try again");
        let place = self.unproven.enter(presented.access_key_id()).ok_or_else(crowded)?;
        let body = read_body(body).await?;
        presented.verify_at(&door.address(query), &parts.headers, &body, &identity.secret, self.state.now_ms()).map_err(signature_error)?;
        drop(place);
        let full = |_| ApiError::throttling(format!("more than {MAXIMUM_REQUESTS} requests at once; try again"));
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(full)?;
        let mut caller = identity.caller;
        text(&parts.headers, "host").clone_into(&mut caller.host);
        seen.user.clone_from(&caller.user);
        let endpoint = self.endpoint(door, &target, seen)?;
        seen.changes = endpoint.changes;
        if endpoint.changes {
            let source = parts.extensions.get::<Peer>().map(|Peer(address)| address.to_string()).unwrap_or_default();
            let access_key = presented.access_key_id();
            let (user, operation, request_id, body) = (&caller.user, endpoint.name, &seen.request_id, &sha256(&[&body]));
            let told = Told { user, operation, access_key, request_id, source: &source, body };
            seen.call = Some(Arc::new(Call::new(&told, self.state.now_ms())));
        }
        if !caller.access.permits(endpoint.access) {
            let (user, has, needs) = (&caller.user, caller.access.name(), endpoint.access.name());
            return Err(ApiError::access_denied(format!("{user} is {has}; {} needs the role {needs}", endpoint.name)));
        }
        if endpoint.changes {
            if let Some(refusal) = self.state.refusal() {
                return Err(refusal);
            }
            self.admit_once(&presented, &parts.headers)?;
        }
        let body = if query.is_empty() { body } else { rest::with_parameters(&body, query, endpoint.query)?.into() };
        self.registry.validate(endpoint, &body)?;
        if endpoint.changes {
            caller.call = CallName::read(&parts.headers, endpoint.name, &body);
        }
        let call = endpoint.call(Arc::clone(&self.state), caller, body);
        let Some(told) = seen.call.take() else { return call.await };
        // In a task of its own: a client that hangs up, or our time limit, must not cut a change off between its commit and what follows.
        let state = Arc::clone(&self.state);
        let whole = async move {
            let answer = under(Arc::clone(&told), call).await;
            told.tell(state.store(), answer.as_ref().err().map(|error| error.kind.as_ref()), state.now_ms()).await;
            drop(permit);
            answer
        };
        tokio::spawn(whole).await.unwrap_or_else(|error| Err(ApiError::internal(error)))
    }

    /// The endpoint that a request is for.
    fn endpoint(&self, door: Door, target: &str, seen: &mut Seen) -> Result<&Endpoint<S>, ApiError> {
        let unknown = || ApiError::new("UnknownOperationException", format!("{target:?} is no operation of SSM"));
        if let Door::Path(path) = door {
            let endpoint = self.registry.find_path(path).ok_or_else(unknown)?;
            seen.operation = endpoint.name;
            return Ok(endpoint);
        }
        if let Some(name) = target.strip_prefix(audit::TARGET_PREFIX).and_then(|rest| rest.strip_prefix('.')) {
            let endpoint = self.registry.find_own(name).ok_or_else(unknown)?;
            seen.operation = endpoint.name;
            return Ok(endpoint);
        }
        let name = operation_name(target).ok_or_else(unknown)?;
        let listed = operations::find(name).ok_or_else(unknown)?;
        seen.operation = listed.name;
        let unbuilt = || ApiError::new(listed.unbuilt_error, format!("{name} is not built in this bridge"));
        self.registry.find(name).ok_or_else(unbuilt)
    }

    /// Whose key it is said to be.
    async fn identify(&self, presented: &PresentedSignature, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let unknown = || ApiError::new("UnrecognizedClientException", "the access key is not known here; check AWS_ACCESS_KEY_ID");
        if headers.contains_key("x-amz-security-token") {
            return Err(ApiError::new("UnrecognizedClientException", "there are no session tokens here; unset AWS_SESSION_TOKEN"));
        }
        self.state.identity(presented.access_key_id()).await?.ok_or_else(unknown)
    }

    /// Has the audit log tell of a request what its handler has not, or count it.
    async fn account(&self, seen: &Seen, error: Option<&ApiError>) {
        let (now_ms, store) = (self.state.now_ms(), self.state.store());
        match (&seen.call, error) {
            // It was refused before its handler had it.
            (Some(call), Some(error)) => call.tell(store, Some(&error.kind), now_ms).await,
            (None, Some(error)) if seen.user.is_empty() => store.audit().counts.add(counts::UNAUTHENTICATED, "", &error.kind, true, now_ms),
            (None, error) if !seen.changes => store.audit().counts.add(counts::READS, &seen.user, seen.operation, error.is_some(), now_ms),
            _ => {}
        }
    }

    fn admit_once(&self, presented: &PresentedSignature, headers: &HeaderMap) -> Result<(), ApiError> {
        let invocation = format!("{} {}", text(headers, INVOCATION_HEADER), text(headers, "amz-sdk-request"));
        self.seen.admit(presented, &invocation, self.state.now_ms()).map_err(|refusal| match refusal {
            Refusal::Used => ApiError::new("InvalidSignatureException", "this signature was used already; sign the request anew"),
            Refusal::BeforeStart => ApiError::new(
                "InvalidSignatureException",
                "the request was signed before the bridge started; sign it anew, with a right clock",
            ),
            Refusal::Full => ApiError::throttling("too many signed requests within 15 minutes; try again later"),
        })
    }
}

/// Where a request came in, which says how it is signed and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The address of all operations of SSM.
    Root,
    /// The address of one operation of resource groups.
    Path(&'static str),
}

impl Door {
    fn service(self) -> SignedService {
        match self {
            Self::Root => SignedService::Ssm,
            Self::Path(_) => SignedService::ResourceGroups,
        }
    }

    /// What the signature covers of the address.
    fn address(self, query: &str) -> String {
        match self {
            Self::Root => "/".to_owned(),
            Self::Path(path) if query.is_empty() => path.to_owned(),
            Self::Path(path) => format!("{path}?{query}"),
        }
    }
}

/// What is known of a request when it ends, for the logs.
#[derive(Debug, Default)]
struct Seen {
    request_id: String,
    user: String,
    operation: &'static str,
    changes: bool,
    /// What the audit log is to tell of it, until that is somebody else's to do.
    call: Option<Arc<Call>>,
}

async fn answer<S: Identities>(api: Arc<Api<S>>, door: Door, request: Request) -> Response<Body> {
    let request_id = request_id();
    let mut seen = Seen { request_id: request_id.clone(), ..Seen::default() };
    let result = tokio::time::timeout(REQUEST_TIMEOUT, api.perform(door, request, &mut seen)).await;
    let result = result.unwrap_or_else(|_| Err(too_slow(REQUEST_TIMEOUT)));
    api.account(&seen, result.as_ref().err()).await;
    match result {
        Ok(body) => {
            tracing::debug!(request = %request_id, user = %seen.user, operation = seen.operation, "answered");
            response(StatusCode::OK, body, door, &request_id)
        }
        Err(error) => {
            log(&error, &seen, &request_id);
            answer_error(&error, door, &request_id)
        }
    }
}

async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let too_large = |_| {
        ApiError::new("RequestEntityTooLargeException", format!("a request has at most {MAXIMUM_BODY_BYTES} bytes"))
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAXIMUM_BODY_BYTES)).await {
        Ok(read) => read.map_err(too_large),
        Err(_) => Err(too_slow(BODY_TIMEOUT)),
    }
}

fn too_slow(limit: Duration) -> ApiError {
    ApiError::new("RequestTimeoutException", format!("the request took longer than {} s", limit.as_secs()))
}

fn log(error: &ApiError, seen: &Seen, request_id: &str) {
    let Seen { user, operation, .. } = seen;
    match error.cause() {
        Some(cause) => {
            let mut causes = cause.to_string();
            let mut next = cause.source();
            while let Some(source) = next {
                causes.push_str(": ");
                causes.push_str(&source.to_string());
                next = source.source();
            }
            tracing::error!(request = %request_id, %user, operation, error = %causes, "failed");
        }
        None => tracing::debug!(request = %request_id, %user, operation, kind = %error.kind, error = %error.message, "refused"),
    }
}

fn answer_error(error: &ApiError, door: Door, request_id: &str) -> Response<Body> {
    let (kind, status) = match door {
        Door::Root => (error.kind.as_ref(), error.status()),
        Door::Path(_) => rest::named(error),
    };
    let body = ErrorBody::new(kind, error.message.as_str());
    let body = serde_json::to_vec(&body).unwrap_or_else(|_| b"{\"__type\":\"InternalServerError\"}".to_vec());
    let mut response = response(status, body, door, request_id);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    if let (Door::Path(_), Ok(kind)) = (door, HeaderValue::from_str(kind)) {
        response.headers_mut().insert(groups::ERROR_HEADER, kind);
    }
    response
}

fn response(status: StatusCode, body: Vec<u8>, door: Door, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = match door {
        Door::Root => CONTENT_TYPE,
        Door::Path(_) => groups::CONTENT_TYPE,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    response
}

/// Random but for the bits that say so: a version 4 UUID.
fn request_id() -> String {
    let mut bytes = [0; 16];
    // An id for the log; without randomness all are equal, and requests are answered all the same.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = [0; 16];
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn signature_error(error: crate::platform::sigv4::SignatureError) -> ApiError {
    ApiError::new(error.kind(), error.to_string())
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = text(headers, "content-type");
    let essence = content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim();
    if essence == CONTENT_TYPE {
        return Ok(());
    }
    Err(ApiError::validation(format!("Content-Type is {content_type:?}, where {CONTENT_TYPE} is expected")))
}

/// A header's text, empty where it is absent or no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
