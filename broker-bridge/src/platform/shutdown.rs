//! The wish to stop, handed to everything that runs.

use tokio::sync::watch;

/// Tells everything that holds a [`Shutdown`] to stop. Dropping it does the same.
#[derive(Debug)]
pub struct ShutdownSwitch(watch::Sender<bool>);

/// Learns of the wish to stop. Clones learn of the same wish.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A switch and what it switches off.
#[must_use]
pub fn shutdown() -> (ShutdownSwitch, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownSwitch(sender), Shutdown(receiver))
}

impl ShutdownSwitch {
    /// Asks everything to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns as soon as stopping was asked for; at once where that has happened already.
    pub async fn requested(&mut self) {
        // An error means that the switch is gone, which is the same wish.
        drop(self.0.wait_for(|stop| *stop).await);
    }

    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_and_dropping_both_stop() {
        let (switch, mut shutdown_one) = shutdown();
        assert!(!shutdown_one.is_requested());
        switch.request();
        shutdown_one.requested().await;
        assert!(shutdown_one.is_requested());
        let (switch, mut shutdown_two) = shutdown();
        drop(switch);
        shutdown_two.requested().await;
        assert!(shutdown_two.is_requested());
    }
}
