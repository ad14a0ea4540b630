//! The three ports of a fleet: chosen when it is made, and checked whenever it is started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use config::ConfigError;
use serde::Deserialize;

use crate::error::QuickstartError;
use crate::home;

/// Where bridges listen by default: API, broker, claims.
const DEFAULT_PORTS: [u16; 3] = [8474, 8883, 8884];
/// What the settings call them.
const SETTINGS: [&str; 3] = ["api.listen", "broker.listen", "broker.claim_listen"];

/// Where the bridge of a fleet listens: API, broker, claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports([SocketAddr; 3]);

/// The part of `bridge.toml` that is read here.
#[derive(Deserialize)]
struct File {
    api: Option<Api>,
    broker: Option<Broker>,
}

#[derive(Deserialize)]
struct Api {
    listen: Option<SocketAddr>,
}

#[derive(Deserialize)]
struct Broker {
    listen: Option<SocketAddr>,
    claim_listen: Option<SocketAddr>,
}

impl Ports {
    /// The default ports, and a free one for each that is taken.
    pub(crate) fn choose() -> Result<Self, QuickstartError> {
        // All are held until the last is chosen, or the system might give one twice.
        let mut held = Vec::with_capacity(DEFAULT_PORTS.len());
        let mut ports = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 3];
        for (port, chosen) in DEFAULT_PORTS.into_iter().zip(&mut ports) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.map_err(QuickstartError::NoPort)?;
            *chosen = listener.local_addr().map_err(QuickstartError::NoPort)?;
            held.push(listener);
        }
        Ok(Self(ports))
    }

    /// As the settings of an existing fleet say.
    pub(crate) fn read(text: &str) -> Result<Self, ConfigError> {
        let File { api, broker } = home::read_toml(text)?;
        let api = api.and_then(|api| api.listen);
        let (broker, claim) = broker.map_or((None, None), |broker| (broker.listen, broker.claim_listen));
        let mut ports = DEFAULT_PORTS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        for (port, set) in ports.iter_mut().zip([api, broker, claim]) {
            *port = set.unwrap_or(*port);
        }
        Ok(Self(ports))
    }

    /// Refuses when one is taken, before a bridge is started that would say so in its log only.
    pub(crate) fn check_free(&self, file: &Path) -> Result<(), QuickstartError> {
        for (address, setting) in self.0.into_iter().zip(SETTINGS) {
            match TcpListener::bind(address) {
                Ok(_free) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(QuickstartError::PortTaken { address, setting, file: file.to_owned() });
                }
                Err(source) => return Err(QuickstartError::Listen { address, setting, file: file.to_owned(), source }),
            }
        }
        Ok(())
    }

    /// The API.
    pub(crate) fn api(&self) -> SocketAddr {
        self.0[0]
    }

    /// The broker's listener for nodes.
    pub(crate) fn broker(&self) -> SocketAddr {
        self.0[1]
    }

    /// The broker's listener for claims.
    pub(crate) fn claim(&self) -> SocketAddr {
        self.0[2]
    }

    /// The default ports that were taken.
    pub(crate) fn not_default(&self) -> Vec<(u16, SocketAddr)> {
        DEFAULT_PORTS.into_iter().zip(self.0).filter(|(port, chosen)| *port != chosen.port()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_are_free_and_distinct() {
        let ports = Ports::choose().unwrap();
        let mut numbers = ports.0.map(|address| address.port());
        numbers.sort_unstable();
        assert!(numbers[0] != 0 && numbers[0] != numbers[1] && numbers[1] != numbers[2], "{numbers:?}");
        ports.check_free(Path::new("bridge.toml")).unwrap();
    }

    #[test]
    fn a_taken_port_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("name = 'x'\n[broker]\nclaim_listen = '{}'\n[api]\nlisten = '127.0.0.1:0'", taken.local_addr().unwrap());
        let ports = Ports::read(&text).unwrap();
        assert_eq!(ports.broker().port(), 8883);
        let ports = Ports([ports.api(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ports.claim()]);
        let error = ports.check_free(Path::new("home/bridge.toml")).unwrap_err().to_string();
        assert!(error.contains("broker.claim_listen in home/bridge.toml") && error.contains("ss -ltnp"), "{error}");
        assert!(Ports::read("api = 1").is_err());
    }
}
