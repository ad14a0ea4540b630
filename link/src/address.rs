//! Where a broker listens: a host and a port, written `host:port` or `[ipv6]:port`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use thiserror::Error;

/// The name or address of a broker and its TCP port.
///
/// The host is also the name that the broker's certificate must carry. Written `broker.example:8883`,
/// `192.0.2.7:8883` or `[2001:db8::7]:8883`; the port is never left out.
///
/// ```
/// use flotilla_link::BrokerAddress;
/// let address: BrokerAddress = "[2001:db8::7]:8883".parse().unwrap();
/// assert_eq!(address.host, "2001:db8::7");
/// assert_eq!(address.to_string(), "[2001:db8::7]:8883");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerAddress {
    /// A DNS name, an IPv4 address or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port, 1 to 65,535.
    pub port: u16,
}

/// Why a text is not a broker's address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is no `:port` at the end.
    #[error("\"{text}\" has no port; write it as host:port, for example broker.example:8883")]
    NoPort {
        /// The text as given.
        text: String,
    },
    /// What follows the last colon is not a port.
    #[error("\"{port}\" is not a port; give a number from 1 to 65535")]
    BadPort {
        /// What stood in the place of the port.
        port: String,
    },
    /// The host is an IPv6 address without brackets, so that the port cannot be told apart.
    #[error("\"{text}\" has an IPv6 address without brackets; write it as [address]:port")]
    BareIpv6 {
        /// The text as given.
        text: String,
    },
    /// The host is neither a DNS name nor an IP address.
    #[error("\"{host}\" is neither a DNS name nor an IP address")]
    BadHost {
        /// What stood in the place of the host.
        host: String,
    },
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let no_port = || AddressError::NoPort { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => bracketed(rest).ok_or_else(no_port)?,
            None if host.contains(':') => return Err(AddressError::BareIpv6 { text: text.to_owned() }),
            None => host,
        };
        Ok(Self { host: checked_host(host)?, port: checked_port(port)? })
    }
}

/// The address inside brackets. Anything else, such as `[::1` cut at its own colon, means that no port was given.
fn bracketed(rest: &str) -> Option<&str> {
    let inner = rest.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(|_| inner)
}

fn checked_host(host: &str) -> Result<String, AddressError> {
    match ServerName::try_from(host) {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err(AddressError::BadHost { host: host.to_owned() }),
    }
}

fn checked_port(port: &str) -> Result<u16, AddressError> {
    let bad = || AddressError::BadPort { port: port.to_owned() };
    // `u16::from_str` would take a leading plus sign.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(bad()),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_and_writes_the_same() {
        for text in ["broker.example:8883", "192.0.2.7:1", "[2001:db8::7]:65535", "localhost:8883"] {
            let address: BrokerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let error = |text: &str| text.parse::<BrokerAddress>().unwrap_err();
        for text in ["", "broker", "[::1]", "[::1"] {
            assert_eq!(error(text), AddressError::NoPort { text: text.to_owned() }, "{text}");
        }
        for port in ["", "0", "65536", "+1", "x", " 1"] {
            let expected = AddressError::BadPort { port: port.to_owned() };
            assert_eq!(error(&format!("broker:{port}")), expected);
        }
        assert_eq!(error("::1:8883"), AddressError::BareIpv6 { text: "::1:8883".to_owned() });
        for host in ["", "two words", "a..b", "häfen"] {
            let expected = AddressError::BadHost { host: host.to_owned() };
            assert_eq!(error(&format!("{host}:1")), expected);
        }
    }
}
