//! `flotilla-bridge run`: opens the fleet, then serves operators and nodes until it is told to stop.

use crate::clock::Clock;
use crate::fleet::{Fleet, OpenFleetError};
use crate::platform::http::{Api, Listener, Registry, ServeError};
use crate::platform::shutdown::shutdown;
use crate::settings::{Settings, SettingsError};
use crate::{capability, device, fleet};
use nix::fcntl::{Flock, FlockArg};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Why the bridge did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// Another bridge runs on the same home.
    #[error("another bridge runs on {home}; stop it first")]
    Running {
        /// The home.
        home: PathBuf,
    },
    /// The home cannot be locked, or signals cannot be received.
    #[error("cannot prepare to run in {home}; is this the home that `flotilla-bridge init` made?")]
    System {
        /// The home.
        home: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The fleet.
    #[error("the fleet cannot be opened")]
    Fleet(#[from] OpenFleetError),
    /// The API.
    #[error("the API cannot be served")]
    Serve(#[from] ServeError),
    /// The half that speaks to nodes.
    #[error("the connection to the nodes has failed")]
    Device(#[from] device::DeviceError),
    /// The task that serves the API is gone. The service manager starts the bridge again.
    #[error("the API has ended, which it never should; the log says why")]
    ApiEnded,
}

/// Every endpoint of the bridge.
#[must_use]
pub fn registry() -> Registry<Fleet> {
    let mut registry = Registry::new();
    fleet::endpoints(&mut registry);
    capability::endpoints(&mut registry);
    registry
}

/// Everything that the API's port answers.
pub fn router(fleet: &Arc<Fleet>) -> axum::Router {
    Api::new(Arc::clone(fleet), registry()).router().merge(capability::routes(fleet))
}

/// Runs the bridge of a home until SIGTERM or SIGINT, or until a part of it ends by itself.
///
/// # Errors
/// See [`RunError`].
pub async fn run(home: &Path, clock: Clock) -> Result<(), RunError> {
    let settings = Settings::load(home)?;
    let _lock = lock(home)?;
    let failed = |source| RunError::System { home: home.to_owned(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let fleet = Fleet::open(&settings, clock).await?;
    let listener = Listener::bind(settings.api.listen, settings.api.tls.as_ref()).await?;
    let (url, fleet_id) = (listener.url(), fleet.settings.fleet);
    let (switch, wish) = shutdown();
    let mut api = tokio::spawn(listener.serve(router(&fleet), wish.clone()));
    let mut webhooks = tokio::spawn(fleet::webhook::deliver::run(Arc::clone(&fleet), wish.clone()));
    tracing::info!(%url, fleet = %fleet_id, name = %fleet.settings.name, "the API is served");

    let mut nodes = Box::pin(device::run(Arc::clone(&fleet), &settings, wish));
    let mut api_ended = false;
    let ended = tokio::select! {
        ended = &mut nodes => Some(ended),
        _ = &mut api => { api_ended = true; None }
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    tracing::info!("stopping");
    switch.request();
    let ended = match ended {
        Some(ended) => ended,
        None => nodes.await,
    };
    if !api_ended && let Err(error) = api.await {
        tracing::error!(%error, "the API ended in disorder");
    }
    // It never ends by itself, and what it was about to post is posted at the next start.
    if let Err(error) = (&mut webhooks).await {
        tracing::error!(%error, "the delivery of notifications ended in disorder");
    }
    fleet.store.close().await;
    ended?;
    if api_ended { Err(RunError::ApiEnded) } else { Ok(()) }
}

/// Two bridges on one home would send everything twice.
fn lock(home: &Path) -> Result<Flock<std::fs::File>, RunError> {
    let failed = |source| RunError::System { home: home.to_owned(), source };
    let path = home.join("bridge.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| RunError::Running { home: home.to_owned() })
}
