//! What the kernel says about this machine's network: links, addresses and routes that come and go (rtnetlink).
//!
//! Only that something has changed is of interest, never what: after a change a pause between two attempts to connect is pointless, and a
//! connection that looks well may be dead. Where the kernel gives no such socket nothing changes, and the pauses take their full time.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;
use tokio::time::{Instant, sleep_until};

/// Groups of rtnetlink (`linux/rtnetlink.h`): links, IPv4 addresses and routes, IPv6 addresses and routes.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// A change comes as a burst of messages (carrier, address, routes), and the last of them makes the network usable.
const SETTLES: Duration = Duration::from_secs(1);
/// Longest time until a change is acted upon after that: a whole site gets its network back in one instant.
const JITTER_MS: u64 = 2_000;
/// Longest message that is read; what is longer is cut off, which does not matter.
const MESSAGE_BYTES: usize = 8_192;

/// Watches for changes of this machine's network.
#[derive(Debug)]
pub struct NetworkChanges {
    /// Nothing where the kernel gives none.
    socket: Option<UnixDatagram>,
    /// When a change that was seen is told.
    told_at: Option<Instant>,
}

impl NetworkChanges {
    /// Begins to watch. Must be called on a tokio runtime.
    #[must_use]
    pub fn watch() -> Self {
        let socket = open().inspect_err(|error| tracing::info!(%error, "changes of the network cannot be watched"));
        Self { socket: socket.ok(), told_at: None }
    }

    /// Returns one to three seconds after something has changed; what changes meanwhile counts to the same change. Never returns where
    /// changes cannot be watched. May be dropped at any await and called again without losing anything.
    pub async fn changed(&mut self) {
        let told_at = match self.told_at {
            Some(told_at) => told_at,
            None => {
                let Some(socket) = &self.socket else { return std::future::pending().await };
                if let Err(error) = take_one(socket).await {
                    tracing::info!(%error, "changes of the network cannot be watched any more");
                    self.socket = None;
                    return std::future::pending().await;
                }
                let jitter = getrandom::u64().unwrap_or(0) % JITTER_MS;
                *self.told_at.insert(Instant::now() + SETTLES + Duration::from_millis(jitter))
            }
        };
        sleep_until(told_at).await;
        self.forget();
    }

    /// Forgets what has changed so far.
    pub fn forget(&mut self) {
        self.told_at = None;
        let mut buffer = [0; MESSAGE_BYTES];
        if let Some(socket) = &self.socket {
            while socket.try_recv(&mut buffer).is_ok_and(|length| length > 0) {}
        }
    }
}

fn open() -> io::Result<UnixDatagram> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    // To tokio this is a socket of datagrams like any other, of which only `recv` is used.
    UnixDatagram::from_std(socket.into())
}

/// Waits for a message. Only that it comes matters: what it says, and that there were more than the kernel keeps for us, does not.
async fn take_one(socket: &UnixDatagram) -> io::Result<()> {
    match socket.recv(&mut [0; MESSAGE_BYTES]).await {
        Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        Err(error) if error.raw_os_error() != Some(nix::libc::ENOBUFS) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_changed_is_forgotten_when_nobody_wants_to_know() {
        let mut changes = NetworkChanges::watch();
        changes.told_at = Some(Instant::now());
        changes.forget();
        assert_eq!(changes.told_at, None);
    }

    #[tokio::test]
    async fn a_machine_that_does_not_tell_is_waited_for_for_ever() {
        let mut changes = NetworkChanges { socket: None, told_at: None };
        assert!(tokio::time::timeout(Duration::from_millis(20), changes.changed()).await.is_err());
    }

    /// The wait may be dropped at any moment, and the change is told all the same.
    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_after_a_moment_even_when_the_wait_was_dropped() {
        let mut changes = NetworkChanges { socket: None, told_at: Some(Instant::now() + SETTLES) };
        assert!(tokio::time::timeout(SETTLES / 2, changes.changed()).await.is_err());
        tokio::time::timeout(SETTLES, changes.changed()).await.unwrap();
        assert!(tokio::time::timeout(SETTLES, changes.changed()).await.is_err(), "told twice");
    }
}
