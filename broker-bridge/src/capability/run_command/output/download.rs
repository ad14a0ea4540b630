//! Answers links to output: a plain GET, let in by the signature in its query, and streamed a chunk at a time.

use super::{ALL_STEPS, Place, kept_bytes};
use crate::capability::run_command::ingest::stream_column;
use crate::fleet::{Fleet, user};
use crate::platform::http::{LinkRefusal, PresentedLink};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use flotilla_protocol::capability::command::{Captured, CommandResult};
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::report::OutputStream;
use hyper::body::{Frame, SizeHint};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Most downloads at once; one more is told to try again.
const MAXIMUM_DOWNLOADS: usize = 32;
/// Most downloads of one user at once: nobody takes the places of all others.
const MAXIMUM_DOWNLOADS_OF_USER: usize = 4;
/// Longest time for one download: ten megabytes through a slow line.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// Chunks that are read before the client has taken the one before.
const CHUNKS_AHEAD: usize = 2;

/// Everything that downloads share.
#[derive(Debug)]
struct Downloads {
    fleet: Arc<Fleet>,
    places: Arc<Semaphore>,
    /// How many each user has under way; whoever has none is not in it.
    of_users: Mutex<BTreeMap<String, usize>>,
}

/// A place among the downloads, given back when it is dropped.
#[derive(Debug)]
struct Seat {
    downloads: Arc<Downloads>,
    user: String,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    fn take(downloads: &Arc<Downloads>, user: &str) -> Result<Self, DownloadError> {
        let place = Arc::clone(&downloads.places).try_acquire_owned().map_err(|_| DownloadError::Busy)?;
        let mut of_users = downloads.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = of_users.get(user).copied().unwrap_or(0);
        if taken >= MAXIMUM_DOWNLOADS_OF_USER {
            return Err(DownloadError::BusyUser);
        }
        of_users.insert(user.to_owned(), taken + 1);
        drop(of_users);
        Ok(Self { downloads: Arc::clone(downloads), user: user.to_owned(), _place: place })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut of_users = self.downloads.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        match of_users.get_mut(&self.user) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => drop(of_users.remove(&self.user)),
        }
    }
}

/// The address of output.
pub fn routes(fleet: &Arc<Fleet>) -> Router {
    let downloads = Downloads { fleet: Arc::clone(fleet), places: Arc::new(Semaphore::new(MAXIMUM_DOWNLOADS)), of_users: Mutex::default() };
    Router::new().route("/output/{command}/{node}/{step}/{stream}", get(download)).with_state(Arc::new(downloads))
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error(transparent)]
    Link(#[from] LinkRefusal),
    #[error("there is no such output: it was removed as old, or its command is not known")]
    Missing,
    #[error("{MAXIMUM_DOWNLOADS} downloads run already; try again in a moment")]
    Busy,
    #[error("{MAXIMUM_DOWNLOADS_OF_USER} downloads of this user run already; try again when one has ended")]
    BusyUser,
    #[error("the output could not be read; the bridge's log says why")]
    Database(#[from] sqlx::Error),
}

async fn download(State(downloads): State<Arc<Downloads>>, Path(parts): Path<[String; 4]>, RawQuery(query): RawQuery) -> Response<Body> {
    match open(&downloads, &parts, query.as_deref().unwrap_or_default()).await {
        Ok(body) => body,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &DownloadError) -> Response<Body> {
    let status = match error {
        DownloadError::Link(_) => StatusCode::FORBIDDEN,
        DownloadError::Missing => StatusCode::NOT_FOUND,
        DownloadError::Busy | DownloadError::BusyUser => StatusCode::SERVICE_UNAVAILABLE,
        DownloadError::Database(source) => {
            tracing::error!(error = source as &dyn std::error::Error, "output could not be read");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    respond(status, TEXT, Body::from(format!("{error}\n")))
}

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What a device wrote is shown as text or saved, never run; and the link must not travel on.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn open(downloads: &Arc<Downloads>, parts: &[String; 4], query: &str) -> Result<Response<Body>, DownloadError> {
    let fleet = &downloads.fleet;
    // What cannot be read was never signed.
    let (command_id, node_id, steps, stream) = parse(parts).ok_or(LinkRefusal::Wrong)?;
    let place = Place { command_id: &command_id, node_id: &node_id, step: steps, stream };
    let presented = PresentedLink::parse(query).ok_or(LinkRefusal::Wrong)?;
    let since_ms = user::since_ms(&fleet.store, &presented.user).await.map_err(|error| sqlx::Error::Configuration(error.into()))?;
    fleet.links.check(&place.path(), &presented, since_ms, fleet.clock.now_ms())?;
    fleet.store.audit().count_read(&presented.user, "output", fleet.clock.now_ms());
    let seat = Seat::take(downloads, &presented.user)?;
    let mut source = Source::open(Arc::clone(fleet), &place).await?;
    let length = source.length();
    // The kind is that of the beginning: nothing more is read before something is sent.
    let first = source.next().await?;
    let content_type = if first.as_ref().is_none_or(|first| is_text(first)) { TEXT } else { BYTES };
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(feed(source, first, sender, seat));
    tracing::debug!(user = presented.user, command = command_id, node = node_id, length, "output is fetched");
    Ok(respond(StatusCode::OK, content_type, Body::new(Chunks { receiver, left: length })))
}

fn parse(parts: &[String; 4]) -> Option<(String, String, Option<usize>, OutputStream)> {
    let [command, node, step, stream] = parts;
    let command: OrderId = command.parse().ok()?;
    let node: NodeId = node.parse().ok()?;
    let step = if step == ALL_STEPS { None } else { Some(step.parse::<u16>().ok()?.into()) };
    let stream = [OutputStream::Stdout, OutputStream::Stderr].into_iter().find(|known| super::stream_name(*known) == stream)?;
    Some((command.to_string(), node.to_string(), step, stream))
}

/// Whether bytes, which may be cut within a character, are text.
fn is_text(bytes: &[u8]) -> bool {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    whole && !bytes.contains(&0)
}

/// Reads the chunks of a stream in order, up to where it was when it was opened.
struct Source {
    fleet: Arc<Fleet>,
    command_id: String,
    node_id: String,
    stream: OutputStream,
    /// What is still to be read, the next step last: its number, its head, where to go on, where it ends.
    steps: Vec<StepSource>,
}

struct StepSource {
    step: usize,
    head: Vec<u8>,
    position: i64,
    end: i64,
}

impl Source {
    async fn open(fleet: Arc<Fleet>, place: &Place<'_>) -> Result<Self, DownloadError> {
        let row: Option<(String, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT steps, result FROM invocation JOIN command ON command.command_id = invocation.command_id \
             WHERE invocation.command_id = $1 AND node_id = $2",
        )
        .bind(place.command_id)
        .bind(place.node_id)
        .fetch_optional(fleet.store.reader())
        .await?;
        let (names, result) = row.ok_or(DownloadError::Missing)?;
        let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&names).map_or(0, |steps| steps.len());
        let wanted = match place.step {
            None => 0..count,
            Some(step) if step < count => step..step + 1,
            Some(_) => return Err(DownloadError::Missing),
        };
        let mut result: Option<CommandResult> = result.and_then(|result| flotilla_protocol::wire::decode(&result).ok());
        let mut steps = Vec::new();
        for step in wanted.rev() {
            let captured: Option<&mut Captured> =
                result.as_mut().and_then(|result| result.steps.get_mut(step)).map(|result| match place.stream {
                    OutputStream::Stdout => &mut result.stdout,
                    OutputStream::Stderr => &mut result.stderr,
                });
            let end = kept_bytes(&fleet, &Place { step: Some(step), ..*place }, captured.as_deref()).await?;
            let head = captured.map(|captured| std::mem::take(&mut captured.head)).unwrap_or_default();
            steps.push(StepSource { step, head, position: 0, end });
        }
        Ok(Self { fleet, command_id: place.command_id.to_owned(), node_id: place.node_id.to_owned(), stream: place.stream, steps })
    }

    fn length(&self) -> u64 {
        self.steps.iter().map(|step| crate::platform::time::from_column(step.end)).sum()
    }

    /// The next bytes; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        while let Some(current) = self.steps.last_mut() {
            if current.position >= current.end {
                self.steps.pop();
                continue;
            }
            let bytes = if current.head.is_empty() {
                read_chunk(&self.fleet, &self.command_id, &self.node_id, self.stream, current).await?
            } else {
                std::mem::take(&mut current.head)
            };
            let left = usize::try_from(current.end - current.position).unwrap_or(usize::MAX);
            let mut bytes = Bytes::from(bytes);
            bytes.truncate(left);
            current.position = current.position.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
            return Ok(Some(bytes));
        }
        Ok(None)
    }
}

/// The bytes of a stream from a position on, as far as one chunk has them.
async fn read_chunk(
    fleet: &Fleet,
    command_id: &str,
    node_id: &str,
    stream: OutputStream,
    current: &StepSource,
) -> Result<Vec<u8>, DownloadError> {
    let chunk: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT chunk_offset, bytes FROM command_output WHERE command_id = $1 AND node_id = $2 AND step = $3 AND stream = $4 \
         AND chunk_offset <= $5 ORDER BY chunk_offset DESC LIMIT 1",
    )
    .bind(command_id)
    .bind(node_id)
    .bind(i64::try_from(current.step).unwrap_or(i64::MAX))
    .bind(stream_column(stream))
    .bind(current.position)
    .fetch_optional(fleet.store.reader())
    .await?;
    let (offset, mut bytes) = chunk.ok_or(DownloadError::Missing)?;
    let skipped = usize::try_from(current.position - offset).unwrap_or(usize::MAX);
    // Nothing of it left: it was removed meanwhile, as commands are when they are old.
    if skipped >= bytes.len() {
        return Err(DownloadError::Missing);
    }
    Ok(bytes.split_off(skipped))
}

/// Sends chunks as fast as the client takes them. Whatever goes wrong ends the answer before its length, which clients notice.
async fn feed(mut source: Source, first: Option<Bytes>, sender: mpsc::Sender<Bytes>, seat: Seat) {
    let sending = async {
        let mut next = first;
        while let Some(bytes) = next {
            if sender.send(bytes).await.is_err() {
                return Ok(());
            }
            next = source.next().await?;
        }
        Ok::<(), DownloadError>(())
    };
    match tokio::time::timeout(DOWNLOAD_TIMEOUT, sending).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "a download of output was cut off"),
        Err(_) => tracing::debug!("a download of output took too long"),
    }
    drop(seat);
}

/// Ends an answer that has less than it announced.
#[derive(Debug, thiserror::Error)]
#[error("the output ended early")]
struct EndedEarly;

/// The body of an answer, of a length that was announced.
#[derive(Debug)]
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    left: u64,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = EndedEarly;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|bytes| match bytes {
            Some(bytes) => {
                self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Some(Ok(Frame::data(bytes)))
            }
            None => Some(Err(EndedEarly)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_be_cut_within_a_character_and_holds_no_zero() {
        assert!(is_text(b"") && is_text("grün".as_bytes()) && is_text(&"grü".as_bytes()[..3]));
        assert!(!is_text(&[0xff, 0xfe]) && !is_text(b"a\0b") && !is_text(&"grün".as_bytes()[3..]));
    }

    #[test]
    fn only_the_form_of_our_links_is_read() {
        let (command, node) = ("01234567-89ab-7def-8123-456789abcdef", NodeId::of_key(&[1; 32]).to_string());
        let parts = |step: &str, stream: &str| [command.to_owned(), node.clone(), step.to_owned(), stream.to_owned()];
        assert_eq!(parse(&parts("3", "stderr")), Some((command.to_owned(), node.clone(), Some(3), OutputStream::Stderr)));
        assert_eq!(parse(&parts("all", "stdout")), Some((command.to_owned(), node.clone(), None, OutputStream::Stdout)));
        for (step, stream) in [("", "stdout"), ("-1", "stdout"), ("65536", "stdout"), ("0", "stdin"), ("0", "")] {
            assert_eq!(parse(&parts(step, stream)), None, "{step} {stream}");
        }
        assert_eq!(parse(&["a".into(), node.clone(), "0".into(), "stdout".into()]), None);
        assert_eq!(parse(&[command.into(), "mi-1".into(), "0".into(), "stdout".into()]), None);
    }

    #[tokio::test]
    async fn nobody_takes_the_places_of_all_others() {
        let kit = crate::device::test_kit::Kit::new().await;
        let places = Arc::new(Semaphore::new(MAXIMUM_DOWNLOADS_OF_USER + 1));
        let downloads = Arc::new(Downloads { fleet: Arc::clone(&kit.fleet), places, of_users: Mutex::default() });
        let mut seats: Vec<Seat> = (0..MAXIMUM_DOWNLOADS_OF_USER).map(|_| Seat::take(&downloads, "ada").unwrap()).collect();
        assert!(matches!(Seat::take(&downloads, "ada"), Err(DownloadError::BusyUser)));
        let other = Seat::take(&downloads, "bob").unwrap();
        assert!(matches!(Seat::take(&downloads, "bob"), Err(DownloadError::Busy)));
        seats.pop();
        seats.push(Seat::take(&downloads, "ada").unwrap());
        drop((seats, other));
        assert!(downloads.of_users.lock().unwrap().is_empty());
        assert_eq!(downloads.places.available_permits(), MAXIMUM_DOWNLOADS_OF_USER + 1);
    }
}
