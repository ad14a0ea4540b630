//! What a half of the agent tells systemd, where systemd has started it: that it is ready, that its work loop turns, what it does, that it
//! stops (sd_notify(3), sd_watchdog_enabled(3)).
//!
//! Nothing here has a timer or a task of its own: the work loop calls [`Notifier::feed`] each time it turns, and sleeps no longer than
//! [`Notifier::until_feed`]. A loop that hangs feeds nobody. The socket never blocks: whether systemd listens or not, the work goes on.
//!
//! What is started from here must not speak in our name: see `process.rs`, which takes [`VARIABLES`] from every child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What systemd puts into the environment of a service of `Type=notify`; no child may have it.
pub const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG_USEC, WATCHDOG_PID];
const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Longest status, in bytes: systemd takes datagrams of a page.
const MAXIMUM_STATUS_BYTES: usize = 512;

/// The way to systemd, or nowhere.
#[derive(Debug, Default)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Watchdog>,
    said: String,
}

#[derive(Debug)]
struct Watchdog {
    /// Half of what systemd allows between two signs of life, in milliseconds.
    pause_ms: u64,
    /// When the next is due, on the boot clock.
    due_ms: u64,
}

impl Notifier {
    /// As the environment of this process says; without systemd everything here does nothing.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name), std::process::id()).unwrap_or_else(|error| {
            tracing::warn!(%error, "systemd cannot be told how this service is");
            Self::default()
        })
    }

    /// As given variables say to the process with this id.
    ///
    /// # Errors
    /// The variables make no sense, or there is no socket to be had.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Self> {
        let Some(name) = variable(SOCKET) else { return Ok(Self::default()) };
        let to = UnixDatagram::unbound()?;
        to.set_nonblocking(true)?;
        Ok(Self { to: Some((to, address(&name)?)), watchdog: watchdog(variable, pid)?, said: String::new() })
    }

    /// The service can be used.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The service ends because it was told to.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What `systemctl status` shows of the service; said when it is new.
    pub fn status(&mut self, text: &str) {
        if self.to.is_none() || self.said == text {
            return;
        }
        text.clone_into(&mut self.said);
        // A line break would begin another variable, and some of the text is from outside.
        let mut line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        line.truncate(line.floor_char_boundary(MAXIMUM_STATUS_BYTES));
        self.send(&format!("STATUS={line}"));
    }

    /// The work loop turns: says so, no more often than half of what systemd allows. `now_ms` is the boot clock's.
    pub fn feed(&mut self, now_ms: u64) {
        let Some(watchdog) = &mut self.watchdog else { return };
        if now_ms >= watchdog.due_ms {
            watchdog.due_ms = now_ms.saturating_add(watchdog.pause_ms);
            self.send("WATCHDOG=1");
        }
    }

    /// After so long the work loop must turn again; none where nobody watches.
    #[must_use]
    pub fn until_feed(&self, now_ms: u64) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| Duration::from_millis(watchdog.due_ms.saturating_sub(now_ms)))
    }

    fn send(&self, text: &str) {
        let Some((socket, address)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// A path, or after an `@` a name of the abstract kind.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{SOCKET} is no local socket: {}", name.display()))),
    }
}

fn watchdog(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Option<Watchdog>> {
    let number = |name: &str| {
        let parsed = |text: OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
        let malformed = || io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no number"));
        variable(name).map(|text| parsed(text).ok_or_else(malformed)).transpose()
    };
    let Some(usec) = number(WATCHDOG_USEC)? else { return Ok(None) };
    if number(WATCHDOG_PID)?.is_some_and(|watched| watched != u64::from(pid)) {
        return Ok(None);
    }
    Ok(Some(Watchdog { pause_ms: (usec / 2000).max(1), due_ms: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: u32 = 7;

    struct Systemd {
        socket: UnixDatagram,
        // Removed when the test ends.
        _folder: tempfile::TempDir,
        path: OsString,
    }

    impl Systemd {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            Self { socket, _folder: folder, path: path.into() }
        }

        fn notifier(&self, others: &[(&str, &str)]) -> io::Result<Notifier> {
            let other = |name: &str| others.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value));
            Notifier::from_variables(|name| if name == SOCKET { Some(self.path.clone()) } else { other(name) }, PID)
        }

        fn heard(&self) -> Vec<String> {
            let mut datagram = [0; 4096];
            let next = || self.socket.recv(&mut datagram).ok().map(|length| String::from_utf8(datagram[..length].to_vec()).unwrap());
            std::iter::from_fn(next).collect()
        }
    }

    #[test]
    fn systemd_hears_each_thing_once_and_in_its_order() {
        let systemd = Systemd::new();
        let mut notifier = systemd.notifier(&[]).unwrap();
        notifier.ready();
        notifier.status("no connection: b\nREADY=0");
        notifier.status("no connection: b\nREADY=0");
        notifier.status(&"ä".repeat(MAXIMUM_STATUS_BYTES));
        notifier.feed(1);
        notifier.stopping();
        let long = format!("STATUS={}", "ä".repeat(MAXIMUM_STATUS_BYTES / 2));
        assert_eq!(systemd.heard(), ["READY=1", "STATUS=no connection: b READY=0", &long, "STOPPING=1"]);
        assert_eq!(notifier.until_feed(1), None, "nobody watches");
    }

    #[test]
    fn the_watchdog_is_fed_at_once_and_then_at_half_of_its_time() {
        let systemd = Systemd::new();
        let mut notifier = systemd.notifier(&[(WATCHDOG_USEC, "300000000"), (WATCHDOG_PID, "7")]).unwrap();
        let mut fed = Vec::new();
        for now in [1_000, 1_001, 150_999, 151_000, 152_000, 500_000, 600_000] {
            notifier.feed(now);
            fed.push(systemd.heard().len());
        }
        assert_eq!(fed, [1, 0, 0, 1, 0, 1, 0]);
        assert_eq!(notifier.until_feed(600_000), Some(Duration::from_secs(50)));
        assert_eq!(notifier.until_feed(900_000), Some(Duration::ZERO));
        let others = systemd.notifier(&[(WATCHDOG_USEC, "300000000"), (WATCHDOG_PID, "8")]).unwrap();
        assert_eq!(others.until_feed(0), None, "another process is watched");
    }

    #[test]
    fn what_makes_no_sense_is_an_error_and_nobody_there_is_none() {
        let systemd = Systemd::new();
        assert!(systemd.notifier(&[(WATCHDOG_USEC, "soon")]).unwrap_err().to_string().contains(WATCHDOG_USEC));
        let of = |socket: Option<&str>| Notifier::from_variables(|name| socket.filter(|_| name == SOCKET).map(OsString::from), PID);
        assert!(of(Some("vsock:2:1")).unwrap_err().to_string().contains("vsock:2:1"));
        let nowhere = of(Some("/nowhere/notify")).unwrap();
        nowhere.ready();
        of(None).unwrap().ready();
    }

    #[test]
    fn a_systemd_that_does_not_read_holds_nobody_up() {
        let systemd = Systemd::new();
        let notifier = systemd.notifier(&[]).unwrap();
        // More than any queue of a socket has room for.
        for _ in 0..10_000 {
            notifier.ready();
        }
        assert!((1..10_000).contains(&systemd.heard().len()));
    }

    #[test]
    fn names_of_the_abstract_kind_work() {
        let name = format!("flotilla-test-{}", getrandom::u64().unwrap());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::from_variables(|variable| (variable == SOCKET).then(|| format!("@{name}").into()), PID).unwrap();
        notifier.ready();
        let mut datagram = [0; 16];
        assert_eq!(socket.recv(&mut datagram).unwrap(), 7);
    }
}
