//! `flotilla-bridge run`: opens the fleet, then serves operators and nodes until it is told to stop.

use crate::clock::Clock;
use crate::fleet::{Fleet, OpenFleetError, audit};
use crate::platform::audit::keep;
use crate::platform::http::{Api, Listener, Registry, ServeError};
use crate::platform::shutdown::{ShutdownSwitch, shutdown};
use crate::settings::{Settings, SettingsError};
use crate::{capability, device, fleet};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Why the bridge did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// Another bridge runs on the same home.
    #[error("another bridge runs on {home}; stop it first, or leave it running: one serves the whole fleet")]
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
    /// A task that runs as long as the bridge is gone. The service manager starts the bridge again.
    #[error("{part} has ended, which it never should; the log says why")]
    Ended {
        /// Which one.
        part: &'static str,
    },
    /// Another bridge of the fleet has connected to the broker.
    #[error(
        "another bridge of this fleet has connected to the broker and took over, so this one stands aside: two that send and receipt \
         would lose reports. If the other one is stopped for good and this home is to go on, remove {path} and start again"
    )]
    TakenOver {
        /// The mark that was left.
        path: PathBuf,
    },
    /// Another bridge has taken over from this home before.
    #[error(
        "another bridge of this fleet took over from this home, which therefore does not start. If the other one is stopped for good and \
         this home is to go on, remove {path} and start again"
    )]
    StoodAside {
        /// The mark.
        path: PathBuf,
    },
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
    let aside = settings.home.stood_aside();
    // A mark that cannot be looked at counts as one.
    if aside.try_exists().unwrap_or(true) {
        return Err(RunError::StoodAside { path: aside });
    }
    let failed = |source| RunError::System { home: home.to_owned(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // With a certificate that has run out nobody would come; where no new one can be had, the old one may still do.
    if let Err(error) = super::ca::renew_own(&settings.home, clock.now_ms() / 1000) {
        tracing::error!(error = &error as &dyn std::error::Error, "the certificates of broker and bridge cannot be renewed");
    }
    let fleet = Fleet::open(&settings, clock).await?;
    let listener = Listener::bind(settings.api.listen, settings.api.tls.as_ref()).await?;
    let (url, fleet_id) = (listener.url(), fleet.settings.fleet);
    audit::started(&fleet).await.map_err(OpenFleetError::Store)?;
    // The trust may be another than when signatures were collected.
    capability::run_command::prepared::judge_again(&fleet).await.map_err(OpenFleetError::Store)?;
    let (switch, wish) = shutdown();
    // It ends after everything that counts, and writes what was counted.
    let (keeps, until_the_end) = shutdown();
    let kept = tokio::spawn(keep::run(fleet.store.clone(), fleet.clock.clone(), settings.audit_entries, until_the_end));
    let api = tokio::spawn(listener.serve(router(&fleet), wish.clone()));
    let (deliverer, mut until_asked) = (Arc::clone(&fleet), wish.clone());
    let webhooks = tokio::spawn(async move {
        fleet::webhook::deliver::run(deliverer, until_asked.clone()).await;
        // Without webhooks there is nothing to deliver, and nothing is wrong.
        until_asked.requested().await;
    });
    tracing::info!(%url, fleet = %fleet_id, name = %fleet.settings.name, "the API is served");

    let nodes = Box::pin(device::run(Arc::clone(&fleet), &settings, wish));
    let asked = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ended = Parts { nodes, api, webhooks, switch }.until(asked).await;
    keeps.request();
    drop(kept.await);
    if let Err(error) = audit::stopped(&fleet, ended.as_ref().err().map_or_else(String::new, ToString::to_string).as_str()).await {
        tracing::error!(%error, "the audit log does not tell that the bridge has stopped");
    }
    fleet.store.close().await;
    match ended {
        Err(RunError::Device(device::DeviceError::TakenOver)) => Err(RunError::TakenOver { path: settings.home.stood_aside() }),
        ended => ended,
    }
}

/// What runs as long as the bridge, and the switch that stops it.
struct Parts<Nodes> {
    nodes: Pin<Box<Nodes>>,
    api: JoinHandle<()>,
    webhooks: JoinHandle<()>,
    switch: ShutdownSwitch,
}

impl<Nodes: Future<Output = Result<(), device::DeviceError>>> Parts<Nodes> {
    /// Runs until it is asked to stop or a part ends by itself, then ends all of it in order.
    async fn until(mut self, asked: impl Future<Output = ()>) -> Result<(), RunError> {
        let (mut api_ended, mut webhooks_ended) = (false, false);
        let ended = tokio::select! {
            ended = &mut self.nodes => Some(ended),
            _ = &mut self.api => { api_ended = true; None }
            _ = &mut self.webhooks => { webhooks_ended = true; None }
            () = asked => None,
        };
        tracing::info!("stopping");
        self.switch.request();
        let ended = match ended {
            Some(ended) => ended,
            None => self.nodes.await,
        };
        if !api_ended && let Err(error) = self.api.await {
            tracing::error!(%error, "the API ended in disorder");
        }
        // What it was about to post is posted at the next start.
        if !webhooks_ended && let Err(error) = self.webhooks.await {
            tracing::error!(%error, "the delivery of notifications ended in disorder");
        }
        ended?;
        match (api_ended, webhooks_ended) {
            (true, _) => Err(RunError::Ended { part: "the API" }),
            (_, true) => Err(RunError::Ended { part: "the delivery of notifications" }),
            _ => Ok(()),
        }
    }
}

/// Two bridges on one home would send everything twice.
pub(super) fn lock(home: &Path) -> Result<Flock<std::fs::File>, RunError> {
    let failed = |source| RunError::System { home: home.to_owned(), source };
    let path = home.join("bridge.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => RunError::Running { home: home.to_owned() },
        error => failed(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::shutdown::Shutdown;
    use std::future::{pending, ready};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Parts that end when they are asked to, but for one that the test replaces.
    fn parts() -> Parts<impl Future<Output = Result<(), device::DeviceError>>> {
        let (switch, wish) = shutdown();
        let until_asked = |mut wish: Shutdown| async move { wish.requested().await };
        let (api, webhooks) = (tokio::spawn(until_asked(wish.clone())), tokio::spawn(until_asked(wish.clone())));
        let nodes = async move {
            until_asked(wish).await;
            Ok(())
        };
        Parts { nodes: Box::pin(nodes), api, webhooks, switch }
    }

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(PATIENCE, work).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_that_is_gone_ends_the_bridge_with_an_error_that_names_it() {
        for gone in [tokio::spawn(async { panic!("the test wants it") }), tokio::spawn(ready(()))] {
            let ended = within(Parts { api: gone, ..parts() }.until(pending())).await;
            assert!(matches!(ended, Err(RunError::Ended { part: "the API" })), "{ended:?}");
        }
        let gone = tokio::spawn(async { panic!("the test wants it") });
        let ended = within(Parts { webhooks: gone, ..parts() }.until(pending())).await;
        assert!(matches!(ended, Err(RunError::Ended { part: "the delivery of notifications" })), "{ended:?}");
        let nodes = Box::pin(ready(Err(device::DeviceError::TakenOver)));
        let Parts { api, webhooks, switch, .. } = parts();
        let ended = within(Parts { nodes, api, webhooks, switch }.until(pending())).await;
        assert!(matches!(ended, Err(RunError::Device(device::DeviceError::TakenOver))), "{ended:?}");
        assert!(within(parts().until(ready(()))).await.is_ok(), "who is asked to stop has not failed");
    }

    #[test]
    fn a_home_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(RunError::Running { .. })));
        drop(first);
        assert!(lock(folder.path()).is_ok());
    }
}
