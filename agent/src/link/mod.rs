//! The role link: one connection to the broker, one local socket to exec, and bytes between them.
//!
//! The link owns the TLS key and the network, and understands no message: what it can do to a node is to hinder it. While
//! exec is away there is no connection, so that nobody believes the node to be there.
//!
//! Before it reads from the network it gives up every right that it does not need: see `confinement.rs`.
//!
//! It also sees to it that its certificate is renewed in time: see `renewal.rs`, and `credentials.rs` for the files.

mod confinement;
mod credentials;
mod relay;
mod renewal;

use std::path::Path;
use std::time::Duration;

use flotilla_link::{BackoffLimits, KnownTime, TlsError, Will};
use flotilla_protocol::topic::{Topic, node_filters};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::clock;
use crate::notify::Notifier;
use crate::settings::Settings;
use crate::state::{Layout, LinkState, StateError};
pub use confinement::{ConfinementError, confine};
use credentials::Credentials;
use relay::{Ended, Surroundings};
use renewal::Renewal;

/// The first pause between two looks for exec's socket: both halves start at once, and exec needs some milliseconds. It doubles up to the longest.
const FIRST_SOCKET_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause between two looks, and the pause before the first one when exec was there and is gone.
const SOCKET_PAUSE: Duration = Duration::from_millis(200);
/// Ceiling of the first pause between two attempts to reach the broker.
const FIRST_RECONNECT: Duration = Duration::from_millis(500);
/// Publishes on their way to the broker; the client library's table costs memory for each.
const IN_FLIGHT: u16 = 16;
/// The largest message, its topic, and MQTT's own bytes.
const MAXIMUM_PACKET_BYTES: usize = MAXIMUM_MESSAGE_BYTES + 1024;
/// What a node that is connected has on its presence topic.
const ONLINE: &[u8] = b"1";
/// What its will puts there.
const OFFLINE: &[u8] = b"0";

/// Why the link cannot run.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The state is missing or damaged.
    #[error(transparent)]
    State(#[from] StateError),
    /// Key, certificate and authority cannot be used; registering again makes new ones.
    #[error("the link's certificate cannot be used; register again with --again")]
    Tls(#[from] TlsError),
    /// Signals cannot be received.
    #[error("the system gives no signal handlers")]
    Signals(#[source] std::io::Error),
    /// The MQTT link refuses its settings: a fault of this build.
    #[error("the connection to the broker cannot be tried")]
    Stopped(#[source] flotilla_link::StopReason),
}

/// Runs the link until SIGTERM.
///
/// # Errors
/// See [`LinkError`].
pub async fn run(settings: Settings) -> Result<(), LinkError> {
    let state = LinkState::load(&settings)?;
    let online = Topic::Online { fleet: state.fleet, node: state.node }.to_string();
    let credentials = Credentials::load(&Layout::new(&settings), &state);
    let time = KnownTime::new(state.time_floor_s);
    let mut connection = connection_settings(&settings, &state, &credentials, &time, &online)?;
    let renewal = Renewal::new(state.claim.clone(), state.fleet, settings.reconnect_maximum_s);
    let notifier = Notifier::from_environment();
    let mut terminate = signal(SignalKind::terminate()).map_err(LinkError::Signals)?;
    notifier.ready();
    let mut surroundings = Surroundings { credentials, renewal, time, notifier };
    let relaying = async {
        loop {
            let exec = connect_to_exec(&settings.socket, &mut surroundings.notifier).await;
            match relay::run(&mut connection, exec, &online, &mut surroundings).await {
                Ended::ExecGone => tracing::info!("exec is gone; the connection to the broker is closed until it is back"),
                Ended::Stopped(reason) => return LinkError::Stopped(reason),
                Ended::Unusable(error) => return LinkError::Tls(error),
            }
            sleep(SOCKET_PAUSE).await;
        }
    };
    let ended = tokio::select! {
        error = relaying => Err(error),
        _ = terminate.recv() => Ok(()),
    };
    surroundings.notifier.stopping();
    ended
}

fn connection_settings(
    settings: &Settings,
    state: &LinkState,
    credentials: &Credentials,
    time: &KnownTime,
    online: &str,
) -> Result<flotilla_link::Settings, LinkError> {
    let maximum = Duration::from_secs(settings.reconnect_maximum_s);
    Ok(flotilla_link::Settings {
        address: credentials.in_use().broker(),
        tls: credentials.in_use().tls(time)?,
        client_id: state.node.to_string(),
        subscriptions: node_filters(&state.fleet, &state.node).to_vec(),
        will: Some(Will { topic: online.to_owned(), payload: OFFLINE.into(), retain: true }),
        keep_alive: Duration::from_secs(settings.keep_alive_s),
        maximum_packet_bytes: u32::try_from(MAXIMUM_PACKET_BYTES).unwrap_or(u32::MAX),
        in_flight: IN_FLIGHT,
        backoff: BackoffLimits { minimum: FIRST_RECONNECT.min(maximum), maximum },
    })
}

async fn connect_to_exec(socket: &Path, notifier: &mut Notifier) -> UnixStream {
    let mut said = false;
    let mut pause = FIRST_SOCKET_PAUSE;
    notifier.status("waiting for exec");
    loop {
        notifier.feed(clock::boottime_ms());
        match UnixStream::connect(socket).await {
            Ok(stream) => match crate::peer::check(&stream, None) {
                Ok(()) => return stream,
                Err(error) => tracing::warn!(%error, socket = %socket.display(), "a stranger listens where exec should"),
            },
            // Once, because exec may be away for long.
            Err(error) if !said => {
                tracing::info!(%error, socket = %socket.display(), "waiting for exec");
                said = true;
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(SOCKET_PAUSE);
    }
}
